/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/kernel_log.h"

#include "os/seccomp.h"

#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define AUDIT                                                                                                          \
    "audit: type=1326 audit(1795286273.310:7875): auid=4294967295 uid=1879138673 gid=1879138673 ses=4294967295 "       \
    "pid=3350 comm=\"probe\" exe=\"/var/task/probe\" sig=31 arch=c000003e syscall=165 compat=0 ip=0x45b49a "           \
    "code=0x80000000\n"

static bool parse(const char *record, struct kernel_log_kill *k)
{
    return kernel_log_parse_kill(str_from(record), k);
}

static void a_death_by_a_filter_has_a_time_and_a_number(void **state)
{
    (void)state;
    struct kernel_log_kill k = {0};
    assert_true(parse("5,252945,34713622171,-;" AUDIT, &k));
    assert_int_equal(k.real_ms, 1795286273310);
    assert_int_equal(k.number, 165);
    assert_int_equal(k.architecture, 0xc000003e);
}

static void what_a_program_is_called_or_writes_there_does_not_count(void **state)
{
    (void)state;
    struct kernel_log_kill k = {0};
    assert_false(parse("12,252945,34713622171,-;" AUDIT, &k)); /* facility 1: a program's */
    assert_true(parse("5,1,2,-;audit: type=1326 audit(1.007:7): comm=\"a,sig=9,syscall=1\" sig=31 arch=c000003e "
                      "syscall=166 code=0x0",
                      &k));
    assert_int_equal(k.number, 166);
    assert_int_equal(k.real_ms, 1007);
}

static void other_records_are_none(void **state)
{
    (void)state;
    static const char *const OTHERS[] = {
        "",
        ";",
        "5,1,2,-;",
        "5,1,2,-;audit: type=1326 audit(",
        "5,1,2,-;audit: type=1326 audit(1.2:3): sig=31 arch=c000003e syscall=1",
        "5,1,2,-;audit: type=1326 audit(1.200:3): sig=0 arch=c000003e syscall=1",
        "5,1,2,-;audit: type=1326 audit(1.200:3): sig=31 syscall=1",
        "5,1,2,-;audit: type=1326 audit(1.200:3): sig=31 arch=c000003e",
        "5,1,2,-;audit: type=1325 audit(1.200:3): sig=31 arch=c000003e syscall=1",
        "5,1,2,-;a line; audit: type=1326 audit(1.200:3): sig=31 arch=c000003e syscall=1",
    };
    struct kernel_log_kill k;
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        if (parse(OTHERS[i], &k))
            fail_msg("taken: %s", OTHERS[i]);
}

static void a_record_cut_anywhere_is_none_or_the_same(void **state)
{
    (void)state;
    static const char whole[] = "5,252945,34713622171,-;" AUDIT;
    struct kernel_log_kill k;
    for (size_t n = 0; n < sizeof(whole) - 1; n++)
        if (kernel_log_parse_kill((struct str){whole, n}, &k))
            assert_int_equal(k.real_ms, 1795286273310);
}

static void calls_have_names_under_each_architecture(void **state)
{
    (void)state;
    char name[SECCOMP_NAME_MAX];
    seccomp_find_name(AUDIT_ARCH_X86_64, 165, name);
    assert_string_equal(name, "mount");
    seccomp_find_name(AUDIT_ARCH_AARCH64, 40, name);
    assert_string_equal(name, "mount");
    seccomp_find_name(AUDIT_ARCH_ARM, 21, name);
    assert_string_equal(name, "mount");
    seccomp_find_name(AUDIT_ARCH_X86_64, 99999, name);
    assert_string_equal(name, "an unknown call");
    seccomp_find_name(7, 1, name);
    assert_string_equal(name, "an unknown call");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_death_by_a_filter_has_a_time_and_a_number),
        cmocka_unit_test(what_a_program_is_called_or_writes_there_does_not_count),
        cmocka_unit_test(other_records_are_none),
        cmocka_unit_test(a_record_cut_anywhere_is_none_or_the_same),
        cmocka_unit_test(calls_have_names_under_each_architecture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
