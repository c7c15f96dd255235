/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/log_lines.h"

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 1 << 20 };

/* "2026-11-21T09:00:00.123Z" as "2026-11-21 10:00:00.123" here; as it is when it is something else. */
static void print_time(FILE *to, const char *text, enum log_style style)
{
    struct tm tm = {0};
    const char *rest = style == LOG_LINES_LOCAL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!rest) {
        output_text(to, str_from(text), false);
        return;
    }
    time_t seconds = timegm(&tm);
    struct tm local;
    char out[64];
    strftime(out, sizeof(out), "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &local));
    fprintf(to, "%s%.*s", out, (int)strspn(rest, ".0123456789"), rest);
}

static void print_line(FILE *to, const struct json *line, enum log_style style)
{
    const char *time = json_get_text(line, "time");
    const char *request = json_get_text(line, "request");
    const char *message = json_get_text(line, "message");
    if (style != LOG_LINES_MESSAGE) {
        fputs(output_style(to, OUTPUT_DIM), to);
        print_time(to, time ? time : "-", style);
        fputc(' ', to);
        output_text(to, str_from(request && *request ? request : "-"), false);
        fputs(output_style(to, OUTPUT_PLAIN), to);
        fputc(' ', to);
    }
    output_text(to, str_from(message ? message : ""), false);
    fputc('\n', to);
}

static int take_line(struct str text, FILE *to, enum log_style style, struct err *e)
{
    struct json_doc *doc;
    if (str_trim(text).n == 0)
        return 0;
    int r = json_parse(text, JSON_STRICT, &doc, e);
    if (r < 0)
        return err_wrap(e, "read a log line");
    if (style == LOG_LINES_JSON)
        fprintf(to, "%.*s\n", (int)text.n, text.p);
    else
        print_line(to, json_root(doc), style);
    json_free(doc);
    return 0;
}

static int take_lines(struct buf *pending, FILE *to, enum log_style style, struct err *e)
{
    struct str rest = buf_str(pending);
    size_t used = 0;
    for (;;) {
        bool found;
        struct str line = str_cut(rest, '\n', &rest, &found);
        if (!found)
            break;
        used += line.n + 1;
        int r = take_line(line, to, style, e);
        if (r < 0)
            return r;
    }
    buf_drop_front(pending, used);
    return 0;
}

int log_lines_print(struct client *c, FILE *to, enum log_style style, struct err *e)
{
    struct buf pending;
    struct str piece;
    int r;
    buf_init(&pending, LINE_MAX_BYTES);
    while ((r = client_read(c, &piece, e)) == 0 && piece.n) {
        r = buf_add_str(&pending, piece);
        r = r < 0 ? err_set(e, -r, "read a log line") : take_lines(&pending, to, style, e);
        if (r == 0 && fflush(to) != 0)
            r = err_set(e, errno, "write the log");
        if (r < 0)
            break;
    }
    if (r == 0)
        r = take_line(buf_str(&pending), to, style, e);
    buf_fini(&pending);
    return r;
}

int log_lines_of_request(struct client *c, const char *function, const char *request_id, FILE *to, struct err *e)
{
    struct buf target;
    const struct http1_response *reply;
    buf_init(&target, 0);
    char rest[128];
    snprintf(rest, sizeof(rest), "/logs?request=%s", request_id);
    int r = client_path(&target, function, rest);
    const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
    r = r < 0 ? err_set(e, ENOMEM, "ask for the log") : client_send(c, &request, &reply, e);
    if (r == 0 && reply->status >= 400)
        r = err_say(e, EIO, "the daemon answered %u to the question for the log", reply->status);
    if (r == 0)
        r = log_lines_print(c, to, LOG_LINES_MESSAGE, e);
    buf_fini(&target);
    return r;
}
