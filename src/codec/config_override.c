/* SPDX-License-Identifier: Apache-2.0 */
/* What stands over the configuration's files: variables of the environment, then flags. */
#include "codec/config_key.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

void config_variable_name(const struct config_row *row, char out[CONFIG_VARIABLE_MAX])
{
    static const char prefix[] = "FAASD_";
    size_t n = sizeof(prefix) - 1;
    memcpy(out, prefix, n);
    for (const char *p = row->scalar.name; *p && n + 1 < CONFIG_VARIABLE_MAX; p++)
        out[n++] = (char)(*p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    out[n] = '\0';
}

/* Of the keys that a variable can set, then those of the command line. */
static const char *name_at(unsigned i)
{
    static char name[CONFIG_VARIABLE_MAX];
    static const char *const OTHERS[] = {"FAASD_ROOT", "FAASD_URL", "FAASD_TOKEN", "FAASD_TOKEN_FILE"};
    enum { OTHER_COUNT = sizeof(OTHERS) / sizeof(OTHERS[0]) };
    for (unsigned row = 0; row < config_row_count; row++) {
        if (config_rows[row].shape != CONFIG_SCALAR && config_rows[row].shape != CONFIG_LISTEN)
            continue;
        if (i-- > 0)
            continue;
        config_variable_name(&config_rows[row], name);
        return name;
    }
    return i < OTHER_COUNT ? OTHERS[i] : NULL;
}

/* The one at the smallest distance, which is returned; 0: it is known. */
static unsigned find_nearest(const char *name, const char **ret_nearest)
{
    unsigned best = 4, at = 0; /* one more than what still counts as a slip of the hand */
    for (unsigned i = 0; name_at(i); i++) {
        unsigned distance = str_distance(name, name_at(i));
        if (distance < best) {
            best = distance;
            at = i;
        }
    }
    *ret_nearest = best < 4 ? name_at(at) : NULL;
    return best;
}

bool config_next_unknown_variable(char *const **at, char name[CONFIG_VARIABLE_MAX], const char **ret_nearest)
{
    for (; **at; ++*at) {
        struct str value, text = str_cut(str_from(**at), '=', &value, NULL);
        if (!str_starts_with(text, "FAASD_"))
            continue;
        if (text.n >= CONFIG_VARIABLE_MAX)
            text.n = CONFIG_VARIABLE_MAX - 1;
        str_copy(text, name, CONFIG_VARIABLE_MAX);
        if (find_nearest(name, ret_nearest) == 0)
            continue;
        ++*at;
        return true;
    }
    return false;
}

static const char *find_variable(char *const *environment, const char *name)
{
    size_t n = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    return NULL;
}

static void clear_listen(struct config *c)
{
    memset(c->listen, 0, sizeof(c->listen));
    c->listen_count = 0;
}

static int read_listen(struct config *c, const char *value, struct err *e)
{
    char address[CONFIG_PATH_MAX];
    struct str rest = str_from(value);
    int r = 0;
    clear_listen(c);
    while (r == 0 && rest.n) {
        struct str at = str_trim(str_cut(rest, ',', &rest, NULL));
        r = str_copy(at, address, sizeof(address)) ? config_add_listen(c, address, e)
                                                   : err_say(e, EINVAL, "an address is too long");
    }
    return r;
}

int config_read_environment(struct config *c, char *const *environment, struct err *e)
{
    char name[CONFIG_VARIABLE_MAX];
    for (unsigned i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        config_variable_name(row, name);
        const char *value = find_variable(environment, name);
        if (!value || (row->shape != CONFIG_SCALAR && row->shape != CONFIG_LISTEN))
            continue;
        int r = row->shape == CONFIG_LISTEN ? read_listen(c, value, e)
                                            : scalar_read_text(&row->scalar, c, str_from(value), e);
        if (r < 0)
            return err_wrap(e, "the environment's %s", name);
        c->origins[i] = CONFIG_FROM_ENVIRONMENT;
    }
    return config_check(c, e);
}

int config_set_listen_flags(struct config *c, const char *const *texts, unsigned count, struct err *e)
{
    int r = 0;
    clear_listen(c);
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = config_add_listen(c, texts[i], e);
    for (unsigned i = 0; i < config_row_count; i++)
        if (config_rows[i].shape == CONFIG_LISTEN)
            c->origins[i] = CONFIG_FROM_FLAG;
    return r;
}

static unsigned find_text(const char *key)
{
    unsigned i = 0;
    while (i < config_row_count && strcmp(config_rows[i].scalar.name, key) != 0)
        i++;
    assert(i < config_row_count && config_rows[i].scalar.kind == SCALAR_TEXT);
    return i;
}

int config_check_flag(const char *key, const char *text, struct err *e)
{
    const struct scalar *s = &config_rows[find_text(key)].scalar;
    if (strlen(text) >= s->max)
        return err_say(e, EINVAL, "'%.80s' is too long", text);
    return s->check ? s->check(text, e) : 0;
}

int config_set_flag(struct config *c, const char *key, const char *text, struct err *e)
{
    unsigned i = find_text(key);
    int r = config_check_flag(key, text, e);
    if (r < 0)
        return r;
    strcpy((char *)c + config_rows[i].scalar.offset, text);
    c->origins[i] = CONFIG_FROM_FLAG;
    return 0;
}
