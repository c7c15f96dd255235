/* SPDX-License-Identifier: Apache-2.0 */
#include "os/sock.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static unsigned count_fds(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void a_record_arrives_whole_with_its_descriptors(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(sock_pair(SOCK_SEQPACKET, ends, NULL), 0);
    int passed[2];
    assert_int_equal(pipe2(passed, O_CLOEXEC), 0);
    assert_int_equal(sock_send(ends[0], "hello", 5, passed, 2), 0);
    char text[16];
    struct sock_record r;
    assert_int_equal(sock_receive(ends[1], text, sizeof(text), &r), 0);
    assert_int_equal(r.size, 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(r.fd_count, 2);
    assert_int_equal(fcntl(r.fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(r.fds[1], "x", 1), 1);
    char byte;
    assert_int_equal(read(passed[0], &byte, 1), 1);
    sock_record_close(&r);
    close(passed[0]);
    close(passed[1]);
    close(ends[0]);
    close(ends[1]);
}

static void an_empty_socket_says_again_and_a_closed_one_ends(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(sock_pair(SOCK_SEQPACKET, ends, NULL), 0);
    char text[16];
    struct sock_record r;
    assert_int_equal(sock_receive(ends[1], text, sizeof(text), &r), -EAGAIN);
    close(ends[0]);
    assert_int_equal(sock_receive(ends[1], text, sizeof(text), &r), 0);
    assert_int_equal(r.size, 0);
    assert_int_equal(sock_send(ends[1], "x", 1, NULL, 0), -EPIPE);
    close(ends[1]);
}

static void an_oversized_record_is_refused_and_leaks_no_descriptor(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(sock_pair(SOCK_SEQPACKET, ends, NULL), 0);
    unsigned before = count_fds();
    char text[4];
    struct sock_record r;
    int fds[SOCK_FDS_MAX] = {0, 0, 0};
    assert_int_equal(sock_send(ends[0], "hello", 5, fds, 3), 0);
    assert_int_equal(sock_receive(ends[1], text, sizeof(text), &r), -EMSGSIZE);
    assert_int_equal(count_fds(), before);
    close(ends[0]);
    close(ends[1]);
}

/* More descriptors than this program would ever send, as a hostile peer does. */
static void a_flood_of_descriptors_is_refused_and_leaks_none(void **state)
{
    (void)state;
    enum { FLOOD = 100 };
    int ends[2];
    assert_int_equal(sock_pair(SOCK_SEQPACKET, ends, NULL), 0);
    unsigned before = count_fds();
    union {
        char bytes[CMSG_SPACE(sizeof(int) * FLOOD)];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {.iov_base = "x", .iov_len = 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * FLOOD); /* all of them descriptor 0 */
    assert_int_equal(sendmsg(ends[0], &m, 0), 1);
    char text[4];
    struct sock_record r;
    assert_int_equal(sock_receive(ends[1], text, sizeof(text), &r), -EMSGSIZE);
    assert_int_equal(count_fds(), before);
    close(ends[0]);
    close(ends[1]);
}

static void a_full_socket_says_again(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(sock_pair(SOCK_SEQPACKET, ends, NULL), 0);
    char big[4096] = {0};
    int r = 0;
    for (int i = 0; i < 10000 && r == 0; i++)
        r = sock_send(ends[0], big, sizeof(big), NULL, 0);
    assert_int_equal(r, -EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

static void addresses_are_literal(void **state)
{
    (void)state;
    struct sock_address a;
    assert_int_equal(sock_parse_tcp("127.0.0.1:8080", &a, NULL), 0);
    assert_int_equal(sock_address_port(&a), 8080);
    assert_true(sock_address_is_loopback(&a));
    assert_int_equal(sock_parse_tcp("[::1]:0", &a, NULL), 0);
    assert_true(sock_address_is_loopback(&a));
    assert_int_equal(sock_parse_tcp("0.0.0.0:80", &a, NULL), 0);
    assert_false(sock_address_is_loopback(&a));
    assert_int_equal(sock_parse_tcp("[::]:80", &a, NULL), 0);
    assert_false(sock_address_is_loopback(&a));
    static const char *const wrong[] = {
        "",       "8080",  "localhost:80",   "127.0.0.1",       "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1",
        "::1:80", "[::1]", "[127.0.0.1]:80", "127.0.0.1:080000"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(sock_parse_tcp(wrong[i], &a, NULL), -EINVAL);
}

static void a_listener_tells_the_port_it_got(void **state)
{
    (void)state;
    struct sock_address a;
    assert_int_equal(sock_parse_tcp("127.0.0.1:0", &a, NULL), 0);
    int fd = sock_listen_tcp(&a, NULL);
    assert_true(fd >= 0);
    char name[SOCK_NAME_MAX];
    assert_int_equal(sock_print_bound(fd, name), 0);
    assert_memory_equal(name, "127.0.0.1:", 10);
    assert_true(name[10] >= '1' && name[10] <= '9');
    struct err e;
    assert_int_equal(sock_parse_tcp(name, &a, NULL), 0);
    assert_int_equal(sock_listen_tcp(&a, &e), -EADDRINUSE);
    assert_int_equal(sock_listen_again(fd), 0);
    close(fd);
}

static void a_unix_listener_has_its_mode_whatever_the_umask(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/faasd-sock-test-%d", getpid());
    unlink(path);
    mode_t before = umask(077);
    const struct sock_unix u = {.path = path, .mode = 0660, .uid = geteuid(), .gid = getegid()};
    int fd = sock_listen_unix(&u, NULL);
    assert_true(fd >= 0);
    assert_int_equal(umask(before), 077); /* it was put back */
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(sock_listen_unix(&u, NULL), -EADDRINUSE);
    int client = sock_connect_unix(path, NULL);
    assert_true(client >= 0);
    struct sock_peer peer;
    assert_int_equal(sock_peer(client, &peer, NULL), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    close(client);
    close(fd);
    assert_int_equal(sock_connect_unix(path, NULL), -ECONNREFUSED);
    unlink(path);
    assert_int_equal(sock_connect_unix(path, NULL), -ENOENT);
}

static void a_path_too_long_for_a_socket_is_named(void **state)
{
    (void)state;
    char path[200];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    struct err e;
    assert_int_equal(sock_connect_unix(path, &e), -ENAMETOOLONG);
    assert_non_null(strstr(e.text, "107"));
}

/* Few bytes are put together first, many are not: the stream is the same. */
static void parts_arrive_as_one_stream(void **state)
{
    (void)state;
    static char large[100000], got[sizeof(large) + 16];
    int ends[2];
    memset(large, 'x', sizeof(large));
    assert_int_equal(sock_pair(SOCK_STREAM, ends, NULL), 0);
    for (size_t n = 0; n <= sizeof(large); n = n < 4080 ? 4080 : n < 4100 ? n + 1 : n * 5) {
        struct iovec parts[] = {{"head", 4}, {NULL, 0}, {large, n}, {"tail", 4}};
        assert_int_equal(sock_send_parts(ends[0], parts, 4), n + 8);
        assert_int_equal(recv(ends[1], got, sizeof(got), MSG_WAITALL | MSG_DONTWAIT), n + 8);
        assert_memory_equal(got, "head", 4);
        assert_memory_equal(got + 4, large, n);
        assert_memory_equal(got + 4 + n, "tail", 4);
    }
    close(ends[1]);
    struct iovec part = {"late", 4}; /* no SIGPIPE either */
    assert_int_equal(sock_send_parts(ends[0], &part, 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_arrives_whole_with_its_descriptors),
        cmocka_unit_test(an_empty_socket_says_again_and_a_closed_one_ends),
        cmocka_unit_test(an_oversized_record_is_refused_and_leaks_no_descriptor),
        cmocka_unit_test(a_flood_of_descriptors_is_refused_and_leaks_none),
        cmocka_unit_test(a_full_socket_says_again),
        cmocka_unit_test(parts_arrive_as_one_stream),
        cmocka_unit_test(addresses_are_literal),
        cmocka_unit_test(a_listener_tells_the_port_it_got),
        cmocka_unit_test(a_unix_listener_has_its_mode_whatever_the_umask),
        cmocka_unit_test(a_path_too_long_for_a_socket_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
