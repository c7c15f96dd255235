/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration gives to functions by the role that Lambda's API was told: lambda.roles, lambda.network. Looked up when an instance starts, so that a reload counts for the next one.
 * Credentials come in as any secret does (docs/SECRETS.md), as the file ROLE_FILE; their form is that of AWS's "process credentials": {"Version": 1, "AccessKeyId", "SecretAccessKey",
 * "SessionToken"}. Bootstraps of python and node set AWS_ACCESS_KEY_ID and its like in their own process; for provided AWS_CONFIG_FILE names ROLE_CONFIG of the base tree, by which SDKs read the file.
 */
#ifndef FAASD_GATEWAY_ROLE_H
#define FAASD_GATEWAY_ROLE_H

#include "gateway/registry.h"

#define ROLE_FILE   "aws-role-credentials"
#define ROLE_PATH   "/run/secrets/" ROLE_FILE
#define ROLE_CONFIG "/var/runtime/aws-config"

/* The name of the secret; "" = none. */
const char *role_secret(const struct config *c, const struct version *v);
bool role_names_secret(const struct config *c, const struct version *v, struct str name);
/* What its sandboxes get: its own setting, where it was given; else its role's; else of functions that have a role lambda.network. Whether it is granted is the
 * supervisor's to say. */
enum settings_network role_network(const struct config *c, const struct version *v);
/* Whether these settings can have what the role gives: -EINVAL with what to say instead. */
int role_check(const struct config *c, const struct settings *s, const char *role, struct err *e);

/* A failure whose words are those of a closed network leaves one line in the function's log for each version, which says what opens it. Errors that the function catches are not seen. */
struct invocation;
struct invocation_failure;
void role_explain_network(struct invocation *inv, const struct invocation_failure *f);

#endif
