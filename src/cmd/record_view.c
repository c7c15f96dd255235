/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/record_view.h"

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"

#include <string.h>

enum { RECORD_VIEW_KEY_MAX = 64 };

bool record_check_id(const char *command, const char *id)
{
    size_t n = strspn(id, "0123456789abcdef-");
    if (n == 36 && id[n] == '\0')
        return true;
    options_refuse(command, "'%s' is no invocation's id: it is what X-Request-Id and `faasd invocation ls` show", id);
    return false;
}

int record_fetch(const char *command, const struct client_target *target, const char *id, struct buf *out)
{
    struct buf path;
    buf_init(&path, 0);
    if (buf_addf(&path, "/v1/invocations/%s?steps=1", id) < 0) {
        fprintf(stderr, "faasd %s: out of memory\n", command);
        return CMD_FAILED;
    }
    const struct client_request request = {.method = "GET", .target = path.data, .body_fd = -1};
    const struct client_call call = {.command = command, .target = target, .request = &request};
    int status = client_call(&call, out);
    buf_fini(&path);
    return status;
}

void record_view_time(const struct json *ms, char out[RECORD_VIEW_TIME_MAX])
{
    double value;
    if (!json_to_double(ms, &value))
        snprintf(out, RECORD_VIEW_TIME_MAX, "-");
    else if (value >= 10000)
        snprintf(out, RECORD_VIEW_TIME_MAX, "%.1f s", value / 1000);
    else
        snprintf(out, RECORD_VIEW_TIME_MAX, "%.*f ms", value < 10 ? 3 : 1, value);
}

/* ---- every member ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void print_value(const struct json *v, const char *key, FILE *to)
{
    char text[(int)RECORD_VIEW_TIME_MAX + (int)OUTPUT_AGE_MAX];
    double number;
    uint64_t whole;
    bool truth;
    if (json_text(v)) {
        output_text(to, str_from(json_text(v)), false);
    } else if (ends_with(key, "_ms")) {
        record_view_time(v, text);
        fputs(text, to);
    } else if (ends_with(key, "_bytes") && json_to_u64(v, &whole)) {
        output_bytes(whole, text);
        fputs(text, to);
    } else if (json_to_u64(v, &whole)) {
        fprintf(to, "%lu", (unsigned long)whole);
    } else if (json_to_double(v, &number)) {
        fprintf(to, "%.9g", number);
    } else if (json_to_bool(v, &truth)) {
        fputs(truth ? "yes" : "no", to);
    } else {
        fputs("-", to);
    }
}

/* Python's entries have several lines. */
static void print_trace_entry(struct str entry, FILE *to)
{
    while (entry.n) {
        fputs("                    ", to);
        output_text(to, str_cut(entry, '\n', &entry, NULL), false);
        fputc('\n', to);
    }
}

void record_view_print(const struct json *record, FILE *to)
{
    JSON_EACH(record, v)
    {
        const char *key = json_key(v);
        if (json_is_object(v) || json_is_array(v))
            continue;
        fprintf(to, "%-20s", key);
        print_value(v, key, to);
        fputc('\n', to);
    }
    JSON_EACH(json_get(record, "call"), v)
    {
        char key[RECORD_VIEW_KEY_MAX];
        snprintf(key, sizeof(key), "call.%s", json_key(v));
        fprintf(to, "%-20s ", key);
        print_value(v, key, to);
        fputc('\n', to);
    }
    const struct json *error = json_get(record, "error");
    if (!error)
        return;
    fputs("error               ", to);
    output_text(to, str_from(json_get_text(error, "errorType")), false);
    fputs(": ", to);
    output_text(to, str_from(json_get_text(error, "errorMessage")), false);
    fputc('\n', to);
    JSON_EACH(json_get(error, "trace"), entry)
    {
        print_trace_entry(str_from(json_text(entry)), to);
    }
}

/* ---- why ---- */

/* What becomes of an asynchronous call whose attempt this was. */
static void print_call(const struct json *record, FILE *to)
{
    const struct json *call = json_get(record, "call");
    double seconds;
    uint64_t attempts = 0;
    if (!call)
        return;
    json_to_u64(json_get(call, "attempts"), &attempts);
    fprintf(to, "call    %s, attempts %lu", json_get_text(call, "status"), (unsigned long)attempts);
    if (json_to_double(json_get(call, "nextAttemptSeconds"), &seconds))
        fprintf(to, ", the next in %.1f s", seconds);
    /* An attempt that reached no function left no record: the one at hand is of an earlier attempt. */
    const char *last = json_get_text(call, "errorMessage");
    const char *told = json_get_text(json_get(record, "error"), "errorMessage");
    if (last && *last && told && strcmp(last, told) != 0) {
        fputs("; the last: ", to);
        output_text(to, str_from(last), false);
    }
    fputc('\n', to);
}

void record_view_why(const struct json *record, FILE *to)
{
    const struct json *why = json_get(record, "why");
    const struct json *error = json_get(record, "error");
    const char *type = json_get_text(record, "type");
    fputs("what    ", to);
    output_text(to, str_from(json_get_text(record, "function")), false);
    fputs(": ", to);
    output_text(to, str_from(type ? type : json_get_text(record, "status")), false);
    if (error) {
        fputs(": ", to);
        output_text(to, str_from(json_get_text(error, "errorMessage")), false);
    }
    fputs("\nwhy     ", to);
    output_text(to, str_from(json_get_text(why, "reason")), false);
    fputc('\n', to);
    print_call(record, to);
    const char *label = "change  ";
    JSON_EACH(json_get(why, "change"), line)
    {
        fputs(label, to);
        output_text(to, str_from(json_text(line)), false);
        fputc('\n', to);
        label = "        ";
    }
}

/* ---- where the time went ---- */

enum { BAR_WIDTH = 40, BAR_LABEL_MAX = 64 };

struct bar {
    const char *label;
    double from_ms, ms;
};

static void print_bar(const struct bar *b, double total_ms, FILE *to)
{
    double from = b->from_ms < 0 ? 0 : b->from_ms;
    double end = b->from_ms + b->ms;
    int start = total_ms > 0 ? (int)(from / total_ms * BAR_WIDTH) : 0;
    int stop = total_ms > 0 ? (int)(end / total_ms * BAR_WIDTH + 0.999) : 1;
    if (start > BAR_WIDTH - 1)
        start = BAR_WIDTH - 1;
    if (stop <= start)
        stop = start + 1;
    if (stop > BAR_WIDTH)
        stop = BAR_WIDTH;
    fprintf(to, "%-32s %9.3f ms  |", b->label, b->ms);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i >= start && i < stop ? '#' : ' ', to);
    fputs("|\n", to);
}

static double number(const struct json *record, const char *key)
{
    double value = 0;
    json_to_double(json_get(record, key), &value);
    return value;
}

/* The steps of its sandbox's start, those of the sandbox beside the supervisor's, which goes on meanwhile; `from_ms`: when that turned to it. Limits and the like
 * come one after another: they are one bar. */
static void print_steps(const struct json *steps, double from_ms, double total_ms, FILE *to)
{
    struct bar b = {0};
    char label[BAR_LABEL_MAX] = "", next[BAR_LABEL_MAX];
    b.label = label;
    JSON_EACH(steps, v)
    {
        const char *where = json_get_text(v, "where"), *step = json_get_text(v, "step");
        bool inside = where && strcmp(where, "sandbox") == 0;
        snprintf(next, sizeof(next), "    %s%s", inside ? "> " : "", step ? step : "?");
        if (*label && strcmp(label, next) != 0) {
            print_bar(&b, total_ms, to);
            *label = '\0';
        }
        if (!*label) {
            b.from_ms = from_ms + number(v, "at_ms");
            b.ms = 0;
            memcpy(label, next, sizeof(label));
        }
        b.ms += number(v, "ms");
    }
    if (*label)
        print_bar(&b, total_ms, to);
}

/* A start that the request waited for ends where its run begins; a part of it that was done before the request came is cut off at the left. */
void record_view_waterfall(const struct json *record, FILE *to)
{
    double queue = number(record, "queue_ms");
    double spawn = number(record, "spawn_ms");
    double init = number(record, "init_ms");
    double run = number(record, "run_ms");
    double total = queue + run;
    const char *start = json_get_text(record, "start");
    const struct bar bars[] = {
        {"queue", 0, queue},
        {"  sandbox", queue - init, spawn},
        {"  runtime and code", queue - init + spawn, init - spawn},
        {"run", queue, run},
    };
    fprintf(to, "%s  %s  %s\n", json_get_text(record, "id"), json_get_text(record, "status"), start ? start : "-");
    print_bar(&bars[0], total, to);
    if (init > 0 && spawn > 0)
        print_bar(&bars[1], total, to);
    print_steps(json_get(record, "steps"), queue - init, total, to);
    if (init > 0)
        print_bar(&bars[2], total, to);
    if (start)
        print_bar(&bars[3], total, to);
    if (json_get(record, "cpu_ms"))
        fprintf(to, "%-32s %9.3f ms\n", "processor time", number(record, "cpu_ms"));
    if (json_get_text(record, "trace_id"))
        fprintf(to, "%-32s %s\n", "trace", json_get_text(record, "trace_id"));
}
