/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fmt.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct sink {
    char *out;
    size_t cap;
    size_t len;
};

static void put(struct sink *s, const char *p, size_t n)
{
    size_t room = s->cap - 1 - s->len;
    if (n > room)
        n = room;
    memcpy(s->out + s->len, p, n);
    s->len += n;
}

static void put_unsigned(struct sink *s, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put(s, digits + at, sizeof(digits) - at);
}

static void put_signed(struct sink *s, int64_t value)
{
    if (value < 0) {
        put(s, "-", 1);
        put_unsigned(s, (uint64_t)0 - (uint64_t)value, 10);
    } else {
        put_unsigned(s, (uint64_t)value, 10);
    }
}

/* `longs`: how wide the argument was passed (all of long, long long and size_t are 64 bits on the ABIs we build for). */
static_assert(sizeof(long) == sizeof(int64_t), "an LP64 ABI");

static void put_string(struct sink *s, const char *p, int limit)
{
    if (!p)
        p = "(null)";
    put(s, p, limit < 0 ? strlen(p) : strnlen(p, (size_t)limit));
}

size_t fmt_v(char *out, size_t cap, const char *format, va_list ap)
{
    struct sink s = {.out = out, .cap = cap, .len = 0};
    assert(cap > 0);
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&s, f, 1);
            continue;
        }
        f++;
        int precision = -1;
        if (f[0] == '.' && f[1] == '*') {
            precision = va_arg(ap, int);
            f += 2;
        } else if (f[0] == '.') {
            for (precision = 0, f++; *f >= '0' && *f <= '9'; f++)
                precision = precision * 10 + (*f - '0');
        }
        bool wide = false;
        while (*f == 'l' || *f == 'z') {
            wide = true;
            f++;
        }
        switch (*f) {
        case 's':
            put_string(&s, va_arg(ap, const char *), precision);
            break;
        case 'c': {
            char c = (char)va_arg(ap, int);
            put(&s, &c, 1);
            break;
        }
        case 'd':
            put_signed(&s, wide ? va_arg(ap, long) : va_arg(ap, int));
            break;
        case 'u':
        case 'x':
            put_unsigned(&s, wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), *f == 'u' ? 10 : 16);
            break;
        case '%':
            put(&s, "%", 1);
            break;
        default:
            assert(false && "a conversion that fmt does not know");
        }
    }
    out[s.len] = '\0';
    return s.len;
}

size_t fmt_to(char *out, size_t cap, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    size_t n = fmt_v(out, cap, format, ap);
    va_end(ap);
    return n;
}

size_t fmt_at(char *out, size_t cap, size_t at, const char *format, ...)
{
    assert(at < cap);
    va_list ap;
    va_start(ap, format);
    size_t n = fmt_v(out + at, cap - at, format, ap);
    va_end(ap);
    return at + n;
}
