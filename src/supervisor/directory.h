/* SPDX-License-Identifier: Apache-2.0 */
/* Opening directories that nobody else can have prepared (F17): no link or directory of a stranger on the way, ours at the end. */
#ifndef FAASD_SUPERVISOR_DIRECTORY_H
#define FAASD_SUPERVISOR_DIRECTORY_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A descriptor of `path`, made with `mode` where absent (parents with 0755), or -errno. Every component on the way belongs to root or the caller and, where
 * others may write, is sticky; a link on the way belongs to root or the caller. The last component is no link, belongs to the
 * caller, and nobody else may write it. */
int directory_open_own(const char *path, mode_t mode, struct err *e);

/* The same for one component in a directory already trusted. */
int directory_open_own_at(int parent, const char *name, mode_t mode, struct err *e);

/* What is there of a directory and of the way to it, judged the same; the last component may be root's too, and sticky. Nothing is made: -ENOENT. Returns a descriptor
 * that only names it (O_PATH). */
int directory_check_way(const char *path, struct err *e);

/* By its modes, whether that id may go through the directory. */
bool directory_may_pass(const struct stat *st, uid_t uid, gid_t gid);

/* -EACCES, naming the component, when that id could not reach `path`. */
int directory_check_reach(const char *path, uid_t uid, gid_t gid, struct err *e);

#endif
