/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_span.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

struct str json_span_value(struct str text)
{
    while (text.n && is_blank(*text.p))
        text = str_skip(text, 1);
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

static size_t skip_blanks(struct str text, size_t at)
{
    while (at < text.n && is_blank(text.p[at]))
        at++;
    return at;
}

/* Behind the string that begins at `at`. */
static size_t skip_string(struct str text, size_t at)
{
    for (at++; at < text.n && text.p[at] != '"'; at++)
        if (text.p[at] == '\\')
            at++;
    return at < text.n ? at + 1 : text.n;
}

/* Behind the value that begins at `at`. */
static size_t skip_value(struct str text, size_t at)
{
    size_t depth = 0;
    while (at < text.n) {
        char c = text.p[at];
        if (c == '"') {
            at = skip_string(text, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
            at++;
        } else if (depth == 0) {
            while (at < text.n && !strchr(",]} \t\r\n", text.p[at]))
                at++;
        } else {
            at++;
            continue;
        }
        if (depth == 0)
            break;
    }
    return at;
}

bool json_span_member(struct str object, struct json_span_place *place, struct str *ret_key, struct str *ret_value)
{
    size_t at = place->at;
    if (object.n == 0 || *object.p != '{')
        return false;
    at = skip_blanks(object, at + 1); /* the brace or the comma */
    if (at >= object.n || object.p[at] != '"')
        return false;
    size_t end = skip_string(object, at);
    *ret_key = (struct str){object.p + at + 1, end - at - 2};
    at = skip_blanks(object, skip_blanks(object, end) + 1);
    end = skip_value(object, at);
    *ret_value = (struct str){object.p + at, end - at};
    place->at = skip_blanks(object, end);
    return true;
}

bool json_span_is_string(struct str value)
{
    return value.n >= 2 && *value.p == '"';
}

static unsigned hex4(const char *p)
{
    unsigned value = 0;
    for (unsigned i = 0; i < 4; i++) {
        char c = p[i];
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
        value = value << 4 | digit;
    }
    return value;
}

static size_t print_utf8(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[n] | code);
    return n;
}

/* The escape behind the backslash at *at, which moves behind it. */
static int add_escape(struct buf *out, struct str text, size_t *at)
{
    static const char names[] = "bfnrt";
    static const char meant[] = "\b\f\n\r\t";
    char c = text.p[*at + 1];
    const char *name = strchr(names, c);
    *at += 2;
    if (c != 'u')
        return buf_add(out, name ? &meant[name - names] : &c, 1);
    unsigned code = hex4(text.p + *at);
    *at += 4;
    bool high = code >= 0xd800 && code < 0xdc00;
    if (high && text.n - *at > 6 && text.p[*at] == '\\' && text.p[*at + 1] == 'u') {
        unsigned low = hex4(text.p + *at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *at += 6;
        }
    }
    char bytes[4];
    if (code >= 0xd800 && code < 0xe000)
        code = 0xfffd;
    return buf_add(out, bytes, print_utf8(code, bytes));
}

int json_span_add_text(struct buf *out, struct str string)
{
    size_t end = string.n - 1;
    int r = buf_reserve(out, string.n); /* no escape stands for more than itself */
    for (size_t at = 1; r == 0 && at < end;) {
        const char *stop = memchr(string.p + at, '\\', end - at);
        size_t n = stop ? (size_t)(stop - string.p) - at : end - at;
        r = buf_add(out, string.p + at, n);
        at += n;
        if (r == 0 && stop)
            r = add_escape(out, string, &at);
    }
    return r;
}

int json_span_add_compact(struct buf *out, struct str value)
{
    int r = buf_reserve(out, value.n);
    for (size_t at = 0; r == 0 && at < value.n;) {
        size_t from = at;
        while (at < value.n && !is_blank(value.p[at]))
            at = value.p[at] == '"' ? skip_string(value, at) : at + 1;
        r = buf_add(out, value.p + from, at - from);
        at = skip_blanks(value, at);
    }
    return r;
}
