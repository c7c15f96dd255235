/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `faasd shell`: this terminal, in raw mode, beside a socket that carries the bytes of a pseudo-terminal in the
 * sandbox. The terminal's mode is put back on every way out: the loop ends on signals instead of dying of them.
 */
#include "base/fdio.h"
#include "cmd/client.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

enum { SHELL_ROWS = 24, SHELL_COLUMNS = 80 };

static const char END_OF_INPUT[] = "\x04"; /* what a terminal's line discipline takes for end of file */

struct relay {
    int socket;
    int signals;
    bool input_ended;
};

/* Signals that would end the process come through a descriptor; SIGTSTP too, since a stopped process would leave the
 * terminal raw. */
static int open_signals(struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
        sigaddset(&set, caught[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set(e, errno, "block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open a signalfd") : fd;
}

static void relay_input(struct relay *r)
{
    char bytes[4096];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        r->input_ended = true;
        fd_write_full(r->socket, END_OF_INPUT, 1);
        return;
    }
    fd_write_full(r->socket, bytes, (size_t)n); /* a closed socket shows in the next read of it */
}

/* False at the end. */
static bool relay_output(struct relay *r)
{
    char bytes[16384];
    ssize_t n = read(r->socket, bytes, sizeof(bytes));
    if (n < 0 && errno == EINTR)
        return true;
    return n > 0 && fd_write_full(STDOUT_FILENO, bytes, (size_t)n) == 0;
}

/* The number of the signal that ended it, 0 when the shell did. */
static int relay_run(struct relay *r)
{
    for (;;) {
        struct pollfd p[] = {{.fd = r->socket, .events = POLLIN},
                             {.fd = r->signals, .events = POLLIN},
                             {.fd = r->input_ended ? -1 : STDIN_FILENO, .events = POLLIN}};
        if (poll(p, 3, -1) < 0) {
            if (errno == EINTR)
                continue;
            return 0;
        }
        if (p[0].revents && !relay_output(r))
            return 0;
        if (p[1].revents) {
            struct signalfd_siginfo info;
            if (read(r->signals, &info, sizeof(info)) == (ssize_t)sizeof(info) && info.ssi_signo != SIGTSTP)
                return (int)info.ssi_signo;
        }
        if (p[2].revents)
            relay_input(r);
    }
}

static int run_session(int socket, struct str early, struct err *e)
{
    struct termios before;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    struct relay r = {.socket = socket, .signals = open_signals(e)};
    if (r.signals < 0)
        return r.signals;
    if (terminal) {
        struct termios raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    }
    int by_signal = 0;
    if (early.n == 0 || fd_write_full(STDOUT_FILENO, early.p, early.n) == 0)
        by_signal = relay_run(&r);
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fd_close(&r.signals);
    return by_signal ? err_say(e, EINTR, "ended by signal %d", by_signal) : 0;
}

static int add_target(struct buf *target, const char *name)
{
    char rest[64];
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
        size = (struct winsize){.ws_row = SHELL_ROWS, .ws_col = SHELL_COLUMNS};
    snprintf(rest, sizeof(rest), "/shell?rows=%u&cols=%u", size.ws_row, size.ws_col);
    return client_path(target, name, rest);
}

static int open_session(struct client *c, const char *name, struct err *e)
{
    struct buf target;
    buf_init(&target, 0);
    if (add_target(&target, name) < 0) {
        buf_fini(&target);
        return err_set(e, ENOMEM, "make the request");
    }
    const struct client_request request = {
        .method = "POST",
        .target = target.data,
        .fields = STR_LITERAL("Connection: Upgrade\r\nUpgrade: faasd-shell\r\n"),
        .body_fd = -1,
        .has_body = true,
    };
    const struct http1_response *reply;
    int r = client_send(c, &request, &reply, e);
    buf_fini(&target);
    if (r < 0)
        return r;
    if (reply->status != 101)
        return client_refused("shell", c, reply);
    fprintf(stderr,
            "a shell in a sandbox like that of '%s': its plan, plus a pty and the ioctls for terminal modes, job "
            "control and window size\n",
            name);
    struct str early;
    scoped_fd socket = client_take_socket(c, &early);
    return run_session(socket, early, e);
}

int cmd_shell(int argc, char **argv)
{
    struct client_target target = {0};
    const struct option table[] = {CLIENT_OPTIONS(&target), {0}};
    const char *name;
    int status = client_parse_name("shell", table, argc, argv, &name);
    if (status != OPTIONS_GO_ON)
        return status;
    struct client *c;
    struct err e = {0};
    if (client_open(&c, &target, &status, &e) < 0) {
        fprintf(stderr, "faasd shell: %s\n", e.text);
        return status;
    }
    status = open_session(c, name, &e);
    client_close(c);
    if (status < 0) {
        fprintf(stderr, "faasd shell: %s\n", e.text);
        return CMD_FAILED;
    }
    return status;
}
