/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/link.h"

#include "base/fdio.h"
#include "base/list.h"
#include "base/watch.h"
#include "os/sock.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LINK_BUCKETS_FIRST = 64,
    LINK_TURN = 64, /* messages read a loop turn, so that a burst of exits does not hold requests up */
};

struct queued {
    struct list link; /* struct link.queue */
    uint32_t size;
    int fd; /* owned; -1 = none */
    char bytes[];
};

struct link {
    struct gateway *gateway;
    int fd; /* owned */
    ev_io readable;
    ev_io writable; /* active while the queue holds something */
    const struct link_events *events;
    bool lost;
    struct list queue; /* struct queued.link, oldest first */
    size_t queue_bytes;
    ev_prepare
        flusher; /* fed while something is kept, never started: it comes when nothing else is pending, be it before the loop blocks (pools.c) or after */
    uint32_t kept_size;
    char kept[MESSAGE_RECORD_MAX]; /* what may share a record, younger than the queue */
    uint64_t next_id;
    struct link_waiter **buckets; /* by id; a power of two of them */
    size_t bucket_count;
    size_t waiter_count;
};

/* Everything the supervisor may say, in its largest form. */
union incoming {
    struct message_header header;
    struct message_plain plain;
    struct message_spawned spawned;
    struct message_failed failed;
    struct message_exited exited;
    struct message_steps_are steps;
};

/* ---- waiters ---- */

static struct link_waiter **slot_of(struct link_waiter **buckets, size_t count, uint64_t id)
{
    /* Ids are handed out one after another, so their low bits spread by themselves. */
    return &buckets[id & (count - 1)];
}

static void grow(struct link *l)
{
    size_t count = l->bucket_count * 2;
    struct link_waiter **buckets = calloc(count, sizeof(*buckets));
    if (!buckets)
        return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < l->bucket_count; i++) {
        for (struct link_waiter *w = l->buckets[i], *next; w; w = next) {
            struct link_waiter **slot = slot_of(buckets, count, w->id);
            next = w->next;
            w->next = *slot;
            *slot = w;
        }
    }
    free(l->buckets);
    l->buckets = buckets;
    l->bucket_count = count;
}

void link_register(struct link *l, struct link_waiter *w)
{
    if (l->waiter_count >= l->bucket_count)
        grow(l);
    w->id = l->next_id++;
    struct link_waiter **slot = slot_of(l->buckets, l->bucket_count, w->id);
    w->next = *slot;
    *slot = w;
    l->waiter_count++;
}

void link_unregister(struct link *l, struct link_waiter *w)
{
    for (struct link_waiter **at = slot_of(l->buckets, l->bucket_count, w->id); *at; at = &(*at)->next) {
        if (*at != w)
            continue;
        *at = w->next;
        w->next = NULL;
        l->waiter_count--;
        return;
    }
}

static struct link_waiter *find(struct link *l, uint64_t id)
{
    struct link_waiter *w = *slot_of(l->buckets, l->bucket_count, id);
    while (w && w->id != id)
        w = w->next;
    return w;
}

/* ---- the end ---- */

static void lose(struct link *l, const char *why)
{
    if (l->lost)
        return;
    l->lost = true;
    ev_io_stop(l->gateway->loop, &l->readable);
    ev_io_stop(l->gateway->loop, &l->writable);
    ev_clear_pending(l->gateway->loop, &l->flusher);
    if (l->events)
        l->events->on_lost(l->gateway, why);
}

/* ---- receiving ---- */

/* The size that a message of this type has; 0: none of the supervisor's. */
static size_t size_of(uint32_t type)
{
    switch (type) {
    case MESSAGE_SPAWNED:
        return sizeof(struct message_spawned);
    case MESSAGE_SPAWN_FAILED:
    case MESSAGE_DONE:
        return sizeof(struct message_failed);
    case MESSAGE_EXITED:
    case MESSAGE_USAGE_IS:
        return sizeof(struct message_exited);
    case MESSAGE_STEPS_ARE:
        return sizeof(struct message_steps_are);
    case MESSAGE_DRAIN:
    case MESSAGE_PING:
    case MESSAGE_CONFIG:
        return sizeof(struct message_plain);
    default:
        return 0;
    }
}

static_assert(sizeof(union incoming) >= MESSAGE_RECORD_MAX, "a record fits where a message does");

struct received {
    union incoming message;
    size_t size;
    int fds[MESSAGE_FDS_MAX];
    unsigned fd_count;
};

static void close_all(struct received *m)
{
    for (unsigned i = 0; i < m->fd_count; i++)
        close(m->fds[i]);
    m->fd_count = 0;
}

static void dispatch(struct link *l, struct received *m)
{
    const struct message_header *h = &m->message.header;
    struct link_waiter *w = h->id ? find(l, h->id) : NULL;
    if (h->type == MESSAGE_PING && m->fd_count == 0) {
        link_send_plain(l, NULL, MESSAGE_PONG);
    } else if (h->type == MESSAGE_DRAIN && m->fd_count == 0 && l->events) {
        l->events->on_drain(l->gateway);
    } else if (h->type == MESSAGE_CONFIG && m->fd_count <= 1 && l->events) {
        l->events->on_config(l->gateway, m->fd_count ? m->fds[0] : -EMFILE);
    } else if (w) {
        if (h->type == MESSAGE_SPAWN_FAILED || h->type == MESSAGE_EXITED || h->type == MESSAGE_DONE ||
            h->type == MESSAGE_STEPS_ARE)
            link_unregister(l, w);
        w->on_message(w, h, m->fds, m->fd_count);
    } else {
        /* A late word about something that has been given up. */
        close_all(m);
    }
}

static void take_fds(const struct msghdr *h, struct received *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR((struct msghdr *)h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        m->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(m->fds, CMSG_DATA(c), m->fd_count * sizeof(int));
    }
}

static const char WRONG_SIZE[] = "the supervisor sent a message of the wrong size";

/* 1: *m holds a record. 0: nothing more for now. -1: the link is lost. */
static int receive(struct link *l, struct received *m)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {&m->message, sizeof(m->message)};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    m->fd_count = 0;
    ssize_t n;
    do
        n = recvmsg(l->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) /* without memory it stays where it is */
        return 0;
    if (n <= 0) {
        lose(l, "the supervisor is gone");
        return -1;
    }
    take_fds(&h, m);
    m->size = (size_t)n;
    if (h.msg_flags & MSG_TRUNC) {
        close_all(m);
        lose(l, WRONG_SIZE);
        return -1;
    }
    /* This process has no descriptor free, so the kernel kept some of the message's back (unix(7)). The rest is of no use without them. */
    if (h.msg_flags & MSG_CTRUNC)
        close_all(m);
    return 1;
}

/* Of `size` bytes that begin with it, how many the first message has; 0: it has not the size of its type. */
static size_t size_of_first(const union incoming *m, size_t size)
{
    if (size < sizeof(m->header) || m->header.size > size || size_of(m->header.type) != m->header.size)
        return 0;
    return m->header.size;
}

/* One message, or several that share it. Returns how many. */
static int take_record(struct link *l, struct received *m)
{
    char record[MESSAGE_RECORD_MAX];
    size_t size = m->size;
    int count = 0;
    bool is_shared = size <= sizeof(record);
    if (is_shared)
        memcpy(record, &m->message, size);
    for (size_t at = 0; at < size && !l->lost; count++) {
        if (at > 0)
            memcpy(&m->message, record + at, size - at);
        size_t own = size_of_first(&m->message, size - at);
        if (own == 0 || (own < size && !(is_shared && message_may_share(m->message.header.type)))) {
            close_all(m);
            lose(l, WRONG_SIZE);
            break;
        }
        dispatch(l, m);
        m->fd_count = 0;
        at += own;
    }
    return count;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    watch_again(loop, watcher, events);
    struct link *l = watcher->data;
    for (int i = 0; i < LINK_TURN && !l->lost;) {
        struct received m;
        if (receive(l, &m) <= 0)
            return;
        i += take_record(l, &m);
    }
}

/* ---- sending ---- */

/* 0, or -errno: -EAGAIN when the kernel's buffer or memory is full. The descriptor stays the caller's. */
static int send_now(struct link *l, const void *bytes, size_t size, int fd)
{
    int r = sock_send(l->fd, bytes, size, &fd, fd >= 0);
    return r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS ? -EAGAIN : r;
}

static void queued_free(struct queued *q)
{
    list_remove(&q->link);
    fd_close(&q->fd);
    free(q);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    watch_again(loop, watcher, events);
    struct link *l = watcher->data;
    LIST_EACH (&l->queue, at) {
        struct queued *q = LIST_ENTRY(at, struct queued, link);
        int r = send_now(l, q->bytes, q->size, q->fd);
        if (r == -EAGAIN)
            return;
        if (r < 0) {
            lose(l, "the supervisor does not take messages any more");
            return;
        }
        l->queue_bytes -= q->size;
        queued_free(q);
    }
    ev_io_stop(loop, &l->writable);
}

static void enqueue(struct link *l, const void *bytes, uint32_t size, int fd)
{
    struct queued *q = l->queue_bytes + size <= LINK_QUEUE_MAX ? malloc(sizeof(*q) + size) : NULL;
    if (!q) {
        fd_close(&fd);
        lose(l, "the supervisor has stopped reading: too many messages wait for it");
        return;
    }
    memcpy(q->bytes, bytes, size);
    q->size = size;
    q->fd = fd;
    list_init(&q->link);
    list_push_back(&l->queue, &q->link);
    l->queue_bytes += size;
    ev_io_start(l->gateway->loop, &l->writable);
}

static void send_record(struct link *l, const void *record, uint32_t size, int fd)
{
    scoped_fd own = fd;
    if (l->lost)
        return;
    int r = list_is_empty(&l->queue) ? send_now(l, record, size, own) : -EAGAIN;
    if (r == -EAGAIN)
        enqueue(l, record, size, fd_take(&own));
    else if (r < 0)
        lose(l, "the supervisor does not take messages any more");
}

static void flush(struct link *l)
{
    uint32_t size = l->kept_size;
    ev_clear_pending(l->gateway->loop, &l->flusher);
    l->kept_size = 0;
    if (size > 0)
        send_record(l, l->kept, size, -1);
}

static void on_turn_over(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop;
    (void)events;
    flush(w->data);
}

void link_send_with(struct link *l, struct link_waiter *w, struct message_header *m, uint32_t size, int fd)
{
    bool may_wait = !l->lost && fd < 0 && message_may_share(m->type);
    m->size = size;
    m->id = w ? w->id : 0;
    if (!may_wait || l->kept_size + size > sizeof(l->kept))
        flush(l);
    if (!may_wait) {
        send_record(l, m, size, fd);
        return;
    }
    memcpy(l->kept + l->kept_size, m, size);
    l->kept_size += size;
    ev_feed_event(l->gateway->loop, &l->flusher, EV_CUSTOM);
}

void link_send(struct link *l, struct link_waiter *w, struct message_header *m, uint32_t size)
{
    link_send_with(l, w, m, size, -1);
}

void link_send_plain(struct link *l, struct link_waiter *w, enum message_type type)
{
    struct message_plain m = {.header.type = type};
    link_send(l, w, &m.header, sizeof(m));
}

/* ---- life ---- */

struct link *link_new(struct gateway *g, int fd, struct err *e)
{
    struct link *l = calloc(1, sizeof(*l));
    struct link_waiter **buckets = calloc(LINK_BUCKETS_FIRST, sizeof(*buckets));
    if (!l || !buckets) {
        free(l);
        free(buckets);
        close(fd);
        err_set(e, ENOMEM, "make the link to the supervisor");
        return NULL;
    }
    l->gateway = g;
    l->fd = fd;
    l->next_id = 1;
    l->buckets = buckets;
    l->bucket_count = LINK_BUCKETS_FIRST;
    list_init(&l->queue);
    ev_io_init(&l->readable, on_readable, fd, EV_READ);
    ev_io_init(&l->writable, on_writable, fd, EV_WRITE);
    ev_prepare_init(&l->flusher, on_turn_over);
    ev_set_priority(&l->flusher, EV_MINPRI);
    l->readable.data = l;
    l->flusher.data = l;
    l->writable.data = l;
    ev_io_start(g->loop, &l->readable);
    return l;
}

void link_set_events(struct link *l, const struct link_events *events)
{
    l->events = events;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    l->events = NULL;
    flush(l);
    ev_io_stop(l->gateway->loop, &l->readable);
    ev_io_stop(l->gateway->loop, &l->writable);
    LIST_EACH (&l->queue, at)
        queued_free(LIST_ENTRY(at, struct queued, link));
    free(l->buckets);
    fd_close(&l->fd);
    free(l);
}
