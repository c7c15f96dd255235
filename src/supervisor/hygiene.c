/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/hygiene.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "os/cgroup.h"
#include "os/rlimit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int fill_standard_fds(struct err *e)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
    if (fd < 0)
        return err_set(e, errno, "open '/dev/null'");
    close(fd);
    return 0;
}

static int close_inherited(const struct hygiene_fds *keep, struct err *e)
{
    int keep_fd = keep->ready_fd;
    unsigned first = STDERR_FILENO + 1 + keep->activated;
    int r = 0;
    if (keep_fd >= (int)first) {
        if (fcntl(keep_fd, F_SETFD, FD_CLOEXEC) < 0)
            return err_set(e, errno, "keep descriptor %d", keep_fd);
        if (keep_fd > (int)first)
            r = close_range(first, (unsigned)keep_fd - 1, 0);
        first = (unsigned)keep_fd + 1;
    }
    if (r < 0 || close_range(first, ~0U, 0) < 0)
        return err_set(e, errno, "close inherited descriptors");
    return 0;
}

/* A log that nobody reads must not hold the daemons up (base/log.h). Whoever else has this pipe or terminal may want it to block, and O_NONBLOCK belongs to the description: so it is
 * opened anew. One that can't be (another's terminal) stays as it is. */
static int unblock_log(struct err *e)
{
    struct stat st;
    if (fstat(STDERR_FILENO, &st) < 0 || !(S_ISFIFO(st.st_mode) || isatty(STDERR_FILENO)))
        return 0;
    scoped_fd fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && dup2(fd, STDERR_FILENO) < 0)
        return err_set(e, errno, "keep the log from blocking");
    return 0;
}

static void on_sigpipe(int number)
{
    (void)number;
}

/* None is ignored from here on: an ignored signal would stay ignored in every program that we execute, and functions would inherit it. So SIGPIPE is
 * caught: a write to a closed log then fails with EPIPE all the same. */
static int reset_signals(struct err *e)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    struct sigaction pipe = {.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};
    /* SIGKILL, SIGSTOP and libc's own two refuse, and can't be ignored either. */
    for (int number = 1; number <= SIGRTMAX; number++)
        sigaction(number, &plain, NULL);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || sigaction(SIGPIPE, &pipe, NULL) < 0)
        return err_set(e, errno, "reset the signals");
    return 0;
}

int hygiene_apply(const struct hygiene_fds *keep, struct err *e)
{
    int r = fill_standard_fds(e);
    if (r == 0)
        r = close_inherited(keep, e);
    if (r == 0)
        r = reset_signals(e);
    if (r == 0)
        r = unblock_log(e);
    if (r == 0) /* what sandboxes get (plan.c): the hard limit goes down only. Our own core is refused below. */
        r = rlimit_set(RLIMIT_CORE, 1, e);
    if (r < 0)
        return r;
    umask(077);
    if (chdir("/") < 0)
        return err_set(e, errno, "change to '/'");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) < 0)
            return err_set(e, errno, "raise the limit of open files");
    }
    /* What waits in sandboxes counts as ours too, who make their user namespaces, and there no more than this limit in all: half stays the host's (inc_rlimit_get_ucounts in the kernel). */
    struct rlimit signals;
    if (getrlimit(RLIMIT_SIGPENDING, &signals) == 0)
        setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){signals.rlim_max / 2, signals.rlim_max});
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_set(e, errno, "become undumpable");
    return 0;
}

int hygiene_demand_features(const struct feature_set *f, bool allow_degraded, struct err *e)
{
    unsigned required = 0;
    unsigned degrading = 0;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        enum feature_need need = feature_need((enum feature)i);
        if (f->found[i] || need == FEATURE_NICE)
            continue;
        const char *name = feature_name((enum feature)i);
        const char *loss = feature_loss((enum feature)i);
        required += need == FEATURE_REQUIRED;
        degrading += need == FEATURE_DEGRADES;
        if (need == FEATURE_DEGRADES && allow_degraded)
            log_warn("degraded: this host has no %s (%s): %s", name, f->detail[i], loss);
        else
            log_error("this host has no %s (%s): %s", name, f->detail[i], loss);
    }
    if (required > 0)
        return err_say(e, ENOTSUP,
                       "this host lacks %u features that no sandbox can do without; `faasd check` lists all", required);
    if (degrading > 0 && !allow_degraded)
        return err_say(e, ENOTSUP,
                       "this host lacks %u parts of the sandbox; `faasd check` says how to get them, --allow-degraded "
                       "serves without",
                       degrading);
    return 0;
}

int hygiene_demand_groups(struct feature_set *f, const struct cgroup_tree *groups, bool allow_degraded, struct err *e)
{
    unsigned degrading = 0;
    for (enum feature i = 0; i < FEATURE_COUNT; i++) {
        if (!f->found[i] || feature_is_in(i, groups))
            continue;
        bool is_nice = feature_need(i) == FEATURE_NICE;
        degrading += !is_nice;
        f->found[i] = false;
        fmt_to(f->detail[i], sizeof(f->detail[i]), "could not be had");
        if (allow_degraded || is_nice)
            log_warn("degraded: no %s (%s): %s", feature_name(i), cgroup_tree_refusal(groups), feature_loss(i));
        else
            log_error("no %s: %s", feature_name(i), feature_loss(i));
    }
    if (degrading == 0 || allow_degraded)
        return 0;
    return err_say(e, EAGAIN, "control groups that this host has could not be had: %s; --allow-degraded serves without",
                   cgroup_tree_refusal(groups));
}
