/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: making a process in new ones, and stepping into a mount or network namespace for the length of a clone. */
#ifndef FAASD_OS_NS_H
#define FAASD_OS_NS_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

/* clone3(2) like fork: returns 0 in the child, the pid in the parent, or -errno. flags: CLONE_NEW*. Handlers are reset, ignored signals stay ignored.
 * cgroup_fd: the child starts in that cgroup2 directory (CLONE_INTO_CGROUP); -1 = in the caller's. *ret_pidfd is CLOEXEC.
 * No atfork handler runs: the child may do only what is async-signal-safe. */
pid_t ns_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd);

/* fork(2) with a pidfd: 0 in the child, where every signal is blocked, so that no handler of this process runs there; the pid in the parent, or -errno. */
pid_t ns_fork(int *ret_pidfd);

/* Async-signal-safe. */
int ns_unshare(uint64_t flags, struct err *e);

/* Where a process is at home: its network and mount namespace, root and working directory, to come back to. setns(2) puts root and
 * working directory at the entered mount namespace's root, so a chroot'ed caller has to get all three back. */
struct ns_home {
    int mount_fd; /* owned, as are the others */
    int network_fd;
    int root_fd;
};

int ns_home_open(struct ns_home *h, struct err *e);
void ns_home_close(struct ns_home *h);
/* *ret_cwd: pass it to ns_home_return. Single-threaded callers only (setns(2) refuses a shared root). */
int ns_enter_mount(int mount_fd, int *ret_cwd, struct err *e);
/* Never fails: a process that can't find home again would act on the wrong files, so it aborts. */
void ns_home_return(const struct ns_home *h, int *cwd);

/* The descriptor (CLOEXEC) of a new, empty network namespace; the caller is in it then, and goes home again by ns_home_return_network. It belongs to the
 * caller's user namespace and lasts as long as the descriptor or a process in it. */
int ns_make_network(const struct ns_home *h, struct err *e);
int ns_enter_network(int network_fd, struct err *e);
/* Never fails, as above: sockets would be made in the wrong network. */
void ns_home_return_network(const struct ns_home *h);

/* A user namespace with the ids of `m`, and an empty network namespace that belongs to it. Nobody lives in them: descriptors, CLOEXEC. */
struct idmap;
int ns_make_owned_network(const struct idmap *m, int *ret_user, int *ret_network, struct err *e);

/* That what somebody handed over is a network namespace which belongs to that user namespace, and nothing else: -EPERM. *ret_inode names it. */
int ns_check_network(int fd, int user_fd, uint64_t *ret_inode, struct err *e);

#endif
