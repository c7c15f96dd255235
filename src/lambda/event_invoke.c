/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/event_invoke.h"

#include "gateway/store_controls.h"
#include "lambda/control.h"
#include "lambda/destination.h"
#include "lambda/function_read.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 50, RETRIES_MAX = 2, AGE_LEAST_S = 60, AGE_MOST_S = 21600, DESTINATION_MAX = 350 };

/* ---- what they take ---- */

static const struct lambda_member DESTINATION[] = {
    {.name = "Destination",
     .bounded = true,
     .min = 0,
     .max = DESTINATION_MAX,
     .pattern = "^$|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)",
     .ere = "(arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9-])+:([a-z]{2}(-gov)?-[a-z]+-[0-9])?:([0-9]{12})?:(.*))?"},
    {0},
};
static const struct lambda_member DESTINATIONS[] = {
    {.name = "OnSuccess", .type = LAMBDA_STRUCTURE, .members = DESTINATION},
    {.name = "OnFailure", .type = LAMBDA_STRUCTURE, .members = DESTINATION},
    {0},
};
static const struct lambda_member CHANGE[] = {
    LAMBDA_FUNCTION_NAME,
    LAMBDA_QUALIFIER,
    {.name = "MaximumRetryAttempts", .type = LAMBDA_INTEGER, .bounded = true, .min = 0, .max = RETRIES_MAX},
    {.name = "MaximumEventAgeInSeconds",
     .type = LAMBDA_INTEGER,
     .bounded = true,
     .min = AGE_LEAST_S,
     .max = AGE_MOST_S},
    {.name = "DestinationConfig", .type = LAMBDA_STRUCTURE, .members = DESTINATIONS},
    {0},
};
static const struct lambda_member NAMED[] = {LAMBDA_FUNCTION_NAME, LAMBDA_QUALIFIER, {0}};
static const struct lambda_member LIST[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "Marker", .in = LAMBDA_IN_QUERY},
    {.name = "MaxItems", .in = LAMBDA_IN_QUERY, .type = LAMBDA_INTEGER, .bounded = true, .min = 1, .max = LIST_MOST},
    {0},
};

/* ---- what they say ---- */

static void put_destination(struct json_writer *w, const struct destination_context *d, const char *key,
                            const char *target)
{
    char arn[DESTINATION_ARN_MAX];
    json_put_object(w, key);
    if (*target)
        json_put_text(w, "Destination", destination_print(d, target, arn));
    json_put_object_end(w);
}

static void put_members(struct json_writer *w, const struct destination_context *d, const char *function,
                        const struct async_config *c)
{
    char arn[LAMBDA_ARN_MAX];
    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s:%s:function:%s:%s", d->region, d->config->lambda_account, function,
             c->qualifier);
    json_put_milli(w, "LastModified", c->modified_ms);
    json_put_text(w, "FunctionArn", arn);
    if (c->retries != ASYNC_CONFIG_UNSAID)
        json_put_i64(w, "MaximumRetryAttempts", c->retries);
    if (c->max_age_s != ASYNC_CONFIG_UNSAID)
        json_put_i64(w, "MaximumEventAgeInSeconds", c->max_age_s);
    json_put_object(w, "DestinationConfig");
    put_destination(w, d, "OnSuccess", c->on_success);
    put_destination(w, d, "OnFailure", c->on_failure);
    json_put_object_end(w);
}

static struct destination_context context_of(const struct exchange *x, const char *region)
{
    return (struct destination_context){
        .registry = x->gateway->registry, .config = x->gateway->config, .region = region};
}

/* ---- whose ---- */

/* The function; its qualifier names something of it. NULL: the exchange was ended. */
static struct function *find_owner(struct lambda_call *c)
{
    struct function *f = lambda_find_named(c);
    if (!f)
        return NULL;
    if (!c->function.qualifier.n)
        c->function.qualifier = STR_LITERAL("$LATEST");
    return f;
}

static void fail_absent(struct exchange *x, const char *arn)
{
    lambda_fail(x, LAMBDA_RESOURCE_NOT_FOUND, "The function %s doesn't have an EventInvokeConfig", arn);
}

static void get(struct lambda_call *c)
{
    char arn[LAMBDA_ARN_MAX];
    const struct function *f = find_owner(c);
    if (!f)
        return;
    const struct async_config *found = async_config_find(&f->versions, c->function.qualifier);
    const struct destination_context d = context_of(c->x, c->region);
    if (!found) {
        fail_absent(c->x, lambda_arn(c, f->name, c->function.qualifier, arn));
        return;
    }
    put_members(lambda_reply_begin(), &d, f->name, found);
    lambda_reply_json(c->x, 200);
}

/* By qualifier. The marker is "-" and the last one of the page before. */
static void list(struct lambda_call *c)
{
    const struct function *f = lambda_find_named(c);
    uint64_t most = LIST_MOST;
    if (!f)
        return;
    struct str marker = lambda_query(c, "Marker"), items = lambda_query(c, "MaxItems");
    if (items.n)
        str_to_u64(items, &most); /* checked */
    if (marker.n && marker.p[0] != '-') {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The marker is none that this API gave: leave it out to start again");
        return;
    }
    const struct destination_context d = context_of(c->x, c->region);
    const struct async_config *at = f->versions.async, *last = NULL;
    struct json_writer *w = lambda_reply_begin();
    while (at && marker.n && strcmp(at->qualifier, marker.p + 1) <= 0)
        at = at->next;
    json_put_array(w, "FunctionEventInvokeConfigs");
    for (; at && most; at = at->next, most--) {
        json_put_object(w, NULL);
        put_members(w, &d, f->name, at);
        json_put_object_end(w);
        last = at;
    }
    json_put_array_end(w);
    if (at && last) {
        char next[VERSIONS_ALIAS_MAX + 1];
        snprintf(next, sizeof(next), "-%s", last->qualifier);
        json_put_text(w, "NextMarker", next);
    }
    lambda_reply_json(c->x, 200);
}

/* ---- changes ---- */

/* Which destinations a request says, if only that there is to be none: struct control_change.count. */
enum { SAYS_SUCCESS = 1, SAYS_FAILURE = 2 };

static bool take_destination(const struct json *asked, const struct destination_context *d,
                             char target[SETTINGS_TARGET_MAX], char fault[DESTINATION_FAULT_MAX])
{
    const char *arn = json_get_text(asked, "Destination");
    return destination_parse(d, str_from(arn ? arn : ""), target, fault);
}

/* False: the exchange was ended. */
static bool take_members(struct lambda_call *call, struct async_config *to)
{
    char fault[DESTINATION_FAULT_MAX];
    uint64_t number;
    const struct destination_context d = context_of(call->x, call->region);
    const struct json *destinations = json_get(call->body, "DestinationConfig");
    const struct json *success = json_get(destinations, "OnSuccess"), *failure = json_get(destinations, "OnFailure");
    if (json_get_u64(call->body, "MaximumRetryAttempts", &number))
        to->retries = (int)number; /* checked, as what follows */
    if (json_get_u64(call->body, "MaximumEventAgeInSeconds", &number))
        to->max_age_s = (int)number;
    if (to->retries == ASYNC_CONFIG_UNSAID && to->max_age_s == ASYNC_CONFIG_UNSAID && !json_is_object(destinations)) {
        lambda_fail(call->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "You must specify at least one of error handling or destination setting.");
        return false;
    }
    if (take_destination(success, &d, to->on_success, fault) && take_destination(failure, &d, to->on_failure, fault))
        return true;
    lambda_fail(call->x, LAMBDA_INVALID_PARAMETER_VALUE, "%s", fault);
    return false;
}

static void store_put(const struct control_change *c, struct store_db *db, struct err *e)
{
    store_async_put(db, c->function->name, &c->async, e);
}

static void apply_put(struct control_change *c)
{
    const struct destination_context d = context_of(c->x, c->region);
    uint64_t number;
    bool there = !c->function->removed &&
                 versions_resolve(&c->function->versions, str_from(c->qualifier), &number) == VERSIONS_FOUND;
    if (there && async_config_put(&c->function->versions, &c->async) < 0) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "it is stored, but out of memory: it counts from the next start on");
        return;
    }
    put_members(lambda_reply_begin(), &d, c->function->name, &c->async);
    lambda_reply_json(c->x, 200);
}

static bool check_there(struct control_change *c)
{
    char arn[LAMBDA_ARN_MAX];
    if (async_config_find(&c->function->versions, str_from(c->qualifier)))
        return true;
    fail_absent(c->x, control_arn(c, c->qualifier, arn));
    return false;
}

/* What is not said stays as it was. */
static bool check_update(struct control_change *c)
{
    struct async_config *to = &c->async;
    const struct async_config *before = async_config_find(&c->function->versions, str_from(c->qualifier));
    if (!check_there(c))
        return false;
    if (to->retries == ASYNC_CONFIG_UNSAID)
        to->retries = before->retries;
    if (to->max_age_s == ASYNC_CONFIG_UNSAID)
        to->max_age_s = before->max_age_s;
    if (!(c->count & SAYS_SUCCESS))
        memcpy(to->on_success, before->on_success, sizeof(to->on_success));
    if (!(c->count & SAYS_FAILURE))
        memcpy(to->on_failure, before->on_failure, sizeof(to->on_failure));
    return true;
}

static void store_delete(const struct control_change *c, struct store_db *db, struct err *e)
{
    store_async_remove(db, c->function->name, c->qualifier, e);
}

static void apply_delete(struct control_change *c)
{
    async_config_remove(&c->function->versions, str_from(c->qualifier));
    lambda_reply_empty(c->x, 204);
}

static void change(struct lambda_call *call, const struct control_kind *kind)
{
    struct function *f = find_owner(call);
    struct async_config asked = {.retries = ASYNC_CONFIG_UNSAID, .max_age_s = ASYNC_CONFIG_UNSAID};
    struct control_change *c = f && take_members(call, &asked) ? control_new(call, f, kind) : NULL;
    if (!c)
        return;
    const struct json *destinations = json_get(call->body, "DestinationConfig");
    c->count = (json_is_object(json_get(destinations, "OnSuccess")) ? SAYS_SUCCESS : 0) |
               (json_is_object(json_get(destinations, "OnFailure")) ? SAYS_FAILURE : 0);
    asked.modified_ms = c->real_ms;
    memcpy(asked.qualifier, c->qualifier, sizeof(asked.qualifier));
    c->async = asked;
    control_start(c);
}

static void put(struct lambda_call *call)
{
    static const struct control_kind kind = {.store = store_put, .apply = apply_put};
    change(call, &kind);
}

static void update(struct lambda_call *call)
{
    static const struct control_kind kind = {.check = check_update, .store = store_put, .apply = apply_put};
    change(call, &kind);
}

static void delete (struct lambda_call *call)
{
    static const struct control_kind kind = {.check = check_there, .store = store_delete, .apply = apply_delete};
    struct function *f = find_owner(call);
    struct control_change *c = f ? control_new(call, f, &kind) : NULL;
    if (c)
        control_start(c);
}

#define PATH "/2019-09-25/functions/{FunctionName}/event-invoke-config"

const struct lambda_operation lambda_put_event_invoke = {.route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                         .name = "PutFunctionEventInvokeConfig",
                                                         .path = PATH,
                                                         .run = put,
                                                         .members = CHANGE};
const struct lambda_operation lambda_update_event_invoke = {.route =
                                                                LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                            .name = "UpdateFunctionEventInvokeConfig",
                                                            .path = PATH,
                                                            .run = update,
                                                            .members = CHANGE};
const struct lambda_operation lambda_get_event_invoke = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                         .name = "GetFunctionEventInvokeConfig",
                                                         .path = PATH,
                                                         .run = get,
                                                         .members = NAMED};
const struct lambda_operation lambda_delete_event_invoke = {.route =
                                                                LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                            .name = "DeleteFunctionEventInvokeConfig",
                                                            .path = PATH,
                                                            .run = delete,
                                                            .members = NAMED};
const struct lambda_operation lambda_list_event_invokes = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                           .name = "ListFunctionEventInvokeConfigs",
                                                           .path = PATH "/list",
                                                           .run = list,
                                                           .members = LIST};
