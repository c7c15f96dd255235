/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client connection and the requests that come on it, one after another. A request is parsed where it was read; its reply
 * leaves by one writev. Input that comes while a request is worked on waits in the buffer.
 *
 *   state      what is so                                                  guarded by
 *   IDLE       no byte of a request; no buffer held                        idle_deadline, and closed first when connections run out
 *   HEAD       part of a head                                              header_deadline, counted from its first byte
 *   BODY       the head is accepted, its body is not complete              body_deadline without a byte, and CONN_RATE_MIN; none
 *                                                                          while a sink has paused it: we are the slow side then
 *   RUNNING    a handler has the exchange                                  none: the handler has its own; while bytes of a function's
 *                                                                          stream wait for the client as FLUSHING
 *   FLUSHING   the exchange ended, the socket has not taken all of it      body_deadline without progress, and CONN_RATE_MIN
 *   SETTLING   the reply is out; looked at before the loop blocks          none needed
 *   LINGERING  nothing more is sent; input is thrown away until the peer
 *              closes, so that no RST destroys what it has not read yet    CONN_LINGER_MS and CONN_LINGER_BYTES
 *   CLOSED     in the graveyard, freed before the loop blocks              none needed
 *
 * Transitions are checked by the one setter, conn_set_state(). No function here calls a handler from inside a handler's call: what follows from
 * a reply (the next request, a client that has gone) happens before the loop blocks.
 */
#ifndef FAASD_GATEWAY_CONN_H
#define FAASD_GATEWAY_CONN_H

#include "base/list.h"
#include "gateway/exchange.h"
#include "gateway/route.h"

#include <netinet/in.h>
#include <sys/uio.h>

enum conn_state {
    CONN_IDLE,
    CONN_HEAD,
    CONN_BODY,
    CONN_RUNNING,
    CONN_FLUSHING,
    CONN_SETTLING,
    CONN_LINGERING,
    CONN_CLOSED
};

enum {
    CONN_BUFFER = 16384,        /* one read; most requests fit and never leave it */
    CONN_KEEP_FREE = 64,        /* buffers, slots and connections kept for the next request: 1.5 MiB at most */
    CONN_BODY_ROOM = 4096,      /* a body's pieces get at least this much of the buffer behind the head */
    CONN_REPLY_AT_ONCE = 16384, /* so much of a reply fits into a socket: what tcp_wmem begins with (tcp(7)) */
    CONN_BODY_FIRST = 65536,    /* a body that outgrows the buffer starts with this much and doubles */
    CONN_RATE_MIN = 500,        /* bytes a second that a body or reply must make, averaged over body_deadline */
    CONN_DISCARD_MAX =
        8 << 20, /* of a body that nobody wants any more: read and dropped so that the connection can stay */
    CONN_STREAM_UNSENT = 4 << 20, /* exchange.h */
    CONN_LINGER_MS = 2000,
    CONN_LINGER_BYTES = 32 << 20,
};

/* An exchange and what the connection keeps of it. Outlives the connection when the client leaves first. */
struct exchange_slot {
    struct exchange x;        /* first: handlers see only this */
    struct list link;         /* conn_table.streams while streaming, conn_table.dead once it is over, else nowhere */
    struct conn_table *table; /* borrowed */
    char *input;              /* owned once the client has gone: what `request` points into */
    size_t input_cap;
    size_t body_at;     /* in the connection's buffer: where the body begins */
    size_t body_len;    /* in place: how much of it is there */
    size_t raw_at;      /* in the connection's buffer: the first byte not looked at */
    struct buf spilled; /* the body, when it is longer than the buffer */
    struct str pending; /* decoded, but the sink has paused */
    uint64_t body_seen; /* bytes of body so far, dropped ones included */
    uint64_t body_max;
    struct http1_chunked chunked;
    bool handed;    /* a handler has seen it and will end it */
    bool in_place;  /* the body stays in the connection's buffer */
    bool raw_done;  /* the last byte of the body was looked at */
    bool body_done; /* and handed on */
    bool sink_paused;
    bool discard;      /* ended before its body was complete: the rest is dropped */
    bool continue_due; /* the client waits for 100 Continue */
    bool close;        /* the connection ends with this exchange */
    bool head_only;    /* the reply goes without its body */
    bool streaming, stream_chunked;
    bool paced; /* the stream is a function's: exchange_stream_reply() */
    char peer[INET6_ADDRSTRLEN];
    struct http1_request request; /* last: not cleared for reuse, only valid fields are read */
};

struct conn {
    struct conn_table *table; /* borrowed */
    enum conn_state state;
    enum gateway_listener_kind listener;
    int fd;               /* owned */
    ev_io reader, writer; /* the reader stays armed from request to request */
    char *in;             /* owned; NULL while idle */
    size_t in_cap;
    size_t in_start; /* first byte of the request at hand */
    size_t in_end;
    struct http1_progress progress;
    uint64_t head_started_ns;
    struct exchange_slot *slot; /* owned; NULL between requests */
    struct buf out;             /* what the socket did not take */
    size_t out_at;              /* first unsent byte of it */
    struct list queue_link;     /* conn_queue.conns of the deadline at hand, or nowhere */
    struct list link;           /* conn_table.settling or .graveyard, or nowhere */
    struct list all_link;       /* conn_table.all while open */
    uint64_t deadline_ns, window_end_ns, window_bytes;
    uint64_t lingered;
    bool input_eof; /* the client has shut its side down; it may still read */
    bool broken;    /* the socket failed: closed before the loop blocks */
    char peer[INET6_ADDRSTRLEN];
    struct conn *next_free;
};

/* Connections whose deadlines have one length: in order of their end, so that one timer serves all and a request costs a list
 * operation instead of one on the loop's heap. */
enum conn_queue_kind { CONN_QUEUE_IDLE, CONN_QUEUE_HEAD, CONN_QUEUE_MOVING, CONN_QUEUE_LINGER, CONN_QUEUE_COUNT };
struct conn_queue {
    struct list conns;
    ev_timer timer;
    struct conn_table *table;
};

struct conn_table {
    struct gateway *gateway; /* borrowed */
    struct conn_queue queues[CONN_QUEUE_COUNT];
    struct list all, settling, graveyard, dead, streams;
    ev_prepare prepare;
    struct conn *free_conns;
    struct exchange_slot *free_slots;
    void *free_buffers;
    unsigned free_conn_count, free_slot_count, free_buffer_count;
    unsigned conn_count;     /* open connections, lingering ones included */
    unsigned open_exchanges; /* heads accepted and not ended */
    unsigned flushing;
    uint64_t held_bytes; /* spilled bodies and unsent replies, against config->body_memory_bytes */
    bool something_ended;
};

/* conn_table.c */
void conn_table_init(struct conn_table *t, struct gateway *g);
void conn_table_fini(struct conn_table *t); /* closes every connection; handlers are told */
bool conn_table_close_idle(
    struct conn_table *t); /* gives up a lingering or the longest idle connection; false when there is none */
void conn_table_drain(struct conn_table *t);
struct conn *conn_table_take_conn(struct conn_table *t); /* NULL when memory is out */
char *conn_table_take_buffer(struct conn_table *t);      /* CONN_BUFFER bytes, or NULL */
void conn_table_give_buffer(struct conn_table *t, char *buffer, size_t cap);
struct exchange_slot *conn_table_take_slot(struct conn_table *t);
bool conn_table_charge(struct conn_table *t, uint64_t bytes); /* false: over body_memory_bytes, nothing changed */
void conn_table_refund(struct conn_table *t, uint64_t bytes);
void conn_queue_put(struct conn *c, enum conn_queue_kind kind); /* its deadline counts from now */
void conn_queue_put_at(struct conn *c, enum conn_queue_kind kind, uint64_t from_ns);
void conn_queue_leave(struct conn *c);
void conn_bury(struct conn *c);
void slot_bury(struct exchange_slot *s);

/* conn.c */
/* Takes the socket over; `peer` is copied. -ENOMEM leaves it the caller's. */
int conn_open(struct conn_table *t, int fd, enum gateway_listener_kind listener, const char *peer);
void conn_set_state(struct conn *c, enum conn_state state);
void conn_close(struct conn *c);        /* a handler at work is told and ends its exchange later */
void conn_settle(struct conn *c);       /* before the loop blocks */
void conn_expire(struct conn *c);       /* its deadline has passed */
void conn_break(struct conn *c);        /* the socket failed under a reply: closed before the loop blocks */
void conn_finish_reply(struct conn *c); /* the exchange ended and its body is over */
void conn_exchange_ended(struct conn *c);
void conn_detach(struct conn *c); /* the exchange goes on without its client; a handler at work is told */
int conn_release_socket(
    struct conn *c); /* the exchange has ended: closes the connection without its socket, which is returned */
void conn_resume_reading(struct conn *c);
void conn_restart_window(struct conn *c); /* body_deadline and CONN_RATE_MIN count from now */

/* conn_request.c */
void conn_pump_head(
    struct conn *c); /* looks at what stands in the buffer: HEAD goes on, or the request is accepted or refused */
/* Room for n more bytes of input. Only in IDLE and HEAD: nothing points into the buffer then. */
bool conn_make_room(struct conn *c, size_t n);
/* Answers with one of faasd's errors and closes. A handler at work is told that its client has gone. */
void conn_refuse(struct conn *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* conn_body.c */
void conn_body_begin(struct conn *c, size_t head_end);
void conn_body_pump(struct conn *c);
bool conn_body_may_discard(const struct conn *c); /* the rest of the body is short enough to be read and dropped */
/* Where the next bytes of a body are read to. n = 0: the input buffer is the place. */
struct iovec conn_body_room(struct conn *c);
void conn_body_arrived(struct conn *c, size_t n); /* n bytes stand in conn_body_room() */

/* conn_output.c */
bool conn_reserve(struct conn *c, size_t n); /* for a reply, before its status goes out; false: there is no room */
void conn_write(struct conn *c, const struct iovec *parts, int count);
void conn_on_writable(struct ev_loop *loop, ev_io *w, int events);
bool conn_has_unsent(const struct conn *c);
void conn_drop_unsent(struct conn *c);
/* n bytes moved in the state at hand: false when that is too slow, otherwise the deadline moves. */
bool conn_progress(struct conn *c, size_t n);

/* exchange.c */
void exchange_finish(struct exchange *x); /* the one place where an exchange ends */

#endif
