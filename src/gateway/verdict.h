/* SPDX-License-Identifier: Apache-2.0 */
/* Why a request failed, in words: turns wait statuses, limits and the kernel's counters into one of CONTRACT 4's errors. */
#ifndef FAASD_GATEWAY_VERDICT_H
#define FAASD_GATEWAY_VERDICT_H

#include "gateway/invocation.h"
#include "sandbox/init_protocol.h"

/* What is known beside the program's end. */
struct verdict_facts {
    const struct version *version;
    uint32_t oom_kills;         /* during this request */
    uint32_t pids_denied;       /* during this request */
    uint64_t memory_peak_bytes; /* since the instance started; 0 = unknown */
    uint64_t shmem_bytes;       /* 0 = unknown */
    struct str tail;            /* the last of its stderr */
    bool is_logged;             /* its driver has told the log already */
    bool tmp_full;
    int wait_status; /* how its program or worker ended; -1 = unknown */
};

/* A program of an exec function that ended other than by exit 0. Ends the invocation. */
void verdict_program(struct invocation *inv, const struct init_done *done, const struct verdict_facts *facts);
/* The instance itself died under the request. `how`: "the worker exited with status 1", ... */
void verdict_crash(struct invocation *inv, const char *how, const struct verdict_facts *facts);
void verdict_out_of_memory(struct invocation *inv, const struct verdict_facts *facts);
/* What the function sent breaks a rule of its contract or of the frames. */
void verdict_bad_reply(struct invocation *inv, const char *fault);
/* faasd ends, and could not wait for it any longer. */
void verdict_cut_off(struct invocation *inv);
void verdict_timeout(struct invocation *inv, const struct verdict_facts *facts);

/* "WHAT: the limit 'memory' is 64M, the peak was 64.0M, of which 60.0M in /tmp and shared memory" */
void verdict_print_memory(const struct verdict_facts *facts, const char *what, char *out, size_t cap);

enum {
    VERDICT_STATUS_MAX = 96,
    VERDICT_SHMEM_TOLD = 1 << 19 /* less of the memory in /tmp is not why it was used up */
};
/* "exited with status 3", "was killed by signal 11 (SIGSEGV)" */
void verdict_print_status(int wait_status, char out[VERDICT_STATUS_MAX]);

#endif
