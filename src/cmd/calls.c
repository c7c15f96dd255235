/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/calls.h"

#include "base/id.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One command line's. */
enum { IDS_MAX = 256 };

bool calls_check_id(const char *command, const char *id)
{
    uint8_t bytes[ID_UUID_BYTES];
    if (id_uuid_parse(str_from(id), bytes))
        return true;
    fprintf(stderr, "faasd %s: '", command);
    output_text(stderr, str_from(id), false);
    fputs("' is no call's id, such as 6e6178e2-c5d6-4f39-91a3-66d065d0a3c4\n", stderr);
    return false;
}

int calls_path(struct buf *out, const char *id, const char *rest)
{
    return buf_addf(out, "/v1/calls/%s%s", id, rest) < 0 ? -ENOMEM : buf_add(out, "", 1);
}

/* `verb` is the last part of the path too. */
struct order {
    const char *command; /* for messages: "invocation" */
    const char *verb;
    const struct client_target *target;
    bool json;
};

static int print_order(const struct buf *reply)
{
    struct json_doc *doc;
    struct err e;
    if (json_parse(buf_str(reply), JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd: the daemon's reply is no JSON: %s\n", e.text);
        return CMD_FAILED;
    }
    const struct json *root = json_root(doc);
    const char *id = json_get_text(root, "id"), *status = json_get_text(root, "status");
    bool cancelling = false;
    json_get_bool(root, "cancelling", &cancelling);
    printf("%s %s%s\n", id ? id : "", status ? status : "",
           cancelling ? ": it is cancelled unless this attempt succeeds" : "");
    json_free(doc);
    return CMD_OK;
}

static int send_order(const struct order *o, const char *id)
{
    struct buf path, reply;
    char rest[32];
    buf_init(&path, 0);
    buf_init(&reply, 0);
    snprintf(rest, sizeof(rest), "/%s", o->verb);
    int status = CMD_FAILED;
    if (calls_path(&path, id, rest) == 0) {
        const struct client_request request = {.method = "POST", .target = path.data, .body_fd = -1, .has_body = true};
        const struct client_call call = {.command = o->command, .target = o->target, .request = &request};
        status = client_call(&call, &reply);
    }
    if (status == CMD_OK && o->json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = print_order(&reply);
    buf_fini(&path);
    buf_fini(&reply);
    return status;
}

/* ---- all of a function ---- */

static int print_driven(const struct buf *reply)
{
    struct json_doc *doc;
    struct err e;
    uint64_t count = 0;
    bool full = false;
    if (json_parse(buf_str(reply), JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd: the daemon's reply is no JSON: %s\n", e.text);
        return CMD_FAILED;
    }
    json_to_u64(json_get(json_root(doc), "redriven"), &count);
    json_get_bool(json_root(doc), "full", &full);
    printf("%lu queued\n", (unsigned long)count);
    if (full)
        fputs("faasd invocation redrive: as many calls wait as async.calls and async.bytes allow: again later\n",
              stderr);
    json_free(doc);
    return full ? CMD_TRY_AGAIN : CMD_OK;
}

static int redrive_function(const struct order *o, const char *function, const char *status)
{
    struct buf path, reply;
    buf_init(&path, 0);
    buf_init(&reply, 0);
    int result = CMD_FAILED;
    int r = buf_addf(&path, "/v1/functions/");
    r = r < 0 ? r : client_encode(&path, function);
    r = r < 0 ? r : buf_addf(&path, "/redrive%s", status ? "?status=" : "");
    r = r < 0 || !status ? r : client_encode(&path, status);
    if (r == 0 && buf_add(&path, "", 1) == 0) {
        const struct client_request request = {.method = "POST", .target = path.data, .body_fd = -1, .has_body = true};
        const struct client_call call = {.command = "invocation redrive", .target = o->target, .request = &request};
        result = client_call(&call, &reply);
    }
    if (result == CMD_OK && o->json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (result == CMD_OK)
        result = print_driven(&reply);
    buf_fini(&path);
    buf_fini(&reply);
    return output_finish("invocation redrive", result);
}

/* ---- lists ---- */

enum { LS_DEFAULT = 20, LS_PAGE = 500 };

static int make_page_target(const struct calls_ls *l, uint64_t limit, const char *before, struct buf *out)
{
    int r = buf_addf(out, "/v1/calls?limit=%lu&status=", (unsigned long)(limit < LS_PAGE ? limit : LS_PAGE));
    r = r < 0 ? r : client_encode(out, l->status ? l->status : "all");
    if (r == 0 && l->function)
        r = buf_addf(out, "&function=");
    r = r < 0 || !l->function ? r : client_encode(out, l->function);
    if (r == 0 && *before)
        r = buf_addf(out, "&before=%s", before);
    return r < 0 ? r : buf_add(out, "", 1);
}

static void add_call(struct output_table *t, const struct json *c)
{
    static const char *const TEXTS[] = {"accepted", "id", "function", "status"};
    char text[32];
    uint64_t number = 0;
    const char *type = json_get_text(c, "errorType");
    for (unsigned i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
        output_table_add(t, str_from(json_get_text(c, TEXTS[i])));
    json_to_u64(json_get(c, "attempts"), &number);
    snprintf(text, sizeof(text), "%lu", (unsigned long)number);
    output_table_add(t, str_from(text));
    snprintf(text, sizeof(text), "-");
    if (json_to_u64(json_get(c, "statusCode"), &number))
        snprintf(text, sizeof(text), "%lu", (unsigned long)number);
    output_table_add(t, str_from(text));
    output_table_add(t, str_from(type ? type : ""));
}

/* One page into the table, or as it came. *ret_next: "" at the end. */
static int take_page(const struct calls_ls *l, struct str reply, struct output_table *t, uint64_t *count,
                     char ret_next[32])
{
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd invocation ls: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    const struct json *all = json_get(json_root(doc), "calls");
    const char *next = json_get_text(json_root(doc), "next");
    if (l->json)
        fwrite(reply.p, 1, reply.n, stdout);
    else
        JSON_EACH(all, c)
    add_call(t, c);
    *count += json_count(all);
    if (!next || !str_copy(str_from(next), ret_next, 32))
        ret_next[0] = '\0';
    json_free(doc);
    return CMD_OK;
}

static int fetch_page(const struct calls_ls *l, uint64_t limit, const char *before, struct buf *reply)
{
    struct buf target;
    int status = CMD_FAILED;
    buf_init(&target, 0);
    if (make_page_target(l, limit, before, &target) == 0) {
        const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
        const struct client_call call = {.command = "invocation ls", .target = l->target, .request = &request};
        status = client_call(&call, reply);
    }
    buf_fini(&target);
    return status;
}

int calls_ls(const struct calls_ls *l)
{
    static const struct output_column COLUMNS[] = {
        {.title = "ACCEPTED"},
        {.title = "ID"},
        {.title = "FUNCTION"},
        {.title = "STATUS"},
        {.title = "ATTEMPTS", .right = true},
        {.title = "HTTP", .right = true},
        {.title = "REASON"},
    };
    struct output_table t;
    char next[32] = "";
    uint64_t count = 0, wanted = l->count ? l->count : LS_DEFAULT;
    int status;
    output_table_init(&t, COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
    do {
        struct buf reply;
        buf_init(&reply, 0);
        status = fetch_page(l, wanted - count, next, &reply);
        if (status == CMD_OK)
            status = take_page(l, buf_str(&reply), &t, &count, next);
        buf_fini(&reply);
    } while (status == CMD_OK && *next && count < wanted);
    if (status == CMD_OK && !l->json && count)
        output_table_print(&t, stdout);
    else
        buf_fini(&t.cells);
    if (status == CMD_OK && !count)
        fputs("no such calls\n", stderr);
    return output_finish("invocation ls", status);
}

/* Each of the calls that `ids` names, until the daemon can't be reached. */
static int order_each(const struct order *order, char *const *ids, int n)
{
    if (n == 0)
        return options_refuse(order->command, "a call's ID is missing");
    for (int i = 0; i < n; i++)
        if (!calls_check_id(order->command, ids[i]))
            return CMD_USAGE;
    int status = CMD_OK;
    for (int i = 0; i < n; i++) {
        int one = send_order(order, ids[i]);
        if (one != CMD_OK)
            status = one;
        if (one == CMD_UNREACHABLE)
            break;
    }
    return output_finish(order->command, status);
}

int calls_cancel(int argc, char **argv)
{
    struct client_target target = {0};
    struct order order = {.command = "invocation", .verb = argv[0], .target = &target};
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &order.json},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {
        .command = order.command, .tables = {table}, .operands_max = IDS_MAX, .operands_text = "a call's ID"};
    int status = options_parse(&o, argc, argv);
    return status != OPTIONS_GO_ON ? status : order_each(&order, o.operands, o.operand_count);
}

int calls_redrive(int argc, char **argv)
{
    struct client_target target = {0};
    struct order order = {.command = "invocation", .verb = argv[0], .target = &target};
    const char *function = NULL, *which = NULL;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &order.json},
        {.name = "function", .kind = OPTION_TEXT, .target = &function},
        {.name = "status", .kind = OPTION_TEXT, .target = &which},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {
        .command = order.command, .tables = {table}, .operands_max = IDS_MAX, .operands_text = "a call's ID"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (which && !function)
        return options_refuse(order.command, "--status goes with --function");
    if (function && o.operand_count > 0)
        return options_refuse(order.command, "either IDs or --function");
    return function ? redrive_function(&order, function, which) : order_each(&order, o.operands, o.operand_count);
}
