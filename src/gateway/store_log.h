/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions' logs on disk: DIR/NAME/log and DIR/NAME/log.1, each at most half of what a function may keep. Used by the store thread alone.
 * A disk that is full or broken costs lines, never more: they are counted, the daemon's log says so once, and the function's log says how many when it works again.
 * Nothing is fsynced: what a power cut leaves of a last line is cut away when the file is opened next.
 */
#ifndef FAASD_GATEWAY_STORE_LOG_H
#define FAASD_GATEWAY_STORE_LOG_H

#include "base/err.h"
#include "gateway/store.h"
#include "gateway/store_line.h"

struct store_log_limits {
    uint64_t function_bytes;
    uint64_t total_bytes;
};

struct store_log;

int store_log_open(struct store_log **ret_log, const char *dir, const struct store_log_limits *limits, struct err *e);
void store_log_close(struct store_log *l); /* flushes */
void store_log_limit(struct store_log *l, const struct store_log_limits *limits);

/* Kept in memory until a batch is full or store_log_flush. */
void store_log_append(struct store_log *l, const char *function, const struct store_line *line);
void store_log_flush(struct store_log *l);

void store_log_remove(struct store_log *l, const char *function);
/* Counts what is there and removes the logs of functions that `wanted` does not know. */
void store_log_sweep(struct store_log *l, bool (*wanted)(const char *function, void *context), void *context);

/* Appends what store_read_log promises to *out, whose limit the caller has set; a full *out ends the search, older lines are left out. */
int store_log_read(struct store_log *l, const struct store_log_query *q, struct buf *out, struct err *e);

/* Every line that is on disk by now, the oldest first, until on_line says false. Lines are borrowed for the call. */
int store_log_visit(struct store_log *l, const char *function,
                    bool (*on_line)(const struct store_line *line, void *context), void *context, struct err *e);
uint64_t store_log_size(const struct store_log *l, const char *function); /* bytes of its files */

uint64_t store_log_total(const struct store_log *l); /* bytes of all files */

#endif
