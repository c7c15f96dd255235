/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program may leave a tree of any shape: deeper than init may hold descriptors, with directories of mode 000, with links out of it. So the walk
 * holds one descriptor and no stack: it removes what it can of a directory, goes into the first subdirectory that is not empty, and comes back by
 * "..", where that one is now empty and goes like a file. Nothing moves meanwhile (every program is dead), so ".." is where it came from.
 */
#include "tmp.h"

#include "syscall.h"

enum { LIST_BYTES = 8192 };

struct entry { /* linux_dirent64 of getdents64(2) */
    uint64_t inode;
    int64_t next;
    unsigned short length;
    unsigned char type;
    char name[];
};

static _Alignas(struct entry) char list[LIST_BYTES];

struct tmp_state tmp_look(const char *path)
{
    struct statfs s = {0};
    if (sys_statfs(path, &s) < 0)
        return (struct tmp_state){0};
    /* The root is one inode. A tmpfs without limits counts neither blocks nor inodes. */
    return (struct tmp_state){
        .exists = true,
        .empty = s.f_files > 0 && s.f_files - s.f_ffree <= 1,
        .full = (s.f_blocks > 0 && s.f_bavail == 0) || (s.f_files > 0 && s.f_ffree == 0),
        .used_bytes = ((uint64_t)s.f_blocks - (uint64_t)s.f_bfree) * (uint64_t)s.f_bsize,
    };
}

static bool is_self_or_parent(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Never follows a link and never enters a mount. */
static long open_subdirectory(int dir, const char *name)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    long fd = sys_open_how(dir, name, &how);
    if (fd != -EACCES)
        return fd;
    long r = sys_chmod_at(dir, name, 0700);
    return r < 0 ? r : sys_open_how(dir, name, &how);
}

static long remove_entry(int dir, const struct entry *e)
{
    int flags = e->type == INIT_DT_DIR ? AT_REMOVEDIR : 0;
    long r = sys_unlink_at(dir, e->name, flags);
    if (r == -EACCES && sys_fchmod(dir, 0700) == 0)
        r = sys_unlink_at(dir, e->name, flags);
    return r;
}

enum clear { CLEAR_EMPTY, CLEAR_REMOVED, CLEAR_INTO };

/* One pass over what a directory lists. CLEAR_EMPTY: nothing was there (or, at the top, only mounts). CLEAR_INTO: *ret_child is a
 * subdirectory to be emptied first. */
static int clear_once(int dir, bool top, int *ret_child)
{
    int seen = CLEAR_EMPTY;
    long n = sys_rewind(dir);
    while (n >= 0 && (n = sys_list(dir, list, sizeof(list))) > 0) {
        const struct entry *e;
        for (long at = 0; at < n; at += e->length) {
            e = (const struct entry *)(const void *)(list + at);
            if (is_self_or_parent(e->name))
                continue;
            long r = remove_entry(dir, e);
            /* A mount, or its mount point in a sticky directory, which is not ours: no program made it. */
            if (top && (r == -EBUSY || r == -EPERM))
                continue;
            if (r == -ENOTEMPTY) {
                r = open_subdirectory(dir, e->name);
                *ret_child = (int)r;
                return r < 0 ? (int)r : CLEAR_INTO;
            }
            if (r < 0)
                return (int)r;
            seen = CLEAR_REMOVED;
        }
    }
    return n < 0 ? (int)n : seen;
}

int tmp_empty(const char *path)
{
    long r = sys_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (r < 0)
        return (int)r;
    int dir = (int)r;
    uint64_t depth = 0;
    for (;;) {
        int child = -1;
        r = clear_once(dir, depth == 0, &child);
        if (r < 0 || (r == CLEAR_EMPTY && depth == 0))
            break;
        if (r == CLEAR_REMOVED)
            continue;
        if (r == CLEAR_EMPTY) {
            depth--;
            r = sys_open_at(dir, "..", O_RDONLY | O_DIRECTORY);
            child = (int)r;
        } else {
            depth++;
        }
        if (r < 0)
            break;
        sys_close(dir);
        dir = child;
    }
    sys_close(dir);
    return r < 0 ? (int)r : 0;
}
