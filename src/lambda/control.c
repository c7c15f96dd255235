/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/control.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/pool_limit.h"
#include "gateway/store_controls.h"
#include "gateway/version_warm.h"
#include "lambda/function_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a change ---- */

void control_free(struct control_change *c)
{
    function_put(c->function);
    free(c);
}

static void finish(struct control_change *c)
{
    change_queue_leave(&c->turn);
    control_free(c);
}

const char *control_arn(const struct control_change *c, const char *qualifier, char out[LAMBDA_ARN_MAX])
{
    snprintf(out, LAMBDA_ARN_MAX, "arn:aws:lambda:%s:%s:function:%s%s%s", c->region,
             c->x->gateway->config->lambda_account, c->function->name, *qualifier ? ":" : "", qualifier);
    return out;
}

static void run(struct store_task *t, struct store_db *db)
{
    const struct control_change *c = (struct control_change *)(void *)t;
    c->kind->store(c, db, &t->error);
}

static void on_stored(struct store_task *t)
{
    struct control_change *c = (struct control_change *)(void *)t;
    char arn[LAMBDA_ARN_MAX];
    if (t->error.code == ENOENT)
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %s", control_arn(c, c->qualifier, arn));
    else if (t->error.code)
        lambda_fail_store(c->x, &t->error);
    else
        c->kind->apply(c);
    finish(c);
}

static void begin(struct queued_change *t)
{
    struct control_change *c = LIST_ENTRY(t, struct control_change, turn);
    if (c->kind->check && !c->kind->check(c)) {
        finish(c);
        return;
    }
    c->task.run = run;
    c->task.done = on_stored;
    store_submit(c->x->gateway->store, &c->task);
}

struct control_change *control_new(struct lambda_call *call, struct function *f, const struct control_kind *kind)
{
    struct control_change *c = calloc(1, sizeof(*c));
    if (!c) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    c->kind = kind;
    c->x = call->x;
    c->function = function_get(f);
    c->real_ms = clock_real_ms();
    c->turn.begin = begin;
    memcpy(c->region, call->region, sizeof(c->region));
    if (!str_copy(call->function.qualifier, c->qualifier, sizeof(c->qualifier)))
        c->qualifier[0] = '\0'; /* what was found has a name that fits */
    return c;
}

void control_start(struct control_change *c)
{
    change_queue_enter(&c->turn);
}

/* ---- at start ---- */

static struct function *find(struct gateway *g, const char *name)
{
    return registry_find(g->registry, str_from(name));
}

static void take_limit(const char *name, uint64_t limit, void *context)
{
    struct function *f = find(context, name);
    if (f)
        pool_limit_set(f, (uint32_t)limit);
}

/* Of an alias that names $LATEST by now, too: it may be moved again. */
static void take_provisioned(const struct store_provisioned *row, void *context)
{
    struct function *f = find(context, row->function);
    struct str qualifier = str_from(row->qualifier);
    if (f && versions_set_warm(&f->versions, qualifier, (uint32_t)row->count))
        versions_note_warm(&f->versions, qualifier, row->modified_ms);
}

static void take_async(const char *name, const struct async_config *c, void *context)
{
    struct function *f = find(context, name);
    if (f && async_config_put(&f->versions, c) < 0)
        log_error("out of memory: what holds for asynchronous calls is not known fn=%s:%s", name, c->qualifier);
}

static void settle(struct function *f, void *context)
{
    (void)context;
    if (f->versions.warm_total)
        version_warm_settle(f);
}

int control_load(struct gateway *g, struct err *e)
{
    const struct store_controls_events on = {
        .on_limit = take_limit, .on_provisioned = take_provisioned, .on_async = take_async, .context = g};
    int r = store_controls_load(store_database(g->store), &on, e);
    if (r == 0)
        registry_walk(g->registry, settle, NULL);
    return r;
}
