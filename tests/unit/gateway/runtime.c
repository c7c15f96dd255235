/* SPDX-License-Identifier: Apache-2.0 */
/* What is started for a function of each runtime, and what it finds in its environment. */
#include "gateway/runtime.h"

#include "base/fmt.h"
#include "codec/config_runtime.h"
#include "gateway/environment.h"
#include "gateway/event.h"
#include "gateway/exec_channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The command at hand, written down here instead of into a record for init. */
static char arguments[1024];
static char environment[8192]; /* one entry a line, as a program would see them: in order */
static size_t environment_max;

/* The contract of files has the event in one; none is called here. */
struct str event_bytes(const struct invocation *inv, const struct settings *s)
{
    (void)inv;
    (void)s;
    return (struct str){0};
}

int exec_command_begin(void)
{
    arguments[0] = environment[0] = '\0';
    return 0;
}

int exec_command_add_argument(const char *text)
{
    size_t n = strlen(arguments);
    fmt_at(arguments, sizeof(arguments), n, "%s%s", n ? " " : "", text);
    return 0;
}

static int add(struct str entry, struct str value)
{
    size_t n = strlen(environment);
    if (n + entry.n + value.n + 2 > environment_max)
        return -E2BIG;
    fmt_at(environment, sizeof(environment), n, "%.*s%s%.*s\n", (int)entry.n, entry.p, value.p ? "=" : "", (int)value.n,
           value.p ? value.p : "");
    return 0;
}

int exec_command_add_environment(const char *name, struct str value)
{
    return add(str_from(name), value.p ? value : STR_LITERAL(""));
}

int exec_command_add_entries(const char *entries, size_t n)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < n; at += strlen(entries + at) + 1)
        r = add(str_from(entries + at), (struct str){0});
    return r;
}

static struct config config;
static struct function function = {.name = "greet"};
static struct version version;
static struct err e;

static int begin(void **state)
{
    (void)state;
    environment_max = sizeof(environment);
    config_init(&config);
    memset(&version, 0, sizeof(version));
    settings_init(&version.settings, &config.defaults);
    version.number = 3;
    if (config_set_runtime(&config, "python3", "/usr/bin/python3.11", &e) < 0 ||
        config_set_runtime(&config, "python3.12", "/opt/py312/bin/python3", &e) < 0)
        return -1;
    return config_set_runtime(&config, "node", "/usr/bin/node", &e);
}

static int end(void **state)
{
    (void)state;
    settings_fini(&version.settings);
    return 0;
}

static void set(const char *key, const char *value)
{
    if (settings_set_text(&version.settings, key, str_from(value), &e) < 0)
        fail_msg("%s", e.text);
}

static void start(void)
{
    if (runtime_begin_worker(&config, &function, &version, &e) < 0)
        fail_msg("%s", e.text);
}

/* The value that a program would see: the first of its name, as getenv(3) finds it, and there must not be two. NULL: unset. */
static const char *value_of(const char *name)
{
    static char value[512];
    const char *found = NULL;
    size_t n = strlen(name);
    for (const char *line = environment; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, n) != 0 || line[n] != '=')
            continue;
        if (found)
            fail_msg("%s stands there twice", name);
        found = line + n + 1;
    }
    if (!found)
        return NULL;
    str_copy((struct str){.p = found, .n = strcspn(found, "\n")}, value, sizeof(value));
    return value;
}

static void assert_value(const char *name, const char *expected)
{
    const char *value = value_of(name);
    if (!value || strcmp(value, expected) != 0)
        fail_msg("%s is '%s', not '%s'", name, value ? value : "(unset)", expected);
}

static void each_runtime_starts_its_own_program(void **state)
{
    (void)state;
    set("runtime", "native");
    set("handler", "bin/hello");
    start();
    assert_string_equal(arguments, "/var/task/bin/hello");
    set("runtime", "python");
    set("handler", "app.handler");
    start();
    assert_string_equal(arguments, "/usr/bin/python3.11 -S /var/runtime/python/bootstrap.py");
    set("runtime", "python3.12");
    start();
    assert_string_equal(arguments, "/opt/py312/bin/python3 -S /var/runtime/python/bootstrap.py");
    set("runtime", "nodejs20.x");
    start();
    assert_string_equal(
        arguments, "/usr/bin/node --max-old-space-size=128 --max-semi-space-size=2 /var/runtime/node/bootstrap.cjs");
    assert_value("FAASD_RUNTIME_NAME", "nodejs20.x");
    assert_value("FAASD_RUNTIME_ENTRY", "node");
    set("runtime", "provided.al2023");
    start();
    assert_string_equal(arguments, "/var/task/bootstrap");
    version.opt_bootstrap = true;
    start();
    assert_string_equal(arguments, "/opt/bootstrap");
}

static void an_interpreter_that_is_gone_is_an_error_that_says_so(void **state)
{
    (void)state;
    set("runtime", "python3.9");
    assert_int_equal(runtime_begin_worker(&config, &function, &version, &e), -ENOENT);
    assert_non_null(strstr(e.text, "'python3.9' is not on this host: there is python3, python3.12"));
    assert_null(runtime_find(&config, &version.settings, &e));
    assert_int_equal(e.code, ENOENT);
    set("runtime", "exec");
    assert_null(runtime_find(&config, &version.settings, &e));
    assert_int_equal(e.code, 0);
}

static void lambdas_names_are_there_and_its_keys_are_not(void **state)
{
    (void)state;
    set("runtime", "provided.al2023");
    set("handler", "index.handler");
    set("memory", "256M");
    start();
    assert_value("_HANDLER", "index.handler");
    assert_value("LAMBDA_TASK_ROOT", "/var/task");
    assert_value("LAMBDA_RUNTIME_DIR", "/var/runtime");
    assert_value("AWS_LAMBDA_FUNCTION_NAME", "greet");
    assert_value("AWS_LAMBDA_FUNCTION_VERSION", "3");
    assert_value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
    assert_value("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    assert_value("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/greet");
    assert_value("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
    assert_value("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    assert_value("TZ", ":UTC");
    assert_value("LANG", "en_US.UTF-8");
    assert_value("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin");
    const char *stream = value_of("AWS_LAMBDA_LOG_STREAM_NAME");
    assert_non_null(stream);
    unsigned year, month, day;
    char tail[64];
    assert_int_equal(sscanf(stream, "%4u/%2u/%2u/[3]%63[0-9a-f]", &year, &month, &day, tail), 4);
    assert_int_equal(strlen(tail), 32);
    static const char *const unset[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                                        "AWS_REGION",        "AWS_DEFAULT_REGION",    "AWS_EXECUTION_ENV",
                                        "FAASD_TEMPLATE"};
    for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++)
        if (value_of(unset[i]))
            fail_msg("%s is set", unset[i]);
    set("runtime", "python3.12");
    start();
    assert_value("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12");
    assert_null(value_of("AWS_LAMBDA_RUNTIME_API"));
    set("runtime", "node");
    start();
    assert_value("AWS_EXECUTION_ENV", "AWS_Lambda_node");
    assert_non_null(value_of("NODE_PATH"));
}

static void a_function_sets_what_is_its_own_and_not_what_is_the_platforms(void **state)
{
    (void)state;
    set("runtime", "python");
    set("handler", "app.handler");
    set("env", "AWS_REGION=eu-west-1");
    set("env", "AWS_ACCESS_KEY_ID=mine");
    set("env", "LANG=de_DE.UTF-8");
    set("env", "TZ=Europe/Berlin");
    set("env", "PYTHONPATH=/var/task/lib");
    set("env", "OWN=1");
    static const char *const platform[] = {
        "_HANDLER=evil.handler",
        "AWS_LAMBDA_FUNCTION_NAME=other",
        "AWS_LAMBDA_RUNTIME_API=10.0.0.1:80",
        "LAMBDA_TASK_ROOT=/tmp",
        "FAASD_TEMPLATE=no",
        "FAASD_IMPORTS=os",
        "AWS_EXECUTION_ENV=elsewhere",
        "FAASD_VENV=/tmp",
        "FAASD_RUNTIME_NAME=x",
        "FAASD_RUNTIME_ENTRY=x",
        "AWS_LAMBDA_LOG_GROUP_NAME=none",
        "LAMBDA_RUNTIME_DIR=/tmp",
    };
    for (size_t i = 0; i < sizeof(platform) / sizeof(platform[0]); i++)
        set("env", platform[i]);
    start();
    assert_value("AWS_REGION", "eu-west-1");
    assert_value("AWS_ACCESS_KEY_ID", "mine");
    assert_value("LANG", "de_DE.UTF-8");
    assert_value("TZ", "Europe/Berlin");
    assert_value("PYTHONPATH", "/var/task/lib");
    assert_value("OWN", "1");
    assert_value("_HANDLER", "app.handler");
    assert_value("AWS_LAMBDA_FUNCTION_NAME", "greet");
    assert_value("LAMBDA_TASK_ROOT", "/var/task");
    assert_value("FAASD_TEMPLATE", "yes");
    assert_value("FAASD_RUNTIME_NAME", "python");
    assert_null(value_of("AWS_LAMBDA_RUNTIME_API"));
    assert_null(value_of("FAASD_IMPORTS"));
    assert_null(value_of("FAASD_VENV"));
}

static void a_bootstrap_is_told_what_its_settings_say(void **state)
{
    (void)state;
    set("runtime", "python");
    set("imports", "json,ssl");
    set("venv", ".venv");
    set("template", "off");
    start();
    assert_value("FAASD_IMPORTS", "json,ssl");
    assert_value("FAASD_VENV", ".venv");
    assert_null(value_of("FAASD_TEMPLATE"));
}

static void templates_are_wanted_where_instances_can_be_forked(void **state)
{
    (void)state;
    static const struct {
        const char *runtime, *template, *isolation;
        bool wanted;
    } cases[] = {
        {"python", "auto", "reuse", true},   {"python", "auto", "fork", true},   {"python", "auto", "sandbox", false},
        {"python", "off", "fork", false},    {"native", "auto", "reuse", false}, {"native", "auto", "fork", true},
        {"native", "on", "reuse", true},     {"native", "off", "fork", false},   {"node", "auto", "fork", false},
        {"provided", "auto", "fork", false}, {"exec", "auto", "fork", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set("runtime", cases[i].runtime);
        set("template", cases[i].template);
        set("isolation", cases[i].isolation);
        if (runtime_wants_template(&version.settings) != cases[i].wanted)
            fail_msg("%s %s %s", cases[i].runtime, cases[i].template, cases[i].isolation);
    }
}

static void nodes_heap_is_bounded_by_the_functions_memory(void **state)
{
    static const struct {
        const char *memory, *options, *flags;
    } cases[] = {
        {"32M", NULL, "--max-old-space-size=32 --max-semi-space-size=1 "},
        {"512M", NULL, "--max-old-space-size=512 --max-semi-space-size=8 "},
        {"4G", NULL, "--max-old-space-size=4096 --max-semi-space-size=16 "},
        {"128M", "NODE_OPTIONS=--enable-source-maps", "--max-old-space-size=128 --max-semi-space-size=2 "},
        {"128M", "NODE_OPTIONS=--max_old_space_size=64", ""},
        {"128M", "NODE_OPTIONS=--max-semi-space-size=64", ""},
    };
    (void)state;
    set("runtime", "node");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[128];
        set("memory", cases[i].memory);
        if (cases[i].options)
            set("env", cases[i].options);
        start();
        snprintf(expected, sizeof(expected), "/usr/bin/node %s/var/runtime/node/bootstrap.cjs", cases[i].flags);
        assert_string_equal(arguments, expected);
    }
}

static void a_wrapper_gets_the_runtimes_command_line(void **state)
{
    (void)state;
    set("runtime", "python");
    set("env", "AWS_LAMBDA_EXEC_WRAPPER=/var/task/wrap");
    start();
    assert_string_equal(arguments, "/var/task/wrap /usr/bin/python3.11 -S /var/runtime/python/bootstrap.py");
    set("runtime", "provided");
    start();
    assert_string_equal(arguments, "/var/task/bootstrap");
}

static void exec_functions_keep_their_own_entries_but_for_req_and_res(void **state)
{
    (void)state;
    set("runtime", "exec");
    set("handler", "run");
    set("env", "PATH=/var/task/bin");
    set("env", "req=/etc/passwd");
    set("env", "res=/nowhere");
    assert_int_equal(environment_begin_handler(&function, &version), 0);
    assert_string_equal(arguments, "/var/task/run");
    assert_value("PATH", "/var/task/bin");
    assert_value("req", "/etc/passwd");
    set("contract", "files");
    assert_int_equal(environment_begin_handler(&function, &version), 0);
    assert_value("req", "/tmp/req");
    assert_value("res", "/tmp/res");
    assert_value("PATH", "/var/task/bin");
}

static void an_environment_without_room_is_named(void **state)
{
    (void)state;
    set("runtime", "node");
    environment_max = 300;
    assert_int_equal(runtime_begin_worker(&config, &function, &version, &e), -E2BIG);
    assert_non_null(strstr(e.text, "the environment of 'greet' is too long"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_runtime_starts_its_own_program),
        TEST(an_interpreter_that_is_gone_is_an_error_that_says_so),
        TEST(lambdas_names_are_there_and_its_keys_are_not),
        TEST(a_function_sets_what_is_its_own_and_not_what_is_the_platforms),
        TEST(a_bootstrap_is_told_what_its_settings_say),
        TEST(templates_are_wanted_where_instances_can_be_forked),
        TEST(nodes_heap_is_bounded_by_the_functions_memory),
        TEST(a_wrapper_gets_the_runtimes_command_line),
        TEST(exec_functions_keep_their_own_entries_but_for_req_and_res),
        TEST(an_environment_without_room_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
