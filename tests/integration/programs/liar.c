/* SPDX-License-Identifier: Apache-2.0 */
/* A template that does what the file `hostile` beside it says, in its own fork(): the test puts it there from outside. */
#include <faasd/frame.h>
#include <faasd/function.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int descriptor_of(int want_socket, int from)
{
    struct stat st;
    for (int fd = from; fd < 32; fd++)
        if (fstat(fd, &st) == 0 && !S_ISSOCK(st.st_mode) == !want_socket && (want_socket || !S_ISFIFO(st.st_mode)))
            return fd;
    return -1;
}

static void join_groups(void)
{
    for (int fd = descriptor_of(0, 4); fd >= 0; fd = descriptor_of(0, fd + 1))
        if (write(fd, "0", 1) != 1)
            perror("join");
}

static void say_ready(int with_log)
{
    struct faasd_frame ready = {.type = FAASD_FRAME_READY};
    struct iovec part = {&ready, sizeof(ready)};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    int ends[2];
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (with_log && pipe(ends) == 0) {
        memcpy(CMSG_DATA(&control.head), &ends[0], sizeof(int));
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
    }
    sendmsg(descriptor_of(1, 4), &m, MSG_NOSIGNAL);
}

static void live(void)
{
    for (;;)
        pause();
}

static pid_t lie(const char *how)
{
    if (!strcmp(how, "stranger")) { /* another process of the sandbox says READY */
        if (_Fork() == 0) {
            say_ready(1);
            live();
        }
        return 12345;
    }
    if (!strcmp(how, "template")) { /* the template itself says it for its child */
        say_ready(1);
        return 12345;
    }
    if (!strcmp(how, "capable")) { /* in its groups, and keeps what it should give up */
        pid_t pid = _Fork();
        if (pid == 0) {
            join_groups();
            say_ready(1);
            live();
        }
        return pid;
    }
    if (!strcmp(how, "younger")) { /* one is in the groups already, a later one says READY */
        if (_Fork() == 0) {
            join_groups();
            live();
        }
        usleep(50000);
        if (_Fork() == 0) {
            join_groups();
            say_ready(1);
            live();
        }
        return 12345;
    }
    if (!strcmp(how, "unlogged")) {
        pid_t pid = _Fork();
        if (pid == 0) {
            join_groups();
            say_ready(0);
            live();
        }
        return pid;
    }
    if (!strcmp(how, "twice")) {
        pid_t pid = _Fork();
        if (pid == 0) {
            say_ready(1);
            say_ready(1);
        }
        return pid;
    }
    if (!strcmp(how, "crowd")) { /* as many as it can, beside the child that was asked for */
        for (int i = 0; i < 1000; i++)
            if (_Fork() == 0)
                live();
        return _Fork();
    }
    if (!strcmp(how, "flood")) /* frames that nobody asked for, on the template's own socket */
        for (int i = 0; i < 100000; i++) {
            struct faasd_frame ready = {.type = FAASD_FRAME_READY};
            if (write(FAASD_FRAME_FD, &ready, sizeof(ready)) < 0)
                break;
        }
    if (!strcmp(how, "hang"))
        live();
    if (!strcmp(how, "exit"))
        _exit(0);
    return _Fork();
}

pid_t fork(void)
{
    char how[16] = "";
    FILE *f = fopen("/var/task/hostile", "re");
    if (f && !fgets(how, sizeof(how), f))
        how[0] = 0;
    if (f)
        fclose(f);
    return lie(how);
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    if (!strcmp(event->body, "crash"))
        abort();
    return faasd_reply_printf(reply, "%p", (void *)handle);
}

FAASD_FUNCTION(handle)
