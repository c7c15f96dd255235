/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/port_holder.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The socket's inode from a table of proc(5): "sl local_address rem_address st ... inode", addresses in hex, state 0A = listening. */
static uint64_t find_inode(const char *table, unsigned port)
{
    FILE *f = fopen(table, "re");
    if (!f)
        return 0;
    char line[512];
    uint64_t found = 0;
    while (!found && fgets(line, sizeof(line), f)) {
        unsigned local_port, state;
        unsigned long long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %llu", &local_port, &state,
                   &inode) == 3 &&
            local_port == port && state == 0x0A)
            found = inode;
    }
    fclose(f);
    return found;
}

static bool holds(int proc, const char *pid, const char *wanted)
{
    char path[64];
    fmt_to(path, sizeof(path), "%s/fd", pid);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return false;
    }
    bool found = false;
    for (struct dirent *at = readdir(d); at && !found; at = readdir(d)) {
        char target[64];
        ssize_t n = readlinkat(dirfd(d), at->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    closedir(d);
    return found;
}

static void print_process(int proc, const char *pid, char *out, size_t cap)
{
    char path[64];
    char name[64];
    fmt_to(path, sizeof(path), "%s/comm", pid);
    ssize_t n = fd_read_file_at(proc, path, name, sizeof(name), NULL);
    if (n > 0)
        name[strcspn(name, "\n")] = '\0';
    fmt_to(out, cap, "%s (pid %s)", n > 0 ? name : "a process", pid);
}

bool port_holder_find(unsigned port, char *out, size_t cap)
{
    uint64_t inode = find_inode("/proc/net/tcp", port);
    if (!inode)
        inode = find_inode("/proc/net/tcp6", port);
    DIR *d = inode ? opendir("/proc") : NULL;
    if (!d)
        return false;
    char wanted[64];
    fmt_to(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long)inode);
    bool found = false;
    for (struct dirent *at = readdir(d); at && !found; at = readdir(d)) {
        uint64_t pid;
        if (!str_to_u64(str_from(at->d_name), &pid) || !holds(dirfd(d), at->d_name, wanted))
            continue;
        print_process(dirfd(d), at->d_name, out, cap);
        found = true;
    }
    closedir(d);
    return found;
}
