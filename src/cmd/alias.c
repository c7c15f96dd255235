/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd alias set | ls | rm`: names for versions. */
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/verbs.h"
#include "codec/json.h"
#include "gateway/versions.h"

#include <stdlib.h>
#include <string.h>

struct alias {
    struct client_target target;
    const char *also; /* "4=0.1" */
    bool json;
    char **operands; /* the function, the alias, the version: as many as the verb takes */
};

/* ---- printing ---- */

/* "version 3", "90% version 3, 10% version 4" */
static void print_share(const struct json *alias, struct buf *out)
{
    uint64_t number = 0;
    double weight = 0;
    const struct json *second = json_first(json_get(alias, "weights"));
    if (!json_get_u64(alias, "version", &number)) {
        buf_add_text(out, "$LATEST");
        return;
    }
    if (second && json_to_double(second, &weight))
        buf_addf(out, "%.4g%% version %lu, %.4g%% version %s", 100 - weight * 100, (unsigned long)number, weight * 100,
                 json_key(second));
    else
        buf_addf(out, "version %lu", (unsigned long)number);
}

static void print_aliases(const struct json *root)
{
    static const struct output_column columns[] = {{.title = "ALIAS"}, {.title = "GOES TO"}};
    struct output_table t;
    const struct json *aliases = json_get(root, "aliases");
    if (json_count(aliases) == 0) {
        fputs("no aliases yet; make one with `faasd alias set NAME ALIAS VERSION`\n", stderr);
        return;
    }
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    JSON_EACH(aliases, at)
    {
        struct buf share;
        buf_init(&share, 0);
        print_share(at, &share);
        output_table_add(&t, str_from(json_get_text(at, "name")));
        output_table_add(&t, buf_str(&share));
        buf_fini(&share);
    }
    output_table_print(&t, stdout);
}

static void print_alias(const char *function, const struct json *alias)
{
    struct buf share;
    buf_init(&share, 0);
    print_share(alias, &share);
    printf("%s:%s: %.*s\n", function, json_get_text(alias, "name"), (int)share.len, share.data ? share.data : "");
    buf_fini(&share);
}

/* ---- asking ---- */

/* What came of it is printed unless it is a removal. */
static int ask(const struct alias *a, const char *rest, struct client_request *request)
{
    struct buf path, reply;
    struct json_doc *doc = NULL;
    struct err e = {0};
    int status = CMD_FAILED;
    buf_init(&path, 0);
    buf_init(&reply, 0);
    if (client_path(&path, a->operands[0], rest) == 0) {
        const struct client_call call = {.command = "alias", .target = &a->target, .request = request};
        request->target = path.data;
        request->body_fd = -1;
        status = client_call(&call, &reply);
    }
    if (status == CMD_OK && strcmp(request->method, "DELETE") == 0) {
        fprintf(stderr, "%s:%s: removed\n", a->operands[0], a->operands[1]);
    } else if (status == CMD_OK && a->json) {
        fwrite(reply.data, 1, reply.len, stdout);
    } else if (status == CMD_OK && json_parse(buf_str(&reply), JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd alias: the daemon's reply: %s\n", e.text);
        status = CMD_FAILED;
    } else if (status == CMD_OK && request->has_body) {
        print_alias(a->operands[0], json_root(doc));
    } else if (status == CMD_OK) {
        print_aliases(json_root(doc));
    }
    json_free(doc);
    buf_fini(&path);
    buf_fini(&reply);
    return output_finish("alias", status);
}

static int ask_about(const struct alias *a, struct client_request *request)
{
    struct buf rest;
    if (!versions_alias_is_valid(str_from(a->operands[1])))
        return options_refuse("alias",
                              "'%s' is no name for an alias: letters, digits, - and _, not digits alone, at most 128",
                              a->operands[1]);
    int status = CMD_FAILED;
    buf_init(&rest, 0);
    if (buf_add_text(&rest, "/aliases/") == 0 && client_encode(&rest, a->operands[1]) == 0 &&
        buf_add(&rest, "", 1) == 0)
        status = ask(a, rest.data, request);
    buf_fini(&rest);
    return status;
}

/* ---- the verbs ---- */

/* ,"weights":{"4":0.1}. CMD_OK, or CMD_USAGE after a message. */
static int add_weights(const char *also, struct buf *body)
{
    struct str share;
    bool has_share;
    uint64_t number;
    char *end;
    struct str version = str_cut(str_from(also), '=', &share, &has_share);
    double weight = has_share ? strtod(share.p, &end) : 0;
    if (!has_share || !share.n || *end || !(weight >= 0 && weight <= 1) || !str_to_u64(version, &number))
        return options_refuse("alias", "--also '%s': write VERSION=SHARE with a share from 0 to 1, such as 4=0.1",
                              also);
    return buf_addf(body, ",\"weights\":{\"%lu\":%.6f}", (unsigned long)number, weight) == 0 ? CMD_OK : CMD_FAILED;
}

static int set(const struct alias *a)
{
    struct buf body;
    uint64_t number;
    const char *version = a->operands[2];
    bool latest = strcmp(version, "$LATEST") == 0;
    if (!latest && (!str_to_u64(str_from(version), &number) || number == 0))
        return options_refuse("alias", "'%s' is no version: a number, as `faasd versions NAME` prints them, or $LATEST",
                              version);
    buf_init(&body, 0);
    int status = buf_addf(&body, "{\"version\":%s%s%s", latest ? "\"" : "", version, latest ? "\"" : "") == 0
                     ? CMD_OK
                     : CMD_FAILED;
    if (status == CMD_OK && a->also)
        status = add_weights(a->also, &body);
    if (status == CMD_OK && buf_add_text(&body, "}") < 0)
        status = CMD_FAILED;
    if (status == CMD_OK)
        status = ask_about(a, &(struct client_request){.method = "PUT", .body = buf_str(&body), .has_body = true});
    buf_fini(&body);
    return status;
}

/* A verb's line: its options, then as many words as it takes, the first a function's name. OPTIONS_GO_ON with a->operands, or the exit status. */
static int parse(struct alias *a, struct options *o, int argc, char **argv)
{
    o->command = "alias";
    o->operands_max = o->operands_min;
    int status = options_parse(o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    a->operands = o->operands;
    return client_check_name("alias", str_from(a->operands[0])) ? OPTIONS_GO_ON : CMD_USAGE;
}

static int run_set(int argc, char **argv)
{
    struct alias a = {.also = NULL};
    const struct option table[] = {
        {.name = "also", .kind = OPTION_TEXT, .target = &a.also},
        {.name = "json", .kind = OPTION_BOOL, .target = &a.json},
        CLIENT_OPTIONS(&a.target),
        {0},
    };
    struct options o = {.tables = {table}, .operands_min = 3, .operands_text = "NAME, ALIAS and VERSION"};
    int status = parse(&a, &o, argc, argv);
    return status == OPTIONS_GO_ON ? set(&a) : status;
}

static int run_ls(int argc, char **argv)
{
    struct alias a = {.also = NULL};
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &a.json}, CLIENT_OPTIONS(&a.target), {0}};
    struct options o = {.tables = {table}, .operands_min = 1, .operands_text = "a function's NAME"};
    int status = parse(&a, &o, argc, argv);
    return status == OPTIONS_GO_ON ? ask(&a, "/aliases", &(struct client_request){.method = "GET"}) : status;
}

static int run_rm(int argc, char **argv)
{
    struct alias a = {.also = NULL};
    const struct option table[] = {CLIENT_OPTIONS(&a.target), {0}};
    struct options o = {.tables = {table}, .operands_min = 2, .operands_text = "NAME and ALIAS"};
    int status = parse(&a, &o, argc, argv);
    return status == OPTIONS_GO_ON ? ask_about(&a, &(struct client_request){.method = "DELETE"}) : status;
}

int cmd_alias(int argc, char **argv)
{
    static const struct verb verbs[] = {{"set", run_set}, {"ls", run_ls}, {"rm", run_rm}, {0}};
    return verbs_run("alias", verbs, argc, argv);
}
