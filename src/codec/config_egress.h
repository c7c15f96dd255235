/* SPDX-License-Identifier: Apache-2.0 */
/* The network `egress`: a part of struct config, plain as it is. */
#ifndef FAASD_CODEC_CONFIG_EGRESS_H
#define FAASD_CODEC_CONFIG_EGRESS_H

#include "codec/egress.h"

enum {
    CONFIG_RANGE_MAX = 20,       /* "100.64.0.0/16" and a NUL */
    CONFIG_NAME_SERVERS_MAX = 3, /* as resolv.conf(5) */
    CONFIG_EGRESS_BITS_MIN = 12, /* egress.range: the largest */
    CONFIG_EGRESS_BITS_MAX = 22, /* and the smallest: 1,024 addresses, 256 of them for uplinks */
};

struct config_egress {
    char range[CONFIG_RANGE_MAX]; /* of instances, never seen outside of this host: 100.64.0.0/16 */
    uint32_t server_count;
    uint32_t servers[CONFIG_NAME_SERVERS_MAX]; /* egress.dns, host byte order; none: those of /etc/resolv.conf */
    uint64_t rate;                             /* bytes that one instance sends in a second: 12 MiB */
    uint32_t packets;                          /* and packets: 20000 */
    uint32_t connections;                      /* of one instance at a time: 256 */
    uint32_t connections_total;                /* of all: 8192 */
    struct egress_grants grants;               /* grants.egress_private */
};

struct config;
void config_egress_range(const struct config *c,
                         struct egress_range *ret_range); /* of a configuration that was checked */
uint32_t config_egress_gateway(const struct config *c);   /* the name server that instances see */

#endif
