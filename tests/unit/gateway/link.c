/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/link.h"

#include "base/fdio.h"
#include "os/sock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
    struct gateway gateway;
    int supervisor; /* the other end */
    unsigned drains, configs, losses;
    int config_fd;
};

static struct fixture *at_hand;

static void on_drain(struct gateway *g)
{
    (void)g;
    at_hand->drains++;
}

static void on_config(struct gateway *g, int fd)
{
    (void)g;
    at_hand->configs++;
    at_hand->config_fd = fd;
    if (fd >= 0)
        close(fd);
}

static void on_lost(struct gateway *g, const char *why)
{
    (void)g;
    assert_true(strlen(why) > 0);
    at_hand->losses++;
}

static const struct link_events EVENTS = {.on_drain = on_drain, .on_config = on_config, .on_lost = on_lost};

static int set_up(void **state)
{
    static struct fixture f;
    int pair[2];
    struct err e;
    f = (struct fixture){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    f.gateway.loop = ev_loop_new(EVBACKEND_EPOLL);
    f.gateway.link = link_new(&f.gateway, pair[0], &e);
    assert_non_null(f.gateway.link);
    link_set_events(f.gateway.link, &EVENTS);
    f.supervisor = pair[1];
    at_hand = &f;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    link_free(f->gateway.link);
    ev_loop_destroy(f->gateway.loop);
    fd_close(&f->supervisor);
    return 0;
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 8; i++)
        ev_run(f->gateway.loop, EVRUN_NOWAIT);
}

static void say(struct fixture *f, const void *message, size_t size, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)message, size};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        h.msg_control = &control;
        h.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(f->supervisor, &h, MSG_NOSIGNAL), (ssize_t)size);
}

struct listener {
    struct link_waiter waiter;
    unsigned heard;
    uint32_t last_type;
    unsigned fds;
    bool leave; /* unregisters itself when it hears something */
    struct fixture *f;
};

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct listener *l = (struct listener *)(void *)w;
    l->heard++;
    l->last_type = m->type;
    l->fds += fd_count;
    for (unsigned i = 0; i < fd_count; i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
    }
    if (l->leave)
        link_unregister(l->f->gateway.link, w);
}

static void listen_to(struct listener *l, struct fixture *f)
{
    *l = (struct listener){.waiter.on_message = on_message, .f = f};
    link_register(f->gateway.link, &l->waiter);
}

static void say_done(struct fixture *f, uint64_t id)
{
    struct message_failed m = {.header = {MESSAGE_DONE, sizeof(m), id}};
    say(f, &m, sizeof(m), -1);
}

static void a_message_reaches_the_one_who_waits_for_its_id(void **state)
{
    struct fixture *f = *state;
    struct listener a, b;
    listen_to(&a, f);
    listen_to(&b, f);
    assert_int_not_equal(a.waiter.id, 0);
    assert_int_not_equal(a.waiter.id, b.waiter.id);
    say_done(f, b.waiter.id);
    turn(f);
    assert_int_equal(a.heard, 0);
    assert_int_equal(b.heard, 1);
    assert_int_equal(b.last_type, MESSAGE_DONE);
    link_unregister(f->gateway.link, &a.waiter);
}

static void ten_thousand_waiters_are_all_found(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 10000 };
    struct listener *all = calloc(COUNT, sizeof(*all));
    for (unsigned i = 0; i < COUNT; i++)
        listen_to(&all[i], f);
    for (unsigned i = 0; i < COUNT; i += 100) {
        say_done(f, all[i].waiter.id);
        turn(f);
        assert_int_equal(all[i].heard, 1);
    }
    for (unsigned i = 0; i < COUNT; i++)
        link_unregister(f->gateway.link, &all[i].waiter);
    free(all);
}

static void after_the_last_message_of_an_id_nobody_is_called(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    listen_to(&l, f);
    struct message_exited m = {.header = {MESSAGE_EXITED, sizeof(m), l.waiter.id}};
    say(f, &m, sizeof(m), -1);
    say(f, &m, sizeof(m), -1);
    turn(f);
    assert_int_equal(l.heard, 1);
    link_unregister(f->gateway.link, &l.waiter); /* once more is harmless */
    assert_int_equal(f->losses, 0);
}

static void a_waiter_may_leave_while_it_is_called(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    listen_to(&l, f);
    l.leave = true;
    struct message_exited m = {.header = {MESSAGE_USAGE_IS, sizeof(m), l.waiter.id}};
    say(f, &m, sizeof(m), -1);
    say(f, &m, sizeof(m), -1);
    turn(f);
    assert_int_equal(l.heard, 1);
}

static void descriptors_arrive_with_their_message(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    listen_to(&l, f);
    struct message_spawned m = {.header = {MESSAGE_SPAWNED, sizeof(m), l.waiter.id}, .fd_count = 1};
    say(f, &m, sizeof(m), STDERR_FILENO);
    turn(f);
    assert_int_equal(l.fds, 1);
    link_unregister(f->gateway.link, &l.waiter);
}

static void the_descriptors_of_a_late_message_are_closed(void **state)
{
    struct fixture *f = *state;
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    struct message_spawned m = {.header = {MESSAGE_SPAWNED, sizeof(m), 4711}, .fd_count = 1};
    say(f, &m, sizeof(m), pipe_fds[1]);
    close(pipe_fds[1]);
    turn(f);
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* end of file: nobody holds the writing end */
    close(pipe_fds[0]);
    assert_int_equal(f->losses, 0);
}

static void drain_and_config_reach_the_gateway(void **state)
{
    struct fixture *f = *state;
    struct message_plain m = {.header = {MESSAGE_DRAIN, sizeof(m), 0}};
    say(f, &m, sizeof(m), -1);
    m.header.type = MESSAGE_CONFIG;
    say(f, &m, sizeof(m), STDERR_FILENO);
    turn(f);
    assert_int_equal(f->drains, 1);
    assert_int_equal(f->configs, 1);
}

static void without_room_for_its_descriptors_a_message_comes_with_none(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;
    struct listener l;
    listen_to(&l, f);
    struct message_spawned m = {.header = {MESSAGE_SPAWNED, sizeof(m), l.waiter.id}, .fd_count = 1};
    struct message_plain config = {.header = {MESSAGE_CONFIG, sizeof(config), 0}};
    say(f, &m, sizeof(m), STDERR_FILENO);
    say(f, &config, sizeof(config), STDERR_FILENO);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max}), 0);
    turn(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(l.heard, 1);
    assert_int_equal(l.fds, 0);
    assert_int_equal(f->configs, 1);
    assert_int_equal(f->config_fd, -EMFILE);
    assert_int_equal(f->losses, 0);
    link_unregister(f->gateway.link, &l.waiter);
}

static void end_of_file_is_told_once(void **state)
{
    struct fixture *f = *state;
    fd_close(&f->supervisor);
    turn(f);
    link_send_plain(f->gateway.link, NULL, MESSAGE_HELLO);
    turn(f);
    assert_int_equal(f->losses, 1);
}

static void a_message_of_the_wrong_size_ends_the_link(void **state)
{
    struct fixture *f = *state;
    struct message_plain m = {.header = {MESSAGE_EXITED, sizeof(m), 1}};
    say(f, &m, sizeof(m), -1);
    turn(f);
    assert_int_equal(f->losses, 1);
}

static void a_size_that_lies_ends_the_link(void **state)
{
    struct fixture *f = *state;
    struct message_plain m = {.header = {MESSAGE_DRAIN, sizeof(m) + 1, 0}};
    say(f, &m, sizeof(m), -1);
    turn(f);
    assert_int_equal(f->losses, 1);
    assert_int_equal(f->drains, 0);
}

static void messages_that_share_a_record_reach_each_their_own(void **state)
{
    struct fixture *f = *state;
    struct listener a, b;
    listen_to(&a, f);
    listen_to(&b, f);
    struct {
        struct message_spawned spawned;
        struct message_exited a, b;
    } record = {{.header = {MESSAGE_SPAWNED, sizeof(record.spawned), b.waiter.id}},
                {.header = {MESSAGE_EXITED, sizeof(record.a), a.waiter.id}},
                {.header = {MESSAGE_EXITED, sizeof(record.b), b.waiter.id}}};
    say(f, &record, sizeof(record), -1);
    turn(f);
    assert_int_equal(a.heard, 1);
    assert_int_equal(b.heard, 2);
    assert_int_equal(b.last_type, MESSAGE_EXITED);
    assert_int_equal(f->losses, 0);
}

static void a_record_whose_messages_do_not_add_up_ends_the_link(void **state)
{
    struct fixture *f = *state;
    struct listener a;
    listen_to(&a, f);
    struct message_exited m[2] = {{.header = {MESSAGE_EXITED, sizeof(m[0]), a.waiter.id}},
                                  {.header = {MESSAGE_EXITED, sizeof(m[1]) + 8, a.waiter.id}}};
    say(f, m, sizeof(m), -1);
    turn(f);
    assert_int_equal(a.heard, 1);
    assert_int_equal(f->losses, 1);
}

static void a_message_that_may_not_share_a_record_ends_the_link(void **state)
{
    struct fixture *f = *state;
    struct listener a;
    listen_to(&a, f);
    struct message_exited m[2] = {{.header = {MESSAGE_EXITED, sizeof(m[0]), a.waiter.id + 1}},
                                  {.header = {MESSAGE_USAGE_IS, sizeof(m[1]), a.waiter.id}}};
    say(f, m, sizeof(m), -1);
    turn(f);
    assert_int_equal(a.heard, 0);
    assert_int_equal(f->losses, 1);
    link_unregister(f->gateway.link, &a.waiter);
}

static void expect_record(struct fixture *f, const uint64_t *ids, unsigned count)
{
    char record[MESSAGE_RECORD_MAX];
    struct message_header head;
    size_t at = 0;
    ssize_t n = recv(f->supervisor, record, sizeof(record), 0);
    for (unsigned i = 0; i < count; i++, at += head.size) {
        assert_true(n >= (ssize_t)(at + sizeof(head)));
        memcpy(&head, record + at, sizeof(head));
        assert_int_equal(head.id, ids[i]);
    }
    assert_int_equal(n, at);
}

static void what_may_share_a_record_waits_for_the_end_of_the_turn(void **state)
{
    struct fixture *f = *state;
    struct listener l[3];
    char byte;
    for (unsigned i = 0; i < 3; i++)
        listen_to(&l[i], f);
    const uint64_t ids[] = {l[0].waiter.id, l[1].waiter.id, l[2].waiter.id};
    struct message_prepare m = {.header.type = MESSAGE_PREPARE, .template = 1};
    link_send_plain(f->gateway.link, &l[0].waiter, MESSAGE_KILL);
    link_send(f->gateway.link, &l[1].waiter, &m.header, sizeof(m));
    assert_int_equal(recv(f->supervisor, &byte, 1, 0), -1);
    turn(f);
    expect_record(f, ids, 2);
    link_send_plain(f->gateway.link, &l[0].waiter, MESSAGE_KILL);
    link_send_plain(f->gateway.link, &l[1].waiter, MESSAGE_FREEZE); /* at once, and behind what waited */
    link_send_plain(f->gateway.link, &l[2].waiter, MESSAGE_KILL);
    expect_record(f, ids, 1);
    expect_record(f, ids + 1, 1);
    assert_int_equal(recv(f->supervisor, &byte, 1, 0), -1);
    turn(f);
    expect_record(f, ids + 2, 1);
    for (unsigned i = 0; i < 3; i++)
        link_unregister(f->gateway.link, &l[i].waiter);
}

static void send_kill(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)events;
    ev_prepare_stop(loop, w);
    link_send_plain(at_hand->gateway.link, w->data, MESSAGE_KILL);
}

/* Pools decide what to start when all that a turn brought is done. */
static void what_is_sent_just_before_the_loop_blocks_does_not_wait_for_its_next_turn(void **state)
{
    struct fixture *f = *state;
    struct link_waiter w = {.on_message = on_message};
    ev_prepare before_block;
    link_register(f->gateway.link, &w);
    ev_prepare_init(&before_block, send_kill);
    before_block.data = &w;
    ev_prepare_start(f->gateway.loop, &before_block);
    ev_run(f->gateway.loop, EVRUN_NOWAIT);
    expect_record(f, &w.id, 1);
    link_unregister(f->gateway.link, &w);
}

static void no_more_wait_than_fit_a_record(void **state)
{
    struct fixture *f = *state;
    enum { FIT = MESSAGE_RECORD_MAX / sizeof(struct message_plain) };
    uint64_t ids[FIT + 1];
    struct link_waiter w = {.on_message = on_message};
    link_register(f->gateway.link, &w);
    for (unsigned i = 0; i <= FIT; i++) {
        ids[i] = w.id;
        link_send_plain(f->gateway.link, &w, MESSAGE_KILL);
    }
    expect_record(f, ids, FIT);
    turn(f);
    expect_record(f, ids, 1);
    link_unregister(f->gateway.link, &w);
}

static void what_the_socket_does_not_take_is_sent_later_in_order(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 2000 };
    struct link_waiter w = {.on_message = on_message};
    link_register(f->gateway.link, &w);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct message_spawn m = {.header.type = MESSAGE_SPAWN, .staging = i};
        link_send(f->gateway.link, &w, &m.header, sizeof(m));
    }
    for (uint64_t i = 0; i < COUNT;) {
        struct message_spawn m;
        ssize_t n = recv(f->supervisor, &m, sizeof(m), 0);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            turn(f);
            continue;
        }
        assert_int_equal(n, sizeof(m));
        assert_int_equal(m.header.size, sizeof(m));
        assert_int_equal(m.header.id, w.id);
        assert_int_equal(m.staging, i++);
    }
    assert_int_equal(f->losses, 0);
    link_unregister(f->gateway.link, &w);
}

static void a_descriptor_goes_with_its_message_and_waits_with_it(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 300 };
    struct message_spawn m = {.header.type = MESSAGE_SPAWN};
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        int own = fcntl(pipe_fds[1], F_DUPFD_CLOEXEC, 0);
        assert_true(own >= 0);
        m.staging = i;
        link_send_with(f->gateway.link, NULL, &m.header, sizeof(m), i % 2 ? own : -1);
        if (i % 2 == 0)
            close(own);
    }
    close(pipe_fds[1]);
    for (uint64_t i = 0; i < COUNT;) {
        struct message_spawn heard;
        struct sock_record r;
        int got = sock_receive(f->supervisor, &heard, sizeof(heard), &r);
        if (got == -EAGAIN) {
            turn(f);
            continue;
        }
        assert_int_equal(got, 0);
        assert_int_equal(heard.staging, i);
        assert_int_equal(r.fd_count, i % 2);
        sock_record_close(&r);
        i++;
    }
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* nobody holds one any more */
    close(pipe_fds[0]);
    assert_int_equal(f->losses, 0);
}

static void descriptors_that_are_not_sent_are_closed(void **state)
{
    struct fixture *f = *state;
    struct message_spawn m = {.header.type = MESSAGE_SPAWN};
    int pipe_fds[2];
    char byte;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    for (size_t sent = 0; sent < 2 * (size_t)LINK_QUEUE_MAX && !f->losses; sent += sizeof(m))
        link_send(f->gateway.link, NULL, &m.header, sizeof(m));
    assert_int_equal(f->losses, 1);
    link_send_with(f->gateway.link, NULL, &m.header, sizeof(m), pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
    close(pipe_fds[0]);
}

static void a_supervisor_that_never_reads_is_given_up_at_a_limit(void **state)
{
    struct fixture *f = *state;
    struct message_spawn m = {.header.type = MESSAGE_SPAWN};
    for (size_t sent = 0; sent < 2 * (size_t)LINK_QUEUE_MAX; sent += sizeof(m))
        link_send(f->gateway.link, NULL, &m.header, sizeof(m));
    assert_int_equal(f->losses, 1);
}

int main(void)
{
#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LINK_TEST(a_message_reaches_the_one_who_waits_for_its_id),
        LINK_TEST(ten_thousand_waiters_are_all_found),
        LINK_TEST(after_the_last_message_of_an_id_nobody_is_called),
        LINK_TEST(a_waiter_may_leave_while_it_is_called),
        LINK_TEST(a_descriptor_goes_with_its_message_and_waits_with_it),
        LINK_TEST(descriptors_that_are_not_sent_are_closed),
        LINK_TEST(descriptors_arrive_with_their_message),
        LINK_TEST(the_descriptors_of_a_late_message_are_closed),
        LINK_TEST(drain_and_config_reach_the_gateway),
        LINK_TEST(without_room_for_its_descriptors_a_message_comes_with_none),
        LINK_TEST(end_of_file_is_told_once),
        LINK_TEST(a_message_of_the_wrong_size_ends_the_link),
        LINK_TEST(a_size_that_lies_ends_the_link),
        LINK_TEST(messages_that_share_a_record_reach_each_their_own),
        LINK_TEST(a_record_whose_messages_do_not_add_up_ends_the_link),
        LINK_TEST(a_message_that_may_not_share_a_record_ends_the_link),
        LINK_TEST(what_may_share_a_record_waits_for_the_end_of_the_turn),
        LINK_TEST(no_more_wait_than_fit_a_record),
        LINK_TEST(what_is_sent_just_before_the_loop_blocks_does_not_wait_for_its_next_turn),
        LINK_TEST(what_the_socket_does_not_take_is_sent_later_in_order),
        LINK_TEST(a_supervisor_that_never_reads_is_given_up_at_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
