/* SPDX-License-Identifier: Apache-2.0 */
/* The message socket against a gateway played by the test. The supervisor's own callbacks are replaced by recorders. */
#include "supervisor/channel.h"

#include "base/fdio.h"
#include "os/sock.h"
#include "supervisor/core.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct supervisor super;
static int gateway; /* its end */
static unsigned requests, brought;
static uint64_t last_id;
static size_t last_size;
static bool lies;       /* sizes need not be what the messages say */
static bool breaks;     /* the first message is more than the supervisor bears */
static bool says_first; /* a KILL is answered at once, and has gone out before a FREEZE is looked at */

static void say_exited(uint64_t id);
static void expect_ids(uint64_t first, uint64_t last);
static const char *broken;

void supervisor_on_request(struct supervisor *s, union request *r, size_t size, int fd)
{
    assert_ptr_equal(s, &super);
    if (!lies)
        assert_int_equal(size, r->header.size);
    last_size = size;
    requests++;
    last_id = r->header.id;
    brought += fd >= 0;
    if (breaks)
        channel_close(&super.channel);
    if (says_first && r->header.type == MESSAGE_KILL)
        say_exited(r->header.id);
    if (says_first && r->header.type == MESSAGE_FREEZE)
        expect_ids(1, 1);
}

void supervisor_on_gateway_broken(struct supervisor *s, const char *why)
{
    broken = why;
    channel_close(&s->channel);
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

static int set_up(void **state)
{
    (void)state;
    int ends[2];
    requests = brought = 0;
    broken = NULL;
    super.loop = ev_loop_new(0);
    if (sock_pair(SOCK_SEQPACKET, ends, NULL) < 0)
        return -1;
    gateway = ends[1];
    channel_init(&super.channel, &super);
    channel_open(&super.channel, ends[0]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    channel_close(&super.channel);
    fd_close(&gateway);
    ev_loop_destroy(super.loop);
    return 0;
}

static void turn(void)
{
    ev_run(super.loop, EVRUN_NOWAIT);
}

static void send_plain(uint64_t id)
{
    struct message_plain m = {.header = {.type = MESSAGE_KILL, .size = sizeof(m), .id = id}};
    assert_int_equal(sock_send(gateway, &m, sizeof(m), NULL, 0), 0);
}

static void every_request_reaches_the_supervisor(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        send_plain(i + 1);
    turn();
    assert_int_equal(requests, 3);
    assert_null(broken);
}

/* `count` KILLs in one record, the last naming that size. */
static void send_shared(unsigned count, uint32_t size_of_last)
{
    struct message_plain m[MESSAGE_RECORD_MAX / sizeof(struct message_plain) + 1];
    for (unsigned i = 0; i < count; i++)
        m[i] = (struct message_plain){.header = {.type = MESSAGE_KILL, .size = sizeof(m[i]), .id = i + 1}};
    m[count - 1].header.size = size_of_last;
    assert_int_equal(sock_send(gateway, m, count * sizeof(m[0]), NULL, 0), 0);
}

static void requests_that_share_a_record_come_one_by_one(void **state)
{
    (void)state;
    send_shared(MESSAGE_RECORD_MAX / sizeof(struct message_plain), sizeof(struct message_plain));
    turn();
    assert_int_equal(requests, MESSAGE_RECORD_MAX / sizeof(struct message_plain));
    assert_int_equal(last_id, requests);
    assert_null(broken);
}

/* Whatever size it names, the last of three gets what is left of the record, so that request_check finds it out: see supervisor_on_request above. */
static void a_shared_record_whose_parts_do_not_add_up_is_handed_on_to_be_refused(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, 1, sizeof(struct message_plain) - 1, sizeof(struct message_plain) + 1,
                                     UINT32_MAX};
    lies = true;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        requests = 0;
        send_shared(3, wrong[i]);
        turn();
        assert_int_equal(requests, 3);
        assert_int_equal(last_size, sizeof(struct message_plain));
    }
    lies = false;
}

static void a_record_longer_than_may_be_shared_is_one_message_of_a_wrong_size(void **state)
{
    (void)state;
    lies = true;
    send_shared(MESSAGE_RECORD_MAX / sizeof(struct message_plain) + 1, sizeof(struct message_plain));
    turn();
    lies = false;
    assert_int_equal(requests, 1);
    assert_int_equal(last_size, MESSAGE_RECORD_MAX + sizeof(struct message_plain));
}

static void only_messages_that_may_share_a_record_are_cut_out_of_one(void **state)
{
    (void)state;
    struct message_plain m[2] = {{.header = {.type = MESSAGE_FREEZE, .size = sizeof(m[0]), .id = 1}},
                                 {.header = {.type = MESSAGE_KILL, .size = sizeof(m[1]), .id = 2}}};
    lies = true;
    assert_int_equal(sock_send(gateway, m, sizeof(m), NULL, 0), 0);
    turn();
    lies = false;
    assert_int_equal(requests, 1);
    assert_int_equal(last_size, sizeof(m));
}

static void others_may_not_come_behind_them_either(void **state)
{
    (void)state;
    struct message_plain m[2] = {{.header = {.type = MESSAGE_KILL, .size = sizeof(m[0]), .id = 1}},
                                 {.header = {.type = MESSAGE_FREEZE, .size = sizeof(m[1]), .id = 2}}};
    assert_int_equal(sock_send(gateway, m, sizeof(m), NULL, 0), 0);
    turn();
    assert_int_equal(requests, 1);
    assert_non_null(broken);
}

static void what_follows_a_message_that_breaks_the_gateway_is_not_looked_at(void **state)
{
    (void)state;
    breaks = true;
    send_shared(3, sizeof(struct message_plain));
    turn();
    breaks = false;
    assert_int_equal(requests, 1);
}

static void say_exited(uint64_t id)
{
    struct message_exited m = {.header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = id}};
    channel_send(&super.channel, &m.header, NULL, 0);
}

static void expect_ids(uint64_t first, uint64_t last)
{
    char record[MESSAGE_RECORD_MAX];
    struct sock_record r;
    struct message_header head;
    assert_int_equal(sock_receive(gateway, record, sizeof(record), &r), 0);
    size_t at = 0;
    for (uint64_t id = first; id <= last; id++, at += head.size) {
        assert_true(at + sizeof(head) <= r.size);
        memcpy(&head, record + at, sizeof(head));
        assert_int_equal(head.id, id);
    }
    assert_int_equal(at, r.size);
}

static void expect_none(void)
{
    char record[MESSAGE_RECORD_MAX];
    struct sock_record r;
    assert_int_equal(sock_receive(gateway, record, sizeof(record), &r), -EAGAIN);
}

static void ends_of_one_turn_share_a_record(void **state)
{
    (void)state;
    say_exited(1);
    say_exited(2);
    expect_none();
    turn();
    expect_ids(1, 2);
    expect_none();
    enum { FIT = MESSAGE_RECORD_MAX / sizeof(struct message_exited) };
    for (uint64_t id = 1; id <= FIT + 1; id++)
        say_exited(id);
    expect_ids(1, FIT); /* there was no room for one more */
    turn();
    expect_ids(FIT + 1, FIT + 1);
    turn();
    expect_none();
}

static void what_is_sent_at_once_comes_behind_what_waited(void **state)
{
    (void)state;
    say_exited(1);
    channel_send_plain(&super.channel, MESSAGE_DRAIN, 2, -1);
    expect_ids(1, 1);
    expect_ids(2, 2);
    turn();
    expect_none();
}

static void a_request_that_may_take_long_lets_go_of_what_waits(void **state)
{
    (void)state;
    struct message_plain m = {.header = {.type = MESSAGE_FREEZE, .size = sizeof(m), .id = 1}};
    says_first = true;
    send_plain(1);
    assert_int_equal(sock_send(gateway, &m, sizeof(m), NULL, 0), 0);
    turn();
    says_first = false;
    assert_int_equal(requests, 2);
}

static void what_waits_for_a_gateway_that_is_gone_reaches_no_other(void **state)
{
    (void)state;
    int ends[2];
    say_exited(1);
    channel_close(&super.channel);
    fd_close(&gateway);
    assert_int_equal(sock_pair(SOCK_SEQPACKET, ends, NULL), 0);
    channel_open(&super.channel, ends[0]);
    gateway = ends[1];
    turn();
    expect_none();
    say_exited(2);
    turn();
    expect_ids(2, 2);
}

static void what_the_gateway_does_not_read_waits_in_order_and_keeps_its_descriptors(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    for (uint64_t id = 1; id <= MANY; id++) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        channel_send_plain(&super.channel, MESSAGE_CONFIG, id, fd);
    }
    assert_false(list_is_empty(&super.channel.queue));
    send_plain(1);
    turn();
    assert_int_equal(requests, 0); /* nothing new is taken on before the old is away */
    for (uint64_t id = 1; id <= MANY; id++) {
        struct message_plain m;
        struct sock_record r;
        int got = sock_receive(gateway, &m, sizeof(m), &r);
        if (got == -EAGAIN) {
            turn();
            got = sock_receive(gateway, &m, sizeof(m), &r);
        }
        assert_int_equal(got, 0);
        assert_int_equal(m.header.id, id);
        assert_int_equal(r.fd_count, 1);
        sock_record_close(&r);
    }
    turn();
    turn();
    assert_true(list_is_empty(&super.channel.queue));
    assert_int_equal(requests, 1);
    assert_null(broken);
}

static void a_descriptor_from_the_gateway_breaks_it(void **state)
{
    (void)state;
    struct message_plain m = {.header = {.type = MESSAGE_KILL, .size = sizeof(m), .id = 1}};
    int fd = 0;
    assert_int_equal(sock_send(gateway, &m, sizeof(m), &fd, 1), 0);
    turn();
    assert_non_null(broken);
    assert_int_equal(requests, 0);
}

static void send_spawn(uint32_t secret_count, const int *fds, unsigned fd_count)
{
    static struct message_spawn m = {.header = {.type = MESSAGE_SPAWN, .size = sizeof(m), .id = 1}};
    m.secret_count = secret_count;
    assert_int_equal(sock_send(gateway, &m, sizeof(m), fds, fd_count), 0);
    turn();
}

static void a_spawn_brings_one_descriptor_with_its_secrets(void **state)
{
    (void)state;
    int fds[2] = {0, 0};
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    send_spawn(1, fds, 1);
    send_spawn(1, fds, 0); /* the gateway had none free */
    assert_int_equal(requests, 2);
    assert_int_equal(brought, 1);
    assert_null(broken);
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(after, before); /* it was closed again */
    send_spawn(1, fds, 2);
    assert_non_null(broken);
}

static void a_spawn_without_secrets_brings_none(void **state)
{
    (void)state;
    int fd = 0;
    send_spawn(0, &fd, 1);
    assert_non_null(broken);
    assert_int_equal(requests, 0);
}

static void a_message_longer_than_any_breaks_it(void **state)
{
    (void)state;
    static char big[sizeof(union request) + 1];
    assert_int_equal(sock_send(gateway, big, sizeof(big), NULL, 0), 0);
    turn();
    assert_non_null(broken);
}

static void the_end_of_the_socket_is_given_a_moment_to_become_the_end_of_the_process(void **state)
{
    (void)state;
    fd_close(&gateway);
    turn();
    turn();
    assert_null(broken);
    ev_run(super.loop, EVRUN_ONCE); /* the timer is all that is left to wait for */
    assert_non_null(broken);
}

static void a_gateway_that_dies_with_messages_unread_is_no_broken_one(void **state)
{
    (void)state;
    channel_send_plain(&super.channel, MESSAGE_DRAIN, 0, -1);
    fd_close(&gateway); /* the kernel tells a reset, not an end of file */
    turn();
    turn();
    assert_null(broken);
    assert_true(super.channel.ended);
}

static void a_message_to_a_dying_gateway_is_dropped_with_its_descriptors(void **state)
{
    (void)state;
    fd_close(&gateway);
    for (int i = 0; i < 2; i++) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        channel_send_plain(&super.channel, MESSAGE_CONFIG, 1, fd);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
    }
    turn();
    assert_null(broken);
}

static void a_message_without_a_gateway_closes_its_descriptors(void **state)
{
    (void)state;
    channel_close(&super.channel);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    channel_send_plain(&super.channel, MESSAGE_CONFIG, 1, fd);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_null(broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_request_reaches_the_supervisor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_that_share_a_record_come_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shared_record_whose_parts_do_not_add_up_is_handed_on_to_be_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_record_longer_than_may_be_shared_is_one_message_of_a_wrong_size, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_messages_that_may_share_a_record_are_cut_out_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_may_not_come_behind_them_either, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_follows_a_message_that_breaks_the_gateway_is_not_looked_at, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ends_of_one_turn_share_a_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sent_at_once_comes_behind_what_waited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_that_may_take_long_lets_go_of_what_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_for_a_gateway_that_is_gone_reaches_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_gateway_does_not_read_waits_in_order_and_keeps_its_descriptors, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_from_the_gateway_breaks_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_spawn_brings_one_descriptor_with_its_secrets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_spawn_without_secrets_brings_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_longer_than_any_breaks_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_socket_is_given_a_moment_to_become_the_end_of_the_process,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gateway_that_dies_with_messages_unread_is_no_broken_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_to_a_dying_gateway_is_dropped_with_its_descriptors, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_message_without_a_gateway_closes_its_descriptors, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
