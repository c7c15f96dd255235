/* SPDX-License-Identifier: Apache-2.0 */
/* secret set|ls|rm: see gateway/api_secrets.c for the other side. */
#include "codec/secret.h"
#include "base/clock.h"
#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/remove.h"
#include "cmd/secret_value.h"
#include "cmd/verbs.h"
#include "cmd/when.h"
#include "codec/json.h"
#include "codec/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is no name may be a value: it is not repeated. */
static bool check_name(const char *command, const char *name)
{
    if (settings_name_is_valid(str_from(name)))
        return true;
    options_refuse(command, "that is no secret's name: 1 to 64 of A-Z a-z 0-9 _ -. The value comes from stdin");
    return false;
}

static int add_path(struct buf *out, const char *name, const char *query)
{
    int r = buf_addf(out, "/v1/secrets/%s%s", name, query);
    return r < 0 ? r : buf_add(out, "", 1);
}

/* One question, its reply parsed: an exit status, with the document the caller's when CMD_OK. */
static int ask(const struct client_call *call, struct buf *reply, struct json_doc **ret_doc)
{
    struct err e = {0};
    *ret_doc = NULL;
    int status = client_call(call, reply);
    if (status == CMD_OK && json_parse(buf_str(reply), JSON_STRICT, ret_doc, &e) < 0) {
        fprintf(stderr, "faasd %s: the daemon's reply: %s\n", call->command, e.text);
        status = CMD_FAILED;
    }
    return status;
}

/* ---- set ---- */

struct setting {
    struct client_target target;
    struct secret_source source;
    const char *key; /* the fingerprint to insist on; NULL = none */
    bool json;
    uint8_t public[SECRET_KEY_BYTES];
    char fingerprint[SECRET_FINGERPRINT_MAX];
};

static int read_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t out[SECRET_KEY_BYTES])
{
    if (!text || strlen(text) != (size_t)2 * SECRET_KEY_BYTES)
        return false;
    for (size_t i = 0; i < SECRET_KEY_BYTES; i++) {
        int high = read_digit(text[2 * i]), low = read_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The fingerprint is made here of the key itself: what the daemon says about it is no proof of anything. */
static int fetch_key(struct setting *s)
{
    const struct client_request request = {.method = "GET", .target = "/v1/secrets", .body_fd = -1};
    const struct client_call call = {.command = "secret set", .target = &s->target, .request = &request};
    struct json_doc *doc;
    struct buf reply;
    buf_init(&reply, 0);
    int status = ask(&call, &reply, &doc);
    if (status == CMD_OK && !read_hex(json_get_text(json_root(doc), "key"), s->public)) {
        fprintf(stderr, "faasd secret set: the daemon's reply has no key\n");
        status = CMD_FAILED;
    }
    json_free(doc);
    buf_fini(&reply);
    if (status != CMD_OK)
        return status;
    secret_fingerprint(s->public, s->fingerprint);
    if (!s->key || strcmp(s->key, s->fingerprint) == 0)
        return CMD_OK;
    fprintf(stderr, "faasd secret set: the daemon's key is %s, not the one of --key: nothing was sent\n",
            s->fingerprint);
    return CMD_DENIED;
}

static bool is_kept(const struct json *kept, const char *function)
{
    JSON_EACH(kept, at)
    {
        const char *name = json_get_text(at, "name");
        if (name && function && strcmp(name, function) == 0)
            return true;
    }
    return false;
}

static void print_replaced(const struct json *functions, const struct json *kept)
{
    bool first = true;
    JSON_EACH(functions, at)
    {
        if (is_kept(kept, json_text(at)))
            continue;
        fputs(first ? "  used from now on by: " : ", ", stdout);
        output_text(stdout, str_from(json_text(at)), false);
        first = false;
    }
    if (!first)
        fputc('\n', stdout);
}

static int print_set(const struct setting *s, const struct json *reply)
{
    const struct json *functions = json_get(reply, "functions"), *kept = json_get(reply, "kept");
    bool created = false;
    json_to_bool(json_get(reply, "created"), &created);
    printf("%s: %s, sealed for key %s\n", s->source.name, created ? "made" : "set again", s->fingerprint);
    print_replaced(functions, kept);
    JSON_EACH(kept, at)
    {
        fputs("  but ", stderr);
        output_text(stderr, str_from(json_get_text(at, "name")), false);
        fputs(" keeps instances with the former value, as it did not start with the new one: ", stderr);
        output_text(stderr, str_from(json_get_text(at, "reason")), false);
        fputc('\n', stderr);
    }
    return json_count(kept) ? CMD_FAILED : CMD_OK;
}

static int send_sealed(const struct setting *s, struct str sealed)
{
    char query[SECRET_FINGERPRINT_MAX + 8];
    struct json_doc *doc;
    struct buf path, reply;
    buf_init(&path, 0);
    buf_init(&reply, 0);
    snprintf(query, sizeof(query), "?key=%s", s->fingerprint);
    int status = CMD_FAILED;
    if (add_path(&path, s->source.name, query) == 0) {
        const struct client_request request = {.method = "PUT",
                                               .target = path.data,
                                               .fields = STR_LITERAL("Content-Type: application/octet-stream\r\n"),
                                               .body = sealed,
                                               .body_fd = -1,
                                               .has_body = true};
        const struct client_call call = {.command = "secret set", .target = &s->target, .request = &request};
        status = ask(&call, &reply, &doc);
        if (status == CMD_OK) {
            status = print_set(s, json_root(doc));
            json_free(doc);
        }
    }
    buf_fini(&path);
    buf_fini(&reply);
    return status;
}

static int set(struct setting *s)
{
    struct secret_value value;
    struct buf sealed;
    struct err e = {0};
    int status = fetch_key(s);
    if (status != CMD_OK)
        return status;
    if (secret_value_read(&value, &s->source, &e) < 0) {
        fprintf(stderr, "faasd secret set: %s\n", e.text);
        return CMD_FAILED;
    }
    buf_init(&sealed, 0);
    const struct secret_plain plain = {.name = str_from(s->source.name), .value = {value.bytes, value.n}};
    int r = secret_seal(s->public, &plain, &sealed, &e);
    secret_value_wipe(&value);
    if (r < 0)
        fprintf(stderr, "faasd secret set: %s\n", e.text);
    status = r < 0 ? CMD_FAILED : send_sealed(s, buf_str(&sealed));
    buf_fini(&sealed);
    return status;
}

static int cmd_set(int argc, char **argv)
{
    struct setting s = {0};
    const struct option table[] = {
        {.name = "file", .kind = OPTION_TEXT, .target = &s.source.file},
        {.name = "trim", .kind = OPTION_BOOL, .target = &s.source.trim},
        {.name = "key", .kind = OPTION_TEXT, .target = &s.key},
        CLIENT_OPTIONS(&s.target),
        {0},
    };
    struct options o = {.command = "secret",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = -1,
                        .operands_text = "the NAME of a secret"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (o.operand_count > 1)
        return options_refuse("secret", "a value on the command line stands in the shell's history and in /proc: give "
                                        "it on stdin, as in `faasd secret set NAME < FILE`");
    if (!check_name("secret", o.operands[0]))
        return CMD_USAGE;
    s.source.name = o.operands[0];
    return output_finish("secret set", set(&s));
}

/* ---- ls ---- */

static const struct output_column COLUMNS[] = {
    {.title = "NAME"},
    {.title = "BYTES", .right = true},
    {.title = "SET", .right = true},
    {.title = "FUNCTIONS"},
};

static void add_functions(struct output_table *t, const struct json *functions, bool usable)
{
    struct buf text;
    buf_init(&text, 0);
    int r = usable ? 0 : buf_add_text(&text, "(sealed for another key: set it again) ");
    bool first = true;
    JSON_EACH(functions, at)
    {
        r = r < 0 ? r : buf_addf(&text, "%s%s", first ? "" : ", ", json_text(at) ? json_text(at) : "?");
        first = false;
    }
    output_table_add(t, r == 0 && text.len ? buf_str(&text) : str_from("-"));
    buf_fini(&text);
}

static void add_secret(struct output_table *t, const struct json *s)
{
    uint64_t bytes = 0, updated_ms, now = clock_real_ms();
    bool usable = true;
    char age[OUTPUT_AGE_MAX] = "-";
    const char *updated = json_get_text(s, "updated");
    json_get_u64(s, "bytes", &bytes);
    json_to_bool(json_get(s, "usable"), &usable);
    if (updated && when_parse(updated, &updated_ms) && updated_ms <= now)
        output_age(now - updated_ms, age);
    output_table_add(t, str_from(json_get_text(s, "name")));
    output_table_addf(t, "%lu", (unsigned long)bytes);
    output_table_add(t, str_from(age));
    add_functions(t, json_get(s, "functions"), usable);
}

static void print_list(const struct json *reply)
{
    const struct json *secrets = json_get(reply, "secrets");
    const char *fingerprint = json_get_text(reply, "fingerprint");
    if (json_count(secrets) == 0) {
        fputs("no secrets yet; make one with `faasd secret set NAME`\n", stderr);
    } else {
        struct output_table t;
        output_table_init(&t, COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
        JSON_EACH(secrets, s)
        {
            add_secret(&t, s);
        }
        output_table_print(&t, stdout);
    }
    fprintf(stderr, "key %s\n", fingerprint ? fingerprint : "?");
}

static int cmd_list(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json}, CLIENT_OPTIONS(&target), {0}};
    struct options o = {.command = "secret", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    const struct client_request request = {.method = "GET", .target = "/v1/secrets", .body_fd = -1};
    const struct client_call call = {.command = "secret ls", .target = &target, .request = &request};
    struct json_doc *doc;
    struct buf reply;
    buf_init(&reply, 0);
    status = ask(&call, &reply, &doc);
    if (status == CMD_OK && json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        print_list(json_root(doc));
    json_free(doc);
    buf_fini(&reply);
    return output_finish("secret ls", status);
}

/* ---- rm ---- */

static int check_for_removal(const char *command, const char *name)
{
    return check_name(command, name) ? CMD_OK : CMD_USAGE;
}

static int cmd_remove(int argc, char **argv)
{
    const struct removal secrets = {.command = "secret",
                                    .verb = "secret rm",
                                    .operands_text = "the NAME of a secret",
                                    .path = "/v1/secrets/",
                                    .check = check_for_removal,
                                    .takes_force = true};
    return remove_all(&secrets, argc, argv);
}

int cmd_secret(int argc, char **argv)
{
    static const struct verb verbs[] = {{"set", cmd_set}, {"ls", cmd_list}, {"rm", cmd_remove}, {0}};
    return verbs_run("secret", verbs, argc, argv);
}
