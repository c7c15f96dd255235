/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/archive_tree.h"

#include "base/fdio.h"
#include "base/units.h"
#include "codec/json_scan.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { SHOWN = 80 }; /* bytes of a name in a message: two fit, and the reason */

void archive_tree_init(struct archive_tree *t, int root, const struct archive_options *options,
                       struct archive_totals *totals)
{
    *t = (struct archive_tree){.root = root, .options = options, .totals = totals};
    *totals = (struct archive_totals){0};
    buf_init(&t->links, ARCHIVE_LINK_BYTES_MAX);
}

static void leave_to(struct archive_tree *t, unsigned depth)
{
    while (t->depth > depth)
        fd_close(&t->level[--t->depth].fd);
    t->path[t->depth ? t->level[t->depth - 1].end : 0] = '\0';
}

void archive_tree_fini(struct archive_tree *t)
{
    leave_to(t, 0);
    buf_fini(&t->links);
}

static int check_bytes(const char *name, struct err *e)
{
    size_t n = strlen(name);
    if (n >= ARCHIVE_PATH_MAX)
        return err_say(e, EINVAL, "'%.*s...' has a path of %zu bytes; the most is %d", SHOWN, name, n,
                       ARCHIVE_PATH_MAX - 1);
    for (size_t i = 0; i < n;) {
        size_t step = json_utf8_length(name + i, n - i);
        if (!step)
            return err_say(e, EINVAL, "a name in the archive is not UTF-8");
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return err_say(e, EINVAL, "a name in the archive holds a control character");
        if (name[i] == '\\')
            return err_say(e, EINVAL, "'%.*s' holds a backslash", SHOWN, name);
        i += step;
    }
    return 0;
}

/* The name without "./" before and "/" behind, in `out`; "" for the tree itself. */
static int normalise(const char *name, char out[ARCHIVE_PATH_MAX], struct err *e)
{
    int r = check_bytes(name, e);
    if (r < 0)
        return r;
    if (!*name)
        return err_say(e, EINVAL, "an entry of the archive has no name");
    if (*name == '/')
        return err_say(e, EINVAL, "'%.*s' is an absolute path", SHOWN, name);
    struct str rest = str_from(name);
    if (str_starts_with(rest, "./"))
        rest = str_skip(rest, 2);
    else if (str_is(rest, "."))
        rest = (struct str){0};
    if (rest.n && rest.p[rest.n - 1] == '/')
        rest.n--;
    str_copy(rest, out, ARCHIVE_PATH_MAX);
    unsigned depth = 0;
    for (bool more = rest.n > 0; more;) {
        struct str part = str_cut(rest, '/', &rest, &more);
        if (str_is(part, ".."))
            return err_say(e, EINVAL, "'%.*s' leads out of the archive with '..'", SHOWN, name);
        if (!part.n || str_is(part, "."))
            return err_say(e, EINVAL, "'%.*s' has an empty or '.' component", SHOWN, name);
        if (part.n > 255)
            return err_say(e, EINVAL, "'%.*s...' has a component of more than 255 bytes", SHOWN, name);
        if (++depth > ARCHIVE_DEPTH_MAX)
            return err_say(e, EINVAL, "'%.*s...' lies deeper than %d directories", SHOWN, name, (int)ARCHIVE_DEPTH_MAX);
    }
    return 0;
}

static int count_entry(struct archive_tree *t, struct err *e)
{
    if (t->totals->entries >= t->options->entries_max)
        return err_say(e, EMSGSIZE, "the archive holds more than %lu entries (code_entries)",
                       (unsigned long)t->options->entries_max);
    t->totals->entries++;
    return 0;
}

int archive_tree_count_bytes(struct archive_tree *t, uint64_t bytes, const char *name, struct err *e)
{
    char limit[UNITS_TEXT_MAX];
    if (bytes <= t->options->bytes_max - t->totals->bytes)
        return 0;
    units_format_size(t->options->bytes_max, limit);
    return err_say(e, EMSGSIZE, "with '%.*s' the archive unpacks to more than %s (code_bytes)", SHOWN, name, limit);
}

static int current(const struct archive_tree *t)
{
    return t->depth ? t->level[t->depth - 1].fd : t->root;
}

/* One directory down, made when absent. Never through a link: O_NOFOLLOW, and links are made last. */
static int enter(struct archive_tree *t, struct str part, const char *whole, struct err *e)
{
    char name[256];
    assert(t->depth < ARCHIVE_DEPTH_MAX); /* normalise() looked at both */
    str_copy(part, name, sizeof(name));
    bool made = mkdirat(current(t), name, 0755) == 0;
    if (!made && errno != EEXIST)
        return err_set(e, errno, "make directory '%.*s'", SHOWN, whole);
    scoped_fd fd = openat(current(t), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return err_say(e, EINVAL, "'%.*s' needs a directory where the archive has a file", SHOWN, whole);
    if (fd < 0)
        return err_set(e, errno, "open directory '%.*s'", SHOWN, whole);
    if (made) {
        int r = count_entry(t, e);
        if (r < 0)
            return r;
        if (fchmod(fd, 0755) < 0)
            return err_set(e, errno, "set the mode of '%.*s'", SHOWN, whole);
    }
    size_t end = t->depth ? t->level[t->depth - 1].end + 1 : 0;
    if (t->depth)
        t->path[end - 1] = '/';
    memcpy(t->path + end, part.p, part.n);
    t->path[end + part.n] = '\0';
    t->level[t->depth++] = (struct archive_level){.fd = fd_take(&fd), .end = end + part.n};
    return 0;
}

/* Levels of the open path that are also the first levels of `dir`. */
static unsigned shared_depth(const struct archive_tree *t, struct str dir)
{
    unsigned depth = 0;
    while (depth < t->depth) {
        size_t end = t->level[depth].end;
        if (end > dir.n || memcmp(t->path, dir.p, end) != 0 || (end < dir.n && dir.p[end] != '/'))
            break;
        depth++;
    }
    return depth;
}

/* Opens the directory `dir` of the tree ("" for the top) level by level, making what is absent. */
static int go_to(struct archive_tree *t, struct str dir, struct err *e)
{
    char whole[ARCHIVE_PATH_MAX];
    unsigned shared = shared_depth(t, dir);
    leave_to(t, shared);
    str_copy(dir, whole, sizeof(whole));
    struct str rest = str_skip(dir, shared ? t->level[shared - 1].end + 1 : 0);
    while (rest.n) {
        struct str part = str_cut(rest, '/', &rest, NULL);
        int r = enter(t, part, whole, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* "a/b/c" -> "a/b" and "c" */
static struct str parent_of(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    return (struct str){.p = path, .n = slash ? (size_t)(slash - path) : 0};
}

/* `name` in `dir` stands there already. */
static int refuse_twice(int dir, const char *name, const char *path, const char *kind, struct err *e)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return err_say(e, EINVAL, "'%.*s' is %s, and the archive has a directory of that name, or entries beneath it",
                       SHOWN, path, kind);
    return err_say(e, EINVAL, "'%.*s' stands in the archive twice", SHOWN, path);
}

static int make_file(struct archive_tree *t, const char *path, int *ret_fd, struct err *e)
{
    const char *name;
    int r = go_to(t, parent_of(path, &name), e);
    if (r < 0)
        return r;
    int fd = openat(current(t), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return refuse_twice(current(t), name, path, "a file", e);
    if (fd < 0)
        return err_set(e, errno, "make '%.*s'", SHOWN, path);
    *ret_fd = fd;
    return count_entry(t, e);
}

int archive_tree_end_file(struct archive_tree *t, const struct archive_item *item, int *fd, struct err *e)
{
    char path[ARCHIVE_PATH_MAX] = "";
    struct stat st = {0};
    int r = normalise(item->name, path, e);
    if (r == 0 && fchmod(*fd, item->executable ? 0755 : 0644) < 0)
        r = err_set(e, errno, "set the mode of '%.*s'", SHOWN, path);
    if (r == 0 && fstat(*fd, &st) < 0)
        r = err_set(e, errno, "stat '%.*s'", SHOWN, path);
    if (r == 0)
        r = archive_tree_count_bytes(t, (uint64_t)st.st_size, path, e);
    fd_close(fd);
    if (r < 0)
        return r;
    t->totals->bytes += (uint64_t)st.st_size;
    if (strcmp(path, "faasd.json") != 0) {
        t->totals->files++;
        str_copy(str_from(path), t->totals->file, sizeof(t->totals->file));
    }
    return 0;
}

/* Only to a regular file that this archive made before: there are no links in the tree yet, and O_NOFOLLOW besides. */
static int make_hard_link(struct archive_tree *t, const char *path, const char *target, struct err *e)
{
    char from[ARCHIVE_PATH_MAX];
    const char *from_name = "", *name = "";
    struct stat st;
    int r = normalise(target, from, e);
    if (r < 0)
        return err_wrap(e, "'%.*s' is a hard link", SHOWN, path);
    r = go_to(t, parent_of(from, &from_name), e);
    if (r < 0)
        return r;
    scoped_fd dir = fcntl(current(t), F_DUPFD_CLOEXEC, 3);
    if (dir < 0)
        return err_set(e, errno, "open the directory of '%.*s'", SHOWN, from);
    bool found = fstatat(dir, from_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!found && errno != ENOENT)
        return err_set(e, errno, "stat '%.*s'", SHOWN, from);
    if (!found || !S_ISREG(st.st_mode))
        return err_say(e, EINVAL, "'%.*s' is a hard link to '%.*s', which is no earlier file of the archive", SHOWN,
                       path, SHOWN, from);
    r = archive_tree_count_bytes(t, (uint64_t)st.st_size, path, e);
    if (r == 0)
        r = go_to(t, parent_of(path, &name), e);
    if (r < 0)
        return r;
    if (linkat(dir, from_name, current(t), name, 0) < 0)
        return errno == EEXIST ? refuse_twice(current(t), name, path, "a hard link", e)
                               : err_set(e, errno, "link '%.*s'", SHOWN, path);
    t->totals->bytes += (uint64_t)st.st_size;
    t->totals->files++;
    str_copy(str_from(path), t->totals->file, sizeof(t->totals->file));
    return count_entry(t, e);
}

static int keep_link(struct archive_tree *t, const char *path, const char *target, struct err *e)
{
    int r = check_bytes(target, e);
    if (r < 0 || !*target)
        return err_say(e, EINVAL, "'%.*s' is a link without a usable target", SHOWN, path);
    if (buf_add(&t->links, path, strlen(path) + 1) < 0 || buf_add(&t->links, target, strlen(target) + 1) < 0)
        return err_say(e, EMSGSIZE, "the archive holds more than %d bytes of links", (int)ARCHIVE_LINK_BYTES_MAX);
    return count_entry(t, e);
}

int archive_tree_add(struct archive_tree *t, const struct archive_item *item, int *ret_fd, struct err *e)
{
    char path[ARCHIVE_PATH_MAX] = "";
    *ret_fd = -1;
    int r = normalise(item->name, path, e);
    if (r < 0)
        return r;
    if (!*path && item->kind != ARCHIVE_ITEM_DIRECTORY)
        return err_say(e, EINVAL, "an entry of the archive has no name");
    switch (item->kind) {
    case ARCHIVE_ITEM_FILE:
        return make_file(t, path, ret_fd, e);
    case ARCHIVE_ITEM_DIRECTORY:
        return go_to(t, str_from(path), e);
    case ARCHIVE_ITEM_LINK:
        return keep_link(t, path, item->target, e);
    case ARCHIVE_ITEM_HARD_LINK:
        break;
    }
    return make_hard_link(t, path, item->target, e);
}

static int make_links(struct archive_tree *t, struct err *e)
{
    const char *name;
    for (size_t at = 0; at < t->links.len;) {
        const char *path = t->links.data + at, *target = path + strlen(path) + 1;
        at += strlen(path) + 1 + strlen(target) + 1;
        int r = go_to(t, parent_of(path, &name), e);
        if (r < 0)
            return r;
        if (symlinkat(target, current(t), name) < 0)
            return errno == EEXIST ? refuse_twice(current(t), name, path, "a link", e)
                                   : err_set(e, errno, "make link '%.*s'", SHOWN, path);
    }
    return 0;
}

/* Of the python that a virtual environment was made with: /opt's, pyenv's, uv's. Its name is all that is looked at: pyvenv.cfg may come later. */
static bool is_venv_python(const char *path)
{
    const char *base = strrchr(path, '/');
    return base && base - path >= 3 && strncmp(base - 3, "bin/python", strlen("bin/python")) == 0 &&
           (base - path == 3 || base[-4] == '/');
}

static const char *why_refused(const char *path, int r)
{
    if (r == -ELOOP)
        return "leads through more than 40 links";
    if (is_venv_python(path))
        return "leads out of the tree: a function needs nothing from a virtual environment's bin/; name it in "
               ".faasdignore, "
               "or make it with `python -m venv --copies`";
    return "leads out of the tree (allowed: inside it, or under /usr, /bin, /lib)";
}

static int check_links(const struct archive_tree *t, struct err *e)
{
    char end[ARCHIVE_PATH_MAX];
    for (size_t at = 0; at < t->links.len;) {
        const char *path = t->links.data + at, *target = path + strlen(path) + 1;
        at += strlen(path) + 1 + strlen(target) + 1;
        int r = archive_resolve(t->root, path, end, e);
        if (r == -EINVAL || r == -ELOOP)
            return err_say(e, EINVAL, "link '%.*s' -> '%.*s' %s", SHOWN, path, SHOWN, target, why_refused(path, r));
        if (r < 0)
            return r;
    }
    return 0;
}

/* Depth is bounded by ARCHIVE_DEPTH_MAX. After all was written, so that the first call makes the file system write most of it at once. */
static int sync_directory(int fd, struct err *e)
{
    scoped_fd own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir)
        return err_set(e, errno, "read the unpacked tree");
    fd_take(&own);
    rewinddir(dir);
    int r = 0;
    for (struct dirent *at; r == 0 && (errno = 0, at = readdir(dir));) {
        if (!strcmp(at->d_name, ".") || !strcmp(at->d_name, ".."))
            continue;
        scoped_fd child = openat(fd, at->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        if (child < 0 && errno == ELOOP)
            continue; /* a link lives in its directory */
        if (child < 0 || fstat(child, &st) < 0)
            r = err_set(e, errno, "open '%s'", at->d_name);
        else if (S_ISDIR(st.st_mode))
            r = sync_directory(child, e);
        else if (fsync(child) < 0)
            r = err_set(e, errno, "write '%s' to the disk", at->d_name);
    }
    if (r == 0 && errno)
        r = err_set(e, errno, "read the unpacked tree");
    closedir(dir);
    if (r == 0 && fsync(fd) < 0)
        r = err_set(e, errno, "write a directory to the disk");
    return r;
}

int archive_tree_finish(struct archive_tree *t, struct err *e)
{
    int r = make_links(t, e);
    leave_to(t, 0);
    if (r == 0)
        r = check_links(t, e);
    return r < 0 || t->options->transient ? r : sync_directory(t->root, e);
}
