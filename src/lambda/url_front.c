/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/url_front.h"

#include "codec/json.h"
#include "gateway/credential.h"
#include "gateway/registry.h"
#include "gateway/reply_stream.h"
#include "gateway/tokens.h"
#include "gateway/trace.h"
#include "lambda/policy.h"
#include "lambda/url.h"
#include "lambda/url_cors.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FIELDS_MAX = 65536 + 2 * URL_CORS_FIELDS_MAX + TRACE_LINES_MAX };

static const char PREFIX[] = "/url/";

/* ---- which URL ---- */

/* "ID.DOMAIN[:PORT]": the id, or empty. */
static struct str id_of_host(const struct exchange *x)
{
    const char *domain = x->gateway->config->url_domain;
    size_t n = strlen(domain);
    struct str host = x->host;
    if (!n || host.n < URL_ID_BYTES + 1 + n || host.p[URL_ID_BYTES] != '.' ||
        strncasecmp(host.p + URL_ID_BYTES + 1, domain, n) != 0)
        return (struct str){0};
    struct str rest = str_skip(host, URL_ID_BYTES + 1 + n);
    return rest.n == 0 || *rest.p == ':' ? (struct str){host.p, URL_ID_BYTES} : (struct str){0};
}

struct target {
    struct str id;
    struct str path; /* what the function is told */
};

static struct target find_target(const struct exchange *x)
{
    struct target t = {.id = id_of_host(x), .path = x->request->path};
    if (t.id.n)
        return t;
    t.path = (struct str){0};
    t.id = str_skip(x->request->path, sizeof(PREFIX) - 1);
    for (size_t i = 0; i < t.id.n; i++) {
        if (t.id.p[i] != '/')
            continue;
        t.path = str_skip(t.id, i);
        t.id.n = i;
    }
    return t;
}

bool url_front_claims_path(const struct http1_request *q)
{
    return str_starts_with(q->path, PREFIX);
}

bool url_front_claims_host(const struct exchange *x)
{
    return id_of_host(x).n > 0;
}

/* ---- answers ---- */

/* Header lines of the URL's CORS, for whatever is answered. */
static size_t add_cors(const struct exchange *x, char *out)
{
    const struct url *u = x->url_id[0] ? url_find_id(str_from(x->url_id)) : NULL;
    return u && u->cors_text ? url_cors_print(&u->cors, x->request, out) : 0;
}

struct answer {
    int status;
    const char *type; /* x-amzn-ErrorType */
    struct str message;
    bool null_message;
    const char *fields;
};

static void send(struct exchange *x, const struct answer *a)
{
    static char fields[FIELDS_MAX];
    static struct buf body;
    struct json_writer w;
    int n = snprintf(fields, 512, "x-amzn-ErrorType: %s\r\n%s", a->type, a->fields ? a->fields : "");
    size_t len = (size_t)n + add_cors(x, fields + n);
    body.len = 0;
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    if (a->null_message)
        json_put_null(&w, "Message");
    else
        json_put_str(&w, "Message", a->message);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0)
        body.len = 0; /* out of memory: status and type still say it */
    const struct reply r = {.status = a->status,
                            .content_type = "application/json",
                            .fields = {fields, len},
                            .body = buf_str(&body),
                            .error_type = a->type,
                            .error_message = a->message};
    exchange_reply(x, &r);
}

/* Nobody learns which ids there are. */
static void refuse_unknown(struct exchange *x)
{
    send(x, &(struct answer){.status = 403, .type = "AccessDeniedException", .null_message = true});
}

static void forbid(struct exchange *x)
{
    send(x, &(struct answer){.status = 403, .type = "AccessDeniedException", .message = STR_LITERAL("Forbidden")});
}

/* What went wrong inside is the function owner's business: the record and the function's log tell it. */
static void fail_internally(struct exchange *x, const char *type)
{
    static char fields[FIELDS_MAX];
    const struct reply r = {.status = 502,
                            .content_type = "text/plain",
                            .fields = {fields, add_cors(x, fields)},
                            .body = STR_LITERAL("Internal Server Error"),
                            .error_type = type};
    exchange_reply(x, &r);
}

static void answer_error(struct exchange *x, const struct face_error *e)
{
    if (e->status == 401 || e->status == 403)
        forbid(x);
    else if (e->status == 429)
        send(x, &(struct answer){.status = 429,
                                 .type = "TooManyRequestsException",
                                 .message = STR_LITERAL("Rate Exceeded."),
                                 .fields = "Retry-After: 1\r\n"});
    else if (e->status < 500)
        send(x, &(struct answer){.status = e->status,
                                 .type = e->status == 413 ? "RequestEntityTooLargeException" : "BadRequestException",
                                 .message = e->message});
    else if (e->status == 503)
        send(x, &(struct answer){.status = 503,
                                 .type = "ServiceUnavailableException",
                                 .message = STR_LITERAL("Service Unavailable"),
                                 .fields = "Retry-After: 1\r\n"});
    else
        fail_internally(x, e->type);
}

/* The function's own lines but those that the URL's configuration of CORS overrides. */
static size_t copy_fields(struct str lines, bool has_cors, char *out)
{
    static const char prefix[] = "access-control-";
    size_t n = 0;
    while (lines.n) {
        struct str line = str_cut(lines, '\n', &lines, NULL);
        bool dropped = has_cors && line.n >= sizeof(prefix) - 1 && strncasecmp(line.p, prefix, sizeof(prefix) - 1) == 0;
        if (dropped)
            continue;
        memcpy(out + n, line.p, line.n);
        out[n + line.n] = '\n';
        n += line.n + 1;
    }
    return n;
}

/* The function's lines, those of the URL and of the trace: borrowed until the next call. */
static struct str merge_fields(const struct invocation *inv, struct str lines)
{
    const struct exchange *x = inv->exchange;
    static char fields[FIELDS_MAX];
    static char cors[URL_CORS_FIELDS_MAX];
    size_t cors_n = add_cors(x, cors);
    size_t n = copy_fields(lines, cors_n > 0, fields);
    memcpy(fields + n, cors, cors_n);
    char *end = trace_put_lines(inv, fields + n + cors_n);
    return (struct str){fields, (size_t)(end - fields)};
}

/* InvokeMode RESPONSE_STREAM. */
static void begin_stream(struct invocation *inv, const struct invocation_reply *h)
{
    struct exchange *x = inv->exchange;
    const struct reply head = {
        .status = h->status, .content_type = h->content_type, .fields = merge_fields(inv, h->fields)};
    exchange_stream_reply(x, &head);
}

static void write_stream(struct exchange *x, struct str piece)
{
    exchange_stream_write(x, piece); /* a client that has gone is no fault of the function's */
}

static void end_stream(struct exchange *x, const struct invocation_end *e)
{
    if (e->failure)
        exchange_stream_cut(x, e->failure->type);
    else
        exchange_stream_end(x);
}

static void answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    struct exchange *x = inv->exchange;
    if (inv->stream && inv->stream->passes) {
        end_stream(x, e);
        return;
    }
    if (e->failure) {
        const struct face_error own = {
            .status = e->failure->status, .type = e->failure->type, .message = e->failure->message};
        bool refused = e->outcome == INVOCATION_REFUSED || e->outcome == INVOCATION_THROTTLED;
        if (refused)
            answer_error(x, &own);
        else
            fail_internally(x, own.type);
        return;
    }
    const struct reply reply = {
        .status = r->status, .content_type = r->content_type, .fields = merge_fields(inv, r->fields), .body = r->body};
    exchange_reply(x, &reply);
}

static void run(struct exchange *x, struct str name);

static const struct route ROUTE = {.run = run, .body = ROUTE_BODY_REQUEST};

static const struct face FACE = {
    .id_field = "x-amzn-RequestId",
    .find = url_front_find,
    .answer_error = answer_error,
    .answer_invocation = answer_invocation,
    .begin_stream = begin_stream,
    .write_stream = write_stream,
};

/* ---- who may ---- */

static bool admit_signed(struct exchange *x, const struct function *f)
{
    bool none;
    if (x->listener == GATEWAY_LISTENER_CONTROL) /* its file's mode has asked already */
        return true;
    if (!credential_read(x, false, &none)) {
        if (none)
            forbid(x);
        return false;
    }
    if (x->token->scopes & TOKEN_ADMIN || token_may_invoke(x->token, f->name))
        return true;
    forbid(x);
    return false;
}

/* The URL's AuthType and policy decide, not the function's own `auth`. */
static bool admit(struct exchange *x, const struct url *u, const struct function *f)
{
    if (u->auth == URL_AUTH_IAM)
        return admit_signed(x, f);
    const struct policy *p = policy_find(u->function, u->qualifier);
    if (p && p->opens_url)
        return true;
    forbid(x);
    return false;
}

/* NULL: the exchange was ended. */
static struct function *find_admitted(struct exchange *x, struct str id, uint64_t *ret_number)
{
    const struct url *u = url_find_id(id);
    struct function *f = u ? registry_find(x->gateway->registry, str_from(u->function)) : NULL;
    *ret_number = VERSIONS_LATEST_NUMBER;
    if (!f ||
        (u->qualifier[0] && versions_resolve(&f->versions, str_from(u->qualifier), ret_number) != VERSIONS_FOUND)) {
        refuse_unknown(x);
        return NULL;
    }
    memcpy(x->url_id, u->id, sizeof(x->url_id));
    if (u->cors_text && url_cors_is_preflight(x->request)) {
        static char fields[URL_CORS_FIELDS_MAX];
        const struct reply r = {.status = 200, .fields = {fields, url_cors_print(&u->cors, x->request, fields)}};
        exchange_reply(x, &r);
        return NULL;
    }
    return admit(x, u, f) ? f : NULL;
}

const struct route *url_front_find(struct exchange *x)
{
    uint64_t ignored; /* found again when the body is complete */
    struct target t = find_target(x);
    x->face = &FACE;
    return find_admitted(x, t.id, &ignored) ? &ROUTE : NULL;
}

/* Looked up again: URL, policy or function may have changed while the body came. */
static void run(struct exchange *x, struct str name)
{
    uint64_t number;
    struct target t = find_target(x);
    struct function *f = find_admitted(x, t.id, &number);
    (void)name;
    if (!f)
        return;
    if (x->check) { /* nobody hashed the body for a signature that nobody had asked for */
        forbid(x);
        return;
    }
    credential_hide(x);
    if (url_find_id(t.id)->mode == URL_MODE_STREAM)
        x->reply_mode = EXCHANGE_REPLY_STREAMED;
    invocation_start_version(x, f, number, t.path);
}
