/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children of templates. Groups are made first (PREPARE), the template forks, the child joins them by its own hand and serves; whether it is what it
 * should be is looked at beside its work (ADOPT). Until then nothing hangs on it: the groups limit whoever is in them, and a kill ends whoever is in them.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/watch.h"
#include "os/pidfd.h"
#include "supervisor/box_internal.h"
#include "supervisor/claim.h"
#include "supervisor/core.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

static_assert((int)SANDBOX_SLOTS_MAX == (int)MESSAGE_SLOTS_MAX, "one number, known on both sides");

/* ---- what a template keeps ---- */

struct box_template *box_template_new(const struct message_spawn *m)
{
    struct box_template *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    list_init(&t->children);
    t->claim.namespace_fd = -1;
    fmt_to(t->cpuset, sizeof(t->cpuset), "%s", m->cpuset);
    fmt_to(t->function, sizeof(t->function), "%s", m->function);
    t->limits = box_limits_of(m);
    t->limits.cpuset = t->cpuset;
    return t;
}

void box_template_free(struct box_template *t)
{
    if (t)
        claim_template_fini(&t->claim);
    free(t);
}

int box_template_remove_spares(struct box *x)
{
    struct box_template *t = x->as_template;
    for (unsigned slot = 0; slot < MESSAGE_SLOTS_MAX; slot++) {
        int r = t->spares[slot] ? cgroup_remove(t->spares[slot]) : 0;
        if (r < 0)
            return r;
        t->spares[slot] = NULL;
    }
    return 0;
}

/* Their pid 1 is dead, so the kernel has ended them before this box's end could be seen. */
void box_template_end(struct box *x)
{
    LIST_EACH (&x->as_template->children, at) {
        struct box *child = LIST_ENTRY(at, struct box, sibling);
        list_remove(&child->sibling);
        child->parent = NULL;
        if (child->state == BOX_REMOVING)
            continue;
        if (child->state != BOX_DYING)
            box_set_state(child, BOX_DYING);
        box_child_look(child);
    }
}

/* ---- the end ---- */

bool box_child_recycle(struct box *x, const struct cgroup_usage *used)
{
    struct box *template = x->parent;
    if (!template || template->state != BOX_RUNNING)
        return false;
    struct box_template *t = template->as_template;
    if (t->spares[x->slot] || cgroup_park(x->sandbox.group, used) < 0)
        return false;
    t->spares[x->slot] = x->sandbox.group;
    x->sandbox.group = NULL;
    return true;
}

/* A process leaves its groups a moment before it can be waited for, and one that its parent does not wait for (SIGCHLD ignored) is dead a moment before the
 * kernel keeps its status: so the first look may come too early for it. */
static bool is_settled(struct box *x)
{
    if (x->sandbox.pidfd < 0 || x->status != MESSAGE_STATUS_UNKNOWN ||
        pidfd_read_status(x->sandbox.pidfd, x->sandbox.pid, &x->status))
        return true;
    return x->tries > (pidfd_is_dead(x->sandbox.pidfd) ? 0 : BOX_LOOK_DYING_TRIES);
}

void box_child_look(struct box *x)
{
    bool is_empty = cgroup_is_empty(x->sandbox.group);
    if (is_empty && is_settled(x)) {
        box_end(x, x->status);
        return;
    }
    if (!is_empty)
        box_strike(x);
    unsigned pause_ms = x->tries < 10 ? (unsigned)BOX_LOOK_FIRST_MS << x->tries : BOX_LOOK_MAX_MS;
    x->tries++;
    box_start_timer(x, pause_ms / 1000., 0.);
}

/* The child's first process is dead; others of its group may live. */
static void on_child_exit(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct box *x = w->data;
    ev_io_stop(loop, &x->on_exit);
    if (x->state == BOX_RUNNING)
        box_set_state(x, BOX_DYING);
    if (x->killed) /* it lived then, and nobody survives that */
        x->status = SIGKILL;
    else
        pidfd_read_status(x->sandbox.pidfd, x->sandbox.pid, &x->status);
    box_child_look(x);
}

/* ---- PREPARE ---- */

static int check_template(struct box *t, struct err *e)
{
    if (t->state == BOX_SETTING_UP)
        box_look_at_setup(t); /* its READY may reach the gateway before the set-up's end is read here */
    if (t->state == BOX_SETTING_UP)
        return err_say(e, EAGAIN, "the template is being set up");
    return t->state == BOX_RUNNING ? 0 : err_say(e, ESRCH, "the template is ending");
}

static struct cgroup_joiner joiner_of(const struct box *template)
{
    /* nobody who can see cgroupfs has the code owner's group id: unpackers and deleters have no /sys */
    return (struct cgroup_joiner){.uid = template->host_uid, .gid = template->supervisor->code_owner};
}

static int take_group(struct box *template, unsigned slot, struct cgroup **ret_group, struct err *e)
{
    struct box_template *t = template->as_template;
    struct cgroup *g = t->spares[slot];
    bool renewed = g && cgroup_renew(g, &t->limits) == 0;
    /* one that can't be removed either has somebody in it who should not be: it goes with the template */
    if (renewed || (g && cgroup_remove(g) == 0))
        t->spares[slot] = NULL;
    if (renewed) {
        *ret_group = g;
        return 0;
    }
    t->files_sent[slot] = false;
    char name[CGROUP_NAME_MAX];
    fmt_to(name, sizeof(name), "%s-%llu", t->function, (unsigned long long)template->supervisor->boxes.next_serial++);
    struct cgroup_joiner who = joiner_of(template);
    return cgroup_create_child(template->sandbox.group, name, &t->limits, &who, ret_group, e);
}

static struct box *child_new(struct box *template, const struct message_prepare *m, struct err *e)
{
    struct box *x = calloc(1, sizeof(*x));
    if (!x) {
        err_set(e, ENOMEM, "make a child's groups");
        return NULL;
    }
    x->supervisor = template->supervisor;
    x->state = BOX_PREPARED;
    x->is_child = true;
    x->tmp_fd = -1; /* its template's sandbox keeps it */
    x->status = MESSAGE_STATUS_UNKNOWN;
    x->id = m->header.id;
    x->slot = m->slot;
    x->kind = template->kind;
    x->memory_bytes = template->as_template->limits.memory_bytes;
    x->host_uid = template->host_uid;
    x->sandbox = (struct sandbox){.pidfd = -1, .error_fd = -1, .control_fd = -1, .log_fd = -1, .worker_fd = -1};
    if (take_group(template, m->slot, &x->sandbox.group, e) < 0) {
        free(x);
        return NULL;
    }
    x->parent = template;
    list_init(&x->sibling);
    list_push_back(&template->as_template->children, &x->sibling);
    return x;
}

static void watch(struct box *x)
{
    ev_init(&x->on_exit, on_child_exit);
    ev_init(&x->on_setup, NULL); /* never started: only its stop is shared */
    ev_init(&x->on_oom, box_on_oom);
    ev_init(&x->timer, box_on_timer);
    x->on_exit.data = x->on_oom.data = x->timer.data = x;
    box_watch_oom(x);
    box_start_timer(x, BOX_JOIN_SECONDS, 0.);
}

static void fail(struct boxes *b, uint64_t id, const struct err *e)
{
    channel_send_failed(&b->supervisor->channel, MESSAGE_SPAWN_FAILED, id, e);
}

int boxes_prepare(struct boxes *b, const struct message_prepare *m)
{
    struct err e = {0};
    struct box *template = boxes_find(b, m->template);
    if (boxes_find(b, m->header.id) || (template && !template->as_template))
        return -EPROTO;
    struct box *x = NULL;
    if (!template)
        err_say(&e, ESRCH, "the template has ended");
    else if (check_template(template, &e) == 0 &&
             boxes_check_room(b, template->as_template->limits.memory_bytes, false, &e) == 0 &&
             cgroup_freeze(template->sandbox.group, false, &e) == 0)
        x = child_new(template, m, &e);
    if (!x) {
        fail(b, m->header.id, &e);
        return 0;
    }
    box_enter(x);
    watch(x);
    start_clocks_note_child(&b->clocks, template->id, x->id);
    struct message_spawned answer = {.header = {.type = MESSAGE_SPAWNED, .size = sizeof(answer), .id = x->id},
                                     .pid = 0};
    int fds[CGROUP_JOIN_MAX];
    struct cgroup_joiner who = joiner_of(template);
    bool *files_sent = &template->as_template->files_sent[m->slot];
    bool has_files = m->has_files && *files_sent;
    if (!has_files && cgroup_open_join(x->sandbox.group, &who, fds, &answer.fd_count, &e) < 0) {
        box_fail(x, &e); /* SPAWN_FAILED, when the groups are gone */
        return 0;
    }
    x->told = *files_sent = true;
    channel_send(&b->supervisor->channel, &answer.header, fds, answer.fd_count);
    return 0;
}

/* ---- ADOPT ---- */

static void adopt(struct box *x)
{
    struct supervisor *s = x->supervisor;
    box_set_state(x, BOX_RUNNING);
    ev_timer_stop(s->loop, &x->timer);
    ev_io_set(&x->on_exit, x->sandbox.pidfd, EV_READ);
    ev_io_start(s->loop, &x->on_exit);
}

int boxes_adopt(struct boxes *b, const struct message_adopt *m)
{
    struct box *x = boxes_find(b, m->header.id);
    if (!x || (x->is_child && x->state == BOX_DYING))
        return 0;
    if (!x->is_child || x->state != BOX_PREPARED)
        return -EPROTO;
    struct err e = {0};
    scoped_fd pidfd = pidfd_open(m->pid, 0);
    int r = pidfd < 0 ? err_set(&e, errno, "take hold of process %d", m->pid) : 0;
    struct claim claim = {.pid = m->pid,
                          .pidfd = pidfd,
                          .init = x->parent->sandbox.pid,
                          .init_pidfd = x->parent->sandbox.pidfd,
                          .host_uid = x->host_uid,
                          .group = x->sandbox.group,
                          .template = &x->parent->as_template->claim};
    if (r == 0)
        r = claim_check(&claim, &e);
    struct err ignored;
    bool ended = r < 0 && pidfd >= 0 && claim_check_dead(&claim, &ignored) == 0;
    if (r == 0 || ended) {
        x->sandbox.pid = m->pid;
        x->sandbox.pidfd = fd_take(&pidfd);
    }
    if (r == 0) {
        adopt(x);
        return 0;
    }
    if (r != -ESRCH && !ended)
        log_error("a template's child is not what it is said to be: %s; its group is killed fn=%s template=%d", e.text,
                  x->parent->as_template->function, x->parent->sandbox.pid);
    box_kill(x);
    return 0;
}

/* ---- FREEZE, THAW ---- */

void boxes_freeze(struct boxes *b, uint64_t id, bool frozen)
{
    struct box *x = boxes_find(b, id);
    if (x && x->state == BOX_SETTING_UP)
        box_look_at_setup(x);
    if (!x || x->state != BOX_RUNNING || x->kind != MESSAGE_SPAWN_FUNCTION)
        return;
    /* On hybrid hosts children's groups lie beneath the template's. It waits for FORK with one thread: freezing would save nothing. */
    if (frozen && x->as_template && !list_is_empty(&x->as_template->children))
        return;
    struct err e;
    int r = cgroup_freeze(x->sandbox.group, frozen, &e);
    if (r < 0 && r != -ENOTSUP)
        log_warn("%s: %s pid=%d", frozen ? "freeze an idle instance" : "thaw an instance", e.text, x->sandbox.pid);
}
