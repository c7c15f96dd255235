/* SPDX-License-Identifier: Apache-2.0 */
/* Answers are printed on the store's thread, where the rows are. */
#include "gateway/store.h"
#include "lambda/function_read.h"
#include "lambda/function_settings.h"
#include "lambda/layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 50, ANSWER_MAX = 4 << 20 };

static const char *const ARCHITECTURES[] = {"x86_64", "arm64", NULL};

/* ---- a version ---- */

void layer_place_of(const struct lambda_call *c, struct layer_place *ret)
{
    memcpy(ret->region, c->region, sizeof(ret->region));
    memcpy(ret->account, c->x->gateway->config->lambda_account, sizeof(ret->account));
}

bool layer_take_name(const struct lambda_call *c, struct layer_name *ret)
{
    if (!layer_name_parse(lambda_parameter(c, "LayerName"), ret))
        return false;
    bool here = !ret->region[0] || (strcmp(ret->region, c->region) == 0 &&
                                    strcmp(ret->account, c->x->gateway->config->lambda_account) == 0);
    if (here && strstr(c->op->path, "{VersionNumber}"))
        here = str_to_u64(lambda_parameter(c, "VersionNumber"), &ret->number);
    return here;
}

static void put_kept(struct json_writer *w, const struct json *attributes, const char *name)
{
    const struct json *value = json_get(attributes, name);
    if (value)
        json_put_value(w, name, value);
}

static struct json_doc *parse(const struct store_layer *row)
{
    struct json_doc *doc = NULL;
    struct err ignored;
    return json_parse(str_from(row->attributes), JSON_STRICT, &doc, &ignored) == 0 ? doc : NULL;
}

void layer_put_version(const struct layer_place *p, const struct store_layer *row, struct json_writer *w)
{
    static const char *const names[] = {"CompatibleRuntimes", "LicenseInfo", "CompatibleArchitectures"};
    char arn[LAYER_ARN_MAX];
    struct json_doc *doc = parse(row);
    const struct json *attributes = doc ? json_root(doc) : NULL;
    const char *description = json_get_text(attributes, "Description");
    json_put_text(w, "LayerVersionArn", layer_name_print(p->region, p->account, row->name, row->number, arn));
    json_put_u64(w, "Version", row->number);
    json_put_text(w, "Description", description ? description : "");
    lambda_put_time(w, "CreatedDate", row->created_ms);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put_kept(w, attributes, names[i]);
    json_free(doc);
}

void layer_put_content(const struct layer_place *p, const struct store_layer *row, struct json_writer *w)
{
    char arn[LAYER_ARN_MAX];
    struct json_doc *doc = parse(row);
    json_put_object(w, "Content");
    put_kept(w, doc ? json_root(doc) : NULL, "CodeSize");
    put_kept(w, doc ? json_root(doc) : NULL, "CodeSha256");
    json_put_object_end(w);
    json_put_text(w, "LayerArn", layer_name_print(p->region, p->account, row->name, 0, arn));
    json_free(doc);
}

/* ---- questions ---- */

enum read_kind { READ_ONE, READ_VERSIONS, READ_LAYERS, READ_REMOVE };

struct read {
    struct store_task task; /* first */
    struct exchange *x;     /* to be ended */
    enum read_kind kind;
    struct layer_place place;
    struct layer_name name; /* of LAYERS where the page begins */
    char runtime[32], architecture[16];
    unsigned most, count;
    struct buf json;
    struct json_writer w;
};

static int put_row(const struct store_layer *row, void *context)
{
    struct read *r = context;
    char arn[LAYER_ARN_MAX], marker[LAYER_NAME_MAX + 24];
    struct json_writer *w = &r->w;
    if (r->count++ == r->most) {
        /* one more than was asked for: the next page begins with it */
        json_put_array_end(w);
        snprintf(marker, sizeof(marker), "%s:%lu", row->name, (unsigned long)row->number);
        json_put_text(w, "NextMarker", marker);
        return 0;
    }
    json_put_object(w, NULL);
    if (r->kind == READ_LAYERS) {
        json_put_text(w, "LayerName", row->name);
        json_put_text(w, "LayerArn", layer_name_print(r->place.region, r->place.account, row->name, 0, arn));
        json_put_object(w, "LatestMatchingVersion");
        layer_put_version(&r->place, row, w);
        json_put_object_end(w);
    } else {
        layer_put_version(&r->place, row, w);
    }
    json_put_object_end(w);
    return 0;
}

static int put_one(const struct store_layer *row, void *context)
{
    struct read *r = context;
    layer_put_content(&r->place, row, &r->w);
    layer_put_version(&r->place, row, &r->w);
    return 0;
}

static void run_list(struct read *r, struct store_db *db)
{
    bool versions = r->kind == READ_VERSIONS;
    const struct store_layers_query q = {.name = versions ? r->name.name : NULL,
                                         .runtime = r->runtime,
                                         .architecture = r->architecture,
                                         .from_name = versions ? "" : r->name.name,
                                         .from_number = versions ? r->name.number : 0,
                                         .most = r->most + 1};
    json_put_array(&r->w, versions ? "LayerVersions" : "Layers");
    store_layers_list(db, &q, put_row, r, &r->task.error);
    if (r->count <= r->most)
        json_put_array_end(&r->w);
}

static void run(struct store_task *t, struct store_db *db)
{
    struct read *r = (struct read *)(void *)t;
    if (r->kind == READ_REMOVE) {
        store_layers_remove(db, r->name.name, r->name.number, &t->error);
        return;
    }
    json_writer_init(&r->w, &r->json);
    json_put_object(&r->w, NULL);
    if (r->kind == READ_ONE)
        store_layers_read(db, r->name.name, r->name.number, put_one, r, &t->error);
    else
        run_list(r, db);
    json_put_object_end(&r->w);
    int failed = json_writer_end(&r->w);
    if (failed < 0 && !t->error.code)
        err_set(&t->error, -failed, "describe the layers");
}

static void fail_absent(struct exchange *x)
{
    lambda_fail(x, LAMBDA_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

static void on_done(struct store_task *t)
{
    struct read *r = (struct read *)(void *)t;
    const struct reply reply = {.status = 200, .content_type = "application/json", .body = buf_str(&r->json)};
    if (t->error.code == ENOENT)
        fail_absent(r->x);
    else if (t->error.code)
        lambda_fail_store(r->x, &t->error);
    else if (r->kind == READ_REMOVE)
        lambda_reply_empty(r->x, 204);
    else
        exchange_reply(r->x, &reply);
    buf_fini(&r->json);
    free(r);
}

static struct read *read_new(struct lambda_call *c, enum read_kind kind)
{
    struct read *r = calloc(1, sizeof(*r));
    if (!r) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    buf_init(&r->json, ANSWER_MAX);
    r->kind = kind;
    r->x = c->x;
    r->task.run = run;
    r->task.done = on_done;
    layer_place_of(c, &r->place);
    return r;
}

static void ask(struct lambda_call *c, enum read_kind kind, const struct layer_name *name)
{
    struct read *r = read_new(c, kind);
    if (!r)
        return;
    r->name = *name;
    store_submit(c->x->gateway->store, &r->task);
}

static void get_version(struct lambda_call *c)
{
    struct layer_name name;
    if (layer_take_name(c, &name))
        ask(c, READ_ONE, &name);
    else
        fail_absent(c->x);
}

static void get_by_arn(struct lambda_call *c)
{
    struct layer_name name;
    if (layer_name_parse(lambda_query(c, "Arn"), &name) && name.number && strcmp(name.region, c->region) == 0 &&
        strcmp(name.account, c->x->gateway->config->lambda_account) == 0)
        ask(c, READ_ONE, &name);
    else
        fail_absent(c->x);
}

/* What is not there is gone. */
static void remove_version(struct lambda_call *c)
{
    struct layer_name name;
    if (layer_take_name(c, &name))
        ask(c, READ_REMOVE, &name);
    else
        lambda_reply_empty(c->x, 204);
}

/* "NAME:NUMBER". False: the exchange was ended. */
static bool take_page(struct lambda_call *c, struct read *r)
{
    uint64_t most = PAGE, number;
    struct layer_name from;
    struct str marker = lambda_query(c, "Marker"), items = lambda_query(c, "MaxItems"), digits;
    struct str runtime = lambda_query(c, "CompatibleRuntime");
    struct str architecture = lambda_query(c, "CompatibleArchitecture");
    bool found = true;
    if (items.n)
        str_to_u64(items, &most);
    r->most = most < PAGE ? (unsigned)most : PAGE;
    str_copy(runtime.p ? runtime : STR_LITERAL(""), r->runtime, sizeof(r->runtime));
    str_copy(architecture.p ? architecture : STR_LITERAL(""), r->architecture, sizeof(r->architecture));
    if (!marker.n)
        return true;
    struct str name = str_cut(marker, ':', &digits, &found);
    bool good = found && layer_name_parse(name, &from) && str_to_u64(digits, &number) && number <= INT64_MAX;
    if (good && r->kind == READ_VERSIONS)
        good = strcmp(from.name, r->name.name) == 0;
    if (!good) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The marker is none that this API gave: leave it out to start again");
        return false;
    }
    memcpy(r->name.name, from.name, sizeof(r->name.name));
    r->name.number = number;
    return true;
}

static void list(struct lambda_call *c, enum read_kind kind, const struct layer_name *name)
{
    struct read *r = read_new(c, kind);
    if (!r)
        return;
    r->name = *name;
    if (take_page(c, r)) {
        store_submit(c->x->gateway->store, &r->task);
        return;
    }
    buf_fini(&r->json);
    free(r);
}

static void list_layers(struct lambda_call *c)
{
    list(c, READ_LAYERS, &(struct layer_name){0});
}

static void list_versions(struct lambda_call *c)
{
    struct layer_name name;
    if (layer_take_name(c, &name)) {
        list(c, READ_VERSIONS, &name);
        return;
    }
    struct json_writer *w = lambda_reply_begin();
    json_put_array(w, "LayerVersions");
    json_put_array_end(w);
    lambda_reply_json(c->x, 200);
}

/* ---- rows ---- */

static const struct lambda_member ONE[] = {LAYER_NAME_MEMBER, LAYER_NUMBER_MEMBER, {0}};
static const struct lambda_member BY_ARN[] = {
    {.name = "Arn",
     .in = LAMBDA_IN_QUERY,
     .required = true,
     .bounded = true,
     .min = 1,
     .max = 140,
     .pattern = LAYER_VERSION_ARN_PATTERN,
     .ere = LAYER_VERSION_ARN_ERE},
    {0},
};
#define LAYER_PAGE                                                                                                     \
    {.name = "CompatibleRuntime", .in = LAMBDA_IN_QUERY, .choices = function_runtimes},                                \
        {.name = "CompatibleArchitecture", .in = LAMBDA_IN_QUERY, .choices = ARCHITECTURES},                           \
        {.name = "Marker", .in = LAMBDA_IN_QUERY},                                                                     \
    {                                                                                                                  \
        .name = "MaxItems", .in = LAMBDA_IN_QUERY, .type = LAMBDA_INTEGER, .bounded = true, .min = 1, .max = PAGE      \
    }
static const struct lambda_member LIST[] = {LAYER_PAGE, {0}};
static const struct lambda_member LIST_VERSIONS[] = {LAYER_NAME_MEMBER, LAYER_PAGE, {0}};

const struct lambda_operation lambda_get_layer_version = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetLayerVersion",
    .path = LAYER_VERSION_PATH,
    .run = get_version,
    .members = ONE,
};

const struct lambda_operation lambda_get_layer_version_by_arn = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetLayerVersionByArn",
    .path = "/2018-10-31/layers?find=LayerVersion",
    .run = get_by_arn,
    .members = BY_ARN,
};

const struct lambda_operation lambda_list_layers = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "ListLayers",
    .path = "/2018-10-31/layers",
    .run = list_layers,
    .members = LIST,
};

const struct lambda_operation lambda_list_layer_versions = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "ListLayerVersions",
    .path = LAYER_PATH,
    .run = list_versions,
    .members = LIST_VERSIONS,
};

const struct lambda_operation lambda_delete_layer_version = {
    .route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "DeleteLayerVersion",
    .path = LAYER_VERSION_PATH,
    .run = remove_version,
    .members = ONE,
};
