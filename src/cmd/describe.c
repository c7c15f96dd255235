/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <string.h>

enum { LABEL_WIDTH = 18 };

static bool is_default(const struct json *settings, const char *key)
{
    JSON_EACH(json_get(settings, "defaults"), at)
    {
        if (json_text(at) && strcmp(json_text(at), key) == 0)
            return true;
    }
    return false;
}

static void print_scalar(const struct json *v)
{
    bool truth;
    double number;
    if (json_text(v))
        output_text(stdout, str_from(*json_text(v) ? json_text(v) : "-"), false);
    else if (json_to_bool(v, &truth))
        fputs(truth ? "yes" : "no", stdout);
    else if (json_to_double(v, &number))
        printf("%.15g", number);
    else
        fputc('-', stdout);
}

static void print_value(const struct json *v)
{
    if (!json_is_array(v) && !json_is_object(v)) {
        print_scalar(v);
        return;
    }
    if (json_count(v) == 0)
        fputs("none", stdout);
    bool first = true;
    JSON_EACH(v, at)
    {
        if (!first)
            printf("\n%*s", LABEL_WIDTH + 2, "");
        first = false;
        if (json_key(at)) {
            output_text(stdout, str_from(json_key(at)), false);
            fputc('=', stdout);
        }
        print_scalar(at);
    }
}

static void print_settings(const struct json *settings)
{
    fputs("settings\n", stdout);
    JSON_EACH(settings, at)
    {
        const char *key = json_key(at);
        if (strcmp(key, "defaults") == 0)
            continue;
        printf("  %-*s", LABEL_WIDTH, key);
        print_value(at);
        if (is_default(settings, key))
            printf("%s  (default)%s", output_style(stdout, OUTPUT_DIM), output_style(stdout, OUTPUT_PLAIN));
        fputc('\n', stdout);
    }
}

static void print_numbers(const char *title, const struct json *object)
{
    printf("%s\n", title);
    JSON_EACH(object, at)
    {
        uint64_t value;
        if (!json_to_u64(at, &value))
            continue;
        if (strcmp(json_key(at), "memory_bytes") == 0) {
            char memory[OUTPUT_AGE_MAX];
            output_bytes(value, memory);
            printf("  %-*s%s\n", LABEL_WIDTH, "memory reserved", memory);
        } else {
            printf("  %-*s%lu\n", LABEL_WIDTH, json_key(at), (unsigned long)value);
        }
    }
}

static void print_instances(const struct json *instances)
{
    static const struct output_column columns[] = {
        {.title = "  INSTANCE", .right = true},
        {.title = "PID", .right = true},
        {.title = "STATE"},
        {.title = "MADE"},
        {.title = "VERSION", .right = true},
        {.title = "AGE", .right = true},
        {.title = "REQUESTS", .right = true},
    };
    if (json_count(instances) == 0)
        return;
    struct output_table t;
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    JSON_EACH(instances, at)
    {
        char age[OUTPUT_AGE_MAX];
        uint64_t id = 0;
        uint64_t pid = 0;
        uint64_t version = 0;
        uint64_t age_ms = 0;
        uint64_t requests = 0;
        bool forked = false;
        bool frozen = false;
        const char *state = json_get_text(at, "state");
        json_get_bool(at, "forked", &forked);
        json_get_bool(at, "frozen", &frozen);
        json_get_u64(at, "id", &id);
        json_get_u64(at, "pid", &pid);
        json_get_u64(at, "version", &version);
        json_get_u64(at, "age_ms", &age_ms);
        json_get_u64(at, "requests", &requests);
        output_age(age_ms, age);
        output_table_addf(&t, "%lu", (unsigned long)id);
        output_table_addf(&t, "%lu", (unsigned long)pid);
        output_table_addf(&t, "%s%s", state ? state : "-", frozen ? ", frozen" : "");
        output_table_add(&t, str_from(forked ? "forked" : "started"));
        output_table_addf(&t, "%lu", (unsigned long)version);
        output_table_addf(&t, "%s", age);
        output_table_addf(&t, "%lu", (unsigned long)requests);
    }
    output_table_print(&t, stdout);
}

/* What only some functions have. */
static void print_note(const char *label, const char *text)
{
    if (!text || !*text)
        return;
    printf("  %-*s", LABEL_WIDTH, label);
    output_text(stdout, str_from(text), false);
    fputc('\n', stdout);
}

/* Numbers, or objects by their name. */
static void print_list(const char *label, const struct json *list)
{
    if (json_count(list) == 0)
        return;
    printf("  %-*s", LABEL_WIDTH, label);
    bool first = true;
    JSON_EACH(list, at)
    {
        if (!first)
            fputs(", ", stdout);
        first = false;
        print_scalar(json_is_object(at) ? json_get(at, "name") : at);
    }
    fputc('\n', stdout);
}

static void print_function(const struct json *f)
{
    static const char *const texts[] = {"created", "revision", "code"};
    uint64_t number = 0;
    uint64_t bytes = 0;
    char size[OUTPUT_AGE_MAX];
    json_get_u64(f, "number", &number);
    json_get_u64(f, "code_bytes", &bytes);
    output_bytes(bytes, size);
    fputs(output_style(stdout, OUTPUT_BOLD), stdout);
    output_text(stdout, str_from(json_get_text(f, "name")), false);
    printf("%s\n  %-*s%lu\n  %-*s%s\n", output_style(stdout, OUTPUT_PLAIN), LABEL_WIDTH, "version",
           (unsigned long)number, LABEL_WIDTH, "code size", size);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        printf("  %-*s", LABEL_WIDTH, texts[i]);
        print_scalar(json_get(f, texts[i]));
        fputc('\n', stdout);
    }
    print_list("versions", json_get(f, "versions"));
    print_list("aliases", json_get(f, "aliases"));
    print_note("runs on", json_get_text(f, "runtimeUsed"));
    print_note("not forked", json_get_text(f, "noTemplate"));
    if (json_get_u64(f, "reservedConcurrency", &number))
        printf("  %-*s%lu  (reserved by Lambda's API, in place of max_concurrency and reserved)\n", LABEL_WIDTH,
               "concurrency", (unsigned long)number);
    print_settings(json_get(f, "settings"));
    print_numbers("now", json_get(f, "counts"));
    print_numbers("since the gateway started", json_get(f, "counters"));
    print_instances(json_get(f, "instances"));
}

int cmd_describe(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    bool show_env = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json},
        {.name = "show-env", .kind = OPTION_BOOL, .target = &show_env},
        CLIENT_OPTIONS(&target),
        {0},
    };
    const char *name;
    int status = client_parse_name("describe", table, argc, argv, &name);
    if (status != OPTIONS_GO_ON)
        return status;
    struct buf path;
    buf_init(&path, 0);
    status = CMD_FAILED;
    if (client_path(&path, name, show_env ? "?show_env=1" : "") == 0) {
        const struct client_request request = {.method = "GET", .target = path.data, .body_fd = -1};
        const struct client_call call = {.command = "describe", .target = &target, .request = &request};
        status = client_show(&call, json, print_function);
    }
    buf_fini(&path);
    return status;
}
