/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_plan.h"

#include "base/buf.h"
#include "base/fdio.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/unpack_job.h"
#include "codec/settings_secret.h"
#include "gateway/revision.h"
#include "gateway/runtime.h"
#include "gateway/template.h"
#include "sandbox/identity.h"
#include "sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static enum sandbox_worker worker_of(const struct settings *s)
{
    if (s->runtime == SETTINGS_RUNTIME_EXEC)
        return SANDBOX_WORKER_NONE;
    return s->runtime == SETTINGS_RUNTIME_PROVIDED ? SANDBOX_WORKER_LISTENER : SANDBOX_WORKER_SOCKET;
}

static struct sandbox_spec make_spec(const struct settings *s, const struct config *c)
{
    struct sandbox_spec spec = {
        .kind = SANDBOX_FUNCTION,
        .worker = worker_of(s),
        .name = "run",
        .hostname = "run",
        .code_dirfd = -1,
        .host_uid = identity_first_instance(c),
        .tmp_bytes = s->tmp_bytes,
        .tmp_exec = s->tmp_exec,
        .network_host = s->network == SETTINGS_NETWORK_HOST,
        .network_egress = s->network == SETTINGS_NETWORK_EGRESS,
        .network_fd = -1,
        .strict = s->seccomp == SETTINGS_SECCOMP_STRICT,
        .limits = {.memory_bytes = s->memory_bytes,
                   .pids = s->pids,
                   .cpus_milli = s->cpus_milli,
                   .cpu_weight = s->cpu_weight,
                   .cpuset = s->cpuset},
        .mount_count = s->mount_count,
        .device_count = s->device_count,
    };
    for (unsigned i = 0; i < s->mount_count; i++)
        spec.mounts[i] = (struct sandbox_mount){
            .source = s->mounts[i].source, .target = s->mounts[i].target, .writable = s->mounts[i].writable};
    for (unsigned i = 0; i < s->device_count; i++)
        spec.devices[i] = s->devices[i];
    struct settings_secret secret;
    for (size_t at = 0; settings_secret_next(s, &at, &secret);)
        spec.secrets[spec.secret_count++] = (struct sandbox_secret){.file = secret.file.p};
    return spec;
}

/* The plan of a function's first instance: of a template, where it has them. */
static int add_runtime(struct sandbox_spec *spec, const struct settings *s, const struct config *c,
                       const struct feature_set *features, struct err *e)
{
    struct err why = {0};
    const struct config_runtime *runtime = runtime_find(c, s, &why);
    if (why.code) {
        *e = why;
        return -why.code;
    }
    spec->runtime_prefix = runtime ? runtime->prefix : NULL;
    if (runtime_wants_template(s))
        spec->slots = template_slots(s, features->landlock_abi >= TEMPLATE_LANDLOCK_ABI);
    return 0;
}

/* The manifest of a directory; empty where there is none. */
static int read_manifest(const char *path, struct buf *out, bool *ret_found, struct err *e)
{
    struct stat st;
    *ret_found = false;
    scoped_fd dir = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir < 0 || fstatat(dir, "faasd.json", &st, 0) < 0)
        return 0; /* a file, an archive, a command: nothing of it is read here */
    int r = buf_reserve(out, UNPACK_MANIFEST_MAX + 1);
    if (r < 0)
        return err_set(e, -r, "read faasd.json");
    ssize_t n = fd_read_file_at(dir, "faasd.json", out->data, UNPACK_MANIFEST_MAX + 1, e);
    if (n < 0)
        return (int)n;
    out->len = (size_t)n;
    *ret_found = true;
    return 0;
}

/* What a daemon with this configuration would store: the same merging, and the same refusals. */
static int find_settings(const struct settings_flags *flags, const struct config *config, const char *path,
                         struct settings *ret, struct err *e)
{
    struct buf given;
    struct buf manifest;
    buf_init(&given, 0);
    buf_init(&manifest, 0);
    struct revision_sources sources = {0};
    int r = settings_flags_print_json(flags, &given, e);
    r = r < 0 ? r : read_manifest(path, &manifest, &sources.has_manifest, e);
    sources.given = buf_str(&given);
    sources.manifest = buf_str(&manifest);
    r = r < 0 ? r : revision_merge(config, &sources, ret, e);
    buf_fini(&given);
    buf_fini(&manifest);
    return r;
}

static int print_plan(const struct settings *settings, const struct config *config, struct buf *out, struct err *e)
{
    struct feature_set features;
    int r = revision_check(config, settings, e);
    r = r < 0 ? r : feature_probe(&features, e);
    if (r == 0) {
        struct sandbox_spec spec = make_spec(settings, config);
        r = add_runtime(&spec, settings, config, &features, e);
        r = r < 0 ? r : sandbox_print_plan(config, &features, &spec, out, e);
    }
    return r;
}

int run_plan_print(const struct settings_flags *flags, const struct supervisor_paths *paths, const char *path)
{
    const struct supervisor_options options = {.paths = *paths, .no_tcp = true, .quiet = true, .ready_fd = -1};
    struct config config;
    struct settings settings;
    struct buf out;
    struct err e = {0};
    buf_init(&out, 0);
    int r = supervisor_load_config(&options, &config, &e);
    r = r < 0 ? r : find_settings(flags, &config, path, &settings, &e);
    if (r == 0) {
        r = print_plan(&settings, &config, &out, &e);
        settings_fini(&settings);
    }
    if (r == 0)
        fwrite(out.data, 1, out.len, stdout);
    else
        fprintf(stderr, "faasd run: %s\n", e.text);
    buf_fini(&out);
    return output_finish("run", r == -EPERM ? CMD_DENIED : r < 0 ? CMD_FAILED : CMD_OK);
}
