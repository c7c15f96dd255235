/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_scan.h"

#include "codec/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    char *text;
    size_t n;
    size_t at;
    unsigned line;
    size_t line_start;
    bool comments;
    struct json_lines *lines;
    struct err *e;
};

size_t json_utf8_length(const char *p, size_t n)
{
    const uint8_t *b = (const uint8_t *)p;
    if (b[0] < 0x80)
        return 1;
    size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, and what lies beyond U+10FFFF */
    if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f))
        return 0;
    if ((b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
        return 0;
    return length;
}

static int bad(struct scan *s, const char *what)
{
    return err_say(s->e, EINVAL, "line %u, column %zu: %s", s->line, s->at - s->line_start + 1, what);
}

/* The byte at hand; 0 at the end (a NUL inside the text fails wherever it stands, as no rule allows one). */
static char peek(const struct scan *s)
{
    return s->at < s->n ? s->text[s->at] : '\0';
}

static int note_line(struct scan *s, unsigned line)
{
    struct json_lines *l = s->lines;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        unsigned *grown = reallocarray(l->line, cap, sizeof(*grown));
        if (!grown)
            return err_set(s->e, ENOMEM, "read JSON");
        l->line = grown;
        l->cap = cap;
    }
    l->line[l->count++] = line;
    return 0;
}

static void newline_at(struct scan *s)
{
    s->line++;
    s->line_start = s->at + 1;
}

static int skip_comment(struct scan *s)
{
    char second = s->at + 1 < s->n ? s->text[s->at + 1] : '\0';
    if (!s->comments || (second != '/' && second != '*'))
        return bad(s, s->comments ? "a value was expected, not '/'" : "comments are not allowed here");
    size_t start = s->at;
    s->text[s->at++] = ' ';
    s->text[s->at++] = ' ';
    for (; s->at < s->n; s->at++) {
        char c = s->text[s->at];
        if (c == '\n') {
            if (second == '/')
                return 0;
            newline_at(s);
            continue;
        }
        if (second == '*' && c == '*' && s->at + 1 < s->n && s->text[s->at + 1] == '/') {
            s->text[s->at++] = ' ';
            s->text[s->at++] = ' ';
            return 0;
        }
        s->text[s->at] = ' ';
    }
    if (second == '/')
        return 0;
    return err_say(s->e, EINVAL, "line %u: a comment begun at byte %zu has no end", s->line, start);
}

static int skip_space(struct scan *s)
{
    for (;;) {
        char c = peek(s);
        if (c == '\n')
            newline_at(s);
        else if (c == '/') {
            int r = skip_comment(s);
            if (r < 0)
                return r;
            continue;
        } else if (c != ' ' && c != '\t' && c != '\r')
            return 0;
        s->at++;
    }
}

/* Four hex digits behind "\u", or -1. */
static long hex4(const struct scan *s, size_t at)
{
    if (at + 4 > s->n)
        return -1;
    long v = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = s->text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static int scan_escape(struct scan *s)
{
    char c = s->at + 1 < s->n ? s->text[s->at + 1] : '\0';
    if (c && strchr("\"\\/bfnrt", c)) {
        s->at += 2;
        return 0;
    }
    if (c != 'u')
        return bad(s, "an unknown escape in a string");
    long unit = hex4(s, s->at + 2);
    if (unit < 0)
        return bad(s, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return bad(s, "\\u0000 is not allowed in a string");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return bad(s, "half of a surrogate pair");
    s->at += 6;
    if (unit < 0xd800 || unit > 0xdbff)
        return 0;
    long low = peek(s) == '\\' && s->at + 1 < s->n && s->text[s->at + 1] == 'u' ? hex4(s, s->at + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return bad(s, "half of a surrogate pair");
    s->at += 6;
    return 0;
}

static int scan_string(struct scan *s)
{
    for (s->at++;;) {
        char c = peek(s);
        if (s->at >= s->n)
            return bad(s, "a string has no closing quote");
        if (c == '"') {
            s->at++;
            return 0;
        }
        if ((unsigned char)c < 0x20)
            return bad(s, c == '\n' ? "a string has no closing quote on its line" : "a control character in a string");
        if (c == '\\') {
            int r = scan_escape(s);
            if (r < 0)
                return r;
            continue;
        }
        size_t n = json_utf8_length(s->text + s->at, s->n - s->at);
        if (!n)
            return bad(s, "a string is not UTF-8");
        s->at += n;
    }
}

static bool scan_digits(struct scan *s)
{
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > start;
}

static int scan_number(struct scan *s)
{
    size_t start = s->at;
    if (peek(s) == '-')
        s->at++;
    bool zero = peek(s) == '0';
    size_t first = s->at;
    if (!scan_digits(s) || (zero && s->at - first > 1))
        return bad(s, "not a number");
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s))
            return bad(s, "digits were expected behind '.'");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!scan_digits(s))
            return bad(s, "digits were expected in the exponent");
    }
    return s->at - start > JSON_NUMBER_MAX ? bad(s, "a number of more than 60 characters") : 0;
}

static int scan_word(struct scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i]);
        if (s->n - s->at >= n && !memcmp(s->text + s->at, words[i], n)) {
            s->at += n;
            return 0;
        }
    }
    return bad(s, s->at >= s->n ? "the text ends where a value was expected" : "a value was expected");
}

static int scan_value(struct scan *s, unsigned line, unsigned depth);

/* Key, colon and value of one member. */
static int scan_member(struct scan *s, unsigned depth)
{
    if (peek(s) != '"')
        return bad(s, "a key in double quotes was expected");
    unsigned line = s->line;
    int r = scan_string(s);
    if (r == 0)
        r = skip_space(s);
    if (r < 0)
        return r;
    if (peek(s) != ':')
        return bad(s, "':' was expected behind the key");
    s->at++;
    r = skip_space(s);
    return r < 0 ? r : scan_value(s, line, depth);
}

static int scan_container(struct scan *s, unsigned depth)
{
    char close = peek(s) == '{' ? '}' : ']';
    if (depth >= JSON_DEPTH_MAX)
        return bad(s, "more than 64 levels of objects and arrays");
    s->at++;
    int r = skip_space(s);
    if (r < 0)
        return r;
    if (peek(s) == close) {
        s->at++;
        return 0;
    }
    for (;;) {
        r = close == '}' ? scan_member(s, depth + 1) : scan_value(s, s->line, depth + 1);
        if (r == 0)
            r = skip_space(s);
        if (r < 0)
            return r;
        char c = peek(s);
        if (c != close && c != ',')
            return bad(s, close == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
        s->at++;
        if (c == close)
            return 0;
        r = skip_space(s);
        if (r < 0)
            return r;
        if (peek(s) == close)
            return bad(s, "a comma before the closing bracket");
    }
}

/* Recursion is bounded by JSON_DEPTH_MAX. `line`: what to note for this value. */
static int scan_value(struct scan *s, unsigned line, unsigned depth)
{
    int r = note_line(s, line);
    if (r < 0)
        return r;
    char c = peek(s);
    if (c == '{' || c == '[')
        return scan_container(s, depth);
    if (c == '"')
        return scan_string(s);
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(s);
    return scan_word(s);
}

int json_scan(char *text, size_t n, bool comments, struct json_lines *lines, struct err *e)
{
    struct scan s = {.text = text, .n = n, .line = 1, .comments = comments, .lines = lines, .e = e};
    int r = skip_space(&s);
    if (r == 0)
        r = scan_value(&s, s.line, 0);
    if (r == 0)
        r = skip_space(&s);
    if (r == 0 && s.at < s.n)
        r = bad(&s, "something stands behind the end of the value");
    return r;
}
