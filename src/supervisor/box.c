/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/box.h"

#include "base/fdio.h"
#include "base/id.h"
#include "base/log.h"
#include "base/watch.h"
#include "os/pidfd.h"
#include "sandbox/identity.h"
#include "supervisor/box_internal.h"
#include "supervisor/core.h"

#include <assert.h>
#include <string.h>

enum {
    REMOVE_FIRST_MS = 1,
    REMOVE_MAX_MS = 1000,
    TRIES_MAX = 60, /* about 50 s: then the directory is left to the next start's sweep */
};

static struct box **slot_of(struct boxes *b, uint64_t id)
{
    /* the gateway counts its ids up, so their low bits spread by themselves */
    return &b->buckets[id & (b->bucket_count - 1)];
}

struct box *boxes_find(struct boxes *b, uint64_t id)
{
    struct box *at = *slot_of(b, id);
    while (at && at->id != id)
        at = at->next;
    return at;
}

static bool is_helper(const struct box *x)
{
    return x->kind == MESSAGE_SPAWN_UNPACK || x->kind == MESSAGE_SPAWN_DELETE;
}

void box_enter(struct box *x)
{
    struct boxes *b = &x->supervisor->boxes;
    struct box **slot = slot_of(b, x->id);
    x->next = *slot;
    *slot = x;
    x->known = true;
    x->counts = true;
    b->counted++;
    b->helpers += is_helper(x);
    b->memory_bytes += x->memory_bytes;
    list_push_back(&b->all, &x->link);
    b->living++;
}

static void stop_counting(struct box *x)
{
    struct boxes *b = &x->supervisor->boxes;
    if (!x->counts)
        return;
    b->counted--;
    b->helpers -= is_helper(x);
    b->memory_bytes -= x->memory_bytes;
    x->counts = false;
}

/* The id ends; so does what it counts for. */
static void box_forget(struct box *x)
{
    struct boxes *b = &x->supervisor->boxes;
    if (x->known) {
        struct box **at = slot_of(b, x->id);
        while (*at != x)
            at = &(*at)->next;
        *at = x->next;
        x->known = false;
    }
    stop_counting(x);
}

void box_set_state(struct box *x, enum box_state to)
{
    static const unsigned char allowed[] = {
        [BOX_WAITING] = 1 << BOX_SETTING_UP | 1 << BOX_DYING,
        [BOX_SETTING_UP] = 1 << BOX_RUNNING | 1 << BOX_DYING | 1 << BOX_REMOVING,
        [BOX_PREPARED] = 1 << BOX_RUNNING | 1 << BOX_DYING,
        [BOX_RUNNING] = 1 << BOX_DYING | 1 << BOX_REMOVING,
        [BOX_DYING] = 1 << BOX_REMOVING,
        [BOX_REMOVING] = 0,
    };
    assert(allowed[x->state] & 1 << to);
    x->state = to;
    x->tries = 0;
}

void box_strike(struct box *x)
{
    struct err e;
    /* The group first: it ends processes that init has not seen yet. Init's death ends the pid namespace in any case. */
    if (cgroup_kill(x->sandbox.group, &e) < 0)
        log_warn("kill the group of a sandbox: %s; its init is killed and ends it pid=%d", e.text, x->sandbox.pid);
    if (x->sandbox.pidfd >= 0)
        pidfd_kill(x->sandbox.pidfd);
}

void box_start_timer(struct box *x, double after, double repeat)
{
    struct ev_loop *loop = x->supervisor->loop;
    ev_timer_stop(loop, &x->timer);
    ev_now_update(loop);
    ev_timer_set(&x->timer, after, repeat);
    ev_timer_start(loop, &x->timer);
}

/* Of a group that has met its limit, while its files are there. */
static void note_oom(struct box *x)
{
    struct cgroup_usage usage = {0};
    cgroup_read_usage(x->sandbox.group, &usage);
    x->oom_shmem_bytes = usage.shmem_bytes;
}

/* Who asks for it may know no more than that the worker has ended. /tmp is let go before it is full of nobody's files: freeing 64 MiB takes 9 ms, which are
 * the dying processes' this way. */
static void let_tmp_go(struct box *x)
{
    if (x->tmp_fd < 0)
        return;
    if (cgroup_oom_fd_tell(x->sandbox.group))
        note_oom(x);
    fd_close(&x->tmp_fd);
}

void box_kill(struct box *x)
{
    if (x->state == BOX_DYING || x->state == BOX_REMOVING)
        return;
    if (x->state == BOX_WAITING) { /* nobody is in it, but who kills may still hold it */
        box_set_state(x, BOX_DYING);
        box_start_timer(x, 0., 0.);
        return;
    }
    /* Most children are alone. The pidfd tells when it is dead; whoever is left then, or lives when the timer comes, is struck. */
    bool is_alone = x->is_child && x->state == BOX_RUNNING && cgroup_has_one(x->sandbox.group);
    box_set_state(x, BOX_DYING);
    let_tmp_go(x);
    if (is_alone)
        pidfd_kill(x->sandbox.pidfd);
    else
        box_strike(x);
    /* a child's end is seen by looking, and never from here: who kills may still hold it */
    if (x->is_child)
        box_start_timer(x, (is_alone ? BOX_LOOK_ALONE_MS : BOX_LOOK_FIRST_MS) / 1000., 0.);
    else
        box_start_timer(x, 1., 1.);
}

void box_fail(struct box *x, const struct err *why)
{
    if (!x->failure) {
        x->failure = malloc(sizeof(*why));
        if (x->failure)
            *x->failure = *why;
    }
    box_kill(x);
}

static void box_free(struct box *x)
{
    struct supervisor *s = x->supervisor;
    if (x->host_uid != s->code_owner && !x->is_child)
        uids_give_back(&s->boxes.uids, x->host_uid);
    list_remove(&x->link);
    list_remove(&x->sibling);
    s->boxes.living--;
    box_trial_free(x->trial);
    box_template_free(x->as_template);
    free(x->failure);
    free(x->waiting);
    free(x);
    if (s->boxes.living == 0)
        supervisor_on_boxes_gone(s);
}

/* The processes are dead, but the kernel may still be dropping the last one from the group: EBUSY for a moment. */
static void box_remove(struct box *x)
{
    int r = x->as_template ? box_template_remove_spares(x) : 0;
    if (r == 0)
        r = cgroup_remove(x->sandbox.group);
    if (r == 0) {
        x->sandbox.group = NULL;
        ev_timer_stop(x->supervisor->loop, &x->timer);
        box_free(x);
        return;
    }
    if (x->tries == TRIES_MAX) {
        log_error("a cgroup can't be removed (%s) and is left to the next start pid=%d", strerrorname_np(-r),
                  x->sandbox.pid);
        ev_timer_stop(x->supervisor->loop, &x->timer);
        box_free(x);
        return;
    }
    unsigned pause_ms = x->tries < 10 ? (unsigned)REMOVE_FIRST_MS << x->tries : REMOVE_MAX_MS;
    x->tries++;
    box_start_timer(x, pause_ms / 1000., 0.);
}

/* The end of the id, told once. */
static void tell_end(struct box *x, int status, const struct cgroup_usage *u)
{
    struct channel *c = &x->supervisor->channel;
    if (!x->known)
        return;
    struct err died = {0};
    if (!x->told && !x->failure && !x->killed)
        err_say(&died, ECHILD, "the sandbox died while it was set up (wait status 0x%x%s)", (unsigned)status,
                u->oom_kills ? ", out of memory" : "");
    if (x->failure || died.code) {
        channel_send_failed(c, MESSAGE_SPAWN_FAILED, x->id, x->failure ? x->failure : &died);
        return;
    }
    struct message_exited m = {
        .header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = x->id},
        .status = status,
        .oom_kills = u->oom_kills,
        .pids_denied = u->pids_denied,
        .killed = x->killed,
        .memory_peak_bytes = u->memory_peak_bytes,
        .shmem_bytes = u->shmem_bytes,
        .cpu_ns = u->cpu_ns,
    };
    channel_send(c, &m.header, NULL, 0);
}

void box_end(struct box *x, int status)
{
    struct ev_loop *loop = x->supervisor->loop;
    ev_io_stop(loop, &x->on_exit);
    ev_io_stop(loop, &x->on_setup);
    ev_io_stop(loop, &x->on_oom);
    ev_timer_stop(loop, &x->timer);
    start_clocks_leave(&x->supervisor->boxes.clocks, &x->clock);
    struct cgroup_usage usage = {0};
    if (x->sandbox.group)
        cgroup_read_usage(x->sandbox.group, &usage);
    if (usage.shmem_bytes < x->oom_shmem_bytes)
        usage.shmem_bytes = x->oom_shmem_bytes;
    fd_close(&x->tmp_fd);
    fd_close(&x->sandbox.pidfd);
    fd_close(&x->sandbox.error_fd);
    fd_close(&x->sandbox.control_fd);
    fd_close(&x->sandbox.log_fd);
    fd_close(&x->sandbox.worker_fd);
    egress_detach(&x->supervisor->egress, x->egress);
    x->egress = NULL;
    box_set_state(x, BOX_REMOVING);
    tell_end(x, status, &usage);
    box_forget(x);
    if (x->waiting) {
        trees_handle(&x->supervisor->trees, x->waiting);
        free(x->waiting);
        x->waiting = NULL;
    }
    if (!x->sandbox.group || (x->is_child && box_child_recycle(x, &usage)))
        box_free(x);
    else
        box_remove(x);
}

/* Every process of the sandbox is dead: the kernel ends a pid namespace before its init can be waited for (pid_namespaces(7)). */
void box_on_exit(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct box *x = w->data;
    int status = 0;
    if (pidfd_reap(x->sandbox.pidfd, false, &status) == 0)
        return;
    box_read_setup(
        x); /* a child that failed wrote why and then exited: both may be ready in this turn, in either order */
    ev_io_stop(loop, &x->on_exit);
    struct err e;
    if (cgroup_kill(x->sandbox.group, &e) < 0)
        log_warn("kill what is left in a dead sandbox's group: %s pid=%d", e.text, x->sandbox.pid);
    if (x->as_template)
        box_template_end(x);
    box_end(x, status);
}

/* v1 kills one task and leaves the rest limping; the promise is that the whole instance dies. */
void box_on_oom(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct box *x = w->data;
    if (!cgroup_oom_fd_tell(x->sandbox.group))
        return;
    ev_io_stop(loop, &x->on_oom);
    note_oom(x);
    box_kill(x);
}

void box_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    struct box *x = w->data;
    struct err e;
    switch (x->state) {
    case BOX_WAITING:
        err_say(&e, ETIMEDOUT, "network 'egress': none was made within %d s", BOX_SETUP_SECONDS);
        box_fail(x, &e);
        egress_is_late(&x->supervisor->egress);
        return;
    case BOX_SETTING_UP:
        err_say(&e, ETIMEDOUT, "the sandbox was not set up within %d s", BOX_SETUP_SECONDS);
        box_fail(x, &e);
        return;
    case BOX_PREPARED:
        log_warn("a child that a template was to fork has not come within %d s; its groups are removed template=%d",
                 BOX_JOIN_SECONDS, x->parent ? x->parent->sandbox.pid : 0);
        box_kill(x);
        return;
    case BOX_DYING:
        if (!x->sandbox.group)
            box_end(x, 0);
        else if (x->is_child)
            box_child_look(x);
        else
            box_strike(x);
        return;
    case BOX_REMOVING:
        box_remove(x);
        return;
    case BOX_RUNNING:
        return;
    }
}

int boxes_init(struct boxes *b, struct supervisor *s, struct err *e)
{
    *b = (struct boxes){.supervisor = s, .bucket_count = 64};
    list_init(&b->all);
    while (b->bucket_count < s->config.instances_max)
        b->bucket_count *= 2;
    b->buckets = calloc(b->bucket_count, sizeof(*b->buckets)); /* touched page by page, as ids are used */
    /* uid_base itself is the gateway's, the next one the code owner's */
    if (!b->buckets ||
        uids_init(&b->uids, s->config.uid_base + IDENTITY_RESERVED, s->config.uid_count - IDENTITY_RESERVED) < 0 ||
        verified_init(&b->verified) < 0 || start_clocks_init(&b->clocks) < 0) {
        boxes_fini(b);
        return err_set(e, ENOMEM, "make room for %u instances", s->config.instances_max);
    }
    /* Another daemon on this host (each `faasd run` is one) draws from the same range: starting anywhere, they hardly meet. */
    b->uids.next = (uint32_t)(id_random_u64() % b->uids.count);
    return 0;
}

void boxes_fini(struct boxes *b)
{
    free(b->buckets);
    b->buckets = NULL;
    uids_fini(&b->uids);
    verified_fini(&b->verified);
    start_clocks_fini(&b->clocks);
}

void boxes_kill(struct boxes *b, uint64_t id)
{
    struct box *x = boxes_find(b, id);
    if (!x)
        return;
    /* A child that is dead already has ended by itself, though its parent may not have been looked at yet. */
    x->killed = !(x->is_child && x->sandbox.pidfd >= 0 && pidfd_is_dead(x->sandbox.pidfd));
    box_kill(x);
    /* Dead in a moment: the gateway gave it up to make room for the next SPAWN, which may come before its pidfd tells. */
    stop_counting(x);
}

void boxes_usage(struct boxes *b, uint64_t id)
{
    struct box *x = boxes_find(b, id);
    if (!x)
        return;
    struct cgroup_usage u = {0};
    if (x->sandbox.group)
        cgroup_read_usage(x->sandbox.group, &u);
    struct message_exited m = {
        .header = {.type = MESSAGE_USAGE_IS, .size = sizeof(m), .id = id},
        .oom_kills = u.oom_kills,
        .pids_denied = u.pids_denied,
        .memory_peak_bytes = u.memory_peak_bytes,
        .shmem_bytes = u.shmem_bytes,
        .cpu_ns = u.cpu_ns,
    };
    channel_send(&b->supervisor->channel, &m.header, NULL, 0);
}

void boxes_tell_steps(struct boxes *b, const struct message_steps *m)
{
    /* whoever asks has heard of its end, or its reply, before this loop looked */
    struct box *x = boxes_find(b, start_clocks_sandbox(&b->clocks, m->instance));
    if (x && x->clock)
        box_look_at_setup(x);
    struct message_steps_are answer = {
        .header = {.type = MESSAGE_STEPS_ARE, .size = sizeof(answer), .id = m->header.id}};
    start_clocks_tell(&b->clocks, m->instance, &answer);
    channel_send(&b->supervisor->channel, &answer.header, NULL, 0);
}

void boxes_abandon(struct boxes *b)
{
    start_clocks_forget(&b->clocks);
    LIST_EACH (&b->all, at) {
        struct box *x = LIST_ENTRY(at, struct box, link);
        box_forget(x);
        free(x->waiting); /* its asker is gone */
        x->waiting = NULL;
        box_kill(x);
    }
}

bool boxes_defer_tree(struct boxes *b, const struct message_tree *m)
{
    LIST_EACH (&b->all, at) {
        struct box *x = LIST_ENTRY(at, struct box, link);
        if (x->kind != MESSAGE_SPAWN_UNPACK || x->staging != m->staging || !x->known)
            continue;
        /* Never while the unpacker lives: it could change what was published. One message waits for its end, a second has no good reason. */
        struct message_tree *waiting = x->waiting ? NULL : malloc(sizeof(*m));
        if (!waiting) {
            struct err e;
            err_set(&e, x->waiting ? EBUSY : ENOMEM, "wait for who fills staging directory %llu",
                    (unsigned long long)m->staging);
            channel_send_failed(&b->supervisor->channel, MESSAGE_DONE, m->header.id, &e);
            return true;
        }
        *waiting = *m;
        x->waiting = waiting;
        box_kill(x);
        return true;
    }
    return false;
}
