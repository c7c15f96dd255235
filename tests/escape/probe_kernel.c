/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __x86_64__
static int int80(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory"); /* getpid of the 32-bit table */
    return r > 0 ? 0 : 13;
}

static int x32(void)
{
    return syscall(0x40000000 + SYS_getpid) > 0 ? 0 : 13;
}
#else
static int int80(void)
{
    return 13;
}

static int x32(void)
{
    return 13;
}
#endif

static struct finding by_child(const char *what, int (*f)(void))
{
    int r = in_child(f);
    if (r == 0)
        return found_open("%s works", what);
    return r == 1000 + SIGSYS ? found_denied("%s: SIGSYS", what) : found_denied("%s: %d", what, r);
}

enum { REACHED_MAX = 260, NUMBERS = 600 };

static long swept;

static int call_with_zeros(void)
{
    alarm(1);
    /* What it does to memory or descriptors is this child's own loss. */
    long r = syscall(swept, 0, 0, 0, 0, 0, 0);
    return r == -1 && (errno == ENOSYS || errno == EPERM) ? 1 : 0;
}

static bool is_reached(long number)
{
    swept = number;
    int r = in_child(call_with_zeros);
    return r != 1 && r != 1000 + SIGSYS;
}

/* Every number with zeros: how many reach the kernel, and whether one does that no profile leaves. The argument names what a template's filter
 * leaves, or says that all are to be counted whatever is found. */
static struct finding K1(const char *argument) {
    static const long DENIED[] = {
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_userfaultfd,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_ptrace,
        SYS_kcmp,
        SYS_pidfd_open,
        SYS_pidfd_getfd,
        SYS_setns,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_fsopen,
        SYS_fsconfig,
        SYS_fspick,
        SYS_open_tree,
        SYS_move_mount,
        SYS_unshare,
        SYS_seccomp,
        SYS_vmsplice,
        SYS_tee,
        SYS_mincore,
        SYS_shmget,
        SYS_semget,
        SYS_msgget,
        SYS_mq_open,
        SYS_mbind,
        SYS_move_pages,
        SYS_get_mempolicy,
        SYS_kexec_load,
        SYS_init_module,
        SYS_finit_module,
        SYS_reboot,
        SYS_swapon,
        SYS_acct,
        SYS_syslog,
        SYS_quotactl,
        SYS_fanotify_init,
        SYS_capset,
        SYS_process_vm_readv,
    };
    const bool in_template = strstr(argument, "chroot capset") != NULL;
    long forbidden = -1;
    for (size_t i = 0; i < sizeof(DENIED) / sizeof(DENIED[0]) && forbidden < 0; i++)
        if (!(in_template && (DENIED[i] == SYS_chroot || DENIED[i] == SYS_capset)) && is_reached(DENIED[i]))
            forbidden = DENIED[i];
    if (forbidden >= 0 && strstr(argument, "count") == NULL)
        return found_open("call %ld reaches the kernel", forbidden);
    int reached = 0;
    for (long number = 0; number < NUMBERS; number++)
        reached += is_reached(number);
    return forbidden >= 0 || reached > REACHED_MAX
               ? found_open("%d calls reach the kernel, %ld among them", reached, forbidden)
               : found_denied("%d calls reach the kernel, none of the %zu denied", reached,
                              sizeof(DENIED) / sizeof(DENIED[0]));
}

static struct finding
K2(const char *argument) {
    (void)argument;
    return by_child("int 0x80", int80);
}

static struct finding
K3(const char *argument) {
    (void)argument;
    return by_child("an x32 number", x32);
}

static struct finding
K4(const char *argument) {
    (void)argument;
    /* The kernel drops the high half of these arguments; a filter that compares 64 bits would let them pass. */
    const long high = 1L << 32;
    if (syscall(SYS_socket, high | AF_NETLINK, SOCK_RAW, 0) >= 0)
        return found_open("socket with bit 32 set");
    if (syscall(SYS_personality, high | ADDR_NO_RANDOMIZE) >= 0)
        return found_open("personality with bit 32 set");
    if (syscall(SYS_ioctl, 0, high | TIOCSTI, "x") >= 0 || errno == EIO)
        return found_open("TIOCSTI with bit 32 set");
    return found_denied("three calls: %s", strerrorname_np(errno));
}

static struct finding
K5(const char *argument) {
    char parameters[256] = {0};
    (void)argument;
    return judge("io_uring_setup", syscall(425, 4, parameters));
}

static struct finding
K6(const char *argument) {
    (void)argument;
    return judge("userfaultfd", syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */ | O_CLOEXEC));
}

static struct finding
K7(const char *argument) {
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_TASK_CLOCK,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    (void)argument;
    return judge("perf_event_open", syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static struct finding
K7b(const char *argument)
{
    char attr[128] = {0};
    (void)argument;
    long r = syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, attr, 16);
    /* EINVAL: the call itself was let through to the kernel's own checks. */
    return r < 0 && errno == EINVAL ? found_open("bpf reached the kernel") : judge("bpf", r);
}

static struct finding K8(const char *argument) {
    (void)argument;
    long r = syscall(SYS_keyctl, 1 /* JOIN_SESSION_KEYRING */, NULL);
    if (r >= 0)
        return found_open("keyctl");
    return judge("add_key", syscall(SYS_add_key, "user", "k8", "x", 1, -2));
}

static struct finding
K9(const char *argument) {
    (void)argument;
    long r = syscall(428 /* open_tree */, AT_FDCWD, "/tmp", 0);
    if (r >= 0)
        return found_open("open_tree");
    return judge("fsopen", syscall(430, "tmpfs", 0));
}

static struct finding
K10(const char *argument) {
    (void)argument;
    char open_ones[96] = "";
    for (int family = 0; family < 46; family++) {
        static const int TYPES[] = {SOCK_STREAM, SOCK_DGRAM,   SOCK_RAW,   SOCK_SEQPACKET,
                                    SOCK_RDM,    6 /* DCCP */, SOCK_PACKET};
        for (size_t t = 0; t < sizeof(TYPES) / sizeof(TYPES[0]); t++) {
            int fd = socket(family, TYPES[t], 0);
            if (fd < 0)
                continue;
            close(fd);
            bool expected =
                (family == AF_UNIX && TYPES[t] != SOCK_RDM) ||
                ((family == AF_INET || family == AF_INET6) && (TYPES[t] == SOCK_STREAM || TYPES[t] == SOCK_DGRAM));
            if (!expected && strlen(open_ones) < sizeof(open_ones) - 10)
                sprintf(open_ones + strlen(open_ones), " %d/%d", family, TYPES[t]);
        }
    }
    return open_ones[0] ? found_open("families/types%s", open_ones) : found_denied("only unix, inet and inet6");
}

static struct finding
K11(const char *argument) {
    (void)argument;
    for (int bit = 0; bit < 32; bit++) {
        int r = (int)syscall(SYS_personality, 1UL << bit);
        if (r >= 0)
            return found_open("personality 1<<%d", bit);
    }
#ifdef SYS_modify_ldt
    char entry[16] = {0};
    return judge("modify_ldt", syscall(SYS_modify_ldt, 0, entry, sizeof(entry)));
#else
    return found_denied("personality: %s", strerrorname_np(errno));
#endif
}

static struct finding
K12(const char *argument) {
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog program = {.len = 1, .filter = &allow};
    (void)argument;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return judge("a filter with a listener",
                 syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

static struct finding
K14(const char *argument) {
    int a[2];
    int b[2];
    (void)argument;
    if (pipe(a) < 0 || pipe(b) < 0 || write(a[1], "x", 1) != 1)
        return found_denied("pipe");
    long r = tee(a[0], b[1], 1, SPLICE_F_NONBLOCK);
    if (r < 0)
        r = splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK);
    struct iovec piece = {"y", 1};
    if (r < 0)
        r = vmsplice(b[1], &piece, 1, 0);
    return judge("tee, splice, vmsplice", r);
}

static struct finding
K15(const char *argument) {
    struct rlimit core;
    (void)argument;
    getrlimit(RLIMIT_CORE, &core);
    /* a file would need more, and for a pipe this is the kernel's word for no */
    if (core.rlim_cur == 1 && core.rlim_max == 1)
        return found_denied("no core may be written");
    return found_open("cores up to %ld bytes", (long)core.rlim_max);
}

static struct finding
K16(const char *argument) {
    (void)argument;
    if (ioctl(0, TIOCSTI, "x") == 0)
        return found_open("typed into the terminal on fd 0");
    int why = errno;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (tty >= 0)
        return found_open("opened /dev/tty");
    return found_denied("TIOCSTI: %s, /dev/tty: %s", strerrorname_np(why), strerrorname_np(errno));
}

static struct finding
K20(const char *argument) {
    (void)argument;
    return judge("memfd_secret", syscall(447, 0));
}

static struct finding
K21(const char *argument) {
    (void)argument;
    /* Another process's limits, by its number: a child stands for whoever shares the id. */
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    struct rlimit none = {0, 0};
    long r = prlimit(child, RLIMIT_NOFILE, &none, NULL);
    struct finding f = judge("prlimit of another process", r);
    kill(child, SIGKILL);
    return f;
}

const struct probe PROBES_KERNEL[] = {
    {"K1", K1},   {"K2", K2},   {"K3", K3},   {"K4", K4},   {"K5", K5},   {"K6", K6},   {"K7", K7},
    {"K7b", K7b}, {"K8", K8},   {"K9", K9},   {"K10", K10}, {"K11", K11}, {"K12", K12}, {"K14", K14},
    {"K15", K15}, {"K16", K16}, {"K20", K20}, {"K21", K21}, {0},
};
