/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/gateway_process.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/str.h"
#include "base/watch.h"
#include "os/pidfd.h"
#include "os/sock.h"
#include "os/userns.h"
#include "sandbox/identity.h"
#include "supervisor/core.h"
#include "supervisor/gateway_view.h"
#include "supervisor/unprivileged.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* linux/memfd.h since 6.3 */
#endif

enum {
    QUICK_DEATH_MS = 1000,
    PAUSE_FIRST_MS = 50,
    PAUSE_MAX_MS = 2000,
};

void gateway_process_init(struct gateway_process *g, struct supervisor *s)
{
    *g = (struct gateway_process){.supervisor = s, .state = GATEWAY_ABSENT, .pidfd = -1};
}

unsigned gateway_process_pause_ms(unsigned quick_deaths)
{
    if (quick_deaths < 2)
        return 0;
    unsigned shift = quick_deaths - 2;
    unsigned pause = shift > 10 ? PAUSE_MAX_MS : (unsigned)PAUSE_FIRST_MS << shift;
    return pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
}

int gateway_process_make_memfd(const char *name, const void *bytes, size_t n, struct err *e)
{
    int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (made < 0 && errno == EINVAL)
        made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    scoped_fd fd = made;
    if (fd < 0)
        return err_set(e, errno, "make a memfd");
    /* pwrite: the reader shares the offset and starts at 0 */
    int r = fd_pwrite_full(fd, bytes, n, 0);
    if (r < 0)
        return err_set(e, -r, "fill a memfd");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_set(e, errno, "seal a memfd");
    return fd_take(&fd);
}

static int make_boot(const struct supervisor *s, struct err *e)
{
    scoped_free struct gateway_boot *boot = calloc(1, sizeof(*boot));
    if (!boot)
        return err_set(e, ENOMEM, "describe the gateway's start");
    boot->magic = CONFIG_MAGIC;
    boot->listener_count = s->listeners.count;
    for (unsigned i = 0; i < s->listeners.count; i++)
        boot->listener_kinds[i] = s->listeners.at[i].kind;
    str_copy(str_from(s->state.db), boot->db_dir, sizeof(boot->db_dir));
    str_copy(str_from(s->state.logs), boot->log_dir, sizeof(boot->log_dir));
    str_copy(str_from(s->state.versions), boot->versions_dir, sizeof(boot->versions_dir));
    str_copy(str_from(s->state.staging), boot->staging_dir, sizeof(boot->staging_dir));
    memcpy(boot->secrets_key, s->keys->public, sizeof(boot->secrets_key));
    boot->shares_id = identity_is_shared();
    boot->no_groups = cgroup_tree_is_none(s->groups);
    boot->quiet = s->options->quiet;
    boot->owner = userns_own()->entered ? userns_own()->owner : 0;
    if (gethostname(boot->hostname, sizeof(boot->hostname) - 1) < 0)
        boot->hostname[0] = '\0';
    boot->config = s->config;
    static_assert(sizeof(boot->signing_key) == sizeof(s->signing_key), "the key is copied whole");
    memcpy(boot->signing_key, s->signing_key, sizeof(boot->signing_key));
    int fd = gateway_process_make_memfd("faasd-boot", boot, sizeof(*boot), e);
    explicit_bzero(boot->signing_key, sizeof(boot->signing_key));
    return fd;
}

/* The host's own root finds a closed directory at its start and is told; an ordinary user's home is meant to be closed. */
static int open_view(const void *owner, struct err *e)
{
    const struct supervisor *s = owner;
    const char *const paths[] = {s->state.db, s->state.logs, s->state.versions, s->state.staging};
    static_assert(sizeof(paths) / sizeof(paths[0]) <= GATEWAY_VIEW_PATHS_MAX, "the gateway's directories");
    return userns_own()->entered ? gateway_view_make(paths, sizeof(paths) / sizeof(paths[0]), s->accounts.gateway_uid,
                                                     s->accounts.gateway_gid, e)
                                 : 0;
}

enum { GATEWAY_NICE = -5 };

/* Ahead of functions, so that a busy one does not keep the door shut. Where sessions are scheduled as groups (sched_autogroup_enabled, sched(7)) a nice value counts within its
 * session alone, and the gateway has one of its own: there the session gets the same. 20% more requests a second here with every core taken. Without the privilege for it the
 * gateway runs at the supervisor's own priority. */
static void go_ahead(void)
{
    int nice = getpriority(PRIO_PROCESS, 0) + GATEWAY_NICE;
    char text[16];
    if (setpriority(PRIO_PROCESS, 0, nice) < 0)
        return;
    scoped_fd fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    size_t n = fmt_to(text, sizeof(text), "%d", nice < -20 ? -20 : nice);
    if (fd >= 0 && write(fd, text, n) < 0)
        return; /* behind functions then, as before there were nice values for sessions */
}

static void set_state(struct gateway_process *g, enum gateway_state to)
{
    static const unsigned char allowed[] = {
        [GATEWAY_ABSENT] = 1 << GATEWAY_GREETING | 1 << GATEWAY_WAITING,
        [GATEWAY_GREETING] = 1 << GATEWAY_RUNNING | 1 << GATEWAY_KILLED | 1 << GATEWAY_ABSENT,
        [GATEWAY_RUNNING] = 1 << GATEWAY_KILLED | 1 << GATEWAY_ABSENT,
        [GATEWAY_KILLED] = 1 << GATEWAY_ABSENT,
        [GATEWAY_WAITING] = 1 << GATEWAY_ABSENT,
    };
    assert(allowed[g->state] & 1 << to);
    g->state = to;
}

static void on_gone(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct gateway_process *g = w->data;
    int status;
    if (pidfd_reap(g->pidfd, false, &status) != 1)
        return;
    ev_io_stop(loop, &g->on_exit);
    ev_timer_stop(loop, &g->timer);
    fd_close(&g->pidfd);
    bool was_quick = clock_mono_ns() - g->started_ns < QUICK_DEATH_MS * 1000000ULL;
    g->quick_deaths = was_quick ? g->quick_deaths + 1 : 0;
    set_state(g, GATEWAY_ABSENT);
    channel_close(&g->supervisor->channel);
    supervisor_on_gateway_exit(g->supervisor, status);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    struct gateway_process *g = w->data;
    ev_timer_stop(loop, &g->timer);
    if (g->state == GATEWAY_GREETING) {
        supervisor_on_gateway_broken(g->supervisor, "it did not come up");
    } else if (g->state == GATEWAY_WAITING) {
        set_state(g, GATEWAY_ABSENT);
        struct err e;
        if (gateway_process_start(g, &e) < 0) {
            log_error("start the gateway: %s; trying again", e.text);
            g->quick_deaths++;
            gateway_process_restart(g);
        }
    }
}

static int spawn(struct gateway_process *g, int link, int boot, struct err *e)
{
    struct supervisor *s = g->supervisor;
    struct unprivileged_plan plan = {.name = "faasd-gateway",
                                     .uid = s->accounts.gateway_uid,
                                     .gid = s->accounts.gateway_gid,
                                     .before = go_ahead,
                                     .enter = open_view,
                                     .owner = s};
    plan.fds[GATEWAY_FD_LINK] = link;
    plan.fds[GATEWAY_FD_BOOT] = boot;
    plan.count = GATEWAY_FD_LISTENERS;
    for (unsigned i = 0; i < s->listeners.count; i++)
        plan.fds[plan.count++] = s->listeners.at[i].fd;
    int r = unprivileged_start(&plan, s->self_fd, &g->pid, e);
    if (r < 0)
        return r;
    g->was_killed = false;
    g->pidfd = r;
    return 0;
}

int gateway_process_start(struct gateway_process *g, struct err *e)
{
    struct supervisor *s = g->supervisor;
    unsigned lost = listeners_revive(&s->listeners);
    if (lost > 0)
        log_error(
            "%u listening socket(s) were shut down by the former gateway and can't be brought back; restart faasd",
            lost);
    int boot_made = make_boot(s, e);
    if (boot_made < 0)
        return boot_made;
    scoped_fd boot = boot_made;
    int ends[2];
    int r = sock_pair(SOCK_SEQPACKET, ends, e);
    if (r < 0)
        return r;
    scoped_fd ours = ends[0];
    scoped_fd theirs = ends[1];
    r = spawn(g, theirs, boot, e);
    if (r < 0)
        return r;
    g->started_ns = clock_mono_ns();
    set_state(g, GATEWAY_GREETING);
    ev_now_update(s->loop);
    ev_io_init(&g->on_exit, on_gone, g->pidfd, EV_READ);
    ev_timer_init(&g->timer, on_timer, GATEWAY_HELLO_SECONDS, 0.);
    g->on_exit.data = g->timer.data = g;
    ev_io_start(s->loop, &g->on_exit);
    ev_timer_start(s->loop, &g->timer);
    channel_open(&s->channel, fd_take(&ours));
    return 0;
}

void gateway_process_greeted(struct gateway_process *g)
{
    set_state(g, GATEWAY_RUNNING);
    ev_timer_stop(g->supervisor->loop, &g->timer);
}

void gateway_process_kill(struct gateway_process *g)
{
    if (g->state != GATEWAY_GREETING && g->state != GATEWAY_RUNNING)
        return;
    set_state(g, GATEWAY_KILLED);
    g->was_killed = true;
    ev_timer_stop(g->supervisor->loop, &g->timer);
    pidfd_kill(g->pidfd);
}

void gateway_process_restart(struct gateway_process *g)
{
    unsigned pause_ms = gateway_process_pause_ms(g->quick_deaths);
    if (pause_ms > 0)
        log_warn("the gateway keeps dying at its start; next try in %u ms", pause_ms);
    set_state(g, GATEWAY_WAITING);
    ev_now_update(g->supervisor->loop);
    ev_timer_init(&g->timer, on_timer, (double)pause_ms / 1000., 0.);
    g->timer.data = g;
    ev_timer_start(g->supervisor->loop, &g->timer);
}

void gateway_process_close(struct gateway_process *g)
{
    if (g->state == GATEWAY_ABSENT)
        return;
    ev_io_stop(g->supervisor->loop, &g->on_exit);
    ev_timer_stop(g->supervisor->loop, &g->timer);
    channel_close(&g->supervisor->channel);
    pidfd_end(g->pidfd);
    fd_close(&g->pidfd);
    g->state = GATEWAY_ABSENT;
}
