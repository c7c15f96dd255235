/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/log_tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void lines_come_in_order(void **state)
{
    char out[LOG_TAIL_MAX];
    struct log_tail *t = log_tail_new();
    (void)state;
    assert_non_null(t);
    assert_int_equal(log_tail_read(t, out).n, 0);
    log_tail_add(t, STR_LITERAL("one"));
    log_tail_add(t, (struct str){0});
    log_tail_add(t, STR_LITERAL("two"));
    assert_true(str_is(log_tail_read(t, out), "one\n\ntwo\n"));
    log_tail_close(t); /* nobody feeds it */
    assert_true(str_is(log_tail_read(t, out), "one\n\ntwo\n"));
    log_tail_free(t);
    log_tail_free(NULL);
}

/* Wherever the ring's end falls in a line, what is read is the end of what was written. */
static void the_last_bytes_are_kept(void **state)
{
    static char all[64 * LOG_TAIL_MAX];
    char out[LOG_TAIL_MAX], line[2 * LOG_TAIL_MAX];
    (void)state;
    memset(line, 'x', sizeof(line));
    for (size_t n = 1; n < sizeof(line); n += 511) {
        struct log_tail *t = log_tail_new();
        size_t written = 0;
        assert_non_null(t);
        for (unsigned i = 0; i < 9; i++) {
            snprintf(line, 16, "%u", i);
            log_tail_add(t, (struct str){line, n});
            memcpy(all + written, line, n);
            all[written + n] = '\n';
            written += n + 1;
            struct str got = log_tail_read(t, out);
            size_t kept = written < LOG_TAIL_MAX ? written : LOG_TAIL_MAX;
            assert_int_equal(got.n, kept);
            assert_memory_equal(got.p, all + written - kept, kept);
        }
        log_tail_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_order),
        cmocka_unit_test(the_last_bytes_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
