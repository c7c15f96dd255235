/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/provisioned.h"

#include "gateway/store_controls.h"
#include "gateway/version_warm.h"
#include "lambda/control.h"
#include "lambda/function_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 50, COUNT_MAX = INT32_MAX };

#define QUALIFIER                                                                                                      \
    {                                                                                                                  \
        .name = "Qualifier", .in = LAMBDA_IN_QUERY, .required = true, .bounded = true, .min = 1, .max = 128,           \
        .pattern = "(|[a-zA-Z0-9$_-]+)"                                                                                \
    }

static const struct lambda_member PUT[] = {
    LAMBDA_FUNCTION_NAME,
    QUALIFIER,
    {.name = "ProvisionedConcurrentExecutions",
     .type = LAMBDA_INTEGER,
     .required = true,
     .bounded = true,
     .min = 1,
     .max = COUNT_MAX},
    {0},
};
static const struct lambda_member NAMED[] = {LAMBDA_FUNCTION_NAME, QUALIFIER, {0}};
static const struct lambda_member LIST[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "Marker", .in = LAMBDA_IN_QUERY},
    {.name = "MaxItems", .in = LAMBDA_IN_QUERY, .type = LAMBDA_INTEGER, .bounded = true, .min = 1, .max = LIST_MOST},
    {0},
};

/* ---- what they say ---- */

static const char *reason_of(enum version_warm_trouble trouble)
{
    switch (trouble) {
    case VERSION_WARM_LOST:
        return "FUNCTION_ERROR_INIT_FAILURE: its instances were lost one after the other, and are started again after "
               "pauses; the function's log says why";
    case VERSION_WARM_NO_MEMORY:
        return "the host has no room for more instances: memory_budget or instances is used up";
    default:
        return "there is no version of this name whose instances could be started";
    }
}

static void put_members(struct json_writer *w, const struct function *f, struct str qualifier)
{
    struct version_warm warm = {0};
    version_warm_read(f, qualifier, &warm);
    json_put_u64(w, "RequestedProvisionedConcurrentExecutions", warm.wanted);
    json_put_u64(w, "AvailableProvisionedConcurrentExecutions", warm.ready);
    json_put_u64(w, "AllocatedProvisionedConcurrentExecutions", warm.ready);
    json_put_text(w, "Status", warm.failing ? "FAILED" : warm.ready < warm.wanted ? "IN_PROGRESS" : "READY");
    if (warm.failing)
        json_put_text(w, "StatusReason", reason_of(warm.trouble));
    lambda_put_time(w, "LastModified", versions_warm_ms(&f->versions, qualifier));
}

static void fail_absent(struct exchange *x)
{
    lambda_fail(x, LAMBDA_PROVISIONED_CONCURRENCY_NOT_FOUND,
                "No Provisioned Concurrency Config found for this function");
}

/* ---- whose ---- */

static bool is_unpublished(const struct versions *v, struct str qualifier)
{
    const struct versions_alias *a = versions_find_alias(v, qualifier);
    return !qualifier.n || str_is(qualifier, "$LATEST") || (a && a->number == VERSIONS_LATEST_NUMBER);
}

static uint32_t wanted_by(const struct function *f, struct str qualifier)
{
    uint64_t number;
    uint32_t count = 0;
    return versions_read_warm(&f->versions, qualifier, &number, &count) ? count : 0;
}

static void get(struct lambda_call *c)
{
    const struct function *f = lambda_find_named(c);
    if (!f)
        return;
    if (!wanted_by(f, c->function.qualifier)) {
        fail_absent(c->x);
        return;
    }
    put_members(lambda_reply_begin(), f, c->function.qualifier);
    lambda_reply_json(c->x, 200);
}

/* ---- list ---- */

struct listing {
    struct lambda_call *call;
    const struct function *function;
    struct json_writer *w;
    uint64_t skip, most; /* configurations before this page, and in it */
    uint64_t seen;
};

static void put_row(struct listing *l, const char *qualifier)
{
    char arn[LAMBDA_ARN_MAX];
    if (l->seen++ < l->skip || l->seen > l->skip + l->most)
        return;
    json_put_object(l->w, NULL);
    json_put_text(l->w, "FunctionArn", lambda_arn(l->call, l->function->name, str_from(qualifier), arn));
    put_members(l->w, l->function, str_from(qualifier));
    json_put_object_end(l->w);
}

/* Numbers, then aliases. The marker says how many came before. */
static void list(struct lambda_call *c)
{
    const struct function *f = lambda_find_named(c);
    struct listing l = {.call = c, .function = f, .most = LIST_MOST};
    char number[24];
    if (!f)
        return;
    struct str marker = lambda_query(c, "Marker"), most = lambda_query(c, "MaxItems");
    if (most.n)
        str_to_u64(most, &l.most); /* checked */
    if (marker.n && !(str_to_u64(marker, &l.skip) && l.skip <= INT32_MAX)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The marker is none that this API gave: leave it out to start again");
        return;
    }
    l.w = lambda_reply_begin();
    json_put_array(l.w, "ProvisionedConcurrencyConfigs");
    for (size_t i = 0; i < f->versions.count; i++) {
        snprintf(number, sizeof(number), "%lu", (unsigned long)f->versions.known[i].number);
        if (f->versions.known[i].warm)
            put_row(&l, number);
    }
    for (size_t i = 0; i < f->versions.alias_count; i++)
        if (f->versions.aliases[i]->warm)
            put_row(&l, f->versions.aliases[i]->name);
    json_put_array_end(l.w);
    if (l.seen > l.skip + l.most) {
        snprintf(number, sizeof(number), "%lu", (unsigned long)(l.skip + l.most));
        json_put_text(l.w, "NextMarker", number);
    }
    lambda_reply_json(c->x, 200);
}

/* ---- changes ---- */

static bool check_put(struct control_change *c)
{
    struct function *f = c->function;
    struct str qualifier = str_from(c->qualifier);
    struct err e;
    char arn[LAMBDA_ARN_MAX];
    int r;
    if (is_unpublished(&f->versions, qualifier)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
        return false;
    }
    uint64_t all = f->versions.warm_total - wanted_by(f, qualifier) + c->count;
    if (f->limited && all > f->limit) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                    "function");
        return false;
    }
    r = version_warm_check(f, qualifier, c->count, &e);
    if (r == 0)
        return true;
    if (r == -ENOENT)
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %s", control_arn(c, c->qualifier, arn));
    else
        lambda_fail(
            c->x, LAMBDA_INVALID_PARAMETER_VALUE,
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [%u]: "
            "%s, or PutFunctionConcurrency more",
            function_concurrency(f, &f->current->settings), e.text);
    return false;
}

static void store_put(const struct control_change *c, struct store_db *db, struct err *e)
{
    const struct store_provisioned row = {
        .function = c->function->name, .qualifier = c->qualifier, .count = c->count, .modified_ms = c->real_ms};
    store_provisioned_put(db, &row, e);
}

static void apply_put(struct control_change *c)
{
    struct versions *v = &c->function->versions;
    struct str qualifier = str_from(c->qualifier);
    char arn[LAMBDA_ARN_MAX];
    if (c->function->removed || !versions_set_warm(v, qualifier, c->count)) {
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %s", control_arn(c, c->qualifier, arn));
        return;
    }
    versions_note_warm(v, qualifier, c->real_ms);
    version_warm_settle(c->function);
    put_members(lambda_reply_begin(), c->function, qualifier);
    lambda_reply_json(c->x, 202);
}

static bool check_delete(struct control_change *c)
{
    if (wanted_by(c->function, str_from(c->qualifier)))
        return true;
    fail_absent(c->x);
    return false;
}

static void store_delete(const struct control_change *c, struct store_db *db, struct err *e)
{
    store_provisioned_remove(db, c->function->name, c->qualifier, e);
}

static void apply_delete(struct control_change *c)
{
    if (versions_set_warm(&c->function->versions, str_from(c->qualifier), 0))
        version_warm_settle(c->function);
    lambda_reply_empty(c->x, 204);
}

static void put(struct lambda_call *call)
{
    static const struct control_kind kind = {.check = check_put, .store = store_put, .apply = apply_put};
    struct function *f = lambda_find_named(call);
    uint64_t count = 0;
    struct control_change *c = f ? control_new(call, f, &kind) : NULL;
    if (!c)
        return;
    json_get_u64(call->body, "ProvisionedConcurrentExecutions", &count); /* checked */
    c->count = (uint32_t)count;
    control_start(c);
}

static void delete (struct lambda_call *call)
{
    static const struct control_kind kind = {.check = check_delete, .store = store_delete, .apply = apply_delete};
    struct function *f = lambda_find_named(call);
    struct control_change *c = f ? control_new(call, f, &kind) : NULL;
    if (c)
        control_start(c);
}

#define PATH "/2019-09-30/functions/{FunctionName}/provisioned-concurrency"

const struct lambda_operation lambda_put_provisioned = {.route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                        .name = "PutProvisionedConcurrencyConfig",
                                                        .path = PATH,
                                                        .run = put,
                                                        .members = PUT};
const struct lambda_operation lambda_get_provisioned = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                        .name = "GetProvisionedConcurrencyConfig",
                                                        .path = PATH,
                                                        .run = get,
                                                        .members = NAMED};
const struct lambda_operation lambda_delete_provisioned = {.route =
                                                               LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                           .name = "DeleteProvisionedConcurrencyConfig",
                                                           .path = PATH,
                                                           .run = delete,
                                                           .members = NAMED};
const struct lambda_operation lambda_list_provisioned = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                         .name = "ListProvisionedConcurrencyConfigs",
                                                         .path = PATH "?List=ALL",
                                                         .run = list,
                                                         .members = LIST};
