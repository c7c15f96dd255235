/* SPDX-License-Identifier: Apache-2.0 */
/* The function library against a socketpair: this test is faasd, a thread is the worker. */
#include "faasd/frame.h"
#include "faasd/function.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct worker {
    int ours;
    int theirs;
    int (*init)(void);
    faasd_handler handler;
    pthread_t thread;
    int result;
};

static void *run_worker(void *argument)
{
    struct worker *w = argument;
    w->result = faasd_serve_fd(w->theirs, w->init, w->handler);
    close(w->theirs);
    return NULL;
}

static void start(struct worker *w, faasd_handler handler)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    w->ours = pair[0];
    w->theirs = pair[1];
    w->handler = handler;
    assert_int_equal(pthread_create(&w->thread, NULL, run_worker, w), 0);
}

static int stop(struct worker *w)
{
    close(w->ours);
    pthread_join(w->thread, NULL);
    return w->result;
}

static void read_all(int fd, void *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)out + at, n - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
}

static struct faasd_frame read_frame(struct worker *w, char **ret_payload)
{
    struct faasd_frame f;
    read_all(w->ours, &f, sizeof(f));
    *ret_payload = malloc((size_t)f.length + 1);
    assert_non_null(*ret_payload);
    read_all(w->ours, *ret_payload, f.length);
    (*ret_payload)[f.length] = '\0';
    return f;
}

static const char ready_fields[] = "runtime\0libfaasd " FAASD_LIBRARY_VERSION;

static void expect_ready(struct worker *w)
{
    char *payload;
    struct faasd_frame f = read_frame(w, &payload);
    assert_int_equal(f.type, FAASD_FRAME_READY);
    assert_int_equal(f.length, sizeof(ready_fields));
    assert_memory_equal(payload, ready_fields, sizeof(ready_fields));
    assert_int_equal(f.id, 0);
    free(payload);
}

static const char usual_fields[] =
    "request_id\0r-1\0method\0POST\0path\0/a%20b\0query\0x=1\0http.host\0h\0http.x-a\0one\0http.x-a\0two";

static size_t make_invoke(char *out, uint64_t id, uint64_t deadline_ms, const char *event, size_t event_length)
{
    struct faasd_invoke_head head = {
        .deadline_ms = deadline_ms,
        .fields_length = sizeof(usual_fields),
        .event_length = (uint32_t)event_length,
    };
    struct faasd_frame f = {
        .length = (uint32_t)(sizeof(head) + sizeof(usual_fields) + event_length),
        .type = FAASD_FRAME_INVOKE,
        .id = id,
    };
    memcpy(out, &f, sizeof(f));
    memcpy(out + sizeof(f), &head, sizeof(head));
    memcpy(out + sizeof(f) + sizeof(head), usual_fields, sizeof(usual_fields));
    memcpy(out + sizeof(f) + sizeof(head) + sizeof(usual_fields), event, event_length);
    return sizeof(f) + f.length;
}

static void send_bytes(struct worker *w, const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(w->ours, bytes + at, n - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
}

static void invoke(struct worker *w, uint64_t id, const char *event)
{
    char frame[4096];
    send_bytes(w, frame, make_invoke(frame, id, 0, event, strlen(event)));
}

static void expect_reply(struct worker *w, uint64_t id, unsigned status, const char *fields, const char *body)
{
    char *payload;
    struct faasd_reply_head head;
    struct faasd_frame f = read_frame(w, &payload);
    assert_int_equal(f.type, FAASD_FRAME_REPLY);
    assert_int_equal(f.reserved, 0);
    assert_int_equal(f.id, id);
    memcpy(&head, payload, sizeof(head));
    assert_int_equal(head.status, status);
    assert_int_equal(head.flags, 0);
    assert_int_equal(sizeof(head) + head.fields_length + head.body_length, f.length);
    if (fields)
        assert_memory_equal(payload + sizeof(head), fields, strlen(fields) + 1);
    assert_string_equal(payload + sizeof(head) + head.fields_length, body);
    free(payload);
}

static void expect_error(struct worker *w, uint64_t id, const char *type, const char *message)
{
    char *payload;
    char text[2048];
    struct faasd_error_head head;
    struct faasd_frame f = read_frame(w, &payload);
    assert_int_equal(f.type, FAASD_FRAME_ERROR);
    assert_int_equal(f.id, id);
    memcpy(&head, payload, sizeof(head));
    assert_int_equal(sizeof(head) + head.type_length + head.message_length + head.trace_length, f.length);
    snprintf(text, sizeof(text), "%s%s", type, message);
    assert_string_equal(payload + sizeof(head), text);
    assert_int_equal(head.type_length, strlen(type));
    free(payload);
}

static int echo(const struct faasd_event *event, struct faasd_reply *reply)
{
    assert_int_equal(event->body[event->body_length], '\0');
    return faasd_reply_write(reply, event->body, event->body_length);
}

static int stream(const struct faasd_event *event, struct faasd_reply *reply)
{
    static const char block[FAASD_CHUNK_MAX + 10];
    const char *what = event->body;
    faasd_reply_status(reply, 201);
    faasd_reply_text(reply, "one");
    if (faasd_reply_flush(reply) != 0)
        return -1;
    if (!strcmp(what, "status"))
        assert_int_equal(faasd_reply_status(reply, 200), -1);
    if (!strcmp(what, "header"))
        assert_int_equal(faasd_reply_header(reply, "X-A", "b"), -1);
    if (!strcmp(what, "fail"))
        return faasd_fail(reply, "MidStream", "half way");
    if (!strcmp(what, "much"))
        return faasd_reply_write(reply, block, sizeof(block));
    return faasd_reply_text(reply, "two");
}

static void expect_begin(struct worker *w, uint64_t id)
{
    char *payload;
    struct faasd_reply_head head;
    struct faasd_frame f = read_frame(w, &payload);
    assert_int_equal(f.type, FAASD_FRAME_REPLY);
    assert_int_equal(f.id, id);
    memcpy(&head, payload, sizeof(head));
    assert_int_equal(head.status, 201);
    assert_int_equal(head.flags, FAASD_REPLY_MORE);
    assert_int_equal(head.body_length, 0);
    assert_string_equal(payload + sizeof(head), "content-type");
    free(payload);
}

static void expect_chunk(struct worker *w, uint64_t id, size_t length, const char *bytes)
{
    char *payload;
    struct faasd_frame f = read_frame(w, &payload);
    assert_int_equal(f.type, FAASD_FRAME_CHUNK);
    assert_int_equal(f.id, id);
    assert_int_equal(f.length, length);
    if (bytes)
        assert_memory_equal(payload, bytes, length);
    free(payload);
}

static void what_is_flushed_leaves_at_once_and_the_rest_at_the_end(void **state)
{
    (void)state;
    struct worker w = {0};
    start(&w, stream);
    expect_ready(&w);
    for (uint64_t id = 1; id < 4; id++) {
        invoke(&w, id, "plain");
        expect_begin(&w, id);
        expect_chunk(&w, id, 3, "one");
        expect_chunk(&w, id, 3, "two");
        expect_chunk(&w, id, 0, NULL);
    }
    invoke(&w, 9, "much");
    expect_begin(&w, 9);
    expect_chunk(&w, 9, 3, "one");
    expect_chunk(&w, 9, FAASD_CHUNK_MAX, NULL);
    expect_chunk(&w, 9, 10, NULL);
    expect_chunk(&w, 9, 0, NULL);
    assert_int_equal(stop(&w), 0);
}

static void a_stream_that_fails_ends_with_an_error(void **state)
{
    static const struct {
        const char *event, *type, *message;
    } CASES[] = {
        {"fail", "MidStream", "half way"},
        {"status", "HeadersSent", "a status after the first flush of the reply"},
        {"header", "HeadersSent", "a header after the first flush of the reply"},
    };
    (void)state;
    struct worker w = {0};
    start(&w, stream);
    expect_ready(&w);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        invoke(&w, i + 1, CASES[i].event);
        expect_begin(&w, i + 1);
        expect_chunk(&w, i + 1, 3, "one");
        expect_error(&w, i + 1, CASES[i].type, CASES[i].message);
    }
    assert_int_equal(stop(&w), 0);
}

static void a_worker_says_ready_answers_and_leaves_at_end_of_file(void **state)
{
    (void)state;
    struct worker w = {0};
    start(&w, echo);
    expect_ready(&w);
    invoke(&w, 7, "hello");
    expect_reply(&w, 7, 200, "content-type", "hello");
    invoke(&w, UINT64_MAX, "");
    expect_reply(&w, UINT64_MAX, 200, NULL, "");
    assert_int_equal(stop(&w), 0);
}

static int describe(const struct faasd_event *e, struct faasd_reply *reply)
{
    const char *none = faasd_header(e, "x-none");
    faasd_reply_status(reply, 201);
    faasd_reply_type(reply, "text/plain");
    faasd_reply_header(reply, "X-B", "c d");
    return faasd_reply_printf(reply, "%s %s %s %s %s %s %s", e->request_id, e->method, e->path, e->query,
                              faasd_header(e, "Host"), faasd_header(e, "X-A"), none ? none : "-");
}

static void an_event_carries_what_the_request_said(void **state)
{
    (void)state;
    struct worker w = {0};
    start(&w, describe);
    expect_ready(&w);
    invoke(&w, 1, "");
    expect_reply(&w, 1, 201, "content-type", "r-1 POST /a%20b x=1 h one -");
    assert_int_equal(stop(&w), 0);
}

static void frames_may_come_in_any_pieces(void **state)
{
    (void)state;
    struct worker w = {0};
    char frames[8192];
    start(&w, echo);
    expect_ready(&w);
    size_t n = make_invoke(frames, 1, 0, "first", 5);
    for (size_t i = 0; i < n; i++)
        send_bytes(&w, frames + i, 1);
    expect_reply(&w, 1, 200, NULL, "first");
    n = make_invoke(frames, 2, 0, "second", 6);
    n += make_invoke(frames + n, 3, 0, "third", 5);
    send_bytes(&w, frames, n - 3);
    expect_reply(&w, 2, 200, NULL, "second");
    send_bytes(&w, frames + n - 3, 3);
    expect_reply(&w, 3, 200, NULL, "third");
    assert_int_equal(stop(&w), 0);
}

static void a_large_event_and_reply_go_through_a_small_socket_buffer(void **state)
{
    (void)state;
    struct worker w = {0};
    size_t size = (size_t)5 << 20;
    char *event = malloc(size + 1);
    char *frame = malloc(size + 4096);
    assert_non_null(event);
    assert_non_null(frame);
    memset(event, 'x', size);
    event[size] = '\0';
    start(&w, echo);
    expect_ready(&w);
    for (uint64_t id = 1; id <= 2; id++) {
        send_bytes(&w, frame, make_invoke(frame, id, 0, event, size));
        expect_reply(&w, id, 200, NULL, event);
    }
    invoke(&w, 3, "small again");
    expect_reply(&w, 3, 200, NULL, "small again");
    assert_int_equal(stop(&w), 0);
    free(event);
    free(frame);
}

static int misbehave(const struct faasd_event *e, struct faasd_reply *reply)
{
    switch (e->body[0]) {
    case 'f':
        faasd_reply_text(reply, "dropped");
        return faasd_fail(reply, "BadThing", "%d of %s", 3, "them");
    case 'w':
        return faasd_fail(reply, "two words\n", "x");
    case 'r':
        return 9;
    case 's':
        faasd_reply_status(reply, 100);
        return 0;
    case 'h':
        return faasd_reply_header(reply, "X-A", "b\r\nSet-Cookie: c");
    case 'n':
        return faasd_reply_header(reply, "X A", "b");
    case 't':
        faasd_reply_type(reply, "a/b");
        return faasd_reply_type(reply, "c/d");
    default:
        while (faasd_reply_text(reply, "0123456789") == 0) {
        }
        return 0;
    }
}

static void an_error_tells_its_type_and_the_next_request_is_served(void **state)
{
    (void)state;
    struct worker w = {0};
    faasd_set_reply_limit(1000);
    start(&w, misbehave);
    expect_ready(&w);
    invoke(&w, 1, "fail");
    expect_error(&w, 1, "BadThing", "3 of them");
    invoke(&w, 2, "return");
    expect_error(&w, 2, "HandlerError", "the handler returned 9");
    invoke(&w, 3, "status");
    expect_error(&w, 3, "BadStatus", "100 is no status that a reply may have (200 to 599)");
    const char *bad = "a header's name is no token or its value holds a control character";
    invoke(&w, 4, "header");
    expect_error(&w, 4, "BadHeader", bad);
    invoke(&w, 5, "name");
    expect_error(&w, 5, "BadHeader", bad);
    invoke(&w, 6, "type");
    expect_error(&w, 6, "BadHeader", "Content-Type is set twice");
    invoke(&w, 7, "limit");
    expect_error(&w, 7, "ReplyTooLarge", "the reply is larger than 1000 bytes");
    faasd_set_reply_limit((size_t)64 << 20);
    invoke(&w, 8, "fail");
    expect_error(&w, 8, "BadThing", "3 of them");
    invoke(&w, 9, "words");
    expect_error(&w, 9, "two_words_", "x");
    assert_int_equal(stop(&w), 0);
}

static int tell_time(const struct faasd_event *e, struct faasd_reply *reply)
{
    int64_t left = faasd_remaining_ms(e);
    return faasd_reply_text(reply, left == INT64_MAX ? "never" : left == 0 ? "over" : left <= 60000 ? "soon" : "?");
}

static void the_deadline_counts_down(void **state)
{
    (void)state;
    struct worker w = {0};
    char frame[1024];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    start(&w, tell_time);
    expect_ready(&w);
    send_bytes(&w, frame, make_invoke(frame, 1, 0, "", 0));
    expect_reply(&w, 1, 200, NULL, "never");
    send_bytes(&w, frame, make_invoke(frame, 2, now_ms + 60000, "", 0));
    expect_reply(&w, 2, 200, NULL, "soon");
    send_bytes(&w, frame, make_invoke(frame, 3, now_ms - 1, "", 0));
    expect_reply(&w, 3, 200, NULL, "over");
    assert_int_equal(stop(&w), 0);
}

/* A stream that is out of step cannot be mended: the worker leaves, and faasd replaces it. */
static void a_broken_frame_ends_the_worker(void **state)
{
    (void)state;
    static const struct {
        struct faasd_frame frame;
        struct faasd_invoke_head head;
    } broken[] = {
        {{.length = 16, .type = 99}, {0}},
        {{.length = UINT32_MAX, .type = FAASD_FRAME_INVOKE}, {0}},
        {{.length = 15, .type = FAASD_FRAME_INVOKE}, {0}},
        {{.length = 16, .type = FAASD_FRAME_INVOKE}, {.fields_length = 1}},
        {{.length = 16, .type = FAASD_FRAME_INVOKE}, {.fields_length = UINT32_MAX, .event_length = 1}},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct worker w = {0};
        char byte;
        start(&w, echo);
        expect_ready(&w);
        send_bytes(&w, (const char *)&broken[i], sizeof(broken[i]));
        assert_int_equal(read(w.ours, &byte, 1) > 0, 0); /* end of file, or reset: our bytes were not all read */
        assert_int_equal(stop(&w), 1);
    }
}

static void a_cut_field_ends_the_worker(void **state)
{
    (void)state;
    struct worker w = {0};
    char frame[1024];
    char byte;
    start(&w, echo);
    expect_ready(&w);
    size_t n = make_invoke(frame, 1, 0, "", 0);
    frame[n - 1] = 'x'; /* the last field's NUL */
    send_bytes(&w, frame, n);
    assert_int_equal(read(w.ours, &byte, 1) > 0, 0);
    assert_int_equal(stop(&w), 1);
}

static int refuse_to_start(void)
{
    return 1;
}

static void a_failed_init_says_so_in_the_place_of_ready(void **state)
{
    (void)state;
    struct worker w = {.init = refuse_to_start};
    char byte;
    start(&w, echo);
    expect_error(&w, 0, "InitFailed", "init returned 1");
    assert_int_equal(read(w.ours, &byte, 1), 0);
    assert_int_equal(stop(&w), 1);
}

static void end_of_file_inside_a_frame_is_an_error(void **state)
{
    (void)state;
    struct worker w = {0};
    start(&w, echo);
    expect_ready(&w);
    send_bytes(&w, "\x10\0\0", 3);
    assert_int_equal(stop(&w), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_says_ready_answers_and_leaves_at_end_of_file),
        cmocka_unit_test(what_is_flushed_leaves_at_once_and_the_rest_at_the_end),
        cmocka_unit_test(a_stream_that_fails_ends_with_an_error),
        cmocka_unit_test(an_event_carries_what_the_request_said),
        cmocka_unit_test(frames_may_come_in_any_pieces),
        cmocka_unit_test(a_large_event_and_reply_go_through_a_small_socket_buffer),
        cmocka_unit_test(an_error_tells_its_type_and_the_next_request_is_served),
        cmocka_unit_test(the_deadline_counts_down),
        cmocka_unit_test(a_broken_frame_ends_the_worker),
        cmocka_unit_test(a_cut_field_ends_the_worker),
        cmocka_unit_test(a_failed_init_says_so_in_the_place_of_ready),
        cmocka_unit_test(end_of_file_inside_a_frame_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
