/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of asynchronous calls and the thread that alone touches it. The thread commits all writing jobs that wait in one transaction: under load an acceptance
 * costs a share of a flush. It is started, and the database opened, by the first job: whoever calls nothing asynchronously pays nothing.
 */
#ifndef FAASD_GATEWAY_CALLS_STORE_H
#define FAASD_GATEWAY_CALLS_STORE_H

#include "gateway/calls_job.h"
#include "gateway/gateway.h"

struct calls_store;

/* `dir` and `boot_id` are copied. on_open: the database is open from now on; what waits in it (see struct calls_job). Comes before any job's `done`. */
struct calls_store_options {
    const char *dir;
    const char *boot_id;
    void (*on_open)(void *owner, const struct calls_job *opened);
    void *owner;
};
struct calls_store *calls_store_new(struct gateway *g, const struct calls_store_options *o, struct err *e);
/* Was something called asynchronously before? Opens it then; a failure is logged and tried again later. After gateway_confine(). */
void calls_store_start(struct calls_store *s);
bool calls_store_exists(const struct calls_store *s); /* the file, or it is open */

/* Takes the job over until its `done`. When the database cannot be opened the job is refused with the reason, and the next one tries again. */
void calls_store_submit(struct calls_store *s, struct calls_job *j);
/* All that was submitted is on disk; no `done` comes any more. NULL is fine. */
void calls_store_close(struct calls_store *s);

#endif
