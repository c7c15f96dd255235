/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a seccomp program as the kernel would, and reads a table as its documentation says, so that tests can compare the two. */
#ifndef FAASD_TESTS_BPF_RUN_H
#define FAASD_TESTS_BPF_RUN_H

#include "os/seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <seccomp.h>

#if defined(__x86_64__)
#define BPF_RUN_ARCH AUDIT_ARCH_X86_64
#else
#define BPF_RUN_ARCH AUDIT_ARCH_AARCH64
#endif

/* What of a program was run: each instruction, and of each comparison both verdicts. */
struct bpf_coverage {
    bool run[BPF_MAXINSNS], yes[BPF_MAXINSNS], no[BPF_MAXINSNS];
};
static struct bpf_coverage bpf_coverage;

static inline unsigned bpf_step(unsigned pc, const struct sock_filter *i, bool holds)
{
    bpf_coverage.yes[pc] |= holds;
    bpf_coverage.no[pc] |= !holds;
    return holds ? i->jt : i->jf;
}

static inline uint32_t bpf_run(const struct sock_filter *code, unsigned length, const struct seccomp_data *d)
{
    uint32_t a = 0;
    for (unsigned pc = 0; pc < length; pc++) {
        const struct sock_filter *i = &code[pc];
        bpf_coverage.run[pc] = true;
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(i->k % 4 == 0 && i->k + 4 <= sizeof(*d));
            memcpy(&a, (const char *)d + i->k, 4);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += bpf_step(pc, i, a == i->k);
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += bpf_step(pc, i, a >= i->k);
            break;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            fail_msg("instruction %u has the unknown code %#x", pc, i->code);
        }
    }
    fail_msg("the program ran past its end");
    return 0;
}

static inline uint32_t bpf_answer(int error)
{
    if (error == SECCOMP_KILL)
        return SECCOMP_RET_KILL_PROCESS;
    if (error == SECCOMP_TELL)
        return SECCOMP_RET_USER_NOTIF;
    return error ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_ALLOW;
}

/* The first rule of the number whose conditions all hold; the default without one. */
static inline uint32_t bpf_expect(const struct seccomp_rule *rules, size_t count, const int *numbers, int default_error,
                                  const struct seccomp_data *d)
{
    for (size_t i = 0; i < count; i++) {
        bool holds = numbers[i] == d->nr;
        for (unsigned k = 0; k < rules[i].condition_count; k++) {
            const struct seccomp_condition *c = &rules[i].conditions[k];
            holds = holds && (d->args[c->argument] & c->mask) == c->value;
        }
        if (holds)
            return bpf_answer(rules[i].error);
    }
    return bpf_answer(default_error);
}

static inline void bpf_compare(const struct seccomp_program *p, const struct seccomp_rule *rules, size_t count,
                               const int *numbers, const struct seccomp_data *d)
{
    uint32_t want = bpf_expect(rules, count, numbers, 38, d), got = bpf_run(p->code, p->length, d);
    if (want != got)
        fail_msg("call %d(%#llx, %#llx, %#llx): the table says %#x, the program %#x", d->nr,
                 (unsigned long long)d->args[0], (unsigned long long)d->args[1], (unsigned long long)d->args[2], want,
                 got);
}

/* All of it, or the test has not looked at what the kernel would run. */
static inline void bpf_expect_covered(const struct seccomp_program *p)
{
    for (unsigned i = 0; i < p->length; i++) {
        if (!bpf_coverage.run[i])
            fail_msg("instruction %u was never run", i);
        unsigned op = BPF_OP(p->code[i].code);
        if (BPF_CLASS(p->code[i].code) == BPF_JMP && op != BPF_JA && (!bpf_coverage.yes[i] || !bpf_coverage.no[i]))
            fail_msg("the comparison at %u with %#x was never %s", i, p->code[i].k,
                     bpf_coverage.yes[i] ? "false" : "true");
    }
}

/* What no table says: foreign architectures, x32, -1. */
static inline void bpf_run_foreign(const struct seccomp_program *p)
{
    const struct seccomp_data foreign = {.arch = BPF_RUN_ARCH ^ 1}, skipped = {.nr = -1, .arch = BPF_RUN_ARCH};
    assert_int_equal(bpf_run(p->code, p->length, &foreign), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(bpf_run(p->code, p->length, &skipped), SECCOMP_RET_ERRNO | 38);
#if defined(__x86_64__)
    const struct seccomp_data x32 = {.nr = 0x40000000, .arch = BPF_RUN_ARCH};
    assert_int_equal(bpf_run(p->code, p->length, &x32), SECCOMP_RET_KILL_PROCESS);
#endif
}

/* Every number with arguments of zeros and of ones; every rule met exactly, and with each bit of each argument that it looks at flipped, and with
 * the bits that it does not look at set. Default ENOSYS. */
static inline void bpf_compare_all(const struct seccomp_program *p, const struct seccomp_rule *rules, size_t count)
{
    static int numbers[1024];
    assert_true(count <= 1024);
    for (size_t i = 0; i < count; i++) {
        int n = seccomp_syscall_resolve_name(rules[i].syscall);
        numbers[i] = n < 0 ? -2 : n;
    }
    struct seccomp_data d = {.arch = BPF_RUN_ARCH};
    for (int n = 0; n < 1100; n++) {
        d.nr = n;
        memset(d.args, 0, sizeof(d.args));
        bpf_compare(p, rules, count, numbers, &d);
        memset(d.args, 0xff, sizeof(d.args));
        bpf_compare(p, rules, count, numbers, &d);
    }
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < 0)
            continue;
        struct seccomp_data met = {.nr = numbers[i], .arch = BPF_RUN_ARCH};
        for (unsigned k = 0; k < rules[i].condition_count; k++)
            met.args[rules[i].conditions[k].argument] = rules[i].conditions[k].value;
        bpf_compare(p, rules, count, numbers, &met);
        for (unsigned bit = 0; bit < 64 * 6; bit++) {
            d = met;
            d.args[bit / 64] ^= 1ULL << (bit % 64);
            bpf_compare(p, rules, count, numbers, &d);
        }
        d = met;
        for (unsigned k = 0; k < rules[i].condition_count; k++)
            d.args[rules[i].conditions[k].argument] |= ~rules[i].conditions[k].mask;
        bpf_compare(p, rules, count, numbers, &d);
    }
}

#endif
