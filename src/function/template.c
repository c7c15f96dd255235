/* SPDX-License-Identifier: Apache-2.0 */
#include "template.h"

#include "channel.h"
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- may this process be forked? ---- */

bool faasd_template_is_wanted(void)
{
    const char *wanted = getenv("FAASD_TEMPLATE");
    return wanted && strcmp(wanted, "yes") == 0;
}

/* fork(2) takes one thread along: the locks that others hold would stay locked for ever. */
static bool has_one_thread(char text[TEMPLATE_TEXT_MAX])
{
    char path[64];
    char name[32] = "";
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) {
        snprintf(text, TEMPLATE_TEXT_MAX, "its threads can't be counted: open '/proc/self/task': %s", strerror(errno));
        return false;
    }
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        long task = atol(entry->d_name);
        if (task <= 0)
            continue;
        count++;
        if (task == (long)getpid() || name[0])
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%ld/comm", task);
        FILE *comm = fopen(path, "re");
        if (comm && fgets(name, sizeof(name), comm))
            name[strcspn(name, "\n")] = '\0';
        if (comm)
            fclose(comm);
    }
    closedir(tasks);
    if (count != 1)
        snprintf(text, TEMPLATE_TEXT_MAX, "%u threads are running after init: %s", count, name);
    return count == 1;
}

/* Whatever else is open, children would share: one offset, one connection, one epoll set for all. */
static bool has_own_descriptors_only(char text[TEMPLATE_TEXT_MAX])
{
    char path[64];
    char target[128];
    int other = -1;
    DIR *fds = opendir("/proc/self/fd");
    if (!fds) {
        snprintf(text, TEMPLATE_TEXT_MAX, "its descriptors can't be listed: open '/proc/self/fd': %s", strerror(errno));
        return false;
    }
    for (const struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd > FAASD_FRAME_FD && fd != dirfd(fds) && (other < 0 || fd < other))
            other = fd;
    }
    closedir(fds);
    if (other < 0)
        return true;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", other);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = '\0';
    snprintf(text, TEMPLATE_TEXT_MAX, "descriptor %d is open after init: %s", other, target);
    return false;
}

/* mmap(MAP_SHARED) without a file, or of one in /tmp: what one child writes, its siblings and the children after it would read. */
static bool has_own_memory_only(char text[TEMPLATE_TEXT_MAX])
{
    char line[512];
    char rights[8];
    char name[128];
    bool own = true;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps) {
        snprintf(text, TEMPLATE_TEXT_MAX, "its memory can't be listed: open '/proc/self/maps': %s", strerror(errno));
        return false;
    }
    while (own && fgets(line, sizeof(line), maps)) {
        int fields = sscanf(line, "%*s %7s %*s %*s %*s %127[^\n]", rights, name);
        own = fields < 1 || strncmp(rights, "rw", 2) != 0 || rights[3] != 's';
        if (!own)
            snprintf(text, TEMPLATE_TEXT_MAX, "writable memory is shared after init: %s",
                     fields > 1 ? name : "anonymous");
    }
    fclose(maps);
    return own;
}

const char *faasd_template_answer(char text[TEMPLATE_TEXT_MAX])
{
    return has_one_thread(text) && has_own_descriptors_only(text) && has_own_memory_only(text) ? "yes" : text;
}

/* ---- the template ---- */

/* The last child in each; those without a slot share one place. */
enum { SLOTS = 32 };
static pid_t slot_children[SLOTS + 1];
/* They were still ending when their slot came again. faasd gives it to another when it has seen them dead, so there is hardly ever one. */
static pid_t late[SLOTS];

/* What init may have left that is no part of the program's state, put right once instead of in each child. Handlers stay: they are code of the program
 * (collectors of garbage live on SIGSEGV). SIGCHLD wakes nobody: children are waited for when their slot comes again. *ret_child_end: what a child shall do
 * with it. */
static void settle(struct sigaction *ret_child_end)
{
    static const struct itimerval never;
    const struct sigaction stay_asleep = {.sa_handler = SIG_DFL};
    struct sigaction now;
    setitimer(ITIMER_REAL, &never, NULL); /* and with it alarm(2) */
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    setitimer(ITIMER_PROF, &never, NULL);
    umask(022);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number != SIGPIPE && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            signal(number, SIG_DFL);
    sigaction(SIGCHLD, &stay_asleep, ret_child_end);
}

union order_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * (FAASD_FORK_FDS_MAX + 1))];
};

/* False when there are more than an order may bring; those that got through are in it and closed by the caller. */
static bool take_fds(struct msghdr *m, struct fork_order *o)
{
    bool fits = !(m->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (o->fd_count < FAASD_FORK_FDS_MAX) {
                o->fds[o->fd_count++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

struct fork_frame {
    struct faasd_frame head;
    struct faasd_fork body;
};
_Static_assert(sizeof(struct fork_frame) == sizeof(struct faasd_frame) + sizeof(struct faasd_fork), "no padding");

static bool is_order(const struct fork_frame *f, const struct fork_order *o)
{
    int type = 0;
    socklen_t size = sizeof(type);
    return f->head.type == FAASD_FRAME_FORK && f->head.length == sizeof(f->body) && f->head.reserved == 0 &&
           f->head.id == 0 && f->body.reserved == 0 && o->fd_count > 0 &&
           getsockopt(o->fds[0], SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* Up to `size` bytes of `to`, of which *have are there already, and the descriptors that come with them. Never reads further, so what belongs to the next frame, its
 * descriptors included, stays in the socket. 1: they are there. 0: end of file before the first. -1: broken. */
static int read_bytes(int fd, char *to, size_t size, size_t *have, struct fork_order *o)
{
    union order_control control;
    while (*have < size) {
        struct iovec part = {to + *have, size - *have};
        struct msghdr m = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
        ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        if (n > 0) {
            *have += (size_t)n;
            if (!take_fds(&m, o))
                return faasd_channel_complain("a FORK frame with too many descriptors");
        } else if (n < 0 && errno == EAGAIN) {
            faasd_channel_wait(fd, POLLIN);
        } else if (n == 0 || errno != EINTR) {
            return *have == 0 ? 0 : faasd_channel_complain("the connection ended inside a frame");
        }
    }
    return 1;
}

/* 1: *o is whole. 0: end of file. -1: broken. `have`: bytes of *frame that are there already. Unless 1, no descriptor stays open. */
static int read_order(int fd, struct fork_frame *frame, size_t have, struct fork_order *o)
{
    int r = read_bytes(fd, (char *)frame, sizeof(*frame), &have, o);
    if (r > 0 && !is_order(frame, o))
        r = faasd_channel_complain("a template takes FORK frames only: 40 bytes, id 0, and the child's socket first");
    if (r > 0)
        o->body = frame->body;
    else
        faasd_child_close_order(o);
    return r;
}

static enum template_outcome begin_child(struct fork_order *o, const struct sigaction *child_end)
{
    char text[CHILD_TEXT_MAX];
    int log_fd;
    sigaction(SIGCHLD, child_end, NULL);
    int r = faasd_child_become(o, &log_fd, text);
    if (r == 0)
        r = faasd_child_run_hooks(text);
    fflush(stdout); /* what hooks printed goes ahead of the first request */
    if (r == 0)
        r = faasd_channel_send_child_ready(FAASD_FRAME_FD, log_fd);
    else
        faasd_channel_send_error(FAASD_FRAME_FD, 0, "ForkFailed", text, log_fd);
    if (log_fd >= 0)
        close(log_fd);
    return r == 0 ? TEMPLATE_CHILD : TEMPLATE_BROKEN;
}

static void make_child_fail(int fd)
{
    char text[TEMPLATE_TEXT_MAX];
    snprintf(text, sizeof(text), "fork: %s", strerror(errno));
    faasd_channel_send_error(fd, 0, "ForkFailed", text, -1);
}

static bool is_waited_for(pid_t pid)
{
    return pid <= 0 || waitpid(pid, NULL, WNOHANG) != 0;
}

/* Until it is waited for a dead child's status can be read by who looks for it from outside. That has happened when its slot is given to another. */
static void wait_for_last_of(pid_t *place)
{
    pid_t *room = &late[0];
    for (unsigned i = 0; i < SLOTS; i++) {
        if (is_waited_for(late[i]))
            late[i] = 0;
        if (late[i] == 0)
            room = &late[i];
    }
    if (!is_waited_for(*place))
        *room = *place;
    *place = 0;
}

/* `have` bytes of the first order are in *frame. */
static enum template_outcome fork_on_order(int fd, struct fork_frame *frame, size_t have, struct fork_order *o)
{
    struct sigaction child_end;
    int r;
    faasd_child_prepare();
    settle(&child_end);
    while ((r = read_order(fd, frame, have, o)) > 0) {
        pid_t *place = &slot_children[o->body.slot < SLOTS ? o->body.slot : SLOTS];
        wait_for_last_of(place);
        fflush(NULL); /* or a child would print it again */
        pid_t pid = fork();
        if (pid == 0)
            return begin_child(o, &child_end);
        if (pid < 0)
            make_child_fail(o->fds[0]);
        *place = pid;
        faasd_child_close_order(o);
        have = 0;
    }
    return r == 0 ? TEMPLATE_ENDED : TEMPLATE_BROKEN;
}

enum template_outcome faasd_template_serve(int fd, struct faasd_frame *ret_head)
{
    struct fork_frame frame = {0};
    struct fork_order order = {.fd_count = 0};
    size_t have = 0;
    int r = read_bytes(fd, (char *)&frame, sizeof(frame.head), &have, &order);
    if (r > 0 && frame.head.type == FAASD_FRAME_FORK)
        return fork_on_order(fd, &frame, have, &order);
    faasd_child_close_order(&order);
    *ret_head = frame.head;
    return r > 0 ? TEMPLATE_REQUEST : r == 0 ? TEMPLATE_ENDED : TEMPLATE_BROKEN;
}
