/* SPDX-License-Identifier: Apache-2.0 */
/* Put, Get and DeleteFunctionConcurrency: reserved concurrency, which is a limit and a guarantee (gateway/pool_limit.h). */
#ifndef FAASD_LAMBDA_CONCURRENCY_H
#define FAASD_LAMBDA_CONCURRENCY_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_put_concurrency, lambda_get_concurrency, lambda_delete_concurrency;

/* Instances that all functions have reserved together. */
uint64_t concurrency_reserved(const struct gateway *g);

/* So many have to be left for functions that reserve none, as AWS leaves 100 of an account's 1,000. */
uint64_t concurrency_least(const struct config *c);

/* Member "ReservedConcurrentExecutions", where there is a limit. */
void concurrency_put(const struct function *f, struct json_writer *w);

#endif
