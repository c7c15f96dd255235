/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that init makes, without a C library. Each wrapper answers as the kernel does: a negative errno is a failure
 * (syscall(2)). What stands here is also the whole list of what the sandbox's filter must leave to init.
 */
#ifndef FAASD_INIT_SYSCALL_H
#define FAASD_INIT_SYSCALL_H

#include <asm/ioctls.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/resource.h>
#include <linux/time_types.h>
#include <stddef.h>
#include <stdint.h>

/* Inlined always: after sys_vfork() a return address of its own would be written over by the child. */
#if defined(__x86_64__)
static inline __attribute__((always_inline)) long sys_call(long number, const long a[6])
{
    long ret;
    register long a3 __asm__("r10") = a[3];
    register long a4 __asm__("r8") = a[4];
    register long a5 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(a3), "r"(a4), "r"(a5)
                     : "rcx", "r11", "memory");
    return ret;
}
#elif defined(__aarch64__)
static inline __attribute__((always_inline)) long sys_call(long number, const long a[6])
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a[0];
    register long x1 __asm__("x1") = a[1];
    register long x2 __asm__("x2") = a[2];
    register long x3 __asm__("x3") = a[3];
    register long x4 __asm__("x4") = a[4];
    register long x5 __asm__("x5") = a[5];
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "init knows the system calls of x86-64 and aarch64"
#endif

#define SYS(number, ...) sys_call(number, (const long[6]){__VA_ARGS__})

/* Names that the kernel's public headers lack or only the C library defines. */
enum {
    INIT_AF_SOL_SOCKET = 1,
    INIT_SO_TYPE = 3,
    INIT_SCM_RIGHTS = 1,
    INIT_MSG_CTRUNC = 0x8,
    INIT_MSG_TRUNC = 0x20,
    INIT_MSG_NOSIGNAL = 0x4000,
    INIT_MSG_CMSG_CLOEXEC = 0x40000000,
    INIT_SIGKILL = 9,
    INIT_SIGCHLD = 17,
    INIT_CLONE_VM = 0x100,
    INIT_CLONE_VFORK = 0x4000,
    INIT_SIG_SETMASK = 2,
    INIT_SIGNALS = 64,
    INIT_WNOHANG = 1,
    INIT_WAIT_ALL = 0x40000000, /* __WALL: children of raw clone() too */
    INIT_PR_SET_DUMPABLE = 4,
    INIT_POLLIN = 1,
    INIT_POLLOUT = 4,
    INIT_POLLERR = 8,
    INIT_POLLHUP = 16,
    INIT_DT_DIR = 4,
};

struct init_iovec {
    void *base;
    size_t length;
};

struct init_msghdr { /* struct msghdr of recvmsg(2), 64-bit layout */
    void *name;
    int name_length;
    struct init_iovec *iov;
    size_t iov_count;
    void *control;
    size_t control_length;
    unsigned flags;
};

struct init_cmsg { /* one SCM_RIGHTS message with room for two descriptors: CMSG_SPACE(2 * sizeof(int)) */
    size_t length;
    int level;
    int type;
    int fds[2];
};

struct init_pollfd {
    int fd;
    short events;
    short revents;
};

static inline long sys_read(int fd, void *out, size_t n)
{
    return SYS(__NR_read, fd, (long)out, (long)n);
}

static inline long sys_close(int fd)
{
    return SYS(__NR_close, fd);
}

static inline long sys_close_from(unsigned first)
{
    return SYS(__NR_close_range, first, (long)~0U);
}

static inline long sys_dup_to(int from, int to)
{
    return SYS(__NR_dup3, from, to);
}

static inline long sys_pipe(int ret_fds[2])
{
    return SYS(__NR_pipe2, (long)ret_fds, O_CLOEXEC);
}

static inline long sys_open_at(int dir, const char *path, int flags)
{
    return SYS(__NR_openat, dir, (long)path, flags | O_CLOEXEC);
}

static inline long sys_create_at(int dir, const char *path, int flags, unsigned mode)
{
    return SYS(__NR_openat, dir, (long)path, flags | O_CLOEXEC, mode);
}

static inline long sys_stat_fd(int fd, struct stat *ret_stat)
{
    return SYS(__NR_fstat, fd, (long)ret_stat);
}

static inline long sys_send_file(int to, int from, long *at, size_t n)
{
    return SYS(__NR_sendfile, to, from, (long)at, (long)n);
}

static inline long sys_open_how(int dir, const char *path, const struct open_how *how)
{
    return SYS(__NR_openat2, dir, (long)path, (long)how, sizeof(*how));
}

static inline long sys_unlink_at(int dir, const char *name, int flags)
{
    return SYS(__NR_unlinkat, dir, (long)name, flags);
}

static inline long sys_fchmod(int fd, unsigned mode)
{
    return SYS(__NR_fchmod, fd, mode);
}

static inline long sys_chmod_at(int dir, const char *name, unsigned mode)
{
    return SYS(__NR_fchmodat, dir, (long)name, mode);
}

static inline long sys_rewind(int fd)
{
    return SYS(__NR_lseek, fd, 0, 0);
}

static inline long sys_list(int dir, void *out, size_t n)
{
    return SYS(__NR_getdents64, dir, (long)out, (long)n);
}

static inline long sys_statfs(const char *path, struct statfs *ret_statfs)
{
    return SYS(__NR_statfs, (long)path, (long)ret_statfs);
}

static inline long sys_chdir(const char *path)
{
    return SYS(__NR_chdir, (long)path);
}

static inline long sys_umask(unsigned mask)
{
    return SYS(__NR_umask, mask);
}

static inline long sys_receive(int fd, struct init_msghdr *m, int flags)
{
    return SYS(__NR_recvmsg, fd, (long)m, flags);
}

static inline long sys_send(int fd, const struct init_msghdr *m)
{
    return SYS(__NR_sendmsg, fd, (long)m, INIT_MSG_NOSIGNAL);
}

static inline long sys_socket_type(int fd)
{
    int type = 0, length = sizeof(type);
    long r = SYS(__NR_getsockopt, fd, INIT_AF_SOL_SOCKET, INIT_SO_TYPE, (long)&type, (long)&length);
    return r < 0 ? r : type;
}

static inline long sys_poll(struct init_pollfd *fds, size_t count)
{
    return SYS(__NR_ppoll, (long)fds, (long)count);
}

/* vfork(2): the caller's memory and stack are the child's until it executes something or exits, and the caller waits for that. So the child may not return from
 * the function that called this, nor may that one need anything afterwards that the child could write over but the answer. */
static inline __attribute__((always_inline)) long sys_vfork(void)
{
    return SYS(__NR_clone, INIT_CLONE_VM | INIT_CLONE_VFORK | INIT_SIGCHLD);
}

static inline long sys_exec(const char *path, const char *const *argv, const char *const *envp)
{
    return SYS(__NR_execve, (long)path, (long)argv, (long)envp);
}

/* `key`: the register that execveat(2) does not use and the filter of a strict sandbox looks at. */
static inline long sys_exec_with_key(const char *path, const char *const *argv, const char *const *envp, uint64_t key)
{
    return SYS(__NR_execveat, AT_FDCWD, (long)path, (long)argv, (long)envp, 0, (long)key);
}

static inline long sys_wait(int *ret_status, int flags, struct rusage *ret_usage)
{
    return SYS(__NR_wait4, -1, (long)ret_status, flags | INIT_WAIT_ALL, (long)ret_usage);
}

static inline long sys_kill(int pid, int number)
{
    return SYS(__NR_kill, pid, number);
}

static inline long sys_new_session(void)
{
    return SYS(__NR_setsid, 0);
}

static inline long sys_set_terminal(int fd)
{
    return SYS(__NR_ioctl, fd, TIOCSCTTY, 0);
}

static inline long sys_signal_mask(uint64_t mask)
{
    return SYS(__NR_rt_sigprocmask, INIT_SIG_SETMASK, (long)&mask, 0, sizeof(mask));
}

static inline long sys_signal_default(int number)
{
    static const struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } standard;
    return SYS(__NR_rt_sigaction, number, (long)&standard, 0, sizeof(uint64_t));
}

static inline long sys_signal_fd(uint64_t mask)
{
    return SYS(__NR_signalfd4, -1, (long)&mask, sizeof(mask), O_CLOEXEC | O_NONBLOCK);
}

static inline long sys_not_dumpable(void)
{
    return SYS(__NR_prctl, INIT_PR_SET_DUMPABLE, 0);
}

static inline _Noreturn void sys_exit(int status)
{
    for (;;)
        SYS(__NR_exit_group, status);
}

#endif
