/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/payload_reply.h"

#include "codec/base64.h"
#include "codec/json_check.h"
#include "codec/json_span.h"

static const char NO_MEMORY[] = "there is no memory for the reply's body";

/* The members that count, as they stand in the text; n = 0: absent. Of one that is there twice the last counts, as parsers have it. */
struct members {
    struct str status, headers, cookies, body, is_base64;
};

static void find_members(struct str object, struct members *m)
{
    const struct {
        const char *name;
        struct str *value;
    } wanted[] = {{"statusCode", &m->status},
                  {"headers", &m->headers},
                  {"cookies", &m->cookies},
                  {"body", &m->body},
                  {"isBase64Encoded", &m->is_base64}};
    struct json_span_place place = {0};
    struct str key, value;
    while (json_span_member(object, &place, &key, &value))
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            if (str_is(key, wanted[i].name))
                *wanted[i].value = value;
}

/* The value, or NULL with *ret_doc NULL where it is absent. False: it is JSON that no header could be made of. */
static bool parse(struct str text, struct json_doc **ret_doc)
{
    *ret_doc = NULL;
    return text.n == 0 || json_parse(text, JSON_STRICT, ret_doc, NULL) == 0;
}

static const struct json *root_of(const struct json_doc *doc)
{
    return doc ? json_root(doc) : NULL;
}

static const char *read_status(struct str text, int *ret_status)
{
    struct json_doc *doc;
    *ret_status = parse(text, &doc) ? reply_fields_status(root_of(doc)) : 0;
    json_free(doc);
    return *ret_status ? NULL : "statusCode is not a number from 200 to 599";
}

static const char *read_fields(const struct members *m, struct reply_fields *f)
{
    struct json_doc *headers = NULL, *cookies = NULL;
    bool good = parse(m->headers, &headers) && parse(m->cookies, &cookies) &&
                reply_fields_add(f, root_of(headers), root_of(cookies));
    json_free(headers);
    json_free(cookies);
    return good ? NULL
                : "headers is not an object of header fields, or cookies not an array of strings, or they are longer "
                  "than 64 KiB";
}

/* In place: what base64 stands for is never longer than it. */
static bool decode(struct buf *body)
{
    size_t n;
    if (!base64_decode(buf_str(body), body->data, body->cap, &n))
        return false;
    body->len = n;
    return true;
}

static const char *read_body(const struct members *m, struct buf *body)
{
    bool is_base64 = str_is(m->is_base64, "true");
    if (m->is_base64.n && !is_base64 && !str_is(m->is_base64, "false") && !str_is(m->is_base64, "null"))
        return "isBase64Encoded is neither true nor false";
    if (m->body.n == 0 || str_is(m->body, "null"))
        return NULL;
    if (!json_span_is_string(m->body))
        return "body is not a string";
    if (json_span_add_text(body, m->body) < 0)
        return NO_MEMORY;
    return is_base64 && !decode(body) ? "body is not base64 although isBase64Encoded says so" : NULL;
}

static const char *build_whole(const struct members *m, struct reply_fields *f, struct buf *body,
                               struct invocation_reply *r)
{
    const char *fault = read_status(m->status, &r->status);
    if (!fault)
        fault = read_fields(m, f);
    return fault ? fault : read_body(m, body);
}

static const char *infer(struct str value, struct buf *body)
{
    int r = json_span_is_string(value) ? json_span_add_text(body, value) : json_span_add_compact(body, value);
    return r < 0 ? NO_MEMORY : NULL;
}

const char *payload_reply_build(struct str text, char fields[REPLY_FIELDS_MAX], struct buf *body,
                                struct invocation_reply *ret_reply)
{
    struct reply_fields f = {.bytes = fields};
    struct invocation_reply r = {.status = 200};
    struct members m = {0};
    const char *fault;
    if (text.n == 0) { /* it said nothing, and did not fail */
        *ret_reply = r;
        return NULL;
    }
    if (!json_check(text, NULL))
        return "the reply is not JSON";
    struct str value = json_span_value(text);
    find_members(value, &m);
    fault = m.status.n ? build_whole(&m, &f, body, &r) : infer(value, body);
    if (fault)
        return fault;
    r.content_type = f.has_type ? NULL : "application/json";
    r.fields = (struct str){fields, f.len};
    r.body = buf_str(body);
    *ret_reply = r;
    return NULL;
}
