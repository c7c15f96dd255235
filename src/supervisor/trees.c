/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/trees.h"

#include "base/fdio.h"
#include "base/watch.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "supervisor/core.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct job {
    struct trees *trees;
    struct list link;
    bool is_heard; /* its asker lives */
    bool late;
    int pidfd;
    struct message_tree message;
    ev_io on_exit;
    ev_timer timer;
};

/* In the child: the exit status is an errno, 0 when the version is in its place for good. */
static int publish(const struct state *s, const struct message_tree *m)
{
    char name[STATE_STAGING_MAX];
    state_staging_name(m->staging, name);
    if (renameat(s->staging_fd, name, s->versions_fd, m->digest) < 0) {
        /* The same code was deployed before: that directory stays, it may be in use. */
        if (errno != ENOTEMPTY && errno != EEXIST)
            return errno;
        int r = state_throw_away(s, s->staging_fd, name, NULL);
        if (r < 0)
            return -r;
    }
    if (fsync(s->versions_fd) < 0 || fsync(s->staging_fd) < 0)
        return errno;
    return 0;
}

static void job_free(struct job *j)
{
    struct ev_loop *loop = j->trees->supervisor->loop;
    ev_io_stop(loop, &j->on_exit);
    ev_timer_stop(loop, &j->timer);
    fd_close(&j->pidfd);
    list_remove(&j->link);
    j->trees->job_count--;
    free(j);
}

static void on_gone(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct job *j = w->data;
    int status;
    if (pidfd_reap(j->pidfd, false, &status) != 1)
        return;
    struct err e = {0};
    if (j->late)
        err_say(&e, ETIMEDOUT, "publish the code: the disk did not take it within %d s", TREES_JOB_SECONDS);
    else if (!WIFEXITED(status))
        err_say(&e, EIO, "publish the code: the child died of signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        err_set(&e, WEXITSTATUS(status), "publish the code %s", j->message.digest);
    if (j->is_heard)
        channel_send_failed(&j->trees->supervisor->channel, MESSAGE_DONE, j->message.header.id, e.code ? &e : NULL);
    job_free(j);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    struct job *j = w->data;
    j->late = true;
    pidfd_kill(j->pidfd);
}

/* pidfd of the child, or -errno. */
static int start_child(const struct state *s, const struct message_tree *m, struct err *e)
{
    int pidfd;
    pid_t pid = ns_fork(&pidfd);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(publish(s, m));
    }
    return pid < 0 ? err_set(e, -pid, "clone who publishes the code") : pidfd;
}

static int start_publish(struct trees *t, const struct message_tree *m, struct err *e)
{
    if (t->job_count >= TREES_JOBS_MAX)
        return err_say(e, EAGAIN, "%d publishes are under way", TREES_JOBS_MAX);
    struct job *j = calloc(1, sizeof(*j));
    if (!j)
        return err_set(e, ENOMEM, "publish the code");
    j->pidfd = start_child(&t->supervisor->state, m, e);
    if (j->pidfd < 0) {
        free(j);
        return -e->code;
    }
    j->trees = t;
    j->is_heard = true;
    j->message = *m;
    list_push_back(&t->jobs, &j->link);
    t->job_count++;
    ev_io_init(&j->on_exit, on_gone, j->pidfd, EV_READ);
    ev_timer_init(&j->timer, on_late, TREES_JOB_SECONDS, 0.);
    j->on_exit.data = j->timer.data = j;
    ev_io_start(t->supervisor->loop, &j->on_exit);
    ev_timer_start(t->supervisor->loop, &j->timer);
    return 0;
}

void trees_init(struct trees *t, struct supervisor *s)
{
    *t = (struct trees){.supervisor = s};
    list_init(&t->jobs);
}

void trees_handle(struct trees *t, const struct message_tree *m)
{
    const struct state *s = &t->supervisor->state;
    struct err e = {0};
    char name[STATE_STAGING_MAX];
    int r;
    switch (m->header.type) {
    case MESSAGE_PUBLISH:
        r = start_publish(t, m, &e);
        if (r == 0)
            return; /* on_gone answers */
        break;
    case MESSAGE_DISCARD:
        state_staging_name(m->staging, name);
        r = state_throw_away(s, s->staging_fd, name, &e);
        break;
    default:
        r = state_throw_away(s, s->versions_fd, m->digest, &e);
        break;
    }
    channel_send_failed(&t->supervisor->channel, MESSAGE_DONE, m->header.id, r < 0 ? &e : NULL);
}

void trees_abandon(struct trees *t)
{
    LIST_EACH (&t->jobs, at)
        LIST_ENTRY(at, struct job, link)->is_heard = false;
}

void trees_fini(struct trees *t)
{
    LIST_EACH (&t->jobs, at) {
        struct job *j = LIST_ENTRY(at, struct job, link);
        pidfd_end(j->pidfd);
        job_free(j);
    }
}
