/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "command.h"
#include "files.h"
#include "payload.h"
#include "syscall.h"
#include "tmp.h"

#include <stdbool.h>

/* What init exits with, for whoever reads the supervisor's log. */
enum exit_status { EXIT_ENDED = 0, EXIT_SETUP = 101, EXIT_PROTOCOL = 102, EXIT_LOST = 103, EXIT_UNCLEAN = 104 };

struct pipes { /* write ends of the next program's stdout and stderr */
    int out;
    int err;
};

/* Hands one record over, however long the gateway takes to read. */
static void say(const void *bytes, size_t n, const int *fds)
{
    struct init_iovec iov = {.base = (void *)(uintptr_t)bytes, .length = n};
    struct init_cmsg control = {.length = sizeof(control), .level = INIT_AF_SOL_SOCKET, .type = INIT_SCM_RIGHTS};
    struct init_msghdr m = {.iov = &iov, .iov_count = 1};
    if (fds) {
        control.fds[0] = fds[0];
        control.fds[1] = fds[1];
        m.control = &control;
        m.control_length = sizeof(control);
    }
    for (;;) {
        long r = sys_send(INIT_FD_CONTROL, &m);
        if (r >= 0)
            return;
        if (r != -EAGAIN && r != -EINTR)
            sys_exit(EXIT_LOST);
        struct init_pollfd writable = {.fd = INIT_FD_CONTROL, .events = INIT_POLLOUT};
        sys_poll(&writable, 1);
    }
}

/* Makes the pipes here, so that their owner is the sandbox's user: a shell's `> /dev/stderr` opens them anew. */
static struct pipes offer_pipes(void)
{
    int out[2], err[2];
    if (sys_pipe(out) < 0 || sys_pipe(err) < 0)
        sys_exit(EXIT_SETUP);
    const struct init_head ready = {.type = INIT_READY, .size = sizeof(ready)};
    say(&ready, sizeof(ready), (const int[2]){out[0], err[0]});
    sys_close(out[0]);
    sys_close(err[0]);
    return (struct pipes){.out = out[1], .err = err[1]};
}

static void empty_directory(const char *path)
{
    /* A sandbox that still holds something of an earlier request must not serve another one. */
    if (tmp_empty(path) < 0)
        sys_exit(EXIT_UNCLEAN);
}

static void collect_files(struct init_done *done, struct pipes pipes)
{
    if (done->status == 0 && !(done->flags & (INIT_DONE_EXEC_FAILED | INIT_DONE_NO_EVENT))) {
        long r = files_collect(pipes.out);
        if (r < 0) {
            done->flags |= INIT_DONE_NO_REPLY;
            done->error = (int32_t)-r;
        }
    }
    sys_close(pipes.out);
    files_remove();
}

/* What is left of a program: its processes, its reply, how much memory its files are. */
static void take_stock(const struct command *c, struct init_done *done, struct pipes pipes, bool has_shm)
{
    payload_kill_rest(done);
    struct tmp_state tmp = tmp_look("/tmp");
    if (tmp.full)
        done->flags |= INIT_DONE_TMP_FULL;
    done->tmp_bytes = tmp.used_bytes;
    if (has_shm)
        done->tmp_bytes += tmp_look("/dev/shm").used_bytes;
    if (c->flags & INIT_COMMAND_FILES)
        collect_files(done, pipes);
}

static void clean_up(bool has_shm)
{
    struct tmp_state tmp = tmp_look("/tmp");
    if (tmp.exists && !tmp.empty)
        empty_directory("/tmp");
    if (has_shm && !tmp_look("/dev/shm").empty)
        empty_directory("/dev/shm");
}

static void receive_or_exit(struct command *ret_command)
{
    int r = command_receive(INIT_FD_CONTROL, ret_command);
    if (r <= 0)
        sys_exit(r == 0 || r == -ECONNRESET ? EXIT_ENDED : EXIT_PROTOCOL);
}

/* The control socket has something to say while a program runs: the one thing that it may say is STOP, and not to every program. */
static void stop_or_exit(bool may_stop)
{
    struct command c;
    if (!may_stop)
        sys_exit(EXIT_ENDED);
    receive_or_exit(&c);
    if (c.type != INIT_STOP)
        sys_exit(EXIT_PROTOCOL);
    payload_kill();
}

static struct init_done run_program(const struct command *c, struct pipes pipes)
{
    const struct payload_control control = {.fd = INIT_FD_CONTROL, .listen = c->flags & INIT_COMMAND_AGAIN};
    struct init_done done = {.head = {.size = sizeof(done), .request = c->request}};
    bool files = c->flags & INIT_COMMAND_FILES;
    long offered = files ? files_offer(c->fd) : 0;
    long pid = offered < 0 ? offered : payload_start(c, files ? pipes.err : pipes.out, pipes.err);
    if (c->type == INIT_EXEC) {
        if (!files) /* else it is init's, for what the program leaves in a file */
            sys_close(pipes.out);
        sys_close(pipes.err);
    }
    if (c->fd >= 0)
        sys_close(c->fd); /* the gateway sees the end of a worker's socket when the worker closes it, not when we end */
    if (pid < 0) {
        done.flags |= offered < 0 ? INIT_DONE_NO_EVENT : INIT_DONE_EXEC_FAILED;
        done.error = (int32_t)-pid;
        return done;
    }
    while (!payload_wait(pid, &control, &done))
        stop_or_exit(control.listen);
    return done;
}

/* A STOP that crossed the end of the worker it was meant for finds nothing to stop. */
static void receive_start(struct command *ret_command)
{
    do
        receive_or_exit(ret_command);
    while (ret_command->type == INIT_STOP);
    if (ret_command->type != INIT_START)
        sys_exit(EXIT_PROTOCOL);
}

/* socket_fd: handed to the first worker, unless its START brings another one; -1 = none. A worker that is started again needs a new one each time: an old
 * one may hold half a frame of its predecessor. */
static _Noreturn void serve_worker(int socket_fd)
{
    const struct payload_control control = {.fd = INIT_FD_CONTROL};
    const struct pipes none = {.out = -1, .err = -1};
    struct command c;
    do {
        receive_start(&c);
        if (c.fd < 0)
            c.fd = socket_fd;
        else if (socket_fd >= 0)
            sys_close(socket_fd);
        socket_fd = -1;
        struct init_done done = run_program(&c, none);
        if (c.flags & INIT_COMMAND_AGAIN)
            take_stock(&c, &done, none, false);
        done.head.type = INIT_WORKER_EXITED;
        done.head.request = 0;
        say(&done, sizeof(done), NULL);
        if (c.flags & INIT_COMMAND_TEMPLATE)
            payload_wait(PAYLOAD_EVERYBODY, &control, &done);
    } while (c.flags & INIT_COMMAND_AGAIN);
    sys_exit(EXIT_ENDED); /* and what the worker left running dies with its pid 1 */
}

static _Noreturn void serve_programs(bool has_pty)
{
    bool has_shm = tmp_look("/dev/shm").exists;
    for (;;) {
        struct pipes pipes = offer_pipes();
        struct command c;
        receive_or_exit(&c);
        if (c.type != INIT_EXEC || ((c.flags & INIT_COMMAND_FILES) && (c.flags & INIT_COMMAND_PTY)) ||
            ((c.flags & INIT_COMMAND_PTY) && !has_pty))
            sys_exit(EXIT_PROTOCOL);
        struct init_done done = run_program(&c, pipes);
        take_stock(&c, &done, pipes, has_shm);
        done.head.type = INIT_DONE;
        /* One that failed may have run out of memory, and v1 kills one task only: its files are told before they go. Whoever asks the kernel meanwhile may see few of
         * them, and then kills this process before it could tell. */
        bool has_failed = done.status != 0 || done.flags & (INIT_DONE_EXEC_FAILED | INIT_DONE_NO_EVENT);
        if (has_failed)
            say(&done, sizeof(done), NULL);
        if (!(c.flags & INIT_COMMAND_KEEP_TMP))
            clean_up(has_shm);
        if (!has_failed)
            say(&done, sizeof(done), NULL);
    }
}

/* Out of the arguments as well, which /proc/PID/cmdline shows to the host's users. */
static uint64_t take_key(char *digits)
{
    uint64_t key = 0;
    for (; *digits; digits++) {
        key = key << 4 | (uint64_t)(*digits <= '9' ? *digits - '0' : *digits - 'a' + 10);
        *(volatile char *)digits = '-';
    }
    return key;
}

_Noreturn void server_run(long argc, char **argv)
{
    if (sys_not_dumpable() < 0)
        sys_exit(EXIT_SETUP);
    if (argc > 2)
        payload_set_key(take_key(argv[2]));
    else
        sys_umask(022);
    for (int number = 1; number <= INIT_SIGNALS; number++)
        sys_signal_default(number);
    /* Before anything here opens a descriptor that could take the number. */
    long type = sys_socket_type(INIT_FD_WORKER);
    if (payload_open() < 0)
        sys_exit(EXIT_SETUP);
    if (argc > 1)
        serve_worker(type >= 0 ? INIT_FD_WORKER : -1);
    serve_programs(type == -ENOTSOCK);
}
