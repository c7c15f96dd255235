/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/unpack_job.h"
#include "codec/config.h"
#include "codec/config_runtime.h"
#include "codec/handler.h"
#include "codec/handler_module.h"
#include "codec/python_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CANDIDATES_MAX = 8 };

static const char INVALID_ENTRYPOINT[] = "Runtime.InvalidEntrypoint";
static const char IMPORT_ERROR[] = "Runtime.ImportModuleError";

/* ---- what holds ---- */

/* Flags before the manifest, the manifest before the version before. */
static const char *effective(const struct unpack_job *job, const struct json *manifest, const char *given,
                             const char *key, const char *earlier)
{
    if (given && *given)
        return given;
    const char *text = job->has_manifest ? json_get_text(manifest, key) : earlier;
    return text ? text : "";
}

static const char *given_runtime(const struct unpack_job *job)
{
    return job->runtime && *job->runtime ? job->runtime : job->earlier_runtime ? job->earlier_runtime : "exec";
}

void unpack_name_program(const struct unpack_job *job, char ret_name[UNPACK_NAME_MAX])
{
    enum settings_runtime runtime = SETTINGS_RUNTIME_EXEC;
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX];
    const char *said = job->handler && *job->handler ? job->handler : NULL;
    settings_runtime_parse(str_from(given_runtime(job)), &runtime);
    bool python = runtime == SETTINGS_RUNTIME_PYTHON;
    if (runtime == SETTINGS_RUNTIME_PROVIDED)
        fmt_to(ret_name, UNPACK_NAME_MAX, "bootstrap");
    else if (!python && runtime != SETTINGS_RUNTIME_NODE)
        fmt_to(ret_name, UNPACK_NAME_MAX, "%s", said ? said : job->name);
    else if (said && settings_handler_split(runtime, said, module, function))
        fmt_to(ret_name, UNPACK_NAME_MAX, "%s%s", module, python ? ".py" : ".js");
    else
        fmt_to(ret_name, UNPACK_NAME_MAX, "%s", python ? "app.py" : "index.js");
}

/* ---- exec and native ---- */

static bool exists(const struct unpack_job *job, const char *path)
{
    return path && *path && faccessat(job->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Nobody said which file to start: names those at the top that could be meant. */
static int list_candidates(const struct unpack_job *job, struct err *e)
{
    char names[160] = "";
    size_t n = 0;
    unsigned count = 0;
    scoped_fd own = openat(job->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir)
        return err_set(e, errno, "read the unpacked tree");
    fd_take(&own);
    for (struct dirent *at; (errno = 0, at = readdir(dir)) && count < CANDIDATES_MAX;) {
        size_t length = strlen(at->d_name);
        if (n + length + 3 > sizeof(names) || !handler_is_likely(job->dir, at->d_name))
            continue;
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", at->d_name);
        count++;
    }
    int error = errno;
    closedir(dir);
    if (error)
        return err_set(e, error, "read the unpacked tree");
    if (!count)
        return err_say(e, EINVAL, "which file is the program? None at the top looks like one: say --handler FILE");
    return err_say(e, EINVAL, "which file is the program? Say --handler FILE: %s", names);
}

static int choose_program(struct unpack_job *job, const char *said, bool bare_python, struct err *e)
{
    const char *chosen = NULL;
    if (*said)
        chosen = said;
    else if (!job->has_manifest && exists(job, job->earlier))
        chosen = job->earlier;
    else if (job->totals.files == 1)
        chosen = job->totals.file;
    else if (exists(job, "bootstrap"))
        chosen = "bootstrap";
    else if (exists(job, job->name))
        chosen = job->name;
    if (!chosen)
        return list_candidates(job, e);
    if (!str_copy(str_from(chosen), job->chosen, sizeof(job->chosen)))
        return err_say(e, EINVAL, "the handler's path is too long");
    return bare_python ? handler_check_bare_python(job->dir, job->chosen, e) : handler_check(job->dir, job->chosen, e);
}

/* ---- provided ---- */

/* As a Lambda's: no mode is mended here, what the archive says is what counts. */
static int check_executable(const struct unpack_job *job, struct err *e)
{
    char path[ARCHIVE_PATH_MAX];
    struct stat st;
    int r = archive_resolve(job->dir, "bootstrap", path, e);
    if (r < 0 || path[0] == '/')
        return r; /* a program of the host by a link: handler_check refuses it with the reason */
    if (fstatat(job->dir, path, &st, 0) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 0111))
        return err_say(e, EINVAL, "'bootstrap' is not executable: chmod +x it and deploy again");
    return 0;
}

static int choose_bootstrap(struct unpack_job *job, struct err *e)
{
    /* One program, whatever its name, can only be meant as it. */
    if (job->totals.files == 1 && !exists(job, "bootstrap") && handler_is_likely(job->dir, job->totals.file) &&
        renameat(job->dir, job->totals.file, job->dir, "bootstrap") < 0)
        return err_set(e, errno, "name '%s' bootstrap", job->totals.file);
    job->has_bootstrap = exists(job, "bootstrap");
    if (!job->has_bootstrap)
        return 0; /* /opt may have one, which is not seen from here */
    int r = check_executable(job, e);
    if (r == 0)
        r = handler_check(job->dir, "bootstrap", e);
    if (r == -EINVAL)
        job->type = INVALID_ENTRYPOINT;
    return r;
}

/* ---- python and node ---- */

static void read_runtimes(const char *lines, struct config *c)
{
    c->runtime_count = 0;
    for (struct str rest = str_from(lines); rest.n;) {
        char name[SETTINGS_RUNTIME_MAX], path[CONFIG_PATH_MAX];
        struct str after;
        struct str line = str_cut(rest, '\n', &rest, NULL);
        struct str before = str_cut(line, '=', &after, NULL);
        if (str_copy(before, name, sizeof(name)) && str_copy(after, path, sizeof(path)))
            config_set_runtime(c, name, path, NULL);
    }
}

static int check_python(struct unpack_job *job, const char *runtime, const char *venv, struct err *e)
{
    scoped_free struct config *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(e, ENOMEM, "look at the function's files");
    read_runtimes(job->runtimes, c);
    /* One that is not there is refused by the gateway, in the words of its settings. */
    const struct config_runtime *found = config_choose_runtime(c, SETTINGS_RUNTIME_PYTHON, runtime, NULL);
    if (!found)
        return 0;
    const struct python_tree tree = {
        .dir = job->dir, .minor = config_python_minor(found), .host_is_visible = !found->prefix[0], .venv = venv};
    int r = python_tree_check_venv(&tree, e);
    if (r == 0 && python_tree_warn(&tree, &job->warnings) < 0)
        r = err_set(e, ENOMEM, "look at the function's files");
    return r;
}

static int choose_module(struct unpack_job *job, enum settings_runtime runtime, const char *said, struct err *e)
{
    const struct handler_question q = {.tree = job->dir,
                                       .runtime = runtime,
                                       .said = said,
                                       .earlier = job->has_manifest ? NULL : job->earlier,
                                       .only_file = job->totals.files == 1 ? job->totals.file : NULL};
    int r = handler_choose_module(&q, job->chosen, e);
    if (r == -ENOENT && job->layered && str_copy(str_from(said), job->chosen, sizeof(job->chosen)))
        return 0;
    if (r == -ENOENT)
        job->type = IMPORT_ERROR;
    return r;
}

int unpack_choose(struct unpack_job *job, const struct json *manifest, struct err *e)
{
    enum settings_runtime family;
    const char *said = effective(job, manifest, job->handler, "handler", NULL);
    const char *runtime = effective(job, manifest, job->runtime, "runtime", job->earlier_runtime);
    const char *venv = effective(job, manifest, job->venv, "venv", job->earlier_venv);
    const char *contract = effective(job, manifest, job->contract, "contract", job->earlier_contract);
    if (job->totals.files == 0)
        return err_say(e, EINVAL, "there is no file to run among what was uploaded");
    if (!settings_runtime_parse(str_from(*runtime ? runtime : "exec"), &family))
        return 0; /* the gateway refuses the manifest, with the line */
    if (family == SETTINGS_RUNTIME_PROVIDED)
        return choose_bootstrap(job, e);
    if (family != SETTINGS_RUNTIME_PYTHON && family != SETTINGS_RUNTIME_NODE)
        return choose_program(job, said, strcmp(contract, "files") == 0, e); /* as Azure's Python has them */
    int r = choose_module(job, family, said, e);
    return r < 0 || family == SETTINGS_RUNTIME_NODE ? r : check_python(job, runtime, venv, e);
}
