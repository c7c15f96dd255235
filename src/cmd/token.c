/* SPDX-License-Identifier: Apache-2.0 */
/* faasd token create | ls | rm */
#include "base/clock.h"
#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/remove.h"
#include "cmd/verbs.h"
#include "cmd/when.h"
#include "codec/json.h"

#include <errno.h>
#include <string.h>

enum { SCOPES_MAX = 32 };

struct wishes {
    const char *scopes[SCOPES_MAX];
    unsigned scope_count;
    const char *name;
    uint64_t expires_ms; /* from now; 0: never */
    bool json, export;
};

/* ---- create ---- */

static int add_scope(void *target, const char *value, struct err *e)
{
    struct wishes *w = target;
    if (w->scope_count == SCOPES_MAX)
        return err_say(e, EINVAL, "at most %d --scope", SCOPES_MAX);
    w->scopes[w->scope_count++] = value;
    return 0;
}

static int set_expires(void *target, const char *value, struct err *e)
{
    uint64_t *ms = target;
    int r = units_parse_time(str_from(value), ms, e);
    if (r == 0 && *ms == 0)
        r = err_say(e, EINVAL, "'%s' is over at once: write 30d, 12h or leave it out", value);
    return r;
}

static int print_wishes(const struct wishes *w, struct buf *out)
{
    struct json_writer j;
    json_writer_init(&j, out);
    json_put_object(&j, NULL);
    json_put_array(&j, "scopes");
    for (unsigned i = 0; i < w->scope_count; i++)
        json_put_text(&j, NULL, w->scopes[i]);
    json_put_array_end(&j);
    if (w->name)
        json_put_text(&j, "name", w->name);
    if (w->expires_ms)
        json_put_u64(&j, "expires_in_ms", w->expires_ms);
    json_put_object_end(&j);
    return json_writer_end(&j);
}

/* What the shell takes by eval. No value needs quotes: they are hex digits and capitals. */
static void print_export(const struct json *token)
{
    printf("export FAASD_TOKEN=%s\n", json_get_text(token, "token"));
    printf("export AWS_ACCESS_KEY_ID=%s\n", json_get_text(token, "accessKeyId"));
    printf("export AWS_SECRET_ACCESS_KEY=%s\n", json_get_text(token, "secretAccessKey"));
    puts("unset AWS_SESSION_TOKEN AWS_PROFILE FAASD_TOKEN_FILE");
}

static void print_scopes(const struct json *token, struct buf *out)
{
    JSON_EACH(json_get(token, "scopes"), at)
    {
        const char *scope = json_text(at);
        if (buf_addf(out, "%s%s", out->len ? "," : "", scope ? scope : "?") < 0)
            return; /* what fits */
    }
}

static void print_token(const struct json *token)
{
    struct buf scopes;
    const char *expires = json_get_text(token, "expires");
    buf_init(&scopes, 0);
    print_scopes(token, &scopes);
    printf("id               %s\n", json_get_text(token, "id"));
    printf("scopes           %.*s\n", (int)scopes.len, scopes.len ? scopes.data : "");
    printf("expires          %s\n", expires ? expires : "never");
    printf("token            %s\n", json_get_text(token, "token"));
    printf("accessKeyId      %s\n", json_get_text(token, "accessKeyId"));
    printf("secretAccessKey  %s\n", json_get_text(token, "secretAccessKey"));
    fflush(stdout);
    fputs("Keep them now: they are not shown again.\n", stderr);
    buf_fini(&scopes);
}

static int show_created(const struct wishes *w, struct str reply)
{
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0 || !json_get_text(json_root(doc), "token") ||
        !json_get_text(json_root(doc), "accessKeyId") || !json_get_text(json_root(doc), "secretAccessKey")) {
        fprintf(stderr, "faasd token create: the daemon's reply holds no token%s%s\n", e.code ? ": " : "", e.text);
        return CMD_FAILED;
    }
    if (w->export)
        print_export(json_root(doc));
    else
        print_token(json_root(doc));
    json_free(doc);
    return CMD_OK;
}

static int create(int argc, char **argv)
{
    struct client_target target = {0};
    struct wishes w = {0};
    const struct option table[] = {
        {.name = "scope", .kind = OPTION_CALL, .target = &w, .on_value = add_scope},
        {.name = "name", .kind = OPTION_TEXT, .target = &w.name},
        {.name = "expires", .kind = OPTION_CALL, .target = &w.expires_ms, .on_value = set_expires},
        {.name = "json", .kind = OPTION_BOOL, .target = &w.json},
        {.name = "export", .kind = OPTION_BOOL, .target = &w.export},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {.command = "token", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (w.scope_count == 0)
        return options_refuse("token", "create: what is the token good for? --scope admin, deploy, read, invoke or "
                                       "invoke:FUNCTION; repeatable");
    if (w.json && w.export)
        return options_refuse("token", "create: --json or --export, not both");
    struct buf wishes, reply;
    buf_init(&wishes, 0);
    buf_init(&reply, 0);
    status = CMD_FAILED;
    if (print_wishes(&w, &wishes) == 0) {
        const struct client_request request = {.method = "POST",
                                               .target = "/v1/tokens",
                                               .fields = STR_LITERAL("Content-Type: application/json\r\n"),
                                               .body = buf_str(&wishes),
                                               .body_fd = -1,
                                               .has_body = true};
        const struct client_call call = {.command = "token create", .target = &target, .request = &request};
        status = client_call(&call, &reply);
    }
    if (status == CMD_OK && w.json)
        printf("%.*s\n", (int)str_trim(buf_str(&reply)).n, str_trim(buf_str(&reply)).p);
    else if (status == CMD_OK)
        status = show_created(&w, buf_str(&reply));
    buf_fini(&wishes);
    buf_fini(&reply);
    return output_finish("token create", status);
}

/* ---- ls ---- */

static const struct output_column COLUMNS[] = {{.title = "ID"},      {.title = "NAME"}, {.title = "SCOPES"},
                                               {.title = "EXPIRES"}, {.title = "USED"}, {.title = "ACCESS KEY ID"}};

static void add_text(struct output_table *t, const char *text)
{
    output_table_add(t, str_from(text && *text ? text : "-"));
}

static void add_row(struct output_table *t, const struct json *token)
{
    struct buf scopes;
    char age[OUTPUT_AGE_MAX] = "-";
    bool expired = false;
    uint64_t used_ms, now = clock_real_ms();
    const char *used = json_get_text(token, "used");
    const char *expires = json_get_text(token, "expires");
    buf_init(&scopes, 0);
    print_scopes(token, &scopes);
    json_get_bool(token, "expired", &expired);
    add_text(t, json_get_text(token, "id"));
    add_text(t, json_get_text(token, "name"));
    output_table_add(t, buf_str(&scopes));
    add_text(t, expired ? "expired" : expires ? expires : "never");
    if (used && when_parse(used, &used_ms) && used_ms <= now)
        output_age(now - used_ms, age);
    add_text(t, age);
    add_text(t, json_get_text(token, "accessKeyId"));
    buf_fini(&scopes);
}

static void print_list(const struct json *reply)
{
    struct output_table t;
    const struct json *tokens = json_get(reply, "tokens");
    if (json_count(tokens) == 0) {
        fputs("no tokens yet; make one with `faasd token create --scope SCOPE`\n", stderr);
        return;
    }
    output_table_init(&t, COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
    JSON_EACH(tokens, token)
    add_row(&t, token);
    output_table_print(&t, stdout);
}

static int list(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {.command = "token", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    const struct client_request request = {.method = "GET", .target = "/v1/tokens", .body_fd = -1};
    const struct client_call call = {.command = "token ls", .target = &target, .request = &request};
    return client_show(&call, json, print_list);
}

/* ---- rm ---- */

static int check_id(const char *command, const char *id)
{
    return *id ? CMD_OK : options_refuse(command, "an ID is not empty");
}

static int remove_tokens(int argc, char **argv)
{
    const struct removal tokens = {.command = "token",
                                   .verb = "token rm",
                                   .operands_text = "the ID of a token, as `faasd token ls` shows it",
                                   .path = "/v1/tokens/",
                                   .check = check_id};
    return remove_all(&tokens, argc, argv);
}

int cmd_token(int argc, char **argv)
{
    static const struct verb verbs[] = {{"create", create}, {"ls", list}, {"rm", remove_tokens}, {0}};
    return verbs_run("token", verbs, argc, argv);
}
