/* SPDX-License-Identifier: Apache-2.0 */
/* A worker on the other end of a socketpair, and an owner that keeps what it was told. */
#ifndef FAASD_UNIT_NATIVE_CHANNEL_FIXTURE_H
#define FAASD_UNIT_NATIVE_CHANNEL_FIXTURE_H

#include "gateway/native_channel.h"

#include "base/fdio.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { REPLY_MAX = 300000 };

struct bench {
    struct gateway gateway;
    struct native_channel channel;
    int worker;
    char told[32];        /* the last event */
    char words[512];      /* its texts, of each the first 64 bytes, '|' between them */
    char body[REPLY_MAX]; /* of the last reply, and chunks behind it: what fits */
    size_t body_len, chunks;
    uint32_t status, flags;
    bool pauses; /* at each chunk */
};

static void tell(struct bench *b, const char *what, struct str first, struct str second, struct str third)
{
    struct str all[] = {first, second, third};
    size_t at = 0;
    strcpy(b->told, what);
    for (unsigned i = 0; i < 3; i++)
        at += (size_t)snprintf(b->words + at, sizeof(b->words) - at, "%s%.*s", i ? "|" : "",
                               (int)(all[i].n < 64 ? all[i].n : 64), all[i].p);
}

static void tell_event(struct bench *b, const char *what, const char *words)
{
    strcpy(b->told, what);
    snprintf(b->words, sizeof(b->words), "%s", words);
}

static void keep_bytes(struct bench *b, struct str bytes)
{
    if (bytes.n && b->body_len + bytes.n <= sizeof(b->body))
        memcpy(b->body + b->body_len, bytes.p, bytes.n);
    b->body_len += bytes.n;
}

static void on_ready(void *owner, const struct native_ready *r)
{
    tell(owner, "ready", r->runtime, r->template, r->imports);
}

static void on_init_error(void *owner, struct str type, struct str message, struct str trace)
{
    tell(owner, "init error", type, message, trace);
}

static void on_reply(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body)
{
    struct bench *b = owner;
    b->status = head->status;
    b->flags = head->flags;
    b->body_len = 0;
    keep_bytes(b, body);
    tell(b, "reply", fields, body, STR_LITERAL(""));
}

static void on_begin(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body)
{
    on_reply(owner, head, fields, body);
    tell(owner, "begin", fields, body, STR_LITERAL(""));
}

static void on_chunk(void *owner, struct str bytes)
{
    struct bench *b = owner;
    keep_bytes(b, bytes);
    b->chunks++;
    tell(b, "chunk", bytes, STR_LITERAL(""), STR_LITERAL(""));
    if (b->pauses)
        native_channel_pause(&b->channel);
}

static void on_end(void *owner)
{
    tell_event(owner, "end", "");
}

static void on_error(void *owner, struct str type, struct str message, struct str trace, bool leaving)
{
    tell(owner, leaving ? "last error" : "error", type, message, trace);
}

static void on_violation(void *owner, const char *what)
{
    tell_event(owner, "violation", what);
}

static void on_closed(void *owner)
{
    tell_event(owner, "closed", "");
}

static const struct native_channel_events EVENTS = {.on_ready = on_ready,
                                                    .on_init_error = on_init_error,
                                                    .on_reply = on_reply,
                                                    .on_begin = on_begin,
                                                    .on_chunk = on_chunk,
                                                    .on_end = on_end,
                                                    .on_error = on_error,
                                                    .on_violation = on_violation,
                                                    .on_closed = on_closed};

static int setup_as(void **state, bool forked)
{
    static struct config config = {.reply_bytes_max = 262144};
    static struct bench b;
    int pair[2];
    memset(&b, 0, sizeof(b));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    b.gateway.loop = ev_default_loop(0);
    b.gateway.config = &config;
    b.worker = pair[1];
    native_channel_init(&b.channel, &b.gateway, &EVENTS, &b);
    if (forked)
        native_channel_attach_forked(&b.channel, pair[0]);
    else
        native_channel_attach(&b.channel, pair[0]);
    *state = &b;
    return 0;
}

static int setup(void **state)
{
    return setup_as(state, false);
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

/* In as many writes as it takes. */
static void say(struct bench *b, const void *bytes, size_t n)
{
    for (const char *p = bytes; n;) {
        ssize_t sent = send(b->worker, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EPIPE)
            return;
        assert_true(sent > 0 || errno == EAGAIN);
        p += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
        turn(b);
    }
}

static void make_ready(struct bench *b)
{
    say(b, &(struct faasd_frame){.type = FAASD_FRAME_READY}, sizeof(struct faasd_frame));
    assert_string_equal(b->told, "ready");
    assert_string_equal(b->words, "||");
    b->told[0] = b->words[0] = '\0';
}

#endif
