/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/configuration.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "codec/config_runtime.h"
#include "codec/config_variable.h"
#include "os/caps.h"
#include "os/landlock.h"
#include "os/pidfd.h"
#include "os/rlimit.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { NOBODY = 65534 };

/* What comes through the pipe: this head, and behind it a struct config when error.code is 0. */
struct answer {
    struct err error;
    struct accounts accounts;
};

/* From here on this process can read files and nothing else: no other uid's process to signal, no file to write (RLIMIT_FSIZE and Landlock), no network.
 * Reading stays, because the configuration may be root's alone. Landlock is best effort, as everywhere. */
static int drop_power(struct err *e)
{
    int r = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "bind the child that reads the configuration");
    if (geteuid() == 0) {
        if (setgroups(0, NULL) < 0 || prctl(PR_SET_KEEPCAPS, 1) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
            return err_set(e, errno, "become nobody to read the configuration");
        r = caps_drop_all_but(CAP_DAC_READ_SEARCH, e);
        /* a change of uid clears the death signal */
        if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            r = err_set(e, errno, "set the death signal");
    }
    if (r == 0)
        r = rlimit_set(RLIMIT_FSIZE, 0, e);
    if (r == 0)
        r = rlimit_set(RLIMIT_CPU, CONFIGURATION_TIMEOUT_MS / 1000, e);
    const struct landlock_path all = {.path = "/", .rights = LANDLOCK_RIGHT_READ};
    const struct landlock_spec spec = {.paths = &all, .path_count = 1, .deny_tcp = true, .scope = true};
    return r == 0 ? landlock_restrict(&spec, e) : r;
}

static int find_accounts(const struct config *c, struct accounts *a, struct err *e)
{
    const struct passwd *user = getpwnam("faasd");
    *a = (struct accounts){.gateway_uid = user ? user->pw_uid : c->uid_base,
                           .gateway_gid = user ? user->pw_gid : c->uid_base};
    const struct group *control = getgrnam("faasd");
    a->has_control_group = control != NULL;
    a->control_gid = control ? control->gr_gid : 0;
    if (a->gateway_uid == 0 || a->gateway_gid == 0)
        return err_say(e, EPERM, "user 'faasd' has uid or gid 0: the gateway must not be root");
    if (!*c->invoke_group)
        return 0;
    const struct group *invoke = getgrnam(c->invoke_group);
    if (!invoke)
        return err_say(e, ENOENT, "invoke_group '%s' is no group of this host", c->invoke_group);
    a->invoke_gid = invoke->gr_gid;
    return 0;
}

static int read_all(const struct supervisor_options *o, struct config *c, struct accounts *a, struct err *e)
{
    config_init(c);
    int r = config_read_files(c, o->paths.config, o->config_must_exist, e);
    if (r == 0)
        r = config_read_environment(c, environ, e);
    if (r == 0)
        r = config_find_runtimes(c, e);
    if (r == 0 && o->listen_count > 0)
        r = config_set_listen_flags(c, o->listen, o->listen_count, e);
    if (r == 0 && o->metrics_listen)
        r = config_set_flag(c, "metrics_listen", o->metrics_listen, e);
    if (r == 0 && o->url_domain)
        r = config_set_flag(c, "url_domain", o->url_domain, e);
    if (o->no_tcp)
        c->listen_count = 0;
    if (o->no_tcp || o->transient)
        c->metrics_listen[0] = '\0'; /* one address can't be two daemons' */
    c->transient = o->transient;
    c->insecure_control = c->insecure_control || o->insecure_control;
    return r == 0 ? find_accounts(c, a, e) : r;
}

static _Noreturn void child_main(const struct supervisor_options *o, int out)
{
    struct answer answer = {0};
    struct config config = {0};
    int r = drop_power(&answer.error);
    if (r == 0)
        r = read_all(o, &config, &answer.accounts, &answer.error);
    if (r == 0)
        answer.error.code = 0;
    if (fd_write_full(out, &answer, sizeof(answer)) < 0)
        _exit(1);
    if (r == 0 && fd_write_full(out, &config, sizeof(config)) < 0)
        _exit(1);
    _exit(0);
}

/* fd_read_full with a deadline, so that a configuration that is a FIFO can't hold the supervisor. */
static int read_within(int fd, void *out, size_t n, uint64_t deadline_ns, struct err *e)
{
    size_t done = 0;
    while (done < n) {
        uint64_t now = clock_mono_ns();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int left_ms = now >= deadline_ns ? 0 : (int)((deadline_ns - now) / 1000000) + 1;
        int ready = poll(&p, 1, left_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return err_say(e, ETIMEDOUT, "reading the configuration took more than %d ms", CONFIGURATION_TIMEOUT_MS);
        ssize_t r = read(fd, (char *)out + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return err_say(e, EIO, "the child that reads the configuration died");
        done += (size_t)r;
    }
    return 0;
}

static int receive(int in, struct config *config, struct accounts *accounts, struct err *e)
{
    uint64_t deadline = clock_mono_ns() + CONFIGURATION_TIMEOUT_MS * 1000000ULL;
    struct answer answer;
    int r = read_within(in, &answer, sizeof(answer), deadline, e);
    if (r < 0)
        return r;
    if (answer.error.code != 0) {
        answer.error.text[sizeof(answer.error.text) - 1] = '\0';
        *e = answer.error;
        return e->code > 0 ? -e->code : -EPROTO;
    }
    r = read_within(in, config, sizeof(*config), deadline, e);
    if (r == 0)
        r = config_check(config, e);
    if (r == 0 && (answer.accounts.gateway_uid == 0 || answer.accounts.gateway_gid == 0))
        r = err_say(e, EPERM, "the gateway must not be root");
    *accounts = answer.accounts;
    return r;
}

int configuration_load(const struct supervisor_options *o, struct config *ret_config, struct accounts *ret_accounts,
                       struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd in = ends[0];
    scoped_fd out = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, errno, "fork");
    if (pid == 0)
        child_main(o, out);
    fd_close(&out);
    /* not reaped before the end of this function, so the pid is still the child's */
    scoped_fd pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return err_set(e, errno, "open the child that reads the configuration");
    int r = receive(in, ret_config, ret_accounts, e);
    int status;
    pidfd_kill(pidfd);
    pidfd_reap(pidfd, true, &status);
    return r;
}

int supervisor_load_config(const struct supervisor_options *o, struct config *ret_config, struct err *e)
{
    struct accounts ignored;
    return configuration_load(o, ret_config, &ignored, e);
}

void configuration_warn_of_variables(void)
{
    char name[CONFIG_VARIABLE_MAX];
    const char *nearest;
    for (char *const *at = environ; config_next_unknown_variable(&at, name, &nearest);)
        log_warn("%s is no variable of faasd's and is ignored%s%s%s", name, nearest ? ", did you mean " : "",
                 nearest ? nearest : "", nearest ? "?" : "");
}

void configuration_keep_fixed(struct config *fresh, const struct config *running)
{
    fresh->listen_count = running->listen_count;
    memcpy(fresh->listen, running->listen, sizeof(fresh->listen));
    memcpy(fresh->invoke_group, running->invoke_group, sizeof(fresh->invoke_group));
    fresh->invoke_mode = running->invoke_mode;
    fresh->connections_max = running->connections_max;
    memcpy(fresh->metrics_listen, running->metrics_listen, sizeof(fresh->metrics_listen));
    fresh->records_max = running->records_max;
    fresh->uid_base = running->uid_base;
    fresh->uid_count = running->uid_count;
    fresh->etc_count = running->etc_count;
    memcpy(fresh->etc, running->etc, sizeof(fresh->etc));
}
