/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT and DELETE /v1/secrets/NAME. A value comes sealed and stays so (gateway/secrets.h). A change goes
 *
 *   STORING   the row is being committed or deleted            none: the store answers every job
 *   RENEWING  the functions that name it get new instances     none: each trial ends by the pool's init_timeout
 *
 * and is answered then: whoever set a secret knows that requests which begin now meet the new value. One that fails in a function's initialisation leaves
 * that function's instances as they are, and is named in the answer.
 */
#include "gateway/api.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/log.h"
#include "codec/json.h"
#include "gateway/access.h"
#include "gateway/deploy.h"
#include "gateway/instance.h"
#include "gateway/pool.h"
#include "gateway/role.h"
#include "gateway/secrets.h"
#include "gateway/store.h"
#include "gateway/store_secrets.h"
#include "gateway/version_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct change;

/* A function that names the secret. */
struct user {
    struct change *change;     /* borrowed */
    struct function *function; /* counted */
    struct err error;          /* why its instances stay as they are; code 0: they were replaced, or there were none */
};

struct change {
    struct store_task task; /* first */
    struct gateway *gateway;
    struct exchange *exchange;
    char name[SETTINGS_NAME_MAX];
    char caller[ACCESS_CALLER_MAX]; /* for the log */
    struct secret *fresh;           /* owned; NULL: it is being removed, or secrets has it */
    size_t value_bytes;             /* reserved until it is stored */
    bool created;
    struct user *users; /* owned */
    unsigned user_count, user_cap;
    unsigned renewing; /* trials that have not called back, and one for the loop that starts them */
    bool out_of_memory;
};

static void change_free(struct change *c)
{
    for (unsigned i = 0; i < c->user_count; i++)
        function_put(c->users[i].function);
    free(c->users);
    free(c->fresh);
    free(c);
}

/* ---- who uses it ---- */

static void add_user(struct function *f, void *context)
{
    struct change *c = context;
    struct str name = str_from(c->name);
    if (!f->current || c->out_of_memory)
        return;
    if (!secrets_are_named(&f->current->settings, name) && !role_names_secret(c->gateway->config, f->current, name) &&
        !version_pool_names_secret(f, name))
        return;
    if (c->user_count == c->user_cap) {
        unsigned cap = c->user_cap ? 2 * c->user_cap : 8;
        struct user *grown = reallocarray(c->users, cap, sizeof(*grown));
        c->out_of_memory = !grown;
        if (!grown)
            return;
        c->users = grown;
        c->user_cap = cap;
    }
    c->users[c->user_count++] = (struct user){.change = c, .function = function_get(f)};
}

static void find_users(struct change *c)
{
    for (unsigned i = 0; i < c->user_count; i++)
        function_put(c->users[i].function);
    c->user_count = 0;
    registry_each(c->gateway->registry, add_user, c);
}

static void put_users(struct json_writer *w, const struct change *c)
{
    json_put_array(w, "functions");
    for (unsigned i = 0; i < c->user_count; i++)
        json_put_text(w, NULL, c->users[i].function->name);
    json_put_array_end(w);
}

/* ---- answers ---- */

static void fail(struct change *c, int status, const char *type, const char *text)
{
    exchange_error(c->exchange, status, type, "%s", text);
    change_free(c);
}

static void fail_host(struct change *c)
{
    const struct err *e = &c->task.error;
    log_warn("a secret could not be changed name=%s req=%s: %s", c->name, c->exchange->id, e->text);
    if (e->code == ENOSPC || e->code == EDQUOT)
        fail(c, 507, "StorageFull", e->text);
    else if (e->code == EAGAIN || e->code == ENOMEM)
        fail(c, 503, "NoCapacity", e->text);
    else
        fail(c, 500, "InternalError", e->text);
}

static void put_kept(struct json_writer *w, const struct change *c)
{
    json_put_array(w, "kept");
    for (unsigned i = 0; i < c->user_count; i++) {
        if (!c->users[i].error.code)
            continue;
        json_put_object(w, NULL);
        json_put_text(w, "name", c->users[i].function->name);
        json_put_text(w, "reason", c->users[i].error.text);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void answer(struct change *c, bool removed)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "name", c->name);
    if (removed) {
        json_put_bool(&w, "removed", true);
    } else {
        json_put_bool(&w, "created", c->created);
        json_put_u64(&w, "bytes", c->value_bytes);
    }
    put_users(&w, c);
    if (!removed)
        put_kept(&w, c);
    json_put_object_end(&w);
    api_reply_json(c->exchange, &body, json_writer_end(&w));
    change_free(c);
}

/* ---- new instances ---- */

static void end_one(struct change *c)
{
    if (--c->renewing == 0)
        answer(c, false);
}

static void on_renewed(void *owner, const struct err *e, const struct instance_fault *said)
{
    struct user *u = owner;
    u->error = *e;
    if (e->code && said) /* as much of it as fits */
        err_say(&u->error, e->code, "%.*s: %.*s", (int)said->type.n, said->type.p, (int)said->message.n,
                said->message.p);
    if (e->code)
        log_warn("a function keeps its instances with a former secret fn=%s name=%s: %s", u->function->name,
                 u->change->name, e->text);
    end_one(u->change);
}

static void renew(struct change *c)
{
    c->renewing = 1;
    for (unsigned i = 0; i < c->user_count; i++) {
        c->renewing++;
        if (!c->users[i].function->removed)
            pool_renew(c->users[i].function->pool, on_renewed, &c->users[i]);
        else
            end_one(c);
    }
    end_one(c);
}

/* ---- PUT ---- */

static struct change *change_of(struct store_task *t)
{
    static_assert(offsetof(struct change, task) == 0, "a change is recovered from its task");
    return (struct change *)(void *)t;
}

static void run_put(struct store_task *t, struct store_db *db)
{
    const struct secret *s = change_of(t)->fresh;
    const struct store_secret row = {.name = s->name,
                                     .key = s->key,
                                     .sealed = {s->sealed, s->sealed_bytes},
                                     .created_ms = s->created_ms,
                                     .updated_ms = s->updated_ms};
    t->error.code = 0;
    store_secrets_put(db, &row, &t->error);
}

static void on_put(struct store_task *t)
{
    struct change *c = change_of(t);
    struct secrets *s = c->gateway->secrets;
    secrets_release(s, c->value_bytes);
    if (t->error.code) {
        fail_host(c);
        return;
    }
    c->created = !secrets_find(s, str_from(c->name));
    struct secret *fresh = c->fresh;
    c->fresh = NULL;
    if (secrets_settle(s, fresh) < 0) {
        fail(c, 503, "NoCapacity", "out of memory");
        return;
    }
    find_users(c);
    log_info("a secret was set name=%s functions=%u by=%s req=%s", c->name, c->user_count, c->caller, c->exchange->id);
    renew(c);
}

static struct change *change_new(struct exchange *x, struct str name)
{
    struct change *c = calloc(1, sizeof(*c));
    if (!c) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return NULL;
    }
    c->gateway = x->gateway;
    c->exchange = x;
    str_copy(name, c->name, sizeof(c->name));
    access_print_caller(x, c->caller);
    return c;
}

static struct secret *make_secret(const struct change *c)
{
    struct str sealed = c->exchange->body;
    struct secret *fresh = calloc(1, sizeof(*fresh) + sealed.n);
    if (!fresh)
        return NULL;
    memcpy(fresh->name, c->name, sizeof(fresh->name));
    memcpy(fresh->key, secrets_fingerprint(c->gateway->secrets), sizeof(fresh->key));
    fresh->created_ms = fresh->updated_ms = clock_real_ms();
    fresh->sealed_bytes = sealed.n;
    memcpy(fresh->sealed, sealed.p, sealed.n);
    return fresh;
}

/* What can be judged of a sealed value without opening it. True: the exchange was ended. */
static bool refuse_put(struct exchange *x)
{
    struct str key = {0};
    const char *ours = secrets_fingerprint(x->gateway->secrets);
    if (!http1_query_find(x->request->query, "key", &key))
        exchange_error(x, 400, "BadRequest",
                       "say which key it is sealed for: ?key=FINGERPRINT, as GET /v1/secrets tells it");
    else if (!str_is(key, ours))
        exchange_error(x, 409, "Conflict", "it is sealed for another key; this daemon's is %s: seal it again", ours);
    else if (x->body.n <= SECRET_OVERHEAD)
        exchange_error(x, 400, "BadRequest", "the body has to be a sealed secret of at least one byte");
    else if (x->body.n > SECRET_SEALED_MAX)
        exchange_error(x, 413, "RequestTooLarge", "a secret of %zu bytes; %d are the most (SECRET_VALUE_MAX)",
                       x->body.n - SECRET_OVERHEAD, SECRET_VALUE_MAX);
    else
        return false;
    return true;
}

void api_secrets_put(struct exchange *x, struct str name)
{
    struct err e;
    struct change *c = refuse_put(x) ? NULL : change_new(x, name);
    if (!c)
        return;
    c->value_bytes = x->body.n - SECRET_OVERHEAD;
    c->fresh = make_secret(c);
    if (!c->fresh) {
        fail(c, 503, "NoCapacity", "out of memory");
    } else if (secrets_reserve(x->gateway->secrets, name, c->value_bytes, &e) < 0) {
        fail(c, 413, "RequestTooLarge", e.text);
    } else {
        c->task.run = run_put;
        c->task.done = on_put;
        store_submit(x->gateway->store, &c->task);
    }
}

/* ---- DELETE ---- */

static void run_delete(struct store_task *t, struct store_db *db)
{
    t->error.code = 0;
    store_secrets_remove(db, change_of(t)->name, &t->error);
}

static void on_deleted(struct store_task *t)
{
    struct change *c = change_of(t);
    if (t->error.code) {
        secrets_set_removing(c->gateway->secrets, str_from(c->name), false);
        fail_host(c);
        return;
    }
    secrets_remove(c->gateway->secrets, str_from(c->name));
    log_info("a secret was removed name=%s functions=%u by=%s req=%s", c->name, c->user_count, c->caller,
             c->exchange->id);
    answer(c, true);
}

static void refuse_delete(struct change *c)
{
    enum { NAMED_MAX = 10 };
    struct buf text;
    buf_init(&text, 0);
    int r = buf_addf(&text, "secret '%s' is in use by ", c->name);
    for (unsigned i = 0; r == 0 && i < c->user_count && i < NAMED_MAX; i++)
        r = buf_addf(&text, "%s%s", i ? ", " : "", c->users[i].function->name);
    if (r == 0 && c->user_count > NAMED_MAX)
        r = buf_addf(&text, " and %u more", c->user_count - NAMED_MAX);
    if (r == 0 && !c->user_count)
        r = buf_add_text(&text, "a deploy that is under way");
    if (r == 0)
        r = buf_add(&text,
                    ": take it from their settings first (`faasd config NAME --secret ...` with those that stay, or "
                    "--no-secrets); with force it goes all the same, and they can't be started any more",
                    sizeof(": take it from their settings first (`faasd config NAME --secret ...` with those that "
                           "stay, or --no-secrets); with force it goes all the same, and they can't be started any "
                           "more"));
    fail(c, 409, "Conflict", r == 0 ? text.data : "the secret is in use");
    buf_fini(&text);
}

void api_secrets_delete(struct exchange *x, struct str name)
{
    struct str force = {0};
    struct secrets *s = x->gateway->secrets;
    const struct secret *secret = secrets_find(s, name);
    if (!secret || secret->removing) {
        exchange_error(x, 404, "ResourceNotFound", "there is no secret '%.*s'", (int)name.n, name.p);
        return;
    }
    struct change *c = change_new(x, name);
    if (!c)
        return;
    find_users(c);
    bool forced = http1_query_find(x->request->query, "force", &force) && !str_is(force, "0");
    if (!forced && (c->user_count || c->out_of_memory || deploy_uses_secret(name))) {
        refuse_delete(c);
        return;
    }
    secrets_set_removing(s, name, true);
    c->task.run = run_delete;
    c->task.done = on_deleted;
    store_submit(x->gateway->store, &c->task);
}
