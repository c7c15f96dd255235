/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_check.h"

#include "codec/json_scan.h"

#include <string.h>

struct check {
    struct str text;
    size_t at;
    unsigned depth;
    unsigned char is_object[JSON_CHECK_DEPTH_MAX / 8]; /* bit d: what is open at depth d */
};

static int peek(const struct check *c)
{
    return c->at < c->text.n ? (unsigned char)c->text.p[c->at] : -1;
}

static void skip_space(struct check *c)
{
    for (int b = peek(c); b == ' ' || b == '\n' || b == '\r' || b == '\t'; b = peek(c))
        c->at++;
}

static bool take_digits(struct check *c)
{
    size_t start = c->at;
    for (int b = peek(c); b >= '0' && b <= '9'; b = peek(c))
        c->at++;
    return c->at > start;
}

static bool take_number(struct check *c)
{
    if (peek(c) == '-')
        c->at++;
    if (peek(c) == '0')
        c->at++;
    else if (!take_digits(c))
        return false;
    if (peek(c) == '.') {
        c->at++;
        if (!take_digits(c))
            return false;
    }
    if (peek(c) == 'e' || peek(c) == 'E') {
        c->at++;
        if (peek(c) == '+' || peek(c) == '-')
            c->at++;
        if (!take_digits(c))
            return false;
    }
    return true;
}

static bool take_word(struct check *c, const char *word)
{
    for (; *word; word++, c->at++)
        if (peek(c) != *word)
            return false;
    return true;
}

static bool take_escape(struct check *c)
{
    c->at++; /* the backslash */
    int b = peek(c);
    if (b < 0 || !strchr("\"\\/bfnrtu", b))
        return false;
    c->at++;
    for (int digits = b == 'u' ? 4 : 0; digits > 0; digits--, c->at++) {
        int d = peek(c);
        if (!((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f') || (d >= 'A' && d <= 'F')))
            return false;
    }
    return true;
}

static bool take_string(struct check *c)
{
    c->at++; /* the quote */
    for (;;) {
        int b = peek(c);
        if (b < 0x20) /* a control character, or the end */
            return false;
        if (b == '"') {
            c->at++;
            return true;
        }
        if (b == '\\') {
            if (!take_escape(c))
                return false;
        } else if (b < 0x80) {
            c->at++;
        } else {
            size_t n = json_utf8_length(c->text.p + c->at, c->text.n - c->at);
            if (n == 0)
                return false;
            c->at += n;
        }
    }
}

static bool take_key(struct check *c)
{
    if (peek(c) != '"' || !take_string(c))
        return false;
    skip_space(c);
    if (peek(c) != ':')
        return false;
    c->at++;
    skip_space(c);
    return true;
}

static bool in_object(const struct check *c)
{
    return c->is_object[(c->depth - 1) / 8] >> ((c->depth - 1) % 8) & 1;
}

/* Steps into an array or object; *ret_empty when it has ended already. */
static bool open_container(struct check *c, bool *ret_empty)
{
    bool object = peek(c) == '{';
    if (c->depth == JSON_CHECK_DEPTH_MAX)
        return false;
    c->at++;
    skip_space(c);
    *ret_empty = peek(c) == (object ? '}' : ']');
    if (*ret_empty) {
        c->at++;
        return true;
    }
    unsigned char bit = (unsigned char)(1u << (c->depth % 8));
    unsigned char *byte = &c->is_object[c->depth / 8];
    *byte = (unsigned char)(object ? *byte | bit : *byte & ~bit);
    c->depth++;
    return !object || take_key(c);
}

static bool take_scalar(struct check *c)
{
    switch (peek(c)) {
    case '"':
        return take_string(c);
    case 't':
        return take_word(c, "true");
    case 'f':
        return take_word(c, "false");
    case 'n':
        return take_word(c, "null");
    default:
        return take_number(c);
    }
}

/* Behind a value: what it is part of ends or goes on. *ret_more: another value follows. */
static bool go_on(struct check *c, bool *ret_more)
{
    *ret_more = false;
    while (c->depth) {
        skip_space(c);
        int b = peek(c);
        if (b == ',') {
            c->at++;
            skip_space(c);
            *ret_more = true;
            return !in_object(c) || take_key(c);
        }
        if (b != (in_object(c) ? '}' : ']'))
            return false;
        c->at++;
        c->depth--;
    }
    return true;
}

static bool check_value(struct check *c)
{
    for (bool more = true; more;) {
        int b = peek(c);
        bool over = true;
        if (b == '{' || b == '[') {
            if (!open_container(c, &over))
                return false;
        } else if (!take_scalar(c)) {
            return false;
        }
        if (over && !go_on(c, &more))
            return false;
    }
    return true;
}

bool json_check(struct str text, size_t *ret_offset)
{
    struct check c = {.text = text};
    skip_space(&c);
    bool good = check_value(&c);
    if (good) {
        skip_space(&c);
        good = c.at == text.n;
    }
    if (!good && ret_offset)
        *ret_offset = c.at;
    return good;
}

bool json_check_utf8(struct str bytes)
{
    for (size_t at = 0; at < bytes.n;) {
        size_t n = json_utf8_length(bytes.p + at, bytes.n - at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}
