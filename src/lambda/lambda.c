/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/lambda.h"

#include "gateway/store.h"
#include "lambda/control.h"
#include "lambda/error.h"
#include "lambda/fault.h"
#include "lambda/invoke.h"
#include "lambda/logs.h"
#include "lambda/operation.h"
#include "lambda/policy.h"
#include "lambda/stream.h"
#include "lambda/url.h"
#include "lambda/url_front.h"

static void answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    if (inv->exchange->reply_mode == EXCHANGE_REPLY_STREAMED)
        lambda_stream_answer(inv, e, r);
    else
        lambda_answer_invocation(inv, e, r);
}

static struct str print_failure(const struct invocation *inv, const struct invocation_failure *f)
{
    return lambda_fault_is_the_functions(f) ? lambda_fault_print(inv, f) : (struct str){0};
}

static bool claims(const struct http1_request *q)
{
    return url_front_claims_path(q) || lambda_claims(q);
}

static const struct route *find(struct exchange *x)
{
    if (url_front_claims_host(x) || url_front_claims_path(x->request))
        return url_front_find(x);
    return logs_claims(x->request) ? logs_find(x) : lambda_find(x);
}

static bool is_served(const char *function, void *context)
{
    const struct gateway *g = context;
    return registry_find(g->registry, str_from(function)) != NULL;
}

static int load(struct gateway *g, struct err *e)
{
    struct store_db *db = store_database(g->store);
    int r = url_load(db, is_served, g, e);
    if (r == 0)
        r = policy_load(db, is_served, g, e);
    return r < 0 ? r : control_load(g, e);
}

static void forget(const struct function *f)
{
    url_remove_function(f->name);
    policy_remove_function(f->name);
}

static const struct face FACE = {
    .id_field = "x-amzn-RequestId",
    .claims = claims,
    .claims_host = url_front_claims_host,
    .find = find,
    .load = load,
    .forget = forget,
    .answer_error = lambda_answer_error,
    .print_arn = lambda_print_invoked,
    .answer_invocation = answer_invocation,
    .print_failure = print_failure,
    .begin_stream = lambda_stream_begin,
    .write_stream = lambda_stream_write,
};

const struct face *lambda_face(void)
{
    return &FACE;
}
