/* SPDX-License-Identifier: Apache-2.0 */
/* The first half of a PUT: the archive goes through a pipe into the unpacker, which runs in a sandbox of its own; its answer is one JSON object. */
#include "base/fmt.h"
#include "base/id.h"
#include "base/units.h"
#include "codec/json.h"
#include "gateway/deploy_job.h"
#include "gateway/revision.h"

#include <assert.h>
#include <string.h>
#include <sys/wait.h>

/* ---- the body ---- */

static void restart_timer(struct deploy *d)
{
    d->timer.repeat = (double)d->gateway->config->unpack_timeout_ms / 1e3;
    ev_timer_again(d->gateway->loop, &d->timer);
}

static void on_room(void *owner)
{
    struct deploy *d = owner;
    if (d->exchange)
        exchange_body_resume(d->exchange);
}

static size_t on_body(struct exchange *x, struct str piece)
{
    struct deploy *d = x->owner;
    size_t taken = archive_pipe_write(&d->pipe, piece);
    if (taken && d->state == DEPLOY_RECEIVING && archive_pipe_is_open(&d->pipe))
        restart_timer(d);
    return taken;
}

static void on_end(struct exchange *x)
{
    struct deploy *d = x->owner;
    archive_pipe_close(&d->pipe);
    if (d->state != DEPLOY_RECEIVING)
        return;
    deploy_set_state(d, DEPLOY_UNPACKING);
    restart_timer(d);
}

void deploy_upload_cancel(struct deploy *d)
{
    if (d->state != DEPLOY_RECEIVING && d->state != DEPLOY_UNPACKING)
        return;
    archive_pipe_close(&d->pipe);
    deploy_set_state(d, DEPLOY_CANCELLING);
    exec_once_cancel(d->unpack);
}

static void on_gone(struct exchange *x)
{
    deploy_upload_cancel(x->owner);
}

static const struct exchange_sink SINK = {.on_body = on_body, .on_end = on_end, .on_gone = on_gone};

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct deploy *d = w->data;
    (void)loop;
    (void)events;
    d->timed_out = true;
    deploy_upload_cancel(d);
}

void deploy_upload_fini(struct deploy *d)
{
    archive_pipe_close(&d->pipe);
    ev_timer_stop(d->gateway->loop, &d->timer);
}

/* ---- the answer ---- */

static void fail_refused(struct deploy *d, const struct json *answer)
{
    const char *type = json_get_text(answer, "type");
    const char *text = json_get_text(answer, "error");
    if (!text)
        text = "the unpacker gave no reason";
    if (type && strcmp(type, "RequestTooLarge") == 0)
        deploy_fail(d, 413, type, "%s", text);
    else if (type && strcmp(type, "StorageFull") == 0)
        deploy_fail(d, 507, type, "%s", text);
    else if (type && strncmp(type, "Runtime.", 8) == 0)
        deploy_fail(d, 400, type, "%s", text);
    else if (type && strcmp(type, "InternalError") == 0)
        deploy_fail(d, 500, type, "%s", text);
    else
        deploy_fail(d, 400, "BadRequest", "%s", text);
}

static void fail_run(struct deploy *d, const struct exec_result *r)
{
    char limit[UNITS_TEXT_MAX];
    units_format_time(d->gateway->config->unpack_timeout_ms, limit);
    if (d->cut_off) {
        deploy_ends_cut_off(d);
    } else if (d->timed_out || r->timed_out) {
        deploy_fail(d, 400, "BadRequest", "the archive was not unpacked within unpack_timeout (%s)", limit);
    } else if (d->state == DEPLOY_CANCELLING) {
        deploy_fail(d, 400, "BadRequest", "the upload was broken off");
    } else if (r->out_of_memory) {
        units_format_size(DEPLOY_UNPACK_MEMORY, limit);
        deploy_fail(d, 400, "BadRequest", "unpacking the archive needs more than %s of memory", limit);
    } else if (r->error.code) {
        deploy_fail_host(d, &r->error, "unpack the archive");
    } else if (WIFSIGNALED(r->status)) {
        deploy_fail(d, 500, "InternalError", "the unpacker died of signal %d (SIG%s)", WTERMSIG(r->status),
                    sigabbrev_np(WTERMSIG(r->status)));
    } else {
        deploy_fail(d, 500, "InternalError", "the unpacker ended with status %d: %.*s", WEXITSTATUS(r->status),
                    (int)r->err_tail.n, r->err_tail.n ? r->err_tail.p : "");
    }
}

/* faasd.json as the unpacker passes it on: its text, or the object itself. */
static int read_manifest(const struct json *answer, struct buf *out, bool *ret_found)
{
    const struct json *manifest = json_get(answer, "manifest");
    *ret_found = true;
    if (json_text(manifest))
        return buf_add_text(out, json_text(manifest));
    if (json_is_object(manifest)) {
        struct json_writer w;
        json_writer_init(&w, out);
        json_put_value(&w, NULL, manifest);
        return json_writer_end(&w);
    }
    *ret_found = false;
    return 0;
}

static struct str given_settings(const struct exchange *x)
{
    if (x->deploy)
        return x->deploy->settings;
    const struct http1_field *f = http1_find_field(x->request->fields, x->request->field_count, "Faasd-Settings");
    return f ? f->value : (struct str){0};
}

static int take_warnings(struct deploy *d, const struct json *answer)
{
    int r = 0;
    JSON_EACH(json_get(answer, "warnings"), at)
    {
        if (r == 0 && json_text(at))
            r = buf_addf(&d->warnings, "%s\n", json_text(at));
    }
    return r;
}

static void take_tree(struct deploy *d, const struct json *answer)
{
    struct buf manifest;
    bool found;
    const char *handler = json_get_text(answer, "handler");
    buf_init(&manifest, 0);
    if (read_manifest(answer, &manifest, &found) < 0 || take_warnings(d, answer) < 0) {
        buf_fini(&manifest);
        deploy_fail(d, 503, "NoCapacity", "out of memory");
        return;
    }
    struct revision_sources s = {.before = d->before,
                                 .has_manifest = found && !d->wish,
                                 .manifest = buf_str(&manifest),
                                 .given = given_settings(d->exchange)};
    int r = deploy_settle(d, &s);
    buf_fini(&manifest);
    if (r < 0)
        return;
    if (handler && *handler && !str_copy(str_from(handler), d->settings.handler, sizeof(d->settings.handler))) {
        deploy_fail(d, 400, "BadRequest", "the handler's path is longer than %u bytes",
                    (unsigned)sizeof(d->settings.handler) - 1);
        return;
    }
    bool has_bootstrap = false;
    json_get_bool(answer, "bootstrap", &has_bootstrap);
    if (deploy_find_entry(d, has_bootstrap) < 0)
        return;
    deploy_digest(d);
}

static void on_unpacked(void *owner, const struct exec_result *r)
{
    struct deploy *d = owner;
    struct json_doc *doc = NULL;
    struct err e;
    bool ok = false;
    d->unpack = NULL;
    archive_pipe_close(&d->pipe);
    bool answered = d->state != DEPLOY_CANCELLING && !r->error.code && !r->timed_out && WIFEXITED(r->status) &&
                    json_parse(r->out, JSON_STRICT, &doc, &e) == 0 && json_get_bool(json_root(doc), "ok", &ok);
    if (!answered)
        fail_run(d, r);
    else if (!ok)
        fail_refused(d, json_root(doc));
    else if (d->exchange
                 ->check) /* it reads to the end, which comes after the signature was judged: this one was taken over */
        deploy_fail(d, 500, "InternalError", "the unpacker answered before the upload was complete");
    else
        take_tree(d, json_root(doc));
    json_free(doc);
}

/* ---- starting it ---- */

enum { ARGUMENTS_MAX = 40 };

struct arguments {
    const char *v[ARGUMENTS_MAX + 1];
    unsigned n;
};

static void add(struct arguments *a, const char *option, const char *value)
{
    if (!value || !*value)
        return;
    assert(a->n + 2 <= ARGUMENTS_MAX);
    a->v[a->n++] = option;
    a->v[a->n++] = value;
}

static bool is_given(const struct settings *s, enum settings_key key)
{
    return s->given & (UINT64_C(1) << key);
}

/* What the person said now, then what the version before has: the manifest between the two is in the archive. */
static void add_settings(struct arguments *a, const struct deploy *d)
{
    const struct settings *s = &d->settings;
    add(a, "--handler", is_given(s, SETTINGS_KEY_HANDLER) ? s->handler : NULL);
    add(a, "--runtime", is_given(s, SETTINGS_KEY_RUNTIME) ? settings_runtime_name(s) : NULL);
    add(a, "--venv", is_given(s, SETTINGS_KEY_VENV) ? s->venv : NULL);
    add(a, "--contract",
        is_given(s, SETTINGS_KEY_CONTRACT) ? s->contract == SETTINGS_CONTRACT_FILES ? "files" : "stdio" : NULL);
    if (!d->before)
        return;
    /* Where nobody says which file to start, the one that was started so far is, if it is still there. */
    add(a, "--earlier", d->before->settings.handler);
    add(a, "--earlier-runtime", settings_runtime_name(&d->before->settings));
    add(a, "--earlier-venv", d->before->settings.venv);
    add(a, "--earlier-contract", d->before->settings.contract == SETTINGS_CONTRACT_FILES ? "files" : NULL);
}

static int print_runtimes(const struct config *c, struct buf *out)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < c->runtime_count; i++)
        r = buf_addf(out, "%s=%s\n", c->runtimes[i].name, c->runtimes[i].path);
    return r < 0 ? r : buf_add(out, "", 1);
}

static struct exec_once *run_unpacker(struct deploy *d, int stdin_fd)
{
    const struct config *c = d->gateway->config;
    char entries[24], bytes[24], archive[24];
    struct buf runtimes;
    struct arguments a = {.v = {"/faasd", "unpack"}, .n = 2};
    fmt_to(entries, sizeof(entries), "%u", c->code_entries_max);
    uint64_t bytes_max = c->code_bytes_max;
    if (d->wish && d->wish->code_bytes_max < bytes_max)
        bytes_max = d->wish->code_bytes_max;
    fmt_to(bytes, sizeof(bytes), "%lu", (unsigned long)bytes_max);
    fmt_to(archive, sizeof(archive), "%lu", (unsigned long)c->archive_bytes_max);
    buf_init(&runtimes, 0);
    if (print_runtimes(c, &runtimes) < 0) {
        buf_fini(&runtimes);
        close(stdin_fd);
        return NULL;
    }
    add(&a, "--name", d->name);
    add(&a, "--entries", entries);
    add(&a, "--bytes", bytes);
    add(&a, "--archive-bytes", archive);
    add(&a, "--runtimes", runtimes.data);
    if (c->transient)
        add(&a, "--transient", "yes");
    if (*deploy_opt(d))
        add(&a, "--layered", "yes");
    add_settings(&a, d);
    struct exec_once_options o = {
        .kind = MESSAGE_SPAWN_UNPACK,
        .staging = d->staging,
        .argv = a.v,
        .stdin_fd = stdin_fd,
        .memory_bytes = DEPLOY_UNPACK_MEMORY,
        .timeout_ms = DEPLOY_RUN_MAX_MS,
        .out_max = DEPLOY_ANSWER_MAX,
        .on_done = on_unpacked,
        .owner = d,
    };
    struct exec_once *run = exec_once(d->gateway, &o);
    buf_fini(&runtimes);
    return run;
}

/* Random, because an earlier gateway's trees may still be there. */
static uint64_t choose_staging(void)
{
    uint64_t staging;
    id_random(&staging, sizeof(staging));
    return (staging >> 1) | 1;
}

void deploy_upload_start(struct deploy *d)
{
    struct exchange *x = d->exchange;
    int stdin_fd = -1;
    /* What is wrong with the given settings is said before the archive is sent; the manifest's come later. */
    if (deploy_settle(d, &(struct revision_sources){.manifest_may_follow = true, .given = given_settings(x)}) < 0)
        return;
    d->pipe.on_room = on_room;
    d->pipe.owner = d;
    int r = archive_pipe_open(&d->pipe, d->gateway->loop, &stdin_fd);
    d->staging = choose_staging();
    d->unpack = r == 0 ? run_unpacker(d, stdin_fd) : NULL;
    if (!d->unpack) {
        d->staging = 0;
        deploy_fail(d, 503, "NoCapacity", "the unpacker could not be started: %s",
                    r < 0 ? strerrorname_np(-r) : "out of memory");
        return;
    }
    x->owner = d;
    x->sink = &SINK;
    deploy_set_state(d, DEPLOY_RECEIVING);
    ev_set_cb(&d->timer, on_timer);
    d->timer.data = d;
    restart_timer(d);
}
