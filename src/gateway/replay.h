/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures that have changed something: each does so within REPLAY_AT_ONCE_S of its first use, and then no more. A signature names its second, so a client that says the
 * same twice in one second, or repeats what got no answer, sends the same one twice, and AWS takes that; whoever has recorded it comes later. Bounded: what has expired makes room, and when the slots that a signature may stand in are full of living ones it is
 * refused, because forgetting one would let it be used again. A gateway that was started anew knows none, so it takes none that were made before its start.
 */
#ifndef FAASD_GATEWAY_REPLAY_H
#define FAASD_GATEWAY_REPLAY_H

#include "codec/crypto.h"

enum {
    REPLAY_AT_ONCE_S = 2,
    REPLAY_SLOTS = 8192, /* 256 KiB, of which only touched pages are resident */
    REPLAY_PROBES = 32,  /* places that one signature may stand in */
    REPLAY_KEPT_BYTES = 16,
};

struct replay_entry {
    unsigned char signature[REPLAY_KEPT_BYTES];
    uint64_t first_s; /* when it was used first */
    uint64_t until_s; /* it can't be valid any more afterwards; 0: free */
};

struct replay {
    struct replay_entry entries[REPLAY_SLOTS];
};

enum replay_verdict { REPLAY_FIRST, REPLAY_AT_ONCE /* to be taken too */, REPLAY_AGAIN, REPLAY_FULL };
/* Remembers it when it is the first time. A signature is an HMAC: nobody without a key chooses where it stands. */
enum replay_verdict replay_use(struct replay *r, const unsigned char signature[CRYPTO_HASH_BYTES], uint64_t until_s,
                               uint64_t now_s);

#endif
