/* SPDX-License-Identifier: Apache-2.0 */
/* PublishVersion, and DeleteFunction of one version. */
#ifndef FAASD_LAMBDA_VERSION_H
#define FAASD_LAMBDA_VERSION_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_publish_version;

/* DeleteFunction with a qualifier: ends the exchange. */
void version_delete(struct lambda_call *c, struct function *f);

/* 412, of functions and aliases. */
extern const char lambda_stale_revision[];

#endif
