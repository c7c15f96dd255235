/* SPDX-License-Identifier: Apache-2.0 */
#include "os/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

enum { ICMP_ADMINISTRATIVELY_PROHIBITED = 13 };

/* What all messages of a batch share; one thread puts batches together. */
static struct {
    uint8_t family;
    const char *table;
} now;

static void batch(struct netlink_request *r, uint16_t type)
{
    const struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    netlink_message(r, type, 0, &head, sizeof(head));
}

static void message(struct netlink_request *r, uint16_t type, uint16_t flags)
{
    const struct nfgenmsg head = {.nfgen_family = now.family, .version = NFNETLINK_V0};
    /* each is acknowledged: the last one's verdict is waited for */
    netlink_message(r, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags | NLM_F_ACK, &head, sizeof(head));
}

void nft_begin(struct netlink_request *r, uint8_t family, const char *table)
{
    now.family = family;
    now.table = table;
    netlink_begin(r);
    batch(r, NFNL_MSG_BATCH_BEGIN);
}

int nft_ask(int fd, struct netlink_request *r, struct err *e)
{
    batch(r, NFNL_MSG_BATCH_END);
    int result = netlink_ask(fd, r, e);
    return result < 0 ? err_wrap(e, "change the nf_tables table '%s'", now.table) : 0;
}

void nft_add_table(struct netlink_request *r, uint32_t flags)
{
    message(r, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
    netlink_put_text(r, NFTA_TABLE_NAME, now.table);
    netlink_put_be32(r, NFTA_TABLE_FLAGS, flags);
}

void nft_add_chain(struct netlink_request *r, const struct nft_chain *c)
{
    message(r, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
    netlink_put_text(r, NFTA_CHAIN_TABLE, now.table);
    netlink_put_text(r, NFTA_CHAIN_NAME, c->name);
    if (!c->type)
        return;
    netlink_nest(r, NFTA_CHAIN_HOOK);
    netlink_put_be32(r, NFTA_HOOK_HOOKNUM, c->hook);
    netlink_put_be32(r, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
    netlink_nest_end(r);
    netlink_put_be32(r, NFTA_CHAIN_POLICY, c->policy);
    netlink_put_text(r, NFTA_CHAIN_TYPE, c->type);
}

void nft_delete_chain(struct netlink_request *r, const char *chain)
{
    message(r, NFT_MSG_DELRULE, 0);
    netlink_put_text(r, NFTA_RULE_TABLE, now.table);
    netlink_put_text(r, NFTA_RULE_CHAIN, chain);
    message(r, NFT_MSG_DELCHAIN, 0);
    netlink_put_text(r, NFTA_CHAIN_TABLE, now.table);
    netlink_put_text(r, NFTA_CHAIN_NAME, chain);
}

void nft_add_set(struct netlink_request *r, const struct nft_set *s)
{
    message(r, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
    netlink_put_text(r, NFTA_SET_TABLE, now.table);
    netlink_put_text(r, NFTA_SET_NAME, s->name);
    netlink_put_be32(r, NFTA_SET_FLAGS, s->flags | (s->is_verdict_map ? NFT_SET_MAP : 0));
    netlink_put_be32(r, NFTA_SET_KEY_TYPE, 0);
    netlink_put_be32(r, NFTA_SET_KEY_LEN, s->key_bytes);
    if (s->is_verdict_map) {
        netlink_put_be32(r, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
        netlink_put_be32(r, NFTA_SET_DATA_LEN, sizeof(uint32_t));
    }
    netlink_put_be32(r, NFTA_SET_ID, s->id);
    if (s->timeout_ms)
        netlink_put_be64(r, NFTA_SET_TIMEOUT, s->timeout_ms);
    netlink_nest(r, NFTA_SET_DESC);
    netlink_put_be32(r, NFTA_SET_DESC_SIZE, s->size);
    netlink_nest_end(r);
}

/* ---- elements ---- */

static void put_verdict(struct netlink_request *r, int code, const char *chain)
{
    netlink_nest(r, NFTA_DATA_VERDICT);
    netlink_put_be32(r, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain)
        netlink_put_text(r, NFTA_VERDICT_CHAIN, chain);
    netlink_nest_end(r);
}

static void element(struct netlink_request *r, const struct nft_element *x)
{
    netlink_put_text(r, NFTA_SET_ELEM_LIST_TABLE, now.table);
    netlink_put_text(r, NFTA_SET_ELEM_LIST_SET, x->set);
    netlink_nest(r, NFTA_SET_ELEM_LIST_ELEMENTS);
    netlink_nest(r, NFTA_LIST_ELEM);
    netlink_nest(r, NFTA_SET_ELEM_KEY);
    netlink_put(r, NFTA_DATA_VALUE, x->key, x->key_words * sizeof(*x->key));
    netlink_nest_end(r);
    if (x->jump_to) {
        netlink_nest(r, NFTA_SET_ELEM_DATA);
        put_verdict(r, NFT_JUMP, x->jump_to);
        netlink_nest_end(r);
    }
    if (x->timeout_ms)
        netlink_put_be64(r, NFTA_SET_ELEM_TIMEOUT, x->timeout_ms);
    netlink_nest_end(r);
    netlink_nest_end(r);
}

void nft_add_element(struct netlink_request *r, const struct nft_element *x)
{
    message(r, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    element(r, x);
}

void nft_delete_element(struct netlink_request *r, const struct nft_element *x)
{
    message(r, NFT_MSG_DELSETELEM, 0);
    element(r, x);
}

/* ---- rules ---- */

void nft_add_rule(struct netlink_request *r, const char *chain)
{
    message(r, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    netlink_put_text(r, NFTA_RULE_TABLE, now.table);
    netlink_put_text(r, NFTA_RULE_CHAIN, chain);
    netlink_nest(r, NFTA_RULE_EXPRESSIONS);
}

void nft_end_rule(struct netlink_request *r)
{
    netlink_nest_end(r);
}

static void begin_expression(struct netlink_request *r, uint16_t as, const char *name)
{
    netlink_nest(r, as);
    netlink_put_text(r, NFTA_EXPR_NAME, name);
    netlink_nest(r, NFTA_EXPR_DATA);
}

static void end_expression(struct netlink_request *r)
{
    netlink_nest_end(r);
    netlink_nest_end(r);
}

void nft_meta(struct netlink_request *r, uint32_t key, uint32_t reg)
{
    begin_expression(r, NFTA_LIST_ELEM, "meta");
    netlink_put_be32(r, NFTA_META_KEY, key);
    netlink_put_be32(r, NFTA_META_DREG, reg);
    end_expression(r);
}

void nft_payload(struct netlink_request *r, uint32_t base, uint32_t offset, uint32_t length, uint32_t reg)
{
    begin_expression(r, NFTA_LIST_ELEM, "payload");
    netlink_put_be32(r, NFTA_PAYLOAD_DREG, reg);
    netlink_put_be32(r, NFTA_PAYLOAD_BASE, base);
    netlink_put_be32(r, NFTA_PAYLOAD_OFFSET, offset);
    netlink_put_be32(r, NFTA_PAYLOAD_LEN, length);
    end_expression(r);
}

void nft_ct(struct netlink_request *r, uint32_t key, uint32_t reg)
{
    begin_expression(r, NFTA_LIST_ELEM, "ct");
    netlink_put_be32(r, NFTA_CT_KEY, key);
    netlink_put_be32(r, NFTA_CT_DREG, reg);
    end_expression(r);
}

void nft_ct_set(struct netlink_request *r, uint32_t key, uint32_t reg)
{
    begin_expression(r, NFTA_LIST_ELEM, "ct");
    netlink_put_be32(r, NFTA_CT_KEY, key);
    netlink_put_be32(r, NFTA_CT_SREG, reg);
    end_expression(r);
}

void nft_no_tracking(struct netlink_request *r)
{
    begin_expression(r, NFTA_LIST_ELEM, "notrack");
    end_expression(r);
}

void nft_address_type(struct netlink_request *r, uint32_t reg)
{
    begin_expression(r, NFTA_LIST_ELEM, "fib");
    netlink_put_be32(r, NFTA_FIB_DREG, reg);
    netlink_put_be32(r, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    netlink_put_be32(r, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    end_expression(r);
}

static void put_value(struct netlink_request *r, uint16_t attribute, const void *bytes, size_t n)
{
    netlink_nest(r, attribute);
    netlink_put(r, NFTA_DATA_VALUE, bytes, n);
    netlink_nest_end(r);
}

static void put_mask(struct netlink_request *r, uint32_t reg, const void *mask, size_t n)
{
    const uint32_t nothing = 0;
    begin_expression(r, NFTA_LIST_ELEM, "bitwise");
    netlink_put_be32(r, NFTA_BITWISE_SREG, reg);
    netlink_put_be32(r, NFTA_BITWISE_DREG, reg);
    netlink_put_be32(r, NFTA_BITWISE_LEN, (uint32_t)n);
    put_value(r, NFTA_BITWISE_MASK, mask, n);
    put_value(r, NFTA_BITWISE_XOR, &nothing, n);
    end_expression(r);
}

void nft_mask(struct netlink_request *r, uint32_t reg, uint32_t mask)
{
    put_mask(r, reg, &mask, sizeof(mask));
}

void nft_mask_byte(struct netlink_request *r, uint32_t reg, uint8_t mask)
{
    put_mask(r, reg, &mask, sizeof(mask));
}

void nft_load(struct netlink_request *r, uint32_t reg, uint32_t value)
{
    begin_expression(r, NFTA_LIST_ELEM, "immediate");
    netlink_put_be32(r, NFTA_IMMEDIATE_DREG, reg);
    put_value(r, NFTA_IMMEDIATE_DATA, &value, sizeof(value));
    end_expression(r);
}

void nft_compare(struct netlink_request *r, uint32_t reg, uint32_t op, const void *value, size_t n)
{
    begin_expression(r, NFTA_LIST_ELEM, "cmp");
    netlink_put_be32(r, NFTA_CMP_SREG, reg);
    netlink_put_be32(r, NFTA_CMP_OP, op);
    put_value(r, NFTA_CMP_DATA, value, n);
    end_expression(r);
}

void nft_range(struct netlink_request *r, uint32_t reg, uint16_t first, uint16_t last)
{
    uint16_t low = htons(first), high = htons(last);
    begin_expression(r, NFTA_LIST_ELEM, "range");
    netlink_put_be32(r, NFTA_RANGE_SREG, reg);
    netlink_put_be32(r, NFTA_RANGE_OP, NFT_RANGE_EQ);
    put_value(r, NFTA_RANGE_FROM_DATA, &low, sizeof(low));
    put_value(r, NFTA_RANGE_TO_DATA, &high, sizeof(high));
    end_expression(r);
}

void nft_lookup(struct netlink_request *r, const char *set, bool inverted)
{
    begin_expression(r, NFTA_LIST_ELEM, "lookup");
    netlink_put_text(r, NFTA_LOOKUP_SET, set);
    netlink_put_be32(r, NFTA_LOOKUP_SREG, NFT_REG_A);
    netlink_put_be32(r, NFTA_LOOKUP_FLAGS, inverted ? NFT_LOOKUP_F_INV : 0);
    end_expression(r);
}

void nft_lookup_verdict(struct netlink_request *r, const char *set)
{
    begin_expression(r, NFTA_LIST_ELEM, "lookup");
    netlink_put_text(r, NFTA_LOOKUP_SET, set);
    netlink_put_be32(r, NFTA_LOOKUP_SREG, NFT_REG_A);
    netlink_put_be32(r, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
    end_expression(r);
}

void nft_verdict(struct netlink_request *r, int code, const char *chain)
{
    begin_expression(r, NFTA_LIST_ELEM, "immediate");
    netlink_put_be32(r, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    netlink_nest(r, NFTA_IMMEDIATE_DATA);
    put_verdict(r, code, chain);
    netlink_nest_end(r);
    end_expression(r);
}

void nft_masquerade(struct netlink_request *r)
{
    begin_expression(r, NFTA_LIST_ELEM, "masq");
    end_expression(r);
}

void nft_reject(struct netlink_request *r)
{
    const uint8_t code = ICMP_ADMINISTRATIVELY_PROHIBITED;
    begin_expression(r, NFTA_LIST_ELEM, "reject");
    netlink_put_be32(r, NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
    netlink_put(r, NFTA_REJECT_ICMP_CODE, &code, sizeof(code));
    end_expression(r);
}

/* ---- limits, an element each ---- */

static void begin_dynamic(struct netlink_request *r, const char *set, uint32_t op)
{
    begin_expression(r, NFTA_LIST_ELEM, "dynset");
    netlink_put_text(r, NFTA_DYNSET_SET_NAME, set);
    netlink_put_be32(r, NFTA_DYNSET_OP, op);
    netlink_put_be32(r, NFTA_DYNSET_SREG_KEY, NFT_REG_A);
}

void nft_over_limit(struct netlink_request *r, const struct nft_limit *l)
{
    begin_dynamic(r, l->set, NFT_DYNSET_OP_UPDATE);
    begin_expression(r, NFTA_DYNSET_EXPR, "limit");
    netlink_put_be64(r, NFTA_LIMIT_RATE, l->per_second);
    netlink_put_be64(r, NFTA_LIMIT_UNIT, 1);
    netlink_put_be32(r, NFTA_LIMIT_BURST, l->burst);
    netlink_put_be32(r, NFTA_LIMIT_TYPE, l->is_bytes ? NFT_LIMIT_PKT_BYTES : NFT_LIMIT_PKTS);
    netlink_put_be32(r, NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV);
    end_expression(r);
    end_expression(r);
}

void nft_over_connections(struct netlink_request *r, const char *set, uint32_t most)
{
    begin_dynamic(r, set, NFT_DYNSET_OP_ADD);
    begin_expression(r, NFTA_DYNSET_EXPR, "connlimit");
    netlink_put_be32(r, NFTA_CONNLIMIT_COUNT, most);
    netlink_put_be32(r, NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
    end_expression(r);
    end_expression(r);
}

void nft_over_all_connections(struct netlink_request *r, uint32_t most)
{
    begin_expression(r, NFTA_LIST_ELEM, "connlimit");
    netlink_put_be32(r, NFTA_CONNLIMIT_COUNT, most);
    netlink_put_be32(r, NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
    end_expression(r);
}
