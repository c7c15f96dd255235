/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's loop: a request is one read(2) and its reply one sendmsg(2) as long as both are small. Nothing is allocated or asked of the
 * kernel before READY but what the loop needs, because this is the tail of a cold start.
 */
#include "channel.h"
#include "event.h"
#include "faasd/frame.h"
#include "faasd/function.h"
#include "random.h"
#include "reply.h"
#include "template.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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
    struct wait wait;
    struct input in;
    struct faasd_reply reply;
};

static struct faasd_reply init_failed; /* type and message alone */

static int input_grow(struct input *in, size_t needed)
{
    if (needed <= in->room)
        return 0;
    char *data = realloc(in->data, needed + 1);
    if (!data)
        return faasd_channel_complain("no memory for the event");
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
                return faasd_channel_complain("a frame of impossible length");
            wanted = sizeof(*ret_frame) + ret_frame->length;
            if (in->length >= wanted)
                return 1;
        }
        if (input_grow(in, wanted > INPUT_FIRST_BYTES ? wanted : INPUT_FIRST_BYTES) != 0)
            return -1;
        ssize_t n = faasd_wait_receive(&w->wait, w->fd, in->data + in->length, in->room - in->length);
        if (n == 0)
            return in->length == 0 ? 0 : faasd_channel_complain("the connection ended inside a frame");
        if (n > 0)
            in->length += (size_t)n;
        else if (errno == EAGAIN)
            faasd_channel_wait(w->fd, POLLIN);
        else if (errno == ECONNRESET)
            return 0;
        else if (errno != EINTR)
            return faasd_channel_complain("cannot read from fd 3");
    }
}

/* A head that somebody else has read. */
static int input_begin(struct input *in, const struct faasd_frame *head)
{
    if (input_grow(in, INPUT_FIRST_BYTES) != 0)
        return -1;
    memcpy(in->data, head, sizeof(*head));
    in->length = sizeof(*head);
    return 0;
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

static int send_reply(struct worker *w, uint64_t id)
{
    struct faasd_reply *r = &w->reply;
    if (r->streams && !r->failed)
        return faasd_reply_end_stream(r);
    uint64_t payload = (uint64_t)sizeof(struct faasd_reply_head) + r->fields.length + r->body.length;
    if (payload > UINT32_MAX)
        faasd_fail(r, "ReplyTooLarge", "a reply of %zu bytes fits no frame", r->body.length);
    if (r->failed)
        return faasd_channel_send_error(w->fd, id, r->type, r->message, -1);
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
    return faasd_channel_send(w->fd, parts, 4, -1);
}

/* The event lies in the input buffer; the byte behind it may be the next frame's first, so it is put back. */
static int answer(struct worker *w, const struct faasd_frame *frame)
{
    struct faasd_event event;
    char *payload = w->in.data + sizeof(*frame);
    if (frame->type != FAASD_FRAME_INVOKE)
        return faasd_channel_complain("a frame that is not INVOKE");
    const char *wrong = faasd_event_read(payload, frame->length, &event);
    if (wrong)
        return faasd_channel_complain(wrong);
    char *behind = payload + frame->length;
    char kept = *behind;
    *behind = '\0';
    faasd_reply_reset(&w->reply);
    w->reply.fd = w->fd;
    w->reply.id = frame->id;
    int result = w->handler(&event, &w->reply);
    if (result != 0)
        faasd_fail(&w->reply, "HandlerError", "the handler returned %d", result);
    *behind = kept;
    fflush(stdout); /* a line without an end must not wait in this process for the next request */
    faasd_reply_complete(&w->reply);
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

/* A failed init says so in the place of READY, and its reason if it gave one. */
static int fail_init(int fd, int result)
{
    char text[64];
    snprintf(text, sizeof(text), "init returned %d", result);
    fflush(stdout);
    faasd_channel_complain(init_failed.message[0] ? init_failed.message : text);
    faasd_channel_send_error(fd, 0, init_failed.type[0] ? init_failed.type : "InitFailed",
                             init_failed.message[0] ? init_failed.message : text, -1);
    return 1;
}

int faasd_init_fail(const char *type, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    faasd_reply_vfail(&init_failed, type, format, arguments);
    va_end(arguments);
    return -1;
}

/* READY, then the loop; a template's children arrive in the loop by way of FORK. */
static int serve(struct worker *w, bool may_be_template)
{
    char text[TEMPLATE_TEXT_MAX];
    bool is_wanted = may_be_template && faasd_template_is_wanted(), is_child = false;
    const char *answer = is_wanted ? faasd_template_answer(text) : NULL;
    if (faasd_channel_send_ready(w->fd, answer) != 0)
        return -1;
    if (answer && answer != text) {
        struct faasd_frame head;
        /* once, rather than in each child: what nobody writes to takes no memory. The small ones first, so that they lie in pages which a child writes anyway. */
        if (faasd_reply_make_room(&w->reply) != 0 || input_grow(&w->in, INPUT_FIRST_BYTES) != 0)
            return -1;
        enum template_outcome outcome = faasd_template_serve(w->fd, &head);
        if (outcome == TEMPLATE_ENDED || outcome == TEMPLATE_BROKEN)
            return outcome;
        if (outcome == TEMPLATE_REQUEST && input_begin(&w->in, &head) != 0)
            return -1;
        is_child = outcome == TEMPLATE_CHILD;
    }
    /* Where a template has no room for one more child this process serves by itself, beside children that all differ: so must it. */
    if (is_wanted && !is_child)
        faasd_random_reseed(NULL);
    return loop(w);
}

static int run(int fd, int (*init)(void), faasd_handler handler, bool may_be_template)
{
    struct worker w = {.fd = fd, .handler = handler};
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a pipe would be fully buffered: the log would lag behind by 4 KiB */
    int result = init ? init() : 0;
    if (result != 0)
        return fail_init(fd, result);
    result = serve(&w, may_be_template);
    free(w.in.data);
    faasd_reply_free(&w.reply);
    return result == 0 ? 0 : 1;
}

int faasd_serve_fd(int fd, int (*init)(void), faasd_handler handler)
{
    return run(fd, init, handler, false);
}

int faasd_serve_with_init(int (*init)(void), faasd_handler handler)
{
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(FAASD_FRAME_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
        faasd_channel_complain(
            "this program answers requests that faasd hands it: faasd deploy NAME PROGRAM --runtime native");
        return 2;
    }
    fcntl(FAASD_FRAME_FD, F_SETFD, FD_CLOEXEC); /* programs that the handler starts have no business on it */
    return run(FAASD_FRAME_FD, init, handler, true);
}

int faasd_serve(faasd_handler handler)
{
    return faasd_serve_with_init(NULL, handler);
}
