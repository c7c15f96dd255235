/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/when.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* "Z" or "+01:00" behind a date and time; *ret_seconds is what to take off it. */
static bool read_zone(const char *text, int64_t *ret_seconds)
{
    unsigned hours;
    unsigned minutes;
    char sign;
    int used = 0;
    *ret_seconds = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (sscanf(text, "%c%2u:%2u%n", &sign, &hours, &minutes, &used) != 3 || text[used] || (sign != '+' && sign != '-'))
        return false;
    *ret_seconds = (sign == '+' ? 1 : -1) * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

bool when_parse(const char *text, uint64_t *ret_ms)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    unsigned ms = 0;
    int64_t zone;
    if (!rest)
        return false;
    if (*rest == '.') {
        unsigned weight = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, weight /= 10)
            ms += weight * (unsigned)(*rest - '0');
    }
    if (!read_zone(rest, &zone))
        return false;
    int64_t seconds = timegm(&tm) - zone;
    if (seconds < 0)
        return false;
    *ret_ms = (uint64_t)seconds * 1000 + ms;
    return true;
}

int when_read_since(void *target, const char *text, struct err *e)
{
    uint64_t ago;
    uint64_t now = clock_real_ms();
    if (when_parse(text, target))
        return 0;
    if (units_parse_time(str_from(text), &ago, NULL) < 0)
        return err_say(e, EINVAL, "'%s' is no time: write 10m, 2h or 2026-11-21T09:00:00Z", text);
    *(uint64_t *)target = ago < now ? now - ago : 1;
    return 0;
}
