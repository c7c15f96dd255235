/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client_connect.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/cmd.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SYSTEM_SOCKET "/run/faasd/control.sock"

void client_address_print(struct client_address *a)
{
    fmt_to(a->url, sizeof(a->url), a->is_unix ? "unix://%s" : "http://%s", a->is_unix ? a->path : a->host);
}

/* "host", "host:port", "[::1]:port". */
static bool split_host(struct client_address *a, struct str host)
{
    struct str rest;
    struct str node;
    bool has_port;
    if (!str_copy(host, a->host, sizeof(a->host)) || host.n == 0)
        return false;
    if (host.p[0] == '[') {
        bool closed;
        node = str_cut(str_skip(host, 1), ']', &rest, &closed);
        has_port = rest.n && rest.p[0] == ':';
        if (!closed || (rest.n && !has_port))
            return false;
        rest = str_skip(rest, 1);
    } else {
        node = str_cut(host, ':', &rest, &has_port);
    }
    uint64_t port = 80;
    if (has_port && (!str_to_u64(rest, &port) || port == 0 || port > 65535))
        return false;
    fmt_to(a->port, sizeof(a->port), "%lu", (unsigned long)port);
    return node.n && str_copy(node, a->node, sizeof(a->node));
}

static int parse_url(struct client_address *a, const char *url, struct err *e)
{
    struct str text = str_from(url);
    if (str_starts_with(text, "unix://")) {
        a->is_unix = true;
        text = str_skip(text, strlen("unix://"));
        if (!str_starts_with(text, "/") || !str_copy(text, a->path, sizeof(a->path)))
            return err_say(e, EINVAL, "'%s': write unix:///absolute/path/of/control.sock", url);
        return 0;
    }
    if (!str_starts_with(text, "http://"))
        return err_say(e, EINVAL, "'%s' is no address of a daemon: write unix:///path or http://host:8080", url);
    text = str_skip(text, strlen("http://"));
    struct str rest;
    struct str host = str_cut(text, '/', &rest, NULL);
    if (rest.n || !split_host(a, host))
        return err_say(e, EINVAL, "'%s': write http://host:8080", url);
    return 0;
}

static bool socket_exists(const char *path)
{
    return access(path, F_OK) == 0 || errno == EACCES;
}

static int find_by_root(const struct client_target *t, struct client_address *a, struct err *e)
{
    struct supervisor_paths paths;
    int r = supervisor_find_paths(t->root, &paths, e);
    if (r < 0)
        return r;
    const char *root = getenv("FAASD_ROOT");
    a->is_unix = true;
    a->guessed = !t->root && !(root && *root);
    if (fmt_to(a->path, sizeof(a->path), "%s/control.sock", paths.run) + 1 >= sizeof(a->path))
        return err_say(e, ENAMETOOLONG, "'%s' is too long", paths.run);
    if (a->guessed && !socket_exists(a->path) && socket_exists(SYSTEM_SOCKET))
        fmt_to(a->path, sizeof(a->path), "%s", SYSTEM_SOCKET);
    return 0;
}

int client_find(const struct client_target *t, struct client_address *ret_address, int *ret_exit, struct err *e)
{
    struct client_address a = {0};
    const char *url = t->url;
    if (!url && !t->root)
        url = getenv("FAASD_URL");
    int r = url && *url ? parse_url(&a, url, e) : find_by_root(t, &a, e);
    if (r < 0) {
        *ret_exit = CMD_USAGE;
        return r;
    }
    a.by_url = url && *url;
    client_address_print(&a);
    *ret_address = a;
    return 0;
}

/* sun_path holds 107 bytes; a longer path is reached through a descriptor of its directory. */
static int connect_unix(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    scoped_fd dir = -1;
    if (strlen(path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, strlen(path) + 1);
    } else {
        char dir_path[256];
        const char *slash = strrchr(path, '/');
        if (!slash || !str_copy((struct str){.p = path, .n = (size_t)(slash - path)}, dir_path, sizeof(dir_path)))
            return -ENAMETOOLONG;
        dir = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            return -errno;
        if (fmt_to(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d%s", dir, slash) + 1 >=
            sizeof(address.sun_path))
            return -ENAMETOOLONG;
    }
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int open_unix(const struct client_address *a, int *ret_exit, struct err *e)
{
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, errno, "make a socket");
    int r = connect_unix(fd, a->path);
    if (r == 0)
        return fd_take(&fd);
    *ret_exit = r == -EACCES ? CMD_DENIED : CMD_UNREACHABLE;
    if (r == -EACCES)
        return err_say(e, EACCES, "'%s': permission denied; only root and members of its group may use it", a->path);
    if (r == -ENOENT || r == -ECONNREFUSED)
        return err_say(e, -r, "no daemon at '%s'; start one with `faasd serve`%s", a->path,
                       a->guessed ? ", or name one with --url or --root" : "");
    return err_set(e, -r, "connect to '%s'", a->path);
}

static int open_tcp(const struct client_address *a, int *ret_exit, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    *ret_exit = CMD_UNREACHABLE;
    int r = getaddrinfo(a->node, a->port, &hints, &found);
    if (r != 0)
        return err_say(e, ENOENT, "'%s': %s", a->node, gai_strerror(r));
    int error = ENOENT;
    scoped_fd fd = -1;
    for (struct addrinfo *at = found; at; at = at->ai_next) {
        fd_close(&fd);
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            error = 0;
            break;
        }
        error = errno;
    }
    freeaddrinfo(found);
    if (error == ECONNREFUSED)
        return err_say(e, error, "no daemon at %s; start one with `faasd serve`", a->url);
    return error ? err_set(e, error, "connect to %s", a->url) : fd_take(&fd);
}

int client_connect(const struct client_address *a, int *ret_exit, struct err *e)
{
    *ret_exit = CMD_UNREACHABLE;
    return a->is_unix ? open_unix(a, ret_exit, e) : open_tcp(a, ret_exit, e);
}
