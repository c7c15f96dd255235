/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_layers.h"

#include "gateway/store_layers.h"
#include "lambda/code_source.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static_assert((int)FUNCTION_LAYERS_MAX == (int)MESSAGE_LAYERS_MAX, "all of them can be merged");

static bool fail(struct function_layers *l, enum lambda_error error, const char *text)
{
    l->error = error;
    snprintf(l->fault, sizeof(l->fault), "%s", text);
    return false;
}

static void conclude(struct function_layers *l)
{
    l->done(l->owner);
}

/* ---- several become one ---- */

static void on_room(void *owner)
{
    (void)owner;
}

static void on_merged(void *owner, const struct tree_result *r)
{
    struct function_layers *l = owner;
    l->is_merging = false;
    if (r->error.code == EMSGSIZE || r->error.code == EINVAL)
        fail(l, LAMBDA_INVALID_PARAMETER_VALUE, r->error.text);
    else if (r->error.code == ENOSPC || r->error.code == EDQUOT)
        fail(l, LAMBDA_CODE_STORAGE_EXCEEDED, r->error.text);
    else if (r->error.code)
        fail(l, r->error.code == EAGAIN || r->error.code == ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE,
             r->error.text);
    else
        memcpy(l->opt, r->digest, sizeof(l->opt));
    conclude(l);
}

static void merge(struct function_layers *l)
{
    char layers[FUNCTION_LAYERS_MAX][MESSAGE_DIGEST_MAX];
    struct err e = {0};
    for (unsigned i = 0; i < l->count; i++)
        memcpy(layers[i], l->at[i].code, sizeof(layers[i]));
    const struct tree_make_options o = {.bytes_max = CODE_SOURCE_UNZIPPED_MAX,
                                        .layer_count = l->count,
                                        .layers = (const char(*)[MESSAGE_DIGEST_MAX])layers,
                                        .on_room = on_room,
                                        .on_done = on_merged,
                                        .owner = l};
    l->merge = tree_make_start(l->gateway, &o, &e);
    l->is_merging = l->merge != NULL;
    if (!l->merge) {
        fail(l, LAMBDA_UNAVAILABLE, e.text);
        conclude(l);
    }
}

/* ---- what they are ---- */

static int on_layer(const struct store_layer *row, void *context)
{
    struct function_layer *to = context;
    struct json_doc *doc = NULL;
    struct err ignored;
    if (!str_copy(str_from(row->code), to->code, sizeof(to->code)))
        return -EUCLEAN;
    to->bytes = row->code_bytes;
    if (json_parse(str_from(row->attributes), JSON_STRICT, &doc, &ignored) == 0)
        json_get_u64(json_root(doc), "CodeSize", &to->code_size);
    json_free(doc);
    return 0;
}

static void run_read(struct store_task *t, struct store_db *db)
{
    struct function_layers *l = (struct function_layers *)(void *)t;
    for (unsigned i = 0; i < l->count && t->error.code == 0; i++) {
        struct function_layer *at = &l->at[i];
        store_layers_read(db, at->name.name, at->name.number, on_layer, at, &t->error);
    }
}

static void on_read(struct store_task *t)
{
    struct function_layers *l = (struct function_layers *)(void *)t;
    char text[FUNCTION_LAYERS_FAULT_MAX], arn[LAYER_ARN_MAX];
    unsigned found = 0;
    while (found < l->count && l->at[found].code[0])
        found++;
    for (unsigned i = 0; i < found; i++) {
        tree_hold(&l->at[i].hold, l->at[i].code);
        l->bytes += l->at[i].bytes;
    }
    if (t->error.code == ENOENT && found < l->count) {
        const struct layer_name *name = &l->at[found].name;
        snprintf(text, sizeof(text), "Layer version %s does not exist.",
                 layer_name_print(name->region, name->account, name->name, name->number, arn));
        fail(l, LAMBDA_INVALID_PARAMETER_VALUE, text);
    } else if (t->error.code) {
        fail(l, t->error.code == EAGAIN || t->error.code == ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE,
             t->error.text);
    } else if (l->bytes > CODE_SOURCE_UNZIPPED_MAX) {
        snprintf(text, sizeof(text), "Layers consume more than the available size of %d bytes",
                 CODE_SOURCE_UNZIPPED_MAX);
        fail(l, LAMBDA_INVALID_PARAMETER_VALUE, text);
    } else if (l->before_opt[0]) {
        memcpy(l->opt, l->before_opt, sizeof(l->opt));
    } else if (l->count > 1) {
        merge(l);
        return;
    } else {
        memcpy(l->opt, l->at[0].code, sizeof(l->opt));
    }
    conclude(l);
}

static_assert(offsetof(struct function_layers, task) == 0, "on_read recovers them from their task");

/* ---- which they are ---- */

static bool take_name(struct function_layers *l, const struct function_layers_question *q, const char *arn)
{
    char text[FUNCTION_LAYERS_FAULT_MAX], other_arn[LAYER_ARN_MAX];
    struct layer_name *name = &l->at[l->count].name;
    bool known = layer_name_parse(str_from(arn), name) && name->number && strcmp(name->region, q->region) == 0 &&
                 strcmp(name->account, q->gateway->config->lambda_account) == 0;
    if (!known) {
        snprintf(text, sizeof(text), "Layer version %.200s does not exist.", arn);
        return fail(l, LAMBDA_INVALID_PARAMETER_VALUE, text);
    }
    for (unsigned i = 0; i < l->count; i++) {
        const struct layer_name *other = &l->at[i].name;
        if (strcmp(other->name, name->name) != 0)
            continue;
        if (other->number == name->number)
            snprintf(text, sizeof(text), "The layer version %.200s is referenced twice: name it once.", arn);
        else
            snprintf(text, sizeof(text),
                     "Two different versions of the same layer are not allowed to be referenced in the same function. "
                     "%s and %.200s are versions of the same layer.",
                     layer_name_print(q->region, other->account, other->name, other->number, other_arn), arn);
        return fail(l, LAMBDA_INVALID_PARAMETER_VALUE, text);
    }
    l->count++;
    return true;
}

/* Versions never change: the same ones in the same order are the same tree. */
static bool are_as_before(const struct function_layers *l, const struct json *before)
{
    unsigned i = 0;
    JSON_EACH(before, at)
    {
        struct layer_name had;
        const char *arn = json_get_text(at, "Arn");
        if (i == l->count || !arn || !layer_name_parse(str_from(arn), &had) ||
            strcmp(had.name, l->at[i].name.name) != 0 || had.number != l->at[i].name.number)
            return false;
        i++;
    }
    return i == l->count;
}

bool function_layers_find(struct function_layers *l, const struct function_layers_question *q)
{
    l->gateway = q->gateway;
    assert(json_count(q->asked) <= FUNCTION_LAYERS_MAX); /* checked with the settings */
    JSON_EACH(q->asked, at)
    {
        if (!take_name(l, q, json_text(at)))
            return false;
    }
    if (l->count == 0)
        return true;
    if (q->before && are_as_before(l, q->before))
        str_copy(str_from(q->before_opt), l->before_opt, sizeof(l->before_opt));
    l->task.run = run_read;
    l->task.done = on_read;
    store_submit(l->gateway->store, &l->task);
    return true;
}

void function_layers_close(struct function_layers *l)
{
    assert(!l->is_merging);
    for (unsigned i = 0; i < l->count; i++)
        tree_let_go(&l->at[i].hold);
    tree_make_release(l->merge);
    l->merge = NULL;
    l->count = 0;
}

int function_layers_print(const struct function_layers *l, const char *region, struct buf *out)
{
    char arn[LAYER_ARN_MAX];
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_array(&w, NULL);
    for (unsigned i = 0; i < l->count; i++) {
        const struct function_layer *at = &l->at[i];
        json_put_object(&w, NULL);
        json_put_text(&w, "Arn", layer_name_print(region, at->name.account, at->name.name, at->name.number, arn));
        json_put_u64(&w, "CodeSize", at->code_size);
        json_put_u64(&w, "Bytes", at->bytes);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    return json_writer_end(&w);
}

uint64_t function_layers_kept_bytes(const struct json *kept)
{
    uint64_t total = 0, bytes;
    JSON_EACH(kept, at)
    {
        if (json_get_u64(at, "Bytes", &bytes))
            total += bytes;
    }
    return total;
}
