/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unpacker: runs inside a sandbox of its own, as the owner of the code, reads an upload on stdin and leaves the function's files in /staging. One JSON
 * object on stdout says what came of it:
 *   {"ok":true,"handler":"bin/run","bytes":123,"entries":4,"manifest":"..."}    manifest: faasd.json's text, where there is one
 *       and, where there are any, "bootstrap":true (runtime provided: the tree has one), "warnings":["what will probably not work", ...]
 *   {"ok":false,"type":"BadRequest","error":"..."}       or RequestTooLarge, StorageFull, InternalError (the disk failed), Runtime.InvalidEntrypoint, Runtime.ImportModuleError
 * Exit status 0 in both cases; anything else is a fault of the host, told on stderr.
 */
#include "base/fdio.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/unpack_job.h"
#include "codec/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 65536 };

static int too_large(uint64_t limit, struct err *e)
{
    char text[UNITS_TEXT_MAX];
    units_format_size(limit, text);
    return err_say(e, EMSGSIZE, "the upload has more than %s (archive_bytes)", text);
}

static int open_unnamed(int dir, struct err *e)
{
    static const char name[] = ".upload";
    int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    /* not every file system has O_TMPFILE */
    fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || unlinkat(dir, name, 0) < 0) {
        int error = errno;
        fd_close(&fd);
        return err_set(e, error, "store the upload");
    }
    return fd;
}

/* zip has its directory at the end, so the upload must be seekable: what is no file becomes one, without a name. */
static int spool(const struct unpack_job *job, struct err *e)
{
    char block[BLOCK];
    struct stat st;
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {
        if ((uint64_t)st.st_size > job->archive_bytes_max)
            return too_large(job->archive_bytes_max, e);
        int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? err_set(e, errno, "read the upload") : fd;
    }
    scoped_fd fd = open_unnamed(job->dir, e);
    if (fd < 0)
        return fd;
    for (uint64_t total = 0;;) {
        ssize_t n = fd_read_full(STDIN_FILENO, block, sizeof(block));
        if (n < 0)
            return err_set(e, (int)-n, "read the upload");
        if (n == 0)
            return fd_take(&fd);
        total += (uint64_t)n;
        if (total > job->archive_bytes_max)
            return too_large(job->archive_bytes_max, e);
        int r = fd_write_full(fd, block, (size_t)n);
        if (r < 0)
            return err_set(e, -r, "store the upload");
    }
}

static int take_upload(struct unpack_job *job, struct err *e)
{
    struct stat st;
    scoped_fd upload = spool(job, e);
    if (upload < 0)
        return upload;
    if (fstat(upload, &st) == 0 && st.st_size == 0)
        return err_say(e, EINVAL, "the upload is empty");
    unpack_name_program(job, job->program_name);
    job->options.program_name = job->plain ? NULL : job->program_name;
    return archive_unpack(upload, job->dir, &job->options, &job->totals, e);
}

/* The manifest's text goes to the gateway, which reads it as settings; here it must be JSON, and say which file to start. */
static int read_manifest(struct unpack_job *job, struct json_doc **ret_doc, struct err *e)
{
    struct stat st;
    scoped_fd fd = openat(job->dir, "faasd.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if ((fd < 0 && errno != ELOOP) || (fd >= 0 && fstat(fd, &st) < 0))
        return err_set(e, errno, "read faasd.json");
    if (fd < 0 || !S_ISREG(st.st_mode))
        return err_say(e, EINVAL, "faasd.json is not a regular file");
    if (st.st_size > UNPACK_MANIFEST_MAX)
        return err_say(e, EMSGSIZE, "faasd.json has more than %d bytes", (int)UNPACK_MANIFEST_MAX);
    int r = buf_reserve(&job->manifest, (size_t)st.st_size);
    if (r < 0)
        return err_set(e, -r, "read faasd.json");
    ssize_t n = fd_read_full(fd, job->manifest.data, (size_t)st.st_size);
    if (n < 0)
        return err_set(e, (int)-n, "read faasd.json");
    job->manifest.len = (size_t)n;
    job->has_manifest = true;
    r = json_parse(buf_str(&job->manifest), JSON_COMMENTS, ret_doc, e);
    return r < 0 ? err_wrap(e, "faasd.json") : 0;
}

static int unpack(struct unpack_job *job, struct err *e)
{
    struct json_doc *doc = NULL;
    job->dir = open(job->into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (job->dir < 0)
        return err_set(e, errno, "open '%s'", job->into);
    int r = take_upload(job, e);
    if (r < 0 || job->plain)
        return r;
    r = read_manifest(job, &doc, e);
    if (r == 0)
        r = unpack_choose(job, doc ? json_root(doc) : NULL, e);
    json_free(doc);
    return r;
}

/* NULL: a fault of the host that has no name here. */
static const char *error_type(int code)
{
    switch (code) {
    case EINVAL:
        return "BadRequest";
    case EMSGSIZE:
        return "RequestTooLarge";
    case ENOSPC:
    case EDQUOT:
        return "StorageFull";
    case EIO:
    case EROFS:
        return "InternalError";
    default:
        return NULL;
    }
}

static void put_warnings(const struct unpack_job *job, struct json_writer *w)
{
    json_put_array(w, "warnings");
    for (struct str rest = buf_str(&job->warnings); rest.n;)
        json_put_str(w, NULL, str_cut(rest, '\n', &rest, NULL));
    json_put_array_end(w);
}

static int report(const struct unpack_job *job, const struct err *failure)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    json_put_bool(&w, "ok", !failure);
    if (failure) {
        json_put_text(&w, "type", job->type ? job->type : error_type(failure->code));
        json_put_text(&w, "error", failure->text);
    } else {
        json_put_text(&w, "handler", job->chosen);
        if (job->has_bootstrap)
            json_put_bool(&w, "bootstrap", true);
        if (job->warnings.len)
            put_warnings(job, &w);
        json_put_u64(&w, "bytes", job->totals.bytes);
        json_put_u64(&w, "entries", job->totals.entries);
        if (job->has_manifest)
            json_put_str(&w, "manifest", buf_str(&job->manifest));
    }
    json_put_object_end(&w);
    int r = json_writer_end(&w);
    if (r == 0)
        r = buf_add(&out, "\n", 1);
    if (r == 0)
        r = fd_write_full(STDOUT_FILENO, out.data, out.len);
    buf_fini(&out);
    return r < 0 ? CMD_FAILED : CMD_OK;
}

static bool read_limit(const char *text, uint64_t *value)
{
    return !text || str_to_u64(str_from(text), value);
}

static bool take_limits(struct unpack_job *job)
{
    struct config defaults;
    config_init(&defaults);
    job->options = (struct archive_options){.bytes_max = defaults.code_bytes_max,
                                            .entries_max = defaults.code_entries_max,
                                            .transient = job->transient != NULL};
    job->archive_bytes_max = defaults.archive_bytes_max;
    return read_limit(job->entries, &job->options.entries_max) && read_limit(job->bytes, &job->options.bytes_max) &&
           read_limit(job->archive_bytes, &job->archive_bytes_max);
}

int cmd_unpack(int argc, char **argv)
{
    struct unpack_job job = {.into = "/staging", .name = "function", .dir = -1};
    const struct option table[] = {
        {.name = "into", .kind = OPTION_TEXT, .target = &job.into},
        {.name = "handler", .kind = OPTION_TEXT, .target = &job.handler},
        {.name = "earlier", .kind = OPTION_TEXT, .target = &job.earlier},
        {.name = "runtime", .kind = OPTION_TEXT, .target = &job.runtime},
        {.name = "earlier-runtime", .kind = OPTION_TEXT, .target = &job.earlier_runtime},
        {.name = "contract", .kind = OPTION_TEXT, .target = &job.contract},
        {.name = "earlier-contract", .kind = OPTION_TEXT, .target = &job.earlier_contract},
        {.name = "venv", .kind = OPTION_TEXT, .target = &job.venv},
        {.name = "earlier-venv", .kind = OPTION_TEXT, .target = &job.earlier_venv},
        {.name = "runtimes", .kind = OPTION_TEXT, .target = &job.runtimes},
        {.name = "name", .kind = OPTION_TEXT, .target = &job.name},
        {.name = "entries", .kind = OPTION_TEXT, .target = &job.entries},
        {.name = "bytes", .kind = OPTION_TEXT, .target = &job.bytes},
        {.name = "archive-bytes", .kind = OPTION_TEXT, .target = &job.archive_bytes},
        {.name = "layered", .kind = OPTION_TEXT, .target = &job.layered},
        {.name = "plain", .kind = OPTION_TEXT, .target = &job.plain},
        {.name = "transient", .kind = OPTION_TEXT, .target = &job.transient},
        {0},
    };
    struct options o = {.command = "unpack", .tables = {table}};
    struct err e = {0};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (!take_limits(&job))
        return options_refuse("unpack", "limits are whole numbers");
    buf_init(&job.manifest, UNPACK_MANIFEST_MAX);
    buf_init(&job.warnings, UNPACK_WARNINGS_MAX);
    int r = unpack(&job, &e);
    if (r == -EIO || r == -EROFS)
        err_wrap(&e, "the host's disk failed, see its kernel log");
    if (r == 0) {
        status = report(&job, NULL);
    } else if (job.type || error_type(e.code)) {
        status = report(&job, &e);
    } else {
        fprintf(stderr, "%s\n", e.text);
        status = CMD_FAILED;
    }
    buf_fini(&job.manifest);
    buf_fini(&job.warnings);
    fd_close(&job.dir);
    return status;
}
