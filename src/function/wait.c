/* SPDX-License-Identifier: Apache-2.0 */
#include "wait.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EAGER_US_MAX = 10000 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t wanted_ns(void)
{
    const char *text = getenv("FAASD_EAGER_US");
    if (!text)
        return WAIT_SHORT_NS;
    char *end;
    long us = strtol(text, &end, 10);
    if (end == text || *end || us < 0)
        return WAIT_SHORT_NS;
    return (us < EAGER_US_MAX ? us : EAGER_US_MAX) * INT64_C(1000);
}

static void decide(struct wait *w)
{
    cpu_set_t cpus;
    w->decided = true;
    w->short_ns = wanted_ns();
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1)
        w->short_ns = 0;
}

ssize_t faasd_wait_receive(struct wait *w, int fd, void *to, size_t room)
{
    if (w->decided && w->short_ns == 0)
        return read(fd, to, room);
    int64_t began = now_ns();
    while (w->eager) {
        ssize_t n = recv(fd, to, room, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n;
        w->eager = now_ns() - began < w->short_ns;
        sched_yield();
    }
    ssize_t n = read(fd, to, room);
    /* A process that was made for one request, or that starts to serve now, is not looked for again at once. */
    bool first = !w->decided;
    if (first)
        decide(w);
    w->eager = !first && now_ns() - began < w->short_ns;
    return n;
}
