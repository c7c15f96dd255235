/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts (mount(2), open_tree(2), move_mount(2), mount_setattr(2)). A tree is cloned detached, gets its attributes while nobody can see it,
 * and is attached last: no moment exists in which it is writable. Attributes are MOUNT_ATTR_*. Everything here is async-signal-safe.
 */
#ifndef FAASD_OS_MNT_H
#define FAASD_OS_MNT_H

#include "base/err.h"

#include <stdint.h>

/* A detached copy of what is mounted at `path` (dirfd itself when path is ""), submounts included, private, with `attributes` set on each mount of
 * it. Returns a CLOEXEC descriptor: the copy goes away with it unless it was attached. */
int mnt_clone_tree(int dirfd, const char *path, uint64_t attributes, struct err *e);

/* The same of what this namespace shows from "/" on: a second root beside the first, with the mounts' own attributes. For a namespace whose mounts are private already. */
int mnt_clone_root(struct err *e);

/* An O_PATH descriptor; a symbolic link anywhere on the way is refused (ELOOP), because whoever may write there would choose the place. */
int mnt_open_path(const char *path, struct err *e);

/* Attaches a detached tree at `target`; no symbolic link is followed on the way there. */
int mnt_attach(int tree_fd, const char *target, struct err *e);

/* The same as a plain recursive bind: for what is already inside this namespace and keeps its attributes. */
int mnt_bind(const char *source, const char *target, struct err *e);

int mnt_tmpfs(const char *target, uint64_t attributes, const char *options, struct err *e);
int mnt_proc(const char *target, uint64_t attributes,
             struct err *e); /* subset=pid,hidepid=invisible, of the caller's pid namespace */
int mnt_set_attributes(const char *target, uint64_t attributes, struct err *e);
int mnt_make_private(
    struct err *e); /* everything in this namespace: nothing done here shows elsewhere, or the reverse */

int mnt_leave_chroot(
    struct err *e); /* "/" becomes the namespace's root, which pivot_root wants; the working directory stays */
int mnt_pivot(struct err *e); /* the working directory, a mount's root, becomes "/", and what was there is let go */

#endif
