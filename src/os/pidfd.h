/* SPDX-License-Identifier: Apache-2.0 */
/* Processes by descriptor: a pid may have been reused, a pidfd never is (pidfd_open(2)). */
#ifndef FAASD_OS_PIDFD_H
#define FAASD_OS_PIDFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int pidfd_kill(int pidfd);       /* SIGKILL; 0 also when it is dead already, or -errno */
void pidfd_end(int pidfd);       /* kills a child and waits for it; -1: nobody */
bool pidfd_is_reaped(int pidfd); /* somebody has waited for it: its number may be another's */
bool pidfd_is_dead(int pidfd);   /* exited, reaped or not */
/* 1 and the wait status (as waitpid's) when it was reaped; 0 while it runs; or -errno. block: waits for the end. */
int pidfd_reap(int pidfd, bool block, int *ret_status);

/* The wait status of a dead process that is another's to wait for. False when nobody knows it any more: before Linux 6.15, once it was waited for. */
bool pidfd_read_status(int pidfd, pid_t pid, int *ret_status);

/* Whether each of its user ids is `uid` and each of its group ids `gid`: 1 or 0. -errno; -ENOTTY or -EINVAL before Linux 6.13. */
int pidfd_ids_are(int pidfd, uint32_t uid, uint32_t gid);

/* Its pid namespace, opened. -errno; -ENOTTY before Linux 6.11. */
int pidfd_open_pid_namespace(int pidfd);
/* Whether `pid` is in the opened pid namespace, or in one beneath it: 1 or 0, also when there is no such process. -errno; -ENOTTY before Linux 6.11. */
int pidfd_namespace_holds(int pid_namespace, pid_t pid);

#endif
