/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress.h"

#include "base/fdio.h"
#include "base/log.h"
#include "os/conntrack.h"
#include "os/ns.h"
#include "supervisor/core.h"

#include <fcntl.h>
#include <string.h>

enum {
    FIRST_INDEX =
        256, /* of instances, in the router's namespace and in their own: behind what a new namespace may have */
    FIRST_ADDRESS = 2, /* in the range: behind the network's own and the gateway's */
};

void egress_init(struct egress *g, struct supervisor *s)
{
    *g = (struct egress){.supervisor = s, .next_index = FIRST_INDEX};
    err_say(&g->refusal, EPERM, "grants.network_egress is not set");
    egress_host_init(&g->host);
    list_init(&g->instances);
    network_process_init(&g->network, g);
}

/* ---- the start and the end ---- */

static int open_way(struct egress *g, const struct config *c, struct err *e)
{
    struct supervisor *s = g->supervisor;
    struct egress_range range;
    config_egress_range(c, &range);
    uint32_t count = (UINT32_C(1) << (32 - range.bits)) - EGRESS_UPLINK_ADDRESSES - FIRST_ADDRESS;
    if (!g->addresses.taken && uids_init(&g->addresses, range.address + FIRST_ADDRESS, count) < 0)
        return err_set(e, ENOMEM, "make a way out");
    if (!g->uid && !(g->uid = uids_take(&s->boxes.uids)))
        return err_say(e, EAGAIN, "every host uid of uid_base and uid_count is in use");
    return egress_host_open(&g->host, c, g->uid, e);
}

void egress_open(struct egress *g, const struct config *c)
{
    bool was_open = g->is_open;
    if (!c->grant_network_egress || (was_open && !egress_host_is_cut(&g->host)))
        return;
    g->is_open = open_way(g, c, &g->refusal) == 0;
    if (g->is_open)
        log_info("functions with network 'egress' leave by the interface %s", g->host.uplink.name);
    else if (was_open)
        log_error("functions with network 'egress' have no way out any more: %s", g->refusal.text);
    network_process_renew(&g->network);
}

void egress_fini(struct egress *g)
{
    network_process_close(&g->network);
    egress_host_close(&g->host);
    uids_fini(&g->addresses);
    if (g->uid)
        uids_give_back(&g->supervisor->boxes.uids, g->uid);
    g->uid = 0;
    g->is_open = false;
}

/* ---- instances ---- */

static int check_host(const struct egress *g, struct err *e)
{
    char text[16];
    if (!g->is_open) {
        *e = g->refusal;
        return -e->code;
    }
    if (egress_host_is_cut(&g->host))
        return err_say(e, ENODEV, "the uplink %s is gone from the host: reload or restart faasd, which makes it anew",
                       g->host.uplink.name);
    ssize_t n = fd_read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", text, sizeof(text), e);
    if (n < 0)
        return (int)n;
    return text[0] != '0' ? 0
                          : err_say(e, EPERM,
                                    "it needs a host that forwards packets, and net.ipv4.ip_forward is 0: "
                                    "`sysctl -w net.ipv4.ip_forward=1`, and a file in /etc/sysctl.d to keep it");
}

/* Whether a way out can be had now, or soon. */
static int check(struct egress *g, struct err *e)
{
    int r = check_host(g, e);
    return r == 0 ? network_process_demand(&g->network, e) : r;
}

static void tell(struct egress *g, struct egress_instance *i)
{
    struct network_add m = {.header = {.type = i->namespace ? NETWORK_AGAIN : NETWORK_ADD, .size = sizeof(m)},
                            .index = i->index,
                            .address = i->address,
                            .rule_count = i->rule_count};
    memcpy(m.rules, i->rules, i->rule_count * sizeof(m.rules[0]));
    network_process_send(&g->network, &m.header, -1);
}

static struct egress_instance *instance_new(struct egress *g, const struct message_spawn *m, struct err *e)
{
    struct egress_instance *i = calloc(1, sizeof(*i) + m->allow_count * sizeof(i->rules[0]));
    if (!i) {
        err_set(e, ENOMEM, "make a way out");
        return NULL;
    }
    i->address = uids_take(&g->addresses);
    if (!i->address) {
        err_say(e, EAGAIN, "every address of egress.range is in use");
        free(i);
        return NULL;
    }
    memcpy(i->rules, m->allow, m->allow_count * sizeof(i->rules[0]));
    i->rule_count = m->allow_count;
    i->index = g->next_index++;
    return i;
}

int egress_ask(struct egress *g, struct box *x, const struct message_spawn *m, struct egress_instance **ret_instance,
               struct err *e)
{
    struct egress_instance *i = check(g, e) < 0 ? NULL : instance_new(g, m, e);
    if (!i)
        return err_wrap(e, "network 'egress'");
    i->box = x;
    list_push_back(&g->instances, &i->link);
    *ret_instance = i;
    tell(g, i);
    return 0;
}

void egress_detach(struct egress *g, struct egress_instance *i)
{
    if (!i)
        return;
    struct network_plain m = {.header = {.type = NETWORK_REMOVE, .size = sizeof(m)}, .index = i->index};
    network_process_send(&g->network, &m.header, -1);
    uids_give_back(&g->addresses, i->address);
    list_remove(&i->link);
    free(i);
}

void egress_is_late(struct egress *g)
{
    network_process_replace(&g->network, "does not answer");
}

void egress_tell_all(struct egress *g)
{
    LIST_EACH (&g->instances, at)
        tell(g, LIST_ENTRY(at, struct egress_instance, link));
}

void egress_look_again(struct egress *g)
{
    struct err e;
    if (check(g, &e) == 0)
        return;
    err_wrap(&e, "network 'egress'");
    LIST_EACH (&g->instances, at)
        box_on_network(LIST_ENTRY(at, struct egress_instance, link)->box, -1, &e); /* heeded where it is waited for */
}

/* ---- what the network process says ---- */

/* What it hands over must be its own to give: never the host's network, the router's, or another instance's. */
static int check_namespace(const struct egress *g, int fd, uint64_t *ret_inode, struct err *e)
{
    int r = ns_check_network(fd, g->host.user_fd, ret_inode, e);
    bool is_taken = r == 0 && *ret_inode == g->host.router_inode;
    LIST_EACH (&g->instances, at)
        is_taken = is_taken || (r == 0 && LIST_ENTRY(at, struct egress_instance, link)->namespace == *ret_inode);
    return is_taken ? err_say(e, EPERM, "a network namespace is in use already") : r;
}

bool egress_on_made(struct egress *g, struct network_made *m, int fd)
{
    struct egress_instance *i = NULL;
    LIST_EACH (&g->instances, at)
        if (LIST_ENTRY(at, struct egress_instance, link)->index == m->index)
            i = LIST_ENTRY(at, struct egress_instance, link);
    if (!i)
        return m->index < g->next_index; /* it has just ended */
    if (i->namespace || (m->error.code == 0) != (fd >= 0) || m->error.code < 0)
        return false;
    m->error.text[sizeof(m->error.text) - 1] = '\0';
    uint64_t inode = 0;
    int r = fd < 0 ? fd : check_namespace(g, fd, &inode, &m->error);
    if (fd >= 0 && r == -EPERM) {
        log_error("%s: what the network process handed over index=%u", m->error.text, m->index);
        return false;
    }
    i->namespace = inode;
    err_wrap(&m->error, "network 'egress'");
    box_on_network(i->box, r < 0 ? -1 : fd, &m->error); /* what could not be looked at is refused, and nobody's fault */
    return true;
}

bool egress_on_forget(const struct egress *g, const struct network_forget *m)
{
    if (m->count > NETWORK_FORGET_MAX)
        return false;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct network_connection *c = &m->connections[i];
        const struct conntrack_tuple t = {.source = g->host.uplink.router,
                                          .destination = c->destination,
                                          .source_port = c->source_port,
                                          .destination_port = c->destination_port,
                                          .protocol = (uint8_t)c->protocol};
        conntrack_forget(g->host.table_fd, &t);
    }
    return true;
}
