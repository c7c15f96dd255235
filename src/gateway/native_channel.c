/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/native_channel.h"

#include "base/fdio.h"
#include "base/id.h"
#include "base/units.h"
#include "base/watch.h"
#include "gateway/native_first.h"
#include "os/sock.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "frames are little-endian and are read in place");
static_assert(sizeof(struct faasd_frame) == 16, "docs/PROTOCOL.md");

enum {
    READ_CHUNK = 65536,
    DRAIN_BYTES_MAX = 1 << 20, /* more than a socket's buffer holds: twice net.core.wmem_max (socket(7)) */
    WORKER_ERROR_MAX = 262144, /* type, message and trace of an ERROR */
};

/* Where a read lands first, for every worker: most frames come whole and never touch a buffer of their own. */
static _Alignas(16) char scratch[READ_CHUNK];

static void violate(struct native_channel *c, const char *what)
{
    ev_io_stop(c->gateway->loop, &c->reader);
    c->paused = false;
    c->events->on_violation(c->owner, what);
}

static void take_reply(struct native_channel *c, struct str payload)
{
    struct faasd_reply_head head;
    if (payload.n < sizeof(head)) {
        violate(c, "a REPLY frame shorter than its head");
        return;
    }
    memcpy(&head, payload.p, sizeof(head));
    payload = str_skip(payload, sizeof(head));
    if ((uint64_t)head.fields_length + head.body_length != payload.n) {
        violate(c, "a REPLY frame whose lengths do not add up");
        return;
    }
    struct str fields = {payload.p, head.fields_length};
    struct str body = str_skip(payload, head.fields_length);
    if (head.flags & ~(uint32_t)(FAASD_REPLY_MORE | FAASD_REPLY_HTTP)) {
        violate(c, "a REPLY frame with flags that there are not");
        return;
    }
    if (head.flags & FAASD_REPLY_MORE) {
        c->state = NATIVE_CHANNEL_STREAMING;
        c->events->on_begin(c->owner, &head, fields, body);
        return;
    }
    c->state = NATIVE_CHANNEL_IDLE;
    c->events->on_reply(c->owner, &head, fields, body);
}

void native_channel_pause(struct native_channel *c)
{
    if (c->state != NATIVE_CHANNEL_STREAMING)
        return;
    c->paused = true;
    ev_io_stop(c->gateway->loop, &c->reader);
}

void native_channel_resume(struct native_channel *c)
{
    if (c->paused)
        ev_io_start(c->gateway->loop, &c->reader);
    c->paused = false;
}

static void take_chunk(struct native_channel *c, struct str payload)
{
    if (payload.n) {
        c->events->on_chunk(c->owner, payload);
        return;
    }
    native_channel_resume(c);
    c->state = NATIVE_CHANNEL_IDLE;
    c->events->on_end(c->owner);
}

static void take_error(struct native_channel *c, struct str payload)
{
    struct faasd_error_head head;
    if (payload.n < sizeof(head)) {
        violate(c, "an ERROR frame shorter than its head");
        return;
    }
    memcpy(&head, payload.p, sizeof(head));
    const char *p = payload.p + sizeof(head);
    if ((uint64_t)head.type_length + head.message_length + head.trace_length != payload.n - sizeof(head)) {
        violate(c, "an ERROR frame whose lengths do not add up");
        return;
    }
    struct str type = {p, head.type_length};
    struct str message = {p + head.type_length, head.message_length};
    struct str trace = {message.p + message.n, head.trace_length};
    if (c->state == NATIVE_CHANNEL_STARTING) {
        ev_io_stop(c->gateway->loop, &c->reader); /* nothing more is of interest: it ends */
        c->events->on_init_error(c->owner, type, message, trace);
        return;
    }
    if (head.flags & ~(uint32_t)FAASD_ERROR_LEAVING) {
        violate(c, "an ERROR frame with flags that there are not");
        return;
    }
    native_channel_resume(c);
    c->state = NATIVE_CHANNEL_IDLE;
    c->events->on_error(c->owner, type, message, trace, head.flags & FAASD_ERROR_LEAVING);
}

static void take_ready(struct native_channel *c, struct str payload)
{
    struct native_ready ready;
    const char *fault = native_ready_parse(payload, &ready);
    if (!fault && c->forked && (c->peer_pid <= 0 || c->log_fd < 0))
        fault = "a READY of a forked child without its log's pipe";
    if (fault) {
        violate(c, fault);
        return;
    }
    c->state = NATIVE_CHANNEL_IDLE;
    c->events->on_ready(c->owner, &ready);
}

/* What is wrong with the first frame's head, or NULL. */
static const char *find_first_fault(const struct faasd_frame *f)
{
    if (f->id != 0)
        return "a frame that nobody asked for";
    if (f->type == FAASD_FRAME_READY)
        return f->length <= NATIVE_READY_MAX ? NULL : "a READY frame longer than 4 KiB";
    if (f->type == FAASD_FRAME_ERROR)
        return f->length <= WORKER_ERROR_MAX ? NULL : "an ERROR frame longer than 256 KiB";
    return "a frame before READY";
}

/* Until the next call. */
static const char *describe_long_reply(const struct native_channel *c, const struct faasd_frame *f)
{
    static char text[128];
    char limit[UNITS_TEXT_MAX];
    units_format_size(c->gateway->config->reply_bytes_max, limit);
    snprintf(text, sizeof(text), "a reply of %u bytes, longer than the limit 'reply_bytes' (%s)", f->length, limit);
    return text;
}

/* What is wrong with a frame's head in this state, or NULL. */
static const char *find_fault(const struct native_channel *c, const struct faasd_frame *f)
{
    if (f->reserved != 0)
        return "a frame with a reserved field that is not 0";
    if (c->state == NATIVE_CHANNEL_STARTING)
        return find_first_fault(f);
    if (c->state != NATIVE_CHANNEL_BUSY && c->state != NATIVE_CHANNEL_STREAMING)
        return "a frame that nobody asked for";
    if (f->id != c->request)
        return "a frame with the id of no request at hand";
    if (f->type == FAASD_FRAME_ERROR)
        return f->length <= WORKER_ERROR_MAX ? NULL : "an ERROR frame longer than 256 KiB";
    if (c->state == NATIVE_CHANNEL_STREAMING && f->type == FAASD_FRAME_CHUNK)
        return f->length <= FAASD_CHUNK_MAX ? NULL : "a CHUNK frame longer than 64 KiB";
    if (c->state == NATIVE_CHANNEL_STREAMING)
        return "a frame that is neither CHUNK nor ERROR within a reply";
    if (f->type != FAASD_FRAME_REPLY)
        return f->type == FAASD_FRAME_CHUNK ? "a CHUNK frame before its REPLY" : "a frame of an unknown type";
    return f->length <= c->reply_max ? NULL : describe_long_reply(c, f);
}

/* Is this complete frame one that others may follow without having been asked for? */
static bool goes_on(const struct native_channel *c, const struct faasd_frame *f, const char *payload)
{
    struct faasd_reply_head head;
    if (c->state == NATIVE_CHANNEL_STREAMING)
        return f->type == FAASD_FRAME_CHUNK && f->length > 0;
    if (c->state != NATIVE_CHANNEL_BUSY || f->type != FAASD_FRAME_REPLY || f->length < sizeof(head))
        return false;
    memcpy(&head, payload, sizeof(head));
    return head.flags & FAASD_REPLY_MORE;
}

/* Looks at the bytes received so far. *ret_used: how many a complete frame took (0: not complete, or refused). True when the owner was told something. */
static bool take_frame(struct native_channel *c, struct str in, size_t *ret_used)
{
    struct faasd_frame frame;
    *ret_used = 0;
    if (in.n < sizeof(frame))
        return false;
    memcpy(&frame, in.p, sizeof(frame));
    const char *fault = find_fault(c, &frame);
    if (!fault && in.n > sizeof(frame) + frame.length && !goes_on(c, &frame, in.p + sizeof(frame)))
        fault = "bytes behind a frame that nobody asked for";
    if (fault) {
        violate(c, fault);
        return true;
    }
    if (in.n < sizeof(frame) + frame.length)
        return false;
    *ret_used = sizeof(frame) + frame.length;
    struct str payload = {in.p + sizeof(frame), frame.length};
    if (frame.type == FAASD_FRAME_READY) {
        take_ready(c, payload);
    } else if (frame.type == FAASD_FRAME_REPLY) {
        take_reply(c, payload);
    } else if (frame.type == FAASD_FRAME_CHUNK) {
        take_chunk(c, payload);
    } else {
        take_error(c, payload);
    }
    return true;
}

/* As take_frame, for all the frames of a reply that goes on; *ret_used is what they took, of which a part at the end may be left. */
static bool take_frames(struct native_channel *c, struct str in, size_t *ret_used)
{
    size_t used;
    *ret_used = 0;
    while (take_frame(c, str_skip(in, *ret_used), &used)) {
        *ret_used += used;
        if (used == 0 || *ret_used == in.n || c->state != NATIVE_CHANNEL_STREAMING)
            return true;
    }
    return false;
}

static void on_bytes(struct native_channel *c, struct str in)
{
    size_t used;
    if (c->in.len == 0) {
        if (!take_frames(c, in, &used) && buf_add_str(&c->in, str_skip(in, used)) < 0)
            violate(c, "out of memory");
        return;
    }
    /* The frame owns its bytes while its owner looks at them: the buffer is taken out of the channel, which may be gone afterwards. */
    struct buf whole = c->in;
    if (in.p != whole.data + whole.len && buf_add_str(&whole, in) < 0) {
        c->in = whole;
        violate(c, "out of memory");
        return;
    }
    if (in.p == whole.data + whole.len)
        whole.len += in.n;
    buf_init(&c->in, 0);
    if (take_frames(c, buf_str(&whole), &used)) {
        buf_fini(&whole);
        return;
    }
    buf_drop_front(&whole, used);
    c->in = whole;
}

/* Where the next read goes: a long frame is read into its place once its length is known and checked. */
static struct str read_room(struct native_channel *c)
{
    struct faasd_frame frame;
    if (c->in.len < sizeof(frame))
        return (struct str){scratch, sizeof(scratch)};
    memcpy(&frame, c->in.data, sizeof(frame));
    size_t missing = sizeof(frame) + frame.length - c->in.len;
    /* One byte more, so that bytes behind the frame are seen and refused rather than left for the next request. */
    if (buf_reserve(&c->in, missing + 1) < 0)
        return (struct str){scratch, sizeof(scratch)};
    return (struct str){c->in.data + c->in.len, missing + 1};
}

static ssize_t receive_first(struct native_channel *c, struct str room, bool *ret_good)
{
    struct native_first first;
    ssize_t n = native_first_receive(c->fd, c->forked, (char *)room.p, room.n, &first);
    if (n > 0) {
        c->heard = true;
        c->peer_pid = first.pid;
        c->log_fd = first.log_fd;
        *ret_good = first.good;
    }
    return n;
}

/* How many bytes; 0 when nothing was there, or nothing more can come. */
static size_t receive(struct native_channel *c)
{
    struct str room = read_room(c);
    bool good = true;
    ssize_t n;
    do {
        if (!c->heard)
            n = receive_first(c, room, &good);
        else /* No control buffer: descriptors that a worker sends are dropped by the kernel (unix(7)). */
            n = recv(c->fd, (char *)room.p, room.n, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        c->unread =
            n < 0 && errno == ECONNRESET; /* whoever closes a socket with bytes in it resets it (unix_release_sock) */
        ev_io_stop(c->gateway->loop, &c->reader);
        c->paused = false;
        c->events->on_closed(c->owner);
        return 0;
    }
    if (!good) {
        violate(c, "a first message with other descriptors than its log's pipe");
        return 0;
    }
    on_bytes(c, (struct str){room.p, (size_t)n});
    return (size_t)n;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct native_channel *c = w->data;
    turn_begin(c->gateway);
    receive(c);
}

/* What one dead process can have left is what a socket's buffer holds; who else has the socket may write for ever. */
void native_channel_drain(struct native_channel *c)
{
    size_t drained = 0, n;
    while (drained < DRAIN_BYTES_MAX && c->fd >= 0 && (ev_is_active(&c->reader) || c->paused)) {
        if ((n = receive(c)) == 0)
            return;
        drained += n;
    }
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct native_channel *c = w->data;
    ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        ev_io_stop(loop, &c->writer); /* the reader sees the end */
        return;
    }
    c->out_sent += (size_t)n;
    if (c->out_sent == c->out.len) {
        ev_io_stop(loop, &c->writer);
        c->out_sent = 0;
        buf_fini(&c->out);
    }
}

void native_channel_init(struct native_channel *c, struct gateway *g, const struct native_channel_events *events,
                         void *owner)
{
    memset(c, 0, sizeof(*c));
    c->gateway = g;
    c->events = events;
    c->owner = owner;
    c->fd = -1;
    c->log_fd = -1;
    ev_init(&c->reader, on_readable);
    ev_init(&c->writer, on_writable);
}

void native_channel_attach(struct native_channel *c, int fd)
{
    c->fd = fd;
    c->state = NATIVE_CHANNEL_STARTING;
    ev_io_set(&c->reader, fd, EV_READ);
    ev_io_set(&c->writer, fd, EV_WRITE);
    c->reader.data = c;
    c->writer.data = c;
    /* Should this fail, READY comes without its sender: a child's is refused, another worker's clock can't be read (gateway/usage.h). */
    native_first_expect(fd);
    if (!c->forked)
        sock_take_no_fds(fd);
    ev_io_start(c->gateway->loop, &c->reader);
}

void native_channel_attach_forked(struct native_channel *c, int fd)
{
    c->forked = true;
    native_channel_attach(c, fd);
}

int native_channel_take_log(struct native_channel *c)
{
    return fd_take(&c->log_fd);
}

void native_channel_fini(struct native_channel *c)
{
    if (c->fd >= 0) {
        ev_io_stop(c->gateway->loop, &c->reader);
        ev_io_stop(c->gateway->loop, &c->writer);
    }
    fd_close(&c->fd);
    fd_close(&c->log_fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
}

/* Keeps what the socket did not take of the parts; `sent` bytes went out. */
static int keep_rest(struct native_channel *c, const struct iovec *parts, size_t count, size_t sent)
{
    for (size_t i = 0; i < count; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        sent -= skip;
        int r = buf_add(&c->out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
        if (r < 0)
            return r;
    }
    if (c->out.len)
        ev_io_start(c->gateway->loop, &c->writer);
    return 0;
}

int native_channel_invoke(struct native_channel *c, const struct native_request *r)
{
    struct {
        struct faasd_frame frame;
        struct faasd_invoke_head invoke;
    } head;
    static_assert(sizeof(head) == 32, "no padding on the wire");
    assert(c->state == NATIVE_CHANNEL_IDLE && c->out.len == 0);
    /* Not counted but drawn: a worker that answers ahead can't guess the next request's id, so its stale words never reach another caller. */
    c->request = id_random_u64();
    c->reply_max = r->reply_max;
    head.frame = (struct faasd_frame){.length = (uint32_t)(sizeof(head.invoke) + r->fields.n + r->event.n),
                                      .type = FAASD_FRAME_INVOKE,
                                      .id = c->request};
    head.invoke = (struct faasd_invoke_head){
        .deadline_ms = r->deadline_ms, .fields_length = (uint32_t)r->fields.n, .event_length = (uint32_t)r->event.n};
    struct iovec parts[] = {
        {.iov_base = &head, .iov_len = sizeof(head)},
        {.iov_base = (char *)r->fields.p, .iov_len = r->fields.n},
        {.iov_base = (char *)r->event.p, .iov_len = r->event.n},
    };
    ssize_t n = sock_send_parts(c->fd, parts, 3);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return -errno;
    c->state = NATIVE_CHANNEL_BUSY;
    size_t total = sizeof(head) + r->fields.n + r->event.n;
    if (n == (ssize_t)total)
        return 0;
    return keep_rest(c, parts, 3, n < 0 ? 0 : (size_t)n);
}

int native_channel_fork(struct native_channel *c, const struct faasd_fork *f, const int *fds, unsigned fd_count)
{
    struct {
        struct faasd_frame frame;
        struct faasd_fork fork;
    } m = {.frame = {.length = sizeof(*f), .type = FAASD_FRAME_FORK}, .fork = *f};
    static_assert(sizeof(m) == sizeof(m.frame) + sizeof(m.fork), "no padding on the wire");
    assert(c->state == NATIVE_CHANNEL_IDLE);
    /* A template reads each order at once. One that leaves so many unread that the socket is full (EAGAIN), or took half of one, is of no more use. */
    return sock_send(c->fd, &m, sizeof(m), fds, fd_count);
}
