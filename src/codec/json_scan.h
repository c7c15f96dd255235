/* SPDX-License-Identifier: Apache-2.0 */
/* The strict pass over a JSON text (RFC 8259) that comes before the tree is built. Used inside codec/json*.c alone. */
#ifndef FAASD_CODEC_JSON_SCAN_H
#define FAASD_CODEC_JSON_SCAN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct json_lines {
    unsigned *line; /* owned, free(3) */
    size_t count;
    size_t cap;
};

/* Reads text[0..n), text[n] being NUL; comments are overwritten by spaces when allowed. *lines (zeroed before) gets the line of every value in
 * the order of the text, that of its key for a member; it is the caller's to free, also after a failure. -EINVAL with line and column, -ENOMEM. */
int json_scan(char *text, size_t n, bool comments, struct json_lines *lines, struct err *e);

/* Bytes of the well-formed UTF-8 character (Unicode 15, table 3-7) at p, n > 0 bytes being there; 0 when it is not one. */
size_t json_utf8_length(const char *p, size_t n);

#endif
