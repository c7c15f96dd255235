/* SPDX-License-Identifier: Apache-2.0 */
/* Text put together by hand where printf would show in a profile: each writes at `to`, without a NUL, and returns where the next goes. The caller knows that it fits. */
#ifndef FAASD_BASE_PUT_H
#define FAASD_BASE_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline char *put_bytes(char *to, const char *p, size_t n)
{
    memcpy(to, p, n);
    return to + n;
}

#define PUT_LITERAL(to, text) put_bytes(to, text, sizeof(text) - 1)

static inline char *put_text(char *to, const char *text)
{
    return put_bytes(to, text, strlen(text));
}

/* `value` with its last `decimals` digits behind a point: 1234567, 3 is "1234.567". At most 22 bytes. */
static inline char *put_decimal(char *to, uint64_t value, unsigned decimals)
{
    char digits[22];
    size_t at = sizeof(digits);
    for (unsigned i = 0; i < decimals; i++) {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    }
    if (decimals)
        digits[--at] = '.';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put_bytes(to, digits + at, sizeof(digits) - at);
}

static inline char *put_number(char *to, uint64_t value)
{
    return put_decimal(to, value, 0);
}

#endif
