/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver's process: finds what the supervisor left for it, gives up what it can, answers until the network process is gone. */
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "os/sock.h"
#include "resolver/internal.h"
#include "resolver/resolver.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

static struct resolver resolver;

static int read_boot(struct resolver *r, struct err *e)
{
    scoped_fd fd = RESOLVER_FD_BOOT;
    ssize_t n = fd_read_full(fd, &r->boot, sizeof(r->boot));
    if (n != (ssize_t)sizeof(r->boot) || r->boot.magic != RESOLVER_MAGIC ||
        r->boot.server_count > RESOLVER_SERVERS_MAX || r->boot.grants.count > EGRESS_RANGES_MAX)
        return err_say(e, EPROTO, "this process is started by `faasd serve` only");
    static const int kept[] = {RESOLVER_FD_LINK, RESOLVER_FD_DOOR};
    for (unsigned i = 0; i < 2; i++)
        if (fcntl(kept[i], F_SETFD, FD_CLOEXEC) < 0)
            return err_set(e, errno, "take over descriptor %d", kept[i]);
    return 0;
}

/* ---- the network process's messages ---- */

union order {
    struct resolver_header header;
    struct resolver_plain plain;
    struct resolver_add add;
};

static int obey(struct resolver *r, const union order *o, size_t size, int fd)
{
    if (size < sizeof(o->header) || o->header.size != size)
        return -EPROTO;
    if (o->header.type == RESOLVER_ADD)
        return size == sizeof(o->add) ? instance_add(&o->add) : -EPROTO;
    if (size != sizeof(o->plain))
        return -EPROTO;
    switch (o->header.type) {
    case RESOLVER_REMOVE:
        instance_remove(o->plain.index);
        return 0;
    case RESOLVER_SERVERS:
        servers_read(r, fd);
        return 0;
    case RESOLVER_ALLOWED:
        query_on_allowed(r, o->plain.query, o->plain.value == 1);
        return 0;
    default:
        return -EPROTO;
    }
}

/* All that waits: an instance is known before its first question is read. 0, -EAGAIN; anything else is the end. */
static int obey_all(struct resolver *r)
{
    static union order order;
    for (;;) {
        struct sock_record record;
        int result = sock_receive(RESOLVER_FD_LINK, &order, sizeof(order), &record);
        if (result < 0)
            return result == -ENOMEM ? -EAGAIN : result; /* what there is no memory for stays where it is */
        if (record.size == 0)
            return -EPIPE;
        result = obey(r, &order, record.size, record.fd_count ? record.fds[0] : -1);
        sock_record_close(&record);
        if (result < 0)
            return result;
    }
}

/* ---- the loop ---- */

static int wait_ms(const struct resolver *r)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < QUERIES_MAX; i++)
        if (r->queries[i].state != QUERY_FREE && r->queries[i].deadline_ms < first)
            first = r->queries[i].deadline_ms;
    if (first == UINT64_MAX)
        return -1;
    return first <= r->now_ms ? 0 : (int)(first - r->now_ms);
}

/* The network process first, then answers, then new questions: those find the room that answers leave. */
static int turn(struct resolver *r)
{
    enum { LINK, DOOR, FIRST };
    struct pollfd fds[FIRST + QUERIES_MAX];
    for (unsigned i = 0; i < QUERIES_MAX; i++)
        fds[FIRST + i] =
            (struct pollfd){.fd = r->queries[i].state == QUERY_ASKING ? r->queries[i].fd : -1, .events = POLLIN};
    fds[LINK] = (struct pollfd){.fd = RESOLVER_FD_LINK, .events = POLLIN};
    fds[DOOR] = (struct pollfd){.fd = r->has_servers ? RESOLVER_FD_DOOR : -1, .events = POLLIN};
    if (poll(fds, FIRST + QUERIES_MAX, wait_ms(r)) < 0 && errno != EINTR && errno != ENOMEM)
        return -errno;
    r->now_ms = clock_boot_ns() / 1000000;
    int result = obey_all(r);
    if (result != -EAGAIN)
        return result;
    for (unsigned i = 0; i < QUERIES_MAX; i++) {
        struct query *q = &r->queries[i];
        if (fds[FIRST + i].revents && q->state == QUERY_ASKING && q->fd == fds[FIRST + i].fd)
            query_on_answer(r, q);
        if (q->state != QUERY_FREE && q->deadline_ms <= r->now_ms)
            query_on_deadline(r, q);
    }
    if (fds[DOOR].revents)
        query_take(r);
    return 0;
}

static int start(struct resolver *r, struct err *e)
{
    struct resolver_plain m = {.header = {.type = RESOLVER_ASK_SERVERS, .size = sizeof(m)}};
    int result = read_boot(r, e);
    if (result < 0)
        return result;
    if (r->boot.quiet)
        log_set_quiet();
    result = resolver_confine(e);
    if (result < 0)
        return result;
    r->now_ms = clock_boot_ns() / 1000000;
    r->next_number = 1;
    servers_take_configured(r);
    if (r->has_servers)
        return 0;
    result = sock_send(RESOLVER_FD_LINK, &m, sizeof(m), NULL, 0);
    r->servers_ms = r->now_ms;
    return result < 0 ? err_set(e, -result, "ask for the name servers") : 0;
}

int resolver_main(void)
{
    struct err e;
    log_set_role("resolver");
    prctl(PR_SET_NAME, "faasd-resolver");
    signal(SIGPIPE, SIG_IGN);
    if (start(&resolver, &e) < 0) {
        log_error("the resolver could not start: %s", e.text);
        return EXIT_FAILURE;
    }
    int r;
    do
        r = turn(&resolver);
    while (r == 0);
    if (r != -EPIPE && r != -ECONNRESET)
        log_error("the resolver ends: %s", strerrorname_np(-r));
    return EXIT_FAILURE;
}
