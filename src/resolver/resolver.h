/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver: answers the questions for names of functions with `network: egress`. A process of its own, because it parses what functions ask and what name
 * servers answer: no capabilities, a user of its own, no file at all, no socket but UDP ones, and no say but in which addresses belong to the names that an
 * instance's own rules have (supervisor/resolver_message.h).
 *
 * A question comes in by the one socket in the router's network namespace; the interface tells whose it is. A name that no rule of the instance has does not
 * exist. IPv4 addresses alone are asked for; of those that come, only public and granted ones are passed on (so a name can't be bound to a private address), and
 * before they are, the network process has opened them for the rules that have the name.
 */
#ifndef FAASD_RESOLVER_RESOLVER_H
#define FAASD_RESOLVER_RESOLVER_H

int resolver_main(void); /* the exit status */

#endif
