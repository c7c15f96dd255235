/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network process: makes the networks of functions with `network: egress`, and says by rules of the kernel where they lead. A process of its own, in a user
 * namespace of its own that the router's network namespace belongs to: what it may there it may nowhere else, and nothing of the host's is in its reach. It gets
 * rules that are checked (supervisor/network_message.h), hands over namespaces, opens what the resolver found (supervisor/resolver_message.h), and clears away
 * what the dead leave.
 */
#ifndef FAASD_NETWORK_NETWORK_H
#define FAASD_NETWORK_NETWORK_H

int network_main(void); /* the exit status */

#endif
