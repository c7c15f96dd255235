/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/changes.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

static void print_move(const struct json *root, bool dry_run)
{
    uint64_t from = 0;
    uint64_t to = 0;
    json_get_u64(root, "from", &from);
    json_get_u64(root, "number", &to);
    output_text(stdout, str_from(json_get_text(root, "name")), false);
    if (from == to) {
        printf(": version %lu is the current one already\n", (unsigned long)to);
        return;
    }
    printf(dry_run ? ": would go from version %lu to %lu\n" : ": version %lu -> %lu\n", (unsigned long)from,
           (unsigned long)to);
    changes_print_details(root, CHANGES_ALL);
}

enum how { PEOPLE, PEOPLE_DRY_RUN, JSON };

static int roll_back(const struct client_call *call, enum how how)
{
    struct buf reply;
    struct json_doc *doc = NULL;
    struct err e = {0};
    buf_init(&reply, 0);
    int status = client_call(call, &reply);
    if (status == CMD_OK && how == JSON) {
        fwrite(reply.data, 1, reply.len, stdout);
    } else if (status == CMD_OK && json_parse(buf_str(&reply), JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd rollback: the daemon's reply: %s\n", e.text);
        status = CMD_FAILED;
    } else if (status == CMD_OK) {
        print_move(json_root(doc), how == PEOPLE_DRY_RUN);
    }
    json_free(doc);
    buf_fini(&reply);
    return output_finish("rollback", status);
}

/* {"version": N}, or nothing. False: `text` is no number. */
static bool print_body(const char *text, struct buf *out)
{
    uint64_t number;
    if (!text)
        return true;
    if (!str_to_u64(str_from(text), &number) || number == 0) {
        options_refuse("rollback", "'%s' is no version: a number, as `faasd versions NAME` prints them", text);
        return false;
    }
    return buf_addf(out, "{\"version\":%lu}", (unsigned long)number) == 0;
}

int cmd_rollback(int argc, char **argv)
{
    struct client_target target = {0};
    bool json = false;
    bool dry_run = false;
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &json},
        {.name = "dry-run", .kind = OPTION_BOOL, .target = &dry_run},
        CLIENT_OPTIONS(&target),
        {0},
    };
    struct options o = {.command = "rollback",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = 2,
                        .operands_text = "a function's NAME, and perhaps a VERSION"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    struct buf path, body;
    buf_init(&path, 0);
    buf_init(&body, 0);
    status = CMD_USAGE;
    if (client_check_name("rollback", str_from(o.operands[0])) && print_body(o.operands[1], &body) &&
        client_path(&path, o.operands[0], dry_run ? "/rollback?dry_run=1" : "/rollback") == 0) {
        const struct client_request request = {
            .method = "POST", .target = path.data, .body = buf_str(&body), .body_fd = -1, .has_body = true};
        const struct client_call call = {.command = "rollback", .target = &target, .request = &request};
        status = roll_back(&call, json ? JSON : dry_run ? PEOPLE_DRY_RUN : PEOPLE);
    }
    buf_fini(&path);
    buf_fini(&body);
    return status;
}
