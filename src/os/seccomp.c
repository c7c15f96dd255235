/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a table of rules to classic BPF. libseccomp knows the names and numbers; the program is made here, for two reasons. A table may say
 * "otherwise" (the last rule of a call, without conditions), which libseccomp cannot express. And the kernel runs every new filter once per
 * system call number to find which it allows always (seccomp_cache_prepare in kernel/seccomp.c), so a linear list of 300 comparisons costs
 * 600 us at load, in every cold start; the search tree here, over ranges of neighbours with one answer, costs a tenth of that.
 *
 * BPF jumps only forward, so the program grows from its end: whatever is jumped to stands already.
 */
#include "os/seccomp.h"

#include "base/fdio.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#if defined(__x86_64__)
enum { NATIVE_ARCH = AUDIT_ARCH_X86_64, X32_FIRST = 0x40000000 };
#elif defined(__aarch64__)
enum { NATIVE_ARCH = (int)AUDIT_ARCH_AARCH64 };
#else
#error "the filter knows x86-64 and aarch64"
#endif

enum {
    NUMBERS_MAX = 1024, /* system call numbers of the native architecture are below */
    PROGRAM_MAX = BPF_MAXINSNS,
    JUMP_MAX = 255, /* a conditional jump's distance is one byte */
    RANGES_MAX = NUMBERS_MAX + 3,
    RETURNS_MAX = 64, /* different answers in one table */
};

struct builder {
    const struct seccomp_rule *rules;
    uint32_t default_answer;
    size_t first[NUMBERS_MAX]; /* per number: 1 + index of its first rule, 0 = none */
    size_t *next;              /* per rule: 1 + index of the next one of the same number, 0 = none */

    struct sock_filter code[PROGRAM_MAX]; /* last instruction first */
    unsigned length;
    bool overflow;
    struct {
        uint32_t answer;
        unsigned at;
    } returns[RETURNS_MAX]; /* the newest return of each answer */
    unsigned return_count;
};

/* Numbers from `from` up to the next range's get one treatment. */
struct range {
    uint32_t from;
    bool has_rules;  /* a single number whose rules have conditions */
    uint32_t answer; /* otherwise */
};

/* A place to jump to: an instruction, or an answer that any return of it can give. */
struct target {
    bool is_answer;
    uint32_t answer;
    unsigned at;
};

static uint32_t answer_of(int error)
{
    if (error == SECCOMP_KILL)
        return SECCOMP_RET_KILL_PROCESS;
    if (error == SECCOMP_TELL)
        return SECCOMP_RET_USER_NOTIF;
    return error ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_ALLOW;
}

static struct target to_answer(uint32_t answer)
{
    return (struct target){.is_answer = true, .answer = answer};
}

/* Instructions are told apart by how many stand behind them. */
static unsigned emit(struct builder *b, struct sock_filter i)
{
    if (b->length == PROGRAM_MAX) {
        b->overflow = true;
        return b->length - 1;
    }
    b->code[b->length] = i;
    return b->length++;
}

static unsigned emit_return(struct builder *b, uint32_t answer)
{
    unsigned at = emit(b, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
    unsigned slot = 0;
    while (slot < b->return_count && b->returns[slot].answer != answer)
        slot++;
    if (slot == RETURNS_MAX)
        return at;
    if (slot == b->return_count)
        b->return_count++;
    b->returns[slot].answer = answer;
    b->returns[slot].at = at;
    return at;
}

/* Makes `t` reachable from up to two instructions further on, by a new return or a long jump where it is too far. */
static unsigned reach(struct builder *b, struct target t)
{
    if (t.is_answer) {
        for (unsigned i = 0; i < b->return_count; i++)
            if (b->returns[i].answer == t.answer && b->length + 1 - b->returns[i].at <= JUMP_MAX)
                return b->returns[i].at;
        return emit_return(b, t.answer);
    }
    if (b->length + 1 - t.at <= JUMP_MAX)
        return t.at;
    return emit(b, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, b->length - t.at - 1));
}

/* if (A op k) goto yes; else goto no */
static struct target emit_branch(struct builder *b, uint16_t op, uint32_t k, struct target yes, struct target no)
{
    unsigned no_at = reach(b, no);
    unsigned yes_at = reach(b, yes);
    uint8_t jt = (uint8_t)(b->length - yes_at - 1), jf = (uint8_t)(b->length - no_at - 1);
    return (struct target){.at = emit(b, (struct sock_filter)BPF_JUMP(BPF_JMP | op | BPF_K, k, jt, jf))};
}

static struct target emit_load(struct builder *b, uint32_t offset)
{
    return (struct target){.at = emit(b, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset))};
}

/* The load of half an argument, masked. */
static struct target emit_load_half(struct builder *b, unsigned argument, bool high, uint32_t mask)
{
    uint32_t offset = (uint32_t)offsetof(struct seccomp_data, args) + 8 * argument + (high ? 4 : 0); /* little-endian */
    if (mask != UINT32_MAX)
        emit(b, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
    return emit_load(b, offset);
}

static struct target emit_condition(struct builder *b, const struct seccomp_condition *c, struct target yes,
                                    struct target no)
{
    uint32_t low = (uint32_t)c->mask, high = (uint32_t)(c->mask >> 32);
    struct target t = yes;
    if (high) {
        emit_branch(b, BPF_JEQ, (uint32_t)(c->value >> 32), t, no);
        t = emit_load_half(b, c->argument, true, high);
    }
    if (low) {
        emit_branch(b, BPF_JEQ, (uint32_t)c->value, t, no);
        t = emit_load_half(b, c->argument, false, low);
    }
    return t;
}

/* Neighbouring rules that look at the same 32 bits of one argument share its load. */
static bool share_load(const struct seccomp_rule *a, const struct seccomp_rule *b)
{
    return a->condition_count == 1 && b->condition_count == 1 && a->conditions[0].mask <= UINT32_MAX &&
           a->conditions[0].mask == b->conditions[0].mask && a->conditions[0].argument == b->conditions[0].argument;
}

/* The rules of one number, from index `i` (1-based) on. */
static struct target emit_rules(struct builder *b, size_t i)
{
    if (i == 0)
        return to_answer(b->default_answer);
    const struct seccomp_rule *chain[SECCOMP_RULES_PER_CALL_MAX];
    unsigned count = 0;
    for (; i; i = b->next[i - 1])
        chain[count++] = &b->rules[i - 1];
    struct target no = to_answer(b->default_answer);
    while (count-- > 0) {
        const struct seccomp_rule *r = chain[count];
        struct target yes = to_answer(answer_of(r->error));
        if (r->condition_count == 0) {
            no = yes;
            continue;
        }
        if (r->condition_count == 1 && r->conditions[0].mask <= UINT32_MAX) {
            no = emit_branch(b, BPF_JEQ, (uint32_t)r->conditions[0].value, yes, no);
            if (count == 0 || !share_load(chain[count - 1], r))
                no = emit_load_half(b, r->conditions[0].argument, false, (uint32_t)r->conditions[0].mask);
            continue;
        }
        for (unsigned k = r->condition_count; k-- > 0;)
            yes = emit_condition(b, &r->conditions[k], yes, no);
        no = yes;
    }
    return no;
}

static struct target emit_tree(struct builder *b, const struct range *ranges, size_t count)
{
    if (count == 1)
        return ranges->has_rules ? emit_rules(b, b->first[ranges->from]) : to_answer(ranges->answer);
    size_t half = count / 2;
    struct target upper = emit_tree(b, ranges + half, count - half);
    struct target lower = emit_tree(b, ranges, half);
    return emit_branch(b, BPF_JGE, ranges[half].from, upper, lower);
}

static void add_range(struct range *ranges, size_t *count, struct range r)
{
    if (*count > 0 && !r.has_rules && !ranges[*count - 1].has_rules && ranges[*count - 1].answer == r.answer)
        return;
    ranges[(*count)++] = r;
}

static size_t collect_ranges(const struct builder *b, struct range ranges[RANGES_MAX])
{
    size_t count = 0;
    for (uint32_t number = 0; number < NUMBERS_MAX; number++) {
        struct range r = {.from = number, .answer = b->default_answer};
        if (b->first[number]) {
            const struct seccomp_rule *rule = &b->rules[b->first[number] - 1];
            r.has_rules = rule->condition_count > 0;
            r.answer = answer_of(rule->error);
        }
        add_range(ranges, &count, r);
    }
    add_range(ranges, &count, (struct range){.from = NUMBERS_MAX, .answer = b->default_answer});
#if defined(__x86_64__)
    add_range(ranges, &count, (struct range){.from = X32_FIRST, .answer = SECCOMP_RET_KILL_PROCESS});
    /* -1 is how a tracer skips a call, and what `syscall(-1)` asks for: unknown, not x32 */
    add_range(ranges, &count, (struct range){.from = UINT32_MAX, .answer = b->default_answer});
#endif
    return count;
}

/* Chains the rules by number, in the table's order. A rule behind one without conditions would never be reached: a mistake in the table. */
static int index_rules(struct builder *b, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        const struct seccomp_rule *r = &b->rules[i];
        assert(r->condition_count <= SECCOMP_CONDITIONS_MAX);
        int number = seccomp_syscall_resolve_name(r->syscall);
        if (number < 0 || number >= NUMBERS_MAX)
            continue;
        size_t *link = &b->first[number];
        unsigned before = 0;
        for (; *link; link = &b->next[*link - 1], before++)
            if (b->rules[*link - 1].condition_count == 0)
                return err_say(e, EINVAL, "filter rule %zu ('%s') is never reached", i, r->syscall);
        if (before == SECCOMP_RULES_PER_CALL_MAX)
            return err_say(e, EINVAL, "'%s' has more than %d filter rules", r->syscall, SECCOMP_RULES_PER_CALL_MAX);
        *link = i + 1;
    }
    return 0;
}

static int emit_program(struct builder *b, struct seccomp_program *ret_program, struct err *e)
{
    struct range *ranges = calloc(RANGES_MAX, sizeof(*ranges));
    if (!ranges)
        return err_set(e, ENOMEM, "build a system call filter");
    struct target tree = emit_tree(b, ranges, collect_ranges(b, ranges));
    free(ranges);
    /* A tree of one answer would be no filter; the tables have hundreds. */
    assert(!tree.is_answer);
    struct target number = emit_load(b, offsetof(struct seccomp_data, nr));
    emit_branch(b, BPF_JEQ, (uint32_t)NATIVE_ARCH, number, to_answer(SECCOMP_RET_KILL_PROCESS));
    emit_load(b, offsetof(struct seccomp_data, arch));
    if (b->overflow)
        return err_say(e, E2BIG, "the system call filter is longer than %d instructions", PROGRAM_MAX);
    struct sock_filter *code = calloc(b->length, sizeof(*code));
    if (!code)
        return err_set(e, ENOMEM, "build a system call filter");
    for (unsigned i = 0; i < b->length; i++)
        code[i] = b->code[b->length - 1 - i];
    *ret_program = (struct seccomp_program){.code = code, .length = (unsigned short)b->length};
    return 0;
}

int seccomp_build(const struct seccomp_rule *rules, size_t count, int default_error,
                  struct seccomp_program *ret_program, struct err *e)
{
    struct builder *b = calloc(1, sizeof(*b));
    if (!b)
        return err_set(e, ENOMEM, "build a system call filter");
    b->rules = rules;
    b->default_answer = answer_of(default_error);
    b->next = calloc(count + 1, sizeof(*b->next));
    int r = b->next ? index_rules(b, count, e) : err_set(e, ENOMEM, "build a system call filter");
    if (r == 0)
        r = emit_program(b, ret_program, e);
    free(b->next);
    free(b);
    return r;
}

void seccomp_program_fini(struct seccomp_program *p)
{
    free(p->code);
    *p = (struct seccomp_program){0};
}

int seccomp_program_copy_with(const struct seccomp_program *p, uint64_t from, uint64_t to,
                              struct seccomp_program *ret_program, struct err *e)
{
    const uint32_t from_half[2] = {(uint32_t)from, (uint32_t)(from >> 32)};
    const uint32_t to_half[2] = {(uint32_t)to, (uint32_t)(to >> 32)};
    unsigned found[2] = {0, 0};
    assert(from_half[0] != from_half[1]);
    struct seccomp_program copy = {.code = calloc(p->length, sizeof(*copy.code)), .length = p->length};
    if (!copy.code)
        return err_set(e, ENOMEM, "copy a system call filter");
    for (unsigned i = 0; i < p->length; i++) {
        copy.code[i] = p->code[i];
        for (unsigned half = 0; half < 2 && p->code[i].code == (BPF_JMP | BPF_JEQ | BPF_K); half++) {
            if (p->code[i].k != from_half[half])
                continue;
            copy.code[i].k = to_half[half];
            found[half]++;
        }
    }
    if (found[0] == 1 && found[1] == 1) {
        *ret_program = copy;
        return 0;
    }
    seccomp_program_fini(&copy);
    return err_say(e, EINVAL, "the filter compares with the placeholder's halves %u and %u times, not once", found[0],
                   found[1]);
}

uint32_t seccomp_native_architecture(void)
{
    return (uint32_t)NATIVE_ARCH;
}

/* libseccomp's tokens of architectures are the kernel's. */
void seccomp_find_name(uint32_t architecture, int number, char out[SECCOMP_NAME_MAX])
{
    char *name = seccomp_syscall_resolve_num_arch(architecture, number);
    snprintf(out, SECCOMP_NAME_MAX, "%s", name ? name : "an unknown call");
    free(name);
}

int seccomp_find_number(const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    return number < 0 ? -1 : number;
}

bool seccomp_is_name(const char *name)
{
    return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR; /* other architectures' have numbers below that */
}

void seccomp_find_nearest(const char *word, char out[SECCOMP_NAME_MAX])
{
    unsigned least = str_slips(word) + 1;
    out[0] = '\0';
    for (int number = 0; number < NUMBERS_MAX; number++) {
        scoped_free char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
        unsigned distance = name ? str_distance(word, name) : least;
        if (distance >= least)
            continue;
        least = distance;
        snprintf(out, SECCOMP_NAME_MAX, "%s", name);
    }
}

int seccomp_attach(const struct seccomp_program *p, struct err *e)
{
    const struct sock_fprog program = {.len = p->length, .filter = p->code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        return err_set(e, errno, "load the system call filter");
    return 0;
}

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

int seccomp_attach_listening(const struct seccomp_program *p, struct err *e)
{
    const struct sock_fprog program = {.len = p->length, .filter = p->code};
    const unsigned long listen = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    /* Otherwise each signal, such as Go's for preemption, would take a call that waits back and make it anew. */
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listen | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
    if (fd < 0 && errno == EINVAL)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listen, &program);
    if (fd < 0)
        return err_set(e, errno, "load the system call filter that is listened to");
    return (int)fd;
}

unsigned seccomp_make_calls(const uint64_t words[SECCOMP_CALL_WORDS], struct sock_filter *code)
{
    unsigned n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned w = 0; w < SECCOMP_CALL_WORDS; w++) {
        unsigned start = n++;
        for (unsigned bit = 0; bit < 64; bit++) {
            bool told = !(words[w] >> bit & 1), next_told = bit < 63 && !(words[w] >> (bit + 1) & 1);
            if (bit < 63 && told == next_told)
                continue;
            if (bit < 63)
                code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 64 * w + bit + 1, 1, 0);
            code[n++] =
                (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, told ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
        }
        code[start] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 64 * (w + 1), (uint8_t)(n - start - 1), 0);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    return n;
}

int seccomp_attach_calls(const uint64_t words[SECCOMP_CALL_WORDS], struct err *e)
{
    struct sock_filter code[SECCOMP_CALLS_MAX];
    const struct seccomp_program p = {.code = code, .length = (unsigned short)seccomp_make_calls(words, code)};
    return seccomp_attach_listening(&p, e);
}

/* Before Linux 6.6 the ioctl waits for ever where nobody is left to ask, so poll(2) goes before it. One that was taken back in between is ENOENT. */
int seccomp_receive_notice(int fd, struct seccomp_notice *ret_notice)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 0) < 0)
        return 0;
    if (!(p.revents & POLLIN))
        return p.revents & (POLLHUP | POLLERR | POLLNVAL) ? -EPIPE : 0;
    struct seccomp_notif notice = {0};
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
        return errno == ENOENT || errno == EINTR ? 0 : -EPIPE;
    *ret_notice = (struct seccomp_notice){.id = notice.id, .pid = notice.pid, .number = notice.data.nr};
    return 1;
}

void seccomp_answer_notice(int fd, uint64_t id, int error)
{
    struct seccomp_notif_resp answer = {.id = id, .error = -error};
    if (error == 0)
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
