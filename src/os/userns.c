/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who writes the maps: a helper that stays outside, because newuidmap is to see a caller of the user's own namespace. This process goes in itself and keeps its pid, by
 * which a service manager knows it.
 *
 *   this process                          helper
 *   fork                                  waits
 *   unshare(NEWUSER | NEWNS)
 *   a byte                            ->  newuidmap, newgidmap of this process
 *   reads until the end, reaps        <-  what they said, exit status
 *   execve
 */
#include "os/userns.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Outside of what faasd calls its own variables (FAASD_*): nobody is to set it. */
#define VARIABLE "_FAASD_USERNS"

enum {
    MAPPED = 0,
    NOT_MAPPED = 1,
    HALF_MAPPED = 2,
    NO_PROGRAM = 127,
    CMDLINE_MAX = 4 * 1024 * 1024,
    ARGUMENTS_MAX = 2 + 3 * (SUBID_RANGES_MAX + 1) + 1
};

static struct userns own;

/* ---- what is known ---- */

/* A variable alone proves nothing: uid 0 must really be somebody else outside. */
static bool zero_is(uid_t owner)
{
    char text[256];
    uint64_t inside, outside;
    if (fd_read_file_at(AT_FDCWD, "/proc/self/uid_map", text, sizeof(text), NULL) < 0)
        return false;
    struct str rest = str_from(text + strspn(text, " "));
    struct str first = str_cut(rest, ' ', &rest, NULL);
    rest = str_trim(rest);
    return str_to_u64(first, &inside) && inside == 0 && str_to_u64(str_cut(rest, ' ', &rest, NULL), &outside) &&
           outside == owner;
}

/* "OWNER:IDS:WHY" */
static void adopt(const char *value)
{
    uint64_t owner, ids;
    struct str rest = str_from(value);
    struct str first = str_cut(rest, ':', &rest, NULL);
    struct str second = str_cut(rest, ':', &rest, NULL);
    if (geteuid() != 0 || !str_to_u64(first, &owner) || !str_to_u64(second, &ids) || owner == 0 || owner > UINT32_MAX ||
        ids > USERNS_IDS_MAX || !zero_is((uid_t)owner))
        return;
    own.entered = true;
    own.owner = (uid_t)owner;
    own.ids = (uint32_t)ids;
    str_copy(rest, own.why, sizeof(own.why));
}

const struct userns *userns_own(void)
{
    static bool known;
    if (known)
        return &own;
    known = true;
    own.owner = geteuid();
    const char *value = getenv(VARIABLE);
    if (value)
        adopt(value);
    unsetenv(VARIABLE);
    return &own;
}

/* ---- outside: the helper ---- */

static void add_number(char text[16], char **ret_argument, uint32_t value)
{
    fmt_to(text, 16, "%u", value);
    *ret_argument = text;
}

/* newuidmap PID 0 OWN 1  USERNS_FIRST FIRST COUNT ... Returns its exit status, NO_PROGRAM, or NOT_MAPPED. */
static int run_mapper(const char *program, pid_t target, uint32_t own_id, const struct subids *ids)
{
    char texts[ARGUMENTS_MAX][16];
    char *argv[ARGUMENTS_MAX] = {(char *)(uintptr_t)program};
    unsigned n = 1;
    uint32_t inside = USERNS_FIRST;
    int status;
    add_number(texts[n], &argv[n], (uint32_t)target), n++;
    const uint32_t first[] = {0, own_id, 1};
    for (unsigned i = 0; i < 3; i++, n++)
        add_number(texts[n], &argv[n], first[i]);
    for (unsigned i = 0; i < ids->count; i++) {
        const uint32_t line[] = {inside, ids->ranges[i].first, ids->ranges[i].count};
        for (unsigned k = 0; k < 3; k++, n++)
            add_number(texts[n], &argv[n], line[k]);
        inside += ids->ranges[i].count;
    }
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(program, argv);
        _exit(NO_PROGRAM);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return NOT_MAPPED;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : NOT_MAPPED;
}

struct mapping {
    const struct subids *uids, *gids;
    pid_t target;
    int go_fd, said_fd;
};

static int map_ids(const struct mapping *m)
{
    static const char *const programs[] = {"newuidmap", "newgidmap"};
    const struct subids *const ids[] = {m->uids, m->gids};
    const uint32_t own_ids[] = {getuid(), getgid()};
    for (unsigned i = 0; i < 2; i++) {
        int status = run_mapper(programs[i], m->target, own_ids[i], ids[i]);
        if (status == NO_PROGRAM)
            dprintf(STDERR_FILENO, "there is no program %s (Debian's package uidmap)", programs[i]);
        if (status != 0)
            return i == 0 ? NOT_MAPPED : HALF_MAPPED;
    }
    return MAPPED;
}

static _Noreturn void be_helper(const struct mapping *m)
{
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd_read_full(m->go_fd, &byte, 1) != 1)
        _exit(NOT_MAPPED);
    dup2(m->said_fd, STDERR_FILENO);
    dup2(m->said_fd, STDOUT_FILENO);
    _exit(map_ids(m));
}

/* ---- inside ---- */

/* Without a helper: any process may map its own two ids, once it has given up setgroups(2) (user_namespaces(7)). */
static int map_self(uid_t uid, gid_t gid, struct err *e)
{
    char text[32];
    int r = fd_write_file_at(AT_FDCWD, "/proc/self/setgroups", "deny", e);
    fmt_to(text, sizeof(text), "0 %u 1\n", uid);
    if (r == 0)
        r = fd_write_file_at(AT_FDCWD, "/proc/self/uid_map", text, e);
    fmt_to(text, sizeof(text), "0 %u 1\n", gid);
    return r == 0 ? fd_write_file_at(AT_FDCWD, "/proc/self/gid_map", text, e) : r;
}

/* By a child, because a namespace can't be left again: some hosts let one be made and give no power in it (AppArmor's restriction). */
static int try_namespaces(struct err *e)
{
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, errno, "fork");
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            _exit(errno & 0x7f);
        _exit(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? 0x80 | (errno & 0x7f) : 0);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, errno, "try a user namespace");
    if (!WIFEXITED(status))
        return err_say(e, ECHILD, "the child that tried a user namespace was killed");
    int code = WEXITSTATUS(status);
    if (code & 0x80)
        return err_set(e, code & 0x7f,
                       "mount something in a user namespace of its own (AppArmor's restriction? see "
                       "kernel.apparmor_restrict_unprivileged_userns)");
    if (code)
        return err_set(
            e, code,
            "make a user namespace (see user.max_user_namespaces, kernel.unprivileged_userns_clone; not from "
            "inside a chroot)");
    return 0;
}

/* Terminals made from here on belong to this namespace: the host's are of its group tty, which is not mapped. Without it `faasd shell` alone fails. */
static void mount_terminals(void)
{
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0600");
}

/* What the mappers said, on one line. */
static void read_said(int fd, char out[USERNS_WHY_MAX])
{
    ssize_t n = fd_read_full(fd, out, USERNS_WHY_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static int go_in(const struct mapping *m, pid_t helper, int go_fd, char why[USERNS_WHY_MAX], struct err *e)
{
    char said[USERNS_WHY_MAX];
    int status = NOT_MAPPED << 8;
    uid_t uid = getuid();
    gid_t gid = getgid();
    int r = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? err_set(e, errno, "make a user namespace") : 0;
    if (r == 0 && helper > 0)
        fd_write_full(go_fd, "", 1);
    close(go_fd);
    read_said(m->said_fd, said);
    while (helper > 0 && waitpid(helper, &status, 0) < 0 && errno == EINTR)
        continue;
    if (r < 0)
        return r;
    int mapped = WIFEXITED(status) ? WEXITSTATUS(status) : NOT_MAPPED;
    if (mapped == HALF_MAPPED)
        return err_say(e, EPERM, "the groups could not be mapped, though the users were: %s", said);
    if (mapped == MAPPED)
        return 0;
    if (helper > 0)
        fmt_to(why, USERNS_WHY_MAX, "%s", said);
    return map_self(uid, gid, e);
}

static int enter(const struct subids *uids, const struct subids *gids, char why[USERNS_WHY_MAX], struct err *e)
{
    int go[2], said[2];
    int r = try_namespaces(e);
    if (r < 0)
        return r;
    if (pipe2(go, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd go_read = go[0], go_write = go[1];
    if (pipe2(said, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd said_read = said[0], said_write = said[1];
    /* The maps of a process that may not be dumped are root's (proc(5)). */
    prctl(PR_SET_DUMPABLE, 1);
    struct mapping m = {.uids = uids, .gids = gids, .target = getpid(), .go_fd = go_read, .said_fd = said_write};
    pid_t helper = uids ? fork() : 0;
    if (uids && helper == 0) {
        fd_close(&go_write);
        be_helper(&m);
    }
    if (helper < 0)
        return err_set(e, errno, "fork");
    fd_close(&said_write);
    m.said_fd = said_read;
    return go_in(&m, helper, fd_take(&go_write), why, e);
}

/* As they were given, whatever the command has made of its pointers to them. */
static int read_arguments(char **ret_text, char ***ret_argv, struct err *e)
{
    scoped_fd fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open '/proc/self/cmdline'");
    scoped_free char **argv = NULL;
    scoped_free char *text = malloc(CMDLINE_MAX + 1);
    if (!text)
        return err_set(e, ENOMEM, "read the arguments");
    ssize_t n = fd_read_full(fd, text, CMDLINE_MAX);
    if (n <= 0 || n == CMDLINE_MAX)
        return err_set(e, n < 0 ? (int)-n : E2BIG, "read the arguments");
    text[n] = '\0';
    size_t count = 0;
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1)
        count++;
    argv = calloc(count + 1, sizeof(*argv));
    if (!argv)
        return err_set(e, ENOMEM, "read the arguments");
    size_t i = 0;
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1)
        argv[i++] = text + at;
    *ret_argv = argv;
    *ret_text = text;
    argv = NULL;
    text = NULL;
    return 0;
}

int userns_enter(const struct subids *uids, const struct subids *gids, const char *why, struct err *e)
{
    scoped_free char *text = NULL;
    scoped_free char **argv = NULL;
    char value[USERNS_WHY_MAX + 48], told[USERNS_WHY_MAX];
    uid_t owner = geteuid();
    userns_own();
    signal(SIGCHLD, SIG_DFL); /* ignored, as a careless parent hands it on, nobody could be waited for */
    fmt_to(told, sizeof(told), "%s", why ? why : "");
    int r = read_arguments(&text, &argv, e);
    if (r == 0)
        r = enter(uids, gids, told, e);
    if (r < 0) {
        fmt_to(own.why, sizeof(own.why), "%s", e->text);
        return r;
    }
    fmt_to(value, sizeof(value), "%u:%u:%s", owner, told[0] ? 0 : subid_total(uids), told);
    mount_terminals();
    if (setenv(VARIABLE, value, 1) == 0)
        execv("/proc/self/exe", argv);
    return err_set(e, errno, "execute this program again");
}
