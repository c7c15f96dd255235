/* SPDX-License-Identifier: Apache-2.0 */
/* What POST /v1/exec asks for: its body, checked. */
#ifndef FAASD_GATEWAY_EXEC_REQUEST_H
#define FAASD_GATEWAY_EXEC_REQUEST_H

#include "codec/json.h"
#include "gateway/registry.h"

enum { EXEC_ARGUMENTS_MAX = 1024 };

struct exec_request {
    struct json_doc *doc; /* owned: what the rest points into */
    const struct json *command;
    struct str input;
    char name[SETTINGS_NAME_MAX];
    struct version *version; /* counted: its settings, and no code */
};

/* -EINVAL, -EPERM (a grant is missing) or -ENOMEM with a sentence for who asks; *ret is to be freed either way. */
int exec_request_read(struct gateway *g, struct str body, struct exec_request *ret, struct err *e);
void exec_request_free(struct exec_request *r);

#endif
