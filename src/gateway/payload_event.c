/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/payload_event.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "codec/json_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { TIME_MAX = 40, FIELD_VALUE_MAX = 1 << 20 /* one header or parameter with all its values; heads are smaller */ };

struct parameter {
    size_t name;      /* where it begins, decoded, in printer.name */
    struct str value; /* encoded */
};

/* What is printed from piece by piece. */
struct printer {
    const struct payload_event *event;
    struct json_writer w;
    struct buf name, text; /* keys, each with its NUL, and a value, where they have to be put together */
    int error;             /* the first of the above; 0 */
};

static void note(struct printer *p, int r)
{
    if (r < 0 && !p->error)
        p->error = r;
}

/* ---- the query ---- */

/* As forms encode it: '+' is a blank. An escape that is none stays as it is. */
static void add_decoded(struct printer *p, struct buf *out, struct str in)
{
    while (in.n && !p->error) {
        char byte;
        size_t used = 1, n = 1;
        if (*in.p == '+')
            byte = ' ';
        else if (*in.p == '%' && in.n >= 3 && http1_percent_decode((struct str){in.p, 3}, &byte, 1, &n))
            used = 3;
        else
            byte = *in.p;
        note(p, buf_add(out, &byte, 1));
        in = str_skip(in, used);
    }
}

static bool is_named(const struct printer *p, const struct parameter *a, const struct parameter *b)
{
    return strcmp(p->name.data + a->name, p->name.data + b->name) == 0;
}

static bool is_first(const struct printer *p, const struct parameter *all, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is_named(p, &all[k], &all[i]))
            return false;
    return true;
}

static void put_parameter(struct printer *p, const struct parameter *all, size_t count, size_t i)
{
    p->text.len = 0;
    for (size_t k = i; k < count; k++) {
        if (!is_named(p, &all[k], &all[i]))
            continue;
        if (k > i)
            note(p, buf_add(&p->text, ",", 1));
        add_decoded(p, &p->text, all[k].value);
    }
    if (!p->error)
        json_put_str(&p->w, p->name.data + all[i].name, buf_str(&p->text));
}

/* Names are compared as they are meant: "a" and "%61" are one. */
static size_t read_parameters(struct printer *p, struct parameter all[PAYLOAD_EVENT_PARAMETERS_MAX])
{
    struct str rest = p->event->request->query;
    size_t count = 0;
    p->name.len = 0;
    while (rest.n && !p->error) {
        struct str value;
        struct str pair = str_cut(rest, '&', &rest, NULL);
        struct str name = str_cut(pair, '=', &value, NULL);
        if (pair.n == 0)
            continue;
        if (count == PAYLOAD_EVENT_PARAMETERS_MAX) {
            note(p, -E2BIG);
            break;
        }
        all[count++] = (struct parameter){p->name.len, value};
        add_decoded(p, &p->name, name);
        note(p, buf_add(&p->name, "", 1));
    }
    return count;
}

static void put_parameters(struct printer *p)
{
    struct parameter all[PAYLOAD_EVENT_PARAMETERS_MAX];
    size_t count = read_parameters(p, all);
    if (!count || p->error)
        return;
    json_put_object(&p->w, "queryStringParameters");
    for (size_t i = 0; i < count && !p->error; i++)
        if (is_first(p, all, i))
            put_parameter(p, all, count, i);
    json_put_object_end(&p->w);
}

/* ---- headers and cookies ---- */

static struct str find(const struct payload_event *e, const char *name)
{
    const struct http1_field *f = http1_find_field(e->request->fields, e->request->field_count, name);
    return f ? f->value : (struct str){0};
}

static bool same_name(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static void put_field(struct printer *p, unsigned i)
{
    const struct http1_request *q = p->event->request;
    struct str name = q->fields[i].name;
    for (unsigned k = 0; k < i; k++)
        if (same_name(q->fields[k].name, name))
            return;
    p->name.len = p->text.len = 0;
    for (size_t k = 0; k < name.n; k++) {
        char c = name.p[k];
        char lower = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        note(p, buf_add(&p->name, &lower, 1));
    }
    note(p, buf_add(&p->name, "", 1));
    for (unsigned k = i; k < q->field_count; k++) {
        if (!same_name(q->fields[k].name, name))
            continue;
        if (k > i)
            note(p, buf_add(&p->text, ",", 1));
        note(p, buf_add_str(&p->text, q->fields[k].value));
    }
    if (!p->error)
        json_put_str(&p->w, p->name.data, buf_str(&p->text));
}

static struct str port_of(struct str host, const char *scheme)
{
    for (size_t i = host.n; i > 0 && host.p[i - 1] != ']'; i--)
        if (host.p[i - 1] == ':')
            return str_skip(host, i);
    return str_from(strcmp(scheme, "https") == 0 ? "443" : "80");
}

/* Cookies have a place of their own; what Lambda's front adds for adapters of web frameworks is added where no proxy has said it. */
static void put_headers(struct printer *p)
{
    const struct payload_event *e = p->event;
    json_put_object(&p->w, "headers");
    for (unsigned i = 0; i < e->request->field_count && !p->error; i++)
        if (!str_is_nocase(e->request->fields[i].name, "cookie"))
            put_field(p, i);
    if (e->source_ip[0] && !find(e, "x-forwarded-for").n)
        json_put_text(&p->w, "x-forwarded-for", e->source_ip);
    if (!find(e, "x-forwarded-proto").n)
        json_put_text(&p->w, "x-forwarded-proto", e->scheme);
    if (!find(e, "x-forwarded-port").n)
        json_put_str(&p->w, "x-forwarded-port", port_of(e->host, e->scheme));
    json_put_object_end(&p->w);
}

static void put_cookies(struct printer *p)
{
    const struct http1_request *q = p->event->request;
    bool open = false;
    for (unsigned i = 0; i < q->field_count; i++) {
        struct str rest = q->fields[i].value;
        if (!str_is_nocase(q->fields[i].name, "cookie"))
            continue;
        while (rest.n) {
            struct str cookie = str_trim(str_cut(rest, ';', &rest, NULL));
            if (!cookie.n)
                continue;
            if (!open)
                json_put_array(&p->w, "cookies");
            open = true;
            json_put_str(&p->w, NULL, cookie);
        }
    }
    if (open)
        json_put_array_end(&p->w);
}

/* ---- requestContext ---- */

/* "12/Mar/2020:19:03:58 +0000" */
static void print_time(uint64_t ms, char out[TIME_MAX])
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    snprintf(out, TIME_MAX, "%02d/%.3s/%04d:%02d:%02d:%02d +0000", t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900,
             t.tm_hour, t.tm_min, t.tm_sec);
}

static void put_caller(struct json_writer *w, const struct payload_event_caller *c)
{
    json_put_object(w, "authorizer");
    json_put_object(w, "iam");
    json_put_text(w, "accessKey", c->access_key);
    json_put_text(w, "accountId", c->account);
    json_put_text(w, "callerId", c->id);
    json_put_null(w, "cognitoIdentity");
    json_put_null(w, "principalOrgId");
    json_put_text(w, "userArn", c->arn);
    json_put_text(w, "userId", c->id);
    json_put_object_end(w);
    json_put_object_end(w);
}

static struct str path_of(const struct payload_event *e)
{
    return e->path.n ? e->path : STR_LITERAL("/");
}

static void put_context(struct printer *p)
{
    const struct payload_event *e = p->event;
    struct json_writer *w = &p->w;
    struct str agent = find(e, "user-agent");
    char time[TIME_MAX];
    print_time(e->time_ms, time);
    json_put_object(w, "requestContext");
    json_put_text(w, "accountId", e->account);
    json_put_text(w, "apiId", e->api_id);
    if (e->caller)
        put_caller(w, e->caller);
    json_put_str(w, "domainName", e->host);
    json_put_text(w, "domainPrefix", e->api_id);
    json_put_object(w, "http");
    json_put_str(w, "method", e->request->method);
    json_put_str(w, "path", path_of(e));
    json_put_text(w, "protocol", e->request->minor ? "HTTP/1.1" : "HTTP/1.0");
    json_put_text(w, "sourceIp", e->source_ip[0] ? e->source_ip : "127.0.0.1");
    if (agent.n)
        json_put_str(w, "userAgent", agent);
    json_put_object_end(w);
    json_put_text(w, "requestId", e->request_id);
    json_put_text(w, "routeKey", "$default");
    json_put_text(w, "stage", "$default");
    json_put_text(w, "time", time);
    json_put_u64(w, "timeEpoch", e->time_ms);
    json_put_object_end(w);
}

/* ---- the body ---- */

static bool ends_with(struct str s, const char *end)
{
    size_t n = strlen(end);
    return s.n >= n && strncasecmp(s.p + s.n - n, end, n) == 0;
}

static bool type_is_text(struct str content_type)
{
    static const char *const types[] = {"application/json", "application/xml", "application/javascript",
                                        "application/x-www-form-urlencoded"};
    struct str type = str_trim(str_cut(content_type, ';', &(struct str){0}, NULL));
    if (type.n >= 5 && strncasecmp(type.p, "text/", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (str_is_nocase(type, types[i]))
            return true;
    return ends_with(type, "+json") || ends_with(type, "+xml");
}

static void put_base64(struct printer *p, struct str body)
{
    size_t n = BASE64_ENCODED(body.n);
    /* The writer escapes nothing of base64: it is put behind its key as JSON that is finished. */
    int r = buf_reserve(&p->text, n + 2);
    note(p, r);
    if (r < 0)
        return;
    p->text.data[0] = p->text.data[n + 1] = '"';
    base64_encode(body, p->text.data + 1);
    json_put_raw(&p->w, "body", (struct str){p->text.data, n + 2});
}

static void put_body(struct printer *p)
{
    struct str body = p->event->body;
    bool is_text = body.n == 0 || (type_is_text(find(p->event, "content-type")) && json_check_utf8(body));
    p->text.len = 0;
    if (body.n && is_text)
        json_put_str(&p->w, "body", body);
    else if (body.n)
        put_base64(p, body);
    json_put_bool(&p->w, "isBase64Encoded", !is_text);
}

int payload_event_print(const struct payload_event *e, struct buf *out)
{
    struct printer p = {.event = e};
    buf_init(&p.name, FIELD_VALUE_MAX);
    buf_init(&p.text, out->limit);
    json_writer_init(&p.w, out);
    json_put_object(&p.w, NULL);
    json_put_text(&p.w, "version", "2.0");
    json_put_text(&p.w, "routeKey", "$default");
    json_put_str(&p.w, "rawPath", path_of(e));
    json_put_str(&p.w, "rawQueryString", e->request->query);
    put_cookies(&p);
    put_headers(&p);
    put_parameters(&p);
    put_context(&p);
    put_body(&p);
    json_put_object_end(&p.w);
    note(&p, p.error ? 0 : json_writer_end(&p.w));
    buf_fini(&p.name);
    buf_fini(&p.text);
    return p.error;
}
