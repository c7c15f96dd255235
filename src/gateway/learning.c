/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/learning.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/log.h"
#include "codec/json.h"
#include "codec/settings_calls.h"
#include "gateway/deploy.h"
#include "gateway/front.h"
#include "gateway/notices.h"
#include "os/seccomp.h"

#include <errno.h>
#include <stdlib.h>

enum { LOOKS_A_LEASE = 4 };

/* One change of settings that nobody asked for. */
struct ending {
    struct function *function; /* counted */
    struct buf settings;       /* {"seccomp":"default","system_calls":[...]} */
};

static ev_timer timer; /* inactive: no function is learning */

static bool is_learning(const struct function *f)
{
    return f->current && !f->removed && f->current->settings.seccomp == SETTINGS_SECCOMP_LEARNING;
}

/* ---- what was learnt ---- */

static int add_seen(struct settings *list, const struct learned_calls *l, struct err *e)
{
    int r = 0;
    for (int number = 0; number < NOTICES_NUMBERS && r == 0; number++) {
        char name[SECCOMP_NAME_MAX];
        if (!(l->seen[number / 64] >> (number % 64) & 1))
            continue;
        seccomp_find_name(seccomp_native_architecture(), number, name);
        if (seccomp_find_number(name) == number) /* else this libseccomp is older than the call */
            r = settings_add_calls(list, str_from(name), e);
    }
    return r;
}

/* Those of the list stay: what an earlier learning saw may be rare. */
int learning_list(const struct function *f, struct settings *list, struct err *e)
{
    struct str name;
    int r = f->learned ? add_seen(list, f->learned, e) : 0;
    for (size_t at = 0; r == 0 && settings_call_next(&f->current->settings, &at, &name);)
        r = settings_add_calls(list, name, e);
    return r;
}

/* ---- the end ---- */

static void ending_free(struct ending *n)
{
    function_put(n->function);
    buf_fini(&n->settings);
    free(n);
}

static void on_reply(struct exchange *x, const struct reply *r)
{
    struct ending *n = x->context;
    struct function *f = n->function;
    if (f->learned)
        f->learned->is_ending = false;
    learning_renew(f);
    if (r->status >= 300 && is_learning(f))
        log_warn("nobody waits for what the function learns, and its settings could not be changed (%d %.*s); trying "
                 "again fn=%s",
                 r->status, (int)r->error_message.n, r->error_message.n ? r->error_message.p : "", f->name);
    ending_free(n);
}

static int print_settings(const struct function *f, struct buf *out)
{
    struct settings list = {.calls = NULL};
    struct json_writer w;
    struct str name;
    struct err e;
    int r = learning_list(f, &list, &e);
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    json_put_text(&w, "seccomp", "default");
    if (list.calls_bytes > 0) {
        json_put_array(&w, "system_calls");
        for (size_t at = 0; settings_call_next(&list, &at, &name);)
            json_put_text(&w, NULL, name.p);
        json_put_array_end(&w);
    }
    json_put_object_end(&w);
    settings_drop_calls(&list);
    int written = json_writer_end(&w);
    return r < 0 ? r : written;
}

/* As `faasd learn --stop` does it, by a request of the gateway's own. Without memory for it: at the next look. */
static void end(struct gateway *g, struct function *f)
{
    char head[64 + SETTINGS_NAME_MAX], id[ID_UUID_MAX];
    struct ending *n = calloc(1, sizeof(*n));
    int error;
    if (!n)
        return;
    n->function = function_get(f);
    buf_init(&n->settings, 0);
    size_t size = fmt_to(head, sizeof(head), "PATCH /v1/functions/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", f->name);
    id_uuid(id);
    struct front_request request = {
        .head = {head, size}, .id = id, .listener = GATEWAY_LISTENER_CONTROL, .on_reply = on_reply, .context = n};
    struct exchange *x = NULL;
    if (print_settings(f, &n->settings) == 0) {
        request.body = buf_str(&n->settings);
        x = front_make_exchange(g->front, &request, &error);
    }
    if (!x) {
        ending_free(n);
        return;
    }
    log_info("nobody waits any more for what the function learns: it ends, and the list is kept fn=%s", f->name);
    f->learned->is_ending = true;
    deploy_patch(x, str_from(f->name));
}

/* ---- the lease ---- */

struct look {
    struct gateway *gateway;
    uint64_t now_ns;
    struct function *over; /* one a look: what ends it may change the registry */
    bool any;
};

static void look_at(struct function *f, void *context)
{
    struct look *look = context;
    if (!is_learning(f))
        return;
    look->any = true;
    if (!f->learned || f->learned->is_ending)
        return;
    if (look->now_ns - f->learned->looked_ns >= look->gateway->config->learn_lease_ms * UINT64_C(1000000))
        look->over = f;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    struct look look = {.gateway = w->data, .now_ns = clock_mono_ns()};
    registry_walk(look.gateway->registry, look_at, &look);
    if (!look.any || look.gateway->draining)
        ev_timer_stop(loop, w);
    else if (look.over)
        end(look.gateway, look.over);
}

void learning_renew(struct function *f)
{
    if (f->learned)
        f->learned->looked_ns = clock_mono_ns();
}

void learning_begin(struct gateway *g, struct function *f)
{
    if (!is_learning(f))
        return;
    if (!f->learned)
        f->learned = calloc(1, sizeof(*f->learned)); /* without memory for it nothing is learnt, and the list says so */
    learning_renew(f);
    if (ev_is_active(&timer))
        return;
    double every_s = (double)g->config->learn_lease_ms / 1000. / LOOKS_A_LEASE;
    ev_timer_init(&timer, on_timer, every_s, every_s);
    timer.data = g;
    ev_now_update(g->loop);
    ev_timer_start(g->loop, &timer);
}
