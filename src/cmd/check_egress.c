/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/check_egress.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "network/filter.h"
#include "os/conntrack.h"
#include "os/netif.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/userns.h"
#include "supervisor/egress_host.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>

enum { PROBE_UPLINK = 2, PROBE_GATEWAY = 0x64400001, PROBE_ROUTER = 0x6440ff01 };

static int try_pair(struct netlink_request *r, struct err *e)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1}, other[6] = {2, 0, 0, 0, 0, 2};
    scoped_fd here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (here < 0)
        return err_set(e, errno, "open '/proc/self/ns/net'");
    const struct netif_pair pair = {
        .name = "a", .mac = mac, .peer_name = "b", .peer_mac = other, .peer_namespace = here};
    scoped_fd fd = netlink_open(NETLINK_ROUTE, e);
    return fd < 0 ? fd : netif_add_pair(fd, r, &pair, e);
}

static int look_at_nothing(const struct conntrack_entry *c, void *context)
{
    (void)c;
    (void)context;
    return 0;
}

static int try_tables(struct netlink_request *r, struct err *e)
{
    static const struct egress_grants none;
    const struct network_limits limits = {
        .bytes_per_second = 1 << 20, .packets_per_second = 1000, .connections = 1, .connections_total = 1};
    const struct filter_router o = {
        .uplink = PROBE_UPLINK, .gateway = PROBE_GATEWAY, .grants = &none, .limits = &limits};
    const struct egress_uplink u = {.name = "faasd0", .host_index = PROBE_UPLINK, .router = PROBE_ROUTER};
    scoped_fd fd = netlink_open(NETLINK_NETFILTER, e);
    if (fd < 0)
        return fd;
    const struct filter f = {.fd = fd, .request = r};
    int result = filter_open(&f, &o, e);
    if (result == 0 && (result = conntrack_each(fd, r, look_at_nothing, NULL)) < 0)
        err_set(e, -result, "read the kernel's table of connections");
    return result < 0 ? result : egress_host_guard(fd, r, &u, &none, e);
}

static void __attribute__((noreturn)) child_main(int out)
{
    struct err e = {0};
    struct netlink_request *r = calloc(1, sizeof(*r));
    int result = r ? try_pair(r, &e) : err_set(&e, ENOMEM, "try the network");
    if (result == 0)
        result = try_tables(r, &e);
    if (result == 0)
        e.code = 0;
    fd_write_full(out, &e, sizeof(e));
    _exit(0);
}

static void note(struct feature_set *set, enum feature f, bool found, const char *detail)
{
    set->found[f] = found;
    fmt_to(set->detail[f], sizeof(set->detail[f]), "%s", detail);
}

static void probe_tables(struct feature_set *set)
{
    struct err said = {.code = ENOTSUP};
    int ends[2], pidfd = -1, status;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        note(set, FEATURE_EGRESS, false, strerrorname_np(errno));
        return;
    }
    scoped_fd in = ends[0], out = ends[1];
    pid_t pid = ns_clone(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET, -1, &pidfd);
    if (pid == 0)
        child_main(out);
    fd_close(&out);
    if (pid < 0)
        said.code = -pid;
    else if (fd_read_full(in, &said, sizeof(said)) == (ssize_t)sizeof(said))
        said.text[sizeof(said.text) - 1] = '\0';
    if (pid > 0)
        pidfd_reap(pidfd, true, &status);
    fd_close(&pidfd);
    if (geteuid() != 0 || userns_own()->entered)
        note(set, FEATURE_EGRESS, false, "needs root");
    else
        note(set, FEATURE_EGRESS, said.code == 0, said.code == 0 ? "" : strerrorname_np(said.code));
}

void check_egress_probe(struct feature_set *set)
{
    char text[16];
    struct err e;
    ssize_t n = fd_read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", text, sizeof(text), &e);
    bool forwards = n > 0 && text[0] != '0';
    note(set, FEATURE_FORWARDING, forwards, forwards ? "" : "sysctl -w net.ipv4.ip_forward=1");
    probe_tables(set);
}
