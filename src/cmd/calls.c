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

int calls_order_all(int argc, char **argv)
{
    const char *verb = argv[0];
    struct client_target target = {0};
    static const char command[] = "invocation";
    struct order order = {.command = command, .verb = verb, .target = &target};
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &order.json},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {.command = command,
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = IDS_MAX,
                        .operands_text = "a call's ID"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    for (int i = 0; i < o.operand_count; i++)
        if (!calls_check_id(command, o.operands[i]))
            return CMD_USAGE;
    status = CMD_OK;
    for (int i = 0; i < o.operand_count; i++) {
        int one = send_order(&order, o.operands[i]);
        if (one != CMD_OK)
            status = one;
        if (one == CMD_UNREACHABLE)
            break;
    }
    return output_finish(command, status);
}
