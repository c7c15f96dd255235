/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of settings that hold more than one value: env, mount, device, allow_host, secret. */
#include "codec/settings_key.h"
#include "codec/settings_secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a name or value that a message shows. */
enum { SHOWN_MAX = 64 };

void settings_drop_mounts(struct settings *s)
{
    free(s->mounts);
    s->mounts = NULL;
    s->mount_count = 0;
}

void settings_drop_env(struct settings *s)
{
    free(s->env);
    s->env = NULL;
    s->env_bytes = 0;
}

const char *settings_env_entry(const struct settings *s, size_t at, size_t *ret_name)
{
    if (at >= s->env_bytes)
        return NULL;
    *ret_name = strcspn(s->env + at, "=");
    return s->env + at;
}

int settings_env_check_name(struct str name, struct err *e)
{
    /* They would run foreign code in every process of the function, where a setting looks harmless. */
    static const char *const refused[] = {"LD_PRELOAD", "LD_AUDIT"};
    bool good = name.n > 0 && name.n <= 256 && !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (!good)
        return err_say(e, EINVAL, "'%.*s' is not a variable's name (letters, digits, _)",
                       (int)(name.n < SHOWN_MAX ? name.n : SHOWN_MAX), name.p);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (str_is(name, refused[i]))
            return err_say(e, EINVAL, "%s is not allowed", refused[i]);
    return 0;
}

/* Where `name` stands or belongs; the length of its entry with the NUL in *ret_length, 0 when it is not there. */
static size_t find_env(const struct settings *s, struct str name, size_t *ret_length)
{
    size_t at = 0, n;
    const char *entry;
    *ret_length = 0;
    while ((entry = settings_env_entry(s, at, &n))) {
        size_t common = n < name.n ? n : name.n;
        int order = memcmp(entry, name.p, common);
        if (order == 0 && n == name.n)
            *ret_length = strlen(entry) + 1;
        if (order > 0 || (order == 0 && n >= name.n))
            return at;
        at += strlen(entry) + 1;
    }
    return at;
}

int settings_env_change(struct settings *s, struct str name, struct str value, struct err *e)
{
    int r = settings_env_check_name(name, e);
    if (r < 0)
        return r;
    if (value.n && memchr(value.p, '\0', value.n))
        return err_say(e, EINVAL, "the value of %.*s holds a NUL byte", (int)name.n, name.p);
    size_t old;
    size_t at = find_env(s, name, &old);
    size_t new = value.p ? name.n + 1 + value.n + 1 : 0;
    if (value.n > SETTINGS_ENV_BYTES_MAX || s->env_bytes - old + new > SETTINGS_ENV_BYTES_MAX)
        return err_say(e, EINVAL, "with %.*s the environment is over %d bytes", (int)name.n, name.p,
                       (int)SETTINGS_ENV_BYTES_MAX);
    size_t bytes = s->env_bytes - old + new;
    if (bytes == 0) {
        settings_drop_env(s);
        return 0;
    }
    char *env = malloc(bytes);
    if (!env)
        return err_set(e, ENOMEM, "keep the environment");
    if (at)
        memcpy(env, s->env, at);
    if (new) {
        memcpy(env + at, name.p, name.n);
        env[at + name.n] = '=';
        if (value.n)
            memcpy(env + at + name.n + 1, value.p, value.n);
        env[at + new - 1] = '\0';
    }
    if (s->env_bytes > at + old)
        memcpy(env + at + new, s->env + at + old, s->env_bytes - at - old);
    free(s->env);
    s->env = env;
    s->env_bytes = bytes;
    return 0;
}

/* Absolute, without empty, "." or ".." components, no slash at the end, printable. */
static int read_path(struct str text, char out[SETTINGS_PATH_MAX], struct err *e)
{
    if (!str_copy(text, out, SETTINGS_PATH_MAX))
        return err_say(e, EINVAL, "a path of %zu bytes; the most is %d", text.n, SETTINGS_PATH_MAX - 1);
    int r = scalar_check_printable(out, e);
    if (r < 0)
        return r;
    bool good = text.n > 1 && text.p[0] == '/' && text.p[text.n - 1] != '/';
    for (struct str rest = str_skip(text, 1); good && rest.n;) {
        struct str part = str_cut(rest, '/', &rest, NULL);
        good = part.n && !str_is(part, ".") && !str_is(part, "..");
    }
    if (!good && text.n == 1 && out[0] == '/')
        return err_say(e, EINVAL, "'/' is the whole tree: a path beneath it has to be named, such as /data");
    if (!good && text.n > 1 && out[0] == '/' && out[text.n - 1] == '/')
        return err_say(e, EINVAL, "'%s' ends with a slash: leave it out", out);
    return good ? 0 : err_say(e, EINVAL, "'%s' is not an absolute path without '.', '..' and '//'", out);
}

static bool is_beneath(const char *path, const char *top)
{
    size_t n = strlen(top);
    return !strncmp(path, top, n) && (path[n] == '/' || path[n] == '\0');
}

/* A mount must not replace a part of the sandbox: nor lie in /tmp, which is emptied after each request. */
static int check_target(const char *target, struct err *e)
{
    static const char *const own[] = {"/usr",  "/bin", "/sbin", "/lib", "/lib32", "/lib64",    "/libx32",     "/etc",
                                      "/proc", "/sys", "/dev",  "/tmp", "/run",   "/var/task", "/var/runtime"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (is_beneath(target, own[i]) || is_beneath(own[i], target))
            return err_say(e, EINVAL, "'%s' would hide %s of the sandbox: choose a path such as /mnt/data", target,
                           own[i]);
    return 0;
}

int settings_add_mount(struct settings *s, struct str text, struct err *e)
{
    struct settings_mount m = {0};
    struct str rest, mode;
    bool has_target, has_mode;
    struct str source = str_cut(text, ':', &rest, &has_target);
    struct str target = str_cut(rest, ':', &mode, &has_mode);
    m.writable = str_is(mode, "rw");
    if (!has_target || (has_mode && !m.writable && !str_is(mode, "ro")))
        return err_say(e, EINVAL, "'%.*s' is not SRC:DST or SRC:DST:rw", (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX),
                       text.p);
    if (s->mount_count == SETTINGS_MOUNTS_MAX)
        return err_say(e, EINVAL, "more than %d mounts", (int)SETTINGS_MOUNTS_MAX);
    int r = read_path(source, m.source, e);
    if (r == 0)
        r = read_path(target, m.target, e);
    if (r == 0)
        r = check_target(m.target, e);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < s->mount_count; i++)
        if (is_beneath(m.target, s->mounts[i].target) || is_beneath(s->mounts[i].target, m.target))
            return err_say(e, EINVAL, "'%s' and '%s' overlap", s->mounts[i].target, m.target);
    struct settings_mount *more = realloc(s->mounts, (s->mount_count + 1) * sizeof(m));
    if (!more)
        return err_set(e, ENOMEM, "add a mount");
    s->mounts = more;
    s->mounts[s->mount_count++] = m;
    return 0;
}

int settings_print_mount(const struct settings_mount *m, struct buf *out)
{
    return buf_addf(out, "%s:%s%s", m->source, m->target, m->writable ? ":rw" : "");
}

int settings_add_device(struct settings *s, struct str text, struct err *e)
{
    char path[SETTINGS_PATH_MAX];
    int r = read_path(text, path, e);
    if (r < 0)
        return r;
    if (!str_starts_with(text, "/dev/") || text.n >= sizeof(s->devices[0]))
        return err_say(e, EINVAL, "'%s' is not a device such as /dev/ttyS0", path);
    if (s->device_count == SETTINGS_DEVICES_MAX)
        return err_say(e, EINVAL, "more than %d devices", (int)SETTINGS_DEVICES_MAX);
    for (uint32_t i = 0; i < s->device_count; i++)
        if (!strcmp(s->devices[i], path))
            return err_say(e, EINVAL, "'%s' stands there twice", path);
    memcpy(s->devices[s->device_count++], path, text.n + 1);
    return 0;
}

void settings_drop_allow(struct settings *s)
{
    free(s->allow);
    s->allow = NULL;
    s->allow_count = 0;
}

int settings_add_allow(struct settings *s, struct str text, struct err *e)
{
    struct egress_rule rule;
    int r = egress_parse(text, &rule, e);
    if (r < 0)
        return r;
    if (s->allow_count == EGRESS_RULES_MAX)
        return err_say(e, EINVAL, "more than %d hosts", (int)EGRESS_RULES_MAX);
    for (uint32_t i = 0; i < s->allow_count; i++)
        if (!memcmp(&s->allow[i], &rule, sizeof(rule)))
            return err_say(e, EINVAL, "'%.*s' stands there twice", (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX),
                           text.p);
    struct egress_rule *more = realloc(s->allow, (s->allow_count + 1) * sizeof(rule));
    if (!more)
        return err_set(e, ENOMEM, "add a host");
    s->allow = more;
    s->allow[s->allow_count++] = rule;
    return 0;
}

/* ---- secrets ---- */

void settings_drop_secrets(struct settings *s)
{
    free(s->secrets);
    s->secrets = NULL;
    s->secrets_bytes = 0;
}

bool settings_file_is_valid(struct str file)
{
    if (file.n == 0 || file.n >= SETTINGS_NAME_MAX || file.p[0] == '.')
        return false;
    for (size_t i = 0; i < file.n; i++)
        if (file.p[i] != '.' && !settings_name_is_valid((struct str){&file.p[i], 1}))
            return false;
    return true;
}

bool settings_secret_next(const struct settings *s, size_t *at, struct settings_secret *ret_secret)
{
    if (*at >= s->secrets_bytes)
        return false;
    struct str entry = str_from(s->secrets + *at);
    *at += entry.n + 1;
    ret_secret->name = str_cut(entry, '=', &ret_secret->file, NULL);
    return true;
}

static int check_secret(const struct settings *s, const struct settings_secret *new, struct err *e)
{
    struct settings_secret other;
    unsigned count = 0;
    /* What is no name may be a value that was given in a name's place: it is not repeated. */
    if (!settings_name_is_valid(new->name))
        return err_say(e, EINVAL,
                       "that is no secret's name: 1 to 64 of A-Z a-z 0-9 _ -. The value goes to `faasd secret set`");
    if (!settings_file_is_valid(new->file))
        return err_say(e, EINVAL,
                       "'%.*s=': that is no file name for /run/secrets: 1 to 64 of A-Z a-z 0-9 . _ -, no dot first",
                       (int)new->name.n, new->name.p);
    for (size_t at = 0; settings_secret_next(s, &at, &other); count++)
        if (str_equal(other.file, new->file))
            return err_say(e, EINVAL, "'%.*s' stands there twice", (int)new->file.n, new->file.p);
    if (count == SETTINGS_SECRETS_MAX)
        return err_say(e, EINVAL, "more than %d secrets", (int)SETTINGS_SECRETS_MAX);
    return 0;
}

int settings_add_secret(struct settings *s, struct str text, struct err *e)
{
    bool renamed;
    struct settings_secret new;
    new.name = str_cut(text, '=', &new.file, &renamed);
    if (!renamed)
        new.file = new.name;
    int r = check_secret(s, &new, e);
    if (r < 0)
        return r;
    size_t bytes = new.name.n + 1 + new.file.n + 1;
    char *grown = realloc(s->secrets, s->secrets_bytes + bytes);
    if (!grown)
        return err_set(e, ENOMEM, "keep the list of secrets");
    char *entry = grown + s->secrets_bytes;
    memcpy(entry, new.name.p, new.name.n);
    entry[new.name.n] = '=';
    memcpy(entry + new.name.n + 1, new.file.p, new.file.n);
    entry[bytes - 1] = '\0';
    s->secrets = grown;
    s->secrets_bytes += bytes;
    return 0;
}

int settings_print_secret(const struct settings_secret *secret, struct buf *out)
{
    int r = buf_add_str(out, secret->name);
    if (r == 0 && !str_equal(secret->name, secret->file))
        r = buf_addf(out, "=%.*s", (int)secret->file.n, secret->file.p);
    return r;
}
