/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

/* 0-63, or -1 for a byte that is none of the alphabet's. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Four characters, the last `padding` of them "=". False when they are not, or when bits beyond the last byte are set (section 3.5). */
static bool decode_group(const char *group, unsigned padding, unsigned char out[3])
{
    unsigned bits = 0;
    for (unsigned i = 0; i < 4; i++) {
        int value = i + padding < 4 ? value_of(group[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
    }
    out[0] = (unsigned char)(bits >> 16);
    out[1] = (unsigned char)(bits >> 8);
    out[2] = (unsigned char)bits;
    return (padding < 1 || out[2] == 0) && (padding < 2 || out[1] == 0);
}

bool base64_decode(struct str in, char *out, size_t cap, size_t *ret_len)
{
    size_t n = 0;
    if (in.n % 4)
        return false;
    for (size_t at = 0; at < in.n; at += 4) {
        unsigned char bytes[3];
        unsigned padding = 0;
        if (at + 4 == in.n)
            padding = in.p[at + 3] != '=' ? 0 : in.p[at + 2] != '=' ? 1 : 2;
        if (!decode_group(in.p + at, padding, bytes) || 3 - padding > cap - n)
            return false;
        for (unsigned i = 0; i < 3 - padding; i++)
            out[n++] = (char)bytes[i];
    }
    *ret_len = n;
    return true;
}

void base64_encode(struct str in, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < in.n; at += 3) {
        size_t n = in.n - at < 3 ? in.n - at : 3;
        unsigned bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < n ? (unsigned char)in.p[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            *out++ = i <= n ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
    }
}
