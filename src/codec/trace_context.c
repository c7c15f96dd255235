/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/trace_context.h"

#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only, as the recommendation wants it. */
static bool read_hex(struct str text, uint8_t *out, size_t n)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit(text.p[2 * i]);
        int low = digit(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *put_hex(char *to, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *to++ = "0123456789abcdef"[bytes[i] >> 4];
        *to++ = "0123456789abcdef"[bytes[i] & 15];
    }
    return to;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

bool trace_is_set(const struct trace_ids *ids)
{
    return !is_zero(ids->trace, sizeof(ids->trace));
}

/* ---- W3C ---- */

bool trace_parse_parent(struct str value, struct trace_ids *ret_ids)
{
    struct trace_ids ids;
    uint8_t version;
    if (value.n < TRACE_PARENT_MAX - 1 || value.p[2] != '-' || value.p[35] != '-' || value.p[52] != '-')
        return false;
    if (!read_hex((struct str){value.p, 2}, &version, 1) || version == 0xff)
        return false;
    /* A later version may have more behind, after a dash; the first four fields stay what they are. */
    if (value.n > TRACE_PARENT_MAX - 1 && (version == 0 || value.p[55] != '-'))
        return false;
    if (!read_hex((struct str){value.p + 3, 32}, ids.trace, sizeof(ids.trace)) ||
        !read_hex((struct str){value.p + 36, 16}, ids.span, sizeof(ids.span)) ||
        !read_hex((struct str){value.p + 53, 2}, &ids.flags, 1))
        return false;
    if (is_zero(ids.trace, sizeof(ids.trace)) || is_zero(ids.span, sizeof(ids.span)))
        return false;
    ids.flags &= 1; /* of what the flags mean only "sampled" is known here */
    *ret_ids = ids;
    return true;
}

void trace_print_parent(const struct trace_ids *ids, char out[TRACE_PARENT_MAX])
{
    char *to = out;
    *to++ = '0';
    *to++ = '0';
    *to++ = '-';
    to = put_hex(to, ids->trace, sizeof(ids->trace));
    *to++ = '-';
    to = put_hex(to, ids->span, sizeof(ids->span));
    *to++ = '-';
    to = put_hex(to, &ids->flags, 1);
    *to = '\0';
}

/* ---- X-Ray ---- */

static bool read_root(struct str root, uint8_t trace[16])
{
    return root.n == 35 && root.p[0] == '1' && root.p[1] == '-' && root.p[10] == '-' &&
           read_hex((struct str){root.p + 2, 8}, trace, 4) && read_hex((struct str){root.p + 11, 24}, trace + 4, 12);
}

bool trace_parse_xray(struct str value, struct trace_ids *ret_ids)
{
    struct trace_ids ids = {.flags = 0};
    bool has_root = false;
    if (value.n >= TRACE_XRAY_MAX)
        return false;
    while (value.n) {
        struct str text;
        bool has_value;
        struct str name = str_trim(str_cut(str_cut(value, ';', &value, NULL), '=', &text, &has_value));
        text = str_trim(text);
        if (str_is_nocase(name, "root")) {
            if (has_root || !read_root(text, ids.trace))
                return false;
            has_root = true;
        } else if (str_is_nocase(name, "parent")) {
            if (!read_hex(text, ids.span, sizeof(ids.span)))
                return false;
        } else if (str_is_nocase(name, "sampled")) {
            ids.flags = str_is(text, "1");
        }
    }
    if (!has_root || !trace_is_set(&ids))
        return false;
    *ret_ids = ids;
    return true;
}

size_t trace_print_xray(const struct trace_ids *ids, char out[TRACE_XRAY_MAX])
{
    char *to = out;
    memcpy(to, "Root=1-", 7);
    to = put_hex(to + 7, ids->trace, 4);
    *to++ = '-';
    to = put_hex(to, ids->trace + 4, 12);
    memcpy(to, ";Parent=", 8);
    to = put_hex(to + 8, ids->span, sizeof(ids->span));
    memcpy(to, ";Sampled=", 9);
    to += 9;
    *to++ = ids->flags & 1 ? '1' : '0';
    *to = '\0';
    return (size_t)(to - out);
}

/* ---- tracestate ---- */

bool trace_state_is_valid(struct str value)
{
    if (value.n > TRACE_STATE_MAX)
        return false;
    while (value.n) {
        struct str text;
        bool has_value;
        struct str member = str_trim(str_cut(value, ',', &value, NULL));
        struct str key = str_cut(member, '=', &text, &has_value);
        if (member.n == 0)
            continue; /* empty members are allowed */
        if (!has_value || key.n == 0 || text.n == 0)
            return false;
        for (size_t i = 0; i < member.n; i++)
            if ((unsigned char)member.p[i] < 0x20 || (unsigned char)member.p[i] > 0x7e)
                return false;
    }
    return true;
}
