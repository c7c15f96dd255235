/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nf_tables by netlink (linux/netfilter/nf_tables.h; nft(8) for what the expressions mean). Only what faasd's tables are made of: everything is put together from
 * numbers, no text is parsed. A request is a batch: all of it holds, or nothing.
 *
 *     nft_begin(r, family, "table");
 *     nft_add_rule(r, "chain");
 *         nft_meta(r, NFT_META_IIF, NFT_REG_A);
 *         nft_compare(r, NFT_REG_A, NFT_CMP_EQ, &index, sizeof(index));
 *         nft_verdict(r, NF_DROP, NULL);
 *     nft_end_rule(r);
 *     nft_ask(fd, r, e);
 */
#ifndef FAASD_OS_NFT_H
#define FAASD_OS_NFT_H

#include "os/netlink.h"

#include <netinet/in.h> /* before linux/in.h, which then leaves out what both define */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

enum { NFT_KEY_MAX = 16 };

/* 32-bit registers; keys of more than one part stand in consecutive ones. */
enum { NFT_REG_A = NFT_REG32_00, NFT_REG_B = NFT_REG32_01, NFT_REG_C = NFT_REG32_02 };

/* Names a table for all that follows. */
void nft_begin(struct netlink_request *r, uint8_t family, const char *table);
int nft_ask(int fd, struct netlink_request *r, struct err *e);

void nft_add_table(struct netlink_request *r, uint32_t flags); /* NFT_TABLE_F_OWNER: gone with the socket */

struct nft_chain {
    const char *name;
    const char *type; /* "filter", "nat"; NULL: no base chain, jumped to */
    uint32_t hook;    /* NF_INET_* */
    int32_t priority;
    uint32_t policy; /* NF_ACCEPT, NF_DROP */
};
void nft_add_chain(struct netlink_request *r, const struct nft_chain *c);
void nft_delete_chain(struct netlink_request *r, const char *chain); /* with its rules */

struct nft_set {
    const char *name;
    uint32_t id; /* of the batch: any number, each its own */
    uint32_t flags;
    uint32_t key_bytes;
    uint32_t size;
    uint64_t timeout_ms; /* of elements that name none; 0 = none */
    bool is_verdict_map;
};
void nft_add_set(struct netlink_request *r, const struct nft_set *s);

struct nft_element {
    const char *set;
    const uint32_t *key; /* as the registers hold it */
    uint32_t key_words;
    const char *jump_to; /* of a verdict map; NULL */
    uint64_t timeout_ms; /* 0: the set's */
};
void nft_add_element(struct netlink_request *r, const struct nft_element *x);
void nft_delete_element(struct netlink_request *r, const struct nft_element *x);

/* ---- rules ---- */

void nft_add_rule(struct netlink_request *r, const char *chain);
void nft_end_rule(struct netlink_request *r);

void nft_meta(struct netlink_request *r, uint32_t key, uint32_t reg);
void nft_payload(struct netlink_request *r, uint32_t base, uint32_t offset, uint32_t length, uint32_t reg);
void nft_ct(struct netlink_request *r, uint32_t key, uint32_t reg);
void nft_ct_set(struct netlink_request *r, uint32_t key, uint32_t reg);
void nft_no_tracking(struct netlink_request *r); /* before NF_IP_PRI_CONNTRACK: the packet is of no connection */
void nft_address_type(struct netlink_request *r, uint32_t reg);        /* RTN_* of the destination */
void nft_mask(struct netlink_request *r, uint32_t reg, uint32_t mask); /* as memory holds it */
void nft_mask_byte(struct netlink_request *r, uint32_t reg, uint8_t mask);
void nft_load(struct netlink_request *r, uint32_t reg, uint32_t value);
void nft_compare(struct netlink_request *r, uint32_t reg, uint32_t op, const void *value, size_t n);
void nft_range(struct netlink_request *r, uint32_t reg, uint16_t first, uint16_t last); /* in network byte order */
void nft_lookup(struct netlink_request *r, const char *set, bool inverted);
void nft_lookup_verdict(struct netlink_request *r, const char *set);      /* key from NFT_REG_A */
void nft_verdict(struct netlink_request *r, int code, const char *chain); /* NF_DROP, NF_ACCEPT, NFT_GOTO, NFT_JUMP */
void nft_masquerade(struct netlink_request *r);
void nft_reject(struct netlink_request *r); /* ICMP: administratively prohibited */

/* The rule goes on when the key in NFT_REG_A, an element of a dynamic set, is over its limit. */
struct nft_limit {
    const char *set;
    uint64_t per_second;
    uint32_t burst;
    bool is_bytes;
};
void nft_over_limit(struct netlink_request *r, const struct nft_limit *l);
void nft_over_connections(struct netlink_request *r, const char *set, uint32_t most);
void nft_over_all_connections(struct netlink_request *r, uint32_t most); /* of whoever comes by this rule, together */

#endif
