/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include "base/fmt.h"

#include <errno.h>

static size_t count_digits(struct str text)
{
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    return n;
}

/* The power of 1024 that a suffix names, or -1. */
static int size_exponent(struct str suffix)
{
    static const char letters[] = "KMGT";
    if (suffix.n == 0)
        return -1;
    if (str_is_nocase(suffix, "B"))
        return 0;
    for (int i = 0; letters[i]; i++) {
        if ((suffix.p[0] | 0x20) != (letters[i] | 0x20))
            continue;
        struct str rest = str_skip(suffix, 1);
        if (rest.n == 0 || str_is_nocase(rest, "i") || str_is_nocase(rest, "B") || str_is_nocase(rest, "iB"))
            return i + 1;
    }
    return -1;
}

int units_parse_size(struct str text, uint64_t *ret_bytes, struct err *e)
{
    size_t digits = count_digits(text);
    struct str number = {.p = text.p, .n = digits};
    uint64_t value;
    if (!str_to_u64(number, &value))
        return err_say(e, EINVAL, "'%.*s' is not a size: write 64K, 128M or 1G", (int)text.n, text.p);
    struct str suffix = str_skip(text, digits);
    if (suffix.n == 0 && value == 0) {
        *ret_bytes = 0;
        return 0;
    }
    if (suffix.n == 0)
        return err_say(e, EINVAL, "'%.*s' has no unit: did you mean %.*sM?", (int)text.n, text.p, (int)text.n, text.p);
    int exponent = size_exponent(suffix);
    if (exponent < 0)
        return err_say(e, EINVAL, "'%.*s' is not a size: write 64K, 128M or 1G", (int)text.n, text.p);
    if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * exponent), &value) || value > INT64_MAX)
        return err_say(e, EINVAL, "'%.*s' is too large", (int)text.n, text.p);
    *ret_bytes = value;
    return 0;
}

struct time_unit {
    const char *suffix;
    uint64_t ms;
};

/* Longest suffix first: "ms" before "m". */
static const struct time_unit TIME_UNITS[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

static const struct time_unit *find_time_unit(struct str text)
{
    for (size_t i = 0; i < sizeof(TIME_UNITS) / sizeof(TIME_UNITS[0]); i++)
        if (str_starts_with(text, TIME_UNITS[i].suffix))
            return &TIME_UNITS[i];
    return NULL;
}

int units_parse_time(struct str text, uint64_t *ret_ms, struct err *e)
{
    uint64_t total = 0;
    struct str rest = text;
    if (str_is(text, "0")) {
        *ret_ms = 0;
        return 0;
    }
    do {
        size_t digits = count_digits(rest);
        uint64_t value;
        if (!str_to_u64((struct str){.p = rest.p, .n = digits}, &value))
            return err_say(e, EINVAL, "'%.*s' is not a time: write 250ms, 3s or 1m30s", (int)text.n, text.p);
        rest = str_skip(rest, digits);
        if (rest.n == 0 && digits == text.n)
            return err_say(e, EINVAL, "'%.*s' has no unit: did you mean %.*ss?", (int)text.n, text.p, (int)text.n,
                           text.p);
        const struct time_unit *unit = find_time_unit(rest);
        if (!unit)
            return err_say(e, EINVAL, "'%.*s' is not a time: write 250ms, 3s or 1m30s", (int)text.n, text.p);
        rest = str_skip(rest, str_from(unit->suffix).n);
        if (__builtin_mul_overflow(value, unit->ms, &value) || __builtin_add_overflow(total, value, &total) ||
            total > INT64_MAX)
            return err_say(e, EINVAL, "'%.*s' is too long", (int)text.n, text.p);
    } while (rest.n);
    *ret_ms = total;
    return 0;
}

void units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
    static const char letters[] = "BKMGT";
    size_t step = 0;
    while (bytes && bytes % 1024 == 0 && step + 1 < sizeof(letters) - 1) {
        bytes /= 1024;
        step++;
    }
    if (bytes == 0)
        fmt_to(out, UNITS_TEXT_MAX, "0");
    else
        fmt_to(out, UNITS_TEXT_MAX, "%lu%c", (unsigned long)bytes, letters[step]);
}

void units_format_time(uint64_t ms, char out[UNITS_TEXT_MAX])
{
    static const struct time_unit LARGEST_FIRST[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t n = 0;
    out[0] = '\0';
    if (ms == 0)
        fmt_to(out, UNITS_TEXT_MAX, "0s");
    for (size_t i = 0; i < sizeof(LARGEST_FIRST) / sizeof(LARGEST_FIRST[0]); i++) {
        uint64_t count = ms / LARGEST_FIRST[i].ms;
        ms %= LARGEST_FIRST[i].ms;
        if (count)
            n = fmt_at(out, UNITS_TEXT_MAX, n, "%lu%s", (unsigned long)count, LARGEST_FIRST[i].suffix);
    }
}
