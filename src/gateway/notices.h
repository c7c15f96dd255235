/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listens to the filter of one sandbox (os/seccomp.h): answers each system call that it tells of, and remembers which they were. seccomp `strict` and `learned` deny what they are told; `learning` lets it go
 * on and sets its bit. By the process without power: an answer gives nothing that the supervisor's filter would not have.
 *
 *   LISTENING  the watcher is on                (needs no timer: whoever asks waits)
 *   RESTING    the share of this span is used   (timer: NOTICES_SPAN_MS; who asks waits meanwhile, so a function that does nothing else costs the loop no more)
 *   OVER       every process is dead
 */
#ifndef FAASD_GATEWAY_NOTICES_H
#define FAASD_GATEWAY_NOTICES_H

#include "gateway/gateway.h"
#include "sandbox/init_protocol.h"

enum {
    NOTICES_KEPT = 16, /* denied calls that are remembered, the newest */
    NOTICES_TURN = 32, /* answered in one turn of the loop */
    NOTICES_SPAN_MS = 50,
    NOTICES_DENIED_A_SPAN = 256,
    NOTICES_LEARNT_A_SPAN = 4096,
    NOTICES_NUMBERS = 512,
};

/* What a function was seen to call, by all its instances since learning began; of its version's settings the list is made from it. */
struct learned_calls {
    uint64_t seen[NOTICES_NUMBERS / 64];
    uint64_t told;      /* how many calls that were, one by one */
    uint64_t since_ms;  /* real time */
    uint64_t looked_ns; /* monotonic: when somebody last asked for it (gateway/learning.h) */
    bool is_ending;     /* its last change of settings is under way */
};

struct notices;

/* One reference. Takes the descriptor over. learned: borrowed, outlives it; NULL: nobody wants to know. NULL: no memory, the descriptor is closed and each call that is told gets ENOSYS. */
struct notices *notices_new(struct gateway *g, int fd, enum init_notices answer, struct learned_calls *learned);
struct notices *notices_get(struct notices *n); /* NULL is fine, as in the next */
void notices_put(struct notices *n);            /* the last one ends the listening */

/* What was denied since then (monotonic): by this process where there is something of it, else by any under the filter. Its number, or -1. */
int notices_find_denied(struct notices *n, int32_t pid, uint64_t since_ns);

/* "system call socket denied by seccomp profile strict" */
enum { NOTICES_TEXT_MAX = 192 };
struct settings;
void notices_print_denied(const struct settings *s, int number, char out[NOTICES_TEXT_MAX]);

#endif
