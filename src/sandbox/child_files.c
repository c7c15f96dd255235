/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/child_files.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/mnt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { CHILD_PATH_MAX = 1024, COPY_CHUNK = 16384 };

/* Where the step's path is at the moment. */
static const char *at(const struct child *c, const struct step *s, char out[CHILD_PATH_MAX])
{
    fmt_to(out, CHILD_PATH_MAX, "%s%s", c->root, s->path);
    return out;
}

int child_private(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    return mnt_make_private(e);
}

int child_tmpfs(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_tmpfs(at(c, s, path), s->number, s->value, e);
}

int child_proc(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_proc(at(c, s, path), s->number, e);
}

int child_chdir(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (chdir(at(c, s, path)) < 0)
        return err_set(e, errno, "enter '%s'", path);
    return 0;
}

int child_dir(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (mkdir(at(c, s, path), 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "make directory '%s'", path);
    return 0;
}

static int make_file(const char *path, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, errno, "make file '%s'", path);
    return fd;
}

int child_file(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    scoped_fd fd = make_file(at(c, s, path), e);
    return fd < 0 ? fd : 0;
}

int child_point(struct child *c, const struct step *s, struct err *e)
{
    struct stat st;
    if (fstat(c->fd[s->slot], &st) < 0)
        return err_set(e, errno, "look at what '%s' is to be", s->path);
    return S_ISDIR(st.st_mode) ? child_dir(c, s, e) : child_file(c, s, e);
}

int child_text(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    scoped_fd fd = make_file(at(c, s, path), e);
    if (fd < 0)
        return fd;
    int r = fd_write_full(fd, s->value, s->number);
    return r < 0 ? err_set(e, -r, "write '%s'", path) : 0;
}

/* What this process has of it ends here; the page cache of the sandbox's own tmpfs is all that is left. */
int child_secret(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    const struct sandbox_secret *from = &c->secrets[s->slot];
    int made = open(at(c, s, path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    scoped_fd fd = made;
    if (fd < 0)
        return err_set(e, errno, "make file '%s'", path);
    int r = from->bytes ? fd_write_full(fd, from->bytes, from->size) : -ENODATA;
    if (from->bytes)
        explicit_bzero(from->bytes, from->size);
    if (r == 0 && fchown(fd, c->plan->inside_id, c->plan->inside_id) < 0)
        r = -errno;
    return r < 0 ? err_set(e, -r, "write '%s'", path) : 0;
}

int child_copy(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX], chunk[COPY_CHUNK];
    scoped_fd from = open(s->value, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return err_set(e, errno, "open '%s'", s->value);
    scoped_fd to = make_file(at(c, s, path), e);
    if (to < 0)
        return to;
    for (;;) {
        ssize_t n = fd_read_full(from, chunk, sizeof(chunk));
        int r = n <= 0 ? (int)n : fd_write_full(to, chunk, (size_t)n);
        if (n <= 0 || r < 0)
            return r < 0 ? err_set(e, -r, "copy '%s'", s->value) : 0;
    }
}

int child_symlink(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (symlink(s->value, at(c, s, path)) < 0)
        return err_set(e, errno, "link '%s' to '%s'", path, s->value);
    return 0;
}

static int attach_clone(const char *source, const char *target, uint64_t attributes, struct err *e)
{
    scoped_fd tree = mnt_clone_tree(AT_FDCWD, source, attributes, e);
    return tree < 0 ? tree : mnt_attach(tree, target, e);
}

/* In a user namespace, as rootless, nobody may make a device: the host's is bound instead. */
int child_node(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (mknod(at(c, s, path), S_IFCHR | 0666, s->number) == 0)
        return chmod(path, 0666) < 0 ? err_set(e, errno, "set the mode of '%s'", path) : 0;
    if (errno != EPERM)
        return err_set(e, errno, "make device '%s'", path);
    int r = child_file(c, s, e);
    return r < 0 ? r : attach_clone(s->value, path, CHILD_NODE_ATTRIBUTES, e);
}

int child_bind(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return attach_clone(s->value, at(c, s, path), s->number, e);
}

int child_rebind(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_bind(s->path, at(c, s, path), e);
}

int child_attach(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_attach(c->fd[s->slot], at(c, s, path), e);
}

int child_attributes(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_set_attributes(at(c, s, path), s->number, e);
}

/* All before the first is attached: a copy holds no other. */
int child_clone_root(struct child *c, const struct step *s, struct err *e)
{
    for (unsigned i = 0; i < s->number; i++) {
        c->roots[i] = mnt_clone_root(e);
        if (c->roots[i] < 0)
            return c->roots[i];
    }
    return 0;
}

int child_slot(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    int r = mnt_attach(c->roots[s->slot], at(c, s, path), e);
    fd_close(&c->roots[s->slot]);
    return r;
}

int child_leave_chroot(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    return mnt_leave_chroot(e);
}

int child_pivot(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    c->root = "";
    return mnt_pivot(e);
}

int child_check_root(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    char cwd[CHILD_PATH_MAX];
    if (chdir("/") < 0)
        return err_set(e, errno, "enter '/'");
    /* The raw call answers "(unreachable)..." for a directory outside of the root. */
    if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || strcmp(cwd, "/") != 0)
        return err_say(e, EPERM, "the working directory is not the root");
    return 0;
}
