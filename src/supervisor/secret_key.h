/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that opens secrets: $CREDENTIALS_DIRECTORY/faasd-secrets-key (systemd's LoadCredential= and its like), else state/keys/secrets.key, made at the first
 * start: 32 random bytes, 0600 in a 0700 directory of root's. In memory it stands on a page of its own, which is locked, in no core dump, and zero in
 * every process that this one forks.
 */
#ifndef FAASD_SUPERVISOR_SECRET_KEY_H
#define FAASD_SUPERVISOR_SECRET_KEY_H

#include "codec/secret.h"

/* An existing key that can't be used is an error, never replaced: what was sealed for it would be lost. */
int secret_key_open(struct secret_keys **ret_keys, int state_fd, struct err *e);
void secret_key_close(struct secret_keys *keys); /* wipes; NULL is fine */

#endif
