/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/when.h"
#include "codec/json.h"

static const struct output_column COLUMNS[] = {
    {.title = "NAME"},
    {.title = "RUNTIME"},
    {.title = "VERSION", .right = true},
    {.title = "MEMORY", .right = true},
    {.title = "INSTANCES", .right = true},
    {.title = "REQUESTS", .right = true},
    {.title = "ERRORS", .right = true},
    {.title = "AGE", .right = true},
};

/* -v: every state that an instance may be in, and the requests that wait for one. */
static const struct output_column VERBOSE_COLUMNS[] = {
    {.title = "NAME"},
    {.title = "RUNTIME"},
    {.title = "STARTING", .right = true},
    {.title = "IDLE", .right = true},
    {.title = "BUSY", .right = true},
    {.title = "FROZEN", .right = true},
    {.title = "TEMPLATES", .right = true},
    {.title = "STOPPING", .right = true},
    {.title = "QUEUED", .right = true},
    {.title = "MEMORY", .right = true},
};
static const char *const VERBOSE_KEYS[] = {"starting", "idle", "busy", "frozen", "templates", "stopping", "queued"};

static uint64_t number(const struct json *object, const char *key)
{
    uint64_t value = 0;
    json_get_u64(object, key, &value);
    return value;
}

static void add_text(struct output_table *t, const char *text)
{
    output_table_add(t, str_from(text ? text : "-"));
}

static void add_function(struct output_table *t, const struct json *f)
{
    const struct json *counts = json_get(f, "counts");
    const struct json *counters = json_get(f, "counters");
    const char *created = json_get_text(f, "created");
    uint64_t errors = number(counters, "function_errors") + number(counters, "crashed") +
                      number(counters, "out_of_memory") + number(counters, "timed_out");
    char memory[UNITS_TEXT_MAX];
    char age[OUTPUT_AGE_MAX] = "-";
    uint64_t created_ms;
    uint64_t now = clock_real_ms();
    units_format_size(number(f, "memory_bytes"), memory);
    if (created && when_parse(created, &created_ms) && created_ms <= now)
        output_age(now - created_ms, age);
    add_text(t, json_get_text(f, "name"));
    add_text(t, json_get_text(f, "runtime"));
    output_table_addf(t, "%lu", (unsigned long)number(f, "number"));
    add_text(t, memory);
    output_table_addf(t, "%lu",
                      (unsigned long)(number(counts, "starting") + number(counts, "idle") + number(counts, "busy")));
    output_table_addf(t, "%lu", (unsigned long)(number(counters, "succeeded") + errors));
    output_table_addf(t, "%lu", (unsigned long)errors);
    add_text(t, age);
}

static void add_states(struct output_table *t, const struct json *f)
{
    const struct json *counts = json_get(f, "counts");
    char memory[OUTPUT_AGE_MAX];
    output_bytes(number(counts, "memory_bytes"), memory);
    add_text(t, json_get_text(f, "name"));
    add_text(t, json_get_text(f, "runtime"));
    for (size_t i = 0; i < sizeof(VERBOSE_KEYS) / sizeof(VERBOSE_KEYS[0]); i++)
        output_table_addf(t, "%lu", (unsigned long)number(counts, VERBOSE_KEYS[i]));
    add_text(t, memory);
}

static int print_table(struct str reply, bool verbose)
{
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd ls: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    const struct json *functions = json_get(json_root(doc), "functions");
    if (json_count(functions) == 0) {
        fputs("no functions yet; make one with `faasd deploy NAME PATH`\n", stderr);
    } else {
        struct output_table t;
        if (verbose)
            output_table_init(&t, VERBOSE_COLUMNS, sizeof(VERBOSE_COLUMNS) / sizeof(VERBOSE_COLUMNS[0]));
        else
            output_table_init(&t, COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
        JSON_EACH(functions, f)
        {
            if (verbose)
                add_states(&t, f);
            else
                add_function(&t, f);
        }
        output_table_print(&t, stdout);
    }
    json_free(doc);
    return CMD_OK;
}

int cmd_ls(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    bool verbose = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json},
        {.name = "verbose", .letter = 'v', .kind = OPTION_BOOL, .target = &verbose},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {.command = "ls", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    const struct client_request request = {
        .method = "GET", .target = json ? "/v1/functions" : "/v1/functions?brief=1", .body_fd = -1};
    const struct client_call call = {.command = "ls", .target = &target, .request = &request};
    struct buf reply;
    buf_init(&reply, 0);
    status = client_call(&call, &reply);
    if (status == CMD_OK && json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = print_table(buf_str(&reply), verbose);
    buf_fini(&reply);
    return output_finish("ls", status);
}
