/* SPDX-License-Identifier: Apache-2.0 */
/* One connection over a socketpair, with routes of the tests' own, and a client beside it. Included by the tests of conn.h alone. */
#ifndef FAASD_TESTS_UNIT_GATEWAY_CONN_FIXTURE_H
#define FAASD_TESTS_UNIT_GATEWAY_CONN_FIXTURE_H

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

static unsigned runs; /* handlers started */
static unsigned drained_checks;
static struct exchange *held;    /* by /later, /sink, /stream */
static struct buf taken;         /* by /sink */
static size_t sink_appetite;     /* bytes it takes before it pauses */
static unsigned sink_ends, gone; /* calls of on_end; of on_gone and on_stream_gone */

static inline void run_echo(struct exchange *x, struct str name)
{
    (void)name;
    struct reply r = {.status = 200, .content_type = "text/plain", .body = x->body};
    exchange_reply(x, &r);
}

static inline void run_later(struct exchange *x, struct str name)
{
    (void)name;
    held = x;
}

static inline void run_empty(struct exchange *x, struct str name)
{
    (void)name;
    struct reply r = {.status = 204, .body = STR_LITERAL("never sent")};
    exchange_reply(x, &r);
}

static inline size_t on_body(struct exchange *x, struct str piece)
{
    (void)x;
    size_t n = piece.n < sink_appetite ? piece.n : sink_appetite;
    assert_int_equal(buf_add(&taken, piece.p, n), 0);
    sink_appetite -= n;
    return n;
}

static inline void on_end(struct exchange *x)
{
    sink_ends++;
    held = NULL;
    run_echo(x, (struct str){0});
}

static inline void on_gone(struct exchange *x)
{
    gone++;
    held = NULL;
    exchange_error(x, 400, "BadRequest", "nobody hears this");
}

static const struct exchange_sink sink = {.on_body = on_body, .on_end = on_end, .on_gone = on_gone};

static inline void run_sink(struct exchange *x, struct str name)
{
    (void)name;
    held = x;
    x->sink = &sink;
}

static inline void run_refusing_sink(struct exchange *x, struct str name)
{
    (void)name;
    exchange_error(x, 409, "Conflict", "not now");
}

static inline void on_stream_gone(struct exchange *x)
{
    gone++;
    held = NULL;
    exchange_stream_end(x);
}

static inline void run_stream(struct exchange *x, struct str name)
{
    (void)name;
    held = x;
    x->on_stream_gone = on_stream_gone;
    exchange_stream_start(x, 200, "text/plain");
}

static const struct route routes[] = {
    {.pattern = "/echo", .run = run_echo},     {.pattern = "/later", .run = run_later},
    {.pattern = "/empty", .run = run_empty},   {.pattern = "/sink", .streams = true, .run = run_sink},
    {.pattern = "/stream", .run = run_stream}, {.pattern = "/refusing", .streams = true, .run = run_refusing_sink},
};

const struct route *route_find(struct exchange *x)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (str_is(x->request->path, routes[i].pattern))
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
    r->run(x, (struct str){0});
}

void gateway_check_drained(struct gateway *g)
{
    (void)g;
    drained_checks++;
}

/* --- the client --- */

static inline void turn_loop(void)
{
    for (int i = 0; i < 8; i++)
        ev_run(gateway.loop, EVRUN_NOWAIT);
}

static inline void connect_as(enum gateway_listener_kind kind)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(conn_open(&table, pair[1], kind, "192.0.2.1"), 0);
    fd_close(&client);
    client = pair[0];
    reply_len = 0;
}

static inline void send_bytes(const char *bytes, size_t n)
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

static inline void send_text(const char *text)
{
    send_bytes(text, strlen(text));
}

/* What has come so far. True when the other side has closed. */
static inline bool receive(void)
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

static inline unsigned count(const char *text)
{
    unsigned n = 0;
    for (const char *at = reply; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static inline void assert_has(const char *text)
{
    if (!strstr(reply, text))
        fail_msg("no '%s' in: %.2000s", text, reply);
}

static inline void assert_lacks(const char *text)
{
    if (strstr(reply, text))
        fail_msg("'%s' in: %.2000s", text, reply);
}

static inline void assert_nothing_held(void)
{
    assert_int_equal(table.open_exchanges, 0);
    assert_int_equal(table.flushing, 0);
    assert_int_equal(table.held_bytes, 0);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline char *make_body(size_t n)
{
    char *body = malloc(n + 1);
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 26);
    body[n] = '\0';
    return body;
}

/* Turns the loop until the peer has closed; each test of a deadline sets one that ends at once. */
static inline void wait_for_close(void)
{
    uint64_t end = clock_mono_ns() + 5000000000;
    while (!receive()) {
        assert_true(clock_mono_ns() < end);
        ev_run(gateway.loop, EVRUN_ONCE);
    }
}

#endif
