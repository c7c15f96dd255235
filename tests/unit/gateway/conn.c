/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection and its exchanges, over a socketpair, with routes of the test's own: what a client sees for each way a handler may end, for each
 * limit, and for input that is cut, coalesced or broken off anywhere.
 */
#include "gateway/conn.h"

#include "base/clock.h"
#include "base/fdio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

enum { REPLY_ROOM = 1 << 20 };

static struct config config;
static struct gateway_boot boot;
static struct gateway gateway;
static struct conn_table table;
static int client = -1;
static char reply[REPLY_ROOM];
static size_t reply_len;

/* --- routes --- */

struct route {
    const char *path;
    bool streams;
    void (*run)(struct exchange *x);
};

static unsigned runs;            /* handlers started */
static unsigned drained_checks;
static struct exchange *held;    /* by /later, /sink, /stream */
static struct buf taken;         /* by /sink */
static size_t sink_appetite;     /* bytes it takes before it pauses */
static unsigned sink_ends, gone; /* calls of on_end; of on_gone and on_stream_gone */

static void run_echo(struct exchange *x)
{
    struct reply r = {.status = 200, .content_type = "text/plain", .body = x->body};
    exchange_reply(x, &r);
}

static void run_later(struct exchange *x)
{
    held = x;
}

static void run_empty(struct exchange *x)
{
    struct reply r = {.status = 204, .body = STR_LITERAL("never sent")};
    exchange_reply(x, &r);
}

static size_t on_body(struct exchange *x, struct str piece)
{
    (void)x;
    size_t n = piece.n < sink_appetite ? piece.n : sink_appetite;
    assert_int_equal(buf_add(&taken, piece.p, n), 0);
    sink_appetite -= n;
    return n;
}

static void on_end(struct exchange *x)
{
    sink_ends++;
    held = NULL;
    run_echo(x);
}

static void on_gone(struct exchange *x)
{
    gone++;
    held = NULL;
    exchange_error(x, 400, "BadRequest", "nobody hears this");
}

static const struct exchange_sink sink = {.on_body = on_body, .on_end = on_end, .on_gone = on_gone};

static void run_sink(struct exchange *x)
{
    held = x;
    x->sink = &sink;
}

static void run_refusing_sink(struct exchange *x)
{
    exchange_error(x, 409, "Conflict", "not now");
}

static void on_stream_gone(struct exchange *x)
{
    gone++;
    held = NULL;
    exchange_stream_end(x);
}

static void run_stream(struct exchange *x)
{
    held = x;
    x->on_stream_gone = on_stream_gone;
    exchange_stream_start(x, 200, "text/plain");
}

static const struct route routes[] = {
    {"/echo", false, run_echo},   {"/later", false, run_later},           {"/empty", false, run_empty}, {"/sink", true, run_sink},
    {"/stream", false, run_stream}, {"/refusing", true, run_refusing_sink},
};

const struct route *route_find(struct exchange *x)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (str_is(x->request->path, routes[i].path))
            return &routes[i];
    exchange_error(x, 404, "ResourceNotFound", "nothing here");
    return NULL;
}

bool route_streams_body(const struct route *r)
{
    return r->streams;
}

uint64_t route_body_max(const struct route *r, const struct config *c)
{
    (void)r;
    return c->request_bytes_max;
}

const char *route_body_key(const struct route *r)
{
    (void)r;
    return "request_bytes";
}

void route_run(const struct route *r, struct exchange *x)
{
    runs++;
    r->run(x);
}

void gateway_check_drained(struct gateway *g)
{
    (void)g;
    drained_checks++;
}

/* --- the client --- */

static void turn_loop(void)
{
    for (int i = 0; i < 8; i++)
        ev_run(gateway.loop, EVRUN_NOWAIT);
}

static void connect_as(enum gateway_listener_kind kind)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(conn_open(&table, pair[1], kind, "192.0.2.1"), 0);
    fd_close(&client);
    client = pair[0];
    reply_len = 0;
}

static void send_bytes(const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(client, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            turn_loop();
            continue;
        }
        if (sent < 0)
            return; /* it closed: what it said before is the test's matter */
        bytes += sent;
        n -= (size_t)sent;
    }
    turn_loop();
}

static void send_text(const char *text)
{
    send_bytes(text, strlen(text));
}

/* What has come so far. True when the other side has closed. */
static bool receive(void)
{
    for (;;) {
        turn_loop();
        assert_true(reply_len < sizeof(reply) - 1);
        ssize_t n = recv(client, reply + reply_len, sizeof(reply) - 1 - reply_len, 0);
        if (n > 0)
            reply_len += (size_t)n;
        reply[reply_len] = '\0';
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            return true;
    }
}

static unsigned count(const char *text)
{
    unsigned n = 0;
    for (const char *at = reply; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static void assert_has(const char *text)
{
    if (!strstr(reply, text))
        fail_msg("no '%s' in: %.2000s", text, reply);
}

static void assert_lacks(const char *text)
{
    if (strstr(reply, text))
        fail_msg("'%s' in: %.2000s", text, reply);
}

static void assert_nothing_held(void)
{
    assert_int_equal(table.open_exchanges, 0);
    assert_int_equal(table.flushing, 0);
    assert_int_equal(table.held_bytes, 0);
}

static int set_up(void **state)
{
    (void)state;
    config = (struct config){
        .connections_max = 16,
        .header_deadline_ms = 10000,
        .body_deadline_ms = 10000,
        .idle_deadline_ms = 10000,
        .head_bytes_max = 65536,
        .head_fields_max = 128,
        .request_bytes_max = 1 << 20,
        .body_memory_bytes = 8 << 20,
    };
    gateway = (struct gateway){.loop = ev_loop_new(EVFLAG_AUTO), .config = &config, .boot = &boot};
    conn_table_init(&table, &gateway);
    runs = drained_checks = sink_ends = gone = 0;
    held = NULL;
    sink_appetite = SIZE_MAX;
    buf_init(&taken, 0);
    connect_as(GATEWAY_LISTENER_LOOPBACK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fd_close(&client);
    turn_loop();
    conn_table_fini(&table);
    assert_int_equal(table.conn_count, 0);
    ev_loop_destroy(gateway.loop);
    buf_fini(&taken);
    return 0;
}

/* --- tests --- */

static void a_request_is_answered_and_the_connection_stays(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_false(receive());
        assert_int_equal(count("HTTP/1.1 200 OK\r\n"), i);
    }
    assert_has("Content-Length: 5\r\n");
    assert_has("\r\n\r\nhello");
    assert_lacks("Connection:");
    assert_nothing_held();
}

static void an_idle_connection_holds_no_buffer(void **state)
{
    (void)state;
    send_text("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    struct conn *c = LIST_ENTRY(list_first(&table.all), struct conn, all_link);
    assert_int_equal(c->state, CONN_IDLE);
    assert_null(c->in);
    assert_null(c->slot);
}

/* Replies differ by the request id alone. */
static void blank_ids(char *text)
{
    for (char *at = text; (at = strstr(at, "X-Request-Id: ")); at += 14)
        memset(at + 14, '-', 36);
    for (char *at = text; (at = strstr(at, "\"requestId\":\"")); at += 13)
        memset(at + 13, '-', 36);
}

static const char *const corpus[] = {
    "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: v\r\n\r\n",
    "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ",
    "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n",
    "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /echo HTTP/1.0\r\n\r\n",
    "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\nGET /missing HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /echo HTTP/1.1\r\n\r\n",
};

static void a_request_cut_anywhere_gets_the_same_reply(void **state)
{
    static char whole[REPLY_ROOM];
    (void)state;
    for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
        size_t n = strlen(corpus[i]);
        connect_as(GATEWAY_LISTENER_LOOPBACK);
        send_text(corpus[i]);
        bool closed = receive();
        blank_ids(reply);
        strcpy(whole, reply);
        assert_true(reply_len > 0);
        for (size_t at = 1; at < n; at++) {
            connect_as(GATEWAY_LISTENER_LOOPBACK);
            send_bytes(corpus[i], at);
            send_bytes(corpus[i] + at, n - at);
            assert_int_equal(receive(), closed);
            blank_ids(reply);
            assert_string_equal(reply, whole);
        }
        connect_as(GATEWAY_LISTENER_LOOPBACK);
        for (size_t at = 0; at < n; at++)
            send_bytes(corpus[i] + at, 1);
        assert_int_equal(receive(), closed);
        blank_ids(reply);
        assert_string_equal(reply, whole);
    }
    assert_nothing_held();
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    char text[64 * 100];
    size_t n = 0;
    for (int i = 0; i < 50; i++)
        n += (size_t)sprintf(text + n, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n<%02d>", i);
    send_bytes(text, n);
    assert_false(receive());
    assert_int_equal(count("HTTP/1.1 200"), 50);
    const char *at = reply;
    for (int i = 0; i < 50; i++) {
        char mark[16];
        sprintf(mark, "<%02d>", i);
        at = strstr(at, mark);
        assert_non_null(at);
    }
}

static void nothing_behind_a_refused_request_runs(void **state)
{
    (void)state;
    send_text("GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(receive());
    assert_int_equal(runs, 1);
    assert_int_equal(count("HTTP/1.1 "), 2);
    assert_has("HTTP/1.1 400 Bad Request\r\n");
    assert_has("X-Faasd-Error: BadRequest\r\n");
    assert_has("Connection: close\r\n");
}

static void requests_behind_one_in_flight_wait_for_it(void **state)
{
    (void)state;
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    assert_int_equal(reply_len, 0);
    assert_int_equal(runs, 1);
    run_echo(held);
    assert_false(receive());
    assert_int_equal(count("HTTP/1.1 200"), 2);
    assert_int_equal(runs, 2);
}

static void input_beyond_the_buffer_waits_in_the_socket(void **state)
{
    (void)state;
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    char request[] = "GET /echo HTTP/1.1\r\nHost: a\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n";
    for (int i = 0; i < 400; i++)
        send_text(request);
    assert_int_equal(runs, 1);
    run_echo(held);
    assert_false(receive());
    assert_int_equal(count("HTTP/1.1 200"), 401);
    assert_nothing_held();
}

static char *make_body(size_t n)
{
    char *body = malloc(n + 1);
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 26);
    body[n] = '\0';
    return body;
}

static void assert_echoed(const char *body, size_t n)
{
    char *at = strstr(reply, "\r\n\r\n");
    assert_non_null(at);
    assert_int_equal(reply + reply_len - (at + 4), n);
    assert_memory_equal(at + 4, body, n);
}

static void bodies_of_every_size_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4096, 16200, 16384, 16385, 65536, 65537, 200000, 900000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *body = make_body(sizes[i]);
        char head[128];
        connect_as(GATEWAY_LISTENER_LOOPBACK);
        sprintf(head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        send_text(head);
        send_bytes(body, sizes[i]);
        assert_false(receive());
        assert_echoed(body, sizes[i]);
        free(body);
        assert_nothing_held();
    }
}

static void chunked_bodies_of_every_size_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16384, 200000};
    static const size_t chunks[] = {1000, 7, 65536};
    for (size_t i = 0; i < 3; i++) {
        char *body = make_body(sizes[i]);
        connect_as(GATEWAY_LISTENER_LOOPBACK);
        send_text("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < sizes[i]; at += chunks[i]) {
            size_t n = sizes[i] - at < chunks[i] ? sizes[i] - at : chunks[i];
            char line[16];
            send_bytes(line, (size_t)sprintf(line, "%zx\r\n", n));
            send_bytes(body + at, n);
            send_text("\r\n");
        }
        send_text("0\r\n\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_false(receive());
        char *second = strstr(reply, "HTTP/1.1 204");
        assert_non_null(second);
        reply_len = (size_t)(second - reply);
        assert_echoed(body, sizes[i]);
        free(body);
        assert_nothing_held();
    }
}

static void a_head_that_fills_the_buffer_still_leaves_room_for_its_body(void **state)
{
    (void)state;
    for (size_t pad = CONN_BUFFER - 200; pad < CONN_BUFFER + 100; pad += 7) {
        char *filler = make_body(pad);
        connect_as(GATEWAY_LISTENER_LOOPBACK);
        send_text("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: ");
        send_bytes(filler, pad);
        send_text("\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        assert_false(receive());
        assert_echoed("abc", 3);
        free(filler);
    }
}

static void a_body_over_the_limit_is_refused_before_it_is_read(void **state)
{
    (void)state;
    config.request_bytes_max = 10;
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    assert_true(receive());
    assert_has("HTTP/1.1 413 ");
    assert_has("request_bytes");
    assert_lacks("100 Continue");
    assert_int_equal(runs, 0);
}

static void a_chunked_body_is_refused_at_the_limit(void **state)
{
    (void)state;
    config.request_bytes_max = 10;
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n");
    assert_false(receive());
    send_text("6\r\n123456\r\n0\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(receive());
    assert_has("HTTP/1.1 413 ");
    assert_int_equal(runs, 0);
}

static void bodies_together_are_bounded(void **state)
{
    (void)state;
    config.body_memory_bytes = 100000;
    char *body = make_body(200000);
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    send_bytes(body, 200000);
    assert_true(receive());
    assert_has("HTTP/1.1 503 ");
    assert_has("NoCapacity");
    assert_has("body_memory");
    free(body);
    assert_nothing_held();
}

static void continue_is_said_once_when_the_head_is_accepted(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_false(receive());
    assert_string_equal(reply, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text("he");
    send_text("llo");
    assert_false(receive());
    assert_int_equal(count("100 Continue"), 1);
    assert_has("\r\n\r\nhello");
}

static void continue_is_not_said_for_what_is_not_there(void **state)
{
    (void)state;
    send_text("POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_true(receive());
    assert_lacks("100 Continue");
    assert_has("HTTP/1.1 404 ");
    assert_has("Connection: close\r\n");
}

static void the_body_of_a_refused_request_is_skipped(void **state)
{
    (void)state;
    send_text("POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /echo HTTP/1.1\r\n");
    assert_false(receive());
    assert_has("HTTP/1.1 404 ");
    send_text("Host: a\r\n\r\n123456789POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
    assert_false(receive());
    assert_int_equal(runs, 1);
    assert_int_equal(count("HTTP/1.1 "), 2);
    assert_has("\r\n\r\nok");
}

static void a_refused_body_that_is_too_long_to_skip_closes(void **state)
{
    (void)state;
    send_text("POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
    assert_true(receive());
    assert_has("HTTP/1.1 404 ");
    assert_has("Connection: close\r\n");
}

static void a_client_that_left_does_not_end_its_request(void **state)
{
    (void)state;
    send_text("POST /later HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nContent-Length: 5\r\n\r\nhello");
    assert_non_null(held);
    fd_close(&client);
    turn_loop();
    /* Half a close looks like a whole one until something is written. */
    assert_true(str_is(held->body, "hello"));
    run_echo(held);
    turn_loop();
    assert_int_equal(table.conn_count, 0);
    assert_nothing_held();
}

static void a_reset_connection_leaves_its_exchange_to_the_handler(void **state)
{
    (void)state;
    send_text("POST /later HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nContent-Length: 5\r\n\r\nhello");
    struct conn *c = LIST_ENTRY(list_first(&table.all), struct conn, all_link);
    conn_close(c);
    turn_loop();
    assert_null(held->conn);
    assert_true(str_is(held->body, "hello"));
    assert_true(str_is(held->caller_id, "mine"));
    assert_true(str_is(held->request->path, "/later"));
    assert_string_equal(held->peer, "192.0.2.1");
    assert_int_equal(table.open_exchanges, 1);
    exchange_error(held, 500, "FunctionError", "nobody hears this");
    turn_loop();
    assert_nothing_held();
}

static void a_client_that_shut_its_side_down_gets_its_replies(void **state)
{
    (void)state;
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /ec");
    shutdown(client, SHUT_WR);
    turn_loop();
    run_echo(held);
    assert_true(receive());
    assert_int_equal(count("HTTP/1.1 200"), 2);
}

static void a_sink_gets_the_body_in_pieces_and_may_pause(void **state)
{
    (void)state;
    char *body = make_body(300000);
    sink_appetite = 100;
    send_text("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    size_t sent = 0;
    while (sent < 300000) {
        ssize_t n = send(client, body + sent, 300000 - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        turn_loop();
        assert_int_equal(sink_ends, 0);
        if (held && sink_appetite == 0) {
            sink_appetite = 5000;
            exchange_body_resume(held);
        }
    }
    shutdown(client, SHUT_WR);
    while (held) {
        sink_appetite = 5000;
        exchange_body_resume(held);
        turn_loop();
    }
    assert_true(receive());
    assert_has("HTTP/1.1 200");
    assert_int_equal(sink_ends, 1);
    assert_int_equal(gone, 0);
    assert_int_equal(taken.len, 300000);
    assert_memory_equal(taken.data, body, 300000);
    free(body);
}

static void a_sink_hears_of_a_client_that_left(void **state)
{
    (void)state;
    send_text("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    fd_close(&client);
    turn_loop();
    assert_int_equal(gone, 1);
    assert_int_equal(sink_ends, 0);
    assert_nothing_held();
}

static void a_sink_hears_of_nonsense_and_the_client_hears_why(void **state)
{
    (void)state;
    send_text("PUT /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n");
    assert_true(receive());
    assert_int_equal(gone, 1);
    assert_int_equal(count("HTTP/1.1 "), 1);
    assert_has("HTTP/1.1 400 ");
    assert_nothing_held();
}

static void a_sink_may_refuse_before_the_body(void **state)
{
    (void)state;
    send_text("PUT /refusing HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    assert_false(receive());
    assert_has("HTTP/1.1 409 ");
    send_text("67890GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    assert_int_equal(count("HTTP/1.1 200"), 1);
}

static void a_stream_is_chunked_and_ends(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(exchange_stream_write(held, STR_LITERAL("hello")), 0);
    exchange_stream_end(held);
    assert_false(receive());
    assert_has("Transfer-Encoding: chunked\r\n");
    assert_has("\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
}

static void a_stream_to_an_old_client_ends_with_the_connection(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_int_equal(exchange_stream_write(held, STR_LITERAL("hello")), 0);
    exchange_stream_end(held);
    assert_true(receive());
    assert_lacks("chunked");
    assert_has("Connection: close\r\n");
    assert_has("\r\n\r\nhello");
}

static void a_stream_ends_when_its_client_does(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(client, SHUT_WR);
    turn_loop();
    assert_int_equal(gone, 1);
    assert_true(receive());
    assert_has("\r\n\r\n0\r\n\r\n");
    assert_nothing_held();
}

static void a_stream_that_nobody_reads_is_bounded(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    char *piece = make_body(65536);
    int r = 0;
    size_t written = 0;
    while (r == 0 && written < 64 << 20) {
        r = exchange_stream_write(held, (struct str){piece, 65536});
        written += 65536;
    }
    assert_int_equal(r, -EMSGSIZE);
    free(piece);
    exchange_stream_end(held);
    turn_loop();
    assert_int_equal(table.flushing, 1);
    fd_close(&client);
    turn_loop();
    assert_nothing_held();
}

static void a_handler_hears_that_writing_is_in_vain_only_from_the_loop(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    fd_close(&client);
    assert_int_equal(exchange_stream_write(held, STR_LITERAL("x")), -EPIPE);
    assert_int_equal(gone, 0);
    turn_loop();
    assert_int_equal(gone, 1);
    assert_nothing_held();
}

static void a_reply_longer_than_the_socket_takes_arrives_whole(void **state)
{
    (void)state;
    char *body = make_body(900000);
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    struct reply r = {.status = 200, .body = {body, 900000}};
    exchange_reply(held, &r);
    memset(body, '!', 900000); /* borrowed for the call alone */
    turn_loop();
    assert_int_equal(table.flushing, 1);
    assert_false(receive());
    assert_int_equal(count("HTTP/1.1 204"), 1);
    char *second = strstr(reply, "HTTP/1.1 204");
    reply_len = (size_t)(second - reply);
    free(body);
    body = make_body(900000);
    assert_echoed(body, 900000);
    free(body);
    assert_nothing_held();
}

static void replies_without_a_body_send_none(void **state)
{
    (void)state;
    send_text("HEAD /later HTTP/1.1\r\nHost: a\r\n\r\n");
    struct reply r = {.status = 200, .body = STR_LITERAL("hello")};
    exchange_reply(held, &r);
    send_text("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    assert_has("Content-Length: 5\r\n");
    assert_lacks("hello");
    assert_lacks("never sent");
    assert_has("HTTP/1.1 204 No Content\r\n");
    assert_int_equal(count("Content-Length"), 1);
}

static void old_clients_keep_alive_only_when_they_ask(void **state)
{
    (void)state;
    send_text("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_false(receive());
    assert_has("Connection: keep-alive\r\n");
    send_text("GET /echo HTTP/1.0\r\n\r\n");
    assert_true(receive());
    assert_has("Connection: close\r\n");
}

static void errors_are_brief_for_remote_listeners(void **state)
{
    (void)state;
    connect_as(GATEWAY_LISTENER_REMOTE);
    send_text("GET /missing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    assert_has("{\"errorType\":\"ResourceNotFound\",\"requestId\":\"");
    assert_has("X-Faasd-Error: ResourceNotFound\r\n");
    config.errors = CONFIG_ERRORS_FULL;
    send_text("GET /missing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    assert_has("\"errorMessage\":\"nothing here\"");
    config.errors = CONFIG_ERRORS_BRIEF;
    connect_as(GATEWAY_LISTENER_LOOPBACK);
    send_text("GET /missing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(receive());
    assert_lacks("errorMessage");
}

/* Turns the loop until the peer has closed; each test of a deadline sets one that ends at once. */
static void wait_for_close(void)
{
    uint64_t end = clock_mono_ns() + 5000000000;
    while (!receive()) {
        assert_true(clock_mono_ns() < end);
        ev_run(gateway.loop, EVRUN_ONCE);
    }
}

static void a_head_has_a_deadline_from_its_first_byte(void **state)
{
    (void)state;
    config.header_deadline_ms = 30;
    send_text("G");
    uint64_t started = clock_mono_ns();
    /* More bytes do not move it. */
    while (clock_mono_ns() - started < 20000000)
        turn_loop();
    send_text("ET /echo");
    wait_for_close();
    assert_has("HTTP/1.1 408 ");
    assert_has("header_deadline");
}

static void a_body_that_pauses_too_long_is_refused(void **state)
{
    (void)state;
    config.body_deadline_ms = 20;
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
    wait_for_close();
    assert_has("HTTP/1.1 408 ");
    assert_has("body_deadline");
    assert_int_equal(runs, 0);
}

static void a_body_that_drips_is_refused_though_it_never_pauses(void **state)
{
    (void)state;
    config.body_deadline_ms = 200; /* at 500 bytes a second: 100 bytes in that time */
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n");
    uint64_t end = clock_mono_ns() + 5000000000;
    while (!receive()) {
        assert_true(clock_mono_ns() < end);
        struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
        send_text("x");
    }
    assert_has("HTTP/1.1 408 ");
}

static void a_reply_that_nobody_reads_is_given_up(void **state)
{
    (void)state;
    config.body_deadline_ms = 20;
    char *body = make_body(900000);
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    struct reply r = {.status = 200, .body = {body, 900000}};
    exchange_reply(held, &r);
    free(body);
    uint64_t end = clock_mono_ns() + 5000000000;
    while (table.conn_count && clock_mono_ns() < end)
        ev_run(gateway.loop, EVRUN_ONCE);
    assert_int_equal(table.conn_count, 0);
    assert_nothing_held();
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    config.idle_deadline_ms = 20;
    connect_as(GATEWAY_LISTENER_LOOPBACK);
    wait_for_close();
    assert_int_equal(reply_len, 0);
}

static void a_running_request_has_no_deadline_here(void **state)
{
    (void)state;
    config.header_deadline_ms = config.body_deadline_ms = config.idle_deadline_ms = 10;
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t end = clock_mono_ns() + 50000000;
    while (clock_mono_ns() < end)
        turn_loop();
    run_echo(held);
    receive();
    assert_has("HTTP/1.1 200");
}

static void the_longest_idle_connection_is_given_up_first(void **state)
{
    (void)state;
    int first = client;
    client = -1;
    connect_as(GATEWAY_LISTENER_LOOPBACK);
    send_text("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(conn_table_close_idle(&table));
    char byte;
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    assert_false(receive());
    assert_true(conn_table_close_idle(&table));
    assert_false(conn_table_close_idle(&table));
    fd_close(&first);
}

static void draining_refuses_new_requests_and_finishes_old_ones(void **state)
{
    (void)state;
    send_text("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    gateway.draining = true;
    conn_table_drain(&table);
    turn_loop();
    drained_checks = 0;
    run_echo(held);
    assert_true(receive());
    assert_int_equal(count("HTTP/1.1 200"), 1);
    assert_has("Connection: close\r\n");
    assert_int_equal(runs, 1);
    assert_true(drained_checks > 0);
    connect_as(GATEWAY_LISTENER_LOOPBACK);
    send_text("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(receive());
    assert_has("HTTP/1.1 503 ");
    assert_has("NoCapacity");
}

static void draining_ends_streams_and_idle_connections(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    int streaming = client;
    client = -1;
    connect_as(GATEWAY_LISTENER_LOOPBACK);
    gateway.draining = true;
    conn_table_drain(&table);
    assert_true(receive());
    assert_int_equal(reply_len, 0);
    assert_int_equal(gone, 1);
    fd_close(&streaming);
    turn_loop();
    assert_int_equal(table.conn_count, 0);
}

static void a_socket_that_leaves_http_takes_its_early_bytes_along(void **state)
{
    (void)state;
    send_text("POST /later HTTP/1.1\r\nHost: a\r\nUpgrade: thing\r\nContent-Length: 0\r\n\r\nearly");
    struct str early;
    scoped_fd fd = exchange_take_socket(held, "thing", &early);
    assert_true(fd >= 0);
    assert_true(str_is(early, "early"));
    turn_loop();
    assert_int_equal(table.conn_count, 0);
    assert_nothing_held();
    assert_int_equal(write(fd, "raw", 3), 3);
    receive();
    assert_has("HTTP/1.1 101 Switching Protocols\r\n");
    assert_has("Connection: Upgrade\r\nUpgrade: thing\r\n\r\nraw");
}

static void a_lingering_connection_lets_the_client_read_its_refusal(void **state)
{
    (void)state;
    char *body = make_body(500000);
    config.request_bytes_max = 1000;
    /* Without lingering the unread body would turn the close into a reset, and the client would see that instead. */
    send_text("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
    send_bytes(body, 500000);
    assert_true(receive());
    assert_has("HTTP/1.1 413 ");
    assert_int_equal(table.conn_count, 1);
    fd_close(&client);
    turn_loop();
    assert_int_equal(table.conn_count, 0);
    free(body);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_and_the_connection_stays),
        TEST(an_idle_connection_holds_no_buffer),
        TEST(a_request_cut_anywhere_gets_the_same_reply),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(nothing_behind_a_refused_request_runs),
        TEST(requests_behind_one_in_flight_wait_for_it),
        TEST(input_beyond_the_buffer_waits_in_the_socket),
        TEST(bodies_of_every_size_arrive_whole),
        TEST(chunked_bodies_of_every_size_arrive_whole),
        TEST(a_head_that_fills_the_buffer_still_leaves_room_for_its_body),
        TEST(a_body_over_the_limit_is_refused_before_it_is_read),
        TEST(a_chunked_body_is_refused_at_the_limit),
        TEST(bodies_together_are_bounded),
        TEST(continue_is_said_once_when_the_head_is_accepted),
        TEST(continue_is_not_said_for_what_is_not_there),
        TEST(the_body_of_a_refused_request_is_skipped),
        TEST(a_refused_body_that_is_too_long_to_skip_closes),
        TEST(a_client_that_left_does_not_end_its_request),
        TEST(a_reset_connection_leaves_its_exchange_to_the_handler),
        TEST(a_client_that_shut_its_side_down_gets_its_replies),
        TEST(a_sink_gets_the_body_in_pieces_and_may_pause),
        TEST(a_sink_hears_of_a_client_that_left),
        TEST(a_sink_hears_of_nonsense_and_the_client_hears_why),
        TEST(a_sink_may_refuse_before_the_body),
        TEST(a_stream_is_chunked_and_ends),
        TEST(a_stream_to_an_old_client_ends_with_the_connection),
        TEST(a_stream_ends_when_its_client_does),
        TEST(a_stream_that_nobody_reads_is_bounded),
        TEST(a_handler_hears_that_writing_is_in_vain_only_from_the_loop),
        TEST(a_reply_longer_than_the_socket_takes_arrives_whole),
        TEST(replies_without_a_body_send_none),
        TEST(old_clients_keep_alive_only_when_they_ask),
        TEST(errors_are_brief_for_remote_listeners),
        TEST(a_head_has_a_deadline_from_its_first_byte),
        TEST(a_body_that_pauses_too_long_is_refused),
        TEST(a_body_that_drips_is_refused_though_it_never_pauses),
        TEST(a_reply_that_nobody_reads_is_given_up),
        TEST(an_idle_connection_is_closed_without_a_word),
        TEST(a_running_request_has_no_deadline_here),
        TEST(the_longest_idle_connection_is_given_up_first),
        TEST(draining_refuses_new_requests_and_finishes_old_ones),
        TEST(draining_ends_streams_and_idle_connections),
        TEST(a_socket_that_leaves_http_takes_its_early_bytes_along),
        TEST(a_lingering_connection_lets_the_client_read_its_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
