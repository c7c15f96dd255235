/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a function by its name, beyond its removal: the series of its metrics, and what it used since the last write to the disk. Counted: records and
 * functions hold it. Made at a function's first request, so that functions nobody calls cost nothing.
 *
 * Series are bounded: `metrics_functions` names have their own, all others share `_other`. A series outlives its function, so that a function deployed anew goes on
 * counting where it was; when another function needs one, that of a removed function is added to `_other` and given to it.
 */
#ifndef FAASD_GATEWAY_ACCOUNT_H
#define FAASD_GATEWAY_ACCOUNT_H

#include "base/list.h"
#include "codec/settings.h"
#include "gateway/metrics.h"

/* What a bill sums. A MiB for a microsecond is the unit: 2^30 microseconds of it are a GB-second (a GB is 2^30 bytes, as on Lambda). */
struct account_sums {
    uint64_t requests;    /* that an instance worked on */
    uint64_t run_mib_us;  /* the function's memory limit x run time */
    uint64_t idle_mib_us; /* instances that min_warm keeps, while they were idle */
};

struct account {
    char name[SETTINGS_NAME_MAX];
    unsigned references;
    bool attached;               /* a function that is not removed has it */
    struct metrics *series;      /* owned; NULL: it counts in `_other` */
    struct account_sums unsaved; /* of the month at hand */
    struct list unsaved_link;    /* struct account_table.unsaved, while there is something in it */
    struct account_table *owner; /* borrowed */
    struct account *next;        /* hash chain */
};

enum { ACCOUNTS_BUCKETS = 256 };

/* The label of what is shared. A function of that very name shares it too. */
#define ACCOUNTS_OTHER "_other"

struct account_table {
    struct account **buckets; /* owned; NULL until the first is made */
    struct list unsaved;
    unsigned series_count;
    unsigned series_left; /* of them, of functions that are gone: to be taken over */
    struct metrics other;
};

void accounts_init(struct account_table *a);
void accounts_fini(struct account_table *a);

/* The account of that name, one reference the caller's. NULL when memory is out. */
struct account *accounts_get(struct account_table *a, struct str name);
struct account *account_get(struct account *c);
void account_put(struct account *c); /* NULL is fine */
/* A function has it now: it gets a series of its own if there may be `series_max` and one is free. */
void account_attach(struct account *c, unsigned series_max);
/* The function is removed: the series may be given to another. */
void account_detach(struct account *c);

static inline struct metrics *accounts_series(struct account_table *a, struct account *c)
{
    return c && c->series ? c->series : &a->other;
}

/* Adds what is to be written. */
void account_add(struct account *c, const struct account_sums *more);
/* Takes the sums of one that has some: false when none has. *ret_sums is zero in it afterwards. */
bool accounts_take_unsaved(struct account_table *a, char ret_name[SETTINGS_NAME_MAX], struct account_sums *ret_sums);

/* For /metrics: each account with a series of its own, then `_other` under the name NULL. */
void accounts_each_series(const struct account_table *a,
                          void (*on_series)(const char *name, const struct metrics *m, void *context), void *context);

#endif
