/* SPDX-License-Identifier: Apache-2.0 */
/* Part of codec/archive*.c: a tree being written from an archive's entries. Knows nothing of archive formats. */
#ifndef FAASD_CODEC_ARCHIVE_TREE_H
#define FAASD_CODEC_ARCHIVE_TREE_H

#include "codec/archive.h"

enum archive_item_kind { ARCHIVE_ITEM_FILE, ARCHIVE_ITEM_DIRECTORY, ARCHIVE_ITEM_LINK, ARCHIVE_ITEM_HARD_LINK };

/* One entry as the archive names it, nothing checked. */
struct archive_item {
    enum archive_item_kind kind;
    const char *name;
    const char *target; /* of links */
    bool executable;
};

struct archive_level {
    int fd;     /* owned: a directory of the current path */
    size_t end; /* of its name within `path` */
};

struct archive_tree {
    int root; /* borrowed */
    const struct archive_options *options;
    struct archive_totals *totals;
    char path[ARCHIVE_PATH_MAX]; /* of the directories that are open */
    unsigned depth;
    struct archive_level level[ARCHIVE_DEPTH_MAX];
    struct buf links; /* name\0 target\0 name\0 ...: made at the end */
};

/* `options` and `totals` are borrowed for the tree's life. */
void archive_tree_init(struct archive_tree *t, int root, const struct archive_options *options,
                       struct archive_totals *totals);
void archive_tree_fini(struct archive_tree *t);

/* Checks and makes one entry. For a FILE *ret_fd becomes a descriptor to write its content to, closed by archive_tree_end_file(); -1 for all else.
 * -EINVAL with the reason to refuse the archive. */
int archive_tree_add(struct archive_tree *t, const struct archive_item *item, int *ret_fd, struct err *e);
/* Says that the file has `bytes` in all, before or while they are written: -EMSGSIZE past the limit. */
int archive_tree_count_bytes(struct archive_tree *t, uint64_t bytes, const char *name, struct err *e);
int archive_tree_end_file(struct archive_tree *t, const struct archive_item *item, int *fd, struct err *e);

/* Makes the symbolic links, checks where they lead, and writes everything to the disk (unless the options say it is transient). */
int archive_tree_finish(struct archive_tree *t, struct err *e);

#endif
