/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp programs: built once from a table, kept as BPF, loaded by a raw system call, so that nothing allocates between
 * clone and exec (seccomp(2)). libseccomp resolves the names.
 */
#ifndef FAASD_OS_SECCOMP_H
#define FAASD_OS_SECCOMP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

struct seccomp_program {
    struct sock_filter *code; /* owned */
    unsigned short length;    /* instructions */
};

/* One condition on an argument. Values are compared after masking, 64 bits wide; the kernel truncates several arguments to 32 bits, so rules on
 * those mask with 0xffffffff. All conditions of a rule must hold. */
struct seccomp_condition {
    unsigned argument; /* 0-5 */
    uint64_t mask;
    uint64_t value;
};

enum { SECCOMP_CONDITIONS_MAX = 3 };

struct seccomp_rule {
    const char *syscall; /* name; one that this architecture or libseccomp does not know is skipped */
    int error; /* 0 = allow, otherwise the errno to answer with; SECCOMP_KILL = the process dies of SIGSYS; SECCOMP_TELL = whoever listens is told, and answers */
    unsigned condition_count;
    struct seccomp_condition conditions[SECCOMP_CONDITIONS_MAX];
    const char *reason; /* why it is allowed, or why this answer */
};

enum { SECCOMP_KILL = -1, SECCOMP_TELL = -2 };

enum { SECCOMP_RULES_PER_CALL_MAX = 64 };

/* The rules of one system call are tried in the table's order and the first whose conditions all hold answers; one without conditions is
 * the "otherwise" and must be the call's last (-EINVAL: a rule behind it would never be reached). */

/* default_error: what every call without a rule gets (ENOSYS, or EPERM). Foreign architectures and x32 die of SIGSYS. */
int seccomp_build(const struct seccomp_rule *rules, size_t count, int default_error,
                  struct seccomp_program *ret_program, struct err *e);
void seccomp_program_fini(struct seccomp_program *p);

/* A copy in which the one comparison with the 64 bits of `from` is one with `to`. Its halves must stand in the program once each (-EINVAL). */
int seccomp_program_copy_with(const struct seccomp_program *p, uint64_t from, uint64_t to,
                              struct seccomp_program *ret_program, struct err *e);

/* The name of a system call by its number under an architecture (AUDIT_ARCH_*, audit.h): "mount"; "an unknown call" where libseccomp knows none. */
enum { SECCOMP_NAME_MAX = 64 };
uint32_t seccomp_native_architecture(void);
void seccomp_find_name(uint32_t architecture, int number, char out[SECCOMP_NAME_MAX]);

/* Its number on this architecture; -1: it has none, or libseccomp doesn't know it. */
int seccomp_find_number(const char *name);

/* Has any architecture a call of that name? A list may be carried from one to another. */
bool seccomp_is_name(const char *name);
/* The name of this architecture's call that `word` may be a slip of; "": none is near. */
void seccomp_find_nearest(const char *word, char out[SECCOMP_NAME_MAX]);

/* Async-signal-safe; no_new_privs must be set. */
int seccomp_attach(const struct seccomp_program *p, struct err *e);

/*
 * Listening (seccomp_unotify(2)). A program with SECCOMP_TELL is attached by the second form, which returns the descriptor to listen on, CLOEXEC. Whoever makes such a call waits until it is answered; when
 * the last copy of the descriptor is closed it gets ENOSYS. "Let it go on" runs the call as it was made: the filter has seen its registers, which nobody can change
 * meanwhile, so it is never more than another rule of the program, saying `allow` in its place, would be.
 */
int seccomp_attach_listening(const struct seccomp_program *p, struct err *e);

/*
 * A filter of its own in front of another: what has no bit in `words` is told (SECCOMP_TELL), the rest is left to the other. Of two answers the kernel takes the stricter, and an errno or a death is
 * stricter than being told (seccomp(2)), so it takes from what the other allows and gives nothing. SYS_seccomp needs a bit, as the other is attached behind it. No memory is
 * allocated; ranges of numbers with one verdict are one comparison, so that the kernel can know beforehand what is always allowed (seccomp_cache_prepare).
 */
enum { SECCOMP_CALL_WORDS = 8 /* 512 numbers, a bit each */, SECCOMP_CALLS_MAX = SECCOMP_CALL_WORDS * 128 + 2 };
/* code: room for SECCOMP_CALLS_MAX. Returns how many instructions it has. */
unsigned seccomp_make_calls(const uint64_t words[SECCOMP_CALL_WORDS], struct sock_filter *code);
int seccomp_attach_calls(const uint64_t words[SECCOMP_CALL_WORDS], struct err *e); /* as seccomp_attach_listening */
struct seccomp_notice {
    uint64_t id;
    uint32_t pid; /* of the thread, in the caller's pid namespace; 0 = not in it */
    int number;
};
/* 1 with a notice; 0: none waits; -EPIPE: none will, every process under the program is dead. Never blocks. */
int seccomp_receive_notice(int fd, struct seccomp_notice *ret_notice);
/* error: an errno, or 0 to let it go on. Who asked may be dead already: no error. */
void seccomp_answer_notice(int fd, uint64_t id, int error);

#endif
