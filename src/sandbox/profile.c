/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `default` profile: CPython, Node, Go, Rust, bash and the JVM run in it unchanged; the rest of the kernel is not there. What no row
 * names answers ENOSYS, as a kernel without it would, so that programs fall back. Where they would not, the row says which error they know. What
 * never has an honest use in a sandbox kills, so that it shows.
 *
 * A filter sees only numbers: a row never trusts what a pointer points at, and compares no more bits of an argument than the kernel will look at.
 */
#include "sandbox/profile_table.h"

#include "base/fdio.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

_Static_assert((AF_INET & AF_INET6) == AF_INET && (AF_INET ^ AF_INET6) == 8, "one bit apart");
_Static_assert((SOCK_STREAM & SOCK_SEQPACKET) == SOCK_STREAM && (SOCK_STREAM ^ SOCK_SEQPACKET) == 4, "one bit apart");

enum { TERMINAL_ROWS = 8 };

static const struct seccomp_rule rows[] = {
    /* -- the shell's terminal; the default profile begins behind these rows -- */
    IOCTL(TCGETS, "shell: is this a terminal, and its modes"),
    IOCTL(TCSETS, "shell: line editing"),
    IOCTL(TCSETSW, "shell: line editing"),
    IOCTL(TCSETSF, "shell: line editing"),
    IOCTL(TIOCGPGRP, "shell: job control"),
    IOCTL(TIOCSPGRP, "shell: job control"),
    IOCTL(TIOCGWINSZ, "shell: the window's size"),
    IOCTL(TIOCSCTTY, "shell: init gives the session its terminal"),

    /* -- files -- */
    ALLOW("read", "files, pipes, sockets"),
    ALLOW("write", "files, pipes, sockets"),
    ALLOW("readv", "files, pipes, sockets"),
    ALLOW("writev", "files, pipes, sockets"),
    ALLOW("pread64", "files"),
    ALLOW("pwrite64", "files"),
    ALLOW("preadv", "files"),
    ALLOW("pwritev", "files"),
    ALLOW("preadv2", "files"),
    ALLOW("pwritev2", "files"),
    ALLOW("open", "the mount namespace decides what there is to open"),
    ALLOW("openat", "the mount namespace decides what there is to open"),
    ALLOW("openat2", "as openat; its flags only narrow what is resolved"),
    ALLOW("creat", "as open"),
    ALLOW("close", "descriptors"),
    ALLOW("close_range", "descriptors"),
    ALLOW("dup", "descriptors"),
    ALLOW("dup2", "descriptors"),
    ALLOW("dup3", "descriptors"),
    IF("fcntl", EINVAL, 1, INT_MASK, F_NOTIFY, "as a kernel without dnotify: the inodes of /usr are the host's"),
    ALLOW("fcntl", "descriptors; F_SETOWN signals only this pid namespace"),
    ALLOW("flock", "file locks"),
    ALLOW("lseek", "files"),
    ALLOW("stat", "what a path is"),
    ALLOW("fstat", "what a descriptor is"),
    ALLOW("lstat", "what a path is"),
    ALLOW("newfstatat", "what a path is"),
    ALLOW("statx", "what a path is"),
    ALLOW("statfs", "init asks whether /tmp is empty; programs how much is free"),
    ALLOW("fstatfs", "how much is free"),
    ALLOW("access", "may this be opened"),
    ALLOW("faccessat", "may this be opened"),
    ALLOW("faccessat2", "may this be opened"),
    ALLOW("getdents64", "directories"),
    ALLOW("getcwd", "directories"),
    ALLOW("chdir", "directories"),
    ALLOW("fchdir", "directories; no descriptor leads out of the root"),
    ALLOW("mkdir", "/tmp"),
    ALLOW("mkdirat", "/tmp"),
    ALLOW("rmdir", "/tmp"),
    ALLOW("unlink", "/tmp"),
    ALLOW("unlinkat", "/tmp"),
    ALLOW("rename", "/tmp"),
    ALLOW("renameat", "/tmp"),
    ALLOW("renameat2", "/tmp"),
    ALLOW("link", "/tmp"),
    ALLOW("linkat", "/tmp"),
    ALLOW("symlink", "/tmp"),
    ALLOW("symlinkat", "/tmp"),
    ALLOW("readlink", "links"),
    ALLOW("readlinkat", "links"),
    ALLOW("chmod", "/tmp; a setuid bit has no effect on a nosuid mount"),
    ALLOW("fchmod", "/tmp; a setuid bit has no effect on a nosuid mount"),
    ALLOW("fchmodat", "/tmp; a setuid bit has no effect on a nosuid mount"),
    ALLOW("fchmodat2", "/tmp; a setuid bit has no effect on a nosuid mount"),
    ALLOW("umask", "modes of new files"),
    ALLOW("truncate", "/tmp"),
    ALLOW("ftruncate", "/tmp; RLIMIT_FSIZE and the tmpfs size hold"),
    ALLOW("fallocate", "/tmp; RLIMIT_FSIZE and the tmpfs size hold"),
    ALLOW("fadvise64", "a hint"),
    ALLOW("fsync", "SQLite and others in /tmp"),
    ALLOW("fdatasync", "SQLite and others in /tmp"),
    ALLOW("utimensat", "times of own files"),
    ALLOW("getxattr", "cp and ls read attributes"),
    ALLOW("lgetxattr", "cp and ls read attributes"),
    ALLOW("fgetxattr", "cp and ls read attributes"),
    ALLOW("listxattr", "cp and ls read attributes"),
    ALLOW("llistxattr", "cp and ls read attributes"),
    ALLOW("flistxattr", "cp and ls read attributes"),
    ANSWER("setxattr", EOPNOTSUPP, "as a file system without: /tmp is nobody's archive"),
    ANSWER("lsetxattr", EOPNOTSUPP, "as a file system without"),
    ANSWER("fsetxattr", EOPNOTSUPP, "as a file system without"),
    ANSWER("removexattr", EOPNOTSUPP, "as a file system without"),
    ANSWER("lremovexattr", EOPNOTSUPP, "as a file system without"),
    ANSWER("fremovexattr", EOPNOTSUPP, "as a file system without"),
    ALLOW("copy_file_range", "cp, Go, Rust"),
    ALLOW("sendfile", "Go, Node, Rust"),
    ANSWER("inotify_init", ENOSYS, "counted for who made the user namespace too: one function could use up root's 128"),
    ANSWER("inotify_init1", ENOSYS,
           "as inotify_init; and a watch on /usr/bin would name each program that anybody starts"),
    IF("mknod", 0, 1, S_IFMT, S_IFIFO, "mkfifo in shell scripts"),
    ANSWER("mknod", EPERM, "no device nodes"),
    IF("mknodat", 0, 2, S_IFMT, S_IFIFO, "mkfifo in shell scripts"),
    ANSWER("mknodat", EPERM, "no device nodes"),
    IOCTL(FIONREAD, "how much can be read: JVM, Python"),
    IOCTL(FIONBIO, "non-blocking sockets: CPython, libuv"),
    IOCTL(FIOCLEX, "close-on-exec: libuv"),
    IOCTL(FIONCLEX, "close-on-exec: CPython"),
    IOCTL(SIOCGIFCONF, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFFLAGS, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFADDR, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFNETMASK, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFBRDADDR, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFHWADDR, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFMTU, "the own namespace's interfaces: JVM"),
    IOCTL(SIOCGIFINDEX, "if_nametoindex"),
    IOCTL(SIOCGIFNAME, "if_indextoname"),
    ANSWER("ioctl", ENOTTY,
           "no terminal, no device: TIOCSTI, TIOCLINUX and all others (CVE-2017-5226, CVE-2023-28100)"),

    /* -- memory -- */
    ALLOW("mmap", "memory; W+X for just-in-time compilers"),
    ALLOW("munmap", "memory"),
    ALLOW("mremap", "memory"),
    ALLOW("mprotect", "memory; to executable for just-in-time compilers"),
    ALLOW("madvise", "memory"),
    ALLOW("msync", "memory"),
    ALLOW("brk", "memory"),
    ALLOW("mlock", "bounded by RLIMIT_MEMLOCK"),
    ALLOW("munlock", "memory"),
    ANSWER("mlockall", EPERM, "what RLIMIT_MEMLOCK would say of a whole process"),
    ALLOW("memfd_create",
          "shared memory; executing one is stopped by vm.memfd_noexec, where there is none this row says ENOSYS"),
    ALLOW("pkey_alloc", "V8 guards its generated code"),
    ALLOW("pkey_free", "V8 guards its generated code"),
    ALLOW("pkey_mprotect", "V8 guards its generated code"),
    ALLOW("membarrier", "JVM, Go, .NET"),

    /* -- processes and threads -- */
    NO_NEW_NAMESPACES,
    ALLOW("clone", "fork and threads; bounded by pids.max"),
    ANSWER("clone3", ENOSYS, "its flags stand behind a pointer; C libraries fall back to clone (CVE-2021-41133)"),
    ALLOW("fork", "processes; bounded by pids.max"),
    ALLOW("vfork", "processes; bounded by pids.max"),
    ALLOW("execve", "what the mounts hold; /tmp is noexec unless granted"),
    ALLOW("execveat", "the supervisor starts init with it; programs: fexecve"),
    ALLOW("exit", "threads"),
    ALLOW("exit_group", "processes"),
    ALLOW("wait4", "children"),
    ALLOW("waitid", "children"),
    ALLOW("set_tid_address", "threads"),
    ALLOW("set_robust_list", "threads"),
    ALLOW("rseq", "the C library's threads"),
    ALLOW("futex", "locks"),
    ALLOW("sched_yield", "threads"),
    ALLOW("sched_getaffinity", "how many processors there are"),
    ALLOW("sched_getparam", "threads: reading"),
    ALLOW("sched_getscheduler", "threads: reading"),
    ALLOW("sched_get_priority_max", "threads: reading"),
    ALLOW("sched_get_priority_min", "threads: reading"),
    ANSWER("sched_setaffinity", EPERM, "the share of the processors is the cgroup's"),
    ANSWER("sched_setparam", EPERM, "the share of the processors is the cgroup's"),
    ANSWER("sched_setscheduler", EPERM, "the share of the processors is the cgroup's"),
    ANSWER("sched_setattr", EPERM, "the share of the processors is the cgroup's"),
    ANSWER("setpriority", EPERM, "the share of the processors is the cgroup's"),
    ANSWER("ioprio_set", EPERM, "the share of the disks is the cgroup's"),
    ALLOW("getpriority", "threads: reading"),
    ALLOW("getcpu", "threads"),
    ALLOW("getpid", "identity"),
    ALLOW("getppid", "identity"),
    ALLOW("gettid", "identity"),
    ALLOW("getpgid", "job control"),
    ALLOW("getpgrp", "job control"),
    ALLOW("setpgid", "job control"),
    ALLOW("getsid", "job control"),
    ALLOW("setsid", "job control; init kills by pid namespace, not by session"),
    ALLOW("getuid", "identity"),
    ALLOW("geteuid", "identity"),
    ALLOW("getresuid", "identity"),
    ALLOW("getgid", "identity"),
    ALLOW("getegid", "identity"),
    ALLOW("getresgid", "identity"),
    ALLOW("getgroups", "identity"),
    ALLOW("capget", "identity"),
    ALLOW_INT("prlimit64", 0, 0, "own limits; the hard ones only go down"),
    ANSWER("prlimit64", EPERM, "other processes' limits"),
    ALLOW("getrlimit", "own limits"),
    ALLOW("setrlimit", "own limits; the hard ones only go down"),
    ALLOW("getrusage", "own usage"),
    ALLOW("times", "own usage"),
    PRCTL(PR_SET_PDEATHSIG, "die with the parent"),
    PRCTL(PR_GET_PDEATHSIG, "reading"),
    PRCTL(PR_GET_DUMPABLE, "reading"),
    PRCTL(PR_SET_DUMPABLE, "programs hide from their neighbours; init does"),
    PRCTL(PR_SET_NAME, "thread names"),
    PRCTL(PR_GET_NAME, "thread names"),
    PRCTL(PR_CAPBSET_READ, "reading"),
    PRCTL(PR_SET_TIMERSLACK, "timers"),
    PRCTL(PR_GET_TIMERSLACK, "timers"),
    PRCTL(PR_SET_CHILD_SUBREAPER, "process managers; init still reaps last"),
    PRCTL(PR_GET_CHILD_SUBREAPER, "reading"),
    PRCTL(PR_SET_NO_NEW_PRIVS, "can only be set, and is"),
    PRCTL(PR_GET_NO_NEW_PRIVS, "reading"),
    PRCTL(PR_SET_THP_DISABLE, "memory: JVM, Redis"),
    PRCTL(PR_GET_THP_DISABLE, "reading"),
    PRCTL(PR_GET_SPECULATION_CTRL, "reading"),
    PRCTL(CAN_SET_VMA, "names of memory areas: Go, V8"),
    ANSWER("prctl", EINVAL,
           "as a kernel without the option says: PR_SET_MM, PR_SET_SECCOMP, PR_SET_PTRACER and all others"),
    ALLOW_INT("personality", 0, 0, "the ordinary one"),
    ALLOW_INT("personality", 0, UINT32_MAX, "asks which"),
    ANSWER("personality", EPERM, "no other ABI, no switched-off address randomisation"),
    ALLOW_INT("arch_prctl", 0, X86_SET_FS, "thread-local storage"),
    ALLOW_INT("arch_prctl", 0, X86_GET_FS, "thread-local storage"),
    ANSWER("arch_prctl", EINVAL, "as a kernel without the option says"),

    /* -- signals -- */
    ALLOW("kill", "the pid namespace ends at the sandbox"),
    ALLOW("tkill", "the pid namespace ends at the sandbox"),
    ALLOW("tgkill", "the pid namespace ends at the sandbox: abort, Go's preemption"),
    ALLOW("rt_sigqueueinfo", "the pid namespace ends at the sandbox"),
    ALLOW("rt_sigaction", "signals"),
    ALLOW("rt_sigprocmask", "signals"),
    ALLOW("rt_sigreturn", "signals"),
    ALLOW("rt_sigpending", "signals"),
    ALLOW("rt_sigsuspend", "signals"),
    ALLOW("rt_sigtimedwait", "signals"),
    ALLOW("sigaltstack", "signals"),
    ALLOW("signalfd4", "signals; init waits on one"),
    ALLOW("restart_syscall", "the kernel's own"),
    ALLOW("pause", "signals"),

    /* -- waiting and time -- */
    ALLOW("poll", "waiting"),
    ALLOW("ppoll", "waiting"),
    ALLOW("select", "waiting"),
    ALLOW("pselect6", "waiting"),
    ALLOW("epoll_create", "waiting"),
    ALLOW("epoll_create1", "waiting"),
    ALLOW("epoll_ctl", "waiting"),
    ALLOW("epoll_wait", "waiting"),
    ALLOW("epoll_pwait", "waiting"),
    ALLOW("epoll_pwait2", "waiting"),
    ALLOW("eventfd2", "waiting"),
    ALLOW("pipe", "pipes"),
    ALLOW("pipe2", "pipes"),
    ALLOW("timerfd_create", "timers"),
    ALLOW("timerfd_settime", "timers"),
    ALLOW("timerfd_gettime", "timers"),
    ALLOW("timer_create", "timers; bounded by RLIMIT_SIGPENDING"),
    ALLOW("timer_settime", "timers"),
    ALLOW("timer_gettime", "timers"),
    ALLOW("timer_getoverrun", "timers"),
    ALLOW("timer_delete", "timers"),
    ALLOW("setitimer", "timers"),
    ALLOW("getitimer", "timers"),
    ALLOW("alarm", "timers"),
    ALLOW("nanosleep", "time"),
    ALLOW("clock_nanosleep", "time"),
    ALLOW("clock_gettime", "time, where the vDSO does not answer"),
    ALLOW("clock_getres", "time"),
    ALLOW("gettimeofday", "time"),
    ALLOW("time", "time"),
    ANSWER("clock_settime", EPERM, "the host's clock"),
    ANSWER("settimeofday", EPERM, "the host's clock"),
    ANSWER("adjtimex", EPERM, "the host's clock"),
    ANSWER("clock_adjtime", EPERM, "the host's clock"),

    /* -- sockets: the network namespace holds nothing but lo -- */
    SOCKET("socket", INT_MASK, AF_UNIX, STREAM_LIKE_MASK, SOCK_STREAM, 0, 0, "between own processes"),
    SOCKET("socket", INT_MASK, AF_UNIX, TYPE_MASK, SOCK_DGRAM, 0, 0, "between own processes"),
    SOCKET("socket", INET_MASK, AF_INET, TYPE_MASK, SOCK_STREAM, INT_MASK, 0, "TCP"),
    SOCKET("socket", INET_MASK, AF_INET, TYPE_MASK, SOCK_STREAM, INT_MASK, 6, "TCP, by its number"),
    SOCKET("socket", INET_MASK, AF_INET, TYPE_MASK, SOCK_DGRAM, INT_MASK, 0, "UDP"),
    SOCKET("socket", INET_MASK, AF_INET, TYPE_MASK, SOCK_DGRAM, INT_MASK, 17, "UDP, by its number"),
    ANSWER("socket", EAFNOSUPPORT,
           "no netlink, packet, raw, vsock, alg, SCTP, MPTCP, ...: each a subsystem of its own"),
    SOCKET("socketpair", INT_MASK, AF_UNIX, STREAM_LIKE_MASK, SOCK_STREAM, 0, 0, "between own processes"),
    SOCKET("socketpair", INT_MASK, AF_UNIX, TYPE_MASK, SOCK_DGRAM, 0, 0, "between own processes"),
    ANSWER("socketpair", EAFNOSUPPORT, "as socket"),
    ALLOW("bind", "sockets"),
    ALLOW("connect", "sockets"),
    ALLOW("listen", "sockets"),
    ALLOW("accept", "sockets"),
    ALLOW("accept4", "sockets"),
    ALLOW("getsockname", "sockets"),
    ALLOW("getpeername", "sockets"),
    SOCKOPT(SOL_SOCKET, SO_ATTACH_FILTER, EPERM, "no BPF programs of one's own in the kernel"),
    SOCKOPT(SOL_SOCKET, SOCKOPT_ATTACH_REUSEPORT_CBPF, EPERM, "no BPF programs of one's own in the kernel"),
    SOCKOPT(SOL_SOCKET, SO_LINGER, EINVAL,
            "whoever closes one last waits as long as it says: of a descriptor sent to the gateway that is the "
            "gateway. The error of a socket that is shut down: libuv goes on"),
    SOCKOPT(IPPROTO_TCP, TCP_ULP, ENOENT, "as a kernel without kTLS: OpenSSL falls back"),
    SOCKOPT(IPPROTO_UDP, UDP_ENCAP, ENOPROTOOPT, "as a kernel without IPsec"),
    ALLOW("setsockopt", "sockets"),
    ALLOW("getsockopt", "sockets"),
    ALLOW("shutdown", "sockets"),
    ALLOW("sendto", "sockets"),
    ALLOW("sendmsg", "sockets; init passes descriptors"),
    ALLOW("sendmmsg", "sockets: the C library's resolver"),
    ALLOW("recvfrom", "sockets"),
    ALLOW("recvmsg", "sockets; init takes descriptors"),
    ALLOW("recvmmsg", "sockets"),

    /* -- the rest of what runtimes ask -- */
    ALLOW("uname", "the namespace's own host name"),
    ALLOW("sysinfo", "how much memory there is: C library, JVM"),
    ALLOW("getrandom", "random bytes"),
    ALLOW("landlock_create_ruleset", "programs may confine themselves further"),
    ALLOW("landlock_add_rule", "programs may confine themselves further"),
    ALLOW("landlock_restrict_self", "programs may confine themselves further"),

    /* -- known and denied -- */
    KILL("mount", "changes what there is to see"),
    KILL("umount2", "changes what there is to see"),
    KILL("pivot_root", "changes what there is to see"),
    KILL("mount_setattr", "changes what there is to see"),
    KILL("kexec_load", "takes the host over"),
    KILL("kexec_file_load", "takes the host over"),
    KILL("init_module", "takes the host over"),
    KILL("finit_module", "takes the host over"),
    KILL("delete_module", "takes the host over"),
    KILL("reboot", "takes the host over"),
    KILL("swapon", "the host's memory"),
    KILL("swapoff", "the host's memory"),
    ANSWER("chroot", EPERM, "programs ask and live without"),
    ANSWER("unshare", EPERM, "no new namespaces"),
    ANSWER("setns", EPERM, "no other namespaces"),
    ANSWER("fsopen", ENOSYS, "new mounts (CVE-2022-0185)"),
    ANSWER("fsconfig", ENOSYS, "new mounts (CVE-2022-0185)"),
    ANSWER("fsmount", ENOSYS, "new mounts"),
    ANSWER("fspick", ENOSYS, "new mounts"),
    ANSWER("open_tree", ENOSYS, "new mounts"),
    ANSWER("move_mount", ENOSYS, "new mounts"),
    ANSWER("name_to_handle_at", EPERM, "handles name files past the mount namespace"),
    ANSWER("open_by_handle_at", EPERM, "handles name files past the mount namespace"),
    ANSWER("chown", EPERM, "there is one user inside"),
    ANSWER("fchown", EPERM, "there is one user inside"),
    ANSWER("lchown", EPERM, "there is one user inside"),
    ANSWER("fchownat", EPERM, "there is one user inside"),
    ANSWER("setuid", EPERM, "there is one user inside"),
    ANSWER("setgid", EPERM, "there is one user inside"),
    ANSWER("setreuid", EPERM, "there is one user inside"),
    ANSWER("setregid", EPERM, "there is one user inside"),
    ANSWER("setresuid", EPERM, "there is one user inside"),
    ANSWER("setresgid", EPERM, "there is one user inside"),
    ANSWER("setfsuid", EPERM, "there is one user inside"),
    ANSWER("setfsgid", EPERM, "there is one user inside"),
    ANSWER("setgroups", EPERM, "there is one user inside"),
    ANSWER("capset", EPERM, "there are no capabilities inside"),
    ANSWER("sethostname", EPERM, "the namespace is set up"),
    ANSWER("setdomainname", EPERM, "the namespace is set up"),
    ANSWER("ptrace", EPERM, "other processes' memory"),
    ANSWER("process_vm_readv", EPERM, "other processes' memory"),
    ANSWER("process_vm_writev", EPERM, "other processes' memory"),
    ANSWER("process_madvise", ENOSYS, "other processes' memory"),
    ANSWER("kcmp", EPERM, "compares other processes' kernel pointers"),
    ANSWER("pidfd_open", ENOSYS, "CPython and Go fall back"),
    ANSWER("pidfd_getfd", EPERM, "other processes' descriptors"),
    ANSWER("pidfd_send_signal", ENOSYS, "CPython and Go fall back"),
    ANSWER("seccomp", EPERM, "USER_NOTIF filters hold their children's calls; programs live without"),
    ANSWER("bpf", EPERM, "programs in the kernel"),
    ANSWER("perf_event_open", EPERM, "a large surface, and a clock for side channels"),
    ANSWER("keyctl", EPERM, "keyrings have no namespace of their own"),
    ANSWER("add_key", EPERM, "keyrings have no namespace of their own"),
    ANSWER("request_key", EPERM, "keyrings have no namespace of their own"),
    ANSWER("io_uring_setup", ENOSYS, "its operations bypass this filter; libuv falls back"),
    ANSWER("io_uring_enter", ENOSYS, "its operations bypass this filter"),
    ANSWER("io_uring_register", ENOSYS, "its operations bypass this filter"),
    ANSWER("userfaultfd", ENOSYS, "holds kernel code at chosen moments: a tool of exploits"),
    ANSWER("memfd_secret", ENOSYS, "memory that accounting and dumps miss"),
    ANSWER("splice", EINVAL, "page-cache writes (CVE-2022-0847); Go falls back on EINVAL alone"),
    ANSWER("tee", ENOSYS, "as splice"),
    ANSWER("vmsplice", ENOSYS, "as splice"),
    ANSWER("mincore", ENOSYS, "tells what of the page cache other tenants use"),
    ANSWER("cachestat", ENOSYS, "tells what of the page cache other tenants use"),
    ANSWER("sync", ENOSYS, "would write out every filesystem of the host"),
    ANSWER("syncfs", ENOSYS, "would write out a whole filesystem of the host"),
    ANSWER("get_mempolicy", ENOSYS, "as a kernel without NUMA: libnuma switches itself off"),
    ANSWER("set_mempolicy", ENOSYS, "as a kernel without NUMA"),
    ANSWER("mbind", ENOSYS, "as a kernel without NUMA"),
    ANSWER("move_pages", ENOSYS, "as a kernel without NUMA"),
    ANSWER("migrate_pages", ENOSYS, "as a kernel without NUMA"),
    ANSWER("shmget", ENOSYS, "System V IPC outlives processes; POSIX forms work"),
    ANSWER("semget", ENOSYS, "System V IPC outlives processes; POSIX forms work"),
    ANSWER("msgget", ENOSYS, "System V IPC outlives processes; POSIX forms work"),
    ANSWER("mq_open", ENOSYS, "message queues outlive processes"),
    ANSWER("modify_ldt", ENOSYS, "x86's segments: no runtime's business"),
    ANSWER("fanotify_init", EPERM, "watches whole filesystems"),
    ANSWER("quotactl", EPERM, "the host's filesystems"),
    ANSWER("acct", EPERM, "the host's accounting"),
    ANSWER("syslog", EPERM, "the kernel's log"),
    ANSWER("vhangup", EPERM, "terminals"),
    ANSWER("iopl", EPERM, "the machine's ports"),
    ANSWER("ioperm", EPERM, "the machine's ports"),
    ANSWER("lookup_dcookie", EPERM, "the host's paths"),
};

/* What a template's child does before its first request, with a capability that no other sandbox has: each row takes the place of the default's for its call. */
static const struct seccomp_rule template_rows[] = {
    ALLOW("chroot",
          "each child enters a root with a /tmp of its own; what is above the sandbox's root was never mounted"),
    ALLOW("capset", "each child then gives the capability up that let it"),
};

enum {
    ROWS = sizeof(rows) / sizeof(rows[0]),
    DEFAULT_ROWS = ROWS - TERMINAL_ROWS,
    CHANGES = sizeof(template_rows) / sizeof(template_rows[0]),
};

const struct seccomp_rule *profile_default_table(size_t *ret_count)
{
    static_assert(sizeof(rows) / sizeof(rows[0]) <= PROFILE_TABLE_MAX, "room for it");
    *ret_count = DEFAULT_ROWS;
    return rows + TERMINAL_ROWS;
}

bool profile_is_templates(const char *syscall)
{
    for (unsigned i = 0; i < CHANGES; i++)
        if (strcmp(syscall, template_rows[i].syscall) == 0)
            return true;
    return false;
}

static const struct seccomp_rule *change_for_templates(const struct seccomp_rule *row)
{
    for (unsigned i = 0; i < CHANGES; i++)
        if (strcmp(row->syscall, template_rows[i].syscall) == 0)
            return &template_rows[i];
    return row;
}

static const struct seccomp_rule *rules_of_templates(void)
{
    static struct seccomp_rule changed[DEFAULT_ROWS];
    for (unsigned i = 0; i < DEFAULT_ROWS; i++)
        changed[i] = *change_for_templates(&rows[TERMINAL_ROWS + i]);
    return changed;
}

const char *profile_name(enum profile p)
{
    static const char *const NAMES[] = {
        [PROFILE_DEFAULT] = "default",   [PROFILE_SHELL] = "shell",
        [PROFILE_TEMPLATE] = "template", [PROFILE_STRICT] = "strict",
        [PROFILE_LEARNING] = "learning", [PROFILE_LEARNING_TEMPLATE] = "learning-template"};
    static_assert(sizeof(NAMES) / sizeof(NAMES[0]) == PROFILE_COUNT, "one each");
    return NAMES[p];
}

bool profile_find(const char *name, enum profile *ret_profile)
{
    for (int p = 0; p < PROFILE_COUNT; p++) {
        if (strcmp(name, profile_name((enum profile)p)) != 0)
            continue;
        *ret_profile = (enum profile)p;
        return true;
    }
    return false;
}

const struct seccomp_rule *profile_rules(enum profile p, size_t *ret_count)
{
    if (p == PROFILE_TEMPLATE) {
        *ret_count = DEFAULT_ROWS;
        return rules_of_templates();
    }
    if (p == PROFILE_STRICT)
        return profile_strict_table(ret_count);
    if (p == PROFILE_LEARNING || p == PROFILE_LEARNING_TEMPLATE) {
        static struct seccomp_rule told[2][DEFAULT_ROWS];
        struct seccomp_rule *all = told[p == PROFILE_LEARNING_TEMPLATE];
        *ret_count = DEFAULT_ROWS;
        memcpy(all, p == PROFILE_LEARNING ? rows + TERMINAL_ROWS : rules_of_templates(), sizeof(told[0]));
        profile_tell_others(all, DEFAULT_ROWS);
        return all;
    }
    unsigned skipped = p == PROFILE_SHELL ? 0 : TERMINAL_ROWS;
    *ret_count = ROWS - skipped;
    return rows + skipped;
}

int profile_build(enum profile p, const struct profile_options *o, struct seccomp_program *ret_program, struct err *e)
{
    size_t count;
    const struct seccomp_rule *rules = profile_rules(p, &count);
    scoped_free struct seccomp_rule *copy = malloc(count * sizeof(*copy));
    if (!copy)
        return err_set(e, ENOMEM, "build a system call filter");
    memcpy(copy, rules, count * sizeof(*copy));
    for (size_t i = 0; i < count && o->memfd_denied; i++)
        if (strcmp(copy[i].syscall, "memfd_create") == 0)
            copy[i].error = ENOSYS;
    return seccomp_build(copy, count, ENOSYS, ret_program, e);
}

unsigned profile_count_calls(enum profile p)
{
    size_t count;
    unsigned found = 0;
    const struct seccomp_rule *rules = profile_rules(p, &count);
    for (size_t i = 0; i < count; i++) {
        bool counted = rules[i].error != 0 || seccomp_find_number(rules[i].syscall) < 0;
        for (size_t k = 0; k < i && !counted; k++)
            counted = rules[k].error == 0 && strcmp(rules[k].syscall, rules[i].syscall) == 0;
        found += !counted;
    }
    return found;
}
