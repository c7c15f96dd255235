/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands before the C library in a faasd that is linked for these tests (build/faults/faasd): what allocates and what enters the kernel passes here, counts where
 * the test has armed it (control.h), and fails where the test says so. Definitions in the program come before every library's, so libev's, cJSON's and
 * libseccomp's calls pass here too, and SQLite and libsodium are part of the program anyway. What the C library calls within itself does not.
 *
 * calls.h is the table of what can fail and how. Nothing here allocates; what a call does between clone and exec stays async-signal-safe.
 */
#include "control.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static_assert(offsetof(struct control, stack) == 88 && offsetof(struct control, sites) == 88 + 8 * CONTROL_STACK,
              "faults.py reads it so");

static struct control *control;
static const char *control_path;
static uintptr_t program_start, program_end;
static __thread uint32_t role;
static __thread bool inside; /* the unwinder allocates the first time */

enum { ERRORS_MAX = 6 };
struct call { /* aligned as the compiler would align it anyway: they stand one behind the other in a section */
    _Alignas(64) const char *name;
    void *real;
    int errors[ERRORS_MAX + 1];
};

/* ---- where it is called from ---- */

static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    program_start = info->dlpi_addr;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            program_end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
    return 1; /* the first one is the program */
}

static unsigned find_stack(uint64_t *stack)
{
    void *frames[CONTROL_STACK + 3];
    inside = true;
    int n = backtrace(frames, CONTROL_STACK + 3) - 3; /* this function, must_fail() and the call's own */
    inside = false;
    for (int i = 0; i < n; i++) {
        uintptr_t at = (uintptr_t)frames[i + 3];
        stack[i] = at >= program_start && at < program_end ? at - program_start : 0;
    }
    return n < 0 ? 0 : (unsigned)n;
}

static uint64_t place_of(const struct call *c, const uint64_t *stack, unsigned n)
{
    uint64_t hash = 14695981039346656037ULL ^ (uint64_t)((uintptr_t)c - program_start);
    unsigned taken = 0;
    for (unsigned i = 0; i < n && taken < 4; i++) {
        if (!stack[i])
            continue;
        hash = (hash ^ stack[i]) * 1099511628211ULL;
        taken++;
    }
    return hash;
}

/* ---- whether this one fails ---- */

static unsigned count_errors(const struct call *c)
{
    unsigned n = 0;
    while (c->errors[n])
        n++;
    return n;
}

static bool counts(enum control_kind kind)
{
    if (!control || inside || !(control->roles & role) || !(control->kinds & kind))
        return false;
    uint32_t mode = control->mode;
    return mode == CONTROL_COUNT || mode == CONTROL_FAIL;
}

/* Returns the error, 0 to go on. */
static __attribute__((noinline)) int must_fail(const struct call *c, enum control_kind kind)
{
    if (!counts(kind))
        return 0;
    uint64_t stack[CONTROL_STACK + 3] = {0};
    uint32_t error = control->error;
    if (error >= count_errors(c) || (control->only[0] && strcmp(control->only, c->name) != 0))
        return 0;
    uint32_t number = atomic_fetch_add(&control->seen, 1) + 1;
    if (control->mode == CONTROL_COUNT) {
        if (number > CONTROL_SITES)
            return 0;
        unsigned n = find_stack(stack);
        control->sites[number - 1] = (struct control_site){kind, count_errors(c), place_of(c, stack, n)};
        return 0;
    }
    if (number < control->number || number >= control->number + control->length)
        return 0;
    find_stack(stack);
    memcpy(control->stack, stack, sizeof(control->stack));
    strncpy(control->call, c->name, CONTROL_CALL_NAME - 1);
    control->role = role;
    control->code = c->errors[error];
    atomic_fetch_add(&control->fired, 1);
    return c->errors[error];
}

/* ---- short and interrupted ---- */

static bool is_mode(enum control_mode mode)
{
    return control && !inside && control->mode == mode && (control->roles & role);
}

/* Each place is interrupted every other time: whoever tries again gets on. */
static __attribute__((noinline)) bool must_interrupt(const struct call *c, const void *from)
{
    enum { PLACES = 1024 };
    static __thread uint64_t interrupted[PLACES / 64];
    if (!is_mode(CONTROL_INTERRUPT))
        return false;
    uint64_t hash = ((uint64_t)(uintptr_t)c ^ (uint64_t)(uintptr_t)from * 31) * 1099511628211ULL;
    unsigned at = (unsigned)(hash >> 40) % PLACES;
    interrupted[at / 64] ^= 1ULL << at % 64;
    bool yes = interrupted[at / 64] >> at % 64 & 1;
    if (yes)
        atomic_fetch_add(&control->fired, 1);
    return yes;
}

static long raw(long number, ...);

/* The kernel's own files are written whole or not at all, and what is a record stays one; of a pipe that holds PIPE_BUF or less is neither read nor written in pieces (pipe(7)):
 * it is written at once, so all of it is there. */
static size_t shorten(int fd, size_t n, bool is_write)
{
    enum { MUCH = 64 << 10, PROC = 0x9fa0, CGROUP = 0x27e0eb, SYSFS = 0x62656572 };
    static const long cgroup2 = 0x63677270, selinux = 0x6e736673 /* nsfs */, anon = 0x09041934;
    struct stat st;
    struct statfs fs;
    int type;
    socklen_t length = sizeof(type);
    if (n < 2 || !is_mode(CONTROL_SHORT) || raw(SYS_fstat, fd, &st) < 0)
        return n;
    if (S_ISSOCK(st.st_mode) &&
        (raw(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM))
        return n;
    if (S_ISFIFO(st.st_mode) && n <= 4096)
        return n;
    if (!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISREG(st.st_mode))
        return n;
    if (S_ISREG(st.st_mode) && is_write &&
        (raw(SYS_fstatfs, fd, &fs) < 0 || fs.f_type == PROC || fs.f_type == CGROUP || fs.f_type == cgroup2 ||
         fs.f_type == SYSFS || fs.f_type == selinux || fs.f_type == anon))
        return n;
    atomic_fetch_add(&control->fired, 1);
    return n > MUCH ? n / 3 : 1; /* a program is copied, a configuration passed on: not for minutes */
}

/* ---- starting ---- */

static void find_real(struct call *c)
{
    if (!c->real)
        c->real = dlsym(RTLD_NEXT, c->name);
}

static void find_all(void);

static void open_control(void)
{
    control_path = getenv(CONTROL_VARIABLE);
    int fd = control_path ? open(control_path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at != MAP_FAILED)
        control = at;
}

/* The processes without power are told by the name that the supervisor starts them under. */
static uint32_t find_role(const char *name)
{
    static const struct {
        const char *name;
        uint32_t role;
    } programs[] = {
        {"faasd-gateway", CONTROL_GATEWAY}, {"faasd-network", CONTROL_NETWORK}, {"faasd-resolver", CONTROL_RESOLVER}};
    for (size_t i = 0; name && i < sizeof(programs) / sizeof(programs[0]); i++)
        if (strcmp(name, programs[i].name) == 0)
            return programs[i].role;
    return CONTROL_SUPERVISOR;
}

__attribute__((constructor(101))) static void start(void)
{
    void *frames[4];
    find_all();
    dl_iterate_phdr(find_program, NULL);
    backtrace(frames, 4); /* loads the unwinder */
    extern char *program_invocation_name;
    role = find_role(program_invocation_name);
    open_control();
}

#include "calls.h"
