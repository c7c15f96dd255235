/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/watch.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "codec/archive.h"
#include "codec/archive_ignore.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* A file counts when it is complete: closed after writing, moved here, or made as a link. A mode may be the handler's executable bit. */
enum {
    MASK = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |
           IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
    EVENTS_BYTES = 65536,
};

struct place {
    int wd;
    char *path; /* owned: of a directory, relative to the top; "" is the top */
};

struct watch {
    int fd;     /* -1 while the path is gone */
    char *path; /* owned */
    char *top;  /* owned: the directory that is watched: the path, or the one in which the file lies */
    char *only; /* owned: the file's name; NULL: everything */
    struct archive_ignore ignore;
    struct place *places; /* owned, sorted by wd: the kernel counts upwards */
    size_t count;
    /* of one watch_read */
    bool changed, rebuild, gone;
    int error; /* -errno of a new directory that can't be watched */
    struct err *e;
    struct buf *names;
};

static void forget(struct watch *w)
{
    fd_close(&w->fd);
    for (size_t i = 0; i < w->count; i++)
        free(w->places[i].path);
    free(w->places);
    w->places = NULL;
    w->count = 0;
    archive_ignore_fini(&w->ignore);
}

void watch_close(struct watch *w)
{
    if (!w)
        return;
    forget(w);
    free(w->path);
    free(w->top);
    free(w->only);
    free(w);
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

static struct place *find(const struct watch *w, int wd)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->places[middle].wd == wd)
            return &w->places[middle];
        if (w->places[middle].wd < wd)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int keep(struct watch *w, int wd, const char *path, struct err *e)
{
    if (find(w, wd))
        return 0;
    if (w->count == WATCH_DIRECTORIES_MAX)
        return err_say(e, E2BIG, "more than %d directories to watch: name some in .faasdignore",
                       (int)WATCH_DIRECTORIES_MAX);
    struct place *grown = reallocarray(w->places, w->count + 1, sizeof(*grown));
    char *copy = grown ? strdup(path) : NULL;
    if (grown)
        w->places = grown;
    if (!copy)
        return err_set(e, ENOMEM, "watch '%s'", path);
    w->places[w->count++] = (struct place){.wd = wd, .path = copy};
    return 0;
}

static int add_tree(struct watch *w, const char *path, unsigned depth, struct err *e);

static int add_entry(struct watch *w, const char *path, const char *name, unsigned depth, struct err *e)
{
    char inner[PATH_MAX];
    if (fmt_to(inner, sizeof(inner), "%s%s%s", path, *path ? "/" : "", name) + 1 >= sizeof(inner))
        return 0; /* no archive takes so long a path */
    return archive_ignore_matches(&w->ignore, inner, true) ? 0 : add_tree(w, inner, depth + 1, e);
}

/* The watch first, then what lies in the directory: what is made in between is seen twice, never missed. */
static int add_tree(struct watch *w, const char *path, unsigned depth, struct err *e)
{
    char whole[PATH_MAX];
    if (depth > ARCHIVE_DEPTH_MAX)
        return 0;
    if (fmt_to(whole, sizeof(whole), "%s%s%s", w->top, *path ? "/" : "", path) + 1 >= sizeof(whole))
        return 0;
    int wd = inotify_add_watch(w->fd, whole, *path ? MASK | IN_DONT_FOLLOW : MASK);
    if (wd < 0 && errno == ENOSPC)
        return err_say(e, ENOSPC,
                       "no more directories can be watched: raise fs.inotify.max_user_watches (sysctl), or "
                       "name some in .faasdignore");
    if (wd < 0)
        return *path && (errno == ENOENT || errno == ENOTDIR) ? 0 : err_set(e, errno, "watch '%s'", whole);
    int r = keep(w, wd, path, e);
    if (r < 0 || w->only)
        return r;
    DIR *dir = opendir(whole);
    if (!dir)
        return errno == ENOENT ? 0 : err_set(e, errno, "read directory '%s'", whole);
    for (struct dirent *at; r == 0 && (at = readdir(dir));) {
        struct stat st;
        if (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), at->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            r = add_entry(w, path, at->d_name, depth, e);
    }
    closedir(dir);
    return r;
}

/* -ENOENT: the top is not there (any more). */
static int build(struct watch *w, struct err *e)
{
    struct err ignored;
    forget(w);
    scoped_fd dir = open(w->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT || errno == ENOTDIR ? err_say(e, ENOENT, "there is no '%s'", w->path)
                                                   : err_set(e, errno, "open '%s'", w->top);
    if (w->only || archive_ignore_load(&w->ignore, dir, &ignored) < 0) /* the deploy tells what is wrong with it */
        w->ignore = (struct archive_ignore){0};
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0)
        return err_set(e, errno, "watch for changes (fs.inotify.max_user_instances)");
    int r = add_tree(w, "", 0, e);
    if (r < 0)
        forget(w);
    return r;
}

/* A file is watched by its directory: an editor's new file is another one, under the same name. */
static int split(struct watch *w, const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT ? err_say(e, ENOENT, "there is no '%s'", path) : err_set(e, errno, "look at '%s'", path);
    const char *slash = strrchr(path, '/');
    w->path = strdup(path);
    if (S_ISDIR(st.st_mode)) {
        w->top = strdup(path);
    } else {
        w->only = strdup(slash ? slash + 1 : path);
        w->top = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    }
    return w->path && w->top && (w->only || S_ISDIR(st.st_mode)) ? 0 : err_set(e, ENOMEM, "watch '%s'", path);
}

int watch_open(struct watch **ret_watch, const char *path, struct err *e)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return err_set(e, ENOMEM, "watch '%s'", path);
    w->fd = -1;
    int r = split(w, path, e);
    if (r == 0)
        r = build(w, e);
    if (r < 0)
        watch_close(w);
    else
        *ret_watch = w;
    return r;
}

/* ---- events ---- */

static bool is_named(struct str names, const char *path)
{
    while (names.n) {
        struct str name = str_cut(names, '\n', &names, NULL);
        if (str_is(name, path))
            return true;
    }
    return false;
}

static void name_it(struct watch *w, const char *path)
{
    w->changed = true;
    if (w->names->len + strlen(path) >= WATCH_NAMES_BYTES_MAX || is_named(buf_str(w->names), path))
        return;
    (void)buf_addf(w->names, "%s\n", path); /* a name that is lost for want of memory is no reason to stop */
}

static bool is_directory_event(const struct inotify_event *event)
{
    return event->mask & IN_ISDIR;
}

/* CREATE alone says nothing of a regular file: it will be closed. A link or a directory is complete. */
static bool is_unfinished(const struct watch *w, const char *path, const struct inotify_event *event)
{
    char whole[PATH_MAX];
    struct stat st;
    if (!(event->mask & IN_CREATE) || is_directory_event(event))
        return false;
    fmt_to(whole, sizeof(whole), "%s/%s", w->top, path);
    /* a second name of a finished file (link(2)) comes without a close */
    return lstat(whole, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static void drop(struct watch *w, struct place *place)
{
    size_t at = (size_t)(place - w->places);
    if (!*place->path)
        w->gone = true;
    free(place->path);
    memmove(place, place + 1, (w->count - at - 1) * sizeof(*place));
    w->count--;
}

static unsigned depth_of(const char *path)
{
    unsigned depth = 1;
    while ((path = strchr(path, '/'))) {
        path++;
        depth++;
    }
    return depth;
}

static void take_event(struct watch *w, const struct inotify_event *event)
{
    char path[PATH_MAX];
    struct place *place = find(w, event->wd);
    if (event->mask & IN_Q_OVERFLOW) {
        w->rebuild = w->changed = true;
        return;
    }
    if (!place)
        return;
    if (event->mask & IN_IGNORED) {
        drop(w, place);
        return;
    }
    if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF) && !*place->path) {
        w->gone = true;
        return;
    }
    if (!event->len || (w->only && strcmp(event->name, w->only) != 0))
        return;
    fmt_to(path, sizeof(path), "%s%s%s", place->path, *place->path ? "/" : "", event->name);
    bool is_rules = strcmp(path, ".faasdignore") == 0;
    if (!is_rules && archive_ignore_matches(&w->ignore, path, is_directory_event(event)))
        return;
    if (is_unfinished(w, path, event))
        return;
    name_it(w, path);
    /* A moved directory keeps its watches under a name that is wrong now; other rules are another tree. */
    if (is_rules || (is_directory_event(event) && event->mask & (IN_MOVED_FROM | IN_MOVED_TO)))
        w->rebuild = true;
    else if (is_directory_event(event) && event->mask & IN_CREATE && w->error == 0)
        w->error = add_tree(w, path, depth_of(path), w->e);
}

static void take_events(struct watch *w, const char *bytes, size_t n)
{
    while (n >= sizeof(struct inotify_event)) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)bytes;
        take_event(w, event);
        bytes += sizeof(*event) + event->len;
        n -= sizeof(*event) + event->len;
    }
}

static int read_events(struct watch *w, struct err *e)
{
    alignas(struct inotify_event) char bytes[EVENTS_BYTES];
    while (w->fd >= 0) {
        ssize_t n = read(w->fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : err_set(e, errno, "read what has changed");
        if (n == 0)
            return 0;
        take_events(w, bytes, (size_t)n);
    }
    return 0;
}

int watch_read(struct watch *w, struct buf *names, struct err *e)
{
    w->changed = w->rebuild = w->gone = false;
    w->names = names;
    w->error = 0;
    w->e = e;
    int r = 0;
    if (w->fd < 0)
        w->rebuild = true; /* perhaps it is back */
    else
        r = read_events(w, e);
    r = r < 0 ? r : w->error;
    if (r == 0 && (w->rebuild || w->gone)) {
        w->changed = true;
        r = build(w, e);
        if (r == -ENOENT) { /* stays gone, fd -1: nothing to deploy */
            w->changed = false;
            r = 0;
        }
    }
    return r < 0 ? r : w->changed;
}
