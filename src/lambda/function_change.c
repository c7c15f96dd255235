/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_change.h"

#include "lambda/function_change_job.h"
#include "lambda/function_members.h"
#include "lambda/function_read.h"
#include "lambda/version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 70167211, /* of a request with code */
    NAME_LENGTH_MAX = 64,
};

void function_change_free(struct function_change *c)
{
    configuration_close(&c->before);
    store_page_fini(&c->page);
    code_source_close(&c->source);
    function_layers_close(&c->layers);
    buf_fini(&c->layers_json);
    buf_fini(&c->settings);
    buf_fini(&c->attributes);
    json_free(c->doc);
    free(c);
}

void function_change_fail(struct function_change *c, enum lambda_error error, const char *text)
{
    lambda_fail_str(c->x, error, str_from(text));
    function_change_free(c);
}

struct function_sources function_change_sources(const struct function_change *c)
{
    return (struct function_sources){.asked = c->doc ? json_root(c->doc) : NULL,
                                     .before = c->has_before ? &c->before : NULL,
                                     .config = c->x->gateway->config,
                                     .registry = c->x->gateway->registry,
                                     .region = c->region,
                                     .layers = c->has_layers ? buf_str(&c->layers_json) : (struct str){0},
                                     .code_bytes = c->source.bytes};
}

/* ---- what is asked for ---- */

/* New code keeps the settings; the unpacker is told what has to be in it. */
static int print_start(const struct function_change *c, struct buf *out)
{
    struct json_writer w;
    const struct settings *s = &c->before.version->settings;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    if (s->given & (1ull << SETTINGS_KEY_RUNTIME))
        json_put_text(&w, "runtime", settings_runtime_name(s));
    if (s->given & (1ull << SETTINGS_KEY_HANDLER))
        json_put_text(&w, "handler", s->handler);
    json_put_object_end(&w);
    return json_writer_end(&w);
}

/* All that is asked for is there. */
static void begin(struct function_change *c)
{
    struct function_sources s = function_change_sources(c);
    if (c->kind == CHANGE_CREATE && registry_find(c->x->gateway->registry, str_from(c->name))) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT, "Function already exist: %s", c->name);
        function_change_free(c);
        return;
    }
    int r = c->kind == CHANGE_CODE ? print_start(c, &c->settings) : function_settings_print(&s, &c->settings);
    if (r == 0 && c->kind == CHANGE_CONFIGURATION) {
        r = function_attributes_print(&s, &c->attributes);
        c->wish.attributes = buf_str(&c->attributes);
        c->wish.attributes_changed = !str_equal(c->wish.attributes, c->before.row->revision.attributes);
    }
    if (r < 0) {
        function_change_fail(c, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    c->wish.settings = buf_str(&c->settings);
    function_deploy_start(c);
}

/* While a bucket is looked into or layers are merged, another change may be made. */
static bool check_before(struct function_change *c);

static void on_layers(void *owner)
{
    struct function_change *c = owner;
    uint64_t code = c->kind == CHANGE_CONFIGURATION ? c->before.version->code_bytes : 0;
    if (c->layers.fault[0]) {
        function_change_fail(c, c->layers.error, c->layers.fault);
    } else if (c->layers.bytes + code > FUNCTION_UNZIPPED_MAX) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size "
                    "is %lu bytes.",
                    FUNCTION_UNZIPPED_MAX, (unsigned long)(c->layers.bytes + code));
        function_change_free(c);
    } else if (function_layers_print(&c->layers, c->region, &c->layers_json) < 0) {
        function_change_fail(c, LAMBDA_UNAVAILABLE, "out of memory");
    } else if (!c->has_before || check_before(c)) {
        begin(c);
    }
}

static void find_layers(struct function_change *c)
{
    const struct function_layers_question q = {.gateway = c->x->gateway,
                                               .region = c->region,
                                               .asked = json_get(json_root(c->doc), "Layers"),
                                               .before =
                                                   c->has_before ? json_get(c->before.attributes, "Layers") : NULL,
                                               .before_opt = c->has_before ? c->before.version->opt : NULL};
    c->has_layers = c->kind != CHANGE_CODE && q.asked && !json_is_null(q.asked);
    c->layers.done = on_layers;
    c->layers.owner = c;
    if (!c->has_layers)
        begin(c);
    else if (!function_layers_find(&c->layers, &q) || c->layers.count == 0)
        on_layers(c);
}

static void on_source(void *owner)
{
    struct function_change *c = owner;
    if (c->inner) {
        function_deploy_feed(c);
    } else if (code_source_opened(&c->source) == CODE_SOURCE_FAULT) {
        function_change_fail(c, c->source.error, c->source.fault);
    } else if (!c->has_before || check_before(c)) {
        find_layers(c);
    }
}

static void open_source(struct function_change *c)
{
    const struct json *asked = json_root(c->doc);
    const struct json *code = c->kind == CHANGE_CREATE ? json_get(asked, "Code") : asked;
    if (json_get_text(code, "ImageUri")) {
        function_change_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                             "ImageUri: container images are not supported on this host: deploy a zip");
        return;
    }
    c->source.on_more = on_source;
    c->source.owner = c;
    enum code_source_next next = code_source_open(&c->source, c->x->gateway, code, c->zip);
    if (next != CODE_SOURCE_WAIT)
        on_source(c);
}

static void prepare(struct function_change *c)
{
    char fault[FUNCTION_FAULT_MAX];
    struct function_sources s = function_change_sources(c);
    if (!function_settings_check(&s, fault))
        function_change_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, fault);
    else if (c->kind == CHANGE_CONFIGURATION)
        find_layers(c);
    else
        open_source(c);
}

/* Is the row still the current one, and the one that the client means? False: the change was ended. */
static bool check_before(struct function_change *c)
{
    char id[ID_UUID_MAX];
    const struct function *f = registry_find(c->x->gateway->registry, str_from(c->name));
    const char *wanted = json_get_text(json_root(c->doc), "RevisionId");
    if (!f || strcmp(f->current->revision, c->before.version->revision) != 0 ||
        f->current->number != c->before.version->number) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT,
                    "The operation cannot be performed at this time. An update is in progress for resource: "
                    "arn:aws:lambda:%s:%s:function:%s",
                    c->region, c->x->gateway->config->lambda_account, c->name);
        function_change_free(c);
        return false;
    }
    configuration_revision_id(&c->before, CONFIGURATION_SETTLED, id);
    if (!wanted || strcmp(wanted, id) == 0)
        return true;
    function_change_fail(c, LAMBDA_PRECONDITION_FAILED, lambda_stale_revision);
    return false;
}

static void on_before(struct store_task *t)
{
    struct function_change *c = (struct function_change *)(void *)t;
    if (t->error.code) {
        lambda_fail_store(c->x, &t->error);
        function_change_free(c);
        return;
    }
    int r =
        c->page.count ? configuration_open(&c->before, c->x->gateway->config, c->region, &c->page.rows[0]) : -ENOENT;
    if (r < 0) {
        function_change_fail(c, r == -ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE,
                             r == -ENOMEM ? "out of memory"
                                          : "what is stored of this function can't be read: deploy it again");
        return;
    }
    c->has_before = true;
    if (check_before(c))
        prepare(c);
}

/* ---- the operations ---- */

static struct function_change *change_new(struct lambda_call *call, enum change_kind kind, struct str name)
{
    struct function_change *c = calloc(1, sizeof(*c));
    if (!c) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    store_page_init(&c->page);
    buf_init(&c->settings, 0);
    buf_init(&c->attributes, 0);
    buf_init(&c->layers_json, 0);
    c->kind = kind;
    c->x = call->x;
    c->doc = call->doc;
    call->doc = NULL;
    c->zip = call->zip;
    json_get_bool(call->body, "Publish", &c->publish);
    json_get_bool(call->body, "DryRun", &c->dry_run);
    memcpy(c->region, call->region, sizeof(c->region));
    str_copy(name, c->name, sizeof(c->name));
    return c;
}

/* False: the exchange was ended. */
static bool take_name(struct lambda_call *c, struct lambda_name *name)
{
    const char *text = json_get_text(c->body, "FunctionName");
    if (!text) {
        lambda_fail(
            c->x, LAMBDA_VALIDATION,
            "1 validation error detected: Value null at 'functionName' failed to satisfy constraint: Member must "
            "not be null");
        return false;
    }
    lambda_name_parse(str_from(text), name);
    if (name->region.n && !str_is(name->region, c->region)) {
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Functions from '%.*s' are not reachable in this region ('%s')",
                    (int)name->region.n, name->region.p, c->region);
        return false;
    }
    const char *account = c->x->gateway->config->lambda_account;
    if (name->account.n && !str_is(name->account, account)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "A function is made in the account of this host, %s, not in %.*s: leave the account out, or set "
                    "lambda.account in the configuration",
                    account, (int)name->account.n, name->account.p);
        return false;
    }
    if (name->qualifier.n && !str_is(name->qualifier, "$LATEST")) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "A function is made without versions and aliases: name it without ':%.*s'", (int)name->qualifier.n,
                    name->qualifier.p);
        return false;
    }
    if (settings_name_is_valid(name->name))
        return true;
    lambda_fail(c->x, LAMBDA_VALIDATION,
                "1 validation error detected: Value '%.*s' at 'functionName' failed to satisfy constraint: Member must "
                "have length less than or equal to %d and hold A-Z a-z 0-9 _ - alone",
                (int)name->name.n, name->name.p, NAME_LENGTH_MAX);
    return false;
}

static void create_function(struct lambda_call *call)
{
    struct lambda_name name = {0};
    if (!take_name(call, &name))
        return;
    if (registry_find(call->x->gateway->registry, name.name)) {
        lambda_fail(call->x, LAMBDA_RESOURCE_CONFLICT, "Function already exist: %.*s", (int)name.name.n, name.name.p);
        return;
    }
    if (json_get_text(call->body, "CodeSigningConfigArn") && *json_get_text(call->body, "CodeSigningConfigArn")) {
        lambda_fail(call->x, LAMBDA_CODE_SIGNING_CONFIG_NOT_FOUND, "The code signing configuration cannot be found. %s",
                    "This host has none.");
        return;
    }
    struct function_change *c = change_new(call, CHANGE_CREATE, name.name);
    if (c)
        prepare(c);
}

static void update(struct lambda_call *call, enum change_kind kind)
{
    struct function *f =
        lambda_find_whole(call, "Published versions don't change, and an update is of the function's $LATEST");
    struct function_change *c = f && call->body ? change_new(call, kind, str_from(f->name)) : NULL;
    if (!f)
        return;
    if (!c) {
        if (!call->body)
            lambda_fail(call->x, LAMBDA_INVALID_REQUEST_CONTENT, "Could not parse request body into json: it is empty");
        return;
    }
    memcpy(c->page.function, c->name, sizeof(c->name));
    memcpy(c->page.from, c->name, sizeof(c->name));
    c->page.latest_only = true;
    c->page.most = 1;
    c->page.task.done = on_before;
    store_submit(call->x->gateway->store, &c->page.task);
}

static void update_code(struct lambda_call *c)
{
    update(c, CHANGE_CODE);
}

static void update_configuration(struct lambda_call *c)
{
    update(c, CHANGE_CONFIGURATION);
}

static void delete_function(struct lambda_call *call)
{
    struct function *f = lambda_find_function(call);
    if (!f)
        return;
    if (call->function.qualifier.n) {
        version_delete(call, f);
        return;
    }
    struct function_change *c = change_new(call, CHANGE_DELETE, str_from(f->name));
    if (c)
        function_deploy_start(c);
}

#define FUNCTIONS "/2015-03-31/functions"

const struct lambda_operation lambda_create_function = {
    .route = LAMBDA_CODE_ROUTE("POST", BODY_MAX),
    .name = "CreateFunction",
    .path = FUNCTIONS,
    .run = create_function,
    .members = function_create_members,
};

const struct lambda_operation lambda_update_function_code = {
    .route = LAMBDA_CODE_ROUTE("PUT", BODY_MAX),
    .name = "UpdateFunctionCode",
    .path = FUNCTIONS "/{FunctionName}/code",
    .run = update_code,
    .members = function_update_code_members,
};

const struct lambda_operation lambda_update_function_configuration = {
    .route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "UpdateFunctionConfiguration",
    .path = FUNCTIONS "/{FunctionName}/configuration",
    .run = update_configuration,
    .members = function_update_configuration_members,
};

const struct lambda_operation lambda_delete_function = {
    .route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "DeleteFunction",
    .path = FUNCTIONS "/{FunctionName}",
    .run = delete_function,
    .members = function_qualified_members,
};
