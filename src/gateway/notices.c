/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/notices.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/watch.h"
#include "codec/settings.h"
#include "os/seccomp.h"

#include <errno.h>
#include <stdlib.h>

struct notices {
    struct gateway *gateway;
    unsigned references;
    int fd; /* owned */
    ev_io watcher;
    ev_timer rest;
    enum init_notices answer;
    struct learned_calls *learned; /* borrowed; may be NULL */
    uint64_t span_ns;              /* when the span at hand began */
    unsigned in_span;
    unsigned denied; /* ever; the newest is at (denied - 1) % NOTICES_KEPT */
    struct {
        uint64_t ns;
        uint32_t pid;
        int number;
    } kept[NOTICES_KEPT];
};

static void learn(struct learned_calls *l, int number)
{
    if (!l)
        return;
    l->told++;
    if (number >= 0 && number < NOTICES_NUMBERS)
        l->seen[number / 64] |= UINT64_C(1) << (number % 64);
}

static void answer(struct notices *n, const struct seccomp_notice *notice)
{
    if (n->answer == INIT_NOTICES_GO_ON) {
        learn(n->learned, notice->number);
        seccomp_answer_notice(n->fd, notice->id, 0);
        return;
    }
    unsigned at = n->denied++ % NOTICES_KEPT;
    n->kept[at].ns = clock_mono_ns();
    n->kept[at].pid = notice->pid;
    n->kept[at].number = notice->number;
    seccomp_answer_notice(n->fd, notice->id, EPERM);
}

/* False: the share of this span is used. */
static bool may_answer(struct notices *n)
{
    const unsigned share = n->answer == INIT_NOTICES_GO_ON ? NOTICES_LEARNT_A_SPAN : NOTICES_DENIED_A_SPAN;
    uint64_t now = clock_mono_ns();
    if (now - n->span_ns >= NOTICES_SPAN_MS * UINT64_C(1000000)) {
        n->span_ns = now;
        n->in_span = 0;
    }
    return n->in_span++ < share;
}

static void listen_on(struct notices *n, bool resting)
{
    struct ev_loop *loop = n->gateway->loop;
    ev_timer_stop(loop, &n->rest);
    ev_io_stop(loop, &n->watcher);
    if (resting) {
        ev_timer_set(&n->rest, NOTICES_SPAN_MS / 1e3, 0.);
        ev_timer_start(loop, &n->rest);
    } else {
        ev_io_start(loop, &n->watcher);
    }
}

/* No more than `most`. */
static void take(struct notices *n, unsigned most)
{
    struct seccomp_notice notice;
    for (unsigned i = 0; i < most; i++) {
        int r = seccomp_receive_notice(n->fd, &notice);
        if (r < 0)
            ev_io_stop(n->gateway->loop, &n->watcher); /* OVER */
        if (r <= 0)
            return;
        answer(n, &notice);
        if (!may_answer(n)) {
            listen_on(n, true);
            return;
        }
    }
}

static void on_notice(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    take(w->data, NOTICES_TURN);
}

static void on_rested(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)events;
    listen_on(w->data, false);
}

struct notices *notices_new(struct gateway *g, int fd, enum init_notices what, struct learned_calls *learned)
{
    struct notices *n = calloc(1, sizeof(*n));
    if (!n) {
        close(fd);
        return NULL;
    }
    n->gateway = g;
    n->references = 1;
    n->fd = fd;
    n->answer = what;
    n->learned = learned;
    ev_io_init(&n->watcher, on_notice, fd, EV_READ);
    ev_timer_init(&n->rest, on_rested, 0., 0.);
    n->watcher.data = n->rest.data = n;
    listen_on(n, false);
    return n;
}

struct notices *notices_get(struct notices *n)
{
    if (n)
        n->references++;
    return n;
}

void notices_put(struct notices *n)
{
    if (!n || --n->references)
        return;
    ev_io_stop(n->gateway->loop, &n->watcher);
    ev_timer_stop(n->gateway->loop, &n->rest);
    fd_close(&n->fd);
    free(n);
}

int notices_find_denied(struct notices *n, int32_t pid, uint64_t since_ns)
{
    int any = -1;
    unsigned kept = n->denied < NOTICES_KEPT ? n->denied : NOTICES_KEPT;
    for (unsigned i = 1; i <= kept; i++) { /* the newest first */
        unsigned at = (n->denied - i) % NOTICES_KEPT;
        if (n->kept[at].ns < since_ns)
            break;
        if (n->kept[at].pid == (uint32_t)pid)
            return n->kept[at].number;
        if (any < 0)
            any = n->kept[at].number;
    }
    return any;
}

void notices_print_denied(const struct settings *s, int number, char out[NOTICES_TEXT_MAX])
{
    char name[SECCOMP_NAME_MAX];
    seccomp_find_name(seccomp_native_architecture(), number, name);
    fmt_to(out, NOTICES_TEXT_MAX, "system call %s denied by seccomp profile %s", name,
           s->seccomp == SETTINGS_SECCOMP_STRICT ? "strict" : "learned");
}
