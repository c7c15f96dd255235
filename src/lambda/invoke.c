/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/invoke.h"

#include "base/put.h"
#include "codec/base64.h"
#include "codec/json_check.h"
#include "gateway/access.h"
#include "gateway/calls.h"
#include "gateway/credential.h"
#include "gateway/event.h"
#include "gateway/log_tail.h"
#include "gateway/trace.h"
#include "lambda/fault.h"
#include "lambda/prelude.h"
#include "lambda/tail.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    FIELDS_MAX = 256 + TRACE_LINES_MAX,
    CONTEXT_MAX = 3583, /* bytes of base64, as AWS */
};

static const char *const TYPES[] = {"Event", "RequestResponse", "DryRun", NULL};
static const char *const LOG_TYPES[] = {"None", "Tail", NULL};

static const struct lambda_member MEMBERS[] = {
    LAMBDA_FUNCTION_NAME,
    LAMBDA_QUALIFIER,
    {.name = "X-Amz-Invocation-Type", .in = LAMBDA_IN_HEADER, .choices = TYPES, .shown = "InvocationType"},
    {.name = "X-Amz-Log-Type", .in = LAMBDA_IN_HEADER, .choices = LOG_TYPES, .shown = "LogType"},
    {0},
};

static const struct lambda_member ASYNC_MEMBERS[] = {LAMBDA_FUNCTION_NAME, {0}};

struct str lambda_field(const struct exchange *x, const char *name)
{
    const struct http1_field *f = http1_find_field(x->request->fields, x->request->field_count, name);
    return f ? f->value : (struct str){0};
}

/* ---- a request ---- */

bool lambda_check_context(struct exchange *x)
{
    char text[LAMBDA_CONTEXT_CLIENT_MAX];
    size_t n;
    struct str given = lambda_field(x, "x-amz-client-context");
    if (!given.n || (given.n <= CONTEXT_MAX && base64_decode(given, text, sizeof(text), &n) &&
                     json_check((struct str){text, n}, NULL)))
        return true;
    if (given.n > CONTEXT_MAX)
        lambda_fail(x, LAMBDA_INVALID_REQUEST_CONTENT, "Client context must be no longer than %d bytes.", CONTEXT_MAX);
    else
        lambda_fail(x, LAMBDA_INVALID_REQUEST_CONTENT, "Client context must be a valid Base64-encoded JSON object.");
    return false;
}

struct function *lambda_find_invoked(struct lambda_call *c, uint64_t *ret_number)
{
    struct function *f = lambda_find_function(c);
    if (!f || !access_admit_lambda(c->x, f) || !lambda_find_number(c, f, ret_number))
        return NULL;
    if (c->x->check) { /* it was judged when the body was complete: only a function that was let in without can have this */
        credential_demand(c->x, "the auth of function '%s' changed while the request came: send it again", f->name);
        return NULL;
    }
    credential_hide(c->x);
    return f;
}

/* It is stored as a request to /function/..., where retries find it. */
static void accept_event(struct lambda_call *c, const struct function *f)
{
    char path[LAMBDA_ARN_MAX];
    size_t at;
    const struct str q = c->function.qualifier;
    if (!event_is_admissible(&f->current->settings, c->x->body, &at)) {
        lambda_fail(c->x, LAMBDA_INVALID_REQUEST_CONTENT,
                    "Could not parse request body into json: byte %zu is where it goes wrong", at);
        return;
    }
    int n = snprintf(path, sizeof(path), "function/%s%s%.*s", f->name, q.n ? ":" : "", (int)q.n, q.p ? q.p : "");
    calls_accept_as(c->x, str_from(f->name), (struct str){path, (size_t)n});
}

static void invoke(struct lambda_call *c)
{
    uint64_t number;
    struct exchange *x = c->x;
    struct str type = lambda_field(x, "x-amz-invocation-type");
    if (!lambda_check_context(x))
        return;
    struct function *f = lambda_find_invoked(c, &number);
    if (!f)
        return;
    if (str_is(type, "DryRun")) {
        lambda_reply_empty(x, 204);
        return;
    }
    if (str_is(type, "Event")) {
        accept_event(c, f);
        return;
    }
    if (str_is(lambda_field(x, "x-amz-log-type"), "Tail"))
        x->log_tail = log_tail_new();
    invocation_start_version(x, f, number, (struct str){0});
}

static void invoke_async(struct lambda_call *c)
{
    uint64_t number;
    struct function *f = lambda_find_invoked(c, &number);
    if (f)
        accept_event(c, f);
}

/* Most requests name a function alone, and need not be read once more. */
static bool names_more(const struct http1_request *q)
{
    return q->query.n || memchr(q->path.p, ':', q->path.n) || memchr(q->path.p, '%', q->path.n);
}

size_t lambda_print_invoked(const struct exchange *x, const struct function *f, char out[LAMBDA_CONTEXT_INVOKED_MAX])
{
    struct lambda_call c;
    struct str q = {0}, region = x->region.n ? x->region : str_from(x->gateway->config->lambda_region);
    if (names_more(x->request) && lambda_reopen(&c, (struct exchange *)x)) {
        q = c.function.qualifier; /* a known one: no longer than an alias */
        region = str_from(c.region);
    }
    char *to = PUT_LITERAL(out, "arn:aws:lambda:");
    to = put_bytes(to, region.p, region.n);
    *to++ = ':';
    to = put_text(to, x->gateway->config->lambda_account);
    to = PUT_LITERAL(to, ":function:");
    to = put_text(to, f->name);
    if (q.n) {
        *to++ = ':';
        to = put_bytes(to, q.p, q.n);
    }
    *to = '\0';
    assert(to - out < LAMBDA_CONTEXT_INVOKED_MAX);
    return (size_t)(to - out);
}

/* ---- its answer ---- */

size_t lambda_print_version(uint64_t number, char out[LAMBDA_VERSION_MAX])
{
    char *to = number == VERSIONS_LATEST_NUMBER ? PUT_LITERAL(out, "$LATEST") : put_number(out, number);
    *to = '\0';
    return (size_t)(to - out);
}

static size_t print_fields(const struct invocation *inv, bool failed, char out[FIELDS_MAX])
{
    char version[LAMBDA_VERSION_MAX];
    size_t version_n = lambda_print_version(inv->wanted, version);
    char *to = trace_put_lines(inv, out);
    to = PUT_LITERAL(to, "X-Amz-Executed-Version: ");
    to = put_bytes(to, version, version_n);
    to = PUT_LITERAL(to, "\r\n");
    if (failed)
        to = PUT_LITERAL(to, "X-Amz-Function-Error: Unhandled\r\n");
    assert(to - out < FIELDS_MAX);
    return (size_t)(to - out);
}

/* What a function said for HTTP integrations is a part of its bytes for everybody else, as on AWS; whole or none of it, where memory is out. */
static struct str add_prelude(const struct invocation_reply *r, struct buf *out)
{
    return lambda_prelude_print(r, out) == 0 && buf_add_str(out, r->body) == 0 ? buf_str(out) : r->body;
}

/* Of a reply only the body counts here: Lambda's functions have no status and no headers. */
void lambda_answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    struct exchange *x = inv->exchange;
    char fields[FIELDS_MAX];
    struct buf whole;
    if (e->failure && !lambda_fault_is_the_functions(e->failure)) {
        lambda_fault_refuse(inv, e->failure);
        return;
    }
    buf_init(&whole, 0);
    struct str body = !r ? lambda_fault_print(inv, e->failure) : r->is_http ? add_prelude(r, &whole) : r->body;
    const struct reply reply = {
        .status = 200,
        .content_type = "application/json",
        .fields = {fields, print_fields(inv, e->failure != NULL, fields)},
        .body = body.n ? body : STR_LITERAL("null"),
    };
    if (x->log_tail)
        lambda_tail_answer(inv, e, &reply);
    else
        exchange_reply(x, &reply);
    buf_fini(&whole);
}

/* ---- rows ---- */

static const struct lambda_operation INVOKE_EVENT = {
    .route = LAMBDA_ROUTE("POST", ACCESS_OPEN, LAMBDA_EVENT_MAX),
    .name = "Invoke",
    .run = invoke,
    .members = MEMBERS,
    .path = "/2015-03-31/functions/{FunctionName}/invocations",
    .invokes = true,
    .raw = true,
};

const struct lambda_operation lambda_invoke = {
    .route = LAMBDA_ROUTE("POST", ACCESS_OPEN, LAMBDA_INVOKE_MAX),
    .name = "Invoke",
    .path = "/2015-03-31/functions/{FunctionName}/invocations",
    .run = invoke,
    .members = MEMBERS,
    .invokes = true,
    .raw = true,
    .for_event = &INVOKE_EVENT,
};

const struct lambda_operation lambda_invoke_async = {
    .route = LAMBDA_ROUTE("POST", ACCESS_OPEN, LAMBDA_EVENT_MAX),
    .name = "InvokeAsync",
    .path = "/2014-11-13/functions/{FunctionName}/invoke-async",
    .run = invoke_async,
    .members = ASYNC_MEMBERS,
    .invokes = true,
    .raw = true,
};
