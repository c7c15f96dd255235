/* SPDX-License-Identifier: Apache-2.0 */
/* Children that are asked one thing, and what they can still do when their power is gone. */
#include "os/helper.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>

#include <cmocka.h>

enum { NOBODY = 65534, TIMEOUT_MS = 20000 };

static void ask(void (*run)(void *, int), void *owner, void *out, size_t n)
{
    struct helper h = {.what = "the helper"};
    struct err e;
    if (helper_start(&h, TIMEOUT_MS, run, owner, &e) < 0 || helper_read(&h, out, n, &e) < 0)
        fail_msg("%s", e.text);
    helper_end(&h);
    assert_int_equal(h.in, -1);
}

/* What is left to try for who may do nothing. Each of it would work for root. */
static const char *find_power(void)
{
    struct err e;
    uid_t ids[3];
    int fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 || errno != EACCES)
        return "reads root's files";
    if (kill(1, 0) == 0)
        return "signals root's processes";
    if (setuid(0) == 0 || seteuid(0) == 0)
        return "becomes root again";
    if (getresuid(&ids[0], &ids[1], &ids[2]) < 0 || ids[0] != NOBODY || ids[1] != NOBODY || ids[2] != NOBODY ||
        getgroups(0, NULL) != 0)
        return "has another id, or groups";
    if (caps_check_none(0, &e) < 0)
        return "has capabilities";
    if (mount("none", "/mnt", "tmpfs", 0, NULL) == 0)
        return "mounts";
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "" : "may gain by execve";
}

static void give_up(void *owner, int out)
{
    (void)owner;
    char text[64] = "";
    struct err e;
    const char *found = helper_give_up_power(NOBODY, &e) < 0 ? e.text : find_power();
    fmt_to(text, sizeof(text), "%s", found);
    fd_write_full(out, text, sizeof(text));
}

static void nothing_is_left_of_power_that_was_given_up(void **state)
{
    (void)state;
    char text[64];
    if (geteuid() != 0) {
        print_message("skipped: only root has it\n");
        skip();
    }
    assert_string_not_equal(find_power(), ""); /* what finds it finds it here */
    ask(give_up, NULL, text, sizeof(text));
    assert_string_equal(text, "");
}

static void count_up(void *owner, int out)
{
    for (int i = *(int *)owner; i < 3; i++)
        fd_write_full(out, &i, sizeof(i));
}

static void an_answer_comes_whole(void **state)
{
    (void)state;
    int from = 0, all[3];
    ask(count_up, &from, all, sizeof(all));
    assert_true(all[0] == 0 && all[1] == 1 && all[2] == 2);
}

static void one_that_says_too_little_is_an_error(void **state)
{
    (void)state;
    int from = 1, all[3];
    struct helper h = {.what = "the helper"};
    struct err e;
    assert_int_equal(helper_start(&h, TIMEOUT_MS, count_up, &from, &e), 0);
    assert_int_equal(helper_read(&h, all, sizeof(all), &e), -EIO);
    assert_string_equal(e.text, "the helper died");
    helper_end(&h);
}

static void wait_long(void *owner, int out)
{
    (void)owner, (void)out;
    nanosleep(&(struct timespec){.tv_sec = 3600}, NULL);
}

static void one_that_says_nothing_is_killed(void **state)
{
    (void)state;
    char byte;
    struct helper h = {.what = "the helper"};
    struct err e;
    assert_int_equal(helper_start(&h, 20, wait_long, NULL, &e), 0);
    assert_int_equal(helper_read(&h, &byte, 1, &e), -ETIMEDOUT);
    helper_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_power_that_was_given_up),
        cmocka_unit_test(an_answer_comes_whole),
        cmocka_unit_test(one_that_says_too_little_is_an_error),
        cmocka_unit_test(one_that_says_nothing_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
