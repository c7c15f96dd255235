/* SPDX-License-Identifier: Apache-2.0 */
/* The longest frames that there may be, what is said of each wrong one, and what becomes of a request that a socket doesn't take at once. */
#include "native_channel_fixture.h"

#include <fcntl.h>
#include <stdlib.h>

enum { ERROR_MAX = 262144, EVENT_BYTES = 4 << 20 };

static void again(void **state)
{
    teardown(state);
    setup(state);
}

static void invoke(struct bench *b)
{
    char in[256];
    struct native_request r = {.event = STR_LITERAL("{}"), .reply_max = REPLY_MAX};
    make_ready(b);
    assert_int_equal(native_channel_invoke(&b->channel, &r), 0);
    assert_true(read(b->worker, in, sizeof(in)) > 0);
}

/* A frame with its payload, whose id is the request's at hand. */
static void say_frame(struct bench *b, uint16_t type, const void *payload, size_t length)
{
    static char out[sizeof(struct faasd_frame) + (1 << 20)];
    struct faasd_frame f = {.length = (uint32_t)length, .type = type, .id = b->channel.request};
    memcpy(out, &f, sizeof(f));
    memcpy(out + sizeof(f), payload, length);
    say(b, out, sizeof(f) + length);
}

static void say_reply(struct bench *b, struct faasd_reply_head head, const char *rest)
{
    char out[256];
    size_t n = strlen(rest);
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), rest, n);
    say_frame(b, FAASD_FRAME_REPLY, out, sizeof(head) + n);
}

static void say_error(struct bench *b, struct faasd_error_head head, const char *rest)
{
    char out[256];
    size_t n = strlen(rest);
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), rest, n);
    say_frame(b, FAASD_FRAME_ERROR, out, sizeof(head) + n);
}

/* "EVENT|ITS|TEXTS", "violation: WHAT". */
static void expect(struct bench *b, const char *told)
{
    char whole[sizeof(b->told) + sizeof(b->words) + 2];
    const char *between = !*b->words ? "" : strcmp(b->told, "violation") == 0 ? ": " : "|";
    snprintf(whole, sizeof(whole), "%s%s%s", b->told, between, b->words);
    assert_string_equal(whole, told);
    b->told[0] = b->words[0] = '\0';
}

/* Of texts that are longer than what is kept of each. */
static void expect_beginning(const struct bench *b, const char *told, const char *words)
{
    assert_string_equal(b->told, told);
    assert_memory_equal(b->words, words, strlen(words));
}

/* ---- what is sent ---- */

static char *receive_all(struct bench *b, size_t n)
{
    char *in = malloc(n + 1);
    assert_non_null(in);
    for (size_t at = 0; at < n;) {
        ssize_t got = read(b->worker, in + at, n + 1 - at);
        assert_true(got > 0 || errno == EAGAIN);
        at += got > 0 ? (size_t)got : 0;
        assert_true(at <= n);
        ev_run(b->gateway.loop, EVRUN_NOWAIT);
    }
    return in;
}

static char *make_event(void)
{
    char *event = malloc(EVENT_BYTES);
    assert_non_null(event);
    for (size_t i = 0; i < EVENT_BYTES; i++)
        event[i] = (char)(i * 31 >> 3);
    return event;
}

static void expect_invoke(const char *in, const struct native_request *r, uint64_t id)
{
    struct faasd_frame f;
    struct faasd_invoke_head h;
    memcpy(&f, in, sizeof(f));
    memcpy(&h, in + sizeof(f), sizeof(h));
    assert_true(f.type == FAASD_FRAME_INVOKE && f.reserved == 0 && f.id == id);
    assert_int_equal(f.length, sizeof(h) + r->fields.n + r->event.n);
    assert_int_equal(h.deadline_ms, r->deadline_ms);
    assert_int_equal(h.fields_length, r->fields.n);
    assert_int_equal(h.event_length, r->event.n);
    assert_memory_equal(in + sizeof(f) + sizeof(h), r->fields.p, r->fields.n);
    assert_memory_equal(in + sizeof(f) + sizeof(h) + r->fields.n, r->event.p, r->event.n);
}

/* Twice: what was kept of the first must be gone before the second. */
static void an_event_longer_than_the_socket_takes_arrives_whole(void **state)
{
    struct bench *b = *state;
    char *event = make_event();
    struct native_request r = {.deadline_ms = 123456789012345,
                               .fields = STR_LITERAL("method\0GET\0"),
                               .event = {event, EVENT_BYTES},
                               .reply_max = REPLY_MAX};
    make_ready(b);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(native_channel_invoke(&b->channel, &r), 0);
        assert_true(ev_is_active(&b->channel.writer));
        char *in =
            receive_all(b, sizeof(struct faasd_frame) + sizeof(struct faasd_invoke_head) + r.fields.n + EVENT_BYTES);
        expect_invoke(in, &r, b->channel.request);
        free(in);
        turn(b);
        assert_false(ev_is_active(&b->channel.writer));
        assert_int_equal(b->channel.out.len, 0);
        assert_int_equal(b->channel.state, NATIVE_CHANNEL_BUSY);
        say_reply(b, (struct faasd_reply_head){.status = 204}, "");
        expect(b, "reply|||");
        assert_int_equal(b->status, 204);
    }
    free(event);
}

static void a_request_to_a_full_socket_waits_for_its_room(void **state)
{
    struct bench *b = *state;
    struct native_request r = {
        .fields = STR_LITERAL("a\0b\0"), .event = STR_LITERAL("{\"x\":1}"), .reply_max = REPLY_MAX};
    size_t filled = 0;
    make_ready(b);
    while (send(b->channel.fd, "x", 1, MSG_DONTWAIT) == 1)
        filled++;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(native_channel_invoke(&b->channel, &r), 0);
    turn(b);
    assert_true(ev_is_active(&b->channel.writer) && b->channel.out_sent == 0); /* full it stays */
    size_t whole = filled + sizeof(struct faasd_frame) + sizeof(struct faasd_invoke_head) + r.fields.n + r.event.n;
    char *in = receive_all(b, whole);
    expect_invoke(in + filled, &r, b->channel.request);
    free(in);
    turn(b);
    assert_false(ev_is_active(&b->channel.writer));
}

static void a_worker_that_is_gone_is_not_asked(void **state)
{
    struct bench *b = *state;
    struct native_request r = {.event = STR_LITERAL("{}"), .reply_max = REPLY_MAX};
    make_ready(b);
    fd_close(&b->worker);
    assert_int_equal(native_channel_invoke(&b->channel, &r), -EPIPE);
    assert_int_equal(b->channel.state, NATIVE_CHANNEL_IDLE);
    struct faasd_fork order = {.slot = 1};
    assert_int_equal(native_channel_fork(&b->channel, &order, NULL, 0), -EPIPE);
}

static void a_worker_that_goes_in_the_middle_of_its_event_is_told_as_closed(void **state)
{
    struct bench *b = *state;
    char *event = make_event();
    struct native_request r = {.event = {event, EVENT_BYTES}, .reply_max = REPLY_MAX};
    make_ready(b);
    assert_int_equal(native_channel_invoke(&b->channel, &r), 0);
    fd_close(&b->worker);
    turn(b);
    expect(b, "closed");
    assert_true(b->channel.unread);
    assert_false(ev_is_active(&b->channel.writer) || ev_is_active(&b->channel.reader));
    free(event);
}

static void a_worker_that_read_everything_left_nothing_unread(void **state)
{
    struct bench *b = *state;
    invoke(b);
    fd_close(&b->worker);
    turn(b);
    expect(b, "closed");
    assert_false(b->channel.unread || ev_is_active(&b->channel.reader));
}

/* ---- what is received ---- */

static void each_frame_may_be_as_long_as_its_limit(void **state)
{
    struct bench *b = *state;
    static char payload[REPLY_MAX];
    memset(payload, 'p', sizeof(payload));
    struct faasd_frame f = {.length = NATIVE_READY_MAX, .type = FAASD_FRAME_READY};
    memcpy(payload, "runtime", 8);
    payload[NATIVE_READY_MAX - 1] = '\0';
    say(b, &f, sizeof(f));
    say(b, payload, NATIVE_READY_MAX);
    expect_beginning(b, "ready", "pppp");

    again(state);
    struct faasd_error_head error = {
        .type_length = 4, .message_length = 4, .trace_length = ERROR_MAX - sizeof(error) - 8};
    memset(payload, 'p', sizeof(payload));
    memcpy(payload, &error, sizeof(error));
    say_frame(b, FAASD_FRAME_ERROR, payload, ERROR_MAX);
    expect_beginning(b, "init error", "pppp|pppp|pppppppp");

    again(state);
    invoke(b);
    say_frame(b, FAASD_FRAME_ERROR, payload, ERROR_MAX);
    expect_beginning(b, "error", "pppp|pppp|pppppppp");

    again(state);
    invoke(b);
    struct faasd_reply_head reply = {.status = 200, .fields_length = 4, .body_length = REPLY_MAX - sizeof(reply) - 4};
    memset(payload, 'p', sizeof(payload));
    memcpy(payload, &reply, sizeof(reply));
    say_frame(b, FAASD_FRAME_REPLY, payload, REPLY_MAX);
    expect_beginning(b, "reply", "pppp|pppppppp");
    assert_int_equal(b->body_len, REPLY_MAX - sizeof(reply) - 4);

    again(state);
    invoke(b);
    say_reply(b, (struct faasd_reply_head){.status = 200, .flags = FAASD_REPLY_MORE}, "");
    expect(b, "begin|||");
    for (int i = 1; i < 4; i++) {
        say_frame(b, FAASD_FRAME_CHUNK, payload, FAASD_CHUNK_MAX);
        assert_int_equal(b->body_len, (size_t)i * FAASD_CHUNK_MAX);
        assert_int_equal(b->chunks, i);
    }
    say_frame(b, FAASD_FRAME_CHUNK, "", 0);
    expect(b, "end");
}

static void a_head_alone_is_refused_for_what_it_says(void **state)
{
    static const struct {
        enum native_channel_state in;
        struct faasd_frame frame; /* its id is added to the request's */
        const char *said;
    } rows[] = {
        {NATIVE_CHANNEL_STARTING, {.type = FAASD_FRAME_READY, .id = 1}, "a frame that nobody asked for"},
        {NATIVE_CHANNEL_STARTING,
         {.type = FAASD_FRAME_READY, .reserved = 1},
         "a frame with a reserved field that is not 0"},
        {NATIVE_CHANNEL_STARTING,
         {.type = FAASD_FRAME_READY, .length = NATIVE_READY_MAX + 1},
         "a READY frame longer than 4 KiB"},
        {NATIVE_CHANNEL_STARTING,
         {.type = FAASD_FRAME_ERROR, .length = ERROR_MAX + 1},
         "an ERROR frame longer than 256 KiB"},
        {NATIVE_CHANNEL_STARTING, {.type = FAASD_FRAME_REPLY}, "a frame before READY"},
        {NATIVE_CHANNEL_STARTING, {.type = FAASD_FRAME_ERROR}, "an ERROR frame shorter than its head"},
        {NATIVE_CHANNEL_IDLE, {.type = FAASD_FRAME_READY}, "a frame that nobody asked for"},
        {NATIVE_CHANNEL_IDLE, {.type = FAASD_FRAME_REPLY}, "a frame that nobody asked for"},
        {NATIVE_CHANNEL_BUSY, {.type = FAASD_FRAME_REPLY, .id = 1}, "a frame with the id of no request at hand"},
        {NATIVE_CHANNEL_BUSY,
         {.type = FAASD_FRAME_REPLY, .reserved = 256},
         "a frame with a reserved field that is not 0"},
        {NATIVE_CHANNEL_BUSY,
         {.type = FAASD_FRAME_ERROR, .length = ERROR_MAX + 1},
         "an ERROR frame longer than 256 KiB"},
        {NATIVE_CHANNEL_BUSY, {.type = FAASD_FRAME_CHUNK}, "a CHUNK frame before its REPLY"},
        {NATIVE_CHANNEL_BUSY, {.type = FAASD_FRAME_READY}, "a frame of an unknown type"},
        {NATIVE_CHANNEL_BUSY,
         {.type = FAASD_FRAME_REPLY, .length = REPLY_MAX + 1},
         "a reply of 300001 bytes, longer than the limit 'reply_bytes' (256K)"},
        {NATIVE_CHANNEL_BUSY, {.type = FAASD_FRAME_REPLY}, "a REPLY frame shorter than its head"},
        {NATIVE_CHANNEL_BUSY, {.type = FAASD_FRAME_ERROR}, "an ERROR frame shorter than its head"},
        {NATIVE_CHANNEL_STREAMING, {.type = FAASD_FRAME_CHUNK, .id = 1}, "a frame with the id of no request at hand"},
        {NATIVE_CHANNEL_STREAMING,
         {.type = FAASD_FRAME_CHUNK, .length = FAASD_CHUNK_MAX + 1},
         "a CHUNK frame longer than 64 KiB"},
        {NATIVE_CHANNEL_STREAMING,
         {.type = FAASD_FRAME_REPLY},
         "a frame that is neither CHUNK nor ERROR within a reply"},
        {NATIVE_CHANNEL_STREAMING,
         {.type = FAASD_FRAME_ERROR, .length = ERROR_MAX + 1},
         "an ERROR frame longer than 256 KiB"},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].in == NATIVE_CHANNEL_IDLE)
            make_ready(b);
        if (rows[i].in > NATIVE_CHANNEL_IDLE)
            invoke(b);
        if (rows[i].in == NATIVE_CHANNEL_STREAMING)
            say_reply(b, (struct faasd_reply_head){.flags = FAASD_REPLY_MORE}, "");
        struct faasd_frame f = rows[i].frame;
        f.id += b->channel.request;
        say(b, &f, sizeof(f));
        char want[sizeof(b->words)];
        snprintf(want, sizeof(want), "violation: %s", rows[i].said);
        expect(b, want);
        assert_false(ev_is_active(&b->channel.reader) || b->channel.paused);
        say(b, &f, sizeof(f)); /* which nobody reads any more */
        expect(b, "");
        again(state);
    }
}

static void a_replys_parts_and_flags_are_told_as_they_are(void **state)
{
    struct bench *b = *state;
    invoke(b);
    say_reply(b,
              (struct faasd_reply_head){.status = 201, .fields_length = 2, .body_length = 3, .flags = FAASD_REPLY_HTTP},
              "ffbbb");
    expect(b, "reply|ff|bbb|");
    assert_true(b->status == 201 && b->flags == FAASD_REPLY_HTTP);
    again(state);
    invoke(b);
    say_reply(b, (struct faasd_reply_head){.fields_length = 1, .flags = FAASD_REPLY_HTTP | FAASD_REPLY_MORE}, "f");
    expect(b, "begin|f||");
    static const struct faasd_reply_head wrong[] = {{.fields_length = 2, .body_length = 2},
                                                    {.fields_length = 2, .body_length = 4},
                                                    {.fields_length = 4, .body_length = 2},
                                                    {.fields_length = UINT32_MAX, .body_length = 6}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        again(state);
        invoke(b);
        say_reply(b, wrong[i], "ffbbb");
        expect(b, "violation: a REPLY frame whose lengths do not add up");
    }
    again(state);
    invoke(b);
    say_reply(b, (struct faasd_reply_head){.flags = 4}, "");
    expect(b, "violation: a REPLY frame with flags that there are not");
}

static void an_errors_parts_and_flags_are_told_as_they_are(void **state)
{
    struct bench *b = *state;
    const struct faasd_error_head head = {.type_length = 2, .message_length = 3, .trace_length = 4};
    invoke(b);
    say_error(b, head, "ttmmmrrrr");
    expect(b, "error|tt|mmm|rrrr");
    again(state);
    say_error(b, head, "ttmmmrrrr");
    expect(b, "init error|tt|mmm|rrrr");
    assert_false(ev_is_active(&b->channel.reader));
    static const struct faasd_error_head wrong[] = {
        {2, 3, 3, 0}, {2, 3, 5, 0}, {3, 3, 4, 0}, {2, 4, 4, 0}, {UINT32_MAX, 10, 0, 0}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        again(state);
        invoke(b);
        say_error(b, wrong[i], "ttmmmrrrr");
        expect(b, "violation: an ERROR frame whose lengths do not add up");
    }
    again(state);
    invoke(b);
    say_error(b, (struct faasd_error_head){.flags = 2}, "");
    expect(b, "violation: an ERROR frame with flags that there are not");
}

static void what_stands_behind_a_frame_is_refused_with_it(void **state)
{
    struct bench *b = *state;
    char twice[2 * sizeof(struct faasd_frame)] = {0};
    memcpy(twice, &(struct faasd_frame){.type = FAASD_FRAME_READY}, sizeof(struct faasd_frame));
    say(b, twice, sizeof(struct faasd_frame) + 1);
    expect(b, "violation: bytes behind a frame that nobody asked for");
    again(state);
    invoke(b);
    struct {
        struct faasd_frame frame;
        struct faasd_reply_head head;
        char more;
    } r = {.frame = {.length = sizeof(r.head), .type = FAASD_FRAME_REPLY, .id = b->channel.request}};
    say(b, &r, sizeof(r.frame) + sizeof(r.head) + 1);
    expect(b, "violation: bytes behind a frame that nobody asked for");
    /* of a long frame that comes in pieces, too */
    again(state);
    invoke(b);
    r.frame.id = b->channel.request;
    say(b, &r, sizeof(r.frame));
    expect(b, "");
    say(b, &r.head, sizeof(r.head) + 1);
    expect(b, "violation: bytes behind a frame that nobody asked for");
}

static void only_a_stream_can_be_paused(void **state)
{
    struct bench *b = *state;
    invoke(b);
    native_channel_pause(&b->channel);
    assert_false(b->channel.paused);
    assert_true(ev_is_active(&b->channel.reader));
    say_reply(b, (struct faasd_reply_head){.flags = FAASD_REPLY_MORE}, "");
    native_channel_pause(&b->channel);
    assert_true(b->channel.paused);
    assert_false(ev_is_active(&b->channel.reader));
    say_frame(b, FAASD_FRAME_CHUNK, "x", 1);
    expect(b, "begin|||");
    native_channel_resume(&b->channel);
    turn(b);
    expect(b, "chunk|x||");
    say_error(b, (struct faasd_error_head){.type_length = 1}, "t");
    expect(b, "error|t||");
    ev_io_stop(b->gateway.loop, &b->channel.reader);
    native_channel_resume(&b->channel); /* which nobody had paused */
    assert_false(ev_is_active(&b->channel.reader));
}

static void a_violation_and_an_end_take_a_pause_away(void **state)
{
    struct bench *b = *state;
    invoke(b);
    say_reply(b, (struct faasd_reply_head){.flags = FAASD_REPLY_MORE}, "");
    native_channel_pause(&b->channel);
    say_frame(b, FAASD_FRAME_REPLY, "", 0);
    native_channel_drain(&b->channel);
    expect(b, "violation: a frame that is neither CHUNK nor ERROR within a reply");
    assert_false(b->channel.paused || ev_is_active(&b->channel.reader));
    again(state);
    invoke(b);
    say_reply(b, (struct faasd_reply_head){.flags = FAASD_REPLY_MORE}, "");
    native_channel_pause(&b->channel);
    fd_close(&b->worker);
    native_channel_drain(&b->channel);
    expect(b, "closed");
    assert_false(b->channel.paused || ev_is_active(&b->channel.reader));
    native_channel_drain(&b->channel); /* nothing is there to be read twice */
    expect(b, "");
}

/* A grandchild may hold the worker's socket and write for ever: sixteen reads are enough for what one dead process can have left. */
static void draining_ends(void **state)
{
    struct bench *b = *state;
    static char chunk[sizeof(struct faasd_frame) + FAASD_CHUNK_MAX];
    invoke(b);
    say_reply(b, (struct faasd_reply_head){.flags = FAASD_REPLY_MORE}, "");
    int room = 8 << 20;
    setsockopt(b->worker, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    struct faasd_frame f = {.length = FAASD_CHUNK_MAX, .type = FAASD_FRAME_CHUNK, .id = b->channel.request};
    memcpy(chunk, &f, sizeof(f));
    native_channel_pause(&b->channel);
    size_t sent = 0;
    while (sent < 40 && send(b->worker, chunk, sizeof(chunk), MSG_DONTWAIT) == (ssize_t)sizeof(chunk))
        sent++;
    if (sent < 40)
        skip(); /* SO_SNDBUFFORCE is root's */
    native_channel_drain(&b->channel);
    assert_int_equal(b->chunks, 16);
    native_channel_drain(&b->channel);
    assert_int_equal(b->chunks, 32);
}

static void what_a_worker_sends_with_its_first_words_is_refused_or_closed(void **state)
{
    struct bench *b = *state;
    struct faasd_frame ready = {.type = FAASD_FRAME_READY};
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {.h = {.cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.h), (int[2]){STDERR_FILENO, STDERR_FILENO}, 2 * sizeof(int));
    struct iovec iov = {.iov_base = &ready, .iov_len = sizeof(ready)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int before = dup(STDERR_FILENO);
    close(before);
    if (sendmsg(b->worker, &m, 0) < 0) { /* from Linux 6.16 on */
        assert_int_equal(errno, EPERM);
        assert_int_equal(write(b->worker, &ready, sizeof(ready)), sizeof(ready));
    }
    turn(b);
    expect(b, "ready|||");
    assert_int_equal(b->channel.peer_pid, getpid());
    assert_int_equal(native_channel_take_log(&b->channel), -1);
    int after = dup(STDERR_FILENO);
    close(after);
    assert_int_equal(before, after);
}

/* A buffer's limit stands in for memory that is not there: the same failure of the same call. */
static void memory_that_is_not_there_ends_the_channel(void **state)
{
    struct bench *b = *state;
    static const char bytes[200];
    b->channel.in.limit = 8;
    say(b, &(struct faasd_frame){.type = FAASD_FRAME_READY, .length = 4}, sizeof(struct faasd_frame));
    expect(b, "violation: out of memory");
    again(state);
    say(b, &(struct faasd_frame){.type = FAASD_FRAME_READY, .length = 4}, 10);
    b->channel.in.limit = 12;
    say(b, bytes, 3);
    expect(b, "violation: out of memory");
    assert_int_equal(b->channel.in.len, 10); /* the channel's still, to be freed with it */
    again(state);
    make_ready(b);
    struct native_request r = {.event = STR_LITERAL("{}"), .reply_max = REPLY_MAX};
    assert_int_equal(native_channel_invoke(&b->channel, &r), 0);
    struct faasd_frame f = {.type = FAASD_FRAME_REPLY, .length = 1000, .id = b->channel.request};
    say(b, &f, sizeof(f));
    b->channel.in.limit = 256; /* no room for the frame: its bytes land where a first read does, as long as they fit */
    say(b, bytes, 200);
    expect(b, "");
    assert_int_equal(b->channel.in.len, sizeof(f) + 200);
    say(b, bytes, 100);
    expect(b, "violation: out of memory");
}

static void a_request_that_can_not_be_kept_is_not_sent_in_half(void **state)
{
    struct bench *b = *state;
    char *event = make_event();
    struct native_request r = {.event = {event, EVENT_BYTES}, .reply_max = REPLY_MAX};
    make_ready(b);
    b->channel.out.limit = 1000;
    assert_true(native_channel_invoke(&b->channel, &r) < 0);
    assert_false(ev_is_active(&b->channel.writer));
    free(event);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_longer_than_the_socket_takes_arrives_whole),
        TEST(a_request_to_a_full_socket_waits_for_its_room),
        TEST(a_worker_that_is_gone_is_not_asked),
        TEST(a_worker_that_goes_in_the_middle_of_its_event_is_told_as_closed),
        TEST(a_worker_that_read_everything_left_nothing_unread),
        TEST(each_frame_may_be_as_long_as_its_limit),
        TEST(a_head_alone_is_refused_for_what_it_says),
        TEST(a_replys_parts_and_flags_are_told_as_they_are),
        TEST(an_errors_parts_and_flags_are_told_as_they_are),
        TEST(what_stands_behind_a_frame_is_refused_with_it),
        TEST(only_a_stream_can_be_paused),
        TEST(a_violation_and_an_end_take_a_pause_away),
        TEST(draining_ends),
        TEST(what_a_worker_sends_with_its_first_words_is_refused_or_closed),
        TEST(memory_that_is_not_there_ends_the_channel),
        TEST(a_request_that_can_not_be_kept_is_not_sent_in_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
