/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the log store: what store_log.c (writing), store_log_total.c (the cap over all) and store_log_read.c share. */
#ifndef FAASD_GATEWAY_STORE_LOG_FILES_H
#define FAASD_GATEWAY_STORE_LOG_FILES_H

#include "gateway/store_log.h"

enum {
    STORE_LOG_OPEN_MAX = 64, /* logs held open: those written last */
    STORE_LOG_PATH_MAX = SETTINGS_NAME_MAX + 8,
};

#define STORE_LOG_CURRENT "log"
#define STORE_LOG_ROTATED "log.1"

struct open_log {
    char function[SETTINGS_NAME_MAX]; /* "" = the slot is free */
    int fd;                           /* owned; -1 until it is written, and after a failure */
    uint64_t size;
    struct buf batch; /* lines not written yet */
    unsigned batch_lines;
    uint64_t lost; /* lines since the disk last worked */
    int lost_errno;
    uint64_t used; /* tick of the last use: the lowest is given up first; 0 = free */
};

struct store_log {
    int dirfd; /* owned */
    struct store_log_limits limits;
    struct open_log open[STORE_LOG_OPEN_MAX];
    uint64_t tick;
    uint64_t total;
    bool troubled; /* the daemon's log was told */
};

/* "FUNCTION/FILE" */
const char *store_log_path(char out[STORE_LOG_PATH_MAX], const char *function, const char *file);
uint64_t store_log_size_at(const struct store_log *l, const char *path); /* 0 when absent */
void store_log_remove_file(struct store_log *l, const char *path);
/* Removes the oldest files until the total is well below its limit, if it is above: rotated ones first. */
void store_log_hold_total(struct store_log *l);

#endif
