/* SPDX-License-Identifier: Apache-2.0 */
/* What holds between keys of settings. */
#include "base/units.h"
#include "codec/settings_key.h"

#include <errno.h>

struct check {
    const struct settings *s;
    bool more_follows;
};

/* A value that may still change is in nobody's way. */
static bool counts(const struct check *c, int key)
{
    return !c->more_follows || c->s->given & SETTINGS_BIT(key);
}

static int check_numbers(const struct check *c, struct err *e)
{
    const struct settings *s = c->s;
    char memory[UNITS_TEXT_MAX], tmp[UNITS_TEXT_MAX];
    bool most_counts = counts(c, SETTINGS_KEY_MAX_CONCURRENCY);
    if (s->min_warm > s->max_concurrency && counts(c, SETTINGS_KEY_MIN_WARM) && most_counts)
        return err_say(e, EINVAL, "min_warm: %u is more than max_concurrency (%u)", s->min_warm, s->max_concurrency);
    if (s->reserved > s->max_concurrency && counts(c, SETTINGS_KEY_RESERVED) && most_counts)
        return err_say(e, EINVAL, "reserved: %u is more than max_concurrency (%u)", s->reserved, s->max_concurrency);
    if (s->given & SETTINGS_BIT(SETTINGS_KEY_TMP) && s->tmp_bytes > s->memory_bytes && counts(c, SETTINGS_KEY_MEMORY)) {
        units_format_size(s->tmp_bytes, tmp);
        units_format_size(s->memory_bytes, memory);
        return err_say(e, EINVAL, "tmp: %s is more than memory (%s), in which it is counted", tmp, memory);
    }
    return 0;
}

/* Neither an interpreter nor whoever starts programs can live on what it leaves. */
static int check_strict(const struct settings *s, struct err *e)
{
    if (s->runtime != SETTINGS_RUNTIME_NATIVE)
        return err_say(e, EINVAL,
                       "seccomp: strict is for runtime native; runtime %s needs more system calls, /proc or sockets; "
                       "say default",
                       settings_runtime_name(s));
    if (s->template == SETTINGS_TEMPLATE_ON || s->isolation == SETTINGS_ISOLATION_FORK)
        return err_say(e, EINVAL,
                       "seccomp: strict and forked instances exclude each other: a child would need chroot(2) and "
                       "/proc; say template auto or off, and isolation reuse or sandbox");
    if (s->network != SETTINGS_NETWORK_NONE)
        return err_say(e, EINVAL, "seccomp: strict and network %s exclude each other: strict has no sockets",
                       s->network == SETTINGS_NETWORK_HOST ? "host" : "egress");
    if (s->tmp_exec)
        return err_say(e, EINVAL, "seccomp: strict and tmp_exec exclude each other: strict executes nothing");
    return 0;
}

/* Keys that only some runtimes have. Their default values suit every runtime: writing one of them undoes a conflict. */
static int check_runtime(const struct settings *s, struct err *e)
{
    const char *runtime = settings_runtime_name(s);
    bool forks = s->runtime == SETTINGS_RUNTIME_NATIVE || s->runtime == SETTINGS_RUNTIME_PYTHON;
    if (s->contract != SETTINGS_CONTRACT_STDIO && s->runtime != SETTINGS_RUNTIME_EXEC)
        return err_say(e, EINVAL,
                       "contract: cgi and files are for runtime exec; with runtime %s leave it out or say stdio",
                       runtime);
    if (s->contract == SETTINGS_CONTRACT_CGI && s->payload == SETTINGS_PAYLOAD_HTTP)
        return err_say(e, EINVAL,
                       "payload: http and contract cgi exclude each other: by CGI a program is told of HTTP already");
    if (s->imports[0] && s->runtime != SETTINGS_RUNTIME_PYTHON)
        return err_say(e, EINVAL, "imports: for runtime python; with runtime %s leave it out or say \"\"", runtime);
    if (s->venv[0] && s->runtime != SETTINGS_RUNTIME_PYTHON)
        return err_say(e, EINVAL, "venv: for runtime python; with runtime %s leave it out or say \"\"", runtime);
    if (s->template == SETTINGS_TEMPLATE_ON && !forks)
        return err_say(e, EINVAL, "template: instances of runtime %s can't be forked; say auto or off", runtime);
    if (s->network == SETTINGS_NETWORK_HOST && s->runtime == SETTINGS_RUNTIME_PROVIDED)
        return err_say(e, EINVAL,
                       "network: host and runtime %s exclude each other: the Runtime API on 127.0.0.1 would be "
                       "open to every process of the host",
                       runtime);
    int r = settings_check_handler(s, e);
    if (r == 0 && s->seccomp == SETTINGS_SECCOMP_LEARNED && s->calls_bytes == 0)
        return err_say(
            e, EINVAL,
            "seccomp: learned needs system_calls, the list of what is allowed: `faasd learn NAME` writes it");
    if (r == 0 && s->seccomp == SETTINGS_SECCOMP_STRICT)
        return check_strict(s, e);
    return r < 0 ? err_wrap(e, "handler: runtime %s", runtime) : 0;
}

int settings_check(const struct settings *s, bool more_follows, struct err *e)
{
    const struct check c = {.s = s, .more_follows = more_follows};
    int r = check_numbers(&c, e);
    if (r == 0 && s->template == SETTINGS_TEMPLATE_ON && s->isolation == SETTINGS_ISOLATION_SANDBOX)
        r = err_say(e, EINVAL,
                    "template: on and isolation sandbox exclude each other: forked instances share a sandbox");
    if (r == 0 && s->allow_count && s->network != SETTINGS_NETWORK_EGRESS && counts(&c, SETTINGS_KEY_NETWORK))
        r = err_say(e, EINVAL, "allow_host: it is for network egress, and network is %s",
                    s->network == SETTINGS_NETWORK_HOST ? "host" : "none");
    if (r == 0 && counts(&c, SETTINGS_KEY_RUNTIME))
        r = check_runtime(s, e);
    return r;
}
