/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one request to a function: admitted, queued, delivered to an instance, answered. It ends exactly once, through
 * invocation_end_*(); after that the pointer is dead.
 *
 *   QUEUED     in its pool's queue; guarded by the pool's queue timer (queue_timeout)
 *   DELIVERED  an instance works on it; guarded by that instance's timer (the function's timeout). One that ended before it had read the whole of it gives
 *              it back: QUEUED again, its queue_timeout still counts from its arrival
 */
#ifndef FAASD_GATEWAY_INVOCATION_H
#define FAASD_GATEWAY_INVOCATION_H

#include "codec/trace_context.h"
#include "gateway/exchange.h"
#include "gateway/registry.h"

enum invocation_outcome {
    INVOCATION_SUCCEEDED,
    INVOCATION_FUNCTION_ERROR, /* 500: the handler raised, or exited != 0 */
    INVOCATION_CRASHED,        /* 502 FunctionCrashed or BadReply */
    INVOCATION_OUT_OF_MEMORY,  /* 502 */
    INVOCATION_TIMED_OUT,      /* 504 */
    INVOCATION_THROTTLED,      /* 429 */
    INVOCATION_REFUSED,        /* 503 */
};

/* What a request waited for (X-Faasd-Start). */
enum invocation_start {
    INVOCATION_WARM,   /* nothing: its instance was ready */
    INVOCATION_COLD,   /* a sandbox, or a process started anew */
    INVOCATION_FORKED, /* a fork of a template */
};

struct invocation {
    struct exchange *exchange; /* ended with the invocation */
    struct function *function; /* counted */
    uint64_t wanted;           /* the number of a version; 0: whatever is current */
    uint64_t served;           /* the number of the version it was delivered to */
    struct str path;           /* behind the function's name, as it came; borrowed from the exchange's request */
    struct list queue_link;    /* struct pool.queue */
    uint64_t queued_ns;        /* monotonic */
    uint64_t delivered_ns;     /* monotonic; 0 while queued */
    uint64_t init_ns;          /* of the instance, when this request waited for its start */
    enum invocation_start start;
    unsigned returns;             /* how often it came back from an instance that had not read it */
    struct list live_link;        /* struct records.live */
    uint64_t started_ms;          /* real time */
    uint64_t spawn_ns;            /* part of init_ns: until its sandbox existed */
    uint64_t instance;            /* that it was delivered to; 0 while queued */
    struct version *version;      /* counted: that it was delivered to; NULL while queued */
    struct trace_ids trace;       /* handed on; all zero = none */
    bool has_parent, has_xray;    /* in which form it came or was asked for */
    struct notices *notices;      /* of its instance, where there are any; valid while it is delivered */
    int32_t pid;                  /* its process's, where it shares them with others; else 0 */
    struct instance *usage_of;    /* its usage is still open there; NULL otherwise. Valid until it ends */
    uint64_t cpu_ns, peak_bytes;  /* 0 = unknown */
    bool background;              /* an asynchronous call: nobody waits for its reply */
    struct reply_stream *stream;  /* owned: its reply comes in pieces (gateway/reply_stream.h); NULL for all others */
    struct buf event;             /* owned: with payload http what the function gets; else empty (gateway/payload.h) */
    struct invocation *next_free; /* the free list */
};

/* Takes the exchange over: it will be ended here. `path` is what follows the function's name in the target ("" or "/..."), percent-encoded as it came. */
void invocation_start(struct exchange *x, struct function *f, struct str path);
/* The same for one of its versions by number: a known one when it is called, or VERSIONS_LATEST_NUMBER. */
void invocation_start_version(struct exchange *x, struct function *f, uint64_t number, struct str path);

/* The function's own reply. Fields are complete header lines, already checked; body is borrowed for the call. */
struct invocation_reply {
    int status;
    const char *content_type; /* NULL: it stands in fields */
    struct str fields;
    struct str body;
    bool is_http; /* it came as status, headers and body already: no payload format is looked for in the body */
};
void invocation_end_reply(struct invocation *inv, const struct invocation_reply *r);

/* For gateway/reply_stream.h: the head goes out, `h->body` does not count; and the stream is complete, its invocation ends. */
void invocation_begin_stream(struct invocation *inv, const struct invocation_reply *h);
void invocation_end_stream(struct invocation *inv);

/* What is known of a failure beside its words; zero = not so. */
struct invocation_cause {
    int signal; /* that ended the program or worker */
    bool has_exited;
    int exit_status;
    uint32_t pids_denied;
    bool tmp_full;
    uint64_t peak_bytes, shmem_bytes;
    const char
        *denied; /* "system call socket denied by ..."; NULL: none was, or nobody listens. Borrowed for the call */
};

/* One of faasd's errors. `type` as CONTRACT 4 names it; `trace` a JSON array or empty. */
struct invocation_failure {
    enum invocation_outcome outcome;
    int status;
    const char *type;
    struct str message;
    struct str trace;
    struct str document; /* JSON, as the function itself reported it whole; empty: nothing such */
    struct invocation_cause cause;
};
/* How one ended, for its record. */
struct invocation_end {
    uint64_t now_ns; /* monotonic */
    enum invocation_outcome outcome;
    int status;                               /* what the caller is answered */
    const struct invocation_failure *failure; /* NULL: it succeeded */
};
/* A reply that is going out already is cut: its status stands. */
void invocation_end_failure(struct invocation *inv, const struct invocation_failure *f);
/* The same from a format, without a trace. */
void invocation_fail(struct invocation *inv, enum invocation_outcome outcome, int status, const char *type,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Puts a failure that the function itself could not log into its log. Before the invocation ends. */
void invocation_log(const struct invocation *inv, const char *type, struct str message);

unsigned invocation_count(void); /* in flight: for draining */

#endif
