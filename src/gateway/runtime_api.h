/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Lambda Runtime API for one sandbox: HTTP/1.1 on the listening socket that the sandbox's set-up made in its network namespace, served in the gateway's
 * loop. What may be asked when stands in runtime_api_state.h, one connection in runtime_api_conn.h. The runtime is hostile: every quantity has a limit here, and what
 * does not end is ended by the owner (timeouts) or by a connection's own deadline.
 */
#ifndef FAASD_GATEWAY_RUNTIME_API_H
#define FAASD_GATEWAY_RUNTIME_API_H

#include "base/buf.h"
#include "base/list.h"
#include "gateway/gateway.h"
#include "gateway/reply_stream.h"
#include "gateway/runtime_api_state.h"

enum {
    RUNTIME_API_BODY_EXTRA =
        100, /* a response or error may be this much longer than 'reply_bytes': 6,291,556 bytes, as on AWS */
    RUNTIME_API_CONNS_MAX = 16, /* open at once; the longest idle makes room */
    RUNTIME_API_UNSENT_EXTRA =
        2 << 20, /* beside one event of 'request_bytes': what the runtime does not read, over all its connections */
};

/* An event for the runtime. `body` is borrowed until it is answered or runtime_api_end(), the rest for the call. Values are clean header values. */
struct runtime_api_event {
    const char *id;
    uint64_t deadline_ms; /* since the epoch; 0 = none, told as the year 2100 */
    struct str function_arn;
    struct str trace_id;
    struct str client_context; /* JSON; empty = none */
    struct str content_type;   /* empty = application/json */
    struct str body;
};

/* What the runtime posted. Borrowed for the call. */
struct runtime_api_post {
    struct str body;
    struct str content_type;
    struct str
        error_type; /* Lambda-Runtime-Function-Error-Type of the head or, for a response, the trailers; as it came */
    struct str error_body; /* a response's trailer Lambda-Runtime-Function-Error-Body: base64, as it came */
};

enum runtime_api_fault {
    RUNTIME_API_TOO_LARGE, /* over runtime_api_body_max */
    RUNTIME_API_TRUNCATED, /* its connection ended before its body did, or the body's framing broke */
    RUNTIME_API_BAD_MODE,  /* Lambda-Runtime-Function-Response-Mode other than "streaming" */
};

/* The later ones: what the event became; the runtime has its answer by then, or will. Any of them may call runtime_api_deliver or runtime_api_end. */
struct runtime_api_events {
    void (*on_ready)(void *owner);  /* the runtime asks for its next event and there is none */
    bool (*may_serve)(void *owner); /* does the event at hand still wait for its answer? Its body is gone otherwise */
    /* Does whoever waits for the event at hand want the response as it comes? Then on_data brings its body piece by piece, with the head's content type, and
     * on_response its end, without a body. REPLY_STREAM_WAIT: no more before runtime_api_resume. on_data must not call deliver or end. */
    bool (*wants_stream)(void *owner);
    enum reply_stream_go (*on_data)(void *owner, struct str content_type, struct str piece);
    void (*on_response)(void *owner, const struct runtime_api_post *p);
    void (*on_error)(void *owner, const struct runtime_api_post *p);
    void (*on_fault)(void *owner, enum runtime_api_fault fault);
    void (*on_init_error)(void *owner, const struct runtime_api_post *p);
};

struct runtime_api {
    struct gateway *gateway;
    const struct runtime_api_events *events;
    void *owner;
    struct runtime_api_machine machine;
    int listener_fd; /* owned; -1 = none yet */
    ev_io acceptor;
    ev_timer accept_pause; /* the gateway has no descriptor left: the backlog keeps who comes */
    struct list conns;     /* struct runtime_api_conn.link, most recently used first */
    struct list waiting;   /* struct runtime_api_conn.wait_link: in GET next, oldest first */
    unsigned conn_count;
    struct runtime_api_conn *paused; /* borrowed: its streamed response is not read on; NULL = none */
    size_t unsent;                   /* bytes in the connections' output buffers */
    struct buf event_head;           /* of the event at hand: status line and fields, without the empty line */
    struct str event_body;           /* borrowed */
};

void runtime_api_init(struct runtime_api *a, struct gateway *g, const struct runtime_api_events *events, void *owner);
void runtime_api_listen(struct runtime_api *a, int listener_fd); /* takes it over: a listening stream socket */
void runtime_api_fini(struct runtime_api *a);

/* A runtime process is about to be started, its predecessor is dead: nothing that one left in the socket's queue is heard. */
void runtime_api_begin(struct runtime_api *a);
/* The runtime is dead or being killed: all connections are closed, the event is forgotten. */
void runtime_api_end(struct runtime_api *a);
/* The next event: goes out at once when the runtime waits, else with its first next. Only when no other is unanswered, in READY, STARTED or OFF.
 * False: out of memory, nothing has changed. */
bool runtime_api_deliver(struct runtime_api *a, const struct runtime_api_event *e);

void runtime_api_resume(struct runtime_api *a); /* after on_data said REPLY_STREAM_WAIT */

uint64_t runtime_api_body_max(const struct runtime_api *a);

#endif
