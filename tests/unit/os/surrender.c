/* SPDX-License-Identifier: Apache-2.0 */
/* os/caps, os/rlimit, os/keyring, os/netif: what a process gives up, or gets for itself, for good. Each test runs in a child of its own. */
#include "base/fdio.h"
#include "os/caps.h"
#include "os/keyring.h"
#include "os/netif.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/rlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static int in_child(int (*body)(void))
{
    int pidfd = -1, status = 0;
    pid_t pid = ns_clone(CLONE_NEWUSER, -1, &pidfd);
    if (pid == 0)
        _exit(body());
    assert_true(pid > 0);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    close(pidfd);
    return status;
}

static int drop_capabilities(void)
{
    struct err e;
    if (sethostname("x", 1) == 0 || unshare(CLONE_NEWUTS) < 0 || sethostname("x", 1) < 0)
        return 1; /* the power to lose must have been there */
    if (caps_drop_bounding(&e) < 0 || caps_drop_all(&e) < 0)
        return 2;
    if (sethostname("y", 1) == 0 || prctl(PR_CAPBSET_READ, 0) != 0 || prctl(PR_CAPBSET_READ, 21) != 0)
        return 3;
    return caps_drop_bounding(&e) == -EPERM ? 0 : 4;
}

static void dropped_capabilities_are_gone(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_capabilities), 0);
}

enum { CHROOT = 18, SETPCAP = 8 }; /* linux/capability.h */

static int caps_are(const char *wanted)
{
    char text[8192];
    static const char *const sets[] = {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t", "CapAmb:\t"};
    if (fd_read_file_at(AT_FDCWD, "/proc/self/status", text, sizeof(text), NULL) < 0)
        return 0;
    for (unsigned i = 0; i < 5; i++) {
        const char *at = strstr(text, sets[i]);
        if (!at || strncmp(at + strlen(sets[i]), wanted, strlen(wanted)) != 0)
            return 0;
    }
    return 1;
}

static int keep_one_capability(void)
{
    struct err e;
    if (caps_drop_bounding_but(CAPS_BIT(CHROOT), &e) < 0 || prctl(PR_CAPBSET_READ, SETPCAP) != 0 ||
        prctl(PR_CAPBSET_READ, CHROOT) != 1)
        return 1;
    if (caps_keep_across_exec(CAPS_BIT(CHROOT), &e) < 0 || !caps_are("0000000000040000\n"))
        return 2;
    /* the secure bits are locked: no other capability becomes ambient, and this one doesn't become so again */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CHROOT, 0, 0) == 0 || prctl(PR_SET_SECUREBITS, 0) == 0)
        return 3;
    if (chroot("/") < 0 || sethostname("x", 1) == 0)
        return 4;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    execl("/bin/grep", "grep", "-q", "CapEff:.0000000000040000", "/proc/self/status", NULL);
    return 5;
}

static void one_capability_outlives_exec(void **state)
{
    (void)state;
    assert_int_equal(in_child(keep_one_capability), 0);
}

static int lower_limits(void)
{
    struct err e;
    struct rlimit l;
    if (rlimit_set(RLIMIT_NOFILE, 64, &e) < 0 || rlimit_set(RLIMIT_CORE, 0, &e) < 0 || caps_drop_all(&e) < 0)
        return 1;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur != 64 || l.rlim_max != 64)
        return 2;
    /* more than the hard limit allows: what can be had, not an error */
    return rlimit_set(RLIMIT_NOFILE, 1024, &e) == 0 && getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max == 64 ? 0 : 3;
}

static void a_limit_that_cannot_be_raised_stays_where_it_is(void **state)
{
    (void)state;
    assert_int_equal(in_child(lower_limits), 0);
}

static int join_keyring(void)
{
    struct err e;
    long before = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    if (before < 0 && errno == ENOSYS)
        return 0;
    if (keyring_join_fresh(&e) < 0)
        return 1;
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) != before ? 0 : 2;
}

static void the_session_keyring_is_a_new_one(void **state)
{
    (void)state;
    assert_int_equal(in_child(join_keyring), 0);
}

static bool loopback_is_up(void)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 && r.ifr_flags & IFF_UP;
}

static int bring_loopback_up(void)
{
    struct err e;
    if (ns_unshare(CLONE_NEWNET, &e) < 0 || loopback_is_up())
        return 1;
    return netif_loopback_up(&e) == 0 && loopback_is_up() ? 0 : 2;
}

static void loopback_comes_up_in_a_new_network(void **state)
{
    (void)state;
    assert_int_equal(in_child(bring_loopback_up), 0);
}

/* No address, and no route in a table of either family: /proc/net as a program would read it. */
static bool loopback_is_bare(void)
{
    char trie[4096], six[4096];
    struct ifreq r = {.ifr_name = "lo"};
    scoped_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || loopback_is_up() || ioctl(fd, SIOCGIFADDR, &r) == 0 || errno != EADDRNOTAVAIL)
        return false;
    if (fd_read_file_at(AT_FDCWD, "/proc/self/net/fib_trie", trie, sizeof(trie), NULL) < 0 || strstr(trie, "127.0.0"))
        return false;
    return fd_read_file_at(AT_FDCWD, "/proc/self/net/if_inet6", six, sizeof(six), NULL) < 0 || *six == '\0';
}

static int bring_loopback_down(void)
{
    struct err e;
    if (ns_unshare(CLONE_NEWNET, &e) < 0 || !loopback_is_bare())
        return 1;
    if (netif_loopback_up(&e) < 0 || loopback_is_bare())
        return 2;
    if (netif_loopback_bare(&e) < 0 || !loopback_is_bare())
        return 3;
    return netif_loopback_up(&e) == 0 && netif_loopback_bare(&e) == 0 && loopback_is_bare() ? 0 : 4;
}

static void a_loopback_that_was_up_is_as_if_it_had_never_been(void **state)
{
    (void)state;
    assert_int_equal(in_child(bring_loopback_down), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropped_capabilities_are_gone),
        cmocka_unit_test(one_capability_outlives_exec),
        cmocka_unit_test(a_limit_that_cannot_be_raised_stays_where_it_is),
        cmocka_unit_test(the_session_keyring_is_a_new_one),
        cmocka_unit_test(loopback_comes_up_in_a_new_network),
        cmocka_unit_test(a_loopback_that_was_up_is_as_if_it_had_never_been),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
