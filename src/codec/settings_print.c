/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"
#include "codec/settings_key.h"
#include "codec/settings_secret.h"

#include <errno.h>
#include <string.h>

static void put_env(const struct settings *s, bool mask, struct json_writer *w)
{
    char name[SETTINGS_PATH_MAX + 1];
    size_t n;
    const char *entry;
    json_put_object(w, "env");
    for (size_t at = 0; (entry = settings_env_entry(s, at, &n)); at += strlen(entry) + 1) {
        str_copy((struct str){.p = entry, .n = n}, name, sizeof(name));
        json_put_text(w, name, mask ? "***" : entry + n + 1);
    }
    json_put_object_end(w);
}

static void put_mounts(const struct settings *s, struct json_writer *w)
{
    struct buf text;
    buf_init(&text, 0);
    json_put_array(w, "mount");
    for (uint32_t i = 0; i < s->mount_count; i++) {
        text.len = 0;
        if (settings_print_mount(&s->mounts[i], &text) < 0)
            w->error = w->error ? w->error : -ENOMEM;
        json_put_str(w, NULL, buf_str(&text));
    }
    json_put_array_end(w);
    buf_fini(&text);
}

static void put_calls(const struct settings *s, struct json_writer *w)
{
    struct str name;
    json_put_array(w, "system_calls");
    for (size_t at = 0; settings_call_next(s, &at, &name);)
        json_put_text(w, NULL, name.p);
    json_put_array_end(w);
}

static void put_secrets(const struct settings *s, struct json_writer *w)
{
    struct settings_secret secret;
    struct buf text;
    buf_init(&text, 0);
    json_put_array(w, "secret");
    for (size_t at = 0; settings_secret_next(s, &at, &secret);) {
        text.len = 0;
        if (settings_print_secret(&secret, &text) < 0)
            w->error = w->error ? w->error : -ENOMEM;
        json_put_str(w, NULL, buf_str(&text));
    }
    json_put_array_end(w);
    buf_fini(&text);
}

static void put_allow(const struct settings *s, struct json_writer *w)
{
    struct buf text;
    buf_init(&text, 0);
    json_put_array(w, "allow_host");
    for (uint32_t i = 0; i < s->allow_count; i++) {
        text.len = 0;
        if (egress_print(&s->allow[i], &text) < 0)
            w->error = w->error ? w->error : -ENOMEM;
        json_put_str(w, NULL, buf_str(&text));
    }
    json_put_array_end(w);
    buf_fini(&text);
}

static void put_key(const struct settings *s, int key, bool mask_env, struct json_writer *w)
{
    const struct settings_row *row = &settings_rows[key];
    switch (row->shape) {
    case SETTINGS_SCALAR:
        scalar_put_json(&row->scalar, s, row->scalar.name, w);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        json_put_text(w, row->scalar.name, settings_runtime_name(s));
        break;
    case SETTINGS_ENV:
        put_env(s, mask_env, w);
        break;
    case SETTINGS_MOUNTS:
        put_mounts(s, w);
        break;
    case SETTINGS_DEVICES:
        json_put_array(w, row->scalar.name);
        for (uint32_t i = 0; i < s->device_count; i++)
            json_put_text(w, NULL, s->devices[i]);
        json_put_array_end(w);
        break;
    case SETTINGS_SECRETS:
        put_secrets(s, w);
        break;
    case SETTINGS_ALLOW:
        put_allow(s, w);
        break;
    case SETTINGS_CALLS:
        put_calls(s, w);
        break;
    }
}

int settings_print_json(const struct settings *s, bool given_only, bool mask_env, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    for (int key = 0; key < SETTINGS_KEY_COUNT; key++)
        if (!given_only || s->given & SETTINGS_BIT(key))
            put_key(s, key, mask_env, &w);
    if (!given_only) {
        json_put_array(&w, "defaults");
        for (int key = 0; key < SETTINGS_KEY_COUNT; key++)
            if (!(s->given & SETTINGS_BIT(key)))
                json_put_text(&w, NULL, settings_rows[key].scalar.name);
        json_put_array_end(&w);
    }
    json_put_object_end(&w);
    return json_writer_end(&w);
}

static int add_calls(const struct settings *s, struct buf *out)
{
    struct str name;
    int r = 0;
    for (size_t at = 0; r == 0 && settings_call_next(s, &at, &name);)
        r = buf_addf(out, "%s%.*s", at > name.n + 1 ? ", " : "", (int)name.n, name.p);
    return r;
}

static int add_secrets(const struct settings *s, struct buf *out)
{
    struct settings_secret secret;
    int r = 0;
    for (size_t at = 0; r == 0 && settings_secret_next(s, &at, &secret);) {
        r = at > secret.name.n + secret.file.n + 2 ? buf_add_text(out, ", ") : 0;
        r = r < 0 ? r : settings_print_secret(&secret, out);
    }
    return r;
}

/* The value as people write it; "none" for what is empty. */
static int add_value(const struct settings *s, int key, struct buf *out)
{
    const struct settings_row *row = &settings_rows[key];
    size_t start = out->len;
    int r = 0;
    if (row->shape == SETTINGS_SCALAR)
        r = scalar_print_text(&row->scalar, s, out);
    if (row->shape == SETTINGS_RUNTIME_SHAPE)
        r = buf_add_text(out, settings_runtime_name(s));
    for (uint32_t i = 0; r == 0 && row->shape == SETTINGS_MOUNTS && i < s->mount_count; i++) {
        r = i ? buf_add_text(out, ", ") : 0;
        r = r < 0 ? r : settings_print_mount(&s->mounts[i], out);
    }
    for (uint32_t i = 0; r == 0 && row->shape == SETTINGS_DEVICES && i < s->device_count; i++)
        r = buf_addf(out, "%s%s", i ? ", " : "", s->devices[i]);
    for (uint32_t i = 0; r == 0 && row->shape == SETTINGS_ALLOW && i < s->allow_count; i++) {
        r = i ? buf_add_text(out, ", ") : 0;
        r = r < 0 ? r : egress_print(&s->allow[i], out);
    }
    if (r == 0 && row->shape == SETTINGS_SECRETS)
        r = add_secrets(s, out);
    if (r == 0 && row->shape == SETTINGS_CALLS)
        r = add_calls(s, out);
    if (r == 0 && out->len == start)
        r = buf_add_text(out, "none");
    return r;
}

static int add_change(const struct settings *before, const struct settings *after, int key, struct buf *out)
{
    struct buf old, new;
    buf_init(&old, 0);
    buf_init(&new, 0);
    int r = add_value(before, key, &old);
    r = r < 0 ? r : add_value(after, key, &new);
    if (r == 0 && !str_equal(buf_str(&old), buf_str(&new)))
        r = buf_addf(out, "%s %.*s -> %.*s\n", settings_rows[key].scalar.name, (int)old.len, old.data, (int)new.len,
                     new.data);
    buf_fini(&old);
    buf_fini(&new);
    return r;
}

/* Both blocks are sorted by name: one walk over the two. */
static int add_env_changes(const struct settings *before, const struct settings *after, struct buf *out)
{
    size_t a = 0, b = 0, an = 0, bn = 0;
    int r = 0;
    while (r == 0) {
        const char *old = settings_env_entry(before, a, &an), *new = settings_env_entry(after, b, &bn);
        if (!old && !new)
            break;
        int order = !old ? 1 : !new ? -1 : memcmp(old, new, an < bn ? an : bn);
        if (order == 0 && an != bn)
            order = an < bn ? -1 : 1;
        if (order < 0)
            r = buf_addf(out, "env %.*s removed\n", (int)an, old);
        else if (order > 0)
            r = buf_addf(out, "env %.*s added\n", (int)bn, new);
        else if (strcmp(old, new) != 0)
            r = buf_addf(out, "env %.*s changed\n", (int)an, old);
        a += order <= 0 ? strlen(old) + 1 : 0;
        b += order >= 0 ? strlen(new) + 1 : 0;
    }
    return r;
}

int settings_print_changes(const struct settings *before, const struct settings *after, struct buf *out)
{
    int r = 0;
    for (int key = 0; r == 0 && key < SETTINGS_KEY_COUNT; key++)
        r = settings_rows[key].shape == SETTINGS_ENV ? add_env_changes(before, after, out)
                                                     : add_change(before, after, key, out);
    return r;
}
