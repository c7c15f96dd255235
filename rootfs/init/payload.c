/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include "syscall.h"

enum { SIGNAL_INFO_BYTES = 128 };

/* The child shares init's memory until it executes something else: a failing one leaves its errno here. */
static volatile int exec_error;
static int child_fd = -1;
static uint64_t exec_key;

void payload_set_key(uint64_t key)
{
    exec_key = key;
}

int payload_open(void)
{
    sys_signal_mask(1ULL << (INIT_SIGCHLD - 1));
    long fd = sys_signal_fd(1ULL << (INIT_SIGCHLD - 1));
    if (fd < 0)
        return (int)fd;
    child_fd = (int)fd;
    return 0;
}

/* Lays out descriptors 0-2 (and a worker's 3) and closes all others. 0 or a negative errno. */
static long arrange_fds(const struct command *c, int out_fd, int err_fd)
{
    long r = 0;
    if (c->flags & INIT_COMMAND_PTY) {
        r = sys_set_terminal(INIT_FD_WORKER);
        for (int fd = 0; fd <= 2 && r >= 0; fd++)
            r = sys_dup_to(INIT_FD_WORKER, fd);
        return r < 0 ? r : sys_close_from(3);
    }
    if (c->type == INIT_START) {
        if (c->fd < 0)
            return sys_close_from(3);
        r = sys_dup_to(c->fd, 3);
        return r < 0 ? r : sys_close_from(4);
    }
    if (c->fd >= 0)
        r = sys_dup_to(c->fd, 0);
    if (r >= 0)
        r = sys_dup_to(out_fd, 1);
    if (r >= 0)
        r = sys_dup_to(err_fd, 2);
    return r < 0 ? r : sys_close_from(3);
}

static bool ends_with_py(const char *path)
{
    size_t n = 0;
    while (path[n])
        n++;
    return n > 3 && path[n - 3] == '.' && path[n - 2] == 'p' && path[n - 1] == 'y';
}

/* What has no header goes to its interpreter by name, as shells do it: functions written for Azure's Python begin with their first import. */
static long exec_program(const struct command *c)
{
    const char *const python[] = {INIT_PYTHON, c->argv[0], NULL};
    if (exec_key)
        return sys_exec_with_key(c->argv[0], c->argv, c->envp, exec_key);
    long r = sys_exec(c->argv[0], c->argv, c->envp);
    if (r == -ENOEXEC && !c->argv[1] && ends_with_py(c->argv[0]))
        r = sys_exec(python[0], python, c->envp);
    return r;
}

/* Not inlined: its frame lies beyond that of payload_start, which the parent goes on with. */
static _Noreturn __attribute__((noinline)) void run_child(const struct command *c, int out_fd, int err_fd)
{
    if (!exec_key) /* strict has no sessions: the call is not in its filter */
        sys_new_session();
    long r = arrange_fds(c, out_fd, err_fd);
    if (r >= 0)
        r = sys_chdir("/var/task");
    /* Signal handlers are the default ones since init began; only the mask is init's own. */
    sys_signal_mask(0);
    if (r >= 0)
        r = exec_program(c);
    exec_error = (int)-r;
    sys_exit(127);
}

long payload_start(const struct command *c, int out_fd, int err_fd)
{
    exec_error = 0;
    long pid =
        sys_vfork(); /* a copy of init's memory, only to throw it away at the exec, is a tenth of a millisecond of each start */
    if (pid == 0)
        run_child(c, out_fd, err_fd);
    return pid;
}

static uint64_t microseconds(__kernel_long_t seconds, __kernel_long_t us)
{
    return (uint64_t)seconds * 1000000 + (uint64_t)us;
}

static void add_usage(struct init_done *done, const struct rusage *u)
{
    done->user_us += microseconds(u->ru_utime.tv_sec, u->ru_utime.tv_usec);
    done->system_us += microseconds(u->ru_stime.tv_sec, u->ru_stime.tv_usec);
    if ((uint64_t)u->ru_maxrss > done->maxrss_kib)
        done->maxrss_kib = (uint64_t)u->ru_maxrss;
}

/* Reaps what is dead now. True when `pid` was among it, or nobody is left. */
static bool reap(long pid, struct init_done *done)
{
    bool seen = false;
    for (;;) {
        int status;
        struct rusage usage;
        long r = sys_wait(&status, INIT_WNOHANG, &usage);
        if (r <= 0)
            return seen || r == -ECHILD;
        add_usage(done, &usage);
        if (r != pid)
            continue;
        seen = true;
        done->status = status;
        done->error = exec_error;
        if (done->error)
            done->flags |= INIT_DONE_EXEC_FAILED;
    }
}

bool payload_wait(long pid, const struct payload_control *control, struct init_done *done)
{
    while (!reap(pid, done)) {
        /* Without events asked of it the control socket tells only that the other side is gone. */
        struct init_pollfd fds[2] = {{.fd = control->fd, .events = control->listen ? INIT_POLLIN : 0},
                                     {.fd = child_fd, .events = INIT_POLLIN}};
        sys_poll(fds, 2);
        if (fds[0].revents)
            return false;
        /* The signal is taken before the children are counted: one that dies in between raises it anew. */
        char info[SIGNAL_INFO_BYTES];
        sys_read(child_fd, info, sizeof(info));
    }
    return true;
}

void payload_kill(void)
{
    sys_kill(-1, INIT_SIGKILL);
}

void payload_kill_rest(struct init_done *done)
{
    for (;;) {
        int status;
        struct rusage usage;
        long r = sys_wait(&status, INIT_WNOHANG, &usage);
        if (r == 0) {
            /* Someone lives: every process here descends from init, so no children left means nobody left. */
            payload_kill();
            r = sys_wait(&status, 0, &usage);
        }
        if (r == -ECHILD)
            return;
        if (r <= 0)
            continue;
        add_usage(done, &usage);
        if ((status & 0x7f) == INIT_SIGKILL)
            done->killed++;
    }
}
