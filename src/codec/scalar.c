/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/scalar.h"

#include "base/units.h"
#include "codec/json_scan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 64, NUMBER_TEXT_MAX = 40, TEXT_MAX = 1024 };

static size_t width(const struct scalar *k)
{
    switch (k->kind) {
    case SCALAR_SIZE:
    case SCALAR_TIME:
        return sizeof(uint64_t);
    case SCALAR_BOOL:
        return sizeof(bool);
    case SCALAR_TEXT:
        return k->max;
    default:
        return sizeof(uint32_t);
    }
}

/* Any kind but TEXT. Through memcpy: a struct from a pipe may hold a byte in a bool that is neither 0 nor 1. */
static uint64_t load(const struct scalar *k, const void *base)
{
    const char *at = (const char *)base + k->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    uint8_t byte = 0;
    if (width(k) == sizeof(wide)) {
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
    if (width(k) == sizeof(byte)) {
        memcpy(&byte, at, sizeof(byte));
        return byte;
    }
    memcpy(&narrow, at, sizeof(narrow));
    return narrow;
}

static void store(const struct scalar *k, void *base, uint64_t value)
{
    char *at = (char *)base + k->offset;
    uint32_t narrow = (uint32_t)value;
    uint8_t byte = (uint8_t)value;
    if (width(k) == sizeof(value))
        memcpy(at, &value, sizeof(value));
    else if (width(k) == sizeof(byte))
        memcpy(at, &byte, sizeof(byte));
    else
        memcpy(at, &narrow, sizeof(narrow));
}

static_assert(sizeof(bool) == 1, "load and store take a bool for a byte");

/* A number as the key's unit, for messages and output. */
static void format_number(const struct scalar *k, uint64_t value, char out[NUMBER_TEXT_MAX])
{
    switch (k->kind) {
    case SCALAR_SIZE:
        units_format_size(value, out);
        break;
    case SCALAR_TIME:
        units_format_time(value, out);
        break;
    case SCALAR_MILLI:
        snprintf(out, NUMBER_TEXT_MAX, "%" PRIu64 ".%03u", value / 1000, (unsigned)(value % 1000));
        for (size_t n = strlen(out); out[n - 1] == '0' || out[n - 1] == '.'; n--) {
            bool point = out[n - 1] == '.';
            out[n - 1] = '\0';
            if (point)
                break;
        }
        break;
    case SCALAR_MODE:
        snprintf(out, NUMBER_TEXT_MAX, "%04o", (unsigned)value);
        break;
    default:
        snprintf(out, NUMBER_TEXT_MAX, "%" PRIu64, value);
        break;
    }
}

static int check_range(const struct scalar *k, uint64_t value, struct err *e)
{
    char given[NUMBER_TEXT_MAX], bound[NUMBER_TEXT_MAX];
    if (value >= k->min && value <= k->max)
        return 0;
    format_number(k, value, given);
    format_number(k, value < k->min ? k->min : k->max, bound);
    return err_say(e, EINVAL, "%s is too %s: the %s is %s", given, value < k->min ? "small" : "large",
                   value < k->min ? "least" : "most", bound);
}

/* "0.5", "2": at most three digits behind the point. */
static int parse_milli(struct str text, uint64_t *ret_value, struct err *e)
{
    struct str fraction;
    bool point;
    struct str whole = str_cut(text, '.', &fraction, &point);
    uint64_t units = 0, rest = 0;
    bool good = str_to_u64(whole, &units) && units <= UINT32_MAX / 1000;
    if (good && point)
        good = fraction.n <= 3 && str_to_u64(fraction, &rest);
    if (!good)
        return err_say(e, EINVAL, "'%.*s' is not a number such as 2 or 0.5 (at most three decimals)", (int)text.n,
                       text.p);
    for (size_t n = fraction.n; point && n < 3; n++)
        rest *= 10;
    *ret_value = units * 1000 + rest;
    return 0;
}

static int parse_mode(struct str text, uint64_t *ret_value, struct err *e)
{
    uint64_t value = 0;
    bool good = text.n >= 3 && text.n <= 4;
    for (size_t i = 0; good && i < text.n; i++) {
        good = text.p[i] >= '0' && text.p[i] <= '7';
        value = value * 8 + (uint64_t)(text.p[i] - '0');
    }
    if (!good)
        return err_say(e, EINVAL, "'%.*s' is not a mode such as \"0660\"", (int)text.n, text.p);
    *ret_value = value;
    return 0;
}

static int parse_bool(struct str text, uint64_t *ret_value, struct err *e)
{
    *ret_value = str_is(text, "yes") || str_is(text, "true");
    if (*ret_value || str_is(text, "no") || str_is(text, "false"))
        return 0;
    return err_say(e, EINVAL, "'%.*s' is neither yes nor no", (int)text.n, text.p);
}

static int parse_choice(const struct scalar *k, struct str text, uint64_t *ret_value, struct err *e)
{
    char names[128] = "";
    size_t n = 0;
    for (const struct scalar_choice *c = k->choices; c->name; c++) {
        if (str_is(text, c->name) && c->value < 0)
            return err_say(e, EINVAL, "'%s' is not built yet", c->name);
        if (str_is(text, c->name)) {
            *ret_value = (uint64_t)c->value;
            return 0;
        }
        if (c->value >= 0)
            n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", c->name);
        assert(n < sizeof(names));
    }
    return err_say(e, EINVAL, "'%.*s' is not one of: %s", (int)text.n, text.p, names);
}

int scalar_check_printable(const char *text, struct err *e)
{
    for (size_t n = strlen(text); n;) {
        size_t step = json_utf8_length(text, n);
        unsigned char first = (unsigned char)text[0];
        bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && step == 2 && (unsigned char)text[1] < 0xa0);
        if (!step || control)
            return err_say(e, EINVAL, step ? "control characters are not allowed" : "the text is not UTF-8");
        text += step;
        n -= step;
    }
    return 0;
}

static int check_text(const struct scalar *k, const char *text, struct err *e)
{
    return k->check ? k->check(text, e) : scalar_check_printable(text, e);
}

static int read_string(const struct scalar *k, void *base, struct str text, struct err *e)
{
    char copy[TEXT_MAX];
    assert(k->max <= sizeof(copy));
    if (text.n >= k->max)
        return err_say(e, EINVAL, "%zu bytes are too long: the most is %lu", text.n, (unsigned long)k->max - 1);
    if (!str_copy(text, copy, sizeof(copy)))
        return err_say(e, EINVAL, "a NUL byte is not allowed");
    int r = check_text(k, copy, e);
    if (r < 0)
        return r;
    memset((char *)base + k->offset, 0, k->max);
    memcpy((char *)base + k->offset, copy, text.n);
    return 0;
}

int scalar_read_text(const struct scalar *k, void *base, struct str text, struct err *e)
{
    uint64_t value = 0;
    int r = 0;
    /* what the messages below quote */
    struct str shown = {.p = text.p, .n = text.n > SHOWN_MAX && k->kind != SCALAR_TEXT ? SHOWN_MAX : text.n};
    switch (k->kind) {
    case SCALAR_SIZE:
        r = units_parse_size(shown, &value, e);
        break;
    case SCALAR_TIME:
        r = units_parse_time(shown, &value, e);
        break;
    case SCALAR_COUNT:
        if (!str_to_u64(shown, &value))
            r = err_say(e, EINVAL, "'%.*s' is not a whole number", (int)shown.n, shown.p);
        break;
    case SCALAR_MILLI:
        r = parse_milli(shown, &value, e);
        break;
    case SCALAR_MODE:
        r = parse_mode(shown, &value, e);
        break;
    case SCALAR_BOOL:
        r = parse_bool(shown, &value, e);
        break;
    case SCALAR_ENUM:
        r = parse_choice(k, shown, &value, e);
        break;
    case SCALAR_TEXT:
        return read_string(k, base, text, e);
    }
    if (r == 0 && k->kind != SCALAR_BOOL && k->kind != SCALAR_ENUM)
        r = check_range(k, value, e);
    if (r == 0)
        store(k, base, value);
    return r;
}

static const char *wanted(const struct scalar *k)
{
    switch (k->kind) {
    case SCALAR_SIZE:
        return "a size such as \"64M\"";
    case SCALAR_TIME:
        return "a time such as \"30s\"";
    case SCALAR_COUNT:
        return "a whole number";
    case SCALAR_MILLI:
        return "a number";
    case SCALAR_MODE:
        return "a mode such as \"0660\"";
    case SCALAR_BOOL:
        return "true or false";
    default:
        return "a string";
    }
}

int scalar_read_json(const struct scalar *k, void *base, const struct json *value, struct err *e)
{
    bool truth = false;
    double number = 0;
    bool is_number = json_to_double(value, &number);
    if (k->kind == SCALAR_BOOL && json_to_bool(value, &truth)) {
        store(k, base, truth);
        return 0;
    }
    if (k->kind != SCALAR_BOOL && k->kind != SCALAR_COUNT && json_text(value))
        return scalar_read_text(k, base, str_from(json_text(value)), e);
    if (is_number && k->kind != SCALAR_BOOL && k->kind != SCALAR_ENUM && k->kind != SCALAR_TEXT &&
        k->kind != SCALAR_MODE) {
        /* A number reads as its own text, so that a bare 128 gets the answer that a flag gets: "did you mean 128M?" */
        char text[NUMBER_TEXT_MAX];
        snprintf(text, sizeof(text), "%.15g", number);
        return scalar_read_text(k, base, str_from(text), e);
    }
    return err_say(e, EINVAL, "%s was expected, not %s", wanted(k), json_type_name(value));
}

int scalar_check(const struct scalar *k, const void *base, struct err *e)
{
    const char *text = (const char *)base + k->offset;
    if (k->kind == SCALAR_TEXT)
        return memchr(text, '\0', k->max) ? check_text(k, text, e) : err_say(e, EINVAL, "the text has no end");
    uint64_t value = load(k, base);
    if (k->kind == SCALAR_BOOL)
        return value <= 1 ? 0 : err_say(e, EINVAL, "not a boolean");
    if (k->kind != SCALAR_ENUM)
        return check_range(k, value, e);
    for (const struct scalar_choice *c = k->choices; c->name; c++)
        if (c->value >= 0 && (uint64_t)c->value == value)
            return 0;
    return err_say(e, EINVAL, "%lu is no choice", (unsigned long)value);
}

static const char *choice_name(const struct scalar *k, uint64_t value)
{
    for (const struct scalar_choice *c = k->choices; c->name; c++)
        if (c->value >= 0 && (uint64_t)c->value == value)
            return c->name;
    return "?";
}

int scalar_print_text(const struct scalar *k, const void *base, struct buf *out)
{
    char number[NUMBER_TEXT_MAX];
    if (k->kind == SCALAR_TEXT)
        return buf_add_text(out, (const char *)base + k->offset);
    uint64_t value = load(k, base);
    if (k->kind == SCALAR_BOOL)
        return buf_add_text(out, value ? "yes" : "no");
    if (k->kind == SCALAR_ENUM)
        return buf_add_text(out, choice_name(k, value));
    format_number(k, value, number);
    return buf_add_text(out, number);
}

void scalar_put_json(const struct scalar *k, const void *base, const char *key, struct json_writer *w)
{
    char number[NUMBER_TEXT_MAX];
    if (k->kind == SCALAR_TEXT) {
        json_put_text(w, key, (const char *)base + k->offset);
        return;
    }
    uint64_t value = load(k, base);
    switch (k->kind) {
    case SCALAR_BOOL:
        json_put_bool(w, key, value);
        break;
    case SCALAR_COUNT:
        json_put_u64(w, key, value);
        break;
    case SCALAR_MILLI:
        json_put_milli(w, key, value);
        break;
    case SCALAR_ENUM:
        json_put_text(w, key, choice_name(k, value));
        break;
    default:
        format_number(k, value, number);
        json_put_text(w, key, number);
        break;
    }
}

bool scalar_is_equal(const struct scalar *k, const void *a, const void *b)
{
    if (k->kind == SCALAR_TEXT)
        return !strcmp((const char *)a + k->offset, (const char *)b + k->offset);
    return load(k, a) == load(k, b);
}

void scalar_copy(const struct scalar *k, void *to, const void *from)
{
    memcpy((char *)to + k->offset, (const char *)from + k->offset, width(k));
}

const char *scalar_find_nearest(const char *word, const char *(*next)(unsigned i))
{
    const char *nearest = NULL;
    unsigned best = str_slips(word) + 1;
    for (unsigned i = 0; next(i); i++) {
        unsigned distance = str_distance(word, next(i));
        if (distance < best) {
            best = distance;
            nearest = next(i);
        }
    }
    return nearest;
}
