/* SPDX-License-Identifier: Apache-2.0 */
/* CloudWatch's filter patterns for plain text: terms that all have to be there, "phrases in quotes", -not this, ?this ?or ?that. Letters' case counts. Pure. */
#ifndef FAASD_LAMBDA_LOG_PATTERN_H
#define FAASD_LAMBDA_LOG_PATTERN_H

#include "base/str.h"

enum { LOG_PATTERN_MAX = 1024, LOG_PATTERN_TERMS_MAX = 64 };

struct log_pattern {
    struct {
        struct str text; /* points into the text that was parsed */
        char kind;       /* '+' required, '-' excluded, '?' one of these */
    } terms[LOG_PATTERN_TERMS_MAX];
    unsigned count;
};

/* NULL, or why it is none that is understood here. */
const char *log_pattern_parse(struct str text, struct log_pattern *ret);
bool log_pattern_matches(const struct log_pattern *p, struct str message);

#endif
