/* SPDX-License-Identifier: Apache-2.0 */
/* What all connections share: memory kept for the next one, deadlines, and the end of what is over. */
#include "gateway/conn.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "gateway/credential.h"
#include "gateway/log_tail.h"

#include <assert.h>
#include <string.h>

/* --- memory --- */

struct conn *conn_table_take_conn(struct conn_table *t)
{
    struct conn *c = t->free_conns;
    if (c) {
        t->free_conns = c->next_free;
        t->free_conn_count--;
    } else {
        c = malloc(sizeof(*c));
    }
    if (c)
        memset(c, 0, sizeof(*c));
    return c;
}

static void give_conn(struct conn_table *t, struct conn *c)
{
    if (t->free_conn_count == CONN_KEEP_FREE) {
        free(c);
        return;
    }
    c->next_free = t->free_conns;
    t->free_conns = c;
    t->free_conn_count++;
}

char *conn_table_take_buffer(struct conn_table *t)
{
    void **buffer = t->free_buffers;
    if (!buffer)
        return malloc(CONN_BUFFER);
    t->free_buffers = *buffer;
    t->free_buffer_count--;
    return (char *)buffer;
}

void conn_table_give_buffer(struct conn_table *t, char *buffer, size_t cap)
{
    if (!buffer)
        return;
    if (cap != CONN_BUFFER || t->free_buffer_count == CONN_KEEP_FREE) {
        free(buffer);
        return;
    }
    void **link = (void **)(void *)buffer;
    *link = t->free_buffers;
    t->free_buffers = link;
    t->free_buffer_count++;
}

struct exchange_slot *conn_table_take_slot(struct conn_table *t)
{
    struct exchange_slot *s = t->free_slots;
    if (s) {
        t->free_slots = (struct exchange_slot *)s->x.owner;
        t->free_slot_count--;
    } else {
        s = malloc(sizeof(*s));
    }
    if (!s)
        return NULL;
    memset(s, 0, offsetof(struct exchange_slot, request));
    s->request.field_count = 0;
    s->request.method = (struct str){0};
    s->table = t;
    list_init(&s->link);
    return s;
}

static void give_slot(struct conn_table *t, struct exchange_slot *s)
{
    if (s->x.token || s->x.check)
        credential_release(&s->x);
    if (s->x.log_tail)
        log_tail_free(s->x.log_tail);
    conn_table_give_buffer(t, s->input, s->input_cap);
    conn_table_refund(t, s->spilled.cap);
    buf_fini(&s->spilled);
    if (t->free_slot_count == CONN_KEEP_FREE) {
        free(s);
        return;
    }
    s->x.owner = t->free_slots; /* the free list's link */
    t->free_slots = s;
    t->free_slot_count++;
}

bool conn_table_charge(struct conn_table *t, uint64_t bytes)
{
    if (bytes > t->gateway->config->body_memory_bytes || t->held_bytes > t->gateway->config->body_memory_bytes - bytes)
        return false;
    t->held_bytes += bytes;
    return true;
}

void conn_table_refund(struct conn_table *t, uint64_t bytes)
{
    assert(t->held_bytes >= bytes);
    t->held_bytes -= bytes;
}

/* --- deadlines --- */

static uint64_t queue_duration_ns(const struct conn_queue *q)
{
    const struct config *config = q->table->gateway->config;
    const uint64_t ms[CONN_QUEUE_COUNT] = {
        [CONN_QUEUE_IDLE] = config->idle_deadline_ms,
        [CONN_QUEUE_HEAD] = config->header_deadline_ms,
        [CONN_QUEUE_MOVING] = config->body_deadline_ms,
        [CONN_QUEUE_LINGER] = CONN_LINGER_MS,
    };
    return ms[q - q->table->queues] * 1000000;
}

static void queue_arm(struct conn_queue *q, uint64_t after_ns)
{
    /* A millisecond late rather than a rounding early, which would mean a second turn for nothing. */
    ev_timer_set(&q->timer, (double)after_ns / 1e9 + 0.001, 0.);
    ev_timer_start(q->table->gateway->loop, &q->timer);
}

static void on_queue_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct conn_queue *q = timer->data;
    uint64_t now = clock_mono_ns();
    (void)loop;
    (void)events;
    for (struct list *l = list_first(&q->conns); l; l = list_first(&q->conns)) {
        struct conn *c = LIST_ENTRY(l, struct conn, queue_link);
        if (c->deadline_ns > now) {
            queue_arm(q, c->deadline_ns - now);
            return;
        }
        conn_queue_leave(c);
        conn_expire(c);
    }
}

void conn_queue_put_at(struct conn *c, enum conn_queue_kind kind, uint64_t from_ns)
{
    struct conn_queue *q = &c->table->queues[kind];
    uint64_t duration = queue_duration_ns(q);
    list_remove(&c->queue_link);
    list_push_back(&q->conns, &c->queue_link);
    c->deadline_ns = from_ns + duration;
    if (!ev_is_active(&q->timer))
        queue_arm(q, duration);
}

void conn_queue_put(struct conn *c, enum conn_queue_kind kind)
{
    conn_queue_put_at(c, kind, turn_now_ns(c->table->gateway));
}

void conn_queue_leave(struct conn *c)
{
    list_remove(&c->queue_link);
}

/* --- ends --- */

void conn_bury(struct conn *c)
{
    list_remove(&c->link);
    list_push_back(&c->table->graveyard, &c->link);
}

void slot_bury(struct exchange_slot *s)
{
    list_remove(&s->link);
    list_push_back(&s->table->dead, &s->link);
}

static void free_buried(struct conn_table *t)
{
    LIST_EACH (&t->graveyard, at) {
        list_remove(at);
        give_conn(t, LIST_ENTRY(at, struct conn, link));
    }
    LIST_EACH (&t->dead, at) {
        list_remove(at);
        give_slot(t, LIST_ENTRY(at, struct exchange_slot, link));
    }
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct conn_table *t = w->data;
    (void)loop;
    (void)events;
    /* Settling may run the next request, which may settle its connection again: bounded by what one buffer holds. */
    for (struct list *l = list_first(&t->settling); l; l = list_first(&t->settling)) {
        list_remove(l);
        conn_settle(LIST_ENTRY(l, struct conn, link));
    }
    free_buried(t);
    if (t->something_ended && t->gateway->draining)
        gateway_check_drained(t->gateway);
    t->something_ended = false;
}

void conn_table_init(struct conn_table *t, struct gateway *g)
{
    memset(t, 0, sizeof(*t));
    t->gateway = g;
    list_init(&t->all);
    list_init(&t->settling);
    list_init(&t->graveyard);
    list_init(&t->dead);
    list_init(&t->streams);
    for (unsigned i = 0; i < CONN_QUEUE_COUNT; i++) {
        list_init(&t->queues[i].conns);
        t->queues[i].table = t;
        ev_init(&t->queues[i].timer, on_queue_timer);
        t->queues[i].timer.data = &t->queues[i];
    }
    ev_prepare_init(&t->prepare, on_prepare);
    t->prepare.data = t;
    ev_prepare_start(g->loop, &t->prepare);
}

void conn_table_fini(struct conn_table *t)
{
    LIST_EACH (&t->all, at)
        conn_close(LIST_ENTRY(at, struct conn, all_link));
    free_buried(t);
    ev_prepare_stop(t->gateway->loop, &t->prepare);
    for (unsigned i = 0; i < CONN_QUEUE_COUNT; i++)
        ev_timer_stop(t->gateway->loop, &t->queues[i].timer);
    while (t->free_conns) {
        struct conn *c = t->free_conns;
        t->free_conns = c->next_free;
        free(c);
    }
    while (t->free_slots) {
        struct exchange_slot *s = t->free_slots;
        t->free_slots = (struct exchange_slot *)s->x.owner;
        free(s);
    }
    while (t->free_buffers) {
        void **buffer = t->free_buffers;
        t->free_buffers = *buffer;
        free(buffer);
    }
}

bool conn_table_close_idle(struct conn_table *t)
{
    struct list *l = list_first(&t->queues[CONN_QUEUE_LINGER].conns);
    if (!l)
        l = list_first(&t->queues[CONN_QUEUE_IDLE].conns);
    if (!l)
        return false;
    conn_close(LIST_ENTRY(l, struct conn, queue_link));
    return true;
}

void conn_table_drain(struct conn_table *t)
{
    LIST_EACH (&t->queues[CONN_QUEUE_IDLE].conns, at)
        conn_close(LIST_ENTRY(at, struct conn, queue_link));
    /* Whoever follows a log is told now; a function's stream has an end of its own and the drain's deadline until then. */
    LIST_EACH (&t->streams, at) {
        struct exchange_slot *s = LIST_ENTRY(at, struct exchange_slot, link);
        if (s->x.on_stream_gone && !s->paced)
            s->x.on_stream_gone(&s->x);
    }
}
