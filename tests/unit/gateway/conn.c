/* SPDX-License-Identifier: Apache-2.0 */
/* Connections from request to request: order, framing, keeping and closing, departure, deadlines, draining. */
#include "conn_fixture.h"

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
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: "
    "v\r\n\r\n",
    "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ",
    "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n",
    "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /refusing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /echo HTTP/1.1\r\nHost: "
    "a\r\n\r\n",
    "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /echo HTTP/1.0\r\n\r\n",
    "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\nGET /missing HTTP/1.1\r\nHost: "
    "a\r\n\r\n",
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
    send_text("GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\nGET /echo "
              "HTTP/1.1\r\nHost: a\r\n\r\n");
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
    run_echo(held, (struct str){0});
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
    run_echo(held, (struct str){0});
    assert_false(receive());
    assert_int_equal(count("HTTP/1.1 200"), 401);
    assert_nothing_held();
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
    run_echo(held, (struct str){0});
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
    run_echo(held, (struct str){0});
    assert_true(receive());
    assert_int_equal(count("HTTP/1.1 200"), 2);
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
    run_echo(held, (struct str){0});
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
    run_echo(held, (struct str){0});
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
        TEST(a_client_that_left_does_not_end_its_request),
        TEST(a_reset_connection_leaves_its_exchange_to_the_handler),
        TEST(a_client_that_shut_its_side_down_gets_its_replies),
        TEST(replies_without_a_body_send_none),
        TEST(old_clients_keep_alive_only_when_they_ask),
        TEST(errors_are_brief_for_remote_listeners),
        TEST(a_head_has_a_deadline_from_its_first_byte),
        TEST(an_idle_connection_is_closed_without_a_word),
        TEST(a_running_request_has_no_deadline_here),
        TEST(the_longest_idle_connection_is_given_up_first),
        TEST(draining_refuses_new_requests_and_finishes_old_ones),
        TEST(draining_ends_streams_and_idle_connections),
        TEST(a_socket_that_leaves_http_takes_its_early_bytes_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
