/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdio.h"
#include "codec/config_key.h"
#include "codec/config_owner.h"
#include "codec/config_runtime.h"
#include "codec/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILE_BYTES_MAX = 256 << 10, /* of one configuration file */
    FILES_MAX = 64,             /* in conf.d */
    KEY_MAX = 96,               /* "grants.network_host" */
    NOBODY = 65534,
};

/* Every name that may stand for a misspelled one. */
static const char *known_name(unsigned i)
{
    static const char *const groups[] = {"defaults", "logs", "grants", "egress", NULL};
    if (i < config_row_count)
        return config_rows[i].scalar.name;
    return i - config_row_count < sizeof(groups) / sizeof(groups[0]) ? groups[i - config_row_count] : NULL;
}

static const struct config_row *find_row(const char *name)
{
    for (unsigned i = 0; i < config_row_count; i++)
        if (!strcmp(config_rows[i].scalar.name, name))
            return &config_rows[i];
    return NULL;
}

static bool is_group(const char *name)
{
    size_t n = strlen(name);
    for (unsigned i = 0; i < config_row_count; i++)
        if (!strncmp(config_rows[i].scalar.name, name, n) && config_rows[i].scalar.name[n] == '.')
            return true;
    return false;
}

/* "memory" is no key, but "defaults.memory" is. */
static const char *find_in_group(const char *name)
{
    for (unsigned i = 0; i < config_row_count; i++) {
        const char *dot = strchr(config_rows[i].scalar.name, '.');
        if (dot && !strcmp(dot + 1, name))
            return config_rows[i].scalar.name;
    }
    return NULL;
}

static int refuse_unknown(const char *name, struct err *e)
{
    const char *nearest = find_in_group(name);
    if (!nearest)
        nearest = scalar_find_nearest(name, known_name);
    if (nearest)
        return err_say(e, EINVAL, "unknown key '%s', did you mean '%s'?", name, nearest);
    return err_say(e, EINVAL, "unknown key '%s'", name);
}

static void clear_list(struct config *c, enum config_shape shape)
{
    switch (shape) {
    case CONFIG_LISTEN:
        memset(c->listen, 0, sizeof(c->listen));
        c->listen_count = 0;
        break;
    case CONFIG_ETC:
        memset(c->etc, 0, sizeof(c->etc));
        c->etc_count = 0;
        break;
    case CONFIG_GRANT_MOUNTS:
        memset(c->grant_mounts, 0, sizeof(c->grant_mounts));
        c->grant_mount_count = 0;
        break;
    case CONFIG_GRANT_DEVICES:
        memset(c->grant_devices, 0, sizeof(c->grant_devices));
        c->grant_device_count = 0;
        break;
    case CONFIG_HOSTS:
        memset(c->hosts, 0, sizeof(c->hosts));
        c->host_count = 0;
        break;
    case CONFIG_PROXIES:
        memset(c->proxies, 0, sizeof(c->proxies));
        c->proxy_count = 0;
        break;
    case CONFIG_NAME_SERVERS:
        memset(c->egress.servers, 0, sizeof(c->egress.servers));
        c->egress.server_count = 0;
        break;
    case CONFIG_EGRESS_PRIVATE:
        memset(&c->egress.grants, 0, sizeof(c->egress.grants));
        break;
    case CONFIG_RUNTIMES: /* objects: their entries replace each other by name */
    case CONFIG_BUCKETS:
    case CONFIG_ROLES:
    case CONFIG_SCALAR:
        break;
    }
}

static int read_list(struct config *c, enum config_shape shape, const struct json *value, struct err *e)
{
    if (!json_is_array(value))
        return err_say(e, EINVAL, "an array of strings was expected, not %s", json_type_name(value));
    clear_list(c, shape);
    JSON_EACH(value, at)
    {
        const char *text = json_text(at);
        int r = 0;
        if (!text)
            r = err_say(e, EINVAL, "an array of strings was expected, with %s in it", json_type_name(at));
        else
            r = config_add_entry(c, shape, text, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_runtimes(struct config *c, const struct json *value, struct err *e)
{
    if (!json_is_object(value))
        return err_say(e, EINVAL, "an object of paths was expected, not %s", json_type_name(value));
    JSON_EACH(value, at)
    {
        const char *path = json_text(at);
        int r = path ? config_set_runtime(c, json_key(at), path, e)
                     : err_say(e, EINVAL, "a path was expected, not %s", json_type_name(at));
        if (r < 0)
            return err_wrap(e, "%.64s", json_key(at));
    }
    return 0;
}

/* What is read from now on came from this file. */
static void name_file(struct config *c, const char *path)
{
    if (c->file_count == CONFIG_FILES_NAMED_MAX)
        return;
    char *out = c->files[c->file_count++];
    const char *end = strrchr(path, '/');
    while (end > path && end[-1] != '/')
        end--; /* with the directory's name: "conf.d/10-limits.json" */
    if (end && strncmp(end, "conf.d/", 7) != 0)
        end = strrchr(path, '/') + 1;
    end = end ? end : path;
    size_t n = strlen(end);
    str_copy(n < 64 ? str_from(end) : str_from(end + n - 63), out, 64);
}

static int read_row(struct config *c, const char *name, const struct json *value, struct err *e)
{
    const struct config_row *row = find_row(name);
    if (!row)
        return refuse_unknown(name, e);
    int r;
    if (row->shape == CONFIG_SCALAR)
        r = scalar_read_json(&row->scalar, c, value, e);
    else if (row->shape == CONFIG_RUNTIMES)
        r = read_runtimes(c, value, e);
    else if (row->shape == CONFIG_BUCKETS || row->shape == CONFIG_ROLES)
        r = config_read_named(c, row->shape, value, e);
    else
        r = read_list(c, row->shape, value, e);
    c->origins[row - config_rows] = (uint8_t)(CONFIG_FROM_FILE + c->file_count - 1);
    return r < 0 ? err_wrap(e, "%s", name) : 0;
}

/* "path:line: " before what stands in e. */
static int add_place(const char *path, const struct json_doc *doc, const struct json *at, struct err *e)
{
    return err_wrap(e, "%s:%u", path, json_line(doc, at));
}

static int read_group(struct config *c, const struct json_doc *doc, const struct json *group, const char *path,
                      struct err *e)
{
    if (!json_is_object(group)) {
        err_say(e, EINVAL, "%s: an object was expected, not %s", json_key(group), json_type_name(group));
        return add_place(path, doc, group, e);
    }
    JSON_EACH(group, at)
    {
        char name[KEY_MAX];
        snprintf(name, sizeof(name), "%s.%s", json_key(group), json_key(at));
        if (read_row(c, name, at, e) < 0)
            return add_place(path, doc, at, e);
    }
    return 0;
}

static int read_root(struct config *c, const struct json_doc *doc, const char *path, struct err *e)
{
    const struct json *root = json_root(doc);
    if (!json_is_object(root))
        return err_say(e, EINVAL, "%s: a configuration is an object, not %s", path, json_type_name(root));
    JSON_EACH(root, at)
    {
        char name[KEY_MAX];
        snprintf(name, sizeof(name), "%s", json_key(at));
        if (!strcmp(name, "$schema"))
            continue;
        if (is_group(name)) {
            int r = read_group(c, doc, at, path, e);
            if (r < 0)
                return r;
        } else if (strchr(name, '.')) {
            refuse_unknown(name, e);
            return add_place(path, doc, at, e);
        } else if (read_row(c, name, at, e) < 0) {
            return add_place(path, doc, at, e);
        }
    }
    return 0;
}

int config_read_json(struct config *c, struct str json, const char *path, struct err *e)
{
    struct err local = {0};
    struct json_doc *doc = NULL;
    e = e ? e : &local;
    int r = json_parse(json, JSON_COMMENTS, &doc, e);
    if (r < 0)
        return err_wrap(e, "%s", path);
    name_file(c, path);
    r = read_root(c, doc, path, e);
    json_free(doc);
    if (r == 0 && config_check(c, e) < 0)
        r = err_wrap(e, "%s", path);
    return r;
}

static bool strangers_are_root;

void config_trust_strangers(bool trust)
{
    strangers_are_root = trust;
}

/* "Yours" is never nobody's: that is who the reader of root's configuration has become, and who the owners of foreign files look like. */
int config_check_owner(const struct stat *st, const char *path, struct err *e)
{
    if (strangers_are_root && st->st_uid == NOBODY) {
        if (!(st->st_mode & (S_IWGRP | S_IWOTH)))
            return 0;
    } else if (st->st_uid != 0 && (st->st_uid != geteuid() || st->st_uid == NOBODY))
        return err_say(e, EPERM, "'%s' belongs to uid %u: it must be root's or yours", path, st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return err_say(e, EPERM, "'%s' may be written by others than its owner: chmod go-w", path);
    return 0;
}

/* Whoever can write it could grant functions what he likes. */
static int check_owner(int fd, const char *path, struct err *e)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? err_set(e, errno, "stat '%s'", path) : config_check_owner(&st, path, e);
}

static int read_file(struct config *c, int dirfd, const char *name, const char *path, struct err *e)
{
    scoped_fd fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_say(e, EINVAL, "'%s' is not a regular file", path);
    int r = check_owner(fd, path, e);
    if (r < 0)
        return r;
    scoped_free char *text = malloc(FILE_BYTES_MAX + 1);
    if (!text)
        return err_set(e, ENOMEM, "read '%s'", path);
    ssize_t n = fd_read_full(fd, text, FILE_BYTES_MAX + 1);
    if (n < 0)
        return err_set(e, (int)-n, "read '%s'", path);
    if (n > FILE_BYTES_MAX)
        return err_say(e, EFBIG, "'%s' has more than %d bytes", path, (int)FILE_BYTES_MAX);
    return config_read_json(c, (struct str){.p = text, .n = (size_t)n}, path, e);
}

static int is_config_name(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && n > 5 && !strcmp(d->d_name + n - 5, ".json");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_directory(struct config *c, int parent, const char *dir_path, struct err *e)
{
    char path[CONFIG_PATH_MAX * 3];
    snprintf(path, sizeof(path), "%s/conf.d", dir_path);
    scoped_fd dir = openat(parent, "conf.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "open '%s'", path);
    int r = check_owner(dir, path, e);
    if (r < 0)
        return r;
    struct dirent **names = NULL;
    int n = scandirat(dir, ".", &names, is_config_name, by_bytes);
    if (n < 0)
        return err_set(e, errno, "read '%s'", path);
    if (n > FILES_MAX)
        r = err_say(e, E2BIG, "'%s' holds more than %d files", path, (int)FILES_MAX);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/conf.d/%s", dir_path, names[i]->d_name);
        if (r == 0)
            r = read_file(c, dir, names[i]->d_name, path, e);
        free(names[i]);
    }
    free(names);
    return r;
}

int config_read_files(struct config *c, const char *path, bool must_exist, struct err *e)
{
    char dir_path[CONFIG_PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct str dir_name = slash ? (struct str){.p = path, .n = (size_t)(slash - path)} : STR_LITERAL(".");
    if (slash == path)
        dir_name = STR_LITERAL("/");
    if (!str_copy(dir_name, dir_path, sizeof(dir_path)))
        return err_say(e, ENAMETOOLONG, "'%s' is too long", path);
    scoped_fd dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 && errno == ENOENT && !must_exist)
        return 0;
    if (dir < 0)
        return err_set(e, errno, "open '%s'", dir_path);
    const char *name = slash ? slash + 1 : path;
    struct stat st; /* not faccessat: that asks for the real uid, which may not look into a private directory */
    bool exists = fstatat(dir, name, &st, 0) == 0 || errno != ENOENT;
    int r = 0;
    if (exists || must_exist)
        r = check_owner(dir, dir_path, e);
    if (r == 0 && (exists || must_exist))
        r = read_file(c, dir, name, path, e);
    if (r == 0 && fstatat(dir, "conf.d", &st, 0) == 0) {
        r = check_owner(dir, dir_path, e);
        r = r < 0 ? r : read_directory(c, dir, dir_path, e);
    }
    return r;
}
