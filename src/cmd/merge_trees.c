/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several trees of layers become one: runs inside an unpacker's sandbox, as the owner of the code, copies /layers/0, /layers/1 ... one over the other into /staging. What a later one
 * has takes the place of an earlier one's of the same name; directories are joined. No link is followed. One JSON object on stdout says what came of it, as unpack's does:
 *   {"ok":true,"bytes":123}   {"ok":false,"type":"RequestTooLarge","error":"..."}
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "codec/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 65536, PATH_TEXT_MAX = 4096 };

struct merge {
    bool durable;
    uint64_t bytes, bytes_max;
    struct err *error;
};

static int fail(const struct merge *m, int error, const char *what, const char *name)
{
    return err_set(m->error, error, "%s '%.200s'", what, name);
}

static bool is_dot(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

static DIR *open_listing(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        fd_close(&fd);
    return dir;
}

/* Whatever it is; depth is bounded by that of the trees (ARCHIVE_DEPTH_MAX). */
static int remove_all(const struct merge *m, int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    DIR *dir = errno == EISDIR ? open_listing(parent, name) : NULL;
    if (!dir)
        return fail(m, errno, "replace", name);
    int r = 0;
    for (struct dirent *at; r == 0 && (errno = 0, at = readdir(dir));)
        if (!is_dot(at->d_name))
            r = remove_all(m, dirfd(dir), at->d_name);
    if (r == 0 && errno)
        r = fail(m, errno, "list", name);
    closedir(dir);
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
        r = fail(m, errno, "replace", name);
    return r;
}

/* Within the kernel, which shares the blocks where the file system can (xfs, btrfs). A hard link can't be made from one mount to another. 1: copied whole; 0: not in this way. */
static int copy_in_kernel(struct merge *m, int from, int to, uint64_t size)
{
    if (size > m->bytes_max - m->bytes)
        return 0; /* said below */
    uint64_t left = size;
    while (left) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, left, 0);
        if (n <= 0 && left == size)
            return 0;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        left -= (uint64_t)n;
    }
    m->bytes += size;
    return 1;
}

static int copy_bytes(struct merge *m, int from, int to, uint64_t size, const char *name)
{
    char block[BLOCK];
    int whole = size ? copy_in_kernel(m, from, to, size) : 1;
    if (whole)
        return whole < 0 ? fail(m, -whole, "copy", name) : 0;
    for (;;) {
        ssize_t n = fd_read_full(from, block, sizeof(block));
        if (n < 0)
            return fail(m, (int)-n, "read", name);
        if (n == 0)
            return 0;
        m->bytes += (uint64_t)n;
        if (m->bytes > m->bytes_max)
            return err_say(m->error, EMSGSIZE, "the layers have more than %lu bytes together",
                           (unsigned long)m->bytes_max);
        int r = fd_write_full(to, block, (size_t)n);
        if (r < 0)
            return fail(m, -r, "write", name);
    }
}

static int copy_file(struct merge *m, int from, int to, const struct stat *st, const char *name)
{
    int r = remove_all(m, to, name);
    if (r < 0)
        return r;
    scoped_fd source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0)
        return fail(m, errno, "open", name);
    mode_t mode = st->st_mode & S_IXOTH ? 0755 : 0644;
    scoped_fd copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (copy < 0)
        return fail(m, errno, "make", name);
    r = copy_bytes(m, source, copy, (uint64_t)st->st_size, name);
    if (r == 0 && (fchmod(copy, mode) < 0 || (m->durable && fsync(copy) < 0)))
        r = fail(m, errno, "write", name);
    return r;
}

static int copy_link(struct merge *m, int from, int to, const char *name)
{
    char target[PATH_TEXT_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);
    if (n < 0)
        return fail(m, errno, "read the link", name);
    target[n] = '\0';
    int r = remove_all(m, to, name);
    if (r == 0 && symlinkat(target, to, name) < 0)
        r = fail(m, errno, "make the link", name);
    return r;
}

static int copy_tree(struct merge *m, int from, int to);

static int copy_directory(struct merge *m, int from, int to, const char *name)
{
    struct stat there;
    if (fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(there.st_mode)) {
        int r = remove_all(m, to, name);
        if (r < 0)
            return r;
    }
    if (mkdirat(to, name, 0755) < 0 && errno != EEXIST)
        return fail(m, errno, "make", name);
    scoped_fd source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    scoped_fd copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0 || copy < 0)
        return fail(m, errno, "open", name);
    return copy_tree(m, source, copy);
}

static int copy_tree(struct merge *m, int from, int to)
{
    DIR *dir = open_listing(from, ".");
    int r = dir ? 0 : fail(m, errno, "list", "a layer");
    for (struct dirent *at; r == 0 && (errno = 0, at = readdir(dir));) {
        struct stat st;
        if (is_dot(at->d_name))
            continue;
        if (fstatat(from, at->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            r = fail(m, errno, "look at", at->d_name);
        else if (S_ISDIR(st.st_mode))
            r = copy_directory(m, from, to, at->d_name);
        else if (S_ISREG(st.st_mode))
            r = copy_file(m, from, to, &st, at->d_name);
        else if (S_ISLNK(st.st_mode))
            r = copy_link(m, from, to, at->d_name);
    }
    if (r == 0 && errno) /* readdir's: half a layer must not pass for a whole one */
        r = fail(m, errno, "list", "a layer");
    if (dir)
        closedir(dir);
    if (r == 0 && m->durable && fsync(to) < 0)
        r = fail(m, errno, "flush", "a directory");
    return r;
}

static int merge(struct merge *m, const char *layers, unsigned long count, const char *into)
{
    char path[PATH_TEXT_MAX];
    scoped_fd to = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = to < 0 ? fail(m, errno, "open", into) : 0;
    for (unsigned long i = 0; r == 0 && i < count; i++) {
        fmt_to(path, sizeof(path), "%s/%lu", layers, i);
        scoped_fd from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = from < 0 ? fail(m, errno, "open", path) : copy_tree(m, from, to);
    }
    return r;
}

static int report(const struct merge *m, int result)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    json_put_bool(&w, "ok", result == 0);
    if (result < 0) {
        bool full = m->error->code == ENOSPC || m->error->code == EDQUOT;
        json_put_text(&w, "type",
                      full                         ? "StorageFull"
                      : m->error->code == EMSGSIZE ? "RequestTooLarge"
                                                   : "InternalError");
        json_put_text(&w, "error", m->error->text);
    } else {
        json_put_u64(&w, "bytes", m->bytes);
    }
    json_put_object_end(&w);
    int r = json_writer_end(&w);
    if (r == 0)
        r = fd_write_full(STDOUT_FILENO, out.data, out.len);
    buf_fini(&out);
    return r < 0 ? CMD_FAILED : CMD_OK;
}

int cmd_merge_trees(int argc, char **argv)
{
    const char *layers = "/layers", *into = "/staging", *count_text = NULL, *bytes_text = NULL, *transient = NULL;
    uint64_t count = 0, bytes = 0;
    const struct option table[] = {
        {.name = "from", .kind = OPTION_TEXT, .target = &layers},
        {.name = "into", .kind = OPTION_TEXT, .target = &into},
        {.name = "count", .kind = OPTION_TEXT, .target = &count_text},
        {.name = "bytes", .kind = OPTION_TEXT, .target = &bytes_text},
        {.name = "transient", .kind = OPTION_TEXT, .target = &transient},
        {0},
    };
    struct options o = {.command = "merge-trees", .tables = {table}};
    struct err e = {0};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (!count_text || !str_to_u64(str_from(count_text), &count) || !bytes_text ||
        !str_to_u64(str_from(bytes_text), &bytes))
        return options_refuse("merge-trees", "--count and --bytes are whole numbers");
    struct merge m = {.durable = !transient, .bytes_max = bytes, .error = &e};
    return report(&m, merge(&m, layers, count, into));
}
