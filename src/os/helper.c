/* SPDX-License-Identifier: Apache-2.0 */
#include "os/helper.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "os/caps.h"
#include "os/ns.h"
#include "os/pidfd.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

int helper_start(struct helper *h, unsigned timeout_ms, void (*run)(void *owner, int out), void *owner, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd in = ends[0], out = ends[1];
    pid_t pid = ns_fork(&h->pidfd);
    if (pid == 0) {
        run(owner, out);
        _exit(0);
    }
    if (pid < 0)
        return err_set(e, -pid, "clone %s", h->what);
    h->in = fd_take(&in);
    h->deadline_ns = clock_mono_ns() + timeout_ms * 1000000ULL;
    return 0;
}

/* fd_read_full with a deadline. */
int helper_read(struct helper *h, void *out, size_t n, struct err *e)
{
    for (size_t done = 0; done < n;) {
        uint64_t now = clock_mono_ns();
        struct pollfd p = {.fd = h->in, .events = POLLIN};
        int left_ms = now >= h->deadline_ns ? 0 : (int)((h->deadline_ns - now) / 1000000) + 1;
        int ready = poll(&p, 1, left_ms);
        ssize_t r = ready > 0 ? read(h->in, (char *)out + done, n - done) : -1;
        if ((ready < 0 || r < 0) && ready != 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return err_say(e, ETIMEDOUT, "%s took too long", h->what);
        if (r <= 0)
            return err_say(e, EIO, "%s died", h->what);
        done += (size_t)r;
    }
    return 0;
}

void helper_end(struct helper *h)
{
    pidfd_end(h->pidfd);
    fd_close(&h->pidfd);
    fd_close(&h->in);
}

int helper_give_up_power(uint32_t id, struct err *e)
{
    if (id != 0 && (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0))
        return err_set(e, errno, "become user %u", id);
    int r = caps_drop_all(e);
    /* A change of uid clears the death signal, and dumpable is then what the host says (fs.suid_dumpable). */
    if (r == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                   prctl(PR_SET_DUMPABLE, 0) < 0))
        r = err_set(e, errno, "bind a child without power");
    return r;
}
