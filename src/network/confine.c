/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the network process keeps. It is root of a user namespace that owns the router's network namespace and those it makes: CAP_NET_ADMIN in them, and
 * CAP_SYS_ADMIN, which making and entering them takes. Neither counts on the host. Its root directory is /proc/sys/net, which shows the settings of the network
 * namespace that the process is in.
 */
#include "base/fdio.h"
#include "network/internal.h"
#include "os/caps.h"
#include "os/landlock.h"
#include "os/netif.h"
#include "os/rlimit.h"
#include "os/seccomp_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TYPE_MASK 0xfU

/* A namespace lives as long as its descriptor, so this bounds those that a process that was taken over could pile up. Answers that the supervisor has not read yet count (unix(7)): their queue
 * holds a quarter of it. */
enum { DESCRIPTORS_MAX = 1024 };

#define NETLINK(protocol, why)                                                                                         \
    {                                                                                                                  \
        .syscall = "socket", .condition_count = 3,                                                                     \
        .conditions = {{0, INT_MASK, AF_NETLINK}, {1, TYPE_MASK, SOCK_RAW}, {2, INT_MASK, protocol}}, .reason = (why)  \
    }

static const struct seccomp_rule rows[] = {
    ROWS_OF_A_LOOP,
    {.syscall = "unshare",
     .condition_count = 1,
     .conditions = {{0, INT_MASK, CLONE_NEWNET}},
     .reason = "a network namespace, no other"},
    {.syscall = "setns",
     .condition_count = 1,
     .conditions = {{1, INT_MASK, CLONE_NEWNET}},
     .reason = "back to the router's"},
    NETLINK(NETLINK_ROUTE, "interfaces, addresses, routes"),
    NETLINK(NETLINK_NETFILTER, "the filter, connections"),
    {.syscall = "socket", .error = EAFNOSUPPORT, .reason = "netlink and nothing else: no packet of its own"},
    ALLOW("setsockopt", "netlink sockets"),
    ALLOW("bind", "netlink sockets"),
    {.syscall = "ioctl",
     .condition_count = 1,
     .conditions = {{1, INT_MASK, SIOCGSKNS}},
     .reason = "the descriptor of a socket's namespace"},
    ALLOW("sendto", "the kernel"),
    ALLOW("recvfrom", "the kernel"),
    ALLOW("recvmsg", "the supervisor, the resolver: descriptors arrive this way"),
    ALLOW("sendmsg", "the supervisor, the resolver: namespaces leave this way"),
    ALLOW("openat", "settings: the root directory holds nothing else"),
    ALLOW("read", "settings"),
    ALLOW("write", "settings, the log"),
    ALLOW("writev", "the log"),
    ALLOW("close", "sockets, namespaces"),
    ALLOW("nanosleep", "waiting for the kernel's memory"),
    ALLOW("clock_nanosleep", "the same"),
#ifdef CONFINE_SANITIZED
    ROWS_OF_A_SANITIZER,
#endif
};

/* The supervisor has put it there; a process that came another way must not go on. */
static int check_place(struct err *e)
{
    char text[64];
    ssize_t n = fd_read_file_at(AT_FDCWD, "/proc/self/uid_map", text, sizeof(text), e);
    if (n < 0)
        return (int)n;
    unsigned inside, outside, count;
    if (sscanf(text, "%u %u %u", &inside, &outside, &count) != 3 || inside != 0 || outside == 0 || count != 1)
        return err_say(e, EPERM, "the network process must live in a user namespace of its own");
    return 0;
}

static int give_up_files(struct network *n, struct err *e)
{
    const struct landlock_path settings = {.path = "/", .rights = LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE};
    const struct landlock_spec spec = {.paths = &settings, .path_count = 1, .deny_tcp = true, .scope = true};
    if (chroot(NETIF_SETTINGS) < 0 || chdir("/") < 0)
        return err_set(e, errno, "make '%s' the root directory", NETIF_SETTINGS);
    n->settings_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return n->settings_fd < 0 ? err_set(e, errno, "open '%s'", NETIF_SETTINGS) : landlock_restrict(&spec, e);
}

int network_confine(struct network *n, struct err *e)
{
    struct seccomp_program program;
    int r = check_place(e);
    if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
        r = err_set(e, errno, "prctl");
    if (r == 0)
        r = rlimit_set(RLIMIT_CORE, 0, e);
    if (r == 0)
        r = rlimit_set(RLIMIT_NOFILE, DESCRIPTORS_MAX, e);
    if (r == 0)
        r = seccomp_build(rows, sizeof(rows) / sizeof(rows[0]), ENOSYS, &program, e);
    if (r < 0)
        return err_wrap(e, "confine the network process");
    r = give_up_files(n, e);
    if (r == 0)
        r = caps_drop_all_but(CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN), e);
    if (r == 0)
        r = seccomp_attach(&program, e);
    seccomp_program_fini(&program);
    return r < 0 ? err_wrap(e, "confine the network process") : 0;
}
