/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/revision.h"

#include "base/clock.h"
#include "base/units.h"
#include "codec/settings_calls.h"
#include "gateway/runtime.h"
#include "gateway/store_digest.h"
#include "os/seccomp.h"

#include <errno.h>
#include <string.h>

/* ---- merging ---- */

/* What was given for the version before, over the defaults of today. */
static int merge_before(struct settings *to, const struct config *c, const struct version *before, struct err *e)
{
    struct buf json;
    buf_init(&json, 0);
    int r = settings_print_json(&before->settings, true, false, &json);
    if (r < 0)
        err_set(e, -r, "read the settings so far");
    else
        r = settings_read_json(to, &c->defaults, buf_str(&json), e);
    buf_fini(&json);
    return r;
}

int revision_merge(const struct config *c, const struct revision_sources *s, struct settings *ret_settings,
                   struct err *e)
{
    struct settings merged;
    int r = 0;
    settings_init(&merged, &c->defaults);
    if (s->has_manifest) {
        r = settings_read_json(&merged, &c->defaults, s->manifest, e);
        if (r < 0)
            err_wrap(e, "faasd.json");
    } else if (s->before) {
        r = merge_before(&merged, c, s->before, e);
    }
    if (r == 0 && s->given.n)
        r = settings_read_json(&merged, &c->defaults, s->given, e);
    if (r == 0)
        r = settings_check(&merged, s->manifest_may_follow, e);
    if (r < 0)
        settings_fini(&merged);
    else
        *ret_settings = merged;
    return r;
}

/* ---- checking ---- */

static bool lies_within(const char *path, const char *granted)
{
    size_t n = strlen(granted);
    if (n && granted[n - 1] == '/')
        n--; /* "/" grants everything */
    return strncmp(path, granted, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int check_mount(const struct config *c, const struct settings_mount *m, struct err *e)
{
    bool readable = false;
    for (uint32_t i = 0; i < c->grant_mount_count; i++) {
        if (!lies_within(m->source, c->grant_mounts[i].source))
            continue;
        if (!m->writable || c->grant_mounts[i].writable)
            return 0;
        readable = true;
    }
    if (readable)
        return err_say(e, EPERM, "grants.mounts has '%s' only read-only: add \"%s:rw\" to it in the configuration",
                       m->source, m->source);
    return err_say(e, EPERM, "grants.mounts has no '%s': add it to the configuration", m->source);
}

static int check_device(const struct config *c, const char *device, struct err *e)
{
    for (uint32_t i = 0; i < c->grant_device_count; i++)
        if (strcmp(device, c->grant_devices[i]) == 0)
            return 0;
    return err_say(e, EPERM, "grants.devices has no '%s': add it to the configuration", device);
}

static int check_grants(const struct config *c, const struct settings *s, struct err *e)
{
    if (s->network == SETTINGS_NETWORK_HOST && !c->grant_network_host)
        return err_say(e, EPERM, "network 'host' is not granted: set grants.network_host to true in the configuration");
    if (s->network == SETTINGS_NETWORK_EGRESS && !c->grant_network_egress)
        return err_say(e, EPERM,
                       "network 'egress' is not granted: set grants.network_egress to true in the configuration");
    for (uint32_t i = 0; i < s->allow_count; i++)
        if (egress_check_grant(&s->allow[i], &c->egress.grants, e) < 0)
            return -e->code;
    if (s->cpuset[0] && !c->grant_cpuset)
        return err_say(e, EPERM, "cpuset is not granted: set grants.cpuset to true in the configuration");
    if (s->timeout_ms == 0 && !c->grant_timeout_zero)
        return err_say(e, EPERM,
                       "timeout 0 (no limit) is not granted: set grants.timeout_zero to true in the configuration");
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < s->mount_count; i++)
        r = check_mount(c, &s->mounts[i], e);
    for (uint32_t i = 0; r == 0 && i < s->device_count; i++)
        r = check_device(c, s->devices[i], e);
    return r;
}

/* A name that is none would be an allowance that is missing, found at its first call. */
static int check_calls(const struct settings *s, struct err *e)
{
    struct str name;
    for (size_t at = 0; settings_call_next(s, &at, &name);) {
        char nearest[SECCOMP_NAME_MAX];
        if (seccomp_is_name(name.p))
            continue;
        seccomp_find_nearest(name.p, nearest);
        return err_say(e, EINVAL, "system_calls: there is no system call '%s'%s%s%s", name.p,
                       *nearest ? ", did you mean '" : "", nearest, *nearest ? "'?" : "");
    }
    return 0;
}

int revision_check(const struct config *c, const struct settings *s, struct err *e)
{
    char asked[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX];
    if (s->memory_bytes > c->memory_budget_bytes) {
        units_format_size(s->memory_bytes, asked);
        units_format_size(c->memory_budget_bytes, limit);
        return err_say(e, EINVAL, "memory %s is more than memory_budget (%s): no instance could ever start", asked,
                       limit);
    }
    if ((s->runtime == SETTINGS_RUNTIME_PYTHON || s->runtime == SETTINGS_RUNTIME_NODE) && !runtime_find(c, s, e))
        return -EINVAL;
    int r = check_calls(s, e);
    return r < 0 ? r : check_grants(c, s, e);
}

/* ---- making ---- */

/* False: memory is out, or a digest is none. */
static bool take_trees(struct version *v, const char *code, const char *opt, const char *role)
{
    if (!str_copy(str_from(code), v->code, sizeof(v->code)) ||
        !str_copy(str_from(opt ? opt : ""), v->opt, sizeof(v->opt)))
        return false;
    v->role = role && *role ? strdup(role) : NULL;
    return v->role || !role || !*role;
}

struct version *revision_make(const struct revision_code *code, struct settings *settings, struct buf *ret_json)
{
    struct version *v = version_new();
    size_t before = ret_json->len;
    if (!v || !take_trees(v, code->digest, code->opt, code->role) ||
        settings_print_json(settings, true, false, ret_json) < 0) {
        version_put(v);
        return NULL;
    }
    struct str json = str_skip(buf_str(ret_json), before);
    const struct store_digest_trees trees = {v->code, v->opt};
    store_digest_revision(&trees, settings->handler, json, v->revision);
    v->code_bytes = code->bytes;
    v->created_ms = clock_real_ms();
    v->settings = *settings;
    *settings = (struct settings){0};
    return v;
}

const char *revision_entry(const struct version *v)
{
    if (v->settings.runtime != SETTINGS_RUNTIME_PROVIDED)
        return v->settings.handler;
    return v->opt_bootstrap ? REVISION_OPT_BOOTSTRAP : REVISION_BOOTSTRAP;
}

/* The other way round. False: it is too long. */
static bool take_entry(struct version *v, const char *entry)
{
    struct settings *s = &v->settings;
    if (s->runtime != SETTINGS_RUNTIME_PROVIDED)
        return str_copy(str_from(entry), s->handler, sizeof(s->handler));
    v->opt_bootstrap = strcmp(entry, REVISION_OPT_BOOTSTRAP) == 0;
    return s->handler[0] || str_copy(STR_LITERAL(REVISION_BOOTSTRAP), s->handler, sizeof(s->handler));
}

struct version *revision_load(const struct config *c, const struct store_revision *r, struct err *e)
{
    struct version *v = version_new();
    if (!v) {
        err_set(e, ENOMEM, "load '%s'", r->function);
        return NULL;
    }
    settings_init(&v->settings, &c->defaults);
    int result = settings_read_json(&v->settings, &c->defaults, r->settings, e);
    if (result == 0 && (!str_copy(str_from(r->revision), v->revision, sizeof(v->revision)) ||
                        !take_trees(v, r->code, r->opt, r->role) || !take_entry(v, r->handler)))
        result = err_say(e, EINVAL, "a stored text is too long");
    /* A digest of all that is loaded: one flipped bit, and it is not what was deployed. */
    char revision[MESSAGE_DIGEST_MAX];
    const struct store_digest_trees trees = {v->code, v->opt};
    store_digest_revision(&trees, v->settings.handler, r->settings, revision);
    if (result == 0 && strcmp(revision, v->revision) != 0)
        result = err_say(e, EUCLEAN, "its row in the database is damaged: deploy it again");
    if (result < 0) {
        version_put(v);
        return NULL;
    }
    v->number = r->number;
    v->created_ms = r->created_ms;
    v->code_bytes = r->code_bytes;
    return v;
}
