/* SPDX-License-Identifier: Apache-2.0 */
/* What people read: tables, safe text, colours on a terminal only. */
#ifndef FAASD_CMD_OUTPUT_H
#define FAASD_CMD_OUTPUT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdio.h>

/* Function data for a person's eyes: control characters, C1 controls and bytes that are no UTF-8 become \xNN; tabs
 * and, where `lines`, newlines stay. */
void output_text(FILE *to, struct str text, bool lines);
int output_escape(struct buf *out, struct str text, bool lines); /* the same into a buffer; 0 or -ENOMEM */

enum output_style { OUTPUT_PLAIN, OUTPUT_BOLD, OUTPUT_DIM, OUTPUT_RED, OUTPUT_GREEN, OUTPUT_YELLOW };
/* The escape sequence that starts a style on this stream, "" where it is no terminal, NO_COLOR is set or TERM is
 * dumb. OUTPUT_PLAIN ends one. */
const char *output_style(FILE *to, enum output_style style);

/* A table of text cells: columns as wide as their widest cell, numbers to the right. */
enum { OUTPUT_COLUMNS_MAX = 12 };
struct output_column {
    const char *title;
    bool right;
};
struct output_table {
    const struct output_column *columns; /* borrowed */
    unsigned column_count;
    struct buf cells; /* NUL-terminated, row by row */
};
void output_table_init(struct output_table *t, const struct output_column *columns, unsigned count);
int output_table_add(struct output_table *t, struct str cell); /* the next cell, escaped here */
int output_table_addf(struct output_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void output_table_print(struct output_table *t, FILE *to); /* prints and frees */

/* "3s", "5m", "2h", "4d": the largest whole unit. */
enum { OUTPUT_AGE_MAX = 24 };
void output_age(uint64_t ms, char out[OUTPUT_AGE_MAX]);
/* "512 B", "1.4 MiB": for people, not for parsing. */
void output_bytes(uint64_t bytes, char out[OUTPUT_AGE_MAX]);

/* Everything that was printed reached its destination: CMD_OK, otherwise a message and CMD_FAILED (a full disk, a
 * closed pipe is no error). */
int output_finish(const char *command, int status);

#endif
