/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_line.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- escaping ---- */

/* Bytes of the well-formed UTF-8 sequence at the beginning (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t sequence_length(const unsigned char *p, size_t n)
{
    static const unsigned char lowest_second[] = {[0xe0 - 0xc0] = 0xa0, [0xf0 - 0xc0] = 0x90};
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    unsigned index = p[0] - 0xc0u;
    if (index < sizeof(lowest_second) && lowest_second[index] && p[1] < lowest_second[index])
        return 0;
    if ((p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

/* C0 (but the tab), DEL, and C1, which some terminals obey in UTF-8 too. */
static bool is_control(const unsigned char *p, size_t length)
{
    if (length == 1)
        return (p[0] < 0x20 && p[0] != '\t') || p[0] == 0x7f;
    return length == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

struct writer {
    char *at;
    bool json;
};

static void put_escape(struct writer *w, unsigned char c)
{
    if (w->json)
        *w->at++ = '\\';
    *w->at++ = '\\';
    *w->at++ = 'x';
    *w->at++ = "0123456789abcdef"[c >> 4];
    *w->at++ = "0123456789abcdef"[c & 15];
}

static void put_plain(struct writer *w, const unsigned char *p, size_t length)
{
    if (w->json && (*p == '"' || *p == '\\'))
        *w->at++ = '\\';
    if (w->json && *p == '\t') {
        *w->at++ = '\\';
        *w->at++ = 't';
        return;
    }
    memcpy(w->at, p, length);
    w->at += length;
}

enum { ESCAPED_MAX = 5 /* a byte as \\xNN inside a JSON string */ };

static int add_escaped(struct buf *out, struct str text, bool json)
{
    int r = buf_reserve(out, text.n * ESCAPED_MAX);
    if (r < 0)
        return r;
    struct writer w = {.at = out->data + out->len, .json = json};
    const unsigned char *p = (const unsigned char *)text.p;
    for (size_t i = 0; i < text.n;) {
        size_t length = sequence_length(p + i, text.n - i);
        if (length && !is_control(p + i, length)) {
            put_plain(&w, p + i, length);
            i += length;
            continue;
        }
        for (size_t end = i + (length ? length : 1); i < end; i++)
            put_escape(&w, p[i]);
    }
    out->len = (size_t)(w.at - out->data);
    return 0;
}

struct str store_line_cut(struct str text, size_t limit)
{
    if (text.n <= limit)
        return text;
    size_t n = limit;
    /* Back over at most three continuation bytes, so that a character is kept whole or not at all. */
    while (n && limit - n < 3 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return (struct str){text.p, n};
}

/* ---- printing ---- */

static int print(const struct store_line *l, struct buf *out, bool json)
{
    char when[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(l->time_ms, when);
    const char *request = l->request.n ? l->request.p : "-";
    int request_length = l->request.n ? (int)l->request.n : 1;
    int r;
    if (json)
        r = buf_addf(out, "{\"time\":\"%s\",\"instance\":%lu,\"request\":\"%.*s\",\"message\":\"", when,
                     (unsigned long)l->instance, (int)l->request.n, l->request.n ? l->request.p : "");
    else
        r = buf_addf(out, "%s inst=%lu req=%.*s ", when, (unsigned long)l->instance, request_length, request);
    if (r == 0)
        r = add_escaped(out, l->text, json);
    if (r == 0 && l->cut)
        r = buf_addf(out, "... (%lu bytes cut)", (unsigned long)l->cut);
    if (r == 0)
        r = buf_add_text(out, json ? "\"}\n" : "\n");
    return r;
}

static int print_whole(const struct store_line *l, struct buf *out, bool json)
{
    size_t before = out->len;
    int r = print(l, out, json);
    if (r < 0)
        out->len = before;
    return r;
}

int store_line_print(const struct store_line *l, struct buf *out)
{
    return print_whole(l, out, false);
}

int store_line_print_json(const struct store_line *l, struct buf *out)
{
    return print_whole(l, out, true);
}

/* ---- parsing ---- */

static bool take_number(struct str *at, size_t digits, char end, unsigned *ret_value)
{
    uint64_t value;
    if (at->n < digits + 1 || at->p[digits] != end || !str_to_u64((struct str){at->p, digits}, &value))
        return false;
    *ret_value = (unsigned)value;
    *at = str_skip(*at, digits + 1);
    return true;
}

/* The inverse of clock_format_rfc3339: the same shifted calendar, counted the other way. */
static bool take_time(struct str *at, uint64_t *ret_ms)
{
    unsigned year, month, day, hour, minute, second, ms;
    if (!take_number(at, 4, '-', &year) || !take_number(at, 2, '-', &month) || !take_number(at, 2, 'T', &day) ||
        !take_number(at, 2, ':', &hour) || !take_number(at, 2, ':', &minute) || !take_number(at, 2, '.', &second) ||
        !take_number(at, 3, 'Z', &ms))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    unsigned y = year - (month <= 2);
    unsigned era = y / 400;
    unsigned year_of_era = y % 400;
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    uint64_t days = (uint64_t)era * 146097 + day_of_era - 719468;
    *ret_ms = ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + ms;
    return true;
}

/* "KEY=VALUE " */
static bool take_field(struct str *at, const char *key, struct str *ret_value)
{
    bool found;
    if (!str_starts_with(*at, key))
        return false;
    *ret_value = str_cut(str_skip(*at, strlen(key)), ' ', at, &found);
    return found;
}

bool store_line_parse(struct str line, struct store_line *ret_line)
{
    struct store_line l = {0};
    struct str instance;
    if (!take_time(&line, &l.time_ms) || !str_starts_with(line, " "))
        return false;
    line = str_skip(line, 1);
    if (!take_field(&line, "inst=", &instance) || !str_to_u64(instance, &l.instance) ||
        !take_field(&line, "req=", &l.request))
        return false;
    if (str_is(l.request, "-"))
        l.request = (struct str){0};
    l.text = line;
    *ret_line = l;
    return true;
}
