/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/invoke.h"

#include "base/fdio.h"
#include "cmd/cmd.h"
#include "cmd/log_lines.h"
#include "cmd/output.h"
#include "cmd/record_view.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 16 << 20 }; /* of a reply that a terminal is to show: it is looked through first */

static int on_header(void *target, const char *text, struct err *e)
{
    struct buf *fields = target;
    bool found;
    struct str value;
    struct str name = str_cut(str_from(text), ':', &value, &found);
    value = str_trim(value);
    if (!found || !http1_field_is_valid(name, value))
        return err_say(e, EINVAL, "'%s' is no header: write 'Name: value'", text);
    if (http1_field_is_framing(name) || str_is_nocase(name, "Host"))
        return err_say(e, EINVAL, "'%.*s' is the connection's own", (int)name.n, name.p);
    if (buf_addf(fields, "%.*s: %.*s\r\n", (int)name.n, name.p, (int)value.n, value.p) < 0)
        return err_set(e, ENOMEM, "keep a header");
    return 0;
}

static int make_path(struct buf *out, const struct invoke *in)
{
    const char *name = in->name, *qualifier = in->qualifier;
    struct str rest;
    char plain[128];
    struct str function = str_cut(str_from(name), ':', &rest, NULL);
    if (!str_copy(function, plain, sizeof(plain)))
        return -ENAMETOOLONG;
    int r = buf_add_text(out, in->async ? "/async-function/" : "/function/");
    r = r < 0 ? r : client_encode(out, plain);
    if (r == 0 && (qualifier || rest.n)) {
        r = buf_add(out, ":", 1);
        r = r < 0 ? r : client_encode(out, qualifier ? qualifier : rest.p);
    }
    return r < 0 ? r : buf_add(out, "", 1);
}

/* The id is ours to use after the reply's memory is gone. */
void invoke_keep_id(const struct http1_response *reply, char id[INVOKE_ID_MAX])
{
    const struct http1_field *f = http1_find_field(reply->fields, reply->field_count, "X-Request-Id");
    id[0] = '\0';
    if (f && str_copy(f->value, id, INVOKE_ID_MAX))
        for (const char *p = id; *p; p++)
            if (*p != '-' && !(*p >= '0' && *p <= '9') && !(*p >= 'a' && *p <= 'z')) {
                id[0] = '\0'; /* no id of faasd's: it would not pass as part of a path */
                return;
            }
}

int invoke_send(struct client *c, const struct invoke *in, const struct http1_response **ret_reply, struct err *e)
{
    struct buf path;
    buf_init(&path, 0);
    int r = make_path(&path, in);
    const struct client_request request = {
        .method = "POST",
        .target = path.data,
        .fields = in->fields,
        .body = in->event.text,
        .body_fd = in->event.fd,
        .has_body = true,
    };
    r = r < 0 ? err_set(e, -r, "make the request") : client_send(c, &request, ret_reply, e);
    buf_fini(&path);
    return r;
}

bool invoke_failed_in_faasd(const struct http1_response *reply)
{
    return reply->status >= 400 && http1_find_field(reply->fields, reply->field_count, "X-Faasd-Error");
}

/* A terminal gets text only: anything that output_escape() would change could be a control sequence. */
static int show_on_terminal(struct client *c, const struct http1_response *reply, const char *command, struct err *e)
{
    struct buf body;
    struct buf safe;
    buf_init(&body, SHOWN_MAX);
    buf_init(&safe, 0);
    int r = client_read_all(c, &body, e);
    if (r == 0 && output_escape(&safe, buf_str(&body), true) < 0)
        r = err_set(e, ENOMEM, "look through the reply");
    if (r == 0 && safe.len == body.len) {
        if (body.len)
            fwrite(body.data, 1, body.len, stdout);
        if (body.len && body.data[body.len - 1] != '\n')
            fputc('\n', stdout); /* what follows, a trace or the prompt, has a line of its own and comes behind */
        fflush(stdout);
    } else if (r == 0) {
        const struct http1_field *type = http1_find_field(reply->fields, reply->field_count, "Content-Type");
        char size[OUTPUT_AGE_MAX];
        output_bytes(body.len, size);
        fprintf(stderr, "faasd %s: the reply (%s of ", command, size);
        output_text(stderr, type ? type->value : str_from("no type"), false);
        fputs(") is not plain text; use -o FILE or a pipe\n", stderr);
    }
    buf_fini(&body);
    buf_fini(&safe);
    return r;
}

int invoke_copy_body(struct client *c, int fd, struct err *e)
{
    struct str piece;
    int r;
    while ((r = client_read(c, &piece, e)) == 0 && piece.n) {
        r = fd_write_full(fd, piece.p, piece.n);
        if (r < 0)
            return err_set(e, -r, "write the reply");
    }
    return r;
}

int invoke_deliver(struct client *c, const struct http1_response *reply, const struct invoke_output *to, struct err *e)
{
    const char *output = to->file;
    if (!output)
        return isatty(STDOUT_FILENO) ? show_on_terminal(c, reply, to->command, e)
                                     : invoke_copy_body(c, STDOUT_FILENO, e);
    scoped_fd fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", output);
    int r = invoke_copy_body(c, fd, e);
    int out = fd_take(&fd);
    if (close(out) < 0 && r == 0)
        r = err_set(e, errno, "write '%s'", output);
    return r;
}

/* What came of it: an exit status, or -errno with a message. */
static int invoke_once(struct client *c, const struct invoke *in, const char *output, char id[INVOKE_ID_MAX],
                       struct err *e)
{
    const struct http1_response *reply;
    int r = invoke_send(c, in, &reply, e);
    if (r < 0)
        return r;
    invoke_keep_id(reply, id);
    if (invoke_failed_in_faasd(reply)) {
        bool ran = reply->status >= 500;
        r = client_refused("invoke", c, reply);
        if (*id && ran && r == CMD_FAILED)
            fprintf(stderr, "its output: faasd logs %s --id %s\nwhy: faasd why %s\n", in->name, id, id);
        return r;
    }
    unsigned status = reply->status;
    const struct invoke_output to = {.command = "invoke", .file = output};
    r = invoke_deliver(c, reply, &to, e);
    if (r == 0 && status >= 400) {
        fprintf(stderr, "faasd invoke: the function answered %u %s\n", status, http1_reason((int)status));
        r = CMD_FAILED;
    }
    return r;
}

static int show_logs(const struct client_target *target, const char *name, const char *id, struct err *e)
{
    struct client *c;
    int ignored;
    char plain[128];
    struct str rest;
    if (!*id || !str_copy(str_cut(str_from(name), ':', &rest, NULL), plain, sizeof(plain)))
        return 0;
    int r = client_open(&c, target, &ignored, e);
    if (r < 0)
        return r;
    r = log_lines_of_request(c, &(struct log_request){.function = plain, .id = id}, e);
    client_close(c);
    return r;
}

/* What is told about it afterwards. */
struct aftermath {
    bool logs, trace;
};

/* Where the time went, on stderr: the reply is the function's. */
static void show_trace(const struct client_target *target, const char *id)
{
    struct buf reply;
    struct json_doc *doc;
    struct err e = {0};
    buf_init(&reply, 0);
    if (*id && record_fetch("invoke", target, id, &reply) == CMD_OK) {
        if (json_parse(buf_str(&reply), JSON_STRICT, &doc, &e) == 0) {
            record_view_waterfall(json_root(doc), stderr);
            json_free(doc);
        } else {
            fprintf(stderr, "faasd invoke: the daemon's reply: %s\n", e.text);
        }
    }
    buf_fini(&reply);
}

static int run_invoke(const struct client_target *target, const struct invoke *in, const char *output,
                      const struct aftermath *after)
{
    struct client *c;
    struct err e = {0};
    char id[INVOKE_ID_MAX] = "";
    int status = CMD_FAILED;
    int r = client_open(&c, target, &status, &e);
    if (r == 0) {
        r = invoke_once(c, in, output, id, &e);
        client_close(c);
        status = r < 0 ? CMD_FAILED : r;
    }
    if (r < 0 && e.code != EPIPE)
        fprintf(stderr, "faasd invoke: %s\n", e.text);
    if (r < 0 && e.code == ECONNRESET && *id) /* a stream that was cut: its status said nothing yet */
        fprintf(stderr, "why: faasd why %s\n", id);
    if (r >= 0 && after->trace)
        show_trace(target, id);
    if (r >= 0 && after->logs && show_logs(target, in->name, id, &e) < 0)
        fprintf(stderr, "faasd invoke: %s\n", e.text);
    return output_finish("invoke", status);
}

static int queue_once(struct client *c, const struct invoke *in, bool json, struct err *e)
{
    const struct http1_response *reply;
    int r = invoke_send(c, in, &reply, e);
    if (r < 0)
        return r;
    if (reply->status != 202)
        return client_refused("invoke", c, reply);
    const struct http1_field *id = http1_find_field(reply->fields, reply->field_count, "X-Call-Id");
    if (json)
        return invoke_copy_body(c, STDOUT_FILENO, e);
    output_text(stdout, id ? id->value : (struct str){0}, false);
    putchar('\n');
    return CMD_OK;
}

static int run_async(const struct client_target *target, const struct invoke *in, bool json)
{
    struct client *c;
    struct err e = {0};
    int status = CMD_FAILED;
    int r = client_open(&c, target, &status, &e);
    if (r == 0) {
        r = queue_once(c, in, json, &e);
        client_close(c);
        status = r < 0 ? CMD_FAILED : r;
    }
    if (r < 0 && e.code != EPIPE)
        fprintf(stderr, "faasd invoke: %s\n", e.text);
    return output_finish("invoke", status);
}

int cmd_invoke(int argc, char **argv)
{
    struct client_target target = {0};
    struct invoke in = {.event = {.fd = -1}};
    struct buf fields;
    const char *data = NULL;
    const char *output = NULL;
    struct aftermath after = {0};
    bool json = false;
    struct err e = {0};
    const struct option table[] = {
        {.name = "data", .letter = 'd', .kind = OPTION_TEXT, .target = &data},
        {.name = "header", .letter = 'H', .kind = OPTION_CALL, .target = &fields, .on_value = on_header},
        {.name = "output", .letter = 'o', .kind = OPTION_TEXT, .target = &output},
        {.name = "qualifier", .kind = OPTION_TEXT, .target = &in.qualifier},
        {.name = "logs", .kind = OPTION_BOOL, .target = &after.logs},
        {.name = "async", .kind = OPTION_BOOL, .target = &in.async},
        {.name = "json", .kind = OPTION_BOOL, .target = &json},
        {.name = "trace", .kind = OPTION_BOOL, .target = &after.trace},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {.command = "invoke",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "a function's NAME"};
    buf_init(&fields, 0);
    int status = options_parse(&o, argc, argv);
    struct str version;
    if (status == OPTIONS_GO_ON && !client_check_name("invoke", str_cut(str_from(o.operands[0]), ':', &version, NULL)))
        status = CMD_USAGE;
    if (status == OPTIONS_GO_ON && in.async && (after.logs || after.trace || output))
        status =
            options_refuse("invoke", "--logs, --trace and --output need the reply, which --async does not wait for");
    if (status == OPTIONS_GO_ON && json && !in.async)
        status = options_refuse("invoke", "--json is for --async: a reply is printed as it comes");
    if (status == OPTIONS_GO_ON && event_open(&in.event, data, "{}", &e) < 0) {
        fprintf(stderr, "faasd invoke: %s\n", e.text);
        status = CMD_USAGE;
    }
    if (status == OPTIONS_GO_ON) {
        in.name = o.operands[0];
        in.fields = buf_str(&fields);
        status = in.async ? run_async(&target, &in, json) : run_invoke(&target, &in, output, &after);
    }
    event_close(&in.event);
    buf_fini(&fields);
    return status;
}
