/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static int refusals; /* of epoll_ctl: so many */
static unsigned woken;

/* Before the C library's: libev calls this one. */
int epoll_ctl(int fd, int op, int of, struct epoll_event *e)
{
    if (refusals > 0) {
        refusals--;
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, fd, op, of, e);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    char byte;
    watch_again(loop, w, events);
    if (read(w->fd, &byte, 1) == 1)
        woken++;
}

struct fixture {
    struct ev_loop *loop;
    int ends[2];
    ev_io w;
};

static void must_not_end(const char *why)
{
    fail_msg("%s", why);
}

static void set_up(struct fixture *f)
{
    watch_prepare(must_not_end);
    woken = 0;
    refusals = 0;
    f->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    assert_non_null(f->loop);
    assert_int_equal(pipe2(f->ends, O_NONBLOCK | O_CLOEXEC), 0);
    ev_io_init(&f->w, on_readable, f->ends[0], EV_READ);
    ev_io_start(f->loop, &f->w);
}

static void tear_down(struct fixture *f)
{
    ev_io_stop(f->loop, &f->w);
    ev_loop_destroy(f->loop);
    close(f->ends[0]);
    close(f->ends[1]);
}

static void a_descriptor_that_the_kernel_refuses_is_offered_again_at_each_turn(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    refusals = 3;
    for (int i = 0; i < 4; i++)
        ev_run(f.loop, EVRUN_NOWAIT);
    assert_int_equal(refusals, 0);
    assert_int_equal(woken, 0);
    assert_true(ev_is_active(&f.w));
    assert_int_equal(write(f.ends[1], "x", 1), 1);
    ev_run(f.loop, EVRUN_NOWAIT);
    assert_int_equal(woken, 1);
    tear_down(&f);
}

static void a_watcher_that_was_woken_without_an_error_is_left_as_it_is(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    ev_io_stop(f.loop, &f.w);
    watch_again(f.loop, &f.w, EV_READ);
    assert_false(ev_is_active(&f.w));
    tear_down(&f);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)w;
    (void)events;
    woken++;
    ev_break(loop, EVBREAK_ALL);
}

static void a_loop_that_no_signal_would_wake_is_not_made(void **state)
{
    ev_signal w;
    (void)state;
    watch_prepare(must_not_end);
    woken = 0;
    refusals = 1;
    assert_null(watch_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV));
    assert_int_equal(refusals, 0);
    struct ev_loop *loop = watch_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    assert_non_null(loop);
    ev_signal_init(&w, on_signal, SIGALRM);
    ev_signal_start(loop, &w);
    const struct itimerval soon = {.it_value.tv_usec = 10000};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    ev_run(loop, 0);
    assert_int_equal(woken, 1);
    ev_signal_stop(loop, &w);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_that_no_signal_would_wake_is_not_made),
        cmocka_unit_test(a_descriptor_that_the_kernel_refuses_is_offered_again_at_each_turn),
        cmocka_unit_test(a_watcher_that_was_woken_without_an_error_is_left_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
