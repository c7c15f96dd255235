/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "syscall.h"

#include <stdbool.h>

/* One byte more than a record may have, so that a longer one shows as such. Pages are only touched as far as commands really go. */
static union {
    struct init_command head;
    char bytes[INIT_RECORD_MAX + 1];
} record;

static const char *strings[INIT_STRINGS_MAX + 2]; /* arguments, NULL, environment, NULL */

/* Takes the one descriptor that a record may carry. Nothing is closed on failure: init exits then. */
static int take_fd(const struct init_msghdr *m, const struct init_cmsg *c, int *ret_fd)
{
    *ret_fd = -1;
    if (m->control_length == 0)
        return 0;
    size_t one = offsetof(struct init_cmsg, fds) + sizeof(int);
    if (m->control_length < one || c->length != one || c->level != INIT_AF_SOL_SOCKET || c->type != INIT_SCM_RIGHTS)
        return -EPROTO;
    *ret_fd = c->fds[0];
    return 0;
}

static long receive_record(int control_fd, int *ret_fd)
{
    struct init_iovec iov = {.base = record.bytes, .length = sizeof(record.bytes)};
    struct init_cmsg control = {0};
    struct init_msghdr m;
    long n;
    for (;;) {
        m = (struct init_msghdr){.iov = &iov, .iov_count = 1, .control = &control, .control_length = sizeof(control)};
        n = sys_receive(control_fd, &m, INIT_MSG_CMSG_CLOEXEC);
        if (n != -EAGAIN && n != -EINTR)
            break;
        struct init_pollfd readable = {.fd = control_fd, .events = INIT_POLLIN};
        sys_poll(&readable, 1);
    }
    if (n <= 0)
        return n;
    if (m.flags & (INIT_MSG_TRUNC | INIT_MSG_CTRUNC))
        return -EPROTO;
    int r = take_fd(&m, &control, ret_fd);
    return r < 0 ? r : n;
}

/* Points `count` entries from `out` on at the strings that begin at `at`; returns where the next one begins, 0 when they do not fit. */
static size_t index_strings(const char **out, uint32_t count, size_t at, size_t end)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = record.bytes + at;
        while (at < end && record.bytes[at])
            at++;
        if (at == end)
            return 0;
        at++;
    }
    out[count] = NULL;
    return at;
}

/* A worker is either started again when it has ended or outlived by its children, never both. */
static bool flags_are_known(const struct init_command *c)
{
    if (c->head.type == INIT_EXEC)
        return (c->flags & ~(uint32_t)(INIT_COMMAND_PTY | INIT_COMMAND_KEEP_TMP | INIT_COMMAND_FILES)) == 0;
    return c->flags == 0 || c->flags == INIT_COMMAND_AGAIN || c->flags == INIT_COMMAND_TEMPLATE;
}

static int check_head(size_t n)
{
    const struct init_command *c = &record.head;
    if (n < sizeof(*c) || c->head.size != n || c->reserved != 0)
        return -EPROTO;
    if ((c->head.type != INIT_START && c->head.type != INIT_EXEC) || !flags_are_known(c))
        return -EPROTO;
    if (c->argc == 0 || c->argc > INIT_STRINGS_MAX || c->envc > INIT_STRINGS_MAX - c->argc)
        return -EPROTO;
    return 0;
}

int command_receive(int control_fd, struct command *ret_command)
{
    int fd = -1;
    long n = receive_record(control_fd, &fd);
    if (n <= 0)
        return (int)n;
    const struct init_command *c = &record.head;
    if (n == sizeof(c->head) && c->head.type == INIT_STOP && c->head.size == n && fd < 0) {
        *ret_command = (struct command){.type = INIT_STOP, .fd = -1};
        return 1;
    }
    int r = check_head((size_t)n);
    if (r < 0)
        return r;
    const char **envp = strings + c->argc + 1;
    size_t at = index_strings(strings, c->argc, sizeof(*c), (size_t)n);
    at = at ? index_strings(envp, c->envc, at, (size_t)n) : 0;
    if (at != (size_t)n)
        return -EPROTO;
    *ret_command = (struct command){
        .type = c->head.type,
        .flags = c->flags,
        .request = c->head.request,
        .fd = fd,
        .argv = strings,
        .envp = envp,
    };
    return 1;
}
