/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime posted, as the caller gets it: pure, from bytes to a reply or an error. */
#ifndef FAASD_GATEWAY_RUNTIME_REPLY_H
#define FAASD_GATEWAY_RUNTIME_REPLY_H

#include "gateway/invocation.h"
#include "gateway/reply_fields.h"
#include "gateway/runtime_api.h"

enum {
    RUNTIME_REPLY_FIELDS_MAX = REPLY_FIELDS_MAX, /* header lines that a prelude may ask for */
    RUNTIME_REPLY_PRELUDE_MAX = 131072,          /* JSON before the eight NULs */
    RUNTIME_REPLY_ERROR_MAX = 262144,            /* an error's JSON: a longer one is not looked into */
    RUNTIME_REPLY_ERROR_TYPE_MAX = 129,
};

/*
 * A response. Without a prelude: 200, application/json when it is JSON, else application/octet-stream. With Content-Type
 * application/vnd.awslambda.http-integration-response: status, headers and cookies from the JSON in front of eight NUL bytes. NULL, or why it is none. What *ret_reply
 * points to lives in `p` and in `fields`.
 */
const char *runtime_reply_build(const struct runtime_api_post *p, char fields[RUNTIME_REPLY_FIELDS_MAX],
                                struct invocation_reply *ret_reply);

/* The head of a response that is passed on as it comes, from what has come of it: *ret_reply's body is what of that belongs to the body. Without a prelude the
 * content type is the runtime's, else application/octet-stream. RUNTIME_REPLY_MORE: its prelude is not complete. */
enum runtime_reply_head { RUNTIME_REPLY_MORE, RUNTIME_REPLY_HEAD, RUNTIME_REPLY_BAD };
enum runtime_reply_head runtime_reply_build_head(const struct runtime_api_post *p,
                                                 char fields[RUNTIME_REPLY_FIELDS_MAX],
                                                 struct invocation_reply *ret_reply, const char **ret_fault);
bool runtime_reply_has_prelude(struct str content_type);

/* The response's trailers say that the function failed while it was being sent. */
bool runtime_reply_is_failed(const struct runtime_api_post *p);

/* An error that the runtime reported, ready to be told. runtime_reply_error_fini frees what it holds. */
struct runtime_reply_error {
    char type[RUNTIME_REPLY_ERROR_TYPE_MAX]; /* one word */
    struct str message;
    struct buf trace;     /* a JSON array, or empty */
    struct str document;  /* what it is read from, where that is JSON: as long as the post and this */
    struct json_doc *doc; /* owned: `message` may point into it */
    struct buf decoded;   /* or into this: the body that came as a trailer */
};
/* `family`: "Function" or "Runtime" (init), for types that are not given or not known: Function.Unknown. Without an errorType in the body the header
 * Lambda-Runtime-Function-Error-Type stands, when it is of the form (Runtime|Function).Word. */
void runtime_reply_read_error(const struct runtime_api_post *p, const char *family,
                              struct runtime_reply_error *ret_error);
void runtime_reply_error_fini(struct runtime_reply_error *e);

#endif
