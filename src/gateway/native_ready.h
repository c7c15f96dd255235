/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says about itself in READY (docs/PROTOCOL.md): a stranger's words, bounded and checked before anybody is shown them. */
#ifndef FAASD_GATEWAY_NATIVE_READY_H
#define FAASD_GATEWAY_NATIVE_READY_H

#include "base/str.h"

enum { NATIVE_READY_MAX = 4096 };

/* Each borrowed from the payload, printable, each at most once; empty when the worker says nothing about it. */
struct native_ready {
    struct str runtime;  /* "CPython 3.11.2" */
    struct str template; /* "yes", or why it can't be forked */
    struct str imports;  /* "json,boto3" */
};

/* NULL, or what is wrong. Names that are not known are skipped. */
const char *native_ready_parse(struct str payload, struct native_ready *ret_ready);

#endif
