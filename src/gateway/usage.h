/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the requests of one instance used, by the kernel's count, so that each nanosecond of its group is somebody's exactly once: a request's, or nobody's (its start,
 * what its threads did between two requests).
 *
 * The processor time of a request is the clock of the worker's process (clock_getcpuclockid(3), 0.3 us), read when the request ends, and when one begins that the
 * last one's end is not the beginning of. What other processes of the group used, which the worker started, stands in the group's count alone, and reading that is
 * the supervisor's: an instance that has served is looked at within USAGE_SAMPLE_MS, off every request's way (MESSAGE_USAGE), and what the clock did not tell belongs to the
 * requests that ended since the last look, by their run times. Until then a record's usage is open. An instance's end (MESSAGE_EXITED) is the last look.
 *   exec             init tells what it reaped (rusage): exact, nothing is open
 *   single use       the end of the instance, or of the process in it: exact
 *   provided         speaks HTTP, so its process is not known: all comes from looks
 */
#ifndef FAASD_GATEWAY_USAGE_H
#define FAASD_GATEWAY_USAGE_H

#include "base/list.h"
#include "sandbox/init_protocol.h"
#include "supervisor/message.h"

#include <time.h>

struct instance;
struct record;
struct records;

enum { USAGE_SAMPLE_MS = 100, USAGE_SAMPLES_MAX = 64 /* asked for in one turn: the others wait for the next */ };

enum { USAGE_UNREAD_NS = 1000000 };

struct usage {
    struct list sample_link; /* struct records.to_sample: has served since the last look */
    clockid_t clock;         /* of the worker's process, while has_clock */
    bool has_clock;
    bool fresh;           /* the clock was read in this very turn */
    bool ended;           /* the request at hand has been counted */
    bool asked;           /* USAGE was sent and not answered */
    bool is_baseline;     /* and its answer is what the start used, no request's */
    bool is_before_end;   /* and its answer is all that is a request's: what follows is the process's end */
    bool told_before_end; /* and it has come */
    uint64_t clock_ns;    /* when it was last read */
    uint64_t unread_ns;   /* wall time of short requests since then */
    uint64_t init_ns;     /* init's own clock when it was last read */
    uint64_t
        base_ns; /* the group's count when the last process had ended, and what init did since; exec: of finished programs */
    uint64_t counted_ns;  /* of the group's count: what is somebody's already */
    uint64_t open_record; /* number of the newest record whose usage is open; 0 = none. They are linked by `previous` */
    uint64_t open_us;     /* their run times together */
};

void usage_init(struct instance *i);
void usage_fini(struct instance *i); /* nothing more will be known: what is open stays as it is */

/* Its process is ready. */
void usage_begin_process(struct instance *i);
/* A request is delivered. */
void usage_begin_request(struct instance *i);
/* It ends: fills the invocation's usage. `done`: exec, how its program ended; NULL for others. Before the next one is delivered; a second
 * time it does nothing. */
void usage_end_request(struct instance *i, const struct init_done *done);
/* It ended with its process: what the kernel counted up to then, and nobody has yet, is its own. Behind usage_end_request, before its answer. */
void usage_end_dead(struct instance *i, const struct message_exited *m);
/* Its record has been made, by the invocation's `usage_of`. */
void usage_open_record(struct instance *i, struct record *r);
/* Its process is about to be ended, the sandbox stays: taking its memory down (5 ms for node) is better not a request's. */
void usage_before_end(struct instance *i);
/* Its process has ended and the sandbox lives. */
void usage_end_process(struct instance *i, const struct init_done *done);
/* The supervisor's count: of a look, or the last. */
void usage_settle(struct instance *i, const struct message_exited *m);

/* Instances that have served since they were last looked at. */
void usage_sample(struct records *r);

#endif
