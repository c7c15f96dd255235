/* SPDX-License-Identifier: Apache-2.0 */
/* More F rows: what can be reached, written, executed or marked by way of a path. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Opens without writing a byte and without making a file: what it finds open stays as it is. */
static struct finding first_to_write(const char *const *paths)
{
    for (; *paths; paths++) {
        struct stat st;
        bool directory = stat(*paths, &st) == 0 && S_ISDIR(st.st_mode);
        int fd = open(*paths, O_WRONLY | O_CLOEXEC | (directory ? O_TMPFILE : 0), 0600);
        if (fd >= 0) {
            close(fd);
            return found_open("%.80s can be written", *paths);
        }
    }
    return found_denied("open for writing: %s", strerrorname_np(errno));
}

static struct finding F19(const char *argument) {
    /* No watchdog, no disk by its number, no port: only what harms nobody when it is opened. */
    static const char *const devices[] = {"/dev/mem",     "/dev/kmsg", "/dev/kvm",  "/dev/fuse", "/dev/net/tun",
                                          "/dev/vsock",   "/dev/ptmx", "/dev/vda",  "/dev/sda",  "/dev/loop-control",
                                          "/dev/console", "/dev/snd",  "/dev/hpet", "/dev/rtc0", "/dev/userfaultfd"};
    (void)argument;
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        int fd = open(devices[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd >= 0)
            return found_open("opened %s", devices[i]);
    }
    return found_denied("%zu devices: %s", sizeof(devices) / sizeof(devices[0]), strerrorname_np(errno));
}

static struct finding
F20(const char *argument) {
    static const char *const paths[] = {"/usr/bin/env",
                                        "/etc/passwd",
                                        "/usr/bin/getent",
                                        "/",
                                        "/usr",
                                        "/usr/bin",
                                        "/etc",
                                        "/var",
                                        "/var/lib",
                                        "/opt",
                                        "/var/task",
                                        "/home",
                                        "/var/runtime",
                                        "/run",
                                        "/dev",
                                        "/mnt",
                                        "/proc",
                                        "/proc/self",
                                        "/run/secrets",
                                        "/lib/systemd",
                                        "/boot",
                                        NULL};
    (void)argument;
    return first_to_write(paths);
}

static struct finding
F21(const char *argument) {
    static const char path[] = "/usr/bin/env";
    struct stat st;
    (void)argument;
    if (stat(path, &st) < 0)
        return found_denied("stat: %s", strerrorname_np(errno));
    if (chmod(path, st.st_mode & 07777) == 0)
        return found_open("chmod of %s", path);
    struct timespec same[2] = {st.st_atim, st.st_mtim};
    if (utimensat(AT_FDCWD, path, same, 0) == 0)
        return found_open("utimensat of %s", path);
    return judge("setxattr of a program of the host", setxattr(path, "user.f21", "x", 1, 0));
}

static struct finding
F22(const char *argument) {
    (void)argument;
    unlink("/tmp/f22");
    long r = link("/usr/bin/env", "/tmp/f22");
    struct finding f = judge("a hard link to a program of the host", r);
    unlink("/tmp/f22");
    return f;
}

static struct finding
F23(const char *argument) {
    static const char *const paths[] = {"/proc/sys/kernel/core_pattern",
                                        "/proc/sys/kernel/modprobe",
                                        "/proc/sys/kernel/hostname",
                                        "/proc/sys/vm/overcommit_memory",
                                        "/proc/sys/vm/drop_caches",
                                        "/proc/sys/fs/binfmt_misc/register",
                                        "/proc/sysrq-trigger",
                                        "/proc/irq/default_smp_affinity",
                                        "/sys/kernel/uevent_helper",
                                        "/sys/power/state",
                                        NULL};
    (void)argument;
    return first_to_write(paths);
}

static struct finding
F24(const char *argument) {
    /* struct vfs_cap_data, revision 2: cap_sys_admin, permitted and effective */
    static const unsigned capability[5] = {0x02000001, 1u << 21, 0, 0, 0};
    (void)argument;
    close(open("/tmp/f24", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
    struct finding f =
        judge("a file capability", setxattr("/tmp/f24", "security.capability", capability, sizeof(capability), 0));
    unlink("/tmp/f24");
    return f;
}

static struct finding
F25(const char *argument) {
    /* The kernel's own links, which no path walk checks. */
    static const char *const paths[] = {
        "/proc/self/root/etc/hostname",
        "/proc/thread-self/root/etc/hostname",
        "/proc/self/cwd/../../../etc/hostname",
        "/proc/self/root/../../etc/hostname",
        "/proc/self/task/../root/etc/hostname",
        "/proc/1/cwd/etc/hostname",
        "/proc/1/root/etc/hostname",
        "/dev/fd/../root/etc/hostname",
    };
    (void)argument;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return found_open("read %s", paths[i]);
    }
    return found_denied("%zu links: %s", sizeof(paths) / sizeof(paths[0]), strerrorname_np(errno));
}

/* A copy of `from` that may be executed, or -1. */
static int
copy_to(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    for (ssize_t n; in >= 0 && out >= 0 && (n = read(in, buffer, sizeof(buffer))) > 0;)
        if (write(out, buffer, (size_t)n) != n)
            break;
    int r = in < 0 || out < 0 ? -1 : 0;
    close(in);
    close(out);
    return r;
}

static const char *program, *program_argument;

static int exec_program(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, 1);
    dup2(null, 2);
    execl(program, program, program_argument, "K5", NULL);
    return errno == EACCES ? 13 : 14;
}

/* Whether an exec that was tried gave a program that ran. */
static bool it_ran(void)
{
    int r = in_child(exec_program);
    return r != 13 && r != 14 && r != 127 && r < 1000;
}

static struct finding F26(const char *argument) {
    static const char *const places[] = {"/dev/shm", "/var/tmp", "/run", "/home/faas", "/mnt", "/dev", "/var/log"};
    char path[64];
    int written = 0;
    (void)argument;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), "%s/f26-%d", places[i], getpid());
        if (copy_to("./probe", path) == 0) {
            program = path;
            program_argument = "K5";
            bool ran = it_ran();
            unlink(path);
            written++;
            if (ran)
                return found_open("a program in %s was executed", places[i]);
        }
    }
    return found_denied("%d places can be written, none executed", written);
}

static struct finding
F27(const char *argument) {
    char path[64];
    (void)argument;
    snprintf(path, sizeof(path), "/tmp/f27-%d", getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    if (fd < 0 || write(fd, "code", 4) != 4)
        return found_denied("write: %s", strerrorname_np(errno));
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    struct finding f = judge("map a file of /tmp executable", p == MAP_FAILED ? -1 : 0);
    if (p == MAP_FAILED && (p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0)) != MAP_FAILED &&
        mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0)
        f = found_open("mprotect of a file of /tmp");
    close(fd);
    unlink(path);
    return f;
}

#ifdef __x86_64__
static const char LOADER[] = "/lib64/ld-linux-x86-64.so.2";
#else
static const char LOADER[] = "/lib/ld-linux-aarch64.so.1";
#endif

static struct finding F28(const char *argument) {
    char path[64];
    (void)argument;
    snprintf(path, sizeof(path), "/tmp/f28-%d", getpid());
    if (copy_to("/usr/bin/true", path) < 0)
        return found_denied("copy: %s", strerrorname_np(errno));
    program = LOADER;
    program_argument = path;
    int r = in_child(exec_program);
    unlink(path);
    return r == 0 ? found_open("the loader ran a program from /tmp") : found_denied("the loader's status: %d", r);
}

static struct finding
F29(const char *argument) {
    /* Where a set-id bit would count. */
    static const char *const places[] = {"/",     "/usr", "/usr/bin", "/tmp",     "/var/task", "/dev/shm",
                                         "/proc", "/run", "/var",     "/var/tmp", "/etc",      "/opt"};
    int looked = 0;
    (void)argument;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct statvfs fs;
        if (statvfs(places[i], &fs) < 0)
            continue;
        looked++;
        if (!(fs.f_flag & ST_NOSUID))
            return found_open("set-id bits count on %s", places[i]);
    }
    return found_denied("%d mounts, each nosuid", looked);
}

static struct finding
F30(const char *argument) {
    (void)argument;
    int fd = open(".", O_RDONLY | O_CLOEXEC);
    long flags = 0;
    return judge("a file's flags by ioctl", fd < 0 ? fd : ioctl(fd, FS_IOC_GETFLAGS, &flags));
}

static struct finding
F31(const char *argument) {
    enum { SHM_MIB = 300 };
    static char block[1 << 20];
    char path[64];
    (void)argument;
    snprintf(path, sizeof(path), "/dev/shm/f31-%d", getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int written = 0;
    while (fd >= 0 && written < SHM_MIB && write(fd, block, sizeof(block)) == sizeof(block))
        written++;
    int why = errno;
    close(fd);
    unlink(path);
    return written == SHM_MIB ? found_open("%d MiB in /dev/shm", written)
                              : found_denied("after %d MiB: %s", written, strerrorname_np(why));
}

static struct finding
F32(const char *argument) {
    /* A link of one's own that leads out: it is the sandbox's root where it starts again. */
    char target[64];
    (void)argument;
    snprintf(target, sizeof(target), "/tmp/f32-%d", getpid());
    unlink(target);
    if (symlink("/../../../../etc/hostname", target) < 0)
        return found_denied("symlink: %s", strerrorname_np(errno));
    int fd = open(target, O_RDONLY | O_CLOEXEC);
    struct finding f = judge("a link out of /tmp", fd);
    unlink(target);
    return f;
}

/* Shared, so that two probes at a time don't meet; it keeps everybody else from an exclusive one. */
static struct finding
F33(const char *argument) {
    (void)argument;
    int fd = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? judge("open a program of the host", fd)
                  : judge("lock a program of the host", flock(fd, LOCK_SH | LOCK_NB));
}

const struct probe PROBES_PATHS[] = {
    {"F19", F19}, {"F20", F20}, {"F21", F21}, {"F22", F22}, {"F23", F23}, {"F24", F24}, {"F25", F25}, {"F26", F26},
    {"F27", F27}, {"F28", F28}, {"F29", F29}, {"F30", F30}, {"F31", F31}, {"F32", F32}, {"F33", F33}, {0},
};
