/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/settings.h"

#include "codec/json.h"
#include "codec/settings_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* pids where threads come with the runtime: libuv's and V8's, or whatever a bootstrap starts. */
enum { PIDS_MANY = 512 };

/* Keys of CONTRACT 1 that a later release brings. */
static const char *const NOT_BUILT[] = {"rootfs", "env_file", "instance_concurrency"};

const char *settings_key_name(unsigned index)
{
    return index < SETTINGS_KEY_COUNT ? settings_rows[index].scalar.name : NULL;
}

const char *settings_key_help(unsigned index)
{
    return index < SETTINGS_KEY_COUNT ? settings_rows[index].help : NULL;
}

bool settings_key_is_boolean(unsigned index)
{
    return index < SETTINGS_KEY_COUNT && settings_rows[index].shape == SETTINGS_SCALAR &&
           settings_rows[index].scalar.kind == SCALAR_BOOL;
}

bool settings_name_is_valid(struct str name)
{
    if (name.n == 0 || name.n >= SETTINGS_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

bool settings_target_is_valid(struct str text)
{
    bool qualified;
    struct str qualifier;
    struct str name = str_cut(text, ':', &qualifier, &qualified);
    return settings_name_is_valid(name) &&
           (!qualified || str_is(qualifier, "$LATEST") || settings_name_is_valid(qualifier));
}

void settings_init(struct settings *s, const struct settings_defaults *d)
{
    *s = (struct settings){
        .content_type = "application/octet-stream",
        .memory_bytes = d->memory_bytes,
        .tmp_bytes = d->tmp_bytes,
        .timeout_ms = d->timeout_ms,
        .keep_warm_ms = d->keep_warm_ms,
        .cpus_milli = d->cpus_milli,
        .cpu_weight = d->cpu_weight,
        .pids = d->pids,
        .min_warm = d->min_warm,
        .max_concurrency = d->max_concurrency,
        .queue = d->queue,
        .async_retries = d->async_retries,
        .async_backoff_ms = d->async_backoff_ms,
        .async_max_age_ms = d->async_max_age_ms,
        .tmp_exec = d->tmp_exec,
    };
}

void settings_fini(struct settings *s)
{
    settings_drop_env(s);
    settings_drop_mounts(s);
    settings_drop_secrets(s);
    settings_drop_allow(s);
    settings_drop_calls(s);
}

/* NULL for an empty one, and when memory is out. */
static void *copy_block(const void *from, size_t n)
{
    void *to = n ? malloc(n) : NULL;
    return to ? memcpy(to, from, n) : NULL;
}

int settings_copy(struct settings *to, const struct settings *from)
{
    *to = *from;
    to->env = copy_block(from->env, from->env_bytes);
    to->mounts = copy_block(from->mounts, from->mount_count * sizeof(from->mounts[0]));
    to->secrets = copy_block(from->secrets, from->secrets_bytes);
    to->allow = copy_block(from->allow, from->allow_count * sizeof(from->allow[0]));
    to->calls = copy_block(from->calls, from->calls_bytes);
    if (!to->env == !from->env_bytes && !to->mounts == !from->mount_count && !to->secrets == !from->secrets_bytes &&
        !to->allow == !from->allow_count && !to->calls == !from->calls_bytes)
        return 0;
    settings_fini(to);
    return -ENOMEM;
}

static int find_key(const char *name, struct err *e)
{
    for (int i = 0; i < SETTINGS_KEY_COUNT; i++)
        if (!strcmp(name, settings_rows[i].scalar.name))
            return i;
    for (size_t i = 0; i < sizeof(NOT_BUILT) / sizeof(NOT_BUILT[0]); i++)
        if (!strcmp(name, NOT_BUILT[i]))
            return err_say(e, EINVAL, "'%s' is not built yet", name);
    const char *nearest = scalar_find_nearest(name, settings_key_name);
    if (nearest)
        return err_say(e, EINVAL, "unknown key '%.*s', did you mean '%s'?", SETTINGS_NAME_MAX, name, nearest);
    return err_say(e, EINVAL, "unknown key '%.*s'", SETTINGS_NAME_MAX, name);
}

static void return_to_default(struct settings *s, const struct settings_defaults *d, int key)
{
    struct settings fresh;
    settings_init(&fresh, d);
    s->given &= ~SETTINGS_BIT(key);
    switch (settings_rows[key].shape) {
    case SETTINGS_SCALAR:
        scalar_copy(&settings_rows[key].scalar, s, &fresh);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        s->runtime = fresh.runtime;
        memset(s->runtime_name, 0, sizeof(s->runtime_name));
        break;
    case SETTINGS_ENV:
        settings_drop_env(s);
        break;
    case SETTINGS_MOUNTS:
        settings_drop_mounts(s);
        break;
    case SETTINGS_DEVICES:
        s->device_count = 0;
        break;
    case SETTINGS_SECRETS:
        settings_drop_secrets(s);
        break;
    case SETTINGS_ALLOW:
        settings_drop_allow(s);
        break;
    case SETTINGS_CALLS:
        settings_drop_calls(s);
        break;
    }
}

static void note_given(struct settings *s, int key, bool is_given)
{
    if (is_given)
        s->given |= SETTINGS_BIT(key);
    else
        s->given &= ~SETTINGS_BIT(key);
}

static int read_env(struct settings *s, const struct json *value, struct err *e)
{
    if (!json_is_object(value))
        return err_say(e, EINVAL, "an object of strings was expected, not %s", json_type_name(value));
    JSON_EACH(value, at)
    {
        const char *text = json_text(at);
        if (!text && !json_is_null(at))
            return err_say(e, EINVAL, "'%.*s' is %s, not a string", SETTINGS_NAME_MAX, json_key(at),
                           json_type_name(at));
        int r = settings_env_change(s, str_from(json_key(at)), str_from(text), e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_list(struct settings *s, const struct json *value,
                     int (*add)(struct settings *s, struct str text, struct err *e), struct err *e)
{
    if (!json_is_array(value))
        return err_say(e, EINVAL, "an array of strings was expected, not %s", json_type_name(value));
    JSON_EACH(value, at)
    {
        if (!json_text(at))
            return err_say(e, EINVAL, "an array of strings was expected, with %s in it", json_type_name(at));
        int r = add(s, str_from(json_text(at)), e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_runtime(struct settings *s, const struct json *value, struct err *e)
{
    if (!json_text(value))
        return err_say(e, EINVAL, "a string was expected, not %s", json_type_name(value));
    return settings_set_runtime(s, str_from(json_text(value)), e);
}

static int read_key(struct settings *s, int key, const struct json *value, struct err *e)
{
    int r = 0;
    switch (settings_rows[key].shape) {
    case SETTINGS_SCALAR:
        r = scalar_read_json(&settings_rows[key].scalar, s, value, e);
        note_given(s, key, true);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        r = read_runtime(s, value, e);
        note_given(s, key, true);
        break;
    case SETTINGS_ENV:
        r = read_env(s, value, e);
        note_given(s, key, s->env_bytes > 0);
        break;
    case SETTINGS_MOUNTS:
        settings_drop_mounts(s);
        r = read_list(s, value, settings_add_mount, e);
        note_given(s, key, s->mount_count > 0);
        break;
    case SETTINGS_DEVICES:
        s->device_count = 0;
        r = read_list(s, value, settings_add_device, e);
        note_given(s, key, s->device_count > 0);
        break;
    case SETTINGS_SECRETS:
        settings_drop_secrets(s);
        r = read_list(s, value, settings_add_secret, e);
        note_given(s, key, s->secrets_bytes > 0);
        break;
    case SETTINGS_ALLOW:
        settings_drop_allow(s);
        r = read_list(s, value, settings_add_allow, e);
        note_given(s, key, s->allow_count > 0);
        break;
    case SETTINGS_CALLS:
        settings_drop_calls(s);
        r = read_list(s, value, settings_add_calls, e);
        note_given(s, key, s->calls_bytes > 0);
        break;
    }
    return r < 0 ? err_wrap(e, "%s", settings_rows[key].scalar.name) : 0;
}

static int read_member(struct settings *s, const struct settings_defaults *d, const struct json *at, struct err *e)
{
    if (!strcmp(json_key(at), "$schema"))
        return json_text(at) ? 0 : err_say(e, EINVAL, "$schema: a string was expected, not %s", json_type_name(at));
    int key = find_key(json_key(at), e);
    if (key < 0)
        return key;
    if (!json_is_null(at))
        return read_key(s, key, at, e);
    return_to_default(s, d, key);
    return 0;
}

/* CONTRACT 5. A larger default of the configuration stays. */
static void settle_defaults(struct settings *s, const struct settings_defaults *d)
{
    bool many = s->runtime == SETTINGS_RUNTIME_NODE || s->runtime == SETTINGS_RUNTIME_PROVIDED;
    if (!(s->given & SETTINGS_BIT(SETTINGS_KEY_PIDS)))
        s->pids = many && d->pids < PIDS_MANY ? PIDS_MANY : d->pids;
    if (!(s->given & SETTINGS_BIT(SETTINGS_KEY_TMP_EXEC)))
        s->tmp_exec = d->tmp_exec || s->runtime == SETTINGS_RUNTIME_PROVIDED;
}

int settings_read_json(struct settings *s, const struct settings_defaults *d, struct str json, struct err *e)
{
    struct json_doc *doc = NULL;
    int r = json_parse(json, JSON_COMMENTS, &doc, e);
    if (r < 0)
        return r;
    const struct json *root = json_root(doc);
    if (!json_is_object(root))
        r = err_say(e, EINVAL, "settings are an object, not %s", json_type_name(root));
    JSON_EACH(root, at)
    {
        if (r < 0)
            break;
        r = read_member(s, d, at, e);
        if (r < 0)
            err_wrap(e, "line %u", json_line(doc, at));
    }
    json_free(doc);
    if (r == 0)
        settle_defaults(s, d);
    return r;
}

static int set_env_text(struct settings *s, struct str text, struct err *e)
{
    bool has_value;
    struct str value;
    struct str name = str_cut(text, '=', &value, &has_value);
    if (!has_value)
        return err_say(e, EINVAL, "'%.*s' is not NAME=VALUE", (int)text.n, text.p);
    if (!value.p)
        value = STR_LITERAL("");
    return settings_env_change(s, name, value, e);
}

int settings_set_text(struct settings *s, const char *key_name, struct str value, struct err *e)
{
    int key = find_key(key_name, e);
    if (key < 0)
        return key;
    int r = 0;
    switch (settings_rows[key].shape) {
    case SETTINGS_SCALAR:
        r = scalar_read_text(&settings_rows[key].scalar, s, value, e);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        r = settings_set_runtime(s, value, e);
        break;
    case SETTINGS_ENV:
        r = set_env_text(s, value, e);
        break;
    case SETTINGS_MOUNTS:
        r = settings_add_mount(s, value, e);
        break;
    case SETTINGS_DEVICES:
        r = settings_add_device(s, value, e);
        break;
    case SETTINGS_SECRETS:
        r = settings_add_secret(s, value, e);
        break;
    case SETTINGS_ALLOW:
        r = settings_add_allow(s, value, e);
        break;
    case SETTINGS_CALLS:
        r = settings_add_calls(s, value, e);
        break;
    }
    if (r < 0)
        return err_wrap(e, "%s", settings_rows[key].scalar.name);
    note_given(s, key, true);
    return 0;
}
