/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's boxes with real sandboxes, for tests of templates and their children: a gateway played by the test, and the test's own program as
 * the template inside, which does what it is told by one letter, honest or not.
 */
#ifndef FAASD_TESTS_SUPERVISOR_CHILD_FIXTURE_H
#define FAASD_TESTS_SUPERVISOR_CHILD_FIXTURE_H

#include "supervisor/box.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/cgroup_internal.h"
#include "os/sock.h"
#include "sandbox/init_protocol.h"
#include "supervisor/box_internal.h"
#include "supervisor/core.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum {
    WAIT_MS = 20000,
    MEMORY_BYTES = 64 << 20,
    UID_BASE = 720000,
    CODE_OWNER = UID_BASE + 1,
    SLOTS = 2,
    PIDS = 16,
    MANY = 500
};

/* ---- inside: the template ---- */

/* What the template is told on its socket, with the child's socket and the files to join. */
enum order {
    FORK_HONEST = 'f',
    FORK_WITHOUT_JOINING = 'w',
    FORK_JOINING_IN_PART = 'p', /* the last of its groups alone */
    FORK_WITH_ITS_CAPABILITIES = 'c',
    FORK_BEHIND_ANOTHER = 'b', /* a process of the template's is in the groups first */
    FORK_AND_MOVE_AWAY =
        'm', /* process after process into the child's groups, each counted on its socket, as far as the kernel lets it */
    TEMPLATE_EXIT = 'x',
};
/* What a child is told on its own. */
enum deed {
    DEED_ANSWER = 'a',
    DEED_EXIT = 'e', /* with status 7 */
    DEED_TRAP = 't',
    DEED_LEAVE_PROCESS = 'l', /* start one that stays, then exit */
    DEED_FORK_BOMB = 'b',
    DEED_USE_MEMORY = 'm',
};

static inline bool take_order(int fd, char *ret_order, int fds[8], unsigned *ret_count)
{
    char space[CMSG_SPACE(8 * sizeof(int))];
    struct iovec io = {.iov_base = ret_order, .iov_len = 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    ssize_t n;
    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    *ret_count = 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (n == 1 && c) {
        *ret_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), *ret_count * sizeof(int));
    }
    return n == 1;
}

static inline void join(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (write(fds[i], "0", 1) != 1)
            _exit(81);
}

static inline void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        _exit(82);
}

static inline void do_deeds(int fd)
{
    char deed;
    while (read(fd, &deed, 1) == 1) {
        if (deed == DEED_ANSWER && write(fd, "A", 1) != 1)
            _exit(83);
        if (deed == DEED_EXIT)
            _exit(7);
        if (deed == DEED_TRAP)
            __builtin_trap();
        if (deed == DEED_LEAVE_PROCESS) {
            if (fork() > 0)
                _exit(0);
            for (;;)
                pause();
        }
        for (; deed == DEED_FORK_BOMB;)
            fork();
        for (; deed == DEED_USE_MEMORY;) {
            char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p != MAP_FAILED)
                memset(p, 1, 1 << 20);
        }
    }
    _exit(0);
}

static inline void be_child(char order, const int *fds, unsigned count)
{
    if (order != FORK_WITH_ITS_CAPABILITIES)
        drop_capabilities();
    if (order == FORK_JOINING_IN_PART)
        join(fds + count - 1, 1);
    else if (order != FORK_WITHOUT_JOINING)
        join(fds + 1, count - 1);
    if (write(fds[0], "R", 1) != 1)
        _exit(84);
    do_deeds(fds[0]);
}

static inline void fork_and_move_away(const int *fds, unsigned count)
{
    char c;
    int moved[2];
    if (pipe2(moved, O_CLOEXEC) < 0)
        return;
    for (unsigned n = 0; n < MANY; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            drop_capabilities();
            join(fds + 1, count - 1);
            for (c = 'm'; write(moved[1], &c, 1) == 1;)
                for (;;)
                    pause();
        }
        if (pid < 0 || read(moved[0], &c, 1) != 1 || write(fds[0], "+", 1) != 1)
            break;
    }
    (void)!write(fds[0], ".", 1);
}

static inline int be_template(void)
{
    int fds[8];
    unsigned count;
    char order;
    if (write(3, "T", 1) != 1)
        return 1;
    while (take_order(3, &order, fds, &count)) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (order == TEMPLATE_EXIT)
            return 3;
        if (order == FORK_AND_MOVE_AWAY) {
            fork_and_move_away(fds, count);
            continue;
        }
        if (order == FORK_BEHIND_ANOTHER && fork() == 0) {
            join(fds + 1, count - 1);
            for (;;)
                pause();
        }
        if (order == FORK_BEHIND_ANOTHER)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* ages are counted in hundredths of a second */
        if (fork() == 0)
            be_child(order, fds, count);
        for (unsigned i = 0; i < count; i++)
            close(fds[i]);
    }
    return 0;
}

/* ---- outside: supervisor and gateway ---- */

static char dir[] = "/tmp/faasd-unit-child-XXXXXX";
static struct supervisor super;
static int gateway = -1;
static const char *broken;
static uint64_t next_id = 1;

void supervisor_on_request(struct supervisor *s, union request *r, size_t size, int fd)
{
    (void)s;
    (void)r;
    (void)size;
    (void)fd;
}

void supervisor_on_gateway_broken(struct supervisor *s, const char *why)
{
    (void)s;
    broken = why;
}

void supervisor_on_gateway_exit(struct supervisor *s, int status)
{
    (void)s;
    (void)status;
}

void supervisor_on_boxes_gone(struct supervisor *s)
{
    (void)s;
}

static inline int make_code(struct err *e)
{
    char path[256];
    fmt_to(path, sizeof(path), "%s/versions", dir);
    if (mkdir(path, 0755) < 0)
        return -errno;
    super.state.versions_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fmt_to(path, sizeof(path), "%s/versions/" DIGEST, dir);
    if (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0 || chown(path, CODE_OWNER, CODE_OWNER) < 0)
        return -errno;
    fmt_to(path, sizeof(path), "cp %s %s/versions/" DIGEST "/worker && chmod 0755 %s/versions/" DIGEST "/worker",
           "/proc/$PPID/exe", dir, dir);
    return system(path) == 0 ? 0 : err_say(e, EIO, "copy this program");
}

static inline int open_all(void **state)
{
    (void)state;
    struct err e = {0};
    char path[128];
    if (geteuid() != 0)
        return 0;
    if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
        return -1;
    fmt_to(path, sizeof(path), "%s/scratch", dir);
    mkdir(path, 0755);
    super.config.instances_max = 64;
    super.config.memory_budget_bytes = 1ULL << 32;
    super.config.uid_base = UID_BASE;
    super.config.uid_count = 1000;
    strcpy(super.config.etc[super.config.etc_count++], "ld.so.cache");
    super.code_owner = CODE_OWNER;
    super.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    char name[64];
    fmt_to(name, sizeof(name), "faasd-unit-box-%d", getpid());
    scoped_fd self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const struct sandbox_base_options o = {.config = &super.config,
                                           .features = &super.features,
                                           .scratch_dir = path,
                                           .code_owner = CODE_OWNER,
                                           .self_fd = self};
    int ends[2], r = make_code(&e);
    if (r == 0)
        r = feature_probe(&super.features, &e);
    if (r == 0)
        r = cgroup_tree_open(&super.groups, name, &e);
    if (r == 0)
        r = sandbox_base_open(&super.base, &o, &e);
    if (r == 0)
        r = boxes_init(&super.boxes, &super, &e);
    if (r == 0)
        r = sock_pair(SOCK_SEQPACKET, ends, &e);
    if (r < 0) {
        print_message("%s\n", e.text);
        return r;
    }
    channel_init(&super.channel, &super);
    channel_open(&super.channel, ends[0]);
    gateway = ends[1];
    return 0;
}

static inline int close_all(void **state)
{
    (void)state;
    if (!super.base)
        return 0;
    boxes_abandon(&super.boxes);
    for (unsigned i = 0; super.boxes.living > 0 && i < WAIT_MS; i++) {
        ev_run(super.loop, EVRUN_NOWAIT);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    unsigned left = super.boxes.living;
    channel_close(&super.channel);
    fd_close(&gateway);
    sandbox_base_close(super.base);
    cgroup_tree_close(super.groups, true);
    boxes_fini(&super.boxes);
    ev_loop_destroy(super.loop);
    fd_close(&super.state.versions_fd);
    char command[128];
    fmt_to(command, sizeof(command), "rm -rf '%s'", dir);
    return left == 0 && system(command) == 0 ? 0 : -1;
}

static inline void need_root(void)
{
    if (!super.base) {
        print_message("skipped: sandboxes need root\n");
        skip();
    }
    broken = NULL;
}

union answer {
    struct message_header header;
    struct message_spawned spawned;
    struct message_failed failed;
    struct message_exited exited;
    char record[MESSAGE_RECORD_MAX];
};

static char unread[MESSAGE_RECORD_MAX]; /* what shared a record with messages that were read */
static size_t unread_size;

static inline union answer take_unread(void)
{
    union answer a = {.header.type = 0};
    memcpy(&a, unread, unread_size < sizeof(a) ? unread_size : sizeof(a));
    assert_true(message_may_share(a.header.type));
    assert_true(a.header.size >= sizeof(a.header) && a.header.size <= unread_size);
    unread_size -= a.header.size;
    memmove(unread, unread + a.header.size, unread_size);
    return a;
}

/* The next message to the gateway, while the supervisor's loop turns. */
static inline union answer next_answer(struct sock_record *record)
{
    union answer a;
    *record = (struct sock_record){.fd_count = 0};
    for (unsigned i = 0; i < WAIT_MS; i++) {
        if (unread_size > 0)
            return take_unread();
        ev_run(super.loop, EVRUN_NOWAIT);
        int r = sock_receive(gateway, &a, sizeof(a), record);
        if (r == 0 && a.header.size == record->size)
            return a;
        if (r == 0) {
            assert_true(record->size <= sizeof(unread) && record->fd_count == 0);
            memcpy(unread, &a, record->size);
            unread_size = record->size;
            continue;
        }
        assert_int_equal(r, -EAGAIN);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("no answer");
    abort();
}

static inline union answer expect(uint32_t type, uint64_t id, struct sock_record *record)
{
    struct sock_record none;
    union answer a = next_answer(record ? record : &none);
    if (a.header.type != type)
        fail_msg("message %u instead of %u: %s", a.header.type, type,
                 a.header.type == MESSAGE_SPAWN_FAILED ? a.failed.error.text : "");
    assert_int_equal(a.header.id, id);
    return a;
}

static inline void send_start(int control)
{
    static const char words[] = "/var/task/worker\0template";
    struct {
        struct init_command command;
        char words[sizeof(words)];
    } m = {.command = {.argc = 2, .flags = INIT_COMMAND_TEMPLATE}};
    memcpy(m.words, words, sizeof(words));
    m.command.head.type = INIT_START;
    m.command.head.size = sizeof(m.command) + sizeof(words);
    assert_int_equal(sock_send(control, &m, m.command.head.size, NULL, 0), 0);
}

static inline char read_byte(int fd)
{
    char c = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (unsigned i = 0; i < WAIT_MS && poll(&p, 1, 1) == 0; i++)
        ev_run(super.loop, EVRUN_NOWAIT);
    return read(fd, &c, 1) == 1 ? c : 0;
}

struct template
{
    uint64_t id;
    int control, log, worker;
};

static inline struct message_spawn spawn_message(void)
{
    struct message_spawn m = {.header = {.type = MESSAGE_SPAWN, .size = sizeof(m), .id = next_id++},
                              .kind = MESSAGE_SPAWN_FUNCTION,
                              .runtime = SETTINGS_RUNTIME_NATIVE,
                              .function = "unit",
                              .digest = DIGEST,
                              .revision = DIGEST,
                              .memory_bytes = MEMORY_BYTES,
                              .tmp_bytes = 1 << 20,
                              .pids = PIDS,
                              .cpus_milli = 1000,
                              .cpu_weight = 100,
                              .slots = SLOTS};
    return m;
}

static inline struct template start_template(void)
{
    struct message_spawn m = spawn_message();
    struct sock_record fds;
    assert_int_equal(boxes_spawn(&super.boxes, &m, -1), 0);
    union answer a = expect(MESSAGE_SPAWNED, m.header.id, &fds);
    assert_int_equal(a.spawned.fd_count, 3);
    struct template t = {.id = m.header.id, .control = fds.fds[0], .log = fds.fds[1], .worker = fds.fds[2]};
    send_start(t.control);
    if (read_byte(t.worker) != 'T') {
        struct init_done done = {.status = -1};
        struct sock_record record;
        char text[1024] = "";
        sock_receive(t.control, &done, sizeof(done), &record);
        (void)!read(t.log, text, sizeof(text) - 1);
        fail_msg("the template has not begun: wait status 0x%x, error %d, it wrote '%s'", done.status, done.error,
                 text);
    }
    return t;
}

static inline void close_template(struct template *t)
{
    fd_close(&t->control);
    fd_close(&t->log);
    fd_close(&t->worker);
}

static inline void end_template(struct template *t)
{
    boxes_kill(&super.boxes, t->id);
    expect(MESSAGE_EXITED, t->id, NULL);
    close_template(t);
}

struct child {
    uint64_t id;
    int socket;
    pid_t pid;
};

static inline uint64_t prepare(uint64_t template, struct sock_record *ret_join)
{
    struct message_prepare m = {.header = {.type = MESSAGE_PREPARE, .size = sizeof(m), .id = next_id++},
                                .template = template};
    assert_int_equal(boxes_prepare(&super.boxes, &m), 0);
    union answer a = expect(MESSAGE_SPAWNED, m.header.id, ret_join);
    assert_int_equal(a.spawned.pid, 0);
    assert_int_equal(a.spawned.fd_count, ret_join->fd_count);
    assert_true(ret_join->fd_count > 0);
    return m.header.id;
}

/* The pid as the kernel names the sender of the child's first byte. */
static inline pid_t read_sender(int fd)
{
    char space[CMSG_SPACE(sizeof(struct ucred))], c;
    struct iovec io = {.iov_base = &c, .iov_len = 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_int_equal(recvmsg(fd, &m, 0), 1);
    assert_int_equal(c, 'R');
    struct cmsghdr *at = CMSG_FIRSTHDR(&m);
    assert_non_null(at);
    assert_int_equal(at->cmsg_type, SCM_CREDENTIALS);
    struct ucred who;
    memcpy(&who, CMSG_DATA(at), sizeof(who));
    return who.pid;
}

static inline struct child begin_child(struct template *t, char order)
{
    struct sock_record join;
    struct child c = {.id = prepare(t->id, &join)};
    int ends[2], on = 1, fds[SOCK_FDS_MAX];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    fds[0] = ends[1];
    for (unsigned i = 0; i < join.fd_count; i++)
        fds[1 + i] = join.fds[i];
    assert_int_equal(sock_send(t->worker, &order, 1, fds, 1 + join.fd_count), 0);
    sock_record_close(&join);
    close(ends[1]);
    c.socket = ends[0];
    return c;
}

static inline struct child fork_child(struct template *t, char order)
{
    struct child c = begin_child(t, order);
    c.pid = read_sender(c.socket);
    return c;
}

static inline void send_adopt(const struct child *c, pid_t pid)
{
    struct message_adopt m = {.header = {.type = MESSAGE_ADOPT, .size = sizeof(m), .id = c->id}, .pid = pid};
    assert_int_equal(boxes_adopt(&super.boxes, &m), 0);
}

static inline struct child adopted_child(struct template *t)
{
    struct child c = fork_child(t, FORK_HONEST);
    send_adopt(&c, c.pid);
    assert_int_equal(boxes_find(&super.boxes, c.id)->state, BOX_RUNNING);
    return c;
}

static inline void do_deed(const struct child *c, char deed)
{
    assert_int_equal(write(c->socket, &deed, 1), 1);
}

static inline struct message_exited expect_exit(struct child *c)
{
    union answer a = expect(MESSAGE_EXITED, c->id, NULL);
    assert_null(boxes_find(&super.boxes, c->id));
    close(c->socket);
    return a.exited;
}

static inline bool is_dead(pid_t pid)
{
    char path[32], text[512];
    fmt_to(path, sizeof(path), "/proc/%d/stat", pid);
    return fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) < 0 || strstr(text, ") Z ");
}

#endif
