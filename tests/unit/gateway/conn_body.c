/* SPDX-License-Identifier: Apache-2.0 */
/* What moves through a connection: bodies of every size and framing, sinks, streams, long replies, and those that move too slowly. */
#include "conn_fixture.h"

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

static void a_chunk_that_announces_too_much_is_refused_before_it_comes(void **state)
{
    static const char wire[] = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\n";
    (void)state;
    config.request_bytes_max = 6;
    for (size_t cut = 1; cut < sizeof(wire); cut++) {
        connect_as(GATEWAY_LISTENER_LOOPBACK);
        send_bytes(wire, cut);
        send_bytes(wire + cut, sizeof(wire) - 1 - cut);
        receive();
        assert_has("HTTP/1.1 413 ");
        assert_nothing_held();
    }
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

static void a_sink_that_goes_on_while_more_input_is_reported_misses_nothing(void **state)
{
    (void)state;
    char *body = make_body(40000);
    sink_appetite = 0;
    send_text("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n");
    send_bytes(body, 40000); /* fills the buffer */
    struct conn *c = held->conn;
    sink_appetite = SIZE_MAX;
    exchange_body_resume(held);
    ev_feed_event(gateway.loop, &c->reader, EV_READ);
    assert_false(receive());
    assert_int_equal(sink_ends, 1);
    assert_int_equal(taken.len, 40000);
    assert_memory_equal(taken.data, body, 40000);
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

/* The failing write and the deadline may come in one turn of the loop, before the connection is settled. */
static void a_deadline_behind_a_refusal_that_failed_ends_nothing_twice(void **state)
{
    (void)state;
    send_text("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    struct conn *c = LIST_ENTRY(list_first(&table.all), struct conn, all_link);
    fd_close(&client);
    conn_refuse(c, 503, "nobody hears this");
    assert_true(c->broken);
    conn_expire(c);
    turn_loop();
    assert_nothing_held();
    assert_int_equal(table.conn_count, 0);
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
        TEST(bodies_of_every_size_arrive_whole),
        TEST(chunked_bodies_of_every_size_arrive_whole),
        TEST(a_head_that_fills_the_buffer_still_leaves_room_for_its_body),
        TEST(a_body_over_the_limit_is_refused_before_it_is_read),
        TEST(a_chunked_body_is_refused_at_the_limit),
        TEST(a_chunk_that_announces_too_much_is_refused_before_it_comes),
        TEST(bodies_together_are_bounded),
        TEST(continue_is_said_once_when_the_head_is_accepted),
        TEST(continue_is_not_said_for_what_is_not_there),
        TEST(the_body_of_a_refused_request_is_skipped),
        TEST(a_refused_body_that_is_too_long_to_skip_closes),
        TEST(a_sink_gets_the_body_in_pieces_and_may_pause),
        TEST(a_sink_that_goes_on_while_more_input_is_reported_misses_nothing),
        TEST(a_sink_hears_of_a_client_that_left),
        TEST(a_sink_hears_of_nonsense_and_the_client_hears_why),
        TEST(a_sink_may_refuse_before_the_body),
        TEST(a_deadline_behind_a_refusal_that_failed_ends_nothing_twice),
        TEST(a_stream_is_chunked_and_ends),
        TEST(a_stream_to_an_old_client_ends_with_the_connection),
        TEST(a_stream_ends_when_its_client_does),
        TEST(a_stream_that_nobody_reads_is_bounded),
        TEST(a_handler_hears_that_writing_is_in_vain_only_from_the_loop),
        TEST(a_reply_longer_than_the_socket_takes_arrives_whole),
        TEST(a_body_that_pauses_too_long_is_refused),
        TEST(a_body_that_drips_is_refused_though_it_never_pauses),
        TEST(a_reply_that_nobody_reads_is_given_up),
        TEST(a_lingering_connection_lets_the_client_read_its_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
