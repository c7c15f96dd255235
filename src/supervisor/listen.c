/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/listen.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/str.h"
#include "os/sock.h"
#include "supervisor/message.h"
#include "supervisor/port_holder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { ALIVE_TRIES = 25 /* x 20 ms: a killed supervisor's gateway may still be dying */ };

static int explain_tcp(const char *text, unsigned port, struct err *e)
{
    char holder[128];
    if (e->code == EADDRINUSE && port_holder_find(port, holder, sizeof(holder)))
        return err_say(e, EADDRINUSE, "listen on %s: port %u is taken by %s", text, port, holder);
    if (e->code == EADDRINUSE)
        return err_say(e, EADDRINUSE, "listen on %s: port %u is taken", text, port);
    if (e->code == EACCES)
        return err_say(e, EACCES,
                       "listen on %s: port %u is root's alone; take one from 1024 on, or have root lower "
                       "net.ipv4.ip_unprivileged_port_start",
                       text, port);
    return err_wrap(e, "listen on %s", text);
}

/* 1 when it listens, 0 when this host has no IPv6 loopback and something else listens, or -errno. */
static int open_tcp(struct listeners *l, const char *text, bool may_lack, struct err *e)
{
    struct sock_address address;
    int fd = sock_parse_tcp(text, &address, e);
    if (fd < 0)
        return fd;
    fd = sock_listen_tcp(&address, e);
    if (fd < 0 && may_lack && address.raw.ss_family == AF_INET6 &&
        (e->code == EAFNOSUPPORT || e->code == EADDRNOTAVAIL)) {
        log_warn("not listening on %s, this host has no such address: %s", text, e->text);
        return 0;
    }
    if (fd < 0)
        return explain_tcp(text, sock_address_port(&address), e);
    struct listener *at = &l->at[l->count++];
    at->fd = fd;
    at->kind = sock_address_is_loopback(&address) ? GATEWAY_LISTENER_LOOPBACK : GATEWAY_LISTENER_REMOTE;
    /* nobody could be told which one, where the kernel chose the port */
    int r = sock_print_bound(fd, at->name);
    return r < 0 ? err_set(e, -r, "ask where '%s' listens", text) : 1;
}

/* A socket that nobody answers on is what a killed daemon left: removed. One that is alive, or anything that is no socket, stays. */
static int clear_stale(const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "look at '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_say(e, EEXIST, "'%s' exists and is no socket: refused", path);
    if (st.st_uid != geteuid())
        return err_say(e, EPERM, "socket '%s' belongs to uid %u: refused", path, st.st_uid);
    for (int tries = 0;; tries++) {
        struct err why;
        scoped_fd fd = sock_connect_unix(path, &why);
        if (fd < 0 && why.code == ECONNREFUSED)
            break;
        if (fd < 0 && why.code == ENOENT)
            return 0;
        if (tries == ALIVE_TRIES)
            return err_say(e, EADDRINUSE, "socket '%s' is in use by another process", path);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
    }
    struct stat again;
    if (lstat(path, &again) < 0 || again.st_ino != st.st_ino || again.st_dev != st.st_dev)
        return err_say(e, EBUSY, "socket '%s' changed while it was looked at", path);
    return unlink(path) < 0 ? err_set(e, errno, "remove the old socket '%s'", path) : 0;
}

static int open_unix(struct listeners *l, const struct sock_unix *u, uint32_t kind, struct err *e)
{
    struct listener *at = &l->at[l->count];
    if (!str_copy(str_from(u->path), at->name, sizeof(at->name)))
        return err_say(e, ENAMETOOLONG, "socket path '%s' is too long", u->path);
    int r = clear_stale(u->path, e);
    if (r == 0)
        r = sock_listen_unix(u, e);
    if (r < 0)
        return r;
    at->fd = r;
    at->kind = kind;
    struct stat st;
    at->inode = lstat(u->path, &st) == 0 ? st.st_ino : 0;
    l->count++;
    return 0;
}

/* Its file, if it has one, is the service manager's: no inode is kept, so it stays when we go. */
static void adopt(struct listeners *l, struct activated *a)
{
    static const uint32_t kinds[] = {[ACTIVATION_CONTROL] = GATEWAY_LISTENER_CONTROL,
                                     [ACTIVATION_INVOKE] = GATEWAY_LISTENER_INVOKE,
                                     [ACTIVATION_MORE] = GATEWAY_LISTENER_INVOKE};
    struct listener *at = &l->at[l->count++];
    at->fd = fd_take(&a->fd);
    at->kind = kinds[a->role];
    if (a->role == ACTIVATION_TCP)
        at->kind = a->is_loopback ? GATEWAY_LISTENER_LOOPBACK : GATEWAY_LISTENER_REMOTE;
    str_copy(str_from(a->name), at->name, sizeof(at->name));
}

/* How many sockets of that role the service manager had made. */
static unsigned adopt_all(struct listeners *l, enum activation_role role)
{
    unsigned count = 0;
    for (unsigned i = 0; i < l->activated_count; i++)
        if (l->activated[i].role == role) {
            adopt(l, &l->activated[i]);
            count++;
        }
    return count;
}

static int open_configured(struct listeners *l, const struct config *c, struct sock_unix *u, struct err *e)
{
    bool has_tcp = adopt_all(l, ACTIVATION_TCP) > 0;
    adopt_all(l, ACTIVATION_MORE);
    for (uint32_t i = 0; i < c->listen_count; i++) {
        const char *text = c->listen[i];
        int r = 0;
        if (strncmp(text, "unix:", 5) == 0) {
            u->path = text + 5;
            r = open_unix(l, u, GATEWAY_LISTENER_INVOKE, e);
        } else if (!has_tcp) {
            r = open_tcp(l, text, c->listen_count > 1, e);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_metrics(struct listeners *l, const struct config *c, struct err *e)
{
    if (!c->metrics_listen[0])
        return 0;
    int r = open_tcp(l, c->metrics_listen, false, e);
    if (r < 0)
        return err_wrap(e, "metrics_listen");
    l->at[l->count - 1].kind = GATEWAY_LISTENER_METRICS;
    return 0;
}

static int open_all(struct listeners *l, const struct config *c, const struct accounts *a,
                    const struct supervisor_paths *p, struct err *e)
{
    char path[CONFIG_PATH_MAX + 16];
    struct sock_unix u = {.uid = geteuid(), .gid = a->invoke_gid, .mode = c->invoke_mode};
    int r = open_configured(l, c, &u, e);
    if (r == 0)
        r = open_metrics(l, c, e);
    u.path = path;
    fmt_to(path, sizeof(path), "%s/invoke.sock", p->run);
    if (r == 0 && !adopt_all(l, ACTIVATION_INVOKE))
        r = open_unix(l, &u, GATEWAY_LISTENER_INVOKE, e);
    if (r < 0)
        return r;
    fmt_to(path, sizeof(path), "%s/control.sock", p->run);
    u.gid = a->control_gid;
    u.mode = a->has_control_group ? 0660 : 0600;
    return adopt_all(l, ACTIVATION_CONTROL) ? 0 : open_unix(l, &u, GATEWAY_LISTENER_CONTROL, e);
}

int listeners_open(struct listeners *l, const struct config *c, const struct accounts *a,
                   const struct supervisor_paths *p, struct err *e)
{
    l->count = 0;
    l->at = calloc(LISTENERS_MAX, sizeof(struct listener));
    if (!l->at)
        return err_set(e, ENOMEM, "make room for the listeners");
    int r = open_all(l, c, a, p, e);
    if (r < 0)
        listeners_close(l);
    return r;
}

void listeners_close(struct listeners *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct listener *at = &l->at[i];
        struct stat st;
        if (at->inode != 0 && lstat(at->name, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == at->inode)
            unlink(at->name);
        fd_close(&at->fd);
    }
    free(l->at);
    *l = (struct listeners){0};
}

unsigned listeners_revive(struct listeners *l)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < l->count; i++)
        lost += sock_listen_again(l->at[i].fd) < 0;
    return lost;
}

void listeners_print(const struct listeners *l, char *out, size_t cap)
{
    size_t n = fmt_to(out, cap, "listen=");
    const char *between = "";
    const char *invoke = "";
    const char *control = "";
    const char *metrics = NULL;
    for (unsigned i = 0; i < l->count; i++) {
        const struct listener *at = &l->at[i];
        bool is_last = i + 2 >= l->count; /* the two that are always there come last */
        if (is_last && at->kind == GATEWAY_LISTENER_CONTROL) {
            control = at->name;
        } else if (is_last) {
            invoke = at->name;
        } else if (at->kind == GATEWAY_LISTENER_METRICS) {
            metrics = at->name;
        } else {
            n = fmt_at(out, cap, n, "%s%s%s", between, at->name[0] == '/' ? "unix:" : "", at->name);
            between = ",";
        }
    }
    n = fmt_at(out, cap, n, " control=%s invoke=%s", control, invoke);
    if (metrics)
        fmt_at(out, cap, n, " metrics=%s", metrics);
}
