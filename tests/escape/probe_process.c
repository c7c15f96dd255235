/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static pid_t sleeping_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        nap(5000);
        _exit(0);
    }
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* The argument: how many the sandbox has itself, if more than init and what runs the probe. */
static struct finding P1(const char *argument) {
    int own = atoi(argument) ? atoi(argument) : 4;
    int seen = 0;
    for (pid_t pid = 1; pid <= 32768; pid++)
        seen += kill(pid, 0) == 0 || errno == EPERM;
    return seen > own ? found_open("%d processes", seen) : found_denied("%d processes, our own", seen);
}

static struct finding
P2(const char *argument) {
    (void)argument;
    kill(1, SIGKILL);
    kill(1, SIGSTOP);
    kill(getppid(), SIGSTOP);
    nap(50);
    return found_denied("pid 1 is alive: this answer needs it");
}

static struct finding
P3(const char *argument) {
    (void)argument;
    pid_t child = sleeping_child();
    long r = ptrace(PTRACE_SEIZE, child, 0, 0);
    struct finding f = judge("PTRACE_SEIZE", r);
    end_child(child);
    return f;
}

static struct finding
P4(const char *argument) {
    static char secret[8] = "secret";
    char copy[8];
    struct iovec local = {copy, 8};
    struct iovec remote = {secret, 8};
    (void)argument;
    pid_t child = sleeping_child();
    long r = process_vm_readv(child, &local, 1, &remote, 1, 0);
    struct finding f = judge("process_vm_readv", r);
    end_child(child);
    return f;
}

static struct finding
P5(const char *argument) {
    (void)argument;
    pid_t child = sleeping_child();
    long fd = syscall(SYS_pidfd_open, child, 0);
    if (fd >= 0)
        fd = syscall(SYS_pidfd_getfd, fd, 0, 0);
    struct finding f = judge("pidfd_getfd", fd);
    end_child(child);
    return f;
}

static struct finding
P6(const char *argument) {
    (void)argument;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = 1u << 21, .permitted = 1u << 21}};
    if (syscall(SYS_setresuid, 0, 0, 0) == 0)
        return found_open("setresuid(0)");
    return judge("capset", syscall(SYS_capset, &head, data));
}

static struct finding
P7(const char *argument) {
    (void)argument;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return found_open("no_new_privs is off");
    return judge("clearing no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static struct finding
P8(const char *argument) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, 0);
            prctl(PR_SET_NAME, argument);
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            close(0);
            close(1);
            close(2);
            nap(30000);
        }
        _exit(0);
    }
    wait(NULL);
    nap(20);
    return found_denied("left a process behind: whether it lives is seen from outside");
}

static struct finding
P10(const char *argument) {
    (void)argument;
    int made = 0;
    while (made < 3000) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid < 0)
            break;
        made++;
    }
    int why = errno;
    while (wait(NULL) > 0)
        ;
    return made == 3000 ? found_open("%d zombies", made) : found_denied("after %d: %s", made, strerrorname_np(why));
}

/* Deaf to every signal that can be ignored: only SIGKILL ends it. Alive after a SIGTERM of its own, it is open to go on for ever. */
static struct finding
P11(const char *argument) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int number = 1; number < 65; number++)
        signal(number, SIG_IGN);
    kill(getpid(), SIGTERM);
    if (strcmp(argument, "for-ever") != 0)
        return found_open("it lives on after SIGTERM");
    for (;;)
        pause();
}

static struct finding
P12(const char *argument) {
    (void)argument;
    /* Whatever mix of flags: never a new namespace. */
    static const unsigned long NEW[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                        CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    for (unsigned mask = 1; mask < 128; mask++) {
        unsigned long flags = SIGCHLD;
        for (int bit = 0; bit < 7; bit++)
            if (mask & (1u << bit))
                flags |= NEW[bit];
        long pid = syscall(SYS_clone, flags, 0, 0, 0, 0);
        if (pid == 0)
            _exit(0);
        if (pid > 0) {
            waitpid((pid_t)pid, NULL, 0);
            return found_open("clone with flags %lx", flags);
        }
    }
    return found_denied("127 masks: %s", strerrorname_np(errno));
}

static int
exec_memfd(void)
{
    int fd = memfd_create("p13", MFD_CLOEXEC);
    if (fd < 0)
        return 13;
    char buffer[65536];
    int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (in < 0) /* an undumpable process has no /proc/self/exe */
        in = open("./probe", O_RDONLY | O_CLOEXEC);
    for (ssize_t n; (n = read(in, buffer, sizeof(buffer))) > 0;)
        if (write(fd, buffer, (size_t)n) != n)
            return 12;
    fchmod(fd, 0755);
    char *const arguments[] = {"p13", "K5", NULL};
    char *const environment[] = {NULL};
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
    return 13;
}

static struct finding P13(const char *argument) {
    (void)argument;
    int r = in_child(exec_memfd);
    return r == 13 ? found_denied("exec of a memfd") : found_open("exec of a memfd: %d", r);
}

static struct finding
P14(const char *argument) {
    (void)argument;
    if (unshare(CLONE_NEWUSER) == 0)
        return found_open("unshare(CLONE_NEWUSER)");
    struct {
        unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        _exit(0);
    return judge("clone3", pid);
}

static struct finding
P15(const char *argument) {
    (void)argument;
    int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    return judge("setns", setns(fd < 0 ? 0 : fd, 0));
}

const struct probe PROBES_PROCESS[] = {
    {"P1", P1},   {"P2", P2},   {"P3", P3},   {"P4", P4},   {"P5", P5},   {"P6", P6},   {"P7", P7}, {"P8", P8},
    {"P10", P10}, {"P11", P11}, {"P12", P12}, {"P13", P13}, {"P14", P14}, {"P15", P15}, {0},
};
