/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of gateway/route.c's table. Each takes the exchange over and ends it. `name` is a checked function name, or empty. Deploys are in gateway/deploy.h. */
#ifndef FAASD_GATEWAY_API_H
#define FAASD_GATEWAY_API_H

#include "gateway/exchange.h"
#include "gateway/registry.h"

void api_health(struct exchange *x, struct str name);
void api_system(struct exchange *x, struct str name);
void api_config(struct exchange *x, struct str name);
void api_functions_list(struct exchange *x, struct str name);
void api_functions_describe(struct exchange *x, struct str name);
void api_logs(struct exchange *x, struct str name);
/* gateway/api_versions.c */
void api_versions(struct exchange *x, struct str name);
void api_aliases(struct exchange *x, struct str name);
void api_alias_get(struct exchange *x, struct str name);
void api_alias_put(struct exchange *x, struct str name);
void api_alias_delete(struct exchange *x, struct str name);
void api_tokens_create(struct exchange *x, struct str name);
void api_tokens_list(struct exchange *x, struct str name);
void api_tokens_delete(struct exchange *x, struct str id);
void api_metrics(struct exchange *x, struct str name);
void api_invocations_list(struct exchange *x, struct str name);
/* `name` is an invocation's id. */
void api_invocations_show(struct exchange *x, struct str name);
void api_invocations_event(struct exchange *x, struct str name);
void api_exec(struct exchange *x, struct str none); /* gateway/exec.c */
/* The drain's deadline has passed: commands are killed, after which they are answered with 503. Returns how many. */
unsigned api_exec_cut_off(void);
void api_bill(struct exchange *x, struct str name);
void api_shell(struct exchange *x, struct str name); /* gateway/shell.c */
void api_secrets_list(struct exchange *x, struct str name);
void api_secrets_put(struct exchange *x, struct str name); /* `name` is a checked secret's name here */
void api_secrets_delete(struct exchange *x, struct str name);

/* The function by that name, or NULL when the exchange was ended with 404. */
struct function *api_find_function(struct exchange *x, struct str name);
void api_learned(struct exchange *x, struct str name);

/* Sends `body` (JSON) and frees it; 503 when `error`, what the writer said, is not 0. */
struct buf;
void api_reply_json(struct exchange *x, struct buf *body, int error);

#endif
