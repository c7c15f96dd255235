/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/pattern.h"

#include <assert.h>
#include <regex.h>
#include <stddef.h>
#include <string.h>

struct out {
    char *text;
    size_t len;
    bool full;
};

static void add(struct out *o, const char *text, size_t n)
{
    if (o->len + n >= LAMBDA_PATTERN_MAX) {
        o->full = true;
        return;
    }
    memcpy(o->text + o->len, text, n);
    o->len += n;
}

static void add_text(struct out *o, const char *text)
{
    add(o, text, strlen(text));
}

static const char *class_of(char c)
{
    switch (c) {
    case 'd':
        return "0-9";
    case 'w':
        return "a-zA-Z0-9_";
    case 's':
        return "[:space:]";
    default:
        return NULL;
    }
}

/* From behind the '[': POSIX wants ']' first and '-' last, and knows no escapes. NULL: no end. */
static const char *translate_brackets(const char *p, struct out *o)
{
    bool negated = *p == '^', dash = false, bracket = false;
    char body[256];
    struct out inside = {.text = body};
    if (negated)
        p++;
    if (strncmp(p, "\\s\\S]", 5) == 0) { /* Java's "any character at all" */
        add_text(o, "(.|[[:space:]])");
        return p + 5;
    }
    for (; *p && *p != ']'; p++) {
        if (inside.len > sizeof(body) - 32)
            return NULL;
        bool escaped = *p == '\\';
        if (escaped && !*++p)
            return NULL;
        if (escaped && class_of(*p)) {
            add_text(&inside, class_of(*p));
            continue;
        }
        bool range = !escaped && p[1] == '-' && p[2] && p[2] != ']' && p[2] != '\\' && *p != '-' && p[2] != '-';
        if (*p == '-')
            dash = true;
        else if (*p == ']')
            bracket = true;
        else if (range) {
            add(&inside, p, 3);
            p += 2;
        } else
            add(&inside, p, 1);
    }
    if (!*p)
        return NULL;
    add_text(o, negated ? "[^" : "[");
    if (bracket)
        add_text(o, "]");
    add(o, body, inside.len);
    if (dash)
        add_text(o, "-");
    add_text(o, "]");
    return p + 1;
}

static bool translate_escape(char c, struct out *o)
{
    if (c == 'S') {
        add_text(o, "[^[:space:]]");
    } else if (class_of(c)) {
        add_text(o, "[");
        add_text(o, class_of(c));
        add_text(o, "]");
    } else if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
        return false; /* \b, \1, \p{...} */
    } else if (strchr("\\.[]{}()*+?^$|", c)) {
        const char pair[2] = {'\\', c};
        add(o, pair, 2);
    } else {
        add(o, &c, 1); /* \- and \/ are the characters themselves */
    }
    return c != '\0';
}

bool lambda_pattern_translate(const char *pattern, char out[LAMBDA_PATTERN_MAX])
{
    struct out o = {.text = out};
    add_text(&o, "^(");
    for (const char *p = pattern; p && *p && !o.full;) {
        if (*p == '[') {
            p = translate_brackets(p + 1, &o);
            if (!p)
                return false;
        } else if (*p == '\\') {
            if (!translate_escape(p[1], &o))
                return false;
            p += 2;
        } else if (p[0] == '(' && p[1] == '?') {
            return false;
        } else {
            add(&o, p++, 1);
        }
    }
    add_text(&o, ")$");
    if (o.full)
        return false;
    out[o.len] = '\0';
    return true;
}

bool lambda_pattern_matches(const char *pattern, const char *text)
{
    char posix[LAMBDA_PATTERN_MAX];
    regex_t compiled;
    bool good = lambda_pattern_translate(pattern, posix);
    assert(good);
    int r = regcomp(&compiled, posix, REG_EXTENDED | REG_NOSUB);
    if (r == REG_ESPACE)
        return false;
    assert(r == 0);
    r = regexec(&compiled, text, 0, NULL, 0);
    regfree(&compiled);
    return r == 0;
}
