/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void id_random(void *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = getrandom((char *)out + done, n - done, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            abort();
        done += (size_t)r;
    }
}

static char *put_hex(char *out, uint8_t byte)
{
    *out++ = "0123456789abcdef"[byte >> 4];
    *out++ = "0123456789abcdef"[byte & 15];
    return out;
}

void id_hex(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        out = put_hex(out, bytes[i]);
    *out = '\0';
}

/* A pool, because a getrandom(2) per request is a system call on the hot path. */
static void take_random(void *out, size_t n)
{
    static uint8_t pool[1024];
    static size_t used = sizeof(pool);
    if (sizeof(pool) - used < n) {
        id_random(pool, sizeof(pool));
        used = 0;
    }
    memcpy(out, pool + used, n);
    memset(pool + used, 0, n);
    used += n;
}

uint64_t id_random_u64(void)
{
    uint64_t value;
    take_random(&value, sizeof(value));
    return value;
}

void id_uuid_make(uint8_t out[ID_UUID_BYTES])
{
    take_random(out, ID_UUID_BYTES);
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

/* Digits of each group: 8-4-4-4-12. */
static bool has_dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void id_uuid_print(const uint8_t bytes[ID_UUID_BYTES], char out[ID_UUID_MAX])
{
    for (unsigned i = 0; i < ID_UUID_BYTES; i++) {
        if (has_dash_before(i))
            *out++ = '-';
        out = put_hex(out, bytes[i]);
    }
    *out = '\0';
}

void id_uuid(char out[ID_UUID_MAX])
{
    uint8_t bytes[ID_UUID_BYTES];
    id_uuid_make(bytes);
    id_uuid_print(bytes, out);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool id_uuid_parse(struct str text, uint8_t out[ID_UUID_BYTES])
{
    const char *at = text.p;
    if (text.n != ID_UUID_MAX - 1)
        return false;
    for (unsigned i = 0; i < ID_UUID_BYTES; i++) {
        if (has_dash_before(i) && *at++ != '-')
            return false;
        int high = digit_of(at[0]), low = digit_of(at[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}
