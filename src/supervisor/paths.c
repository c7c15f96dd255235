/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include "base/fmt.h"
#include "base/str.h"
#include "os/userns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Joins and copies; a path that was cut would name another place. */
static int put_path(char out[CONFIG_PATH_MAX], const char *dir, const char *name, struct err *e)
{
    size_t n = strlen(dir) + strlen(name);
    if (n >= CONFIG_PATH_MAX)
        return err_say(e, ENAMETOOLONG, "path '%s%s' is longer than %d bytes", dir, name, CONFIG_PATH_MAX - 1);
    fmt_to(out, CONFIG_PATH_MAX, "%s%s", dir, name);
    return 0;
}

/* Absolute, without empty and "." components and without a slash at the end. ".." stays: what it leads to is the file system's to say. */
static int make_absolute(const char *path, char out[CONFIG_PATH_MAX], struct err *e)
{
    char whole[CONFIG_PATH_MAX * 2] = "";
    if (path[0] != '/') {
        if (!getcwd(whole, CONFIG_PATH_MAX))
            return err_set(e, errno, "find the working directory");
    }
    size_t at = strlen(whole);
    if (at + strlen(path) + 2 > sizeof(whole))
        return err_say(e, ENAMETOOLONG, "path '%s' is too long", path);
    fmt_at(whole, sizeof(whole), at, "/%s", path);
    char normal[sizeof(whole)];
    size_t n = 0;
    for (const char *p = whole; *p;) {
        p += strspn(p, "/");
        size_t length = strcspn(p, "/");
        if (length > 0 && !(length == 1 && p[0] == '.'))
            n = fmt_at(normal, sizeof(normal), n, "/%.*s", (int)length, p);
        p += length;
    }
    normal[n] = '\0';
    return put_path(out, normal, "", e);
}

static int find_beneath(const char *root, struct supervisor_paths *p, struct err *e)
{
    char dir[CONFIG_PATH_MAX];
    int r = make_absolute(root, dir, e);
    if (r == 0)
        r = put_path(p->run, dir, "/run", e);
    if (r == 0)
        r = put_path(p->state, dir, "/state", e);
    if (r == 0)
        r = put_path(p->config, dir, "/config.json", e);
    return r;
}

static int find_system(struct supervisor_paths *p, struct err *e)
{
    int r = put_path(p->run, "/run/faasd", "", e);
    if (r == 0)
        r = put_path(p->state, "/var/lib/faasd", "", e);
    if (r == 0)
        r = put_path(p->config, "/etc/faasd/config.json", "", e);
    return r;
}

/* The XDG base directory specification: a relative value is as good as none. */
static int put_xdg(char out[CONFIG_PATH_MAX], const char *variable, const char *beneath_home, const char *name,
                   struct err *e)
{
    const char *dir = getenv(variable);
    if (dir && dir[0] == '/')
        return put_path(out, dir, name, e);
    char base[CONFIG_PATH_MAX];
    const char *home = getenv("HOME");
    if (!beneath_home)
        fmt_to(base, sizeof(base), "/run/user/%u", userns_own()->owner);
    else if (!home || home[0] != '/')
        return err_say(e, ENOENT, "neither %s nor HOME names a directory: use --root DIR", variable);
    else if (put_path(base, home, beneath_home, e) < 0)
        return -ENAMETOOLONG;
    return put_path(out, base, name, e);
}

static int find_user(struct supervisor_paths *p, struct err *e)
{
    int r = put_xdg(p->run, "XDG_RUNTIME_DIR", NULL, "/faasd", e);
    if (r == 0)
        r = put_xdg(p->state, "XDG_STATE_HOME", "/.local/state", "/faasd", e);
    if (r == 0)
        r = put_xdg(p->config, "XDG_CONFIG_HOME", "/.config", "/faasd/config.json", e);
    return r;
}

/* systemd gives a list separated by colons (systemd.exec(5), RuntimeDirectory=): ours is the first. */
static int put_systemd(char out[CONFIG_PATH_MAX], const char *variable, const char *name, struct err *e)
{
    struct str value = str_from(getenv(variable));
    struct str rest;
    struct str first = str_cut(value, ':', &rest, NULL);
    if (first.n == 0)
        return 0;
    char dir[CONFIG_PATH_MAX];
    if (first.p[0] != '/' || !str_copy(first, dir, sizeof(dir)))
        return err_say(e, EINVAL, "%s is no absolute path of less than %d bytes", variable, CONFIG_PATH_MAX);
    return put_path(out, dir, name, e);
}

int supervisor_find_paths(const char *root, struct supervisor_paths *ret_paths, struct err *e)
{
    struct supervisor_paths p = {0};
    if (!root) {
        root = getenv("FAASD_ROOT");
        if (root && !*root)
            root = NULL;
    }
    int r;
    if (root) {
        r = find_beneath(root, &p, e);
    } else {
        r = userns_own()->owner == 0 ? find_system(&p, e) : find_user(&p, e);
        if (r == 0)
            r = put_systemd(p.run, "RUNTIME_DIRECTORY", "", e);
        if (r == 0)
            r = put_systemd(p.state, "STATE_DIRECTORY", "", e);
        if (r == 0)
            r = put_systemd(p.config, "CONFIGURATION_DIRECTORY", "/config.json", e);
        if (r == 0)
            r = put_systemd(p.logs, "LOGS_DIRECTORY", "", e);
    }
    if (r == 0) /* beneath a root too: it is no place of ours, but a secret to read */
        r = put_systemd(p.credentials, "CREDENTIALS_DIRECTORY", "", e);
    if (r == 0)
        *ret_paths = p;
    return r;
}
