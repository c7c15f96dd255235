/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exec_request.h"

#include "gateway/revision.h"
#include "gateway/secrets.h"

#include <errno.h>
#include <string.h>

static const char DEFAULT_NAME[] = "exec";

static int check_members(const struct json *root, struct err *e)
{
    static const char *const KNOWN[] = {"command", "stdin", "name", "settings"};
    if (!json_is_object(root))
        return err_say(e, EINVAL, "the body is a JSON object: {\"command\": [\"sh\", \"-c\", \"echo hello\"]}");
    JSON_EACH(root, v)
    {
        bool known = false;
        for (unsigned i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++)
            known = known || strcmp(json_key(v), KNOWN[i]) == 0;
        if (!known)
            return err_say(e, EINVAL, "'%.64s' is no member: command, stdin, name, settings", json_key(v));
    }
    return 0;
}

static int check_command(const struct json *command, struct err *e)
{
    unsigned count = 0;
    if (!json_is_array(command) || json_count(command) == 0)
        return err_say(e, EINVAL, "\"command\" is an array of strings: the program, then its arguments");
    if (json_count(command) > EXEC_ARGUMENTS_MAX)
        return err_say(e, EINVAL, "\"command\" has more than %d strings", EXEC_ARGUMENTS_MAX);
    JSON_EACH(command, v)
    {
        const char *text = json_text(v);
        if (!text)
            return err_say(e, EINVAL, "\"command\" is an array of strings: the program, then its arguments");
        if (count++ == 0 && (!*text || (strchr(text, '=') && !strchr(text, '/'))))
            return err_say(e, EINVAL, "'%.64s' is no program: a name in /usr/local/bin, /usr/bin or /bin, or a path",
                           text);
    }
    return 0;
}

static int read_texts(const struct json *root, struct exec_request *r, struct err *e)
{
    const struct json *name = json_get(root, "name"), *input = json_get(root, "stdin");
    struct str wanted = str_from(DEFAULT_NAME);
    if (name)
        wanted = str_from(json_text(name) ? json_text(name) : "");
    if (!settings_name_is_valid(wanted) || !str_copy(wanted, r->name, sizeof(r->name)))
        return err_say(e, EINVAL, "\"name\" has 1 to 64 of A-Z a-z 0-9 _ -");
    if (input && !json_text(input))
        return err_say(e, EINVAL, "\"stdin\" is a string");
    r->input = str_from(input ? json_text(input) : "");
    return 0;
}

/* The keys that say what a function is: here the command does. */
static int check_settings(const struct json *given, struct err *e)
{
    static const char *const NOT_HERE[] = {"runtime", "handler", "contract", "payload", "isolation"};
    if (given && !json_is_object(given))
        return err_say(e, EINVAL,
                       "\"settings\" is an object, as in faasd.json: {\"memory\": \"64M\", \"timeout\": \"10s\"}");
    for (unsigned i = 0; i < sizeof(NOT_HERE) / sizeof(NOT_HERE[0]); i++)
        if (given && json_get(given, NOT_HERE[i]))
            return err_say(e, EINVAL, "settings: '%s' is not for a command", NOT_HERE[i]);
    return 0;
}

static int make_version(struct gateway *g, const struct json *given, struct exec_request *r, struct err *e)
{
    struct settings settings = {0};
    struct buf text, canonical;
    struct json_writer w;
    buf_init(&text, 0);
    buf_init(&canonical, 0);
    json_writer_init(&w, &text);
    json_put_object(&w, NULL);
    json_put_text(&w, "runtime", "exec");
    json_put_text(&w, "handler", "command");
    if (given)
        JSON_EACH(given, v)
    json_put_value(&w, json_key(v), v);
    json_put_object_end(&w);
    int result = json_writer_end(&w) < 0 ? err_set(e, ENOMEM, "read the settings") : 0;
    const struct revision_sources sources = {.given = buf_str(&text)};
    if (result == 0)
        result = revision_merge(g->config, &sources, &settings, e);
    if (result == 0)
        result = revision_check(g->config, &settings, e);
    if (result == 0)
        result = secrets_check(g->secrets, &settings, e);
    if (result == 0)
        r->version = revision_make(&(struct revision_code){.digest = MESSAGE_NO_CODE}, &settings, &canonical);
    if (result == 0 && !r->version)
        result = err_set(e, ENOMEM, "read the settings");
    if (!r->version)
        settings_fini(&settings);
    buf_fini(&text);
    buf_fini(&canonical);
    return result;
}

int exec_request_read(struct gateway *g, struct str body, struct exec_request *ret, struct err *e)
{
    *ret = (struct exec_request){.doc = NULL};
    int r = json_parse(body, JSON_STRICT, &ret->doc, e);
    if (r < 0)
        return r;
    const struct json *root = json_root(ret->doc);
    r = check_members(root, e);
    if (r == 0)
        r = read_texts(root, ret, e);
    ret->command = json_get(root, "command");
    r = r < 0 ? r : check_command(ret->command, e);
    r = r < 0 ? r : check_settings(json_get(root, "settings"), e);
    return r < 0 ? r : make_version(g, json_get(root, "settings"), ret, e);
}

void exec_request_free(struct exec_request *r)
{
    version_put(r->version);
    json_free(r->doc);
    *r = (struct exec_request){.doc = NULL};
}
