/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one system call inside another process, as someone who took it over would: `probe inject PID NUMBER ARG...`. An argument that is no number
 * is a string, written below the process's stack pointer. Prints the raw result. The process goes on as if nothing had been.
 */
#include "probe.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
static const unsigned char CALL[] = {0x0f, 0x05}; /* syscall */

static void set_call(struct user_regs_struct *r, const long a[7])
{
    r->rax = (unsigned long long)a[0];
    r->rdi = (unsigned long long)a[1];
    r->rsi = (unsigned long long)a[2];
    r->rdx = (unsigned long long)a[3];
    r->r10 = (unsigned long long)a[4];
    r->r8 = (unsigned long long)a[5];
    r->r9 = (unsigned long long)a[6];
    r->orig_rax = ~0ULL; /* not inside a call: nothing is restarted */
}

#define PC(r)     ((r).rip)
#define SP(r)     ((r).rsp)
#define RESULT(r) ((long)(r).rax)
#else
static const unsigned char CALL[] = {0x01, 0x00, 0x00, 0xd4}; /* svc #0 */

static void set_call(struct user_regs_struct *r, const long a[7])
{
    r->regs[8] = (unsigned long long)a[0];
    for (int i = 0; i < 6; i++)
        r->regs[i] = (unsigned long long)a[i + 1];
}

#define PC(r)     ((r).pc)
#define SP(r)     ((r).sp)
#define RESULT(r) ((long)(r).regs[0])
#endif

static int registers(int request, pid_t pid, struct user_regs_struct *r)
{
    struct iovec all = {r, sizeof(*r)};
    return (int)ptrace((enum __ptrace_request)request, pid, (void *)NT_PRSTATUS, &all);
}

/* PTRACE_POKEDATA writes past read-only mappings, as a debugger's breakpoints do. */
static int poke(pid_t pid, unsigned long at, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n; done += sizeof(long)) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(at + done), NULL);
        if (errno)
            return -1;
        memcpy(&word, (const char *)bytes + done, n - done < sizeof(long) ? n - done : sizeof(long));
        if (ptrace(PTRACE_POKEDATA, pid, (void *)(at + done), (void *)word) < 0)
            return -1;
    }
    return 0;
}

static int run_call(pid_t pid, long a[7], int strings, char *const *text)
{
    struct user_regs_struct saved, r;
    int status;
    if (registers(PTRACE_GETREGSET, pid, &saved) < 0)
        return -1;
    r = saved;
    unsigned long stack = (SP(saved) - 4096) & ~15UL;
    for (int i = 0; i < strings; i++)
        if (text[i]) {
            if (poke(pid, stack, text[i], strlen(text[i]) + 1) < 0)
                return -1;
            a[i + 1] = (long)stack;
            stack += 256;
        }
    errno = 0;
    long code = ptrace(PTRACE_PEEKTEXT, pid, (void *)PC(saved), NULL);
    set_call(&r, a);
    if (errno || poke(pid, PC(saved), CALL, sizeof(CALL)) < 0 || registers(PTRACE_SETREGSET, pid, &r) < 0)
        return -1;
    if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
        return -1;
    if (!WIFSTOPPED(status)) {
        printf("killed %d\n", WTERMSIG(status));
        return 0;
    }
    registers(PTRACE_GETREGSET, pid, &r);
    printf("%ld\n", RESULT(r));
    ptrace(PTRACE_POKETEXT, pid, (void *)PC(saved), (void *)code);
    return registers(PTRACE_SETREGSET, pid, &saved);
}

int inject(int argc, char **argv)
{
    pid_t pid = atoi(argv[0]);
    long a[7] = {0};
    char *text[6] = {0};
    for (int i = 1; i < argc && i < 8; i++) {
        char *end;
        a[i - 1] = strtol(argv[i], &end, 0);
        if (*end && i > 1)
            text[i - 2] = argv[i];
    }
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 ||
        waitpid(pid, &status, __WALL) != pid) {
        perror("ptrace");
        return 1;
    }
    int r = run_call(pid, a, 6, text);
    if (r < 0)
        perror("inject");
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return r < 0;
}
