/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/deploy.h"

#include "base/fdio.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"
#include "codec/json.h"
#include "gateway/api_print.h"
#include "gateway/deploy_job.h"
#include "gateway/pool.h"
#include "gateway/revision.h"
#include "gateway/role.h"
#include "gateway/secrets.h"
#include "gateway/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct list in_flight = {&in_flight, &in_flight};
static unsigned in_flight_count;

unsigned deploy_count(void)
{
    return in_flight_count;
}

/* ---- states ---- */

static const char *const STATE_NAMES[] = {
    [DEPLOY_BEGUN] = "BEGUN",           [DEPLOY_LOOKING] = "LOOKING",
    [DEPLOY_RECEIVING] = "RECEIVING",   [DEPLOY_UNPACKING] = "UNPACKING",
    [DEPLOY_CANCELLING] = "CANCELLING", [DEPLOY_DIGESTING] = "DIGESTING",
    [DEPLOY_PUBLISHING] = "PUBLISHING", [DEPLOY_TRYING] = "TRYING",
    [DEPLOY_STORING] = "STORING",       [DEPLOY_OVER] = "OVER",
};

#define TO(state) (1u << DEPLOY_##state)

static const unsigned NEXT[] = {
    [DEPLOY_BEGUN] = TO(LOOKING) | TO(RECEIVING) | TO(TRYING) | TO(STORING) | TO(OVER),
    [DEPLOY_LOOKING] = TO(TRYING) | TO(STORING) | TO(OVER),
    [DEPLOY_RECEIVING] = TO(UNPACKING) | TO(CANCELLING) | TO(DIGESTING) | TO(OVER),
    [DEPLOY_UNPACKING] = TO(CANCELLING) | TO(DIGESTING) | TO(OVER),
    [DEPLOY_CANCELLING] = TO(OVER),
    [DEPLOY_DIGESTING] = TO(PUBLISHING) | TO(STORING) | TO(OVER),
    [DEPLOY_PUBLISHING] = TO(TRYING) | TO(STORING) | TO(OVER),
    [DEPLOY_TRYING] = TO(STORING) | TO(OVER),
    [DEPLOY_STORING] = TO(OVER),
    [DEPLOY_OVER] = 0,
};

void deploy_set_state(struct deploy *d, enum deploy_state state)
{
    if (!(NEXT[d->state] & (1u << state)))
        log_error("a deploy goes from %s to %s, which is a fault of faasd fn=%s", STATE_NAMES[d->state],
                  STATE_NAMES[state], d->name);
    assert(NEXT[d->state] & (1u << state));
    d->state = state;
    ev_timer_stop(d->gateway->loop, &d->timer);
}

/* ---- beginning and end ---- */

/* One that is being cancelled changes nothing any more: its name is free while its unpacker is being killed, or whoever was refused and tries again
 * at once would get 409. */
static struct deploy *find_in_flight(struct str name)
{
    LIST_EACH (&in_flight, at) {
        struct deploy *d = LIST_ENTRY(at, struct deploy, link);
        if (d->state != DEPLOY_CANCELLING && str_is(name, d->name))
            return d;
    }
    return NULL;
}

static struct list holds = {&holds, &holds};

static bool is_held(struct str name)
{
    LIST_EACH (&holds, at) {
        if (str_is(name, LIST_ENTRY(at, struct deploy_hold, link)->name))
            return true;
    }
    return false;
}

bool deploy_hold(struct deploy_hold *h, struct str name)
{
    if (find_in_flight(name) || is_held(name) || !str_copy(name, h->name, sizeof(h->name)))
        return false;
    list_push_back(&holds, &h->link);
    return true;
}

void deploy_release(struct deploy_hold *h)
{
    list_remove(&h->link);
}

bool deploy_uses_code(const char *code)
{
    LIST_EACH (&in_flight, at) {
        if (strcmp(LIST_ENTRY(at, struct deploy, link)->code, code) == 0)
            return true;
    }
    return false;
}

bool deploy_uses_secret(struct str name)
{
    LIST_EACH (&in_flight, at) {
        const struct deploy *d = LIST_ENTRY(at, struct deploy, link);
        if (secrets_are_named(&d->settings, name) || (d->version && secrets_are_named(&d->version->settings, name)))
            return true;
    }
    return false;
}

static bool wants_dry_run(const struct exchange *x)
{
    struct str value;
    return http1_query_find(x->request->query, "dry_run", &value) && !str_is(value, "0");
}

struct deploy *deploy_new(struct exchange *x, struct str name)
{
    if (!settings_name_is_valid(name)) {
        exchange_error(x, 400, "BadRequest", "a function's name has 1 to 64 of A-Z a-z 0-9 _ -");
        return NULL;
    }
    if (find_in_flight(name) || is_held(name)) {
        exchange_error_full(x, 409, "Conflict",
                            STR_LITERAL("another change of this function is under way: try again when it is over"),
                            (struct str){0}, "Retry-After: 1\r\n");
        return NULL;
    }
    struct deploy *d = in_flight_count < DEPLOY_MAX ? calloc(1, sizeof(*d)) : NULL;
    if (!d) {
        exchange_error_full(x, 503, "NoCapacity", STR_LITERAL("too many deploys are under way"), (struct str){0},
                            "Retry-After: 1\r\n");
        return NULL;
    }
    d->gateway = x->gateway;
    d->exchange = x;
    archive_pipe_init(&d->pipe);
    d->dry_run = wants_dry_run(x);
    d->wish = x->deploy;
    access_print_caller(d->wish ? d->wish->asker : x, d->caller);
    buf_init(&d->settings_json, 0);
    buf_init(&d->changed, 0);
    buf_init(&d->warnings, 0);
    ev_init(&d->timer, NULL);
    str_copy(name, d->name, sizeof(d->name));
    list_push_back(&in_flight, &d->link);
    in_flight_count++;
    const struct function *f = registry_find(x->gateway->registry, name);
    d->before = f ? version_get(f->current) : NULL;
    return d;
}

/* What a failure leaves is undone here too: a deploy that succeeded has no staging tree and a current version. */
static void deploy_free(struct deploy *d)
{
    struct gateway *g = d->gateway;
    assert(!d->exchange && !d->unpack);
    deploy_set_state(d, DEPLOY_OVER);
    deploy_upload_fini(d);
    if (d->staging)
        deploy_discard(g, d->staging);
    if (d->function && !d->function->removed && d->function->current != d->version) {
        if (d->function->current)
            pool_version_changed(d->function->pool); /* stops the instance that was tried */
        else
            registry_remove(g->registry, d->function);
    }
    function_put(d->function);
    version_put(d->version);
    version_put(d->before);
    settings_fini(&d->settings);
    store_version_read_fini(&d->read);
    buf_fini(&d->settings_json);
    buf_fini(&d->changed);
    buf_fini(&d->warnings);
    list_remove(&d->link);
    in_flight_count--;
    free(d);
    if (in_flight_count == 0) /* unpacking, settings, SQLite's writing: half a megabyte of code that no request needs */
        memory_give_back();
    deploy_collect_soon(g);
    gateway_check_drained(g);
}

void deploy_fail_whole(struct deploy *d, int status, const char *type, struct str message, struct str trace)
{
    struct exchange *x = d->exchange;
    d->exchange = NULL;
    exchange_error_full(x, status, type, message, trace, NULL);
    deploy_free(d);
}

void deploy_fail(struct deploy *d, int status, const char *type, const char *format, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (status >= 500)
        log_warn("a deploy failed fn=%s req=%s: %s", d->name, d->exchange->id, text);
    deploy_fail_whole(d, status, type, str_from(text), (struct str){0});
}

void deploy_fail_host(struct deploy *d, const struct err *e, const char *what)
{
    if (e->code == ENOSPC || e->code == EDQUOT)
        deploy_fail(d, 507, "StorageFull", "%s: %s", what, e->text);
    else if (e->code == EAGAIN || e->code == ENOMEM)
        deploy_fail(d, 503, "NoCapacity", "%s: %s", what, e->text);
    else
        deploy_fail(d, 500, "InternalError", "%s: %s", what, e->text);
}

/* ---- the drain's deadline ---- */

static void tell_cut_off(struct deploy *d)
{
    struct exchange *x = d->exchange;
    char limit[UNITS_TEXT_MAX];
    d->exchange = NULL;
    units_format_time(d->gateway->config->drain_ms, limit);
    log_warn("a deploy was cut off by the limit 'drain' fn=%s req=%s", d->name, x->id);
    exchange_error(x, 503, "NoCapacity",
                   "cut off: faasd is shutting down, and the limit 'drain' is %s; nothing was changed", limit);
}

bool deploy_ends_cut_off(struct deploy *d)
{
    if (!d->cut_off)
        return false;
    if (d->exchange)
        tell_cut_off(d);
    deploy_free(d);
    return true;
}

unsigned deploy_cut_off(void)
{
    LIST_EACH (&in_flight, at) {
        struct deploy *d = LIST_ENTRY(at, struct deploy, link);
        if (d->state == DEPLOY_STORING ||
            d->state == DEPLOY_CANCELLING) /* both answer soon: what the store does is done */
            continue;
        d->cut_off = true;
        if (d->unpack)
            deploy_upload_cancel(d);
        else
            tell_cut_off(d); /* now: a trial may take longer than is left */
    }
    return in_flight_count;
}

/* ---- success ---- */

static void put_lines(struct json_writer *w, const char *key, struct str lines)
{
    json_put_array(w, key);
    while (lines.n) {
        struct str line = str_cut(lines, '\n', &lines, NULL);
        if (line.n)
            json_put_str(w, NULL, line);
    }
    json_put_array_end(w);
}

static void reply_json(struct deploy *d, int status, struct buf *body, int error)
{
    struct exchange *x = d->exchange;
    d->exchange = NULL;
    if (error == 0)
        error = buf_add_text(body, "\n");
    struct reply r = {.status = status, .content_type = "application/json", .body = buf_str(body)};
    if (error < 0)
        exchange_error(x, 503, "NoCapacity", "it is done, but there was no memory to describe it");
    else
        exchange_reply(x, &r);
    buf_fini(body);
}

/* It may be deployed later, so this is no error; what would come of it until then is lost. */
static void warn_of_destination(struct deploy *d, const char *key, const char *target)
{
    struct str qualifier;
    struct str name = str_cut(str_from(target), ':', &qualifier, NULL);
    if (!name.n || str_is(name, d->name) || registry_find(d->gateway->registry, name))
        return;
    /* without memory for it, it goes unsaid */
    (void)!buf_addf(&d->warnings, "%s: there is no function '%.*s' yet: until it is deployed, nobody is told\n", key,
                    (int)name.n, name.p);
}

void deploy_succeed(struct deploy *d, bool unchanged)
{
    struct buf body;
    struct json_writer w;
    bool created = !d->before;
    const struct version *v = unchanged ? d->before : d->version;
    assert(v && (d->before || !d->goes_back));
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "name", d->name);
    json_put_u64(&w, "number", v->number);
    if (d->goes_back)
        json_put_u64(&w, "from", d->before->number);
    json_put_text(&w, "revision", v->revision);
    json_put_bool(&w, "created", created);
    put_lines(&w, "changed", unchanged ? (struct str){0} : buf_str(&d->changed));
    warn_of_destination(d, "on_success", v->settings.on_success);
    warn_of_destination(d, "on_failure", v->settings.on_failure);
    if (d->warnings.len)
        put_lines(&w, "warnings", buf_str(&d->warnings));
    api_print_runtime(&w, d->gateway->config, v);
    if (d->dry_run)
        json_put_bool(&w, "dry_run", true);
    json_put_object_end(&w);
    if (!unchanged && !d->dry_run && d->goes_back)
        log_info("rolled back fn=%s from=%lu version=%lu by=%s req=%s", d->name, (unsigned long)d->before->number,
                 (unsigned long)v->number, d->caller, d->exchange->id);
    else if (!unchanged && !d->dry_run)
        log_info("deployed fn=%s version=%lu revision=%.12s by=%s req=%s", d->name, (unsigned long)v->number,
                 v->revision, d->caller, d->exchange->id);
    reply_json(d, created && !d->dry_run ? 201 : 200, &body, json_writer_end(&w));
    deploy_free(d);
}

static const char *deploy_role(const struct deploy *d)
{
    if (d->wish && d->wish->role)
        return d->wish->role;
    return d->before ? d->before->role : NULL;
}

int deploy_settle(struct deploy *d, const struct revision_sources *s)
{
    struct err e;
    settings_fini(&d->settings);
    d->settings = (struct settings){0};
    int r = revision_merge(d->gateway->config, s, &d->settings, &e);
    if (r == 0)
        r = revision_check(d->gateway->config, &d->settings, &e);
    if (r == 0)
        r = role_check(d->gateway->config, &d->settings, deploy_role(d), &e);
    if (r == 0)
        r = secrets_check(d->gateway->secrets, &d->settings, &e);
    if (r == -EPERM)
        deploy_fail(d, 403, "Forbidden", "%s", e.text);
    else if (r < 0)
        deploy_fail(d, 400, "BadRequest", "%s", e.text);
    return r;
}

/* Is something of the host mounted where /opt/bootstrap would stand? It is not looked at before the trial. */
static bool mounts_opt(const struct settings *s)
{
    static const char entry[] = "/opt/bootstrap";
    for (uint32_t i = 0; i < s->mount_count; i++) {
        size_t n = strlen(s->mounts[i].target);
        if (strncmp(s->mounts[i].target, entry, n) == 0 && (entry[n] == '/' || entry[n] == '\0'))
            return true;
    }
    return false;
}

const char *deploy_opt(const struct deploy *d)
{
    if (d->wish && d->wish->opt)
        return d->wish->opt;
    return d->before ? d->before->opt : "";
}

void deploy_make_version(struct deploy *d, uint64_t code_bytes)
{
    const struct revision_code code = {
        .digest = d->code, .bytes = code_bytes, .opt = deploy_opt(d), .role = deploy_role(d)};
    d->version = revision_make(&code, &d->settings, &d->settings_json);
    if (d->version)
        d->version->opt_bootstrap = d->opt_bootstrap;
}

int deploy_find_entry(struct deploy *d, bool has_bootstrap)
{
    struct settings *s = &d->settings;
    if (s->runtime != SETTINGS_RUNTIME_PROVIDED)
        return 0;
    d->opt_bootstrap = !has_bootstrap;
    if (!has_bootstrap && !mounts_opt(s) && !*deploy_opt(d)) {
        deploy_fail(
            d, 400, "Runtime.InvalidEntrypoint",
            "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]: the program that speaks the "
            "Runtime API has to be called 'bootstrap' and stand at the top of what is deployed");
        return -ENOENT;
    }
    if (!s->handler[0])
        str_copy(str_from(REVISION_BOOTSTRAP), s->handler, sizeof(s->handler));
    return 0;
}

bool deploy_is_known(struct deploy *d)
{
    if (d->before)
        return true;
    deploy_fail(d, 404, "ResourceNotFound", "there is no function '%s'", d->name);
    return false;
}

/* ---- PUT ---- */

void deploy_put(struct exchange *x, struct str name)
{
    struct deploy *d = deploy_new(x, name);
    if (d)
        deploy_upload_start(d);
}

/* ---- DELETE ---- */

static void on_deleted(void *owner, const struct err *e)
{
    struct deploy *d = owner;
    struct gateway *g = d->gateway;
    if (e->code) {
        deploy_fail_host(d, e, "remove the function");
        return;
    }
    struct function *f = registry_find(g->registry, str_from(d->name));
    if (f)
        registry_remove(g->registry, f);
    log_info("removed fn=%s by=%s req=%s", d->name, d->caller, d->exchange->id);
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "name", d->name);
    json_put_bool(&w, "removed", true);
    json_put_object_end(&w);
    reply_json(d, 200, &body, json_writer_end(&w));
    deploy_free(d);
}

void deploy_delete(struct exchange *x, struct str name)
{
    struct deploy *d = deploy_new(x, name);
    if (!d || !deploy_is_known(d))
        return;
    deploy_set_state(d, DEPLOY_STORING);
    store_delete_function(d->gateway->store, d->name, on_deleted, d);
}
