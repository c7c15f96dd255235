/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exec_session.h"

#include "base/fdio.h"
#include "gateway/exec_channel.h"
#include "gateway/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 *   STARTING  SPAWN was sent, init is not READY   timer: the whole run's
 *   RUNNING   the program runs                    timer: the whole run's
 *   ENDING    KILL was sent; EXITED tells the end timer: ENDING_MS, then KILL again
 */
enum state { STARTING, RUNNING, ENDING };

enum { ENDING_MS = 2000, ARGUMENTS_MAX = 32, ONCE_TMP_BYTES = 1 << 20, ONCE_PIDS = 16 };

struct exec_once {
    struct link_waiter waiter; /* first */
    struct gateway *gateway;
    enum state state;
    ev_timer timer;
    struct exec_channel channel;
    struct line_reader log;        /* init's own words: discarded */
    char *argv[ARGUMENTS_MAX + 1]; /* owned */
    int stdin_fd;                  /* owned */
    size_t out_max;
    void (*on_done)(void *owner, const struct exec_result *r);
    void *owner;
    struct err error;
    struct init_done done;
    bool timed_out;
    bool finished; /* `done` and the output are whole */
};

static void free_once(struct exec_once *run)
{
    ev_timer_stop(run->gateway->loop, &run->timer);
    link_unregister(run->gateway->link, &run->waiter);
    exec_channel_fini(&run->channel);
    line_reader_fini(&run->log);
    fd_close(&run->stdin_fd);
    for (char **a = run->argv; *a; a++)
        free(*a);
    free(run);
}

/* The sandbox is dead: tells and frees. */
static void conclude(struct exec_once *run, uint32_t oom_kills)
{
    char tail[LINE_READER_TAIL];
    struct exec_result r = {
        .status = run->done.status,
        .timed_out = run->timed_out,
        .out_of_memory = oom_kills > 0,
        .out = buf_str(&run->channel.out),
        .err_tail = line_reader_tail(&run->channel.log, tail),
    };
    if (!run->finished && !run->timed_out && !oom_kills) {
        r.error = run->error;
        if (!r.error.code)
            err_say(&r.error, ECHILD, "the sandbox ended before its program");
    } else if (run->done.flags & INIT_DONE_EXEC_FAILED) {
        err_set(&r.error, run->done.error, "execute '%s'", run->argv[0]);
    }
    run->on_done(run->owner, &r);
    free_once(run);
}

static void kill_it(struct exec_once *run)
{
    run->state = ENDING;
    link_send_plain(run->gateway->link, &run->waiter, MESSAGE_KILL);
    run->timer.repeat = ENDING_MS / 1e3;
    ev_timer_again(run->gateway->loop, &run->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct exec_once *run = w->data;
    (void)loop;
    (void)events;
    if (run->state != ENDING)
        run->timed_out = true;
    kill_it(run);
}

static void on_ready(void *owner)
{
    struct exec_once *run = owner;
    if (run->state != STARTING)
        return; /* READY for a next program: there is none */
    int r = exec_command_begin();
    for (char **a = run->argv; r == 0 && *a; a++)
        r = exec_command_add_argument(*a);
    char no_request[ID_UUID_MAX] = "";
    struct exec_options o = {
        .request_id = no_request, .stdin_fd = run->stdin_fd, .out_max = run->out_max, .flags = INIT_COMMAND_KEEP_TMP};
    if (r == 0)
        r = exec_channel_exec(&run->channel, &o);
    fd_close(&run->stdin_fd);
    if (r < 0) {
        err_set(&run->error, -r, "start '%s' in its sandbox", run->argv[0]);
        kill_it(run);
        return;
    }
    run->state = RUNNING;
}

static void on_finished(void *owner, const struct init_done *done)
{
    struct exec_once *run = owner;
    if (run->state != RUNNING)
        return;
    run->done = *done;
    run->finished = true;
    kill_it(run);
}

static void on_flood(void *owner)
{
    struct exec_once *run = owner;
    err_say(&run->error, EMSGSIZE, "'%s' wrote more than it may", run->argv[0]);
    kill_it(run);
}

static void on_worker_exited(void *owner, const struct init_done *done)
{
    (void)done;
    kill_it(owner);
}

static void on_lost(void *owner, const char *why)
{
    struct exec_once *run = owner;
    if (!run->error.code)
        err_say(&run->error, ECHILD, "%s", why);
    kill_it(run);
}

static const struct exec_channel_events EVENTS = {
    .on_ready = on_ready,
    .on_finished = on_finished,
    .on_flood = on_flood,
    .on_worker_exited = on_worker_exited,
    .on_lost = on_lost,
};

static void on_spawned(struct exec_once *run, const int *fds, unsigned fd_count)
{
    if (run->channel.state != EXEC_CHANNEL_CLOSED || fd_count != 2) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        if (run->state == STARTING && fd_count != 2) {
            err_set(&run->error, EMFILE, "take the descriptors of its sandbox over");
            kill_it(run);
        }
        return;
    }
    line_reader_attach(&run->log, fds[1]);
    exec_channel_attach(&run->channel, fds[0]);
}

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct exec_once *run = (struct exec_once *)(void *)w;
    if (m->type == MESSAGE_SPAWNED) {
        on_spawned(run, fds, fd_count);
    } else if (m->type == MESSAGE_SPAWN_FAILED) {
        run->error = ((const struct message_failed *)(const void *)m)->error;
        run->finished = false;
        conclude(run, 0);
    } else if (m->type == MESSAGE_EXITED) {
        conclude(run, ((const struct message_exited *)(const void *)m)->oom_kills);
    }
}

static_assert(offsetof(struct exec_once, waiter) == 0, "on_message recovers the run from its waiter");

static bool copy_arguments(struct exec_once *run, const char *const *argv)
{
    for (unsigned i = 0; argv[i]; i++) {
        assert(i < ARGUMENTS_MAX);
        run->argv[i] = strdup(argv[i]);
        if (!run->argv[i])
            return false;
    }
    return true;
}

static void send_spawn(struct exec_once *run, const struct exec_once_options *o)
{
    /* The supervisor refuses what is more than the whole budget; a small host's unpacker then makes do with that. */
    uint64_t budget = run->gateway->config->memory_budget_bytes;
    struct message_spawn m = {
        .header.type = MESSAGE_SPAWN,
        .kind = o->kind,
        .runtime = SETTINGS_RUNTIME_EXEC,
        .staging = o->staging,
        .memory_bytes = o->memory_bytes < budget ? o->memory_bytes : budget,
        .tmp_bytes = ONCE_TMP_BYTES,
        .pids = ONCE_PIDS,
        .cpus_milli = 1000,
        .cpu_weight = 50, /* behind functions: nobody's request waits for a deploy */
        .network = SETTINGS_NETWORK_NONE,
        .layer_count = o->layer_count,
    };
    for (unsigned i = 0; i < o->layer_count; i++)
        memcpy(m.layers[i], o->layers[i], sizeof(m.layers[i]));
    link_send(run->gateway->link, &run->waiter, &m.header, sizeof(m));
}

struct exec_once *exec_once(struct gateway *g, const struct exec_once_options *o)
{
    struct exec_once *run = calloc(1, sizeof(*run));
    int stdin_fd = o->stdin_fd;
    if (!run) {
        fd_close(&stdin_fd);
        return NULL;
    }
    run->gateway = g;
    run->stdin_fd = stdin_fd;
    run->out_max = o->out_max;
    run->on_done = o->on_done;
    run->owner = o->owner;
    run->waiter.on_message = on_message;
    link_register(g->link, &run->waiter);
    line_reader_init(&run->log, g, "", run->waiter.id);
    line_reader_init(&run->channel.log, g, "", run->waiter.id);
    exec_channel_init(&run->channel, g, &EVENTS, run);
    ev_timer_init(&run->timer, on_timer, 0., (double)o->timeout_ms / 1e3);
    run->timer.data = run;
    if (!copy_arguments(run, o->argv)) {
        free_once(run);
        return NULL;
    }
    ev_timer_again(g->loop, &run->timer);
    send_spawn(run, o);
    return run;
}

void exec_once_cancel(struct exec_once *run)
{
    err_say(&run->error, ECANCELED, "cancelled");
    run->finished = false;
    if (run->state != ENDING)
        kill_it(run);
}
