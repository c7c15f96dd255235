/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_settings.h"

#include "codec/settings_key.h"
#include "lambda/destination.h"
#include "lambda/function_layers.h"
#include "lambda/tag.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_S = 3, MEMORY_MIB = 128, STORAGE_MIB = 512, MIB = 1 << 20, NUMBER_MAX = 32 };

/* As the service lists them. Those that faasd's families don't cover are known, and not on this host. */
const char *const function_runtimes[] = {
    "nodejs24.x",      "nodejs22.x", "nodejs20.x", "nodejs18.x", "nodejs16.x", "nodejs14.x", "nodejs12.x",
    "nodejs10.x",      "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9",
    "python3.8",       "python3.7",  "python3.6",  "python2.7",  "java25",     "java21",     "java17",
    "java11",          "java8.al2",  "java8",      "dotnet10",   "dotnet8",    "dotnet6",    "dotnetcore3.1",
    "ruby3.4",         "ruby3.3",    "ruby3.2",    "ruby2.7",    "go1.x",      "provided",   "provided.al2",
    "provided.al2023", NULL};
enum { RUNTIMES_COUNT = sizeof(function_runtimes) / sizeof(function_runtimes[0]) - 1 };

static bool is_given(const struct json *v)
{
    return v && !json_is_null(v);
}

/* ---- checks ---- */

static bool is_listed(const char *name)
{
    for (unsigned i = 0; i < RUNTIMES_COUNT; i++)
        if (strcmp(function_runtimes[i], name) == 0)
            return true;
    return false;
}

static void say_enum(const char *name, char fault[FUNCTION_FAULT_MAX])
{
    size_t n =
        (size_t)snprintf(fault, FUNCTION_FAULT_MAX,
                         "Value %.100s at 'runtime' failed to satisfy constraint: Member must satisfy enum value "
                         "set: [",
                         name);
    for (unsigned i = 0; i < RUNTIMES_COUNT; i++)
        n += (size_t)snprintf(fault + n, FUNCTION_FAULT_MAX - n, "%s%s", i ? ", " : "", function_runtimes[i]);
    snprintf(fault + n, FUNCTION_FAULT_MAX - n, "] or be a valid ARN");
}

static void say_absent(const struct config *c, const char *name, char fault[FUNCTION_FAULT_MAX])
{
    size_t n = (size_t)snprintf(fault, FUNCTION_FAULT_MAX,
                                "The runtime parameter of %s is not supported on this host, which has ", name);
    for (uint32_t i = 0; i < c->runtime_count && n < FUNCTION_FAULT_MAX / 2; i++)
        n += (size_t)snprintf(fault + n, FUNCTION_FAULT_MAX - n, "%s, ", c->runtimes[i].name);
    snprintf(fault + n, FUNCTION_FAULT_MAX - n,
             "and provided.al2023 for a 'bootstrap' that brings its own ('runtimes' in faasd's configuration adds "
             "interpreters)");
}

static bool check_runtime(const struct function_sources *s, char fault[FUNCTION_FAULT_MAX])
{
    enum settings_runtime family;
    const char *name = json_get_text(s->asked, "Runtime");
    if (!name)
        return true;
    if (s->before && strcmp(name, settings_runtime_name(&s->before->version->settings)) == 0)
        return true;
    bool ours = settings_runtime_parse(str_from(name), &family) && strchr(name, '.') &&
                (family == SETTINGS_RUNTIME_PYTHON || family == SETTINGS_RUNTIME_NODE);
    if (ours || strcmp(name, "provided") == 0 || strncmp(name, "provided.al", 11) == 0) {
        if (ours || is_listed(name))
            return true;
    }
    if (is_listed(name))
        say_absent(s->config, name, fault);
    else
        say_enum(name, fault);
    return false;
}

/* Names that the platform sets itself: what a function sets there would not be seen. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {"_HANDLER",
                                        "_X_AMZN_TRACE_ID",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_REGION",
                                        "AWS_EXECUTION_ENV",
                                        "AWS_LAMBDA_FUNCTION_NAME",
                                        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                        "AWS_LAMBDA_FUNCTION_VERSION",
                                        "AWS_LAMBDA_INITIALIZATION_TYPE",
                                        "AWS_LAMBDA_LOG_GROUP_NAME",
                                        "AWS_LAMBDA_LOG_STREAM_NAME",
                                        "AWS_ACCESS_KEY",
                                        "AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_LAMBDA_RUNTIME_API",
                                        "LAMBDA_TASK_ROOT",
                                        "LAMBDA_RUNTIME_DIR"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool check_reserved(const struct json *variables, char fault[FUNCTION_FAULT_MAX])
{
    size_t n = 0;
    JSON_EACH(variables, v)
    {
        if (!is_reserved(json_key(v)))
            continue;
        if (!n)
            n = (size_t)snprintf(fault, FUNCTION_FAULT_MAX,
                                 "Lambda was unable to configure your environment variables because the environment "
                                 "variables you have provided contains reserved keys that are currently not supported "
                                 "for modification. Reserved keys used in this request: %s",
                                 json_key(v));
        else
            n += (size_t)snprintf(fault + n, FUNCTION_FAULT_MAX - n, ", %s", json_key(v));
    }
    return n == 0;
}

/* The sentence of `faasd deploy` for it, in the form that AWS has for others. */
static bool check_names(const struct json *variables, char fault[FUNCTION_FAULT_MAX])
{
    struct err e;
    JSON_EACH(variables, v)
    {
        if (settings_env_check_name(str_from(json_key(v)), &e) == 0)
            continue;
        snprintf(fault, FUNCTION_FAULT_MAX,
                 "Lambda was unable to configure your environment variables because %s on this host", e.text);
        return false;
    }
    return true;
}

static bool check_environment(const struct json *asked, char fault[FUNCTION_FAULT_MAX])
{
    const struct json *variables = json_get(json_get(asked, "Environment"), "Variables");
    struct json_writer w;
    struct buf text;
    bool good = true;
    if (!json_is_object(variables))
        return true;
    buf_init(&text, FUNCTION_ENVIRONMENT_MAX * 64);
    json_writer_init(&w, &text);
    json_put_value(&w, NULL, variables);
    int r = json_writer_end(&w);
    if (r < 0 || text.len > FUNCTION_ENVIRONMENT_MAX) {
        size_t n = text.len < FUNCTION_ENVIRONMENT_MAX ? text.len : FUNCTION_ENVIRONMENT_MAX;
        snprintf(fault, FUNCTION_FAULT_MAX,
                 "Lambda was unable to configure your environment variables because the environment variables you have "
                 "provided exceeded the 4KB limit. String measured: %.*s",
                 (int)n, text.data ? text.data : "");
        good = false;
    }
    buf_fini(&text);
    return good && check_reserved(variables, fault) && check_names(variables, fault);
}

static bool check_layers(const struct json *asked, char fault[FUNCTION_FAULT_MAX])
{
    if (json_count(json_get(asked, "Layers")) <= FUNCTION_LAYERS_MAX)
        return true;
    snprintf(fault, FUNCTION_FAULT_MAX, "Cannot reference more than %d layers.", FUNCTION_LAYERS_MAX);
    return false;
}

static bool check_architecture(const struct json *asked, char fault[FUNCTION_FAULT_MAX])
{
    const char *wanted = json_text(json_first(json_get(asked, "Architectures")));
    const char *here = configuration_architecture();
    if (!wanted || strcmp(wanted, here) == 0)
        return true;
    snprintf(fault, FUNCTION_FAULT_MAX, "The architecture %s is not supported on this host, which is %s", wanted, here);
    return false;
}

/* The target as faasd names it: "" takes it away. False: `fault` says what is wrong with it. */
static bool read_dead_letter(const struct function_sources *s, char target[SETTINGS_TARGET_MAX],
                             char fault[FUNCTION_FAULT_MAX])
{
    static_assert((int)DESTINATION_FAULT_MAX <= (int)FUNCTION_FAULT_MAX, "a fault fits");
    const struct destination_context d = {.registry = s->registry, .config = s->config, .region = s->region};
    const char *arn = json_get_text(json_get(s->asked, "DeadLetterConfig"), "TargetArn");
    return destination_parse(&d, str_from(arn ? arn : ""), target, fault);
}

bool function_settings_check(const struct function_sources *s, char fault[FUNCTION_FAULT_MAX])
{
    const char *package = json_get_text(s->asked, "PackageType");
    if (package && strcmp(package, "Image") == 0) {
        snprintf(fault, FUNCTION_FAULT_MAX, "PackageType Image is not supported on this host: deploy a zip");
        return false;
    }
    if (!s->before && (!json_get_text(s->asked, "Runtime") || !json_get_text(s->asked, "Handler"))) {
        snprintf(fault, FUNCTION_FAULT_MAX,
                 "Runtime and Handler are mandatory parameters for functions created with deployment packages.");
        return false;
    }
    char target[SETTINGS_TARGET_MAX];
    if (!read_dead_letter(s, target, fault) || !tags_check(json_get(s->asked, "Tags"), fault))
        return false;
    return check_runtime(s, fault) && check_environment(s->asked, fault) && check_layers(s->asked, fault) &&
           check_architecture(s->asked, fault);
}

/* ---- settings ---- */

static void put_unit(struct json_writer *w, const char *key, uint64_t value, const char *unit)
{
    char text[NUMBER_MAX];
    snprintf(text, sizeof(text), "%lu%s", (unsigned long)value, unit);
    json_put_text(w, key, text);
}

/* /tmp is memory here: it gets the smaller of the two. */
static void put_sizes(const struct function_sources *s, struct json_writer *w)
{
    uint64_t memory = s->before ? s->before->version->settings.memory_bytes / MIB : MEMORY_MIB;
    uint64_t storage = s->before ? configuration_storage_mib(s->before) : STORAGE_MIB;
    bool sized = json_get_u64(s->asked, "MemorySize", &memory);
    bool stored = json_get_u64(json_get(s->asked, "EphemeralStorage"), "Size", &storage);
    if (!s->before || sized)
        put_unit(w, "memory", memory, "M");
    if (!s->before || sized || stored)
        put_unit(w, "tmp", storage < memory ? storage : memory, "M");
}

/* All variables at once: those that are not asked for go. */
static void put_environment(const struct function_sources *s, struct json_writer *w)
{
    const struct json *environment = json_get(s->asked, "Environment");
    const struct json *variables = json_get(environment, "Variables");
    if (!is_given(environment))
        return;
    json_put_object(w, "env");
    JSON_EACH(variables, v)
    {
        json_put_text(w, json_key(v), json_text(v));
    }
    const struct settings *before = s->before ? &s->before->version->settings : NULL;
    for (const char *at = before ? before->env : NULL; at && at < before->env + before->env_bytes;
         at += strlen(at) + 1) {
        char name[1024];
        struct str value;
        if (str_copy(str_cut(str_from(at), '=', &value, NULL), name, sizeof(name)) && !json_get(variables, name))
            json_put_null(w, name);
    }
    json_put_object_end(w);
}

static void put_text(struct json_writer *w, const char *key, const struct json *value)
{
    if (is_given(value))
        json_put_value(w, key, value);
}

/* A longer one than settings hold is kept among the attributes. */
static bool description_fits(const char *text)
{
    return strlen(text) < SETTINGS_TEXT_MAX;
}

static void put_dead_letter(const struct function_sources *s, struct json_writer *w)
{
    char target[SETTINGS_TARGET_MAX], fault[FUNCTION_FAULT_MAX];
    if (json_is_object(json_get(s->asked, "DeadLetterConfig")) && read_dead_letter(s, target, fault))
        json_put_text(w, "dead_letter", *target ? target : NULL);
}

int function_settings_print(const struct function_sources *s, struct buf *out)
{
    struct json_writer w;
    uint64_t timeout = TIMEOUT_S;
    const char *description = json_get_text(s->asked, "Description");
    bool timed = json_get_u64(s->asked, "Timeout", &timeout);
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    put_text(&w, "runtime", json_get(s->asked, "Runtime"));
    put_text(&w, "handler", json_get(s->asked, "Handler"));
    if (!s->before || timed)
        put_unit(&w, "timeout", timeout, "s");
    put_sizes(s, &w);
    if (!s->before)
        json_put_bool(&w, "tmp_exec", true);
    if (description)
        json_put_text(&w, "description", description_fits(description) ? description : NULL);
    put_dead_letter(s, &w);
    put_environment(s, &w);
    json_put_object_end(&w);
    return json_writer_end(&w);
}

/* ---- attributes ---- */

static const struct json *newest(const struct function_sources *s, const char *name)
{
    const struct json *asked = json_get(s->asked, name);
    if (is_given(asked))
        return asked;
    return s->before ? json_get(s->before->attributes, name) : NULL;
}

static void put_code(const struct function_sources *s, struct json_writer *w)
{
    if (s->sha256) {
        json_put_u64(w, "CodeSize", s->code_bytes);
        json_put_text(w, "CodeSha256", s->sha256);
    } else {
        put_text(w, "CodeSize", json_get(s->before->attributes, "CodeSize"));
        put_text(w, "CodeSha256", json_get(s->before->attributes, "CodeSha256"));
    }
}

/* Written in one order, so that what is the same reads the same. */
int function_attributes_print(const struct function_sources *s, struct buf *out)
{
    struct json_writer w;
    const char *asked = json_get_text(s->asked, "Description");
    const struct json *description = asked ? json_get(s->asked, "Description") : newest(s, "Description");
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    json_put_text(&w, "PackageType", "Zip");
    put_text(&w, "Role", newest(s, "Role"));
    if (json_text(description) && !description_fits(json_text(description)))
        put_text(&w, "Description", description);
    put_text(&w, "EphemeralStorage", newest(s, "EphemeralStorage"));
    put_text(&w, "Tags", s->before ? json_get(s->before->attributes, "Tags") : json_get(s->asked, "Tags"));
    for (const char *const *name = configuration_kept; *name; name++)
        put_text(&w, *name, newest(s, *name));
    if (s->layers.p)
        json_put_raw(&w, "Layers", s->layers);
    else if (s->before)
        put_text(&w, "Layers", json_get(s->before->attributes, "Layers"));
    put_code(s, &w);
    json_put_object_end(&w);
    return json_writer_end(&w);
}
