/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls reach the kernel, seen from inside. Each is tried in a child of its own, whose loss it is what the call does. An event is
 *   sweep                       every number: replies with those that reach the kernel, as a JSON array
 *   call NUMBER [ARGUMENT]...   one call (strtoull's notation): replies with its errno, 0, or -SIGNAL
 *   fail WHAT                   the same, and fails; `flood`: sockets, for ever
 *   make WHAT                   things that functions do: file, thread, child, wx, mprotect, exec, exec-own, exec-guess, socket, proc
 */
#include <errno.h>
#include <faasd/function.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NUMBERS = 600, DENIED = 1, WAIT_MS = 300 };

struct call {
    long number;
    long args[6];
};

/* Zeros that the kernel itself would refuse in the filter's words. */
static struct call with_arguments(long number)
{
    static const struct call better[] = {
        {SYS_socket, {AF_UNIX, SOCK_STREAM}},
        {SYS_socketpair, {AF_UNIX, SOCK_STREAM}},
        {SYS_ioctl, {0, FIONCLEX}},
        {SYS_prctl, {PR_SET_DUMPABLE}},
        {SYS_fcntl, {0, F_GETFD}},
        {SYS_mknodat, {0, 0, S_IFIFO}},
#ifdef SYS_arch_prctl
        {SYS_mknod, {0, S_IFIFO}},
        {SYS_arch_prctl, {0x1002 /* ARCH_SET_FS */}},
#endif
    };
    for (size_t i = 0; i < sizeof(better) / sizeof(better[0]); i++)
        if (better[i].number == number)
            return better[i];
    return (struct call){.number = number};
}

static long make(const struct call *c)
{
    return syscall(c->number, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
}

static bool is_denial(long number, int error)
{
    if (number == SYS_splice) /* zero bytes are none: the kernel says 0 */
        return error == EINVAL;
    return error == ENOSYS || error == EPERM || error == EAFNOSUPPORT || error == ENOTTY || error == EACCES ||
           error == EOPNOTSUPP;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* One that waits for ever is killed where that is possible. */
static bool has_ended(pid_t pid, int *ret_status)
{
    for (int ms = 0; ms < WAIT_MS; ms++) {
        if (waitpid(pid, ret_status, WNOHANG) == pid)
            return true;
        pause_ms(1);
    }
    kill(pid, SIGKILL);
    return false;
}

static bool reaches_the_kernel(long number)
{
    const struct call c = with_arguments(number);
    pid_t pid = fork();
    if (pid == 0)
        _exit(make(&c) == -1 && is_denial(number, errno) ? DENIED : 0);
    int status;
    if (pid < 0)
        abort();
    if (!has_ended(pid, &status))
        return true;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) != SIGSYS;
    return WEXITSTATUS(status) != DENIED;
}

static int sweep(struct faasd_reply *reply)
{
    const char *separator = "[";
    for (long number = 0; number < NUMBERS; number++) {
        if (!reaches_the_kernel(number))
            continue;
        if (faasd_reply_printf(reply, "%s%ld", separator, number) < 0)
            return -1;
        separator = ",";
    }
    return faasd_reply_printf(reply, "]");
}

static int call_one(struct faasd_reply *reply, const char *text)
{
    char *at;
    struct call c = {.number = strtol(text, &at, 0)};
    for (int i = 0; i < 6; i++)
        c.args[i] = (long)strtoull(at, &at, 0);
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        long r = make(&c);
        _exit(r == -1 ? errno : 0);
    }
    if (pid < 0 || !has_ended(pid, &status))
        return faasd_reply_printf(reply, "0");
    return faasd_reply_printf(reply, "%d", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
}

static void *nothing(void *argument)
{
    return argument;
}

static int make_file(void)
{
    char back[8] = "";
    int fd = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, "written", 7) != 7 || lseek(fd, 0, SEEK_SET) != 0 || read(fd, back, 7) != 7)
        return errno;
    close(fd);
    return strcmp(back, "written") == 0 ? 0 : EIO;
}

static int make_thread(void)
{
    pthread_t t;
    int r = pthread_create(&t, NULL, nothing, NULL);
    return r ? r : pthread_join(t, NULL);
}

static int make_child(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0 : errno;
}

static int make_wx(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int make_mprotect(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? 1000 : mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 ? errno : 0;
}

/* What the program was started as, once more: it must not even be that. */
static int execute(const char *path, bool by_execveat, unsigned long key)
{
    char *const argv[] = {(char *)(uintptr_t)path, NULL}, *const envp[] = {NULL};
    pid_t pid = fork();
    if (pid == 0) {
        if (by_execveat)
            syscall(SYS_execveat, AT_FDCWD, path, argv, envp, 0, key);
        else
            execve(path, argv, envp);
        _exit(errno);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static int make_what(const char *what)
{
    if (strcmp(what, "file") == 0)
        return make_file();
    if (strcmp(what, "thread") == 0)
        return make_thread();
    if (strcmp(what, "child") == 0)
        return make_child();
    if (strcmp(what, "wx") == 0)
        return make_wx();
    if (strcmp(what, "mprotect") == 0)
        return make_mprotect();
    if (strcmp(what, "exec") == 0)
        return execute("/usr/bin/true", false, 0);
    if (strcmp(what, "exec-at") == 0)
        return execute("/usr/bin/true", true, 0);
    if (strcmp(what, "exec-guess") == 0) /* the placeholder that each sandbox's key takes the place of */
        return execute("/usr/bin/true", true, 0x5ea1ed0fca11ab1eul);
    if (strcmp(what, "socket") == 0)
        return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
    if (strcmp(what, "proc") == 0)
        return open("/proc/self/status", O_RDONLY) < 0 ? errno : 0;
    return 1000;
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    char text[256] = "";
    size_t n = event->body_length < sizeof(text) - 1 ? event->body_length : sizeof(text) - 1;
    memcpy(text, event->body, n);
    if (strcmp(text, "sweep") == 0)
        return sweep(reply);
    if (strncmp(text, "call ", 5) == 0)
        return call_one(reply, text + 5);
    if (strncmp(text, "make ", 5) == 0)
        return faasd_reply_printf(reply, "%d", make_what(text + 5));
    if (strncmp(text, "fail ", 5) == 0)
        return faasd_fail(reply, "Failed", "%s: errno %d", text + 5, make_what(text + 5));
    if (strcmp(text, "flood") == 0)
        for (;;)
            socket(AF_UNIX, SOCK_STREAM, 0);
    return faasd_fail(reply, "NoSuchEvent", "'%s'", text);
}

int main(void)
{
    return faasd_serve(handle);
}
