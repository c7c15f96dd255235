/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct seccomp_rule small[] = {
    {.syscall = "read"},
    {.syscall = "write"},
    {.syscall = "getppid", .error = EACCES},
    {.syscall = "getpgid", .condition_count = 1, .conditions = {{0, 0xffffffff, 0}}},
    {.syscall = "getpgid", .error = EPERM, .condition_count = 1, .conditions = {{0, 0xffffffff, 1}}},
    {.syscall = "getpgid", .error = EXDEV},
    {.syscall = "tee", .error = EDOM, .condition_count = 2, .conditions = {{0, 0xffffffff, 7}, {3, 0xf0, 0x30}}},
    {.syscall = "vmsplice", .error = E2BIG, .condition_count = 1, .conditions = {{2, UINT64_MAX, 0x100000002}}},
    {.syscall = "vmsplice", .error = ELOOP, .condition_count = 1, .conditions = {{2, 0xff00000000, 0x300000000}}},
    {.syscall = "acct", .error = SECCOMP_KILL},
    {.syscall = "exit_group"},
    {.syscall = "there_is_no_such_call", .error = EIO},
};

enum { SMALL = sizeof(small) / sizeof(small[0]) };

static void build_small(struct seccomp_program *p)
{
    struct err e = {0};
    assert_int_equal(seccomp_build(small, SMALL, ENOSYS, p, &e), 0);
}

static void a_program_answers_as_its_table_says(void **state)
{
    (void)state;
    struct seccomp_program p;
    build_small(&p);
    bpf_compare_all(&p, small, SMALL);
    seccomp_program_fini(&p);
    assert_null(p.code);
}

/* Long enough that jumps from the tree's root need more than one byte. */
static void a_long_table_answers_as_it_says(void **state)
{
    (void)state;
    enum { CALLS = 300 };
    static struct seccomp_rule rules[CALLS];
    size_t count = 0;
    for (int n = 0; n < 400 && count < CALLS; n++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, n);
        if (!name)
            continue;
        rules[count] = (struct seccomp_rule){
            .syscall = name, .error = (int)(count % 40), .condition_count = (unsigned)(count % 4)};
        for (unsigned k = 0; k < rules[count].condition_count; k++)
            rules[count].conditions[k] =
                (struct seccomp_condition){k, k == 1 ? UINT64_MAX : 0xff00ff, 0x120034 + count % 7};
        count++;
    }
    struct seccomp_program p;
    struct err e = {0};
    assert_int_equal(seccomp_build(rules, count, ENOSYS, &p, &e), 0);
    assert_true(p.length > 1000);
    bpf_compare_all(&p, rules, count);
    seccomp_program_fini(&p);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)rules[i].syscall);
}

static void foreign_architectures_are_killed(void **state)
{
    (void)state;
    struct seccomp_program p;
    build_small(&p);
    const uint32_t foreign[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_RISCV64, 0, 0xffffffff};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        struct seccomp_data d = {.nr = 0, .arch = foreign[i]};
        assert_int_equal(bpf_run(p.code, p.length, &d), SECCOMP_RET_KILL_PROCESS);
    }
#if defined(__x86_64__)
    struct seccomp_data x32 = {.nr = 0x40000000, .arch = AUDIT_ARCH_X86_64};
    assert_int_equal(bpf_run(p.code, p.length, &x32), SECCOMP_RET_KILL_PROCESS);
    x32.nr = (int)0xc0000001;
    assert_int_equal(bpf_run(p.code, p.length, &x32), SECCOMP_RET_KILL_PROCESS);
#endif
    struct seccomp_data skipped = {.nr = -1, .arch = BPF_RUN_ARCH};
    assert_int_equal(bpf_run(p.code, p.length, &skipped), SECCOMP_RET_ERRNO | ENOSYS);
    seccomp_program_fini(&p);
}

static void a_rule_that_is_never_reached_is_refused(void **state)
{
    (void)state;
    const struct seccomp_rule rules[] = {
        {.syscall = "read"},
        {.syscall = "read", .error = EPERM, .condition_count = 1, .conditions = {{0, 1, 1}}},
    };
    struct seccomp_program p = {0};
    struct err e = {0};
    assert_int_equal(seccomp_build(rules, 2, ENOSYS, &p, &e), -EINVAL);
    assert_non_null(strstr(e.text, "read"));
    assert_null(p.code);
}

/* Past the sanitizers' own work at exit, which the filter knows nothing of. */
static void leave(int status)
{
    syscall(SYS_exit_group, status);
}

/* In a child, so that the test itself stays free. Returns the wait status. */
static int in_child(void (*body)(void), const struct seccomp_program *p)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (p && seccomp_attach(p, &e) < 0))
            leave(99);
        body();
        leave(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* The shifts put the bits in a register that the compiler does not truncate. */
static void try_calls(void)
{
    if (syscall(SYS_getppid) != -1 || errno != EACCES)
        leave(1);
    if (syscall(SYS_getpgid, 0L) < 0)
        leave(2);
    if (syscall(SYS_getpgid, 1L) != -1 || errno != EPERM)
        leave(3);
    if (syscall(SYS_getpgid, 1L << 32 | 1) != -1 || errno != EPERM)
        leave(4);
    if (syscall(SYS_getpgid, 1L << 32) < 0)
        leave(5);
    if (syscall(SYS_getpgid, 2L) != -1 || errno != EXDEV)
        leave(6);
    if (syscall(SYS_getuid) != -1 || errno != ENOSYS)
        leave(7);
    if (syscall(-1) != -1 || errno != ENOSYS)
        leave(8);
}

static void try_killed(void)
{
    syscall(SYS_acct, NULL);
}

#if defined(__x86_64__)
static void try_x32(void)
{
    syscall(0x40000000 + SYS_getppid);
}

static void try_int80(void)
{
    long ret = 20; /* getpid of i386 */
    __asm__ volatile("int $0x80" : "+a"(ret)::"memory", "r8", "r9", "r10", "r11");
}
#endif

static void a_loaded_program_holds(void **state)
{
    (void)state;
    struct seccomp_program p;
    build_small(&p);
    assert_int_equal(in_child(try_calls, &p), 0);
    assert_int_equal(WTERMSIG(in_child(try_killed, &p)), SIGSYS);
#if defined(__x86_64__)
    assert_int_equal(WTERMSIG(in_child(try_x32, &p)), SIGSYS);
    assert_int_equal(WTERMSIG(in_child(try_int80, &p)), SIGSYS);
    assert_int_equal(in_child(try_int80, NULL), 0);
#endif
    assert_int_not_equal(in_child(try_calls, NULL), 0);
    seccomp_program_fini(&p);
}

static void a_refused_program_names_its_errno(void **state)
{
    (void)state;
    const struct seccomp_program empty = {0};
    struct err e = {0};
    assert_int_equal(seccomp_attach(&empty, &e), -EINVAL);
    assert_non_null(strstr(e.text, "filter"));
}

static void a_name_is_one_of_any_architecture_and_a_slip_finds_the_nearest(void **state)
{
    (void)state;
    char nearest[SECCOMP_NAME_MAX];
    assert_true(seccomp_is_name("read"));
    assert_true(seccomp_is_name("arm_fadvise64_64"));
    assert_true(seccomp_is_name("fadvise64"));
    assert_false(seccomp_is_name("opnat"));
    assert_false(seccomp_is_name(""));
    seccomp_find_nearest("opnat", nearest);
    assert_string_equal(nearest, "openat");
    seccomp_find_nearest("clock_nanoslep", nearest);
    assert_string_equal(nearest, "clock_nanosleep");
    seccomp_find_nearest("florbl_the_grunch", nearest);
    assert_string_equal(nearest, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_answers_as_its_table_says),
        cmocka_unit_test(a_long_table_answers_as_it_says),
        cmocka_unit_test(foreign_architectures_are_killed),
        cmocka_unit_test(a_rule_that_is_never_reached_is_refused),
        cmocka_unit_test(a_loaded_program_holds),
        cmocka_unit_test(a_name_is_one_of_any_architecture_and_a_slip_finds_the_nearest),
        cmocka_unit_test(a_refused_program_names_its_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
