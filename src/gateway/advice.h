/* SPDX-License-Identifier: Apache-2.0 */
/* Why an invocation failed and what to change, in words: `faasd why`. */
#ifndef FAASD_GATEWAY_ADVICE_H
#define FAASD_GATEWAY_ADVICE_H

#include "codec/json.h"
#include "gateway/invocation.h"

struct advice_facts {
    const char *function;
    const char *id;
    const struct settings *settings; /* of the version that failed; NULL: not known any more */
    enum invocation_outcome outcome;
    const char *type;
    struct invocation_cause cause;
    bool delivered;
    uint64_t run_us, cpu_us; /* 0 = unknown */
    bool limited;            /* by Lambda's reserved concurrency, in place of max_concurrency: `limit` */
    uint32_t limit;
};

/* Member "why": {"reason", "change": [...]}; an entry of `change` is a sentence or a command line. */
void advice_print(struct json_writer *w, const struct advice_facts *f);

#endif
