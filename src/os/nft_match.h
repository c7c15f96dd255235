/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces that rules of nf_tables are made of (os/nft.h), a few expressions each: the rule goes on where they match. Addresses and ports are in host byte order. */
#ifndef FAASD_OS_NFT_MATCH_H
#define FAASD_OS_NFT_MATCH_H

#include "os/nft.h"

#include <linux/netfilter/nf_conntrack_common.h>

enum {
    NFT_IP_SOURCE = 12, /* where they stand in a packet */
    NFT_IP_DESTINATION = 16,
    NFT_PORT_LAST = 65535,
};
#define NFT_STATES_KNOWN (NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED))

void nft_match_u32(struct netlink_request *r, uint32_t key, uint32_t op, uint32_t value); /* NFT_META_*, NFT_CMP_* */
void nft_match_protocol(struct netlink_request *r, uint32_t op, uint8_t protocol);
void nft_match_address(struct netlink_request *r, uint32_t offset, uint32_t address, unsigned bits); /* NFT_IP_* */
void nft_match_ports(struct netlink_request *r, uint16_t first, uint16_t last);                      /* destination's */
void nft_match_state(struct netlink_request *r, uint32_t states); /* of its connection: any of these */

void nft_end_with(struct netlink_request *r, int verdict, const char *chain);
void nft_end_with_reject(struct netlink_request *r);

#endif
