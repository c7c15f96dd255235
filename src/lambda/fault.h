/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an invocation that failed looks to Lambda's clients. What the function did (it raised, ended, took too long or too much memory) is an answer: 200, X-Amz-Function-Error and a JSON body.
 * What kept it from running is an error of the request (lambda/error.h).
 */
#ifndef FAASD_LAMBDA_FAULT_H
#define FAASD_LAMBDA_FAULT_H

#include "gateway/invocation.h"

bool lambda_fault_is_the_functions(const struct invocation_failure *f);

/* The body of the answer; borrowed until the next call. Empty: memory is out. */
struct str lambda_fault_print(const struct invocation *inv, const struct invocation_failure *f);

/* The errorType in it; borrowed from `f` or static. */
const char *lambda_fault_type(const struct invocation *inv, const struct invocation_failure *f);

/* An error of the request: ends the exchange. */
void lambda_fault_refuse(const struct invocation *inv, const struct invocation_failure *f);

#endif
