/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST .../rollback: $LATEST moves to an earlier version. Settings go back with the code, as a version is both. It is tried like a deploy before it serves: the host may
 * have changed since, and what it was granted may have been taken back.
 */
#include "codec/json.h"
#include "gateway/deploy.h"
#include "gateway/deploy_job.h"
#include "gateway/learning.h"
#include "gateway/revision.h"
#include "gateway/role.h"
#include "gateway/secrets.h"
#include "gateway/version_collect.h"

#include <errno.h>
#include <string.h>

static struct deploy *deploy_of_read(struct store_task *t)
{
    return LIST_ENTRY(t, struct deploy, read.task);
}

static void fail_unknown(struct deploy *d)
{
    const struct function *f = registry_find(d->gateway->registry, str_from(d->name));
    char choices[VERSIONS_CHOICES_MAX] = "";
    if (f)
        versions_print_choices(&f->versions, choices);
    if (d->read.number)
        deploy_fail(d, 404, "ResourceNotFound", "function '%s' has no version %lu; it has %s", d->name,
                    (unsigned long)d->read.number, choices);
    else
        deploy_fail(d, 404, "ResourceNotFound", "function '%s' has nothing to go back to before version %lu; it has %s",
                    d->name, (unsigned long)d->before->number, choices);
}

/* What a deploy would check, too. 0, or the rollback has failed. */
static int check(struct deploy *d)
{
    struct err e;
    d->version = revision_load(d->gateway->config, &d->read.row.revision, &e);
    if (!d->version) {
        deploy_fail(d, 500, "InternalError", "read version %lu: %s", (unsigned long)d->read.row.revision.number,
                    e.text);
        return -EINVAL;
    }
    int r = revision_check(d->gateway->config, &d->version->settings, &e);
    if (r == 0)
        r = role_check(d->gateway->config, &d->version->settings, d->version->role, &e);
    if (r == 0)
        r = secrets_check(d->gateway->secrets, &d->version->settings, &e);
    if (r == -EPERM)
        deploy_fail(d, 403, "Forbidden", "%s", e.text);
    else if (r < 0)
        deploy_fail(d, 400, "BadRequest", "%s", e.text);
    return r;
}

static void on_read(struct store_task *t)
{
    struct deploy *d = deploy_of_read(t);
    if (deploy_ends_cut_off(d))
        return;
    if (t->error.code == ENOENT) {
        fail_unknown(d);
        return;
    }
    if (t->error.code) {
        deploy_fail_host(d, &t->error, "look for the version");
        return;
    }
    if (d->read.row.revision.number == d->before->number) {
        deploy_succeed(d, true);
        return;
    }
    if (check(d) < 0)
        return;
    memcpy(d->code, d->version->code, sizeof(d->code));
    if (deploy_describe_changes(d) < 0)
        deploy_fail(d, 503, "NoCapacity", "out of memory");
    else if (d->dry_run)
        deploy_succeed(d, false);
    else
        deploy_try(d);
}

static void on_moved(struct store_task *t)
{
    struct deploy *d = LIST_ENTRY(t, struct deploy, move.task);
    if (t->error.code) {
        deploy_fail_host(d, &t->error, "store the rollback");
        return;
    }
    registry_set_current(d->gateway->registry, d->function, version_get(d->version));
    learning_begin(d->gateway, d->function);
    version_collect(d->gateway, d->function);
    deploy_succeed(d, false);
}

void deploy_move(struct deploy *d)
{
    deploy_set_state(d, DEPLOY_STORING);
    store_version_move_init(&d->move, d->name, d->version->number);
    d->move.task.done = on_moved;
    store_submit(d->gateway->store, &d->move.task);
}

/* {"version": N}, or nothing. False: the deploy has failed. */
static bool read_body(struct deploy *d, struct str body, uint64_t *ret_number)
{
    struct json_doc *doc = NULL;
    struct err e;
    bool good = true;
    *ret_number = 0;
    if (!str_trim(body).n)
        return true;
    if (json_parse(body, JSON_STRICT, &doc, &e) < 0) {
        deploy_fail(d, 400, "BadRequest", "the body: %s", e.text);
        return false;
    }
    const struct json *root = json_root(doc);
    good = json_is_object(root);
    JSON_EACH(root, at)
    {
        good = good && strcmp(json_key(at), "version") == 0 && json_to_u64(at, ret_number) && *ret_number > 0;
    }
    json_free(doc);
    if (!good)
        deploy_fail(d, 400, "BadRequest",
                    "the body has to be empty, or {\"version\": N} with the number to go back to");
    return good;
}

void deploy_rollback(struct exchange *x, struct str name)
{
    uint64_t number;
    struct deploy *d = deploy_new(x, name);
    if (!d)
        return;
    d->goes_back = true;
    if (!deploy_is_known(d) || !read_body(d, x->body, &number))
        return;
    deploy_set_state(d, DEPLOY_LOOKING);
    store_version_read_init(&d->read, d->name, number);
    d->read.task.done = on_read;
    store_submit(d->gateway->store, &d->read.task);
}
