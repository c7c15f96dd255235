/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last child of this slot may have left a tree of any shape: deeper than there are descriptors, directories of mode 000, links out of it. So the walk holds
 * one directory and no stack: it removes what it can, goes into the first subdirectory that is not empty and comes back by "..". Nothing moves
 * meanwhile: every process of that child is dead.
 */
#include "tmp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* One system call in the common case. The root is one inode; a tmpfs without limits counts none. */
static bool is_known_empty(const char *path)
{
    struct statfs s;
    return statfs(path, &s) == 0 && s.f_files > 0 && s.f_files - s.f_ffree <= 1;
}

static DIR *open_directory(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !directory)
        close(fd);
    return directory;
}

static DIR *open_subdirectory(DIR *directory, const char *name)
{
    DIR *child = open_directory(dirfd(directory), name);
    if (child || errno != EACCES || fchmodat(dirfd(directory), name, 0700, 0) != 0)
        return child;
    return open_directory(dirfd(directory), name);
}

static int remove_entry(DIR *directory, const struct dirent *entry)
{
    int flags = entry->d_type == DT_DIR ? AT_REMOVEDIR : 0;
    int r = unlinkat(dirfd(directory), entry->d_name, flags);
    if (r != 0 && errno == EACCES && fchmod(dirfd(directory), 0700) == 0)
        r = unlinkat(dirfd(directory), entry->d_name, flags);
    return r;
}

enum clear { CLEAR_FAILED, CLEAR_EMPTY, CLEAR_REMOVED, CLEAR_INTO };

/* One pass. CLEAR_EMPTY: nothing was there, or at the top only mounts. CLEAR_INTO: *ret_child, a directory to be emptied first. */
static enum clear clear_once(DIR *directory, bool top, DIR **ret_child)
{
    enum clear seen = CLEAR_EMPTY;
    const struct dirent *entry;
    rewinddir(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (remove_entry(directory, entry) == 0) {
            seen = CLEAR_REMOVED;
            continue;
        }
        if (top && errno == EBUSY)
            continue;
        *ret_child = errno == ENOTEMPTY || errno == EEXIST ? open_subdirectory(directory, entry->d_name) : NULL;
        return *ret_child ? CLEAR_INTO : CLEAR_FAILED;
    }
    return seen;
}

/* Closes `directory` whatever happens. */
static int empty_tree(DIR *directory)
{
    unsigned long depth = 0;
    for (;;) {
        DIR *next = NULL;
        enum clear seen = clear_once(directory, depth == 0, &next);
        if (seen == CLEAR_REMOVED)
            continue;
        bool done = seen == CLEAR_EMPTY && depth == 0;
        if (seen == CLEAR_EMPTY && !done)
            next = open_directory(dirfd(directory), "..");
        int error = errno;
        closedir(directory);
        errno = error;
        if (!next)
            return done ? 0 : -1;
        depth = seen == CLEAR_INTO ? depth + 1 : depth - 1;
        directory = next;
    }
}

int faasd_tmp_empty(const char *path)
{
    if (is_known_empty(path))
        return 0;
    DIR *directory = open_directory(AT_FDCWD, path);
    return directory ? empty_tree(directory) : -1;
}
