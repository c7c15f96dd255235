/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runtime_reply.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "codec/json_check.h"
#include "gateway/reply_fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PRELUDE_END = 8 /* NUL bytes */ };

/* ---- a response ---- */

static const char *sniff_type(struct str body)
{
    if (body.n == 0)
        return NULL;
    return json_check(body, NULL) ? "application/json" : "application/octet-stream";
}

bool runtime_reply_has_prelude(struct str content_type)
{
    struct str type = str_trim(str_cut(content_type, ';', &(struct str){0}, NULL));
    return str_is_nocase(type, "application/vnd.awslambda.http-integration-response");
}

static const char *apply_prelude(const struct json *prelude, struct reply_fields *f, struct invocation_reply *r)
{
    const struct json *status = json_get(prelude, "statusCode");
    r->status = status ? reply_fields_status(status) : 200;
    if (!json_is_object(prelude) || !r->status)
        return "the prelude of the response is not an object with a statusCode from 200 to 599";
    if (reply_fields_add(f, json_get(prelude, "headers"), json_get(prelude, "cookies")))
        return NULL;
    return "a header or cookie in the prelude of the response is invalid, or they are longer than 64 KiB";
}

/* Where the eight NULs begin that end the prelude, or n. No JSON holds a NUL. */
static size_t find_prelude_end(struct str body)
{
    static const char end[PRELUDE_END];
    struct str head = {body.p, body.n < RUNTIME_REPLY_PRELUDE_MAX ? body.n : RUNTIME_REPLY_PRELUDE_MAX};
    const char *at = head.n ? memmem(head.p, head.n, end, sizeof(end)) : NULL;
    return at ? (size_t)(at - head.p) : body.n;
}

static const char *build_with_prelude(struct str body, struct reply_fields *f, struct invocation_reply *r)
{
    size_t end = find_prelude_end(body);
    struct json_doc *doc;
    struct err e;
    if (end == body.n)
        return "the response has no prelude: JSON and eight NUL bytes within its first 128 KiB";
    if (json_parse((struct str){body.p, end}, JSON_STRICT, &doc, &e) < 0)
        return "the prelude of the response is not JSON";
    const char *fault = apply_prelude(json_root(doc), f, r);
    json_free(doc);
    r->body = str_skip(body, end + PRELUDE_END);
    return fault;
}

const char *runtime_reply_build(const struct runtime_api_post *p, char fields[RUNTIME_REPLY_FIELDS_MAX],
                                struct invocation_reply *ret_reply)
{
    struct reply_fields f = {.bytes = fields};
    struct invocation_reply r = {.status = 200, .body = p->body};
    if (runtime_reply_has_prelude(p->content_type)) {
        const char *fault = build_with_prelude(p->body, &f, &r);
        if (fault)
            return fault;
        r.is_http = true;
    }
    r.content_type = f.has_type ? NULL : sniff_type(r.body);
    r.fields = (struct str){fields, f.len};
    *ret_reply = r;
    return NULL;
}

enum runtime_reply_head runtime_reply_build_head(const struct runtime_api_post *p,
                                                 char fields[RUNTIME_REPLY_FIELDS_MAX],
                                                 struct invocation_reply *ret_reply, const char **ret_fault)
{
    static const char UNKNOWN[] = "application/octet-stream";
    struct reply_fields f = {.bytes = fields};
    struct invocation_reply r = {
        .status = 200, .content_type = p->content_type.n ? p->content_type.p : UNKNOWN, .body = p->body};
    *ret_fault = NULL;
    if (runtime_reply_has_prelude(p->content_type)) {
        if (find_prelude_end(p->body) == p->body.n && p->body.n < RUNTIME_REPLY_PRELUDE_MAX)
            return RUNTIME_REPLY_MORE;
        *ret_fault = build_with_prelude(p->body, &f, &r);
        r.content_type = f.has_type ? NULL : UNKNOWN;
        r.is_http = true;
    }
    r.fields = (struct str){fields, f.len};
    *ret_reply = r;
    return *ret_fault ? RUNTIME_REPLY_BAD : RUNTIME_REPLY_HEAD;
}

/* ---- an error ---- */

bool runtime_reply_is_failed(const struct runtime_api_post *p)
{
    return p->error_type.n > 0 || p->error_body.n > 0;
}

static bool is_letter(char c, char first, char last)
{
    return c >= first && c <= last;
}

/* (Runtime|Function).Word */
static bool is_known_form(struct str type)
{
    struct str word;
    bool found;
    struct str family = str_cut(type, '.', &word, &found);
    if (!found || (!str_is(family, "Runtime") && !str_is(family, "Function")) || word.n < 2)
        return false;
    for (size_t i = 1; i < word.n; i++)
        if (!is_letter(word.p[i], 'a', 'z') && !is_letter(word.p[i], 'A', 'Z'))
            return false;
    return is_letter(word.p[0], 'A', 'Z') && type.n < RUNTIME_REPLY_ERROR_TYPE_MAX;
}

/* It becomes a header's value. */
static bool is_plain_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return s.n > 0 && s.n < RUNTIME_REPLY_ERROR_TYPE_MAX;
}

static void choose_type(const char *said, struct str header, const char *family, char out[RUNTIME_REPLY_ERROR_TYPE_MAX])
{
    if (said && is_plain_word(str_from(said)))
        str_copy(str_from(said), out, RUNTIME_REPLY_ERROR_TYPE_MAX);
    else if (is_known_form(header))
        str_copy(header, out, RUNTIME_REPLY_ERROR_TYPE_MAX);
    else
        snprintf(out, RUNTIME_REPLY_ERROR_TYPE_MAX, "%s.Unknown", family);
}

/* Go, Python and Ruby call it stackTrace, Node trace. */
static void take_trace(const struct json *root, struct buf *out)
{
    const struct json *trace = json_get(root, "stackTrace");
    struct json_writer w;
    if (!json_is_array(trace))
        trace = json_get(root, "trace");
    if (!json_is_array(trace))
        return;
    json_writer_init(&w, out);
    json_put_value(&w, NULL, trace);
    if (json_writer_end(&w) < 0)
        buf_fini(out);
}

static struct str error_text(const struct runtime_api_post *p, struct buf *decoded)
{
    size_t n;
    if (p->error_body.n == 0)
        return p->body;
    if (buf_reserve(decoded, p->error_body.n) < 0 || !base64_decode(p->error_body, decoded->data, decoded->cap, &n))
        return (struct str){0};
    decoded->len = n;
    return buf_str(decoded);
}

void runtime_reply_read_error(const struct runtime_api_post *p, const char *family,
                              struct runtime_reply_error *ret_error)
{
    struct runtime_reply_error *e = ret_error;
    struct err ignored;
    *e = (struct runtime_reply_error){0};
    buf_init(&e->decoded, 0);
    buf_init(&e->trace, RUNTIME_REPLY_ERROR_MAX);
    struct str text = error_text(p, &e->decoded);
    const struct json *root = NULL;
    if (text.n <= RUNTIME_REPLY_ERROR_MAX && json_parse(text, JSON_STRICT, &e->doc, &ignored) == 0)
        root = json_root(e->doc);
    else
        e->doc = NULL;
    if (root)
        e->document = text;
    const char *message = json_get_text(root, "errorMessage");
    choose_type(json_get_text(root, "errorType"), p->error_type, family, e->type);
    if (json_is_object(root))
        e->message = str_from(message);
    else
        e->message = (struct str){text.p, text.n < 1024 ? text.n : 1024};
    take_trace(root, &e->trace);
}

void runtime_reply_error_fini(struct runtime_reply_error *e)
{
    json_free(e->doc);
    buf_fini(&e->trace);
    buf_fini(&e->decoded);
}
