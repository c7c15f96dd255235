/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/channel.h"

#include "base/fdio.h"
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

/* Secrets come with their SPAWN; with all else come no descriptors. */
static bool may_carry(const union request *r, const struct sock_record *record)
{
    bool has_secrets = record->size == sizeof(r->spawn) && r->header.type == MESSAGE_SPAWN && r->spawn.secret_count > 0;
    return record->fd_count <= (has_secrets ? 1 : 0);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    struct channel *c = w->data;
    for (int i = 0; i < CHANNEL_BATCH && c->fd >= 0 && !c->ended && list_is_empty(&c->queue); i++) {
        union request request;
        struct sock_record record;
        int r = sock_receive(c->fd, &request, sizeof(request), &record);
        if (r == -EAGAIN)
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
        supervisor_on_request(c->supervisor, &request, record.size, record.fd_count ? record.fds[0] : -1);
        sock_record_close(&record);
    }
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)events;
    struct channel *c = w->data;
    while (!list_is_empty(&c->queue)) {
        struct queued *q = LIST_ENTRY(list_first(&c->queue), struct queued, link);
        int r = sock_send(c->fd, q->bytes, q->size, q->fds, q->fd_count);
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
    LIST_EACH (&c->queue, at)
        queued_free(LIST_ENTRY(at, struct queued, link));
    fd_close(&c->fd);
}

static struct queued *queued_new(const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct queued *q = malloc(sizeof(*q) + m->size);
    if (!q)
        return NULL;
    q->fd_count = fd_count;
    if (fd_count > 0)
        memcpy(q->fds, fds, sizeof(int) * fd_count);
    q->size = m->size;
    memcpy(q->bytes, m, m->size);
    return q;
}

void channel_send(struct channel *c, struct message_header *m, int *fds, unsigned fd_count)
{
    assert(fd_count <= MESSAGE_FDS_MAX);
    bool is_open = c->fd >= 0 && !c->ended;
    int r = is_open ? -EAGAIN : 0;
    if (is_open && list_is_empty(&c->queue))
        r = sock_send(c->fd, m, m->size, fds, fd_count);
    if (r == -EAGAIN) {
        struct queued *q = queued_new(m, fds, fd_count);
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
