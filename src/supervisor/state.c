/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/state.h"

#include "supervisor/message.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/id.h"
#include "base/str.h"
#include "os/userns.h"
#include "supervisor/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum {
    FORMAT_NUMBER = 1,
    LOCK_TRIES = 50, /* x 20 ms: a killed supervisor's children hold its lock until the kernel has ended them */
};

void state_init(struct state *s)
{
    *s = (struct state){
        .run_fd = -1, .state_fd = -1, .versions_fd = -1, .staging_fd = -1, .trash_fd = -1, .lock_fd = -1};
}

void state_close(struct state *s)
{
    fd_close(&s->run_fd);
    fd_close(&s->state_fd);
    fd_close(&s->versions_fd);
    fd_close(&s->staging_fd);
    fd_close(&s->trash_fd);
    fd_close(&s->lock_fd);
}

static pid_t read_lock_holder(int lock_fd)
{
    char text[24] = "";
    ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);
    uint64_t pid;
    if (n <= 0 || !str_to_u64((struct str){.p = text, .n = strcspn(text, "\n")}, &pid) || pid > INT32_MAX)
        return 0;
    return (pid_t)pid;
}

static int take_lock(struct state *s, const char *run, struct err *e)
{
    scoped_fd fd = openat(s->run_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, errno, "open '%s/lock'", run);
    int r;
    for (int tries = 0; (r = fd_lock(fd)) < 0; tries++) {
        if (r != -EWOULDBLOCK)
            return err_set(e, -r, "lock '%s/lock'", run);
        pid_t holder = read_lock_holder(fd);
        bool is_dying = holder > 0 && kill(holder, 0) < 0 && errno == ESRCH;
        if (!is_dying || tries == LOCK_TRIES)
            return err_say(e, EBUSY, "another faasd runs on this root ('%s'), pid %d", run, holder);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
    }
    char pid[24];
    size_t n = fmt_to(pid, sizeof(pid), "%d\n", getpid());
    r = fd_truncate(fd, 0);
    if (r == 0)
        r = fd_pwrite_full(fd, pid, n, 0);
    if (r < 0)
        return err_set(e, -r, "write '%s/lock'", run);
    s->lock_fd = fd_take(&fd);
    return 0;
}

/* Empty but for what a file system or an interrupted first start puts there. */
static int check_empty(int dirfd, const char *path, struct err *e)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return err_set(e, errno, "list '%s'", path);
    }
    int r = 0;
    for (struct dirent *at; r == 0 && (errno = 0, at = readdir(d));) {
        const char *n = at->d_name;
        if (strcmp(n, ".") != 0 && strcmp(n, "..") != 0 && strcmp(n, "lost+found") != 0 &&
            strcmp(n, "FORMAT.new") != 0 &&
            strcmp(n, "run-logs") != 0) /* `faasd run --name` may come before the first serve */
            r = err_say(
                e, EEXIST,
                "'%s' holds '%s' but no FORMAT file: it is not this program's state directory, nothing was touched",
                path, n);
    }
    r = r == 0 && errno ? err_set(e, errno, "list '%s'", path) : r;
    closedir(d);
    return r;
}

static int write_format(int dirfd, struct err *e)
{
    char text[24];
    size_t n = fmt_to(text, sizeof(text), "faasd %d\n", FORMAT_NUMBER);
    scoped_fd fd = openat(dirfd, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, errno, "make FORMAT");
    int r = fd_write_full(fd, text, n);
    if (r < 0)
        return err_set(e, -r, "write FORMAT");
    if (fsync(fd) < 0 || renameat(dirfd, "FORMAT.new", dirfd, "FORMAT") < 0 || fsync(dirfd) < 0)
        return err_set(e, errno, "store FORMAT");
    return 0;
}

static int check_format(int dirfd, const char *path, struct err *e)
{
    char text[32];
    ssize_t n = fd_read_file_at(dirfd, "FORMAT", text, sizeof(text), e);
    if (n == -ENOENT) {
        int r = check_empty(dirfd, path, e);
        return r < 0 ? r : write_format(dirfd, e);
    }
    if (n < 0)
        return err_wrap(e, "state directory '%s'", path);
    struct str rest = {.p = text, .n = (size_t)n};
    bool has_newline;
    struct str line = str_cut(rest, '\n', &rest, &has_newline);
    uint64_t number;
    if (!has_newline || rest.n > 0 || !str_starts_with(line, "faasd ") || !str_to_u64(str_skip(line, 6), &number) ||
        number == 0)
        return err_say(e, EINVAL, "'%s/FORMAT' was not written by this program: refused, nothing was touched", path);
    if (number > FORMAT_NUMBER)
        return err_say(e, EINVAL, "'%s' was written by a newer faasd (format %llu, this one knows %d)", path,
                       (unsigned long long)number, FORMAT_NUMBER);
    return 0;
}

struct place {
    const char *name;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int *fd; /* kept open when not NULL */
};

/* The directory is made as root's, so that it passes the ownership check when it is new, and is then handed over; one that was handed over
 * before must still be its owner's or root's. */
static int open_place(int parent, const struct place *p, struct err *e)
{
    if (mkdirat(parent, p->name, 0700) < 0 && errno != EEXIST)
        return err_set(e, errno, "make directory '%s'", p->name);
    scoped_fd fd = openat(parent, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "open directory '%s'", p->name);
    if (st.st_uid != p->uid && st.st_uid != geteuid())
        return err_say(e, EPERM, "directory '%s' belongs to uid %u, expected %u (chown -R it if that is right)",
                       p->name, st.st_uid, p->uid);
    if (fchown(fd, p->uid, p->gid) < 0 || fchmod(fd, p->mode) < 0)
        return err_set(e, errno, "hand '%s' to uid %u", p->name, p->uid);
    if (p->fd)
        *p->fd = fd_take(&fd);
    return 0;
}

static int join(char out[CONFIG_PATH_MAX], const char *dir, const char *name, struct err *e)
{
    if (strlen(dir) + strlen(name) + 2 > CONFIG_PATH_MAX)
        return err_say(e, ENAMETOOLONG, "path '%s/%s' is too long", dir, name);
    fmt_to(out, CONFIG_PATH_MAX, "%s/%s", dir, name);
    return 0;
}

static int name_places(struct state *s, const struct supervisor_paths *p, struct err *e)
{
    int r = join(s->db, p->state, "db", e);
    if (r == 0)
        r = join(s->versions, p->state, "versions", e);
    if (r == 0)
        r = join(s->staging, p->state, "staging", e);
    if (r == 0)
        r = join(s->base, p->run, "base", e);
    if (r == 0 && !*p->logs)
        r = join(s->logs, p->state, "logs", e);
    else if (r == 0)
        str_copy(str_from(p->logs), s->logs, sizeof(s->logs));
    return r;
}

/* logs may lie elsewhere (systemd's LOGS_DIRECTORY). */
static int open_logs(const struct state *s, const struct supervisor_paths *p, const struct accounts *a, struct err *e)
{
    struct place logs = {.name = "logs", .mode = 0700, .uid = a->gateway_uid, .gid = a->gateway_gid};
    if (!*p->logs)
        return open_place(s->state_fd, &logs, e);
    logs.name = p->logs;
    return open_place(AT_FDCWD, &logs, e);
}

static int open_all(struct state *s, const struct supervisor_paths *p, const struct accounts *a, uid_t code_owner,
                    struct err *e)
{
    int r = s->run_fd = directory_open_own(p->run, 0755, e);
    if (r < 0)
        return r;
    r = take_lock(s, p->run, e);
    if (r < 0)
        return r;
    r = s->state_fd = directory_open_own(p->state, 0710, e);
    if (r < 0)
        return r;
    /* A second lock, on the state itself: two roots may name the same one through systemd's variables. */
    r = fd_lock(s->state_fd);
    if (r == -EWOULDBLOCK)
        return err_say(e, EBUSY, "another faasd uses the state directory '%s'", p->state);
    if (r < 0)
        return err_set(e, -r, "lock '%s'", p->state);
    r = check_format(s->state_fd, p->state, e);
    if (r < 0)
        return r;
    if (fchown(s->state_fd, geteuid(), a->gateway_gid) < 0 || fchmod(s->state_fd, 0710) < 0)
        return err_set(e, errno, "set the mode of '%s'", p->state);
    const struct place places[] = {
        {.name = "db", .mode = 0700, .uid = a->gateway_uid, .gid = a->gateway_gid},
        {.name = "versions", .mode = 0755, .uid = geteuid(), .gid = getegid(), .fd = &s->versions_fd},
        {.name = "staging", .mode = 0755, .uid = geteuid(), .gid = getegid(), .fd = &s->staging_fd},
        {.name = "trash", .mode = 0755, .uid = code_owner, .gid = code_owner, .fd = &s->trash_fd},
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && r == 0; i++)
        r = open_place(s->state_fd, &places[i], e);
    if (r == 0)
        r = open_logs(s, p, a, e);
    if (r < 0)
        return err_wrap(e, "state directory '%s'", p->state);
    const struct place base = {.name = "base", .mode = 0700, .uid = geteuid(), .gid = getegid()};
    r = open_place(s->run_fd, &base, e);
    return r < 0 ? err_wrap(e, "run directory '%s'", p->run) : 0;
}

int state_open(struct state *s, const struct supervisor_paths *p, const struct accounts *a, uid_t code_owner,
               struct err *e)
{
    state_init(s);
    int r = name_places(s, p, e);
    if (r == 0)
        r = open_all(s, p, a, code_owner, e);
    if (r == 0 && !userns_own()->entered) /* else gateway_view.h opens the way */
        r = directory_check_reach(s->db, a->gateway_uid, a->gateway_gid, e);
    if (r < 0)
        state_close(s);
    return r < 0 ? r : 0;
}

void state_staging_name(uint64_t staging, char out[STATE_STAGING_MAX])
{
    fmt_to(out, STATE_STAGING_MAX, "%llu", (unsigned long long)staging);
}

static int open_beneath(int dirfd, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    long fd;
    do
        fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
    while (fd < 0 &&
           (errno == EAGAIN || errno == EINTR)); /* a rename elsewhere may disturb RESOLVE_BENEATH: openat2(2) */
    return fd < 0 ? -errno : (int)fd;
}

int state_make_staging(const struct state *s, uint64_t staging, uid_t code_owner, struct err *e)
{
    char name[STATE_STAGING_MAX];
    state_staging_name(staging, name);
    if (mkdirat(s->staging_fd, name, 0700) < 0)
        return err_set(e, errno, "make staging directory %s", name);
    int opened = open_beneath(s->staging_fd, name);
    scoped_fd fd = opened;
    int r = 0;
    if (fd < 0)
        r = err_set(e, -opened, "open staging directory %s", name);
    else if (fchown(fd, code_owner, code_owner) < 0 || fchmod(fd, 0755) < 0)
        r = err_set(e, errno, "hand staging directory %s to uid %u", name, code_owner);
    if (r == 0)
        return fd_take(&fd);
    unlinkat(s->staging_fd, name, AT_REMOVEDIR); /* nobody was told of it */
    return r;
}

static int open_empty(const struct state *s, uid_t code_owner, struct err *e)
{
    static const char name[] = "empty";
    if (mkdirat(s->state_fd, name, 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "make directory '%s'", name);
    int opened = open_beneath(s->state_fd, name);
    if (opened < 0)
        return err_set(e, -opened, "open directory '%s'", name);
    scoped_fd fd = opened;
    if (fchown(fd, code_owner, code_owner) < 0 || fchmod(fd, 0555) < 0)
        return err_set(e, errno, "hand directory '%s' to uid %u", name, code_owner);
    return fd_take(&fd);
}

int state_open_version(const struct state *s, const char *digest, uid_t code_owner, struct err *e)
{
    if (strcmp(digest, MESSAGE_NO_CODE) == 0)
        return open_empty(s, code_owner, e);
    int opened = open_beneath(s->versions_fd, digest);
    if (opened < 0)
        return err_set(e, -opened, "open the code %s", digest);
    scoped_fd fd = opened;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at the code %s", digest);
    if (st.st_uid != code_owner)
        return err_say(e, EPERM, "the code %s belongs to uid %u, not to %u: was uid_base changed?", digest, st.st_uid,
                       code_owner);
    return fd_take(&fd);
}

int state_throw_away(const struct state *s, int from, const char *name, struct err *e)
{
    uint8_t random[8];
    char fresh[2 * sizeof(random) + 1];
    id_random(random, sizeof(random));
    id_hex(random, sizeof(random), fresh);
    if (renameat(from, name, s->trash_fd, fresh) < 0 && errno != ENOENT)
        return err_set(e, errno, "move '%s' to the trash", name);
    return 0;
}

int state_sweep_staging(const struct state *s, struct err *e)
{
    int fd = openat(s->staging_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return err_set(e, errno, "list the staging directories");
    }
    int count = 0, r = 0;
    for (struct dirent *at; r == 0 && (errno = 0, at = readdir(d));) {
        if (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0)
            continue;
        r = state_throw_away(s, s->staging_fd, at->d_name, e);
        count++;
    }
    r = r == 0 && errno ? err_set(e, errno, "list the staging directories") : r;
    closedir(d);
    return r < 0 ? r : count;
}
