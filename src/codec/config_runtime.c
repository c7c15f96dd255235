/* SPDX-License-Identifier: Apache-2.0 */
/* Interpreters: the configuration's object `runtimes`, what its entries need on this host, and what /usr/bin has. */
#include "codec/config_runtime.h"
#include "base/fdio.h"
#include "base/fmt.h"
#include "codec/config_key.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* ---- an entry as text ---- */

static bool is_beneath(const char *path, const char *top)
{
    size_t n = strlen(top);
    return !strncmp(path, top, n) && (path[n] == '/' || path[n] == '\0');
}

/* The prefix is mounted at its own path: it must not hide what a sandbox consists of. */
static int check_prefix(const char *prefix, struct err *e)
{
    static const char *const own[] = {"/usr",    "/bin",      "/sbin",        "/lib",     "/lib32",   "/lib64",
                                      "/libx32", "/etc",      "/proc",        "/sys",     "/dev",     "/tmp",
                                      "/run",    "/var/task", "/var/runtime", "/var/tmp", "/var/run", "/staging",
                                      "/layers", "/trash",    "/faasd"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (is_beneath(prefix, own[i]) || is_beneath(own[i], prefix))
            return err_say(
                e, EINVAL,
                "'%s' would be mounted in every sandbox of it and hide %s there: install it in a directory such "
                "as /opt/python",
                prefix, own[i]);
    return 0;
}

/* "/opt/py312/bin/python3" -> "/opt/py312"; "" for what every sandbox has anyway. */
static int find_prefix(const char *path, char prefix[CONFIG_PATH_MAX], struct err *e)
{
    memset(prefix, 0, CONFIG_PATH_MAX);
    if (is_beneath(path, "/usr") || is_beneath(path, "/bin"))
        return 0;
    size_t dir = (size_t)(strrchr(path, '/') - path);
    if (dir <= 4 || strncmp(path + dir - 4, "/bin", 4) != 0)
        return err_say(
            e, EINVAL,
            "'%s': the program must lie in a directory bin/, whose parent is shown to functions with all that "
            "belongs to it",
            path);
    memcpy(prefix, path, dir - 4);
    return check_prefix(prefix, e);
}

static bool is_interpreter_name(const char *name)
{
    enum settings_runtime r;
    return settings_runtime_parse(str_from(name), &r) && (r == SETTINGS_RUNTIME_PYTHON || r == SETTINGS_RUNTIME_NODE);
}

static struct config_runtime *find_entry(struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->runtime_count; i++)
        if (!strcmp(c->runtimes[i].name, name))
            return &c->runtimes[i];
    return NULL;
}

static int fill_entry(struct config_runtime *r, const char *name, const char *path, struct err *e)
{
    int result = scalar_check_printable(path, e);
    if (result == 0)
        result = config_check_absolute(str_from(path), e);
    if (result < 0)
        return result;
    if (!is_interpreter_name(name))
        return err_say(e, EINVAL, "'%.64s' is not a name such as python, python3.12, node or node22", name);
    if (!str_copy(str_from(path), r->path, sizeof(r->path)))
        return err_say(e, EINVAL, "a path of more than %zu bytes", sizeof(r->path) - 1);
    memcpy(r->name, name, strlen(name) + 1);
    return find_prefix(r->path, r->prefix, e);
}

int config_set_runtime(struct config *c, const char *name, const char *path, struct err *e)
{
    struct config_runtime entry;
    memset(&entry, 0, sizeof(entry)); /* padding too: the struct's bytes are compared */
    int r = fill_entry(&entry, name, path, e);
    if (r < 0)
        return r;
    struct config_runtime *there = find_entry(c, name);
    if (!there && c->runtime_count == CONFIG_RUNTIMES_MAX)
        return err_say(e, EINVAL, "more than %d entries", (int)CONFIG_RUNTIMES_MAX);
    if (!there)
        there = &c->runtimes[c->runtime_count++];
    *there = entry;
    return 0;
}

/* Of a struct that came through a pipe: nothing stands there that a file could not have said. */
static int check_entry(const struct config_runtime *r, struct err *e)
{
    struct config_runtime again;
    unsigned char found;
    memcpy(&found, &r->found, 1); /* read as a byte: it may be neither 0 nor 1 */
    if (found > 1 || !memchr(r->name, '\0', sizeof(r->name)) || !memchr(r->path, '\0', sizeof(r->path)) ||
        !memchr(r->prefix, '\0', sizeof(r->prefix)))
        return err_say(e, EINVAL, "an entry has no end");
    memset(&again, 0, sizeof(again));
    int result = fill_entry(&again, r->name, r->path, e);
    if (result == 0 && (strcmp(again.prefix, r->prefix) != 0 || (found && r->prefix[0])))
        result = err_say(e, EINVAL, "'%s' is not the prefix of '%s'", r->prefix, r->path);
    return result;
}

int config_check_runtimes(const struct config *c, struct err *e)
{
    if (c->runtime_count > CONFIG_RUNTIMES_MAX)
        return err_say(e, EINVAL, "a list is too long");
    for (uint32_t i = 0; i < c->runtime_count; i++) {
        int r = check_entry(&c->runtimes[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- what the host has ---- */

/* Whoever can write here decides what functions execute. A directory like /tmp (sticky) lets nobody move what is another's. */
static int check_component(const char *path, bool is_parent, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT ? err_say(e, ENOENT, "there is no '%s'", path) : err_set(e, errno, "stat '%s'", path);
    if (is_parent && S_ISDIR(st.st_mode) && st.st_mode & S_ISVTX)
        st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
    return config_check_owner(&st, path, e);
}

/* Each directory from the top to the prefix, and on to the program: `path` has no links before the program's own name. */
static int check_chain(const char *path, const char *prefix, struct err *e)
{
    char part[PATH_MAX];
    size_t n = strlen(path), top = strlen(prefix);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        fmt_to(part, sizeof(part), "%.*s", (int)i, path);
        int r = check_component(part, i < top, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sandboxes run under ids of their own: they get in as "others". */
static int check_others_may(const char *path, mode_t wanted, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(e, errno, "stat '%s'", path);
    if ((st.st_mode & wanted) != wanted)
        return err_say(e, EACCES, "functions may not %s '%s': chmod o+rx", S_ISDIR(st.st_mode) ? "enter" : "execute",
                       path);
    return 0;
}

static int check_program(const struct config_runtime *r, const char *real, struct err *e)
{
    struct stat st;
    if (stat(real, &st) < 0)
        return err_set(e, errno, "stat '%s'", real);
    if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
        return err_say(e, EACCES, "'%s' is not an executable file", r->path);
    return check_others_may(real, S_IROTH | S_IXOTH, e);
}

static int check_prefix_on_host(const struct config_runtime *r, const char *real, struct err *e)
{
    char real_prefix[PATH_MAX], bin[CONFIG_PATH_MAX + 8];
    if (!realpath(r->prefix, real_prefix))
        return err_set(e, errno, "look for '%s'", r->prefix);
    if (strcmp(real_prefix, r->prefix) != 0)
        return err_say(e, EINVAL, "'%s' is '%s' by a link: write the path itself", r->prefix, real_prefix);
    if (!is_beneath(real, r->prefix) && !is_beneath(real, "/usr"))
        return err_say(e, EINVAL, "'%s' leads to '%s', which sandboxes don't see: copy the program to '%s/bin'",
                       r->path, real, r->prefix);
    fmt_to(bin, sizeof(bin), "%s/bin", r->prefix);
    int result = check_chain(real, r->prefix, e);
    if (result == 0)
        result = check_chain(bin, r->prefix, e);
    if (result == 0)
        result = check_others_may(r->prefix, S_IXOTH, e);
    return result < 0 ? result : check_others_may(bin, S_IXOTH, e);
}

static int look_at(const struct config_runtime *r, struct err *e)
{
    char real[PATH_MAX];
    if (!realpath(r->path, real))
        return errno == ENOENT || errno == ENOTDIR ? err_say(e, ENOENT, "there is no '%s'", r->path)
                                                   : err_set(e, errno, "look for '%s'", r->path);
    int result = check_program(r, real, e);
    return result < 0 || !r->prefix[0] ? result : check_prefix_on_host(r, real, e);
}

/* ---- what /usr/bin has ---- */

/* Sandboxes see /usr, and of /etc/alternatives only what the configuration shows: the program itself is what is kept. */
static void add_found(struct config *c, const char *name)
{
    char path[PATH_MAX], real[PATH_MAX];
    struct stat st;
    fmt_to(path, sizeof(path), "/usr/bin/%s", name);
    if (!realpath(path, real) || !is_beneath(real, "/usr") || stat(real, &st) < 0 || !S_ISREG(st.st_mode) ||
        (st.st_mode & 0555) != 0555)
        return;
    if (find_entry(c, name) || config_set_runtime(c, name, real, NULL) < 0)
        return;
    find_entry(c, name)->found = true;
}

static int is_python(const struct dirent *d)
{
    enum settings_runtime r;
    return settings_runtime_parse(str_from(d->d_name), &r) && r == SETTINGS_RUNTIME_PYTHON;
}

static void find_programs(struct config *c)
{
    struct dirent **names = NULL;
    int n = scandir("/usr/bin", &names, is_python, versionsort);
    for (int i = 0; i < n; i++) {
        add_found(c, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    add_found(c, "node");
    if (!find_entry(c, "node"))
        add_found(c, "nodejs");
}

int config_find_runtimes(struct config *c, struct err *e)
{
    for (uint32_t i = 0; i < c->runtime_count; i++) {
        int r = look_at(&c->runtimes[i], e);
        if (r < 0)
            return err_wrap(e, "runtimes.%s", c->runtimes[i].name);
    }
    find_programs(c);
    return 0;
}
