/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd result`: what came of an asynchronous call. */
#include "cmd/calls.h"
#include "cmd/cmd.h"
#include "cmd/invoke.h"
#include "cmd/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How often --wait asks: soon at first, then once a second. */
enum { ASK_FIRST_MS = 20, ASK_LATER_MS = 1000, STATUS_MAX = 16 };

struct asking {
    const struct client_target *target;
    const char *path;
    const char *output;
    bool wait, json;
};

static void nap(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static void read_status(const struct http1_response *reply, char out[STATUS_MAX])
{
    const struct http1_field *f = http1_find_field(reply->fields, reply->field_count, "X-Call-Status");
    if (!f || !str_copy(f->value, out, STATUS_MAX))
        out[0] = '\0';
}

static bool has_not_ended(const char *status)
{
    return strcmp(status, "queued") == 0 || strcmp(status, "running") == 0;
}

static int exit_status(const char *status)
{
    if (has_not_ended(status))
        return CMD_TRY_AGAIN;
    return strcmp(status, "succeeded") == 0 ? CMD_OK : CMD_FAILED;
}

/* A failed call's reply tells of the function's failure, not of this command's: 503 within it is no "try again". */
static int show(const struct asking *a, struct client *c, const struct http1_response *reply, struct err *e)
{
    const struct invoke_output to = {.command = "result", .file = a->output};
    char status[STATUS_MAX];
    read_status(reply, status);
    if (!*status)
        return client_refused("result", c, reply);
    if (has_not_ended(status) && !a->json) {
        fprintf(stderr, "faasd result: the call has not ended: it is %s\n", status);
        return CMD_TRY_AGAIN;
    }
    if (invoke_failed_in_faasd(reply)) {
        client_refused("result", c, reply);
        return exit_status(status);
    }
    int r = invoke_deliver(c, reply, &to, e);
    return r < 0 ? r : exit_status(status);
}

/* An exit status, or -errno with a message. *ret_again: it has not ended, and that is waited for. */
static int ask_once(const struct asking *a, bool *ret_again, struct err *e)
{
    struct client *c;
    const struct http1_response *reply;
    const struct client_request request = {.method = "GET", .target = a->path, .body_fd = -1};
    char status[STATUS_MAX];
    int exit_now = CMD_FAILED;
    *ret_again = false;
    int r = client_open(&c, a->target, &exit_now, e);
    if (r < 0) {
        fprintf(stderr, "faasd result: %s\n", e->text);
        return exit_now;
    }
    r = client_send(c, &request, &reply, e);
    if (r == 0) {
        read_status(reply, status);
        *ret_again = a->wait && has_not_ended(status);
        r = *ret_again ? 0 : show(a, c, reply, e);
    }
    client_close(c);
    return r;
}

static int ask(const struct asking *a)
{
    struct err e = {0};
    unsigned pause = ASK_FIRST_MS;
    bool again;
    int r;
    while ((r = ask_once(a, &again, &e)) == 0 && again) {
        nap(pause);
        pause = 2 * pause < ASK_LATER_MS ? 2 * pause : ASK_LATER_MS;
    }
    if (r < 0 && e.code != EPIPE)
        fprintf(stderr, "faasd result: %s\n", e.text);
    return output_finish("result", r < 0 ? CMD_FAILED : r);
}

int cmd_result(int argc, char **argv)
{
    struct client_target target = {0};
    struct asking a = {.target = &target};
    const struct option table[] = {
        {.name = "wait", .kind = OPTION_BOOL, .target = &a.wait},
        {.name = "output", .letter = 'o', .kind = OPTION_TEXT, .target = &a.output},
        {.name = "json", .kind = OPTION_BOOL, .target = &a.json},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {
        .command = "result", .tables = {table}, .operands_min = 1, .operands_max = 1, .operands_text = "a call's ID"};
    struct buf path;
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (!calls_check_id("result", o.operands[0]))
        return CMD_USAGE;
    buf_init(&path, 0);
    status = CMD_FAILED;
    if (calls_path(&path, o.operands[0], a.json ? "" : "/result") == 0) {
        a.path = path.data;
        status = ask(&a);
    }
    buf_fini(&path);
    return status;
}
