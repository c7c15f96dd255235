/* SPDX-License-Identifier: Apache-2.0 */
/* What a reply says to a person, and the calls that ask one question. */
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/log_lines.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "codec/json.h"
#include "codec/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 64 << 20 };

static void say_text(const char *text)
{
    output_text(stderr, str_from(text), true);
}

static void say_trace(const struct json *trace)
{
    JSON_EACH(trace, line)
    {
        struct str rest = str_from(json_text(line));
        bool more = true;
        while (rest.n && more) { /* Python's are several lines each, and end with a newline */
            struct str one = str_cut(rest, '\n', &rest, &more);
            fputs("\n    ", stderr);
            output_text(stderr, one, false);
        }
    }
}

/* Is all of it in the log that stands above? */
static bool is_shown(const struct log_shown *shown, const struct json *trace)
{
    bool all = shown != NULL;
    JSON_EACH(trace, line)
    {
        struct str rest = str_from(json_text(line));
        bool more = true;
        while (all && rest.n && more) {
            struct str one = str_cut(rest, '\n', &rest, &more);
            all = log_shown_has(shown, one);
        }
    }
    return all;
}

/* Does the message begin with the type, or have it behind what was tried? */
static bool names_type(const char *message, const char *type)
{
    const char *at = strstr(message, type);
    return at && strncmp(at + strlen(type), ": ", 2) == 0;
}

/* What to do depends on what was shown, which the daemon can't know: a token that was never sent, or one that is not good enough. */
static void say_how_to_be_let_in(void)
{
    const char *token = getenv("FAASD_TOKEN");
    const char *file = getenv("FAASD_TOKEN_FILE");
    bool has_token = (token && *token) || (file && *file);
    if (!has_token)
        fputs("  set FAASD_TOKEN or FAASD_TOKEN_FILE to a token; on the daemon's host `faasd token create` makes one\n",
              stderr);
    else
        fputs(
            "  the token in FAASD_TOKEN or FAASD_TOKEN_FILE is not taken; `faasd token ls` on the daemon's host lists "
            "those that are\n",
            stderr);
}

static int report(const char *command, const struct http1_response *reply, struct str body,
                  const struct log_shown *shown)
{
    struct str verdict_type, verdict;
    struct json_doc *doc = NULL;
    struct err ignored;
    if (json_parse(body, JSON_STRICT, &doc, &ignored) < 0)
        doc = NULL; /* not one of faasd's errors */
    const struct json *error = doc ? json_root(doc) : NULL;
    const char *message = json_get_text(error, "errorMessage");
    const char *type = json_get_text(error, "errorType");
    fprintf(stderr, "faasd %s: ", command);
    if (type && shown && log_shown_verdict(shown, &verdict_type, &verdict) && str_is(verdict_type, type)) {
        output_text(stderr, verdict, true);
        fprintf(stderr, " (%s)", type); /* one of faasd's own */
    } else if (type && message) {
        say_text(message);
        if (!names_type(message, type)) {
            fprintf(stderr, " (");
            say_text(type);
            fprintf(stderr, ")");
        }
    } else if (type) {
        say_text(type);
    } else {
        fprintf(stderr, "the daemon answered %u %s", reply->status, http1_reason((int)reply->status));
    }
    if (!is_shown(shown, json_get(error, "trace")))
        say_trace(json_get(error, "trace"));
    fputc('\n', stderr);
    if (reply->status == 401)
        say_how_to_be_let_in();
    json_free(doc);
    return client_exit_status(reply->status);
}

int client_report(const char *command, const struct http1_response *reply, struct str body)
{
    return report(command, reply, body, NULL);
}

int client_refused(const char *command, struct client *c, const struct http1_response *reply)
{
    return client_refused_below(command, c, reply, NULL);
}

int client_refused_below(const char *command, struct client *c, const struct http1_response *reply,
                         const struct log_shown *shown)
{
    struct buf body;
    struct err ignored;
    buf_init(&body, REPLY_MAX);
    client_read_all(c, &body, &ignored); /* the status alone says enough when the text breaks off */
    int status = report(command, reply, buf_str(&body), shown);
    buf_fini(&body);
    return status == CMD_OK ? CMD_FAILED : status;
}

bool client_check_name(const char *command, struct str name)
{
    if (settings_name_is_valid(name))
        return true;
    options_refuse(command, "'%.*s' is no name for a function: letters, digits, - and _, at most 64", (int)name.n,
                   name.p);
    return false;
}

int client_path(struct buf *out, const char *name, const char *rest)
{
    int r = buf_add_text(out, "/v1/functions/");
    r = r < 0 ? r : client_encode(out, name);
    r = r < 0 ? r : buf_add_text(out, rest);
    return r < 0 ? r : buf_add(out, "", 1);
}

static int ask(struct client *c, const struct client_call *call, struct buf *out, struct err *e)
{
    const struct http1_response *reply;
    int r = client_send(c, call->request, &reply, e);
    if (r < 0)
        return r;
    return reply->status >= 400 ? client_refused(call->command, c, reply) : client_read_all(c, out, e);
}

int client_call(const struct client_call *call, struct buf *out)
{
    struct client *c;
    struct err e = {0};
    int status = CMD_FAILED;
    int r = client_open(&c, call->target, &status, &e);
    if (r == 0) {
        r = ask(c, call, out, &e);
        client_close(c);
        if (r >= 0)
            return r;
        status = CMD_FAILED;
    }
    fprintf(stderr, "faasd %s: %s\n", call->command, e.text);
    return status;
}

int client_show(const struct client_call *call, bool json, void (*print)(const struct json *reply))
{
    struct buf reply;
    struct json_doc *doc = NULL;
    struct err e = {0};
    buf_init(&reply, 0);
    int status = client_call(call, &reply);
    if (status == CMD_OK && json) {
        fwrite(reply.data, 1, reply.len, stdout);
    } else if (status == CMD_OK && json_parse(buf_str(&reply), JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd %s: the daemon's reply: %s\n", call->command, e.text);
        status = CMD_FAILED;
    } else if (status == CMD_OK) {
        print(json_root(doc));
    }
    json_free(doc);
    buf_fini(&reply);
    return output_finish(call->command, status);
}

int client_parse_name(const char *command, const struct option *table, int argc, char **argv, const char **ret_name)
{
    struct options o = {.command = command,
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "a function's NAME"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    *ret_name = o.operands[0];
    return client_check_name(command, str_from(*ret_name)) ? OPTIONS_GO_ON : CMD_USAGE;
}
