/* SPDX-License-Identifier: Apache-2.0 */
#include "network/filter.h"

#include "base/fmt.h"
#include "os/netif.h"
#include "os/nft_match.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>

enum {
    SET_MAX = 65536,       /* instances: an address each */
    LIMIT_IDLE_MS = 60000, /* what an instance sent is forgotten after this time of silence: no limit is that slow */
    BURST_BYTES_MIN = 256 << 10,
    QUESTIONS_PER_SECOND =
        100, /* of an instance that get as far as the resolver, whose own limits are narrower: nobody fills its socket's queue alone */
    QUESTIONS_BURST = 200,
    IP_HEAD_WORDS = 5, /* of a header without options */
};
static const char TABLE[] = "faasd";

/* ---- the router ---- */

static void add_sets(struct netlink_request *r)
{
    const struct nft_set sets[] = {
        {.name = "bound", .key_bytes = 8, .size = SET_MAX}, /* veth, address */
        {.name = "open", .key_bytes = 4, .size = SET_MAX},  /* veth */
        {.name = "chains", .key_bytes = 4, .size = SET_MAX, .is_verdict_map = true},
        {.name = "names",
         .key_bytes = 12,
         .size = FILTER_NAMES_MAX,
         .flags = NFT_SET_TIMEOUT}, /* veth, address, rule */
        {.name = "bytes",
         .key_bytes = 4,
         .size = SET_MAX,
         .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT,
         .timeout_ms = LIMIT_IDLE_MS},
        {.name = "packets",
         .key_bytes = 4,
         .size = SET_MAX,
         .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT,
         .timeout_ms = LIMIT_IDLE_MS},
        {.name = "questions",
         .key_bytes = 4,
         .size = SET_MAX,
         .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT,
         .timeout_ms = LIMIT_IDLE_MS},
        {.name = "connections", .key_bytes = 4, .size = SET_MAX, .flags = NFT_SET_EVAL},
    };
    for (uint32_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        struct nft_set s = sets[i];
        s.id = i + 1;
        nft_add_set(r, &s);
    }
}

static void add_chains(struct netlink_request *r)
{
    static const struct nft_chain chains[] = {
        {.name = "guard",
         .type = "filter",
         .hook = NF_INET_PRE_ROUTING,
         .priority = NF_IP_PRI_RAW,
         .policy = NF_ACCEPT},
        {.name = "answers",
         .type = "filter",
         .hook = NF_INET_LOCAL_OUT,
         .priority = NF_IP_PRI_RAW,
         .policy = NF_ACCEPT},
        {.name = "input", .type = "filter", .hook = NF_INET_LOCAL_IN, .priority = NF_IP_PRI_FILTER, .policy = NF_DROP},
        {.name = "forward", .type = "filter", .hook = NF_INET_FORWARD, .priority = NF_IP_PRI_FILTER, .policy = NF_DROP},
        {.name = "leave",
         .type = "nat",
         .hook = NF_INET_POST_ROUTING,
         .priority = NF_IP_PRI_NAT_SRC,
         .policy = NF_ACCEPT},
        {.name = "ask"},
        {.name = "narrow"},
        {.name = "listed"},
        {.name = "admit"},
    };
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
        nft_add_chain(r, &chains[i]);
}

/* Options lead packets by other ways than their address says, and make work for every router. */
static void add_option_rule(struct netlink_request *r)
{
    const uint8_t plain = IP_HEAD_WORDS;
    nft_add_rule(r, "guard");
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 0, 1, NFT_REG_A);
    nft_mask_byte(r, NFT_REG_A, 0x0f);
    nft_compare(r, NFT_REG_A, NFT_CMP_NEQ, &plain, sizeof(plain));
    nft_end_with(r, NF_DROP, NULL);
}

/* Questions and answers are no connections: an instance that asks from ever new ports would fill the table that all others need. */
static void add_untracked(struct netlink_request *r, const struct filter_router *o)
{
    const struct egress_range gateway = {.address = o->gateway, .bits = 32};
    nft_add_rule(r, "guard");
    nft_match_address(r, NFT_IP_DESTINATION, gateway.address, gateway.bits);
    nft_no_tracking(r);
    nft_end_rule(r);
    nft_add_rule(r, "answers");
    nft_no_tracking(r);
    nft_end_rule(r);
}

/* Before connection tracking, so that what is dropped here costs an instance's own packets and nothing else. */
static void add_guard(struct netlink_request *r, const struct filter_router *o)
{
    uint64_t quarter = o->limits->bytes_per_second / 4;
    const struct nft_limit limits[] = {
        {.set = "bytes",
         .per_second = o->limits->bytes_per_second,
         .burst = quarter < BURST_BYTES_MIN ? BURST_BYTES_MIN
                  : quarter > INT32_MAX     ? INT32_MAX
                                            : (uint32_t)quarter,
         .is_bytes = true},
        {.set = "packets",
         .per_second = o->limits->packets_per_second,
         .burst = (uint32_t)(o->limits->packets_per_second / 4 + 16)},
    };
    const uint32_t trusted[] = {NETIF_LOOPBACK, o->uplink};
    for (unsigned i = 0; i < 2; i++) {
        nft_add_rule(r, "guard");
        nft_match_u32(r, NFT_META_IIF, NFT_CMP_EQ, trusted[i]);
        nft_end_with(r, NF_ACCEPT, NULL);
    }
    nft_add_rule(r, "guard"); /* each veth has one address, and no other function's */
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, NFT_IP_SOURCE, sizeof(uint32_t), NFT_REG_B);
    nft_lookup(r, "bound", true);
    nft_end_with(r, NF_DROP, NULL);
    for (unsigned i = 0; i < 2; i++) {
        nft_add_rule(r, "guard");
        nft_meta(r, NFT_META_IIF, NFT_REG_A);
        nft_over_limit(r, &limits[i]);
        nft_end_with(r, NF_DROP, NULL);
    }
    add_option_rule(r);
    add_untracked(r, o);
}

/* To the router itself: questions to the resolver. */
static void add_input(struct netlink_request *r, const struct filter_router *o)
{
    const struct egress_range gateway = {.address = o->gateway, .bits = 32};
    const struct nft_limit limit = {.set = "questions", .per_second = QUESTIONS_PER_SECOND, .burst = QUESTIONS_BURST};
    nft_add_rule(r, "input");
    nft_match_u32(r, NFT_META_IIF, NFT_CMP_EQ, o->uplink);
    nft_end_with(r, NF_DROP, NULL);
    nft_add_rule(r, "input");
    nft_match_address(r, NFT_IP_DESTINATION, gateway.address, gateway.bits);
    nft_match_protocol(r, NFT_CMP_EQ, EGRESS_UDP);
    nft_match_ports(r, NETWORK_DNS_PORT, NETWORK_DNS_PORT);
    nft_end_with(r, NFT_GOTO, "ask");
    nft_add_rule(r, "input");
    nft_end_with_reject(r);
    nft_add_rule(r, "ask");
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_over_limit(r, &limit);
    nft_end_with(r, NF_DROP, NULL);
    nft_add_rule(r, "ask");
    nft_end_with(r, NF_ACCEPT, NULL);
}

static void add_forward(struct netlink_request *r, const struct filter_router *o)
{
    const uint8_t udp = EGRESS_UDP;
    unsigned count;
    const struct egress_range *special = egress_special(&count);
    nft_add_rule(r, "forward");
    nft_match_state(r, NF_CT_STATE_INVALID_BIT);
    nft_end_with(r, NF_DROP, NULL);
    nft_add_rule(r, "forward");
    nft_match_u32(r, NFT_META_IIF, NFT_CMP_EQ, o->uplink);
    nft_match_state(r, NFT_STATES_KNOWN);
    nft_end_with(r, NF_ACCEPT, NULL);
    nft_add_rule(r, "forward");
    nft_match_u32(r, NFT_META_IIF, NFT_CMP_EQ, o->uplink);
    nft_end_with(r, NF_DROP, NULL);
    nft_add_rule(r, "forward"); /* other functions */
    nft_match_u32(r, NFT_META_OIF, NFT_CMP_NEQ, o->uplink);
    nft_end_with_reject(r);
    nft_add_rule(r, "forward");
    nft_match_state(r, NFT_STATES_KNOWN);
    nft_end_with(r, NF_ACCEPT, NULL);
    nft_add_rule(r, "forward");
    nft_match_protocol(r, NFT_CMP_NEQ, EGRESS_TCP);
    nft_compare(r, NFT_REG_A, NFT_CMP_NEQ, &udp, sizeof(udp));
    nft_end_with_reject(r);
    for (unsigned i = 0; i < count; i++) {
        nft_add_rule(r, "forward");
        nft_match_address(r, NFT_IP_DESTINATION, special[i].address, special[i].bits);
        nft_end_with(r, NFT_GOTO, "narrow");
    }
    nft_add_rule(r, "forward");
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_lookup(r, "open", false);
    nft_end_with(r, NFT_GOTO, "admit");
    nft_add_rule(r, "forward");
    nft_end_with(r, NFT_GOTO, "listed");
}

/* No public address: only what the configuration grants, and then only what the function's own list has. */
static void add_lists(struct netlink_request *r, const struct filter_router *o)
{
    for (uint32_t i = 0; i < o->grants->count; i++) {
        nft_add_rule(r, "narrow");
        nft_match_address(r, NFT_IP_DESTINATION, o->grants->ranges[i].address, o->grants->ranges[i].bits);
        nft_end_with(r, NFT_GOTO, "listed");
    }
    nft_add_rule(r, "narrow");
    nft_end_with_reject(r);
    nft_add_rule(r, "listed");
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_lookup_verdict(r, "chains");
    nft_end_rule(r);
    nft_add_rule(r, "listed");
    nft_end_with_reject(r);
}

/* Connections are entries of the kernel's tracking table, here and in the host's namespace: they have a number. */
static void add_admission(struct netlink_request *r, const struct filter_router *o)
{
    nft_add_rule(r, "admit");
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_over_connections(r, "connections", o->limits->connections);
    nft_end_with_reject(r);
    nft_add_rule(r, "admit");
    nft_over_all_connections(r, o->limits->connections_total);
    nft_end_with_reject(r);
    nft_add_rule(r, "admit"); /* whose it is: network/sweep.c */
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_ct_set(r, NFT_CT_MARK, NFT_REG_A);
    nft_end_with(r, NF_ACCEPT, NULL);
    nft_add_rule(r, "leave");
    nft_match_u32(r, NFT_META_OIF, NFT_CMP_EQ, o->uplink);
    nft_masquerade(r);
    nft_end_rule(r);
}

/* Of every family, with or without our name: a process before this one may have been taken over. Here and not in os/, where the host's tables could be meant. */
static void forget_all_tables(struct netlink_request *r)
{
    const struct nfgenmsg any = {.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0};
    netlink_message(r, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, 0, &any, sizeof(any));
}

int filter_open(const struct filter *f, const struct filter_router *o, struct err *e)
{
    struct netlink_request *r = f->request;
    nft_begin(r, NFPROTO_IPV4, TABLE);
    forget_all_tables(r);
    nft_add_table(r, 0);
    add_sets(r);
    add_chains(r);
    add_guard(r, o);
    add_input(r, o);
    add_forward(r, o);
    add_lists(r, o);
    add_admission(r, o);
    return nft_ask(f->fd, r, e);
}

/* ---- instances ---- */

static void add_range_rule(struct netlink_request *r, const char *chain, const struct egress_rule *rule)
{
    const struct egress_range range = {.address = rule->address, .bits = rule->bits};
    nft_add_rule(r, chain);
    nft_match_address(r, NFT_IP_DESTINATION, range.address, range.bits);
    nft_match_protocol(r, NFT_CMP_EQ, rule->protocol);
    nft_match_ports(r, rule->first_port, rule->last_port);
    nft_end_with(r, NFT_GOTO, "admit");
}

static void add_name_rule(struct netlink_request *r, const char *chain, const struct egress_rule *rule, uint32_t number)
{
    nft_add_rule(r, chain);
    nft_match_protocol(r, NFT_CMP_EQ, rule->protocol);
    nft_match_ports(r, rule->first_port, rule->last_port);
    nft_meta(r, NFT_META_IIF, NFT_REG_A);
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, NFT_IP_DESTINATION, sizeof(uint32_t), NFT_REG_B);
    nft_load(r, NFT_REG_C, number);
    nft_lookup(r, "names", false);
    nft_end_with(r, NFT_GOTO, "admit");
}

enum { CHAIN_NAME_MAX = 16 };

static void name_chain(uint32_t index, char out[CHAIN_NAME_MAX])
{
    fmt_to(out, CHAIN_NAME_MAX, "f%u", index);
}

int filter_add(const struct filter *f, const struct filter_port *p, struct err *e)
{
    char chain[CHAIN_NAME_MAX];
    const uint32_t key[] = {p->index, htonl(p->address)};
    struct netlink_request *r = f->request;
    nft_begin(r, NFPROTO_IPV4, TABLE);
    nft_add_element(r, &(struct nft_element){.set = "bound", .key = key, .key_words = 2});
    if (egress_is_open(p->rules, p->rule_count))
        nft_add_element(r, &(struct nft_element){.set = "open", .key = key, .key_words = 1});
    if (p->rule_count) {
        name_chain(p->index, chain);
        nft_add_chain(r, &(struct nft_chain){.name = chain});
        for (unsigned i = 0; i < p->rule_count; i++)
            if (p->rules[i].kind == EGRESS_RANGE)
                add_range_rule(r, chain, &p->rules[i]);
            else if (egress_rule_is_name(&p->rules[i]))
                add_name_rule(r, chain, &p->rules[i], i);
        nft_add_element(r, &(struct nft_element){.set = "chains", .key = key, .key_words = 1, .jump_to = chain});
    }
    return nft_ask(f->fd, r, e);
}

int filter_remove(const struct filter *f, const struct filter_port *p, struct err *e)
{
    char chain[CHAIN_NAME_MAX];
    const uint32_t key[] = {p->index, htonl(p->address)};
    struct netlink_request *r = f->request;
    nft_begin(r, NFPROTO_IPV4, TABLE);
    nft_delete_element(r, &(struct nft_element){.set = "bound", .key = key, .key_words = 2});
    if (egress_is_open(p->rules, p->rule_count))
        nft_delete_element(r, &(struct nft_element){.set = "open", .key = key, .key_words = 1});
    if (p->rule_count) {
        name_chain(p->index, chain);
        nft_delete_element(r, &(struct nft_element){.set = "chains", .key = key, .key_words = 1, .jump_to = chain});
        nft_delete_chain(r, chain);
    }
    return nft_ask(f->fd, r, e);
}

/* An element keeps the time it was given (before Linux 6.12): to give it more, it is taken out and put in again in one batch. */
int filter_allow(const struct filter *f, const struct filter_found *a, struct err *e)
{
    const uint32_t key[] = {a->index, htonl(a->address), a->rule};
    const struct nft_element x = {.set = "names", .key = key, .key_words = 3, .timeout_ms = a->timeout_ms};
    struct netlink_request *r = f->request;
    int result = -ENOENT;
    if (a->again) {
        nft_begin(r, NFPROTO_IPV4, TABLE);
        nft_delete_element(r, &x);
        nft_add_element(r, &x);
        result = nft_ask(f->fd, r, e);
    }
    if (result == -ENOENT) { /* new, or it has just expired */
        nft_begin(r, NFPROTO_IPV4, TABLE);
        nft_add_element(r, &x);
        result = nft_ask(f->fd, r, e);
    }
    return result;
}
