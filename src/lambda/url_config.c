/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/url_config.h"

#include "base/clock.h"
#include "gateway/store.h"
#include "gateway/store_urls.h"
#include "lambda/change_queue.h"
#include "lambda/url.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MOST = 50, TEXT_MAX = 512 };

/* ---- what they take ---- */

static const char *const AUTHS[] = {"NONE", "AWS_IAM", NULL};
static const char *const MODES[] = {"BUFFERED", "RESPONSE_STREAM", NULL};

#define QUALIFIER                                                                                                      \
    {                                                                                                                  \
        .name = "Qualifier", .in = LAMBDA_IN_QUERY, .bounded = true, .min = 1, .max = 128,                             \
        .pattern = "(^\\$LATEST$)|((?!^[0-9]+$)([a-zA-Z0-9-_]+))", .ere = "\\$LATEST|[a-zA-Z0-9_-]+",                  \
        .unlike = "[0-9]+"                                                                                             \
    }

static const struct lambda_member HEADER[] = {{.type = LAMBDA_STRING, .bounded = true, .max = 1024}, {0}};
static const struct lambda_member METHOD[] = {{.type = LAMBDA_STRING, .bounded = true, .max = 6}, {0}};
static const struct lambda_member ORIGIN[] = {{.type = LAMBDA_STRING, .bounded = true, .min = 1, .max = 253}, {0}};
static const struct lambda_member CORS[] = {
    {.name = "AllowCredentials", .type = LAMBDA_BOOLEAN},
    {.name = "AllowHeaders", .type = LAMBDA_LIST, .bounded = true, .max = 100, .members = HEADER},
    {.name = "AllowMethods", .type = LAMBDA_LIST, .bounded = true, .max = 6, .members = METHOD},
    {.name = "AllowOrigins", .type = LAMBDA_LIST, .bounded = true, .max = 100, .members = ORIGIN},
    {.name = "ExposeHeaders", .type = LAMBDA_LIST, .bounded = true, .max = 100, .members = HEADER},
    {.name = "MaxAge", .type = LAMBDA_INTEGER, .bounded = true, .min = 0, .max = 86400},
    {0},
};
static const struct lambda_member CREATE[] = {
    LAMBDA_FUNCTION_NAME,
    QUALIFIER,
    {.name = "AuthType", .required = true, .choices = AUTHS},
    {.name = "Cors", .type = LAMBDA_STRUCTURE, .members = CORS},
    {.name = "InvokeMode", .choices = MODES},
    {0},
};
static const struct lambda_member UPDATE[] = {
    LAMBDA_FUNCTION_NAME,
    QUALIFIER,
    {.name = "AuthType", .choices = AUTHS},
    {.name = "Cors", .type = LAMBDA_STRUCTURE, .members = CORS},
    {.name = "InvokeMode", .choices = MODES},
    {0},
};
static const struct lambda_member NAMED[] = {LAMBDA_FUNCTION_NAME, QUALIFIER, {0}};
static const struct lambda_member LIST[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "MaxItems", .in = LAMBDA_IN_QUERY, .type = LAMBDA_INTEGER, .bounded = true, .min = 1, .max = LIST_MOST},
    {0},
};

/* ---- what they say ---- */

/* Under which name and scheme this client reaches us: so it will reach the URL. */
static void put_url(struct json_writer *w, const struct exchange *x, const struct url *u)
{
    const struct http1_request *q = x->request;
    const struct http1_field *proto = http1_find_field(q->fields, q->field_count, "x-forwarded-proto");
    const char *scheme = proto && str_is(proto->value, "https") ? "https" : "http";
    const char *domain = x->gateway->config->url_domain;
    struct str host = x->host.n ? x->host : STR_LITERAL("localhost");
    char text[TEXT_MAX];
    size_t port = host.n;
    while (port > 0 && host.p[port - 1] >= '0' && host.p[port - 1] <= '9')
        port--;
    struct str suffix = port > 0 && host.p[port - 1] == ':' ? str_skip(host, port - 1) : (struct str){0};
    if (domain[0])
        snprintf(text, sizeof(text), "%s://%s.%s%.*s/", scheme, u->id, domain, (int)suffix.n, suffix.p);
    else
        snprintf(text, sizeof(text), "%s://%.*s/url/%s/", scheme, (int)(host.n < 300 ? host.n : 300), host.p, u->id);
    json_put_text(w, "FunctionUrl", text);
}

struct view {
    const struct exchange *x;
    const char *region;
    bool modified; /* with LastModifiedTime */
};

static void put_members(struct json_writer *w, const struct view *v, const struct url *u)
{
    char arn[LAMBDA_ARN_MAX];
    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s:%s:function:%s%s%s", v->region, v->x->gateway->config->lambda_account,
             u->function, u->qualifier[0] ? ":" : "", u->qualifier);
    put_url(w, v->x, u);
    json_put_text(w, "FunctionArn", arn);
    json_put_text(w, "AuthType", url_auth_name(u->auth));
    if (u->cors_text)
        json_put_raw(w, "Cors", str_from(u->cors_text));
    lambda_put_time(w, "CreationTime", u->created_ms);
    if (v->modified)
        lambda_put_time(w, "LastModifiedTime", u->modified_ms);
    if (u->mode != URL_MODE_UNSAID)
        json_put_text(w, "InvokeMode", url_mode_name(u->mode));
}

static void fail_absent(struct exchange *x)
{
    lambda_fail(x, LAMBDA_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

/* ---- whose ---- */

/* The function, and the alias that the request names in *ret_qualifier: "" for itself. NULL: the exchange was ended. */
static struct function *find_owner(struct lambda_call *c, char qualifier[VERSIONS_ALIAS_MAX])
{
    struct function *f = lambda_find_named(c);
    struct str q = c->function.qualifier;
    if (!f)
        return NULL;
    if (str_is(q, "$LATEST"))
        q.n = 0;
    if (q.n && !versions_find_alias(&f->versions, q)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "A function URL belongs to a function or to one of its aliases: '%.*s' is a version.", (int)q.n,
                    q.p);
        return NULL;
    }
    bool fits = str_copy(q, qualifier, VERSIONS_ALIAS_MAX);
    assert(fits);
    return f;
}

/* ---- get and list ---- */

static void get(struct lambda_call *c)
{
    char qualifier[VERSIONS_ALIAS_MAX];
    const struct function *f = find_owner(c, qualifier);
    if (!f)
        return;
    const struct url *u = url_find(f->name, qualifier);
    if (!u) {
        fail_absent(c->x);
        return;
    }
    put_members(lambda_reply_begin(), &(struct view){c->x, c->region, true}, u);
    lambda_reply_json(c->x, 200);
}

static void list(struct lambda_call *c)
{
    const struct function *f = lambda_find_named(c);
    struct str marker = f ? lambda_query(c, "Marker") : (struct str){0};
    struct str most_text = f ? lambda_query(c, "MaxItems") : (struct str){0};
    uint64_t most = LIST_MOST;
    if (!f)
        return;
    if (marker.n && marker.p[0] != '-') {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The marker is none that this API gave: leave it out to start again");
        return;
    }
    if (most_text.n)
        str_to_u64(most_text, &most); /* checked */
    const struct view v = {c->x, c->region, true};
    struct json_writer *w = lambda_reply_begin();
    const struct url *u = url_next(f->name, marker.n ? marker.p + 1 : "", !marker.n), *last = NULL;
    json_put_array(w, "FunctionUrlConfigs");
    for (uint64_t i = 0; u && i < most; i++) {
        json_put_object(w, NULL);
        put_members(w, &v, u);
        json_put_object_end(w);
        last = u;
        u = url_next(f->name, u->qualifier, false);
    }
    json_put_array_end(w);
    if (u && last) {
        char next[VERSIONS_ALIAS_MAX + 1];
        snprintf(next, sizeof(next), "-%s", last->qualifier);
        json_put_text(w, "NextMarker", next);
    }
    lambda_reply_json(c->x, 200);
}

/* ---- changes ---- */

enum change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

/* One at a time: turn, then the store, then the table and the answer. */
struct change {
    struct store_task task; /* first */
    struct queued_change turn;
    enum change_kind kind;
    struct exchange *x;
    char region[LAMBDA_REGION_MAX];
    char function[SETTINGS_NAME_MAX];
    char qualifier[VERSIONS_ALIAS_MAX];
    struct url *url;      /* owned: as it will be; CREATE and UPDATE */
    struct json_doc *doc; /* owned: what is asked for */
};

static void finish(struct change *c)
{
    change_queue_leave(&c->turn);
    url_free(c->url);
    json_free(c->doc);
    free(c);
}

static struct store_url row_of(const struct url *u)
{
    return (struct store_url){.function = u->function,
                              .qualifier = u->qualifier,
                              .id = u->id,
                              .auth = url_auth_name(u->auth),
                              .mode = url_mode_name(u->mode),
                              .cors = u->cors_text ? u->cors_text : "",
                              .created_ms = u->created_ms,
                              .modified_ms = u->modified_ms};
}

static void store(struct store_task *t, struct store_db *db)
{
    struct change *c = (struct change *)(void *)t;
    if (c->kind == CHANGE_DELETE) {
        store_urls_remove(db, c->function, c->qualifier, &t->error);
        return;
    }
    const struct store_url row = row_of(c->url);
    if (c->kind == CHANGE_CREATE)
        store_urls_insert(db, &row, &t->error);
    else
        store_urls_update(db, &row, &t->error);
}

static void fail_exists(const struct change *c)
{
    lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT,
                "Failed to create function url config for [functionArn = arn:aws:lambda:%s:%s:function:%s%s%s]. Error "
                "message:  FunctionUrlConfig exists for this Lambda function",
                c->region, c->x->gateway->config->lambda_account, c->function, c->qualifier[0] ? ":" : "",
                c->qualifier);
}

static void apply(struct change *c)
{
    struct url *before = url_find(c->function, c->qualifier);
    if (before)
        url_remove(before);
    if (c->kind == CHANGE_DELETE) {
        lambda_reply_empty(c->x, 204);
        return;
    }
    put_members(lambda_reply_begin(), &(struct view){c->x, c->region, c->kind == CHANGE_UPDATE}, c->url);
    lambda_reply_json(c->x, c->kind == CHANGE_CREATE ? 201 : 200);
    if (registry_find(c->x->gateway->registry, str_from(c->function))) {
        url_add(c->url);
        c->url = NULL;
    }
}

static void on_stored(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    const struct err *e = &t->error;
    if (!e->code)
        apply(c);
    else if (e->code == EEXIST)
        fail_exists(c);
    else
        lambda_fail(c->x, e->code == EAGAIN || e->code == ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE, "%s", e->text);
    finish(c);
}

/* What the request says, over what is there. */
static int take_members(struct url *u, const struct json *asked)
{
    const char *auth = json_get_text(asked, "AuthType"), *mode = json_get_text(asked, "InvokeMode");
    const struct json *cors = json_get(asked, "Cors");
    if (auth)
        u->auth = strcmp(auth, "NONE") == 0 ? URL_AUTH_NONE : URL_AUTH_IAM;
    if (mode)
        u->mode = strcmp(mode, "BUFFERED") == 0 ? URL_MODE_BUFFERED : URL_MODE_STREAM;
    return cors && !json_is_null(cors) ? url_set_cors(u, cors) : 0;
}

static int copy_before(struct url *u, const struct url *before)
{
    struct json_doc *doc = NULL;
    memcpy(u->id, before->id, sizeof(u->id));
    u->auth = before->auth;
    u->mode = before->mode;
    u->created_ms = before->created_ms;
    if (!before->cors_text)
        return 0;
    int r = json_parse(str_from(before->cors_text), JSON_STRICT, &doc, NULL);
    if (r == 0)
        r = url_set_cors(u, json_root(doc));
    json_free(doc);
    return r;
}

static int make_url(struct change *c, const struct url *before)
{
    struct url *u = c->url = url_new();
    if (!u)
        return -ENOMEM;
    memcpy(u->function, c->function, sizeof(u->function));
    memcpy(u->qualifier, c->qualifier, sizeof(u->qualifier));
    u->created_ms = u->modified_ms = clock_real_ms();
    if (!before)
        url_draw_id(u->id);
    int r = before ? copy_before(u, before) : 0;
    return r < 0 ? r : take_members(u, json_root(c->doc));
}

static void begin(struct queued_change *t)
{
    struct change *c = LIST_ENTRY(t, struct change, turn);
    const struct url *before = url_find(c->function, c->qualifier);
    int r = 0;
    if (c->kind == CHANGE_CREATE && before) {
        fail_exists(c);
    } else if (c->kind != CHANGE_CREATE && !before) {
        fail_absent(c->x);
    } else if (c->kind != CHANGE_DELETE && (r = make_url(c, before)) < 0) {
        if (r == -ENOMEM)
            lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        else
            lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                        "Cors holds an entry that no header can carry (a comma, a control character or nothing), or is "
                        "longer than %d bytes",
                        URL_CORS_MAX);
    } else {
        c->task.run = store;
        c->task.done = on_stored;
        store_submit(c->x->gateway->store, &c->task);
        return;
    }
    finish(c);
}

static void change(struct lambda_call *call, enum change_kind kind)
{
    char qualifier[VERSIONS_ALIAS_MAX];
    const struct function *f = find_owner(call, qualifier);
    struct change *c = f ? calloc(1, sizeof(*c)) : NULL;
    if (!f)
        return;
    if (!c) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    c->kind = kind;
    c->x = call->x;
    c->doc = call->doc;
    call->doc = NULL;
    memcpy(c->region, call->region, sizeof(c->region));
    memcpy(c->function, f->name, sizeof(c->function));
    memcpy(c->qualifier, qualifier, sizeof(c->qualifier));
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

#define PATH "/2021-10-31/functions/{FunctionName}/url"

const struct lambda_operation lambda_create_url = {.route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                   .name = "CreateFunctionUrlConfig",
                                                   .path = PATH,
                                                   .run = create,
                                                   .members = CREATE};
const struct lambda_operation lambda_get_url = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                .name = "GetFunctionUrlConfig",
                                                .path = PATH,
                                                .run = get,
                                                .members = NAMED};
const struct lambda_operation lambda_update_url = {.route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                   .name = "UpdateFunctionUrlConfig",
                                                   .path = PATH,
                                                   .run = update,
                                                   .members = UPDATE};
const struct lambda_operation lambda_delete_url = {.route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                   .name = "DeleteFunctionUrlConfig",
                                                   .path = PATH,
                                                   .run = delete,
                                                   .members = NAMED};
const struct lambda_operation lambda_list_urls = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                  .name = "ListFunctionUrlConfigs",
                                                  .path = "/2021-10-31/functions/{FunctionName}/urls",
                                                  .run = list,
                                                  .members = LIST};
