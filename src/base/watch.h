/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two daemons' event loops where the kernel or memory fails libev, which by itself aborts, or stops watching.
 *
 * Memory: libev has no way on without what it asks for. A reserve is kept for it, and spent before the process has to end.
 * epoll_ctl(2): ENOMEM, or ENOSPC at fs.epoll.max_user_watches. libev stops the descriptor's watchers and calls each with EV_ERROR and all it waits for, though
 * only when it has waited for something else, which may be a timeout of many seconds: a loop made here does not wait then.
 */
#ifndef FAASD_BASE_WATCH_H
#define FAASD_BASE_WATCH_H

#include <ev.h>

enum { WATCH_RESERVE_BYTES = 128 << 10 /* more than an array of 2,000 descriptors or timers doubles to */ };

/* Before a process makes its first loop. `end` is told why this process can't go on, says it and ends it: it must not return. */
void watch_prepare(void (*end)(const char *why));

/* The process's one loop; NULL without memory, or when the kernel refuses the descriptor by which signals reach it. */
struct ev_loop *watch_loop_new(unsigned flags);

/* The first thing that a callback of ev_io does: a watcher that libev stopped waits again. The callback goes on as if woken for nothing, which each
 * must bear; while the kernel refuses, it is called at each turn. */
void watch_again(struct ev_loop *loop, ev_io *w, int events);

#endif
