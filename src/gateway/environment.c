/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/environment.h"

#include "base/clock.h"
#include "base/id.h"
#include "gateway/event.h"
#include "gateway/exec_channel.h"
#include "gateway/role.h"
#include "gateway/runtime.h"
#include "gateway/trace.h"
#include "gateway/version_warm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the function's own entries ---- */

const char *environment_find(const struct settings *s, const char *name)
{
    size_t n = strlen(name);
    for (size_t at = 0; at < s->env_bytes; at += strlen(s->env + at) + 1)
        if (strncmp(s->env + at, name, n) == 0 && s->env[at + n] == '=')
            return s->env + at + n + 1;
    return NULL;
}

static int add_unless_given(const struct settings *s, const char *name, const char *value)
{
    return environment_find(s, name) ? 0 : exec_command_add_environment(name, str_from(value));
}

/* All of them but those that `is_reserved`. */
static int add_own_entries(const struct settings *s, bool (*is_reserved)(struct str name))
{
    for (size_t at = 0; at < s->env_bytes;) {
        const char *entry = s->env + at;
        size_t n = strlen(entry) + 1;
        struct str name = {entry, strcspn(entry, "=")};
        int r = is_reserved(name) ? 0 : exec_command_add_entries(entry, n);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

/* Contract files: where the event and the reply are is faasd's to say. */
static bool is_file_name(struct str name)
{
    return str_is(name, "req") || str_is(name, "res");
}

/* ---- what all functions get ---- */

/* Numbers as text, for one command. */
struct numbers {
    char version[24];
    char memory_mib[24];
};

static void print_numbers(const struct version *v, struct numbers *n)
{
    snprintf(n->version, sizeof(n->version), "%lu", (unsigned long)v->number);
    snprintf(n->memory_mib, sizeof(n->memory_mib), "%lu", (unsigned long)(v->settings.memory_bytes >> 20));
}

struct entry {
    const char *name;
    const char *value; /* NULL: not set */
};

static int add_entries_unless_given(const struct settings *s, const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = entries[i].value ? add_unless_given(s, entries[i].name, entries[i].value) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int environment_add_common(const struct function *f, const struct version *v)
{
    const struct settings *s = &v->settings;
    struct numbers n = {.version = ""};
    print_numbers(v, &n);
    const struct entry entries[] = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME", "/tmp"},
        {"TMPDIR", "/tmp"},
        {"LANG", "C.UTF-8"},
        {"TZ", ":UTC"},
        {"FAASD_FUNCTION_NAME", f->name},
        {"FAASD_FUNCTION_VERSION", n.version},
        {"FAASD_MEMORY_MB", n.memory_mib},
        {"LAMBDA_TASK_ROOT", "/var/task"},
        {"AWS_LAMBDA_FUNCTION_NAME", f->name},
        {"AWS_LAMBDA_FUNCTION_VERSION", n.version},
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", n.memory_mib},
        {"FAASD_TEMPLATE", runtime_wants_template(s) ? "yes" : NULL},
    };
    int r = add_entries_unless_given(s, entries, sizeof(entries) / sizeof(entries[0]));
    if (r < 0 || s->contract != SETTINGS_CONTRACT_FILES)
        return r < 0 ? r : exec_command_add_entries(s->env, s->env_bytes);
    r = exec_command_add_environment("req", STR_LITERAL(INIT_FILE_REQ));
    if (r == 0)
        r = exec_command_add_environment("res", STR_LITERAL(INIT_FILE_RES));
    return r < 0 ? r : add_own_entries(s, is_file_name);
}

int environment_add_handler(const struct version *v)
{
    const char *handler = v->settings.handler;
    char path[SETTINGS_PATH_MAX + sizeof("/var/task/")];
    snprintf(path, sizeof(path), "%s%s", handler[0] == '/' ? "" : "/var/task/", handler);
    return exec_command_add_argument(path);
}

int environment_begin_handler(const struct function *f, const struct version *v)
{
    int r = exec_command_begin();
    if (r == 0)
        r = environment_add_handler(v);
    return r < 0 ? r : environment_add_common(f, v);
}

/* ---- python, node and provided ---- */

enum { LOG_STREAM_MAX = 96 };

/* "2026/11/21/[3]" and 32 hex digits: one stream per instance. */
static void print_log_stream(const struct version *v, char out[LOG_STREAM_MAX])
{
    char now[CLOCK_RFC3339_MAX], tail[33];
    uint64_t random[2] = {id_random_u64(), id_random_u64()};
    clock_format_rfc3339(clock_real_ms(), now);
    id_hex((const uint8_t *)random, sizeof(random), tail);
    snprintf(out, LOG_STREAM_MAX, "%.4s/%.2s/%.2s/[%lu]%s", now, now + 5, now + 8, (unsigned long)v->number, tail);
}

/* What AWS_EXECUTION_ENV says of the managed runtimes: AWS_Lambda_ and the runtime's name. */
static const char *print_execution_env(const struct settings *s, char *out, size_t cap)
{
    if (s->runtime == SETTINGS_RUNTIME_PROVIDED)
        return NULL; /* not there in provided.* either */
    const char *family = s->runtime == SETTINGS_RUNTIME_PYTHON ? "python" : "nodejs";
    snprintf(out, cap, "AWS_Lambda_%s", s->runtime_name[0] ? s->runtime_name : family);
    return out;
}

/* Names that the platform alone sets, or leaves unset. Not the regions and keys of AWS: those are the function's to set. */
static bool is_platform_name(struct str name)
{
    static const char *const exact[] = {
        "_HANDLER",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "FAASD_FUNCTION_NAME",
        "FAASD_FUNCTION_VERSION",
        "FAASD_MEMORY_MB",
        "FAASD_RUNTIME_NAME",
        "FAASD_RUNTIME_ENTRY",
        "FAASD_TEMPLATE",
        "FAASD_IMPORTS",
        "FAASD_VENV",
        "FAASD_ROLE_CREDENTIALS",
    };
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        if (str_is(name, exact[i]))
            return true;
    return false;
}

static int add_entries(const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = entries[i].value ? exec_command_add_environment(entries[i].name, str_from(entries[i].value)) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_platform(const struct function *f, const struct version *v, const char *entry)
{
    const struct settings *s = &v->settings;
    bool provided = s->runtime == SETTINGS_RUNTIME_PROVIDED;
    bool python = s->runtime == SETTINGS_RUNTIME_PYTHON;
    struct numbers n = {.version = ""};
    char group[SETTINGS_NAME_MAX + sizeof("/aws/lambda/")], stream[LOG_STREAM_MAX];
    char execution[SETTINGS_RUNTIME_MAX + sizeof("AWS_Lambda_")];
    print_numbers(v, &n);
    print_log_stream(v, stream);
    snprintf(group, sizeof(group), "/aws/lambda/%s", f->name);
    const struct entry entries[] = {
        {"_HANDLER", s->handler},
        {"LAMBDA_TASK_ROOT", "/var/task"},
        {"LAMBDA_RUNTIME_DIR", "/var/runtime"},
        {"AWS_EXECUTION_ENV", print_execution_env(s, execution, sizeof(execution))},
        {"AWS_LAMBDA_FUNCTION_NAME", f->name},
        {"AWS_LAMBDA_FUNCTION_VERSION", n.version},
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", n.memory_mib},
        {"AWS_LAMBDA_INITIALIZATION_TYPE", version_warm_is_told(f, v) ? "provisioned-concurrency" : "on-demand"},
        {"AWS_LAMBDA_LOG_GROUP_NAME", group},
        {"AWS_LAMBDA_LOG_STREAM_NAME", stream},
        {"AWS_LAMBDA_RUNTIME_API", provided ? "127.0.0.1:9001" : NULL},
        {"FAASD_FUNCTION_NAME", f->name},
        {"FAASD_FUNCTION_VERSION", n.version},
        {"FAASD_MEMORY_MB", n.memory_mib},
        {"FAASD_RUNTIME_NAME", settings_runtime_name(s)},
        {"FAASD_RUNTIME_ENTRY", entry},
        {"FAASD_TEMPLATE", runtime_wants_template(s) ? "yes" : NULL},
        {"FAASD_IMPORTS", !python         ? NULL
                          : s->imports[0] ? s->imports
                                          : v->imports},
        {"FAASD_VENV", python && s->venv[0] ? s->venv : NULL},
    };
    return add_entries(entries, sizeof(entries) / sizeof(entries[0]));
}

/* What a function may choose otherwise. The keys of AWS are never there by themselves: made up, they would only turn a clear error of an SDK into an obscure one. */
static int add_surroundings(const struct settings *s)
{
    bool provided = s->runtime == SETTINGS_RUNTIME_PROVIDED;
    const struct entry entries[] = {
        {"PATH",
         provided ? "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin" : "/usr/local/bin:/usr/bin:/bin:/opt/bin"},
        {"LD_LIBRARY_PATH",
         provided ? "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
                  : "/var/task:/var/task/lib:/opt/lib"},
        {"NODE_PATH", s->runtime == SETTINGS_RUNTIME_NODE ? "/opt/nodejs/node_modules:/var/task" : NULL},
        {"HOME", "/tmp"},
        {"TMPDIR", "/tmp"},
        {"LANG", provided ? "en_US.UTF-8" : "C.UTF-8"},
        {"TZ", ":UTC"},
        {"AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"},
        {"AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000"},
        {"_AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1"},
        {"_AWS_XRAY_DAEMON_PORT", "2000"},
    };
    return add_entries_unless_given(s, entries, sizeof(entries) / sizeof(entries[0]));
}

int environment_add_managed(const struct function *f, const struct version *v, const char *entry)
{
    int r = add_surroundings(&v->settings);
    if (r == 0)
        r = add_platform(f, v, entry);
    return r < 0 ? r : add_own_entries(&v->settings, is_platform_name);
}

int environment_add_role(const struct config *c, const struct version *v)
{
    if (!*role_secret(c, v))
        return 0;
    if (v->settings.runtime == SETTINGS_RUNTIME_PROVIDED)
        return add_unless_given(&v->settings, "AWS_CONFIG_FILE", ROLE_CONFIG);
    return exec_command_add_environment("FAASD_ROLE_CREDENTIALS", STR_LITERAL(ROLE_PATH));
}

/* ---- the request ---- */

/* "X-Thing" -> "HTTP_X_THING". False for names that have no variable: Proxy, and what CGI tells by other names. */
static bool variable_name(struct str field, char *out, size_t cap)
{
    if (str_is_nocase(field, "proxy") || str_is_nocase(field, "content-length") ||
        str_is_nocase(field, "content-type") || str_is_nocase(field, "authorization") ||
        str_is_nocase(field, "connection") || str_is_nocase(field, "transfer-encoding") ||
        field.n + sizeof("HTTP_") > cap)
        return false;
    memcpy(out, "HTTP_", 5);
    for (size_t i = 0; i < field.n; i++) {
        char c = field.p[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        /* "_" in a field name would shadow "-": X_Forwarded_For must not pass for X-Forwarded-For. */
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
        out[5 + i] = c == '-' ? '_' : c;
    }
    out[5 + field.n] = '\0';
    return true;
}

static int add_trace(const struct invocation *inv)
{
    struct trace_fields t;
    if (!trace_is_set(&inv->trace))
        return 0;
    trace_print(inv, &t);
    int r = exec_command_add_environment("_X_AMZN_TRACE_ID", str_from(t.xray));
    if (r == 0 && t.parent[0])
        r = exec_command_add_environment("HTTP_TRACEPARENT", str_from(t.parent));
    if (r == 0 && t.state.n)
        r = exec_command_add_environment("HTTP_TRACESTATE", t.state);
    if (r == 0 && inv->has_xray)
        r = exec_command_add_environment("HTTP_X_AMZN_TRACE_ID", str_from(t.xray));
    return r;
}

static int add_fields(const struct invocation *inv)
{
    const struct http1_request *q = inv->exchange->request;
    for (unsigned i = 0; i < q->field_count; i++) {
        char name[256];
        if (trace_hides(inv, q->fields[i].name) || !variable_name(q->fields[i].name, name, sizeof(name)))
            continue;
        int r = exec_command_add_environment(name, q->fields[i].value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* SERVER_NAME and SERVER_PORT from "host:port", "[::1]:port" or "host". */
static int add_server(struct str host)
{
    struct str name = host;
    struct str port = STR_LITERAL("80");
    for (size_t i = host.n; i-- > 0 && host.p[i] != ']';) {
        if (host.p[i] != ':')
            continue;
        name.n = i;
        if (i + 1 < host.n)
            port = str_skip(host, i + 1);
        break;
    }
    if (name.n == 0)
        name = STR_LITERAL("localhost");
    int r = exec_command_add_environment("SERVER_NAME", name);
    return r < 0 ? r : exec_command_add_environment("SERVER_PORT", port);
}

/* What of the path led to the function: "/function/NAME", or "/function/NAME:prod" when it was called so, that links made of it lead to the same version. */
static int add_script_name(const struct invocation *inv)
{
    char script[SETTINGS_NAME_MAX + VERSIONS_ALIAS_MAX + sizeof("/function/")];
    size_t n;
    struct str path = inv->exchange->request->path;
    path.n -= inv->path.n < path.n ? inv->path.n : path.n;
    if (!str_starts_with(path, "/function/") || !http1_percent_decode(path, script, sizeof(script), &n))
        n = (size_t)snprintf(script, sizeof(script), "/function/%s", inv->function->name);
    return exec_command_add_environment("SCRIPT_NAME", (struct str){script, n});
}

static int add_path(const struct invocation *inv)
{
    int r = add_script_name(inv);
    if (r < 0 || inv->path.n == 0)
        return r;
    char decoded[4096];
    size_t n;
    /* PATH_INFO is decoded (RFC 3875, 4.1.5); what can't be is left out, REQUEST_URI still has it. */
    if (!http1_percent_decode(inv->path, decoded, sizeof(decoded), &n))
        return 0;
    return exec_command_add_environment("PATH_INFO", (struct str){decoded, n});
}

int environment_add_request(const struct invocation *inv, uint64_t deadline_ms)
{
    const struct exchange *x = inv->exchange;
    const struct http1_request *q = x->request;
    const struct http1_field *type = http1_find_field(q->fields, q->field_count, "content-type");
    char length[24];
    char deadline[24];
    size_t event_n = event_bytes(inv, &inv->version->settings).n;
    snprintf(length, sizeof(length), "%zu", event_n);
    snprintf(deadline, sizeof(deadline), "%lu", (unsigned long)deadline_ms);
    const struct {
        const char *name;
        struct str value;
    } entries[] = {
        {"GATEWAY_INTERFACE", STR_LITERAL("CGI/1.1")},
        {"SERVER_SOFTWARE", STR_LITERAL("faasd")},
        {"SERVER_PROTOCOL", q->minor ? STR_LITERAL("HTTP/1.1") : STR_LITERAL("HTTP/1.0")},
        {"REQUEST_METHOD", q->method},
        {"REQUEST_URI", q->target},
        {"QUERY_STRING", q->query},
        {"REMOTE_ADDR", str_from(x->peer)},
        {"CONTENT_LENGTH", event_n ? str_from(length) : (struct str){0}},
        {"CONTENT_TYPE", type ? type->value : (struct str){0}},
        {"FAASD_REQUEST_ID", str_from(x->id)},
        {"FAASD_DEADLINE_MS", deadline_ms ? str_from(deadline) : (struct str){0}},
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        /* RFC 3875 wants QUERY_STRING even when empty; the others are unset then. */
        if (entries[i].value.n == 0 && strcmp(entries[i].name, "QUERY_STRING") != 0)
            continue;
        int r = exec_command_add_environment(entries[i].name, entries[i].value);
        if (r < 0)
            return r;
    }
    int r = add_server(q->host);
    if (r == 0)
        r = add_path(inv);
    if (r == 0)
        r = add_trace(inv);
    return r < 0 ? r : add_fields(inv);
}
