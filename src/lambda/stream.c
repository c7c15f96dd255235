/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/stream.h"

#include "base/put.h"
#include "codec/event_stream.h"
#include "codec/json.h"
#include "gateway/access.h"
#include "gateway/credential.h"
#include "gateway/reply_stream.h"
#include "gateway/trace.h"
#include "lambda/invoke.h"

#include <assert.h>
#include <string.h>

enum {
    FIELDS_MAX = 256 + TRACE_LINES_MAX,
    CHUNK_MAX = 65536, /* bytes of one PayloadChunk: each is checked whole by the client before it shows any of it */
};

static const char *const TYPES[] = {"RequestResponse", "DryRun", NULL};
static const char *const LOG_TYPES[] = {"None", "Tail", NULL};

static const struct lambda_member MEMBERS[] = {
    LAMBDA_FUNCTION_NAME,
    LAMBDA_QUALIFIER,
    {.name = "X-Amz-Invocation-Type", .in = LAMBDA_IN_HEADER, .choices = TYPES, .shown = "InvocationType"},
    {.name = "X-Amz-Log-Type", .in = LAMBDA_IN_HEADER, .choices = LOG_TYPES, .shown = "LogType"},
    {0},
};

static void invoke(struct lambda_call *c)
{
    uint64_t number;
    struct exchange *x = c->x;
    struct function *f = lambda_find_function(c);
    if (!f || !lambda_find_number(c, f, &number) || !access_admit_lambda(x, f))
        return;
    credential_hide(x);
    const struct http1_field *type =
        http1_find_field(x->request->fields, x->request->field_count, "x-amz-invocation-type");
    if (type && str_is(type->value, "DryRun")) {
        lambda_reply_empty(x, 204);
        return;
    }
    x->reply_mode = EXCHANGE_REPLY_STREAMED;
    invocation_start_version(x, f, number, (struct str){0});
}

/* ---- its answer ---- */

static void start(const struct invocation *inv)
{
    char fields[FIELDS_MAX], version[LAMBDA_VERSION_MAX];
    size_t version_n = lambda_print_version(inv, version);
    char *to = trace_put_lines(inv, fields);
    to = PUT_LITERAL(to, "X-Amz-Executed-Version: ");
    to = put_bytes(to, version, version_n);
    to = PUT_LITERAL(to, "\r\n");
    assert(to - fields < FIELDS_MAX);
    const struct reply head = {
        .status = 200, .content_type = "application/vnd.amazon.eventstream", .fields = {fields, (size_t)(to - fields)}};
    exchange_stream_reply(inv->exchange, &head);
}

/* One message, one chunk of HTTP, one write. */
static void send_event(struct exchange *x, const struct event_stream_event *e)
{
    static char message[EVENT_STREAM_HEAD_MAX + CHUNK_MAX + EVENT_STREAM_TAIL];
    char tail[EVENT_STREAM_TAIL];
    assert(e->payload.n <= CHUNK_MAX);
    size_t n = event_stream_frame(e, message, tail);
    if (e->payload.n)
        memcpy(message + n, e->payload.p, e->payload.n);
    n += e->payload.n;
    memcpy(message + n, tail, sizeof(tail));
    exchange_stream_write(x, (struct str){message, n + sizeof(tail)});
}

void lambda_stream_begin(struct invocation *inv, const struct invocation_reply *h)
{
    (void)h; /* of a reply only the body counts in this API */
    start(inv);
}

void lambda_stream_write(struct exchange *x, struct str piece)
{
    while (piece.n) {
        struct str part = {piece.p, piece.n < CHUNK_MAX ? piece.n : CHUNK_MAX};
        send_event(x, &(struct event_stream_event){
                          .type = "PayloadChunk", .content_type = "application/octet-stream", .payload = part});
        piece = str_skip(piece, part.n);
    }
}

/* The details are the error's JSON as Invoke's body has it: text within JSON. */
static void put_failure(struct json_writer *w, const struct invocation_failure *f)
{
    static struct buf details;
    struct json_writer d;
    details.len = 0;
    details.limit =
        CHUNK_MAX / 4; /* in the outer text a character may take four times its room, and a trace is for people */
    json_writer_init(&d, &details);
    json_put_object(&d, NULL);
    json_put_str(&d, "errorMessage", f->message);
    json_put_text(&d, "errorType", f->type);
    if (f->trace.n && f->trace.n < CHUNK_MAX / 8)
        json_put_raw(&d, "stackTrace", f->trace);
    json_put_object_end(&d);
    json_put_text(w, "ErrorCode", f->type);
    json_put_str(w, "ErrorDetails", json_writer_end(&d) < 0 ? f->message : buf_str(&details));
}

static void complete(struct exchange *x, const struct invocation_failure *f)
{
    static struct buf text;
    struct json_writer w;
    text.len = 0;
    text.limit = CHUNK_MAX;
    json_writer_init(&w, &text);
    json_put_object(&w, NULL);
    if (f)
        put_failure(&w, f);
    json_put_object_end(&w);
    struct str payload = json_writer_end(&w) < 0 ? STR_LITERAL("{\"ErrorCode\":\"ServiceException\"}") : buf_str(&text);
    send_event(x, &(struct event_stream_event){
                      .type = "InvokeComplete", .content_type = "application/json", .payload = payload});
    if (f)
        x->error_type = f->type;
    exchange_stream_end(x);
}

static bool is_the_functions(const struct invocation_failure *f)
{
    return f->outcome != INVOCATION_THROTTLED && f->outcome != INVOCATION_REFUSED;
}

void lambda_stream_answer(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    struct exchange *x = inv->exchange;
    bool begun = inv->stream && inv->stream->passes;
    if (!begun && e->failure && !is_the_functions(e->failure)) {
        if (e->failure->status == 429)
            lambda_throttle(x, "ConcurrentInvocationLimitExceeded", e->failure->message);
        else
            lambda_fail_str(x, LAMBDA_UNAVAILABLE, e->failure->message);
        return;
    }
    if (!begun)
        start(inv);
    if (r)
        lambda_stream_write(x, r->body);
    complete(x, e->failure);
}

const struct lambda_operation lambda_invoke_with_response_stream = {
    .route = LAMBDA_ROUTE("POST", ACCESS_OPEN, LAMBDA_INVOKE_MAX),
    .name = "InvokeWithResponseStream",
    .path = "/2021-11-15/functions/{FunctionName}/response-streaming-invocations",
    .run = invoke,
    .members = MEMBERS,
    .invokes = true,
    .raw = true,
};
