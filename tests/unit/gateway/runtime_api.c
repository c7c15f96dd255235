/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime on the other end of a socket: what the official clients send, cut anywhere, and what a hostile one sends. */
#include "gateway/runtime_api.h"

#include "base/fdio.h"
#include "gateway/runtime_api_conn.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define ID       "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
#define OTHER_ID "00000000-e9f4-11e8-9739-2dfe598c3fcd"
#define API      "/2018-06-01/runtime/"
#define HOST     "Host: 127.0.0.1:9001\r\n"
#define NEXT     "GET " API "invocation/next HTTP/1.1\r\n" HOST "\r\n"
#define RESPONSE "POST " API "invocation/" ID "/response HTTP/1.1\r\n" HOST
#define ERROR    "POST " API "invocation/" ID "/error HTTP/1.1\r\n" HOST
#define INIT     "POST " API "init/error HTTP/1.1\r\n" HOST

enum { PEERS = 20, ROOM = 8 << 20 };

struct bench {
    struct gateway gateway;
    struct config config;
    struct runtime_api api;
    int peer[PEERS];
    char told[64]; /* the events so far: "ready response ..." */
    char body[ROOM];
    size_t body_len;
    char type[256], error_type[256], error_body[256];
    bool deliver_when_ready, end_when_told, gone;
    bool wants_stream;
    enum reply_stream_go go; /* what each piece is answered */
};

static char seen[ROOM + 65536];

static void tell(struct bench *b, const char *what)
{
    snprintf(b->told + strlen(b->told), sizeof(b->told) - strlen(b->told), "%s ", what);
}

static void take_post(struct bench *b, const struct runtime_api_post *p)
{
    if (p->body.n)
        memcpy(b->body, p->body.p, p->body.n);
    b->body_len = p->body.n;
    str_copy(p->content_type, b->type, sizeof(b->type));
    str_copy(p->error_type, b->error_type, sizeof(b->error_type));
    str_copy(p->error_body, b->error_body, sizeof(b->error_body));
    if (b->end_when_told)
        runtime_api_end(&b->api);
}

static bool deliver(struct bench *b, const char *body)
{
    struct runtime_api_event e = {
        .id = ID,
        .deadline_ms = 1542409706888,
        .function_arn = STR_LITERAL("arn:aws:lambda:us-east-1:000000000000:function:f"),
        .trace_id = STR_LITERAL("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"),
        .body = str_from(body),
    };
    return runtime_api_deliver(&b->api, &e);
}

static void on_ready(void *owner)
{
    struct bench *b = owner;
    tell(b, "ready");
    if (b->deliver_when_ready)
        deliver(b, "{\"n\":1}");
}

static bool may_serve(void *owner)
{
    return !((struct bench *)owner)->gone;
}

static void on_response(void *owner, const struct runtime_api_post *p)
{
    tell(owner, "response");
    take_post(owner, p);
}

static bool wants_stream(void *owner)
{
    return ((struct bench *)owner)->wants_stream;
}

static enum reply_stream_go on_data(void *owner, struct str content_type, struct str piece)
{
    struct bench *b = owner;
    memcpy(b->body + b->body_len, piece.p, piece.n);
    b->body_len += piece.n;
    str_copy(content_type, b->type, sizeof(b->type));
    return b->go;
}

static void on_error(void *owner, const struct runtime_api_post *p)
{
    tell(owner, "error");
    take_post(owner, p);
}

static void on_fault(void *owner, enum runtime_api_fault fault)
{
    static const char *const names[] = {"too-large", "truncated", "bad-mode"};
    struct bench *b = owner;
    tell(b, names[fault]);
    if (b->end_when_told)
        runtime_api_end(&b->api);
}

static void on_init_error(void *owner, const struct runtime_api_post *p)
{
    tell(owner, "init-error");
    take_post(owner, p);
}

static const struct runtime_api_events EVENTS = {
    .on_ready = on_ready,
    .may_serve = may_serve,
    .wants_stream = wants_stream,
    .on_data = on_data,
    .on_response = on_response,
    .on_error = on_error,
    .on_fault = on_fault,
    .on_init_error = on_init_error,
};

static void turn(struct bench *b)
{
    for (int i = 0; i < 20; i++)
        ev_run(b->gateway.loop, EVRUN_NOWAIT);
}

static int dial(struct bench *b, int which)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    fd_close(&b->peer[which]);
    b->peer[which] = pair[1];
    runtime_api_conn_open(&b->api, pair[0]);
    turn(b);
    return pair[1];
}

static int setup(void **state)
{
    static struct bench b;
    memset(&b, 0, sizeof(b));
    for (int i = 0; i < PEERS; i++)
        b.peer[i] = -1;
    b.gateway.loop = ev_default_loop(0);
    b.gateway.config = &b.config;
    b.config.reply_bytes_max = 6 << 20;
    b.config.request_bytes_max = 6 << 20;
    runtime_api_init(&b.api, &b.gateway, &EVENTS, &b);
    runtime_api_begin(&b.api);
    dial(&b, 0);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    runtime_api_fini(&b->api);
    for (int i = 0; i < PEERS; i++)
        fd_close(&b->peer[i]);
    return 0;
}

/* Sends all of it, however small the socket, and lets the loop run. */
static void say_bytes(struct bench *b, int which, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(b->peer[which], p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno != EAGAIN) {
            return;
        }
        turn(b);
    }
}

static void say(struct bench *b, const char *text)
{
    say_bytes(b, 0, text, strlen(text));
}

/* What the runtime has received since it last looked, as text. */
static const char *hear_on(struct bench *b, int which)
{
    size_t n = 0;
    for (int quiet = 0; quiet < 3;) {
        ssize_t r = recv(b->peer[which], seen + n, sizeof(seen) - 1 - n, MSG_DONTWAIT);
        if (r > 0)
            n += (size_t)r;
        quiet = r > 0 ? 0 : quiet + 1;
        turn(b);
    }
    seen[n] = '\0';
    return seen;
}

static const char *hear(struct bench *b)
{
    return hear_on(b, 0);
}

static void assert_hears(struct bench *b, const char *first, const char *body)
{
    const char *text = hear(b);
    const char *end = strstr(text, "\r\n\r\n");
    if (strncmp(text, first, strlen(first)) != 0 || !end || !strstr(end, body))
        print_error("heard: %.300s\n", text);
    assert_memory_equal(text, first, strlen(first));
    assert_non_null(end);
    assert_non_null(strstr(end, body));
}

static bool is_closed(struct bench *b, int which)
{
    char c;
    turn(b);
    return recv(b->peer[which], &c, 1, MSG_DONTWAIT) == 0;
}

static void assert_told(struct bench *b, const char *what)
{
    assert_string_equal(b->told, what);
    b->told[0] = '\0';
}

static void make_running(struct bench *b)
{
    say(b, NEXT);
    assert_told(b, "ready ");
    assert_true(deliver(b, "{\"n\":1}"));
    assert_hears(b, "HTTP/1.1 200 OK\r\n", "{\"n\":1}");
}

/* ---- what is right ---- */

static void next_tells_all_about_the_event(void **state)
{
    struct bench *b = *state;
    say(b, NEXT);
    assert_told(b, "ready ");
    assert_string_equal(hear(b), "");
    assert_true(deliver(b, "{\"n\":1}"));
    assert_string_equal(hear(b),
                        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nLambda-Runtime-Aws-Request-Id: " ID
                        "\r\nLambda-Runtime-Deadline-Ms: 1542409706888\r\nContent-Type: application/json\r\n"
                        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:f\r\n"
                        "Lambda-Runtime-Trace-Id: "
                        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1\r\n\r\n{\"n\":1}");
}

static void an_invocation_goes_round(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 3; i++) {
        make_running(b);
        say(b, RESPONSE "Content-Length: 4\r\nContent-Type: application/json\r\n\r\n\"ok\"");
        assert_told(b, "response ");
        assert_int_equal(b->body_len, 4);
        assert_memory_equal(b->body, "\"ok\"", 4);
        assert_string_equal(b->type, "application/json");
        assert_string_equal(hear(b), "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: "
                                     "16\r\n\r\n{\"status\":\"OK\"}\n");
    }
}

static void next_while_running_serves_the_same_event_again(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, NEXT);
    assert_hears(b, "HTTP/1.1 200 OK\r\n", "{\"n\":1}");
    dial(b, 1);
    say_bytes(b, 1, NEXT, strlen(NEXT));
    assert_non_null(strstr(hear_on(b, 1), ID));
    assert_told(b, "");
    say(b, RESPONSE "Content-Length: 2\r\n\r\n{}");
    assert_told(b, "response ");
    say_bytes(b, 1, RESPONSE "Content-Length: 2\r\n\r\n{}", strlen(RESPONSE) + 23);
    assert_non_null(strstr(hear_on(b, 1), "InvalidRequestID"));
}

static void an_event_that_is_due_goes_out_with_the_first_next(void **state)
{
    struct bench *b = *state;
    assert_true(deliver(b, "{\"n\":1}"));
    assert_string_equal(hear(b), "");
    say(b, NEXT);
    assert_hears(b, "HTTP/1.1 200 OK\r\n", "{\"n\":1}");
    assert_told(b, "");
}

static void an_owner_may_deliver_from_inside_its_call(void **state)
{
    struct bench *b = *state;
    b->deliver_when_ready = true;
    say(b, NEXT NEXT);
    assert_told(b, "ready ");
    const char *text = hear(b);
    const char *first = strstr(text, "{\"n\":1}");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "{\"n\":1}"));
}

static void an_error_brings_its_type(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, ERROR "Lambda-Runtime-Function-Error-Type: Function<ArgumentError>\r\nContent-Type: "
                 "application/vnd.aws.lambda.error.cause+json\r\nContent-Length: 2\r\n\r\n{}");
    assert_told(b, "error ");
    assert_string_equal(b->error_type, "Function<ArgumentError>");
    assert_string_equal(b->type, "application/vnd.aws.lambda.error.cause+json");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
}

static void init_error_is_for_the_initialisation_alone(void **state)
{
    struct bench *b = *state;
    say(b, INIT "Lambda-Runtime-Function-Error-Type: Runtime.NoHandler\r\nContent-Length: 2\r\n\r\n{}");
    assert_told(b, "init-error ");
    assert_string_equal(b->error_type, "Runtime.NoHandler");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
    say(b, NEXT);
    assert_hears(b, "HTTP/1.1 403 Forbidden\r\n", "InvalidStateTransition");
    runtime_api_end(&b->api);
    runtime_api_begin(&b->api);
    dial(b, 0);
    say(b, NEXT);
    assert_told(b, "ready ");
    dial(b, 1);
    say_bytes(b, 1, INIT "Content-Length: 2\r\n\r\n{}", strlen(INIT) + 23);
    assert_non_null(strstr(hear_on(b, 1), "HTTP/1.1 403 Forbidden\r\n"));
}

static void the_small_endpoints_answer(void **state)
{
    struct bench *b = *state;
    say(b, "GET /2018-06-01/ping HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(b, "HTTP/1.1 200 OK\r\n", "pong");
    say(b, "PUT /2022-07-01/telemetry HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n",
                 "{\"errorMessage\":\"Telemetry API is not supported\",\"errorType\":\"Telemetry.NotSupported\"}");
    say(b, "PUT /2020-08-15/logs HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "Logs.NotSupported");
    say(b, "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(b, "HTTP/1.1 404 Not Found\r\n", "errorType");
    say(b, "POST /2018-06-01/runtime/invocation/next HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(b, "HTTP/1.1 405 Method Not Allowed\r\n", "errorType");
    assert_told(b, "");
}

/* ---- framing ---- */

/* A whole life of requests in one run of bytes, given `step` bytes at a time from `first` on. */
static void replay(struct bench *b, const char *text, size_t first, size_t step)
{
    size_t n = strlen(text);
    for (size_t at = 0, take = first; at < n; at += take, take = step) {
        if (take > n - at)
            take = n - at;
        assert_int_equal(send(b->peer[0], text + at, take, MSG_NOSIGNAL), take);
        for (int i = 0; i < 3; i++)
            ev_run(b->gateway.loop, EVRUN_NOWAIT);
    }
}

#define CHUNKED_ANSWER                                                                                                 \
    RESPONSE "Transfer-Encoding: chunked\r\nAccept-Encoding: gzip\r\nContent-Type: application/json\r\n"               \
             "Trailer: Lambda-Runtime-Function-Error-Type\r\nTrailer: Lambda-Runtime-Function-Error-Body\r\n\r\n"      \
             "3\r\n\"he\r\n4\r\nllo\"\r\n0\r\n"

static void requests_are_the_same_however_they_are_cut(void **state)
{
    struct bench *b = *state;
    static const char text[] = NEXT CHUNKED_ANSWER "\r\n" NEXT;
    b->deliver_when_ready = true;
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        replay(b, text, cut, sizeof(text));
        assert_told(b, "ready response ready ");
        assert_memory_equal(b->body, "\"hello\"", 7);
        assert_int_equal(b->body_len, 7);
        assert_string_equal(b->error_type, "");
        const char *heard = hear(b);
        const char *second = strstr(strstr(heard, "{\"n\":1}") + 1, "HTTP/1.1 202 Accepted");
        assert_non_null(second);
        assert_non_null(strstr(second, "{\"n\":1}"));
        runtime_api_end(&b->api);
        runtime_api_begin(&b->api);
        dial(b, 0);
    }
    replay(b, text, 1, 1);
    assert_told(b, "ready response ready ");
}

static void trailers_tell_that_the_function_failed(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, CHUNKED_ANSWER "Lambda-Runtime-Function-Error-Type: Function.Late\r\n"
                          "Lambda-Runtime-Function-Error-Body: e30=\r\n\r\n");
    assert_told(b, "response ");
    assert_string_equal(b->error_type, "Function.Late");
    assert_string_equal(b->error_body, "e30=");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
}

static void an_error_type_in_a_responses_head_means_nothing(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Lambda-Runtime-Function-Error-Type: Function.X\r\nContent-Length: 2\r\n\r\n{}");
    assert_told(b, "response ");
    assert_string_equal(b->error_type, "");
}

static void expect_is_answered_at_once(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_string_equal(hear(b), "HTTP/1.1 100 Continue\r\n\r\n");
    say(b, "{}");
    assert_told(b, "response ");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
    /* The wrong id is told before the body is sent, and then nobody knows where the next request begins. */
    say(b, "POST " API "invocation/" OTHER_ID "/response HTTP/1.1\r\n" HOST
           "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidRequestID");
    assert_true(is_closed(b, 0));
}

static void a_head_may_be_a_mebibyte_long(void **state)
{
    struct bench *b = *state;
    static char text[(1 << 20) + 1024];
    make_running(b);
    int n = snprintf(text, sizeof(text), ERROR "Content-Length: 2\r\nLambda-Runtime-Function-XRay-Error-Cause: ");
    memset(text + n, 'x', 1 << 20);
    size_t len = (size_t)n + (1 << 20);
    memcpy(text + len, "\r\n\r\n{}", 6);
    say_bytes(b, 0, text, len + 6);
    assert_told(b, "error ");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
    assert_int_equal(LIST_ENTRY(list_first(&b->api.conns), struct runtime_api_conn, link)->in.cap, 0);
}

static void a_longer_head_is_refused(void **state)
{
    struct bench *b = *state;
    static char text[RUNTIME_API_HEAD_MAX + 1024];
    int n = snprintf(text, sizeof(text), ERROR "X: ");
    memset(text + n, 'x', sizeof(text) - (size_t)n);
    say_bytes(b, 0, text, sizeof(text));
    assert_hears(b, "HTTP/1.1 431 ", "InvalidRequest");
    assert_told(b, "");
}

static void connection_close_is_kept(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Connection: close\r\nContent-Length: 2\r\n\r\n{}");
    assert_non_null(strstr(hear(b), "Connection: close\r\n"));
    assert_true(is_closed(b, 0));
    dial(b, 0);
    say(b, "GET " API "invocation/next HTTP/1.0\r\n\r\n");
    assert_told(b, "response ready ");
    assert_true(deliver(b, "{}"));
    assert_non_null(strstr(hear(b), "Connection: close\r\n"));
    assert_true(is_closed(b, 0));
}

/* ---- sizes ---- */

static void post_bytes(struct bench *b, size_t n, const char *head_end)
{
    static char block[65536];
    char head[512];
    int len = snprintf(head, sizeof(head), RESPONSE "Content-Length: %zu\r\n%s\r\n", n, head_end);
    memset(block, 'y', sizeof(block));
    say_bytes(b, 0, head, (size_t)len);
    for (size_t sent = 0; sent < n; sent += sizeof(block))
        say_bytes(b, 0, block, n - sent < sizeof(block) ? n - sent : sizeof(block));
}

static void the_longest_response_is_taken_and_one_byte_more_is_not(void **state)
{
    struct bench *b = *state;
    make_running(b);
    post_bytes(b, 6291556, "");
    assert_told(b, "response ");
    assert_int_equal(b->body_len, 6291556);
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
    make_running(b);
    post_bytes(b, 6291557, "");
    assert_told(b, "too-large ");
    assert_hears(b, "HTTP/1.1 413 ", "\"Exceeded maximum allowed payload size (6291556 bytes).\"");
    make_running(b); /* on the same connection */
}

static void a_chunked_response_that_grows_too_long_is_told_at_once(void **state)
{
    struct bench *b = *state;
    static char chunk[65536 + 16];
    memset(chunk, 'z', sizeof(chunk));
    memcpy(chunk, "10000\r\n", 7);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    make_running(b);
    say(b, RESPONSE "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 97; i++)
        say_bytes(b, 0, chunk, 65536 + 9);
    assert_told(b, "too-large ");
    assert_string_equal(hear(b), "");
    say(b, "0\r\n\r\n");
    assert_hears(b, "HTTP/1.1 413 ", "RequestEntityTooLarge");
    make_running(b);
}

static void a_response_that_was_announced_too_long_is_not_invited(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Expect: 100-continue\r\nContent-Length: 6291557\r\n\r\n");
    assert_told(b, "too-large ");
    assert_hears(b, "HTTP/1.1 413 ", "RequestEntityTooLarge");
    assert_true(is_closed(b, 0));
}

static void an_event_of_six_mebibytes_arrives_at_a_slow_reader(void **state)
{
    struct bench *b = *state;
    static char event[6 << 20];
    memset(event, 'e', sizeof(event) - 1);
    say(b, NEXT);
    assert_true(deliver(b, event));
    const char *text = hear(b);
    const char *body = strstr(text, "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), sizeof(event) - 1);
    assert_int_equal(b->api.unsent, 0);
    say(b, NEXT); /* the connection goes on */
    assert_hears(b, "HTTP/1.1 200 OK\r\n", "eee");
}

static void what_is_not_read_is_limited_over_all_connections(void **state)
{
    struct bench *b = *state;
    static char event[6 << 20];
    memset(event, 'e', sizeof(event) - 1);
    say(b, NEXT);
    assert_true(deliver(b, event));
    for (int i = 1; i < 6; i++) {
        dial(b, i);
        say_bytes(b, i, NEXT, strlen(NEXT));
    }
    assert_true(b->api.unsent <= (6u << 20) + RUNTIME_API_UNSENT_EXTRA);
    unsigned open = b->api.conn_count;
    assert_true(open < 6);
}

/* ---- what is wrong ---- */

static void answers_out_of_turn_are_refused_and_harm_nothing(void **state)
{
    struct bench *b = *state;
    say(b, RESPONSE "Content-Length: 2\r\n\r\n{}"); /* before next */
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "\"errorType\":\"InvalidRequestID\"");
    make_running(b);
    say(b, "POST " API "invocation/" OTHER_ID "/response HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidRequestID");
    say(b, "POST " API "invocation/" OTHER_ID "/error HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidRequestID");
    assert_told(b, "");
    say(b, RESPONSE "Content-Length: 2\r\n\r\n{}");
    assert_told(b, "response ");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
    say(b, RESPONSE "Content-Length: 2\r\n\r\n{}"); /* twice */
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidRequestID");
    say(b, ERROR "Content-Length: 2\r\n\r\n{}");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidRequestID");
    assert_told(b, "");
    make_running(b);
}

static void while_a_response_is_under_way_nothing_else_is_allowed(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Content-Length: 4\r\n\r\n\"a");
    dial(b, 1);
    static const char second[] = RESPONSE "Content-Length: 2\r\n\r\n{}";
    say_bytes(b, 1, second, sizeof(second) - 1);
    assert_non_null(strstr(hear_on(b, 1), "HTTP/1.1 403 Forbidden\r\n"));
    say_bytes(b, 1, NEXT, strlen(NEXT));
    assert_non_null(strstr(hear_on(b, 1), "InvalidStateTransition"));
    say(b, "b\"");
    assert_told(b, "response ");
    assert_memory_equal(b->body, "\"ab\"", 4);
}

static void a_response_mode_other_than_streaming_is_refused(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Lambda-Runtime-Function-Response-Mode: Streaming\r\nContent-Length: 2\r\n\r\n{}");
    assert_told(b, "response ");
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK");
    make_running(b);
    say(b, RESPONSE "Lambda-Runtime-Function-Response-Mode: buffered\r\nContent-Length: 2\r\n\r\n{}");
    assert_told(b, "bad-mode ");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidFunctionResponseMode");
    make_running(b);
}

static void a_body_that_ends_early_is_truncated(void **state)
{
    struct bench *b = *state;
    make_running(b);
    say(b, RESPONSE "Content-Length: 4\r\n\r\n\"a");
    assert_int_equal(shutdown(b->peer[0], SHUT_WR), 0);
    turn(b);
    assert_told(b, "truncated ");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "TruncatedHTTPRequest");
    assert_true(is_closed(b, 0));
    dial(b, 0);
    make_running(b);
    say(b, RESPONSE "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_told(b, "truncated ");
    assert_hears(b, "HTTP/1.1 400 Bad Request\r\n", "InvalidRequest");
    dial(b, 0);
    make_running(b);
}

static void nonsense_ends_its_connection_alone(void **state)
{
    struct bench *b = *state;
    make_running(b);
    dial(b, 1);
    static const char smuggle[] = RESPONSE "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    say_bytes(b, 1, smuggle, sizeof(smuggle) - 1);
    assert_memory_equal(hear_on(b, 1), "HTTP/1.1 400 ", 13);
    assert_true(is_closed(b, 1));
    say(b, RESPONSE "Content-Length: 2\r\n\r\n{}");
    assert_told(b, "response ");
}

static void connections_are_bounded_and_the_idle_one_makes_room(void **state)
{
    struct bench *b = *state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    runtime_api_listen(&b->api, listener);
    say(b, NEXT);
    for (int i = 1; i < PEERS; i++) {
        b->peer[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(b->peer[i], (struct sockaddr *)&at, n), 0);
        turn(b);
        assert_true(b->api.conn_count <= RUNTIME_API_CONNS_MAX);
    }
    assert_false(is_closed(b, 0)); /* it waits for its event */
    assert_true(is_closed(b, 1));  /* the longest idle */
    static const char ping[] = "GET /2018-06-01/ping HTTP/1.1\r\n" HOST "\r\n";
    say_bytes(b, PEERS - 1, ping, sizeof(ping) - 1);
    assert_non_null(strstr(hear_on(b, PEERS - 1), "pong"));
}

static void what_the_last_process_left_in_the_queue_is_not_heard(void **state)
{
    struct bench *b = *state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    runtime_api_listen(&b->api, listener);
    runtime_api_end(&b->api);
    assert_true(is_closed(b, 0));
    b->peer[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(b->peer[1], (struct sockaddr *)&at, n), 0);
    assert_int_equal(send(b->peer[1], NEXT, strlen(NEXT), MSG_NOSIGNAL), strlen(NEXT));
    runtime_api_begin(&b->api);
    turn(b);
    assert_told(b, "");
    assert_int_equal(b->api.conn_count, 0);
}

static void an_owner_may_end_it_from_inside_its_call(void **state)
{
    struct bench *b = *state;
    make_running(b);
    b->end_when_told = true;
    say(b, RESPONSE "Content-Length: 2\r\n\r\n{}" NEXT);
    assert_told(b, "response ");
    assert_int_equal(b->api.conn_count, 0);
    assert_hears(b, "HTTP/1.1 202 Accepted\r\n", "OK"); /* it was out already */
    runtime_api_begin(&b->api);
    dial(b, 0);
    make_running(b);
    say(b, RESPONSE "Content-Length: 6291557\r\n\r\nxx");
    assert_told(b, "too-large ");
    assert_int_equal(b->api.conn_count, 0);
}

static void an_event_whose_body_is_gone_is_not_served_again(void **state)
{
    struct bench *b = *state;
    make_running(b);
    b->gone = true;
    say(b, NEXT);
    assert_true(is_closed(b, 0));
}

static void a_poll_that_was_given_up_is_forgotten(void **state)
{
    struct bench *b = *state;
    say(b, NEXT);
    assert_told(b, "ready ");
    fd_close(&b->peer[0]);
    turn(b);
    assert_int_equal(b->api.conn_count, 0);
    assert_true(deliver(b, "{\"n\":1}"));
    dial(b, 0);
    say(b, NEXT);
    assert_hears(b, "HTTP/1.1 200 OK\r\n", "{\"n\":1}");
}

static void input_behind_a_request_that_waits_is_bounded(void **state)
{
    struct bench *b = *state;
    static char flood[1 << 20];
    memset(flood, 'f', sizeof(flood));
    say(b, NEXT);
    for (int i = 0; i < 100; i++) {
        if (send(b->peer[0], flood, sizeof(flood), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break;
        turn(b);
    }
    struct runtime_api_conn *c = LIST_ENTRY(list_first(&b->api.conns), struct runtime_api_conn, link);
    assert_true(c->in.len < 3 * RUNTIME_API_INPUT);
    assert_int_equal(c->state, RUNTIME_API_CONN_WAITING);
}

static void a_head_that_does_not_end_is_timed_and_a_wait_is_not(void **state)
{
    struct bench *b = *state;
    say(b, "GET /2018-06-01/pi");
    struct runtime_api_conn *c = LIST_ENTRY(list_first(&b->api.conns), struct runtime_api_conn, link);
    assert_true(ev_is_active(&c->timer));
    ev_feed_event(b->gateway.loop, &c->timer, EV_TIMER);
    turn(b);
    assert_hears(b, "HTTP/1.1 408 ", "errorType");
    dial(b, 0);
    say(b, NEXT);
    c = LIST_ENTRY(list_first(&b->api.waiting), struct runtime_api_conn, wait_link);
    assert_false(ev_is_active(&c->timer));
}

/* ---- responses that are passed on as they come ---- */

#define STREAMED RESPONSE "Transfer-Encoding: chunked\r\nContent-Type: text/x\r\n\r\n"

static void make_streaming(struct bench *b)
{
    b->wants_stream = true;
    make_running(b);
    b->body_len = 0;
    say(b, STREAMED);
}

static void each_piece_of_a_streamed_response_is_handed_on(void **state)
{
    struct bench *b = *state;
    make_streaming(b);
    say(b, "3\r\none\r\n");
    assert_int_equal(b->body_len, 3);
    assert_string_equal(b->type, "text/x");
    say(b, "3\r\nt");
    say(b, "wo\r\n");
    assert_int_equal(b->body_len, 6);
    assert_memory_equal(b->body, "onetwo", 6);
    assert_told(b, "");
    say(b, "0\r\nLambda-Runtime-Function-Error-Type: Function.Bad\r\n\r\n");
    assert_told(b, "response ");
    assert_string_equal(b->error_type, "Function.Bad");
    assert_hears(b, "HTTP/1.1 202", "OK");
}

static void a_pause_leaves_the_rest_of_a_response_in_the_socket(void **state)
{
    struct bench *b = *state;
    make_streaming(b);
    b->go = REPLY_STREAM_WAIT;
    say(b, "3\r\none\r\n");
    say(b, "3\r\ntwo\r\n");
    assert_int_equal(b->body_len, 3);
    b->go = REPLY_STREAM_GO;
    runtime_api_resume(&b->api);
    turn(b);
    assert_int_equal(b->body_len, 6);
    say(b, "0\r\n\r\n");
    assert_told(b, "response ");
}

static void a_response_that_ends_in_a_pause_lets_the_runtime_go_on(void **state)
{
    struct bench *b = *state;
    make_streaming(b);
    b->go = REPLY_STREAM_WAIT;
    say(b, "3\r\none\r\n0\r\n\r\n");
    assert_told(b, "response ");
    assert_hears(b, "HTTP/1.1 202", "OK");
    b->wants_stream = false;
    b->go = REPLY_STREAM_GO;
    make_running(b);
}

static void a_connection_that_ends_in_a_pause_is_forgotten(void **state)
{
    struct bench *b = *state;
    make_streaming(b);
    b->go = REPLY_STREAM_WAIT;
    say(b, "3\r\none\r\n");
    runtime_api_end(&b->api);
    assert_null(b->api.paused);
    runtime_api_resume(&b->api);
}

static void a_streamed_response_that_is_too_long_is_refused_in_the_middle(void **state)
{
    struct bench *b = *state;
    b->config.stream_bytes_max = 4321;
    make_streaming(b);
    b->go = REPLY_STREAM_TOO_LONG;
    say(b, "3\r\none\r\n");
    assert_told(b, "too-large ");
    say(b, "3\r\ntwo\r\n0\r\n\r\n");
    assert_int_equal(b->body_len, 3);
    assert_hears(b, "HTTP/1.1 413", "4321 bytes");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(next_tells_all_about_the_event),
        T(an_invocation_goes_round),
        T(each_piece_of_a_streamed_response_is_handed_on),
        T(a_pause_leaves_the_rest_of_a_response_in_the_socket),
        T(a_response_that_ends_in_a_pause_lets_the_runtime_go_on),
        T(a_connection_that_ends_in_a_pause_is_forgotten),
        T(a_streamed_response_that_is_too_long_is_refused_in_the_middle),
        T(next_while_running_serves_the_same_event_again),
        T(an_event_that_is_due_goes_out_with_the_first_next),
        T(an_owner_may_deliver_from_inside_its_call),
        T(an_error_brings_its_type),
        T(init_error_is_for_the_initialisation_alone),
        T(the_small_endpoints_answer),
        T(requests_are_the_same_however_they_are_cut),
        T(trailers_tell_that_the_function_failed),
        T(an_error_type_in_a_responses_head_means_nothing),
        T(expect_is_answered_at_once),
        T(a_head_may_be_a_mebibyte_long),
        T(a_longer_head_is_refused),
        T(connection_close_is_kept),
        T(the_longest_response_is_taken_and_one_byte_more_is_not),
        T(a_chunked_response_that_grows_too_long_is_told_at_once),
        T(a_response_that_was_announced_too_long_is_not_invited),
        T(an_event_of_six_mebibytes_arrives_at_a_slow_reader),
        T(what_is_not_read_is_limited_over_all_connections),
        T(answers_out_of_turn_are_refused_and_harm_nothing),
        T(while_a_response_is_under_way_nothing_else_is_allowed),
        T(a_response_mode_other_than_streaming_is_refused),
        T(a_body_that_ends_early_is_truncated),
        T(nonsense_ends_its_connection_alone),
        T(connections_are_bounded_and_the_idle_one_makes_room),
        T(what_the_last_process_left_in_the_queue_is_not_heard),
        T(an_owner_may_end_it_from_inside_its_call),
        T(an_event_whose_body_is_gone_is_not_served_again),
        T(a_poll_that_was_given_up_is_forgotten),
        T(input_behind_a_request_that_waits_is_bounded),
        T(a_head_that_does_not_end_is_timed_and_a_wait_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
