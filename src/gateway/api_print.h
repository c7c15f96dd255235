/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that several replies of the control API have in common. */
#ifndef FAASD_GATEWAY_API_PRINT_H
#define FAASD_GATEWAY_API_PRINT_H

#include "codec/json.h"
#include "gateway/pool.h"
#include "gateway/registry.h"

void api_print_counts(struct json_writer *w, const struct pool_counts *c);         /* member "counts" */
void api_print_counters(struct json_writer *w, const struct function_counters *c); /* member "counters" */
/* Members "interpreter" and "runtimeUsed" (what a worker said it is: "CPython 3.11.2", with the interpreter's path behind it), "noTemplate" (why its instances
 * are not forked although its settings allow it). Each only where it is known. */
void api_print_runtime(struct json_writer *w, const struct config *c, const struct version *v);
void api_print_aliases(struct json_writer *w, const struct versions *v); /* member "aliases" */

#endif
