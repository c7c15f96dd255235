/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runtime_api.h"

#include "base/fdio.h"
#include "base/watch.h"
#include "gateway/runtime_api_conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { ACCEPT_PER_TURN = 8, EVENT_HEAD_MAX = 131072 };

static const double ACCEPT_PAUSE_S = 0.1;

/* Room for one more: the longest idle connection is given up for it. */
static bool make_room(struct runtime_api *a)
{
    if (a->conn_count < RUNTIME_API_CONNS_MAX)
        return true;
    for (struct list *link = a->conns.prev; link != &a->conns; link = link->prev) {
        struct runtime_api_conn *c = LIST_ENTRY(link, struct runtime_api_conn, link);
        if (c->state == RUNTIME_API_CONN_IDLE) {
            runtime_api_conn_close(c);
            return true;
        }
    }
    return false;
}

static void admit(struct runtime_api *a, int fd)
{
    int on = 1;
    if (a->machine.state == RUNTIME_API_OFF || !make_room(a)) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    runtime_api_conn_open(a, fd);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct runtime_api *a = w->data;
    for (unsigned i = 0; i < ACCEPT_PER_TURN; i++) {
        int fd = accept4(a->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(a, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN) {
            ev_io_stop(loop, &a->acceptor);
            ev_timer_start(loop, &a->accept_pause);
        }
        return;
    }
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct runtime_api *a = w->data;
    (void)events;
    ev_io_start(loop, &a->acceptor);
}

void runtime_api_init(struct runtime_api *a, struct gateway *g, const struct runtime_api_events *events, void *owner)
{
    memset(a, 0, sizeof(*a));
    a->gateway = g;
    a->events = events;
    a->owner = owner;
    a->listener_fd = -1;
    list_init(&a->conns);
    list_init(&a->waiting);
    buf_init(&a->event_head, EVENT_HEAD_MAX);
    ev_init(&a->acceptor, on_acceptable);
    ev_timer_init(&a->accept_pause, on_pause_over, ACCEPT_PAUSE_S, 0.);
    a->acceptor.data = a;
    a->accept_pause.data = a;
}

void runtime_api_listen(struct runtime_api *a, int listener_fd)
{
    a->listener_fd = listener_fd;
    fd_set_nonblock(listener_fd);
    ev_io_set(&a->acceptor, listener_fd, EV_READ);
    ev_io_start(a->gateway->loop, &a->acceptor);
}

static void close_all(struct runtime_api *a)
{
    LIST_EACH (&a->conns, link)
        runtime_api_conn_close(LIST_ENTRY(link, struct runtime_api_conn, link));
}

void runtime_api_fini(struct runtime_api *a)
{
    close_all(a);
    ev_io_stop(a->gateway->loop, &a->acceptor);
    ev_timer_stop(a->gateway->loop, &a->accept_pause);
    fd_close(&a->listener_fd);
    buf_fini(&a->event_head);
}

void runtime_api_begin(struct runtime_api *a)
{
    close_all(a);
    /* Connections that wait to be accepted were made by processes that are dead: a GET next among them would pass for the new runtime's. */
    for (int fd; a->listener_fd >= 0 && (fd = accept4(a->listener_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
    runtime_api_machine_begin(&a->machine);
}

void runtime_api_end(struct runtime_api *a)
{
    runtime_api_machine_end(&a->machine);
    a->event_head.len = 0;
    a->event_body = (struct str){0};
    close_all(a);
}

uint64_t runtime_api_body_max(const struct runtime_api *a)
{
    return a->gateway->config->reply_bytes_max + RUNTIME_API_BODY_EXTRA;
}

static int add_field(struct buf *b, const char *name, struct str value)
{
    int r = value.n ? buf_add_text(b, name) : 0;
    if (r == 0 && value.n)
        r = buf_add_str(b, value);
    return r < 0 || value.n == 0 ? r : buf_add_text(b, "\r\n");
}

/* A function without a timeout is told the year 2100: clients compute with it, and one of them dies without the field. */
static uint64_t told_deadline(uint64_t deadline_ms)
{
    return deadline_ms ? deadline_ms : UINT64_C(4102444800000);
}

static int print_event(struct buf *b, const struct runtime_api_event *e)
{
    static const struct str JSON_TYPE = {"application/json", sizeof("application/json") - 1};
    b->len = 0;
    int r = buf_addf(b,
                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nLambda-Runtime-Aws-Request-Id: %s\r\n"
                     "Lambda-Runtime-Deadline-Ms: %lu\r\n",
                     e->body.n, e->id, (unsigned long)told_deadline(e->deadline_ms));
    if (r == 0)
        r = add_field(b, "Content-Type: ", e->content_type.n ? e->content_type : JSON_TYPE);
    if (r == 0)
        r = add_field(b, "Lambda-Runtime-Invoked-Function-Arn: ", e->function_arn);
    if (r == 0)
        r = add_field(b, "Lambda-Runtime-Trace-Id: ", e->trace_id);
    return r < 0 ? r : add_field(b, "Lambda-Runtime-Client-Context: ", e->client_context);
}

bool runtime_api_deliver(struct runtime_api *a, const struct runtime_api_event *e)
{
    if (print_event(&a->event_head, e) < 0)
        return false;
    a->event_body = e->body;
    if (!runtime_api_machine_deliver(&a->machine, e->id))
        return true;
    /* Usually one. Should there be more, each gets it, as one who asks again while the event runs does. */
    for (struct list *link; a->machine.state == RUNTIME_API_RUNNING && (link = list_first(&a->waiting));)
        runtime_api_conn_serve(LIST_ENTRY(link, struct runtime_api_conn, wait_link));
    return true;
}
