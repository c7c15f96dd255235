/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler may say of its reply, to the last byte, and the frames that a stream is sent in. */
#include "function/reply.h"

#include "faasd/frame.h"
#include "function/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    struct faasd_reply reply;
    int faasd; /* who reads it */
};

static int setup(void **state)
{
    static struct bench b;
    int pair[2];
    memset(&b, 0, sizeof(b));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    b.faasd = pair[0];
    b.reply.fd = pair[1];
    b.reply.id = 0x1122334455667788;
    faasd_reply_reset(&b.reply);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    faasd_reply_free(&b->reply);
    faasd_set_reply_limit((size_t)64 << 20);
    close(b->faasd);
    close(b->reply.fd);
    return 0;
}

static void expect_failed(struct faasd_reply *reply, const char *type, const char *message)
{
    assert_true(reply->failed);
    assert_string_equal(reply->type, type);
    assert_string_equal(reply->message, message);
    faasd_reply_reset(reply);
}

static void a_status_is_200_to_599(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    assert_int_equal(reply->status, 200);
    static const int good[] = {599, 200, 404};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(faasd_reply_status(reply, good[i]), 0);
        assert_int_equal(reply->status, good[i]);
    }
    assert_int_equal(faasd_reply_status(reply, 199), -1);
    expect_failed(reply, "BadStatus", "199 is no status that a reply may have (200 to 599)");
    assert_int_equal(reply->status, 200);
    assert_int_equal(faasd_reply_status(reply, 600), -1);
    expect_failed(reply, "BadStatus", "600 is no status that a reply may have (200 to 599)");
}

static void a_failed_reply_takes_nothing_more(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    assert_int_equal(faasd_fail(reply, "First", "cause %d", 1), -1);
    assert_int_equal(faasd_fail(reply, "Second", "cause"), -1);
    assert_int_equal(faasd_reply_status(reply, 404), -1);
    assert_int_equal(faasd_reply_header(reply, "a", "b"), -1);
    assert_int_equal(faasd_reply_text(reply, "x"), -1);
    assert_int_equal(faasd_reply_printf(reply, "%d", 1), -1);
    assert_int_equal(faasd_reply_flush(reply), -1);
    faasd_reply_complete(reply);
    assert_true(reply->status == 200 && reply->fields.length == 0 && reply->body.length == 0);
    expect_failed(reply, "First", "cause 1");
}

static void a_type_of_error_is_one_printable_word(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    faasd_fail(reply, "a b\x1f!~\x7f\xe4", "x");
    expect_failed(reply, "a_b_!~__", "x");
    faasd_fail(reply, "", "x");
    expect_failed(reply, "Error", "x");
    char type[REPLY_ERROR_TYPE_MAX + 10], message[REPLY_ERROR_MESSAGE_MAX + 10];
    memset(type, 't', sizeof(type));
    memset(message, 'm', sizeof(message));
    type[sizeof(type) - 1] = message[sizeof(message) - 1] = '\0';
    faasd_fail(reply, type, "%s", message);
    type[REPLY_ERROR_TYPE_MAX - 1] = message[REPLY_ERROR_MESSAGE_MAX - 1] = '\0';
    expect_failed(reply, type, message);
}

static void a_headers_name_is_a_token_and_its_value_has_no_controls(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    static const char *const good[][2] = {{"azAZ09!#$%&'*+-.^_`|~", ""}, {"x", "\t ~\x80\xff"}};
    static const char *const bad[][2] = {{"", "v"},     {"a b", "v"}, {"a:", "v"},   {"a\x7f", "v"}, {"a@", "v"},
                                         {"a[", "v"},   {"a{", "v"},  {"a/", "v"},   {"(a", "v"},    {"a\xe4", "v"},
                                         {"x", "a\nb"}, {"x", "\r"},  {"x", "\x7f"}, {"x", "\x1f"}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(faasd_reply_header(reply, good[i][0], good[i][1]), 0);
    assert_int_equal(reply->fields.length, 21 + 1 + 1 + 2 + 6);
    assert_memory_equal(reply->fields.data, "azAZ09!#$%&'*+-.^_`|~\0\0x\0\t ~\x80\xff", 31);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(faasd_reply_header(reply, bad[i][0], bad[i][1]), -1);
        expect_failed(reply, "BadHeader", "a header's name is no token or its value holds a control character");
    }
}

static void a_type_is_said_once_and_filled_in_where_it_is_missing(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    faasd_reply_complete(reply);
    assert_int_equal(reply->fields.length, 0); /* nothing has no type */
    assert_int_equal(faasd_reply_text(reply, "x"), 0);
    faasd_reply_complete(reply);
    assert_memory_equal(reply->fields.data, "content-type\0application/octet-stream", 38);
    faasd_reply_reset(reply);
    assert_int_equal(faasd_reply_header(reply, "Content-Type", "text/plain"), 0);
    assert_int_equal(faasd_reply_text(reply, "x"), 0);
    faasd_reply_complete(reply);
    assert_int_equal(reply->fields.length, 13 + 11);
    assert_int_equal(faasd_reply_type(reply, "text/html"), -1);
    expect_failed(reply, "BadHeader", "Content-Type is set twice");
    assert_int_equal(faasd_reply_type(reply, "text/html"), 0); /* of the next request */
}

static void headers_have_a_limit_together_and_each(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    static char value[REPLY_FIELDS_MAX + 1];
    memset(value, 'v', sizeof(value) - 1);
    value[REPLY_FIELDS_MAX - 3] = '\0'; /* with its NUL, and a name of one byte and a NUL */
    assert_int_equal(faasd_reply_header(reply, "n", value), 0);
    assert_int_equal(reply->fields.length, REPLY_FIELDS_MAX);
    assert_int_equal(faasd_reply_header(reply, "n", ""), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply's headers are larger than 65536 bytes");
    value[REPLY_FIELDS_MAX - 3] = 'v';
    value[REPLY_FIELDS_MAX - 2] = '\0';
    assert_int_equal(faasd_reply_header(reply, "n", value), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply's headers are larger than 65536 bytes");
    value[REPLY_FIELDS_MAX - 2] = 'v';
    assert_int_equal(faasd_reply_header(reply, "n", value), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply's headers are larger than 65536 bytes");
    assert_int_equal(faasd_reply_header(reply, value, "v"), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply's headers are larger than 65536 bytes");
}

static void a_body_has_a_limit(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    faasd_set_reply_limit(10);
    assert_int_equal(faasd_reply_text(reply, "01234"), 0);
    assert_int_equal(faasd_reply_write(reply, "56789", 5), 0);
    assert_int_equal(faasd_reply_write(reply, NULL, 0), 0);
    assert_int_equal(reply->body.length, 10);
    assert_memory_equal(reply->body.data, "0123456789", 10);
    assert_int_equal(faasd_reply_text(reply, "x"), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply is larger than 10 bytes");
    assert_int_equal(faasd_reply_text(reply, "01234567890"), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply is larger than 10 bytes");
    assert_int_equal(faasd_reply_printf(reply, "%s-%d", "ab", 123456), 0); /* and room for a NUL, which isn't sent */
    assert_int_equal(reply->body.length, 9);
    assert_int_equal(faasd_reply_printf(reply, "%c", 'x'), -1);
    expect_failed(reply, "ReplyTooLarge", "the reply is larger than 10 bytes");
}

static void a_buffer_that_one_reply_grew_is_given_back(void **state)
{
    struct faasd_reply *reply = &((struct bench *)*state)->reply;
    static char bytes[REPLY_KEPT_BYTES + 1];
    assert_int_equal(faasd_reply_make_room(reply), 0);
    assert_true(reply->fields.room == 1024 && reply->body.room == 1024);
    assert_int_equal(faasd_reply_write(reply, bytes, 1024), 0);
    assert_int_equal(reply->body.room, 1024);
    assert_int_equal(faasd_reply_write(reply, bytes, 1), 0);
    assert_int_equal(reply->body.room, 2048);
    faasd_reply_reset(reply);
    assert_int_equal(faasd_reply_write(reply, bytes, REPLY_KEPT_BYTES), 0);
    faasd_reply_reset(reply);
    assert_true(reply->body.data && reply->body.room == REPLY_KEPT_BYTES && reply->body.length == 0);
    assert_int_equal(faasd_reply_write(reply, bytes, REPLY_KEPT_BYTES + 1), 0);
    faasd_reply_reset(reply);
    assert_true(!reply->body.data && reply->body.room == 0);
}

/* ---- streams ---- */

static struct faasd_frame expect_frame(struct bench *b, uint16_t type, char *payload, size_t room)
{
    struct faasd_frame f;
    assert_int_equal(recv(b->faasd, &f, sizeof(f), MSG_WAITALL), sizeof(f));
    assert_true(f.type == type && f.reserved == 0 && f.id == b->reply.id && f.length <= room);
    for (size_t at = 0; at < f.length;) {
        ssize_t n = read(b->faasd, payload + at, f.length - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    return f;
}

static void expect_nothing(struct bench *b)
{
    char byte;
    assert_int_equal(recv(b->faasd, &byte, 1, MSG_DONTWAIT), -1);
}

static void a_stream_is_a_head_chunks_and_an_empty_one(void **state)
{
    struct bench *b = *state;
    static char in[1 << 18], bytes[REPLY_FLUSH_BYTES];
    assert_int_equal(faasd_reply_status(&b->reply, 202), 0);
    assert_int_equal(faasd_reply_type(&b->reply, "text/plain"), 0);
    assert_int_equal(faasd_reply_text(&b->reply, "one"), 0);
    expect_nothing(b);
    assert_int_equal(faasd_reply_flush(&b->reply), 0);
    struct faasd_reply_head head;
    struct faasd_frame f = expect_frame(b, FAASD_FRAME_REPLY, in, sizeof(in));
    memcpy(&head, in, sizeof(head));
    assert_true(head.status == 202 && head.flags == FAASD_REPLY_MORE && head.body_length == 0);
    assert_int_equal(head.fields_length, 24);
    assert_int_equal(f.length, sizeof(head) + 24);
    assert_memory_equal(in + sizeof(head), "content-type\0text/plain", 24);
    f = expect_frame(b, FAASD_FRAME_CHUNK, in, sizeof(in));
    assert_int_equal(f.length, 3);
    assert_memory_equal(in, "one", 3);
    assert_int_equal(faasd_reply_flush(&b->reply), 0); /* of nothing: no empty CHUNK, which would be the end */
    expect_nothing(b);

    assert_int_equal(faasd_reply_write(&b->reply, bytes, REPLY_FLUSH_BYTES - 1), 0);
    expect_nothing(b);
    assert_int_equal(faasd_reply_text(&b->reply, "x"), 0); /* so much isn't kept back: in two */
    f = expect_frame(b, FAASD_FRAME_CHUNK, in, sizeof(in));
    assert_int_equal(f.length, FAASD_CHUNK_MAX);
    f = expect_frame(b, FAASD_FRAME_CHUNK, in, sizeof(in));
    assert_int_equal(f.length, REPLY_FLUSH_BYTES - FAASD_CHUNK_MAX);
    assert_int_equal(in[f.length - 1], 'x');

    assert_int_equal(faasd_reply_text(&b->reply, "last"), 0);
    assert_int_equal(faasd_reply_end_stream(&b->reply), 0);
    f = expect_frame(b, FAASD_FRAME_CHUNK, in, sizeof(in));
    assert_memory_equal(in, "last", 4);
    assert_int_equal(f.length, 4);
    assert_int_equal(expect_frame(b, FAASD_FRAME_CHUNK, in, sizeof(in)).length, 0);
    faasd_reply_reset(&b->reply);
    assert_false(b->reply.streams);
}

static void a_streams_head_can_not_be_changed_any_more(void **state)
{
    struct bench *b = *state;
    assert_int_equal(faasd_reply_flush(&b->reply), 0);
    assert_memory_equal(b->reply.fields.data, "content-type\0application/octet-stream", 38);
    assert_int_equal(faasd_reply_status(&b->reply, 404), -1);
    expect_failed(&b->reply, "HeadersSent", "a status after the first flush of the reply");
    assert_int_equal(faasd_reply_flush(&b->reply), 0);
    assert_int_equal(faasd_reply_header(&b->reply, "a", "b"), -1);
    expect_failed(&b->reply, "HeadersSent", "a header after the first flush of the reply");
}

static void a_stream_that_nobody_reads_fails(void **state)
{
    struct bench *b = *state;
    close(b->faasd);
    b->faasd = -1;
    assert_int_equal(faasd_reply_flush(&b->reply), -1);
    assert_false(b->reply.streams);
    expect_failed(&b->reply, "ConnectionLost", "faasd does not read the reply");
    b->reply.streams = true;
    assert_int_equal(faasd_reply_end_stream(&b->reply), -1);
    assert_int_equal(faasd_reply_text(&b->reply, "x"), 0);
    assert_int_equal(faasd_reply_flush(&b->reply), -1);
    expect_failed(&b->reply, "ConnectionLost", "faasd does not read the reply");
}

/* ---- the frames beside a reply ---- */

static void ready_says_which_library_it_is_and_whether_it_forks(void **state)
{
    struct bench *b = *state;
    char in[256];
    b->reply.id = 0;
    static const char want[] = "runtime\0libfaasd " FAASD_LIBRARY_VERSION "\0template\0yes";
    assert_int_equal(faasd_channel_send_ready(b->reply.fd, "yes"), 0);
    struct faasd_frame f = expect_frame(b, FAASD_FRAME_READY, in, sizeof(in));
    assert_int_equal(f.length, sizeof(want));
    assert_memory_equal(in, want, sizeof(want));
    assert_int_equal(faasd_channel_send_ready(b->reply.fd, NULL), 0);
    f = expect_frame(b, FAASD_FRAME_READY, in, sizeof(in));
    assert_int_equal(f.length, sizeof(want) - sizeof("template\0yes"));
    assert_int_equal(faasd_channel_send_error(b->reply.fd, 0, "Type", "message", -1), 0);
    f = expect_frame(b, FAASD_FRAME_ERROR, in, sizeof(in));
    struct faasd_error_head head;
    memcpy(&head, in, sizeof(head));
    assert_true(head.type_length == 4 && head.message_length == 7 && head.trace_length == 0 && head.flags == 0);
    assert_int_equal(f.length, sizeof(head) + 11);
    assert_memory_equal(in + sizeof(head), "Typemessage", 11);
    expect_nothing(b);
}

static void a_child_s_ready_brings_its_log_once(void **state)
{
    struct bench *b = *state;
    int log[2];
    assert_int_equal(pipe(log), 0);
    assert_int_equal(faasd_channel_send_child_ready(b->reply.fd, log[0]), 0);
    assert_int_equal(faasd_channel_send_error(b->reply.fd, 1, "T", "m", log[0]), 0);
    for (int i = 0; i < 2; i++) {
        struct faasd_frame f;
        union {
            struct cmsghdr h;
            char space[CMSG_SPACE(2 * sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = &f, .iov_len = sizeof(f)};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        assert_int_equal(recvmsg(b->faasd, &m, MSG_CMSG_CLOEXEC), sizeof(f));
        assert_true(f.type == (i ? FAASD_FRAME_ERROR : FAASD_FRAME_READY) && f.id == (uint64_t)i);
        assert_int_equal(m.msg_controllen, CMSG_SPACE(sizeof(int)));
        assert_int_equal(control.h.cmsg_len, CMSG_LEN(sizeof(int)));
        assert_true(control.h.cmsg_level == SOL_SOCKET && control.h.cmsg_type == SCM_RIGHTS);
        int fd;
        memcpy(&fd, CMSG_DATA(&control.h), sizeof(fd));
        assert_int_equal(write(log[1], "x", 1), 1);
        char byte = 0;
        assert_int_equal(read(fd, &byte, 1), 1);
        assert_int_equal(byte, 'x');
        close(fd);
    }
    close(log[0]);
    close(log[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_status_is_200_to_599),
        TEST(a_failed_reply_takes_nothing_more),
        TEST(a_type_of_error_is_one_printable_word),
        TEST(a_headers_name_is_a_token_and_its_value_has_no_controls),
        TEST(a_type_is_said_once_and_filled_in_where_it_is_missing),
        TEST(headers_have_a_limit_together_and_each),
        TEST(a_body_has_a_limit),
        TEST(a_buffer_that_one_reply_grew_is_given_back),
        TEST(a_stream_is_a_head_chunks_and_an_empty_one),
        TEST(a_streams_head_can_not_be_changed_any_more),
        TEST(a_stream_that_nobody_reads_fails),
        TEST(ready_says_which_library_it_is_and_whether_it_forks),
        TEST(a_child_s_ready_brings_its_log_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
