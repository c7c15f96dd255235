/* SPDX-License-Identifier: Apache-2.0 */
/* PATCH: other settings over the same code, which is looked at again where they start something else of it. */
#include "codec/config_runtime.h"
#include "gateway/deploy.h"
#include "gateway/deploy_job.h"
#include "gateway/revision.h"
#include "gateway/runtime.h"
#include "gateway/store.h"

#include <errno.h>
#include <string.h>

static void patch(struct deploy *d)
{
    deploy_make_version(d, d->before->code_bytes);
    deploy_compare(d);
}

static void on_found(void *owner, const struct err *e)
{
    struct deploy *d = owner;
    bool is_missing = e->code == ENOENT;
    if (deploy_ends_cut_off(d))
        return;
    if (d->settings.runtime == SETTINGS_RUNTIME_PROVIDED && (!e->code || is_missing)) {
        if (deploy_find_entry(d, !is_missing) == 0)
            patch(d);
    } else if (is_missing && !*deploy_opt(d)) { /* else a layer may have it: its first start tells */
        deploy_fail(d, 400, "BadRequest", "%s", e->text);
    } else if (e->code && !is_missing) {
        deploy_fail_host(d, e, "look for the handler");
    } else {
        patch(d);
    }
}

/* The code stays, and with it the handler that its deploy found, unless another one is given now. 0, or the deploy has failed. */
static int keep_handler(struct deploy *d)
{
    struct settings *s = &d->settings;
    const struct settings *before = &d->before->settings;
    if (s->handler[0] || s->runtime == SETTINGS_RUNTIME_PROVIDED)
        return 0;
    if (s->runtime != before->runtime &&
        (s->runtime == SETTINGS_RUNTIME_PYTHON || s->runtime == SETTINGS_RUNTIME_NODE)) {
        deploy_fail(d, 400, "BadRequest", "runtime %s needs a handler of its own: say handler %s too",
                    settings_runtime_name(s),
                    s->runtime == SETTINGS_RUNTIME_PYTHON ? "MODULE.FUNCTION" : "FILE.EXPORT");
        return -EINVAL;
    }
    memcpy(s->handler, before->handler, sizeof(s->handler));
    return 0;
}

/* Does the code have to be looked at again? */
static bool starts_otherwise(const struct settings *s, const struct settings *before)
{
    return s->runtime != before->runtime || s->runtime == SETTINGS_RUNTIME_PROVIDED ||
           strcmp(s->handler, before->handler) != 0 || strcmp(s->venv, before->venv) != 0;
}

void deploy_patch(struct exchange *x, struct str name)
{
    struct deploy *d = deploy_new(x, name);
    if (!d || !deploy_is_known(d))
        return;
    struct revision_sources s = {.before = d->before, .given = x->body};
    if (!str_trim(x->body).n) {
        deploy_fail(d, 400, "BadRequest", "the body has to be a JSON object with the settings to change");
        return;
    }
    if (deploy_settle(d, &s) < 0 || keep_handler(d) < 0)
        return;
    memcpy(d->code, d->before->code, sizeof(d->code));
    if (!starts_otherwise(&d->settings, &d->before->settings)) {
        patch(d);
        return;
    }
    deploy_set_state(d, DEPLOY_LOOKING);
    const struct config_runtime *runtime = runtime_find(d->gateway->config, &d->settings, NULL);
    struct store_program program = {
        .code = d->before->code,
        .handler = d->settings.handler,
        .venv = d->settings.venv,
        .runtime = d->settings.runtime,
        .python_minor = runtime ? config_python_minor(runtime) : -1,
    };
    store_find_program(d->gateway->store, &program, on_found, d);
}
