/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets that a function's settings name. */
#ifndef FAASD_CODEC_SETTINGS_SECRET_H
#define FAASD_CODEC_SETTINGS_SECRET_H

#include "codec/settings.h"

/* What a secret's file beneath /run/secrets may be called: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot. */
bool settings_file_is_valid(struct str file);

/* The secret whose entry begins at *at of `secrets`, and moves *at behind it; begin at 0. False at the end. */
struct settings_secret {
    struct str name;
    struct str file; /* of an entry that settings_secret_next() found, a NUL follows */
};
bool settings_secret_next(const struct settings *s, size_t *at, struct settings_secret *ret_secret);

#endif
