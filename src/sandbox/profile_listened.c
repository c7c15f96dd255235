/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles that are less than the default and told of: strict by a table of its own, learning and learned by what init alone needs. */
#include "sandbox/profile_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define FCNTL(command, why) ALLOW_INT("fcntl", 1, command, why)

/* All that `strict` allows; what else the default allows is denied there (rules_of_strict). Who needs it: init as a worker's pid 1, the function library, the start-up
 * of glibc, dynamically linked or static, and of musl, the heap, threads. */
static const struct seccomp_rule strict_rows[] = {
    ALLOW("read", "files; the worker's socket"),
    ALLOW("write", "files, the log"),
    ALLOW("writev", "the log: musl's stdio"),
    ALLOW("pread64", "files; the dynamic linker"),
    ALLOW("lseek", "files"),
    ALLOW("openat", "the mount namespace decides what there is to open"),
    ALLOW("close", "descriptors"),
    ALLOW("close_range", "init arranges the function's descriptors"),
    ALLOW("dup3", "init arranges the function's descriptors"),
    FCNTL(F_GETFD, "descriptors"),
    FCNTL(F_SETFD, "descriptors: the function library"),
    FCNTL(F_GETFL, "descriptors"),
    FCNTL(F_SETFL, "descriptors"),
    ANSWER("fcntl", EINVAL, "no locks, no leases, no notifications"),
    ALLOW("fstat", "what a descriptor is: stdio"),
    ALLOW("newfstatat", "the same: glibc's fstat"),
    ALLOW("chdir", "init enters /var/task"),
    IF("mmap", EACCES, 2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC, "memory is written or executed, never both"),
    ALLOW("mmap", "memory; libraries"),
    IF("mprotect", EACCES, 2, PROT_EXEC, PROT_EXEC, "what was written never becomes code"),
    ALLOW("mprotect", "relocations; thread stacks"),
    ALLOW("munmap", "memory"),
    ALLOW("mremap", "memory: realloc"),
    ALLOW("madvise", "memory: free"),
    ALLOW("brk", "memory"),
    NO_NEW_NAMESPACES,
    ALLOW("clone", "init starts the worker; threads; bounded by pids.max"),
    IF("execveat", 0, 5, UINT64_MAX, PROFILE_EXEC_PLACEHOLDER, "init, and what init starts: by their key"),
    ANSWER("execveat", EPERM, "nothing is executed after the start"),
    ALLOW("wait4", "init reaps"),
    ALLOW("exit", "threads"),
    ALLOW("exit_group", "processes"),
    ALLOW("set_tid_address", "threads"),
    ALLOW("set_robust_list", "threads"),
    ALLOW("rseq", "the C library's threads"),
    ALLOW("futex", "locks"),
    PRCTL(PR_SET_DUMPABLE, "init hides"),
    PRCTL(PR_SET_NAME, "thread names"),
    ANSWER("prctl", EINVAL, "as a kernel without the option says"),
    ALLOW_INT("arch_prctl", 0, X86_SET_FS, "thread-local storage"),
    ANSWER("arch_prctl", EINVAL, "as a kernel without the option says"),
    ALLOW_INT("prlimit64", 0, 0, "own limits: the stack's size for threads"),
    ANSWER("prlimit64", EPERM, "other processes' limits"),
    ALLOW("rt_sigaction", "signals"),
    ALLOW("rt_sigprocmask", "signals"),
    ALLOW("rt_sigreturn", "signals"),
    ALLOW("restart_syscall", "the kernel's own: a wait that freezing interrupted"),
    ALLOW("signalfd4", "init waits for its worker's end"),
    ALLOW("poll", "waiting: the function library"),
    ALLOW("ppoll", "waiting: init"),
    ALLOW("clock_gettime", "time, where the vDSO does not answer"),
    ALLOW("clock_nanosleep", "time"),
    ALLOW("getrandom", "random bytes"),
    ALLOW("recvmsg", "init's control socket"),
    ALLOW("recvfrom", "the worker's socket"),
    ALLOW("sendmsg", "the worker's socket; init's"),
    ALLOW("getsockopt", "init asks what it was given"),
};

enum { STRICT_ROWS = sizeof(strict_rows) / sizeof(strict_rows[0]) };

static bool strict_names(const char *syscall)
{
    for (unsigned i = 0; i < STRICT_ROWS; i++)
        if (strcmp(strict_rows[i].syscall, syscall) == 0)
            return true;
    return false;
}

/* Its own rows, and for other calls the default's: what is allowed there is denied, and told. */
const struct seccomp_rule *profile_strict_table(size_t *ret_count)
{
    static struct seccomp_rule all[STRICT_ROWS + PROFILE_TABLE_MAX];
    size_t count, n = STRICT_ROWS;
    const struct seccomp_rule *rows = profile_default_table(&count);
    memcpy(all, strict_rows, sizeof(strict_rows));
    for (size_t i = 0; i < count; i++) {
        if (strict_names(rows[i].syscall))
            continue;
        all[n] = rows[i];
        if (rows[i].error == 0) {
            all[n].error = SECCOMP_TELL;
            all[n].reason = "the default's, not strict's: EPERM";
        }
        n++;
    }
    *ret_count = n;
    return all;
}

/* What the set-up behind its filter, init (rootfs/init/syscall.h) and the kernel itself do, whatever the function does. */
static const char *const init_calls[] = {
    "read",      "close",        "close_range",  "dup3",    "pipe2",      "openat",          "openat2",
    "fstat",     "sendfile",     "unlinkat",     "fchmod",  "fchmodat",   "lseek",           "getdents64",
    "statfs",    "chdir",        "umask",        "recvmsg", "sendmsg",    "ppoll",           "getsockopt",
    "clone",     "execve",       "execveat",     "wait4",   "kill",       "setsid",          "rt_sigprocmask",
    "signalfd4", "rt_sigaction", "rt_sigreturn", "prctl",   "exit_group", "restart_syscall",
};

static bool is_init_call(const char *name)
{
    for (unsigned i = 0; i < sizeof(init_calls) / sizeof(init_calls[0]); i++)
        if (strcmp(init_calls[i], name) == 0)
            return true;
    return false;
}

/* Templates' children need theirs before their first request. */
void profile_tell_others(struct seccomp_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = rules[i].syscall;
        if (rules[i].error != 0 || is_init_call(name) || profile_is_templates(name))
            continue;
        rules[i].error = SECCOMP_TELL;
        rules[i].reason = "the default's: told to whoever listens";
    }
}

static void add(uint64_t calls[PROFILE_CALL_WORDS], const char *name)
{
    int number = seccomp_find_number(name);
    if (number >= 0 && number < PROFILE_CALL_WORDS * 64)
        calls[number / 64] |= UINT64_C(1) << (number % 64);
}

void profile_add_always(bool for_template, uint64_t calls[PROFILE_CALL_WORDS])
{
    size_t count;
    const struct seccomp_rule *rules = profile_rules(for_template ? PROFILE_TEMPLATE : PROFILE_DEFAULT, &count);
    add(calls, "seccomp"); /* by which the default is attached behind the list: that one denies it */
    for (size_t i = 0; i < count; i++)
        if (is_init_call(rules[i].syscall) || profile_is_templates(rules[i].syscall))
            add(calls, rules[i].syscall);
}

int profile_seal(const struct seccomp_program *strict, uint64_t *ret_key, struct seccomp_program *ret_program,
                 struct err *e)
{
    uint64_t key;
    if (getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key))
        return err_set(e, errno, "draw a key");
    int r = seccomp_program_copy_with(strict, PROFILE_EXEC_PLACEHOLDER, key, ret_program, e);
    if (r == 0)
        *ret_key = key;
    return r;
}
