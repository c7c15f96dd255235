/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <string.h>

static const char *const OUTCOMES[] = {"succeeded", "function_errors", "crashed", "out_of_memory",
                                       "timed_out", "throttled",       "refused"};
enum { OUTCOME_COUNT = sizeof(OUTCOMES) / sizeof(OUTCOMES[0]) };
enum { OUTCOMES_THAT_RAN = 5 };

static uint64_t number(const struct json *object, const char *key)
{
    uint64_t value = 0;
    json_get_u64(object, key, &value);
    return value;
}

static void add_number(struct output_table *t, uint64_t value)
{
    output_table_addf(t, "%lu", (unsigned long)value);
}

static void add_row(struct output_table *t, const char *name, const struct json *counters)
{
    uint64_t ran = 0;
    output_table_add(t, str_from(name));
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
        uint64_t value = number(counters, OUTCOMES[i]);
        ran += i < OUTCOMES_THAT_RAN ? value : 0;
        add_number(t, value);
    }
    add_number(t, number(counters, "cold_starts"));
    if (ran)
        output_table_addf(t, "%.1f", (double)number(counters, "duration_ms") / (double)ran);
    else
        output_table_add(t, str_from("-"));
}

static void print_daemon(const struct json *system)
{
    const struct json *counts = json_get(system, "counts");
    char memory[OUTPUT_AGE_MAX];
    char budget[OUTPUT_AGE_MAX];
    char uptime[OUTPUT_AGE_MAX];
    double seconds = 0;
    json_to_double(json_get(system, "uptime_seconds"), &seconds);
    output_age((uint64_t)(seconds * 1000), uptime);
    output_bytes(number(counts, "memory_bytes"), memory);
    output_bytes(number(json_get(system, "limits"), "memory_budget_bytes"), budget);
    printf("up %s; connections: %lu; requests: %lu running, %lu waiting\n", uptime,
           (unsigned long)number(system, "connections"), (unsigned long)number(counts, "busy"),
           (unsigned long)number(counts, "queued"));
    printf("instances: %lu starting, %lu idle (%lu frozen), %lu busy; %lu templates; %s of %s reserved\n\n",
           (unsigned long)number(counts, "starting"), (unsigned long)number(counts, "idle"),
           (unsigned long)number(counts, "frozen"), (unsigned long)number(counts, "busy"),
           (unsigned long)number(counts, "templates"), memory, budget);
    JSON_EACH(json_get(system, "damaged"), name)
    {
        printf("%s was damaged: what could not be read of it is lost, it is kept as state/db/%s.damaged\n",
               json_text(name), json_text(name));
    }
}

/* False when a function was asked for that is not there. */
static bool print_stats(const struct json *system, const char *name)
{
    static const struct output_column columns[] = {
        {.title = "FUNCTION"},
        {.title = "OK", .right = true},
        {.title = "ERROR", .right = true},
        {.title = "CRASH", .right = true},
        {.title = "OOM", .right = true},
        {.title = "TIMEOUT", .right = true},
        {.title = "THROTTLED", .right = true},
        {.title = "REFUSED", .right = true},
        {.title = "COLD", .right = true},
        {.title = "AVG MS", .right = true},
    };
    struct output_table t;
    bool found = !name;
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    JSON_EACH(json_get(system, "functions"), f)
    {
        const char *at = json_get_text(f, "name");
        if (!at || (name && strcmp(at, name) != 0))
            continue;
        found = true;
        add_row(&t, at, json_get(f, "counters"));
    }
    if (!name) {
        print_daemon(system);
        add_row(&t, "(all)", json_get(system, "counters"));
    }
    if (found)
        output_table_print(&t, stdout);
    else
        buf_fini(&t.cells);
    return found;
}

static int print_reply(struct str reply, const char *name)
{
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd stats: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    bool found = print_stats(json_root(doc), name);
    json_free(doc);
    if (found)
        return CMD_OK;
    fprintf(stderr, "faasd stats: there is no function '%s'\n", name);
    return CMD_NO_SUCH;
}

int cmd_stats(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json}, CLIENT_OPTIONS(&target), {0}};
    struct options o = {.command = "stats", .tables = {table}, .operands_max = 1};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    const char *name = o.operand_count ? o.operands[0] : NULL;
    struct buf path;
    struct buf reply;
    buf_init(&path, 0);
    buf_init(&reply, 0);
    /* one function as JSON is its description; everything else comes out of the daemon's */
    if (!(name && json ? client_path(&path, name, "") == 0 : buf_add(&path, "/v1/system", sizeof("/v1/system")) == 0)) {
        fputs("faasd stats: out of memory\n", stderr);
        return CMD_FAILED;
    }
    const struct client_request request = {.method = "GET", .target = path.data, .body_fd = -1};
    const struct client_call call = {.command = "stats", .target = &target, .request = &request};
    status = client_call(&call, &reply);
    if (status == CMD_OK && json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = print_reply(buf_str(&reply), name);
    buf_fini(&path);
    buf_fini(&reply);
    return output_finish("stats", status);
}
