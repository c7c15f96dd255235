/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/gateway_process.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/str.h"
#include "os/caps.h"
#include "os/pidfd.h"
#include "os/sock.h"
#include "supervisor/core.h"

#include <assert.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
    if (pwrite(fd, bytes, n, 0) != (ssize_t)n)
        return err_set(e, errno, "fill a memfd");
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
    boot->quiet = s->options->quiet;
    if (gethostname(boot->hostname, sizeof(boot->hostname) - 1) < 0)
        boot->hostname[0] = '\0';
    boot->config = s->config;
    static_assert(sizeof(boot->signing_key) == sizeof(s->signing_key), "the key is copied whole");
    memcpy(boot->signing_key, s->signing_key, sizeof(boot->signing_key));
    int fd = gateway_process_make_memfd("faasd-boot", boot, sizeof(*boot), e);
    explicit_bzero(boot->signing_key, sizeof(boot->signing_key));
    return fd;
}

/* Everything the child needs, gathered before the fork. */
struct child_plan {
    int sources[GATEWAY_FD_LISTENERS + LISTENERS_MAX + 1]; /* what becomes fd 0.. ; 1 and 2 stay */
    unsigned count;                                        /* the last one is the program, closed by the exec */
    uid_t uid;
    gid_t gid;
};

static int become(const struct child_plan *p, struct err *e)
{
    int r = caps_drop_bounding(e);
    if (r < 0)
        return r;
    if (setgroups(0, NULL) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 || setresuid(p->uid, p->uid, p->uid) < 0)
        return err_set(e, errno, "become uid %u", p->uid);
    r = caps_drop_all(e);
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "set no_new_privs");
    return 0;
}

/* Moves the descriptors to their places. First out of the way of all places, then down: no order of the sources can make one overwrite another. */
static int place_fds(struct child_plan *p, struct err *e)
{
    enum { ABOVE = 64 };
    static_assert(ABOVE > sizeof(p->sources) / sizeof(p->sources[0]), "the parking place must lie above every target");
    for (unsigned i = 0; i < p->count; i++) {
        if (i == STDOUT_FILENO || i == STDERR_FILENO)
            continue;
        p->sources[i] = fcntl(p->sources[i], F_DUPFD_CLOEXEC, ABOVE);
        if (p->sources[i] < 0)
            return err_set(e, errno, "move a descriptor");
    }
    for (unsigned i = 0; i < p->count; i++) {
        bool is_program = i == p->count - 1;
        if (i == STDOUT_FILENO || i == STDERR_FILENO)
            continue;
        if (dup3(p->sources[i], (int)i, is_program ? O_CLOEXEC : 0) < 0)
            return err_set(e, errno, "place a descriptor");
    }
    if (close_range(p->count, ~0U, 0) < 0)
        return err_set(e, errno, "close what is left");
    return 0;
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

static _Noreturn void child_main(struct child_plan *p, pid_t parent)
{
    struct err e;
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        signal(handled[i], SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* A Ctrl-C at the terminal is for the supervisor, which drains; without a session of its own the gateway would die of it. */
    setsid();
    go_ahead();
    int r = place_fds(p, &e);
    if (r == 0)
        r = become(p, &e);
    /* The change of uid cleared the death signal, so it is set after it; the supervisor may have died before. */
    if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        r = err_set(&e, errno, "set the death signal");
    if (r == 0 && getppid() != parent)
        _exit(1);
    if (r == 0) {
        char *const argv[] = {"faasd-gateway", NULL};
        char *environment[] = {NULL, NULL, NULL};
#ifdef __SANITIZE_ADDRESS__
        /* Only the sanitizers' own settings pass, and only in a build that has them. */
        unsigned n = 0;
        for (char **at = environ; *at && n < 2; at++)
            if (strncmp(*at, "ASAN_OPTIONS=", 13) == 0 || strncmp(*at, "UBSAN_OPTIONS=", 14) == 0)
                environment[n++] = *at;
#endif
        execveat((int)p->count - 1, "", argv, environment, AT_EMPTY_PATH);
        err_set(&e, errno, "execute this program as uid %u (is its file readable and executable for all?)", p->uid);
    }
    log_error("the gateway did not start: %s", e.text);
    _exit(127);
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
    (void)events;
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
    scoped_fd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        return err_set(e, errno, "open '/dev/null'");
    struct child_plan plan = {.uid = s->accounts.gateway_uid, .gid = s->accounts.gateway_gid};
    plan.sources[0] = null;
    plan.sources[GATEWAY_FD_LINK] = link;
    plan.sources[GATEWAY_FD_BOOT] = boot;
    plan.count = GATEWAY_FD_LISTENERS;
    for (unsigned i = 0; i < s->listeners.count; i++)
        plan.sources[plan.count++] = s->listeners.at[i].fd;
    plan.sources[plan.count++] = s->self_fd;
    /* Until the child has reset its handlers a signal must not run ours there: they share an eventfd with this process's loop. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_main(&plan, parent);
    int saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return err_set(e, saved, "fork");
    g->pid = pid;
    g->was_killed = false;
    g->pidfd = pidfd_open(pid, 0);
    if (g->pidfd < 0) {
        saved = errno;
        kill(pid, SIGKILL); /* ours and not reaped: the pid can't be another's */
        return err_set(e, saved, "open the gateway's pidfd");
    }
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
    if (g->pidfd >= 0) {
        int status;
        pidfd_kill(g->pidfd);
        pidfd_reap(g->pidfd, true, &status);
    }
    fd_close(&g->pidfd);
    g->state = GATEWAY_ABSENT;
}
