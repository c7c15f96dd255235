/* SPDX-License-Identifier: Apache-2.0 */
/* Live sandboxes for unit tests: one base and one cgroup tree per program, sandboxes started and stopped by the parent's half alone. */
#ifndef FAASD_TESTS_SANDBOX_LIVE_H
#define FAASD_TESTS_SANDBOX_LIVE_H

#include "sandbox/spawn.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, CODE_OWNER = 700001, INSTANCE = 700002 };

static char dir[] = "/tmp/faasd-unit-spawn-XXXXXX";
static struct cgroup_tree *tree;
static struct sandbox_base *base;
static struct feature_set features;
static int code_fd = -1;

static inline const char *in_dir(char out[128], const char *name)
{
    fmt_to(out, 128, "%s/%s", dir, name);
    return out;
}

static inline int open_all(void **state)
{
    (void)state;
    static struct config config;
    struct err e;
    char path[128], name[64];
    if (geteuid() != 0)
        return 0;
    static const char *const dirs[] = {"scratch", "code", "grant"};
    if (!mkdtemp(dir))
        return -1;
    for (unsigned i = 0; i < 3; i++)
        if (mkdir(in_dir(path, dirs[i]), 0755) < 0)
            return -1;
    code_fd = open(in_dir(path, "code"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    strcpy(config.etc[config.etc_count++], "ld.so.cache");
    fmt_to(name, sizeof(name), "faasd-unit-spawn-%d", getpid());
    scoped_fd self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const struct sandbox_base_options o = {.config = &config,
                                           .features = &features,
                                           .scratch_dir = in_dir(path, "scratch"),
                                           .code_owner = CODE_OWNER,
                                           .self_fd = self};
    int r = feature_probe(&features, &e);
    if (r == 0)
        r = cgroup_tree_open(&tree, name, &e);
    if (r == 0)
        r = sandbox_base_open(&base, &o, &e);
    if (r < 0)
        print_message("%s\n", e.text);
    return r;
}

static inline int close_all(void **state)
{
    (void)state;
    char path[128];
    sandbox_base_close(base);
    cgroup_tree_close(tree, true);
    if (geteuid() != 0)
        return 0;
    fd_close(&code_fd);
    rmdir(in_dir(path, "scratch"));
    rmdir(in_dir(path, "code"));
    rmdir(in_dir(path, "grant"));
    return rmdir(dir);
}

static inline void need_base(void)
{
    if (!base) {
        print_message("skipped: sandboxes need root\n");
        skip();
    }
}

static inline struct sandbox_spec plain_spec(void)
{
    return (struct sandbox_spec){
        .kind = SANDBOX_FUNCTION,
        .worker = SANDBOX_WORKER_SOCKET,
        .name = "unit",
        .hostname = "unit-host",
        .code_dirfd = code_fd,
        .host_uid = INSTANCE,
        .tmp_bytes = 1 << 20,
        .limits = {.memory_bytes = 64 << 20, .pids = 32, .cpu_weight = 100},
    };
}

/* Until init runs, or what the child said. */
static inline int wait_complete(const struct sandbox *s, struct err *ret_said)
{
    struct pollfd p = {.fd = s->error_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    *ret_said = (struct err){0};
    ssize_t n = read(s->error_fd, ret_said, sizeof(*ret_said));
    return n == 0 ? 0 : -ret_said->code;
}

static inline struct sandbox start(const struct sandbox_spec *spec)
{
    struct sandbox s;
    struct err e;
    int r = sandbox_spawn(base, tree, spec, &s, &e);
    if (r == 0)
        r = wait_complete(&s, &e);
    if (r < 0)
        fail_msg("%s", e.text);
    return s;
}

static inline int stop(struct sandbox *s)
{
    int status = -1, r;
    struct err e;
    assert_int_equal(cgroup_kill(s->group, &e), 0);
    assert_int_equal(pidfd_reap(s->pidfd, true, &status), 1);
    while ((r = cgroup_remove(s->group)) == -EBUSY)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(r, 0);
    fd_close(&s->pidfd);
    fd_close(&s->error_fd);
    fd_close(&s->control_fd);
    fd_close(&s->log_fd);
    fd_close(&s->worker_fd);
    return status;
}

/* What the supervisor's half says of a spec, or the child; nothing of it is left. */
static inline int refuse(const struct sandbox_spec *spec, struct err *ret_said)
{
    struct sandbox s;
    int r = sandbox_spawn(base, tree, spec, &s, ret_said);
    if (r < 0)
        return r;
    r = wait_complete(&s, ret_said);
    stop(&s);
    return r;
}

/* errno of looking at a path as the sandbox sees it, 0 when it is there. Resolved inside its root, so absolute links stay inside. */
static inline int look(const struct sandbox *s, const char *path)
{
    char full[256];
    struct stat st;
    fmt_to(full, sizeof(full), "/proc/%d/root%s", s->pid, path);
    return lstat(full, &st) < 0 ? errno : 0;
}

#endif
