/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void id_random(void *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = getrandom((char *)out + done, n - done, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            abort();
        done += (size_t)r;
    }
}

void id_hex(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        *out++ = "0123456789abcdef"[bytes[i] >> 4];
        *out++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *out = '\0';
}

void id_uuid(char out[ID_UUID_MAX])
{
    /* A pool, because one getrandom(2) per request is a system call on the hot path. */
    static uint8_t pool[1024];
    static size_t used = sizeof(pool);
    if (used == sizeof(pool)) {
        id_random(pool, sizeof(pool));
        used = 0;
    }
    uint8_t raw[16];
    memcpy(raw, pool + used, sizeof(raw));
    memset(pool + used, 0, sizeof(raw));
    used += sizeof(raw);
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
    char hex[33];
    id_hex(raw, sizeof(raw), hex);
    char *p = out;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *p++ = '-';
        *p++ = hex[i];
    }
    *p = '\0';
}
