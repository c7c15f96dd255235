/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: what libev and the kernel cost when nothing else is done. `echo` answers every request with a fixed reply; `echo --hop N`
 * passes each through one of N worker processes over a socketpair first, as faasd must; `echo --fork` has each answered by a process forked
 * for it: no sandbox, no limits, no log, no look at who that is. Prints its port. It finds the end of a request as HTTP says, but takes one read
 * for one request: its client (wrk) sends nothing in pieces.
 */
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, WAITING_MAX = 1024, HOP_BYTES = 96 };

/* As long as faasd's own reply to hello. */
static const char reply[] =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 26\r\n"
    "X-Request-Id: 6f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b11\r\nX-Faasd-Start: warm\r\n"
    "X-Duration-Seconds: 0.000021\r\nServer-Timing: queue;dur=0.0, init;dur=0.0, run;dur=0.0\r\n\r\n"
    "{\"message\":\"hello world\"}\n";

struct worker {
    ev_io io;
    int client; /* whose request it has */
};

static struct worker workers[WORKERS_MAX];
static struct worker *idle[WORKERS_MAX];
static int idle_count;
static int worker_count;
static int forks;
static int waiting[WAITING_MAX]; /* clients without a worker, a ring */
static unsigned waiting_first;
static unsigned waiting_end;

static void must(int condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

static void answer(int client)
{
    ssize_t n = send(client, reply, sizeof(reply) - 1, MSG_NOSIGNAL);
    (void)n; /* a client that has gone is seen by its read */
}

/* The child answers the client itself, because nothing is cheaper. */
static void answer_by_fork(int client)
{
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        answer(client);
        _exit(0);
    }
}

static void hand_over(struct worker *w, int client)
{
    static const char request[HOP_BYTES];
    w->client = client;
    must(write(w->io.fd, request, sizeof(request)) == sizeof(request), "write to the worker");
}

static void on_worker(struct ev_loop *loop, ev_io *io, int events)
{
    struct worker *w = (struct worker *)io;
    char bytes[HOP_BYTES];
    (void)loop;
    (void)events;
    must(read(io->fd, bytes, sizeof(bytes)) > 0, "read from the worker");
    int client = w->client;
    if (waiting_first != waiting_end)
        hand_over(w, waiting[waiting_first++ % WAITING_MAX]);
    else
        idle[idle_count++] = w;
    answer(client);
}

/* The whole request came: head, and the body that Content-Length announces. */
static int is_whole(const char *bytes, size_t n)
{
    const char *end = strstr(bytes, "\r\n\r\n");
    const char *length = strcasestr(bytes, "\r\nContent-Length:");
    size_t body = end && length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return end && (size_t)(end + 4 - bytes) + body == n;
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
    char bytes[65536];
    (void)events;
    ssize_t n = read(io->fd, bytes, sizeof(bytes) - 1);
    bytes[n > 0 ? n : 0] = '\0';
    if (n <= 0 || !is_whole(bytes, (size_t)n)) {
        ev_io_stop(loop, io);
        close(io->fd);
        free(io);
    } else if (forks) {
        answer_by_fork(io->fd);
    } else if (worker_count == 0) {
        answer(io->fd);
    } else if (idle_count > 0) {
        hand_over(idle[--idle_count], io->fd);
    } else {
        waiting[waiting_end++ % WAITING_MAX] = io->fd;
    }
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
    int one = 1;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    (void)events;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    ev_io *client = malloc(sizeof(*client));
    must(client != NULL, "malloc");
    ev_io_init(client, on_client, fd, EV_READ);
    ev_io_start(loop, client);
}

static void work(int fd)
{
    char bytes[HOP_BYTES];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(fd, bytes, sizeof(bytes)) > 0)
        if (write(fd, bytes, sizeof(bytes)) < 0)
            break;
    _exit(0);
}

static void start_worker(struct ev_loop *loop, struct worker *w)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0)
        work(pair[1]);
    close(pair[1]);
    ev_io_init(&w->io, on_worker, pair[0], EV_READ);
    ev_io_start(loop, &w->io);
    idle[idle_count++] = w;
}

static int listen_anywhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 512) == 0, "listen");
    must(getsockname(fd, (struct sockaddr *)&a, &size) == 0, "getsockname");
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_io listener;
    forks = argc == 2 && strcmp(argv[1], "--fork") == 0;
    if (argc == 3 && strcmp(argv[1], "--hop") == 0)
        worker_count = atoi(argv[2]);
    if (worker_count < 0 || worker_count > WORKERS_MAX || (argc > 1 && worker_count == 0 && !forks)) {
        fprintf(stderr, "usage: echo [--hop WORKERS | --fork]\n");
        return 2;
    }
    if (forks)
        signal(SIGCHLD, SIG_IGN); /* the kernel reaps them */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < worker_count; i++)
        start_worker(loop, &workers[i]);
    ev_io_init(&listener, on_connection, listen_anywhere(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
