/* SPDX-License-Identifier: Apache-2.0 */
/* Part of codec/archive*.c: libarchive's functions, loaded when the first of them is needed. */
#ifndef FAASD_CODEC_ARCHIVE_LIBRARY_H
#define FAASD_CODEC_ARCHIVE_LIBRARY_H

#include "base/err.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

/* Loaded rather than linked: its own dependencies (libxml2, ICU, ...) would cost both daemons megabytes for what a short-lived process does. */
#define ARCHIVE_FUNCTIONS(X)                                                                                           \
    X(archive_error_string)                                                                                            \
    X(archive_errno)                                                                                                   \
    X(archive_read_new)                                                                                                \
    X(archive_read_free)                                                                                               \
    X(archive_read_support_filter_gzip)                                                                                \
    X(archive_read_support_format_tar)                                                                                 \
    X(archive_read_support_format_zip_seekable)                                                                        \
    X(archive_read_open_fd)                                                                                            \
    X(archive_read_next_header)                                                                                        \
    X(archive_read_data_block)                                                                                         \
    X(archive_write_new)                                                                                               \
    X(archive_write_free)                                                                                              \
    X(archive_write_set_format_pax_restricted)                                                                         \
    X(archive_write_add_filter_none)                                                                                   \
    X(archive_write_open_fd)                                                                                           \
    X(archive_write_header)                                                                                            \
    X(archive_write_data)                                                                                              \
    X(archive_write_close)                                                                                             \
    X(archive_entry_new)                                                                                               \
    X(archive_entry_free)                                                                                              \
    X(archive_entry_filetype)                                                                                          \
    X(archive_entry_perm)                                                                                              \
    X(archive_entry_pathname)                                                                                          \
    X(archive_entry_symlink)                                                                                           \
    X(archive_entry_hardlink)                                                                                          \
    X(archive_entry_size)                                                                                              \
    X(archive_entry_size_is_set)                                                                                       \
    X(archive_entry_set_pathname)                                                                                      \
    X(archive_entry_set_symlink)                                                                                       \
    X(archive_entry_set_filetype)                                                                                      \
    X(archive_entry_set_perm)                                                                                          \
    X(archive_entry_set_size)                                                                                          \
    X(archive_entry_set_mtime)

struct archive_library {
    void *handle;
#define ARCHIVE_MEMBER(f) __typeof__(f) *f;
    ARCHIVE_FUNCTIONS(ARCHIVE_MEMBER)
#undef ARCHIVE_MEMBER
};
extern struct archive_library archive_lib;

/* Once for the process. -ENOENT, saying what to install, when there is no such library. */
int archive_library_load(struct err *e);

/* libarchive converts names by the locale's character set; the C locale would refuse all but ASCII. Between the two calls the thread's is UTF-8. */
locale_t archive_enter_utf8(locale_t *ret_before);
void archive_leave_utf8(locale_t utf8, locale_t before);

#endif
