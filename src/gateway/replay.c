/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/replay.h"

#include <string.h>

enum replay_verdict replay_use(struct replay *r, const unsigned char signature[CRYPTO_HASH_BYTES], uint64_t until_s,
                               uint64_t now_s)
{
    uint32_t at;
    struct replay_entry *room = NULL;
    memcpy(&at, signature + REPLAY_KEPT_BYTES, sizeof(at)); /* the half that is not compared */
    for (unsigned i = 0; i < REPLAY_PROBES; i++) {
        struct replay_entry *entry = &r->entries[(at + i) % REPLAY_SLOTS];
        bool living = entry->until_s >= now_s && entry->until_s;
        if (living && memcmp(entry->signature, signature, REPLAY_KEPT_BYTES) == 0)
            return now_s >= entry->first_s && now_s - entry->first_s <= REPLAY_AT_ONCE_S ? REPLAY_AT_ONCE
                                                                                         : REPLAY_AGAIN;
        if (!living && !room)
            room = entry;
    }
    if (!room)
        return REPLAY_FULL;
    memcpy(room->signature, signature, REPLAY_KEPT_BYTES);
    room->first_s = now_s;
    room->until_s = until_s;
    return REPLAY_FIRST;
}
