/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deleter: empties /trash, inside a sandbox of its own, as the owner of the code.
 *
 * A directory that is not empty is emptied of its files, its own directories are renamed to the top of the trash, and then it is removed. So no walk ever goes deeper
 * than one level: depth costs neither stack nor descriptors, and no path is ever longer than a name. Cut off at any moment, it leaves trash.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/cmd.h"
#include "cmd/options.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct trash {
    int top;
    unsigned long moved;   /* numbers the names of what was renamed to the top */
    unsigned long removed; /* in the pass at hand */
    struct err error;      /* the first one */
};

static void note(struct trash *t, int error, const char *what, const char *name)
{
    if (!t->error.code)
        err_set(&t->error, error, "%s '%.*s'", what, 80, name);
}

/* Out of `dir` to the top, under a free name. Replacing an empty directory there would be no loss: it is trash. */
static void move_to_top(struct trash *t, int dir, const char *name)
{
    char free_name[32];
    bool may_write = false; /* a directory changes its parent only where it may be written itself */
    for (;;) {
        fmt_to(free_name, sizeof(free_name), ".moved-%lu", t->moved++);
        if (renameat(dir, name, t->top, free_name) == 0)
            return;
        if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
            continue;
        if (errno != EACCES || may_write || fchmodat(dir, name, 0700, 0) < 0) {
            note(t, errno, "move", name);
            return;
        }
        may_write = true;
    }
}

static bool is_dot(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Takes the descriptor over. NULL after noting why. */
static DIR *read_directory(struct trash *t, int fd, const char *name)
{
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir)
        return dir;
    note(t, errno, "open", name);
    fd_close(&fd);
    return NULL;
}

static int open_directory(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd;
}

/* Leaves `name`, a directory at the top, without content: files are removed, directories moved beside it. */
static void clear(struct trash *t, const char *name)
{
    DIR *dir = read_directory(t, open_directory(t->top, name), name);
    if (!dir)
        return;
    (void)fchmod(dirfd(dir), 0700); /* where it fails, removing says so */
    for (struct dirent *at; (errno = 0, at = readdir(dir));) {
        if (is_dot(at->d_name))
            continue;
        if (unlinkat(dirfd(dir), at->d_name, 0) == 0 ||
            (errno == EISDIR && unlinkat(dirfd(dir), at->d_name, AT_REMOVEDIR) == 0))
            t->removed++;
        else if (errno == ENOTEMPTY || errno == EEXIST)
            move_to_top(t, dirfd(dir), at->d_name);
        else
            note(t, errno, "remove", at->d_name);
    }
    if (errno)
        note(t, errno, "list", name);
    closedir(dir);
}

/* Removes each entry of the top once. True when something was left or has come. */
static bool pass(struct trash *t)
{
    bool left = false;
    DIR *dir = read_directory(t, openat(t->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ".");
    if (!dir)
        return false;
    for (struct dirent *at; (errno = 0, at = readdir(dir));) {
        if (is_dot(at->d_name))
            continue;
        if (unlinkat(t->top, at->d_name, 0) == 0) {
            t->removed++;
            continue;
        }
        left = true;
        if (errno != EISDIR) {
            note(t, errno, "remove", at->d_name);
            continue;
        }
        clear(t, at->d_name);
        if (unlinkat(t->top, at->d_name, AT_REMOVEDIR) == 0)
            t->removed++;
        else
            note(t, errno, "remove", at->d_name);
    }
    if (errno)
        note(t, errno, "list", ".");
    closedir(dir);
    return left;
}

int cmd_delete_trees(int argc, char **argv)
{
    const char *from = "/trash";
    const struct option table[] = {{.name = "from", .kind = OPTION_TEXT, .target = &from}, {0}};
    struct options o = {.command = "delete-trees", .tables = {table}};
    struct trash t = {.top = -1};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    t.top = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t.top < 0) {
        fprintf(stderr, "open '%s': %s\n", from, strerror(errno));
        return CMD_FAILED;
    }
    /* An error is only final when a whole pass removed nothing: a directory may become empty in the next one. */
    for (bool left = true; left;) {
        t.removed = 0;
        t.error = (struct err){0};
        left = pass(&t) && t.removed > 0;
    }
    fd_close(&t.top);
    if (t.error.code)
        fprintf(stderr, "%s\n", t.error.text);
    return t.error.code ? CMD_FAILED : CMD_OK;
}
