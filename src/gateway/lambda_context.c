/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/lambda_context.h"

#include "codec/base64.h"
#include "codec/http1.h"
#include "codec/json_check.h"
#include "gateway/environment.h"
#include "gateway/face.h"

#include <stdio.h>
#include <string.h>

static bool may_be_a_field(struct str text)
{
    return http1_field_is_valid(STR_LITERAL("x"), text);
}

void lambda_context_print_arn(const struct config *c, const struct function *f, const struct settings *s,
                              char out[LAMBDA_CONTEXT_ARN_MAX])
{
    const char *region = environment_find(s, "AWS_REGION");
    bool clean = region && region[0] && may_be_a_field(str_from(region));
    lambda_context_print_arn_in(c, f, str_from(clean ? region : c->lambda_region), out);
}

void lambda_context_print_arn_in(const struct config *c, const struct function *f, struct str region,
                                 char out[LAMBDA_CONTEXT_ARN_MAX])
{
    snprintf(out, LAMBDA_CONTEXT_ARN_MAX, "arn:aws:lambda:%.*s:%s:function:%s", (int)(region.n < 32 ? region.n : 32),
             region.p, c->lambda_account, f->name);
}

/* `qualifier` is percent-encoded as it came. */
static struct str qualify(const char *arn, struct str qualifier, char out[LAMBDA_CONTEXT_INVOKED_MAX])
{
    char name[VERSIONS_ALIAS_MAX];
    size_t n;
    if (!qualifier.n || !http1_percent_decode(qualifier, name, sizeof(name), &n))
        return str_from(arn);
    int len = snprintf(out, LAMBDA_CONTEXT_INVOKED_MAX, "%s:%.*s", arn, (int)n, name);
    return (struct str){out, (size_t)len};
}

struct str lambda_context_find_arn(const struct exchange *x, const struct function *f, const char *arn,
                                   char room[LAMBDA_CONTEXT_INVOKED_MAX])
{
    char own[LAMBDA_CONTEXT_ARN_MAX];
    if (x->face && x->face->print_arn)
        return (struct str){room, x->face->print_arn(x, f, room)};
    if (!x->region.n)
        return qualify(arn, x->qualifier, room);
    /* of a call that waited: the face is not there any more, the region is */
    lambda_context_print_arn_in(x->gateway->config, f, x->region, own);
    struct str told = qualify(own, x->qualifier, room);
    if (told.p == own)
        memcpy(room, own, told.n + 1);
    return (struct str){room, told.n};
}

struct str lambda_context_read_client(const struct http1_request *q, char out[LAMBDA_CONTEXT_CLIENT_MAX])
{
    size_t n;
    const struct http1_field *given = http1_find_field(q->fields, q->field_count, "x-amz-client-context");
    if (!given || !base64_decode(given->value, out, LAMBDA_CONTEXT_CLIENT_MAX, &n))
        return (struct str){0};
    struct str text = {out, n};
    return json_check(text, NULL) && may_be_a_field(text) ? text : (struct str){0};
}
