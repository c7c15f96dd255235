/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/invoke.h"

#include "base/put.h"
#include "gateway/access.h"
#include "gateway/credential.h"

enum { FIELDS_MAX = 1024 };

static const char *const TYPES[] = {"Event", "RequestResponse", "DryRun", NULL};
static const char *const LOG_TYPES[] = {"None", "Tail", NULL};

static const struct lambda_member MEMBERS[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "Qualifier",
     .in = LAMBDA_IN_QUERY,
     .bounded = true,
     .min = 1,
     .max = 128,
     .pattern = "(|[a-zA-Z0-9$_-]+)"},
    {.name = "X-Amz-Invocation-Type", .in = LAMBDA_IN_HEADER, .choices = TYPES, .shown = "InvocationType"},
    {.name = "X-Amz-Log-Type", .in = LAMBDA_IN_HEADER, .choices = LOG_TYPES, .shown = "LogType"},
    {0},
};

static void invoke(struct lambda_call *c)
{
    uint64_t number;
    struct function *f = lambda_find_function(c);
    if (!f || !lambda_find_number(c, f, &number))
        return;
    if (!access_admit_lambda(c->x, f)) /* once more: either may have changed while the body came */
        return;
    credential_hide(c->x);
    invocation_start_version(c->x, f, number, (struct str){0});
}

void lambda_answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    struct exchange *x = inv->exchange;
    char fields[FIELDS_MAX];
    char *to = PUT_LITERAL(fields, "X-Amz-Executed-Version: $LATEST\r\n");
    if (!r) {
        lambda_fail_str(x, LAMBDA_SERVICE, e->failure->message);
        return;
    }
    const struct reply reply = {
        .status = 200, .content_type = "application/json", .fields = {fields, (size_t)(to - fields)}, .body = r->body};
    exchange_reply(x, &reply);
}

const struct lambda_operation lambda_invoke = {
    .route = LAMBDA_ROUTE("POST", ACCESS_OPEN, LAMBDA_INVOKE_MAX),
    .name = "Invoke",
    .path = "/2015-03-31/functions/{FunctionName}/invocations",
    .run = invoke,
    .members = MEMBERS,
    .invokes = true,
    .raw = true,
};
