/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that seals the signing keys of tokens in the registry's database: 32 random bytes, never parsed. CREDENTIALS_DIRECTORY/faasd-signing-key where systemd gives one
 * (LoadCredentialEncrypted=), else state/keys/signing-key, made at the first start, 0600 in a directory of 0700. The gateway gets it with each start; whoever reads the database alone signs nothing.
 */
#ifndef FAASD_SUPERVISOR_SIGNING_KEY_H
#define FAASD_SUPERVISOR_SIGNING_KEY_H

#include "base/err.h"

enum { SIGNING_KEY_BYTES = 32 };

#define SIGNING_KEY_CREDENTIAL "faasd-signing-key"
#define SIGNING_KEY_DIR        "keys"
#define SIGNING_KEY_FILE       "signing-key"

/* `credentials`: systemd's directory, "" when there is none. -errno: a key that is there but is not ours alone, or not of that size, is refused and not replaced. */
int signing_key_load(int state_fd, const char *credentials, unsigned char key[SIGNING_KEY_BYTES], struct err *e);

#endif
