/* SPDX-License-Identifier: Apache-2.0 */
/* A worker on the other end of a socketpair that says right and wrong things. */
#include "native_channel_fixture.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool reads_are_short;

/* Stands before the C library's recv(2): a stream may come byte by byte. */
ssize_t recv_short(int fd, void *buffer, size_t size, int flags) __asm__("recv");
ssize_t recv_short(int fd, void *buffer, size_t size, int flags)
{
    return syscall(SYS_recvfrom, fd, buffer, reads_are_short && size > 1 ? 1 : size, flags, NULL, NULL);
}

/* The last event, and the first of its texts. */
static void expect_type(const struct bench *b, const char *told, const char *type)
{
    assert_string_equal(b->told, told);
    assert_memory_equal(b->words, type, strlen(type));
    assert_int_equal(b->words[strlen(type)], '|');
}

static int setup_forked(void **state)
{
    return setup_as(state, true);
}

static void invoke(struct bench *b)
{
    char in[256];
    struct native_request r = {
        .fields = STR_LITERAL("method\0GET\0"), .event = STR_LITERAL("{}"), .reply_max = REPLY_MAX};
    assert_int_equal(native_channel_invoke(&b->channel, &r), 0);
    struct faasd_frame f;
    ssize_t n = read(b->worker, in, sizeof(in));
    assert_true(n > (ssize_t)sizeof(f));
    memcpy(&f, in, sizeof(f));
    assert_int_equal(f.type, FAASD_FRAME_INVOKE);
    assert_int_equal(f.length + sizeof(f), n);
    assert_int_equal(f.id, b->channel.request);
}

struct whole_reply {
    struct faasd_frame frame;
    struct faasd_reply_head head;
    char body[5];
};

static struct whole_reply good_reply(const struct bench *b)
{
    struct whole_reply r;
    memset(&r, 0, sizeof(r));
    r.frame.length = sizeof(r.head) + sizeof(r.body);
    r.frame.type = FAASD_FRAME_REPLY;
    r.frame.id = b->channel.request;
    r.head.status = 200;
    r.head.body_length = sizeof(r.body);
    memcpy(r.body, "hello", 5);
    return r;
}

enum { REPLY_BYTES = sizeof(struct faasd_frame) + sizeof(struct faasd_reply_head) + 5 };

static void a_reply_split_anywhere_arrives_whole(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    for (size_t at = 1; at < REPLY_BYTES; at++) {
        invoke(b);
        struct whole_reply r = good_reply(b);
        say(b, &r, at);
        assert_string_equal(b->told, "");
        say(b, (char *)&r + at, REPLY_BYTES - at);
        assert_string_equal(b->told, "reply");
        assert_int_equal(b->status, 200);
        assert_memory_equal(b->body, "hello", 5);
        b->told[0] = '\0';
    }
}

static void a_large_reply_arrives_whole(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    invoke(b);
    static char body[200000];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 7);
    struct whole_reply r = good_reply(b);
    r.frame.length = sizeof(r.head) + sizeof(body);
    r.head.body_length = sizeof(body);
    say(b, &r, sizeof(r.frame) + sizeof(r.head));
    for (size_t at = 0; at < sizeof(body); at += 10000)
        say(b, body + at, 10000);
    assert_string_equal(b->told, "reply");
    assert_int_equal(b->body_len, sizeof(body));
    assert_memory_equal(b->body, body, sizeof(body));
}

/* ---- replies in pieces ---- */

enum { STREAM_BYTES = REPLY_BYTES + 3 * sizeof(struct faasd_frame) + 6 };

static size_t put_chunk(const struct bench *b, char *to, const char *bytes)
{
    struct faasd_frame f = {.length = (uint32_t)strlen(bytes), .type = FAASD_FRAME_CHUNK, .id = b->channel.request};
    memcpy(to, &f, sizeof(f));
    memcpy(to + sizeof(f), bytes, f.length);
    return sizeof(f) + f.length;
}

/* "hello", " my", "you" and the end. */
static void make_stream(const struct bench *b, char out[STREAM_BYTES])
{
    struct whole_reply r = good_reply(b);
    r.head.flags = FAASD_REPLY_MORE;
    memcpy(out, &r, REPLY_BYTES);
    size_t at = REPLY_BYTES;
    at += put_chunk(b, out + at, " my");
    at += put_chunk(b, out + at, "you");
    at += put_chunk(b, out + at, "");
    assert_int_equal(at, STREAM_BYTES);
}

static void a_reply_in_pieces_split_anywhere_arrives_in_order(void **state)
{
    struct bench *b = *state;
    char stream[STREAM_BYTES];
    make_ready(b);
    for (size_t at = 1; at < STREAM_BYTES; at++) {
        invoke(b);
        make_stream(b, stream);
        say(b, stream, at);
        assert_string_not_equal(b->told, "end");
        say(b, stream + at, STREAM_BYTES - at);
        assert_string_equal(b->told, "end");
        assert_int_equal(b->body_len, 11);
        assert_memory_equal(b->body, "hello myyou", 11);
        assert_int_equal(b->channel.state, NATIVE_CHANNEL_IDLE);
        b->told[0] = '\0';
    }
}

static void a_reply_in_pieces_byte_by_byte_arrives_in_order(void **state)
{
    struct bench *b = *state;
    char stream[STREAM_BYTES];
    make_ready(b);
    invoke(b);
    make_stream(b, stream);
    for (size_t at = 0; at < STREAM_BYTES; at++)
        say(b, stream + at, 1);
    assert_string_equal(b->told, "end");
    assert_memory_equal(b->body, "hello myyou", 11);
}

static void a_pause_holds_back_what_has_not_been_read(void **state)
{
    struct bench *b = *state;
    char stream[STREAM_BYTES];
    size_t first = REPLY_BYTES + sizeof(struct faasd_frame) + 3;
    make_ready(b);
    invoke(b);
    make_stream(b, stream);
    b->pauses = true;
    say(b, stream, first);
    say(b, stream + first, STREAM_BYTES - first);
    assert_int_equal(b->body_len, 8);
    assert_false(ev_is_active(&b->channel.reader));
    native_channel_resume(&b->channel);
    turn(b);
    assert_string_equal(b->told, "end");
    assert_int_equal(b->body_len, 11);
    assert_true(ev_is_active(&b->channel.reader)); /* the end resumes by itself */
    assert_false(b->channel.paused);
}

static void what_a_dead_worker_left_is_told_in_spite_of_a_pause(void **state)
{
    struct bench *b = *state;
    char stream[STREAM_BYTES];
    make_ready(b);
    invoke(b);
    make_stream(b, stream);
    b->pauses = true;
    size_t first = REPLY_BYTES + sizeof(struct faasd_frame) + 3;
    say(b, stream, first);
    assert_int_equal(write(b->worker, stream + first, STREAM_BYTES - first), STREAM_BYTES - first);
    fd_close(&b->worker);
    native_channel_drain(&b->channel);
    assert_int_equal(b->body_len, 11);
    assert_string_equal(b->told, "closed");
}

static void what_a_dead_worker_left_is_told_however_it_comes(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    invoke(b);
    struct whole_reply r = good_reply(b);
    assert_int_equal(write(b->worker, &r, REPLY_BYTES), REPLY_BYTES);
    fd_close(&b->worker);
    reads_are_short = true;
    native_channel_drain(&b->channel);
    reads_are_short = false;
    assert_memory_equal(b->body, "hello", 5);
    assert_string_equal(b->told, "closed");
}

static void refuse_within_a_stream(struct bench *b, const struct faasd_frame *f)
{
    char stream[STREAM_BYTES];
    make_ready(b);
    invoke(b);
    make_stream(b, stream);
    say(b, stream, REPLY_BYTES);
    assert_string_equal(b->told, "begin");
    struct faasd_frame sent = *f;
    sent.id += b->channel.request;
    say(b, &sent, sizeof(sent));
    assert_string_equal(b->told, "violation");
}

static void a_chunk_that_is_too_long_is_refused(void **state)
{
    refuse_within_a_stream(*state, &(struct faasd_frame){.length = FAASD_CHUNK_MAX + 1, .type = FAASD_FRAME_CHUNK});
}

static void a_chunk_with_another_id_is_refused(void **state)
{
    refuse_within_a_stream(*state, &(struct faasd_frame){.length = 1, .type = FAASD_FRAME_CHUNK, .id = 1});
}

static void a_second_reply_within_a_stream_is_refused(void **state)
{
    refuse_within_a_stream(*state, &(struct faasd_frame){.length = 16, .type = FAASD_FRAME_REPLY});
}

static void what_follows_the_end_of_a_stream_is_refused(void **state)
{
    struct bench *b = *state;
    char stream[STREAM_BYTES + 1];
    make_ready(b);
    invoke(b);
    make_stream(b, stream);
    stream[STREAM_BYTES] = 'x';
    say(b, stream, STREAM_BYTES + 1);
    assert_string_equal(b->told, "violation");
}

static void a_chunk_before_its_reply_is_refused(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    invoke(b);
    struct faasd_frame f = {.length = 0, .type = FAASD_FRAME_CHUNK, .id = b->channel.request};
    say(b, &f, sizeof(f));
    assert_string_equal(b->told, "violation");
}

static void another_flag_of_a_reply_is_refused(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    invoke(b);
    struct whole_reply r = good_reply(b);
    r.head.flags = FAASD_REPLY_MORE | 4;
    say(b, &r, REPLY_BYTES);
    assert_string_equal(b->told, "violation");
}

static void an_error_ends_a_stream(void **state)
{
    struct bench *b = *state;
    struct {
        struct faasd_frame frame;
        struct faasd_error_head head;
        char text[8];
    } f;
    char stream[STREAM_BYTES];
    make_ready(b);
    invoke(b);
    make_stream(b, stream);
    say(b, stream, REPLY_BYTES);
    memset(&f, 0, sizeof(f));
    f.frame = (struct faasd_frame){.length = sizeof(f.head) + 8, .type = FAASD_FRAME_ERROR, .id = b->channel.request};
    f.head = (struct faasd_error_head){.type_length = 8};
    memcpy(f.text, "BadThing", 8);
    say(b, &f, sizeof(f.frame) + sizeof(f.head) + 8);
    expect_type(b, "error", "BadThing");
    assert_int_equal(b->channel.state, NATIVE_CHANNEL_IDLE);
}

static void say_error(struct bench *b, uint32_t flags)
{
    struct {
        struct faasd_frame frame;
        struct faasd_error_head head;
        char text[12];
    } f;
    make_ready(b);
    invoke(b);
    memset(&f, 0, sizeof(f));
    f.frame = (struct faasd_frame){.length = sizeof(f.head) + 12, .type = FAASD_FRAME_ERROR, .id = b->channel.request};
    f.head = (struct faasd_error_head){.type_length = 8, .message_length = 4, .flags = flags};
    memcpy(f.text,
           "BadThing"
           "oops",
           12);
    say(b, &f, sizeof(f.frame) + sizeof(f.head) + 12);
}

static void an_error_is_told(void **state)
{
    say_error(*state, 0);
    expect_type(*state, "error", "BadThing");
}

static void the_error_of_a_worker_that_leaves_is_told_as_its_last(void **state)
{
    say_error(*state, FAASD_ERROR_LEAVING);
    expect_type(*state, "last error", "BadThing");
}

static void an_error_with_another_flag_is_refused(void **state)
{
    say_error(*state, FAASD_ERROR_LEAVING | 2);
    assert_string_equal(((struct bench *)*state)->told, "violation");
}

/* Each spoils a good reply; all must end the channel's use. */
static void spoil(struct whole_reply *r, unsigned how)
{
    switch (how) {
    case 0:
        r->frame.id++;
        break;
    case 1:
        r->frame.type = 77;
        break;
    case 2:
        r->frame.type = FAASD_FRAME_READY;
        break;
    case 3:
        r->frame.type = FAASD_FRAME_INVOKE;
        break;
    case 4:
        r->frame.length = 0x80000000u;
        break;
    case 5:
        r->frame.length = UINT32_MAX;
        break;
    case 6:
        r->frame.length = 300001;
        break;
    case 7:
        r->frame.length = 3;
        break;
    case 8:
        r->head.body_length = 4;
        break;
    case 9:
        r->head.body_length = UINT32_MAX;
        break;
    case 10:
        r->head.fields_length = UINT32_MAX;
        break;
    case 11:
        r->frame.reserved = 1;
        break;
    default:
        fail();
    }
}

static void every_broken_frame_is_a_violation(void **state)
{
    for (unsigned how = 0; how < 12; how++) {
        struct bench *b = *state;
        make_ready(b);
        invoke(b);
        struct whole_reply r = good_reply(b);
        spoil(&r, how);
        say(b, &r, REPLY_BYTES);
        assert_string_equal(b->told, "violation");
        teardown(state);
        setup(state);
    }
}

static void a_reply_that_nobody_asked_for_is_a_violation(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    struct whole_reply r = good_reply(b);
    say(b, &r, REPLY_BYTES);
    assert_string_equal(b->told, "violation");
}

static void a_second_reply_in_the_same_write_is_a_violation(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    invoke(b);
    char twice[2 * REPLY_BYTES];
    struct whole_reply r = good_reply(b);
    memcpy(twice, &r, REPLY_BYTES);
    memcpy(twice + REPLY_BYTES, &r, REPLY_BYTES);
    say(b, twice, sizeof(twice));
    assert_string_equal(b->told, "violation");
}

static void the_end_of_the_worker_is_told(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    fd_close(&b->worker);
    turn(b);
    assert_string_equal(b->told, "closed");
}

static void descriptors_from_a_worker_are_refused_or_dropped(void **state)
{
    struct bench *b = *state;
    make_ready(b);
    invoke(b);
    struct whole_reply r = good_reply(b);
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = &r, .iov_len = REPLY_BYTES};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    control.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    int fd = STDERR_FILENO;
    memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
    int before = dup(STDERR_FILENO);
    close(before);
    if (sendmsg(b->worker, &m, 0) < 0) { /* from Linux 6.16 on */
        assert_int_equal(errno, EPERM);
        assert_int_equal(write(b->worker, &r, REPLY_BYTES), REPLY_BYTES);
    }
    turn(b);
    assert_string_equal(b->told, "reply");
    int after = dup(STDERR_FILENO);
    close(after);
    assert_int_equal(before, after);
}

/* ---- before READY ---- */

static void ready_tells_about_the_worker_wherever_it_is_split(void **state)
{
    static const char fields[] = "runtime\0CPython 3.11.2\0template\0descriptor 5 is open\0";
    struct {
        struct faasd_frame frame;
        char fields[sizeof(fields) - 1];
    } f = {.frame = {.length = sizeof(fields) - 1, .type = FAASD_FRAME_READY}};
    const size_t size = sizeof(f.frame) + sizeof(f.fields);
    memcpy(f.fields, fields, sizeof(f.fields));
    for (size_t at = 1; at < size; at++) {
        struct bench *b = *state;
        say(b, &f, at);
        assert_string_equal(b->told, "");
        say(b, (char *)&f + at, size - at);
        assert_string_equal(b->told, "ready");
        assert_string_equal(b->words, "CPython 3.11.2|descriptor 5 is open|");
        teardown(state);
        setup(state);
    }
}

static void what_comes_before_ready_must_be_ready(void **state)
{
    static const struct faasd_frame wrong[] = {
        {.type = FAASD_FRAME_READY, .id = 1},
        {.type = FAASD_FRAME_READY, .length = NATIVE_READY_MAX + 1},
        {.type = FAASD_FRAME_READY, .reserved = 1},
        {.type = FAASD_FRAME_REPLY},
        {.type = FAASD_FRAME_ERROR, .id = 1},
        {.type = FAASD_FRAME_ERROR, .length = 262145},
        {.type = FAASD_FRAME_FORK},
        {.type = 0},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct bench *b = *state;
        say(b, &wrong[i], sizeof(wrong[i]));
        assert_string_equal(b->told, "violation");
        teardown(state);
        setup(state);
    }
}

static void say_init_error(struct bench *b)
{
    struct {
        struct faasd_frame frame;
        struct faasd_error_head head;
        char text[14];
    } f = {.frame = {.length = sizeof(f.head) + 14, .type = FAASD_FRAME_ERROR},
           .head = {.type_length = 11, .message_length = 3}};
    memcpy(f.text, "ImportErrorno!", 14);
    say(b, &f, sizeof(f.frame) + sizeof(f.head) + 14);
}

static void an_error_in_the_place_of_ready_is_the_initialisation_s(void **state)
{
    struct bench *b = *state;
    say_init_error(b);
    expect_type(b, "init error", "ImportError");
    /* whatever it says afterwards is of no interest */
    strcpy(b->told, "nothing");
    say(b, "x", 1);
    assert_string_equal(b->told, "nothing");
}

/* ---- children of a template ---- */

static void say_with(struct bench *b, const void *bytes, size_t n, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int) * 4)];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)bytes, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.h.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        control.h.cmsg_level = SOL_SOCKET;
        control.h.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.h), fds, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(b->worker, &m, MSG_NOSIGNAL), n);
    turn(b);
}

static const struct faasd_frame READY = {.type = FAASD_FRAME_READY};

static int lowest_free_fd(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

static void a_child_is_known_by_the_kernel_s_word_and_brings_its_log(void **state)
{
    struct bench *b = *state;
    int log[2];
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    say_with(b, &READY, 5, log, 1); /* the first bytes bring it, whatever else is missing */
    assert_string_equal(b->told, "");
    say(b, (const char *)&READY + 5, sizeof(READY) - 5);
    assert_string_equal(b->told, "ready");
    assert_int_equal(b->channel.peer_pid, getpid());
    int mine = native_channel_take_log(&b->channel);
    assert_true(mine >= 0 && fcntl(mine, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(native_channel_take_log(&b->channel), -1);
    assert_int_equal(write(log[1], "x", 1), 1);
    char byte;
    assert_int_equal(read(mine, &byte, 1), 1);
    close(mine);
    close(log[0]);
    close(log[1]);
    /* from here on it is a worker like any other */
    b->told[0] = '\0';
    invoke(b);
    struct whole_reply r = good_reply(b);
    say(b, &r, REPLY_BYTES);
    assert_string_equal(b->told, "reply");
}

static void a_child_without_exactly_its_log_is_refused(void **state)
{
    int log[2], pair[2];
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const int none[1] = {-1}, no_pipe[1] = {pair[0]}, two[2] = {log[0], log[0]},
              many[4] = {log[0], log[0], log[0], log[0]};
    const struct {
        const int *fds;
        size_t count;
    } cases[] = {{none, 0}, {no_pipe, 1}, {two, 2}, {many, 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench *b = *state;
        int before = lowest_free_fd();
        say_with(b, &READY, sizeof(READY), cases[i].fds, cases[i].count);
        assert_string_equal(b->told, "violation");
        native_channel_fini(&b->channel); /* closes its own end, which lies below, and whatever it took */
        native_channel_init(&b->channel, &b->gateway, &EVENTS, b);
        assert_true(lowest_free_fd() < before);
        for (int fd = before; fd < before + 4; fd++)
            assert_int_equal(fcntl(fd, F_GETFD), -1);
        teardown(state);
        setup_forked(state);
    }
    close(log[0]);
    close(log[1]);
    close(pair[0]);
    close(pair[1]);
}

static void a_child_may_fail_before_it_has_a_log(void **state)
{
    struct bench *b = *state;
    say_init_error(b);
    expect_type(b, "init error", "ImportError");
}

static void a_fork_order_carries_its_descriptors(void **state)
{
    struct bench *b = *state;
    int pair[2];
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    make_ready(b);
    struct faasd_fork order = {.slot = 3, .random = {1, 2, 3}};
    assert_int_equal(native_channel_fork(&b->channel, &order, pair, 2), 0);
    struct {
        struct faasd_frame frame;
        struct faasd_fork fork;
    } got;
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int) * FAASD_FORK_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = &got, .iov_len = sizeof(got)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    assert_int_equal(recvmsg(b->worker, &m, 0), sizeof(got));
    assert_int_equal(got.frame.type, FAASD_FRAME_FORK);
    assert_int_equal(got.frame.length, sizeof(got.fork));
    assert_int_equal(got.frame.id, 0);
    assert_memory_equal(&got.fork, &order, sizeof(order));
    assert_int_equal(control.h.cmsg_len, CMSG_LEN(2 * sizeof(int)));
    int fds[2];
    memcpy(fds, CMSG_DATA(&control.h), sizeof(fds));
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(pair[i]);
    }
    /* and a template has nothing to say */
    say(b, "x", 1);
    say(b, "0123456789abcdef", 16);
    assert_string_equal(b->told, "violation");
}

int main(void)
{
#define FORKED(name) cmocka_unit_test_setup_teardown(name, setup_forked, teardown)
#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_reply_split_anywhere_arrives_whole),
        TEST(a_large_reply_arrives_whole),
        TEST(a_reply_in_pieces_split_anywhere_arrives_in_order),
        TEST(a_reply_in_pieces_byte_by_byte_arrives_in_order),
        TEST(a_pause_holds_back_what_has_not_been_read),
        TEST(what_a_dead_worker_left_is_told_in_spite_of_a_pause),
        TEST(what_a_dead_worker_left_is_told_however_it_comes),
        TEST(a_chunk_that_is_too_long_is_refused),
        TEST(a_chunk_with_another_id_is_refused),
        TEST(a_second_reply_within_a_stream_is_refused),
        TEST(what_follows_the_end_of_a_stream_is_refused),
        TEST(a_chunk_before_its_reply_is_refused),
        TEST(another_flag_of_a_reply_is_refused),
        TEST(an_error_ends_a_stream),
        TEST(an_error_is_told),
        TEST(the_error_of_a_worker_that_leaves_is_told_as_its_last),
        TEST(an_error_with_another_flag_is_refused),
        TEST(every_broken_frame_is_a_violation),
        TEST(a_reply_that_nobody_asked_for_is_a_violation),
        TEST(a_second_reply_in_the_same_write_is_a_violation),
        TEST(the_end_of_the_worker_is_told),
        TEST(descriptors_from_a_worker_are_refused_or_dropped),
        TEST(ready_tells_about_the_worker_wherever_it_is_split),
        TEST(what_comes_before_ready_must_be_ready),
        TEST(an_error_in_the_place_of_ready_is_the_initialisation_s),
        FORKED(a_child_is_known_by_the_kernel_s_word_and_brings_its_log),
        FORKED(a_child_without_exactly_its_log_is_refused),
        FORKED(a_child_may_fail_before_it_has_a_log),
        TEST(a_fork_order_carries_its_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
