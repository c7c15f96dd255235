/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/payload.h"

#include "base/clock.h"
#include "base/units.h"
#include "gateway/conn.h"
#include "gateway/payload_event.h"
#include "gateway/payload_reply.h"
#include "gateway/tokens.h"

#include <errno.h>
#include <stdio.h>

enum { ARN_MAX = 128 };

bool payload_is_http(const struct invocation *inv, const struct settings *s)
{
    const struct exchange *x = inv->exchange;
    bool wanted = x->url_id[0] || (s->payload == SETTINGS_PAYLOAD_HTTP && !x->face); /* Invoke's body is the event */
    if (!wanted)
        return false;
    return s->runtime != SETTINGS_RUNTIME_EXEC || s->contract != SETTINGS_CONTRACT_CGI;
}

bool payload_translates(const struct invocation *inv, const struct settings *s)
{
    return inv->exchange->reply_mode != EXCHANGE_REPLY_STREAMED && payload_is_http(inv, s);
}

static struct conn_table *table_of(const struct exchange *x)
{
    return ((const struct exchange_slot *)x)->table;
}

static int print(const struct invocation *inv, struct buf *out)
{
    const struct exchange *x = inv->exchange;
    const struct token *token = x->url_id[0] ? x->token : NULL;
    const char *account = x->gateway->config->lambda_account;
    char arn[ARN_MAX], access_key[TOKEN_ACCESS_KEY_MAX];
    struct payload_event_caller caller;
    struct payload_event e = {
        .request = x->request,
        .path = inv->path,
        .body = x->body,
        .host = x->host,
        .request_id = x->id,
        .source_ip = x->peer,
        .scheme = "http",
        .api_id = x->url_id[0] ? x->url_id : inv->function->name,
        .account = token ? account : "anonymous",
        .time_ms = clock_real_ms(),
    };
    if (token) {
        token_print_access_key(token, access_key);
        snprintf(arn, sizeof(arn), "arn:aws:iam::%s:user/%s", account, token->name[0] ? token->name : token->id);
        caller = (struct payload_event_caller){access_key, account, token->id, arn};
        e.caller = &caller;
    }
    return payload_event_print(&e, out);
}

static void refuse(struct invocation *inv, int error)
{
    uint64_t max = inv->exchange->gateway->config->request_bytes_max;
    char limit[UNITS_TEXT_MAX];
    units_format_size(max, limit);
    if (error == -E2BIG)
        invocation_fail(inv, INVOCATION_REFUSED, 400, "BadRequest", "the query has more than %d parameters",
                        PAYLOAD_EVENT_PARAMETERS_MAX);
    else if (error == -EMSGSIZE)
        invocation_fail(inv, INVOCATION_REFUSED, 413, "RequestTooLarge",
                        "the event made of this request (payload http: headers, and a binary body as base64) is over "
                        "the limit 'request_bytes' (%s)",
                        limit);
    else
        invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity", "no memory for the event ('body_memory')");
}

bool payload_admit(struct invocation *inv)
{
    if (inv->event.len)
        return true;
    buf_init(&inv->event, inv->exchange->gateway->config->request_bytes_max);
    int r = print(inv, &inv->event);
    if (r == 0 && !conn_table_charge(table_of(inv->exchange), inv->event.cap))
        r = -ENOMEM;
    if (r == 0)
        return true;
    buf_fini(&inv->event);
    refuse(inv, r);
    return false;
}

void payload_release(struct invocation *inv)
{
    if (!inv->event.cap)
        return;
    conn_table_refund(table_of(inv->exchange), inv->event.cap);
    buf_fini(&inv->event);
}

const char *payload_translate(const struct invocation_reply *r, uint64_t body_max, struct buf *body,
                              struct invocation_reply *ret_reply)
{
    static char fields[REPLY_FIELDS_MAX];
    buf_init(body, body_max);
    return payload_reply_build(r->body, fields, body, ret_reply);
}
