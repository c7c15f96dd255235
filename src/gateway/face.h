/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another face of the gateway: a layer above it that answers requests of its own paths in a form of its own (src/lambda). The gateway knows it by this struct alone, which is handed in
 * where the process starts; the table of faasd's own routes, its errors and its functions' replies are untouched by it.
 */
#ifndef FAASD_GATEWAY_FACE_H
#define FAASD_GATEWAY_FACE_H

#include "gateway/invocation.h"
#include "gateway/lambda_context.h"
#include "gateway/route.h"

/* One of faasd's errors, as exchange_error_full() takes it. */
struct face_error {
    int status;
    const char *type; /* "BadRequest", "ResourceNotFound", ... */
    struct str message;
    const char *fields; /* header lines; NULL: none */
};

struct face {
    const char *id_field; /* in place of X-Request-Id */
    /* Is a request its own? Asked for each path that is no function's: by the head alone, and cheap. */
    bool (*claims)(const struct http1_request *q);
    /* The same by its host alone: asked for every path where `url_domain` is set. */
    bool (*claims_host)(const struct exchange *x);
    /* As route_find(): x->face is set. */
    const struct route *(*find)(struct exchange *x);
    /* An error that the gateway itself found, of a request that is its own: ends the exchange. */
    void (*answer_error)(struct exchange *x, const struct face_error *e);
    /* By which name the function was called, as its context tells it: an ARN; its length. NULL: as everybody else's. */
    size_t (*print_arn)(const struct exchange *x, const struct function *f, char out[LAMBDA_CONTEXT_INVOKED_MAX]);
    /* How an invocation ended whose request is its own: ends the exchange. `r` is NULL when e->failure is set. */
    void (*answer_invocation)(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r);
    /* What the caller of a function would be told of such an end of it, by this face; borrowed for the call. Empty: it was not the function's. NULL: nobody asks. */
    struct str (*print_failure)(const struct invocation *inv, const struct invocation_failure *f);
    /* A reply that is passed on as it comes, for requests whose reply_mode is EXCHANGE_REPLY_STREAMED (gateway/reply_stream.h). begin starts the exchange's stream, write is given
     * each piece, and answer_invocation ends it: without `r`, inv->stream->passes. NULL: the face has no streams. */
    void (*begin_stream)(struct invocation *inv, const struct invocation_reply *h);
    void (*write_stream)(struct exchange *x, struct str piece);
    /* Before the store's thread starts, when the functions are there: what it keeps of them itself. */
    int (*load)(struct gateway *g, struct err *e);
    /* A function goes. Its rows go with it: store_sql.c. */
    void (*forget)(const struct function *f);
};

#endif
