/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/fault.h"

#include "codec/json.h"
#include "gateway/pool.h"
#include "lambda/error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_MAX = 256,
    PAYLOAD_MAX = 6291556, /* of a reply, as AWS tells it: 6 MiB and 100 */
    BODY_KEPT = 65536,
};

static const struct settings *settings_of(const struct invocation *inv)
{
    const struct version *v = inv->version ? inv->version : inv->function->current;
    return v ? &v->settings : NULL;
}

bool lambda_fault_is_the_functions(const struct invocation_failure *f)
{
    return f->outcome != INVOCATION_THROTTLED && f->outcome != INVOCATION_REFUSED;
}

/* ---- what the platform says of a function's end ---- */

struct fault {
    const char *type;
    char text[TEXT_MAX]; /* behind "RequestId: ID Error: " */
};

static void describe_exit(const struct invocation_cause *c, char out[TEXT_MAX])
{
    const char *words = c->signal ? sigdescr_np(c->signal) : NULL;
    int n = 0;
    if (c->signal) /* in lower case, as Go prints them */
        n = snprintf(out, TEXT_MAX, "Runtime exited with error: signal: %s", words ? words : "unknown");
    else if (c->exit_status)
        n = snprintf(out, TEXT_MAX, "Runtime exited with error: exit status %d", c->exit_status);
    else
        n = snprintf(out, TEXT_MAX, "Runtime exited without providing a reason");
    for (char *p = out + sizeof("Runtime exited with error: signal: ") - 1; c->signal && p < out + n; p++)
        *p = (char)tolower((unsigned char)*p);
}

/* A request that was never delivered waited for a start, whose limit is another. */
static void describe_timeout(const struct invocation *inv, char out[TEXT_MAX])
{
    const struct settings *s = settings_of(inv);
    uint64_t ms = inv->delivered_ns && s ? s->timeout_ms : inv->exchange->gateway->config->init_timeout_ms;
    snprintf(out, TEXT_MAX, "Task timed out after %.2f seconds", (double)ms / 1e3);
}

/* False: the failure says itself what it is. */
static bool describe(const struct invocation *inv, const struct invocation_failure *f, struct fault *ret)
{
    const struct invocation_cause *c = &f->cause;
    switch (f->outcome) {
    case INVOCATION_TIMED_OUT:
        ret->type = "Sandbox.Timedout";
        describe_timeout(inv, ret->text);
        return true;
    case INVOCATION_OUT_OF_MEMORY:
        ret->type = "Runtime.OutOfMemory";
        snprintf(ret->text, TEXT_MAX, "Runtime exited with error: signal: killed");
        return true;
    default:
        ret->type = "Runtime.ExitError";
        describe_exit(c, ret->text);
        return c->signal || c->has_exited;
    }
}

/* The limit that an error enforces is named in it. */
static bool is_too_long(const struct invocation_failure *f)
{
    static const char key[] = "'reply_bytes'";
    return strcmp(f->type, "BadReply") == 0 && memmem(f->message.p, f->message.n, key, sizeof(key) - 1);
}

static const char TOO_LONG[] = "Function.ResponseSizeTooLarge";

const char *lambda_fault_type(const struct invocation *inv, const struct invocation_failure *f)
{
    struct fault fault;
    if (f->document.n)
        return f->type;
    if (is_too_long(f))
        return TOO_LONG;
    return describe(inv, f, &fault) ? fault.type : f->type;
}

/* ---- the body ---- */

static void put_platform(struct json_writer *w, const struct invocation *inv, const struct fault *fault)
{
    char text[TEXT_MAX + ID_UUID_MAX + 32];
    snprintf(text, sizeof(text), "RequestId: %s Error: %s", inv->exchange->id, fault->text);
    json_put_text(w, "errorType", fault->type);
    json_put_text(w, "errorMessage", text);
}

/* As AWS's own runtime for that language would have reported it. */
static void put_functions_own(struct json_writer *w, const struct invocation *inv, const struct invocation_failure *f)
{
    const struct settings *s = settings_of(inv);
    struct str trace = f->trace.n ? f->trace : STR_LITERAL("[]");
    if (s && s->runtime == SETTINGS_RUNTIME_NODE) {
        json_put_text(w, "errorType", f->type);
        json_put_str(w, "errorMessage", f->message);
        json_put_raw(w, "trace", trace);
        return;
    }
    json_put_str(w, "errorMessage", f->message);
    json_put_text(w, "errorType", f->type);
    if (s && s->runtime == SETTINGS_RUNTIME_PYTHON)
        json_put_text(w, "requestId", inv->delivered_ns ? inv->exchange->id : "");
    if (f->trace.n || (s && s->runtime == SETTINGS_RUNTIME_PYTHON))
        json_put_raw(w, "stackTrace", trace);
}

struct str lambda_fault_print(const struct invocation *inv, const struct invocation_failure *f)
{
    static struct buf body;
    struct json_writer w;
    struct fault fault;
    char text[TEXT_MAX];
    if (f->document.n)
        return f->document;
    if (body.cap > BODY_KEPT)
        buf_fini(&body);
    body.len = 0;
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    if (is_too_long(f)) {
        snprintf(text, sizeof(text), "Response payload size exceeded maximum allowed payload size (%d bytes).",
                 PAYLOAD_MAX);
        json_put_text(&w, "errorMessage", text);
        json_put_text(&w, "errorType", TOO_LONG);
    } else if (describe(inv, f, &fault)) {
        put_platform(&w, inv, &fault);
    } else {
        put_functions_own(&w, inv, f);
    }
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0)
        body.len = 0;
    return buf_str(&body);
}

/* ---- what kept it from running ---- */

/* Whose limit it was: the function's own, or the host's. */
static const char *choose_reason(const struct invocation *inv)
{
    const struct settings *s = settings_of(inv);
    unsigned counts[POOL_STATES], all = 0;
    if (!s || !inv->function->pool)
        return "ConcurrentInvocationLimitExceeded";
    pool_count_states(inv->function->pool, counts);
    for (unsigned i = 0; i < POOL_STATES; i++)
        all += i == POOL_STOPPING || i == POOL_TEMPLATE ? 0 : counts[i];
    return all >= function_concurrency(inv->function, s) ? "ReservedFunctionConcurrentInvocationLimitExceeded"
                                                         : "ConcurrentInvocationLimitExceeded";
}

void lambda_fault_refuse(const struct invocation *inv, const struct invocation_failure *f)
{
    struct exchange *x = inv->exchange;
    if (f->outcome == INVOCATION_THROTTLED)
        lambda_throttle(x, choose_reason(inv), STR_LITERAL("Rate Exceeded."));
    else if (f->status == 400)
        lambda_fail(x, LAMBDA_INVALID_REQUEST_CONTENT, "Could not parse request body into json: %.*s",
                    (int)f->message.n, f->message.p);
    else
        lambda_answer_error(x, &(struct face_error){.status = f->status, .type = f->type, .message = f->message});
}
