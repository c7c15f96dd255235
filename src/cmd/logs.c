/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/log_lines.h"
#include "cmd/output.h"
#include "cmd/when.h"

#include <errno.h>

struct logs {
    struct client_target target;
    uint64_t since_ms;
    uint64_t until_ms;
    uint64_t lines;
    const char *id;
    bool follow;
    bool local;
    bool json;
};

static int on_lines(void *target, const char *text, struct err *e)
{
    if (!str_to_u64(str_from(text), target) || *(uint64_t *)target == 0 || *(uint64_t *)target > UINT32_MAX)
        return err_say(e, EINVAL, "'%s' is no number of lines", text);
    return 0;
}

static int make_target(const struct logs *l, const char *name, struct buf *out)
{
    int r = buf_add_text(out, "/v1/functions/");
    r = r < 0 ? r : client_encode(out, name);
    r = r < 0 ? r : buf_addf(out, "/logs?follow=%d", l->follow);
    if (r == 0 && l->since_ms)
        r = buf_addf(out, "&since=%lu", (unsigned long)l->since_ms);
    if (r == 0 && l->until_ms)
        r = buf_addf(out, "&until=%lu", (unsigned long)l->until_ms);
    if (r == 0 && l->lines)
        r = buf_addf(out, "&lines=%lu", (unsigned long)l->lines);
    if (r == 0 && l->id) {
        r = buf_add_text(out, "&request=");
        r = r < 0 ? r : client_encode(out, l->id);
    }
    return r < 0 ? r : buf_add(out, "", 1);
}

static int show(const struct logs *l, struct client *c, const char *name, struct err *e)
{
    struct buf target;
    const struct http1_response *reply;
    buf_init(&target, 0);
    int r = make_target(l, name, &target);
    const struct client_request request = {.method = "GET", .target = target.data, .body_fd = -1};
    r = r < 0 ? err_set(e, -r, "make the request") : client_send(c, &request, &reply, e);
    buf_fini(&target);
    if (r < 0)
        return r;
    if (reply->status >= 400)
        return client_refused("logs", c, reply);
    enum log_style style = l->json ? LOG_LINES_JSON : l->local ? LOG_LINES_LOCAL : LOG_LINES_FULL;
    return log_lines_print(c, stdout, style, e);
}

int cmd_logs(int argc, char **argv)
{
    struct logs l = {0};
    const struct option table[] = {
        {.name = "follow", .letter = 'f', .kind = OPTION_BOOL, .target = &l.follow},
        {.name = "lines", .letter = 'n', .kind = OPTION_CALL, .target = &l.lines, .on_value = on_lines},
        {.name = "id", .kind = OPTION_TEXT, .target = &l.id},
        {.name = "since", .kind = OPTION_CALL, .target = &l.since_ms, .on_value = when_read_since},
        {.name = "until", .kind = OPTION_CALL, .target = &l.until_ms, .on_value = when_read_since},
        {.name = "local", .kind = OPTION_BOOL, .target = &l.local},
        {.name = "json", .kind = OPTION_BOOL, .target = &l.json},
        CLIENT_OPTIONS(&l.target),
        {0},
    };
    const char *name;
    int status = client_parse_name("logs", table, argc, argv, &name);
    if (status != OPTIONS_GO_ON)
        return status;
    struct client *c;
    struct err e = {0};
    int r = client_open(&c, &l.target, &status, &e);
    if (r == 0) {
        r = show(&l, c, name, &e);
        client_close(c);
        status = r;
    }
    if (r < 0 && e.code != EPIPE) {
        fprintf(stderr, "faasd logs: %s\n", e.text);
        return status < 0 ? CMD_FAILED : status;
    }
    return output_finish("logs", r < 0 ? CMD_OK : status);
}
