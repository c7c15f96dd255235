/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a runtime to its Runtime API: requests one after another, kept alive, pipelined, cut anywhere. A reply leaves by one system call.
 *
 *   state      what is so                                                guarded by
 *   IDLE       no byte of a request                                      nothing: bounded in number, closed first when another one comes
 *   HEAD       part of a head                                            RUNTIME_API_HEAD_MS from its first byte
 *   BODY       the head is accepted, its body is not complete            RUNTIME_API_STALL_MS without a byte; for an answer to an event
 *                                                                        nothing: the function's timeout (or init_timeout) runs
 *   WAITING    GET next, and there is no event                           nothing: it may wait for ever, input is kept up to a limit
 *   FLUSHING   a reply that the socket did not take                      RUNTIME_API_STALL_MS without progress
 *   LINGERING  refused; input is dropped until the peer has read why     RUNTIME_API_LINGER_MS
 *   CLOSED     freed when the last call on it returns                    -
 */
#ifndef FAASD_GATEWAY_RUNTIME_API_CONN_H
#define FAASD_GATEWAY_RUNTIME_API_CONN_H

#include "codec/http1.h"
#include "gateway/runtime_api.h"
#include "gateway/runtime_api_route.h"

#include <sys/uio.h>

enum {
    RUNTIME_API_HEAD_MAX = (1 << 20) + 65536, /* runtimes put up to 1 MiB of X-Ray's error cause into one field */
    RUNTIME_API_INPUT = 65536,                /* one read; what stays buffered behind a request that waits */
    RUNTIME_API_LONG_HEADS_MAX = 2,           /* connections whose input is longer than that at the same time */
    RUNTIME_API_TRAILER_MAX = 1 << 20,        /* an error's body in base64 may be among them */
    RUNTIME_API_DISCARD_MAX =
        32 << 20, /* of a body that nobody wants: read and dropped so that the connection can stay */
    RUNTIME_API_HEAD_MS = 10000,
    RUNTIME_API_STALL_MS = 30000,
    RUNTIME_API_LINGER_MS = 2000,
    RUNTIME_API_TYPE_MAX = 256, /* Content-Type and error type; longer ones count as absent */
};

enum runtime_api_conn_state {
    RUNTIME_API_CONN_IDLE,
    RUNTIME_API_CONN_HEAD,
    RUNTIME_API_CONN_BODY,
    RUNTIME_API_CONN_WAITING,
    RUNTIME_API_CONN_FLUSHING,
    RUNTIME_API_CONN_LINGERING,
    RUNTIME_API_CONN_CLOSED,
};

/* The request at hand, from its head to its reply. */
struct runtime_api_request {
    enum runtime_api_route route;
    enum runtime_api_answer answer; /* what the state machine said */
    enum runtime_api_fault fault;   /* with `faulty`: what is wrong with it, the owner knows */
    bool claimed; /* it is the answer to the event, or init/error: the owner is told when it is complete */
    bool faulty;
    bool keep_body; /* else it is dropped */
    bool streamed;  /* and not kept either, but handed on as it comes */
    bool http10, keep_alive;
    enum http1_body framing;
    uint64_t left;      /* of a body with a length */
    uint64_t body_seen; /* bytes, dropped ones included */
    struct http1_chunked chunked;
    struct str whole; /* the body, when it came in one piece: points into the input */
    struct buf body;  /* else */
    struct buf trailers;
    char content_type[RUNTIME_API_TYPE_MAX];
    char error_type[RUNTIME_API_TYPE_MAX];
};

struct runtime_api_conn {
    struct runtime_api *api; /* borrowed */
    struct list link;        /* struct runtime_api.conns */
    struct list wait_link;   /* struct runtime_api.waiting while WAITING, else nowhere */
    int fd;                  /* owned */
    ev_io reader, writer;
    ev_timer timer;
    enum runtime_api_conn_state state;
    unsigned holds; /* calls under way that will look at it again: it is freed by the last */
    bool pumping;
    bool long_head;   /* one of the few that may be longer than RUNTIME_API_INPUT */
    bool close_after; /* the connection ends with the reply that is being sent */
    struct buf in;    /* what came and was not looked at */
    struct http1_progress progress;
    struct buf out; /* what the socket did not take */
    size_t out_sent;
    struct runtime_api_request request;
};

/* Takes the descriptor over (non-blocking, CLOEXEC); closes it when memory is out. */
void runtime_api_conn_open(struct runtime_api *a, int fd);
void runtime_api_conn_close(struct runtime_api_conn *c); /* without telling anybody */
/* WAITING: the event at hand goes out, and what stands behind the request in the buffer is looked at. */
void runtime_api_conn_serve(struct runtime_api_conn *c);

/* runtime_api_conn.c for runtime_api_answer.c */

void runtime_api_conn_wait(struct runtime_api_conn *c); /* -> WAITING */

/* Sends the parts as one reply; what the socket does not take is kept. The connection is then IDLE, FLUSHING, LINGERING or CLOSED. */
void runtime_api_conn_send(struct runtime_api_conn *c, const struct iovec *parts, int count);

/* How long the body at hand may be. */
static inline uint64_t runtime_api_conn_body_max(const struct runtime_api_conn *c)
{
    return c->request.streamed ? c->api->gateway->config->stream_bytes_max : runtime_api_body_max(c->api);
}

/* runtime_api_answer.c: what requests mean */

/* A head is complete: fills c->request. `invited`: the body comes only after 100 Continue; what is refused then is refused now, and the connection ends.
 * *r is dead when the owner has been told something. */
void runtime_api_take_request(struct runtime_api_conn *c, const struct http1_request *r, bool invited);
/* The request is complete, its body stands in c->request: answers it and tells the owner. */
void runtime_api_finish_request(struct runtime_api_conn *c);
/* The body is longer than any may be: the owner is told now, the runtime when it has sent the rest. */
void runtime_api_fault_request(struct runtime_api_conn *c, enum runtime_api_fault fault);
/* The stream can't be followed further, or took too long: says so and ends the connection. */
void runtime_api_refuse(struct runtime_api_conn *c, const struct http1_refusal *why);
/* The peer has ended in the middle of a body. */
void runtime_api_truncate_request(struct runtime_api_conn *c);

#endif
