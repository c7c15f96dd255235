/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners and the connections they accepted: limits, deadlines, draining. */
#ifndef FAASD_GATEWAY_FRONT_H
#define FAASD_GATEWAY_FRONT_H

#include "gateway/exchange.h"

/* Listening sockets are GATEWAY_FD_LISTENERS and following, kinds in boot->listener_kinds. */
struct front *front_new(struct gateway *g, struct err *e);
void front_free(struct front *f);

/* Closes idle connections; those with a request in flight close after its reply; new requests, on old and new connections, get 503 NoCapacity and close. */
void front_drain(struct front *f);
unsigned front_busy_count(const struct front *f); /* exchanges in flight or replies unsent */
unsigned front_connection_count(const struct front *f);
uint64_t front_started_ns(const struct front *f); /* clock_mono_ns() of front_new: the gateway's age */

/* A request that no connection brought: of an asynchronous call. Its handler can't tell it from one whose client has left, and its reply goes to on_reply. The
 * caller hands it to invocation_start(), which ends it. It counts as busy (front_busy_count). NULL: memory is out, or the head is none. */
struct front_request {
    struct str head; /* as http1_parse_request takes it, complete and well-formed: copied */
    struct str body; /* borrowed until on_reply returns */
    const char *id;  /* ID_UUID_MAX with its NUL: copied */
    enum gateway_listener_kind listener;
    void (*on_reply)(struct exchange *x, const struct reply *r);
    void *context;
};
/* NULL with -errno in *ret_error: -ENOMEM, worth another try; -EBADMSG, the head is none and never will be. */
struct exchange *front_make_exchange(struct front *f, const struct front_request *r, int *ret_error);

#endif
