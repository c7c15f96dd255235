/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/calls_record.h"

#include "base/clock.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/json_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct str calls_record_region(struct str head)
{
    static const char field[] = "\r\n" CALLS_REGION_FIELD ": ";
    const char *at = head.n ? memmem(head.p, head.n, field, sizeof(field) - 1) : NULL;
    struct str rest;
    return at ? str_cut(str_skip(head, (size_t)(at - head.p) + sizeof(field) - 1), '\r', &rest, NULL) : (struct str){0};
}

static void put_payload(struct json_writer *w, const char *key, struct str payload)
{
    if (payload.n && json_check(payload, NULL))
        json_put_raw(w, key, payload);
    else
        json_put_str(w, key, payload);
}

static const char *condition_of(const struct calls_result *r)
{
    if (r->status == CALLS_SUCCEEDED)
        return "Success";
    return r->status == CALLS_EXPIRED ? "EventAgeExceeded" : "RetriesExhausted";
}

/* Not one that was only throttled, or became too old before. */
static bool was_run(const struct calls_result *r)
{
    bool refused = r->error.n && (r->http_status == 429 || r->http_status == 503);
    return r->http_status && !refused;
}

static void put_response(struct json_writer *w, const struct calls_record *r)
{
    json_put_object(w, "responseContext");
    /* Lambda's own: the invocation took place, whatever the function made of it. */
    json_put_u64(w, "statusCode", 200);
    json_put_text(w, "executedVersion", r->told->version);
    if (r->result->status != CALLS_SUCCEEDED)
        json_put_text(w, "functionError", r->result->error.n ? "Unhandled" : "Handled");
    json_put_object_end(w);
    bool failed = r->told->failure.p;
    if (failed ? r->told->failure_is_cut : r->result->cut)
        json_put_null(w, "responsePayload");
    else
        put_payload(w, "responsePayload", failed ? r->told->failure : r->result->body);
}

static void put_record(struct json_writer *w, const struct calls_record *r)
{
    char time[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(r->real_ms, time);
    json_put_object(w, NULL);
    json_put_text(w, "version", "1.0");
    json_put_text(w, "timestamp", time);
    json_put_object(w, "requestContext");
    json_put_text(w, "requestId", r->id);
    json_put_text(w, "functionArn", r->told->arn);
    json_put_text(w, "condition", condition_of(r->result));
    json_put_u64(w, "approximateInvokeCount", r->result->attempts);
    json_put_object_end(w);
    put_payload(w, "requestPayload", r->call->row.body);
    if (was_run(r->result)) {
        put_response(w, r);
    } else {
        json_put_null(w, "responseContext");
        json_put_null(w, "responsePayload");
    }
    json_put_object_end(w);
}

/* {"custom":{"RequestID":...}}, in base64. */
static int print_context(const struct calls_record *r, struct buf *out)
{
    struct json_writer w;
    struct buf text;
    char code[16];
    buf_init(&text, 0);
    json_writer_init(&w, &text);
    snprintf(code, sizeof(code), "%d", was_run(r->result) ? 200 : r->result->http_status);
    json_put_object(&w, NULL);
    json_put_object(&w, "custom");
    json_put_text(&w, "RequestID", r->id);
    json_put_text(&w, "ErrorCode", code);
    json_put_str(&w, "ErrorMessage", r->result->message.n ? r->result->message : STR_LITERAL("EventAgeExceeded"));
    json_put_object_end(&w);
    json_put_object_end(&w);
    int error = json_writer_end(&w);
    char *to = error == 0 ? malloc(BASE64_ENCODED(text.len)) : NULL;
    if (to) {
        base64_encode(buf_str(&text), to);
        error = buf_addf(out, "X-Amz-Client-Context: %.*s\r\n", (int)BASE64_ENCODED(text.len), to);
    } else if (error == 0) {
        error = -ENOMEM;
    }
    free(to);
    buf_fini(&text);
    return error;
}

static int print_body(const struct calls_record *r, struct buf *out)
{
    struct json_writer w;
    if (r->to->gets_event)
        return buf_add_str(out, r->call->row.body);
    json_writer_init(&w, out);
    put_record(&w, r);
    return json_writer_end(&w);
}

int calls_record_print(const struct calls_record *r, struct buf *ret_head, struct buf *ret_body)
{
    int error = print_body(r, ret_body);
    bool is_json = !r->to->gets_event || json_check(buf_str(ret_body), NULL);
    if (error == 0)
        error = buf_addf(ret_head, "POST /function/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/%s\r\n",
                         r->to->target, is_json ? "json" : "octet-stream");
    struct str region = calls_record_region(r->call->row.head);
    if (error == 0 && region.n)
        error = buf_addf(ret_head, CALLS_REGION_FIELD ": %.*s\r\n", (int)region.n, region.p);
    if (error == 0 && r->to->gets_event)
        error = print_context(r, ret_head);
    return error < 0 ? error : buf_addf(ret_head, "Content-Length: %zu\r\n\r\n", ret_body->len);
}
