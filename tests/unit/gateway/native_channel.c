/* SPDX-License-Identifier: Apache-2.0 */
/* A worker on the other end of a socketpair that says right and wrong things. */
#include "gateway/native_channel.h"

#include "base/fdio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct bench {
    struct gateway gateway;
    struct native_channel channel;
    int worker;
    char told[64]; /* the last event */
    char body[65536 * 4];
    size_t body_len;
};

static void on_ready(void *owner)
{
    strcpy(((struct bench *)owner)->told, "ready");
}

static void on_reply(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body)
{
    struct bench *b = owner;
    (void)fields;
    strcpy(b->told, head->status == 200 ? "reply" : "other status");
    memcpy(b->body, body.p, body.n);
    b->body_len = body.n;
}

static void on_error(void *owner, struct str type, struct str message, struct str trace)
{
    struct bench *b = owner;
    (void)message;
    (void)trace;
    strcpy(b->told, "error ");
    str_copy(type, b->told + 6, sizeof(b->told) - 6);
}

static void on_violation(void *owner, const char *what)
{
    (void)what;
    strcpy(((struct bench *)owner)->told, "violation");
}

static void on_closed(void *owner)
{
    strcpy(((struct bench *)owner)->told, "closed");
}

static const struct native_channel_events EVENTS = {.on_ready = on_ready,
                                                    .on_reply = on_reply,
                                                    .on_error = on_error,
                                                    .on_violation = on_violation,
                                                    .on_closed = on_closed};

static int setup(void **state)
{
    static struct bench b;
    int pair[2];
    memset(&b, 0, sizeof(b));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    b.gateway.loop = ev_default_loop(0);
    b.worker = pair[1];
    native_channel_init(&b.channel, &b.gateway, &EVENTS, &b);
    native_channel_attach(&b.channel, pair[0]);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    native_channel_fini(&b->channel);
    fd_close(&b->worker);
    return 0;
}

static void turn(struct bench *b)
{
    for (int i = 0; i < 20; i++)
        ev_run(b->gateway.loop, EVRUN_NOWAIT);
}

static void say(struct bench *b, const void *bytes, size_t n)
{
    assert_int_equal(write(b->worker, bytes, n), n);
    turn(b);
}

static void make_ready(struct bench *b)
{
    struct faasd_frame f = {.type = FAASD_FRAME_READY};
    say(b, &f, sizeof(f));
    assert_string_equal(b->told, "ready");
    b->told[0] = '\0';
}

static void invoke(struct bench *b)
{
    char in[256];
    struct native_request r = {.fields = STR_LITERAL("method\0GET\0"), .event = STR_LITERAL("{}"), .reply_max = 300000};
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

static void an_error_is_told(void **state)
{
    struct bench *b = *state;
    struct {
        struct faasd_frame frame;
        struct faasd_error_head head;
        char text[12];
    } f;
    make_ready(b);
    invoke(b);
    memset(&f, 0, sizeof(f));
    f.frame = (struct faasd_frame){.length = sizeof(f.head) + 12, .type = FAASD_FRAME_ERROR, .id = b->channel.request};
    f.head = (struct faasd_error_head){.type_length = 8, .message_length = 4};
    memcpy(f.text,
           "BadThing"
           "oops",
           12);
    say(b, &f, sizeof(f.frame) + sizeof(f.head) + 12);
    assert_string_equal(b->told, "error BadThing");
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

static void descriptors_from_a_worker_are_dropped(void **state)
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
    assert_int_equal(sendmsg(b->worker, &m, 0), REPLY_BYTES);
    turn(b);
    assert_string_equal(b->told, "reply");
    int after = dup(STDERR_FILENO);
    close(after);
    assert_int_equal(before, after);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_reply_split_anywhere_arrives_whole),
        TEST(a_large_reply_arrives_whole),
        TEST(an_error_is_told),
        TEST(every_broken_frame_is_a_violation),
        TEST(a_reply_that_nobody_asked_for_is_a_violation),
        TEST(a_second_reply_in_the_same_write_is_a_violation),
        TEST(the_end_of_the_worker_is_told),
        TEST(descriptors_from_a_worker_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
