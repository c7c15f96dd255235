/* SPDX-License-Identifier: Apache-2.0 */
/* Python's packaging formats, as far as names go: requirements.txt (pip), the metadata directories of installed packages (PEP 376, 427), the tags of
 * wheels (PEP 425). */
#ifndef FAASD_CODEC_PYTHON_PACKAGE_H
#define FAASD_CODEC_PYTHON_PACKAGE_H

#include "base/str.h"

enum { PYTHON_PACKAGE_MAX = 128 };

/* Names of requirements.txt, normalised (PEP 503: lower case, one "-" between parts). Left out: options, addresses, and what stands there only for some hosts (";"). */
struct python_requirements {
    char *text; /* owned */
    struct str rest;
};
/* 1, 0 when there is no such file, -ENOMEM. A file of more than 256 KiB is read up to there. */
int python_requirements_open(struct python_requirements *q, int dirfd, const char *path);
bool python_requirements_next(struct python_requirements *q, char ret_name[PYTHON_PACKAGE_MAX]);
void python_requirements_close(struct python_requirements *q);

/* Does the directory hold that package: NAME-VERSION.dist-info or .egg-info, or a module of its name? `name` is normalised. */
bool python_package_is_in(int dirfd, const char *path, const char *name);

/* Does none of the tags in this WHEEL file suit CPython 3.`minor` (-1: any) on a Linux of `machine` ("x86_64") with glibc? Then what it was built for
 * is in built_for: "cp39 manylinux_2_17_aarch64". False when the file can't be read. */
bool python_wheel_is_foreign(int dirfd, const char *path, int minor, const char *machine, char *built_for, size_t cap);

#endif
