/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/log_lines.h"

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 1 << 20, SHOWN_MAX_BYTES = 1 << 20 };

struct printer {
    FILE *to;
    enum log_style style;
    struct log_shown *shown; /* NULL: nobody asks */
};

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

/* ---- what was shown ---- */

void log_shown_init(struct log_shown *s)
{
    buf_init(&s->lines, SHOWN_MAX_BYTES);
    buf_init(&s->verdict, LINE_MAX_BYTES);
}

void log_shown_fini(struct log_shown *s)
{
    buf_fini(&s->lines);
    buf_fini(&s->verdict);
}

/* "OutOfMemory: ...", "Runtime.ExitError: ...": a type begins with a capital. */
static bool cut_verdict(struct str line, struct str *ret_type, struct str *ret_text)
{
    bool found;
    *ret_type = str_cut(line, ':', ret_text, &found);
    if (!found || !str_starts_with(*ret_text, " ") || !ret_type->n || ret_type->p[0] < 'A' || ret_type->p[0] > 'Z')
        return false;
    *ret_text = str_skip(*ret_text, 1);
    return !memchr(ret_type->p, ' ', ret_type->n);
}

bool log_shown_verdict(const struct log_shown *s, struct str *ret_type, struct str *ret_text)
{
    return cut_verdict(buf_str(&s->verdict), ret_type, ret_text);
}

bool log_shown_has(const struct log_shown *s, struct str line)
{
    return s->lines.len >= line.n && (!line.n || memmem(s->lines.data, s->lines.len, line.p, line.n));
}

/* True: it is the verdict, and kept instead of being printed. A line that belongs to no instance is faasd's own. */
static bool keep(struct log_shown *s, const struct json *line)
{
    struct str type, rest;
    uint64_t instance = 1;
    struct str message = str_from(json_get_text(line, "message"));
    json_get_u64(line, "instance", &instance);
    if (instance == 0 && !s->verdict.len && cut_verdict(message, &type, &rest) &&
        buf_add_str(&s->verdict, message) == 0)
        return true;
    if (buf_add_str(&s->lines, message) == 0) /* what has no room is only told again */
        (void)!buf_add_text(&s->lines, "\n");
    return false;
}

static int take_line(struct str text, const struct printer *p, struct err *e)
{
    struct json_doc *doc;
    if (str_trim(text).n == 0)
        return 0;
    int r = json_parse(text, JSON_STRICT, &doc, e);
    if (r < 0)
        return err_wrap(e, "read a log line");
    if (p->style == LOG_LINES_JSON)
        fprintf(p->to, "%.*s\n", (int)text.n, text.p);
    else if (!p->shown || !keep(p->shown, json_root(doc)))
        print_line(p->to, json_root(doc), p->style);
    json_free(doc);
    return 0;
}

static int take_lines(struct buf *pending, const struct printer *p, struct err *e)
{
    struct str rest = buf_str(pending);
    size_t used = 0;
    for (;;) {
        bool found;
        struct str line = str_cut(rest, '\n', &rest, &found);
        if (!found)
            break;
        used += line.n + 1;
        int r = take_line(line, p, e);
        if (r < 0)
            return r;
    }
    buf_drop_front(pending, used);
    return 0;
}

static int print_all(struct client *c, const struct printer *p, struct err *e)
{
    struct buf pending;
    struct str piece;
    int r;
    buf_init(&pending, LINE_MAX_BYTES);
    while ((r = client_read(c, &piece, e)) == 0 && piece.n) {
        r = buf_add_str(&pending, piece);
        r = r < 0 ? err_set(e, -r, "read a log line") : take_lines(&pending, p, e);
        if (r == 0 && fflush(p->to) != 0)
            r = err_set(e, errno, "write the log");
        if (r < 0)
            break;
    }
    if (r == 0)
        r = take_line(buf_str(&pending), p, e);
    buf_fini(&pending);
    return r;
}

int log_lines_print(struct client *c, FILE *to, enum log_style style, struct err *e)
{
    return print_all(c, &(struct printer){.to = to, .style = style}, e);
}

int log_lines_of_request(struct client *c, const struct log_request *ask, struct err *e)
{
    struct buf target;
    const struct http1_response *reply;
    buf_init(&target, 0);
    char rest[128];
    snprintf(rest, sizeof(rest), "/logs?request=%s", ask->id);
    int r = client_path(&target, ask->function, rest);
    const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
    r = r < 0 ? err_set(e, ENOMEM, "ask for the log") : client_send(c, &request, &reply, e);
    if (r == 0 && reply->status >= 400)
        r = err_say(e, EIO, "the daemon answered %u to the question for the log", reply->status);
    if (r == 0)
        r = print_all(c, &(struct printer){.to = stderr, .style = LOG_LINES_MESSAGE, .shown = ask->shown}, e);
    buf_fini(&target);
    return r;
}
