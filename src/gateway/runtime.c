/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runtime.h"

#include "codec/config_runtime.h"
#include "gateway/environment.h"
#include "gateway/exec_channel.h"
#include "gateway/revision.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NODE_SEMI_SPACE_SHARE = 64, NODE_SEMI_SPACE_MIB_MAX = 16 /* V8's own */ };

static const char PYTHON_BOOTSTRAP[] = "/var/runtime/python/bootstrap.py";
static const char NODE_BOOTSTRAP[] = "/var/runtime/node/bootstrap.cjs";

const struct config_runtime *runtime_find(const struct config *c, const struct settings *s, struct err *e)
{
    if (e)
        e->code = 0;
    if (s->runtime != SETTINGS_RUNTIME_PYTHON && s->runtime != SETTINGS_RUNTIME_NODE)
        return NULL;
    return config_choose_runtime(c, s->runtime, settings_runtime_name(s), e);
}

bool runtime_wants_template(const struct settings *s)
{
    bool forks = s->runtime == SETTINGS_RUNTIME_NATIVE || s->runtime == SETTINGS_RUNTIME_PYTHON;
    /* Forked instances share a sandbox. */
    if (!forks || s->template == SETTINGS_TEMPLATE_OFF || s->isolation == SETTINGS_ISOLATION_SANDBOX)
        return false;
    return s->template == SETTINGS_TEMPLATE_ON || s->runtime == SETTINGS_RUNTIME_PYTHON ||
           s->isolation == SETTINGS_ISOLATION_FORK;
}

/* ---- the command ---- */

/* AWS_LAMBDA_EXEC_WRAPPER: a program of the function's that is given the runtime's command line, as in Lambda's managed runtimes. */
static int add_wrapper(const struct settings *s)
{
    const char *wrapper = environment_find(s, "AWS_LAMBDA_EXEC_WRAPPER");
    return wrapper && wrapper[0] == '/' ? exec_command_add_argument(wrapper) : 0;
}

/*
 * V8 sizes its heap by the host's memory, the only one it sees, and would let garbage pass the function's limit before it collects any: with 128M a function that keeps
 * 20 MB died. With the limit itself as its bound it collects in time (80 MB can be kept), and still goes over the kernel's limit before its own, which
 * answers OutOfMemory where V8 would only abort. The young generation is three times the second number. What the function's NODE_OPTIONS say goes first.
 */
static int add_heap_limits(const struct settings *s)
{
    const char *options = environment_find(s, "NODE_OPTIONS");
    uint64_t memory_mib = s->memory_bytes >> 20;
    uint64_t semi_mib = memory_mib / NODE_SEMI_SPACE_SHARE;
    char old_space[48];
    char semi_space[48];
    if (options && (strstr(options, "space-size") || strstr(options, "space_size")))
        return 0;
    semi_mib = semi_mib < 1 ? 1 : semi_mib > NODE_SEMI_SPACE_MIB_MAX ? NODE_SEMI_SPACE_MIB_MAX : semi_mib;
    snprintf(old_space, sizeof(old_space), "--max-old-space-size=%lu", (unsigned long)memory_mib);
    snprintf(semi_space, sizeof(semi_space), "--max-semi-space-size=%lu", (unsigned long)semi_mib);
    int r = exec_command_add_argument(old_space);
    return r < 0 ? r : exec_command_add_argument(semi_space);
}

/* `option` may be NULL. */
static int add_interpreter(const struct config *c, const struct version *v, const char *option, const char *bootstrap,
                           struct err *e)
{
    const struct config_runtime *runtime = runtime_find(c, &v->settings, e);
    if (!runtime)
        return -ENOENT;
    int r = add_wrapper(&v->settings);
    if (r == 0)
        r = exec_command_add_argument(runtime->path);
    if (r == 0 && option)
        r = exec_command_add_argument(option);
    if (r == 0 && v->settings.runtime == SETTINGS_RUNTIME_NODE)
        r = add_heap_limits(&v->settings);
    return r < 0 ? r : exec_command_add_argument(bootstrap);
}

static int add_program(const struct config *c, const struct version *v, struct err *e)
{
    switch (v->settings.runtime) {
    case SETTINGS_RUNTIME_PYTHON:
        /* -S: the bootstrap does what is left of site's work by itself, cheaper. */
        return add_interpreter(c, v, "-S", PYTHON_BOOTSTRAP, e);
    case SETTINGS_RUNTIME_NODE:
        return add_interpreter(c, v, NULL, NODE_BOOTSTRAP, e);
    case SETTINGS_RUNTIME_PROVIDED:
        return exec_command_add_argument(v->opt_bootstrap ? REVISION_OPT_BOOTSTRAP : "/var/task/" REVISION_BOOTSTRAP);
    default:
        return environment_add_handler(v);
    }
}

int runtime_begin_worker(const struct config *c, const struct function *f, const struct version *v, struct err *e)
{
    enum settings_runtime family = v->settings.runtime;
    bool managed = family != SETTINGS_RUNTIME_NATIVE && family != SETTINGS_RUNTIME_EXEC;
    const struct config_runtime *interpreter = runtime_find(c, &v->settings, NULL);
    struct err ignored = {0};
    e = e ? e : &ignored;
    e->code = 0;
    int r = exec_command_begin();
    if (r == 0)
        r = add_program(c, v, e);
    if (r == 0)
        r = managed ? environment_add_managed(f, v, interpreter ? interpreter->name : NULL)
                    : environment_add_common(f, v);
    if (r == 0 && managed)
        r = environment_add_role(c, v);
    if (r == -E2BIG)
        err_say(e, E2BIG, "the environment of '%s' is too long for a program's (160K)", f->name);
    else if (r < 0 && !e->code)
        err_set(e, -r, "put the command of '%s' together", f->name);
    return r;
}
