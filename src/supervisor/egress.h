/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of functions with `network: egress` (docs/NETWORK.md), as the supervisor keeps it: which instance has which address, and whom to ask for its network.
 * The host's part is made once (egress_host.h); all else is the network process's and the resolver's (network_process.h).
 */
#ifndef FAASD_SUPERVISOR_EGRESS_H
#define FAASD_SUPERVISOR_EGRESS_H

#include "base/list.h"
#include "supervisor/egress_host.h"
#include "supervisor/network_message.h"
#include "supervisor/network_process.h"
#include "supervisor/uids.h"

struct supervisor;
struct message_spawn;
struct box;

/* One instance's way out. */
struct egress_instance {
    struct list link;   /* struct egress.instances */
    struct box *box;    /* borrowed: whose */
    uint64_t namespace; /* its inode; 0: it waits for one */
    uint32_t index;     /* of its veth: no other instance gets it */
    uint32_t address;
    uint32_t rule_count;
    struct egress_rule rules[];
};

struct egress {
    struct supervisor *supervisor;
    bool is_open;
    struct err refusal; /* why it is not */
    struct egress_host host;
    uint32_t uid; /* of the network process; 0: none was taken */
    uint32_t next_index;
    struct uids addresses; /* of instances */
    struct list instances;
    struct network_process network;
};

void egress_init(struct egress *g, struct supervisor *s);
/* At the start, and when the configuration was read again, before anybody is told of it: makes the host's part where the configuration grants it and it is not there, or its uplink is gone. Where the host
 * can't, the reason is kept for who asks. */
void egress_open(struct egress *g, const struct config *c);
void egress_fini(struct egress *g); /* closes the way out; no instance may live */

/* Asks for a network namespace for the box of SPAWN `m`, with its way out: box_on_network() is called with it, or with the reason, later. -errno with what to do when
 * there is none to be had; then *ret_instance is as it was. */
int egress_ask(struct egress *g, struct box *x, const struct message_spawn *m, struct egress_instance **ret_instance,
               struct err *e);
void egress_detach(struct egress *g, struct egress_instance *i); /* its processes are dead; NULL is fine */
void egress_is_late(struct egress *g); /* who asked has waited too long: another network process */

/* For network_process.c: a new one is told of all instances; when one has ended, those that wait in vain are refused. Not from within egress_ask(). */
void egress_tell_all(struct egress *g);
void egress_look_again(struct egress *g);
/* What it says: false when it is not to be trusted. fd: what came with it, borrowed; -1 = nothing. */
bool egress_on_made(struct egress *g, struct network_made *m, int fd);
bool egress_on_forget(const struct egress *g, const struct network_forget *m);

#endif
