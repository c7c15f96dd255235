/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/unprivileged.h"

#include "base/fdio.h"
#include "base/log.h"
#include "os/caps.h"
#include "os/ns.h"
#include "sandbox/identity.h"

#include <assert.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>

static int become(const struct unprivileged_plan *p, struct err *e)
{
    int r = p->kept ? caps_drop_bounding_but(p->kept, e) : caps_drop_bounding(e);
    if (r < 0)
        return r;
    /* In a namespace with one id the groups can't be given up, and there is nobody else to be. */
    if (!identity_is_shared() && setgroups(0, NULL) < 0)
        return err_set(e, errno, "drop supplementary groups");
    if (setresgid(p->gid, p->gid, p->gid) < 0 || setresuid(p->uid, p->uid, p->uid) < 0)
        return err_set(e, errno, "become uid %u", p->uid);
    r = p->kept ? caps_keep_across_exec(p->kept, e) : caps_drop_all(e);
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "set no_new_privs");
    return 0;
}

/* Moves the descriptors to their places. First out of the way of all places, then down: no order of the sources can make one overwrite another. */
static int place_fds(struct unprivileged_plan *p, struct err *e)
{
    enum { ABOVE = 64 };
    static_assert(ABOVE > sizeof(p->fds) / sizeof(p->fds[0]), "the parking place must lie above every target");
    for (unsigned i = 0; i < p->count; i++) {
        if (i == STDOUT_FILENO || i == STDERR_FILENO)
            continue;
        p->fds[i] = fcntl(p->fds[i], F_DUPFD_CLOEXEC, ABOVE);
        if (p->fds[i] < 0)
            return err_set(e, errno, "move a descriptor");
    }
    for (unsigned i = 0; i < p->count; i++) {
        bool is_program = i == p->count - 1;
        if (i == STDOUT_FILENO || i == STDERR_FILENO)
            continue;
        if (dup3(p->fds[i], (int)i, is_program ? O_CLOEXEC : 0) < 0)
            return err_set(e, errno, "place a descriptor");
    }
    if (close_range(p->count, ~0U, 0) < 0)
        return err_set(e, errno, "close what is left");
    return 0;
}

static _Noreturn void child_main(struct unprivileged_plan *p, pid_t parent)
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
    if (p->before)
        p->before();
    int r = place_fds(p, &e);
    if (r == 0 && p->enter)
        r = p->enter(p->owner, &e);
    if (r == 0)
        r = become(p, &e);
    /* The change of uid cleared the death signal, so it is set after it; the supervisor may have died before. */
    if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        r = err_set(&e, errno, "set the death signal");
    if (r == 0 && getppid() != parent)
        _exit(1);
    if (r == 0) {
        char *const argv[] = {(char *)p->name, NULL};
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
    log_error("%s did not start: %s", p->name, e.text);
    _exit(127);
}

int unprivileged_start(struct unprivileged_plan *p, int program, pid_t *ret_pid, struct err *e)
{
    scoped_fd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        return err_set(e, errno, "open '/dev/null'");
    p->fds[STDIN_FILENO] = null;
    p->fds[p->count++] = program;
    pid_t parent = getpid();
    int pidfd;
    pid_t pid = ns_fork(&pidfd);
    if (pid == 0)
        child_main(p, parent);
    if (pid < 0)
        return err_set(e, -pid, "clone %s", p->name);
    *ret_pid = pid;
    return pidfd;
}
