/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of codec/json.h: text straight into the buffer, no tree. */
#include "codec/json.h"

#include "codec/json_scan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WRITER_DEPTH_MAX = 64 }; /* one bit of json_writer.members each */

static int add_escaped_ascii(struct buf *out, char c)
{
    static const char letter[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    unsigned char u = (unsigned char)c;
    if (u < sizeof(letter) && letter[u]) {
        char pair[2] = {'\\', letter[u]};
        return buf_add(out, pair, 2);
    }
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[u >> 4], hex[u & 15]};
    return buf_add(out, text, 6);
}

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

/* Bytes from the start that go out as they are. C1 controls (U+0080 to U+009F, "\xc2\x80" and on) do not: terminals obey them. */
static size_t plain_prefix(struct str s)
{
    size_t at = 0;
    while (at < s.n && !needs_escape(s.p[at])) {
        if ((unsigned char)s.p[at] < 0x80) { /* nearly all there is */
            at++;
            continue;
        }
        size_t n = json_utf8_length(s.p + at, s.n - at);
        if (!n || (n == 2 && (unsigned char)s.p[at] == 0xc2 && (unsigned char)s.p[at + 1] < 0xa0))
            break;
        at += n;
    }
    return at;
}

int json_escape(struct buf *out, struct str bytes)
{
    int r = buf_add(out, "\"", 1);
    while (r == 0 && bytes.n) {
        size_t n = plain_prefix(bytes);
        r = buf_add(out, bytes.p, n);
        bytes = str_skip(bytes, n);
        if (r < 0 || !bytes.n)
            break;
        if (needs_escape(bytes.p[0])) {
            r = add_escaped_ascii(out, bytes.p[0]);
            bytes = str_skip(bytes, 1);
        } else if (json_utf8_length(bytes.p, bytes.n) == 2) {
            r = add_escaped_ascii(out, bytes.p[1]);
            bytes = str_skip(bytes, 2);
        } else {
            r = buf_add(out, "\xef\xbf\xbd", 3);
            bytes = str_skip(bytes, 1);
        }
    }
    return r < 0 ? r : buf_add(out, "\"", 1);
}

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

int json_writer_end(const struct json_writer *w)
{
    assert(w->error || w->depth == 0);
    return w->error;
}

static void keep_first(struct json_writer *w, int r)
{
    if (r < 0 && !w->error)
        w->error = r;
}

/* The comma and the key. False when the writer has failed already. */
static bool begin(struct json_writer *w, const char *key)
{
    if (w->depth >= WRITER_DEPTH_MAX)
        keep_first(w, -EMSGSIZE);
    uint64_t bit = UINT64_C(1) << w->depth % WRITER_DEPTH_MAX;
    if (!w->error && (w->members & bit))
        keep_first(w, buf_add(w->out, ",", 1));
    w->members |= bit;
    if (key && !w->error)
        keep_first(w, json_escape(w->out, str_from(key)));
    if (key && !w->error)
        keep_first(w, buf_add(w->out, ":", 1));
    return !w->error;
}

static void put(struct json_writer *w, const char *key, const char *text)
{
    if (begin(w, key))
        keep_first(w, buf_add_text(w->out, text));
}

static void open_container(struct json_writer *w, const char *key, const char *bracket)
{
    put(w, key, bracket);
    w->depth++;
    w->members &= ~(UINT64_C(1) << w->depth % WRITER_DEPTH_MAX);
}

static void close_container(struct json_writer *w, const char *bracket)
{
    assert(w->depth > 0);
    w->depth--;
    if (!w->error)
        keep_first(w, buf_add_text(w->out, bracket));
}

void json_put_object(struct json_writer *w, const char *key)
{
    open_container(w, key, "{");
}

void json_put_object_end(struct json_writer *w)
{
    close_container(w, "}");
}

void json_put_array(struct json_writer *w, const char *key)
{
    open_container(w, key, "[");
}

void json_put_array_end(struct json_writer *w)
{
    close_container(w, "]");
}

void json_put_str(struct json_writer *w, const char *key, struct str value)
{
    if (begin(w, key))
        keep_first(w, json_escape(w->out, value));
}

void json_put_text(struct json_writer *w, const char *key, const char *value)
{
    if (value)
        json_put_str(w, key, str_from(value));
    else
        json_put_null(w, key);
}

/* Long lists are mostly numbers: vsnprintf(3) took half of their time. */
static int add_u64(struct buf *out, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_add(out, digits + n, sizeof(digits) - n);
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t value)
{
    if (begin(w, key))
        keep_first(w, add_u64(w->out, value));
}

void json_put_i64(struct json_writer *w, const char *key, int64_t value)
{
    if (begin(w, key))
        keep_first(w, buf_addf(w->out, "%" PRId64, value));
}

void json_put_double(struct json_writer *w, const char *key, double value)
{
    if (!isfinite(value)) {
        json_put_null(w, key);
        return;
    }
    if (begin(w, key))
        keep_first(w, buf_addf(w->out, "%.15g", value));
}

void json_put_milli(struct json_writer *w, const char *key, uint64_t milli)
{
    if (!begin(w, key))
        return;
    char fraction[8] = "";
    unsigned rest = (unsigned)(milli % 1000), digits = 3;
    for (; rest && rest % 10 == 0; rest /= 10)
        digits--;
    if (rest)
        snprintf(fraction, sizeof(fraction), ".%0*u", (int)digits, rest);
    keep_first(w, buf_addf(w->out, "%" PRIu64 "%s", milli / 1000, fraction));
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    put(w, key, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
    put(w, key, "null");
}

void json_put_raw(struct json_writer *w, const char *key, struct str json)
{
    if (begin(w, key))
        keep_first(w, buf_add_str(w->out, json));
}

static void put_number(struct json_writer *w, const char *key, const struct json *value)
{
    double d = 0;
    uint64_t whole;
    if (json_to_u64(value, &whole))
        json_put_u64(w, key, whole);
    else if (json_to_double(value, &d))
        json_put_double(w, key, d);
}

void json_put_value(struct json_writer *w, const char *key, const struct json *value)
{
    bool truth = false;
    switch (json_type_of(value)) {
    case JSON_NULL:
        json_put_null(w, key);
        break;
    case JSON_BOOL:
        json_put_bool(w, key, json_to_bool(value, &truth) && truth);
        break;
    case JSON_NUMBER:
        put_number(w, key, value);
        break;
    case JSON_STRING:
        json_put_text(w, key, json_text(value));
        break;
    case JSON_ARRAY:
        json_put_array(w, key);
        JSON_EACH(value, at)
        json_put_value(w, NULL, at);
        json_put_array_end(w);
        break;
    case JSON_OBJECT:
        json_put_object(w, key);
        JSON_EACH(value, at)
        json_put_value(w, json_key(at), at);
        json_put_object_end(w);
        break;
    }
}
