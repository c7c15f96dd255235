/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/calls_record.h"

#include "base/clock.h"
#include "codec/json.h"
#include "codec/json_check.h"

#include <stdio.h>

enum { ARN_MAX = 64 + SETTINGS_NAME_MAX };

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

static void put_response(struct json_writer *w, const struct calls_record *r)
{
    json_put_object(w, "responseContext");
    /* Lambda's own: the invocation took place, whatever the function made of it. */
    json_put_u64(w, "statusCode", 200);
    json_put_text(w, "executedVersion", *r->to->version ? r->to->version : "$LATEST");
    if (r->result->status != CALLS_SUCCEEDED)
        json_put_text(w, "functionError", r->result->error.n ? "Unhandled" : "Handled");
    json_put_object_end(w);
    if (r->result->cut)
        json_put_null(w, "responsePayload");
    else
        put_payload(w, "responsePayload", r->result->body);
}

static void put_record(struct json_writer *w, const struct calls_record *r)
{
    char time[CLOCK_RFC3339_MAX], arn[ARN_MAX];
    clock_format_rfc3339(r->real_ms, time);
    snprintf(arn, sizeof(arn), "arn:aws:lambda:us-east-1:000000000000:function:%s:$LATEST", r->to->function);
    json_put_object(w, NULL);
    json_put_text(w, "version", "1.0");
    json_put_text(w, "timestamp", time);
    json_put_object(w, "requestContext");
    json_put_text(w, "requestId", r->id);
    json_put_text(w, "functionArn", arn);
    json_put_text(w, "condition", condition_of(r->result));
    json_put_u64(w, "approximateInvokeCount", r->result->attempts);
    json_put_object_end(w);
    put_payload(w, "requestPayload", r->call->row.body);
    if (r->result->http_status) {
        put_response(w, r);
    } else {
        json_put_null(w, "responseContext");
        json_put_null(w, "responsePayload");
    }
    json_put_object_end(w);
}

int calls_record_print(const struct calls_record *r, struct buf *ret_head, struct buf *ret_body)
{
    struct json_writer w;
    json_writer_init(&w, ret_body);
    put_record(&w, r);
    int error = json_writer_end(&w);
    if (error == 0)
        error = buf_addf(ret_head,
                         "POST /function/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n",
                         r->to->target, ret_body->len);
    return error;
}
