/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from one descriptor to another, one way, with a fixed buffer: what the far side does not take stops the reading. Both ends are borrowed and non-blocking. */
#ifndef FAASD_GATEWAY_RELAY_H
#define FAASD_GATEWAY_RELAY_H

#include "base/str.h"

#include <ev.h>

enum { RELAY_BYTES = 16384 };

struct relay {
    struct ev_loop *loop;
    int from, to;
    ev_io reader, writer;
    size_t at, len; /* held[at..len) waits for the far side */
    bool ended;     /* nothing more is read */
    void (*on_end)(
        struct relay *r); /* `from` is at its end and all is written, or `to` takes no more. May free the relay */
    void *owner;
    char held[RELAY_BYTES];
};

/* `early` goes first; it must fit RELAY_BYTES. */
void relay_start(struct relay *r, int from, int to, struct str early);
void relay_finish(
    struct relay
        *r); /* reads what stands there now and no more; on_end comes when it is written, perhaps from inside */
void relay_stop(struct relay *r); /* on_end does not come; relays that never started are fine */

#endif
