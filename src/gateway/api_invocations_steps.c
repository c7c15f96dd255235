/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/invocations/ID?steps=1: what the supervisor knows of the start that the invocation waited for, step by step (docs/RECORDS.md). */
#include "gateway/api_invocations.h"

#include "codec/json.h"

#include <stdlib.h>
#include <string.h>

/* The supervisor's numbers are its own; only what would reach beyond the message is looked at. */
static bool is_whole(const struct message_steps_are *m)
{
    return m->sandbox_count <= MESSAGE_STEPS_MAX && m->supervisor_count <= MESSAGE_STEPS_MAX - m->sandbox_count;
}

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct asking *a = LIST_ENTRY(w, struct asking, link);
    const struct message_steps_are *steps = (const void *)m;
    (void)fds, (void)fd_count;
    if (m->type == MESSAGE_STEPS_ARE && is_whole(steps) && steps->sandbox_count) {
        a->steps = malloc(sizeof(*steps));
        if (a->steps) /* without: the record goes without */
            *a->steps = *steps;
    }
    a->then(a);
}

void asking_ask_steps(struct asking *a, const struct record *r, void (*then)(struct asking *a))
{
    struct str wanted;
    struct gateway *g = a->x->gateway;
    bool is_wanted = http1_query_find(a->x->request->query, "steps", &wanted) && str_is(wanted, "1");
    if (!is_wanted || !r || !r->delivered || r->start != INVOCATION_COLD || !r->instance) {
        then(a);
        return;
    }
    struct message_steps m = {.header.type = MESSAGE_STEPS, .instance = r->instance};
    a->then = then;
    a->link.on_message = on_message;
    link_register(g->link, &a->link);
    link_send(g->link, &a->link, &m.header, sizeof(m));
}

static void put(struct json_writer *w, const struct message_step *s, const char *where)
{
    json_put_object(w, NULL);
    json_put_text(w, "where", where);
    json_put_text(w, "step", s->text);
    json_put_milli(w, "at_ms", s->at_ns / 1000);
    json_put_milli(w, "ms", s->ns / 1000);
    json_put_object_end(w);
}

void asking_put_steps(struct json_writer *w, const struct asking *a)
{
    const struct message_steps_are *m = a->steps;
    if (!m)
        return;
    json_put_array(w, "steps");
    for (uint32_t i = 0; i < m->supervisor_count + m->sandbox_count; i++)
        put(w, &m->steps[i], i < m->supervisor_count ? "supervisor" : "sandbox");
    json_put_array_end(w);
}
