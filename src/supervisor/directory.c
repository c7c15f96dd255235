/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/directory.h"

#include "base/fdio.h"
#include "base/str.h"
#include "os/userns.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* In a user namespace the host's root looks like every other user: those are told apart before it is entered (rootless.c), on the same paths, which nobody but
 * them could change since. */
static bool is_trusted_owner(uid_t uid)
{
    return uid == 0 || uid == geteuid() || (uid == USERNS_OVERFLOW && userns_own()->entered);
}

static int check_own(int fd, const char *name, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s'", name);
    if (st.st_uid != geteuid())
        return err_say(e, EPERM, "directory '%s' belongs to uid %u, not to uid %u: refused", name, st.st_uid,
                       geteuid());
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return err_say(e, EPERM, "others may write directory '%s': refused (chmod go-w)", name);
    return 0;
}

int directory_open_own_at(int parent, const char *name, mode_t mode, struct err *e)
{
    if (mkdirat(parent, name, mode) == 0) {
        /* the umask took bits away; nobody but us can reach in between, the parent is trusted */
        if (fchmodat(parent, name, mode, 0) < 0)
            return err_set(e, errno, "chmod '%s'", name);
    } else if (errno != EEXIST) {
        return err_set(e, errno, "make directory '%s'", name);
    }
    scoped_fd fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return err_say(e, ENOTDIR, "'%s' is a link or no directory: refused", name);
    if (fd < 0)
        return err_set(e, errno, "open directory '%s'", name);
    int r = check_own(fd, name, e);
    return r < 0 ? r : fd_take(&fd);
}

/* One component on the way. Where others may write (the sticky /tmp), an entry may be swapped between two looks, but only by its owner: what
 * is checked here belongs to root or to us. */
static int step(int parent, const char *name, bool make, struct err *e)
{
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT || !make)
            return err_set(e, errno, "look at '%s'", name);
        if (mkdirat(parent, name, 0755) < 0 || fchmodat(parent, name, 0755, 0) < 0)
            return err_set(e, errno, "make directory '%s'", name);
        st.st_mode = S_IFDIR;
        st.st_uid = geteuid();
    }
    bool is_link = S_ISLNK(st.st_mode);
    if (is_link && !is_trusted_owner(st.st_uid))
        return err_say(e, EPERM, "'%s' on the way is a link of uid %u: refused", name, st.st_uid);
    int flags = O_PATH | O_DIRECTORY | O_CLOEXEC | (is_link ? 0 : O_NOFOLLOW); /* one may pass where one may not list */
    scoped_fd fd = openat(parent, name, flags);
    if (fd < 0)
        return err_set(e, errno, "open directory '%s'", name);
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s'", name);
    if (!is_trusted_owner(st.st_uid))
        return err_say(e, EPERM, "directory '%s' on the way belongs to uid %u: refused", name, st.st_uid);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
        return err_say(e, EPERM, "others may write directory '%s' on the way: refused", name);
    return fd_take(&fd);
}

int directory_open_own(const char *path, mode_t mode, struct err *e)
{
    scoped_fd at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return err_set(e, errno, "open '/'");
    struct str rest = str_skip(str_from(path), 1);
    for (;;) {
        char name[NAME_MAX + 1];
        bool more;
        struct str component = str_cut(rest, '/', &rest, &more);
        if (!str_copy(component, name, sizeof(name)) || component.n == 0)
            return err_say(e, EINVAL, "'%s' is no path for a directory", path);
        int next;
        if (!more)
            next = directory_open_own_at(at, name, mode, e);
        else
            next = step(at, name, true, e);
        if (next < 0)
            return err_wrap(e, "open '%s'", path);
        fd_close(&at);
        at = next;
        if (!more)
            return fd_take(&at);
    }
}

int directory_check_way(const char *path, struct err *e)
{
    scoped_fd at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return err_set(e, errno, "open '/'");
    struct str rest = str_skip(str_from(path), 1);
    while (rest.n) {
        char name[NAME_MAX + 1];
        if (!str_copy(str_cut(rest, '/', &rest, NULL), name, sizeof(name)))
            return err_say(e, ENAMETOOLONG, "'%s' has too long a name in it", path);
        if (!name[0])
            continue;
        int next = step(at, name, false, e);
        if (next < 0)
            return err_wrap(e, "look at '%s'", path);
        fd_close(&at);
        at = next;
    }
    return fd_take(&at);
}

bool directory_may_pass(const struct stat *st, uid_t uid, gid_t gid)
{
    if (st->st_uid == uid)
        return st->st_mode & S_IXUSR;
    if (st->st_gid == gid)
        return st->st_mode & S_IXGRP;
    return st->st_mode & S_IXOTH;
}

int directory_check_reach(const char *path, uid_t uid, gid_t gid, struct err *e)
{
    char part[PATH_MAX];
    if (!str_copy(str_from(path), part, sizeof(part)))
        return err_say(e, ENAMETOOLONG, "path '%s' is too long", path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        struct stat st;
        if (stat(part, &st) < 0)
            return err_set(e, errno, "look at '%s'", part);
        if (!directory_may_pass(&st, uid, gid))
            return err_say(e, EACCES,
                           "the gateway (uid %u) can't reach '%s': '%s' is closed to it (chmod o+x, or another --root)",
                           uid, path, part);
        *p = end;
        if (end == '\0')
            break;
    }
    return 0;
}
