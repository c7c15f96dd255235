/* SPDX-License-Identifier: Apache-2.0 */
/* Random identifiers from getrandom(2). */
#ifndef FAASD_BASE_ID_H
#define FAASD_BASE_ID_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { ID_UUID_MAX = 37, ID_UUID_BYTES = 16 };

void id_random(void *out, size_t n); /* never fails: aborts when the kernel has no randomness */
void id_uuid_make(
    uint8_t out[ID_UUID_BYTES]);     /* version 4 (RFC 9562), from a pool refilled 1 KiB at a time; one thread only */
void id_uuid(char out[ID_UUID_MAX]); /* the same as id_uuid_print writes it */
uint64_t id_random_u64(void);        /* unpredictable, from the same pool; one thread only */
void id_uuid_print(const uint8_t bytes[ID_UUID_BYTES], char out[ID_UUID_MAX]);
bool id_uuid_parse(struct str text, uint8_t out[ID_UUID_BYTES]); /* as id_uuid_print writes it, nothing else */
void id_hex(const uint8_t *bytes, size_t n, char *out);          /* 2 n digits and a NUL */

#endif
