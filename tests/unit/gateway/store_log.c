/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, their escaping, and the files they are kept in. */
#include "gateway/store_log.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "gateway/store_log_tail.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/faasd-log-XXXXXX";
static struct store_log *logs;
static struct store_log_limits limits;

static int set_up(void **state)
{
    (void)state;
    struct err e;
    strcpy(root + sizeof(root) - 7, "XXXXXX");
    if (!mkdtemp(root))
        return -1;
    limits = (struct store_log_limits){.function_bytes = 1 << 20, .total_bytes = 8 << 20};
    return store_log_open(&logs, root, &limits, &e);
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    store_log_close(logs);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void reopen(void)
{
    struct err e;
    store_log_close(logs);
    assert_int_equal(store_log_open(&logs, root, &limits, &e), 0);
}

static const char *path_in(const char *function, const char *file)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s/%s", root, function, file);
    return path;
}

static long size_of(const char *function, const char *file)
{
    struct stat st;
    return stat(path_in(function, file), &st) == 0 ? (long)st.st_size : -1;
}

static void say_at(const char *function, uint64_t time_ms, const char *request, const char *text)
{
    struct store_line line = {.time_ms = time_ms, .instance = 7, .request = str_from(request), .text = str_from(text)};
    store_log_append(logs, function, &line);
}

static const char *query(const struct store_log_query *q)
{
    static struct buf out;
    struct err e;
    buf_fini(&out);
    buf_init(&out, STORE_LOG_READ_MAX);
    assert_int_equal(store_log_read(logs, q, &out, &e), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    return out.data;
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static const char *printed(const char *text, size_t n, bool json)
{
    static struct buf out;
    buf_fini(&out);
    struct store_line line = {.time_ms = 1795252800123, .instance = 17, .text = {text, n}};
    assert_int_equal(json ? store_line_print_json(&line, &out) : store_line_print(&line, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    return out.data;
}

/* ---- lines ---- */

static void a_line_has_time_instance_request_and_text(void **state)
{
    (void)state;
    assert_string_equal(printed("hello", 5, false), "2026-11-21T09:20:00.123Z inst=17 req=- hello\n");
    assert_string_equal(
        printed("hello", 5, true),
        "{\"time\":\"2026-11-21T09:20:00.123Z\",\"instance\":17,\"request\":\"\",\"message\":\"hello\"}\n");
}

static void what_could_steer_a_terminal_is_shown_as_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *shown;
    } cases[] = {
        {"\033[2Jx", "\\x1b[2Jx"},
        {"a\rb", "a\\x0db"},
        {"a\tb", "a\tb"},
        {"\x7f", "\\x7f"},
        {"\x9b[1m", "\\x9b[1m"},
        {"\xc2\x9b"
         "1m",
         "\\xc2\\x9b1m"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xc0\x80", "\\xc0\\x80"},
        {"\xe0\x80\x80", "\\xe0\\x80\\x80"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"a\nb", "a\\x0ab"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[128];
        snprintf(expected, sizeof(expected), "2026-11-21T09:20:00.123Z inst=17 req=- %s\n", cases[i].shown);
        assert_string_equal(printed(cases[i].raw, strlen(cases[i].raw), false), expected);
    }
    assert_non_null(strstr(printed("a\0b", 3, false), "a\\x00b"));
}

static void escaping_twice_changes_nothing(void **state)
{
    (void)state;
    char every[256];
    for (int i = 0; i < 256; i++)
        every[i] = (char)i;
    char once[4096];
    strcpy(once, printed(every, sizeof(every), false) + strlen("2026-11-21T09:20:00.123Z inst=17 req=- "));
    once[strlen(once) - 1] = '\0';
    const char *twice = printed(once, strlen(once), false) + strlen("2026-11-21T09:20:00.123Z inst=17 req=- ");
    strcat(once, "\n");
    assert_string_equal(twice, once);
}

static void json_text_is_quoted(void **state)
{
    (void)state;
    assert_non_null(strstr(printed("say \"\\\t\033\"", 9, true), "\"message\":\"say \\\"\\\\\\t\\\\x1b\\\"\"}"));
}

static void a_printed_line_can_be_parsed_again(void **state)
{
    (void)state;
    static const uint64_t times[] = {0, 951782400000 /* 2000-02-29 */, 1795252800123, 4107542399999};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct buf out;
        struct store_line back;
        struct store_line line = {
            .time_ms = times[i], .instance = 3, .request = STR_LITERAL("abc"), .text = STR_LITERAL("x inst=9 y")};
        buf_init(&out, 0);
        assert_int_equal(store_line_print(&line, &out), 0);
        assert_true(store_line_parse((struct str){out.data, out.len - 1}, &back));
        assert_true(back.time_ms == times[i]);
        assert_int_equal(back.instance, 3);
        assert_true(str_is(back.request, "abc"));
        assert_true(str_is(back.text, "x inst=9 y"));
        buf_fini(&out);
    }
}

static void nonsense_is_no_line(void **state)
{
    (void)state;
    struct store_line l;
    static const char *const bad[] = {"",
                                      "x",
                                      "2026-11-21T09:20:00.123Z",
                                      "2026-11-21T09:20:00.123Z inst=x req=- t",
                                      "2026-13-21T09:20:00.123Z inst=1 req=- t",
                                      "2026-11-21T09:20:00.123Z inst=1 req=-",
                                      "2026-11-21 09:20:00.123Z inst=1 req=- t"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(store_line_parse(str_from(bad[i]), &l));
}

static void a_cut_never_divides_a_character(void **state)
{
    (void)state;
    static const char text[] = "ab\xe2\x82\xac";
    assert_int_equal(store_line_cut(STR_LITERAL(text), 5).n, 5);
    assert_int_equal(store_line_cut(STR_LITERAL(text), 4).n, 2);
    assert_int_equal(store_line_cut(STR_LITERAL(text), 3).n, 2);
    assert_int_equal(store_line_cut(STR_LITERAL(text), 2).n, 2);
    /* Garbage made of continuation bytes alone is still cut near the limit. */
    assert_true(store_line_cut(STR_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80"), 6).n >= 3);
}

/* ---- files ---- */

static void lines_come_back_oldest_first(void **state)
{
    (void)state;
    say_at("f", 1000, "r1", "one");
    say_at("f", 2000, "", "two");
    say_at("g", 3000, "", "not this");
    const char *text = query(&(struct store_log_query){.function = "f"});
    assert_int_equal(count_lines(text), 2);
    assert_true(strstr(text, "\"one\"") < strstr(text, "\"two\""));
    assert_non_null(strstr(text, "\"request\":\"r1\""));
}

static void the_newest_lines_are_chosen(void **state)
{
    (void)state;
    char text[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "line-%d.", i);
        say_at("f", 1000, "", text);
    }
    const char *got = query(&(struct store_log_query){.function = "f", .lines = 3});
    assert_int_equal(count_lines(got), 3);
    assert_non_null(strstr(got, "line-4997."));
    assert_non_null(strstr(got, "line-4999."));
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f"})), 5000);
}

static void time_and_request_select(void **state)
{
    (void)state;
    for (uint64_t t = 1; t <= 10; t++)
        say_at("f", t * 1000, t % 2 ? "odd" : "even", "x");
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f", .since_ms = 5000})), 6);
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f", .until_ms = 5000})), 4);
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f", .request_id = "odd"})), 5);
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f", .request_id = "od"})), 0);
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f", .request_id = "even", .lines = 2})),
                     2);
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "nobody"})), 0);
}

static void a_log_is_rotated_and_never_grows_beyond_its_limit(void **state)
{
    (void)state;
    char text[1024];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    limits.function_bytes = 256 << 10;
    store_log_limit(logs, &limits);
    for (int i = 0; i < 2000; i++) {
        say_at("f", 1000, "", text);
        long whole = size_of("f", "log") + size_of("f", "log.1");
        assert_true(whole <= 256 << 10);
    }
    store_log_flush(logs);
    assert_true(size_of("f", "log.1") > 0);
    assert_true(size_of("f", "log") <= 128 << 10);
    /* Both files are read. */
    assert_true(count_lines(query(&(struct store_log_query){.function = "f"})) > 130);
}

static void the_cap_over_all_takes_the_oldest_rotated_files_first(void **state)
{
    (void)state;
    char text[2048], name[32];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    limits = (struct store_log_limits){.function_bytes = 64 << 10, .total_bytes = 400 << 10};
    store_log_limit(logs, &limits);
    for (int f = 0; f < 20; f++) {
        snprintf(name, sizeof(name), "f%02d", f);
        for (int i = 0; i < 25; i++)
            say_at(name, 1000, "", text);
        store_log_flush(logs);
        assert_true(store_log_total(logs) <= limits.total_bytes);
        /* File times have the granularity of the kernel's tick. */
        struct timespec old[2] = {{1000 + f, 0}, {1000 + f, 0}};
        utimensat(AT_FDCWD, path_in(name, "log.1"), old, 0);
    }
    assert_int_equal(size_of("f00", "log.1"), -1);
    assert_true(size_of("f19", "log") > 0);
    assert_true(size_of("f19", "log.1") > 0);
}

static void half_a_line_is_cut_away_when_the_log_is_opened_again(void **state)
{
    (void)state;
    say_at("f", 1000, "", "whole");
    store_log_flush(logs);
    int fd = open(path_in("f", "log"), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(fd_write_full(fd, "2026-11-21T09:00:0\0\0\0\0\0\0", 24), 0);
    close(fd);
    reopen();
    say_at("f", 2000, "", "after the crash");
    const char *text = query(&(struct store_log_query){.function = "f"});
    assert_int_equal(count_lines(text), 2);
    assert_non_null(strstr(text, "whole"));
    assert_non_null(strstr(text, "after the crash"));
    /* On disk too. */
    char bytes[512];
    fd = open(path_in("f", "log"), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd_read_full(fd, bytes, sizeof(bytes));
    close(fd);
    assert_null(memchr(bytes, '\0', (size_t)n));
}

static void a_file_without_any_line_becomes_empty(void **state)
{
    (void)state;
    static const char zeroes[10000];
    mkdir(path_in("f", ""), 0700);
    int fd = open(path_in("f", "log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fd_write_full(fd, zeroes, sizeof(zeroes)), 0);
    close(fd);
    say_at("f", 1000, "", "first");
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f"})), 1);
    assert_true(size_of("f", "log") < 100);
}

static void more_logs_than_are_held_open_all_get_their_lines(void **state)
{
    (void)state;
    char name[32];
    for (int round = 0; round < 5; round++)
        for (int f = 0; f < 150; f++) {
            snprintf(name, sizeof(name), "f%d", f);
            say_at(name, 1000, "", "x");
        }
    for (int f = 0; f < 150; f++) {
        struct store_log_query q = {.lines = 0};
        snprintf(q.function, sizeof(q.function), "f%d", f);
        assert_int_equal(count_lines(query(&q)), 5);
    }
}

static void a_removed_log_leaves_nothing(void **state)
{
    (void)state;
    say_at("f", 1000, "", "x");
    store_log_flush(logs);
    store_log_remove(logs, "f");
    assert_int_equal(access(path_in("f", ""), F_OK), -1);
    assert_int_equal(store_log_total(logs), 0);
    say_at("f", 1000, "", "y");
    assert_int_equal(count_lines(query(&(struct store_log_query){.function = "f"})), 1);
}

static bool is_f(const char *function, void *context)
{
    (void)context;
    return strcmp(function, "f") == 0;
}

static void the_sweep_counts_and_removes_what_nobody_knows(void **state)
{
    (void)state;
    say_at("f", 1000, "", "x");
    say_at("gone", 1000, "", "x");
    reopen();
    store_log_sweep(logs, is_f, NULL);
    assert_int_equal(size_of("gone", "log"), -1);
    assert_true(store_log_total(logs) > 0);
    assert_int_equal((long)store_log_total(logs), size_of("f", "log"));
}

/* RLIMIT_FSIZE makes writes fail as a full disk does, without one. */
static void a_disk_that_fails_costs_lines_that_are_counted(void **state)
{
    (void)state;
    struct rlimit before, none;
    say_at("f", 1000, "", "before");
    store_log_flush(logs);
    long size = size_of("f", "log");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    none = before;
    none.rlim_cur = (rlim_t)size + 10; /* some bytes of a line still fit: they must not stay */
    setrlimit(RLIMIT_FSIZE, &none);
    for (int i = 0; i < 3; i++)
        say_at("f", 2000, "", "lost");
    store_log_flush(logs);
    say_at("f", 2000, "", "lost");
    store_log_flush(logs);
    assert_int_equal(size_of("f", "log"), size);
    setrlimit(RLIMIT_FSIZE, &before);
    say_at("f", 3000, "", "after");
    const char *text = query(&(struct store_log_query){.function = "f"});
    assert_int_equal(count_lines(text), 3);
    assert_non_null(strstr(text, "faasd: 4 lines are missing here"));
    assert_non_null(strstr(text, "EFBIG"));
    assert_null(strstr(text, "lost\""));
}

static void an_answer_that_is_too_long_keeps_the_newest(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    char text[32];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "line-%d.", i);
        say_at("f", 1000, "", text);
    }
    buf_init(&out, 500);
    assert_int_equal(store_log_read(logs, &(struct store_log_query){.function = "f"}, &out, &e), 0);
    assert_true(out.len <= 500 && out.len > 300);
    assert_non_null(memmem(out.data, out.len, "line-99.", 8));
    assert_null(memmem(out.data, out.len, "line-1.", 7));
    assert_int_equal(out.data[0], '{');
    buf_fini(&out);
}

static void backwards_reading_finds_every_line_wherever_blocks_end(void **state)
{
    (void)state;
    int fd = open(root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char line[700];
    memset(line, 'x', sizeof(line));
    size_t lengths[1000];
    for (int i = 0; i < 1000; i++) {
        lengths[i] = (size_t)(i * 37 % 600);
        line[lengths[i]] = '\n';
        assert_int_equal(fd_write_full(fd, line, lengths[i] + 1), 0);
        line[lengths[i]] = 'x';
    }
    struct store_log_tail t;
    struct str got;
    assert_int_equal(store_log_tail_open(&t, fd), 0);
    for (int i = 999; i >= 0; i--) {
        assert_int_equal(store_log_tail_next(&t, &got), 1);
        assert_int_equal(got.n, lengths[i]);
    }
    assert_int_equal(store_log_tail_next(&t, &got), 0);
    store_log_tail_close(&t);
    close(fd);
}

static void a_line_longer_than_a_block_is_read_whole(void **state)
{
    (void)state;
    int fd = open(root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    enum { LONG = 5 * STORE_LOG_TAIL_BLOCK + 17 };
    char *line = malloc(LONG);
    memset(line, 'y', LONG);
    assert_int_equal(fd_write_full(fd, "a\n", 2), 0);
    assert_int_equal(fd_write_full(fd, line, LONG), 0);
    free(line);
    struct store_log_tail t;
    struct str got;
    assert_int_equal(store_log_tail_open(&t, fd), 0);
    assert_int_equal(store_log_tail_next(&t, &got), 1);
    assert_int_equal(got.n, LONG);
    assert_int_equal(store_log_tail_next(&t, &got), 1);
    assert_true(str_is(got, "a"));
    assert_int_equal(store_log_tail_next(&t, &got), 0);
    store_log_tail_close(&t);
    close(fd);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_instance_request_and_text),
        cmocka_unit_test(what_could_steer_a_terminal_is_shown_as_bytes),
        cmocka_unit_test(escaping_twice_changes_nothing),
        cmocka_unit_test(json_text_is_quoted),
        cmocka_unit_test(a_printed_line_can_be_parsed_again),
        cmocka_unit_test(nonsense_is_no_line),
        cmocka_unit_test(a_cut_never_divides_a_character),
        LOG_TEST(lines_come_back_oldest_first),
        LOG_TEST(the_newest_lines_are_chosen),
        LOG_TEST(time_and_request_select),
        LOG_TEST(a_log_is_rotated_and_never_grows_beyond_its_limit),
        LOG_TEST(the_cap_over_all_takes_the_oldest_rotated_files_first),
        LOG_TEST(half_a_line_is_cut_away_when_the_log_is_opened_again),
        LOG_TEST(a_file_without_any_line_becomes_empty),
        LOG_TEST(more_logs_than_are_held_open_all_get_their_lines),
        LOG_TEST(a_removed_log_leaves_nothing),
        LOG_TEST(the_sweep_counts_and_removes_what_nobody_knows),
        LOG_TEST(a_disk_that_fails_costs_lines_that_are_counted),
        LOG_TEST(an_answer_that_is_too_long_keeps_the_newest),
        LOG_TEST(backwards_reading_finds_every_line_wherever_blocks_end),
        LOG_TEST(a_line_longer_than_a_block_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
