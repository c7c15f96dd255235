/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of an asynchronous call's end: Lambda's record, or the event itself. */
#include "gateway/calls_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct calls_told told = {
    .arn = "arn:aws:lambda:eu-central-1:123456789012:function:f:prod", .version = "7", .to[0].target = "sink:2"};
static struct calls_call call;
static struct buf head, body;

static void print(const struct calls_result *result, bool gets_event, const char *event)
{
    told.to[0].gets_event = gets_event;
    call.row.body = str_from(event);
    const struct calls_record r = {
        .told = &told, .to = &told.to[0], .call = &call, .result = result, .id = "an-id", .real_ms = 1767225600000};
    buf_fini(&head);
    buf_fini(&body);
    buf_init(&head, 0);
    buf_init(&body, 0);
    assert_int_equal(calls_record_print(&r, &head, &body), 0);
    assert_int_equal(buf_add(&head, "", 1), 0);
    assert_int_equal(buf_add(&body, "", 1), 0);
}

static void a_success_names_what_was_called_and_what_ran(void **state)
{
    (void)state;
    const struct calls_result r = {
        .status = CALLS_SUCCEEDED, .attempts = 1, .http_status = 200, .body = STR_LITERAL("[1]")};
    print(&r, false, "{\"n\":1}");
    assert_string_equal(
        body.data,
        "{\"version\":\"1.0\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"requestContext\":{\"requestId\":\"an-id\","
        "\"functionArn\":\"arn:aws:lambda:eu-central-1:123456789012:function:f:prod\",\"condition\":\"Success\","
        "\"approximateInvokeCount\":1},\"requestPayload\":{\"n\":1},\"responseContext\":{\"statusCode\":200,"
        "\"executedVersion\":\"7\"},\"responsePayload\":[1]}");
    assert_non_null(strstr(head.data, "POST /function/sink:2 HTTP/1.1\r\n"));
    assert_non_null(strstr(head.data, "Content-Type: application/json\r\n"));
    assert_null(strstr(head.data, "Client-Context"));
}

static void a_failure_is_told_as_lambda_tells_it(void **state)
{
    (void)state;
    const struct calls_result r = {.status = CALLS_FAILED,
                                   .attempts = 3,
                                   .http_status = 500,
                                   .error = STR_LITERAL("FunctionError"),
                                   .body = STR_LITERAL("{\"errorType\":\"FunctionError\"}")};
    told.failure = STR_LITERAL("{\"errorMessage\":\"broken\",  \"extra\":1}");
    print(&r, false, "{}");
    assert_non_null(strstr(body.data, "\"functionError\":\"Unhandled\""));
    assert_non_null(strstr(body.data, "\"responsePayload\":{\"errorMessage\":\"broken\",  \"extra\":1}}"));
    told.failure_is_cut = true; /* longer than a result may be */
    print(&r, false, "{}");
    assert_non_null(strstr(body.data, "\"responsePayload\":null}"));
    told.failure = (struct str){0};
    print(&r, false, "{}");
    assert_non_null(strstr(body.data, "\"responsePayload\":{\"errorType\":\"FunctionError\"}}"));
    told.failure_is_cut = false;
}

static void the_region_goes_on_to_the_destination(void **state)
{
    (void)state;
    const struct calls_result r = {.status = CALLS_SUCCEEDED, .http_status = 200, .body = STR_LITERAL("1")};
    call.row.head = STR_LITERAL("POST /function/f HTTP/1.1\r\nX-Faasd-Region: eu-west-1\r\nA: b\r\n\r\n");
    print(&r, false, "{}");
    assert_non_null(strstr(head.data, "\r\nX-Faasd-Region: eu-west-1\r\n"));
    assert_true(str_is(calls_record_region(str_from(head.data)), "eu-west-1"));
    call.row.head = STR_LITERAL("POST /function/f?X-Faasd-Region:%20eu HTTP/1.1\r\nA: X-Faasd-Region: eu\r\n\r\n");
    print(&r, false, "{}");
    assert_null(strstr(head.data, "Region"));
    call.row.head = (struct str){0};
}

static void what_was_not_run_has_no_response(void **state)
{
    (void)state;
    const struct calls_result throttled = {
        .status = CALLS_FAILED, .http_status = 429, .error = STR_LITERAL("TooManyRequests"), .body = STR_LITERAL("{}")};
    const struct calls_result expired = {.status = CALLS_EXPIRED};
    print(&throttled, false, "x");
    assert_non_null(strstr(body.data, "\"condition\":\"RetriesExhausted\",\"approximateInvokeCount\":0"));
    assert_non_null(strstr(body.data, "\"requestPayload\":\"x\",\"responseContext\":null,\"responsePayload\":null"));
    print(&expired, false, "x");
    assert_non_null(strstr(body.data, "\"condition\":\"EventAgeExceeded\""));
    assert_non_null(strstr(body.data, "\"responseContext\":null"));
}

static void a_reply_of_the_functions_own_is_one_whatever_its_status(void **state)
{
    (void)state;
    const struct calls_result r = {
        .status = CALLS_FAILED, .attempts = 3, .http_status = 503, .body = STR_LITERAL("busy")};
    print(&r, false, "x");
    assert_non_null(strstr(body.data, "\"functionError\":\"Handled\"},\"responsePayload\":\"busy\""));
}

static void a_dead_letter_is_the_event_with_its_attributes_beside_it(void **state)
{
    (void)state;
    const struct calls_result r = {.status = CALLS_FAILED,
                                   .http_status = 500,
                                   .error = STR_LITERAL("FunctionError"),
                                   .message = STR_LITERAL("no")};
    print(&r, true, "\x01 bytes");
    assert_string_equal(body.data, "\x01 bytes");
    assert_non_null(strstr(head.data, "Content-Type: application/octet-stream\r\n"));
    /* {"custom":{"RequestID":"an-id","ErrorCode":"200","ErrorMessage":"no"}} */
    assert_non_null(strstr(head.data, "X-Amz-Client-Context: eyJjdXN0b20iOnsiUmVxdWVzdElEIjoiYW4taWQiLCJFcnJvckNvZGUiOi"
                                      "IyMDAiLCJFcnJvck1lc3NhZ2UiOiJubyJ9fQ==\r\n"));
    assert_non_null(strstr(head.data, "Content-Length: 7\r\n\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_names_what_was_called_and_what_ran),
        cmocka_unit_test(a_failure_is_told_as_lambda_tells_it),
        cmocka_unit_test(the_region_goes_on_to_the_destination),
        cmocka_unit_test(what_was_not_run_has_no_response),
        cmocka_unit_test(a_reply_of_the_functions_own_is_one_whatever_its_status),
        cmocka_unit_test(a_dead_letter_is_the_event_with_its_attributes_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
