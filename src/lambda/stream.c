/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/stream.h"

#include "base/put.h"
#include "codec/base64.h"
#include "codec/event_stream.h"
#include "codec/json.h"
#include "gateway/reply_stream.h"
#include "gateway/trace.h"
#include "lambda/fault.h"
#include "lambda/invoke.h"
#include "lambda/prelude.h"
#include "lambda/tail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_MAX = 256 + TRACE_LINES_MAX,
    CHUNK_MAX = 65536, /* bytes of one PayloadChunk: each is checked whole by the client before it shows any of it */
    /* Of an error's JSON: as text within the JSON of InvokeComplete a character may take four times its room, and the log's end stands beside it. */
    DETAILS_MAX = (CHUNK_MAX - 2 * LOG_TAIL_MAX) / 4,
    CODE_MAX = 129,
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
    if (!lambda_check_context(x))
        return;
    struct function *f = lambda_find_invoked(c, &number);
    if (!f)
        return;
    if (str_is(lambda_field(x, "x-amz-invocation-type"), "DryRun")) {
        lambda_reply_empty(x, 204);
        return;
    }
    if (str_is(lambda_field(x, "x-amz-log-type"), "Tail"))
        x->log_tail = log_tail_new();
    x->reply_mode = EXCHANGE_REPLY_STREAMED;
    invocation_start_version(x, f, number, (struct str){0});
}

/* ---- its answer ---- */

static void start(const struct invocation *inv)
{
    char fields[FIELDS_MAX], version[LAMBDA_VERSION_MAX];
    size_t version_n = lambda_print_version(inv->wanted, version);
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

void lambda_stream_write(struct exchange *x, struct str piece)
{
    while (piece.n) {
        struct str part = {piece.p, piece.n < CHUNK_MAX ? piece.n : CHUNK_MAX};
        send_event(x, &(struct event_stream_event){
                          .type = "PayloadChunk", .content_type = "application/octet-stream", .payload = part});
        piece = str_skip(piece, part.n);
    }
}

/* Status and headers that the function said for HTTP integrations stand in front of its bytes, as it sent them. */
static void write_prelude(struct exchange *x, const struct invocation_reply *r)
{
    struct buf text;
    buf_init(&text, LAMBDA_PRELUDE_MAX);
    if (lambda_prelude_print(r, &text) == 0)
        lambda_stream_write(x, buf_str(&text));
    buf_fini(&text);
}

void lambda_stream_begin(struct invocation *inv, const struct invocation_reply *h)
{
    start(inv);
    if (h->is_http)
        write_prelude(inv->exchange, h);
}

/* ---- its end ---- */

struct outcome {
    const char *code;   /* NULL: it succeeded */
    struct str details; /* the error's JSON, as Invoke's body has it */
    struct str log;     /* empty: nobody asked for it */
};

static void put_log(struct json_writer *w, struct str log)
{
    char text[BASE64_ENCODED(LOG_TAIL_MAX)];
    base64_encode(log, text);
    json_put_str(w, "LogResult", (struct str){text, BASE64_ENCODED(log.n)});
}

static void complete(struct exchange *x, const struct outcome *o)
{
    static struct buf text;
    struct json_writer w;
    text.len = 0;
    text.limit = CHUNK_MAX;
    json_writer_init(&w, &text);
    json_put_object(&w, NULL);
    if (o->code) {
        json_put_text(&w, "ErrorCode", o->code);
        json_put_str(&w, "ErrorDetails", o->details);
    }
    if (o->log.n)
        put_log(&w, o->log);
    json_put_object_end(&w);
    struct str payload = json_writer_end(&w) < 0 ? STR_LITERAL("{\"ErrorCode\":\"ServiceException\"}") : buf_str(&text);
    send_event(x, &(struct event_stream_event){
                      .type = "InvokeComplete", .content_type = "application/json", .payload = payload});
    x->error_type = o->code;
    exchange_stream_end(x);
}

/* What is too long for a message is told without its trace, and the beginning of its sentence. */
static struct str describe(const struct invocation *inv, const struct invocation_failure *f)
{
    struct str text = lambda_fault_print(inv, f);
    if (text.n <= DETAILS_MAX)
        return text;
    struct invocation_failure brief = *f;
    brief.document = brief.trace = (struct str){0};
    if (brief.message.n > DETAILS_MAX / 8)
        brief.message.n = DETAILS_MAX / 8;
    return lambda_fault_print(inv, &brief);
}

/* What is said when the log is complete. */
struct completion {
    struct lambda_tail_waiter waiter;
    char code[CODE_MAX]; /* "": it succeeded */
    size_t details_n;
    char details[]; /* of details_n */
};

static void on_log(struct lambda_tail_waiter *w, struct str log)
{
    struct completion *c = LIST_ENTRY(w, struct completion, waiter);
    complete(w->x, &(struct outcome){c->code[0] ? c->code : NULL, {c->details, c->details_n}, log});
    free(c);
}

/* False: there is no memory to wait with. */
static bool complete_with_log(const struct invocation *inv, const struct invocation_end *e, const struct outcome *o)
{
    struct exchange *x = inv->exchange;
    struct completion *c = calloc(1, sizeof(*c) + o->details.n);
    if (!c)
        return false;
    x->owner = NULL; /* the invocation ends before its exchange: nobody makes room for it any more */
    x->on_stream_room = x->on_stream_gone = NULL;
    if (o->code)
        str_copy(str_from(o->code), c->code, sizeof(c->code));
    c->details_n = o->details.n;
    if (o->details.n)
        memcpy(c->details, o->details.p, o->details.n);
    c->waiter.on_log = on_log;
    lambda_tail_wait(&c->waiter, inv, e);
    return true;
}

void lambda_stream_answer(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    struct exchange *x = inv->exchange;
    bool begun = inv->stream && inv->stream->passes;
    struct outcome o = {0};
    if (!begun && e->failure && !lambda_fault_is_the_functions(e->failure)) {
        lambda_fault_refuse(inv, e->failure);
        return;
    }
    if (!begun)
        start(inv);
    if (r && r->is_http)
        write_prelude(x, r);
    if (r)
        lambda_stream_write(x, r->body);
    if (e->failure) {
        o.code = lambda_fault_type(inv, e->failure);
        o.details = describe(inv, e->failure);
    }
    if (!x->log_tail || !complete_with_log(inv, e, &o))
        complete(x, &o);
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
