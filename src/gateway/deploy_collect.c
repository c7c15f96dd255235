/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes away what nobody needs: trees without a row, and the trash. One pass at a time; whatever asks meanwhile gets one more pass afterwards.
 *
 *   RESTING   nothing to do
 *   DUE       a pass was asked for                       timer: COLLECT_DELAY_S, so that many deploys share one
 *   LISTING   the store names the trees without a row    none: the store answers every job
 *   RETIRING  the supervisor moves them to the trash     none: it answers or its end ends the gateway
 *   DELETING  the deleter empties the trash              the run's own timer: DELETE_MS
 *
 * A tree may have no row and yet be needed: a deploy has published it and not committed yet, or an instance of a version that has been replaced still finishes. The
 * first kind can't be missed, because PUBLISH and RETIRE travel on one socket in order and the store answers in order: a deploy that committed after the listing
 * is still in flight when the list arrives. The second kind is left and looked at again.
 */
#include "base/log.h"
#include "gateway/deploy.h"
#include "gateway/deploy_job.h"
#include "gateway/store.h"
#include "gateway/tree_make.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COLLECT_DELAY_S = 1,
    COLLECT_RETRY_S = 30, /* a tree without a row is still used */
    COLLECT_DOUBLINGS =
        12, /* of COLLECT_DELAY_S, one with each failure of the deleter in a row: a full trash is what a full disk waits for */
    DELETE_MS = 600 * 1000,
    DELETE_MEMORY = 64 << 20,
    DELETE_ANSWER_MAX = 65536
};

enum collect_state { COLLECT_RESTING, COLLECT_DUE, COLLECT_LISTING, COLLECT_RETIRING, COLLECT_DELETING };

static struct {
    struct gateway *gateway;
    enum collect_state state;
    ev_timer timer;
    bool again;        /* asked for while a pass is under way */
    bool trash;        /* something may be in the trash */
    bool left;         /* a tree without a row is still used */
    unsigned retiring; /* RETIRE messages without an answer */
    unsigned failures; /* of the deleter or its start, in a row */
} collector;

static void on_due(struct ev_loop *loop, ev_timer *w, int events);

static void make_due(struct gateway *g, double after)
{
    collector.gateway = g;
    collector.state = COLLECT_DUE;
    ev_timer_init(&collector.timer, on_due, after, 0.);
    ev_timer_start(g->loop, &collector.timer);
}

void deploy_collect_soon(struct gateway *g)
{
    if (collector.state == COLLECT_RESTING) {
        make_due(g, COLLECT_DELAY_S);
    } else if (collector.state == COLLECT_DUE && collector.left) {
        /* The long wait of a retry gives way to news. */
        ev_timer_stop(g->loop, &collector.timer);
        collector.left = false;
        make_due(g, COLLECT_DELAY_S);
    } else if (collector.state != COLLECT_DUE) {
        collector.again = true;
    }
}

static void finish_pass(void)
{
    struct gateway *g = collector.gateway;
    collector.state = COLLECT_RESTING;
    if (collector.again)
        make_due(g, COLLECT_DELAY_S);
    else if (collector.trash)
        make_due(g,
                 COLLECT_DELAY_S << (collector.failures < COLLECT_DOUBLINGS ? collector.failures : COLLECT_DOUBLINGS));
    else if (collector.left)
        make_due(g, COLLECT_RETRY_S);
    collector.again = false;
}

/* ---- the trash ---- */

static void on_emptied(void *owner, const struct exec_result *r)
{
    (void)owner;
    collector.failures++;
    if (r->error.code)
        log_warn("the trash was not emptied, it is tried again: %s", r->error.text);
    else if (r->timed_out || !WIFEXITED(r->status) || WEXITSTATUS(r->status) != 0)
        log_warn("the trash was not emptied, it is tried again: %.*s", (int)r->err_tail.n,
                 r->err_tail.n ? r->err_tail.p : "");
    else
        collector.failures = 0;
    /* What came meanwhile may have come too late for this run, so only this run's own share is struck off, and that was done when it began. */
    if (collector.failures)
        collector.trash = true;
    finish_pass();
}

static void empty_trash(void)
{
    static const char *const argv[] = {"/faasd", "delete-trees", NULL};
    struct exec_once_options o = {
        .kind = MESSAGE_SPAWN_DELETE,
        .argv = argv,
        .stdin_fd = -1,
        .memory_bytes = DELETE_MEMORY,
        .timeout_ms = DELETE_MS,
        .out_max = DELETE_ANSWER_MAX,
        .on_done = on_emptied,
    };
    collector.state = COLLECT_DELETING;
    if (!collector.trash) {
        finish_pass();
        return;
    }
    collector.trash = exec_once(collector.gateway, &o) == NULL;
    if (collector.trash) {
        collector.failures++;
        finish_pass();
    }
}

/* ---- moving trees there ---- */

struct tree_request {
    struct link_waiter waiter; /* first */
    struct gateway *gateway;
    bool retire;
};

static void on_moved(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct tree_request *t = (struct tree_request *)(void *)w;
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (m->type != MESSAGE_DONE)
        return;
    const struct err *e = &((const struct message_failed *)(const void *)m)->error;
    bool retire = t->retire;
    struct gateway *g = t->gateway;
    free(t);
    if (e->code && e->code != ENOENT)
        log_warn("a tree could not be moved to the trash, the next start tries again: %s", e->text);
    else
        collector.trash = true;
    if (!retire)
        deploy_collect_soon(g);
    else if (--collector.retiring == 0)
        empty_trash();
}

static_assert(offsetof(struct tree_request, waiter) == 0, "on_moved recovers the request from its waiter");

static bool send_tree(struct gateway *g, struct message_tree *m)
{
    struct tree_request *t = calloc(1, sizeof(*t));
    if (!t)
        return false; /* the next start finds it */
    t->gateway = g;
    t->retire = m->header.type == MESSAGE_RETIRE;
    t->waiter.on_message = on_moved;
    link_register(g->link, &t->waiter);
    link_send(g->link, &t->waiter, &m->header, sizeof(*m));
    return true;
}

void deploy_trash_is_used(void)
{
    collector.trash = true;
}

void deploy_discard(struct gateway *g, uint64_t staging)
{
    struct message_tree m = {.header.type = MESSAGE_DISCARD, .staging = staging};
    send_tree(g, &m);
}

static void on_orphans(void *owner, const struct err *e, struct str names)
{
    struct gateway *g = owner;
    collector.state = COLLECT_RETIRING;
    collector.retiring = 1; /* our own share, so that it isn't 0 before all are sent */
    if (e->code)
        log_warn("trees without a row could not be listed, the next pass tries again: %s", e->text);
    while (names.n >= MESSAGE_DIGEST_MAX) {
        struct message_tree m = {.header.type = MESSAGE_RETIRE};
        memcpy(m.digest, names.p, MESSAGE_DIGEST_MAX);
        names = str_skip(names, MESSAGE_DIGEST_MAX);
        if (deploy_uses_code(m.digest) || tree_is_held(m.digest))
            continue; /* its end asks for another pass */
        if (version_code_is_live(m.digest))
            collector.left = true;
        else if (send_tree(g, &m))
            collector.retiring++;
    }
    if (--collector.retiring == 0)
        empty_trash();
}

static void on_due(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    collector.state = COLLECT_RESTING;
    collector.left = false;
    if (collector.gateway->draining)
        return; /* the next start does it */
    collector.state = COLLECT_LISTING;
    store_list_orphans(collector.gateway->store, on_orphans, collector.gateway);
}

void deploy_collect(struct gateway *g)
{
    collector.trash = true;
    deploy_collect_soon(g);
}
