/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/template.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/id.h"
#include "base/log.h"
#include "gateway/instance.h"
#include "gateway/pool_events.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SLOTS_FEW = 8,
    SLOTS_MANY = 16,
    FILES_KEPT_MAX = 64,    /* slots of all templates whose files are kept: some 5 descriptors each */
    CONCURRENCY_OF_FEW = 4, /* half of the slots may hold children that are being torn down */
};
static_assert((unsigned)SLOTS_MANY <= (unsigned)MESSAGE_SLOTS_MAX, "the supervisor makes so many");
static_assert((unsigned)MESSAGE_SLOTS_MAX <= 32, "slots_used has a bit for each");

static uint64_t now_ms(void)
{
    return clock_boot_ns() / 1000000;
}

unsigned template_slots(const struct settings *s, bool separable)
{
    if (!separable)
        return 1;
    return s->max_concurrency <= CONCURRENCY_OF_FEW ? SLOTS_FEW : SLOTS_MANY;
}

/* ---- life ---- */

struct template *template_new(struct instance *i, unsigned slots)
{
    struct template *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->instance = i;
    t->slots = slots;
    list_init(&t->link);
    list_init(&t->host_link);
    list_init(&t->children);
    return t;
}

static unsigned slots_with_files; /* of all templates */

static void forget_files(struct template_files *f)
{
    slots_with_files -= f->count > 0;
    for (unsigned i = 0; i < f->count; i++)
        close(f->fds[i]);
    f->count = 0;
}

/* A child that serves many requests is not worth the descriptors. */
static bool may_keep_files(const struct instance *child)
{
    return instance_is_single_use(child) && slots_with_files < FILES_KEPT_MAX;
}

static void take_files(struct template_files *f, const int *fds, unsigned count)
{
    forget_files(f);
    memcpy(f->fds, fds, count * sizeof(int));
    f->count = count;
    slots_with_files++;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    LIST_EACH (&t->children, link) {
        struct template_child *c = LIST_ENTRY(link, struct template_child, link);
        list_remove(&c->link);
        c->template = NULL;
    }
    for (unsigned slot = 0; slot < MESSAGE_SLOTS_MAX; slot++)
        forget_files(&t->files[slot]);
    list_remove(&t->link);
    list_remove(&t->host_link);
    free(t);
}

void template_open(struct template *t)
{
    t->opened_ms = t->used_ms = now_ms();
}

static unsigned count_living(const struct template *t)
{
    unsigned living = 0;
    LIST_EACH (&t->children, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, forked.link);
        living += i->state != INSTANCE_STOPPING && i->state != INSTANCE_GONE;
    }
    return living;
}

bool template_is_full(const struct template *t)
{
    return count_living(t) >= t->slots;
}

bool template_may_fork(struct template *t)
{
    const struct config *c = t->instance->gateway->config;
    if (t->instance->state != INSTANCE_TEMPLATE || t->retiring)
        return false;
    if (c->template_forks_max && t->forks >= c->template_forks_max)
        template_retire(t, "it has forked 'template_forks' times");
    else if (c->template_age_max_ms && now_ms() - t->opened_ms >= c->template_age_max_ms)
        template_retire(t, "it is older than 'template_age'");
    return !t->retiring && t->child_count < t->slots;
}

bool template_is_idle(const struct template *t)
{
    return t->instance->state == INSTANCE_TEMPLATE && t->child_count == 0;
}

static void end_if_childless(struct template *t, const char *why)
{
    if (t->child_count == 0 && t->instance->state == INSTANCE_TEMPLATE)
        instance_stop(t->instance, INSTANCE_RETIRED, "%s", why);
}

void template_retire(struct template *t, const char *why)
{
    bool retires = !t->retiring;
    t->retiring = true;
    if (retires) {
        log_info("a template takes no more forks: %s fn=%s inst=%lu forks=%u children=%u", why,
                 t->instance->function->name, (unsigned long)t->instance->waiter.id, t->forks, t->child_count);
        pool_on_template_retired(t->instance->pool);
    }
    end_if_childless(t, why);
}

/* Its sandbox goes, so nobody in it answers any more. */
static void stop_children(struct template *t, enum instance_doom why, const char *text)
{
    LIST_EACH (&t->children, link)
        instance_stop(LIST_ENTRY(link, struct instance, forked.link), why, "%s", text);
}

void template_kill(struct template *t, const char *why)
{
    log_warn("a template is killed: %s fn=%s inst=%lu children=%u", why, t->instance->function->name,
             (unsigned long)t->instance->waiter.id, t->child_count);
    t->retiring = true;
    instance_stop(t->instance, INSTANCE_BAD_REPLY, "%s", why);
    stop_children(t, INSTANCE_CRASHED, "the template that it was forked from broke the protocol");
}

/* Children for which no FORK was sent yet. */
static void stop_unborn_children(struct template *t)
{
    LIST_EACH (&t->children, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, forked.link);
        if (i->state == INSTANCE_SPAWNING)
            instance_stop(i, INSTANCE_RETIRED, "its template is gone");
    }
}

void template_on_lost(struct template *t, const char *how)
{
    template_retire(t, how);
    stop_unborn_children(t);
}

/* ---- children ---- */

void template_adopt_child(struct template *t, struct instance *child)
{
    unsigned slot = 0;
    assert(t->child_count < t->slots);
    while (t->slots_used & UINT32_C(1) << slot)
        slot++;
    t->slots_used |= UINT32_C(1) << slot;
    t->child_count++;
    t->used_ms = now_ms();
    child->forked.template = t;
    child->forked.slot = slot;
    child->forked.template_ready_ns = t->instance->ready_ns;
    child->forked.template_spawned_ns = t->instance->spawned_ns;
    list_push_back(&t->children, &child->forked.link);
}

/* A forked child is a stranger to its siblings, so its socket leads here and nowhere else. */
static int make_socket(struct instance *child, int *ret_theirs)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    native_channel_attach_forked(&child->native, pair[0]);
    *ret_theirs = pair[1];
    return 0;
}

static int send_fork(struct instance *child, const struct template_files *join)
{
    struct template *t = child->forked.template;
    struct faasd_fork f = {.slot = child->forked.slot};
    int fds[FAASD_FORK_FDS_MAX] = {-1};
    if (t->instance->state != INSTANCE_TEMPLATE || t->retiring)
        return -ESRCH;
    int r = make_socket(child, &fds[0]);
    if (r < 0)
        return r;
    memcpy(fds + 1, join->fds, join->count * sizeof(int));
    id_random(f.random, sizeof(f.random));
    t->forks++;
    r = native_channel_fork(&t->instance->native, &f, fds, join->count + 1);
    fd_close(&fds[0]);
    return r;
}

bool template_has_files(const struct instance *child)
{
    const struct template *t = child->forked.template;
    return t && t->files[child->forked.slot].count > 0;
}

void template_forget_files(struct instance *child)
{
    if (child->forked.template)
        forget_files(&child->forked.template->files[child->forked.slot]);
}

int template_fork(struct instance *child, const int *join_fds, unsigned count)
{
    struct template *t = child->forked.template;
    struct template_files once = {.count = 0};
    struct template_files *join = &once;
    int r = t ? -EPROTO : -ESRCH;
    if (t && (count == 0 || may_keep_files(child)))
        join = &t->files[child->forked.slot];
    if (count <= FAASD_FORK_FDS_MAX - 1) {
        if (count > 0)
            take_files(join, join_fds, count);
        if (t && join->count > 0)
            r = send_fork(child, join);
    } else {
        for (unsigned i = 0; i < count; i++)
            close(join_fds[i]);
    }
    forget_files(&once);
    return r;
}

void template_child_ready(struct instance *child, int32_t pid)
{
    struct message_adopt m = {.header.type = MESSAGE_ADOPT, .pid = pid};
    child->pid = pid;
    link_send(child->gateway->link, &child->waiter, &m.header, sizeof(m));
}

void template_child_failed(struct instance *child, bool answered)
{
    if (child->forked.template && !answered)
        template_on_lost(child->forked.template, "a fork of it did not get ready");
    else if (child->forked.template && str_is(child->fault.type, "ForkFailed")) /* its limits are used up */
        template_retire(child->forked.template, "a fork of it failed");
}

/* Each child has the same layout and the same canary as its template: who may crash one after another can search them (SANDBOX.md 2.3). */
static bool may_be_a_search(int wait_status)
{
    if (wait_status == MESSAGE_STATUS_UNKNOWN)
        return true;
    if (!WIFSIGNALED(wait_status))
        return false;
    int s = WTERMSIG(wait_status);
    return s == SIGSEGV || s == SIGABRT || s == SIGBUS || s == SIGILL || s == SIGSYS;
}

void template_child_crashed(struct instance *child, int wait_status)
{
    if (child->forked.template && may_be_a_search(wait_status))
        template_retire(child->forked.template, "a child of it crashed");
}

void template_child_gone(struct instance *child)
{
    struct template *t = child->forked.template;
    if (!t)
        return;
    uint64_t used_ms = child->idle_since_ms;
    child->forked.template = NULL;
    list_remove(&child->forked.link);
    t->slots_used &= ~(UINT32_C(1) << child->forked.slot);
    t->child_count--;
    if (used_ms > t->used_ms)
        t->used_ms = used_ms;
    if (t->retiring)
        end_if_childless(t, "its last child is gone");
}
