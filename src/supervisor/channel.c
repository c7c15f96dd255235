/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/channel.h"

#include "base/fdio.h"
#include "base/watch.h"
#include "os/sock.h"
#include "supervisor/core.h"

#include <assert.h>
#include <string.h>

struct queued {
    struct list link;
    unsigned fd_count;
    int fds[MESSAGE_FDS_MAX]; /* owned */
    uint32_t size;
    char bytes[];
};

static void close_fds(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fd_close(&fds[i]);
}

static void queued_free(struct queued *q)
{
    list_remove(&q->link);
    close_fds(q->fds, q->fd_count);
    free(q);
}

static void drop_queue(struct channel *c)
{
    c->kept_size = 0;
    LIST_EACH (&c->queue, at)
        queued_free(LIST_ENTRY(at, struct queued, link));
}

/* The other end is closed: nearly always the gateway's death, which its pidfd tells in a moment. One that closed its end and lives on is broken. */
static void on_end(struct channel *c)
{
    struct ev_loop *loop = c->supervisor->loop;
    if (c->ended)
        return;
    c->ended = true;
    drop_queue(c);
    ev_io_stop(loop, &c->readable);
    ev_io_stop(loop, &c->writable);
    c->stuck.repeat = CHANNEL_END_SECONDS;
    ev_timer_again(loop, &c->stuck);
}

static void on_send_failed(struct channel *c, int error)
{
    if (error == -EPIPE || error == -ECONNRESET)
        on_end(c);
    else
        supervisor_on_gateway_broken(c->supervisor, error == -ENOMEM ? "there is no memory for a message to it"
                                                                     : "it does not take messages");
}

/* Memory that the kernel lacks for a moment, or descriptors of ours that are under way by the thousand (unix(7)), are waited for as room is: CHANNEL_STUCK_SECONDS at most. */
static int send_now(struct channel *c, const void *bytes, size_t size, int *fds, unsigned fd_count)
{
    int r = sock_send(c->fd, bytes, size, fds, fd_count);
    return r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS ? -EAGAIN : r;
}

/* Secrets come with their SPAWN; with all else come no descriptors. */
static bool may_carry(const union request *r, const struct sock_record *record)
{
    bool has_secrets = record->size == sizeof(r->spawn) && r->header.type == MESSAGE_SPAWN && r->spawn.secret_count > 0;
    return record->fd_count <= (has_secrets ? 1 : 0);
}

static void handle(struct channel *c, union request *r, size_t size, int fd)
{
    if (!message_may_share(r->header.type))
        channel_flush(c);
    supervisor_on_request(c->supervisor, r, size, fd);
}

/* Several in one record: each is cut off by the size that it names itself, and one that names what can't be gets all that is left, which is refused as a wrong size.
 * *r is overwritten. Returns how many. */
static int handle_shared(struct channel *c, union request *r, size_t size)
{
    char record[MESSAGE_RECORD_MAX];
    int count = 0;
    memcpy(record, r, size);
    for (size_t at = 0; at < size && c->fd >= 0 && !c->ended; count++) {
        size_t left = size - at;
        memcpy(r, record + at, left);
        bool is_cut = left >= sizeof(r->header) && r->header.size >= sizeof(r->header) && r->header.size < left;
        size_t own = is_cut ? r->header.size : left;
        if (own >= sizeof(r->header) && !message_may_share(r->header.type)) {
            supervisor_on_gateway_broken(c->supervisor, "it sent a message behind others that may not come so");
            break;
        }
        handle(c, r, own, -1);
        at += own;
    }
    return count;
}

static bool is_shared(const union request *r, const struct sock_record *record)
{
    return record->size > sizeof(r->header) && record->size <= MESSAGE_RECORD_MAX && r->header.size < record->size &&
           message_may_share(r->header.type);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct channel *c = w->data;
    static_assert(sizeof(union request) >= MESSAGE_RECORD_MAX, "a record fits where a request does");
    for (int i = 0; i < CHANNEL_BATCH && c->fd >= 0 && !c->ended && list_is_empty(&c->queue);) {
        union request request;
        struct sock_record record;
        int r = sock_receive(c->fd, &request, sizeof(request), &record);
        if (r == -EAGAIN || r == -ENOMEM ||
            r == -ENOBUFS) /* without memory it stays where it is: the next turn asks again */
            return;
        if (r == -ECONNRESET) { /* its end is closed, and messages to it were left unread: unix(7) tells that so */
            on_end(c);
            return;
        }
        if (r < 0) {
            supervisor_on_gateway_broken(c->supervisor,
                                         r == -EMSGSIZE ? "it sent an oversized message" : "the message socket failed");
            return;
        }
        if (record.size == 0) {
            on_end(c);
            return;
        }
        if (!may_carry(&request, &record)) {
            sock_record_close(&record);
            supervisor_on_gateway_broken(c->supervisor, "it sent a descriptor");
            return;
        }
        if (is_shared(&request, &record)) {
            i += handle_shared(c, &request, record.size);
        } else {
            handle(c, &request, record.size, record.fd_count ? record.fds[0] : -1);
            i++;
        }
        sock_record_close(&record);
    }
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct channel *c = w->data;
    while (!list_is_empty(&c->queue)) {
        struct queued *q = LIST_ENTRY(list_first(&c->queue), struct queued, link);
        int r = send_now(c, q->bytes, q->size, q->fds, q->fd_count);
        if (r == -EAGAIN)
            return;
        queued_free(q);
        if (r < 0) {
            on_send_failed(c, r);
            return;
        }
        ev_timer_again(loop, &c->stuck);
    }
    ev_timer_stop(loop, &c->stuck);
    ev_io_stop(loop, &c->writable);
    ev_io_start(loop, &c->readable);
}

static void on_stuck(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    struct channel *c = w->data;
    supervisor_on_gateway_broken(c->supervisor, c->ended ? "it closed the message socket"
                                                         : "it has not read its messages for half a minute");
}

static void on_turn_over(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop;
    (void)events;
    channel_flush(w->data);
}

void channel_init(struct channel *c, struct supervisor *s)
{
    *c = (struct channel){.supervisor = s, .fd = -1};
    list_init(&c->queue);
}

void channel_open(struct channel *c, int fd)
{
    c->fd = fd;
    c->ended = false;
    ev_io_init(&c->readable, on_readable, fd, EV_READ);
    ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
    ev_init(&c->stuck, on_stuck);
    ev_prepare_init(&c->flusher, on_turn_over);
    ev_set_priority(&c->flusher, EV_MINPRI);
    c->flusher.data = c;
    c->stuck.repeat = CHANNEL_STUCK_SECONDS;
    c->readable.data = c->writable.data = c->stuck.data = c;
    ev_io_start(c->supervisor->loop, &c->readable);
}

void channel_close(struct channel *c)
{
    if (c->fd < 0)
        return;
    struct ev_loop *loop = c->supervisor->loop;
    ev_io_stop(loop, &c->readable);
    ev_io_stop(loop, &c->writable);
    ev_timer_stop(loop, &c->stuck);
    ev_clear_pending(loop, &c->flusher);
    drop_queue(c);
    fd_close(&c->fd);
}

static struct queued *queued_new(const void *record, uint32_t size, const int *fds, unsigned fd_count)
{
    struct queued *q = malloc(sizeof(*q) + size);
    if (!q)
        return NULL;
    q->fd_count = fd_count;
    if (fd_count > 0)
        memcpy(q->fds, fds, sizeof(int) * fd_count);
    q->size = size;
    memcpy(q->bytes, record, size);
    return q;
}

static void send_record(struct channel *c, const void *record, uint32_t size, int *fds, unsigned fd_count)
{
    bool is_open = c->fd >= 0 && !c->ended;
    int r = is_open ? -EAGAIN : 0;
    if (is_open && list_is_empty(&c->queue))
        r = send_now(c, record, size, fds, fd_count);
    if (r == -EAGAIN) {
        struct queued *q = queued_new(record, size, fds, fd_count);
        if (q) {
            bool is_first = list_is_empty(&c->queue);
            list_push_back(&c->queue, &q->link);
            if (is_first) {
                ev_io_stop(c->supervisor->loop, &c->readable);
                ev_io_start(c->supervisor->loop, &c->writable);
                ev_timer_again(c->supervisor->loop, &c->stuck);
            }
            return;
        }
        r = -ENOMEM;
    }
    close_fds(fds, fd_count);
    if (r < 0)
        on_send_failed(c, r);
}

void channel_flush(struct channel *c)
{
    uint32_t size = c->kept_size;
    if (c->fd < 0)
        return;
    ev_clear_pending(c->supervisor->loop, &c->flusher);
    c->kept_size = 0;
    if (size > 0)
        send_record(c, c->kept, size, NULL, 0);
}

void channel_send(struct channel *c, struct message_header *m, int *fds, unsigned fd_count)
{
    assert(fd_count <= MESSAGE_FDS_MAX);
    bool may_wait = c->fd >= 0 && !c->ended && fd_count == 0 && message_may_share(m->type);
    if (!may_wait || c->kept_size + m->size > sizeof(c->kept))
        channel_flush(c);
    if (!may_wait) {
        send_record(c, m, m->size, fds, fd_count);
        return;
    }
    memcpy(c->kept + c->kept_size, m, m->size);
    c->kept_size += m->size;
    ev_feed_event(c->supervisor->loop, &c->flusher, EV_CUSTOM);
}

void channel_send_plain(struct channel *c, enum message_type type, uint64_t id, int fd)
{
    struct message_plain m = {.header = {.type = type, .size = sizeof(m), .id = id}};
    channel_send(c, &m.header, &fd, fd >= 0);
}

void channel_send_failed(struct channel *c, enum message_type type, uint64_t id, const struct err *e)
{
    struct message_failed m = {.header = {.type = type, .size = sizeof(m), .id = id}};
    if (e)
        m.error = *e;
    channel_send(c, &m.header, NULL, 0);
}
