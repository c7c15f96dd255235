/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes of a worker, in pieces of any length, with and without descriptors, to the gateway's side of its socket, which asks, pauses, resumes and ends meanwhile. What
 * its owner is told lies within the limits and comes in the order that the states allow; after a violation nothing more is told; no descriptor stays.
 *
 * fuzz-sources: src/os/sock.c src/gateway/native_first.c src/gateway/native_ready.c
 * fuzz-libs: -lev
 */
#include "gateway/native_channel.h"

#include "base/fdio.h"
#include "gateway/turn.h"
#include "os/sock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { REPLY_MAX = 4096, OPS_MAX = 100 };

static struct config config = {.reply_bytes_max = REPLY_MAX};
static struct gateway gateway = {.config = &config};
static struct native_channel channel;
static int worker = -1;
static bool over, ready, busy, streaming; /* as its owner knows it */

/* --- its owner --- */

static void touch(struct str s)
{
    volatile unsigned sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum += (unsigned char)s.p[i];
    (void)sum;
}

static void on_ready(void *owner, const struct native_ready *r)
{
    (void)owner;
    assert(!over && !ready);
    touch(r->runtime);
    touch(r->template);
    ready = true;
}

static void on_init_error(void *owner, struct str type, struct str message, struct str trace)
{
    (void)owner;
    assert(!over && !ready);
    touch(type);
    touch(message);
    touch(trace);
    over = true;
}

static void on_reply(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body)
{
    (void)owner;
    assert(!over && busy && !streaming && fields.n + body.n + sizeof(*head) <= REPLY_MAX);
    touch(fields);
    touch(body);
    busy = false;
}

static void on_begin(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body)
{
    (void)owner;
    assert(!over && busy && !streaming && head->flags & FAASD_REPLY_MORE);
    touch(fields);
    touch(body);
    streaming = true;
}

static void on_chunk(void *owner, struct str bytes)
{
    (void)owner;
    assert(!over && busy && streaming && bytes.n > 0 && bytes.n <= FAASD_CHUNK_MAX);
    touch(bytes);
}

static void on_end(void *owner)
{
    (void)owner;
    assert(!over && busy && streaming);
    busy = streaming = false;
}

static void on_error(void *owner, struct str type, struct str message, struct str trace, bool leaving)
{
    (void)owner;
    (void)leaving;
    assert(!over && ready && busy);
    touch(type);
    touch(message);
    touch(trace);
    busy = streaming = false;
}

static void on_violation(void *owner, const char *what)
{
    (void)owner;
    assert(!over && *what);
    over = true;
}

static void on_closed(void *owner)
{
    (void)owner;
    assert(!over);
    over = true;
}

static const struct native_channel_events events = {.on_ready = on_ready,
                                                    .on_init_error = on_init_error,
                                                    .on_reply = on_reply,
                                                    .on_begin = on_begin,
                                                    .on_chunk = on_chunk,
                                                    .on_end = on_end,
                                                    .on_error = on_error,
                                                    .on_violation = on_violation,
                                                    .on_closed = on_closed};

/* --- the input --- */

static const uint8_t *in;
static size_t left;

static uint8_t byte(void)
{
    if (!left)
        return 0;
    left--;
    return *in++;
}

static void say(const void *bytes, size_t n, unsigned fd_count)
{
    int fds[4];
    if (worker < 0 || n == 0)
        return;
    for (unsigned i = 0; i < fd_count; i++)
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int pipe_fds[2] = {-1, -1};
    if (fd_count && byte() % 2 && pipe2(pipe_fds, O_CLOEXEC) == 0) {
        close(fds[0]);
        fds[0] = pipe_fds[0];
        close(pipe_fds[1]);
    }
    sock_send(worker, bytes, n, fds, fd_count);
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
}

/* A frame that is right but for what the input says: the id of the request at hand can't be guessed. */
static void say_frame(void)
{
    static const uint16_t types[] = {FAASD_FRAME_READY, FAASD_FRAME_REPLY, FAASD_FRAME_ERROR, FAASD_FRAME_CHUNK};
    struct {
        struct faasd_frame frame;
        union {
            struct faasd_reply_head reply;
            struct faasd_error_head error;
            char room[512];
        };
    } m = {.frame = {.type = types[byte() % 4], .id = ready ? channel.request : 0}};
    uint32_t size = byte() % 200;
    m.frame.length = size;
    if (m.frame.type == FAASD_FRAME_REPLY) {
        m.frame.length = size + (uint32_t)sizeof(m.reply);
        m.reply = (struct faasd_reply_head){
            .status = 200, .fields_length = size / 3, .body_length = size - size / 3, .flags = byte() % 4};
    } else if (m.frame.type == FAASD_FRAME_ERROR) {
        m.frame.length = size + (uint32_t)sizeof(m.error);
        m.error =
            (struct faasd_error_head){.type_length = size / 3, .message_length = size - size / 3, .flags = byte() % 2};
    } else if (m.frame.type == FAASD_FRAME_READY && size) {
        static const char fields[] = "template\0yes\0runtime\0x";
        m.frame.length = sizeof(fields);
        memcpy(m.room, fields, sizeof(fields));
    }
    size_t whole = sizeof(m.frame) + m.frame.length;
    for (unsigned i = byte() % 3; i > 0; i--)
        ((uint8_t *)&m)[byte() % whole] = byte();
    size_t cut = byte() % 4 ? whole : byte() % (whole + 1);
    unsigned fd_count = byte() % 8 == 0 ? byte() % 4 : 0;
    say(&m, cut, fd_count);
    if (byte() % 4)
        ev_run(gateway.loop, EVRUN_NOWAIT);
    say((char *)&m + cut, whole - cut, 0);
}

static void say_bytes(void)
{
    char text[256];
    size_t n = byte();
    for (size_t i = 0; i < n; i++)
        text[i] = (char)byte();
    say(text, n, byte() % 8 == 0 ? byte() % 4 : 0);
}

static void say_much(void)
{
    struct faasd_frame f = {.length = FAASD_CHUNK_MAX, .type = FAASD_FRAME_CHUNK, .id = channel.request};
    static char chunk[FAASD_CHUNK_MAX];
    say(&f, sizeof(f), 0);
    say(chunk, sizeof(chunk), 0);
}

static void ask(void)
{
    struct native_request r = {
        .event = STR_LITERAL("event"), .fields = STR_LITERAL("method\0GET"), .reply_max = REPLY_MAX};
    if (over || !ready || busy || channel.state != NATIVE_CHANNEL_IDLE || channel.out.len)
        return;
    if (native_channel_invoke(&channel, &r) < 0)
        over = true;
    else
        busy = true;
    if (over)
        native_channel_fini(&channel);
}

static void step(void)
{
    switch (byte() % 10) {
    case 0:
        say_bytes();
        break;
    case 1:
        ask();
        break;
    case 2:
        if (!over && streaming)
            native_channel_pause(&channel);
        break;
    case 3:
        if (!over)
            native_channel_resume(&channel);
        break;
    case 4:
        if (byte() % 4 == 0)
            fd_close(&worker);
        break;
    case 5:
        if (byte() % 4 == 0 && !over)
            native_channel_drain(&channel);
        break;
    case 6:
        say_much();
        break;
    default:
        if (ready && !busy)
            ask();
        say_frame();
        break;
    }
    if (byte() % 4)
        ev_run(gateway.loop, EVRUN_NOWAIT);
    char thrown[4096];
    while (worker >= 0 && recv(worker, thrown, sizeof(thrown), MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int pair[2];
    struct err e;
    if (!gateway.loop)
        gateway.loop = ev_loop_new(EVFLAG_AUTO);
    int lowest = dup(0);
    close(lowest);
    in = data;
    left = n;
    over = ready = busy = streaming = false;
    assert(gateway.loop && sock_pair(SOCK_STREAM, pair, &e) == 0);
    worker = pair[0];
    native_channel_init(&channel, &gateway, &events, &channel);
    if (byte() % 2)
        native_channel_attach_forked(&channel, pair[1]);
    else
        native_channel_attach(&channel, pair[1]);
    for (unsigned i = 0; i < OPS_MAX && left; i++)
        step();
    fd_close(&worker);
    if (!over && channel.fd >= 0)
        native_channel_drain(&channel);
    native_channel_fini(&channel);
    int after = dup(0);
    close(after);
    assert(lowest == after);
    return 0;
}
