/* SPDX-License-Identifier: Apache-2.0 */
/* A directory as a tar stream. */
#include "codec/archive.h"

#include "base/fdio.h"
#include "codec/archive_ignore.h"
#include "codec/archive_library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 65536, SHOWN = 80 };

struct pack {
    struct archive *archive;
    struct archive_ignore ignore;
    struct buf *left_out; /* borrowed */
    char path[ARCHIVE_PATH_MAX];
    struct err *e;
};

static int say_unwritten(struct pack *p)
{
    int error = archive_lib.archive_errno(p->archive);
    return err_set(p->e, error > 0 ? error : EIO, "write '%.*s' to the archive", SHOWN, p->path);
}

static int pack_header(struct pack *p, const struct stat *st, const char *target)
{
    struct archive_entry *entry = archive_lib.archive_entry_new();
    if (!entry)
        return err_set(p->e, ENOMEM, "write the archive");
    archive_lib.archive_entry_set_pathname(entry, p->path);
    archive_lib.archive_entry_set_filetype(entry, st->st_mode & S_IFMT);
    archive_lib.archive_entry_set_perm(entry, S_ISREG(st->st_mode) && !(st->st_mode & 0111) ? 0644 : 0755);
    archive_lib.archive_entry_set_size(entry, S_ISREG(st->st_mode) ? st->st_size : 0);
    archive_lib.archive_entry_set_mtime(entry, 0, 0);
    if (target)
        archive_lib.archive_entry_set_symlink(entry, target);
    int status = archive_lib.archive_write_header(p->archive, entry);
    archive_lib.archive_entry_free(entry);
    return status == ARCHIVE_OK ? 0 : say_unwritten(p);
}

static int pack_file(struct pack *p, int fd, const struct stat *st)
{
    char block[BLOCK];
    int r = pack_header(p, st, NULL);
    for (off_t left = st->st_size; r == 0 && left > 0;) {
        ssize_t n = fd_read_full(fd, block, left < BLOCK ? (size_t)left : BLOCK);
        if (n < 0)
            return err_set(p->e, (int)-n, "read '%.*s'", SHOWN, p->path);
        if (n == 0)
            return err_say(p->e, EAGAIN, "'%.*s' became shorter while it was read", SHOWN, p->path);
        if (archive_lib.archive_write_data(p->archive, block, (size_t)n) != n)
            return say_unwritten(p);
        left -= n;
    }
    return r;
}

static int pack_link(struct pack *p, int dirfd, const char *name, const struct stat *st)
{
    char target[ARCHIVE_PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target));
    if (n < 0 || n == sizeof(target))
        return err_set(p->e, n < 0 ? errno : ENAMETOOLONG, "read link '%.*s'", SHOWN, p->path);
    target[n] = '\0';
    return pack_header(p, st, target);
}

static int pack_directory(struct pack *p, int fd);

/* p->path is the entry's, relative to the packed directory. */
static int pack_entry(struct pack *p, int dirfd, const char *name)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(p->e, errno, "stat '%.*s'", SHOWN, p->path);
    bool is_directory = S_ISDIR(st.st_mode);
    if (archive_ignore_matches(&p->ignore, p->path, is_directory))
        return buf_addf(p->left_out, "%s%s\n", p->path, is_directory ? "/" : "") < 0
                   ? err_set(p->e, ENOMEM, "list what is left out")
                   : 0;
    if (S_ISLNK(st.st_mode))
        return pack_link(p, dirfd, name, &st);
    if (!S_ISREG(st.st_mode) && !is_directory)
        return err_say(p->e, EINVAL, "'%.*s' is neither a file, a directory nor a link: name it in .faasdignore", SHOWN,
                       p->path);
    scoped_fd fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(p->e, errno, "open '%.*s'", SHOWN, p->path);
    if (!is_directory)
        return pack_file(p, fd, &st);
    int r = pack_header(p, &st, NULL);
    return r < 0 ? r : pack_directory(p, fd);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_real(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* Depth is bounded by the length of p->path. */
static int pack_directory(struct pack *p, int fd)
{
    struct dirent **names = NULL;
    size_t length = strlen(p->path);
    int r = 0, n = scandirat(fd, ".", &names, is_real, by_bytes);
    if (n < 0)
        return err_set(p->e, errno, "read directory '%.*s'", SHOWN, *p->path ? p->path : ".");
    for (int i = 0; i < n; i++) {
        size_t start = length ? length + 1 : 0, name_length = strlen(names[i]->d_name);
        if (r == 0 && start + name_length >= sizeof(p->path))
            r = err_say(p->e, EINVAL, "'%.*s...' has a path of more than %d bytes", SHOWN, p->path,
                        ARCHIVE_PATH_MAX - 1);
        if (r == 0) {
            if (length)
                p->path[length] = '/';
            memcpy(p->path + start, names[i]->d_name, name_length + 1);
            r = pack_entry(p, fd, names[i]->d_name);
        }
        free(names[i]);
    }
    p->path[length] = '\0';
    free(names);
    return r;
}

static int write_tar(struct pack *p, int dir, int out_fd)
{
    struct archive *a = p->archive;
    int status = archive_lib.archive_write_set_format_pax_restricted(a);
    if (status == ARCHIVE_OK)
        status = archive_lib.archive_write_add_filter_none(a);
    if (status == ARCHIVE_OK)
        status = archive_lib.archive_write_open_fd(a, out_fd);
    if (status != ARCHIVE_OK)
        return say_unwritten(p);
    int r = pack_directory(p, dir);
    if (r == 0 && archive_lib.archive_write_close(a) != ARCHIVE_OK)
        r = say_unwritten(p);
    return r;
}

int archive_pack(const char *path, int out_fd, struct buf *left_out, struct err *e)
{
    struct pack p = {.left_out = left_out, .e = e};
    scoped_fd dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno, "open '%s'", path);
    int r = archive_library_load(e);
    if (r == 0)
        r = archive_ignore_load(&p.ignore, dir, e);
    if (r < 0)
        return r;
    p.archive = archive_lib.archive_write_new();
    if (p.archive) {
        locale_t before, utf8 = archive_enter_utf8(&before);
        r = write_tar(&p, dir, out_fd);
        archive_lib.archive_write_free(p.archive);
        archive_leave_utf8(utf8, before);
    } else {
        r = err_set(e, ENOMEM, "write the archive");
    }
    archive_ignore_fini(&p.ignore);
    return r;
}
