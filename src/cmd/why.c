/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"
#include "cmd/kernel_log.h"
#include "cmd/output.h"
#include "cmd/record_view.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The daemon's host is this one: it was found by its socket. */
static bool is_here(const struct client_target *target)
{
    const char *url = target->url ? target->url : getenv("FAASD_URL");
    return !url || !*url || strncmp(url, "unix:", 5) == 0;
}

/* Which call a SIGSYS was for stands in the kernel's log alone. */
static void print_killing_call(const struct json *record)
{
    char calls[512];
    uint64_t signal, since_ms, until_ms;
    const struct json *log = json_get(record, "log");
    if (!json_get_u64(json_get(record, "error"), "signal", &signal) || signal != SIGSYS ||
        !json_get_u64(log, "since", &since_ms) || !json_get_u64(log, "until", &until_ms))
        return;
    bool is_readable = kernel_log_print_kills(since_ms, until_ms, calls, sizeof(calls));
    if (calls[0])
        printf("call    %s, as the kernel's log has it\n", calls);
    else if (is_readable)
        printf("call    not in the kernel's log, which leaves some out while it is told many: invoke it again\n");
}

static int explain(const struct client_target *target, struct str reply)
{
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd why: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    const struct json *record = json_root(doc);
    const char *status = json_get_text(record, "status");
    int result = CMD_OK;
    if (json_get(record, "why")) {
        record_view_why(record, stdout);
        if (is_here(target))
            print_killing_call(record);
    } else {
        fprintf(stderr, "faasd why: it has not failed: it is %s\n", status ? status : "?");
        result = CMD_FAILED;
    }
    json_free(doc);
    return result;
}

int cmd_why(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json}, CLIENT_OPTIONS(&target), {0}};
    struct options o = {.command = "why",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "the ID of an invocation"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (!record_check_id("why", o.operands[0]))
        return CMD_USAGE;
    struct buf reply;
    buf_init(&reply, 0);
    status = record_fetch("why", &target, o.operands[0], &reply);
    if (status == CMD_OK && json)
        fwrite(reply.data, 1, reply.len, stdout);
    else if (status == CMD_OK)
        status = explain(&target, buf_str(&reply));
    buf_fini(&reply);
    return output_finish("why", status);
}
