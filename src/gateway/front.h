/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners and the connections they accepted: limits, deadlines, draining. */
#ifndef FAASD_GATEWAY_FRONT_H
#define FAASD_GATEWAY_FRONT_H

#include "gateway/gateway.h"

/* Listening sockets are GATEWAY_FD_LISTENERS and following, kinds in boot->listener_kinds. */
struct front *front_new(struct gateway *g, struct err *e);
void front_free(struct front *f);

/* Closes idle connections; those with a request in flight close after its reply; new requests, on old and new connections, get 503 NoCapacity and close. */
void front_drain(struct front *f);
unsigned front_busy_count(const struct front *f); /* exchanges in flight or replies unsent */
unsigned front_connection_count(const struct front *f);
uint64_t front_started_ns(const struct front *f); /* clock_mono_ns() of front_new: the gateway's age */

#endif
