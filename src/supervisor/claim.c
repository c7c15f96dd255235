/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/claim.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "os/caps.h"
#include "os/pidfd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    STATUS_BYTES = 8192,
    STAT_BYTES = 1024,
    STAT_FLAGS = 9,
    STAT_STARTTIME = 22,
    PF_EXITING = 4 /* linux/sched.h */,
    OTHERS_MAX = 256
};

static int deny(struct err *e, const struct claim *c, const char *what)
{
    return err_say(e, EPERM, "process %d %s", c->pid, what);
}

static int read_proc(pid_t pid, const char *file, char *out, size_t cap)
{
    char path[48];
    fmt_to(path, sizeof(path), "/proc/%d/%s", pid, file);
    return (int)fd_read_file_at(AT_FDCWD, path, out, cap, NULL);
}

/* Field `number` of /proc/PID/stat, 0 when it is gone. Fields are counted from the end of the name, which may hold anything (proc(5)). */
static uint64_t read_stat(pid_t pid, int number)
{
    char text[STAT_BYTES];
    const char *name_end = read_proc(pid, "stat", text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
    if (!name_end)
        return 0;
    struct str rest = str_from(name_end + 1), field = {0};
    for (int i = 2; i <= number && (i == 2 || rest.n); i++)
        field = str_cut(rest, ' ', &rest, NULL);
    uint64_t value;
    return str_to_u64(field, &value) ? value : 0;
}

/* In clock ticks since boot. */
static uint64_t start_time(pid_t pid)
{
    return read_stat(pid, STAT_STARTTIME);
}

static int check_place(const struct claim *c, struct err *e)
{
    pid_t others[OTHERS_MAX];
    unsigned count;
    if (cgroup_holds_only(c->group, c->pid))
        return 0;
    if (!cgroup_holds(c->group, c->pid, others, OTHERS_MAX, &count))
        return deny(e, c, "is not in the groups that were made for it");
    if (count == OTHERS_MAX)
        return deny(e, c, "is in a crowd");
    uint64_t own = count > 0 ? start_time(c->pid) : 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t other = start_time(others[i]);
        if (other && other < own)
            return err_say(e, EPERM, "process %d is in its groups with process %d, which is older", c->pid, others[i]);
    }
    return 0;
}

/* By pidfd where the kernel has that: a tenth of what the way through /proc costs. */
static int look_at_namespace(pid_t pid, int pidfd, struct claim_template *ret_namespace, struct err *e)
{
    char path[48];
    struct stat st;
    scoped_fd fd = pidfd_open_pid_namespace(pidfd);
    fmt_to(path, sizeof(path), "/proc/%d/ns/pid", pid);
    if (fd < 0 && fd != -ENOTTY && fd != -EINVAL)
        return err_set(e, -fd, "look at the pid namespace of process %d", pid);
    if ((fd < 0 ? stat(path, &st) : fstat(fd, &st)) < 0)
        return err_set(e, errno, "look at '%s'", path);
    bool tells = fd >= 0 && pidfd_namespace_holds(fd, pid) == 1;
    *ret_namespace = (struct claim_template){st.st_dev, st.st_ino, tells ? fd_take(&fd) : -1};
    return 0;
}

/* The value behind "\nName:\t", to the end of its line. */
static struct str status_field(const char *status, const char *name)
{
    struct str rest = str_from(status);
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL), value;
        bool found;
        if (str_is(str_cut(line, ':', &value, &found), name) && found)
            return str_skip(value, 1);
    }
    return (struct str){0};
}

static bool ids_are(struct str ids, uint32_t wanted)
{
    unsigned count = 0;
    while (ids.n) {
        uint64_t id;
        if (!str_to_u64(str_cut(ids, '\t', &ids, NULL), &id) || id != wanted)
            return false;
        count++;
    }
    return count == 4; /* real, effective, saved, file system */
}

static int read_status(pid_t pid, char status[STATUS_BYTES], struct err *e)
{
    int n = read_proc(pid, "status", status, STATUS_BYTES);
    return n < 0 ? err_set(e, n == -ENOENT ? ESRCH : -n, "read the status of process %d", pid) : 0;
}

/* Init got both before its program began, and neither can be lost: not by fork(2), not by execve(2), not on purpose (prctl(2), seccomp(2)). Whoever is in its pid
 * namespace descends from it (who enters one from outside needs CAP_SYS_ADMIN over it), so they hold for all of them, for as long as init lives. */
static int look_at_init(const struct claim *c, struct err *e)
{
    char status[STATUS_BYTES];
    struct claim_template seen;
    int r = look_at_namespace(c->init, c->init_pidfd, &seen, e);
    if (r < 0)
        return r;
    r = read_status(c->init, status, e);
    if (r == 0 && (!str_is(status_field(status, "NoNewPrivs"), "1") || !str_is(status_field(status, "Seccomp"), "2")))
        r = err_say(e, EPERM, "init %d of the template's sandbox is without its filter", c->init);
    if (r < 0) {
        claim_template_fini(&seen);
        return r;
    }
    *c->template = seen;
    return 0;
}

/* 1 or 0, or -errno. The template's open namespace is asked without another being opened: 0.2 us instead of 6. */
static int is_in_namespace(const struct claim *c, struct err *e)
{
    struct claim_template own;
    int r = c->template->namespace_fd < 0 ? -ENOTTY : pidfd_namespace_holds(c->template->namespace_fd, c->pid);
    if (r != -ENOTTY)
        return r < 0 ? err_set(e, -r, "look at the pid namespace of process %d", c->pid) : r;
    r = look_at_namespace(c->pid, c->pidfd, &own, e);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    claim_template_fini(&own);
    return own.device == c->template->device && own.inode == c->template->inode;
}

static int check_namespace(const struct claim *c, struct err *e)
{
    int r = is_in_namespace(c, e);
    if (r < 0)
        return r;
    if (r == 0)
        return deny(e, c, "is not in the template's pid namespace");
    return c->pid == c->init ? deny(e, c, "is the template's init") : 0;
}

/* Before Linux 6.13. */
static int check_ids_in_status(const struct claim *c, struct err *e)
{
    char status[STATUS_BYTES];
    int r = read_status(c->pid, status, e);
    if (r < 0)
        return r;
    bool same = ids_are(status_field(status, "Uid"), c->host_uid) && ids_are(status_field(status, "Gid"), c->host_uid);
    return same ? 0 : deny(e, c, "has other ids than the template");
}

static int check_ids(const struct claim *c, struct err *e)
{
    int r = pidfd_ids_are(c->pidfd, c->host_uid, c->host_uid);
    if (r == -ENOTTY || r == -EINVAL)
        return check_ids_in_status(c, e);
    if (r < 0)
        return err_set(e, -r, "look at the ids of process %d", c->pid);
    return r ? 0 : deny(e, c, "has other ids than the template");
}

void claim_template_fini(struct claim_template *t)
{
    fd_close(&t->namespace_fd);
}

int claim_check(const struct claim *c, struct err *e)
{
    int r = check_place(c, e);
    if (r == 0 && !c->template->inode)
        r = look_at_init(c, e);
    if (r == 0)
        r = check_namespace(c, e);
    if (r == 0)
        r = check_ids(c, e);
    if (r == 0)
        r = caps_check_none(c->pid, e);
    /* Alive now means that all of it was read from this process, not from a later one of the same number. */
    if (pidfd_is_dead(c->pidfd))
        return err_set(e, ESRCH, "look at process %d", c->pid);
    return r;
}

int claim_check_dead(const struct claim *c, struct err *e)
{
    char status[STATUS_BYTES];
    int r = read_status(c->pid, status, e);
    if (r < 0)
        return r;
    if (!ids_are(status_field(status, "Uid"), c->host_uid))
        return deny(e, c, "has other ids than the template");
    r = cgroup_verify_dead(c->group, c->pid, e);
    bool ends = read_stat(c->pid, STAT_FLAGS) & PF_EXITING;
    /* Not waited for by now: so all of it was read from this process. */
    if (r == 0 && (!ends || pidfd_is_reaped(c->pidfd)))
        return err_set(e, ESRCH, "look at process %d", c->pid);
    return r;
}
