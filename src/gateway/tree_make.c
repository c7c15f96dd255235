/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tree_make.h"

#include "base/fmt.h"
#include "base/id.h"
#include "codec/json.h"
#include "gateway/archive_pipe.h"
#include "gateway/deploy_job.h"
#include "gateway/exec_session.h"
#include "gateway/link.h"
#include "gateway/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- holds ---- */

static struct list holds = {&holds, &holds};

void tree_hold(struct tree_hold *h, const char *digest)
{
    str_copy(str_from(digest), h->digest, sizeof(h->digest));
    list_push_back(&holds, &h->link);
}

void tree_let_go(struct tree_hold *h)
{
    if (h->digest[0])
        list_remove(&h->link);
    h->digest[0] = '\0';
}

bool tree_is_held(const char *digest)
{
    LIST_EACH (&holds, at) {
        if (strcmp(LIST_ENTRY(at, struct tree_hold, link)->digest, digest) == 0)
            return true;
    }
    return false;
}

/* ---- one that is made ---- */

enum state { RECEIVING, WORKING, CANCELLING, DIGESTING, PUBLISHING, HELD };

struct tree_make {
    struct link_waiter waiter; /* first: of PUBLISH */
    struct gateway *gateway;
    struct tree_make_options options;
    enum state state;
    struct exec_once *run; /* NULL once it has called back */
    uint64_t staging;      /* 0: there is no such tree (any more) */
    struct archive_pipe pipe;
    ev_timer timer;
    bool timed_out;
    bool is_known; /* versions/DIGEST was there already */
    bool telling;  /* on_done is being called */
    bool released;
    struct tree_hold hold;
    struct tree_result result;
};

static_assert(offsetof(struct tree_make, waiter) == 0, "on_published recovers the tree from its waiter");
static unsigned living;

unsigned tree_make_count(void)
{
    return living;
}

static void free_tree(struct tree_make *t)
{
    struct gateway *g = t->gateway;
    tree_let_go(&t->hold);
    living--;
    free(t);
    deploy_collect_soon(g); /* who needs it has a row by now */
    gateway_check_drained(g);
}

static void conclude(struct tree_make *t)
{
    archive_pipe_close(&t->pipe);
    ev_timer_stop(t->gateway->loop, &t->timer);
    if (t->staging)
        deploy_discard(t->gateway, t->staging);
    t->staging = 0;
    t->state = HELD;
    t->telling = true;
    t->options.on_done(t->options.owner, &t->result);
    t->telling = false;
    if (t->released)
        free_tree(t);
}

void tree_make_release(struct tree_make *t)
{
    if (!t)
        return;
    assert(t->state == HELD);
    t->released = true;
    if (!t->telling)
        free_tree(t); /* else conclude() does */
}

static void restart_timer(struct tree_make *t)
{
    t->timer.repeat = (double)t->gateway->config->unpack_timeout_ms / 1e3;
    ev_timer_again(t->gateway->loop, &t->timer);
}

void tree_make_cancel(struct tree_make *t)
{
    if (t->state != RECEIVING && t->state != WORKING)
        return;
    archive_pipe_close(&t->pipe);
    ev_timer_stop(t->gateway->loop, &t->timer);
    t->state = CANCELLING;
    exec_once_cancel(t->run);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct tree_make *t = w->data;
    (void)loop;
    (void)events;
    t->timed_out = true;
    tree_make_cancel(t);
}

/* ---- the archive ---- */

size_t tree_make_write(struct tree_make *t, struct str piece)
{
    size_t taken = archive_pipe_write(&t->pipe, piece);
    if (taken && t->state == RECEIVING && archive_pipe_is_open(&t->pipe))
        restart_timer(t);
    return taken;
}

void tree_make_end(struct tree_make *t)
{
    archive_pipe_close(&t->pipe);
    if (t->state != RECEIVING)
        return;
    t->state = WORKING;
    restart_timer(t);
}

/* ---- publishing ---- */

static void on_published(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct tree_make *t = (struct tree_make *)(void *)w;
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (m->type != MESSAGE_DONE)
        return;
    t->result.error = ((const struct message_failed *)(const void *)m)->error;
    if (t->result.error.code == 0) {
        t->staging = 0;
        if (t->is_known)
            deploy_trash_is_used();
    }
    conclude(t);
}

static void on_digest(void *owner, const struct err *e, const struct store_tree *tree)
{
    struct tree_make *t = owner;
    if (e->code) {
        t->result.error = *e;
        conclude(t);
        return;
    }
    struct message_tree m = {.header.type = MESSAGE_PUBLISH, .staging = t->staging};
    memcpy(m.digest, tree->digest, sizeof(m.digest));
    memcpy(t->result.digest, tree->digest, sizeof(t->result.digest));
    t->result.bytes = tree->bytes;
    t->is_known = tree->published;
    tree_hold(&t->hold, tree->digest);
    t->state = PUBLISHING;
    t->waiter.on_message = on_published;
    link_register(t->gateway->link, &t->waiter);
    link_send(t->gateway->link, &t->waiter, &m.header, sizeof(m));
}

/* ---- the unpacker, or who merges ---- */

static void note_refusal(struct tree_make *t, const struct json *answer)
{
    static const struct {
        const char *type;
        int error;
    } types[] = {{"RequestTooLarge", EMSGSIZE}, {"StorageFull", ENOSPC}, {"InternalError", EIO}};
    const char *type = json_get_text(answer, "type"), *text = json_get_text(answer, "error");
    int error = EINVAL;
    for (size_t i = 0; type && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(type, types[i].type) == 0)
            error = types[i].error;
    err_say(&t->result.error, error, "%s", text ? text : "no reason was given");
}

static void note_end(struct tree_make *t, const struct exec_result *r)
{
    struct err *e = &t->result.error;
    if (t->timed_out || r->timed_out)
        err_say(e, EINVAL, "the archive was not unpacked within unpack_timeout");
    else if (t->state == CANCELLING)
        err_say(e, ECANCELED, "it was broken off");
    else if (r->out_of_memory)
        err_say(e, EINVAL, "unpacking the archive needs too much memory");
    else if (r->error.code)
        *e = r->error;
    else
        err_say(e, EIO, "the unpacker ended with status %d: %.*s", r->status, (int)r->err_tail.n,
                r->err_tail.n ? r->err_tail.p : "");
}

static void on_unpacked(void *owner, const struct exec_result *r)
{
    struct tree_make *t = owner;
    struct json_doc *doc = NULL;
    struct err ignored;
    bool ok = false;
    t->run = NULL;
    archive_pipe_close(&t->pipe);
    ev_timer_stop(t->gateway->loop, &t->timer);
    bool answered = t->state != CANCELLING && !r->error.code && !r->timed_out && WIFEXITED(r->status) &&
                    json_parse(r->out, JSON_STRICT, &doc, &ignored) == 0 && json_get_bool(json_root(doc), "ok", &ok);
    if (!answered)
        note_end(t, r);
    else if (!ok)
        note_refusal(t, json_root(doc));
    json_free(doc);
    if (!ok) {
        conclude(t);
        return;
    }
    t->state = DIGESTING;
    store_digest_tree(t->gateway->store, t->staging, on_digest, t);
}

static struct exec_once *run(struct tree_make *t, int stdin_fd)
{
    char entries[24], bytes[24], archive[24], count[24];
    const struct config *c = t->gateway->config;
    const char *argv[16] = {"/faasd"};
    unsigned n = 1;
    fmt_to(entries, sizeof(entries), "%u", c->code_entries_max);
    fmt_to(bytes, sizeof(bytes), "%lu", (unsigned long)t->options.bytes_max);
    fmt_to(archive, sizeof(archive), "%lu", (unsigned long)c->archive_bytes_max);
    fmt_to(count, sizeof(count), "%u", t->options.layer_count);
    if (t->options.layer_count) {
        const char *own[] = {"merge-trees", "--count", count};
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
            argv[n++] = own[i];
    } else {
        const char *own[] = {"unpack", "--plain", "yes", "--entries", entries, "--archive-bytes", archive};
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
            argv[n++] = own[i];
    }
    argv[n++] = "--bytes";
    argv[n++] = bytes;
    if (c->transient) {
        argv[n++] = "--transient";
        argv[n++] = "yes";
    }
    struct exec_once_options o = {
        .kind = MESSAGE_SPAWN_UNPACK,
        .staging = t->staging,
        .layer_count = t->options.layer_count,
        .layers = t->options.layers,
        .argv = argv,
        .stdin_fd = stdin_fd,
        .memory_bytes = DEPLOY_UNPACK_MEMORY,
        .timeout_ms = DEPLOY_RUN_MAX_MS,
        .out_max = DEPLOY_ANSWER_MAX,
        .on_done = on_unpacked,
        .owner = t,
    };
    return exec_once(t->gateway, &o);
}

struct tree_make *tree_make_start(struct gateway *g, const struct tree_make_options *o, struct err *e)
{
    int stdin_fd = -1;
    struct tree_make *t = living < TREE_MAKE_MAX ? calloc(1, sizeof(*t)) : NULL;
    if (!t) {
        err_say(e, EAGAIN, "too many layers are being made");
        return NULL;
    }
    t->gateway = g;
    t->options = *o;
    archive_pipe_init(&t->pipe);
    t->pipe.on_room = o->on_room;
    t->pipe.owner = o->owner;
    t->state = o->layer_count ? WORKING : RECEIVING;
    ev_init(&t->timer, on_timer);
    t->timer.data = t;
    int r = o->layer_count ? 0 : archive_pipe_open(&t->pipe, g->loop, &stdin_fd);
    if (r < 0) {
        err_set(e, -r, "make a pipe");
        free(t);
        return NULL;
    }
    id_random(&t->staging, sizeof(t->staging)); /* an earlier gateway's trees may still be there */
    t->staging = (t->staging >> 1) | 1;
    t->run = run(t, stdin_fd);
    t->options.layers = NULL; /* borrowed for the call */
    if (!t->run) {
        err_set(e, ENOMEM, "start the unpacker");
        archive_pipe_close(&t->pipe);
        free(t);
        return NULL;
    }
    living++;
    restart_timer(t);
    return t;
}
