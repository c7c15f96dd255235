/* SPDX-License-Identifier: Apache-2.0 */
/* What can fail, and how: the first error is the one that a busy or full host gives, the others are what else the manual page names. Part of inject.c. */
#ifndef FAASD_FAULTS_CALLS_H
#define FAASD_FAULTS_CALLS_H

#include <dirent.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define CALL(name, ...)                                                                                                \
    static struct call call_##name __attribute__((section("inject_calls"), used)) = {#name, NULL, {__VA_ARGS__, 0}};

extern struct call __start_inject_calls[], __stop_inject_calls[];

static void find_all(void)
{
    for (struct call *c = __start_inject_calls; c < __stop_inject_calls; c++)
        find_real(c);
}

static bool can_be_interrupted(const struct call *c)
{
    for (unsigned i = 0; c->errors[i]; i++)
        if (c->errors[i] == EINTR)
            return true;
    return false;
}

/* What its caller meets instead of the call. */
static __attribute__((always_inline)) inline int meet(struct call *c)
{
    find_real(c);
    int error = must_fail(c, CONTROL_CALLS);
    if (!error && can_be_interrupted(c) && must_interrupt(c, __builtin_return_address(0)))
        error = EINTR;
    if (error)
        errno = error;
    return error;
}

#define WRAP(type, name, parameters, arguments, ...)                                                                   \
    CALL(name, __VA_ARGS__)                                                                                            \
    type name parameters                                                                                               \
    {                                                                                                                  \
        return meet(&call_##name) ? (type)-1 : ((type(*) parameters)call_##name.real)arguments;                        \
    }

#define WRAP_NULL(type, name, parameters, arguments, ...)                                                              \
    CALL(name, __VA_ARGS__)                                                                                            \
    type name parameters                                                                                               \
    {                                                                                                                  \
        return meet(&call_##name) ? NULL : ((type(*) parameters)call_##name.real)arguments;                            \
    }

/* ---- memory ---- */

enum { EARLY_BYTES = 1 << 16 };
static char early[EARLY_BYTES]; /* for what dlsym() itself asks for */
static size_t early_used;

static bool is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

static void *take_early(size_t n)
{
    size_t at = early_used;
    early_used += (n + 15) & ~(size_t)15;
    return early_used <= sizeof(early) ? early + at : NULL;
}

static bool is_finding;
static bool is_too_early(struct call *c)
{
    if (c->real)
        return false;
    if (is_finding)
        return true;
    is_finding = true;
    find_real(c);
    is_finding = false;
    return false;
}

static __attribute__((noinline)) bool must_lack(struct call *c)
{
    int error = must_fail(c, CONTROL_MEMORY);
    if (error)
        errno = error;
    return error != 0;
}

CALL(malloc, ENOMEM)
void *malloc(size_t n)
{
    if (is_too_early(&call_malloc))
        return take_early(n);
    return must_lack(&call_malloc) ? NULL : ((void *(*)(size_t))call_malloc.real)(n);
}

CALL(calloc, ENOMEM)
void *calloc(size_t n, size_t size)
{
    if (is_too_early(&call_calloc))
        return take_early(n * size);
    return must_lack(&call_calloc) ? NULL : ((void *(*)(size_t, size_t))call_calloc.real)(n, size);
}

CALL(realloc, ENOMEM)
void *realloc(void *old, size_t n)
{
    if (is_too_early(&call_realloc) || is_early(old))
        abort(); /* nobody does */
    return must_lack(&call_realloc) ? NULL : ((void *(*)(void *, size_t))call_realloc.real)(old, n);
}

CALL(reallocarray, ENOMEM)
void *reallocarray(void *old, size_t n, size_t size)
{
    find_real(&call_reallocarray);
    return must_lack(&call_reallocarray) ? NULL
                                         : ((void *(*)(void *, size_t, size_t))call_reallocarray.real)(old, n, size);
}

CALL(free, ENOMEM)
void free(void *p)
{
    if (!is_early(p) && !is_too_early(&call_free))
        ((void (*)(void *))call_free.real)(p);
}

CALL(mmap, ENOMEM, EAGAIN)
void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (is_too_early(&call_mmap))
        return MAP_FAILED;
    return meet(&call_mmap) ? MAP_FAILED
                            : ((void *(*)(void *, size_t, int, int, int, off_t))call_mmap.real)(at, n, protection,
                                                                                                flags, fd, offset);
}

CALL(mmap64, ENOMEM, EAGAIN)
void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset)
{
    if (is_too_early(&call_mmap64))
        return MAP_FAILED;
    return meet(&call_mmap64) ? MAP_FAILED
                              : ((void *(*)(void *, size_t, int, int, int, off64_t))call_mmap64.real)(
                                    at, n, protection, flags, fd, offset);
}

CALL(mremap, ENOMEM, EAGAIN)
void *mremap(void *old, size_t old_n, size_t n, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    void *at = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
    va_end(ap);
    return meet(&call_mremap)
               ? MAP_FAILED
               : ((void *(*)(void *, size_t, size_t, int, void *))call_mremap.real)(old, old_n, n, flags, at);
}

/* ---- opening ---- */

/* EINTR is for what makes an open wait: FIFOs and slow devices, which faasd opens none of. */
#define OPENING EMFILE, ENOMEM, EIO, EACCES

static unsigned take_mode(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, unsigned) : 0;
}

#define WRAP_OPEN(name)                                                                                                \
    CALL(name, OPENING)                                                                                                \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        unsigned mode = take_mode(flags, ap);                                                                          \
        va_end(ap);                                                                                                    \
        return meet(&call_##name) ? -1 : ((int (*)(const char *, int, ...))call_##name.real)(path, flags, mode);       \
    }
#define WRAP_OPENAT(name)                                                                                              \
    CALL(name, OPENING)                                                                                                \
    int name(int dir, const char *path, int flags, ...)                                                                \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        unsigned mode = take_mode(flags, ap);                                                                          \
        va_end(ap);                                                                                                    \
        return meet(&call_##name) ? -1                                                                                 \
                                  : ((int (*)(int, const char *, int, ...))call_##name.real)(dir, path, flags, mode);  \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
int __open_2(const char *path, int flags);
WRAP(int, __open_2, (const char *path, int flags), (path, flags), OPENING)
int __open64_2(const char *path, int flags);
WRAP(int, __open64_2, (const char *path, int flags), (path, flags), OPENING)
int __openat_2(int dir, const char *path, int flags);
WRAP(int, __openat_2, (int dir, const char *path, int flags), (dir, path, flags), OPENING)
WRAP_NULL(FILE *, fopen, (const char *path, const char *mode), (path, mode), EMFILE, ENOMEM)
WRAP_NULL(DIR *, opendir, (const char *path), (path), EMFILE, ENOMEM)
WRAP_NULL(DIR *, fdopendir, (int fd), (fd), ENOMEM)
WRAP_NULL(struct dirent *, readdir, (DIR * d), (d), EIO)
WRAP(int, scandirat,
     (int dir, const char *path, struct dirent ***list, int (*f)(const struct dirent *),
      int (*c)(const struct dirent **, const struct dirent **)),
     (dir, path, list, f, c), ENOMEM, EMFILE)

/* Not the memory that it takes itself: short of that, glibc's (2.36) frees twice. */
CALL(glob, ENOMEM)
int glob(const char *pattern, int flags, int (*f)(const char *, int), glob_t *ret)
{
    if (meet(&call_glob))
        return GLOB_NOSPACE;
    inside = true;
    int r = ((int (*)(const char *, int, int (*)(const char *, int), glob_t *))call_glob.real)(pattern, flags, f, ret);
    inside = false;
    return r;
}

WRAP(int, pipe2, (int ends[2], int flags), (ends, flags), EMFILE, ENFILE)
WRAP(int, socketpair, (int domain, int type, int protocol, int ends[2]), (domain, type, protocol, ends), EMFILE, ENFILE)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, ENOBUFS)
WRAP(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags), EMFILE, ECONNABORTED,
     ENOBUFS, EPROTO, EINTR)
WRAP(int, dup, (int fd), (fd), EMFILE)
WRAP(int, dup2, (int fd, int to), (fd, to), EMFILE, EBUSY)
WRAP(int, dup3, (int fd, int to, int flags), (fd, to, flags), EMFILE, EBUSY)
WRAP(int, eventfd, (unsigned value, int flags), (value, flags), EMFILE, ENOMEM)
WRAP(int, epoll_create1, (int flags), (flags), EMFILE, ENOMEM)
WRAP(int, epoll_create, (int size), (size), EMFILE, ENOMEM)
WRAP(int, signalfd, (int fd, const sigset_t *s, int flags), (fd, s, flags), EMFILE, ENOMEM)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), EMFILE, ENOMEM)
WRAP(int, inotify_init1, (int flags), (flags), EMFILE, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE, ENOMEM)
int pidfd_open(pid_t pid, unsigned flags);
WRAP(int, pidfd_open, (pid_t pid, unsigned flags), (pid, flags), EMFILE, ENOMEM)

/* Linux closes what it then reports (close(2)). */
CALL(close, EIO, EDQUOT)
int close(int fd)
{
    find_real(&call_close);
    int error = must_fail(&call_close, CONTROL_CALLS);
    int r = ((int (*)(int))call_close.real)(fd);
    if (error)
        errno = error;
    return error ? -1 : r;
}

/* ---- bytes ---- */

/* An eventfd that does not block knows EAGAIN and no other error, and nobody interrupts it (eventfd(2)); libev and the bells of the threads rely on that. */
static bool is_bell(int fd, size_t n)
{
    struct stat st;
    return n == 8 && control && control->mode != CONTROL_OFF && raw(SYS_fstat, fd, &st) == 0 &&
           (st.st_mode & S_IFMT) == 0;
}

#define WRAP_BYTES(name, parameters, arguments, fd, n, is_write, ...)                                                  \
    CALL(name, __VA_ARGS__)                                                                                            \
    ssize_t name parameters                                                                                            \
    {                                                                                                                  \
        if (!is_bell(fd, n) && meet(&call_##name))                                                                     \
            return -1;                                                                                                 \
        n = shorten(fd, n, is_write);                                                                                  \
        return ((ssize_t(*) parameters)call_##name.real)arguments;                                                     \
    }
WRAP_BYTES(read, (int fd, void *p, size_t n), (fd, p, n), fd, n, false, EIO, ENOMEM, EINTR)
WRAP_BYTES(write, (int fd, const void *p, size_t n), (fd, p, n), fd, n, true, ENOSPC, EIO, EPIPE, EINTR)
WRAP_BYTES(pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), fd, n, false, EIO, ENOMEM, EINTR)
WRAP_BYTES(pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at), fd, n, false, EIO, ENOMEM, EINTR)
WRAP_BYTES(pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), fd, n, true, ENOSPC, EIO, EINTR)
WRAP_BYTES(pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at), fd, n, true, ENOSPC, EIO, EINTR)
WRAP_BYTES(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), fd, n, false, ENOMEM, ECONNRESET, EINTR)
WRAP_BYTES(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), fd, n, true, ENOBUFS, EPIPE,
           ECONNRESET, EINTR)
WRAP_BYTES(sendfile, (int fd, int from, off_t *at, size_t n), (fd, from, at, n), fd, n, true, EIO, ENOMEM, ENOSPC,
           EINTR)
WRAP_BYTES(copy_file_range, (int from, off64_t *at, int fd, off64_t *to, size_t n, unsigned flags),
           (from, at, fd, to, n, flags), fd, n, true, EIO, ENOSPC, EINTR)
WRAP_BYTES(splice, (int from, off64_t *at, int fd, off64_t *to, size_t n, unsigned flags), (from, at, fd, to, n, flags),
           from, n, false, ENOMEM, EINTR)
ssize_t __pread_chk(int fd, void *p, size_t n, off_t at, size_t room);
WRAP_BYTES(__pread_chk, (int fd, void *p, size_t n, off_t at, size_t room), (fd, p, n, at, room), fd, n, false, EIO,
           ENOMEM, EINTR)
ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
WRAP_BYTES(__read_chk, (int fd, void *p, size_t n, size_t room), (fd, p, n, room), fd, n, false, EIO, ENOMEM, EINTR)
ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags);
WRAP_BYTES(__recv_chk, (int fd, void *p, size_t n, size_t room, int flags), (fd, p, n, room, flags), fd, n, false,
           ENOMEM, ECONNRESET, EINTR)
WRAP(ssize_t, sendto, (int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t length),
     (fd, p, n, flags, a, length), ENOBUFS, EPIPE, EINTR)
/* ENOBUFS: netlink(7), the kernel had no room for an answer. */
WRAP(ssize_t, recvfrom, (int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *length),
     (fd, p, n, flags, a, length), ENOBUFS, ENOMEM, EINTR)
ssize_t __recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *a, socklen_t *length);
WRAP(ssize_t, __recvfrom_chk,
     (int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *a, socklen_t *length),
     (fd, p, n, room, flags, a, length), ENOBUFS, ENOMEM, EINTR)

/* A copy of the message whose parts are one byte together; its descriptors go with that byte, as the kernel does it. */
#define WRAP_MESSAGE(name, is_write, ...)                                                                              \
    CALL(name, __VA_ARGS__)                                                                                            \
    ssize_t name(int fd, MESSAGE *m, int flags)                                                                        \
    {                                                                                                                  \
        if (meet(&call_##name))                                                                                        \
            return -1;                                                                                                 \
        size_t first = 0;                                                                                              \
        while (first < m->msg_iovlen && m->msg_iov[first].iov_len == 0)                                                \
            first++;                                                                                                   \
        struct iovec one = first < m->msg_iovlen ? m->msg_iov[first] : (struct iovec){0};                              \
        if (shorten(fd, one.iov_len > 1 || first + 1 < m->msg_iovlen ? 2 : 1, is_write) == 2)                          \
            return ((ssize_t(*)(int, MESSAGE *, int))call_##name.real)(fd, m, flags);                                  \
        struct msghdr copy = *m;                                                                                       \
        one.iov_len = one.iov_len ? 1 : 0;                                                                             \
        copy.msg_iov = &one;                                                                                           \
        copy.msg_iovlen = 1;                                                                                           \
        ssize_t n = ((ssize_t(*)(int, MESSAGE *, int))call_##name.real)(fd, &copy, flags);                             \
        give_back(m, &copy);                                                                                           \
        return n;                                                                                                      \
    }
static void give_back_received(struct msghdr *m, const struct msghdr *copy)
{
    m->msg_namelen = copy->msg_namelen;
    m->msg_controllen = copy->msg_controllen;
    m->msg_flags = copy->msg_flags;
}
static void give_back_nothing(const struct msghdr *m, const struct msghdr *copy)
{
    (void)m;
    (void)copy;
}
#define MESSAGE   struct msghdr
#define give_back give_back_received
WRAP_MESSAGE(recvmsg, false, ENOMEM, ECONNRESET, EINTR)
#undef MESSAGE
#undef give_back
#define MESSAGE   const struct msghdr
#define give_back give_back_nothing
WRAP_MESSAGE(sendmsg, true, ENOBUFS, EPIPE, ETOOMANYREFS, ECONNRESET, EINTR)

/* ---- waiting ---- */

WRAP(int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms), ENOMEM, EINTR)
WRAP(int, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms), EINTR)
WRAP(int, epoll_ctl, (int fd, int op, int of, struct epoll_event *e), (fd, op, of, e), ENOMEM, ENOSPC)
WRAP(int, timerfd_settime, (int fd, int flags, const struct itimerspec *new, struct itimerspec *old),
     (fd, flags, new, old), ECANCELED)
WRAP(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options), EINTR)
WRAP(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options), EINTR)
WRAP(int, flock, (int fd, int op), (fd, op), ENOLCK, EINTR)

/* ---- files ---- */

/* EINTR of flushes is a network file system's; SQLite takes it for a failure as well. */
WRAP(int, fsync, (int fd), (fd), EIO, ENOSPC)
WRAP(int, fdatasync, (int fd), (fd), EIO, ENOSPC)
WRAP(int, syncfs, (int fd), (fd), EIO)
WRAP(int, ftruncate, (int fd, off_t n), (fd, n), EIO, EFBIG, EINTR)
WRAP(int, ftruncate64, (int fd, off64_t n), (fd, n), EIO, EFBIG, EINTR)
WRAP(off_t, lseek, (int fd, off_t at, int whence), (fd, at, whence), EIO)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), EIO, ENOMEM)
WRAP(int, fstat64, (int fd, struct stat64 *st), (fd, st), EIO, ENOMEM)
WRAP(int, stat, (const char *p, struct stat *st), (p, st), EIO, EACCES, ENOMEM)
WRAP(int, stat64, (const char *p, struct stat64 *st), (p, st), EIO, EACCES, ENOMEM)
WRAP(int, lstat, (const char *p, struct stat *st), (p, st), EIO, EACCES, ENOMEM)
WRAP(int, lstat64, (const char *p, struct stat64 *st), (p, st), EIO, EACCES, ENOMEM)
WRAP(int, fstatat, (int d, const char *p, struct stat *st, int flags), (d, p, st, flags), EIO, EACCES, ENOMEM)
WRAP(int, access, (const char *p, int mode), (p, mode), EIO, EACCES)
WRAP(int, faccessat, (int d, const char *p, int mode, int flags), (d, p, mode, flags), EIO, EACCES)
WRAP(ssize_t, readlink, (const char *p, char *out, size_t n), (p, out, n), EIO, EACCES)
WRAP(ssize_t, readlinkat, (int d, const char *p, char *out, size_t n), (d, p, out, n), EIO, EACCES)
WRAP(int, rename, (const char *from, const char *to), (from, to), ENOSPC, EIO)
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), ENOSPC, EIO)
WRAP(int, unlink, (const char *p), (p), EIO, EROFS)
WRAP(int, unlinkat, (int d, const char *p, int flags), (d, p, flags), EIO, EROFS)
WRAP(int, rmdir, (const char *p), (p), EBUSY, EIO)
WRAP(int, mkdir, (const char *p, mode_t mode), (p, mode), ENOSPC, EBUSY, EIO)
WRAP(int, mkdirat, (int d, const char *p, mode_t mode), (d, p, mode), ENOSPC, EBUSY, EIO)
WRAP(int, symlinkat, (const char *to, int d, const char *p), (to, d, p), ENOSPC, EIO)
WRAP(int, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags), ENOSPC, EIO)
WRAP(int, mknod, (const char *p, mode_t mode, dev_t d), (p, mode, d), ENOSPC, ENOMEM)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), EIO, EPERM)
WRAP(int, fchmodat, (int d, const char *p, mode_t mode, int flags), (d, p, mode, flags), EIO, EPERM)
WRAP(int, chmod, (const char *p, mode_t mode), (p, mode), EIO, EPERM)
WRAP(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g), EIO, EPERM)
WRAP(int, fchownat, (int d, const char *p, uid_t u, gid_t g, int flags), (d, p, u, g, flags), EIO, EPERM)
WRAP(int, lchown, (const char *p, uid_t u, gid_t g), (p, u, g), EIO, EPERM)
WRAP(int, inotify_add_watch, (int fd, const char *p, uint32_t mask), (fd, p, mask), ENOSPC, ENOMEM)
WRAP(int, chdir, (const char *p), (p), EIO, EACCES)
WRAP(int, fchdir, (int fd), (fd), EIO, EACCES)

/* ---- sockets ---- */

WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), EADDRINUSE, ENOMEM, EACCES)
WRAP(int, listen, (int fd, int n), (fd, n), EADDRINUSE)
WRAP(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), EAGAIN, ECONNREFUSED, EINTR)
WRAP(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n), ENOBUFS)
WRAP(int, getsockopt, (int fd, int level, int o, void *p, socklen_t *n), (fd, level, o, p, n), ENOBUFS)
WRAP(int, setsockopt, (int fd, int level, int o, const void *p, socklen_t n), (fd, level, o, p, n), ENOMEM)
WRAP(int, shutdown, (int fd, int how), (fd, how), ENOTCONN)

/* ---- processes, limits, namespaces ---- */

WRAP(int, setns, (int fd, int type), (fd, type), ENOMEM)
WRAP(int, unshare, (int flags), (flags), ENOSPC, ENOMEM)
WRAP(int, mount, (const char *a, const char *b, const char *c, unsigned long f, const void *d), (a, b, c, f, d), ENOMEM,
     EBUSY)
WRAP(int, umount2, (const char *p, int flags), (p, flags), EBUSY)
WRAP(int, open_tree, (int d, const char *p, unsigned flags), (d, p, flags), EMFILE, ENOMEM)
WRAP(int, move_mount, (int a, const char *b, int c, const char *d, unsigned flags), (a, b, c, d, flags), ENOMEM, EBUSY)
WRAP(int, mount_setattr, (int d, const char *p, unsigned flags, struct mount_attr *a, size_t n), (d, p, flags, a, n),
     ENOMEM, EBUSY)
WRAP(int, chroot, (const char *p), (p), EIO)
WRAP(int, fstatfs, (int fd, struct statfs *s), (fd, s), ENOMEM)
WRAP(int, sethostname, (const char *p, size_t n), (p, n), EPERM)
WRAP(int, setgroups, (size_t n, const gid_t *g), (n, g), ENOMEM)
WRAP(int, setresuid, (uid_t a, uid_t b, uid_t c), (a, b, c), EAGAIN)
WRAP(int, setresgid, (gid_t a, gid_t b, gid_t c), (a, b, c), EAGAIN)
WRAP(pid_t, setsid, (void), (), EPERM)
WRAP(int, close_range, (unsigned a, unsigned b, int flags), (a, b, flags), ENOMEM, EMFILE)
WRAP(int, mlock, (const void *p, size_t n), (p, n), ENOMEM, EAGAIN)
WRAP(int, sysinfo, (struct sysinfo * i), (i), EFAULT)
int pidfd_send_signal(int fd, int number, siginfo_t *info, unsigned flags);
WRAP(int, pidfd_send_signal, (int fd, int number, siginfo_t *info, unsigned flags), (fd, number, info, flags), EPERM)
int capset(void *header, const void *data);
WRAP(int, capset, (void *header, const void *data), (header, data), EPERM)
int capget(void *header, void *data);
WRAP(int, capget, (void *header, void *data), (header, data), EPERM)

CALL(setpriority, EPERM)
int setpriority(__priority_which_t which, id_t who, int to)
{
    return meet(&call_setpriority) ? -1
                                   : ((int (*)(__priority_which_t, id_t, int))call_setpriority.real)(which, who, to);
}

CALL(setrlimit, EPERM)
int setrlimit(__rlimit_resource_t which, const struct rlimit *to)
{
    return meet(&call_setrlimit)
               ? -1
               : ((int (*)(__rlimit_resource_t, const struct rlimit *))call_setrlimit.real)(which, to);
}

CALL(prlimit, EPERM)
int prlimit(pid_t pid, __rlimit_resource_t which, const struct rlimit *to, struct rlimit *was)
{
    return meet(&call_prlimit) ? -1
                               : ((int (*)(pid_t, __rlimit_resource_t, const struct rlimit *,
                                           struct rlimit *))call_prlimit.real)(pid, which, to, was);
}

#define TAKE_LONGS(last)                                                                                               \
    long a[6];                                                                                                         \
    va_list ap;                                                                                                        \
    va_start(ap, last);                                                                                                \
    for (unsigned i = 0; i < 6; i++)                                                                                   \
        a[i] = va_arg(ap, long);                                                                                       \
    va_end(ap);

#define WRAP_VARIADIC(name, first, type, ...)                                                                          \
    CALL(name, __VA_ARGS__)                                                                                            \
    int name(first x, type request, ...)                                                                               \
    {                                                                                                                  \
        TAKE_LONGS(request)                                                                                            \
        return meet(&call_##name) ? -1 : ((int (*)(first, type, ...))call_##name.real)(x, request, a[0]);              \
    }
WRAP_VARIADIC(fcntl, int, int, EMFILE, EAGAIN, EPERM, ENOLCK)
WRAP_VARIADIC(fcntl64, int, int, EMFILE, EAGAIN, EIO, ENOLCK)
WRAP_VARIADIC(ioctl, int, unsigned long, EIO, EMFILE, ENOMEM)

CALL(prctl, EPERM, ENOMEM)
int prctl(int option, ...)
{
    TAKE_LONGS(option)
    return meet(&call_prctl) ? -1 : ((int (*)(int, ...))call_prctl.real)(option, a[0], a[1], a[2], a[3]);
}

CALL(fork, EAGAIN, ENOMEM)
pid_t fork(void)
{
    if (meet(&call_fork))
        return -1;
    pid_t pid = ((pid_t(*)(void))call_fork.real)();
    if (pid == 0 && role == CONTROL_SUPERVISOR)
        role = CONTROL_FORKED;
    return pid;
}

/* The environment of a process without power is empty: here it gets what tells it where the control file is. */
CALL(execveat, ENOMEM, EIO, EACCES)
int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
    enum { VARIABLES = 8 };
    char variable[256];
    char *environment[VARIABLES + 2];
    unsigned n = 0;
    if (meet(&call_execveat))
        return -1;
    while (envp[n] && n < VARIABLES) {
        environment[n] = envp[n];
        n++;
    }
    if (control_path && strlen(control_path) < sizeof(variable) - sizeof(CONTROL_VARIABLE "=")) {
        strcpy(variable, CONTROL_VARIABLE "=");
        strcat(variable, control_path);
        environment[n++] = variable;
    }
    environment[n] = NULL;
    return ((int (*)(int, const char *, char *const[], char *const[], int))call_execveat.real)(fd, path, argv,
                                                                                               environment, flags);
}

struct thread {
    void *(*run)(void *);
    void *argument;
};

static void *run_thread(void *argument)
{
    struct thread t = *(struct thread *)argument;
    free(argument);
    role = CONTROL_THREAD;
    return t.run(t.argument);
}

CALL(pthread_create, EAGAIN)
int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    if (meet(&call_pthread_create))
        return EAGAIN;
    struct thread *t = ((void *(*)(size_t))call_malloc.real)(sizeof(*t));
    *t = (struct thread){run, argument};
    return ((int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))call_pthread_create.real)(
        ret, attributes, run_thread, t);
}

/* ---- by number: there is nothing to find ---- */

#define NUMBERED(name, ...)                                                                                            \
    static struct call call_##name##_ __attribute__((section("inject_calls"), used)) = {#name, early, {__VA_ARGS__, 0}};
NUMBERED(clone3, EAGAIN, ENOMEM, ENOSPC)
NUMBERED(openat2, EMFILE, ENOMEM, EIO)
NUMBERED(execveat, ENOMEM, EIO, EACCES)
NUMBERED(seccomp, ENOMEM, EACCES)
NUMBERED(keyctl, EDQUOT, ENOMEM)
NUMBERED(pivot_root, EBUSY)
NUMBERED(setgroups, EPERM)
NUMBERED(setresuid, EAGAIN)
NUMBERED(setresgid, EAGAIN)
NUMBERED(getcwd, ENOMEM)
NUMBERED(landlock_create_ruleset, ENOMEM, EMFILE)
NUMBERED(landlock_add_rule, ENOMEM)
NUMBERED(landlock_restrict_self, E2BIG)
NUMBERED(other, ENOMEM)

static struct call *find_numbered(long number)
{
#define CASE(name)                                                                                                     \
    case SYS_##name:                                                                                                   \
        return &call_##name##_;
    switch (number) {
        CASE(clone3)
        CASE(openat2)
        CASE(execveat)
        CASE(seccomp)
        CASE(keyctl)
        CASE(pivot_root)
        CASE(setgroups)
        CASE(setresuid)
        CASE(setresgid)
        CASE(getcwd)
        CASE(landlock_create_ruleset)
        CASE(landlock_add_rule)
        CASE(landlock_restrict_self)
    }
    return &call_other_;
}

static struct call call_syscall __attribute__((section("inject_calls"), used)) = {"syscall", NULL, {ENOSYS, 0}};
long syscall(long number, ...)
{
    TAKE_LONGS(number)
    if (is_too_early(&call_syscall)) {
        errno = ENOSYS;
        return -1;
    }
    if (!inside && meet(find_numbered(number)))
        return -1;
    long r = ((long (*)(long, ...))call_syscall.real)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (r == 0 && number == SYS_clone3)
        role = CONTROL_CHILD;
    return r;
}

/* What this file itself asks the kernel. */
static long raw(long number, ...)
{
    TAKE_LONGS(number)
    int saved = errno;
    long r = ((long (*)(long, ...))call_syscall.real)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    errno = saved;
    return r;
}

#endif
