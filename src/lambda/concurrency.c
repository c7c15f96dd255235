/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/concurrency.h"

#include "gateway/pool_limit.h"
#include "gateway/store_controls.h"
#include "lambda/control.h"

enum { LEAST_MOST = 100, LEAST_PART = 10, COUNT_MAX = INT32_MAX };

static const struct lambda_member PUT[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "ReservedConcurrentExecutions",
     .type = LAMBDA_INTEGER,
     .required = true,
     .bounded = true,
     .min = 0,
     .max = COUNT_MAX},
    {0},
};
static const struct lambda_member NAMED[] = {LAMBDA_FUNCTION_NAME, {0}};

static void add_reserved(struct function *f, void *context)
{
    uint64_t *all = context;
    *all += function_reserved(f, &f->current->settings);
}

uint64_t concurrency_reserved(const struct gateway *g)
{
    uint64_t all = 0;
    registry_walk(g->registry, add_reserved, &all);
    return all;
}

uint64_t concurrency_least(const struct config *c)
{
    uint64_t part = c->instances_max / LEAST_PART;
    return part < LEAST_MOST ? part : LEAST_MOST;
}

void concurrency_put(const struct function *f, struct json_writer *w)
{
    if (f->limited)
        json_put_u64(w, "ReservedConcurrentExecutions", f->limit);
}

/* It holds for the function as a whole. NULL: the exchange was ended. */
static struct function *find_whole(struct lambda_call *c)
{
    return lambda_find_whole(c, "Reserved concurrency is of a function and all its versions together");
}

static void get(struct lambda_call *c)
{
    const struct function *f = find_whole(c);
    if (!f)
        return;
    concurrency_put(f, lambda_reply_begin());
    lambda_reply_json(c->x, 200);
}

/* ---- changes ---- */

static bool check_put(struct control_change *c)
{
    const struct function *f = c->function;
    const struct config *config = c->x->gateway->config;
    struct err e;
    if (!f->current) {
        char arn[LAMBDA_ARN_MAX];
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %s", control_arn(c, "", arn));
        return false;
    }
    uint64_t others = concurrency_reserved(c->x->gateway) - function_reserved(f, &f->current->settings);
    uint64_t least = concurrency_least(config);
    if (c->count < f->versions.warm_total)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Specified ReservedConcurrentExecutions for function should not be lower than the function's total "
                    "provisioned concurrency [%lu].",
                    (unsigned long)f->versions.warm_total);
    else if (c->count && others + c->count + least > config->instances_max)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    "UnreservedConcurrentExecution below its minimum value of [%lu].",
                    (unsigned long)least);
    else if (pool_limit_check(f, c->count, &e) < 0)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Specified ReservedConcurrentExecutions for function can't be kept for it: %s", e.text);
    else
        return true;
    return false;
}

static void store_put(const struct control_change *c, struct store_db *db, struct err *e)
{
    store_limit_put(db, c->function->name, c->count, e);
}

static void apply_put(struct control_change *c)
{
    if (!c->function->removed)
        pool_limit_set(c->function, c->count);
    json_put_u64(lambda_reply_begin(), "ReservedConcurrentExecutions", c->count);
    lambda_reply_json(c->x, 200);
}

static void store_delete(const struct control_change *c, struct store_db *db, struct err *e)
{
    store_limit_remove(db, c->function->name, e);
}

static void apply_delete(struct control_change *c)
{
    if (!c->function->removed)
        pool_limit_lift(c->function);
    lambda_reply_empty(c->x, 204);
}

static void put(struct lambda_call *call)
{
    static const struct control_kind kind = {.check = check_put, .store = store_put, .apply = apply_put};
    struct function *f = find_whole(call);
    uint64_t count = 0;
    struct control_change *c = f ? control_new(call, f, &kind) : NULL;
    if (!c)
        return;
    json_get_u64(call->body, "ReservedConcurrentExecutions", &count); /* checked */
    c->count = (uint32_t)count;
    control_start(c);
}

static void delete (struct lambda_call *call)
{
    static const struct control_kind kind = {.store = store_delete, .apply = apply_delete};
    struct function *f = find_whole(call);
    struct control_change *c = f ? control_new(call, f, &kind) : NULL;
    if (c)
        control_start(c);
}

#define CHANGED "/2017-10-31/functions/{FunctionName}/concurrency"

const struct lambda_operation lambda_put_concurrency = {.route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                        .name = "PutFunctionConcurrency",
                                                        .path = CHANGED,
                                                        .run = put,
                                                        .members = PUT};
const struct lambda_operation lambda_delete_concurrency = {.route =
                                                               LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                           .name = "DeleteFunctionConcurrency",
                                                           .path = CHANGED,
                                                           .run = delete,
                                                           .members = NAMED};
const struct lambda_operation lambda_get_concurrency = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                        .name = "GetFunctionConcurrency",
                                                        .path = "/2019-09-30/functions/{FunctionName}/concurrency",
                                                        .run = get,
                                                        .members = NAMED};
