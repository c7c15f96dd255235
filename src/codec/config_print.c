/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fmt.h"
#include "codec/config_key.h"
#include "codec/json.h"

#include <errno.h>
#include <string.h>

static void put_list(const struct config *c, enum config_shape shape, const char *key, struct json_writer *w)
{
    struct buf text;
    buf_init(&text, 0);
    json_put_array(w, key);
    for (uint32_t i = 0; i < config_list_count(c, shape); i++) {
        text.len = 0;
        if (config_list_entry(c, shape, i, &text) < 0)
            w->error = w->error ? w->error : -ENOMEM;
        json_put_str(w, NULL, buf_str(&text));
    }
    json_put_array_end(w);
    buf_fini(&text);
}

/* Those of the configuration alone: what is found is not anybody's wish, and is found again. */
static void put_runtimes(const struct config *c, const char *key, struct json_writer *w)
{
    json_put_object(w, key);
    for (uint32_t i = 0; i < c->runtime_count; i++)
        if (!c->runtimes[i].found)
            json_put_text(w, c->runtimes[i].name, c->runtimes[i].path);
    json_put_object_end(w);
}

static void put_value(const struct config *c, const struct config_row *row, const char *key, struct json_writer *w)
{
    if (row->shape == CONFIG_SCALAR)
        scalar_put_json(&row->scalar, c, key, w);
    else if (row->shape == CONFIG_RUNTIMES)
        put_runtimes(c, key, w);
    else if (row->shape == CONFIG_BUCKETS || row->shape == CONFIG_ROLES)
        config_put_named(c, row->shape, key, w);
    else
        put_list(c, row->shape, key, w);
}

int config_print_json(const struct config *c, struct buf *out)
{
    struct json_writer w;
    struct str open_group = {0};
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    for (unsigned i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        const char *key = strchr(row->scalar.name, '.');
        struct str group = {.p = row->scalar.name, .n = key ? (size_t)(key - row->scalar.name) : 0};
        key = key ? key + 1 : row->scalar.name;
        if (open_group.n && !str_equal(group, open_group))
            json_put_object_end(&w);
        if (group.n && !str_equal(group, open_group)) {
            char name[32];
            str_copy(group, name, sizeof(name));
            json_put_object(&w, name);
        }
        open_group = group;
        put_value(c, row, key, &w);
    }
    if (open_group.n)
        json_put_object_end(&w);
    json_put_object_end(&w);
    return json_writer_end(&w);
}

/* `variable` has room for the name of one. */
static const char *name_origin(const struct config *c, const struct config_row *row, unsigned origin,
                               char variable[CONFIG_VARIABLE_MAX])
{
    if (origin == CONFIG_FROM_FLAG)
        return "flag";
    if (origin == CONFIG_FROM_ENVIRONMENT) {
        config_variable_name(row, variable);
        return variable;
    }
    if (origin >= CONFIG_FROM_FILE && origin - CONFIG_FROM_FILE < c->file_count)
        return c->files[origin - CONFIG_FROM_FILE];
    return "default";
}

int config_print_origins(const struct config *c, struct buf *out)
{
    char variable[CONFIG_VARIABLE_MAX];
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    for (unsigned i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        json_put_object(&w, row->scalar.name);
        put_value(c, row, "value", &w);
        json_put_text(&w, "from", name_origin(c, row, c->origins[i], variable));
        if (c->waiting[i])
            json_put_text(&w, "waiting_in", name_origin(c, row, c->waiting[i] - 1U, variable));
        json_put_object_end(&w);
    }
    json_put_object_end(&w);
    return json_writer_end(&w);
}

static bool list_is_equal(const struct config *a, const struct config *b, enum config_shape shape)
{
    struct buf left, right;
    bool equal = config_list_count(a, shape) == config_list_count(b, shape);
    buf_init(&left, 0);
    buf_init(&right, 0);
    for (uint32_t i = 0; equal && i < config_list_count(a, shape); i++) {
        left.len = right.len = 0;
        equal = config_list_entry(a, shape, i, &left) == 0 && config_list_entry(b, shape, i, &right) == 0 &&
                str_equal(buf_str(&left), buf_str(&right));
    }
    buf_fini(&left);
    buf_fini(&right);
    return equal;
}

static bool needs_restart(const struct config_row *row, const struct config *before, const struct config *after)
{
    if (!row->restart)
        return false;
    return row->shape == CONFIG_SCALAR ? !scalar_is_equal(&row->scalar, before, after)
                                       : !list_is_equal(before, after, row->shape);
}

size_t config_restart_keys(const struct config *before, const struct config *after, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < config_row_count; i++)
        if (needs_restart(&config_rows[i], before, after))
            n = fmt_at(out, cap, n, "%s%s", n ? ", " : "", config_rows[i].scalar.name);
    return n;
}

/* An origin in `before` as one in `after`, whose list of files may be another: a file that is gone is added, while there is room. */
static uint8_t carry_origin(const struct config *before, struct config *after, uint8_t origin)
{
    if (origin < CONFIG_FROM_FILE || origin - CONFIG_FROM_FILE >= (int)before->file_count)
        return origin;
    const char *file = before->files[origin - CONFIG_FROM_FILE];
    uint32_t i = 0;
    while (i < after->file_count && strcmp(after->files[i], file) != 0)
        i++;
    if (i == CONFIG_FILES_NAMED_MAX)
        i--;
    else if (i == after->file_count)
        memcpy(after->files[after->file_count++], file, sizeof(after->files[i]));
    return (uint8_t)(CONFIG_FROM_FILE + i);
}

void config_note_waiting(const struct config *before, struct config *after)
{
    for (unsigned i = 0; i < config_row_count; i++) {
        if (!needs_restart(&config_rows[i], before, after))
            continue;
        after->waiting[i] = (uint8_t)(after->origins[i] + 1);
        after->origins[i] = carry_origin(before, after, before->origins[i]);
    }
}
