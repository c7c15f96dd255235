/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run/ and state/: making them, proving that they are ours, holding them against a second faasd, and clearing what a killed one left.
 *
 *   state/         0710 root:gateway   FORMAT says what wrote it
 *   state/db       0700 gateway        state/logs likewise
 *   state/versions 0755 root           DIGEST/ belong to the code owner; only the supervisor adds and removes entries
 *   state/staging  0755 root           ID/ belong to the code owner while an unpacker fills them
 *   state/trash    0755 code owner     the deleter empties it from its sandbox
 *   state/keys     0700 root           what opens secrets (supervisor/secret_key.h) and signing keys (supervisor/signing_key.h)
 *   run/           0755 root           sockets, lock, base/ (the mount point of the base tree)
 */
#ifndef FAASD_SUPERVISOR_STATE_H
#define FAASD_SUPERVISOR_STATE_H

#include "supervisor/configuration.h"

#include <stdint.h>

struct state {
    int run_fd, state_fd, versions_fd, staging_fd, trash_fd;
    int lock_fd; /* holds run/ until closed */
    char db[CONFIG_PATH_MAX], logs[CONFIG_PATH_MAX], versions[CONFIG_PATH_MAX], staging[CONFIG_PATH_MAX],
        base[CONFIG_PATH_MAX];
};

/* On failure everything is closed again and *s is as state_init leaves it. */
void state_init(struct state *s);
int state_open(struct state *s, const struct supervisor_paths *p, const struct accounts *a, uid_t code_owner,
               struct err *e);
void state_close(struct state *s);

/* staging/ID, made for the code owner; a descriptor of it, or -errno. */
int state_make_staging(const struct state *s, uint64_t staging, uid_t code_owner, struct err *e);
/* versions/DIGEST, a real directory of the code owner; a descriptor, or -errno. */
int state_open_version(const struct state *s, const char *digest, uid_t code_owner, struct err *e);

/* Moves an entry of `from` into the trash under a fresh name. 0 also when it is not there. */
int state_throw_away(const struct state *s, int from, const char *name, struct err *e);
/* Every staging directory goes to the trash: nobody fills one any more. Returns how many, or -errno. */
int state_sweep_staging(const struct state *s, struct err *e);

/* "123", for staging/ID. */
enum { STATE_STAGING_MAX = 24 };
void state_staging_name(uint64_t staging, char out[STATE_STAGING_MAX]);

#endif
