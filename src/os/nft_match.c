/* SPDX-License-Identifier: Apache-2.0 */
#include "os/nft_match.h"

#include <arpa/inet.h>

enum { PORT_DESTINATION = 2 };

void nft_match_u32(struct netlink_request *r, uint32_t key, uint32_t op, uint32_t value)
{
    nft_meta(r, key, NFT_REG_A);
    nft_compare(r, NFT_REG_A, op, &value, sizeof(value));
}

void nft_match_protocol(struct netlink_request *r, uint32_t op, uint8_t protocol)
{
    nft_meta(r, NFT_META_L4PROTO, NFT_REG_A);
    nft_compare(r, NFT_REG_A, op, &protocol, sizeof(protocol));
}

void nft_match_address(struct netlink_request *r, uint32_t offset, uint32_t address, unsigned bits)
{
    address = htonl(address);
    if (bits == 0)
        return;
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof(address), NFT_REG_A);
    nft_mask(r, NFT_REG_A, htonl(~UINT32_C(0) << (32 - bits)));
    nft_compare(r, NFT_REG_A, NFT_CMP_EQ, &address, sizeof(address));
}

void nft_match_ports(struct netlink_request *r, uint16_t first, uint16_t last)
{
    if (first == 0 && last == NFT_PORT_LAST)
        return;
    nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, PORT_DESTINATION, sizeof(first), NFT_REG_A);
    nft_range(r, NFT_REG_A, first, last);
}

void nft_match_state(struct netlink_request *r, uint32_t states)
{
    const uint32_t none = 0;
    nft_ct(r, NFT_CT_STATE, NFT_REG_A);
    nft_mask(r, NFT_REG_A, states);
    nft_compare(r, NFT_REG_A, NFT_CMP_NEQ, &none, sizeof(none));
}

void nft_end_with(struct netlink_request *r, int verdict, const char *chain)
{
    nft_verdict(r, verdict, chain);
    nft_end_rule(r);
}

void nft_end_with_reject(struct netlink_request *r)
{
    nft_reject(r);
    nft_end_rule(r);
}
