/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply on one connection: what a handler sees of HTTP. The connection (gateway/conn.c) makes it when a head is
 * complete and keeps it until the handler has ended it, even when the client has gone by then; replies then go nowhere.
 * A handler ends an exchange exactly once: exchange_reply, exchange_error, or exchange_stream_start ... exchange_stream_end.
 */
#ifndef FAASD_GATEWAY_EXCHANGE_H
#define FAASD_GATEWAY_EXCHANGE_H

#include "base/buf.h"
#include "base/id.h"
#include "base/str.h"
#include "codec/http1.h"
#include "gateway/gateway.h"

struct deploy_wish;
struct exchange;
struct face;
struct function;
struct log_tail;
struct reply;
struct route;
struct signature_check;
struct token;

/* How a function's reply reaches the client: by what the caller asked for, never by what the function does. */
enum exchange_reply_mode {
    EXCHANGE_REPLY_AS_SET,   /* by the function's setting `stream`; whole in another face */
    EXCHANGE_REPLY_BUFFERED, /* whole */
    EXCHANGE_REPLY_STREAMED, /* as it comes */
};

enum {
    EXCHANGE_STREAM_HIGH = 262144, /* a client that leaves more than this unread stops the function's stream */
    EXCHANGE_STREAM_LOW = 65536,   /* and at this much it goes on */
};

/* For routes that take the body piece by piece (deploy). on_body returns how many bytes it took: fewer pauses reading until
 * exchange_body_resume(). on_end: the body is complete. on_gone: the client left or sent nonsense before that; the exchange still has
 * to be ended. */
struct exchange_sink {
    size_t (*on_body)(struct exchange *x, struct str piece);
    void (*on_end)(struct exchange *x);
    void (*on_gone)(struct exchange *x);
};

enum { EXCHANGE_URL_ID_MAX = 33 };

struct exchange {
    struct gateway *gateway;
    struct conn *conn;                   /* borrowed; NULL once the client has gone */
    const struct http1_request *request; /* valid until the exchange ends */
    const struct route *route;           /* found at the head; NULL: none yet, or there is none */
    const struct face
        *face;       /* the request is another layer's, which answers in its own form (gateway/face.h); NULL: none's */
    struct str body; /* complete; empty for routes with a sink */
    enum gateway_listener_kind listener;
    char id[ID_UUID_MAX];            /* X-Request-Id */
    uint8_t id_bytes[ID_UUID_BYTES]; /* the same */
    struct str
        qualifier; /* of the function, as the caller named it and percent-encoded as it came: known by then to be one; empty: none. Points into the request */
    struct str
        region; /* that a signature of AWS is for, and ARNs are told with; empty: none. Points into the request */
    struct str caller_id; /* the X-Request-Id the caller sent; for the log */
    const char *peer;     /* numeric address of a TCP client, "127.0.0.1"; "" on Unix sockets;
                                                   the client's own when a trusted proxy names it */
    struct str host;      /* request->host, or what a trusted proxy says the client sent */
    bool only_reads;      /* it changes nothing, whatever its method: its signature may come again */
    bool is_remote;       /* the client is not on this host */
    bool is_plain;        /* and nobody says that TLS lies between */
    bool explain; /* errors are full wherever the client is: it manages functions, or its credential is refused */
    bool unknown_credential; /* refused because nobody here has that token or access key, not because it is wrong */
    bool unread_credential;  /* refused because the signature has not the form of one */
    struct token *token; /* counted: who sends it (gateway/credential.h); NULL: nobody has asked, or on control.sock */
    struct signature_check *check;    /* owned: the signature can't be judged before the body is there */
    char url_id[EXCHANGE_URL_ID_MAX]; /* of the Function URL by which it came; "" = by none */
    struct log_tail
        *log_tail;          /* owned: for a caller who wants the end of the log with the reply (gateway/log_tail.h) */
    struct str cors_origin; /* web page that may read the reply (gateway/cors.h); empty: none */
    uint64_t started_ns;    /* clock_mono_ns() at the head's first byte */
    struct function *found; /* borrowed: whom the route names and this client may invoke, while nothing else */
    uint64_t found_number;  /* can have happened since that was found; NULL afterwards. And the version's number */
    const struct exchange_sink *sink;           /* NULL: the body is buffered */
    void *owner;                                /* the handler's, for its sink or stream */
    void (*on_stream_gone)(struct exchange *x); /* set by a streaming handler: the client left; end the stream */
    void (*on_stream_room)(
        struct exchange *x); /* set by a paced one: the client has read on, exchange_stream_is_full() no more */
    enum exchange_reply_mode reply_mode; /* of a function's reply; set before it is invoked */
    /* Of a request that no connection brought (front_make_exchange): gets the reply, whose parts are borrowed for the call. `context` is its maker's. */
    void (*on_reply)(struct exchange *x, const struct reply *r);
    void *context;
    struct str
        failure; /* of such a request whose function failed: what Lambda's caller would be told; borrowed for the call that ends it */
    void (*on_body_room)(
        struct exchange *x); /* of such a request, whose maker feeds its sink: exchange_body_resume() */
    const struct deploy_wish
        *deploy; /* borrowed: what such a deploy is to do otherwise (gateway/deploy.h); NULL: nothing */
    bool ended;
    bool has_request;       /* its head was understood */
    int status;             /* that it was answered with; 0 = not yet */
    uint64_t sent_bytes;    /* of its body, by now */
    const char *error_type; /* what X-Faasd-Error said; borrowed for the call that ends it */
};

struct reply {
    int status;
    const char *content_type; /* NULL: none, or it stands in fields */
    struct str fields;        /* further header lines, each ended by CRLF, already checked; borrowed for the call */
    struct str body;          /* borrowed for the call: what the socket does not take at once is copied */
    bool close;               /* close the connection afterwards */
    const char *error_type;   /* one of faasd's own errors: what X-Faasd-Error says; NULL: none */
    struct str error_message; /* and its sentence, where it may not stand in the body */
};

/* Content-Length, Date-less, X-Request-Id are added here; body bytes are left out for HEAD, 204 and 304. */
void exchange_reply(struct exchange *x, const struct reply *r);
/* Before a reply whose fields and body have n bytes together: room to keep what the socket won't take at once, which is charged to body_memory until it has gone. false:
 * there is none, and a reply of that length would be cut; one that says so still goes out. */
bool exchange_reserve(struct exchange *x, size_t n);

/* faasd's own errors (CONTRACT 4): {"errorType","errorMessage","requestId"} and X-Faasd-Error; message left out where errors are brief.
 * `type` is "BadRequest", "ResourceNotFound", ... */
void exchange_error(struct exchange *x, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with header lines of the caller's ("Retry-After: 1\r\n", which every 503 has anyway) and, for function errors, a trace: JSON array or empty. */
void exchange_error_full(struct exchange *x, int status, const char *type, struct str message, struct str trace,
                         const char *fields);

/* Does this client get types and ids alone? */
bool exchange_errors_are_brief(const struct exchange *x);

/* A reply of unknown length: chunked, or until close for HTTP/1.0. write returns 0, or -EPIPE once the client has gone, or -EMSGSIZE when it reads too slowly
 * (4 MiB unsent). */
void exchange_stream_start(struct exchange *x, int status, const char *content_type);
int exchange_stream_write(struct exchange *x, struct str data);
void exchange_stream_end(struct exchange *x);
/* A function's stream: status, content type and fields as in `head`, whose body is not looked at. It is paced: nothing is refused, but whoever writes stops at
 * exchange_stream_is_full() until on_stream_room() or on_stream_gone(). A client that stands still while something waits for it is given up after body_deadline; one that
 * has only shut its side down still gets the whole; draining does not end it. */
void exchange_stream_reply(struct exchange *x, const struct reply *head);
bool exchange_stream_is_full(const struct exchange *x);
/* Ends a stream that is not complete, so that the client can tell: without the last chunk, with HTTP/1.0 by a reset. `error_type` is for the access log. */
void exchange_stream_cut(struct exchange *x, const char *error_type);
/* The client has gone, or has shut its side down: what an endless stream takes as the end (its on_stream_gone comes when that happens later,
 * perhaps with the connection still there: what is written before the end still goes out). */
bool exchange_client_is_done(const struct exchange *x);

void exchange_body_resume(struct exchange *x);

/* 101 Switching Protocols: the connection's socket leaves HTTP and is handed over (non-blocking, CLOEXEC, the caller's now), with bytes that were read already
 * in *early (borrowed until the next loop turn). Ends the exchange. -1 when the client has gone. */
int exchange_take_socket(struct exchange *x, const char *protocol, struct str *early);

#endif
