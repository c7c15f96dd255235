/* SPDX-License-Identifier: Apache-2.0 */
#include "os/conntrack.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* ---- reading ---- */

struct attributes {
    const unsigned char *at;
    size_t n;
};

/* The next one: false at the end, or where it does not fit. */
static bool next_attribute(struct attributes *a, unsigned *ret_type, struct attributes *ret_content)
{
    struct nlattr head;
    if (a->n < sizeof(head))
        return false;
    memcpy(&head, a->at, sizeof(head));
    if (head.nla_len < sizeof(head) || head.nla_len > a->n)
        return false;
    *ret_type = head.nla_type & (unsigned)NLA_TYPE_MASK;
    *ret_content = (struct attributes){a->at + sizeof(head), head.nla_len - sizeof(head)};
    size_t whole = NLA_ALIGN(head.nla_len);
    whole = whole < a->n ? whole : a->n;
    a->at += whole;
    a->n -= whole;
    return true;
}

static uint32_t read_u32(const struct attributes *a)
{
    uint32_t value = 0;
    if (a->n == sizeof(value))
        memcpy(&value, a->at, sizeof(value));
    return ntohl(value);
}

static uint16_t read_u16(const struct attributes *a)
{
    uint16_t value = 0;
    if (a->n == sizeof(value))
        memcpy(&value, a->at, sizeof(value));
    return ntohs(value);
}

static void read_tuple(struct attributes a, struct conntrack_tuple *t)
{
    struct attributes part, content;
    unsigned kind, type;
    while (next_attribute(&a, &kind, &part))
        while (next_attribute(&part, &type, &content)) {
            if (kind == CTA_TUPLE_IP && type == CTA_IP_V4_SRC)
                t->source = read_u32(&content);
            else if (kind == CTA_TUPLE_IP && type == CTA_IP_V4_DST)
                t->destination = read_u32(&content);
            else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_NUM && content.n == 1)
                t->protocol = content.at[0];
            else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_SRC_PORT)
                t->source_port = read_u16(&content);
            else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_DST_PORT)
                t->destination_port = read_u16(&content);
        }
}

struct reading {
    int (*on_entry)(const struct conntrack_entry *c, void *context);
    void *context;
};

static int read_entry(const struct nlmsghdr *m, void *context)
{
    const struct reading *reading = context;
    struct conntrack_entry c = {0};
    struct attributes content, a = {(const unsigned char *)m + NLMSG_SPACE(sizeof(struct nfgenmsg)), 0};
    unsigned type;
    if (m->nlmsg_len <= NLMSG_SPACE(sizeof(struct nfgenmsg)))
        return 0;
    a.n = m->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg));
    while (next_attribute(&a, &type, &content)) {
        if (type == CTA_MARK)
            c.mark = read_u32(&content);
        else if (type == CTA_TUPLE_ORIG)
            read_tuple(content, &c.original);
        else if (type == CTA_TUPLE_REPLY)
            read_tuple(content, &c.reply);
    }
    return reading->on_entry(&c, reading->context);
}

static void message(struct netlink_request *r, uint16_t type, uint16_t flags)
{
    const struct nfgenmsg head = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
    netlink_message(r, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, &head, sizeof(head));
}

int conntrack_each(int fd, struct netlink_request *r, int (*on_entry)(const struct conntrack_entry *c, void *context),
                   void *context)
{
    struct reading reading = {on_entry, context};
    netlink_begin(r);
    message(r, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    return netlink_dump(fd, r, read_entry, &reading);
}

/* ---- deleting ---- */

static void put_be16(struct netlink_request *r, uint16_t attribute, uint16_t value)
{
    value = htons(value);
    netlink_put(r, attribute, &value, sizeof(value));
}

static void put_tuple(struct netlink_request *r, const struct conntrack_tuple *t)
{
    netlink_nest(r, CTA_TUPLE_ORIG);
    netlink_nest(r, CTA_TUPLE_IP);
    netlink_put_be32(r, CTA_IP_V4_SRC, t->source);
    netlink_put_be32(r, CTA_IP_V4_DST, t->destination);
    netlink_nest_end(r);
    netlink_nest(r, CTA_TUPLE_PROTO);
    netlink_put(r, CTA_PROTO_NUM, &t->protocol, 1);
    put_be16(r, CTA_PROTO_SRC_PORT, t->source_port);
    put_be16(r, CTA_PROTO_DST_PORT, t->destination_port);
    netlink_nest_end(r);
    netlink_nest_end(r);
}

/* Only the last one asks to be acknowledged: a refusal is told unasked, and so many answers would not fit the socket's queue. */
int conntrack_delete(int fd, struct netlink_request *r, const struct conntrack_tuple *tuples, unsigned count,
                     struct err *e)
{
    assert(count <= CONNTRACK_DELETE_MAX);
    if (count == 0)
        return 0;
    netlink_begin(r);
    for (unsigned i = 0; i < count; i++) {
        message(r, IPCTNL_MSG_CT_DELETE, i + 1 == count ? NLM_F_ACK : 0);
        put_tuple(r, &tuples[i]);
    }
    int result = netlink_ask(fd, r, e);
    if (result == -ENOENT)
        return 0;
    return result < 0 ? err_wrap(e, "take connections out of the kernel's table") : 0;
}

/* ---- deleting without a request's scratch ---- */

/* All of its attributes are as long as they are here. */
struct forget_message {
    struct nlmsghdr head;
    struct nfgenmsg family;
    struct nlattr tuple, ip, source_head;
    uint32_t source;
    struct nlattr destination_head;
    uint32_t destination;
    struct nlattr proto, number_head;
    uint8_t number, padding[3];
    struct nlattr source_port_head;
    uint16_t source_port, padding_1;
    struct nlattr destination_port_head;
    uint16_t destination_port, padding_2;
};

static_assert(sizeof(struct forget_message) == 72, "the kernel reads it as it is");

#define NESTED(from, type)                                                                                             \
    {                                                                                                                  \
        .nla_len = sizeof(struct forget_message) - offsetof(struct forget_message, from),                              \
        .nla_type = NLA_F_NESTED | (type)                                                                              \
    }
#define PLAIN(value_type, type)                                                                                        \
    {                                                                                                                  \
        .nla_len = sizeof(struct nlattr) + sizeof(value_type), .nla_type = (type)                                      \
    }

void conntrack_forget(int fd, const struct conntrack_tuple *t)
{
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    const struct forget_message m = {
        .head = {.nlmsg_len = sizeof(m),
                 .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
                 .nlmsg_flags = NLM_F_REQUEST},
        .family = {.nfgen_family = AF_INET, .version = NFNETLINK_V0},
        .tuple = NESTED(tuple, CTA_TUPLE_ORIG),
        .ip = {.nla_len = offsetof(struct forget_message, proto) - offsetof(struct forget_message, ip),
               .nla_type = NLA_F_NESTED | CTA_TUPLE_IP},
        .source_head = PLAIN(uint32_t, CTA_IP_V4_SRC),
        .source = htonl(t->source),
        .destination_head = PLAIN(uint32_t, CTA_IP_V4_DST),
        .destination = htonl(t->destination),
        .proto = NESTED(proto, CTA_TUPLE_PROTO),
        .number_head = PLAIN(uint8_t, CTA_PROTO_NUM),
        .number = t->protocol,
        .source_port_head = PLAIN(uint16_t, CTA_PROTO_SRC_PORT),
        .source_port = htons(t->source_port),
        .destination_port_head = PLAIN(uint16_t, CTA_PROTO_DST_PORT),
        .destination_port = htons(t->destination_port),
    };
    sendto(fd, &m, sizeof(m), MSG_DONTWAIT, (const struct sockaddr *)&kernel, sizeof(kernel));
}
