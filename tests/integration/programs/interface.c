/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program itself knows of its interface, as JSON: each command with its verbs and tables of options, each setting and each key of the
 * configuration with kind and default. Documents are held against it (test_documents.py).
 * The linker puts __wrap_options_parse() and __wrap_verbs_run() in the place of what reads a command line: each command comes as far as its tables and stops.
 */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/verbs.h"
#include "codec/config_key.h"
#include "codec/json.h"
#include "codec/settings_key.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __wrap_options_parse(struct options *o, int argc, char **argv);
int __wrap_verbs_run(const char *command, const struct verb *verbs, int argc, char **argv);

static struct json_writer out;
static unsigned parses; /* of the command or verb under way: one each */

static const char *const KINDS[] = {
    [SCALAR_SIZE] = "size", [SCALAR_TIME] = "time",    [SCALAR_COUNT] = "number", [SCALAR_MILLI] = "cores",
    [SCALAR_MODE] = "mode", [SCALAR_BOOL] = "boolean", [SCALAR_ENUM] = "choice",  [SCALAR_TEXT] = "text",
};

static const char *const SETTINGS_SHAPES[] = {
    [SETTINGS_SCALAR] = NULL,   [SETTINGS_RUNTIME_SHAPE] = "text", [SETTINGS_ENV] = "object",
    [SETTINGS_MOUNTS] = "list", [SETTINGS_DEVICES] = "list",       [SETTINGS_SECRETS] = "list",
    [SETTINGS_ALLOW] = "list",  [SETTINGS_CALLS] = "list",
};

static const char *const CONFIG_SHAPES[] = {
    [CONFIG_SCALAR] = NULL,         [CONFIG_LISTEN] = "list",        [CONFIG_ETC] = "list",
    [CONFIG_GRANT_MOUNTS] = "list", [CONFIG_GRANT_DEVICES] = "list", [CONFIG_RUNTIMES] = "object",
    [CONFIG_HOSTS] = "list",        [CONFIG_PROXIES] = "list",       [CONFIG_BUCKETS] = "object",
    [CONFIG_ROLES] = "object",      [CONFIG_NAME_SERVERS] = "list",  [CONFIG_EGRESS_PRIVATE] = "list",
};

static void put_option(const struct option *option)
{
    char letter[] = {option->letter, '\0'};
    json_put_object(&out, NULL);
    json_put_text(&out, "name", option->name);
    if (option->letter)
        json_put_text(&out, "letter", letter);
    json_put_bool(&out, "value", option->kind == OPTION_TEXT || option->kind == OPTION_CALL);
    json_put_object_end(&out);
}

int __wrap_options_parse(struct options *o, int argc, char **argv)
{
    (void)argc, (void)argv;
    parses++;
    json_put_array(&out, "tables");
    for (int t = 0; t < OPTION_TABLES_MAX && o->tables[t]; t++) {
        json_put_array(&out, NULL);
        for (const struct option *option = o->tables[t]; option->name; option++)
            put_option(option);
        json_put_array_end(&out);
    }
    json_put_array_end(&out);
    return CMD_USAGE;
}

static void put_run(const char *name, int (*run)(int argc, char **argv), char **argv)
{
    parses = 0;
    json_put_object(&out, name);
    int status = run(2, argv);
    assert(status == CMD_USAGE && parses == 1);
    json_put_object_end(&out);
}

int __wrap_verbs_run(const char *command, const struct verb *verbs, int argc, char **argv)
{
    (void)command, (void)argc, (void)argv;
    json_put_object(&out, "verbs");
    for (const struct verb *verb = verbs; verb->name; verb++) {
        char name[32];
        snprintf(name, sizeof(name), "%s", verb->name);
        put_run(name, verb->run, (char *[]){name, name, NULL});
    }
    json_put_object_end(&out);
    parses = 1;
    return CMD_USAGE;
}

static void put_kind(const struct scalar *k, const char *shape)
{
    json_put_text(&out, "kind", shape ? shape : KINDS[k->kind]);
    if (!shape && k->kind == SCALAR_ENUM) {
        json_put_array(&out, "choices");
        for (const struct scalar_choice *c = k->choices; c->name; c++)
            if (c->value >= 0)
                json_put_text(&out, NULL, c->name);
        json_put_array_end(&out);
    }
}

static void put_settings(const struct config *c)
{
    struct settings s;
    struct buf defaults;
    buf_init(&defaults, 0);
    settings_init(&s, &c->defaults);
    assert(settings_print_json(&s, false, false, &defaults) == 0);
    json_put_raw(&out, "settings_defaults", buf_str(&defaults));
    json_put_object(&out, "settings");
    for (unsigned i = 0; i < SETTINGS_KEY_COUNT; i++) {
        json_put_object(&out, settings_key_name(i));
        put_kind(&settings_rows[i].scalar, SETTINGS_SHAPES[settings_rows[i].shape]);
        json_put_object_end(&out);
    }
    json_put_object_end(&out);
    settings_fini(&s);
    buf_fini(&defaults);
}

static void put_config(const struct config *c)
{
    struct buf defaults;
    buf_init(&defaults, 0);
    assert(config_print_origins(c, &defaults) == 0);
    json_put_raw(&out, "config_defaults", buf_str(&defaults));
    json_put_object(&out, "config");
    for (unsigned i = 0; i < config_row_count; i++) {
        json_put_object(&out, config_rows[i].scalar.name);
        put_kind(&config_rows[i].scalar, CONFIG_SHAPES[config_rows[i].shape]);
        json_put_bool(&out, "restart", config_rows[i].restart);
        json_put_object_end(&out);
    }
    json_put_object_end(&out);
    buf_fini(&defaults);
}

int main(void)
{
    struct buf text;
    struct config *c = calloc(1, sizeof(*c));
    assert(c);
    config_init(c);
    buf_init(&text, 0);
    json_writer_init(&out, &text);
    json_put_object(&out, NULL);
    json_put_object(&out, "commands");
    for (unsigned i = 0; cmd_name(i); i++) {
        char name[32];
        snprintf(name, sizeof(name), "%s", cmd_name(i));
        put_run(name, cmd_main, (char *[]){(char[]){"faasd"}, name, NULL});
    }
    json_put_object_end(&out);
    put_settings(c);
    put_config(c);
    json_put_object_end(&out);
    assert(json_writer_end(&out) == 0);
    printf("%.*s\n", (int)text.len, text.data);
    buf_fini(&text);
    free(c);
    return 0;
}
