/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/version.h"

#include "gateway/deploy.h"
#include "gateway/version_collect.h"
#include "lambda/configuration.h"
#include "lambda/function_members.h"
#include "lambda/function_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char lambda_stale_revision[] = "The Revision Id provided does not match the latest Revision Id. Call the "
                                     "GetFunction/GetAlias API to retrieve the latest Revision Id";

/* Deploys of the function are kept away while it lasts. None of its steps needs a timer: the store answers every task. */
struct publish {
    struct store_page page; /* first: the row of $LATEST, then that of the version */
    struct store_publish change;
    struct deploy_hold hold;
    struct exchange *x;
    struct function *function; /* counted */
    char region[LAMBDA_REGION_MAX];
    struct json_doc *doc; /* owned; NULL: nothing is asked for */
    uint64_t number;
};

static void publish_free(struct publish *p)
{
    deploy_release(&p->hold);
    store_page_fini(&p->page);
    store_publish_fini(&p->change);
    function_put(p->function);
    json_free(p->doc);
    free(p);
}

static void fail_busy(struct exchange *x, const char *region, const char *name)
{
    lambda_fail(x, LAMBDA_RESOURCE_CONFLICT,
                "The operation cannot be performed at this time. An update is in progress for resource: "
                "arn:aws:lambda:%s:%s:function:%s",
                region, x->gateway->config->lambda_account, name);
}

static void read_row(struct publish *p, uint64_t number, void (*done)(struct store_task *t))
{
    store_page_fini(&p->page);
    store_page_init(&p->page);
    memcpy(p->page.function, p->function->name, sizeof(p->page.function));
    memcpy(p->page.from, p->function->name, sizeof(p->page.from));
    p->page.from_number = number;
    p->page.most = 1;
    p->page.task.done = done;
    store_submit(p->x->gateway->store, &p->page.task);
}

/* ---- the answer ---- */

static void on_made(struct store_task *t)
{
    struct publish *p = (struct publish *)(void *)t;
    struct configuration c = {0};
    if (t->error.code) {
        lambda_fail_store(p->x, &t->error);
    } else if (!p->page.count || p->page.rows[0].shown != p->number ||
               configuration_open(&c, p->x->gateway->config, p->region, &p->page.rows[0]) < 0) {
        lambda_fail(p->x, LAMBDA_SERVICE, "it is done, but can't be described");
    } else {
        configuration_put(&c, CONFIGURATION_SETTLED, lambda_reply_begin());
        lambda_reply_json(p->x, 201);
    }
    configuration_close(&c);
    publish_free(p);
}

static void on_published(struct store_task *t)
{
    struct publish *p = LIST_ENTRY(t, struct publish, change.task);
    struct function *f = p->function;
    if (t->error.code == ENOENT)
        fail_busy(p->x, p->region, f->name);
    else if (t->error.code)
        lambda_fail_store(p->x, &t->error);
    if (t->error.code) {
        publish_free(p);
        return;
    }
    if (!f->removed)
        versions_add(&f->versions, p->number, 0); /* there is room: publish() */
    read_row(p, p->number, on_made);
}

/* ---- what is published ---- */

/* The row's attributes and the version's own description. */
static int print_attributes(const struct publish *p, const struct configuration *c, struct buf *out)
{
    struct json_writer w;
    const struct json *description = p->doc ? json_get(json_root(p->doc), "Description") : NULL;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    JSON_EACH(c->attributes, at)
    {
        if (strcmp(json_key(at), "PublishedDescription") != 0)
            json_put_value(&w, json_key(at), at);
    }
    if (json_text(description))
        json_put_value(&w, "PublishedDescription", description);
    json_put_object_end(&w);
    return json_writer_end(&w);
}

/* False: the exchange was ended. */
static bool check(const struct publish *p, const struct configuration *c)
{
    char sha[CONFIGURATION_SHA_MAX], id[ID_UUID_MAX];
    const struct json *asked = p->doc ? json_root(p->doc) : NULL;
    const char *wanted_sha = json_get_text(asked, "CodeSha256"), *wanted_id = json_get_text(asked, "RevisionId");
    configuration_code_sha256(c, sha);
    configuration_revision_id(c, CONFIGURATION_SETTLED, id);
    if (wanted_id && strcmp(wanted_id, id) != 0)
        lambda_fail(p->x, LAMBDA_PRECONDITION_FAILED, "%s", lambda_stale_revision);
    else if (wanted_sha && *wanted_sha && strcmp(wanted_sha, sha) != 0)
        lambda_fail(
            p->x, LAMBDA_INVALID_PARAMETER_VALUE,
            "CodeSHA256 (%.64s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the "
            "CodeSHA256 in $LATEST.",
            wanted_sha, sha);
    else
        return true;
    return false;
}

/* Publishes, or finds that it is published. False: the exchange was ended. */
static bool publish(struct publish *p, const struct configuration *c)
{
    const struct store_revision *r = &p->page.rows[0].revision;
    struct versions *v = &p->function->versions;
    uint32_t most = p->x->gateway->config->versions_max;
    p->number = r->number;
    if (r->publication == STORE_PUBLISHED) {
        read_row(p, p->number, on_made);
        return true;
    }
    if (r->publication == STORE_DRAFT && v->count >= most) {
        lambda_fail(p->x, LAMBDA_CODE_STORAGE_EXCEEDED,
                    "The function has %zu versions, and the limit 'versions' is %u: delete one", v->count, most);
        return false;
    }
    store_publish_init(&p->change, p->function->name, p->number);
    p->change.created_ms = r->created_ms;
    if (print_attributes(p, c, &p->change.attributes) < 0 || versions_reserve(v) < 0) {
        lambda_fail(p->x, LAMBDA_UNAVAILABLE, "out of memory");
        return false;
    }
    p->change.task.done = on_published;
    store_submit(p->x->gateway->store, &p->change.task);
    return true;
}

static void on_latest(struct store_task *t)
{
    struct publish *p = (struct publish *)(void *)t;
    struct configuration c = {0};
    bool goes_on = false;
    if (t->error.code)
        lambda_fail_store(p->x, &t->error);
    else if (!p->page.count || p->page.rows[0].shown ||
             configuration_open(&c, p->x->gateway->config, p->region, &p->page.rows[0]) < 0)
        lambda_fail(p->x, LAMBDA_SERVICE, "what is stored of this function can't be read: deploy it again");
    else
        goes_on = check(p, &c) && publish(p, &c);
    configuration_close(&c);
    if (!goes_on)
        publish_free(p);
}

/* NULL: the exchange was ended. */
static struct publish *publish_new(struct lambda_call *c, struct function *f)
{
    struct publish *p = calloc(1, sizeof(*p));
    if (!p) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    if (!deploy_hold(&p->hold, str_from(f->name))) {
        fail_busy(c->x, c->region, f->name);
        free(p);
        return NULL;
    }
    store_page_init(&p->page);
    p->x = c->x;
    p->function = function_get(f);
    memcpy(p->region, c->region, sizeof(p->region));
    p->doc = c->doc;
    c->doc = NULL;
    return p;
}

static void publish_version(struct lambda_call *c)
{
    struct function *f = lambda_find_whole(c, "What is published is the function's $LATEST");
    struct publish *p = f ? publish_new(c, f) : NULL;
    if (p)
        read_row(p, VERSIONS_LATEST_NUMBER, on_latest);
}

/* ---- deleting one ---- */

static void on_removed(struct store_task *t)
{
    struct publish *p = LIST_ENTRY(t, struct publish, change.task);
    struct function *f = p->function;
    if (t->error.code && t->error.code != ENOENT) {
        lambda_fail_store(p->x, &t->error);
    } else {
        if (!f->removed)
            versions_forget(&f->versions, p->number);
        if (f->current)
            version_collect(p->x->gateway, f); /* its code may be nobody's now */
        lambda_reply_empty(p->x, 204);
    }
    publish_free(p);
}

static const struct versions_alias *find_user(const struct versions *v, uint64_t number)
{
    for (size_t i = 0; i < v->alias_count; i++)
        if (v->aliases[i]->number == number || v->aliases[i]->second == number)
            return v->aliases[i];
    return NULL;
}

void version_delete(struct lambda_call *c, struct function *f)
{
    uint64_t number = 0;
    struct str qualifier = c->function.qualifier;
    if (str_is(qualifier, "$LATEST")) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "$LATEST version cannot be deleted without deleting the function.");
        return;
    }
    if (versions_find_alias(&f->versions, qualifier)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Deletion of aliases is not currently supported: DeleteAlias does it");
        return;
    }
    if (!lambda_find_number(c, f, &number))
        return;
    const struct versions_alias *user = find_user(&f->versions, number);
    if (user) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT, "Version %lu is named by the alias %s: change or delete that first",
                    (unsigned long)number, user->name);
        return;
    }
    struct publish *p = publish_new(c, f);
    if (!p)
        return;
    p->number = number;
    store_publish_init(&p->change, f->name, number);
    p->change.removes = true;
    p->change.task.done = on_removed;
    store_submit(c->x->gateway->store, &p->change.task);
}

const struct lambda_operation lambda_publish_version = {
    .route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "PublishVersion",
    .path = "/2015-03-31/functions/{FunctionName}/versions",
    .run = publish_version,
    .members = function_publish_members,
};
