/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/network_process.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/watch.h"
#include "os/caps.h"
#include "os/pidfd.h"
#include "os/sock.h"
#include "supervisor/core.h"
#include "supervisor/resolver_message.h"
#include "supervisor/unprivileged.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>

static struct ev_loop *loop_of(const struct network_process *p)
{
    return p->egress->supervisor->loop;
}

/* ---- their end ---- */

static void release(struct network_child *c)
{
    ev_io_stop(loop_of(c->process), &c->on_exit); /* each is fine with one that is absent */
    pidfd_end(c->pidfd);
    fd_close(&c->pidfd);
}

static void release_resolver(struct network_process *p)
{
    release(&p->resolver);
    if (p->uid)
        uids_give_back(&p->egress->supervisor->boxes.uids, p->uid);
    p->uid = 0;
}

static void release_both(struct network_process *p)
{
    release_resolver(p);
    release(&p->network);
    if (p->link >= 0)
        ev_io_stop(loop_of(p), &p->on_message);
    fd_close(&p->link);
}

unsigned network_process_count_death(unsigned quick_deaths, uint64_t lived_ms)
{
    return lived_ms >= NETWORK_QUICK_MS ? 0 : quick_deaths + (quick_deaths < NETWORK_DEATHS_MAX);
}

unsigned network_process_pause_ms(unsigned quick_deaths)
{
    return (unsigned)NETWORK_PAUSE_MS << quick_deaths;
}

/* The resolver alone is missed no longer than at first: its deaths are not counted. */
static unsigned start_later(struct network_process *p)
{
    unsigned pause_ms = network_process_pause_ms(p->network.pidfd < 0 ? p->quick_deaths : 0);
    p->timer.repeat = pause_ms / 1e3;
    ev_now_update(loop_of(p));
    ev_timer_again(loop_of(p), &p->timer);
    return pause_ms;
}

static void replace(struct network_child *c, const char *why)
{
    struct network_process *p = c->process;
    if (c == &p->resolver) {
        release_resolver(p);
    } else {
        p->quick_deaths = network_process_count_death(p->quick_deaths, (clock_mono_ns() - p->started_ns) / 1000000);
        release_both(p);
    }
    log_error("%s %s; it is started again in %u ms pid=%d", c->name, why, start_later(p), c->pid);
    egress_look_again(p->egress);
}

void network_process_renew(struct network_process *p)
{
    network_process_close(p);
    p->quick_deaths = 0;
    if (p->egress->is_open && !list_is_empty(&p->egress->instances))
        start_later(p);
}

void network_process_replace(struct network_process *p, const char *why)
{
    if (p->network.pidfd >= 0)
        replace(&p->network, why);
}

static void on_exit_event(struct ev_loop *loop, ev_io *w, int events)
{
    struct network_child *c = w->data;
    watch_again(loop, w, events);
    if (pidfd_is_dead(c->pidfd))
        replace(c, "has died");
}

/* ---- messages ---- */

void network_process_send(struct network_process *p, const struct network_header *m, int fd)
{
    /* One that takes nothing for the length of the queue is broken; one that lacks a message would keep what is dead. The next one is told of all. Its end is seen
     * by its pidfd, not from here: who sends may be in the middle of a start. */
    if (p->link >= 0 && sock_send(p->link, m, m->size, &fd, fd >= 0) < 0)
        pidfd_kill(p->network.pidfd);
}

/* The host's own file: opened here, read by the resolver. */
static void send_servers(struct network_process *p)
{
    struct network_plain m = {.header = {.type = NETWORK_SERVERS, .size = sizeof(m)}};
    scoped_fd fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    network_process_send(p, &m.header, fd);
}

union network_request {
    struct network_header header;
    struct network_plain plain;
    struct network_made made;
    struct network_forget forget;
};

/* False: that is no message. */
static bool handle(struct network_process *p, union network_request *r, const struct sock_record *record)
{
    if (record->size < sizeof(r->header) || r->header.size != record->size)
        return false;
    if (r->header.type == NETWORK_MADE && record->size == sizeof(r->made) && record->fd_count <= 1)
        return egress_on_made(p->egress, &r->made, record->fd_count ? record->fds[0] : -1);
    if (record->fd_count)
        return false;
    if (r->header.type == NETWORK_FORGET && record->size == sizeof(r->forget))
        return egress_on_forget(p->egress, &r->forget);
    if (r->header.type != NETWORK_ASK_SERVERS || record->size != sizeof(r->plain))
        return false;
    send_servers(p);
    return true;
}

static void on_message(struct ev_loop *loop, ev_io *w, int events)
{
    struct network_process *p = w->data;
    watch_again(loop, w, events);
    for (int i = 0; i < NETWORK_BATCH && p->link >= 0; i++) {
        union network_request request;
        struct sock_record record;
        int r = sock_receive(p->link, &request, sizeof(request), &record);
        if (r == -EAGAIN || r == -ENOMEM) /* what there is no memory for stays where it is */
            return;
        bool good = r == 0 && record.size && handle(p, &request, &record);
        if (r == 0)
            sock_record_close(&record);
        if (!good)
            network_process_replace(p, r == 0 && record.size ? "sent what is no message" : "has closed its socket");
    }
}

/* ---- their start ---- */

/* A socket between two processes whose `ends[0]` may hold a message for each instance. */
static int make_link(int ends[2], struct err *e)
{
    int room = NETWORK_QUEUE_BYTES, r = sock_pair(SOCK_SEQPACKET, ends, e);
    if (r < 0 || setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0)
        return r;
    r = err_set(e, errno, "make room for messages");
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    return r;
}

static int launch(struct network_child *c, struct unprivileged_plan *plan, struct err *e)
{
    int pidfd = unprivileged_start(plan, c->process->egress->supervisor->self_fd, &c->pid, e);
    if (pidfd < 0)
        return pidfd;
    c->pidfd = pidfd;
    ev_io_init(&c->on_exit, on_exit_event, pidfd, EV_READ);
    c->on_exit.data = c;
    ev_io_start(loop_of(c->process), &c->on_exit);
    return 0;
}

enum { ROUTER_FD = NETWORK_FDS, USER_FD, START_FDS /* behind what the program finds: for its first steps */ };

/* In the child, its descriptors in place: what power it has ends at these namespaces from here on. */
static int enter_namespaces(const void *owner, struct err *e)
{
    (void)owner;
    if (setns(ROUTER_FD, CLONE_NEWNET) < 0 || setns(USER_FD, CLONE_NEWUSER) < 0)
        return err_set(e, errno, "enter the router's namespaces");
    close(ROUTER_FD);
    close(USER_FD);
    return 0;
}

static int make_network_boot(const struct egress *g, struct err *e)
{
    const struct config *c = &g->supervisor->config;
    const struct egress_uplink *u = &g->host.uplink;
    struct network_boot boot;
    memset(&boot, 0, sizeof(boot));
    boot.magic = NETWORK_MAGIC;
    boot.quiet = g->supervisor->options->quiet;
    boot.uplink = u->router_index;
    boot.host = u->host;
    boot.router = u->router;
    boot.gateway = config_egress_gateway(c);
    boot.grants = c->egress.grants;
    boot.limits = (struct network_limits){.bytes_per_second = c->egress.rate,
                                          .packets_per_second = c->egress.packets,
                                          .connections = c->egress.connections,
                                          .connections_total = c->egress.connections_total};
    return gateway_process_make_memfd("faasd-network-boot", &boot, sizeof(boot), e);
}

static int start_network(struct network_process *p, struct err *e)
{
    int ends[2];
    scoped_fd boot = make_network_boot(p->egress, e);
    int r = boot < 0 ? boot : make_link(ends, e);
    if (r < 0)
        return r;
    scoped_fd ours = ends[0], theirs = ends[1];
    /* chroot: it makes its view of the settings its root directory */
    struct unprivileged_plan plan = {.name = "faasd-network",
                                     .kept =
                                         CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN) | CAPS_BIT(CAP_SYS_CHROOT),
                                     .count = START_FDS,
                                     .enter = enter_namespaces};
    plan.fds[ROUTER_FD] = p->egress->host.router_fd;
    plan.fds[USER_FD] = p->egress->host.user_fd;
    plan.fds[NETWORK_FD_LINK] = theirs;
    plan.fds[NETWORK_FD_BOOT] = boot;
    r = launch(&p->network, &plan, e);
    if (r < 0)
        return r;
    p->started_ns = clock_mono_ns();
    p->link = fd_take(&ours);
    ev_io_init(&p->on_message, on_message, p->link, EV_READ);
    p->on_message.data = p;
    ev_io_start(loop_of(p), &p->on_message);
    egress_tell_all(p->egress);
    return 0;
}

static int make_resolver_boot(const struct egress *g, struct err *e)
{
    const struct config_egress *c = &g->supervisor->config.egress;
    struct resolver_boot boot;
    memset(&boot, 0, sizeof(boot));
    boot.magic = RESOLVER_MAGIC;
    boot.quiet = g->supervisor->options->quiet;
    boot.server_count = c->server_count;
    memcpy(boot.servers, c->servers, sizeof(boot.servers));
    boot.grants = c->grants;
    return gateway_process_make_memfd("faasd-resolver-boot", &boot, sizeof(boot), e);
}

static int start_resolver(struct network_process *p, struct err *e)
{
    struct egress *g = p->egress;
    struct network_plain m = {.header = {.type = NETWORK_RESOLVER, .size = sizeof(m)}};
    int ends[2];
    scoped_fd boot = make_resolver_boot(g, e);
    int r = boot < 0 ? boot : make_link(ends, e);
    if (r < 0)
        return r;
    scoped_fd one = ends[0], other = ends[1];
    p->uid = uids_take(&g->supervisor->boxes.uids);
    if (!p->uid)
        return err_say(e, EAGAIN, "every host uid of uid_base and uid_count is in use");
    struct unprivileged_plan plan = {.name = "faasd-resolver", .uid = p->uid, .gid = p->uid, .count = RESOLVER_FDS};
    plan.fds[RESOLVER_FD_LINK] = other;
    plan.fds[RESOLVER_FD_BOOT] = boot;
    plan.fds[RESOLVER_FD_DOOR] = g->host.door_fd;
    r = launch(&p->resolver, &plan, e);
    if (r < 0)
        release_resolver(p);
    else
        network_process_send(p, &m.header, one);
    return r;
}

static int start(struct network_process *p, struct err *e)
{
    int r = p->network.pidfd < 0 ? start_network(p, e) : 0;
    return r == 0 && p->resolver.pidfd < 0 && p->network.pidfd >= 0 ? start_resolver(p, e) : r;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct network_process *p = w->data;
    struct err e;
    (void)events;
    ev_timer_stop(loop, w);
    if (start(p, &e) < 0)
        log_error("start the processes of functions' networks: %s; trying again in %u ms", e.text, start_later(p));
}

int network_process_demand(struct network_process *p, struct err *e)
{
    bool is_awaited = ev_is_active(&p->timer);
    if (p->network.pidfd >= 0 || (is_awaited && p->quick_deaths < NETWORK_HOPELESS_DEATHS))
        return 0; /* one that is there is asked, of whatever row: it may be the one that stays */
    if (is_awaited)
        return err_say(e, EPIPE, "the process that makes networks ends as soon as it is started; faasd's log says why");
    int r = start(p, e);
    if (r < 0)
        release_both(p);
    return r;
}

void network_process_init(struct network_process *p, struct egress *g)
{
    *p = (struct network_process){.egress = g, .link = -1, .timer.data = p};
    ev_init(&p->timer, on_timer);
    p->network = (struct network_child){.process = p, .name = "the network process", .pidfd = -1};
    p->resolver = (struct network_child){.process = p, .name = "the resolver of functions' names", .pidfd = -1};
}

void network_process_close(struct network_process *p)
{
    release_both(p);
    if (loop_of(p))
        ev_timer_stop(loop_of(p), &p->timer);
}
