/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of functions: an uploaded tar, tar.gz or zip into an empty directory, and a directory into a tar stream.
 *
 * Unpacking refuses the whole archive, with the reason, for anything that an honest packer doesn't write: absolute names, "..", empty or "."
 * components, backslashes, control characters, names that aren't UTF-8, two entries of one name, a file where a directory is needed, devices, fifos,
 * sockets, and links that lead out of the tree. Every component of a path is opened without following links, and links are made after the last
 * file, so nothing is ever written through one. Modes become 0755 or 0644; owners, times, extended attributes and ACLs are not read.
 * Symbolic links are kept when they stay inside the tree or point absolutely under /usr, /bin or /lib. Hard links to an earlier file of
 * the archive stay hard links; each counts as the file's size.
 *
 * libarchive is loaded when the first of these functions needs it: the daemons never do.
 */
#ifndef FAASD_CODEC_ARCHIVE_H
#define FAASD_CODEC_ARCHIVE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ARCHIVE_PATH_MAX = 1024,          /* bytes of a path with its NUL, and of a link's target */
    ARCHIVE_DEPTH_MAX = 64,           /* components of a path */
    ARCHIVE_LINK_BYTES_MAX = 4 << 20, /* names and targets of all symbolic links together */
    ARCHIVE_LINK_HOPS_MAX = 40,       /* as the kernel's own limit (path_resolution(7)) */
    ARCHIVE_RATIO_MAX = 200,          /* unpacked to packed bytes, looked at beyond ARCHIVE_RATIO_FREE */
    ARCHIVE_RATIO_FREE = 32 << 20,
};

struct archive_options {
    uint64_t bytes_max;       /* of all files together */
    uint64_t entries_max;     /* files, directories and links */
    const char *program_name; /* a bare program is stored as this, with mode 0755; NULL: it is refused */
    bool transient;           /* the tree need not outlive a power cut: nothing is forced to the disk */
};

struct archive_totals {
    uint64_t bytes;
    uint64_t entries;
    uint64_t files;              /* regular ones but faasd.json */
    char file[ARCHIVE_PATH_MAX]; /* the last of them: the only one when files is 1 */
};

/* What an upload is, by its first bytes. PROGRAM: an ELF file or a script, not packed at all. Returns the kind or -errno. */
enum archive_kind { ARCHIVE_UNKNOWN, ARCHIVE_PROGRAM, ARCHIVE_TAR, ARCHIVE_TAR_GZ, ARCHIVE_ZIP };
int archive_detect(int fd, struct err *e);

/* Reads `fd` (seekable, from its start) into the empty directory `into`, fsyncs every file and directory, and leaves the directory in an
 * undefined state on failure. -EINVAL: the upload is refused; -EMSGSIZE: a limit; -ENOSPC, -EDQUOT: the disk is full; others: the host. */
int archive_unpack(int fd, int into, const struct archive_options *o, struct archive_totals *ret_totals, struct err *e);

/* Where `path` of an unpacked tree leads when every link is followed: a path in the tree ("bin/run") or, through a link, one of the sandbox ("/usr/bin/awk").
 * What doesn't exist is taken as a plain name. -EINVAL when it leads out of the tree, -ELOOP after ARCHIVE_LINK_HOPS_MAX links;
 * others: a name that could not be looked at. */
int archive_resolve(int tree, const char *path, char ret_path[ARCHIVE_PATH_MAX], struct err *e);

/*
 * Writes the directory at `path` as a tar stream to `out_fd`, in name order, without owners and times, so that equal trees give equal bytes. Left out: what
 * PATH/.faasdignore names (without that file: .git and __pycache__), and .faasdignore itself; what was matched is added to `left_out`, one path
 * a line, directories with a slash at the end. A socket, fifo or device that isn't left out is an error.
 *
 * .faasdignore: one pattern a line, empty lines and "#" comments aside. `*`, `?` and `[...]` (fnmatch(3)) match within one component. A pattern without a
 * slash inside matches at every level, one with a slash (also a leading one) from the top; with a slash at its end it matches only directories.
 * A directory that matches goes with all that is in it. There is no negation: "!" is refused, and so is a NUL byte.
 */
int archive_pack(const char *path, int out_fd, struct buf *left_out, struct err *e);

#endif
