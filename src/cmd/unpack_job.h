/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the unpacker (unpack.c): the job, and the choice of what the function starts (unpack_choose.c). */
#ifndef FAASD_CMD_UNPACK_JOB_H
#define FAASD_CMD_UNPACK_JOB_H

#include "base/buf.h"
#include "codec/archive.h"
#include "codec/json.h"
#include "codec/settings.h"

enum { UNPACK_MANIFEST_MAX = 65536, UNPACK_WARNINGS_MAX = 16384, UNPACK_NAME_MAX = SETTINGS_PATH_MAX + 8 };

struct unpack_job {
    const char *into; /* --into: the staging directory, tests give their own */
    const char *name; /* --name: the function's; a bare program is stored as it */

    /* What the person said, then what the version before has, which counts where neither they nor a manifest say anything. NULL: nothing. */
    const char *handler, *runtime, *venv, *contract;
    const char *earlier, *earlier_runtime, *earlier_venv, *earlier_contract;
    const char *runtimes; /* --runtimes: the host's interpreters, NAME=PATH a line */

    const char *entries;
    const char *bytes;
    const char *archive_bytes;
    const char *layered;   /* --layered yes: what is started may also lie in /opt */
    const char *plain;     /* --plain yes: the files alone, nothing is to be started (a layer's) */
    const char *transient; /* --transient yes: nothing is forced to the disk */
    struct archive_options options;
    char program_name[UNPACK_NAME_MAX]; /* of the options */
    uint64_t archive_bytes_max;
    int dir;
    struct archive_totals totals;
    struct buf manifest;
    bool has_manifest;

    /* what came of it */
    char chosen[ARCHIVE_PATH_MAX];
    bool has_bootstrap;
    struct buf warnings; /* one a line */
    const char *type;    /* of a refusal, where its errno alone does not say it; else NULL */
};

/* The name under which an upload that is a bare program is stored. */
void unpack_name_program(const struct unpack_job *job, char ret_name[UNPACK_NAME_MAX]);

/* What is started, by the rules of the runtime; fills what came of it. -EINVAL, -ENOENT: the upload is refused. */
int unpack_choose(struct unpack_job *job, const struct json *manifest, struct err *e);

#endif
