/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sandboxes share. The base tree is built by a helper process as the root of a mount namespace of its own; the helper ends, and a descriptor
 * keeps the namespace. Every sandbox is cloned from inside it (spawn.c), which has three effects: the host's mounts were never in a sandbox's
 * namespace, so no pivot_root has to get rid of them; a start costs the same on a host with 10 mounts and with 500; and a copy made for a less
 * privileged user namespace is locked, so nothing inside could take a part of it away or make it writable again.
 */
#include "sandbox/base.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "init_image.h"
#include "os/pidfd.h"
#include "os/userns.h"
#include "sandbox/child.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

/* The helper: builds, says so by one byte, and stays until the parent has hold of the namespace. */
static void __attribute__((noreturn)) build_tree(struct plan *p, int report_fd, int release_fd)
{
    struct child c;
    struct err e = {0};
    child_init(&c, p, NULL);
    child_build_base(&c, &e);
    if (fd_write_full(report_fd, &e, sizeof(e)) < 0)
        _exit(1); /* the parent reads the end */
    char byte;
    fd_read_full(release_fd, &byte, 1);
    _exit(0);
}

static int open_namespace(pid_t helper, int report_fd, struct err *e)
{
    struct err said = {0};
    if (fd_read_full(report_fd, &said, sizeof(said)) != (ssize_t)sizeof(said))
        return err_say(e, ECHILD, "the builder of the base tree died");
    if (said.code) {
        *e = said;
        return err_wrap(e, "build the base tree");
    }
    char path[48];
    fmt_to(path, sizeof(path), "/proc/%d/ns/mnt", helper);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open '%s'", path) : fd;
}

/* Returns the descriptor of the namespace whose root is the tree. */
static int make_tree(struct plan *p, struct err *e)
{
    int report[2], release[2], status;
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd report_read = report[0], report_write = report[1];
    if (pipe2(release, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd release_read = release[0], release_write = release[1];
    scoped_fd pidfd = -1;
    pid_t helper = ns_clone(CLONE_NEWNS | CLONE_NEWPID, -1, &pidfd);
    if (helper < 0)
        return err_set(e, -helper, "clone the builder of the base tree");
    if (helper == 0) {
        close(release_write); /* so that the parent's end alone keeps it waiting */
        build_tree(p, report_write, release_read);
    }
    fd_close(&report_write);
    int fd = open_namespace(helper, report_read, e);
    fd_close(&release_write);
    pidfd_reap(pidfd, true, &status);
    return fd;
}

/* Execute-only: the kernel then makes init non-dumpable, and nobody inside can read its image or attach to it. */
static int make_init(struct err *e)
{
    int raw = memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (raw < 0 && errno == EINVAL)
        raw = memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    scoped_fd fd = raw;
    if (fd < 0)
        return err_set(e, errno, "make the memory file of init");
    int r = fd_write_full(fd, init_image, sizeof(init_image));
    if (r < 0)
        return err_set(e, -r, "write the memory file of init");
    if (fchmod(fd, 0111) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_set(e, errno, "seal the memory file of init");
    /* A descriptor open for writing makes execve answer ETXTBSY. */
    char path[48];
    fmt_to(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reopened = open(path, O_PATH | O_CLOEXEC);
    return reopened < 0 ? err_set(e, errno, "reopen the memory file of init") : reopened;
}

static int build_filters(struct sandbox_base *b, struct err *e)
{
    const struct profile_options o = {.memfd_denied = b->memfd_noexec_fd < 0};
    int r = 0;
    for (unsigned p = 0; p < PROFILE_COUNT && r == 0; p++)
        r = profile_build((enum profile)p, &o, &b->filters[p], e);
    for (unsigned for_template = 0; for_template < 2; for_template++)
        profile_add_always(for_template, b->always[for_template]);
    return r;
}

int sandbox_base_open(struct sandbox_base **ret_base, const struct sandbox_base_options *o, struct err *e)
{
    struct sandbox_base *b = calloc(1, sizeof(*b));
    if (!b)
        return err_set(e, ENOMEM, "make the base of sandboxes");
    b->features = *o->features;
    b->code_owner = o->code_owner;
    b->tree_fd = b->init_fd = b->self_fd = b->home.mount_fd = b->home.network_fd = b->home.root_fd = -1;
    b->memfd_noexec_fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
    b->features.found[FEATURE_MEMFD_NOEXEC] = b->memfd_noexec_fd >= 0;
    int r = plan_build_base(&b->plan, o->config, o->scratch_dir, e);
    if (r == 0)
        r = ns_home_open(&b->home, e);
    if (r == 0 && (b->self_fd = fcntl(o->self_fd, F_DUPFD_CLOEXEC, 3)) < 0)
        r = err_set(e, errno, "keep the program's descriptor");
    if (r == 0)
        r = b->init_fd = make_init(e);
    if (r >= 0)
        r = build_filters(b, e);
    if (r >= 0)
        r = b->tree_fd = make_tree(&b->plan, e);
    if (r < 0) {
        sandbox_base_close(b);
        return r;
    }
    *ret_base = b;
    return 0;
}

void sandbox_base_close(struct sandbox_base *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < PROFILE_COUNT; i++)
        seccomp_program_fini(&b->filters[i]);
    plan_fini(&b->plan);
    network_stock_fini(&b->networks);
    ns_home_close(&b->home);
    fd_close(&b->tree_fd);
    fd_close(&b->init_fd);
    fd_close(&b->self_fd);
    fd_close(&b->memfd_noexec_fd);
    free(b);
}

bool sandbox_base_has_stock(const struct sandbox_base *b)
{
    /* Who has entered another network can't come back to the host's without power over that one: there the child makes its own. */
    return userns_own()->entered || network_stock_is_full(&b->networks);
}

int sandbox_base_make_stock(struct sandbox_base *b, struct err *e)
{
    return network_stock_add(&b->networks, &b->home, e);
}
