/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/reply.h"

#include "base/clock.h"
#include "lambda/error.h"

#include <string.h>

enum { REPLY_KEPT = 65536 }; /* bytes that the buffer keeps for the next reply */

static struct buf body;
static struct json_writer writer;

struct json_writer *lambda_reply_begin(void)
{
    body.len = 0;
    json_writer_init(&writer, &body);
    json_put_object(&writer, NULL);
    return &writer;
}

void lambda_reply_json(struct exchange *x, int status)
{
    json_put_object_end(&writer);
    const struct reply r = {.status = status, .content_type = "application/json", .body = buf_str(&body)};
    if (json_writer_end(&writer) < 0)
        lambda_fail(x, LAMBDA_UNAVAILABLE, "out of memory");
    else
        exchange_reply(x, &r);
    if (body.cap > REPLY_KEPT)
        buf_fini(&body);
}

void lambda_reply_empty(struct exchange *x, int status)
{
    const struct reply r = {.status = status};
    exchange_reply(x, &r);
}

void lambda_put_time(struct json_writer *w, const char *key, uint64_t real_ms)
{
    char text[CLOCK_RFC3339_MAX + sizeof("+0000")];
    clock_format_rfc3339(real_ms, text);
    memcpy(text + strlen(text) - 1, "+0000", sizeof("+0000")); /* in place of the Z */
    json_put_text(w, key, text);
}
