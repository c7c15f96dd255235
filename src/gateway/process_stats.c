/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/process_stats.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { START_WAVER_MS = 1000 };

/* Open for the life of the process. */
static int memory_fd = -1;
static int descriptors_fd = -1;
static uint64_t started_mono_ns;

void process_stats_open(void)
{
    memory_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    descriptors_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    started_mono_ns = clock_mono_ns();
}

static void read_memory(struct process_stats *s)
{
    char text[128];
    unsigned long pages, resident;
    ssize_t n = memory_fd < 0 ? -1 : pread(memory_fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return;
    text[n] = '\0';
    if (sscanf(text, "%lu %lu", &pages, &resident) != 2)
        return;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    s->virtual_bytes = pages * page;
    s->resident_bytes = resident * page;
}

/* A clock that is set after the start moves it to where it belongs; otherwise it must not waver. */
static uint64_t find_start(void)
{
    static uint64_t known_ms;
    uint64_t now_ms = clock_real_ms() - (clock_mono_ns() - started_mono_ns) / 1000000;
    uint64_t off = now_ms > known_ms ? now_ms - known_ms : known_ms - now_ms;
    if (off > START_WAVER_MS)
        known_ms = now_ms;
    return known_ms;
}

void process_stats_read(struct process_stats *ret_stats)
{
    struct process_stats s = {.cpu_ns = 0};
    struct timespec cpu;
    struct rlimit limit;
    struct stat st;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        s.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
    s.started_ms = find_start();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        s.max_fds = limit.rlim_cur;
    read_memory(&s);
    /* Since Linux 6.2 the directory's size is their number (Documentation/filesystems/proc.rst). */
    if (descriptors_fd >= 0 && fstat(descriptors_fd, &st) == 0)
        s.open_fds = (uint64_t)st.st_size;
    *ret_stats = s;
}
