/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's loop: a request is one read(2) and its reply one sendmsg(2) as long as both are small. Nothing is allocated or asked of the
 * kernel before READY but what the loop needs, because this is the tail of a cold start.
 */
#include "event.h"
#include "faasd/frame.h"
#include "faasd/function.h"
#include "reply.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the frames are little-endian: a big-endian port has to swap"
#endif

enum {
    INPUT_FIRST_BYTES = 16384,
    INPUT_KEPT_BYTES = 262144,
    FRAME_BYTES_MAX = 1 << 30, /* beyond: the stream is out of step */
};

struct input {
    char *data; /* owned */
    size_t length;
    size_t room; /* one byte more is allocated, for the NUL behind an event */
};

struct worker {
    int fd;
    faasd_handler handler;
    struct input in;
    struct faasd_reply reply;
};

static int complain(const char *text)
{
    static const char prefix[] = "faasd function: ";
    struct iovec parts[] = {
        {(void *)prefix, sizeof(prefix) - 1},
        {(void *)text, strlen(text)},
        {(void *)"\n", 1},
    };
    ssize_t written = writev(STDERR_FILENO, parts, 3);
    (void)written; /* there is nobody else to tell */
    return -1;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    poll(&p, 1, -1); /* EINTR and errors show in the call that follows */
}

/* All parts, whatever the socket takes at a time. 0, or -1 when the other side is gone. */
static int send_all(int fd, struct iovec *parts, size_t count)
{
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = count};
    while (m.msg_iovlen > 0) {
        ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (sent < 0 && errno == EAGAIN)
            wait_for(fd, POLLOUT);
        size_t n = sent > 0 ? (size_t)sent : 0;
        while (m.msg_iovlen > 0 && n >= m.msg_iov->iov_len) {
            n -= m.msg_iov->iov_len;
            m.msg_iov++;
            m.msg_iovlen--;
        }
        if (n > 0) {
            m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + n;
            m.msg_iov->iov_len -= n;
        }
    }
    return 0;
}

static int input_grow(struct input *in, size_t needed)
{
    if (needed <= in->room)
        return 0;
    char *data = realloc(in->data, needed + 1);
    if (!data)
        return complain("no memory for the event");
    in->data = data;
    in->room = needed;
    return 0;
}

/* 1: a whole frame stands at in->data. 0: end of file between two frames. -1: broken. */
static int read_frame(struct worker *w, struct faasd_frame *ret_frame)
{
    struct input *in = &w->in;
    size_t wanted = sizeof(struct faasd_frame);
    for (;;) {
        if (in->length >= sizeof(struct faasd_frame)) {
            memcpy(ret_frame, in->data, sizeof(*ret_frame));
            if (ret_frame->length > FRAME_BYTES_MAX)
                return complain("a frame of impossible length");
            wanted = sizeof(*ret_frame) + ret_frame->length;
            if (in->length >= wanted)
                return 1;
        }
        if (input_grow(in, wanted > INPUT_FIRST_BYTES ? wanted : INPUT_FIRST_BYTES) != 0)
            return -1;
        ssize_t n = read(w->fd, in->data + in->length, in->room - in->length);
        if (n == 0)
            return in->length == 0 ? 0 : complain("the connection ended inside a frame");
        if (n > 0)
            in->length += (size_t)n;
        else if (errno == EAGAIN)
            wait_for(w->fd, POLLIN);
        else if (errno == ECONNRESET)
            return 0;
        else if (errno != EINTR)
            return complain("cannot read from fd 3");
    }
}

static void input_drop_frame(struct input *in, size_t size)
{
    in->length -= size;
    if (in->length > 0) {
        memmove(in->data, in->data + size, in->length);
    } else if (in->room > INPUT_KEPT_BYTES) {
        free(in->data);
        *in = (struct input){0};
    }
}

static int send_error(struct worker *w, uint64_t id)
{
    const struct faasd_reply *r = &w->reply;
    struct faasd_error_head head = {
        .type_length = (uint32_t)strlen(r->type),
        .message_length = (uint32_t)strlen(r->message),
    };
    struct faasd_frame frame = {
        .length = (uint32_t)sizeof(head) + head.type_length + head.message_length,
        .type = FAASD_FRAME_ERROR,
        .id = id,
    };
    struct iovec parts[] = {
        {&frame, sizeof(frame)},
        {&head, sizeof(head)},
        {(void *)r->type, head.type_length},
        {(void *)r->message, head.message_length},
    };
    return send_all(w->fd, parts, 4);
}

static int send_reply(struct worker *w, uint64_t id)
{
    struct faasd_reply *r = &w->reply;
    uint64_t payload = (uint64_t)sizeof(struct faasd_reply_head) + r->fields.length + r->body.length;
    if (payload > UINT32_MAX)
        faasd_fail(r, "ReplyTooLarge", "a reply of %zu bytes fits no frame", r->body.length);
    if (r->failed)
        return send_error(w, id);
    struct faasd_reply_head head = {
        .status = r->status,
        .fields_length = (uint32_t)r->fields.length,
        .body_length = (uint32_t)r->body.length,
    };
    struct faasd_frame frame = {.length = (uint32_t)payload, .type = FAASD_FRAME_REPLY, .id = id};
    struct iovec parts[] = {
        {&frame, sizeof(frame)},
        {&head, sizeof(head)},
        {r->fields.data, r->fields.length},
        {r->body.data, r->body.length},
    };
    return send_all(w->fd, parts, 4);
}

/* The event lies in the input buffer; the byte behind it may be the next frame's first, so it is put back. */
static int answer(struct worker *w, const struct faasd_frame *frame)
{
    struct faasd_event event;
    char *payload = w->in.data + sizeof(*frame);
    if (frame->type != FAASD_FRAME_INVOKE)
        return complain("a frame that is not INVOKE");
    const char *wrong = event_read(payload, frame->length, &event);
    if (wrong)
        return complain(wrong);
    char *behind = payload + frame->length;
    char kept = *behind;
    *behind = '\0';
    reply_reset(&w->reply);
    int result = w->handler(&event, &w->reply);
    if (result != 0)
        faasd_fail(&w->reply, "HandlerError", "the handler returned %d", result);
    *behind = kept;
    fflush(stdout); /* a line without an end must not wait in this process for the next request */
    reply_complete(&w->reply);
    return send_reply(w, frame->id);
}

static int loop(struct worker *w)
{
    struct faasd_frame frame;
    int have;
    while ((have = read_frame(w, &frame)) > 0) {
        if (answer(w, &frame) != 0)
            return -1;
        input_drop_frame(&w->in, sizeof(frame) + frame.length);
    }
    return have;
}

static int send_ready(int fd)
{
    struct faasd_frame frame = {.type = FAASD_FRAME_READY};
    struct iovec part = {&frame, sizeof(frame)};
    return send_all(fd, &part, 1);
}

int faasd_serve_fd(int fd, int (*init)(void), faasd_handler handler)
{
    struct worker w = {.fd = fd, .handler = handler};
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a pipe would be fully buffered: the log would lag behind by 4 KiB */
    if (init && init() != 0) {
        complain("init failed");
        return 1;
    }
    int result = send_ready(fd) == 0 ? loop(&w) : -1;
    free(w.in.data);
    reply_free(&w.reply);
    return result == 0 ? 0 : 1;
}

int faasd_serve_with_init(int (*init)(void), faasd_handler handler)
{
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(FAASD_FRAME_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
        complain("this program answers requests that faasd hands it: faasd deploy NAME PROGRAM --runtime native");
        return 2;
    }
    return faasd_serve_fd(FAASD_FRAME_FD, init, handler);
}

int faasd_serve(faasd_handler handler)
{
    return faasd_serve_with_init(NULL, handler);
}
