/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t which)
{
    struct timespec ts;
    clock_gettime(which, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

uint64_t clock_real_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

static char *put_digits(char *at, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

void clock_format_rfc3339(uint64_t real_ms, char out[CLOCK_RFC3339_MAX])
{
    uint64_t seconds = real_ms / 1000;
    unsigned of_day = (unsigned)(seconds % 86400);
    /* Civil date from a day count: shift the epoch to 0000-03-01, so that the leap day ends its year
     * and the length of a month is 153 / 5 days on average (the usual proleptic Gregorian arithmetic). */
    uint64_t days = seconds / 86400 + 719468;
    uint64_t era = days / 146097;
    unsigned day_of_era = (unsigned)(days % 146097);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted_month = (5 * day_of_year + 2) / 153;
    unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    unsigned year = (unsigned)(era * 400) + year_of_era + (month <= 2);

    char *p = put_digits(out, year, 4);
    *p++ = '-';
    p = put_digits(p, month, 2);
    *p++ = '-';
    p = put_digits(p, day, 2);
    *p++ = 'T';
    p = put_digits(p, of_day / 3600, 2);
    *p++ = ':';
    p = put_digits(p, of_day / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, of_day % 60, 2);
    *p++ = '.';
    p = put_digits(p, (unsigned)(real_ms % 1000), 3);
    *p++ = 'Z';
    *p = '\0';
}
