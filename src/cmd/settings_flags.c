/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/settings_flags.h"

#include "base/fdio.h"
#include "codec/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { ENV_FILE_MAX = 1 << 20 };

static size_t name_length(const char *entry)
{
    return strcspn(entry, "=");
}

/* Takes `entry` over: "NAME=VALUE", or "NAME" to remove one. */
static int keep_env(struct settings_flags *f, char *entry, struct err *e)
{
    size_t length = name_length(entry);
    for (size_t i = 0; i < f->env_count; i++)
        if (name_length(f->env[i]) == length && memcmp(f->env[i], entry, length) == 0) {
            free(f->env[i]);
            f->env[i] = entry;
            return 0;
        }
    char **grown = reallocarray(f->env, f->env_count + 1, sizeof(*grown));
    if (!grown) {
        free(entry);
        return err_set(e, ENOMEM, "keep the environment");
    }
    f->env = grown;
    f->env[f->env_count++] = entry;
    return 0;
}

/* The option's name will stand before the message: the key's would only repeat it. */
static int set_text(struct settings *s, const char *key, const char *value, struct err *e)
{
    size_t n = strlen(key);
    int r = settings_set_text(s, key, str_from(value), e);
    if (r < 0 && strncmp(e->text, key, n) == 0 && strncmp(e->text + n, ": ", 2) == 0)
        memmove(e->text, e->text + n + 2, strlen(e->text + n + 2) + 1);
    return r;
}

/* The name's own rules and the size limit are the daemon's parser's, run here so that a mistake costs no upload. */
static int check_env(struct settings_flags *f, const char *entry, struct err *e)
{
    struct settings scratch;
    settings_init(&scratch, &f->config.defaults);
    int r = set_text(&scratch, "env", entry, e);
    settings_fini(&scratch);
    return r;
}

/* One code point of UTF-8, leaving *p behind it; -1 when it is none. */
static int32_t next_code_point(struct str *p)
{
    const unsigned char *s = (const unsigned char *)p->p;
    size_t length = s[0] < 0x80                   ? 1
                    : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                    : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                    : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                  : 0;
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (!length || p->n < length)
        return -1;
    int32_t c = length == 1 ? s[0] : s[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1;
    *p = str_skip(*p, length);
    return c;
}

static bool is_utf8(const char *text)
{
    struct str rest = str_from(text);
    while (rest.n)
        if (next_code_point(&rest) < 0)
            return false;
    return true;
}

static int set_env(struct settings_flags *f, const char *text, struct err *e)
{
    char *entry = NULL;
    if (strchr(text, '=')) {
        entry = strdup(text);
    } else {
        const char *value = getenv(text);
        if (!value)
            return err_say(e, EINVAL, "'%s' is not in the environment: give it as %s=VALUE", text, text);
        if (asprintf(&entry, "%s=%s", text, value) < 0)
            entry = NULL;
    }
    if (!entry)
        return err_set(e, ENOMEM, "copy the environment");
    int r = is_utf8(entry)
                ? check_env(f, entry, e)
                : err_say(e, EINVAL, "the value of '%.*s' is not valid UTF-8", (int)name_length(entry), entry);
    if (r < 0) {
        free(entry);
        return r;
    }
    return keep_env(f, entry, e);
}

static int on_flag(void *target, const char *value, struct err *e)
{
    struct settings_flag *flag = target;
    if (strcmp(flag->key, "env") == 0)
        return set_env(flag->owner, value, e);
    return set_text(&flag->owner->settings, flag->key, value ? value : "yes", e);
}

static int on_unset_env(void *target, const char *name, struct err *e)
{
    if (!*name || strchr(name, '=') || !is_utf8(name))
        return err_say(e, EINVAL, "'%s' is not a variable's name", name);
    char *entry = strdup(name);
    return entry ? keep_env(target, entry, e) : err_set(e, ENOMEM, "copy the environment");
}
/* NAME=VALUE or NAME a line, values verbatim; empty lines and lines that begin with # are left out. */
static int on_env_file(void *target, const char *path, struct err *e)
{
    scoped_free char *text = malloc(ENV_FILE_MAX);
    if (!text)
        return err_set(e, ENOMEM, "read '%s'", path);
    ssize_t n = fd_read_file_at(AT_FDCWD, path, text, ENV_FILE_MAX, e);
    if (n < 0)
        return (int)n;
    if (memchr(text, '\0', (size_t)n))
        return err_say(e, EINVAL, "'%s' holds a NUL byte", path);
    unsigned number = 0;
    for (char *line = text, *next; line; line = next) {
        number++;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        size_t length = strlen(line);
        if (length && line[length - 1] == '\r')
            line[length - 1] = '\0';
        if (!*line || *line == '#')
            continue;
        int r = set_env(target, line, e);
        if (r < 0)
            return err_wrap(e, "%s:%u", path, number);
    }
    return 0;
}

int settings_flags_init(struct settings_flags *f)
{
    *f = (struct settings_flags){0};
    config_init(&f->config);
    settings_init(&f->settings, &f->config.defaults);
    unsigned i = 0;
    for (; i < SETTINGS_KEY_COUNT && settings_key_name(i); i++) {
        struct settings_flag *flag = &f->flags[i];
        flag->owner = f;
        flag->key = settings_key_name(i);
        if (!str_copy(str_from(flag->key), flag->name, sizeof(flag->name)))
            return -ENOMEM;
        for (char *p = flag->name; *p; p++)
            if (*p == '_')
                *p = '-';
        f->table[i] = (struct option){.name = flag->name,
                                      .kind = settings_key_is_boolean(i) ? OPTION_SWITCH : OPTION_CALL,
                                      .target = flag,
                                      .on_value = on_flag};
    }
    f->table[i++] = (struct option){.name = "env-file", .kind = OPTION_CALL, .target = f, .on_value = on_env_file};
    f->table[i++] = (struct option){.name = "unset-env", .kind = OPTION_CALL, .target = f, .on_value = on_unset_env};
    f->table[i] = (struct option){.name = "no-secrets", .kind = OPTION_BOOL, .target = &f->no_secrets};
    return 0;
}

void settings_flags_fini(struct settings_flags *f)
{
    for (size_t i = 0; i < f->env_count; i++)
        free(f->env[i]);
    free(f->env);
    settings_fini(&f->settings);
}

bool settings_flags_are_given(const struct settings_flags *f)
{
    return f->settings.given || f->env_count || f->no_secrets;
}

bool settings_flags_has(const struct settings_flags *f, enum settings_key key)
{
    return f->settings.given & (UINT64_C(1) << key);
}

static int add_code_point(struct buf *out, int32_t c)
{
    if (c < 0x10000)
        return buf_addf(out, "\\u%04x", (unsigned)c);
    unsigned high = 0xd800 + ((unsigned)(c - 0x10000) >> 10);
    unsigned low = 0xdc00 + ((unsigned)(c - 0x10000) & 0x3ff);
    return buf_addf(out, "\\u%04x\\u%04x", high, low);
}

/* Finished JSON, in which bytes past ASCII stand only inside strings. */
static int add_ascii(struct buf *out, struct str json, struct err *e)
{
    while (json.n) {
        int32_t c = next_code_point(&json);
        if (c < 0)
            return err_say(e, EINVAL, "a setting is not valid UTF-8");
        char byte = (char)c;
        if ((c < 0x80 ? buf_add(out, &byte, 1) : add_code_point(out, c)) < 0)
            return err_set(e, ENOMEM, "print the settings");
    }
    return 0;
}

/* `text` up to its '=' as the key of a member. */
static int put_variable(struct json_writer *w, const char *text)
{
    size_t length = name_length(text);
    scoped_free char *name = strndup(text, length);
    if (!name)
        return -ENOMEM;
    if (text[length])
        json_put_text(w, name, text + length + 1);
    else
        json_put_null(w, name);
    return 0;
}

static int put_all(const struct settings_flags *f, const struct json *given, struct buf *out)
{
    struct json_writer w;
    int r = 0;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    JSON_EACH(given, at)
    {
        json_put_value(&w, json_key(at), at);
    }
    if (f->no_secrets && !settings_flags_has(f, SETTINGS_KEY_SECRET))
        json_put_null(&w, "secret");
    if (f->env_count)
        json_put_object(&w, "env");
    for (size_t i = 0; r == 0 && i < f->env_count; i++)
        r = put_variable(&w, f->env[i]);
    if (f->env_count)
        json_put_object_end(&w);
    json_put_object_end(&w);
    return r < 0 ? r : json_writer_end(&w);
}

int settings_flags_print_json(const struct settings_flags *f, struct buf *out, struct err *e)
{
    struct buf given;
    struct buf whole;
    struct json_doc *doc = NULL;
    buf_init(&given, 0);
    buf_init(&whole, 0);
    int r = settings_print_json(&f->settings, true, false, &given);
    r = r < 0 ? err_set(e, -r, "print the settings") : json_parse(buf_str(&given), JSON_STRICT, &doc, e);
    if (r == 0) {
        r = put_all(f, json_root(doc), &whole);
        r = r < 0 ? err_set(e, -r, "print the settings") : add_ascii(out, buf_str(&whole), e);
    }
    json_free(doc);
    buf_fini(&given);
    buf_fini(&whole);
    return r;
}
