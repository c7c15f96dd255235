/* SPDX-License-Identifier: Apache-2.0 */
/* More P and R rows: identity, what outlives a request, what costs memory or time elsewhere than in the heap. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    long r = fd < 0 ? -1 : write(fd, text, strlen(text));
    int why = errno;
    close(fd);
    errno = why;
    return r;
}

static struct finding P16(const char *argument) {
    (void)argument;
    /* Whoever is not held to it may go up, and down again as far as the place it started from. */
    if (write_text("/proc/self/oom_score_adj", "500") < 0)
        return found_denied("oom_score_adj: %s", strerrorname_np(errno));
    return judge("499 into oom_score_adj", write_text("/proc/self/oom_score_adj", "499"));
}

/* Each child leaves another behind and ends: whoever kills one by one comes too late. By itself it ends after some seconds. */
static void
run_away(const char *name)
{
    time_t end = time(NULL) + 8;
    prctl(PR_SET_NAME, name);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    while (time(NULL) < end) {
        pid_t pid = fork();
        if (pid > 0)
            _exit(0);
        if (pid == 0)
            setsid();
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    _exit(0);
}

static struct finding P17(const char *argument) {
    for (int i = 0; i < 4; i++)
        if (fork() == 0)
            run_away(argument);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return found_denied("four of them run: whether they go on is seen from outside");
}

static struct finding
P18(const char *argument) {
    static const gid_t root[] = {0};
    (void)argument;
    if (setgroups(1, root) == 0)
        return found_open("setgroups");
    setfsuid(1);
    if (setfsuid((uid_t)-1) == 1)
        return found_open("setfsuid");
    return judge("setgroups, setfsuid, setgid", setgid(0));
}

static struct finding
P19(const char *argument) {
    (void)argument;
    close(open("/tmp/p19", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    struct finding f = judge("give a file away", chown("/tmp/p19", 1, 1));
    unlink("/tmp/p19");
    return f;
}

static struct finding
P20(const char *argument) {
    (void)argument;
    return judge("sethostname", sethostname("p20", 3));
}

static struct finding
P21(const char *argument) {
    (void)argument;
    return judge("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, 0, 0));
}

static struct finding
P22(const char *argument) {
    (void)argument;
    /* A map of one's own would be the first step to a user namespace's powers. */
    static const char *const paths[] = {"/proc/self/setgroups",     "/proc/self/uid_map",
                                        "/proc/self/loginuid",      "/proc/self/comm",
                                        "/proc/self/timerslack_ns", "/proc/self/coredump_filter"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            return found_open("%s can be written", paths[i]);
    }
    return found_denied("six files: %s", strerrorname_np(errno));
}

static struct finding
P23(const char *argument) {
    /* A program that may do more than whoever starts it, with no set-id bit: a descriptor of init's, or init's program itself. */
    static const char *const paths[] = {"/proc/1/exe",     "/proc/1/fd/0",    "/proc/1/fd/3",
                                        "/proc/1/mem",     "/proc/1/maps",    "/proc/1/map_files",
                                        "/proc/1/ns/user", "/proc/1/syscall", "/proc/1/stack"};
    (void)argument;
    char self[16] = "";
    if (readlink("/proc/self", self, sizeof(self) - 1) > 0 && strcmp(self, "1") == 0)
        return found_denied("there is none but itself");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return found_open("opened %s", paths[i]);
    }
    return found_denied("nine files of process 1: %s", strerrorname_np(errno));
}

static struct finding
R18(const char *argument) {
    enum { WANTED_MIB = 256, PAIRS = 4000 };
    static char block[65536];
    long queued = 0;
    int i = 0;
    (void)argument;
    memset(block, 1, sizeof(block));
    for (; i < PAIRS && queued < (long)WANTED_MIB << 20; i++) {
        int pair[2], most = 1 << 22;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
            break;
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &most, sizeof(most));
        for (ssize_t n; (n = write(pair[0], block, sizeof(block))) > 0;)
            queued += n;
    }
    return queued >= (long)WANTED_MIB << 20
               ? found_open("%ld MiB in socket buffers", queued >> 20)
               : found_denied("after %d pairs, %ld MiB: %s", i, queued >> 20, strerrorname_np(errno));
}

static struct finding
R23(const char *argument) {
    /* Datagrams that nobody takes, to as many sockets as there may be. */
    enum { WANTED_MIB = 160, SOCKETS = 900, EACH = 16, OPTION_MEMINFO = 55 };
    static char datagram[60000];
    long queued = 0;
    int i = 0, from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), most = 1 << 23;
    (void)argument;
    for (; i < SOCKETS && queued < (long)WANTED_MIB << 20; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(at);
        unsigned held[16] = {0}; /* SK_MEMINFO_RMEM_ALLOC first */
        int to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        setsockopt(to, SOL_SOCKET, SO_RCVBUF, &most, sizeof(most));
        if (bind(to, (struct sockaddr *)&at, n) < 0 || getsockname(to, (struct sockaddr *)&at, &n) < 0)
            break;
        for (int k = 0; k < EACH; k++)
            sendto(from, datagram, sizeof(datagram), MSG_DONTWAIT, (struct sockaddr *)&at, n);
        n = sizeof(held);
        if (getsockopt(to, SOL_SOCKET, OPTION_MEMINFO, held, &n) == 0)
            queued += held[0];
    }
    return queued >= (long)WANTED_MIB << 20 ? found_open("%ld MiB in %d sockets", queued >> 20, i)
                                            : found_denied("%ld MiB in %d sockets", queued >> 20, i);
}

static struct finding
R19(const char *argument) {
    enum { MANY_SIGNALS = 1000 };
    sigset_t all;
    int made = 0;
    (void)argument;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    while (made < MANY_SIGNALS && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = made}) == 0)
        made++;
    return made == MANY_SIGNALS ? found_open("%d signals wait", made)
                                : found_denied("after %d: %s", made, strerrorname_np(errno));
}

static struct finding
R20(const char *argument) {
    /* Pipes are memory of the kernel's: a mebibyte each, for two descriptors. */
    enum { WANTED_MIB = 256, PIPES = 4096 };
    static char block[65536];
    long queued = 0;
    int i = 0;
    (void)argument;
    for (; i < PIPES && queued < (long)WANTED_MIB << 20; i++) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
            break;
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        for (ssize_t n; (n = write(ends[1], block, sizeof(block))) > 0;)
            queued += n;
    }
    return queued >= (long)WANTED_MIB << 20
               ? found_open("%ld MiB in pipes", queued >> 20)
               : found_denied("after %d pipes, %ld MiB: %s", i, queued >> 20, strerrorname_np(errno));
}

static struct finding
R21(const char *argument) {
    /* Pages that were never asked for by malloc: page tables. One byte in each 2 MiB costs a table of 4 KiB beside its own page. */
    enum { MANY = 1 << 17 };
    (void)argument;
    char *p =
        mmap(NULL, (size_t)MANY << 21, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return found_denied("mmap: %s", strerrorname_np(errno));
    madvise(p, (size_t)MANY << 21, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < MANY / 2; i++)
        p[i << 21] = 1;
    return found_open("%d page tables", MANY / 2);
}

static struct finding
R22(const char *argument) {
    static const struct {
        const char *name;
        __rlimit_resource_t which;
        rlim_t more;
    } LIMITS[] = {{"RLIMIT_CORE", RLIMIT_CORE, 1 << 20},
                  {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE, 1},
                  {"RLIMIT_NICE", RLIMIT_NICE, 1},
                  {"RLIMIT_RTPRIO", RLIMIT_RTPRIO, 1}};
    (void)argument;
    for (size_t i = 0; i < sizeof(LIMITS) / sizeof(LIMITS[0]); i++) {
        struct rlimit now, more;
        getrlimit(LIMITS[i].which, &now);
        more = (struct rlimit){now.rlim_cur, now.rlim_max < LIMITS[i].more ? LIMITS[i].more : now.rlim_max};
        if (setrlimit(LIMITS[i].which, &more) == 0 && now.rlim_max >= LIMITS[i].more)
            return found_open("%s allows more than nothing", LIMITS[i].name);
        if (more.rlim_max > now.rlim_max && getrlimit(LIMITS[i].which, &now) == 0 && now.rlim_max >= more.rlim_max)
            return found_open("%s was raised", LIMITS[i].name);
    }
    return found_denied("four limits: %s", strerrorname_np(errno));
}

const struct probe PROBES_LIMITS[] = {
    {"P16", P16}, {"P17", P17}, {"P18", P18}, {"P19", P19}, {"P20", P20}, {"P21", P21}, {"P22", P22}, {"P23", P23},
    {"R18", R18}, {"R19", R19}, {"R20", R20}, {"R21", R21}, {"R22", R22}, {"R23", R23}, {0},
};
