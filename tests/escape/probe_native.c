/* SPDX-License-Identifier: Apache-2.0 */
/* The I rows: a native worker that speaks the frames itself and misbehaves as the event says. */
#include "probe.h"

#include <faasd/frame.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void send_bytes(const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        ssize_t r = write(FAASD_FRAME_FD, p, n);
        if (r <= 0)
            return;
        p += r;
        n -= (size_t)r;
    }
}

static int receive(void *out, size_t n)
{
    char *p = out;
    while (n) {
        ssize_t r = read(FAASD_FRAME_FD, p, n);
        if (r <= 0)
            return 0;
        p += r;
        n -= (size_t)r;
    }
    return 1;
}

struct reply {
    struct faasd_frame frame;
    struct faasd_reply_head head;
    char bytes[4096];
};

static struct reply make_reply(uint64_t id, uint32_t status, const char *fields, size_t fields_length, const char *body)
{
    struct reply r;
    memset(&r, 0, sizeof(r));
    r.head.status = status;
    r.head.fields_length = (uint32_t)fields_length;
    r.head.body_length = (uint32_t)strlen(body);
    memcpy(r.bytes, fields, fields_length);
    memcpy(r.bytes + fields_length, body, r.head.body_length);
    r.frame.length = (uint32_t)(sizeof(r.head) + fields_length + r.head.body_length);
    r.frame.type = FAASD_FRAME_REPLY;
    r.frame.id = id;
    return r;
}

static void send_reply(const struct reply *r)
{
    send_bytes(r, sizeof(r->frame) + r->frame.length);
}

static void send_good(uint64_t id, const char *body)
{
    struct reply r = make_reply(id, 200, "", 0, body);
    send_reply(&r);
}

static void flood_descriptors(void)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(253 * sizeof(int))];
    } control;
    for (int round = 0; round < 200; round++) {
        memset(&control, 0, sizeof(control));
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(253 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        for (int i = 0; i < 253; i++)
            memcpy((char *)CMSG_DATA(&control.head) + (size_t)i * sizeof(int), &(int){2}, sizeof(int));
        struct iovec iov = {"", 0};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        static const char head[16] = {0};
        iov = (struct iovec){(char *)head, round == 0 ? 1 : 0};
        if (iov.iov_len == 0)
            break;
        sendmsg(FAASD_FRAME_FD, &m, 0);
    }
}

/* A connection whose close waits for a peer that reads nothing, as its last holder finds out. */
static int make_lingering(void)
{
    static const char zeros[65536];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger seconds = {.l_onoff = 1, .l_linger = 3};
    socklen_t n = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&at, n);
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&at, &n);
    if (connect(fd, (struct sockaddr *)&at, n) < 0 || accept(listener, NULL, NULL) < 0) /* the peer stays open */
        return -1;
    close(listener);
    while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        ;
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &seconds, sizeof(seconds)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* One with each of the first bytes; no byte is lost where none is taken. */
static void send_lingering(const struct reply *r)
{
    enum { FEW = 2 }; /* whoever judges nobody waits for them all */
    for (int i = 0; i < FEW; i++) {
        union {
            struct cmsghdr head;
            char space[CMSG_SPACE(sizeof(int))];
        } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
        int fd = make_lingering();
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
        struct iovec iov = {(char *)r + i, 1};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        if (fd < 0 || sendmsg(FAASD_FRAME_FD, &m, 0) != 1)
            send_bytes((const char *)r + i, 1);
        close(fd);
    }
    send_bytes((const char *)r + FEW, sizeof(r->frame) + r->frame.length - FEW);
}

static void misbehave_as(const char *how, const struct faasd_frame *invoke)
{
    static const char zeros[65536];
    uint64_t id = invoke->id;
    struct reply r = make_reply(id, 200, "", 0, "fine");
    if (strcmp(how, "garbage") == 0) {
        send_bytes("GET / HTTP/1.1\r\n\r\n\xff\xff\xff\xff", 22);
    } else if (strcmp(how, "length-max") == 0) {
        r.frame.length = UINT32_MAX;
        send_bytes(&r, 64);
    } else if (strcmp(how, "length-2g") == 0) {
        r.frame.length = 0x80000000u;
        send_bytes(&r, 64);
    } else if (strcmp(how, "length-0") == 0) {
        r.frame.length = 0;
        send_bytes(&r, sizeof(r.frame));
    } else if (strcmp(how, "fields-max") == 0) {
        r.head.fields_length = UINT32_MAX;
        send_reply(&r);
    } else if (strcmp(how, "wrong-id") == 0) {
        r.frame.id = id + 1;
        send_reply(&r);
    } else if (strcmp(how, "other-ids") == 0) {
        for (r.frame.id = id - 100; r.frame.id < id + 100; r.frame.id++)
            if (r.frame.id != id)
                send_reply(&r);
    } else if (strcmp(how, "id-0") == 0) {
        r.frame.id = 0;
        send_reply(&r);
    } else if (strcmp(how, "twice") == 0) {
        struct reply stale = make_reply(id, 200, "", 0, "stale");
        send_reply(&r);
        send_reply(&stale);
    } else if (strcmp(how, "early") == 0) {
        struct reply stale = make_reply(id + 1, 200, "", 0, "stale");
        send_reply(&r);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        send_reply(&stale);
    } else if (strcmp(how, "ready-again") == 0) {
        r.frame = (struct faasd_frame){.type = FAASD_FRAME_READY};
        send_bytes(&r.frame, sizeof(r.frame));
    } else if (strcmp(how, "unknown-type") == 0) {
        r.frame.type = 99;
        send_reply(&r);
    } else if (strcmp(how, "drip") == 0) {
        for (size_t i = 0; i < sizeof(r.frame); i++) {
            send_bytes((char *)&r + i, 1);
            sleep(1);
        }
    } else if (strcmp(how, "endless") == 0) {
        r.frame.length = 6u << 20;
        r.head.body_length = (6u << 20) - sizeof(r.head);
        send_bytes(&r, sizeof(r.frame) + sizeof(r.head));
        for (int i = 0; i < 200; i++)
            send_bytes(zeros, sizeof(zeros));
    } else if (strcmp(how, "too-long") == 0) {
        r.frame.length = 64u << 20;
        send_bytes(&r, sizeof(r.frame));
        for (int i = 0; i < 1024; i++)
            send_bytes(zeros, sizeof(zeros));
    } else if (strcmp(how, "split-header") == 0) {
        r = make_reply(id, 200, "X-A\0one\r\nX-Injected: two\0", 25, "x");
        send_reply(&r);
    } else if (strcmp(how, "split-name") == 0) {
        r = make_reply(id, 200, "X-A\r\nX-Injected\0v\0", 19, "x");
        send_reply(&r);
    } else if (strcmp(how, "no-nul") == 0) {
        r = make_reply(id, 200, "X-A\0unterminated", 16, "x");
        send_reply(&r);
    } else if (strcmp(how, "framing") == 0) {
        static const char fields[] = "Content-Length\0"
                                     "99\0"
                                     "Transfer-Encoding\0"
                                     "chunked\0"
                                     "Connection\0"
                                     "close\0"
                                     "X-Faasd-Error\0"
                                     "Fake\0"
                                     "X-Kept\0"
                                     "yes";
        r = make_reply(id, 200, fields, sizeof(fields), "body");
        send_reply(&r);
    } else if (strncmp(how, "status-", 7) == 0) {
        r = make_reply(id, (uint32_t)atoi(how + 7), "", 0, "a body");
        send_reply(&r);
    } else if (strcmp(how, "descriptors") == 0) {
        flood_descriptors();
        _exit(0);
    } else if (strcmp(how, "lingering") == 0) {
        r = make_reply(id, 200, "", 0, make_lingering() < 0 ? "none" : "lingering");
        send_lingering(&r);
    } else if (strcmp(how, "half-close") == 0) {
        send_bytes(&r, 20);
        shutdown(FAASD_FRAME_FD, SHUT_WR);
        pause();
    } else if (strcmp(how, "end-mid-frame") == 0) {
        send_bytes(&r, 20);
        _exit(0);
    } else if (strcmp(how, "close-and-live") == 0) {
        close(FAASD_FRAME_FD);
        pause();
    } else if (strcmp(how, "two-writers") == 0) {
        if (fork() == 0) {
            send_reply(&r);
            _exit(0);
        }
        send_reply(&r);
        wait(NULL); /* all of it is said before the next request is read, so that no more than one is spoiled */
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "exit") == 0) {
        _exit(3);
    } else if (strcmp(how, "hang") == 0) {
        pause();
    } else if (strcmp(how, "stop-reading") == 0) {
        send_good(id, "now I sleep");
        pause();
    } else if (strcmp(how, "error-type") == 0) {
        struct {
            struct faasd_frame frame;
            struct faasd_error_head head;
            char text[16];
        } e = {.frame = {.length = sizeof(e.head) + 8, .type = FAASD_FRAME_ERROR, .id = id},
               .head = {.type_length = 4, .message_length = 4}};
        memcpy(e.text, "a\r\nboops", 8);
        send_bytes(&e, sizeof(e.frame) + e.frame.length);
    } else {
        send_good(id, "fine");
    }
}

static int misbehave_on(void)
{
    static char payload[8 << 20];
    for (;;) {
        struct faasd_frame f;
        struct faasd_invoke_head head;
        if (!receive(&f, sizeof(f)) || f.length > sizeof(payload) || !receive(payload, f.length))
            return 0;
        memcpy(&head, payload, sizeof(head));
        char how[64] = "";
        const char *event = payload + sizeof(head) + head.fields_length;
        snprintf(how, sizeof(how), "%.*s", (int)(head.event_length < 60 ? head.event_length : 60), event);
        misbehave_as(how, &f);
    }
}

int misbehave(void)
{
    struct faasd_frame ready = {.type = FAASD_FRAME_READY};
    signal(SIGPIPE, SIG_IGN);
    send_bytes(&ready, sizeof(ready));
    return misbehave_on();
}

int misbehave_from(const char *how, const struct faasd_frame *invoke)
{
    misbehave_as(how, invoke);
    return misbehave_on();
}
