/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The first of the paths that opens, or the last errno. */
static struct finding first_that_opens(const char *const *paths)
{
    for (; *paths; paths++) {
        int fd = open(*paths, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            return found_open("open %.80s", *paths);
        }
    }
    return found_denied("open: %s", strerrorname_np(errno));
}

static struct finding F1(const char *argument) {
    /* The argument is a marker file that the host made, readable by all. */
    const char *const paths[] = {"/etc/shadow", "/etc/hostname", "/etc/machine-id", "/root", "/home", argument, NULL};
    for (int i = 3; i < 5; i++) {
        DIR *d = opendir(paths[i]);
        struct dirent *entry = NULL;
        /* "faas" is the home directory that every sandbox has. */
        while (d && (entry = readdir(d)) && (entry->d_name[0] == '.' || strcmp(entry->d_name, "faas") == 0))
            ;
        if (d)
            closedir(d);
        if (entry)
            return found_open("%s holds %s", paths[i], entry->d_name);
    }
    const char *const files[] = {paths[0], paths[1], paths[2], argument, NULL};
    return first_that_opens(files);
}

static struct finding
F2(const char *argument) {
    static char path[64 * 3 + 64];
    (void)argument;
    for (int i = 0; i < 64; i++)
        strcat(path, "../");
    strcat(path, "etc/hostname");
    const char *const paths[] = {path, NULL};
    return first_that_opens(paths);
}

static struct finding
F3(const char *argument) {
    (void)argument;
    int fd = open("./planted", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0)
        return found_open("created ./planted");
    fd = open("./probe", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        return found_open("opened the program for writing");
    if (rename("./probe", "./probe2") == 0)
        return found_open("renamed the program");
    if (chmod("./probe", 0777) == 0)
        return found_open("chmod of the program");
    return judge("unlink", unlink("./probe"));
}

static int
exec_copy(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, 1);
    execl("/tmp/f4", "/tmp/f4", "K5", NULL);
    return errno == EACCES ? 13 : 14;
}

static struct finding F4(const char *argument) {
    char buffer[65536];
    (void)argument;
    int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (in < 0)
        in = open("./probe", O_RDONLY | O_CLOEXEC);
    int out = open("/tmp/f4", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (in < 0 || out < 0)
        return found_denied("copy: %s", strerrorname_np(errno));
    for (ssize_t n; (n = read(in, buffer, sizeof(buffer))) > 0;)
        if (write(out, buffer, (size_t)n) != n)
            break;
    close(in);
    fchmod(out, 06755);
    close(out);
    int r = in_child(exec_copy);
    unlink("/tmp/f4");
    return r == 13 ? found_denied("exec from /tmp: EACCES") : found_open("a set-id copy in /tmp was executed: %d", r);
}

static struct finding
F5(const char *argument) {
    (void)argument;
    long r = mknod("/tmp/f5", S_IFCHR | 0666, makedev(1, 1));
    if (r < 0)
        r = mknod("/tmp/f5", S_IFBLK | 0666, makedev(8, 0));
    struct finding f = judge("mknod", r);
    unlink("/tmp/f5");
    return f;
}

static struct finding
F6(const char *argument) {
    (void)argument;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
            return found_open("fd %d is a directory", fd);
    }
    char cwd[256];
    ssize_t n = readlink("/proc/self/cwd", cwd, sizeof(cwd) - 1);
    if (n > 0 && strncmp(cwd, "/var/task", 9) != 0)
        return found_open("cwd leads elsewhere");
    return found_denied("no directory among the descriptors");
}

static struct finding
F7(const char *argument) {
    (void)argument;
    mkdir("/tmp/f7", 0755);
    return judge("chroot", chroot("/tmp/f7"));
}

static struct finding
F8(const char *argument) {
    (void)argument;
    if (mount("none", "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
        return found_open("remounted / writable");
    if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
        return found_open("mounted over /tmp");
    struct {
        unsigned long long set, clear, propagation, userns;
    } attr = {.clear = 1 /* MOUNT_ATTR_RDONLY */};
    if (syscall(442 /* mount_setattr */, -100, "/", 0, &attr, sizeof(attr)) == 0)
        return found_open("mount_setattr of /");
    return judge("umount2", umount2("/", MNT_DETACH));
}

static struct finding
F9(const char *argument) {
    (void)argument;
    const char *const paths[] = {"/proc/kcore",
                                 "/proc/kallsyms",
                                 "/proc/sysrq-trigger",
                                 "/proc/sys/kernel/core_pattern",
                                 "/proc/1/environ",
                                 "/proc/config.gz",
                                 "/proc/modules",
                                 "/proc/1/root/etc/hostname",
                                 "/proc/cmdline",
                                 "/proc/meminfo",
                                 NULL};
    return first_that_opens(paths);
}

static struct finding
F10(const char *argument) {
    (void)argument;
    const char *const paths[] = {"/sys", "/sys/fs/cgroup", "/sys/kernel", "/sys/fs/cgroup/memory", NULL};
    return first_that_opens(paths);
}

static struct finding
F11(const char *argument) {
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head.handle_bytes = 128};
    int mount_id;
    (void)argument;
    return judge("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/tmp", &handle, &mount_id, 0));
}

static struct finding
F12(const char *argument) {
    static char block[1 << 20];
    (void)argument;
    int fd = open("/tmp/f12", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    long written = 0;
    while (written < 80 && write(fd, block, sizeof(block)) == sizeof(block))
        written++;
    int why = errno;
    close(fd);
    unlink("/tmp/f12");
    if (written == 80)
        return found_open("wrote 80M to /tmp");
    return found_denied("after %ldM: %s", written, strerrorname_np(why));
}

static struct finding
F13(const char *argument) {
    enum { MANY = 70000 };
    char path[64];
    int made = 0;
    (void)argument;
    mkdir("/tmp/f13", 0700);
    int why = 0;
    for (; made < MANY; made++) {
        snprintf(path, sizeof(path), "/tmp/f13/%d", made);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            why = errno;
            break;
        }
        close(fd);
    }
    for (int i = 0; i < made; i++) {
        snprintf(path, sizeof(path), "/tmp/f13/%d", i);
        unlink(path);
    }
    rmdir("/tmp/f13");
    return made == MANY ? found_open("%d files", made) : found_denied("after %d files: %s", made, strerrorname_np(why));
}

static struct finding
F14(const char *argument) {
    (void)argument;
    int fd = open("/tmp/f14", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    long r = fallocate(fd, 0, 0, 1L << 29);
    struct finding f = judge("fallocate 512M", r);
    close(fd);
    unlink("/tmp/f14");
    return f;
}

static struct finding
F15(const char *argument) {
    enum { DEPTH = 2000 };
    (void)argument;
    int made = 0;
    if (chdir("/tmp") < 0)
        return found_denied("chdir /tmp");
    while (made < DEPTH && mkdir("d", 0700) == 0 && chdir("d") == 0)
        made++;
    /* Left as it is: what it costs is the next request's matter, and the harness looks at that. */
    return made == DEPTH ? found_open("%d levels deep", made)
                         : found_denied("after %d levels: %s", made, strerrorname_np(errno));
}

static struct finding
F16(const char *argument) {
    const char *const places[] = {"/tmp", "/dev/shm", "/var/tmp", "/run"};
    char path[64], value[16];
    struct stat st;
    bool look = strcmp(argument, "write") != 0;
    for (size_t i = 0; look && i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), "%s/f16-residue", places[i]);
        if (access(path, F_OK) == 0)
            return found_open("%s is still there", path);
    }
    if (look && getxattr("/tmp", "user.f16", value, sizeof(value)) >= 0)
        return found_open("an attribute of /tmp is still there");
    if (look && (stat("/tmp", &st) < 0 || (st.st_mode & 07777) != 01777))
        return found_open("the mode of /tmp is still changed");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), "%s/f16-residue", places[i]);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    }
    mkdir("/tmp/f16", 0700);
    mkdir("/tmp/f16/deep", 0700);
    chmod("/tmp/f16", 0);
    setxattr("/tmp", "user.f16", "x", 1, 0);
    chmod("/tmp", 0700);
    return found_denied("no residue");
}

/* Every way to the files of another sandbox that a path can be. The argument is the name of a secret that this function does not have. */
static struct finding
F18(const char *argument) {
    static const char *const places[] = {"/run/secrets",
                                         "/run/secrets/..",
                                         "/var/run/secrets",
                                         "/../run/secrets",
                                         "/run/slots/*/run/secrets",
                                         "/proc/*/root/run/secrets",
                                         "/proc/*/cwd/run/secrets",
                                         "/proc/*/cwd/../../run/secrets",
                                         "/proc/*/fd/*",
                                         "/proc/*/task/*/root/run/secrets"};
    unsigned looked = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char pattern[128];
        glob_t found;
        snprintf(pattern, sizeof(pattern), "%s/%s", places[i], argument);
        if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
            int fd = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
            if (fd >= 0)
                return found_open("read %.80s", found.gl_pathv[0]);
            globfree(&found);
        }
        looked++;
    }
    /* its own is there, so it has looked where secrets are */
    if (access("/run/secrets/own", R_OK) < 0)
        return found_open("not even its own secret is there: nothing was tried");
    if (open("/run/secrets/own", O_WRONLY | O_CLOEXEC) >= 0 ||
        open("/run/secrets/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0)
        return found_open("wrote into /run/secrets");
    return found_denied("none of %u places has it", looked);
}

const struct probe PROBES_FILES[] = {
    {"F1", F1},   {"F2", F2},   {"F3", F3},   {"F4", F4},   {"F5", F5},   {"F6", F6},
    {"F7", F7},   {"F8", F8},   {"F9", F9},   {"F10", F10}, {"F11", F11}, {"F12", F12},
    {"F13", F13}, {"F14", F14}, {"F15", F15}, {"F16", F16}, {"F18", F18}, {0},
};
