/* SPDX-License-Identifier: Apache-2.0 */
/* The network process: finds what the supervisor left for it, gives up what it can, serves until the supervisor is gone. */
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "network/internal.h"
#include "network/network.h"
#include "os/sock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

static struct network network;

static int read_boot(struct network *n, struct err *e)
{
    scoped_fd fd = NETWORK_FD_BOOT;
    ssize_t size = fd_read_full(fd, &n->boot, sizeof(n->boot));
    if (size != (ssize_t)sizeof(n->boot) || n->boot.magic != NETWORK_MAGIC || n->boot.grants.count > EGRESS_RANGES_MAX)
        return err_say(e, EPROTO, "this process is started by `faasd serve` only");
    if (fcntl(NETWORK_FD_LINK, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(e, errno, "take over descriptor %d", NETWORK_FD_LINK);
    return 0;
}

/* ---- the supervisor's messages ---- */

union order {
    struct network_header header;
    struct network_plain plain;
    struct network_add add;
};

static int make(struct network *n, const struct network_add *m, struct err *e)
{
    struct way *w = way_new(m, e);
    int fd = w ? namespace_make(n, &w->port, e) : -e->code;
    if (w && fd < 0) /* what the filter has of it is worth nothing: no interface gets this index again */
        way_remove(w);
    else if (w)
        resolver_link_add(n, &w->port); /* before anything of it runs */
    return fd;
}

static bool will_pass(int error)
{
    return error == -EAGAIN || error == -ENOMEM || error == -ENOBUFS || error == -ETOOMANYREFS;
}

/* The supervisor may be busy with what it got before, and the kernel without memory: it is waited for, and its end is this process's. */
static int answer_supervisor(const struct network_made *m, int fd)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct pollfd room = {.fd = NETWORK_FD_LINK, .events = POLLOUT};
    int r;
    while (will_pass(r = sock_send(NETWORK_FD_LINK, m, sizeof(*m), &fd, fd >= 0)))
        if (r != -EAGAIN || poll(&room, 1, -1) < 0)
            nanosleep(&pause, NULL);
    return r;
}

static int on_add(struct network *n, const struct network_add *m)
{
    struct network_made answer = {.header = {.type = NETWORK_MADE, .size = sizeof(answer)}, .index = m->index};
    scoped_fd fd = make(n, m, &answer.error);
    answer.error.code = fd < 0 ? answer.error.code : 0;
    return answer_supervisor(&answer, fd);
}

/* Its namespace is there, and both ends of its veth. */
static int on_again(struct network *n, const struct network_add *m)
{
    struct err e;
    struct way *w = way_new(m, &e);
    if (!w)
        return -ENOMEM;
    resolver_link_add(n, &w->port);
    int r = namespace_take_over(n, &w->port, &e);
    if (r < 0 && r != -ENODEV) /* it is about to end, and its veth has */
        log_warn("%s: an instance stays without its way out index=%u", e.text, m->index);
    return 0;
}

static void on_remove(struct network *n, uint32_t index)
{
    struct err e;
    struct way *w = way_find(index);
    if (!w)
        return; /* it could not be made */
    if (filter_remove(&n->filter, &w->port, &e) < 0)
        log_warn("%s: the rules of a dead instance stay until the end of this process index=%u", e.text, index);
    resolver_link_remove(n, index);
    way_remove(w);
    n->sweep_ms = n->sweep_ms ? n->sweep_ms : n->now_ms + SWEEP_MS;
}

/* The first one comes behind all instances of the process before. */
static void on_resolver(struct network *n, int fd)
{
    if (!n->is_cleared)
        router_clear(n);
    n->is_cleared = true;
    resolver_link_open(n, fd);
}

static int obey_plain(struct network *n, const struct network_plain *m, struct sock_record *record)
{
    bool has_fd = record->fd_count == 1;
    if (m->header.type == NETWORK_REMOVE)
        on_remove(n, m->index);
    else if (m->header.type == NETWORK_RESOLVER && has_fd)
        on_resolver(n, fd_take(&record->fds[0]));
    else if (m->header.type == NETWORK_SERVERS)
        resolver_link_servers(n, has_fd ? record->fds[0] : -1);
    else
        return -EPROTO;
    return 0;
}

static int obey(struct network *n, const union order *o, struct sock_record *record)
{
    if (record->size < sizeof(o->header) || o->header.size != record->size)
        return -EPROTO;
    if (record->size == sizeof(o->plain))
        return obey_plain(n, &o->plain, record);
    if (record->size != sizeof(o->add) || o->add.rule_count > EGRESS_RULES_MAX || way_find(o->add.index))
        return -EPROTO;
    if (o->header.type == NETWORK_ADD)
        return on_add(n, &o->add);
    return o->header.type == NETWORK_AGAIN ? on_again(n, &o->add) : -EPROTO;
}

/* All that waits. 0; anything else is the end. */
static int obey_all(struct network *n)
{
    static union order order;
    for (;;) {
        struct sock_record record;
        int result = sock_receive(NETWORK_FD_LINK, &order, sizeof(order), &record);
        if (result == -EAGAIN || result == -ENOMEM) /* what there is no memory for stays where it is */
            return 0;
        if (result < 0)
            return result;
        n->spares_ms = n->now_ms + SPARES_QUIET_MS;
        result = record.size == 0 ? -EPIPE : obey(n, &order, &record);
        sock_record_close(&record);
        if (result < 0)
            return result;
    }
}

/* ---- the loop ---- */

static void make_spare(struct network *n)
{
    struct err e;
    int r = namespace_make_spare(n, &e);
    if (r < 0 && !n->spares_failed)
        log_warn("%s: no network is made ahead for now", e.text);
    n->spares_failed = r < 0;
    n->spares_ms = n->now_ms + (r < 0 ? SPARES_PAUSE_MS : SPARES_QUIET_MS);
}

static int wait_ms(const struct network *n)
{
    uint64_t first = n->sweep_ms ? n->sweep_ms : UINT64_MAX;
    if (n->spare_count < SPARES_MAX && n->spares_ms < first)
        first = n->spares_ms;
    if (n->resolver_ms && n->resolver_ms < first)
        first = n->resolver_ms;
    if (first == UINT64_MAX)
        return -1;
    return first <= n->now_ms ? 0 : (int)(first - n->now_ms);
}

static void read_clock(struct network *n)
{
    n->now_ms = clock_boot_ns() / 1000000;
}

/* The supervisor first: an instance is known before anything is asked for it. */
static int turn(struct network *n)
{
    struct pollfd fds[] = {{.fd = NETWORK_FD_LINK, .events = POLLIN}, {.fd = n->resolver, .events = POLLIN}};
    read_clock(n);
    if (poll(fds, 2, wait_ms(n)) < 0 && errno != EINTR && errno != ENOMEM)
        return -errno;
    read_clock(n);
    int result = obey_all(n);
    if (result < 0)
        return result;
    if (fds[1].revents)
        resolver_link_read(n);
    if (n->resolver_ms && n->resolver_ms <= n->now_ms) {
        log_error("no resolver of functions' names has come in the place of one whose link was closed: the supervisor "
                  "is to start both anew");
        return -EPROTO;
    }
    if (n->sweep_ms && n->sweep_ms <= n->now_ms)
        sweep(n);
    if (n->spare_count < SPARES_MAX && n->spares_ms <= n->now_ms)
        make_spare(n);
    return 0;
}

static int start(struct network *n, struct err *e)
{
    int r = read_boot(n, e);
    if (r < 0)
        return r;
    if (n->boot.quiet)
        log_set_quiet();
    n->resolver = -1;
    r = network_confine(n, e);
    if (r == 0)
        r = router_open(n, e);
    read_clock(n);
    n->sweep_ms = n->now_ms + SWEEP_MS; /* who ended while there was no such process */
    n->spares_ms = n->now_ms + SPARES_QUIET_MS;
    return r;
}

int network_main(void)
{
    struct err e;
    log_set_role("network");
    prctl(PR_SET_NAME, "faasd-network");
    signal(SIGPIPE, SIG_IGN);
    if (start(&network, &e) < 0) {
        log_error("the network process could not start: %s", e.text);
        return EXIT_FAILURE;
    }
    int r;
    do
        r = turn(&network);
    while (r == 0);
    if (r != -EPIPE && r != -ECONNRESET)
        log_error("the network process ends: %s", strerrorname_np(-r));
    return EXIT_FAILURE;
}
