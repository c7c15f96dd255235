/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox may not be: checked before anything of it is planned. */
#include "codec/settings_secret.h"
#include "sandbox/plan.h"

#include <errno.h>
#include <string.h>

/* "/a" is "/a" and above "/a/b". */
static bool holds(const char *dir, const char *path)
{
    return strcmp(dir, path) == 0 || plan_is_above(dir, path);
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

/* A place where something of the host's is to be mounted must not take the place of what is the sandbox's own. /tmp is emptied after requests: nothing of the
 * host's may lie beneath it. */
static int check_target(const char *target, const char *what, struct err *e)
{
    static const char *const own[] = {"/proc", "/dev",         "/tmp",       "/var/tmp",
                                      "/sys",  "/run/secrets", "/run/slots", "/var/runtime"};
    for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (holds(own[i], target) || plan_is_above(target, own[i]))
            return err_say(e, EINVAL, "%s '%s': %s is the sandbox's own", what, target, own[i]);
    if (target[0] != '/' || target[1] == '\0' || strstr(target, "//") || strstr(target, "/../") ||
        strstr(target, "/./") || ends_with(target, "/") || ends_with(target, "/.") || ends_with(target, "/..") ||
        strlen(target) >= SETTINGS_PATH_MAX)
        return err_say(e, EINVAL, "%s '%s' is not a plain absolute path", what, target);
    return 0;
}

static bool is_empty_directory(const struct plan *base, const char *path)
{
    for (unsigned i = 0; i < base->count; i++) {
        const struct step *s = &base->steps[i];
        if (plan_makes_path(s->op) &&
            (plan_is_above(path, s->path) || (strcmp(path, s->path) == 0 && s->op != STEP_DIR)))
            return false;
    }
    return true;
}

/* The configuration's, so an error is for its author. What the base tree shows anyway needs no check and no mount. */
static int check_prefix(const struct plan *base, const struct sandbox_spec *spec, struct err *e)
{
    static const char what[] = "the runtime's prefix";
    const char *prefix = plan_prefix(base, spec);
    int r = prefix ? check_target(prefix, what, e) : 0;
    if (!prefix || r < 0)
        return r;
    if (!is_empty_directory(base, prefix) || holds("/etc", prefix) || holds("/var/task", prefix))
        return err_say(
            e, EINVAL,
            "%s '%s' would cover what is the sandbox's own: install it in a directory of its own, such as /opt/NAME",
            what, prefix);
    for (unsigned i = 0; i < spec->mount_count; i++)
        if (holds(spec->mounts[i].target, prefix))
            return err_say(e, EINVAL, "mount target '%s' would cover %s '%s'", spec->mounts[i].target, what, prefix);
    return 0;
}

static int check_template(const struct sandbox_spec *spec, struct err *e)
{
    if (spec->slots > SANDBOX_SLOTS_MAX)
        return err_say(e, EINVAL, "%u slots, at most %d", spec->slots, SANDBOX_SLOTS_MAX);
    if (spec->slots > 0 && spec->kind != SANDBOX_FUNCTION)
        return err_say(e, EINVAL, "only a function's sandbox has slots");
    return 0;
}

static int check_strict(const struct sandbox_spec *spec, struct err *e)
{
    if ((spec->learning || spec->calls) && spec->kind != SANDBOX_FUNCTION)
        return err_say(e, EINVAL, "only a function's system calls are learnt");
    if (spec->strict && (spec->kind != SANDBOX_FUNCTION || spec->worker != SANDBOX_WORKER_SOCKET || spec->slots > 0 ||
                         spec->network_host || spec->network_egress || spec->tmp_exec))
        return err_say(e, EINVAL, "strict is for native workers: without slots, a network, programs in /tmp");
    return 0;
}

int plan_check(const struct plan *base, const struct sandbox_spec *spec, struct err *e)
{
    if (spec->worker == SANDBOX_WORKER_LISTENER && spec->network_host)
        return err_say(e, EINVAL, "on the host's network its Runtime API would be open to every process of the host");
    if (spec->secret_count > SANDBOX_SECRETS_MAX ||
        (spec->secret_count > 0 && spec->kind != SANDBOX_FUNCTION && spec->kind != SANDBOX_SHELL))
        return err_say(e, EINVAL, "too many secrets, or secrets for what is no function");
    for (unsigned i = 0; i < spec->secret_count; i++)
        if (!settings_file_is_valid(str_from(spec->secrets[i].file)))
            return err_say(e, EINVAL, "'%s' is no name for a file of /run/secrets", spec->secrets[i].file);
    if (spec->mount_count > SETTINGS_MOUNTS_MAX || spec->device_count > SETTINGS_DEVICES_MAX)
        return err_say(e, EINVAL, "too many mounts or devices");
    for (unsigned i = 0; i < spec->mount_count; i++) {
        int r = check_target(spec->mounts[i].target, "mount target", e);
        if (r < 0)
            return r;
    }
    for (unsigned i = 0; i < spec->device_count; i++)
        if (strncmp(spec->devices[i], "/dev/", 5) != 0 || spec->devices[i][5] == '\0' ||
            strstr(spec->devices[i], "/../"))
            return err_say(e, EINVAL, "device '%s' is not beneath /dev", spec->devices[i]);
    int r = check_template(spec, e);
    if (r == 0)
        r = check_strict(spec, e);
    return r < 0 ? r : check_prefix(base, spec, e);
}
