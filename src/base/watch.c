/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include "base/fmt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void *reserve;
static void (*on_end)(const char *why);

static void *take_reserve(void *old, size_t size)
{
    free(reserve);
    reserve = NULL;
    return realloc(old, size);
}

static void *allocate(void *old, long size) EV_NOEXCEPT
{
    if (size == 0) {
        free(old);
        return NULL;
    }
    void *p = realloc(old, (size_t)size);
    if (!p && reserve)
        p = take_reserve(old, (size_t)size);
    if (!p) {
        on_end("there is no memory for the event loop");
        abort();
    }
    if (!reserve)
        reserve = malloc(WATCH_RESERVE_BYTES);
    return p;
}

static void on_fault(const char *what) EV_NOEXCEPT
{
    char why[128];
    fmt_to(why, sizeof(why), "the event loop can't go on: %s: %s", what, strerrorname_np(errno));
    on_end(why);
    abort();
}

void watch_prepare(void (*end)(const char *why))
{
    on_end = end;
    if (!reserve)
        reserve = malloc(WATCH_RESERVE_BYTES);
    ev_set_allocator(allocate);
    ev_set_syserr_cb(on_fault);
}

static ev_async wake;
static bool is_refused;

static void on_wake(struct ev_loop *loop, ev_async *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

/* Just before it waits. Whatever was ready by now has been called, but for what epoll has refused in the meantime. */
static void before_waiting(struct ev_loop *loop) EV_NOEXCEPT
{
    is_refused = ev_pending_count(loop) > 0;
    if (is_refused)
        ev_async_send(loop, &wake);
}

struct ev_loop *watch_loop_new(unsigned flags)
{
    struct ev_loop *loop = ev_loop_new(flags);
    if (!loop)
        return NULL;
    ev_async_init(&wake, on_wake);
    ev_async_start(loop, &wake);
    ev_unref(loop); /* it keeps no loop alive */
    ev_set_loop_release_cb(loop, before_waiting, NULL);
    /* libev's own descriptor, by which signals and `wake` reach a loop that waits, is offered now: nobody would offer it again. */
    ev_run(loop, EVRUN_NOWAIT);
    if (!is_refused)
        return loop;
    ev_loop_destroy(loop);
    return NULL;
}

void watch_again(struct ev_loop *loop, ev_io *w, int events)
{
    if (!(events & EV_ERROR))
        return;
    ev_io_set(w, w->fd, w->events & (EV_READ | EV_WRITE)); /* else libev takes the kernel to know what it refused */
    ev_io_start(loop, w);
}
