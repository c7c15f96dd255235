/* SPDX-License-Identifier: Apache-2.0 */
/* How the filters of faasd's own processes are written: rows of struct seccomp_rule, each with its reason. Functions' profiles have more kinds of rows (sandbox/profile_table.h). */
#ifndef FAASD_OS_SECCOMP_ROWS_H
#define FAASD_OS_SECCOMP_ROWS_H

#include "os/seccomp.h"

#include <signal.h>

/* A sanitizer's runtime makes calls of its own, which get rows of their own. */
#ifdef __SANITIZE_ADDRESS__
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif

#define INT_MASK UINT32_MAX /* an int or unsigned argument: the kernel drops the upper half of the register */

#define ALLOW(name, why)                                                                                               \
    {                                                                                                                  \
        .syscall = (name), .reason = (why)                                                                             \
    }

#define SOCKOPT(level, option, answer, why)                                                                            \
    {                                                                                                                  \
        .syscall = "setsockopt", .error = (answer), .condition_count = 2,                                              \
        .conditions = {{1, INT_MASK, (level)}, {2, INT_MASK, (option)}}, .reason = (why)                               \
    }
enum { SOCKOPT_ATTACH_REUSEPORT_CBPF = 51 }; /* newer than the headers of the distributions that this builds on */

/* What a program of faasd's with one thread, a poll loop and the C library makes. */
#define ROWS_OF_A_LOOP                                                                                                 \
    ALLOW("poll", "the loop"), ALLOW("ppoll", "the loop, where there is no poll"),                                     \
        ALLOW("restart_syscall", "the kernel's own"),                                                                  \
        ALLOW("clock_gettime", "deadlines, where the vDSO does not answer"), ALLOW("brk", "memory"),                   \
        ALLOW("mmap", "memory"), ALLOW("munmap", "memory"), ALLOW("mremap", "memory"), ALLOW("madvise", "memory"),     \
        ALLOW("futex", "the C library"), ALLOW("gettid", "abort()"), ALLOW("getpid", "abort()"),                       \
        {.syscall = "tgkill", .condition_count = 1, .conditions = {{2, INT_MASK, SIGABRT}}, .reason = "abort()"},      \
        ALLOW("rt_sigprocmask", "abort()"), ALLOW("rt_sigaction", "abort()"), ALLOW("rt_sigreturn", "signals"),        \
        ALLOW("exit", "the end"), ALLOW("exit_group", "the end")

/* What a sanitizer's runtime makes in one. */
#define ROWS_OF_A_SANITIZER                                                                                            \
    ALLOW("sigaltstack", "sanitizers"), ALLOW("mprotect", "sanitizers"), ALLOW("prctl", "sanitizers"),                 \
        ALLOW("getrlimit", "sanitizers"), ALLOW("prlimit64", "sanitizers"), ALLOW("sched_yield", "sanitizers"),        \
        ALLOW("readlink", "sanitizers"), ALLOW("newfstatat", "sanitizers"), ALLOW("fstat", "sanitizers")

#endif
