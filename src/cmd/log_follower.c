/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/log_follower.h"

#include "base/fdio.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/log_lines.h"

#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int follow(const char *socket, const char *function, uint64_t since_ms, struct err *e)
{
    struct client *c = NULL;
    const struct http1_response *reply;
    struct buf target;
    char rest[64];
    int status;
    buf_init(&target, 0);
    snprintf(rest, sizeof(rest), "/logs?follow=1&since=%lu", (unsigned long)since_ms);
    int r = client_path(&target, function, rest);
    r = r < 0 ? err_set(e, -r, "ask for the log") : client_open_socket(&c, socket, &status, e);
    const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
    r = r < 0 ? r : client_send(c, &request, &reply, e);
    if (r == 0 && reply->status >= 400)
        r = err_say(e, EIO, "the daemon answered %u", reply->status);
    r = r < 0 ? r : log_lines_print(c, stdout, LOG_LINES_LOCAL, e);
    client_close(c);
    buf_fini(&target);
    return r;
}

/* What the parent caught, it caught for its daemon's sake. */
static _Noreturn void be_follower(const char *socket, const char *function, uint64_t since_ms, pid_t parent)
{
    static const int reset[] = {SIGINT, SIGTERM, SIGHUP};
    struct err ignored;
    for (size_t i = 0; i < sizeof(reset) / sizeof(reset[0]); i++)
        signal(reset[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CMD_FAILED);
    _exit(follow(socket, function, since_ms, &ignored) < 0 ? CMD_FAILED : CMD_OK);
}

int log_follower_start(struct log_follower *f, const char *socket, const char *function, uint64_t since_ms,
                       struct err *e)
{
    pid_t parent = getpid();
    fflush(NULL);
    *f = (struct log_follower){.pid = fork(), .fd = -1};
    if (f->pid == 0)
        be_follower(socket, function, since_ms, parent);
    if (f->pid < 0)
        return err_set(e, errno, "fork");
    f->fd = pidfd_open(f->pid, 0);
    if (f->fd >= 0)
        return 0;
    int error = errno;
    log_follower_stop(f);
    return err_set(e, error, "watch the log");
}

void log_follower_stop(struct log_follower *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL); /* not reaped yet: the number is still its own */
        while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    fd_close(&f->fd);
    f->pid = -1;
}
