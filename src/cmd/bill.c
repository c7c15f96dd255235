/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bill {
    struct client_target target;
    const char *month;
    const char *function;
    double price;         /* of a GB-second; < 0: none was given */
    double request_price; /* of a million requests */
    double free_gb_seconds;
    double free_requests;
    bool json;
};

static int on_amount(void *target, const char *text, struct err *e)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !isfinite(value) || value < 0)
        return err_say(e, EINVAL, "'%s' is no amount: write a number such as 0.00001667", text);
    *(double *)target = value;
    return 0;
}

static double number(const struct json *object, const char *key)
{
    double value = 0;
    json_to_double(json_get(object, key), &value);
    return value;
}

static void add_money(struct output_table *t, const struct bill *b, double gb_seconds, double requests)
{
    if (b->price >= 0)
        output_table_addf(t, "%.6f", gb_seconds * b->price + requests / 1e6 * b->request_price);
}

/* What min_warm keeps costs memory and no requests: on a line of its own, so that it can be seen for what it is. */
static void add_rows(struct output_table *t, const struct bill *b, const struct json *f)
{
    double idle = number(f, "idle_gb_seconds");
    output_table_add(t, str_from(json_get_text(f, "function")));
    output_table_addf(t, "%.0f", number(f, "requests"));
    output_table_addf(t, "%.3f", number(f, "gb_seconds"));
    add_money(t, b, number(f, "gb_seconds"), number(f, "requests"));
    if (idle <= 0)
        return;
    output_table_addf(t, "%s, idle (min_warm)", json_get_text(f, "function"));
    output_table_add(t, str_from("-"));
    output_table_addf(t, "%.3f", idle);
    add_money(t, b, idle, 0);
}

static double above(double value, double free)
{
    return value > free ? value - free : 0;
}

static void add_total(struct output_table *t, const struct bill *b, const struct json *total)
{
    double gb_seconds = number(total, "gb_seconds") + number(total, "idle_gb_seconds");
    double requests = number(total, "requests");
    bool has_free = b->free_gb_seconds > 0 || b->free_requests > 0;
    output_table_add(t, str_from("(all)"));
    output_table_addf(t, "%.0f", requests);
    output_table_addf(t, "%.3f", gb_seconds);
    add_money(t, b, gb_seconds, requests);
    if (!has_free)
        return;
    output_table_add(t, str_from("(all, above what is free)"));
    output_table_addf(t, "%.0f", above(requests, b->free_requests));
    output_table_addf(t, "%.3f", above(gb_seconds, b->free_gb_seconds));
    add_money(t, b, above(gb_seconds, b->free_gb_seconds), above(requests, b->free_requests));
}

static int print_bill(const struct bill *b, struct str reply)
{
    static const struct output_column COLUMNS[] = {
        {.title = "FUNCTION"},
        {.title = "REQUESTS", .right = true},
        {.title = "GB-SECONDS", .right = true},
        {.title = "PRICE", .right = true},
    };
    struct json_doc *doc;
    struct output_table t;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd bill: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    const struct json *root = json_root(doc);
    output_table_init(&t, COLUMNS, b->price >= 0 ? 4 : 3);
    JSON_EACH(json_get(root, "functions"), f)
    add_rows(&t, b, f);
    add_total(&t, b, json_get(root, "total"));
    printf("%s\n", json_get_text(root, "month"));
    output_table_print(&t, stdout);
    json_free(doc);
    return CMD_OK;
}

static int make_target(const struct bill *b, struct buf *out)
{
    int r = buf_add_text(out, "/v1/bill?");
    if (r == 0 && b->month)
        r = buf_add_text(out, "month=");
    if (r == 0 && b->month)
        r = client_encode(out, b->month);
    if (r == 0 && b->function)
        r = buf_add_text(out, "&function=");
    if (r == 0 && b->function)
        r = client_encode(out, b->function);
    return r < 0 ? r : buf_add(out, "", 1);
}

static int run(const struct bill *b)
{
    struct buf target, reply;
    buf_init(&target, 0);
    buf_init(&reply, 0);
    if (make_target(b, &target) < 0) {
        fputs("faasd bill: out of memory\n", stderr);
        return CMD_FAILED;
    }
    const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
    const struct client_call call = {.command = "bill", .target = &b->target, .request = &request};
    int status = client_call(&call, &reply);
    if (status == CMD_OK && b->json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = print_bill(b, buf_str(&reply));
    buf_fini(&target);
    buf_fini(&reply);
    return output_finish("bill", status);
}

int cmd_bill(int argc, char **argv)
{
    struct bill b = {.price = -1};
    const struct option table[] = {
        {.name = "month", .kind = OPTION_TEXT, .target = &b.month},
        {.name = "function", .kind = OPTION_TEXT, .target = &b.function},
        {.name = "price", .kind = OPTION_CALL, .target = &b.price, .on_value = on_amount},
        {.name = "request-price", .kind = OPTION_CALL, .target = &b.request_price, .on_value = on_amount},
        {.name = "free", .kind = OPTION_CALL, .target = &b.free_gb_seconds, .on_value = on_amount},
        {.name = "free-requests", .kind = OPTION_CALL, .target = &b.free_requests, .on_value = on_amount},
        {.name = "json", .kind = OPTION_BOOL, .target = &b.json},
        CLIENT_OPTIONS(&b.target),
        {0},
    };
    struct options o = {.command = "bill", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (b.price < 0 && b.request_price > 0)
        b.price = 0;
    return run(&b);
}
