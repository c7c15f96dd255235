/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/confine.h"

#include "base/fdio.h"
#include "os/caps.h"
#include "os/landlock.h"
#include "os/rlimit.h"
#include "os/seccomp_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DENY(name, why)                                                                                                \
    {                                                                                                                  \
        .syscall = (name), .error = EPERM, .reason = (why)                                                             \
    }
#define ANSWER(name, errnum, why)                                                                                      \
    {                                                                                                                  \
        .syscall = (name), .error = (errnum), .reason = (why)                                                          \
    }
#define ALLOW_IF(name, arg, bits, is, why)                                                                             \
    {                                                                                                                  \
        .syscall = (name), .condition_count = 1, .conditions = {{(arg), (bits), (is)}}, .reason = (why)                \
    }
#define ALLOW_INT(name, arg, is, why) ALLOW_IF(name, arg, INT_MASK, is, why)
#define FCNTL(command, why)           ALLOW_INT("fcntl", 1, command, why)

/* clone(2) for a thread of this process and nothing else: not a process, not a namespace. */
#define THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACE_FLAGS                                                                                                \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static const struct seccomp_rule rows[] = {
    /* -- the loop -- */
    ALLOW("epoll_create1", "libev"),
    ALLOW("epoll_ctl", "libev"),
    ALLOW("epoll_wait", "libev"),
    ALLOW("epoll_pwait", "libev"),
    ALLOW("eventfd2", "libev: waking the loop from the store's thread"),
    ALLOW("timerfd_create", "libev: jumps of the clock"),
    ALLOW("timerfd_settime", "libev: jumps of the clock"),
    ALLOW("poll", "libev and the C library"),
    ALLOW("ppoll", "the C library"),
    ALLOW("pipe2", "libev, where there is no eventfd"),
    ALLOW("clock_gettime", "deadlines, where the vDSO does not answer"),
    ALLOW("clock_getres", "libev"),
    ALLOW("clock_nanosleep", "SQLite's busy handler"),
    ALLOW("nanosleep", "SQLite's busy handler"),
    ALLOW("gettimeofday", "libev, SQLite"),
    ALLOW("restart_syscall", "the kernel's own"),

    /* -- sockets: all were made by the supervisor or accepted -- */
    ALLOW("accept4", "connections"),
    ALLOW("accept", "connections"),
    ALLOW("recvmsg", "workers, init, the supervisor: descriptors arrive this way"),
    ALLOW("sendmsg", "workers, init, the supervisor"),
    ALLOW("recvfrom", "connections"),
    ALLOW("sendto", "connections"),
    ALLOW("shutdown", "connections"),
    ALLOW("getsockname", "which address was reached"),
    ALLOW("getpeername", "who asks"),
    ALLOW("getsockopt", "who asks: SO_PEERCRED"),
    SOCKOPT(SOL_SOCKET, SO_ATTACH_FILTER, EPERM, "no BPF programs of one's own in the kernel"),
    SOCKOPT(SOL_SOCKET, SOCKOPT_ATTACH_REUSEPORT_CBPF, EPERM, "no BPF programs of one's own in the kernel"),
    ALLOW("setsockopt", "TCP_NODELAY, buffer sizes"),
    DENY("socket", "the gateway calls nobody: no address family at all"),
    {.syscall = "socketpair",
     .condition_count = 2,
     .conditions = {{0, INT_MASK, AF_UNIX}, {1, INT_MASK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK}},
     .reason = "a child of a template gets one end: it leads to nobody who is not handed the other"},
    DENY("socketpair", "the gateway calls nobody"),
    DENY("connect", "the gateway calls nobody"),
    DENY("bind", "the supervisor holds the addresses"),
    DENY("listen", "the supervisor holds the addresses"),

    /* -- files: Landlock says which -- */
    ALLOW("read", "connections, pipes, files"),
    ALLOW("write", "connections, pipes, files"),
    ALLOW("readv", "connections"),
    ALLOW("writev", "connections: head and body in one"),
    ALLOW("pread64", "SQLite, logs"),
    ALLOW("pwrite64", "SQLite, event memfds"),
    ALLOW("lseek", "files"),
    ALLOW("open", "SQLite, logs, code trees to digest"),
    ALLOW("openat", "SQLite, logs, code trees to digest"),
    ALLOW("close", "descriptors"),
    ALLOW("dup", "descriptors"),
    ALLOW("dup3", "descriptors"),
    ALLOW("stat", "files"),
    ALLOW("fstat", "files"),
    ALLOW("lstat", "files"),
    ALLOW("newfstatat", "files"),
    ALLOW("statx", "files"),
    ALLOW("statfs", "is there room"),
    ALLOW("fstatfs", "is there room"),
    ALLOW("access", "SQLite"),
    ALLOW("faccessat", "SQLite"),
    ALLOW("faccessat2", "SQLite"),
    ALLOW("readlink", "SQLite, links in code trees"),
    ALLOW("readlinkat", "SQLite, links in code trees"),
    ALLOW("getcwd", "SQLite"),
    ALLOW("getdents64", "code trees, the log directory"),
    ALLOW("ftruncate", "SQLite, event memfds"),
    ALLOW("fallocate", "SQLite's shared memory file, event memfds"),
    ALLOW("fsync", "the registry is durable"),
    ALLOW("fdatasync", "the registry is durable"),
    ALLOW("unlink", "SQLite's journal, old logs"),
    ALLOW("unlinkat", "SQLite's journal, old logs"),
    ALLOW("rename", "rotation of logs"),
    ALLOW("renameat", "rotation of logs"),
    ALLOW("renameat2", "rotation of logs"),
    ALLOW("mkdir", "a function's log directory"),
    ALLOW("mkdirat", "a function's log directory"),
    ALLOW("rmdir", "a function's log directory"),
    ALLOW("fchmod", "SQLite's journal has its database's mode"),
    ALLOW("umask", "modes of new files"),
    ALLOW("fadvise64", "a hint"),
    ALLOW("flock", "files"),
    ALLOW("memfd_create", "events as a program's stdin"),
    ALLOW("sendfile", "bodies"),
    ALLOW("splice", "logs of template children: reads that can't block, whatever the other side makes of the pipe"),
    FCNTL(F_DUPFD, "descriptors"),
    FCNTL(F_DUPFD_CLOEXEC, "descriptors"),
    FCNTL(F_GETFD, "descriptors"),
    FCNTL(F_SETFD, "descriptors"),
    FCNTL(F_GETFL, "descriptors"),
    FCNTL(F_SETFL, "non-blocking"),
    FCNTL(F_GETLK, "SQLite's locks"),
    FCNTL(F_SETLK, "SQLite's locks"),
    FCNTL(F_SETLKW, "SQLite's locks"),
    FCNTL(F_OFD_GETLK, "locks"),
    FCNTL(F_OFD_SETLK, "locks"),
    FCNTL(F_OFD_SETLKW, "locks"),
    FCNTL(F_ADD_SEALS, "event memfds"),
    FCNTL(F_GET_SEALS, "event memfds"),
    DENY("fcntl", "F_SETOWN would send signals"),
    ALLOW_INT("ioctl", 1, FIONREAD, "how much can be read"),
    ALLOW_INT("ioctl", 1, FIONBIO, "non-blocking"),
    ALLOW_INT("ioctl", 1, SECCOMP_IOCTL_NOTIF_RECV, "system calls that a function is watched for"),
    ALLOW_INT("ioctl", 1, SECCOMP_IOCTL_NOTIF_SEND,
              "and the answer, which is never more than the function's filter has"),
    ALLOW_INT("ioctl", 1, TIOCSWINSZ, "the size of a shell's terminal"),
    ANSWER("ioctl", ENOTTY, "nothing else is a terminal or a device"),

    /* -- memory: never both written by this process and executed -- */
    ALLOW_IF("mmap", 2, PROT_EXEC, 0, "memory, not for code"),
    DENY("mmap", "no new code"),
    ALLOW_IF("mprotect", 2, PROT_EXEC, 0, "memory, not for code"),
    DENY("mprotect", "no new code"),
    ALLOW("munmap", "memory"),
    ALLOW("mremap", "memory"),
    ALLOW("madvise", "memory is given back"),
    ALLOW("brk", "memory"),

    /* -- the store's thread -- */
    ALLOW_IF("clone", 0, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS, "threads of this process"),
    DENY("clone", "no processes, no namespaces"),
    ANSWER("clone3", ENOSYS, "its flags stand behind a pointer; the C library falls back to clone"),
    ALLOW("futex", "locks"),
    ALLOW("set_robust_list", "threads"),
    ALLOW("rseq", "threads"),
    ALLOW("sched_yield", "threads"),
    ALLOW("sched_getaffinity", "how many processors there are"),
    ALLOW("getcpu", "the C library"),
    ALLOW("membarrier", "the C library"),
    ALLOW("exit", "threads"),
    ALLOW("exit_group", "the end"),
    ALLOW_INT("prctl", 0, PR_SET_NAME, "names of threads"),
    DENY("prctl", "nothing else of this process is to change"),

    /* -- itself -- */
    ALLOW("rt_sigaction", "signals"),
    ALLOW("rt_sigprocmask", "signals"),
    ALLOW("rt_sigreturn", "signals"),
    ALLOW("sigaltstack", "signals"),
    {.syscall = "tgkill",
     .condition_count = 1,
     .conditions = {{0, INT_MASK, 0}},
     .reason = "abort(): this process alone"},
    DENY("tgkill", "no signals to others"),
    DENY("kill", "no signals to others: the supervisor kills"),
    DENY("tkill", "no signals to others"),
    DENY("rt_sigqueueinfo", "no signals to others"),
    DENY("rt_tgsigqueueinfo", "no signals to others"),
    DENY("pidfd_send_signal", "no signals to others"),
    ALLOW("getpid", "itself"),
    ALLOW("gettid", "itself"),
    ALLOW("getuid", "itself"),
    ALLOW("geteuid", "SQLite"),
    ALLOW("getgid", "itself"),
    ALLOW("getegid", "itself"),
    ALLOW("getrusage", "its own usage"),
    ALLOW("sysinfo", "how much memory there is"),
    ALLOW("uname", "the C library"),
    ALLOW("getrandom", "identifiers"),
    ALLOW("getrlimit", "reading"),
    {.syscall = "prlimit64",
     .condition_count = 2,
     .conditions = {{0, INT_MASK, 0}, {2, UINT64_MAX, 0}},
     .reason = "reading its own limits"},
    DENY("prlimit64", "no limit changes"),

    /* -- known and denied; what no row names does not exist -- */
    DENY("execve", "runs nothing: programs are init's"),
    DENY("execveat", "runs nothing: programs are init's"),
    DENY("fork", "no processes"),
    DENY("vfork", "no processes"),
    DENY("ptrace", "no other process's memory"),
    DENY("process_vm_readv", "no other process's memory"),
    DENY("process_vm_writev", "no other process's memory"),
    DENY("pidfd_open", "no other process"),
    DENY("pidfd_getfd", "no other process's descriptors"),
    DENY("mount", "no mounts"),
    DENY("umount2", "no mounts"),
    DENY("pivot_root", "no mounts"),
    DENY("chroot", "no mounts"),
    DENY("unshare", "no namespaces"),
    DENY("setns", "no namespaces"),
    DENY("setuid", "its ids are what they are"),
    DENY("setgid", "its ids are what they are"),
    DENY("setreuid", "its ids are what they are"),
    DENY("setregid", "its ids are what they are"),
    DENY("setresuid", "its ids are what they are"),
    DENY("setresgid", "its ids are what they are"),
    DENY("setgroups", "its ids are what they are"),
    DENY("capset", "it has no capabilities"),
    DENY("bpf", "no programs in the kernel"),
    DENY("keyctl", "no keys"),
    DENY("seccomp", "the filter is complete"),
    DENY("setrlimit", "no limit changes"),
#ifdef CONFINE_SANITIZED
    /* -- what the sanitizers' runtime asks in a build for tests -- */
    ALLOW("arch_prctl", "sanitizers"),
    ALLOW("dup2", "sanitizers"),
    ALLOW("getppid", "sanitizers"),
    ALLOW("rt_sigpending", "sanitizers"),
#endif
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

#ifdef CONFINE_SANITIZED
#include <sanitizer/lsan_interface.h>

static int is_confined;

/* The search for leaks at exit stops all threads with ptrace, which this filter denies, and that of the unpacker's sandbox too: no_new_privs or
 * an error tells it. The supervisor and the command line search. */
int __lsan_is_turned_off(void)
{
    return is_confined || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0;
}
#endif

const struct seccomp_rule *gateway_confine_rules(size_t *ret_count)
{
    *ret_count = ROWS;
    return rows;
}

static int check_power(bool shares_id, struct err *e)
{
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) < 0)
        return err_set(e, errno, "read the user ids");
    if ((real == 0 || effective == 0 || saved == 0) && !shares_id)
        return err_say(e, EPERM, "the gateway must not run as root");
    int r = caps_check_none(0, e);
    if (r < 0)
        return r;
    struct stat st;
    if (stat("/proc/self/task", &st) < 0)
        return err_set(e, errno, "count the threads");
    if (st.st_nlink != 3) /* "." and ".." count, and one for each thread */
        return err_say(e, EPERM, "the gateway has more than one thread too early");
    return 0;
}

static int limit_resources(struct err *e)
{
    static const int none[] = {RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        int r = rlimit_set(none[i], 0, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int restrict_paths(const struct gateway_boot *boot, struct err *e)
{
    const struct landlock_path paths[] = {
        {boot->db_dir, LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE},
        {boot->log_dir, LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE},
        {boot->versions_dir, LANDLOCK_RIGHT_READ},
        {boot->staging_dir, LANDLOCK_RIGHT_READ},
        {"/dev/null", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE},
        {"/sys/devices/system/cpu/online", LANDLOCK_RIGHT_READ},
    };
    const struct landlock_spec spec = {
        .paths = paths,
        .path_count = sizeof(paths) / sizeof(paths[0]),
        .deny_tcp = true, /* bind and connect; accepting needs neither */
        .scope = true,
    };
    return landlock_restrict(&spec, e);
}

static int load_filter(struct err *e)
{
    scoped_free struct seccomp_rule *own = malloc(sizeof(rows));
    if (!own)
        return err_set(e, ENOMEM, "build the gateway's system call filter");
    memcpy(own, rows, sizeof(rows));
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(own[i].syscall, "tgkill") == 0 && own[i].condition_count)
            own[i].conditions[0].value = (uint64_t)getpid();
    struct seccomp_program program;
    int r = seccomp_build(own, ROWS, ENOSYS, &program, e);
    if (r < 0)
        return r;
    r = seccomp_attach(&program, e);
    seccomp_program_fini(&program);
    return r;
}

int gateway_confine(const struct gateway_boot *boot, struct err *e)
{
    int r = check_power(boot->shares_id, e);
    if (r < 0)
        return err_wrap(e, "confine the gateway");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set(e, errno, "confine the gateway: prctl");
    r = limit_resources(e);
    if (r == 0)
        r = restrict_paths(boot, e);
    if (r == 0)
        r = load_filter(e);
#ifdef CONFINE_SANITIZED
    is_confined = r == 0;
#endif
    return r < 0 ? err_wrap(e, "confine the gateway") : 0;
}
