/* SPDX-License-Identifier: Apache-2.0 */
#include "wait.h"

#include <errno.h>
#include <poll.h>
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
    w->decided_for = WAIT_DECIDED_FOR;
    w->short_ns = wanted_ns();
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1)
        w->short_ns = 0;
    w->eager = w->eager && w->short_ns > 0;
}

/* Not in read(2): who sleeps there on a stream socket is woken as well when the other side takes what was sent to it (unix_write_space in the kernel wakes
 * whoever waits, unix_stream_data_wait does not ask for what), so READY and each reply would wake us for nothing. poll(2) asks. */
static ssize_t sleep_and_read(int fd, void *to, size_t room)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, -1); /* EINTR and errors show in the call that follows */
    return read(fd, to, room);
}

ssize_t faasd_wait_receive(struct wait *w, int fd, void *to, size_t room)
{
    if (w->plain < WAIT_PLAIN) {
        w->plain++;
        return sleep_and_read(fd, to, room);
    }
    if (w->decided_for == 0)
        decide(w);
    w->decided_for--;
    if (w->short_ns == 0)
        return sleep_and_read(fd, to, room);
    int64_t began = now_ns();
    while (w->eager) {
        ssize_t n = recv(fd, to, room, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n;
        w->eager = now_ns() - began < w->short_ns;
        sched_yield();
    }
    ssize_t n = sleep_and_read(fd, to, room);
    w->eager = now_ns() - began < w->short_ns;
    return n;
}
