/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/logs.h"

#include "gateway/access.h"
#include "gateway/store_log.h"
#include "lambda/logs_internal.h"
#include "lambda/operation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 1024, FIELDS_MAX = 512 };

static const char TARGET[] = "Logs_20140328.";
static const char TYPE[] = "application/x-amz-json-1.1";
static const char INVALID[] = "InvalidParameterException";

/* ---- errors ---- */

void logs_fail(struct exchange *x, int status, const char *type, const char *format, ...)
{
    static struct buf body;
    char text[MESSAGE_MAX], fields[FIELDS_MAX];
    struct json_writer w;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    body.len = 0;
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "__type", type);
    json_put_text(&w, "message", text);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0)
        body.len = 0; /* out of memory: status and type still say it */
    int n = snprintf(fields, sizeof(fields), "x-amzn-ErrorType: %s\r\n", type);
    const struct reply r = {.status = status,
                            .content_type = TYPE,
                            .fields = {fields, (size_t)n},
                            .body = buf_str(&body),
                            .error_type = type,
                            .error_message = str_from(text)};
    exchange_reply(x, &r);
}

static void answer_error(struct exchange *x, const struct face_error *e)
{
    int shown = e->message.n < MESSAGE_MAX ? (int)e->message.n : MESSAGE_MAX;
    const char *type = e->status == 401   ? "UnrecognizedClientException"
                       : e->status == 403 ? "AccessDeniedException"
                       : e->status == 429 ? "ThrottlingException"
                       : e->status < 500  ? INVALID
                                          : "ServiceUnavailableException";
    logs_fail(x, e->status == 401 ? 403 : e->status < 500 ? e->status : 503, type, "%.*s", shown, e->message.p);
}

/* ---- reading a request ---- */

/* Absent is fine. False: the exchange was ended. */
static bool read_number(struct exchange *x, const struct json *body, const char *key, uint64_t *ret)
{
    const struct json *v = json_get(body, key);
    if (!v || json_is_null(v) || json_to_u64(v, ret))
        return true;
    logs_fail(x, 400, INVALID,
              "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have value greater "
              "than or equal to 0",
              key);
    return false;
}

static bool read_limit(struct logs_query *q, const struct json *body, uint64_t most)
{
    q->limit = most;
    if (!read_number(q->x, body, "limit", &q->limit))
        return false;
    if (q->limit >= 1 && q->limit <= most)
        return true;
    logs_fail(q->x, 400, INVALID,
              "1 validation error detected: Value '%lu' at 'limit' failed to satisfy constraint: Member must have "
              "value %s than or equal to %lu",
              (unsigned long)q->limit, q->limit ? "less" : "greater", q->limit ? (unsigned long)most : 1UL);
    return false;
}

static bool read_times(struct logs_query *q, const struct json *body)
{
    q->end_ms = UINT64_MAX;
    return read_number(q->x, body, "startTime", &q->start_ms) && read_number(q->x, body, "endTime", &q->end_ms);
}

/* By name, or by the ARN that the newer clients take, too. NULL: the exchange was ended. */
static struct function *read_group(struct logs_query *q, const struct json *body)
{
    static const char arn_part[] = ":log-group:";
    const char *group = json_get_text(body, "logGroupName"), *id = json_get_text(body, "logGroupIdentifier");
    if (!group && id) {
        const char *at = strstr(id, arn_part);
        group = at ? at + sizeof(arn_part) - 1 : id;
    }
    if (!group || !group[0]) {
        logs_fail(q->x, 400, INVALID,
                  "1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must "
                  "not be null");
        return NULL;
    }
    struct str name = str_from(group);
    bool ours = str_starts_with(name, LOGS_GROUP_PREFIX);
    name = ours ? str_skip(name, sizeof(LOGS_GROUP_PREFIX) - 1) : (struct str){0};
    struct function *f = registry_find(q->x->gateway->registry, str_cut(name, ':', &(struct str){0}, NULL));
    if (!f) {
        logs_fail(q->x, 400, "ResourceNotFoundException", "The specified log group does not exist.");
        return NULL;
    }
    if (log_events_snapshot(q->x->gateway, f->name, &q->snapshot) == 0)
        return f;
    logs_fail(q->x, 503, "ServiceUnavailableException", "out of memory");
    return NULL;
}

static bool add_stream(struct logs_query *q, const char *name)
{
    struct logs_stream *s = &q->streams[q->stream_count];
    if (q->stream_count < LOGS_STREAMS_MOST && name && log_events_parse_stream(str_from(name), &s->day, &s->instance)) {
        q->stream_count++;
        return true;
    }
    logs_fail(q->x, 400, name && q->stream_count < LOGS_STREAMS_MOST ? "ResourceNotFoundException" : INVALID,
              q->stream_count < LOGS_STREAMS_MOST ? "The specified log stream does not exist."
                                                  : "at most 100 log streams are searched at a time");
    return false;
}

static bool read_prefix(struct logs_query *q, const struct json *body)
{
    const char *prefix = json_get_text(body, "logStreamNamePrefix");
    if (!prefix || str_copy(str_from(prefix), q->prefix, sizeof(q->prefix)))
        return true;
    logs_fail(q->x, 400, "ResourceNotFoundException", "The specified log stream does not exist.");
    return false;
}

static bool read_token(struct logs_query *q, const struct json *body)
{
    const char *token = json_get_text(body, "nextToken");
    struct log_place at;
    char way;
    if (!token)
        return true;
    if (!logs_parse_token(str_from(token), &way, &at)) {
        logs_fail(q->x, 400, INVALID, "The specified nextToken is invalid.");
        return false;
    }
    q->has_from = way == 'f';
    q->has_before = way == 'b';
    *(way == 'f' ? &q->from : &q->before) = at;
    q->from_head = way == 'f';
    return true;
}

static bool read_events(struct logs_query *q, const struct json *body)
{
    const char *stream = json_get_text(body, "logStreamName");
    if (!json_get_bool(body, "startFromHead", &q->from_head))
        q->from_head = false;
    return read_group(q, body) && add_stream(q, stream) && read_times(q, body) &&
           read_limit(q, body, LOGS_EVENTS_MOST) && read_token(q, body);
}

static bool read_pattern(struct logs_query *q, const struct json *body)
{
    const char *text = json_get_text(body, "filterPattern");
    const char *fault = NULL;
    if (text && !str_copy(str_from(text), q->pattern_text, sizeof(q->pattern_text)))
        fault = "the filter pattern is longer than 1024 characters";
    if (!fault)
        fault = log_pattern_parse(str_from(q->pattern_text), &q->pattern);
    if (fault)
        logs_fail(q->x, 400, INVALID, "Invalid filter pattern: %s", fault);
    return !fault;
}

static bool read_filter(struct logs_query *q, const struct json *body)
{
    if (!read_group(q, body) || !read_prefix(q, body) || !read_pattern(q, body) || !read_times(q, body) ||
        !read_limit(q, body, LOGS_EVENTS_MOST) || !read_token(q, body))
        return false;
    JSON_EACH(json_get(body, "logStreamNames"), name)
    if (!add_stream(q, json_text(name)))
        return false;
    return true;
}

static bool read_streams(struct logs_query *q, const struct json *body)
{
    const char *order = json_get_text(body, "orderBy"), *token = json_get_text(body, "nextToken");
    q->by_time = order && strcmp(order, "LastEventTime") == 0;
    if (!json_get_bool(body, "descending", &q->descending))
        q->descending = false;
    if (!read_group(q, body) || !read_prefix(q, body) || !read_limit(q, body, LOGS_PAGE))
        return false;
    if (!token || str_to_u64(str_from(token), &q->skip))
        return true;
    logs_fail(q->x, 400, INVALID, "The specified nextToken is invalid.");
    return false;
}

/* ---- groups: the functions ---- */

struct groups {
    struct logs_query *q;
    struct json_writer *w;
    struct str prefix, part, after;
    uint64_t told;
    bool more;
    char last[SETTINGS_NAME_MAX];
};

static void put_group(struct function *f, void *context)
{
    struct groups *g = context;
    struct json_writer *w = g->w;
    char group[sizeof(LOGS_GROUP_PREFIX) + SETTINGS_NAME_MAX], arn[LAMBDA_ARN_MAX];
    snprintf(group, sizeof(group), LOGS_GROUP_PREFIX "%s", f->name);
    struct str name = str_from(group);
    bool wanted = name.n >= g->prefix.n && memcmp(name.p, g->prefix.p ? g->prefix.p : "", g->prefix.n) == 0 &&
                  (!g->part.n || memmem(name.p, name.n, g->part.p, g->part.n)) &&
                  (!g->after.n || strncmp(f->name, g->after.p, SETTINGS_NAME_MAX) > 0);
    if (!wanted || g->more)
        return;
    g->more = g->told == g->q->limit;
    if (g->more)
        return;
    g->told++;
    memcpy(g->last, f->name, sizeof(g->last));
    snprintf(arn, sizeof(arn), "arn:aws:logs:%s:%s:log-group:%s:*", g->q->region, g->q->account_text, group);
    json_put_object(w, NULL);
    json_put_text(w, "logGroupName", group);
    json_put_u64(w, "creationTime", f->current->created_ms);
    json_put_u64(w, "metricFilterCount", 0);
    json_put_text(w, "arn", arn);
    json_put_u64(w, "storedBytes", 0); /* what they hold is known on the store's thread alone */
    json_put_object_end(w);
}

static void reply_json(struct exchange *x, struct str body)
{
    const struct reply r = {.status = 200, .content_type = TYPE, .body = body};
    exchange_reply(x, &r);
}

static bool answer_groups(struct logs_query *q, const struct json *body)
{
    struct json_writer w;
    struct groups g = {.q = q,
                       .w = &w,
                       .prefix = str_from(json_get_text(body, "logGroupNamePrefix")),
                       .part = str_from(json_get_text(body, "logGroupNamePattern")),
                       .after = str_from(json_get_text(body, "nextToken"))};
    if (!read_limit(q, body, LOGS_PAGE))
        return false;
    json_writer_init(&w, &q->out);
    json_put_object(&w, NULL);
    json_put_array(&w, "logGroups");
    registry_each(q->x->gateway->registry, put_group, &g);
    json_put_array_end(&w);
    if (g.more)
        json_put_text(&w, "nextToken", g.last);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0)
        logs_fail(q->x, 503, "ServiceUnavailableException", "out of memory");
    else
        reply_json(q->x, buf_str(&q->out));
    return false;
}

/* ---- on the way ---- */

static const struct logs_operation OPERATIONS[] = {
    {"DescribeLogGroups", answer_groups, NULL},
    {"DescribeLogStreams", read_streams, logs_run_streams},
    {"GetLogEvents", read_events, logs_run_events},
    {"FilterLogEvents", read_filter, logs_run_filter},
};

static void query_free(struct logs_query *q)
{
    log_events_fini(&q->snapshot);
    buf_fini(&q->out);
    free(q);
}

static void on_read(struct store_task *t)
{
    struct logs_query *q = (struct logs_query *)(void *)t;
    if (t->error.code)
        logs_fail(q->x, 503, "ServiceUnavailableException", "%s", t->error.text);
    else if (q->no_stream)
        logs_fail(q->x, 400, "ResourceNotFoundException", "The specified log stream does not exist.");
    else
        reply_json(q->x, buf_str(&q->out));
    query_free(q);
}

static const struct logs_operation *find_operation(const struct exchange *x)
{
    const struct http1_field *f = http1_find_field(x->request->fields, x->request->field_count, "x-amz-target");
    struct str name = f ? str_skip(f->value, sizeof(TARGET) - 1) : (struct str){0};
    for (size_t i = 0; i < sizeof(OPERATIONS) / sizeof(OPERATIONS[0]); i++)
        if (str_is(name, OPERATIONS[i].name))
            return &OPERATIONS[i];
    return NULL;
}

static void submit(struct exchange *x, const struct json *body)
{
    struct logs_query *q = calloc(1, sizeof(*q));
    if (!q) {
        logs_fail(x, 503, "ServiceUnavailableException", "out of memory");
        return;
    }
    q->x = x;
    q->op = find_operation(x);
    buf_init(&q->out, LOGS_ANSWER_MAX);
    lambda_read_region(x, q->region);
    if (!q->region[0])
        str_copy(str_from(x->gateway->config->lambda_region), q->region, sizeof(q->region));
    str_copy(str_from(x->gateway->config->lambda_account), q->account_text, sizeof(q->account_text));
    if (!q->op->read(q, body)) {
        query_free(q);
        return;
    }
    q->task.run_log = q->op->run_log;
    q->task.done = on_read;
    store_submit(x->gateway->store, &q->task);
}

static void run(struct exchange *x, struct str name)
{
    struct json_doc *doc = NULL;
    struct err e;
    (void)name;
    if (x->body.n && json_parse(x->body, JSON_STRICT, &doc, &e) < 0)
        logs_fail(x, 400, "SerializationException", "the request's body is no JSON: %s", e.text);
    else if (doc && !json_is_object(json_root(doc)))
        logs_fail(x, 400, "SerializationException", "the request's body has to be an object");
    else
        submit(x, doc ? json_root(doc) : NULL);
    json_free(doc);
}

static const struct route ROUTE = {
    .run = run, .body = ROUTE_BODY_OWN, .body_max = LAMBDA_JSON_MAX, .body_key = "CloudWatch Logs' request size"};

static const struct face FACE = {.id_field = "x-amzn-RequestId", .find = logs_find, .answer_error = answer_error};

bool logs_claims(const struct http1_request *q)
{
    const struct http1_field *f = http1_find_field(q->fields, q->field_count, "x-amz-target");
    return f && str_is(q->path, "/") && str_is(q->method, "POST") && str_starts_with(f->value, TARGET);
}

const struct route *logs_find(struct exchange *x)
{
    x->face = &FACE;
    x->only_reads = true;
    lambda_keep_region(x);
    if (!access_enter_control(x) || !access_admit(x, ACCESS_READ))
        return NULL;
    if (find_operation(x))
        return &ROUTE;
    logs_fail(x, 501, "NotImplementedException",
              "of CloudWatch Logs faasd has DescribeLogGroups, DescribeLogStreams, GetLogEvents and FilterLogEvents");
    return NULL;
}
