/* SPDX-License-Identifier: Apache-2.0 */
/* Why an instance never became ready, and whether that says anything about its function. Valid while it is GONE. */
#ifndef FAASD_GATEWAY_INSTANCE_FAILURE_H
#define FAASD_GATEWAY_INSTANCE_FAILURE_H

#include "gateway/instance.h"

enum { INSTANCE_FAILURE_LINE_MAX = ERR_TEXT_MAX + 64, INSTANCE_FAILURE_TEXT_MAX = INSTANCE_END_MAX + 64 };

/* As those are told who waited for it (CONTRACT 4). Points into itself and into the instance. */
struct instance_start_failure {
    struct invocation_failure failure;
    char type[INSTANCE_FAULT_TYPE_MAX];
    char message[INSTANCE_FAILURE_TEXT_MAX]; /* with the end of its log */
    char line[INSTANCE_FAILURE_LINE_MAX];    /* without: for that log itself. "" when it said itself why */
};
void instance_explain_start(const struct instance *i, struct instance_start_failure *ret);

/* A fork that was lost without a word says nothing about the function: its template was killed from outside, broke, or the child was. Nor does a SIGKILL that is
 * nobody's (instance.killed_outside): the host's own OOM killer, or a person. */
bool instance_is_lost_fork(const struct instance *i);

#endif
