/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order matters: groups first, so that every page from here on is charged to the child; the root before the capability that allows it goes; everything that protects
 * the child from its siblings (same user, same namespaces) before the first line of the user's code and long before a request.
 */
#include "child.h"

#include "faasd/function.h"
#include "random.h"
#include "tmp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset /* one number on every architecture */
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self  446
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { LANDLOCK_VERSION = 1, LANDLOCK_ABI_SCOPES = 6, LANDLOCK_SCOPES = 3 /* abstract sockets, signals */ };

struct landlock_attributes { /* struct landlock_ruleset_attr: the headers of older distributions end before `scoped` */
    uint64_t files, network, scoped;
};

/* Of linux/capability.h, which a musl compiler does not find. */
enum { CAPABILITY_VERSION_3 = 0x20080522 };
struct capability_header {
    uint32_t version;
    int pid;
};
struct capability_data {
    uint32_t effective, permitted, inheritable;
};

static int (*hooks[FAASD_AFTER_FORK_MAX])(void);
static unsigned hook_count;
static int ruleset = -1;  /* what each child narrows its scope by; the template's, closed in the child */
static int ruleset_error; /* why there is none; 0: this kernel has no scopes */

int faasd_after_fork(int (*hook)(void))
{
    if (!hook || hook_count == FAASD_AFTER_FORK_MAX)
        return -1;
    hooks[hook_count++] = hook;
    return 0;
}

__attribute__((format(printf, 2, 3))) static int say(char text[CHILD_TEXT_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, CHILD_TEXT_MAX, format, arguments);
    va_end(arguments);
    return -1;
}

int faasd_child_run_hooks(char text[CHILD_TEXT_MAX])
{
    for (unsigned i = 0; i < hook_count; i++) {
        int r = hooks[i]();
        if (r != 0)
            return say(text, "after-fork hook %u of %u returned %d", i + 1, hook_count, r);
    }
    return 0;
}

/* One ruleset does for all children: landlock_restrict_self(2) makes a domain of its own of it each time. */
void faasd_child_prepare(void)
{
    const struct landlock_attributes attributes = {.scoped = LANDLOCK_SCOPES};
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION) < LANDLOCK_ABI_SCOPES)
        return; /* faasd then keeps one child at a time */
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    ruleset_error = ruleset < 0 ? errno : 0;
}

/* They came with one message into a process that has few others, so they nearly always stand in a row. */
void faasd_child_close_order(struct fork_order *o)
{
    bool in_a_row = true;
    for (unsigned i = 1; i < o->fd_count; i++)
        in_a_row = in_a_row && o->fds[i] == o->fds[i - 1] + 1;
    bool closed = in_a_row && o->fd_count > 1 && syscall(SYS_close_range, o->fds[0], o->fds[o->fd_count - 1], 0) == 0;
    for (unsigned i = 0; i < o->fd_count && !closed; i++)
        close(o->fds[i]);
    o->fd_count = 0;
}

static int join_groups(const struct fork_order *o, char text[CHILD_TEXT_MAX])
{
    for (unsigned i = 1; i < o->fd_count; i++)
        if (write(o->fds[i], "0", 1) != 1)
            return say(text, "join the child's cgroup %u: %s", i, strerror(errno));
    return 0;
}

/* Made here, not by faasd: who opens /dev/stderr again must own the pipe. */
static int make_log(int *ret_log_fd, char text[CHILD_TEXT_MAX])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return say(text, "make the log's pipe: %s", strerror(errno));
    *ret_log_fd = ends[0];
    int failed = dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0;
    close(ends[1]);
    return failed ? say(text, "put the log's pipe in place: %s", strerror(errno)) : 0;
}

/* By hand: printf's code and tables are five pages that many a child would touch for this alone. */
static void print_root(uint32_t slot, char out[32])
{
    static const char directory[] = "/run/slots/";
    char digits[10];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + slot % 10);
    while ((slot /= 10) > 0);
    memcpy(out, directory, sizeof(directory) - 1);
    char *at = out + sizeof(directory) - 1;
    while (count > 0)
        *at++ = digits[--count];
    *at = '\0';
}

static int enter_root(uint32_t slot, char text[CHILD_TEXT_MAX])
{
    char root[32];
    if (slot == FAASD_FORK_SAME_ROOT)
        return 0;
    print_root(slot, root);
    if (chroot(root) != 0)
        return say(text, "enter the root '%s': %s", root, strerror(errno));
    if (chdir("/var/task") != 0)
        return say(text, "enter '/var/task' of the root '%s': %s", root, strerror(errno));
    return faasd_tmp_empty("/tmp") < 0 ? say(text, "empty '/tmp' of the root '%s': %s", root, strerror(errno)) : 0;
}

/* The raw call: no library has to be linked in, and nothing of one is trusted. What leaves the permitted set leaves the ambient one. */
static int drop_capabilities(char text[CHILD_TEXT_MAX])
{
    struct capability_header header = {.version = CAPABILITY_VERSION_3};
    const struct capability_data none[2] = {{0}};
    struct capability_data have[2];
    if (syscall(SYS_capset, &header, none) == 0)
        return 0;
    int error = errno; /* a sandbox that has none to give refuses the call */
    if (syscall(SYS_capget, &header, have) == 0 && memcmp(have, none, sizeof(none)) == 0)
        return 0;
    return say(text, "drop capabilities: %s", strerror(error));
}

/* A domain of its own: one inherited from the template would hold its siblings as well. */
static int narrow_scope(char text[CHILD_TEXT_MAX])
{
    if (ruleset < 0)
        return ruleset_error ? say(text, "make a Landlock domain: %s", strerror(ruleset_error)) : 0;
    int failed = syscall(SYS_landlock_restrict_self, ruleset, 0) != 0;
    int error = errno;
    close(ruleset);
    return failed ? say(text, "enter the Landlock domain: %s", strerror(error)) : 0;
}

static int shut_siblings_out(char text[CHILD_TEXT_MAX])
{
    if (drop_capabilities(text) != 0)
        return -1;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return say(text, "become undumpable: %s", strerror(errno));
    return narrow_scope(text);
}

/* Timers and pending signals stay behind by fork(2) itself; umask and ignored signals were put right in the template. */
static int leave_session(char text[CHILD_TEXT_MAX])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return setsid() < 0 ? say(text, "leave the template's session: %s", strerror(errno)) : 0;
}

int faasd_child_become(struct fork_order *o, int *ret_log_fd, char text[CHILD_TEXT_MAX])
{
    *ret_log_fd = -1;
    int moved = dup3(o->fds[0], FAASD_FRAME_FD, O_CLOEXEC);
    int error = errno;
    fcntl(FAASD_FRAME_FD, F_SETFL, O_RDWR); /* a read that waits is one call; one that does not is three */
    int joined = join_groups(o, text);
    faasd_child_close_order(o);
    if (joined != 0)
        return -1;
    if (moved < 0)
        return say(text, "take the child's socket: %s", strerror(error));
    if (make_log(ret_log_fd, text) != 0 || enter_root(o->body.slot, text) != 0 || shut_siblings_out(text) != 0 ||
        leave_session(text) != 0)
        return -1;
    faasd_random_reseed(o->body.random);
    return 0;
}
