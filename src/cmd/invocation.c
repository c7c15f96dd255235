/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd invocation ls|show|replay`; cancel and redrive are in cmd/calls.c. */
#include "cmd/cmd.h"

#include "cmd/calls.h"
#include "cmd/invoke.h"
#include "cmd/output.h"
#include "cmd/record_view.h"
#include "cmd/verbs.h"
#include "cmd/when.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- ls ---- */

struct ls {
    struct client_target target;
    const char *function;
    const char *status;
    uint64_t since_ms;
    uint64_t count;
    bool json, calls;
};

static int on_count(void *target, const char *text, struct err *e)
{
    if (!str_to_u64(str_from(text), target) || *(uint64_t *)target == 0)
        return err_say(e, EINVAL, "'%s' is no number of invocations", text);
    return 0;
}

static int add_parameter(struct buf *out, const char *key, const char *value)
{
    if (!value)
        return 0;
    int r = buf_addf(out, "&%s=", key);
    return r < 0 ? r : client_encode(out, value);
}

static int make_list_target(const struct ls *l, struct buf *out)
{
    int r = buf_addf(out, "/v1/invocations?limit=%lu", (unsigned long)(l->count ? l->count : 20));
    r = r < 0 ? r : add_parameter(out, "function", l->function);
    r = r < 0 ? r : add_parameter(out, "status", l->status);
    if (r == 0 && l->since_ms)
        r = buf_addf(out, "&since=%lu", (unsigned long)l->since_ms);
    return r < 0 ? r : buf_add(out, "", 1);
}

static void add_row(struct output_table *t, const struct json *r)
{
    static const char *const TIMES[] = {"queue_ms", "init_ms", "run_ms", "cpu_ms"};
    char text[RECORD_VIEW_TIME_MAX];
    const char *type = json_get_text(r, "type");
    output_table_add(t, str_from(json_get_text(r, "started")));
    output_table_add(t, str_from(json_get_text(r, "id")));
    output_table_add(t, str_from(json_get_text(r, "function")));
    output_table_add(t, str_from(json_get_text(r, "status")));
    output_table_add(t, str_from(json_get_text(r, "start") ? json_get_text(r, "start") : "-"));
    for (unsigned i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        record_view_time(json_get(r, TIMES[i]), text);
        output_table_add(t, str_from(text));
    }
    output_table_add(t, str_from(type ? type : ""));
}

static int print_list(struct str reply)
{
    static const struct output_column COLUMNS[] = {
        {.title = "STARTED"},
        {.title = "ID"},
        {.title = "FUNCTION"},
        {.title = "STATUS"},
        {.title = "START"},
        {.title = "QUEUE", .right = true},
        {.title = "INIT", .right = true},
        {.title = "RUN", .right = true},
        {.title = "CPU", .right = true},
        {.title = "REASON"},
    };
    struct json_doc *doc;
    struct output_table t;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd invocation ls: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    output_table_init(&t, COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
    const struct json *all = json_get(json_root(doc), "invocations");
    JSON_EACH(all, r)
    add_row(&t, r);
    if (json_count(all)) {
        output_table_print(&t, stdout);
    } else {
        buf_fini(&t.cells);
        fputs("no such invocations\n", stderr);
    }
    JSON_EACH(json_get(json_root(doc), "missing"), why)
    fprintf(stderr, "faasd invocation ls: not all is here: %s\n", json_text(why) ? json_text(why) : "");
    json_free(doc);
    return CMD_OK;
}

/* The daemon would say so too, but not with the exit status of a mistake in the command line. */
static int check_status(const char *list, bool async)
{
    static const char all[] = "queued, running, succeeded, failed, cancelled, expired, several with commas between, or "
                              "dead; with --async also all";
    static const char *const names[] = {"queued", "running", "succeeded", "failed", "cancelled", "expired"};
    if (!list || strcmp(list, "dead") == 0 || (async && strcmp(list, "all") == 0))
        return OPTIONS_GO_ON;
    struct str rest = str_from(list);
    do {
        struct str word = str_cut(rest, ',', &rest, NULL);
        bool known = false;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            known = known || str_is(word, names[i]);
        if (!known)
            return options_refuse("invocation", "ls: '%.*s' is no status: %s", (int)word.n, word.p, all);
    } while (rest.n);
    return OPTIONS_GO_ON;
}

static int run_ls(int argc, char **argv)
{
    struct ls l = {0};
    const struct option table[] = {
        {.name = "function", .kind = OPTION_TEXT, .target = &l.function},
        {.name = "status", .kind = OPTION_TEXT, .target = &l.status},
        {.name = "since", .kind = OPTION_CALL, .target = &l.since_ms, .on_value = when_read_since},
        {.name = "lines", .letter = 'n', .kind = OPTION_CALL, .target = &l.count, .on_value = on_count},
        {.name = "json", .kind = OPTION_BOOL, .target = &l.json},
        {.name = "async", .kind = OPTION_BOOL, .target = &l.calls},
        CLIENT_OPTIONS(&l.target),
        {0},
    };
    struct options o = {.command = "invocation", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = check_status(l.status, l.calls);
    if (status != OPTIONS_GO_ON)
        return status;
    if (l.calls || (l.status && (strchr(l.status, ',') || strcmp(l.status, "dead") == 0))) {
        const struct calls_ls question = {
            .target = &l.target, .function = l.function, .status = l.status, .count = l.count, .json = l.json};
        return l.since_ms ? options_refuse("invocation", "--since is not for --async: its pages begin with the newest")
                          : calls_ls(&question);
    }
    struct buf target, reply;
    buf_init(&target, 0);
    buf_init(&reply, 0);
    if (make_list_target(&l, &target) < 0) {
        fputs("faasd invocation ls: out of memory\n", stderr);
        return CMD_FAILED;
    }
    const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
    const struct client_call call = {.command = "invocation ls", .target = &l.target, .request = &request};
    status = client_call(&call, &reply);
    if (status == CMD_OK && l.json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = print_list(buf_str(&reply));
    buf_fini(&target);
    buf_fini(&reply);
    return output_finish("invocation ls", status);
}

/* ---- show ---- */

/* The options and the one ID of show and replay. OPTIONS_GO_ON, or the exit status. */
static int parse_id(int argc, char **argv, const struct option *table, const char **ret_id)
{
    struct options o = {.command = "invocation",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "the ID of an invocation"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    *ret_id = o.operands[0];
    return record_check_id("invocation", *ret_id) ? OPTIONS_GO_ON : CMD_USAGE;
}

static int print_record(struct str reply)
{
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd invocation show: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    record_view_print(json_root(doc), stdout);
    json_free(doc);
    return CMD_OK;
}

static int run_show(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    const char *id;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json}, CLIENT_OPTIONS(&target), {0}};
    int status = parse_id(argc, argv, table, &id);
    if (status != OPTIONS_GO_ON)
        return status;
    struct buf reply;
    buf_init(&reply, 0);
    status = record_fetch("invocation show", &target, id, &reply);
    if (status == CMD_OK && json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = print_record(buf_str(&reply));
    buf_fini(&reply);
    return output_finish("invocation show", status);
}

/* ---- replay ---- */

struct event_again {
    struct buf function, target, content_type, body; /* all but the body end with a NUL */
    char method[16];
};

static void event_again_free(struct event_again *a)
{
    buf_fini(&a->function);
    buf_fini(&a->target);
    buf_fini(&a->content_type);
    buf_fini(&a->body);
}

static int keep_function(const char *id, const struct client_target *target, struct event_again *a)
{
    struct buf reply;
    struct json_doc *doc;
    struct err e = {0};
    buf_init(&reply, 0);
    int status = record_fetch("invocation replay", target, id, &reply);
    if (status == CMD_OK && json_parse(buf_str(&reply), JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd invocation replay: the daemon's reply: %s\n", e.text);
        status = CMD_FAILED;
    } else if (status == CMD_OK) {
        const char *name = json_get_text(json_root(doc), "function");
        bool kept = name && buf_add(&a->function, name, strlen(name) + 1) == 0;
        json_free(doc);
        status = kept ? CMD_OK : CMD_FAILED;
    }
    buf_fini(&reply);
    return status;
}

static int keep_head(const struct http1_response *reply, struct event_again *a)
{
    const struct http1_field *method = http1_find_field(reply->fields, reply->field_count, "x-faasd-event-method");
    const struct http1_field *target = http1_find_field(reply->fields, reply->field_count, "x-faasd-event-target");
    const struct http1_field *type = http1_find_field(reply->fields, reply->field_count, "content-type");
    if (!method || !target || !type || !str_copy(method->value, a->method, sizeof(a->method)))
        return -EPROTO;
    int r = buf_addf(&a->target, "/function/%s%.*s", a->function.data, (int)target->value.n, target->value.p);
    return r < 0 ? r : buf_addf(&a->content_type, "Content-Type: %.*s\r\n", (int)type->value.n, type->value.p);
}

/* An exit status, or -errno with a message. */
static int keep_event(struct client *c, const char *id, struct event_again *a, struct err *e)
{
    const struct http1_response *reply;
    struct buf path;
    buf_init(&path, 0);
    int r = buf_addf(&path, "/v1/invocations/%s/event", id);
    const struct client_request request = {.method = "GET", .target = path.data, .body_fd = -1};
    r = r < 0 ? err_set(e, -r, "make the request") : client_send(c, &request, &reply, e);
    buf_fini(&path);
    if (r < 0)
        return r;
    if (reply->status >= 400)
        return client_refused("invocation replay", c, reply);
    r = keep_head(reply, a);
    return r < 0 ? err_set(e, -r, "read the event's head") : client_read_all(c, &a->body, e);
}

static int send_again(struct client *c, const struct event_again *a, struct err *e)
{
    const struct http1_response *reply;
    char id[INVOKE_ID_MAX];
    const struct client_request request = {.method = a->method,
                                           .target = a->target.data,
                                           .fields = buf_str(&a->content_type),
                                           .body = buf_str(&a->body),
                                           .body_fd = -1,
                                           .has_body = true};
    int r = client_send(c, &request, &reply, e);
    if (r < 0)
        return r;
    invoke_keep_id(reply, id);
    fprintf(stderr, "replayed as %s\n", id);
    if (invoke_failed_in_faasd(reply))
        return client_refused("invocation replay", c, reply);
    unsigned status = reply->status;
    r = invoke_copy_body(c, STDOUT_FILENO, e);
    return r < 0 ? r : status >= 400 ? CMD_FAILED : CMD_OK;
}

static int open_client(const struct client_target *target, struct client **ret_client)
{
    struct err e = {0};
    int status = CMD_FAILED;
    if (client_open(ret_client, target, &status, &e) == 0)
        return CMD_OK;
    fprintf(stderr, "faasd invocation replay: %s\n", e.text);
    return status;
}

static int replay(const char *id, const struct client_target *target, struct event_again *a)
{
    struct client *c = NULL;
    struct err e = {0};
    int status = keep_function(id, target, a);
    if (status == CMD_OK)
        status = open_client(target, &c);
    if (status != CMD_OK)
        return status;
    int r = keep_event(c, id, a, &e);
    client_close(c);
    c = NULL;
    if (r == CMD_OK)
        r = open_client(target, &c);
    if (r == CMD_OK)
        r = send_again(c, a, &e);
    client_close(c);
    if (r < 0)
        fprintf(stderr, "faasd invocation replay: %s\n", e.text);
    return r < 0 ? CMD_FAILED : r;
}

static int run_replay(int argc, char **argv)
{
    struct client_target target = {0};
    struct event_again again = {.method = ""};
    const char *id;
    const struct option table[] = {CLIENT_OPTIONS(&target), {0}};
    int status = parse_id(argc, argv, table, &id);
    if (status != OPTIONS_GO_ON)
        return status;
    status = replay(id, &target, &again);
    event_again_free(&again);
    return output_finish("invocation replay", status);
}

int cmd_invocation(int argc, char **argv)
{
    static const struct verb verbs[] = {{"ls", run_ls},           {"show", run_show},         {"replay", run_replay},
                                        {"cancel", calls_cancel}, {"redrive", calls_redrive}, {0}};
    return verbs_run("invocation", verbs, argc, argv);
}
