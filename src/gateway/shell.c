/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/functions/NAME/shell with `Upgrade: faasd-shell`: a terminal in a sandbox made as the function's own. After 101 the socket carries the
 * terminal's bytes; the session and its sandbox end when either side does.
 *
 *   STARTING  SPAWN was sent, init is not READY            timer: init_timeout
 *   RELAYING  the shell runs                               needs none: a person works here; a peer that dies closes its Unix socket
 *   FINISHING the shell ended, its last words go out       timer: SHELL_FINISH_MS
 *   STOPPING  KILL was sent; freed when EXITED comes       timer: SHELL_STOP_MS, then KILL again
 */
#include "gateway/api.h"

#include "base/fdio.h"
#include "gateway/environment.h"
#include "gateway/exec_channel.h"
#include "gateway/link.h"
#include "gateway/relay.h"
#include "gateway/spawn_message.h"

#include <assert.h>
#include <string.h>
#include <sys/ioctl.h>

enum shell_state { SHELL_STARTING, SHELL_RELAYING, SHELL_FINISHING, SHELL_STOPPING };

enum {
    SHELL_SESSIONS_MAX = 16,
    SHELL_FINISH_MS = 2000,
    SHELL_STOP_MS = 2000,
    SHELL_OUT_MAX = 65536, /* nothing is written there: the shell's output is the terminal */
};

static const char protocol[] = "faasd-shell";

/* bash where the sandbox has one. The choice is made inside: only there is it known. */
static const char shell_command[] = "[ -x /bin/bash ] && exec /bin/bash --norc; exec /bin/sh -i";

struct shell {
    struct link_waiter waiter; /* first */
    struct gateway *gateway;
    struct exchange *x;        /* ended here; NULL afterwards */
    struct function *function; /* counted */
    struct version *version;   /* counted */
    enum shell_state state;
    ev_timer timer;
    struct line_reader log;
    struct exec_channel channel;
    int client_fd, terminal_fd; /* owned */
    struct winsize size;
    char term[32];
    struct relay typed, shown;
};

static unsigned session_count;

static void set_state(struct shell *s, enum shell_state state, double timer_s)
{
#define TO(name) (1u << SHELL_##name)
    static const unsigned legal[] = {
        [SHELL_STARTING] = TO(RELAYING) | TO(STOPPING),
        [SHELL_RELAYING] = TO(FINISHING) | TO(STOPPING),
        [SHELL_FINISHING] = TO(STOPPING),
        [SHELL_STOPPING] = 0,
    };
#undef TO
    assert(legal[s->state] & 1u << state);
    s->state = state;
    s->timer.repeat = timer_s; /* 0 stops it */
    ev_timer_again(s->gateway->loop, &s->timer);
}

static void shell_free(struct shell *s)
{
    ev_timer_stop(s->gateway->loop, &s->timer);
    link_unregister(s->gateway->link, &s->waiter);
    exec_channel_fini(&s->channel);
    line_reader_fini(&s->log);
    relay_stop(&s->typed);
    relay_stop(&s->shown);
    fd_close(&s->client_fd);
    fd_close(&s->terminal_fd);
    version_put(s->version);
    function_put(s->function);
    session_count--;
    free(s);
}

static void stop(struct shell *s)
{
    if (s->state == SHELL_STOPPING)
        return;
    relay_stop(&s->typed);
    relay_stop(&s->shown);
    fd_close(&s->client_fd);
    set_state(s, SHELL_STOPPING, SHELL_STOP_MS / 1e3);
    link_send_plain(s->gateway->link, &s->waiter, MESSAGE_KILL);
}

/* Ends the exchange when it has not become a socket yet. */
static void fail(struct shell *s, const char *why)
{
    struct exchange *x = s->x;
    s->x = NULL;
    if (x)
        exchange_error(x, 502, "FunctionCrashed", "the shell could not be started: %s", why);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct shell *s = timer->data;
    (void)loop;
    (void)events;
    if (s->state == SHELL_STOPPING) {
        link_send_plain(s->gateway->link, &s->waiter, MESSAGE_KILL);
        return;
    }
    fail(s, "the sandbox was not ready within 'init_timeout'");
    stop(s);
}

static void on_relay_end(struct relay *r)
{
    stop(r->owner);
}

/* --- init's side --- */

static int build_command(const struct shell *s)
{
    const char *const arguments[] = {"/bin/sh", "-c", shell_command};
    int r = exec_command_begin();
    for (size_t i = 0; r == 0 && i < sizeof(arguments) / sizeof(arguments[0]); i++)
        r = exec_command_add_argument(arguments[i]);
    if (r == 0)
        r = exec_command_add_environment("TERM", str_from(s->term));
    return r < 0 ? r : environment_add_common(s->function, s->version);
}

static void begin_relaying(struct shell *s)
{
    struct str early;
    s->client_fd = exchange_take_socket(s->x, protocol, &early);
    s->x = NULL;
    if (s->client_fd < 0 || early.n > RELAY_BYTES) {
        stop(s);
        return;
    }
    set_state(s, SHELL_RELAYING, 0.);
    relay_start(&s->typed, s->client_fd, s->terminal_fd, early);
    relay_start(&s->shown, s->terminal_fd, s->client_fd, (struct str){0});
}

static void on_ready(void *owner)
{
    struct shell *s = owner;
    if (s->state != SHELL_STARTING)
        return; /* READY for a next program: there is none */
    const struct exec_options o = {.request_id = s->x->id,
                                   .stdin_fd = -1,
                                   .out_max = SHELL_OUT_MAX,
                                   .flags = INIT_COMMAND_PTY | INIT_COMMAND_KEEP_TMP};
    int r = build_command(s);
    if (r == 0)
        r = exec_channel_exec(&s->channel, &o);
    if (r < 0) {
        fail(s, r == -E2BIG ? "its environment is too large" : "init does not answer");
        stop(s);
        return;
    }
    begin_relaying(s);
}

static void on_finished(void *owner, const struct init_done *done)
{
    struct shell *s = owner;
    (void)done;
    if (s->state != SHELL_RELAYING)
        return;
    relay_stop(&s->typed);
    set_state(s, SHELL_FINISHING, SHELL_FINISH_MS / 1e3);
    relay_finish(&s->shown);
}

static void on_flood(void *owner)
{
    (void)owner; /* of the unused stdout: not read any further, which harms nobody */
}

static void on_worker_exited(void *owner, const struct init_done *done)
{
    (void)done;
    stop(owner);
}

static void on_lost(void *owner, const char *why)
{
    fail(owner, why);
    stop(owner);
}

static const struct exec_channel_events channel_events = {
    .on_ready = on_ready,
    .on_finished = on_finished,
    .on_flood = on_flood,
    .on_worker_exited = on_worker_exited,
    .on_lost = on_lost,
};

/* --- the supervisor's side --- */

static void on_spawned(struct shell *s, const int *fds, unsigned fd_count)
{
    if (s->state != SHELL_STARTING || s->channel.state != EXEC_CHANNEL_CLOSED || fd_count != 3) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        if (s->state == SHELL_STARTING && fd_count != 3) {
            fail(s, "the gateway has too many open files");
            stop(s);
        }
        return;
    }
    s->terminal_fd = fds[2];
    ioctl(s->terminal_fd, TIOCSWINSZ, &s->size); /* a terminal of the wrong size still works */
    line_reader_attach(&s->log, fds[1]);
    exec_channel_attach(&s->channel, fds[0]);
}

static_assert(offsetof(struct shell, waiter) == 0, "on_message recovers the session from its waiter");

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct shell *s = (struct shell *)(void *)w;
    if (m->type == MESSAGE_SPAWNED) {
        on_spawned(s, fds, fd_count);
    } else if (m->type == MESSAGE_SPAWN_FAILED) {
        fail(s, ((const struct message_failed *)(const void *)m)->error.text);
        shell_free(s);
    } else if (m->type == MESSAGE_EXITED) {
        fail(s, "its sandbox ended");
        shell_free(s);
    }
}

/* --- the request --- */

static unsigned short read_dimension(struct exchange *x, const char *key, unsigned short otherwise)
{
    struct str text;
    uint64_t value;
    if (!http1_query_find(x->request->query, key, &text) || !str_to_u64(text, &value) || value < 1 || value > 10000)
        return otherwise;
    return (unsigned short)value;
}

/* Terminal names as terminfo spells them; anything else is not passed on. */
static void read_term(struct exchange *x, char *out, size_t cap)
{
    struct str text;
    bool good = http1_query_find(x->request->query, "term", &text) && text.n > 0 && str_copy(text, out, cap);
    for (size_t i = 0; good && i < text.n; i++) {
        char c = text.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '+' ||
               c == '.';
    }
    if (!good)
        str_copy(STR_LITERAL("xterm"), out, cap);
}

static bool asks_for_shell(const struct http1_request *q)
{
    const struct http1_field *upgrade = http1_find_field(q->fields, q->field_count, "upgrade");
    return upgrade && str_is_nocase(upgrade->value, protocol);
}

static struct shell *shell_new(struct exchange *x, struct function *f)
{
    struct shell *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    session_count++;
    s->waiter.on_message = on_message;
    s->gateway = x->gateway;
    s->x = x;
    s->function = function_get(f);
    s->version = version_get(f->current);
    s->client_fd = s->terminal_fd = -1;
    s->size = (struct winsize){.ws_row = read_dimension(x, "rows", 24), .ws_col = read_dimension(x, "cols", 80)};
    read_term(x, s->term, sizeof(s->term));
    ev_init(&s->timer, on_timer);
    s->timer.data = s;
    link_register(s->gateway->link, &s->waiter);
    line_reader_init(&s->log, s->gateway, f->name, s->waiter.id);
    line_reader_init(&s->channel.log, s->gateway, f->name, s->waiter.id);
    exec_channel_init(&s->channel, s->gateway, &channel_events, s);
    s->typed.loop = s->shown.loop = s->gateway->loop;
    s->typed.owner = s->shown.owner = s;
    s->typed.on_end = s->shown.on_end = on_relay_end;
    return s;
}

void api_shell(struct exchange *x, struct str name)
{
    struct function *f = api_find_function(x, name);
    if (!f)
        return;
    if (f->current->settings.seccomp == SETTINGS_SECCOMP_STRICT) {
        exchange_error(x, 400, "BadRequest",
                       "no shell runs under seccomp strict, which executes nothing after the start: deploy the same "
                       "code with seccomp default under another name");
        return;
    }
    if (!asks_for_shell(x->request)) {
        exchange_error_full(x, 426, "UpgradeRequired", STR_LITERAL("this path speaks 'Upgrade: faasd-shell'"),
                            (struct str){0}, "Upgrade: faasd-shell\r\n");
        return;
    }
    struct shell *s = session_count < SHELL_SESSIONS_MAX ? shell_new(x, f) : NULL;
    if (!s) {
        exchange_error(x, 503, "NoCapacity", "%u shells at a time are the most", SHELL_SESSIONS_MAX);
        return;
    }
    struct message_spawn m;
    spawn_message_fill(&m, s->gateway->config, f, f->current);
    m.kind = MESSAGE_SPAWN_SHELL;
    m.seccomp = SETTINGS_SECCOMP_DEFAULT; /* the shell's own, whatever the function was seen to need */
    memset(m.system_calls, 0, sizeof(m.system_calls));
    spawn_message_send(s->gateway, &s->waiter, &m, f->current);
    s->timer.repeat = (double)s->gateway->config->init_timeout_ms / 1e3;
    ev_timer_again(s->gateway->loop, &s->timer);
}
