/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operation of the API and one request for it. A handler is a function of a checked request: its parameters are decoded, its JSON is parsed and valid by the table of members. It ends
 * the exchange (lambda/reply.h, lambda/error.h), now or later. The call lives until the handler returns: who answers later copies what he needs.
 */
#ifndef FAASD_LAMBDA_OPERATION_H
#define FAASD_LAMBDA_OPERATION_H

#include "gateway/registry.h"
#include "gateway/route.h"
#include "lambda/error.h"
#include "lambda/name.h"
#include "lambda/reply.h"
#include "lambda/validate.h"

enum {
    LAMBDA_PARAMETERS_MAX = 3,   /* of one path */
    LAMBDA_ROOM_MAX = 2048,      /* bytes of a request's parameters, decoded */
    LAMBDA_JSON_MAX = 1 << 20,   /* of a request that carries no code */
    LAMBDA_INVOKE_MAX = 6291456, /* of an event */
    LAMBDA_EVENT_MAX = 1 << 20,  /* of one that waits in the queue */
};

struct lambda_call;

struct lambda_operation {
    struct route route; /* first: its method, access and limit of the body are this operation's */
    const char *name;   /* "CreateFunction" */
    /* "/2015-03-31/functions/{FunctionName}/aliases/{Name}"; a last '/' may stand in a request or not. What follows a '?' has to stand in the query. */
    const char *path;
    void (*run)(struct lambda_call *c);
    const struct lambda_member *members; /* NULL: nothing is checked but {FunctionName} */
    bool invokes; /* asks for the scope invoke or invoke:NAME instead of route.access; open to invoke.sock */
    bool raw;     /* its body is no JSON of this API */
    const struct lambda_operation *for_event; /* what X-Amz-Invocation-Type: Event makes of it; NULL: nothing */
};

/* `access`: what of the control API it compares to. `most`: bytes of its body. */
#define LAMBDA_ROUTE(method_, access_, most)                                                                           \
    {                                                                                                                  \
        .method = method_, .run = lambda_run, .access = access_, .body = ROUTE_BODY_OWN, .body_max = most,             \
        .body_key = "Lambda's request size"                                                                            \
    }

/* Of one whose JSON has "ZipFile" in it: struct lambda_call.zip. */
#define LAMBDA_CODE_ROUTE(method_, most)                                                                               \
    {                                                                                                                  \
        .method = method_, .run = lambda_run, .access = ACCESS_DEPLOY, .body = ROUTE_BODY_CODE, .body_max = most,      \
        .body_key = "Lambda's request size"                                                                            \
    }

/* The first row of whatever takes {FunctionName}. */
#define LAMBDA_FUNCTION_NAME                                                                                           \
    {                                                                                                                  \
        .name = "FunctionName", .in = LAMBDA_IN_PATH, .bounded = true, .min = 1, .max = LAMBDA_NAME_MAX,               \
        .pattern = lambda_name_pattern, .matches = lambda_name_matches                                                 \
    }

/* What most operations take as ?Qualifier=. */
#define LAMBDA_QUALIFIER                                                                                               \
    {                                                                                                                  \
        .name = "Qualifier", .in = LAMBDA_IN_QUERY, .bounded = true, .min = 1, .max = 128,                             \
        .pattern = "(|[a-zA-Z0-9$_-]+)"                                                                                \
    }

struct lambda_call {
    struct exchange *x; /* borrowed until the handler has ended it */
    const struct lambda_operation *op;
    struct lambda_name function;    /* of {FunctionName}; its qualifier is that of the query, where the name has none */
    char region[LAMBDA_REGION_MAX]; /* of the signature, else of the ARN, else lambda.region */
    struct str parameters[LAMBDA_PARAMETERS_MAX]; /* of the path, decoded, ended by a NUL */
    struct json_doc *doc;                         /* owned */
    const struct json *body;                      /* NULL: there is none */
    struct str
        zip; /* the base64 of a body that carries code, within x->body; in the JSON it is "". p NULL: there is none */
    size_t room_used;
    char room[LAMBDA_ROOM_MAX]; /* last: only what is used of it is set */
};

/* The rows (lambda/table.c). */
extern const struct lambda_operation *const lambda_operations[];
extern const size_t lambda_operation_count;

/* Of a request that is one of ours; NULL: its path is no operation's. */
const struct lambda_operation *lambda_operation_of(const struct exchange *x);

/* A path parameter by its name in the template; it is there. */
struct str lambda_parameter(const struct lambda_call *c, const char *name);
/* One of the query, decoded and ended by a NUL; p is NULL when it is absent. */
struct str lambda_query(struct lambda_call *c, const char *name);

/* The function that {FunctionName} names; NULL: the exchange was ended with ResourceNotFoundException, or AccessDeniedException where it is another account's. */
struct function *lambda_find_function(struct lambda_call *c);
/* The same, for what is told of the function as a whole, whatever qualifier stands there: it has to be one. */
struct function *lambda_find_named(struct lambda_call *c);
/* The same, for what concerns $LATEST or all versions together: another qualifier is refused with `what`, "Reserved concurrency is of a function and all its versions together", as it would do
 * nothing. */
struct function *lambda_find_whole(struct lambda_call *c, const char *what);
/* What its qualifier names ($LATEST without one). False: the exchange was ended. */
bool lambda_find_number(struct lambda_call *c, const struct function *f, uint64_t *ret_number);

/* arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER], by this request's region. */
const char *lambda_arn(const struct lambda_call *c, const char *name, struct str qualifier, char out[LAMBDA_ARN_MAX]);
/* Notes the region of the signature, if there is one, in x->region: for requests that do not come by the table of operations, which does it itself. */
void lambda_keep_region(struct exchange *x);
/* What region a request is for: the signature's, or "". For handlers that answer later. */
void lambda_read_region(const struct exchange *x, char out[LAMBDA_REGION_MAX]);

/* The call of a request that was read before, for who looks at it once more: no body. False: it can't be, and the exchange was ended, which a request that was let in does not see. */
bool lambda_reopen(struct lambda_call *c, struct exchange *x);

/* struct face. */
bool lambda_claims(const struct http1_request *q);
const struct route *lambda_find(struct exchange *x);
/* route.run of every row. */
void lambda_run(struct exchange *x, struct str name);

#endif
