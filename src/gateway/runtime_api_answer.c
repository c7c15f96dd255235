/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime's requests mean, and what they are answered: statuses and error types are AWS's, the sentences ours. */
#include "gateway/runtime_api_conn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { BODY_TEXT_MAX = 512, HEAD_TEXT_MAX = 256, TRAILERS_MAX = 16 };

static const char ERROR_TYPE[] = "Lambda-Runtime-Function-Error-Type";
static const char ERROR_BODY[] = "Lambda-Runtime-Function-Error-Body";

/* ---- replies ---- */

static const char *connection_field(const struct runtime_api_request *q, bool close)
{
    if (close)
        return "Connection: close\r\n";
    return q->http10 ? "Connection: keep-alive\r\n" : "";
}

static void reply(struct runtime_api_conn *c, int status, const char *content_type, struct str body)
{
    char head[HEAD_TEXT_MAX];
    bool close = c->close_after || !c->request.keep_alive;
    c->close_after = close;
    int n = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                     http1_reason(status), content_type, body.n, connection_field(&c->request, close));
    assert(n > 0 && (size_t)n < sizeof(head));
    const struct iovec parts[] = {
        {.iov_base = head, .iov_len = (size_t)n},
        {.iov_base = (char *)body.p, .iov_len = body.n},
    };
    runtime_api_conn_send(c, parts, 2);
}

/* `message` is ours: nothing in it needs escaping. */
static void reply_error(struct runtime_api_conn *c, int status, const char *type, const char *message)
{
    char body[BODY_TEXT_MAX];
    int n = snprintf(body, sizeof(body), "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n", message, type);
    assert(n > 0 && (size_t)n < sizeof(body));
    reply(c, status, "application/json", (struct str){body, (size_t)n});
}

static void reply_accepted(struct runtime_api_conn *c)
{
    static const struct str BODY = {"{\"status\":\"OK\"}\n", sizeof("{\"status\":\"OK\"}\n") - 1};
    reply(c, 202, "application/json", BODY);
}

static void reply_fault(struct runtime_api_conn *c)
{
    char text[128];
    switch (c->request.fault) {
    case RUNTIME_API_TOO_LARGE:
        snprintf(text, sizeof(text), "Exceeded maximum allowed payload size (%lu bytes).",
                 (unsigned long)runtime_api_conn_body_max(c));
        reply_error(c, 413, "RequestEntityTooLarge", text);
        return;
    case RUNTIME_API_BAD_MODE:
        reply_error(c, 400, "InvalidFunctionResponseMode",
                    "Lambda-Runtime-Function-Response-Mode is 'streaming' or is not there");
        return;
    case RUNTIME_API_TRUNCATED:
        reply_error(c, 400, "TruncatedHTTPRequest", "the connection ended before the body was complete");
        return;
    }
}

/* ---- a head ---- */

static void copy_field(const struct http1_request *r, const char *name, char out[RUNTIME_API_TYPE_MAX])
{
    const struct http1_field *f = http1_find_field(r->fields, r->field_count, name);
    out[0] = '\0';
    if (f)
        str_copy(f->value, out, RUNTIME_API_TYPE_MAX);
}

static void reset(struct runtime_api_request *q)
{
    struct buf body = q->body;
    struct buf trailers = q->trailers;
    body.len = trailers.len = 0;
    *q = (struct runtime_api_request){.body = body, .trailers = trailers};
}

static void claim(struct runtime_api_conn *c, struct str id)
{
    struct runtime_api_request *q = &c->request;
    struct runtime_api_machine *m = &c->api->machine;
    if (q->route == RUNTIME_API_INIT_ERROR)
        q->answer = runtime_api_machine_init_error(m);
    else if (q->route == RUNTIME_API_RESPONSE || q->route == RUNTIME_API_ERROR)
        q->answer = runtime_api_machine_respond(m, id);
    else
        return;
    q->claimed = q->keep_body = q->answer == RUNTIME_API_ACCEPT;
}

static bool mode_is_bad(const struct http1_request *r)
{
    const struct http1_field *f = http1_find_field(r->fields, r->field_count, "lambda-runtime-function-response-mode");
    return f && f->value.n && !str_is_nocase(f->value, "streaming");
}

/* What is refused is told when the body has been dropped, so that the client is not cut off in the middle of it; except where that body waits for an invitation
 * or has no end. */
static bool must_answer_now(const struct runtime_api_request *q, bool invited)
{
    if (q->keep_body)
        return false;
    return invited || (q->framing == HTTP1_BODY_LENGTH && q->left > RUNTIME_API_DISCARD_MAX);
}

void runtime_api_take_request(struct runtime_api_conn *c, const struct http1_request *r, bool invited)
{
    struct runtime_api_request *q = &c->request;
    struct str id;
    reset(q);
    c->close_after = false;
    q->route = runtime_api_find_route(r->method, r->path, &id);
    q->http10 = r->minor == 0;
    q->keep_alive = r->keep_alive;
    q->framing = r->body;
    q->left = r->body == HTTP1_BODY_LENGTH ? r->content_length : 0;
    q->chunked.trailer_bytes_max = RUNTIME_API_TRAILER_MAX;
    claim(c, id);
    if (q->claimed) {
        copy_field(r, "content-type", q->content_type);
        copy_field(r, ERROR_TYPE, q->error_type);
        if (q->route == RUNTIME_API_RESPONSE && mode_is_bad(r))
            runtime_api_fault_request(c, RUNTIME_API_BAD_MODE);
        else if (q->route == RUNTIME_API_RESPONSE && c->api->events->wants_stream(c->api->owner))
            q->streamed = true;
        else if (q->left > runtime_api_body_max(c->api))
            runtime_api_fault_request(c, RUNTIME_API_TOO_LARGE);
    }
    if (c->state == RUNTIME_API_CONN_BODY && must_answer_now(q, invited)) {
        c->close_after = true;
        runtime_api_finish_request(c);
    }
}

/* ---- the owner is told ---- */

/* An answer to an event, or init/error, is over, complete or not: nothing more of this request counts. */
static void conclude(struct runtime_api_conn *c)
{
    struct runtime_api_request *q = &c->request;
    q->claimed = false;
    q->keep_body = false;
    if (c->api->paused == c)
        runtime_api_resume(c->api);
    if (q->route != RUNTIME_API_INIT_ERROR && c->api->machine.state == RUNTIME_API_RESPONDING)
        runtime_api_machine_responded(&c->api->machine);
}

void runtime_api_fault_request(struct runtime_api_conn *c, enum runtime_api_fault fault)
{
    struct runtime_api *a = c->api;
    c->request.faulty = true;
    c->request.fault = fault;
    bool of_event = c->request.route != RUNTIME_API_INIT_ERROR;
    conclude(c);
    buf_fini(&c->request.body);
    if (of_event)
        a->events->on_fault(a->owner, fault);
    else
        a->events->on_init_error(a->owner, &(struct runtime_api_post){0});
}

static void find_trailers(const struct runtime_api_request *q, struct runtime_api_post *p)
{
    struct http1_field fields[TRAILERS_MAX];
    unsigned count;
    if (q->trailers.len == 0 || !http1_parse_trailers(buf_str(&q->trailers), fields, TRAILERS_MAX, &count))
        return;
    const struct http1_field *type = http1_find_field(fields, count, ERROR_TYPE);
    const struct http1_field *body = http1_find_field(fields, count, ERROR_BODY);
    if (type && type->value.n)
        p->error_type = type->value;
    if (body)
        p->error_body = body->value;
}

/* The runtime has its 202 first: it works while the caller's reply is written. */
static void finish_claimed(struct runtime_api_conn *c)
{
    struct runtime_api *a = c->api;
    struct runtime_api_request *q = &c->request;
    struct runtime_api_post p = {
        .body = q->whole.p ? q->whole : buf_str(&q->body),
        .content_type = str_from(q->content_type),
    };
    enum runtime_api_route route = q->route;
    if (route == RUNTIME_API_RESPONSE)
        find_trailers(q, &p);
    else
        p.error_type = str_from(q->error_type);
    conclude(c);
    reply_accepted(c);
    if (route == RUNTIME_API_INIT_ERROR)
        a->events->on_init_error(a->owner, &p);
    else if (route == RUNTIME_API_ERROR)
        a->events->on_error(a->owner, &p);
    else
        a->events->on_response(a->owner, &p);
    buf_fini(&q->body);
    buf_fini(&q->trailers);
}

/* ---- a whole request ---- */

static void finish_next(struct runtime_api_conn *c)
{
    struct runtime_api *a = c->api;
    enum runtime_api_state before = a->machine.state;
    switch (runtime_api_machine_next(&a->machine)) {
    case RUNTIME_API_SERVE:
        runtime_api_conn_serve(c);
        return;
    case RUNTIME_API_WAIT:
        runtime_api_conn_wait(c);
        if (before != RUNTIME_API_READY)
            a->events->on_ready(a->owner);
        return;
    default:
        reply_error(c, 403, "InvalidStateTransition", "not while another answer is due, nor after init/error");
        return;
    }
}

static void refuse_answer(struct runtime_api_conn *c)
{
    if (c->request.answer == RUNTIME_API_INVALID_ID)
        reply_error(c, 400, "InvalidRequestID", "no invocation with this id waits for an answer");
    else if (c->request.route == RUNTIME_API_INIT_ERROR)
        reply_error(c, 403, "InvalidStateTransition", "the initialisation is over");
    else
        reply_error(c, 403, "InvalidStateTransition", "another answer to this invocation is under way");
}

static void reply_stub(struct runtime_api_conn *c, const char *api)
{
    char type[64];
    char message[64];
    snprintf(type, sizeof(type), "%s.NotSupported", api);
    snprintf(message, sizeof(message), "%s API is not supported", api);
    reply_error(c, 202, type, message);
}

void runtime_api_finish_request(struct runtime_api_conn *c)
{
    if (c->request.faulty) {
        reply_fault(c);
        return;
    }
    if (c->request.claimed) {
        finish_claimed(c);
        return;
    }
    switch (c->request.route) {
    case RUNTIME_API_NEXT:
        finish_next(c);
        return;
    case RUNTIME_API_RESPONSE:
    case RUNTIME_API_ERROR:
    case RUNTIME_API_INIT_ERROR:
        refuse_answer(c);
        return;
    case RUNTIME_API_PING:
        reply(c, 200, "text/plain", STR_LITERAL("pong"));
        return;
    case RUNTIME_API_LOGS:
        reply_stub(c, "Logs");
        return;
    case RUNTIME_API_TELEMETRY:
        reply_stub(c, "Telemetry");
        return;
    case RUNTIME_API_BAD_METHOD:
        reply_error(c, 405, "MethodNotAllowed", "this path knows another method");
        return;
    case RUNTIME_API_NOT_FOUND:
        reply_error(c, 404, "ResourceNotFound", "no such path in the Runtime API");
        return;
    }
}

/* ---- broken ones ---- */

void runtime_api_refuse(struct runtime_api_conn *c, const struct http1_refusal *why)
{
    bool in_body = c->state == RUNTIME_API_CONN_BODY;
    if (in_body && c->request.claimed)
        runtime_api_fault_request(c, RUNTIME_API_TRUNCATED);
    if (!in_body)
        c->request.http10 = false;
    c->close_after = true;
    reply_error(c, why->status, why->status == 413 ? "RequestEntityTooLarge" : "InvalidRequest", why->reason);
}

void runtime_api_truncate_request(struct runtime_api_conn *c)
{
    c->close_after = true;
    if (c->request.claimed)
        runtime_api_fault_request(c, RUNTIME_API_TRUNCATED);
    c->request.fault = RUNTIME_API_TRUNCATED;
    reply_fault(c);
}
