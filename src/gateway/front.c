/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/front.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/watch.h"
#include "gateway/conn.h"
#include "os/sock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    DESCRIPTOR_HEADROOM = 64, /* not for connections: sandboxes come with descriptors of their own */
    ACCEPT_PER_TURN = 16,     /* so that a flood of connections does not keep the established ones waiting */
    LISTENERS_MAX = sizeof(((struct gateway_boot *)0)->listener_kinds) / sizeof(uint32_t),
};

/* How long nothing is accepted after the descriptors ran out: short enough that waiting clients hardly notice the end of it, long
 * enough that the loop does not turn on a socket that stays readable. */
static const double ACCEPT_PAUSE_S = 0.1;

struct listener {
    struct front *front;
    ev_io watcher;
    enum gateway_listener_kind kind;
};

struct front {
    struct conn_table conns; /* first: nothing else of a front is a connection's business */
    struct gateway *gateway;
    unsigned listener_count;
    struct listener listeners[LISTENERS_MAX];
    int fd_ceiling; /* a connection at or above it would eat into the headroom: the kernel gives the lowest number free */
    int reserve_fd; /* given up for a moment when descriptors run out, so that one client at a time can be told */
    ev_timer pause;
    uint64_t started_ns;
};

static const char *name_peer(const struct sockaddr_storage *a, char out[INET6_ADDRSTRLEN])
{
    const void *address = NULL;
    if (a->ss_family == AF_INET)
        address = &((const struct sockaddr_in *)a)->sin_addr;
    else if (a->ss_family == AF_INET6)
        address = &((const struct sockaddr_in6 *)a)->sin6_addr;
    if (!address || !inet_ntop(a->ss_family, address, out, INET6_ADDRSTRLEN))
        return "";
    return out;
}

/* For a client that can't have a connection object. What its socket does not take at once, it never gets. */
static void turn_away(int fd)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 111\r\n"
        "X-Faasd-Error: NoCapacity\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        "{\"errorType\":\"NoCapacity\",\"errorMessage\":\"the limit of connections ('connections', or open files) is "
        "reached\"}\n";
    char request[4096];
    /* A request left unread would turn the close into a reset, which may overtake the reply. */
    if (recv(fd, request, sizeof(request), MSG_DONTWAIT) != 0)
        send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void admit(struct listener *l, int fd, const struct sockaddr_storage *address)
{
    struct front *f = l->front;
    char peer[INET6_ADDRSTRLEN];
    int on = 1;
    bool full = f->conns.conn_count >= f->gateway->config->connections_max || fd >= f->fd_ceiling;
    if (full && !conn_table_close_idle(&f->conns)) {
        turn_away(fd);
        return;
    }
    if (address->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (conn_open(&f->conns, fd, l->kind, name_peer(address, peer)) < 0)
        turn_away(fd);
}

static void pause_accepting(struct front *f)
{
    for (unsigned i = 0; i < f->listener_count; i++)
        ev_io_stop(f->gateway->loop, &f->listeners[i].watcher);
    ev_timer_set(&f->pause, ACCEPT_PAUSE_S, 0.);
    ev_timer_start(f->gateway->loop, &f->pause);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct front *f = timer->data;
    (void)events;
    for (unsigned i = 0; i < f->listener_count; i++)
        ev_io_start(loop, &f->listeners[i].watcher);
}

static int find_ceiling(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    rlim_t headroom = limit.rlim_cur / 4 < DESCRIPTOR_HEADROOM ? limit.rlim_cur / 4 : DESCRIPTOR_HEADROOM;
    return (int)(limit.rlim_cur - headroom);
}

/* Any descriptor will do. A duplicate, because the gateway's confinement lets it open hardly anything. */
static int take_reserve(void)
{
    return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

/* EMFILE or ENFILE: an idle connection makes room; without one, the client at hand is told and the others wait in the backlog. */
static void on_no_descriptor(struct front *f, int listener_fd)
{
    if (conn_table_close_idle(&f->conns))
        return;
    fd_close(&f->reserve_fd);
    int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        turn_away(fd);
    f->reserve_fd = take_reserve();
    pause_accepting(f);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct listener *l = w->data;
    for (unsigned i = 0; i < ACCEPT_PER_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof(address);
        int fd = accept4(w->fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(l, fd, &address);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EMFILE || errno == ENFILE)
            on_no_descriptor(l->front, w->fd);
        else if (errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(l->front);
        else if (errno != EAGAIN)
            log_warn("accept: %s; trying again", strerrorname_np(errno));
        return;
    }
}

struct front *front_new(struct gateway *g, struct err *e)
{
    const struct gateway_boot *boot = g->boot;
    if (boot->listener_count > LISTENERS_MAX) {
        err_say(e, EINVAL, "%u listeners are more than there can be", boot->listener_count);
        return NULL;
    }
    struct front *f = calloc(1, sizeof(*f));
    if (!f) {
        err_set(e, ENOMEM, "make the front");
        return NULL;
    }
    f->gateway = g;
    f->started_ns = clock_mono_ns();
    f->listener_count = boot->listener_count;
    f->fd_ceiling = find_ceiling();
    f->reserve_fd = take_reserve();
    conn_table_init(&f->conns, g);
    ev_init(&f->pause, on_pause_over);
    f->pause.data = f;
    for (unsigned i = 0; i < f->listener_count; i++) {
        struct listener *l = &f->listeners[i];
        int fd = GATEWAY_FD_LISTENERS + (int)i;
        l->front = f;
        l->kind = (enum gateway_listener_kind)boot->listener_kinds[i];
        ev_io_init(&l->watcher, on_acceptable, fd, EV_READ);
        l->watcher.data = l;
        sock_take_no_fds(fd); /* clients have no business with them */
        int r = fd_set_nonblock(fd);
        if (r < 0) {
            err_set(e, -r, "listening socket %d", fd);
            front_free(f);
            return NULL;
        }
        ev_io_start(g->loop, &l->watcher);
    }
    return f;
}

void front_free(struct front *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->listener_count; i++)
        ev_io_stop(f->gateway->loop, &f->listeners[i].watcher);
    ev_timer_stop(f->gateway->loop, &f->pause);
    conn_table_fini(&f->conns);
    fd_close(&f->reserve_fd);
    free(f);
}

/* Accepting goes on: a client left in the backlog would hear nothing for as long as the drain lasts, and then a reset. */
void front_drain(struct front *f)
{
    conn_table_drain(&f->conns);
}

unsigned front_busy_count(const struct front *f)
{
    return f->conns.open_exchanges + f->conns.flushing;
}

struct exchange *front_make_exchange(struct front *f, const struct front_request *r, int *ret_error)
{
    struct exchange_slot *s = conn_table_take_slot(&f->conns);
    *ret_error = -ENOMEM;
    if (!s)
        return NULL;
    s->input = malloc(r->head.n ? r->head.n : 1);
    s->input_cap = r->head.n;
    s->x.conn = NULL;
    if (!s->input) {
        slot_bury(s);
        return NULL;
    }
    memcpy(s->input, r->head.p, r->head.n);
    const struct http1_limits limits = {.head_bytes = r->head.n + 1, .fields = HTTP1_FIELDS_MAX};
    struct http1_progress progress = {0};
    struct http1_refusal refusal;
    size_t head_n;
    enum http1_outcome outcome =
        http1_parse_request(&s->request, &progress, s->input, r->head.n, &limits, &head_n, &refusal);
    if (outcome != HTTP1_DONE) {
        *ret_error = -EBADMSG;
        slot_bury(s);
        return NULL;
    }
    struct exchange *x = &s->x;
    x->gateway = f->gateway;
    x->request = &s->request;
    x->host = s->request.host;
    x->has_request = true;
    x->body = r->body;
    x->listener = r->listener;
    x->started_ns = clock_mono_ns();
    x->peer = s->peer;
    x->on_reply = r->on_reply;
    x->context = r->context;
    str_copy(str_from(r->id), x->id, sizeof(x->id));
    bool valid = id_uuid_parse(str_from(r->id), x->id_bytes);
    assert(valid);
    f->conns.open_exchanges++;
    return x;
}

unsigned front_connection_count(const struct front *f)
{
    return f->conns.conn_count;
}

uint64_t front_started_ns(const struct front *f)
{
    return f->started_ns;
}
