/* SPDX-License-Identifier: Apache-2.0 */
/* More K rows: calls that no function needs, one by one. Arguments are such that nothing happens where a call gets through. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif

/* EPERM and ENOSYS are what a filter or a missing capability answers; any other error is the call's own, so it was reached. */
static struct finding reached(const char *what, long result)
{
    if (result < 0 && (errno == EPERM || errno == ENOSYS))
        return found_denied("%s: %s", what, strerrorname_np(errno));
    return found_open("%s was reached: %s", what, result < 0 ? strerrorname_np(errno) : "it did it");
}

/* The same for calls that kill: in a child. */
static long (*deadly)(void);

static int call_deadly(void)
{
    long r = deadly();
    return r < 0 && (errno == EPERM || errno == ENOSYS) ? errno : 0;
}

static struct finding reached_in_child(const char *what, long (*call)(void))
{
    deadly = call;
    int r = in_child(call_deadly);
    if (r == 1000 + SIGSYS)
        return found_denied("%s: SIGSYS", what);
    return r ? found_denied("%s: %s", what, strerrorname_np(r)) : found_open("%s was reached", what);
}

static struct finding K13(const char *argument) {
    (void)argument;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return judge("memory to write and execute", p == MAP_FAILED ? -1 : 0);
}

static struct finding
K22(const char *argument) {
    (void)argument;
    int fd = inotify_init1(IN_CLOEXEC);
    if (inotify_add_watch(fd, "/usr/bin", IN_ACCESS | IN_OPEN) >= 0)
        return found_open("watches what is opened in /usr/bin");
    int why = errno;
    int directory = open("/usr/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    signal(SIGIO, SIG_IGN);
    if (fcntl(directory, F_NOTIFY, DN_ACCESS) == 0)
        return found_open("dnotify of /usr/bin");
    long fan = syscall(SYS_fanotify_init, 0, O_RDONLY);
    if (fan >= 0)
        return found_open("fanotify_init");
    return found_denied("inotify: %s, fanotify: %s", strerrorname_np(why), strerrorname_np(errno));
}

static struct finding
K23(const char *argument) {
    unsigned char map[1];
    unsigned long range[2] = {0, 4096};
    unsigned long counts[5];
    (void)argument;
    void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mincore(p, 4096, map) == 0)
        return found_open("mincore");
    int fd = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
    return judge("mincore, cachestat", syscall(451, fd, range, counts, 0));
}

/* What was made is taken away again: it would outlive the process. */
static struct finding
K24(const char *argument) {
    (void)argument;
    long id = syscall(SYS_shmget, IPC_PRIVATE, 4096, 01600);
    if (id >= 0) {
        syscall(SYS_shmctl, id, IPC_RMID, NULL);
        return found_open("shmget");
    }
    id = syscall(SYS_semget, IPC_PRIVATE, 1, 01600);
    if (id >= 0) {
        syscall(SYS_semctl, id, 0, IPC_RMID, NULL);
        return found_open("semget");
    }
    id = syscall(SYS_msgget, IPC_PRIVATE, 01600);
    if (id >= 0)
        syscall(SYS_msgctl, id, IPC_RMID, NULL);
    return judge("shmget, semget, msgget", id);
}

static struct finding
K25(const char *argument) {
    (void)argument;
    long fd = syscall(SYS_mq_open, "k25", O_RDWR | O_CREAT, 0600, NULL);
    struct finding f = judge("mq_open", fd);
    if (fd >= 0)
        syscall(SYS_mq_unlink, "k25");
    return f;
}

static struct finding
K26(const char *argument) {
    struct sock_filter accept_all = {.code = BPF_RET | BPF_K, .k = UINT32_MAX};
    struct sock_fprog p = {.len = 1, .filter = &accept_all};
    (void)argument;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) == 0)
        return found_open("SO_ATTACH_FILTER");
    /* the kernel looks at 32 bits of both */
    if (syscall(SYS_setsockopt, fd, (1L << 32) | SOL_SOCKET, (1L << 32) | SO_ATTACH_FILTER, &p, sizeof(p)) == 0)
        return found_open("SO_ATTACH_FILTER with bit 32 set");
    return judge("a program on a socket", setsockopt(fd, SOL_SOCKET, 51 /* SO_ATTACH_REUSEPORT_CBPF */, &p, sizeof(p)));
}

static struct finding
K27(const char *argument) {
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)argument;
    /* on each processor in turn: a sandbox may be held to any of them */
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof(set), &set) == 0)
            return found_open("it runs on processor %d alone", cpu);
        if (errno == EPERM)
            break;
    }
    return found_denied("sched_setaffinity: %s", strerrorname_np(errno));
}

static struct finding
K28(const char *argument) {
    struct timex nothing = {0};
    (void)argument;
    return judge("adjtimex", syscall(SYS_adjtimex, &nothing)); /* no mode: it reads */
}

static struct finding
K29(const char *argument) {
    (void)argument;
    return judge("the kernel's log", syscall(SYS_syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0));
}

static long
delete_no_module(void)
{
    return syscall(SYS_delete_module, "faasd_no_such_module", O_NONBLOCK);
}

static struct finding K30(const char *argument) {
    (void)argument;
    return reached_in_child("delete_module", delete_no_module);
}

static long
reboot_with_wrong_magic(void)
{
    return syscall(SYS_reboot, 0, 0, 0, NULL);
}

static struct finding K31(const char *argument) {
    (void)argument;
    return reached_in_child("reboot", reboot_with_wrong_magic);
}

static long
kexec_with_too_many_segments(void)
{
    return syscall(SYS_kexec_load, 0, 1 << 20, NULL, 0);
}

static struct finding K32(const char *argument) {
    (void)argument;
    return reached_in_child("kexec_load", kexec_with_too_many_segments);
}

static long
swap_on_nothing(void)
{
    return syscall(SYS_swapon, "/no/such/file", 0);
}

static struct finding K33(const char *argument) {
    (void)argument;
    return reached_in_child("swapon", swap_on_nothing);
}

static struct finding
K34(const char *argument) {
    (void)argument;
    return reached("acct", syscall(SYS_acct, "/no/such/file"));
}

static struct finding
K35(const char *argument) {
    (void)argument;
#ifdef __x86_64__
    if (ioperm(0x80, 1, 1) == 0)
        return found_open("ioperm");
    return judge("ioperm, iopl", iopl(3));
#else
    return found_denied("the processor has no ports");
#endif
}

static struct finding
K36(const char *argument) {
    (void)argument;
    return reached("quotactl", syscall(SYS_quotactl, QCMD(Q_GETFMT, USRQUOTA), "/no/such/device", 0, NULL));
}

static struct finding
K37(const char *argument) {
    int mode = 0;
    (void)argument;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) >= 0)
        return found_open("get_mempolicy");
    return judge("memory policies", syscall(SYS_set_mempolicy, 0, NULL, 0));
}

static struct finding
K38(const char *argument) {
    (void)argument;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return judge("syncfs", syscall(SYS_syncfs, fd));
}

static struct finding
K39(const char *argument) {
    (void)argument;
    return judge("kcmp", syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0));
}

static struct finding
K40(const char *argument) {
    struct {
        unsigned size, spare;
        unsigned long long mount, parameter, namespace;
    } request = {.size = 24, .mount = ~0ULL};
    unsigned long long ids[16];
    (void)argument;
    return judge("listmount", syscall(458, &request, ids, 16, 0));
}

static struct finding
K41(const char *argument) {
    unsigned long long ids[16];
    unsigned size = sizeof(ids);
    (void)argument;
    return judge("lsm_list_modules", syscall(461, ids, &size, 0));
}

/* Numbers from 457 on came with kernels newer than the first that the filter was written for: none is let through unseen. */
static long newest;

static int call_newest(void)
{
    alarm(1);
    return syscall(newest, -1, 0, 0, 0, 0, 0) < 0 && (errno == ENOSYS || errno == EPERM) ? 1 : 0;
}

static struct finding K42(const char *argument) {
    (void)argument;
    for (newest = 457; newest < 600; newest++)
        if (in_child(call_newest) == 0)
            return found_open("call %ld was reached", newest);
    return found_denied("none from 457 to 599: ENOSYS");
}

static struct finding
K43(const char *argument) {
    /* Each with bit 32 set, which the kernel drops. */
    static const struct {
        const char *name;
        long call, first, second;
    } CALLS[] = {
        {"clone", SYS_clone, (1L << 32) | CLONE_NEWUSER | SIGCHLD, 0},
        {"unshare", SYS_unshare, (1L << 32) | CLONE_NEWUSER, 0},
        {"prctl", SYS_prctl, (1L << 32) | PR_SET_TSC, PR_TSC_ENABLE},
        {"ioctl", SYS_ioctl, 0, (1L << 32) | TIOCLINUX},
        {"inotify_add_watch", SYS_inotify_add_watch, -1, 0},
    };
    (void)argument;
    for (size_t i = 0; i + 1 < sizeof(CALLS) / sizeof(CALLS[0]); i++) {
        long r = syscall(CALLS[i].call, CALLS[i].first, CALLS[i].second, 0, 0, 0);
        if (r == 0 && CALLS[i].call == SYS_clone)
            _exit(0);
        if (r > 0 && CALLS[i].call == SYS_clone)
            waitpid((pid_t)r, NULL, 0);
        if (r >= 0)
            return found_open("%s with bit 32 set", CALLS[i].name);
    }
    int fd = inotify_init1(IN_CLOEXEC);
    return judge("four calls, inotify_add_watch", syscall(SYS_inotify_add_watch, fd, "/usr/bin", (1L << 32) | IN_OPEN));
}

static struct finding
K44(const char *argument) {
    (void)argument;
    long r = syscall(SYS_ioprio_set, 1, 0, (2 << 13) | 4);
    if (r >= 0)
        return found_open("ioprio_set");
    return judge("ioprio_set, setpriority", setpriority(PRIO_USER, 0, 5));
}

static struct finding
K45(const char *argument) {
    (void)argument;
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    long fd = syscall(SYS_pidfd_open, child, 0);
    long r = fd < 0 ? fd : syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0);
    struct finding f = judge("a signal by descriptor", r);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return f;
}

/* Counted for who made the user namespace, too: root of the host. */
static struct finding
K46(const char *argument) {
    int made = 0;
    (void)argument;
    while (inotify_init1(IN_CLOEXEC) >= 0)
        made++;
    return made > 0 ? found_open("%d watchers, then %s", made, strerrorname_np(errno))
                    : found_denied("inotify_init1: %s", strerrorname_np(errno));
}

static struct finding
K47(const char *argument) {
    (void)argument;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), esp = UDP_ENCAP_ESPINUDP;
    return judge("IPsec on a socket", setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &esp, sizeof(esp)));
}

const struct probe PROBES_CALLS[] = {
    {"K13", K13}, {"K22", K22}, {"K23", K23}, {"K24", K24}, {"K25", K25}, {"K26", K26}, {"K27", K27},
    {"K28", K28}, {"K29", K29}, {"K30", K30}, {"K31", K31}, {"K32", K32}, {"K33", K33}, {"K34", K34},
    {"K35", K35}, {"K36", K36}, {"K37", K37}, {"K38", K38}, {"K39", K39}, {"K40", K40}, {"K41", K41},
    {"K42", K42}, {"K43", K43}, {"K44", K44}, {"K45", K45}, {"K46", K46}, {"K47", K47}, {0},
};
