/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same attacks from a template's child: a function linked with libfaasd that is forked for each request. An event is
 *   ID [ARGUMENT]         the probe, in the child itself: its parent is the template, its own memory is what siblings must not read
 *   exec ID [ARGUMENT]    the probe in a program that the child starts: execve(2) makes it dumpable again
 *   misbehave HOW         an I row
 */
#include "probe.h"

#include <errno.h>
#include <faasd/frame.h>
#include <faasd/function.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int answer_with(struct faasd_reply *reply, const struct probe *p, struct finding f)
{
    faasd_reply_type(reply, "application/json");
    return faasd_reply_printf(reply, "{\"id\":\"%s\",\"result\":\"%s\",\"detail\":\"%s\",\"pid\":%d,\"parent\":%d}\n",
                              p->id, f.open ? "OPEN" : "DENIED", f.detail, getpid(), getppid());
}

static int run_program(struct faasd_reply *reply, const char *id, const char *argument)
{
    int ends[2];
    char said[1024];
    if (pipe(ends) < 0)
        return faasd_fail(reply, "NoPipe", "%s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("./probe", "probe", id, argument, NULL);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], said, sizeof(said))) > 0;)
        faasd_reply_write(reply, said, (size_t)n);
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) /* as a program of its own would be: its death is the request's */
        abort();
    return faasd_reply_type(reply, "application/json");
}

/* The library keeps the request's id to itself: it stands in the frame before the event's fields. */
static struct faasd_frame frame_of(const struct faasd_event *event)
{
    struct faasd_frame f;
    memcpy(&f, event->fields - sizeof(struct faasd_invoke_head) - sizeof(f), sizeof(f));
    return f;
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    char line[512];
    char *rest = NULL;
    snprintf(line, sizeof(line), "%.*s", (int)event->body_length, event->body);
    char *id = strtok_r(line, " \n", &rest);
    if (id && strcmp(id, "misbehave") == 0) {
        struct faasd_frame f = frame_of(event);
        misbehave_from(rest, &f);
        _exit(0);
    }
    bool by_program = id && strcmp(id, "exec") == 0;
    if (by_program)
        id = strtok_r(NULL, " \n", &rest);
    const struct probe *p = id ? probe_find(id) : NULL;
    const char *argument = rest ? rest : "";
    if (!p)
        return faasd_fail(reply, "NoProbe", "%s", id ? id : "");
    return by_program ? run_program(reply, id, argument) : answer_with(reply, p, p->run(argument));
}

int serve_children(void)
{
    return faasd_serve(handle);
}
