/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exec_channel.h"

#include "base/fdio.h"
#include "base/watch.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { STREAM_READ = 65536 /* a pipe's capacity */ };

/* One record under construction for the whole gateway: a command is built and sent in one go. */
static struct {
    _Alignas(struct init_command) char bytes[INIT_RECORD_MAX];
    size_t len;
} record;

static struct init_command *record_command(void)
{
    return (struct init_command *)(void *)record.bytes;
}

size_t exec_command_room(void)
{
    return sizeof(record.bytes) - record.len;
}

int exec_command_begin(void)
{
    memset(record.bytes, 0, sizeof(struct init_command));
    record.len = sizeof(struct init_command);
    return 0;
}

static int add_bytes(struct str s, bool terminate)
{
    if (s.n + 1 > exec_command_room())
        return -E2BIG;
    if (s.n)
        memcpy(record.bytes + record.len, s.p, s.n);
    record.len += s.n;
    if (terminate)
        record.bytes[record.len++] = '\0';
    return 0;
}

static bool may_count_one_more(void)
{
    const struct init_command *c = record_command();
    return c->argc + c->envc < INIT_STRINGS_MAX;
}

int exec_command_add_argument(const char *text)
{
    assert(record_command()->envc == 0);
    if (!may_count_one_more())
        return -E2BIG;
    record_command()->argc++;
    return add_bytes(str_from(text), true);
}

int exec_command_add_environment(const char *name, struct str value)
{
    if (!may_count_one_more() || exec_command_room() < strlen(name) + value.n + 2)
        return -E2BIG;
    record_command()->envc++;
    add_bytes(str_from(name), false);
    add_bytes(STR_LITERAL("="), false);
    return add_bytes(value, true);
}

int exec_command_add_entries(const char *entries, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct str entry = str_from(entries + at);
        if (!may_count_one_more())
            return -E2BIG;
        record_command()->envc++;
        int r = add_bytes(entry, true);
        if (r < 0)
            return r;
        at += entry.n + 1;
    }
    return 0;
}

int exec_command_make_stdin(struct str body, int *ret_fd)
{
    *ret_fd = -1;
    if (body.n == 0)
        return 0;
    scoped_fd fd = memfd_create("event", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = fd_write_full(fd, body.p, body.n);
    if (r < 0)
        return r;
    /* A memfd is born 0777 and vm.memfd_noexec knows only those made inside the sandbox: without this a caller's bytes could be executed as
     * /proc/self/fd/0, past /tmp's noexec. The program isn't the owner, so it can't change the mode back. */
    if (fchmod(fd, 0444) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    *ret_fd = fd_take(&fd);
    return 0;
}

static int send_record(int fd, const void *bytes, size_t n, int passed_fd)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (passed_fd >= 0) {
        m.msg_control = control.space;
        m.msg_controllen = sizeof(control.space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed_fd, sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    /* EAGAIN: init has not read a record that it owes us an answer to; no honest init gets there. */
    return sent < 0 ? -errno : 0;
}

static int send_command(struct exec_channel *c, enum init_type type, uint32_t flags, int passed_fd)
{
    struct init_command *command = record_command();
    command->head = (struct init_head){.type = type, .size = (uint32_t)record.len, .request = c->request};
    command->flags = flags;
    return send_record(c->control_fd, record.bytes, record.len, passed_fd);
}

static void close_out(struct exec_channel *c)
{
    if (c->out_fd < 0)
        return;
    ev_io_stop(c->gateway->loop, &c->out_watcher);
    fd_close(&c->out_fd);
}

/* FINISHING ends when both pipes are at their end. Returns true when it told the owner (who may be gone). */
static bool finish_if_complete(struct exec_channel *c)
{
    if (c->state != EXEC_CHANNEL_FINISHING || c->out_fd >= 0 || c->log.fd >= 0)
        return false;
    c->state = EXEC_CHANNEL_WAITING;
    line_reader_end(&c->log);
    c->events->on_finished(c->owner, &c->done);
    return true;
}

/* Once a turn while the program runs: whoever writes as fast as the client reads would keep the loop for itself. What the dead have left is bounded by the pipe. */
static bool pass_on(struct exec_channel *c)
{
    bool may_go_on = c->events->on_output(c->owner);
    if (c->state != EXEC_CHANNEL_RUNNING)
        return true;
    if (!may_go_on) {
        c->paused = true;
        ev_io_stop(c->gateway->loop, &c->out_watcher);
    }
    return false;
}

void exec_channel_resume(struct exec_channel *c)
{
    if (c->paused && c->out_fd >= 0)
        ev_io_start(c->gateway->loop, &c->out_watcher);
    c->paused = false;
}

static void lose(struct exec_channel *c, const char *why)
{
    ev_io_stop(c->gateway->loop, &c->control_watcher);
    c->events->on_lost(c->owner, why);
}

static void lose_output(struct exec_channel *c, const char *why)
{
    close_out(c);
    lose(c, why);
}

/* Reads stdout until it would block. False when the owner was told something. */
static bool read_out(struct exec_channel *c)
{
    while (c->out_fd >= 0) {
        /* A full buffer is no flood yet: the pipe may be at its end. */
        char beyond;
        bool full = buf_reserve(&c->out, c->streams ? STREAM_READ : 4096) < 0 && buf_reserve(&c->out, 1) < 0;
        ssize_t n =
            full ? read(c->out_fd, &beyond, 1) : read(c->out_fd, c->out.data + c->out.len, c->out.cap - c->out.len);
        if (n > 0 && full) {
            close_out(c);
            c->events->on_flood(c->owner);
            return false;
        }
        if (n > 0) {
            c->out.len += (size_t)n;
            if (c->streams && !pass_on(c))
                return true;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) { /* what came so far must not pass for all of it */
            lose_output(c, "what the program writes can't be read");
            return false;
        }
        close_out(c);
    }
    return true;
}

static void on_out(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct exec_channel *c = w->data;
    if (read_out(c))
        finish_if_complete(c);
}

static void on_log_closed(struct line_reader *r)
{
    finish_if_complete(r->owner);
}

/* Each take_* returns false when the owner was told something: the channel may be gone then. */
static bool take_ready(struct exec_channel *c, const int *fds, unsigned fd_count)
{
    if (c->state != EXEC_CHANNEL_WAITING || fd_count != 2) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        lose(c, "init said READY out of turn");
        return false;
    }
    c->out_fd = fds[0];
    fd_set_nonblock(fds[0]);
    fd_set_nonblock(fds[1]);
    ev_io_init(&c->out_watcher, on_out, c->out_fd, EV_READ);
    c->out_watcher.data = c;
    line_reader_attach(&c->log, fds[1]);
    c->state = EXEC_CHANNEL_READY;
    c->events->on_ready(c->owner);
    return false;
}

static bool take_done(struct exec_channel *c, const struct init_done *done)
{
    if (c->state != EXEC_CHANNEL_RUNNING || done->head.request != c->request) {
        lose(c, "init said DONE out of turn");
        return false;
    }
    c->done = *done;
    c->state = EXEC_CHANNEL_FINISHING;
    if (!read_out(c))
        return false;
    /* The reader tells on_log_closed at the end of the pipe, and that may already finish the program. */
    if (c->log.fd >= 0) {
        line_reader_drain(&c->log);
        return false;
    }
    return !finish_if_complete(c);
}

static bool take_worker_exited(struct exec_channel *c, const struct init_done *done)
{
    if (!c->worker_runs) {
        lose(c, "init said WORKER_EXITED out of turn");
        return false;
    }
    c->worker_runs = false;
    c->events->on_worker_exited(c->owner, done);
    return false;
}

/* The set-up's one word before init begins; init never says it. */
static bool take_notices(struct exec_channel *c, const struct init_head *head, const int *fds, unsigned fd_count)
{
    if (fd_count != 1 || c->notices || head->request > INIT_NOTICES_GO_ON) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        lose(c, "init said NOTICES out of turn");
        return false;
    }
    c->notices = notices_new(c->gateway, fds[0], (enum init_notices)head->request, c->learned);
    return true;
}

/* Init is ours, but what runs beside it shares its uid: a record that is not exact is a broken sandbox. */
static bool take_record(struct exec_channel *c, const void *bytes, size_t n, const int *fds, unsigned fd_count)
{
    struct init_done done;
    struct init_head head;
    if (n < sizeof(head)) {
        lose(c, "init sent a short record");
        return false;
    }
    memcpy(&head, bytes, sizeof(head));
    if (head.type == INIT_READY && n == sizeof(head) && head.size == n)
        return take_ready(c, fds, fd_count);
    if (head.type == INIT_NOTICES && n == sizeof(head) && head.size == n)
        return take_notices(c, &head, fds, fd_count);
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (n != sizeof(done) || head.size != n || (head.type != INIT_DONE && head.type != INIT_WORKER_EXITED)) {
        lose(c, "init sent a malformed record");
        return false;
    }
    memcpy(&done, bytes, sizeof(done));
    return head.type == INIT_DONE ? take_done(c, &done) : take_worker_exited(c, &done);
}

/* One record. False when there was none or the channel may be gone. */
static bool receive(struct exec_channel *c)
{
    _Alignas(struct init_done) char bytes[sizeof(struct init_done) + 1];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
    ssize_t n = recvmsg(c->control_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        c->unread = n < 0 && errno == ECONNRESET; /* whoever closes a socket with a record in it resets it */
        lose(c, "init closed its control socket");
        return false;
    }
    int fds[2];
    unsigned fd_count = 0;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
        fd_count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        assert(fd_count <= 2); /* the control buffer has room for no more */
        memcpy(fds, CMSG_DATA(h), fd_count * sizeof(int));
    }
    if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        /* The two pipes of a READY fit into the control buffer: they are missing when this process has no room for them (unix(7)). */
        lose(c, m.msg_flags & MSG_TRUNC ? "init sent an oversized record"
                                        : "its pipes could not be taken over: the gateway has too many open files");
        return false;
    }
    return take_record(c, bytes, (size_t)n, fds, fd_count);
}

static void on_control(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct exec_channel *c = w->data;
    turn_begin(c->gateway);
    receive(c); /* what else stands there wakes the loop again */
}

void exec_channel_drain(struct exec_channel *c)
{
    if (c->control_fd >= 0 && ev_is_active(&c->control_watcher))
        receive(c);
}

void exec_channel_init(struct exec_channel *c, struct gateway *g, const struct exec_channel_events *events, void *owner)
{
    c->gateway = g;
    c->events = events;
    c->owner = owner;
    c->state = EXEC_CHANNEL_CLOSED;
    c->control_fd = -1;
    c->out_fd = -1;
    c->request = 0;
    c->notices = NULL;
    c->learned = NULL;
    c->unread = c->worker_runs = c->streams = c->paused = false;
    ev_init(&c->control_watcher, on_control);
    ev_init(&c->out_watcher, on_out);
    buf_init(&c->out, 0);
}

void exec_channel_attach(struct exec_channel *c, int control_fd)
{
    assert(c->state == EXEC_CHANNEL_CLOSED);
    c->control_fd = control_fd;
    c->state = EXEC_CHANNEL_WAITING;
    c->log.on_closed = on_log_closed;
    c->log.owner = c;
    ev_io_init(&c->control_watcher, on_control, control_fd, EV_READ);
    c->control_watcher.data = c;
    ev_io_start(c->gateway->loop, &c->control_watcher);
}

void exec_channel_fini(struct exec_channel *c)
{
    if (c->control_fd >= 0)
        ev_io_stop(c->gateway->loop, &c->control_watcher);
    fd_close(&c->control_fd);
    notices_put(c->notices);
    c->notices = NULL;
    close_out(c);
    c->log.on_closed = NULL;
    line_reader_fini(&c->log);
    buf_fini(&c->out);
    c->state = EXEC_CHANNEL_CLOSED;
}

int exec_channel_exec(struct exec_channel *c, const struct exec_options *o)
{
    assert(c->state == EXEC_CHANNEL_READY);
    c->request++;
    int r = send_command(c, INIT_EXEC, o->flags, o->stdin_fd);
    if (r < 0)
        return r;
    c->state = EXEC_CHANNEL_RUNNING;
    c->out.len = 0;
    c->out.limit = o->streams ? 0 : o->out_max;
    c->streams = o->streams;
    c->paused = false;
    if (o->log_tail)
        line_reader_begin_also(&c->log, o->request_id, o->log_tail);
    else
        line_reader_begin(&c->log, o->request_id);
    ev_io_start(c->gateway->loop, &c->out_watcher);
    return 0;
}

int exec_channel_start_worker(struct exec_channel *c, uint32_t flags, int fd)
{
    assert(c->state == EXEC_CHANNEL_WAITING && !c->worker_runs);
    c->request = 0;
    int r = send_command(c, INIT_START, flags, fd);
    c->worker_runs = r == 0;
    return r;
}

int exec_channel_stop_worker(struct exec_channel *c)
{
    const struct init_head stop = {.type = INIT_STOP, .size = sizeof(stop)};
    return c->worker_runs ? send_record(c->control_fd, &stop, sizeof(stop), -1) : 0;
}
