/* SPDX-License-Identifier: Apache-2.0 */
#include "../os/bpf_run.h"

#include "os/sock.h"
#include "sandbox/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct seccomp_program built(enum profile p, bool memfd_denied)
{
    const struct profile_options o = {.memfd_denied = memfd_denied};
    struct seccomp_program program = {0};
    struct err e = {0};
    if (profile_build(p, &o, &program, &e) < 0)
        fail_msg("%s", e.text);
    return program;
}

static void every_row_has_a_reason_and_a_known_name(void **state)
{
    (void)state;
    size_t count;
    const struct seccomp_rule *rules = profile_rules(PROFILE_SHELL, &count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(rules[i].reason);
        assert_true(strlen(rules[i].reason) >= 3);
        /* newer than the library: skipped when the program is built, listed here so that a misspelt row shows */
        if (seccomp_syscall_resolve_name(rules[i].syscall) == __NR_SCMP_ERROR)
            assert_true(!strcmp(rules[i].syscall, "fchmodat2") || !strcmp(rules[i].syscall, "cachestat"));
    }
}

static void the_programs_answer_as_the_tables_say(void **state)
{
    (void)state;
    for (int p = PROFILE_DEFAULT; p < PROFILE_COUNT; p++) {
        size_t count;
        const struct seccomp_rule *rules = profile_rules((enum profile)p, &count);
        struct seccomp_program program = built((enum profile)p, false);
        memset(&bpf_coverage, 0, sizeof(bpf_coverage));
        bpf_compare_all(&program, rules, count);
        bpf_run_foreign(&program);
        bpf_expect_covered(&program);
        seccomp_program_fini(&program);
    }
}

/* Every row does something: it answers in some case that the rows before it leave, and otherwise when one bit that it looks at is turned over. */
static void each_row_answers_and_each_turned_bit_is_another_case(void **state)
{
    (void)state;
    for (int p = PROFILE_DEFAULT; p < PROFILE_COUNT; p++) {
        size_t count;
        const struct seccomp_rule *rules = profile_rules((enum profile)p, &count);
        struct seccomp_program program = built((enum profile)p, false);
        for (size_t i = 0; i < count; i++) {
            int number = seccomp_find_number(rules[i].syscall);
            if (number < 0 || rules[i].condition_count == 0)
                continue;
            struct seccomp_data met = {.nr = number, .arch = BPF_RUN_ARCH};
            for (unsigned k = 0; k < rules[i].condition_count; k++)
                met.args[rules[i].conditions[k].argument] = rules[i].conditions[k].value;
            uint32_t with = bpf_answer(rules[i].error);
            assert_int_equal(bpf_run(program.code, program.length, &met), with);
            bool differs = false;
            for (unsigned bit = 0; bit < 64 * rules[i].condition_count; bit++) {
                const struct seccomp_condition *c = &rules[i].conditions[bit / 64];
                struct seccomp_data turned = met;
                turned.args[c->argument] ^= 1ULL << (bit % 64);
                bool looked_at = c->mask >> (bit % 64) & 1;
                uint32_t got = bpf_run(program.code, program.length, &turned);
                if (!looked_at && got != with)
                    fail_msg("%s: bit %u, which the kernel does not look at, changes the answer", rules[i].syscall,
                             bit % 64);
                differs |= looked_at && got != with;
            }
            if (!differs)
                fail_msg("%s: row %zu answers as the rows behind it do", rules[i].syscall, i);
        }
        seccomp_program_fini(&program);
    }
}

/* tests/escape/golden, which the sweep of a live sandbox is held against on the machine at hand. */
#define GOLDEN(name, file)                                                                                             \
    __asm__(".pushsection .rodata\n" #name ": .incbin \"tests/escape/golden/" file "\"\n.byte 0\n.popsection\n");      \
    extern const char name[] __attribute__((visibility("hidden")))
GOLDEN(golden_default_x86_64, "default.x86_64");
GOLDEN(golden_default_aarch64, "default.aarch64");
GOLDEN(golden_strict_x86_64, "strict.x86_64");
GOLDEN(golden_strict_aarch64, "strict.aarch64");

static bool lists(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        if (strncmp(line, name, n) == 0 && line[n] == '\n')
            return true;
    return false;
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* As many as the list has, and each of them on it. */
static void expect_golden(enum profile p, uint32_t architecture, const char *text)
{
    size_t count;
    unsigned found = 0;
    const struct seccomp_rule *rules = profile_rules(p, &count);
    for (size_t i = 0; i < count; i++) {
        bool counted = rules[i].error != 0;
        for (size_t k = 0; k < i && !counted; k++)
            counted = rules[k].error == 0 && strcmp(rules[k].syscall, rules[i].syscall) == 0;
        if (counted || seccomp_syscall_resolve_name_arch(architecture, rules[i].syscall) < 0)
            continue;
        if (!lists(text, rules[i].syscall))
            fail_msg("%s is allowed, and not on the list of %#x", rules[i].syscall, architecture);
        found++;
    }
    assert_int_equal(found, count_lines(text));
}

static void the_tables_allow_what_the_lists_say(void **state)
{
    (void)state;
    expect_golden(PROFILE_DEFAULT, SCMP_ARCH_X86_64, golden_default_x86_64);
    expect_golden(PROFILE_DEFAULT, SCMP_ARCH_AARCH64, golden_default_aarch64);
    expect_golden(PROFILE_STRICT, SCMP_ARCH_X86_64, golden_strict_x86_64);
    expect_golden(PROFILE_STRICT, SCMP_ARCH_AARCH64, golden_strict_aarch64);
    assert_true(count_lines(golden_strict_x86_64) <= PROFILE_STRICT_CALLS_MAX);
    assert_int_equal(profile_count_calls(PROFILE_STRICT),
                     count_lines(BPF_RUN_ARCH == AUDIT_ARCH_X86_64 ? golden_strict_x86_64 : golden_strict_aarch64));
}

/* Whatever strict allows, the default allows too: nothing is gained by asking for it. The key takes execve's place. */
static void strict_is_a_part_of_the_default(void **state)
{
    (void)state;
    size_t count;
    const struct seccomp_rule *rules = profile_rules(PROFILE_STRICT, &count);
    struct seccomp_program function = built(PROFILE_DEFAULT, false), strict = built(PROFILE_STRICT, false);
    for (int number = 0; number < 1100; number++) {
        for (int ones = 0; ones < 2; ones++) {
            struct seccomp_data d = {.nr = number, .arch = BPF_RUN_ARCH};
            memset(d.args, ones ? 0xff : 0, sizeof(d.args));
            if (bpf_run(strict.code, strict.length, &d) == SECCOMP_RET_ALLOW)
                assert_int_equal(bpf_run(function.code, function.length, &d), SECCOMP_RET_ALLOW);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct seccomp_data d = {.nr = seccomp_find_number(rules[i].syscall), .arch = BPF_RUN_ARCH};
        if (rules[i].error != 0 || d.nr < 0)
            continue;
        for (unsigned k = 0; k < rules[i].condition_count; k++)
            d.args[rules[i].conditions[k].argument] = rules[i].conditions[k].value;
        assert_int_equal(bpf_run(function.code, function.length, &d), SECCOMP_RET_ALLOW);
    }
    seccomp_program_fini(&function);
    seccomp_program_fini(&strict);
}

static void leave(int status)
{
    syscall(SYS_exit_group, status);
}

/* As the kernel takes the stricter of two answers (seccomp(2)), in the order of ACTION_ONLY. */
static uint32_t stricter(uint32_t a, uint32_t b)
{
    return (int32_t)(a & SECCOMP_RET_ACTION_FULL) <= (int32_t)(b & SECCOMP_RET_ACTION_FULL) ? a : b;
}

struct list {
    unsigned length;
    struct sock_filter code[SECCOMP_CALLS_MAX];
};

static void make_list(struct list *l, bool for_template, const uint64_t calls[PROFILE_CALL_WORDS])
{
    uint64_t all[PROFILE_CALL_WORDS];
    memcpy(all, calls, sizeof(all));
    profile_add_always(for_template, all);
    l->length = seccomp_make_calls(all, l->code);
    assert_true(l->length <= SECCOMP_CALLS_MAX);
}

static uint32_t run_both(const struct list *l, const struct seccomp_program *whole, const struct seccomp_data *d)
{
    return stricter(bpf_run(l->code, l->length, d), bpf_run(whole->code, whole->length, d));
}

/* Under every list: what the default denies stays denied, init's calls stay, a call that is not listed is told with the arguments that the default would allow. */
static void a_learned_list_only_takes(void **state)
{
    (void)state;
    uint64_t calls[PROFILE_CALL_WORDS] = {0}, all[PROFILE_CALL_WORDS];
    static struct list learned, open;
    const int socket_number = seccomp_find_number("socket"), mmap_number = seccomp_find_number("mmap");
    calls[mmap_number / 64] |= UINT64_C(1) << (mmap_number % 64);
    memset(all, 0xff, sizeof(all));
    for (int for_template = 0; for_template < 2; for_template++) {
        struct seccomp_program whole = built(for_template ? PROFILE_TEMPLATE : PROFILE_DEFAULT, false);
        make_list(&learned, for_template, calls);
        make_list(&open, for_template, all);
        for (int number = -1; number < 1100; number++) {
            struct seccomp_data d = {.nr = number, .arch = BPF_RUN_ARCH};
            uint32_t with = bpf_run(whole.code, whole.length, &d), less = run_both(&learned, &whole, &d);
            assert_int_equal(run_both(&open, &whole, &d), with);
            if (with != SECCOMP_RET_ALLOW)
                assert_int_equal(less, with);
            else
                assert_true(less == SECCOMP_RET_ALLOW || less == SECCOMP_RET_USER_NOTIF);
        }
        struct seccomp_data d = {.nr = mmap_number, .arch = BPF_RUN_ARCH};
        assert_int_equal(run_both(&learned, &whole, &d), SECCOMP_RET_ALLOW);
        d = (struct seccomp_data){.nr = socket_number, .arch = BPF_RUN_ARCH, .args = {AF_UNIX, SOCK_STREAM, 0}};
        assert_int_equal(run_both(&learned, &whole, &d), SECCOMP_RET_USER_NOTIF);
        d.args[0] = AF_NETLINK;
        assert_int_equal(run_both(&learned, &whole, &d), SECCOMP_RET_ERRNO | EAFNOSUPPORT);
        d.nr = seccomp_find_number("chroot");
        assert_int_equal(run_both(&learned, &whole, &d), for_template ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM);
        d.nr = seccomp_find_number("mount");
        assert_int_equal(run_both(&learned, &whole, &d), SECCOMP_RET_KILL_PROCESS);
        d.nr = seccomp_find_number("seccomp");
        assert_int_equal(run_both(&learned, &whole, &d), SECCOMP_RET_ERRNO | EPERM);
        seccomp_program_fini(&whole);
    }
}

/* Bit by bit, and as long as it can be. */
static void a_list_tells_what_has_no_bit(void **state)
{
    (void)state;
    static struct list l;
    const uint64_t patterns[] = {0,          UINT64_MAX, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x8000000000000001,
                                 0xff00f00fu};
    for (unsigned p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
        uint64_t words[SECCOMP_CALL_WORDS];
        for (unsigned w = 0; w < SECCOMP_CALL_WORDS; w++)
            words[w] = w % 2 ? ~patterns[p] : patterns[p];
        l.length = seccomp_make_calls(words, l.code);
        assert_true(l.length <= SECCOMP_CALLS_MAX);
        for (int number = -2; number < 1024; number++) {
            struct seccomp_data d = {.nr = number, .arch = BPF_RUN_ARCH};
            bool has = number >= 0 && number < 64 * SECCOMP_CALL_WORDS && words[number / 64] >> (number % 64) & 1;
            assert_int_equal(bpf_run(l.code, l.length, &d), has ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF);
        }
    }
}

/* One that is listened to: denied by us, let go on by us, and what comes when nobody listens any more. */
static void a_listener_is_told_and_answers(void **state)
{
    (void)state;
    struct seccomp_program p = built(PROFILE_LEARNING, false);
    int ends[2], status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        close(ends[0]); /* else a descriptor on its way would still be open when the test has failed */
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int fd = seccomp_attach_listening(&p, &e);
        if (fd < 0 || sock_send(ends[1], "", 1, &fd, 1) < 0)
            leave(255);
        close(fd);
        bool denied = syscall(SYS_getuid) == -1 && errno == EPERM;
        bool went_on = syscall(SYS_getuid) == (long)getuid();
        leave(denied && went_on && syscall(SYS_getgid) == -1 && errno == ENOSYS ? 0 : 1);
    }
    char byte;
    struct sock_record record;
    struct pollfd sent = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&sent, 1, 10000), 1); /* sock_receive does not wait */
    assert_int_equal(sock_receive(ends[0], &byte, 1, &record), 0);
    assert_int_equal(record.fd_count, 1);
    struct seccomp_notice n;
    const struct {
        int number, answer;
    } script[] = {{SYS_getuid, EPERM}, {SYS_getuid, 0}, {SYS_getuid, 0}};
    for (unsigned i = 0; i < 3; i++) {
        struct pollfd ready = {.fd = record.fds[0], .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        assert_int_equal(seccomp_receive_notice(record.fds[0], &n), 1);
        assert_int_equal(n.number, script[i].number);
        assert_int_equal(n.pid, pid);
        seccomp_answer_notice(record.fds[0], n.id, script[i].answer);
        seccomp_answer_notice(record.fds[0], n.id + 1000, 0); /* nobody's: no error */
    }
    close(record.fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    close(ends[0]);
    close(ends[1]);
    seccomp_program_fini(&p);
}

static void each_sandbox_gets_a_key_of_its_own(void **state)
{
    (void)state;
    struct seccomp_program strict = built(PROFILE_STRICT, false), sealed[2];
    uint64_t key[2];
    struct err e = {0};
    const int number = seccomp_find_number("execveat");
    for (int i = 0; i < 2; i++)
        assert_int_equal(profile_seal(&strict, &key[i], &sealed[i], &e), 0);
    assert_true(key[0] != key[1] && key[0] != 0);
    for (int i = 0; i < 2; i++) {
        struct seccomp_data d = {.nr = number, .arch = BPF_RUN_ARCH, .args = {[5] = key[i]}};
        assert_int_equal(bpf_run(sealed[i].code, sealed[i].length, &d), SECCOMP_RET_ALLOW);
        const uint64_t others[] = {key[!i], PROFILE_EXEC_PLACEHOLDER, 0, key[i] ^ 1, key[i] ^ 1ULL << 63};
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
            d.args[5] = others[k];
            assert_int_equal(bpf_run(sealed[i].code, sealed[i].length, &d), SECCOMP_RET_ERRNO | EPERM);
        }
        seccomp_program_fini(&sealed[i]);
    }
    struct seccomp_program function = built(PROFILE_DEFAULT, false);
    assert_int_equal(profile_seal(&function, &key[0], &sealed[0], &e), -EINVAL);
    seccomp_program_fini(&function);
    seccomp_program_fini(&strict);
}

/* The load is on every cold start's path and costs by the instruction. */
static void the_program_stays_small(void **state)
{
    (void)state;
    struct seccomp_program p = built(PROFILE_DEFAULT, false);
    print_message("default profile: %u instructions\n", p.length);
    assert_true(p.length < 400);
    seccomp_program_fini(&p);
}

/* One call, tried bare or under a profile. Answers the errno, 0, or -SIGSYS. */
struct attempt {
    long number;
    long args[6];
};

static int try_under(const struct seccomp_program *p, struct attempt a)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (p && seccomp_attach(p, &e) < 0))
            leave(255);
        long r = syscall(a.number, a.args[0], a.args[1], a.args[2], a.args[3], a.args[4], a.args[5]);
        if ((a.number == SYS_clone) && r == 0)
            leave(0);
        leave(r == -1 ? errno : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

enum { HIGH_BITS = 1 }; /* shifted into the half of the register that the kernel drops */

static void denied_calls_fail_and_allowed_ones_work(void **state)
{
    (void)state;
    struct seccomp_program p = built(PROFILE_DEFAULT, false);
    const long high = (long)HIGH_BITS << 32;
    const struct {
        struct attempt attempt;
        int expect;
    } rows[] = {
        {{SYS_getpid, {0}}, 0},
        {{SYS_clone, {SIGCHLD}}, 0},
        {{SYS_clone, {SIGCHLD | 0x10000000}}, EPERM},
        {{SYS_clone, {SIGCHLD | 0x02000000}}, EPERM},
        {{SYS_clone3, {0}}, ENOSYS},
        {{SYS_unshare, {0x10000000}}, EPERM},
        {{SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0}}, 0},
        {{SYS_socket, {AF_UNIX, SOCK_SEQPACKET, 0}}, 0},
        {{SYS_socket, {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 6}}, 0},
        {{SYS_socket, {AF_INET6, SOCK_DGRAM, 0}}, 0},
        {{SYS_socket, {AF_INET | high, SOCK_STREAM | high, high}}, 0},
        {{SYS_socket, {AF_INET, SOCK_RAW, 1}}, EAFNOSUPPORT},
        {{SYS_socket, {AF_INET, SOCK_DGRAM, 1}}, EAFNOSUPPORT},
        {{SYS_socket, {AF_INET, SOCK_SEQPACKET, 132}}, EAFNOSUPPORT},
        {{SYS_socket, {AF_INET, SOCK_STREAM, 262}}, EAFNOSUPPORT},
        {{SYS_socket, {AF_NETLINK, SOCK_RAW, 0}}, EAFNOSUPPORT},
        {{SYS_socket, {AF_NETLINK | high, SOCK_RAW, 0}}, EAFNOSUPPORT},
        {{SYS_socket, {AF_PACKET, SOCK_DGRAM, 0}}, EAFNOSUPPORT},
        {{SYS_socket, {38 /* AF_ALG */, SOCK_SEQPACKET, 0}}, EAFNOSUPPORT},
        {{SYS_socket, {40 /* AF_VSOCK */, SOCK_STREAM, 0}}, EAFNOSUPPORT},
        {{SYS_ioctl, {0, 0x5412 /* TIOCSTI */}}, ENOTTY},
        {{SYS_ioctl, {0, 0x5412 | high}}, ENOTTY},
        {{SYS_ioctl, {-1, FIONREAD | high}}, EBADF},
        {{SYS_prctl, {PR_SET_NAME, (long)"name"}}, 0},
        {{SYS_prctl, {PR_SET_SECCOMP, 2, 0}}, EINVAL},
        {{SYS_prctl, {PR_SET_SECCOMP | high, 2, 0}}, EINVAL},
        {{SYS_prctl, {PR_SET_MM, 1, 0}}, EINVAL},
        {{SYS_personality, {0xffffffff}}, 0},
        {{SYS_personality, {0x0040000}}, EPERM},
        {{SYS_prlimit64, {0, RLIMIT_NOFILE, 0, 0}}, 0},
        {{SYS_prlimit64, {1, RLIMIT_NOFILE, 0, 0}}, EPERM},
        {{SYS_mknodat, {-1, (long)"x", S_IFIFO | 0600, 0}}, EBADF},
        {{SYS_mknodat, {-1, (long)"x", S_IFCHR | 0600, 0x103}}, EPERM},
        {{SYS_ptrace, {0}}, EPERM},
        {{SYS_bpf, {0}}, EPERM},
        {{SYS_perf_event_open, {0}}, EPERM},
        {{SYS_keyctl, {0}}, EPERM},
        {{SYS_seccomp, {2, 0, 0}}, EPERM},
        {{SYS_setuid, {0}}, EPERM},
        {{SYS_io_uring_setup, {0}}, ENOSYS},
        {{SYS_userfaultfd, {0}}, ENOSYS},
        {{SYS_splice, {0}}, EINVAL},
        {{SYS_setsockopt, {-1, SOL_SOCKET, SO_REUSEADDR}}, EBADF},
        {{SYS_setsockopt, {-1, SOL_SOCKET, SO_ATTACH_FILTER}}, EPERM},
        {{SYS_setsockopt, {-1, SOL_SOCKET, SO_LINGER}}, EINVAL},
        {{SYS_setsockopt, {-1, SOL_SOCKET | high, SO_LINGER | high}}, EINVAL},
        {{SYS_setsockopt, {-1, IPPROTO_TCP, TCP_NODELAY}}, EBADF},
        {{SYS_setsockopt, {-1, IPPROTO_TCP, TCP_ULP}}, ENOENT},
        {{SYS_setsockopt, {-1, IPPROTO_TCP | high, TCP_ULP | high}}, ENOENT},
        {{SYS_setsockopt, {-1, IPPROTO_UDP, UDP_ENCAP}}, ENOPROTOOPT},
        {{SYS_inotify_init1, {0}}, ENOSYS},
        {{SYS_inotify_add_watch, {-1, (long)"/", 2}}, ENOSYS},
        {{SYS_fcntl, {-1, F_GETFD}}, EBADF},
        {{SYS_fcntl, {-1, F_NOTIFY, DN_ACCESS}}, EINVAL},
        {{SYS_fcntl, {-1, F_NOTIFY | high, DN_ACCESS}}, EINVAL},
        {{SYS_mount, {0}}, -SIGSYS},
        {{SYS_umount2, {0}}, -SIGSYS},
        {{SYS_init_module, {0}}, -SIGSYS},
        {{SYS_memfd_create, {(long)"m", 0}}, 0},
        {{2000, {0}}, ENOSYS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int got = try_under(&p, rows[i].attempt);
        if (got != rows[i].expect)
            fail_msg("row %zu, call %ld: expected %d, got %d", i, rows[i].attempt.number, rows[i].expect, got);
    }
    seccomp_program_fini(&p);
}

/* Without the filter the same attempts get somewhere: the test above can fail. */
static void bare_the_same_calls_get_through(void **state)
{
    (void)state;
    assert_int_equal(try_under(NULL, (struct attempt){SYS_socket, {AF_NETLINK, SOCK_RAW, 0}}), 0);
    assert_int_equal(try_under(NULL, (struct attempt){SYS_ioctl, {-1, 0x5412}}), EBADF);
    assert_int_equal(try_under(NULL, (struct attempt){SYS_personality, {0x0040000}}), 0);
    assert_int_not_equal(try_under(NULL, (struct attempt){SYS_clone3, {0}}), ENOSYS);
}

static void memfd_create_is_absent_where_memfds_could_be_executed(void **state)
{
    (void)state;
    struct seccomp_program p = built(PROFILE_DEFAULT, true);
    assert_int_equal(try_under(&p, (struct attempt){SYS_memfd_create, {(long)"m", 0}}), ENOSYS);
    assert_int_equal(try_under(&p, (struct attempt){SYS_getpid, {0}}), 0);
    seccomp_program_fini(&p);
}

static void only_the_shell_has_terminal_requests(void **state)
{
    (void)state;
    struct seccomp_program function = built(PROFILE_DEFAULT, false), shell = built(PROFILE_SHELL, false);
    const struct attempt modes = {SYS_ioctl, {-1, TCGETS}}, push = {SYS_ioctl, {-1, 0x5412 /* TIOCSTI */}};
    assert_int_equal(try_under(&function, modes), ENOTTY);
    assert_int_equal(try_under(&shell, modes), EBADF);
    assert_int_equal(try_under(&shell, push), ENOTTY);
    seccomp_program_fini(&function);
    seccomp_program_fini(&shell);
}

static void only_templates_move_into_roots(void **state)
{
    (void)state;
    size_t plain_count, template_count, changed = 0;
    struct seccomp_program function = built(PROFILE_DEFAULT, false), template = built(PROFILE_TEMPLATE, false);
    const struct attempt move = {SYS_chroot, {(long)"/no/such/root"}}, drop = {SYS_capset, {0}};
    assert_int_equal(try_under(&function, move), EPERM);
    assert_int_equal(try_under(&function, drop), EPERM);
    assert_int_equal(try_under(&template, move), ENOENT);
    assert_int_equal(try_under(&template, drop), EFAULT);
    /* nothing else differs */
    const struct seccomp_rule *plain = profile_rules(PROFILE_DEFAULT, &plain_count);
    const struct seccomp_rule *of_template = profile_rules(PROFILE_TEMPLATE, &template_count);
    assert_int_equal(plain_count, template_count);
    for (size_t i = 0; i < plain_count; i++) {
        assert_string_equal(plain[i].syscall, of_template[i].syscall);
        changed += plain[i].error != of_template[i].error;
    }
    assert_int_equal(changed, 2);
    seccomp_program_fini(&function);
    seccomp_program_fini(&template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_reason_and_a_known_name),
        cmocka_unit_test(the_programs_answer_as_the_tables_say),
        cmocka_unit_test(each_row_answers_and_each_turned_bit_is_another_case),
        cmocka_unit_test(the_tables_allow_what_the_lists_say),
        cmocka_unit_test(strict_is_a_part_of_the_default),
        cmocka_unit_test(a_learned_list_only_takes),
        cmocka_unit_test(a_list_tells_what_has_no_bit),
        cmocka_unit_test(a_listener_is_told_and_answers),
        cmocka_unit_test(each_sandbox_gets_a_key_of_its_own),
        cmocka_unit_test(the_program_stays_small),
        cmocka_unit_test(denied_calls_fail_and_allowed_ones_work),
        cmocka_unit_test(bare_the_same_calls_get_through),
        cmocka_unit_test(memfd_create_is_absent_where_memfds_could_be_executed),
        cmocka_unit_test(only_the_shell_has_terminal_requests),
        cmocka_unit_test(only_templates_move_into_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
