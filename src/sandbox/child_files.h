/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a plan that make a sandbox's file system, one function for each; child.c says in its tables which of them may run with what power. */
#ifndef FAASD_SANDBOX_CHILD_FILES_H
#define FAASD_SANDBOX_CHILD_FILES_H

#include "sandbox/child.h"

/* Async-signal-safe, as all that runs between clone and exec. 0, or -errno with the step's cause in *e. */
typedef int child_step(struct child *c, const struct step *s, struct err *e);

child_step child_private, child_tmpfs, child_proc, child_chdir, child_dir, child_file, child_point, child_text,
    child_secret, child_copy, child_symlink, child_node, child_bind, child_rebind, child_attach, child_attributes,
    child_clone_root, child_slot, child_leave_chroot, child_pivot, child_check_root;

#endif
