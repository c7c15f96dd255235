/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/environment.h"

#include "gateway/exec_channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool has_entry(const struct settings *s, const char *name)
{
    size_t n = strlen(name);
    for (size_t at = 0; at < s->env_bytes; at += strlen(s->env + at) + 1)
        if (strncmp(s->env + at, name, n) == 0 && s->env[at + n] == '=')
            return true;
    return false;
}

static int add_unless_given(const struct settings *s, const char *name, const char *value)
{
    return has_entry(s, name) ? 0 : exec_command_add_environment(name, str_from(value));
}

int environment_add_common(const struct function *f, const struct version *v)
{
    const struct settings *s = &v->settings;
    char number[24];
    char memory_mib[24];
    snprintf(number, sizeof(number), "%lu", (unsigned long)v->number);
    snprintf(memory_mib, sizeof(memory_mib), "%lu", (unsigned long)(s->memory_bytes >> 20));
    const struct {
        const char *name, *value;
    } entries[] = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME", "/tmp"},
        {"TMPDIR", "/tmp"},
        {"LANG", "C.UTF-8"},
        {"TZ", ":UTC"},
        {"FAASD_FUNCTION_NAME", f->name},
        {"FAASD_FUNCTION_VERSION", number},
        {"FAASD_MEMORY_MB", memory_mib},
        {"LAMBDA_TASK_ROOT", "/var/task"},
        {"AWS_LAMBDA_FUNCTION_NAME", f->name},
        {"AWS_LAMBDA_FUNCTION_VERSION", number},
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib},
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        int r = add_unless_given(s, entries[i].name, entries[i].value);
        if (r < 0)
            return r;
    }
    return exec_command_add_entries(s->env, s->env_bytes);
}

int environment_begin_handler(const struct function *f, const struct version *v)
{
    const char *handler = v->settings.handler;
    char path[SETTINGS_PATH_MAX + sizeof("/var/task/")];
    snprintf(path, sizeof(path), "%s%s", handler[0] == '/' ? "" : "/var/task/", handler);
    int r = exec_command_begin();
    if (r == 0)
        r = exec_command_add_argument(path);
    return r < 0 ? r : environment_add_common(f, v);
}

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

static int add_fields(const struct http1_request *q)
{
    for (unsigned i = 0; i < q->field_count; i++) {
        char name[256];
        if (!variable_name(q->fields[i].name, name, sizeof(name)))
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

static int add_path(const struct invocation *inv)
{
    char script[SETTINGS_NAME_MAX + sizeof("/function/")];
    snprintf(script, sizeof(script), "/function/%s", inv->function->name);
    int r = exec_command_add_environment("SCRIPT_NAME", str_from(script));
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
    snprintf(length, sizeof(length), "%zu", x->body.n);
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
        {"CONTENT_LENGTH", x->body.n ? str_from(length) : (struct str){0}},
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
    return r < 0 ? r : add_fields(q);
}
