/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/configuration.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/config_owner.h"
#include "codec/config_runtime.h"
#include "codec/config_variable.h"
#include "os/caps.h"
#include "os/helper.h"
#include "os/landlock.h"
#include "os/rlimit.h"
#include "os/userns.h"
#include "sandbox/identity.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { NOBODY = 65534, UNKNOWN_MAX = 2048 };

/* Whose powers are left for the reader. In a user namespace that has ids: the last one, which no instance gets. */
static uid_t reader_id(void)
{
    const struct userns *u = userns_own();
    if (!u->entered)
        return NOBODY;
    return u->ids ? USERNS_FIRST + u->ids - 1 : 0;
}

/* What comes through the pipe: this head, and behind it a struct config when error.code is 0. */
struct answer {
    struct err error;
    struct accounts accounts;
    char unknown[UNKNOWN_MAX]; /* FAASD_ variables that mean nothing, a line each for people */
};

/* From here on this process can read files and nothing else: no other uid's process to signal, no file to write (RLIMIT_FSIZE and Landlock), no network.
 * Reading stays, because the configuration may be root's alone. Landlock is best effort, as everywhere. */
static int drop_power(struct err *e)
{
    int r = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "bind the child that reads the configuration");
    uid_t id = reader_id();
    if (geteuid() == 0 && id == 0) {
        r = caps_drop_all_but(CAPS_BIT(CAP_DAC_READ_SEARCH), e);
    } else if (geteuid() == 0) {
        if (setgroups(0, NULL) < 0 || prctl(PR_SET_KEEPCAPS, 1) < 0 || setresgid(id, id, id) < 0 ||
            setresuid(id, id, id) < 0)
            return err_set(e, errno, "become nobody to read the configuration");
        r = caps_drop_all_but(CAPS_BIT(CAP_DAC_READ_SEARCH), e);
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
    bool rootless = userns_own()->entered; /* the host's accounts have no ids inside */
    const struct passwd *user = rootless ? NULL : getpwnam("faasd");
    *a = (struct accounts){.gateway_uid = user ? user->pw_uid : identity_gateway(c),
                           .gateway_gid = user ? user->pw_gid : identity_gateway(c)};
    const struct group *control = rootless ? NULL : getgrnam("faasd");
    a->has_control_group = control != NULL;
    a->control_gid = control ? control->gr_gid : 0;
    if ((a->gateway_uid == 0 || a->gateway_gid == 0) && !identity_is_shared())
        return err_say(e, EPERM, "user 'faasd' has uid or gid 0: the gateway must not be root");
    if (!*c->invoke_group)
        return 0;
    if (rootless)
        return err_say(e, EPERM,
                       "invoke_group '%s': an ordinary user's daemon can't give its socket to a group; set invoke_mode "
                       "and who may enter the directory",
                       c->invoke_group);
    const struct group *invoke = getgrnam(c->invoke_group);
    if (!invoke)
        return err_say(e, ENOENT, "invoke_group '%s' is no group of this host", c->invoke_group);
    a->invoke_gid = invoke->gr_gid;
    return 0;
}

static void find_unknown_variables(char out[UNKNOWN_MAX])
{
    char name[CONFIG_VARIABLE_MAX];
    const char *nearest;
    size_t n = 0;
    for (char *const *at = environ; config_next_unknown_variable(&at, name, &nearest);)
        n = fmt_at(out, UNKNOWN_MAX, n, "%s is no variable of faasd's and is ignored%s%s%s\n", name,
                   nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static int read_all(const struct supervisor_options *o, struct config *c, struct answer *a, struct err *e)
{
    config_init(c);
    int r = config_read_files(c, o->paths.config, o->config_must_exist, e);
    if (r == 0)
        r = config_read_environment(c, environ, e);
    identity_fit(c);
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
    find_unknown_variables(a->unknown);
    return r == 0 ? find_accounts(c, &a->accounts, e) : r;
}

static void read_and_tell(void *owner, int out)
{
    const struct supervisor_options *o = owner;
    struct answer answer = {0};
    static struct config config;
    int r = drop_power(&answer.error);
    config_trust_strangers(userns_own()->entered);
    if (r == 0)
        r = read_all(o, &config, &answer, &answer.error);
    if (r == 0)
        answer.error.code = 0;
    if (fd_write_full(out, &answer, sizeof(answer)) == 0 && r == 0)
        fd_write_full(out, &config, sizeof(config));
}

static void warn(struct answer *a)
{
    a->unknown[UNKNOWN_MAX - 1] = '\0';
    struct str rest = str_from(a->unknown);
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL);
        log_warn("%.*s", (int)line.n, line.p);
    }
}

static int receive(struct helper *h, struct answer *answer, struct config *config, struct err *e)
{
    int r = helper_read(h, answer, sizeof(*answer), e);
    if (r < 0)
        return r;
    if (answer->error.code != 0) {
        answer->error.text[sizeof(answer->error.text) - 1] = '\0';
        *e = answer->error;
        return e->code > 0 ? -e->code : -EPROTO;
    }
    r = helper_read(h, config, sizeof(*config), e);
    if (r == 0)
        r = config_check(config, e);
    if (r == 0 && (answer->accounts.gateway_uid == 0 || answer->accounts.gateway_gid == 0) && !identity_is_shared())
        r = err_say(e, EPERM, "the gateway must not be root");
    return r;
}

static int load(const struct supervisor_options *o, struct answer *answer, struct config *ret_config, struct err *e)
{
    struct helper h = {.what = "the child that reads the configuration"};
    int r = helper_start(&h, CONFIGURATION_TIMEOUT_MS, read_and_tell, (void *)(uintptr_t)o, e);
    if (r < 0)
        return r;
    r = receive(&h, answer, ret_config, e);
    helper_end(&h);
    return r;
}

int configuration_load(const struct supervisor_options *o, struct config *ret_config, struct accounts *ret_accounts,
                       struct err *e)
{
    struct answer answer = {0};
    int r = load(o, &answer, ret_config, e);
    *ret_accounts = answer.accounts;
    return r;
}

int configuration_load_first(const struct supervisor_options *o, struct config *ret_config,
                             struct accounts *ret_accounts, struct err *e)
{
    struct answer answer = {0};
    int r = load(o, &answer, ret_config, e);
    *ret_accounts = answer.accounts;
    if (r == 0 && !o->quiet)
        warn(&answer);
    return r;
}

int supervisor_load_config(const struct supervisor_options *o, struct config *ret_config, struct err *e)
{
    struct accounts ignored;
    return configuration_load(o, ret_config, &ignored, e);
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
    fresh->egress = running->egress;
    fresh->uid_base = running->uid_base;
    fresh->uid_count = running->uid_count;
    fresh->etc_count = running->etc_count;
    memcpy(fresh->etc, running->etc, sizeof(fresh->etc));
}
