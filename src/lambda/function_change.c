/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_change.h"

#include "gateway/deploy.h"
#include "gateway/front.h"
#include "lambda/code_source.h"
#include "lambda/configuration.h"
#include "lambda/function_layers.h"
#include "lambda/function_members.h"
#include "lambda/function_read.h"
#include "lambda/function_settings.h"
#include "lambda/version.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 70167211, /* of a request with code */
    NAME_LENGTH_MAX = 64,
    HEAD_MAX = 256,
};

enum change_kind { CHANGE_CREATE, CHANGE_CODE, CHANGE_CONFIGURATION, CHANGE_DELETE };

struct change {
    struct store_page page; /* first: the row before, then the row that was made */
    struct deploy_wish wish;
    struct exchange *x;     /* to be ended */
    struct exchange *inner; /* borrowed: the deploy's, until it replies */
    struct json_doc *doc;   /* owned: what is asked for */
    struct configuration before;
    char region[LAMBDA_REGION_MAX];
    char name[SETTINGS_NAME_MAX];

    struct str zip;            /* as the request has it, in x->body */
    struct code_source source; /* the archive on its way */
    const char *fault;         /* why the upload was broken off; NULL: it was not */
    enum lambda_error fault_type;
    enum change_kind kind;
    struct function_layers layers; /* that it will have, where some are asked for */
    struct buf layers_json;
    struct buf settings, attributes;

    bool publish, dry_run;
    bool has_before;
    bool has_layers;
    bool complete; /* all of the archive was sent */
    bool starting; /* the deploy's handler has not returned: a reply is only noted */
    bool over;     /* answered: to be freed */
};

static void change_free(struct change *c)
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

static void fail(struct change *c, enum lambda_error error, const char *text)
{
    lambda_fail_str(c->x, error, str_from(text));
    change_free(c);
}

static struct function_sources sources(const struct change *c)
{
    return (struct function_sources){.asked = c->doc ? json_root(c->doc) : NULL,
                                     .before = c->has_before ? &c->before : NULL,
                                     .config = c->x->gateway->config,
                                     .registry = c->x->gateway->registry,
                                     .region = c->region,
                                     .layers = c->has_layers ? buf_str(&c->layers_json) : (struct str){0},
                                     .code_bytes = c->source.bytes};
}

/* Of the layers that it will have. */
static uint64_t layer_bytes(const struct change *c)
{
    if (c->has_layers)
        return c->layers.bytes;
    return c->has_before ? function_layers_kept_bytes(json_get(c->before.attributes, "Layers")) : 0;
}

/* ---- the answer ---- */

static void on_made(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    struct configuration made;
    const struct store_page *p = &c->page;
    bool is_there = p->count && p->rows[0].shown == p->from_number;
    if (t->error.code) {
        lambda_fail_store(c->x, &t->error);
    } else if (!is_there) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT, "The function %s was changed again before this was answered",
                    c->name);
    } else {
        enum configuration_moment moment = c->dry_run                 ? CONFIGURATION_SETTLED
                                           : c->kind == CHANGE_CREATE ? CONFIGURATION_CREATING
                                                                      : CONFIGURATION_UPDATING;
        int r = configuration_open(&made, c->x->gateway->config, c->region, &p->rows[0]);
        if (r == 0) {
            configuration_put(&made, moment, lambda_reply_begin());
            lambda_reply_json(c->x, c->kind == CHANGE_CREATE ? 201 : 200);
        } else {
            lambda_fail(c->x, LAMBDA_SERVICE, "it is done, but can't be described");
        }
        configuration_close(&made);
    }
    change_free(c);
}

static void read_again(struct change *c, uint64_t number)
{
    configuration_close(&c->before);
    store_page_fini(&c->page);
    store_page_init(&c->page);
    c->page.most = 1;
    c->page.from_number = c->publish ? number : VERSIONS_LATEST_NUMBER;
    memcpy(c->page.function, c->name, sizeof(c->name));
    memcpy(c->page.from, c->name, sizeof(c->name));
    c->page.task.done = on_made;
    store_submit(c->x->gateway->store, &c->page.task);
}

static void refuse_in_lambdas_words(struct change *c, const struct reply *r)
{
    char message[2048];
    bool of_archive = r->error_type && strcmp(r->error_type, "BadRequest") == 0 && c->complete;
    snprintf(message, sizeof(message), "%.*s", (int)(r->error_message.n < 1900 ? r->error_message.n : 1900),
             r->error_message.n ? r->error_message.p : "");
    if (c->fault)
        lambda_fail(c->x, c->fault_type, "%s", c->fault);
    else if (r->status == 409)
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT,
                    "The operation cannot be performed at this time. An update is in progress for resource: "
                    "arn:aws:lambda:%s:%s:function:%s",
                    c->region, c->x->gateway->config->lambda_account, c->name);
    else if (r->status == 413 && layer_bytes(c))
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Function code combined with layers exceeds the maximum allowed size of %d bytes.",
                    FUNCTION_UNZIPPED_MAX);
    else if (r->status == 413)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "Unzipped size must be smaller than %lu bytes",
                    (unsigned long)(c->x->gateway->config->code_bytes_max < FUNCTION_UNZIPPED_MAX
                                        ? c->x->gateway->config->code_bytes_max
                                        : FUNCTION_UNZIPPED_MAX));
    else if (r->status == 400 && of_archive)
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Could not unzip uploaded file. Please check your file, then try to upload again. (%s)", message);
    else if (r->status == 403)
        lambda_fail(c->x, LAMBDA_ACCESS_DENIED, "%s", message);
    else if (r->status == 404)
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "%s", message);
    else if (r->status == 507)
        lambda_fail(c->x, LAMBDA_CODE_STORAGE_EXCEEDED, "%s", message);
    else if (r->status >= 500)
        lambda_fail(c->x, r->status == 503 ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE, "%s", message);
    else
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "%s", message);
}

static uint64_t read_number(struct str body)
{
    struct json_doc *doc = NULL;
    struct err e;
    uint64_t number = 0;
    if (json_parse(body, JSON_STRICT, &doc, &e) == 0)
        json_get_u64(json_root(doc), "number", &number);
    json_free(doc);
    return number;
}

static void on_reply(struct exchange *inner, const struct reply *r)
{
    struct change *c = inner->context;
    c->inner = NULL;
    if (r->status >= 400) {
        refuse_in_lambdas_words(c, r);
    } else if (c->kind == CHANGE_DELETE) {
        lambda_reply_empty(c->x, 204);
    } else {
        read_again(c, read_number(r->body));
        return;
    }
    c->over = true;
    if (!c->starting)
        change_free(c);
}

/* ---- the deploy ---- */

static void break_off(struct change *c, enum lambda_error type, const char *fault)
{
    c->fault = fault;
    c->fault_type = type;
    c->inner->sink->on_gone(c->inner);
}

static void finish_upload(struct change *c)
{
    char sha[CONFIGURATION_SHA_MAX];
    code_source_sha256(&c->source, sha);
    struct function_sources s = sources(c);
    s.sha256 = sha;
    if (function_attributes_print(&s, &c->attributes) < 0) {
        break_off(c, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    c->complete = true;
    c->wish.attributes = buf_str(&c->attributes);
    c->wish.attributes_changed =
        !c->has_before || c->publish || !str_equal(c->wish.attributes, c->before.row->revision.attributes);
    c->inner->sink->on_end(c->inner);
}

static void feed(struct change *c)
{
    while (c->inner && !c->fault && !c->complete) {
        struct str piece;
        switch (code_source_next(&c->source, &piece)) {
        case CODE_SOURCE_WAIT:
            return; /* on_source() */
        case CODE_SOURCE_FAULT:
            break_off(c, c->source.error, c->source.fault);
            return;
        case CODE_SOURCE_END:
            finish_upload(c);
            return;
        case CODE_SOURCE_PIECE:
            break;
        }
        size_t taken = c->inner->sink->on_body(c->inner, piece);
        code_source_take(&c->source, taken);
        if (taken < piece.n)
            return; /* on_room() */
    }
}

static void on_room(struct exchange *inner)
{
    feed(inner->context);
}

/* The head of what the control API would have been sent. */
static struct exchange *make_exchange(struct change *c)
{
    static const char *const methods[] = {
        [CHANGE_CREATE] = "PUT", [CHANGE_CODE] = "PUT", [CHANGE_CONFIGURATION] = "PATCH", [CHANGE_DELETE] = "DELETE"};
    char head[HEAD_MAX];
    int n = snprintf(head, sizeof(head), "%s /v1/functions/%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n", methods[c->kind],
                     c->name, c->dry_run ? "?dry_run=1" : "");
    const struct front_request request = {.head = {head, (size_t)n},
                                          .body = buf_str(&c->settings),
                                          .id = c->x->id,
                                          .listener = c->x->listener,
                                          .on_reply = on_reply,
                                          .context = c};
    int error; /* the head is ours: only memory can be short */
    return front_make_exchange(c->x->gateway->front, &request, &error);
}

static void start_deploy(struct change *c)
{
    struct exchange *inner = c->inner = make_exchange(c);
    if (!inner) {
        fail(c, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    c->wish.asker = c->x;
    c->wish.publication = c->publish ? STORE_PUBLISHED : STORE_DRAFT;
    c->wish.code_bytes_max = FUNCTION_UNZIPPED_MAX - layer_bytes(c);
    c->wish.opt = c->has_layers ? c->layers.opt : NULL;
    c->wish.role = c->doc ? json_get_text(json_root(c->doc), "Role") : NULL;
    inner->explain = true;
    inner->deploy = &c->wish;
    inner->on_body_room = on_room;
    c->starting = true;
    if (c->kind == CHANGE_CONFIGURATION)
        deploy_patch(inner, str_from(c->name));
    else if (c->kind == CHANGE_DELETE)
        deploy_delete(inner, str_from(c->name));
    else
        deploy_put(inner, str_from(c->name));
    if (c->inner && (c->kind == CHANGE_CREATE || c->kind == CHANGE_CODE))
        feed(c);
    c->starting = false;
    if (c->over)
        change_free(c);
}

/* ---- what is asked for ---- */

/* New code keeps the settings; the unpacker is told what has to be in it. */
static int print_start(const struct change *c, struct buf *out)
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
static void begin(struct change *c)
{
    struct function_sources s = sources(c);
    if (c->kind == CHANGE_CREATE && registry_find(c->x->gateway->registry, str_from(c->name))) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT, "Function already exist: %s", c->name);
        change_free(c);
        return;
    }
    int r = c->kind == CHANGE_CODE ? print_start(c, &c->settings) : function_settings_print(&s, &c->settings);
    if (r == 0 && c->kind == CHANGE_CONFIGURATION) {
        r = function_attributes_print(&s, &c->attributes);
        c->wish.attributes = buf_str(&c->attributes);
        c->wish.attributes_changed = !str_equal(c->wish.attributes, c->before.row->revision.attributes);
    }
    if (r < 0) {
        fail(c, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    c->wish.settings = buf_str(&c->settings);
    start_deploy(c);
}

/* While a bucket is looked into or layers are merged, another change may be made. */
static bool check_before(struct change *c);

static void on_layers(void *owner)
{
    struct change *c = owner;
    uint64_t code = c->kind == CHANGE_CONFIGURATION ? c->before.version->code_bytes : 0;
    if (c->layers.fault[0]) {
        fail(c, c->layers.error, c->layers.fault);
    } else if (c->layers.bytes + code > FUNCTION_UNZIPPED_MAX) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size "
                    "is %lu bytes.",
                    FUNCTION_UNZIPPED_MAX, (unsigned long)(c->layers.bytes + code));
        change_free(c);
    } else if (function_layers_print(&c->layers, c->region, &c->layers_json) < 0) {
        fail(c, LAMBDA_UNAVAILABLE, "out of memory");
    } else if (!c->has_before || check_before(c)) {
        begin(c);
    }
}

static void find_layers(struct change *c)
{
    const struct function_layers_question q = {
        .gateway = c->x->gateway, .region = c->region, .asked = json_get(json_root(c->doc), "Layers")};
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
    struct change *c = owner;
    if (c->inner) {
        feed(c);
    } else if (code_source_opened(&c->source) == CODE_SOURCE_FAULT) {
        fail(c, c->source.error, c->source.fault);
    } else if (!c->has_before || check_before(c)) {
        find_layers(c);
    }
}

static void open_source(struct change *c)
{
    const struct json *asked = json_root(c->doc);
    const struct json *code = c->kind == CHANGE_CREATE ? json_get(asked, "Code") : asked;
    if (json_get_text(code, "ImageUri")) {
        fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
             "ImageUri: container images are not supported on this host: deploy a zip");
        return;
    }
    c->source.on_more = on_source;
    c->source.owner = c;
    enum code_source_next next = code_source_open(&c->source, c->x->gateway, code, c->zip);
    if (next != CODE_SOURCE_WAIT)
        on_source(c);
}

static void prepare(struct change *c)
{
    char fault[FUNCTION_FAULT_MAX];
    struct function_sources s = sources(c);
    if (!function_settings_check(&s, fault))
        fail(c, LAMBDA_INVALID_PARAMETER_VALUE, fault);
    else if (c->kind == CHANGE_CONFIGURATION)
        find_layers(c);
    else
        open_source(c);
}

/* Is the row still the current one, and the one that the client means? False: the change was ended. */
static bool check_before(struct change *c)
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
        change_free(c);
        return false;
    }
    configuration_revision_id(&c->before, CONFIGURATION_SETTLED, id);
    if (!wanted || strcmp(wanted, id) == 0)
        return true;
    fail(c, LAMBDA_PRECONDITION_FAILED, lambda_stale_revision);
    return false;
}

static void on_before(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    if (t->error.code) {
        lambda_fail_store(c->x, &t->error);
        change_free(c);
        return;
    }
    int r =
        c->page.count ? configuration_open(&c->before, c->x->gateway->config, c->region, &c->page.rows[0]) : -ENOENT;
    if (r < 0) {
        fail(c, r == -ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE,
             r == -ENOMEM ? "out of memory" : "what is stored of this function can't be read: deploy it again");
        return;
    }
    c->has_before = true;
    if (check_before(c))
        prepare(c);
}

/* ---- the operations ---- */

static struct change *change_new(struct lambda_call *call, enum change_kind kind, struct str name)
{
    struct change *c = calloc(1, sizeof(*c));
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
    struct change *c = change_new(call, CHANGE_CREATE, name.name);
    if (c)
        prepare(c);
}

static void update(struct lambda_call *call, enum change_kind kind)
{
    struct function *f =
        lambda_find_whole(call, "Published versions don't change, and an update is of the function's $LATEST");
    struct change *c = f && call->body ? change_new(call, kind, str_from(f->name)) : NULL;
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
    struct change *c = change_new(call, CHANGE_DELETE, str_from(f->name));
    if (c)
        start_deploy(c);
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
