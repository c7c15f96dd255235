/* SPDX-License-Identifier: Apache-2.0 */
/* What the resolver keeps: its descriptors, UDP sockets, memory. Nothing to open, nobody to signal. */
#include "os/caps.h"
#include "os/landlock.h"
#include "os/rlimit.h"
#include "os/seccomp_rows.h"
#include "resolver/internal.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define TYPE_MASK 0xfU

#define UDP(family, why)                                                                                               \
    {                                                                                                                  \
        .syscall = "socket", .condition_count = 3,                                                                     \
        .conditions = {{0, INT_MASK, family}, {1, TYPE_MASK, SOCK_DGRAM}, {2, INT_MASK, 0}}, .reason = (why)           \
    }

static const struct seccomp_rule rows[] = {
    ROWS_OF_A_LOOP,
    ALLOW("recvmsg", "functions, the network process: descriptors arrive this way"),
    ALLOW("sendmsg", "the network process"),
    ALLOW("recvfrom", "name servers"),
    ALLOW("sendto", "functions, name servers"),
    UDP(AF_INET, "name servers"),
    UDP(AF_INET6, "name servers"),
    {.syscall = "socket", .error = EAFNOSUPPORT, .reason = "UDP and nothing else"},
    ALLOW("connect", "name servers: only their answers are heard"),
    ALLOW("getrandom", "numbers of questions"),
    ALLOW("read", "/etc/resolv.conf, opened by the supervisor"),
    ALLOW("write", "the log"),
    ALLOW("writev", "the log"),
    ALLOW("close", "sockets"),
#ifdef CONFINE_SANITIZED
    ROWS_OF_A_SANITIZER,
    ALLOW("openat", "sanitizers"),
#endif
};

static int check_power(struct err *e)
{
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) < 0)
        return err_set(e, errno, "read the user ids");
    if (real == 0 || effective == 0 || saved == 0)
        return err_say(e, EPERM, "the resolver must not run as root");
    return caps_check_none(0, e);
}

int resolver_confine(struct err *e)
{
    const struct landlock_spec nothing = {.deny_tcp = true, .scope = true};
    struct seccomp_program program;
    int r = check_power(e);
    if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
        r = err_set(e, errno, "prctl");
    if (r == 0)
        r = rlimit_set(RLIMIT_CORE, 0, e);
    if (r == 0)
        r = landlock_restrict(&nothing, e);
    if (r == 0)
        r = seccomp_build(rows, sizeof(rows) / sizeof(rows[0]), ENOSYS, &program, e);
    if (r == 0) {
        r = seccomp_attach(&program, e);
        seccomp_program_fini(&program);
    }
    return r < 0 ? err_wrap(e, "confine the resolver") : 0;
}
