/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/private.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/cmd.h"
#include "cmd/tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

enum {
    STOP_AT_ONCE = SIGINT, /* what the guardian is told with; SIGTERM lets running requests end */
    STOP_REPEAT_MS = 100,
    STOP_REPEATS_MAX = 100, /* ten seconds, then SIGKILL: the sandboxes go with the supervisor all the same */
};

static const int CAUGHT[] = {SIGINT, SIGTERM, SIGHUP};
enum { CAUGHT_COUNT = sizeof(CAUGHT) / sizeof(CAUGHT[0]) };

static volatile sig_atomic_t caught_signal;
static volatile pid_t caught_guardian; /* set before the handlers, read by them alone */
static struct sigaction caught_before[CAUGHT_COUNT];

static void on_signal(int number)
{
    int saved = errno;
    caught_signal = number;
    kill(caught_guardian, STOP_AT_ONCE);
    errno = saved;
}

int private_signal(void)
{
    return caught_signal;
}

/* What `faasd run` deploys is executed from the root, and a bind keeps the file system's noexec; TMPDIR may be a
 * directory that the gateway's uid can't enter. */
static int make_root(struct private_daemon *d, struct err *e)
{
    static const char *const places[] = {"/tmp", "/var/tmp", "/run"};
    int error = ENOENT;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct statvfs fs;
        if (statvfs(places[i], &fs) < 0 || fs.f_flag & (ST_NOEXEC | ST_RDONLY)) {
            error = EACCES;
            continue;
        }
        fmt_to(d->root, sizeof(d->root), "%s/faasd-run-XXXXXX", places[i]);
        if (mkdtemp(d->root) && chmod(d->root, 0711) == 0)
            return 0;
        error = errno;
    }
    d->root[0] = '\0';
    return err_set(e, error, "make a temporary directory in /tmp or /var/tmp");
}

static int fill_options(const struct private_daemon *d, const struct private_options *o,
                        struct supervisor_options *ret_options, struct err *e)
{
    *ret_options = (struct supervisor_options){
        .no_tcp = !o->listen, .quiet = true, .transient = true, .allow_degraded = o->allow_degraded, .ready_fd = -1};
    if (o->listen)
        ret_options->listen[ret_options->listen_count++] = o->listen;
    struct supervisor_paths *p = &ret_options->paths;
    fmt_to(p->run, sizeof(p->run), "%s/run", d->root);
    fmt_to(p->state, sizeof(p->state), "%s/state", d->root);
    if (!str_copy(str_from(o->config_path), p->config, sizeof(p->config)) ||
        (o->log_dir && !str_copy(str_from(o->log_dir), p->logs, sizeof(p->logs))))
        return err_say(e, ENAMETOOLONG, "the path of the configuration or the log is too long");
    return 0;
}

static void redirect(int fd, int flags)
{
    scoped_fd null = open("/dev/null", flags | O_CLOEXEC);
    if (null >= 0 && null != fd)
        dup2(null, fd);
}

static _Noreturn void be_supervisor(const struct supervisor_options *o, const sigset_t *mask)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        signal(CAUGHT[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    exit(supervisor_main(o));
}

/* Passes on what it is told until the supervisor is dead. A second SIGTERM stops a supervisor at once, but two in a
 * row may be taken for one: so it is repeated. Returns its exit status. */
static int watch(pid_t supervisor, const sigset_t *awaited)
{
    unsigned repeats = 0;
    for (;;) {
        int status;
        if (waitpid(supervisor, &status, WNOHANG) == supervisor)
            return WIFEXITED(status) ? WEXITSTATUS(status) : CMD_FAILED;
        const struct timespec pause = {.tv_nsec = STOP_REPEAT_MS * 1000000L};
        int number = sigtimedwait(awaited, NULL, repeats ? &pause : NULL);
        if (number == SIGTERM && !repeats)
            kill(supervisor, SIGTERM);
        if (number == STOP_AT_ONCE || (repeats && number < 0)) {
            repeats++;
            kill(supervisor, repeats < STOP_REPEATS_MAX ? SIGTERM : SIGKILL);
        }
    }
}

static _Noreturn void be_guardian(const struct private_daemon *d, const struct supervisor_options *o, pid_t parent)
{
    sigset_t before;
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, STOP_AT_ONCE);
    sigaddset(&awaited, SIGHUP); /* taken and not acted on */
    sigprocmask(SIG_BLOCK, &awaited, &before);
    setsid();
    prctl(PR_SET_NAME, "faasd-guardian");
    prctl(PR_SET_PDEATHSIG, STOP_AT_ONCE);
    redirect(STDIN_FILENO, O_RDONLY);
    redirect(STDOUT_FILENO, O_WRONLY);
    int status = CMD_FAILED;
    pid_t supervisor = getppid() == parent ? fork() : -1;
    if (supervisor == 0)
        be_supervisor(o, &before);
    int ready = o->ready_fd;
    fd_close(&ready); /* the supervisor's end alone tells of its death */
    if (supervisor > 0)
        status = watch(supervisor, &awaited);
    struct err e;
    if (tree_remove(d->root, &e) < 0)
        fprintf(stderr, "faasd: %s\n", e.text);
    _exit(status);
}

static void catch_signals(pid_t guardian)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    caught_signal = 0;
    caught_guardian = guardian;
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        sigaction(CAUGHT[i], &act, &caught_before[i]);
        if (caught_before[i].sa_handler == SIG_IGN) /* nohup(1) */
            sigaction(CAUGHT[i], &caught_before[i], NULL);
    }
}

/* With CAUGHT blocked: no signal may kill this process while the root exists and nobody watches over it. */
static int start_guardian(struct private_daemon *d, const struct private_options *o, const sigset_t *mask,
                          int *ret_ready, struct err *e)
{
    struct supervisor_options options;
    int ready[2];
    int r = make_root(d, e);
    if (r < 0)
        return r;
    fmt_to(d->socket, sizeof(d->socket), "%s/run/control.sock", d->root);
    r = fill_options(d, o, &options, e);
    if (r < 0)
        return r;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    options.ready_fd = ready[1];
    pid_t parent = getpid();
    fflush(NULL);
    d->guardian = fork();
    if (d->guardian == 0) {
        fd_close(&ready[0]);
        sigprocmask(SIG_SETMASK, mask, NULL);
        be_guardian(d, &options, parent);
    }
    r = d->guardian < 0 ? err_set(e, errno, "fork") : 0;
    fd_close(&ready[1]);
    if (r < 0)
        fd_close(&ready[0]);
    else
        catch_signals(d->guardian);
    *ret_ready = ready[0];
    return r;
}

int private_start(struct private_daemon *d, const struct private_options *o, struct err *e)
{
    sigset_t caught;
    sigset_t before;
    int ready = -1;
    char byte;
    *d = (struct private_daemon){.guardian = -1};
    sigemptyset(&caught);
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        sigaddset(&caught, CAUGHT[i]);
    sigprocmask(SIG_BLOCK, &caught, &before);
    int r = start_guardian(d, o, &before, &ready, e);
    if (r < 0)
        private_stop(d);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return r;
    ssize_t n = fd_read_full(ready, &byte, 1);
    fd_close(&ready);
    if (n == 1)
        return 0;
    private_stop(d);
    return err_say(e, EIO, "the sandbox's daemon did not start"); /* why stands on stderr already */
}

void private_stop(struct private_daemon *d)
{
    if (d->guardian > 0) {
        kill(d->guardian, SIGTERM);
        while (waitpid(d->guardian, NULL, 0) < 0 && errno == EINTR)
            continue;
        for (size_t i = 0; i < CAUGHT_COUNT; i++)
            sigaction(CAUGHT[i], &caught_before[i], NULL);
    }
    d->guardian = -1;
    if (d->root[0])
        tree_remove(d->root, NULL); /* nothing is left of it, unless the guardian was killed */
    d->root[0] = '\0';
}
