/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Z2: one child of a template against another. `Z2victim SECONDS` is the one that is attacked: it has a secret, a socket and a file, and says what reached it. The others
 * attack the process that the argument names, or without one every process that they can name but themselves: siblings, the template, init.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PIDS = 400, SLOTS = 16, OWNER_SIGNAL = SIGUSR2 };

static const char SECRET_FILE[] = "z2-secret";
static const char SOCKET_NAME[] = "\0z2-victim";

/* ---- the victim ---- */

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static struct sockaddr_un victim_address(socklen_t *ret_length)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, SOCKET_NAME, sizeof(SOCKET_NAME) - 1);
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(SOCKET_NAME) - 1);
    return a;
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct finding Z2victim(const char *argument)
{
    static const int NUMBERS[] = {SIGURG, SIGUSR1, SIGUSR2, SIGTERM, SIGIO, SIGCONT};
    long until = now_ms() + 1000L * atoi(argument);
    int nice_before = getpriority(PRIO_PROCESS, 0); /* the daemon's, whatever that was started with */
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++)
        signal(NUMBERS[i], on_signal);
    close(open("/tmp/z2-secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    socklen_t length;
    struct sockaddr_un a = victim_address(&length);
    int connections = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0); /* inherited on purpose: a sibling could take it */
    if (bind(fd, (struct sockaddr *)&a, length) < 0 || listen(fd, 5) < 0)
        return found_denied("its socket: %s", strerrorname_np(errno));
    for (long left; (left = until - now_ms()) > 0;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)left) > 0 && accept(fd, NULL, NULL) >= 0)
            connections++;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    unlink("/tmp/z2-secret");
    if (signals || connections || files.rlim_cur == 0 || getpriority(PRIO_PROCESS, 0) != nice_before)
        return found_open("%d signals, %d connections, %ld files, nice %d", (int)signals, connections,
                          (long)files.rlim_cur, getpriority(PRIO_PROCESS, 0));
    return found_denied("nothing reached it");
}

/* ---- against one process: more than -1 is an opening ---- */

static long open_proc(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd;
}

static long read_link(pid_t pid, const char *name)
{
    char path[64], target[256];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return readlink(path, target, sizeof(target));
}

static long take_mem(pid_t pid)
{
    return open_proc(pid, "mem");
}

static long take_maps(pid_t pid)
{
    return open_proc(pid, "maps");
}

static long take_environ(pid_t pid)
{
    return open_proc(pid, "environ");
}

static long take_fds(pid_t pid)
{
    long r = read_link(pid, "fd/1");
    return r < 0 ? open_proc(pid, "fd/3") : r;
}

static long take_cwd(pid_t pid)
{
    return read_link(pid, "cwd");
}

static long take_root(pid_t pid)
{
    long r = open_proc(pid, "root/tmp");
    return r < 0 ? open_proc(pid, "root") : r;
}

static long take_exe(pid_t pid)
{
    return read_link(pid, "exe");
}

static long take_memory_by_call(pid_t pid)
{
    char copy[8];
    struct iovec local = {copy, sizeof(copy)};
    struct iovec remote = {(void *)SECRET_FILE, sizeof(copy)}; /* one program, one layout */
    return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static long trace(pid_t pid)
{
    long r = ptrace(PTRACE_SEIZE, pid, 0, 0);
    if (r == 0)
        ptrace(PTRACE_DETACH, pid, 0, 0);
    return r;
}

static long send_signal(pid_t pid)
{
    return kill(pid, SIGURG);
}

static long send_to_thread(pid_t pid)
{
    long r = syscall(SYS_tkill, pid, SIGURG);
    return r < 0 ? syscall(SYS_tgkill, pid, pid, SIGURG) : r;
}

static long queue_signal(pid_t pid)
{
    return sigqueue(pid, SIGURG, (union sigval){.sival_int = 1});
}

static long take_descriptor(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? fd : syscall(SYS_pidfd_getfd, fd, 1, 0);
}

static long limit(pid_t pid)
{
    struct rlimit now;
    return prlimit(pid, RLIMIT_NOFILE, NULL, &now);
}

static long renice(pid_t pid)
{
    return setpriority(PRIO_PROCESS, (id_t)pid, getpriority(PRIO_PROCESS, (id_t)pid));
}

static long pin(pid_t pid)
{
    cpu_set_t set;
    memset(&set, 0xff, sizeof(set));
    return sched_setaffinity(pid, sizeof(set), &set);
}

/* A socket whose owner is somebody else: the kernel signals that process when there is something to read. Only the victim sees whether it does. */
static long own_signal(pid_t pid)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return -1;
    bool sent = fcntl(pair[0], F_SETOWN, pid) == 0 && fcntl(pair[0], F_SETSIG, OWNER_SIGNAL) == 0 &&
                fcntl(pair[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0 && write(pair[1], "x", 1) == 1;
    close(pair[0]);
    close(pair[1]);
    errno = sent ? EPERM : errno;
    return -1;
}

static struct finding sweep(const char *what, const char *argument, long (*attack)(pid_t))
{
    pid_t only = atoi(argument);
    int why = ESRCH;
    for (pid_t pid = only ? only : 1; pid < (only ? only + 1 : PIDS); pid++) {
        if (pid == getpid() ||
            (!only && pid == getsid(0))) /* a child leads its session: it is the parent of what it runs */
            continue;
        if (attack(pid) >= 0)
            return found_open("%s of process %d", what, pid);
        why = errno == ESRCH || errno == ENOENT ? why : errno;
    }
    return found_denied("%s: %s", what, strerrorname_np(why));
}

#define AGAINST(id, what, attack)                                                                                      \
    static struct finding id(const char *argument)                                                                     \
    {                                                                                                                  \
        return sweep(what, argument, attack);                                                                          \
    }

AGAINST(Z2mem, "memory", take_mem)
AGAINST(Z2maps, "the layout", take_maps)
AGAINST(Z2environ, "the environment", take_environ)
AGAINST(Z2fd, "descriptors", take_fds)
AGAINST(Z2cwd, "the working directory", take_cwd)
AGAINST(Z2root, "the root", take_root)
AGAINST(Z2exe, "the program", take_exe)
AGAINST(Z2vm, "process_vm_readv", take_memory_by_call)
AGAINST(Z2trace, "PTRACE_SEIZE", trace)
AGAINST(Z2kill, "kill", send_signal)
AGAINST(Z2tkill, "tkill", send_to_thread)
AGAINST(Z2queue, "sigqueue", queue_signal)
AGAINST(Z2pidfd, "pidfd_getfd", take_descriptor)
AGAINST(Z2limit, "limits", limit)
AGAINST(Z2nice, "priority", renice)
AGAINST(Z2pin, "affinity", pin)
AGAINST(Z2owner, "F_SETOWN", own_signal)

/* ---- against all at once, and what they share ---- */

static struct finding Z2abstract(const char *argument)
{
    (void)argument;
    socklen_t length;
    struct sockaddr_un a = victim_address(&length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct finding f = judge("connect to a sibling's abstract socket", connect(fd, (struct sockaddr *)&a, length));
    close(fd);
    return f;
}

static struct finding Z2tmp(const char *argument)
{
    char path[64];
    struct stat st;
    (void)argument;
    for (int slot = -1; slot < SLOTS; slot++) {
        if (slot < 0)
            snprintf(path, sizeof(path), "/tmp/%s", SECRET_FILE);
        else
            snprintf(path, sizeof(path), "/run/slots/%d/tmp/%s", slot, SECRET_FILE);
        if (stat(path, &st) == 0)
            return found_open("%s", path);
    }
    for (int slot = 0; slot < SLOTS; slot++) {
        snprintf(path, sizeof(path), "/run/slots/%d", slot);
        if (chroot(path) == 0)
            return found_open("chroot to %s", path);
    }
    return found_denied("no /tmp but its own: %s", strerrorname_np(errno));
}

const struct probe PROBES_SIBLING[] = {
    {"Z2victim", Z2victim},
    {"Z2mem", Z2mem},
    {"Z2maps", Z2maps},
    {"Z2environ", Z2environ},
    {"Z2fd", Z2fd},
    {"Z2cwd", Z2cwd},
    {"Z2root", Z2root},
    {"Z2exe", Z2exe},
    {"Z2vm", Z2vm},
    {"Z2trace", Z2trace},
    {"Z2kill", Z2kill},
    {"Z2tkill", Z2tkill},
    {"Z2queue", Z2queue},
    {"Z2pidfd", Z2pidfd},
    {"Z2limit", Z2limit},
    {"Z2nice", Z2nice},
    {"Z2pin", Z2pin},
    {"Z2owner", Z2owner},
    {"Z2tmp", Z2tmp},
    {"Z2abstract", Z2abstract},
    {0},
};
