/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as an event of Lambda's payload format 2.0 (Function URLs; `payload: http`). Pure: from a parsed request to JSON.
 *
 * Text stays text where its type says so (text/..., JSON, XML, JavaScript, forms) and its bytes are UTF-8; every other body is base64.
 */
#ifndef FAASD_GATEWAY_PAYLOAD_EVENT_H
#define FAASD_GATEWAY_PAYLOAD_EVENT_H

#include "base/buf.h"
#include "codec/http1.h"

enum { PAYLOAD_EVENT_PARAMETERS_MAX = 1024 /* of the query: names are compared with each other */ };

/* Who signed, for a URL that asks for it: requestContext.authorizer.iam. */
struct payload_event_caller {
    const char *access_key, *account, *id, *arn;
};

struct payload_event {
    const struct http1_request *request;
    struct str path; /* as the function is to see it, percent-encoded as it came; "" is "/" */
    struct str body;
    struct str host;
    const char *request_id;
    const char *source_ip; /* "" = no address: a Unix socket's client */
    const char *scheme;    /* "http" or "https", where no proxy has told */
    const char *api_id;
    const char *account;                       /* "anonymous" unless the caller is known */
    const struct payload_event_caller *caller; /* NULL: nobody was asked */
    uint64_t time_ms;
};

/* Appends the event. 0; -E2BIG: more parameters than PAYLOAD_EVENT_PARAMETERS_MAX; -EMSGSIZE: beyond the limit of `out`; -ENOMEM. */
int payload_event_print(const struct payload_event *p, struct buf *out);

#endif
