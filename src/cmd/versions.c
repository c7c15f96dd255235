/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/when.h"
#include "codec/json.h"

static void add_age(struct output_table *t, const char *time)
{
    char age[OUTPUT_AGE_MAX] = "-";
    uint64_t then_ms;
    uint64_t now = clock_real_ms();
    if (time && when_parse(time, &then_ms) && then_ms <= now)
        output_age(now - then_ms, age);
    output_table_add(t, str_from(age));
}

static bool points_at(const struct json *alias, uint64_t number, uint64_t current)
{
    uint64_t to;
    const struct json *second = json_first(json_get(alias, "weights"));
    uint64_t also;
    if (!json_get_u64(alias, "version", &to))
        to = current; /* $LATEST */
    return to == number || (second && str_to_u64(str_from(json_key(second)), &also) && also == number);
}

/* "$LATEST, blue, prod" */
static void add_names(struct output_table *t, const struct json *root, uint64_t number)
{
    struct buf names;
    uint64_t current = 0;
    buf_init(&names, 0);
    json_get_u64(root, "current", &current);
    int r = number == current ? buf_add_text(&names, "$LATEST") : 0;
    JSON_EACH(json_get(root, "aliases"), alias)
    {
        if (r == 0 && points_at(alias, number, current))
            r = buf_addf(&names, "%s%s", names.len ? ", " : "", json_get_text(alias, "name"));
    }
    output_table_add(t, names.len ? buf_str(&names) : str_from("-"));
    buf_fini(&names);
}

static void print_table(const struct json *root)
{
    static const struct output_column columns[] = {
        {.title = "VERSION", .right = true},
        {.title = "CALLED"},
        {.title = "AGE", .right = true},
        {.title = "USED", .right = true},
        {.title = "SIZE", .right = true},
        {.title = "REVISION"},
        {.title = "DESCRIPTION"},
    };
    struct output_table t;
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    JSON_EACH(json_get(root, "versions"), at)
    {
        uint64_t number = 0;
        uint64_t bytes = 0;
        char size[OUTPUT_AGE_MAX];
        const char *revision = json_get_text(at, "revision");
        const char *description = json_get_text(at, "description");
        json_get_u64(at, "number", &number);
        json_get_u64(at, "code_bytes", &bytes);
        output_bytes(bytes, size);
        output_table_addf(&t, "%lu", (unsigned long)number);
        add_names(&t, root, number);
        add_age(&t, json_get_text(at, "created"));
        add_age(&t, json_get_text(at, "used"));
        output_table_add(&t, str_from(size));
        output_table_addf(&t, "%.12s", revision ? revision : "-");
        output_table_add(&t, str_from(description && *description ? description : "-"));
    }
    output_table_print(&t, stdout);
}

int cmd_versions(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json}, CLIENT_OPTIONS(&target), {0}};
    const char *name;
    int status = client_parse_name("versions", table, argc, argv, &name);
    if (status != OPTIONS_GO_ON)
        return status;
    struct buf path;
    buf_init(&path, 0);
    status = CMD_FAILED;
    if (client_path(&path, name, "/versions") == 0) {
        const struct client_request request = {.method = "GET", .target = path.data, .body_fd = -1};
        const struct client_call call = {.command = "versions", .target = &target, .request = &request};
        status = client_show(&call, json, print_table);
    }
    buf_fini(&path);
    return status;
}
