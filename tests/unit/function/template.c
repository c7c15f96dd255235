/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of the function library: this test is faasd, a process forked from it is the template, its children answer. */
#include "faasd/frame.h"
#include "faasd/function.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
enum { FORKS = 1000 }; /* the shadow of each is copied as well */
#else
enum { FORKS = 10000 };
#endif
enum { WAIT_MS = 30000, LANDLOCK_WITH_SCOPES = 6 };

/* ---- the far side ---- */

struct peer {
    int fd;
    pid_t pid; /* the template's own, or a child's as the kernel named it */
    int log;   /* a child's; -1 */
};

static int asked_for_template = 1;

static void become_worker(int fd, int (*init)(void), faasd_handler handler)
{
    if (asked_for_template)
        setenv("FAASD_TEMPLATE", "yes", 1);
    else
        unsetenv("FAASD_TEMPLATE");
    dup2(fd, FAASD_FRAME_FD);
    close_range(FAASD_FRAME_FD + 1, ~0U, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* as every sandbox does */
    int status = faasd_serve_with_init(init, handler);
    fflush(NULL);
    _exit(status);
}

static struct peer start_with_log(int (*init)(void), faasd_handler handler, int log)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fflush(NULL);
    struct peer t = {.fd = pair[0], .log = -1, .pid = fork()};
    assert_true(t.pid >= 0);
    if (t.pid == 0) {
        if (log >= 0) {
            dup2(log, STDOUT_FILENO);
            dup2(log, STDERR_FILENO);
        }
        become_worker(pair[1], init, handler);
    }
    close(pair[1]);
    return t;
}

static struct peer start(int (*init)(void), faasd_handler handler)
{
    return start_with_log(init, handler, -1);
}

static int stop(struct peer *t)
{
    int status;
    close(t->fd);
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void forget(struct peer *c)
{
    close(c->fd);
    if (c->log >= 0)
        close(c->log);
}

/* ---- frames ---- */

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static size_t read_some(int fd, char *out, size_t room)
{
    wait_readable(fd);
    ssize_t n = read(fd, out, room);
    return n > 0 ? (size_t)n : 0; /* a reset is an end as well */
}

static void read_all(int fd, void *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t got = read_some(fd, (char *)out + at, n - at);
        assert_true(got > 0);
        at += got;
    }
}

static void expect_end(int fd)
{
    char byte;
    assert_int_equal(read_some(fd, &byte, 1), 0);
}

struct answer {
    struct faasd_frame frame;
    size_t length;
    char payload[65536];
};

static void read_answer(int fd, struct answer *a)
{
    read_all(fd, &a->frame, sizeof(a->frame));
    assert_true(a->frame.length < sizeof(a->payload));
    a->length = a->frame.length;
    read_all(fd, a->payload, a->length);
    a->payload[a->length] = '\0';
}

/* The value of READY's field, NULL without it. */
static const char *field(const struct answer *a, const char *name)
{
    for (const char *at = a->payload; at < a->payload + a->length;) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

static void read_ready(int fd, struct answer *a)
{
    read_answer(fd, a);
    assert_int_equal(a->frame.type, FAASD_FRAME_READY);
    assert_int_equal(a->frame.id, 0);
}

static void expect_template(struct peer *t)
{
    struct answer a;
    read_ready(t->fd, &a);
    assert_string_equal(field(&a, "template"), "yes");
    assert_string_equal(field(&a, "runtime"), "libfaasd " FAASD_LIBRARY_VERSION);
}

static void expect_refusal(struct peer *t, const char *reason)
{
    struct answer a;
    read_ready(t->fd, &a);
    assert_non_null(field(&a, "template"));
    assert_true(strncmp(field(&a, "template"), reason, strlen(reason)) == 0);
}

static void invoke(int fd, uint64_t id, const char *event)
{
    struct {
        struct faasd_frame frame;
        struct faasd_invoke_head head;
        char event[256];
    } all = {
        .frame = {.length = (uint32_t)(sizeof(struct faasd_invoke_head) + strlen(event)),
                  .type = FAASD_FRAME_INVOKE,
                  .id = id},
        .head = {.event_length = (uint32_t)strlen(event)},
    };
    snprintf(all.event, sizeof(all.event), "%s", event);
    size_t n = sizeof(all.frame) + all.frame.length;
    assert_int_equal(send(fd, &all, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Asks and returns the reply's body, in `a`. */
static const char *ask(int fd, const char *event, struct answer *a)
{
    static uint64_t id;
    struct faasd_reply_head head;
    invoke(fd, ++id, event);
    read_answer(fd, a);
    assert_int_equal(a->frame.type, FAASD_FRAME_REPLY);
    assert_int_equal(a->frame.id, id);
    memcpy(&head, a->payload, sizeof(head));
    return a->payload + sizeof(head) + head.fields_length;
}

struct fork_frame {
    struct faasd_frame frame;
    struct faasd_fork body;
};

static struct fork_frame make_fork(uint32_t slot)
{
    struct fork_frame f = {
        .frame = {.length = sizeof(struct faasd_fork), .type = FAASD_FRAME_FORK},
        .body = {.slot = slot},
    };
    memset(f.body.random, 'r', sizeof(f.body.random)); /* the same for all: what differs is then the kernel's */
    return f;
}

static void send_bytes(int to, const void *bytes, size_t length, const int *fds, unsigned fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 32)];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, length};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), (ssize_t)length);
}

/* The first byte of what a child says, with the descriptor and the credentials that come with it; -1 as log when there was none. */
static char receive_first(struct peer *c)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control = {0};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    wait_readable(c->fd);
    assert_int_equal(recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC), 1);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        struct ucred sender;
        if (h->cmsg_type == SCM_RIGHTS)
            memcpy(&c->log, CMSG_DATA(h), sizeof(c->log));
        if (h->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&sender, CMSG_DATA(h), sizeof(sender));
        c->pid = sender.pid;
    }
    return byte;
}

static struct peer ask_for_child(struct peer *t, uint32_t slot, const int *joins, unsigned join_count)
{
    int pair[2];
    int on = 1;
    int fds[FAASD_FORK_FDS_MAX];
    struct fork_frame order = make_fork(slot);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    fds[0] = pair[1];
    for (unsigned i = 0; i < join_count; i++)
        fds[1 + i] = joins[i];
    send_bytes(t->fd, &order, sizeof(order), fds, 1 + join_count);
    close(pair[1]);
    return (struct peer){.fd = pair[0], .pid = -1, .log = -1};
}

static void expect_child_ready(struct peer *c)
{
    struct faasd_frame frame;
    char *bytes = (char *)&frame;
    bytes[0] = receive_first(c);
    read_all(c->fd, bytes + 1, sizeof(frame) - 1);
    assert_int_equal(frame.type, FAASD_FRAME_READY);
    assert_int_equal(frame.length, 0);
    assert_true(c->log >= 0);
    assert_true(c->pid > 0);
}

static struct peer make_child(struct peer *t)
{
    struct peer c = ask_for_child(t, FAASD_FORK_SAME_ROOT, NULL, 0);
    expect_child_ready(&c);
    return c;
}

/* ---- handlers ---- */

static int count;

static int counting(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)event;
    return faasd_reply_printf(reply, "%d %d", ++count, (int)getpid());
}

static void each_child_goes_on_from_the_templates_memory_and_not_from_another_childs(void **state)
{
    (void)state;
    struct answer a;
    char expected[64];
    struct peer t = start(NULL, counting);
    expect_template(&t);
    struct peer one = make_child(&t);
    struct peer two = make_child(&t);
    snprintf(expected, sizeof(expected), "1 %d", (int)one.pid);
    assert_string_equal(ask(one.fd, "", &a), expected);
    snprintf(expected, sizeof(expected), "2 %d", (int)one.pid);
    assert_string_equal(ask(one.fd, "", &a), expected);
    snprintf(expected, sizeof(expected), "1 %d", (int)two.pid);
    assert_string_equal(ask(two.fd, "", &a), expected);
    assert_int_not_equal(one.pid, two.pid);
    forget(&one);
    forget(&two);
    assert_int_equal(stop(&t), 0);
}

static void a_worker_that_nobody_wants_as_template_says_nothing_about_it(void **state)
{
    (void)state;
    struct answer a;
    asked_for_template = 0;
    struct peer w = start(NULL, counting);
    asked_for_template = 1;
    read_ready(w.fd, &a);
    assert_null(field(&a, "template"));
    assert_non_null(field(&a, "runtime"));
    ask(w.fd, "", &a);
    assert_int_equal(stop(&w), 0);
}

static void a_possible_template_that_gets_a_request_serves_it(void **state)
{
    (void)state;
    struct answer a;
    struct peer w = start(NULL, counting);
    expect_template(&w);
    assert_true(strncmp(ask(w.fd, "", &a), "1 ", 2) == 0);
    assert_true(strncmp(ask(w.fd, "", &a), "2 ", 2) == 0);
    assert_int_equal(stop(&w), 0);
}

static void a_worker_that_has_seen_a_request_is_never_forked(void **state)
{
    (void)state;
    struct answer a;
    struct peer w = start(NULL, counting);
    expect_template(&w);
    ask(w.fd, "", &a);
    struct peer c = ask_for_child(&w, FAASD_FORK_SAME_ROOT, NULL, 0);
    expect_end(w.fd);
    expect_end(c.fd);
    forget(&c);
    assert_int_equal(stop(&w), 1);
}

/* ---- who may not be one ---- */

static void *sleep_for_ever(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "worker-1");
    for (;;)
        pause();
    return NULL;
}

static int start_a_thread(void)
{
    pthread_t thread;
    char name[16] = "";
    if (pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0)
        return 1;
    while (strcmp(name, "worker-1") != 0) {
        sched_yield();
        pthread_getname_np(thread, name, sizeof(name));
    }
    return 0;
}

static void threads_are_refused_by_name_and_the_worker_serves(void **state)
{
    (void)state;
    struct answer a;
    struct peer w = start(start_a_thread, counting);
    expect_refusal(&w, "2 threads are running after init: worker-1");
    ask(w.fd, "", &a);
    assert_int_equal(stop(&w), 0);
}

static int leave_a_socket_open(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) == FAASD_FRAME_FD + 1 ? 0 : 1;
}

static void open_descriptors_are_refused_with_what_they_are(void **state)
{
    (void)state;
    struct answer a;
    struct peer w = start(leave_a_socket_open, counting);
    expect_refusal(&w, "descriptor 4 is open after init: socket:[");
    ask(w.fd, "", &a);
    struct peer c = ask_for_child(&w, FAASD_FORK_SAME_ROOT, NULL, 0);
    expect_end(c.fd);
    forget(&c);
    assert_int_equal(stop(&w), 1);
}

static int refuse_with_a_reason(void)
{
    return faasd_init_fail("NoModel", "open '%s': there is none", "/var/task/model");
}

static int refuse(void)
{
    return 7;
}

static void expect_failure(int fd, const char *type, const char *message)
{
    struct answer a;
    struct faasd_error_head head;
    read_answer(fd, &a);
    assert_int_equal(a.frame.type, FAASD_FRAME_ERROR);
    assert_int_equal(a.frame.id, 0);
    memcpy(&head, a.payload, sizeof(head));
    assert_int_equal(sizeof(head) + head.type_length + head.message_length, a.length);
    assert_int_equal(head.type_length, strlen(type));
    assert_memory_equal(a.payload + sizeof(head), type, strlen(type));
    assert_string_equal(a.payload + sizeof(head) + head.type_length, message);
}

static void a_failed_init_tells_why_and_exits(void **state)
{
    (void)state;
    struct peer w = start(refuse_with_a_reason, counting);
    expect_failure(w.fd, "NoModel", "open '/var/task/model': there is none");
    expect_end(w.fd);
    assert_int_equal(stop(&w), 1);
    w = start(refuse, counting);
    expect_failure(w.fd, "InitFailed", "init returned 7");
    assert_int_equal(stop(&w), 1);
}

/* ---- FORK frames that are none ---- */

static void anything_but_a_fork_frame_ends_the_template(void **state)
{
    (void)state;
    enum { LENGTH, TYPE, RESERVED, ID, BODY_RESERVED, NO_SOCKET, NOT_A_SOCKET, NO_FDS, CASES };
    for (int i = 0; i < CASES; i++) {
        struct peer t = start(NULL, counting);
        expect_template(&t);
        struct peer c = make_child(&t); /* the first frame has settled what it is */
        struct fork_frame order = make_fork(FAASD_FORK_SAME_ROOT);
        int pair[2], datagrams[2], pipe_ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), 0);
        assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
        order.frame.length += i == LENGTH;
        order.frame.type = (uint16_t)(i == TYPE ? FAASD_FRAME_INVOKE : FAASD_FRAME_FORK);
        order.frame.reserved = i == RESERVED;
        order.frame.id = i == ID;
        order.body.reserved = i == BODY_RESERVED;
        const int *fd = i == NO_SOCKET ? &pipe_ends[1] : i == NOT_A_SOCKET ? &datagrams[1] : &pair[1];
        send_bytes(t.fd, &order, sizeof(order), fd, i == NO_FDS ? 0 : 1);
        close(pair[1]);
        close(datagrams[1]);
        close(pipe_ends[1]);
        expect_end(t.fd);
        expect_end(pair[0]);
        expect_end(pipe_ends[0]);
        close(pair[0]);
        close(datagrams[0]);
        close(pipe_ends[0]);
        assert_int_equal(stop(&t), 1);
        struct answer a;
        ask(c.fd, "", &a); /* its children don't care */
        forget(&c);
    }
}

static void too_many_descriptors_end_the_template_and_stay_nowhere(void **state)
{
    (void)state;
    for (unsigned more = 1; more <= 3; more++) {
        struct fork_frame order = make_fork(FAASD_FORK_SAME_ROOT);
        int pair[2], pipe_ends[2], fds[FAASD_FORK_FDS_MAX + 3];
        struct peer t = start(NULL, counting);
        expect_template(&t);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
        fds[0] = pair[1];
        for (unsigned i = 1; i < FAASD_FORK_FDS_MAX + more; i++)
            fds[i] = pipe_ends[1];
        send_bytes(t.fd, &order, sizeof(order), fds, FAASD_FORK_FDS_MAX + more);
        close(pair[1]);
        close(pipe_ends[1]);
        expect_end(t.fd);
        expect_end(pair[0]);
        expect_end(pipe_ends[0]);
        close(pair[0]);
        close(pipe_ends[0]);
        assert_int_equal(stop(&t), 1);
    }
}

static void a_fork_frame_may_come_in_pieces_and_several_at_once(void **state)
{
    (void)state;
    struct answer a;
    struct fork_frame order = make_fork(FAASD_FORK_SAME_ROOT);
    struct peer c[3];
    struct peer t = start(NULL, counting);
    expect_template(&t);
    for (unsigned i = 0; i < 3; i++) {
        int pair[2];
        int on = 1;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
        c[i] = (struct peer){.fd = pair[0], .log = -1};
        size_t first = i == 0 ? 5 : i == 1 ? 20 : sizeof(order);
        send_bytes(t.fd, &order, first, &pair[1], 1);
        if (first < sizeof(order))
            send_bytes(t.fd, (char *)&order + first, sizeof(order) - first, NULL, 0);
        close(pair[1]);
    }
    for (unsigned i = 0; i < 3; i++) {
        expect_child_ready(&c[i]);
        ask(c[i].fd, "", &a);
        forget(&c[i]);
    }
    send_bytes(t.fd, &order, 10, NULL, 0);
    assert_int_equal(stop(&t), 1); /* cut */
}

/* ---- what a child finds ---- */

static volatile sig_atomic_t hits;

static void on_hit(int number)
{
    (void)number;
    hits++;
}

static int leave_a_mess(void)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 1000}};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGALRM);
    signal(SIGUSR1, on_hit);
    signal(SIGUSR2, on_hit);
    signal(SIGALRM, on_hit);
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    setitimer(ITIMER_REAL, &soon, NULL);
    umask(0);
    printf("a line without an end");
    return chdir("/tmp");
}

static int is_default(int number)
{
    struct sigaction now;
    sigaction(number, NULL, &now);
    return now.sa_handler == SIG_DFL;
}

static int is_ignored(int number)
{
    struct sigaction now;
    sigaction(number, NULL, &now);
    return now.sa_handler == SIG_IGN;
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *fds = opendir("/proc/self/fd");
    for (const struct dirent *entry; fds && (entry = readdir(fds)) != NULL;)
        n += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(fds);
    if (fds)
        closedir(fds);
    return n;
}

static int look_around(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)event;
    sigset_t blocked, pending;
    struct itimerval timer;
    uint32_t header[2] = {0x20080522, 0};
    uint32_t have[6] = {0};
    mode_t mask = umask(0);
    umask(mask);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    sigpending(&pending);
    getitimer(ITIMER_REAL, &timer);
    syscall(SYS_capget, header, have);
    raise(SIGUSR2);
    pid_t child = fork(); /* waiting for one's own children works */
    if (child == 0)
        _exit(3);
    int status = 0;
    pid_t waited = waitpid(child, &status, 0);
    return faasd_reply_printf(
        reply,
        "umask %o blocked %d pending %d timer %d hits %d hup %d chld %d pipe %d session %d dumpable %d caps %x "
        "fds %d waited %d cloexec %d",
        mask, sigismember(&blocked, SIGUSR1) || sigismember(&blocked, SIGALRM), sigismember(&pending, SIGUSR1),
        timer.it_value.tv_sec || timer.it_value.tv_usec, (int)hits, is_default(SIGHUP), is_default(SIGCHLD),
        is_ignored(SIGPIPE), getsid(0) == getpid(), prctl(PR_GET_DUMPABLE),
        have[0] | have[1] | have[2] | have[3] | have[4], open_descriptors(),
        waited == child && WEXITSTATUS(status) == 3, (fcntl(FAASD_FRAME_FD, F_GETFD) & FD_CLOEXEC) != 0);
}

static void a_child_starts_clean_of_what_init_left_lying_about(void **state)
{
    (void)state;
    struct answer a;
    char text[256];
    int log[2];
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    struct peer t = start_with_log(leave_a_mess, look_around, log[1]);
    close(log[1]);
    expect_template(&t);
    for (int i = 0; i < 2; i++) {
        struct peer c = make_child(&t);
        assert_string_equal(ask(c.fd, "", &a),
                            "umask 22 blocked 0 pending 0 timer 0 hits 1 hup 1 chld 1 pipe 1 session 1 dumpable 0 "
                            "caps 0 fds 4 waited 1 cloexec 1");
        close(c.fd);
        c.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read_some(c.log, text, sizeof(text)), 0); /* init's text is not printed again */
        forget(&c);
    }
    assert_int_equal(stop(&t), 0);
    size_t n = 0;
    for (size_t got; (got = read_some(log[0], text + n, sizeof(text) - 1 - n)) > 0;)
        n += got;
    text[n] = '\0';
    assert_string_equal(text, "a line without an end");
    close(log[0]);
}

static int print_both(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)reply;
    printf("out %s\n", event->body);
    fprintf(stderr, "err %s\n", event->body);
    FILE *again = fopen("/dev/stderr", "w"); /* undumpable, and yet it may: the pipe is its own */
    if (!again)
        return faasd_fail(reply, "NotMine", "%s", strerror(errno));
    fprintf(again, "again\n");
    return fclose(again);
}

static void a_child_has_a_log_of_its_own(void **state)
{
    (void)state;
    struct answer a;
    char text[64];
    const char expected[] = "out 1\nerr 1\nagain\n";
    struct peer t = start(NULL, print_both);
    expect_template(&t);
    struct peer c = make_child(&t);
    ask(c.fd, "1", &a);
    read_all(c.log, text, sizeof(expected) - 1);
    assert_memory_equal(text, expected, sizeof(expected) - 1);
    close(c.fd);
    c.fd = -1;
    assert_int_equal(read_some(c.log, text, sizeof(text)), 0); /* nobody else holds its other end */
    close(c.log);
    assert_int_equal(stop(&t), 0);
}

static void a_child_joins_each_of_its_groups_and_nobody_keeps_the_files(void **state)
{
    (void)state;
    enum { GROUPS = FAASD_FORK_FDS_MAX - 1 };
    int ends[GROUPS][2];
    int joins[GROUPS];
    struct peer t = start(NULL, counting);
    expect_template(&t);
    for (int i = 0; i < GROUPS; i++) {
        assert_int_equal(pipe2(ends[i], O_CLOEXEC), 0);
        joins[i] = ends[i][1];
    }
    struct peer c = ask_for_child(&t, FAASD_FORK_SAME_ROOT, joins, GROUPS);
    expect_child_ready(&c);
    for (int i = 0; i < GROUPS; i++) {
        char text[8] = "";
        close(ends[i][1]);
        read_all(ends[i][0], text, 1);
        assert_string_equal(text, "0");
        expect_end(ends[i][0]);
        close(ends[i][0]);
    }
    forget(&c);
    assert_int_equal(stop(&t), 0);
}

static void a_child_that_cannot_join_says_so_and_the_template_lives_on(void **state)
{
    (void)state;
    struct answer a;
    int unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct peer t = start(NULL, counting);
    expect_template(&t);
    struct peer c = ask_for_child(&t, FAASD_FORK_SAME_ROOT, &unwritable, 1);
    expect_failure(c.fd, "ForkFailed", "join the child's cgroup 1: Bad file descriptor");
    expect_end(c.fd);
    forget(&c);
    c = ask_for_child(&t, 4000000000U, NULL, 0);
    expect_failure(c.fd, "ForkFailed", "enter the root '/run/slots/4000000000': No such file or directory");
    forget(&c);
    c = make_child(&t);
    ask(c.fd, "", &a);
    forget(&c);
    close(unwritable);
    assert_int_equal(stop(&t), 0);
}

/* ---- roots and /tmp ---- */

static int write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

/* Two roots, each a tmpfs with its own /tmp, in a mount namespace of the template's own. */
static int make_roots(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("run", "/run", "tmpfs", 0, "mode=755") != 0 || mkdir("/run/slots", 0755) != 0)
        return 1;
    for (int i = 0; i < 2; i++) {
        char path[64];
        const char *parts[] = {"", "/var", "/var/task", "/tmp"};
        for (size_t k = 0; k < 4; k++) {
            snprintf(path, sizeof(path), "/run/slots/%d%s", i, parts[k]);
            if (mkdir(path, 0755) != 0)
                return 2;
        }
        if (mount("tmp", path, "tmpfs", 0, "nr_inodes=4096,size=8m") != 0)
            return 3;
    }
    return write_file("/run/slots/0/only-in-0") || write_file("/run/slots/0/tmp/of-init") ||
           write_file("/run/slots/0/var/task/code") || write_file("/run/outside");
}

static int make_a_nasty_tree(void)
{
    char name[16];
    if (symlink("/only-in-0", "/tmp/link") != 0 || mkdir("/tmp/closed", 0700) != 0 ||
        write_file("/tmp/closed/file") != 0 || mkdir("/tmp/closed/inner", 0700) != 0 ||
        symlink("/", "/tmp/closed/inner/root") != 0 || chmod("/tmp/closed/inner", 0) != 0 ||
        chmod("/tmp/closed", 0400) != 0 || chdir("/tmp") != 0)
        return 1;
    for (int depth = 0; depth < 2000; depth++) { /* deeper than there are descriptors or than a path is long */
        snprintf(name, sizeof(name), "d%d", depth);
        if (mkdir(name, 0700) != 0 || chdir(name) != 0)
            return 2;
    }
    return 0;
}

static int files_in(const char *path)
{
    int n = 0;
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return n;
}

static int live_in_a_root(const struct faasd_event *event, struct faasd_reply *reply)
{
    char cwd[64] = "";
    if (event->body[0] == 'm')
        return make_a_nasty_tree();
    if (!getcwd(cwd, sizeof(cwd)))
        return faasd_fail(reply, "NoDirectory", "getcwd failed");
    return faasd_reply_printf(reply, "%s tmp %d only-in-0 %d outside %d code %d chroot %d", cwd, files_in("/tmp"),
                              access("/only-in-0", F_OK), access("/run/outside", F_OK), access("code", F_OK),
                              chroot("/tmp"));
}

static void each_slot_is_a_root_of_its_own_and_its_tmp_is_empty_for_each_child(void **state)
{
    (void)state;
    struct answer a;
    if (geteuid() != 0) {
        print_message("skipped: making the roots needs root\n");
        skip();
    }
    struct peer t = start(make_roots, live_in_a_root);
    expect_template(&t);
    for (int i = 0; i < 3; i++) {
        struct peer c = ask_for_child(&t, 0, NULL, 0);
        expect_child_ready(&c);
        assert_string_equal(ask(c.fd, "", &a), "/var/task tmp 0 only-in-0 0 outside -1 code 0 chroot -1");
        ask(c.fd, "mess", &a);
        close(c.fd);
        assert_int_equal(read_some(c.log, a.payload, 1), 0); /* its process is dead */
        close(c.log);
    }
    struct peer c = ask_for_child(&t, 1, NULL, 0);
    expect_child_ready(&c);
    assert_string_equal(ask(c.fd, "", &a), "/var/task tmp 0 only-in-0 -1 outside -1 code -1 chroot -1");
    forget(&c);
    assert_int_equal(stop(&t), 0);
}

static int kill_neighbour(const struct faasd_event *event, struct faasd_reply *reply)
{
    int r = kill((pid_t)atoi(event->body), 0);
    char path[64];
    int error = errno;
    snprintf(path, sizeof(path), "/proc/%s/mem", event->body);
    int mem = open(path, O_RDWR | O_CLOEXEC);
    return faasd_reply_printf(reply, "kill %s mem %s", r == 0 ? "done" : strerror(error),
                              mem >= 0 ? "open" : strerror(errno));
}

static void a_child_reaches_neither_its_sibling_nor_the_template(void **state)
{
    (void)state;
    struct answer a;
    char pid[16];
    if (syscall(444, NULL, 0, 1) < LANDLOCK_WITH_SCOPES) {
        print_message("skipped: this kernel's Landlock knows no scopes; faasd keeps one child per template there\n");
        skip();
    }
    struct peer t = start(NULL, kill_neighbour);
    expect_template(&t);
    struct peer one = make_child(&t);
    struct peer two = make_child(&t);
    const pid_t others[] = {one.pid, t.pid};
    for (size_t i = 0; i < 2; i++) {
        snprintf(pid, sizeof(pid), "%d", (int)others[i]);
        const char *said = ask(two.fd, pid, &a);
        assert_true(strncmp(said, "kill Operation not permitted mem ", 33) == 0);
        if (i == 0)
            assert_string_equal(said, "kill Operation not permitted mem Permission denied");
    }
    forget(&one);
    forget(&two);
    assert_int_equal(stop(&t), 0);
}

/* ---- hooks ---- */

static char hook_trace[64];

static int hook_a(void)
{
    strcat(hook_trace, "a");
    return 0;
}

static int hook_b(void)
{
    strcat(hook_trace, "b");
    printf("hook b\n");
    return 0;
}

static int hook_that_fails(void)
{
    fprintf(stderr, "no luck\n");
    return 5;
}

static int use_hooks(void)
{
    if (faasd_after_fork(hook_a) != 0 || faasd_after_fork(hook_b) != 0)
        return 1;
    for (int i = 2; i < FAASD_AFTER_FORK_MAX; i++)
        if (faasd_after_fork(hook_a) != 0)
            return 2;
    return faasd_after_fork(hook_a) == -1 && faasd_after_fork(NULL) == -1 ? 0 : 3;
}

static int tell_hooks(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)event;
    return faasd_reply_text(reply, hook_trace);
}

static void hooks_run_in_each_child_in_order(void **state)
{
    (void)state;
    struct answer a;
    char text[8] = "";
    struct peer t = start(use_hooks, tell_hooks);
    expect_template(&t);
    for (int i = 0; i < 2; i++) {
        struct peer c = make_child(&t);
        assert_string_equal(ask(c.fd, "", &a), "abaaaaaaaaaaaaaa");
        read_all(c.log, text, 7);
        assert_string_equal(text, "hook b\n");
        forget(&c);
    }
    assert_int_equal(stop(&t), 0);
    asked_for_template = 0;
    struct peer w = start(use_hooks, tell_hooks);
    asked_for_template = 1;
    read_ready(w.fd, &a);
    assert_string_equal(ask(w.fd, "", &a), "");
    assert_int_equal(stop(&w), 0);
}

static int use_a_failing_hook(void)
{
    return faasd_after_fork(hook_a) || faasd_after_fork(hook_that_fails) || faasd_after_fork(hook_b);
}

static void a_hook_that_fails_ends_its_child_with_what_it_said(void **state)
{
    (void)state;
    char text[9] = "";
    struct answer a;
    struct peer t = start(use_a_failing_hook, tell_hooks);
    expect_template(&t);
    for (int i = 0; i < 2; i++) {
        struct peer c = ask_for_child(&t, FAASD_FORK_SAME_ROOT, NULL, 0);
        char *frame = (char *)&a.frame;
        frame[0] = receive_first(&c);
        read_all(c.fd, frame + 1, sizeof(a.frame) - 1);
        assert_int_equal(a.frame.type, FAASD_FRAME_ERROR);
        assert_int_equal(a.frame.id, 0);
        read_all(c.fd, a.payload, a.frame.length);
        a.payload[a.frame.length] = '\0';
        assert_string_equal(a.payload + sizeof(struct faasd_error_head), "ForkFailedafter-fork hook 2 of 3 returned 5");
        expect_end(c.fd);
        read_all(c.log, text, 8);
        assert_string_equal(text, "no luck\n");
        forget(&c);
    }
    assert_int_equal(stop(&t), 0);
}

/* ---- many ---- */

struct first_values {
    unsigned char seed[32];
    long first[6]; /* two of each generator */
};

static int draw(const struct faasd_event *event, struct faasd_reply *reply)
{
    struct first_values v;
    (void)event;
    memset(&v, 0, sizeof(v));
    v.first[0] = rand();
    v.first[1] = rand();
    v.first[2] = random();
    v.first[3] = random();
    v.first[4] = lrand48();
    v.first[5] = lrand48();
    if (faasd_random_seed(v.seed) != 0)
        return -1;
    return faasd_reply_write(reply, &v, sizeof(v));
}

static size_t compared_at, compared_size;

static int compare(const void *a, const void *b)
{
    return memcmp((const char *)a + compared_at, (const char *)b + compared_at, compared_size);
}

static unsigned duplicates(struct first_values *all, size_t at, size_t size)
{
    unsigned n = 0;
    compared_at = at;
    compared_size = size;
    qsort(all, FORKS, sizeof(*all), compare);
    for (int i = 1; i < FORKS; i++)
        n += compare(&all[i - 1], &all[i]) == 0;
    return n;
}

static int descriptors_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    return files_in(path);
}

/* A child may answer before its template has closed what it was forked with. */
static void expect_descriptors(pid_t pid, int kept)
{
    for (int i = 0; i < WAIT_MS && descriptors_of(pid) != kept; i++)
        usleep(1000);
    assert_int_equal(descriptors_of(pid), kept);
}

static int children_of(pid_t pid)
{
    char path[64];
    char text[4096] = "";
    int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    if (fgets(text, sizeof(text), f))
        for (char *at = text; (at = strchr(at, ' ')) != NULL; at++)
            n++;
    fclose(f);
    return n;
}

/* Each order waits for those before it: what is left are the last one's child and whoever was still ending when it came. */
static void expect_few_children(struct peer *t)
{
    struct answer a;
    for (int i = 0; i < WAIT_MS && children_of(t->pid) > 2; i++) {
        struct peer c = make_child(t);
        ask(c.fd, "", &a);
        forget(&c);
        usleep(1000);
    }
    assert_in_range(children_of(t->pid), 1, 2);
}

static void ten_thousand_children_draw_different_numbers_and_leave_nothing_behind(void **state)
{
    (void)state;
    struct answer a;
    struct first_values *all = calloc(FORKS, sizeof(*all));
    /* stdin, stdout, stderr, its socket; the ruleset that its children narrow their scope by */
    const int kept = 4 + (syscall(444, NULL, 0, 1) >= LANDLOCK_WITH_SCOPES);
    assert_non_null(all);
    struct peer t = start(NULL, draw);
    expect_template(&t);
    for (int i = 0; i < FORKS; i++) {
        struct peer c = make_child(&t);
        memcpy(&all[i], ask(c.fd, "", &a), sizeof(all[i]));
        if (i % 1000 == 1)
            expect_descriptors(t.pid, kept);
        forget(&c);
    }
    assert_int_equal(duplicates(all, 0, 32), 0);
    assert_int_equal(duplicates(all, 0, sizeof(*all)), 0);
    /* A seed of srand(3) has 32 bits, of srand48(3) 48: among 10,000 two are the same in one run of a hundred. */
    for (size_t g = 0; g < 3; g++)
        assert_true(duplicates(all, offsetof(struct first_values, first) + g * 2 * sizeof(long), 2 * sizeof(long)) <=
                    2);
    free(all);
    expect_few_children(&t);
    expect_descriptors(t.pid, kept);
    assert_int_equal(stop(&t), 0);
}

static void the_templates_end_leaves_its_children_serving(void **state)
{
    (void)state;
    struct answer a;
    struct peer t = start(NULL, counting);
    expect_template(&t);
    struct peer c = make_child(&t);
    assert_int_equal(stop(&t), 0);
    ask(c.fd, "", &a);
    forget(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_child_goes_on_from_the_templates_memory_and_not_from_another_childs),
        cmocka_unit_test(a_worker_that_nobody_wants_as_template_says_nothing_about_it),
        cmocka_unit_test(a_possible_template_that_gets_a_request_serves_it),
        cmocka_unit_test(a_worker_that_has_seen_a_request_is_never_forked),
        cmocka_unit_test(threads_are_refused_by_name_and_the_worker_serves),
        cmocka_unit_test(open_descriptors_are_refused_with_what_they_are),
        cmocka_unit_test(a_failed_init_tells_why_and_exits),
        cmocka_unit_test(anything_but_a_fork_frame_ends_the_template),
        cmocka_unit_test(too_many_descriptors_end_the_template_and_stay_nowhere),
        cmocka_unit_test(a_fork_frame_may_come_in_pieces_and_several_at_once),
        cmocka_unit_test(a_child_starts_clean_of_what_init_left_lying_about),
        cmocka_unit_test(a_child_has_a_log_of_its_own),
        cmocka_unit_test(a_child_joins_each_of_its_groups_and_nobody_keeps_the_files),
        cmocka_unit_test(a_child_that_cannot_join_says_so_and_the_template_lives_on),
        cmocka_unit_test(each_slot_is_a_root_of_its_own_and_its_tmp_is_empty_for_each_child),
        cmocka_unit_test(a_child_reaches_neither_its_sibling_nor_the_template),
        cmocka_unit_test(hooks_run_in_each_child_in_order),
        cmocka_unit_test(a_hook_that_fails_ends_its_child_with_what_it_said),
        cmocka_unit_test(ten_thousand_children_draw_different_numbers_and_leave_nothing_behind),
        cmocka_unit_test(the_templates_end_leaves_its_children_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
