/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/alias.h"

#include "gateway/store_versions.h"
#include "gateway/version_collect.h"
#include "gateway/version_warm.h"
#include "lambda/change_queue.h"
#include "lambda/configuration.h"
#include "lambda/function_members.h"
#include "lambda/function_read.h"
#include "lambda/invoke.h"
#include "lambda/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MOST = 50, ID_TEXT_MAX = 1024 };

#define ALIAS_RULE                                                                                                     \
    .bounded = true, .min = 1, .max = 128, .pattern = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)", .ere = "[a-zA-Z0-9_-]+",         \
    .unlike = "[0-9]+"
#define VERSION_RULE .bounded = true, .min = 1, .max = 1024, .pattern = "(\\$LATEST|[0-9]+)"

static const struct lambda_member WEIGHT[] = {
    {.name = "[0-9]+", .type = LAMBDA_DOUBLE, .bounded = true, .min = 0, .max = 1}, {0}};
static const struct lambda_member ROUTING[] = {
    {.name = "AdditionalVersionWeights", .type = LAMBDA_MAP, .members = WEIGHT}, {0}};
static const struct lambda_member CREATE[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "Name", .required = true, ALIAS_RULE},
    {.name = "FunctionVersion", .required = true, VERSION_RULE},
    LAMBDA_DESCRIPTION,
    {.name = "RoutingConfig", .type = LAMBDA_STRUCTURE, .members = ROUTING},
    {0},
};
static const struct lambda_member UPDATE[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "Name", .in = LAMBDA_IN_PATH, ALIAS_RULE},
    {.name = "FunctionVersion", VERSION_RULE},
    LAMBDA_DESCRIPTION,
    {.name = "RoutingConfig", .type = LAMBDA_STRUCTURE, .members = ROUTING},
    {.name = "RevisionId"},
    {0},
};
static const struct lambda_member NAMED[] = {
    LAMBDA_FUNCTION_NAME, {.name = "Name", .in = LAMBDA_IN_PATH, ALIAS_RULE}, {0}};
static const struct lambda_member LIST[] = {
    LAMBDA_FUNCTION_NAME, {.name = "FunctionVersion", .in = LAMBDA_IN_QUERY, VERSION_RULE}, LAMBDA_PAGE, {0}};

/* ---- showing ---- */

struct view {
    const struct config *config;
    const char *region;
    const char *function;
};

static void revision_id(const struct view *v, const struct versions_alias *a, char out[ID_UUID_MAX])
{
    char text[ID_TEXT_MAX];
    int n = snprintf(text, sizeof(text), "alias %s %s %lu %lu %u %s", v->function, a->name, (unsigned long)a->number,
                     (unsigned long)a->second, a->weight, a->description);
    configuration_make_id((struct str){text, (size_t)n}, out);
}

static void put_alias(struct json_writer *w, const struct view *v, const struct versions_alias *a)
{
    char arn[LAMBDA_ARN_MAX], number[LAMBDA_VERSION_MAX], id[ID_UUID_MAX];
    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s:%s:function:%s:%s", v->region, v->config->lambda_account, v->function,
             a->name);
    json_put_text(w, "AliasArn", arn);
    json_put_text(w, "Name", a->name);
    lambda_print_version(a->number, number);
    json_put_text(w, "FunctionVersion", number);
    json_put_text(w, "Description", a->description);
    if (a->second) {
        lambda_print_version(a->second, number);
        json_put_object(w, "RoutingConfig");
        json_put_object(w, "AdditionalVersionWeights");
        json_put_double(w, number, (double)a->weight / VERSIONS_WEIGHT_ONE);
        json_put_object_end(w);
        json_put_object_end(w);
    }
    revision_id(v, a, id);
    json_put_text(w, "RevisionId", id);
}

static struct view view_of(const struct lambda_call *c, const struct function *f)
{
    return (struct view){.config = c->x->gateway->config, .region = c->region, .function = f->name};
}

static void fail_absent(struct exchange *x, const struct view *v, struct str name)
{
    lambda_fail(x, LAMBDA_RESOURCE_NOT_FOUND, "Cannot find alias arn: arn:aws:lambda:%s:%s:function:%s:%.*s", v->region,
                v->config->lambda_account, v->function, (int)name.n, name.p);
}

static void get(struct lambda_call *c)
{
    struct function *f = lambda_find_named(c);
    if (!f)
        return;
    const struct view v = view_of(c, f);
    struct str name = lambda_parameter(c, "Name");
    const struct versions_alias *a = versions_find_alias(&f->versions, name);
    if (!a) {
        fail_absent(c->x, &v, name);
        return;
    }
    put_alias(lambda_reply_begin(), &v, a);
    lambda_reply_json(c->x, 200);
}

/* The marker is the first name of the next page: "prod". */
static void list(struct lambda_call *c)
{
    struct function *f = lambda_find_named(c);
    uint64_t most = LIST_MOST;
    unsigned count = 0;
    if (!f)
        return;
    const struct view v = view_of(c, f);
    struct str marker = lambda_query(c, "Marker"), items = lambda_query(c, "MaxItems");
    struct str version = lambda_query(c, "FunctionVersion");
    if (items.n)
        str_to_u64(items, &most);
    most = most < LIST_MOST ? most : LIST_MOST;
    const char *next = NULL;
    struct json_writer *w = lambda_reply_begin();
    json_put_array(w, "Aliases");
    for (size_t i = 0; i < f->versions.alias_count && !next; i++) {
        char number[LAMBDA_VERSION_MAX];
        const struct versions_alias *a = f->versions.aliases[i];
        lambda_print_version(a->number, number);
        if ((marker.n && strcmp(a->name, marker.p) < 0) || (version.n && !str_is(version, number)))
            continue;
        if (count++ == most) {
            next = a->name;
            continue;
        }
        json_put_object(w, NULL);
        put_alias(w, &v, a);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    if (next)
        json_put_text(w, "NextMarker", next);
    lambda_reply_json(c->x, 200);
}

/* ---- changes ---- */

enum change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

/* One at a time: turn, then the store, then the table and the answer. */
struct change {
    struct store_alias_change request; /* first */
    struct queued_change turn;
    enum change_kind kind;
    struct exchange *x;
    struct function *function; /* counted */
    struct json_doc *doc;      /* owned */
    char region[LAMBDA_REGION_MAX];
    char name[VERSIONS_ALIAS_MAX];
};

static struct view change_view(const struct change *c)
{
    return (struct view){.config = c->x->gateway->config, .region = c->region, .function = c->function->name};
}

static void finish(struct change *c)
{
    change_queue_leave(&c->turn);
    function_put(c->function);
    json_free(c->doc);
    free(c);
}

static void apply(struct change *c)
{
    struct function *f = c->function;
    const struct view v = change_view(c);
    if (c->kind == CHANGE_DELETE) {
        versions_remove_alias(&f->versions, str_from(c->name));
        lambda_reply_empty(c->x, 204);
    } else if (versions_set_alias(&f->versions, &c->request.alias) < 0) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "it is stored, but out of memory: it counts from the next start on");
        return;
    } else {
        put_alias(lambda_reply_begin(), &v, &c->request.alias);
        lambda_reply_json(c->x, c->kind == CHANGE_CREATE ? 201 : 200);
    }
    version_warm_settle(f);
    if (f->current)
        version_collect(c->x->gateway, f);
}

static void on_changed(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    const struct err *e = &t->error;
    if (!e->code)
        apply(c);
    else if (e->code == ENOENT && c->kind == CHANGE_DELETE)
        lambda_reply_empty(c->x, 204);
    else if (e->code == ENOENT)
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "%s", e->text);
    else if (e->code == E2BIG)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "%s", e->text);
    else
        lambda_fail_store(c->x, e);
    finish(c);
}

/* False: the exchange was ended. */
static bool take_number(const struct change *c, const char *text, uint64_t *ret_number)
{
    const struct view v = change_view(c);
    struct str digits = str_from(text);
    if (strcmp(text, "$LATEST") == 0) {
        *ret_number = VERSIONS_LATEST_NUMBER;
        return true;
    }
    if (str_to_u64(digits, ret_number) && *text != '0' && versions_find(&c->function->versions, *ret_number))
        return true;
    lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: arn:aws:lambda:%s:%s:function:%s:%.64s", v.region,
                v.config->lambda_account, v.function, text);
    return false;
}

/* False: the exchange was ended. */
static bool take_weights(const struct change *c, const struct json *weights, struct versions_alias *a)
{
    const struct json *one = json_first(weights);
    double weight = 0;
    a->second = 0;
    a->weight = 0;
    if (!one)
        return true;
    if (json_count(weights) > 1) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Number of items in AdditionalVersionWeights cannot be greater than 1");
        return false;
    }
    if (!take_number(c, json_key(one), &a->second))
        return false;
    json_to_double(one, &weight);
    if (a->number == VERSIONS_LATEST_NUMBER)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "$LATEST is not supported for an alias pointing to more than 1 version");
    else if (a->second == a->number)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Invalid function version %lu. Function version %lu is already included in routing configuration.",
                    (unsigned long)a->second, (unsigned long)a->second);
    else {
        a->weight = (uint32_t)(weight * VERSIONS_WEIGHT_ONE + 0.5);
        return true;
    }
    return false;
}

/* What is asked for, over what is there. False: the exchange was ended. */
static bool take_members(const struct change *c, struct versions_alias *a)
{
    const struct json *asked = json_root(c->doc);
    const char *version = json_get_text(asked, "FunctionVersion"), *description = json_get_text(asked, "Description");
    const struct json *routing = json_get(asked, "RoutingConfig");
    if (version && !take_number(c, version, &a->number))
        return false;
    if (description && !str_copy(str_from(description), a->description, sizeof(a->description))) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "Description is longer than %d bytes of UTF-8",
                    VERSIONS_DESCRIPTION_MAX - 1);
        return false;
    }
    if (json_is_object(routing))
        return take_weights(c, json_get(routing, "AdditionalVersionWeights"), a);
    if (a->second && a->number != VERSIONS_LATEST_NUMBER && a->second != a->number)
        return true;
    a->second = 0;
    a->weight = 0;
    return true;
}

/* False: the exchange was ended. */
static bool make_alias(const struct change *c, const struct versions_alias *before, struct versions_alias *a)
{
    char id[ID_UUID_MAX];
    const struct view v = change_view(c);
    const char *wanted = c->doc ? json_get_text(json_root(c->doc), "RevisionId") : NULL;
    if (c->kind == CHANGE_CREATE && before) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT, "Alias already exists: arn:aws:lambda:%s:%s:function:%s:%s",
                    v.region, v.config->lambda_account, v.function, c->name);
        return false;
    }
    if (c->kind == CHANGE_UPDATE && !before) {
        fail_absent(c->x, &v, str_from(c->name));
        return false;
    }
    if (before)
        *a = *before;
    memcpy(a->name, c->name, sizeof(a->name));
    revision_id(&v, a, id);
    if (c->kind == CHANGE_UPDATE && wanted && strcmp(wanted, id) != 0) {
        lambda_fail(c->x, LAMBDA_PRECONDITION_FAILED, "%s", lambda_stale_revision);
        return false;
    }
    if (c->kind != CHANGE_DELETE)
        return take_members(c, a);
    a->number = STORE_ALIAS_REMOVE;
    return true;
}

static void begin(struct queued_change *t)
{
    struct change *c = LIST_ENTRY(t, struct change, turn);
    struct versions_alias a = {.name = ""};
    if (!make_alias(c, versions_find_alias(&c->function->versions, str_from(c->name)), &a)) {
        finish(c);
        return;
    }
    store_alias_change_init(&c->request, c->function->name, &a);
    c->request.aliases_max = c->x->gateway->config->aliases_max;
    c->request.task.done = on_changed;
    store_submit(c->x->gateway->store, &c->request.task);
}

static void change(struct lambda_call *call, enum change_kind kind)
{
    struct function *f = lambda_find_whole(call, "An alias is of a function and says itself which version it means");
    struct change *c = f ? calloc(1, sizeof(*c)) : NULL;
    if (!f)
        return;
    if (!c || (kind != CHANGE_DELETE && !call->body)) {
        lambda_fail(call->x, c ? LAMBDA_INVALID_REQUEST_CONTENT : LAMBDA_UNAVAILABLE,
                    c ? "Could not parse request body into json: it is empty" : "out of memory");
        free(c);
        return;
    }
    struct str name =
        kind == CHANGE_CREATE ? str_from(json_get_text(call->body, "Name")) : lambda_parameter(call, "Name");
    str_copy(name, c->name, sizeof(c->name));
    c->kind = kind;
    c->x = call->x;
    c->function = function_get(f);
    c->doc = call->doc;
    call->doc = NULL;
    memcpy(c->region, call->region, sizeof(c->region));
    c->turn.begin = begin;
    change_queue_enter(&c->turn);
}

static void create(struct lambda_call *c)
{
    change(c, CHANGE_CREATE);
}

static void update(struct lambda_call *c)
{
    change(c, CHANGE_UPDATE);
}

static void delete (struct lambda_call *c)
{
    change(c, CHANGE_DELETE);
}

#define ALIASES "/2015-03-31/functions/{FunctionName}/aliases"

const struct lambda_operation lambda_create_alias = {.route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                     .name = "CreateAlias",
                                                     .path = ALIASES,
                                                     .run = create,
                                                     .members = CREATE};
const struct lambda_operation lambda_get_alias = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                  .name = "GetAlias",
                                                  .path = ALIASES "/{Name}",
                                                  .run = get,
                                                  .members = NAMED};
const struct lambda_operation lambda_update_alias = {.route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                     .name = "UpdateAlias",
                                                     .path = ALIASES "/{Name}",
                                                     .run = update,
                                                     .members = UPDATE};
const struct lambda_operation lambda_delete_alias = {.route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                     .name = "DeleteAlias",
                                                     .path = ALIASES "/{Name}",
                                                     .run = delete,
                                                     .members = NAMED};
const struct lambda_operation lambda_list_aliases = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                     .name = "ListAliases",
                                                     .path = ALIASES,
                                                     .run = list,
                                                     .members = LIST};
