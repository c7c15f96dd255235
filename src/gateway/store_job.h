/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the store: what travels between the loop (store.c) and the thread (store_thread.c). */
#ifndef FAASD_GATEWAY_STORE_JOB_H
#define FAASD_GATEWAY_STORE_JOB_H

#include "gateway/store.h"
#include "gateway/store_access.h"
#include "gateway/store_digest.h"
#include "gateway/store_log.h"
#include "gateway/store_ring.h"
#include "gateway/store_sql.h"

#include <pthread.h>

enum {
    STORE_RING_BYTES = 1 << 20, /* log lines on their way: a tenth of a second at 100,000 lines/s */
    STORE_LINGER_MS = 10, /* how long lines wait for company, so that a busy function costs one write, not one a line */
    STORE_LINE_MAX = STORE_RING_BYTES / 4,
    STORE_NAMES_MAX = 4 << 20, /* of the answer to store_list_orphans: some 60,000 names */
};

enum store_job_kind {
    STORE_JOB_PUT,
    STORE_JOB_DELETE,
    STORE_JOB_DIGEST,
    STORE_JOB_PROGRAM,
    STORE_JOB_ORPHANS,
    STORE_JOB_READ_LOG,
    STORE_JOB_TASK,
    STORE_JOB_REFUSED
};

/* Owned by the loop, then by the thread, then by the loop again: never by both. */
struct store_job {
    enum store_job_kind kind;
    void *owner; /* TASK: the task */
    union {
        store_on_done *on_done;     /* PUT, DELETE, PROGRAM */
        store_on_digest *on_digest; /* DIGEST */
        store_on_names *on_names;   /* ORPHANS */
        store_on_log *on_log;       /* READ_LOG */
    } callback;
    enum store_job_kind asked;      /* what a REFUSED one was */
    struct store_job *next;         /* struct store.refused, struct store.spare */
    struct store_revision revision; /* PUT, DELETE: strings stand behind the job */
    struct store_program program;   /* PROGRAM: the same */
    uint64_t staging;               /* DIGEST */
    struct store_log_query query;   /* READ_LOG */
    uint64_t log_end;               /* READ_LOG: position in the ring of lines */
    struct err error;               /* the outcome */
    struct store_tree tree;         /* DIGEST */
    struct buf out;                 /* ORPHANS, READ_LOG */
    bool is_spare;
    char strings[];
};

/* What the thread is doing, for the writers to know whether it must be woken. */
enum store_rest {
    STORE_AWAKE,
    STORE_ASLEEP /* wake it for anything */,
    STORE_LINGERING /* wake it for jobs, and for lines when the ring fills up */
};

/* One log line in the ring: this, then name, request id and text. Of the access log: no name, and the file in place of the request id. */
struct store_record {
    uint64_t instance;
    uint64_t time_ms;
    uint64_t cut;
    uint64_t dropped; /* lines of this function that found the ring full before this one */
    uint32_t name_size;
    uint32_t request_size;
};

enum { STORE_DROPPED_MAX = 16, STORE_SPARE_JOBS = 16 };

/* Lines of one function that found the ring full. */
struct store_dropped {
    char function[SETTINGS_NAME_MAX];
    uint64_t count;
};

struct store {
    struct gateway *gateway;

    /* both sides */
    struct store_ring lines;    /* loop -> thread */
    struct store_queue jobs;    /* loop -> thread */
    struct store_queue results; /* thread -> loop: never full, as no more jobs than its slots are under way */
    _Atomic int rest;           /* enum store_rest */
    _Atomic bool stop;
    int wake_fd;                                  /* owned: the thread sleeps on it */
    int done_fd;                                  /* owned: the loop is told of results */
    _Atomic uint64_t function_bytes, total_bytes; /* the limits of the logs */

    /* the loop's */
    pthread_t thread;
    bool started;
    ev_io done_watcher;
    unsigned under_way;        /* jobs between submit and their callback, refused ones left out */
    struct store_job *refused; /* oldest first */
    struct store_job *spare;   /* for telling that memory is out */
    struct store_follower *followers;
    struct store_follower *follower_next; /* of the walk at hand */
    struct buf follower_line;
    struct store_dropped dropped[STORE_DROPPED_MAX];
    unsigned dropped_count; /* slots in use */

    /* the thread's once it runs */
    struct store_sql *sql;
    struct store_log *log;
    struct store_access access;
    int access_dirfd;                  /* owned */
    int staging_dirfd, versions_dirfd; /* owned; -1 when there is none */
};

void *store_thread_main(void *store);

#endif
