/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/tree.h"

#include "base/fdio.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

enum { TREE_DEPTH_MAX = 256 }; /* one descriptor a level */

static int open_below(int dirfd, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

static int remove_at(int dirfd, const char *name, unsigned depth, struct err *e);

static int empty(DIR *dir, unsigned depth, struct err *e)
{
    for (struct dirent *at; (errno = 0, at = readdir(dir));) {
        if (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0)
            continue;
        int r = remove_at(dirfd(dir), at->d_name, depth, e);
        if (r < 0)
            return r;
    }
    return errno ? err_set(e, errno, "read a directory") : 0;
}

static int remove_at(int dirfd, const char *name, unsigned depth, struct err *e)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_set(e, errno, "remove '%s'", name);
    if (depth == TREE_DEPTH_MAX)
        return err_say(e, ELOOP, "'%s' lies too deep", name);
    int fd = open_below(dirfd, name);
    if (fd < 0)
        return err_set(e, -fd, "open '%s'", name);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int error = errno;
        fd_close(&fd);
        return err_set(e, error, "read '%s'", name);
    }
    int r = empty(dir, depth + 1, e);
    closedir(dir);
    if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = err_set(e, errno, "remove '%s'", name);
    return r;
}

int tree_remove(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char parent[256];
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (!slash || n + 1 >= sizeof(parent))
        return err_say(e, EINVAL, "'%s' is no absolute path", path);
    memcpy(parent, path, n);
    parent[n] = '\0';
    scoped_fd fd = open(n ? parent : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", parent);
    int r = remove_at(fd, slash + 1, 0, e);
    return r < 0 ? err_wrap(e, "remove '%s'", path) : 0;
}
