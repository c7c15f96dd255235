/* SPDX-License-Identifier: Apache-2.0 */
/* A change of a function on its way: a deploy of the control API with a request of its own, which is fed with the archive, and whose reply becomes the answer. */
#include "lambda/function_change_job.h"

#include "gateway/front.h"
#include "lambda/function_read.h"
#include "lambda/version.h"

#include <stdio.h>
#include <string.h>

enum { HEAD_MAX = 256 };

/* Of the layers that it will have. */
static uint64_t layer_bytes(const struct function_change *c)
{
    if (c->has_layers)
        return c->layers.bytes;
    return c->has_before ? function_layers_kept_bytes(json_get(c->before.attributes, "Layers")) : 0;
}

/* ---- the answer ---- */

static void on_made(struct store_task *t)
{
    struct function_change *c = (struct function_change *)(void *)t;
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
        if (r == 0 && c->dry_run)
            r = configuration_foresee(&made, buf_str(&c->attributes));
        if (r == 0) {
            configuration_put(&made, moment, lambda_reply_begin());
            lambda_reply_json(c->x, c->kind == CHANGE_CREATE ? 201 : 200);
        } else {
            lambda_fail(c->x, LAMBDA_SERVICE, "it is done, but can't be described");
        }
        configuration_close(&made);
    }
    function_change_free(c);
}

static void read_again(struct function_change *c, uint64_t number)
{
    configuration_close(&c->before);
    store_page_fini(&c->page);
    store_page_init(&c->page);
    c->page.most = 1;
    c->page.from_number = c->publish && !c->dry_run ? number : VERSIONS_LATEST_NUMBER;
    memcpy(c->page.function, c->name, sizeof(c->name));
    memcpy(c->page.from, c->name, sizeof(c->name));
    c->page.task.done = on_made;
    store_submit(c->x->gateway->store, &c->page.task);
}

static void refuse_in_lambdas_words(struct function_change *c, const struct reply *r)
{
    static const char line[] = "line 1: "; /* of settings that the client did not write */
    char message[2048];
    struct str said =
        str_starts_with(r->error_message, line) ? str_skip(r->error_message, sizeof(line) - 1) : r->error_message;
    bool of_archive = r->error_type && strcmp(r->error_type, "BadRequest") == 0 && c->complete;
    snprintf(message, sizeof(message), "%.*s", (int)(said.n < 1900 ? said.n : 1900), said.n ? said.p : "");
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
    struct function_change *c = inner->context;
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
        function_change_free(c);
}

/* ---- the deploy ---- */

static void break_off(struct function_change *c, enum lambda_error type, const char *fault)
{
    c->fault = fault;
    c->fault_type = type;
    c->inner->sink->on_gone(c->inner);
}

static void finish_upload(struct function_change *c)
{
    char sha[CONFIGURATION_SHA_MAX];
    code_source_sha256(&c->source, sha);
    struct function_sources s = function_change_sources(c);
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

void function_deploy_feed(struct function_change *c)
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
    function_deploy_feed(inner->context);
}

/* The head of what the control API would have been sent. */
static struct exchange *make_exchange(struct function_change *c)
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

void function_deploy_start(struct function_change *c)
{
    struct exchange *inner = c->inner = make_exchange(c);
    if (!inner) {
        function_change_fail(c, LAMBDA_UNAVAILABLE, "out of memory");
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
        function_deploy_feed(c);
    c->starting = false;
    if (c->over)
        function_change_free(c);
}
