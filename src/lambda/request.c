/* SPDX-License-Identifier: Apache-2.0 */
/* From the head of a request to its operation's handler. */
#include "codec/sigv4.h"
#include "gateway/tokens.h"
#include "lambda/operation.h"
#include "lambda/zip_member.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { DATE_BYTES = sizeof("/2015-03-31/") - 1 };

/* ---- which operation ---- */

static struct str without_last_slash(struct str path)
{
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* Does `path` have the template's form? Its parameters, still encoded, in the template's order. */
static bool path_matches(const char *template, struct str path, struct str parameters[LAMBDA_PARAMETERS_MAX])
{
    unsigned count = 0;
    path = without_last_slash(path);
    const char *at = path.p, *end = path.p + path.n;
    while (*template && *template != '?') {
        if (*template != '{') {
            if (at == end || *at++ != *template ++)
                return false;
            continue;
        }
        const char *from = at;
        while (at < end && *at != '/')
            at++;
        if (at == from)
            return false;
        assert(count < LAMBDA_PARAMETERS_MAX);
        parameters[count++] = (struct str){from, (size_t)(at - from)};
        template = strchr(template, '}') + 1;
    }
    return at == end;
}

/* "?List=ALL" */
static bool query_matches(const char *template, struct str query)
{
    const char *wanted = strchr(template, '?');
    struct str value;
    char key[32];
    if (!wanted)
        return true;
    const char *equals = strchr(wanted, '=');
    return equals && str_copy((struct str){wanted + 1, (size_t)(equals - wanted - 1)}, key, sizeof(key)) &&
           http1_query_find(query, key, &value) && str_is(value, equals + 1);
}

/* Of two rows for one path the one that says more of the query counts. */
static const struct lambda_operation *match(const struct http1_request *q, struct str parameters[LAMBDA_PARAMETERS_MAX])
{
    const struct lambda_operation *found = NULL;
    struct str at[LAMBDA_PARAMETERS_MAX] = {{0}};
    for (size_t i = 0; i < lambda_operation_count; i++) {
        const struct lambda_operation *op = lambda_operations[i];
        if (!str_is(q->method, op->route.method) || (found && !strchr(op->path, '?')) ||
            !path_matches(op->path, q->path, at) || !query_matches(op->path, q->query))
            continue;
        memcpy(parameters, at, sizeof(at));
        found = op;
        if (op->invokes)
            break;
    }
    return found;
}

const struct lambda_operation *lambda_operation_of(const struct exchange *x)
{
    return x->route && x->route->run == lambda_run ? (const struct lambda_operation *)x->route : NULL;
}

/* ---- what it is signed for ---- */

/* "Credential=KEY/DATE/REGION/SERVICE/aws4_request", in the field or in the query, where the slashes may be encoded. */
static bool read_scope(const struct exchange *x, char room[SIGV4_CREDENTIAL_MAX], struct str *ret_region,
                       struct str *ret_service)
{
    static const char scheme[] = "AWS4-HMAC-SHA256 ", key[] = "Credential=";
    const struct http1_request *q = x->request;
    const struct http1_field *f = http1_find_field(q->fields, q->field_count, "authorization");
    struct str text = {0}, part;
    if (f && str_starts_with(f->value, scheme)) {
        const char *at = memmem(f->value.p, f->value.n, key, sizeof(key) - 1);
        if (at)
            text = str_skip(f->value, (size_t)(at - f->value.p) + sizeof(key) - 1);
    } else if (q->query.n && http1_query_find(q->query, "X-Amz-Credential", &part)) {
        text.p = room;
        if (!http1_percent_decode(part, room, SIGV4_CREDENTIAL_MAX, &text.n))
            return false;
    }
    if (!text.n)
        return false;
    text = str_cut(text, ',', &part, NULL);
    str_cut(text, '/', &text, NULL);
    str_cut(text, '/', &text, NULL);
    *ret_region = str_cut(text, '/', &text, NULL);
    *ret_service = str_cut(text, '/', &text, NULL);
    return ret_service->n > 0;
}

void lambda_read_region(const struct exchange *x, char out[LAMBDA_REGION_MAX])
{
    str_copy(x->region, out, LAMBDA_REGION_MAX);
}

/* A date is what all paths of this API begin with. AWS's other services are told by POST / with a target, or by a signature's scope. */
bool lambda_claims(const struct http1_request *q)
{
    static const char form[] = "/nnnn-nn-nn/";
    if (q->path.n < DATE_BYTES) {
        const struct http1_field *f = NULL;
        if (!str_is(q->path, "/"))
            return false;
        f = http1_find_field(q->fields, q->field_count, "authorization");
        return http1_find_field(q->fields, q->field_count, "x-amz-target") || (f && str_starts_with(f->value, "AWS4-"));
    }
    for (size_t i = 0; i < DATE_BYTES; i++)
        if (form[i] == 'n' ? q->path.p[i] < '0' || q->path.p[i] > '9' : q->path.p[i] != form[i])
            return false;
    return true;
}

/* The older services' protocols are XML, and their clients read nothing else. */
static void refuse_in_xml(struct exchange *x, const char *service)
{
    char body[512];
    int n = snprintf(body, sizeof(body),
                     "<ErrorResponse><Error><Type>Sender</Type><Code>NotImplemented</Code><Message>the service '%s' is "
                     "not part of faasd, which has Lambda's API alone</Message></Error><RequestId>%s</RequestId>"
                     "</ErrorResponse>\n",
                     service, x->id);
    const struct reply r = {
        .status = 501, .content_type = "text/xml", .body = {body, (size_t)n}, .error_type = "NotImplementedException"};
    exchange_reply(x, &r);
}

/* What may be told back in any form. */
static void copy_word(struct str text, char out[64])
{
    size_t n = 0;
    for (; n < text.n && n < 63; n++) {
        char c = text.p[n];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr("-_.", c);
        out[n] = plain ? c : '?';
    }
    out[n] = '\0';
}

/* Of a presigned request it was decoded, and no valid one differs from its encoded form. */
static void keep_region(struct exchange *x, struct str region, const char *room)
{
    struct str q = x->request->query;
    bool decoded = region.p >= room && region.p < room + SIGV4_CREDENTIAL_MAX;
    const char *at = decoded ? memmem(q.p, q.n, region.p, region.n) : region.p;
    x->region = (struct str){at, at ? region.n : 0};
}

void lambda_keep_region(struct exchange *x)
{
    char room[SIGV4_CREDENTIAL_MAX];
    struct str region, service;
    if (read_scope(x, room, &region, &service) && lambda_region_is_valid(region))
        keep_region(x, region, room);
}

/* True when the exchange was ended: it is for a service that faasd has no part of. */
static bool refuse_other_services(struct exchange *x)
{
    const struct http1_request *q = x->request;
    const struct http1_field *target = http1_find_field(q->fields, q->field_count, "x-amz-target");
    char room[SIGV4_CREDENTIAL_MAX], name[64], operation[64];
    struct str region, service, rest;
    bool scoped = read_scope(x, room, &region, &service);
    if (scoped && lambda_region_is_valid(region))
        keep_region(x, region, room);
    if (!target && (!scoped || str_is(service, "lambda")))
        return false;
    if (!target) {
        copy_word(service, name);
        refuse_in_xml(x, name);
        return true;
    }
    copy_word(scoped ? service : str_cut(target->value, '.', &rest, NULL), name);
    copy_word(target->value, operation);
    lambda_fail(x, LAMBDA_NOT_IMPLEMENTED, "the service '%s' (%s) is not part of faasd, which has Lambda's API alone",
                name, operation);
    return true;
}

/* ---- the call ---- */

/* p NULL: the template has none of that name. */
static struct str find_parameter(const struct lambda_call *c, const char *name)
{
    unsigned i = 0;
    size_t n = strlen(name);
    for (const char *at = strchr(c->op->path, '{'); at; at = strchr(at + 1, '{'), i++)
        if (strncmp(at + 1, name, n) == 0 && at[n + 1] == '}')
            return c->parameters[i];
    return (struct str){0};
}

struct str lambda_parameter(const struct lambda_call *c, const char *name)
{
    struct str found = find_parameter(c, name);
    assert(found.p);
    return found;
}

/* Into the call's room, with a NUL. False: it is malformed, or too long. */
static bool decode(struct lambda_call *c, struct str text, struct str *ret)
{
    char *to = c->room + c->room_used;
    size_t left = sizeof(c->room) - c->room_used;
    if (left == 0 || !http1_percent_decode(text, to, left - 1, &ret->n))
        return false;
    to[ret->n] = '\0';
    ret->p = to;
    c->room_used += ret->n + 1;
    return true;
}

struct str lambda_query(struct lambda_call *c, const char *name)
{
    struct str value, decoded;
    if (c->x->request->query.n == 0 || !http1_query_find(c->x->request->query, name, &value) ||
        !decode(c, value, &decoded))
        return (struct str){0};
    return decoded;
}

/* The function's name, its region and its qualifier, each of which may stand in two places. False: the exchange was ended. */
static bool take_function(struct lambda_call *c)
{
    struct str text = find_parameter(c, "FunctionName");
    struct lambda_name *f = &c->function;
    if (!text.n || !lambda_name_parse(text, f)) /* the table of members says what is wrong with it */
        return true;
    struct str given = lambda_query(c, "Qualifier");
    if (f->region.n && !c->region[0])
        str_copy(f->region, c->region, sizeof(c->region));
    if (f->region.n && !str_is(f->region, c->region)) {
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Functions from '%.*s' are not reachable in this region ('%s')",
                    (int)f->region.n, f->region.p, c->region);
        return false;
    }
    if (given.n && f->qualifier.n && !str_equal(given, f->qualifier)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The derived qualifier from the function name does not match the specified qualifier.");
        return false;
    }
    if (given.n)
        f->qualifier = given;
    return true;
}

/* False: the exchange was ended. */
static bool open_call(struct lambda_call *c, struct exchange *x, const struct lambda_operation *op,
                      const struct str parameters[LAMBDA_PARAMETERS_MAX])
{
    memset(c, 0,
           offsetof(struct lambda_call,
                    room)); /* each Invoke comes here three times, and the room is not read before it is written */
    c->x = x;
    c->op = op;
    lambda_read_region(x, c->region);
    for (unsigned i = 0; i < LAMBDA_PARAMETERS_MAX && parameters[i].n; i++)
        if (!decode(c, parameters[i], &c->parameters[i])) {
            lambda_fail(x, LAMBDA_VALIDATION, "the path's parameter '%.*s' is malformed or too long",
                        (int)(parameters[i].n < 80 ? parameters[i].n : 80), parameters[i].p);
            return false;
        }
    if (!take_function(c))
        return false;
    if (!c->region[0])
        str_copy(str_from(x->gateway->config->lambda_region), c->region, sizeof(c->region));
    return true;
}

/* ---- at the head ---- */

/* Of functions it asks what /function/ asks, but never nobody over TCP: signing is what these clients do. */
static bool admit_invocation(struct lambda_call *c)
{
    struct str name = c->function.name;
    return access_admit_lambda(c->x, registry_find(c->x->gateway->registry, name));
}

static bool admit(struct exchange *x, const struct lambda_operation *op,
                  const struct str parameters[LAMBDA_PARAMETERS_MAX])
{
    struct lambda_call c;
    if (op && op->invokes)
        return open_call(&c, x, op, parameters) && admit_invocation(&c);
    if (!access_enter_control(x))
        return false;
    if (op)
        return access_admit(x, op->route.access);
    lambda_fail(x, LAMBDA_UNKNOWN_OPERATION,
                "Lambda's API has no operation %.*s %.*s here; docs/LAMBDA.md lists what there is",
                (int)(x->request->method.n < 16 ? x->request->method.n : 16), x->request->method.p,
                (int)(x->request->path.n < 200 ? x->request->path.n : 200), x->request->path.p);
    return false;
}

const struct route *lambda_find(struct exchange *x)
{
    struct str parameters[LAMBDA_PARAMETERS_MAX] = {{0}};
    if (refuse_other_services(x))
        return NULL;
    const struct lambda_operation *op = match(x->request, parameters);
    const struct http1_field *type;
    if (op && op->for_event) {
        type = http1_find_field(x->request->fields, x->request->field_count, "x-amz-invocation-type");
        if (type && str_is(type->value, "Event"))
            op = op->for_event;
    }
    return admit(x, op, parameters) ? &op->route : NULL;
}

/* ---- when the body is there ---- */

/* The code is taken out first: it is not to be held twice, and is longer than a text that is looked at whole. */
static int parse_around_code(struct lambda_call *c, struct err *e)
{
    struct str text = c->x->body;
    struct buf rest;
    c->zip = zip_member_find(text);
    size_t before = c->zip.p ? (size_t)(c->zip.p - text.p) : text.n;
    buf_init(&rest, LAMBDA_JSON_MAX);
    int r = buf_add_str(&rest, (struct str){text.p, before});
    if (r == 0)
        r = buf_add_str(&rest, str_skip(text, before + c->zip.n));
    if (r == -EMSGSIZE)
        err_say(e, EMSGSIZE, "without its code it is longer than %d bytes", (int)LAMBDA_JSON_MAX);
    else if (r == 0)
        r = json_parse(buf_str(&rest), JSON_STRICT, &c->doc, e);
    buf_fini(&rest);
    return r;
}

/* False: the exchange was ended. */
static bool read_body(struct lambda_call *c)
{
    struct err e;
    struct str text = c->x->body;
    if (c->op->raw || text.n == 0)
        return true;
    int r =
        c->op->route.body == ROUTE_BODY_CODE ? parse_around_code(c, &e) : json_parse(text, JSON_STRICT, &c->doc, &e);
    if (r == -ENOMEM) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return false;
    }
    c->body = r < 0 ? NULL : json_root(c->doc);
    if (r < 0)
        lambda_fail(c->x, LAMBDA_INVALID_REQUEST_CONTENT, "Could not parse request body into json: %s", e.text);
    else if (!json_is_object(c->body))
        lambda_fail(c->x, LAMBDA_SERIALIZATION, "the request's body is %s, and has to be an object",
                    json_type_name(c->body));
    else
        return true;
    return false;
}

bool lambda_reopen(struct lambda_call *c, struct exchange *x)
{
    const struct lambda_operation *op = lambda_operation_of(x);
    struct str parameters[LAMBDA_PARAMETERS_MAX] = {{0}};
    path_matches(op->path, x->request->path, parameters);
    return open_call(c, x, op, parameters);
}

void lambda_run(struct exchange *x, struct str name)
{
    struct lambda_call c;
    (void)name;
    if (lambda_reopen(&c, x)) {
        if (read_body(&c) && (!c.op->members || lambda_validate(&c, c.op->members)))
            c.op->run(&c);
        json_free(c.doc);
    }
}

/* ---- what handlers ask ---- */

const char *lambda_arn(const struct lambda_call *c, const char *name, struct str qualifier, char out[LAMBDA_ARN_MAX])
{
    snprintf(out, LAMBDA_ARN_MAX, "arn:aws:lambda:%s:%s:function:%s%s%.*s", c->region,
             c->x->gateway->config->lambda_account, name, qualifier.n ? ":" : "", (int)qualifier.n, qualifier.p);
    return out;
}

static void refuse_unknown(const struct lambda_call *c, struct str qualifier)
{
    char arn[LAMBDA_ARN_MAX], name[LAMBDA_NAME_MAX];
    const struct lambda_name *f = &c->function;
    str_copy(f->name, name, sizeof(name));
    lambda_arn(c, name, qualifier, arn);
    lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %s", arn);
}

/* Whoever has no functions here has given nobody here the right to any: in AWS's words. */
static void refuse_account(const struct lambda_call *c)
{
    const char *own = c->x->gateway->config->lambda_account;
    const struct token *t = c->x->token;
    const struct lambda_name *f = &c->function;
    bool invokes = c->op->invokes && strcmp(c->op->name, "InvokeAsync") != 0;
    const char *action = invokes ? "InvokeFunction" : c->op->name;
    lambda_fail(c->x, LAMBDA_ACCESS_DENIED,
                "User: arn:aws:iam::%s:%s%s is not authorized to perform: lambda:%s on resource: "
                "arn:aws:lambda:%s:%.*s:function:%.*s%s%.*s because no resource-based policy allows the lambda:%s "
                "action",
                own, t ? "user/" : "root", t ? (t->name[0] ? t->name : t->id) : "", action, c->region,
                (int)f->account.n, f->account.p, (int)f->name.n, f->name.p, f->qualifier.n ? ":" : "",
                (int)f->qualifier.n, f->qualifier.n ? f->qualifier.p : "", action);
}

struct function *lambda_find_function(struct lambda_call *c)
{
    const struct lambda_name *f = &c->function;
    if (f->account.n && !str_is(f->account, c->x->gateway->config->lambda_account)) {
        refuse_account(c);
        return NULL;
    }
    struct function *found = registry_find(c->x->gateway->registry, f->name);
    if (!found)
        refuse_unknown(c, f->qualifier);
    return found;
}

struct function *lambda_find_named(struct lambda_call *c)
{
    uint64_t number;
    struct function *f = lambda_find_function(c);
    return f && lambda_find_number(c, f, &number) ? f : NULL;
}

struct function *lambda_find_whole(struct lambda_call *c, const char *what)
{
    struct function *f = lambda_find_function(c);
    if (!f || !c->function.qualifier.n || str_is(c->function.qualifier, "$LATEST"))
        return f;
    lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "%s: name it without ':%.*s'", what, (int)c->function.qualifier.n,
                c->function.qualifier.p);
    return NULL;
}

bool lambda_find_number(struct lambda_call *c, const struct function *f, uint64_t *ret_number)
{
    *ret_number = VERSIONS_LATEST_NUMBER;
    if (!c->function.qualifier.n || versions_resolve(&f->versions, c->function.qualifier, ret_number) == VERSIONS_FOUND)
        return true;
    refuse_unknown(c, c->function.qualifier);
    return false;
}
