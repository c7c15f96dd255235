/* SPDX-License-Identifier: Apache-2.0 */
/* The second half: hash the tree, move it into place, try it, commit the row, serve it. */
#include "gateway/deploy_job.h"
#include "gateway/instance.h"
#include "gateway/learning.h"
#include "gateway/pool.h"
#include "gateway/revision.h"
#include "gateway/store.h"
#include "gateway/version_collect.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- what is stored, then served ---- */

static void on_stored(void *owner, const struct err *e)
{
    struct deploy *d = owner;
    if (e->code) {
        deploy_fail_host(d, e, "store the new version");
        return;
    }
    if (!d->wish || d->wish->publication != STORE_DRAFT)
        versions_add(&d->function->versions, d->version->number, 0); /* there is room: store_it() */
    registry_set_current(d->gateway->registry, d->function, version_get(d->version));
    learning_begin(d->gateway, d->function);
    version_collect(d->gateway, d->function);
    deploy_succeed(d, false);
}

static void store_it(struct deploy *d)
{
    const struct version *v = d->version;
    if (versions_reserve(&d->function->versions) < 0) {
        deploy_fail(d, 503, "NoCapacity", "out of memory");
        return;
    }
    struct store_revision row = {
        .function = d->name,
        .revision = v->revision,
        .code = v->code,
        .number = v->number,
        .created_ms = v->created_ms,
        .code_bytes = v->code_bytes,
        .replaced = d->before ? d->before->number : 0,
        .current = true,
        .handler = revision_entry(v),
        .settings = buf_str(&d->settings_json),
        .opt = v->opt,
        .role = v->role,
    };
    if (d->wish) {
        row.publication = d->wish->publication;
        row.attributes = d->wish->attributes;
    }
    deploy_set_state(d, DEPLOY_STORING);
    store_put_revision(d->gateway->store, &row, on_stored, d);
}

/* ---- the trial ---- */

/* What fits, without half a UTF-8 character at its end. */
static struct str cut_message(struct str message)
{
    if (message.n <= DEPLOY_FAULT_MAX)
        return message;
    size_t n = DEPLOY_FAULT_MAX;
    while (n && ((unsigned char)message.p[n] & 0xc0) == 0x80)
        n--;
    return (struct str){message.p, n};
}

/* `said` may be NULL. */
static int print_failure(const struct deploy *d, const struct err *e, const struct instance_fault *said,
                         struct buf *out)
{
    struct str message = said ? cut_message(said->message) : str_from(e->text);
    struct str warnings = buf_str(&d->warnings);
    int r = buf_add_text(out, "the function could not be started: ");
    if (r == 0 && said)
        r = buf_addf(out, "%.*s: ", (int)said->type.n, said->type.p);
    if (r == 0)
        r = buf_add_str(out, message);
    if (r == 0 && said && message.n < said->message.n)
        r = buf_addf(out, " ... (%zu of %zu bytes)", message.n, said->message.n);
    while (warnings.n && warnings.p[warnings.n - 1] == '\n')
        warnings.n--;
    if (r == 0 && warnings.n) /* what the unpacker found is probably why */
        r = buf_addf(out, "\n%.*s", (int)warnings.n, warnings.p);
    return r;
}

static void fail_trial(struct deploy *d, const struct err *e, const struct instance_fault *said)
{
    struct buf text;
    char type[INSTANCE_FAULT_TYPE_MAX] = "BadRequest";
    buf_init(&text, 0);
    if (said)
        str_copy(said->type, type, sizeof(type));
    if (print_failure(d, e, said, &text) < 0)
        deploy_fail(d, 400, type, "the function could not be started: %s", e->text);
    else
        deploy_fail_whole(d, 400, type, buf_str(&text), said ? said->trace : (struct str){0});
    buf_fini(&text);
}

/* What the function itself did is ECHILD, and what it asks for in vain (a grant, a secret, a path) has the errno of that. */
static bool is_hosts_fault(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EAGAIN || code == ENOMEM || code == EIO || code == EROFS;
}

static void on_tried(void *owner, const struct err *e, const struct instance_fault *said)
{
    struct deploy *d = owner;
    if (deploy_ends_cut_off(d))
        return;
    if (is_hosts_fault(e->code))
        deploy_fail_host(d, e, "start the function");
    else if (e->code)
        fail_trial(d, e, said);
    else if (d->goes_back)
        deploy_move(d);
    else
        store_it(d);
}

/* Tried, or for Lambda's API stored as it is: there what is wrong with code is told by its first invocation. */
void deploy_try(struct deploy *d)
{
    struct gateway *g = d->gateway;
    struct function *f = registry_ensure(g->registry, str_from(d->name));
    if (!f) {
        deploy_fail(d, 503, "NoCapacity", "the limit 'functions' (%u) is reached, or memory is out",
                    g->config->functions_max);
        return;
    }
    d->function = function_get(f);
    if (d->wish) {
        store_it(d);
        return;
    }
    deploy_set_state(d, DEPLOY_TRYING);
    pool_trial(f->pool, d->version, on_tried, d);
}

/* ---- publishing ---- */

static void on_published(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct deploy *d = (struct deploy *)(void *)w;
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (m->type != MESSAGE_DONE || deploy_ends_cut_off(d))
        return;
    const struct err *e = &((const struct message_failed *)(const void *)m)->error;
    if (e->code) {
        deploy_fail_host(d, e, "move the code into place");
        return;
    }
    d->staging = 0;
    /* The same code is there already: what was staged went to the trash instead. */
    if (d->code_is_known)
        deploy_trash_is_used();
    deploy_try(d);
}

static_assert(offsetof(struct deploy, waiter) == 0, "on_published recovers the deploy from its waiter");

static void publish(struct deploy *d)
{
    struct link *link = d->gateway->link;
    struct message_tree m = {.header.type = MESSAGE_PUBLISH, .staging = d->staging};
    memcpy(m.digest, d->code, sizeof(m.digest));
    deploy_set_state(d, DEPLOY_PUBLISHING);
    d->waiter.on_message = on_published;
    link_register(link, &d->waiter);
    link_send(link, &d->waiter, &m.header, sizeof(m));
}

/* ---- is it new? ---- */

int deploy_describe_changes(struct deploy *d)
{
    const struct version *before = d->before;
    int r = 0;
    if (!before)
        return 0;
    if (strcmp(before->code, d->code) != 0)
        r = buf_addf(&d->changed, "code %.12s -> %.12s\n", before->code, d->code);
    if (r == 0 && strcmp(before->opt, d->version->opt) != 0) /* what Lambda's API put at /opt */
        r = buf_addf(&d->changed, "layers %.12s -> %.12s\n", before->opt[0] ? before->opt : "none",
                     d->version->opt[0] ? d->version->opt : "none");
    if (r == 0 && strcmp(before->role ? before->role : "none", d->version->role ? d->version->role : "none") != 0)
        r = buf_addf(&d->changed, "role %s -> %s\n", before->role ? before->role : "none",
                     d->version->role ? d->version->role : "none");
    if (r == 0)
        r = settings_print_changes(&before->settings, &d->version->settings, &d->changed);
    if (r == 0 && d->changed.len == 0)
        r = buf_add_text(&d->changed, "the same values, but others of them are given explicitly\n");
    return r;
}

/* Of a function that is there: what stands in a first deploy's way makes place for it (store_put_revision). */
static uint64_t next_number(const struct deploy *d)
{
    const struct function *f = registry_find(d->gateway->registry, str_from(d->name));
    return f ? versions_next(&f->versions) : 1;
}

void deploy_compare(struct deploy *d)
{
    struct version *v = d->version;
    if (!v) {
        deploy_fail(d, 503, "NoCapacity", "out of memory");
        return;
    }
    v->number = next_number(d);
    bool same = d->before && strcmp(d->before->revision, v->revision) == 0;
    if (same && !(d->wish && d->wish->attributes_changed && !d->dry_run)) {
        deploy_succeed(d, true);
        return;
    }
    if (deploy_describe_changes(d) < 0)
        deploy_fail(d, 503, "NoCapacity", "out of memory");
    else if (d->dry_run)
        deploy_succeed(d, false);
    else if (d->staging && !same)
        publish(d);
    else
        deploy_try(d);
}

/* ---- hashing ---- */

static void on_digest(void *owner, const struct err *e, const struct store_tree *tree)
{
    struct deploy *d = owner;
    if (deploy_ends_cut_off(d))
        return;
    if (e->code) {
        deploy_fail_host(d, e, "read the unpacked code");
        return;
    }
    memcpy(d->code, tree->digest, sizeof(d->code));
    d->code_is_known = tree->published;
    deploy_make_version(d, tree->bytes);
    deploy_compare(d);
}

void deploy_digest(struct deploy *d)
{
    deploy_set_state(d, DEPLOY_DIGESTING);
    store_digest_tree(d->gateway->store, d->staging, on_digest, d);
}
