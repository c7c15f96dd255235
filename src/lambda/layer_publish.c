/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PublishLayerVersion:
 *
 *   the bucket's file is opened, where it comes from one   none: the supervisor answers every message
 *   the tree is made, fed with the archive                 the tree's timers (gateway/tree_make.h)
 *   the row is stored                                      none: the store answers every task
 */
#include "base/clock.h"
#include "gateway/store.h"
#include "gateway/tree_make.h"
#include "lambda/code_source.h"
#include "lambda/function_read.h"
#include "lambda/function_settings.h"
#include "lambda/layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 70167211 };

struct publish {
    struct store_task task; /* first */
    struct exchange *x;     /* to be ended */
    struct layer_place place;
    struct layer_name name;
    struct json_doc *doc; /* owned: what is asked for */
    struct str zip;       /* in x->body */
    struct code_source source;
    struct tree_make *tree; /* released at the end */
    bool complete;          /* all of the archive was sent */
    bool broken_off;
    struct tree_result result;
    struct buf attributes;
    struct store_layer row;
};

static void publish_free(struct publish *p)
{
    code_source_close(&p->source);
    tree_make_release(p->tree);
    json_free(p->doc);
    buf_fini(&p->attributes);
    free(p);
}

static void fail(struct publish *p, enum lambda_error error, const char *text)
{
    lambda_fail_str(p->x, error, str_from(text));
    publish_free(p);
}

/* ---- the row ---- */

static int print_attributes(struct publish *p)
{
    static const char *const names[] = {"Description", "LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"};
    char sha[CONFIGURATION_SHA_MAX];
    struct json_writer w;
    code_source_sha256(&p->source, sha);
    json_writer_init(&w, &p->attributes);
    json_put_object(&w, NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct json *value = json_get(json_root(p->doc), names[i]);
        if (value && !json_is_null(value))
            json_put_value(&w, names[i], value);
    }
    json_put_u64(&w, "CodeSize", p->source.bytes);
    json_put_text(&w, "CodeSha256", sha);
    json_put_object_end(&w);
    int r = json_writer_end(&w);
    return r < 0 ? r : buf_add(&p->attributes, "", 1);
}

static void run_insert(struct store_task *t, struct store_db *db)
{
    struct publish *p = (struct publish *)(void *)t;
    store_layers_insert(db, &p->row, &p->row.number, &t->error);
}

static void on_stored(struct store_task *t)
{
    struct publish *p = (struct publish *)(void *)t;
    if (t->error.code == E2BIG) {
        lambda_fail(p->x, LAMBDA_CODE_STORAGE_EXCEEDED, "%s", t->error.text);
    } else if (t->error.code) {
        lambda_fail_store(p->x, &t->error);
    } else {
        struct json_writer *w = lambda_reply_begin();
        layer_put_content(&p->place, &p->row, w);
        layer_put_version(&p->place, &p->row, w);
        lambda_reply_json(p->x, 201);
    }
    publish_free(p);
}

/* ---- the tree ---- */

static void refuse(struct publish *p)
{
    const struct err *e = &p->result.error;
    if (p->source.fault)
        lambda_fail(p->x, p->source.error, "%s", p->source.fault);
    else if (e->code == EMSGSIZE)
        lambda_fail(p->x, LAMBDA_INVALID_PARAMETER_VALUE, "Unzipped size must be smaller than %d bytes",
                    CODE_SOURCE_UNZIPPED_MAX);
    else if (e->code == EINVAL)
        lambda_fail(p->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Could not unzip uploaded file. Please check your file, then try to upload again. (%s)", e->text);
    else if (e->code == ENOSPC || e->code == EDQUOT)
        lambda_fail(p->x, LAMBDA_CODE_STORAGE_EXCEEDED, "%s", e->text);
    else
        lambda_fail(p->x, e->code == EAGAIN || e->code == ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE, "%s", e->text);
}

static void on_tree(void *owner, const struct tree_result *r)
{
    struct publish *p = owner;
    p->result = *r;
    if (r->error.code || p->source.fault) {
        refuse(p);
        publish_free(p);
        return;
    }
    if (print_attributes(p) < 0) {
        fail(p, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    p->row = (struct store_layer){.name = p->name.name,
                                  .code = p->result.digest,
                                  .code_bytes = p->result.bytes,
                                  .created_ms = clock_real_ms(),
                                  .attributes = p->attributes.data,
                                  .most = p->x->gateway->config->lambda.layers_max};
    p->task.run = run_insert;
    p->task.done = on_stored;
    store_submit(p->x->gateway->store, &p->task);
}

static void feed(struct publish *p)
{
    while (!p->complete && !p->broken_off) {
        struct str piece;
        switch (code_source_next(&p->source, &piece)) {
        case CODE_SOURCE_WAIT:
            return; /* on_source() */
        case CODE_SOURCE_FAULT:
            p->broken_off = true;
            tree_make_cancel(p->tree);
            return;
        case CODE_SOURCE_END:
            p->complete = true;
            tree_make_end(p->tree);
            return;
        case CODE_SOURCE_PIECE:
            break;
        }
        size_t taken = tree_make_write(p->tree, piece);
        code_source_take(&p->source, taken);
        if (taken < piece.n)
            return; /* on_room() */
    }
}

static void on_room(void *owner)
{
    feed(owner);
}

static void on_source(void *owner)
{
    struct publish *p = owner;
    struct err e = {0};
    if (p->tree) {
        feed(p);
        return;
    }
    if (code_source_opened(&p->source) == CODE_SOURCE_FAULT) {
        fail(p, p->source.error, p->source.fault);
        return;
    }
    uint64_t most = p->x->gateway->config->code_bytes_max;
    const struct tree_make_options o = {.bytes_max = most < CODE_SOURCE_UNZIPPED_MAX ? most : CODE_SOURCE_UNZIPPED_MAX,
                                        .on_room = on_room,
                                        .on_done = on_tree,
                                        .owner = p};
    p->tree = tree_make_start(p->x->gateway, &o, &e);
    if (p->tree)
        feed(p);
    else
        fail(p, LAMBDA_UNAVAILABLE, e.text);
}

/* ---- what is asked for ---- */

static void publish(struct lambda_call *call)
{
    struct layer_name name;
    if (!call->body || !layer_take_name(call, &name)) {
        lambda_fail(call->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The layer is one of another region or account, where this host can't publish");
        return;
    }
    struct publish *p = calloc(1, sizeof(*p));
    if (!p) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    buf_init(&p->attributes, 0);
    p->x = call->x;
    p->name = name;
    p->doc = call->doc;
    call->doc = NULL;
    p->zip = call->zip;
    layer_place_of(call, &p->place);
    p->source.on_more = on_source;
    p->source.owner = p;
    const struct json *content = json_get(json_root(p->doc), "Content");
    if (code_source_open(&p->source, p->x->gateway, content, p->zip) != CODE_SOURCE_WAIT)
        on_source(p);
}

static const char *const ARCHITECTURES[] = {"x86_64", "arm64", NULL};
static const struct lambda_member RUNTIME[] = {{.type = LAMBDA_STRING, .choices = function_runtimes}, {0}};
static const struct lambda_member ARCHITECTURE[] = {{.type = LAMBDA_STRING, .choices = ARCHITECTURES}, {0}};
static const struct lambda_member PUBLISH[] = {
    LAYER_NAME_MEMBER,
    LAMBDA_DESCRIPTION,
    {.name = "Content", .type = LAMBDA_STRUCTURE, .required = true, .members = function_code_members},
    {.name = "CompatibleRuntimes", .type = LAMBDA_LIST, .bounded = true, .max = 15, .members = RUNTIME},
    {.name = "LicenseInfo", .bounded = true, .max = 512},
    {.name = "CompatibleArchitectures", .type = LAMBDA_LIST, .bounded = true, .max = 2, .members = ARCHITECTURE},
    {0},
};

const struct lambda_operation lambda_publish_layer_version = {
    .route = LAMBDA_CODE_ROUTE("POST", BODY_MAX),
    .name = "PublishLayerVersion",
    .path = LAYER_PATH,
    .run = publish,
    .members = PUBLISH,
};
