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
static const char *broken;

void supervisor_on_request(struct supervisor *s, union request *r, size_t size, int fd)
{
    assert_ptr_equal(s, &super);
    assert_int_equal(size, r->header.size);
    requests++;
    brought += fd >= 0;
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
