/* SPDX-License-Identifier: Apache-2.0 */
/* What a function finds in its environment: the common part, the function's own entries, and CGI's meta-variables (RFC 3875, section 4.1). Written
 * into the command at hand of exec_channel.h. */
#ifndef FAASD_GATEWAY_ENVIRONMENT_H
#define FAASD_GATEWAY_ENVIRONMENT_H

#include "gateway/invocation.h"

/* The value of an entry of the function's own, NULL when it has none by that name. */
const char *environment_find(const struct settings *s, const char *name);

/* PATH, HOME, TMPDIR, LANG, TZ, the names Lambda's functions look for, then the function's entries, which win. 0 or -E2BIG. */
int environment_add_common(const struct function *f, const struct version *v);
/*
 * The same for python, node and provided, with the names that Lambda's runtimes have (docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html). Of those the
 * platform's stand (_HANDLER, LAMBDA_*, AWS_LAMBDA_*, what the bootstraps read of FAASD_*): an entry of the function by such a name is left out.
 * `entry`: the interpreter's name in the configuration, or NULL.
 */
int environment_add_managed(const struct function *f, const struct version *v, const char *entry);
/* Of python, node and provided: by what they find their role's credentials (gateway/role.h). */
int environment_add_role(const struct config *c, const struct version *v);
/* The path of a version's handler as an argument of the command at hand. */
int environment_add_handler(const struct version *v);
/* Begins the command at hand for a version's handler: its path as argument 0, then the common environment. 0 or -E2BIG. */
int environment_begin_handler(const struct function *f, const struct version *v);
/* The request: CGI's variables and FAASD_REQUEST_ID, FAASD_DEADLINE_MS. `Proxy` never becomes HTTP_PROXY (httpoxy). 0 or -E2BIG. */
int environment_add_request(const struct invocation *inv, uint64_t deadline_ms);

#endif
