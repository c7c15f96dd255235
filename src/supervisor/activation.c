/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/activation.h"

#include "base/str.h"
#include "os/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

int activation_count(struct err *e)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    uint64_t number;
    if (!pid || !fds || !str_to_u64(str_from(pid), &number) || number != (uint64_t)getpid() ||
        !str_to_u64(str_from(fds), &number))
        return 0;
    if (number > ACTIVATION_MAX)
        return err_say(e, E2BIG, "the service manager hands over %llu sockets, more than %d",
                       (unsigned long long)number, (int)ACTIVATION_MAX);
    return (int)number;
}

static int get_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static int take_tcp(struct activated *a, const struct sock_address *address, struct err *e)
{
    char bound[SOCK_NAME_MAX];
    a->role = ACTIVATION_TCP;
    a->is_loopback = sock_address_is_loopback(address);
    int r = sock_print_bound(a->fd, bound);
    if (r < 0)
        return err_set(e, -r, "ask where descriptor %d listens", a->fd);
    str_copy(str_from(bound), a->name, sizeof(a->name));
    return 0;
}

static int take_unix(struct activated *a, const struct sock_address *address, struct str name, struct err *e)
{
    const struct sockaddr_un *u = (const struct sockaddr_un *)(const void *)&address->raw;
    a->role = str_is(name, "control")  ? ACTIVATION_CONTROL
              : str_is(name, "invoke") ? ACTIVATION_INVOKE
                                       : ACTIVATION_MORE;
    size_t n = address->length > offsetof(struct sockaddr_un, sun_path)
                   ? strnlen(u->sun_path, address->length - offsetof(struct sockaddr_un, sun_path))
                   : 0;
    if (n == 0 || !str_copy((struct str){u->sun_path, n}, a->name, sizeof(a->name)))
        return err_say(e, EINVAL, "descriptor %d is a Unix socket without a path", a->fd);
    return 0;
}

static int take(struct activated *a, struct str name, struct err *e)
{
    struct sock_address address = {.length = sizeof(address.raw)};
    if (get_option(a->fd, SO_ACCEPTCONN) != 1 || get_option(a->fd, SO_TYPE) != SOCK_STREAM)
        return err_say(e, EINVAL, "descriptor %d of the service manager is no listening stream socket (Accept=no)",
                       a->fd);
    if (fcntl(a->fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(a->fd, F_SETFL, O_NONBLOCK) < 0 ||
        getsockname(a->fd, (struct sockaddr *)&address.raw, &address.length) < 0)
        return err_set(e, errno, "take over descriptor %d", a->fd);
    switch (address.raw.ss_family) {
    case AF_INET:
    case AF_INET6:
        return take_tcp(a, &address, e);
    case AF_UNIX:
        return take_unix(a, &address, name, e);
    default:
        return err_say(e, EAFNOSUPPORT, "descriptor %d is neither a TCP nor a Unix socket", a->fd);
    }
}

int activation_take(struct activated out[ACTIVATION_MAX], unsigned *ret_count, struct err *e)
{
    int count = activation_count(e);
    const char *names = getenv("LISTEN_FDNAMES");
    struct str rest = str_from(names ? names : "");
    bool seen[ACTIVATION_MORE + 1] = {false};
    int r = count < 0 ? count : 0;
    for (int i = 0; r == 0 && i < count; i++) {
        struct activated *a = &out[i];
        *a = (struct activated){.fd = ACTIVATION_FD_FIRST + i};
        r = take(a, str_cut(rest, ':', &rest, NULL), e);
        if (r == 0 && (a->role == ACTIVATION_CONTROL || a->role == ACTIVATION_INVOKE) && seen[a->role])
            r = err_say(e, EINVAL, "the service manager hands over two sockets named '%s'",
                        a->role == ACTIVATION_CONTROL ? "control" : "invoke");
        seen[a->role] = true;
    }
    *ret_count = r < 0 ? 0 : (unsigned)count;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return r;
}
