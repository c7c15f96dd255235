/* SPDX-License-Identifier: Apache-2.0 */
#include "function/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int ends[2];

static int open_pair(void **state)
{
    (void)state;
    unsetenv("FAASD_EAGER_US");
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int close_pair(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void expect_byte(struct wait *w)
{
    char c = 0;
    assert_int_equal(faasd_wait_receive(w, ends[0], &c, 1), 1);
    assert_int_equal(c, 'x');
}

static void *write_one(void *unused)
{
    (void)unused;
    assert_int_equal(write(ends[1], "x", 1), 1);
    return NULL;
}

static void test_a_short_wait_makes_the_next_one_look(void **state)
{
    (void)state;
    struct wait w = {.plain = WAIT_PLAIN, .decided_for = 10, .short_ns = INT64_MAX};
    write_one(NULL);
    expect_byte(&w);
    assert_true(w.eager);
    write_one(NULL);
    expect_byte(&w);
    assert_true(w.eager);
}

static void test_a_long_wait_ends_the_looking(void **state)
{
    (void)state;
    struct wait w = {.plain = WAIT_PLAIN, .decided_for = 10, .short_ns = 1, .eager = true};
    pthread_t writer;
    /* Nothing is there at the first look, and everything takes longer than a nanosecond. */
    char c;
    assert_int_equal(recv(ends[0], &c, 1, MSG_DONTWAIT), -1);
    assert_int_equal(pthread_create(&writer, NULL, write_one, NULL), 0);
    expect_byte(&w);
    pthread_join(writer, NULL);
    write_one(NULL);
    w.eager = false;
    expect_byte(&w);
    assert_false(w.eager);
}

static void test_the_end_of_the_stream_is_seen_while_looking(void **state)
{
    (void)state;
    struct wait w = {.plain = WAIT_PLAIN, .decided_for = 10, .short_ns = INT64_MAX, .eager = true};
    shutdown(ends[1], SHUT_WR);
    char c;
    assert_int_equal(faasd_wait_receive(&w, ends[0], &c, 1), 0);
}

static void test_the_environment_turns_it_off(void **state)
{
    (void)state;
    struct wait w = {0};
    setenv("FAASD_EAGER_US", "0", 1);
    for (int i = 0; i < WAIT_PLAIN; i++) {
        write_one(NULL);
        expect_byte(&w);
        assert_int_equal(w.decided_for, 0); /* a process that was made for one request pays for none of this */
    }
    write_one(NULL);
    expect_byte(&w);
    assert_int_not_equal(w.decided_for, 0);
    assert_int_equal(w.short_ns, 0);
    assert_false(w.eager);
}

/* With one processor looking keeps it from whoever would write. */
static void test_processors_that_come_and_go_are_seen(void **state)
{
    (void)state;
    struct wait w = {.plain = WAIT_PLAIN};
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    write_one(NULL);
    expect_byte(&w);
    assert_int_equal(w.short_ns, 0);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    for (int i = 0; i < WAIT_DECIDED_FOR; i++) {
        write_one(NULL);
        expect_byte(&w);
    }
    assert_int_equal(w.short_ns, CPU_COUNT(&all) > 1 ? WAIT_SHORT_NS : 0);
}

static void test_what_is_no_number_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "-1", "1x", "fast"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct wait w = {.plain = WAIT_PLAIN};
        setenv("FAASD_EAGER_US", texts[i], 1);
        write_one(NULL);
        expect_byte(&w);
        assert_true(w.short_ns == WAIT_SHORT_NS || w.short_ns == 0); /* 0: one processor */
    }
    struct wait w = {.plain = WAIT_PLAIN};
    setenv("FAASD_EAGER_US", "99999999", 1);
    write_one(NULL);
    expect_byte(&w);
    assert_true(w.short_ns == 10000000 || w.short_ns == 0);
}

/* What a process waits in /proc/PID/stat for: 'S' when it sleeps. */
static void await_sleep(pid_t pid)
{
    char path[40], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    for (char state = 0; state != 'S';) {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        state = strrchr(text, ')')[2];
        sched_yield();
    }
}

/* A worker: says something, waits, and tells how often it went to sleep for that. */
static void say_and_wait(void)
{
    struct wait w = {0};
    struct rusage before, after;
    char c;
    bool heard = write(ends[0], "r", 1) == 1 && getrusage(RUSAGE_SELF, &before) == 0 &&
                 faasd_wait_receive(&w, ends[0], &c, 1) == 1 && getrusage(RUSAGE_SELF, &after) == 0;
    _exit(heard ? (int)(after.ru_nvcsw - before.ru_nvcsw) : 100);
}

static void test_who_waits_is_not_woken_when_its_words_are_taken(void **state)
{
    (void)state;
    cpu_set_t all, one;
    char c;
    int status;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one),
                     0); /* on one processor a woken process runs when we yield */
    pid_t pid = fork();
    if (pid == 0)
        say_and_wait();
    await_sleep(pid);
    assert_int_equal(read(ends[1], &c, 1), 1);
    await_sleep(pid);
    write_one(NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_short_wait_makes_the_next_one_look, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_a_long_wait_ends_the_looking, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_the_end_of_the_stream_is_seen_while_looking, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_the_environment_turns_it_off, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_processors_that_come_and_go_are_seen, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_what_is_no_number_changes_nothing, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_who_waits_is_not_woken_when_its_words_are_taken, open_pair, close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
