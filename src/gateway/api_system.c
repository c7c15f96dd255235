/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/system: the daemon as a whole. */
#include "gateway/api.h"

#include "base/clock.h"
#include "codec/json.h"
#include "gateway/api_print.h"
#include "gateway/calls.h"
#include "gateway/deploy.h"
#include "gateway/front.h"
#include "gateway/invocation.h"
#include "gateway/store_db.h"
#include "version.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "127.0.0.1:8080", "[::1]:8080", "unix:/path": what the socket is bound to, so that port 0 shows as the port it became. */
static void print_listener(struct json_writer *w, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage room;
    } a = {0};
    socklen_t length = sizeof(a);
    char address[INET6_ADDRSTRLEN] = "";
    char text[sizeof(a.local.sun_path) + 16];
    if (getsockname(fd, &a.any, &length) < 0)
        return;
    if (a.any.sa_family == AF_INET)
        snprintf(text, sizeof(text), "%s:%u", inet_ntop(AF_INET, &a.v4.sin_addr, address, sizeof(address)),
                 ntohs(a.v4.sin_port));
    else if (a.any.sa_family == AF_INET6)
        snprintf(text, sizeof(text), "[%s]:%u", inet_ntop(AF_INET6, &a.v6.sin6_addr, address, sizeof(address)),
                 ntohs(a.v6.sin6_port));
    else
        snprintf(text, sizeof(text), "unix:%.*s", (int)sizeof(a.local.sun_path), a.local.sun_path);
    json_put_text(w, NULL, text);
}

static void print_limits(struct json_writer *w, const struct config *c)
{
    json_put_object(w, "limits");
    json_put_u64(w, "memory_budget_bytes", c->memory_budget_bytes);
    json_put_u64(w, "instances", c->instances_max);
    json_put_u64(w, "functions", c->functions_max);
    json_put_u64(w, "connections", c->connections_max);
    json_put_u64(w, "request_bytes", c->request_bytes_max);
    json_put_u64(w, "reply_bytes", c->reply_bytes_max);
    json_put_u64(w, "stream_bytes", c->stream_bytes_max);
    json_put_object_end(w);
}

struct totals {
    struct json_writer *w;
    struct function_counters sum;
};

static void print_function(struct function *f, void *context)
{
    struct totals *t = context;
    struct pool_counts counts;
    const struct function_counters *c = &f->counters;
    pool_count(f->pool, &counts);
    json_put_object(t->w, NULL);
    json_put_text(t->w, "name", f->name);
    api_print_counts(t->w, &counts);
    api_print_counters(t->w, c);
    json_put_object_end(t->w);
    t->sum.succeeded += c->succeeded;
    t->sum.function_errors += c->function_errors;
    t->sum.crashed += c->crashed;
    t->sum.out_of_memory += c->out_of_memory;
    t->sum.timed_out += c->timed_out;
    t->sum.throttled += c->throttled;
    t->sum.refused += c->refused;
    t->sum.cold_starts += c->cold_starts;
    t->sum.duration_ns += c->duration_ns;
}

/* What a bad disk has done: docs/OPERATIONS.md. */
static void print_damage(struct json_writer *w)
{
    static const char *const names[] = {"faasd.db", "calls.db", "records.db"};
    json_put_array(w, "damaged");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (store_db_stands_aside(names[i]))
            json_put_text(w, NULL, names[i]);
    json_put_array_end(w);
}

void api_system(struct exchange *x, struct str name)
{
    struct gateway *g = x->gateway;
    struct pool_counts counts;
    struct json_writer w;
    struct buf body;
    struct totals totals = {.w = &w};
    (void)name;
    pools_count(g->pools, &counts);
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "version", FAASD_VERSION);
    json_put_text(&w, "hostname", g->boot->hostname);
    json_put_milli(&w, "uptime_seconds", (clock_mono_ns() - front_started_ns(g->front)) / 1000000);
    json_put_array(&w, "listen");
    for (unsigned i = 0; i < g->boot->listener_count; i++)
        print_listener(&w, GATEWAY_FD_LISTENERS + (int)i);
    json_put_array_end(&w);
    json_put_u64(&w, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    print_limits(&w, g->config);
    api_print_counts(&w, &counts);
    json_put_u64(&w, "connections", front_connection_count(g->front));
    json_put_u64(&w, "invocations_in_flight", invocation_count());
    json_put_u64(&w, "deploys_in_flight", deploy_count());
    json_put_u64(&w, "calls_queued", calls_waiting(g->calls));
    json_put_u64(&w, "calls_running", calls_running(g->calls));
    print_damage(&w);
    json_put_array(&w, "functions");
    registry_each(g->registry, print_function, &totals);
    json_put_array_end(&w);
    api_print_counters(&w, &totals.sum);
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

void api_config(struct exchange *x, struct str name)
{
    struct buf body;
    (void)name;
    buf_init(&body, 0);
    int r = config_print_origins(x->gateway->config, &body);
    api_reply_json(x, &body, r);
}
