/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Lambda's service API: a second face of the same registry, pools and queue. What it knows beyond them is names, shapes and words.
 *
 *   table.c       method, path -> operation: what it asks of whom, its limits, its members
 *   request.c     from the head to the operation's handler: access, parameters, JSON, validation
 *   name.c        names and ARNs of functions
 *   validate.c    a table of members -> "1 validation error detected: ..."
 *   error.c       every error's type, status and form
 *   reply.c       what a handler answers with
 *   invoke*.c, account.c, ...   one module a resource
 */
#ifndef FAASD_LAMBDA_LAMBDA_H
#define FAASD_LAMBDA_LAMBDA_H

#include "gateway/face.h"

/* What gateway_main() takes. */
const struct face *lambda_face(void);

#endif
