/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of rootfs/starters, embedded: what `faasd init` writes. */
#ifndef FAASD_CMD_STARTERS_H
#define FAASD_CMD_STARTERS_H

#include "base/buf.h"
#include "codec/settings.h"

#include <sys/types.h>

struct starter_file {
    const char *name; /* "app.py"; @NAME@ stands in some of the texts, in no name */
    struct str text;
    mode_t mode;
};

/* A runtime's files; the last has no name. */
const struct starter_file *starter_files(enum settings_runtime r);

struct starter_words {
    const char *name;    /* @NAME@ */
    const char *runtime; /* @RUNTIME@ */
    const char *lib;     /* @LIB@: libfaasd.a */
    const char *include; /* @INCLUDE@: the directory that holds faasd/function.h */
};

/* The text with the words in their places. 0 or -ENOMEM. */
int starter_fill(struct str text, const struct starter_words *words, struct buf *out);

#endif
