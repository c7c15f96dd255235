/* SPDX-License-Identifier: Apache-2.0 */
#include "os/netif_clear.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

/* ---- what the kernel says of each ---- */

static uint32_t read_u32(const struct rtattr *a)
{
    uint32_t value = 0;
    if (RTA_PAYLOAD(a) >= sizeof(value))
        memcpy(&value, RTA_DATA(a), sizeof(value));
    return value;
}

static bool read_link(const struct nlmsghdr *m, struct netif_entry *out)
{
    const struct ifinfomsg *head = NLMSG_DATA(m);
    out->index = (uint32_t)head->ifi_index;
    out->is_plain = (head->ifi_flags & IFF_UP) == 0;
    return true;
}

static bool read_address(const struct nlmsghdr *m, struct netif_entry *out)
{
    const struct ifaddrmsg *head = NLMSG_DATA(m);
    unsigned left = (unsigned)IFA_PAYLOAD(m);
    out->index = head->ifa_index;
    out->bits = head->ifa_prefixlen;
    for (struct rtattr *a = IFA_RTA(head); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == IFA_LOCAL)
            out->address = ntohl(read_u32(a));
        else if (a->rta_type == IFA_ADDRESS)
            out->peer = ntohl(read_u32(a));
    return true;
}

static bool read_route(const struct nlmsghdr *m, struct netif_entry *out)
{
    const struct rtmsg *head = NLMSG_DATA(m);
    unsigned left = (unsigned)RTM_PAYLOAD(m);
    out->bits = head->rtm_dst_len;
    out->table = head->rtm_table;
    out->is_plain = head->rtm_type == RTN_UNICAST && head->rtm_tos == 0 && head->rtm_src_len == 0;
    for (struct rtattr *a = RTM_RTA(head); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == RTA_DST)
            out->to = ntohl(read_u32(a));
        else if (a->rta_type == RTA_GATEWAY)
            out->gateway = ntohl(read_u32(a));
        else if (a->rta_type == RTA_OIF)
            out->index = read_u32(a);
        else if (a->rta_type == RTA_TABLE)
            out->table = read_u32(a);
        else if (a->rta_type != RTA_PREFSRC)
            out->is_plain = false;
    return !(head->rtm_flags & RTM_F_CLONED); /* what it learned of a path: no route */
}

static bool read_rule(const struct nlmsghdr *m, struct netif_entry *out)
{
    const struct fib_rule_hdr *head = NLMSG_DATA(m);
    unsigned left = (unsigned)NLMSG_PAYLOAD(m, sizeof(*head));
    out->table = head->table;
    out->is_plain =
        head->action == FR_ACT_TO_TBL && head->flags == 0 && head->tos == 0 && head->src_len == 0 && head->dst_len == 0;
    for (struct rtattr *a = (struct rtattr *)(void *)((char *)NLMSG_DATA(m) + NLMSG_ALIGN(sizeof(*head)));
         RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == FRA_PRIORITY)
            out->priority = read_u32(a);
        else if (a->rta_type == FRA_TABLE)
            out->table = read_u32(a);
        else if (a->rta_type != FRA_PROTOCOL &&
                 (a->rta_type != FRA_SUPPRESS_PREFIXLEN || read_u32(a) != UINT32_MAX /* none */))
            out->is_plain = false;
    return true;
}

static bool read_qdisc(const struct nlmsghdr *m, struct netif_entry *out)
{
    const struct tcmsg *head = NLMSG_DATA(m);
    out->index = (uint32_t)head->tcm_ifindex;
    out->is_default = head->tcm_handle == 0 || (head->tcm_parent != TC_H_ROOT && head->tcm_parent != TC_H_INGRESS);
    return true;
}

/* ---- their end ---- */

static const struct kind {
    const char *name;
    size_t head_size;
    bool (*read)(const struct nlmsghdr *m, struct netif_entry *out); /* false: it is none of the kind */
    uint16_t get, new, delete;
    bool by_head; /* its head names it; the others are named by all that the kernel said */
} kinds[NETIF_KINDS] = {
    [NETIF_LINK] = {"links", sizeof(struct ifinfomsg), read_link, RTM_GETLINK, RTM_NEWLINK, RTM_DELLINK, true},
    [NETIF_RULE] = {"rules", sizeof(struct fib_rule_hdr), read_rule, RTM_GETRULE, RTM_NEWRULE, RTM_DELRULE, false},
    [NETIF_ADDRESS] = {"addresses", sizeof(struct ifaddrmsg), read_address, RTM_GETADDR, RTM_NEWADDR, RTM_DELADDR,
                       false},
    [NETIF_ROUTE] = {"routes", sizeof(struct rtmsg), read_route, RTM_GETROUTE, RTM_NEWROUTE, RTM_DELROUTE, false},
    [NETIF_QDISC] = {"queues", sizeof(struct tcmsg), read_qdisc, RTM_GETQDISC, RTM_NEWQDISC, RTM_DELQDISC, true},
};

struct round {
    const struct kind *kind;
    bool (*is_ours)(const struct netif_entry *entry, void *context);
    void *context;
    bool down; /* links: no end, but down */
    unsigned found, batch;
    struct netlink_request changes;
};

static int take(const struct nlmsghdr *m, void *context)
{
    struct round *round = context;
    const struct kind *k = round->kind;
    struct netif_entry entry = {0};
    if (m->nlmsg_type != k->new || m->nlmsg_len < NLMSG_LENGTH(k->head_size) || !k->read(m, &entry) ||
        round->is_ours(&entry, round->context) || (round->down && entry.is_plain))
        return 0;
    round->found++;
    if (round->batch == NETIF_CLEAR_BATCH || round->changes.length + NLMSG_LENGTH(0) + m->nlmsg_len > NETLINK_BYTES_MAX)
        return 0;
    round->batch++;
    if (round->down) {
        const struct ifinfomsg down = {.ifi_index = (int)entry.index, .ifi_change = IFF_UP};
        netlink_message(&round->changes, RTM_NEWLINK, NLM_F_ACK, &down, sizeof(down));
        return 0;
    }
    netlink_message(&round->changes, k->delete, NLM_F_ACK, NLMSG_DATA(m),
                    k->by_head ? k->head_size : m->nlmsg_len - NLMSG_LENGTH(0));
    return 0;
}

/* How many were found. What the kernel refuses to take out is there in the next round. */
static int go_round(int fd, struct round *round, struct err *e)
{
    static struct netlink_request question; /* one thread asks */
    /* as long as any kind's head, and the family its first byte */
    const union {
        unsigned char family;
        unsigned char bytes[sizeof(struct tcmsg)];
    } head = {.family = round->kind->by_head ? AF_UNSPEC : AF_INET};
    round->found = round->batch = 0;
    netlink_begin(&question);
    netlink_begin(&round->changes);
    netlink_message(&question, round->kind->get, NLM_F_DUMP, &head, round->kind->head_size);
    int r = netlink_dump(fd, &question, take, round);
    if (r == -EOPNOTSUPP)
        return 0; /* a kernel that has no such things */
    if (r < 0)
        return err_set(e, -r, "read what %s there are", round->kind->name);
    if (round->found)
        netlink_ask(fd, &round->changes, NULL);
    return (int)round->found;
}

/* Until none is left, or a round brings no end: their number. */
static int go_rounds(int fd, struct round *round, unsigned *ret_taken, struct err *e)
{
    int first = 0, left = 0;
    for (unsigned i = 0; i < NETIF_CLEAR_ROUNDS; i++) {
        int found = go_round(fd, round, e);
        if (found < 0)
            return found;
        first = i == 0 ? found : first;
        bool is_stuck = i > 0 && found >= left;
        left = found;
        if (left == 0 || is_stuck)
            break;
    }
    *ret_taken = (unsigned)(first > left ? first - left : 0);
    return left;
}

int netif_clear(int fd, enum netif_kind kind, bool (*is_ours)(const struct netif_entry *entry, void *context),
                void *context, unsigned *ret_taken, struct err *e)
{
    static struct round round;
    unsigned ignored;
    round.kind = &kinds[kind];
    round.is_ours = is_ours;
    round.context = context;
    round.down = false;
    int left = go_rounds(fd, &round, ret_taken, e);
    if (left <= 0 || kind != NETIF_LINK)
        return left;
    round.down = true;
    return go_rounds(fd, &round, &ignored, e);
}

int netif_add_rule(int fd, struct netlink_request *r, uint32_t priority, uint32_t table, struct err *e)
{
    const struct fib_rule_hdr head = {.family = AF_INET, .action = FR_ACT_TO_TBL};
    const uint8_t by_kernel = RTPROT_KERNEL; /* one that somebody else made is another to the kernel */
    netlink_begin(r);
    netlink_message(r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &head, sizeof(head));
    netlink_put_u32(r, FRA_PRIORITY, priority);
    netlink_put_u32(r, FRA_TABLE, table);
    netlink_put(r, FRA_PROTOCOL, &by_kernel, sizeof(by_kernel));
    int result = netlink_ask(fd, r, e);
    bool is_there = result == -EEXIST || result == -EOPNOTSUPP /* a kernel without rules */;
    return is_there ? 0 : result < 0 ? err_wrap(e, "add a rule of routes") : 0;
}
