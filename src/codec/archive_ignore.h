/* SPDX-License-Identifier: Apache-2.0 */
/* Part of codec/archive.c: which files of a directory stay out of an archive (.faasdignore, described in codec/archive.h). */
#ifndef FAASD_CODEC_ARCHIVE_IGNORE_H
#define FAASD_CODEC_ARCHIVE_IGNORE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { ARCHIVE_IGNORE_RULES_MAX = 256, ARCHIVE_IGNORE_BYTES_MAX = 65536 };

struct archive_ignore_rule {
    const char *pattern; /* borrowed from `text`, or static */
    bool anchored;       /* matched against the whole path, not the last component */
    bool directories;    /* only these */
};

struct archive_ignore {
    char *text; /* owned: the file; NULL without one */
    size_t count;
    struct archive_ignore_rule rules[ARCHIVE_IGNORE_RULES_MAX];
};

/* Reads .faasdignore of the directory, or takes the default rules. -EINVAL with the line. */
int archive_ignore_load(struct archive_ignore *ignore, int dirfd, struct err *e);
void archive_ignore_fini(struct archive_ignore *ignore);
bool archive_ignore_matches(const struct archive_ignore *ignore, const char *path, bool is_directory);

#endif
