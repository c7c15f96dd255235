/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/event_source.h"

#include "base/clock.h"
#include "base/id.h"
#include "gateway/store.h"
#include "gateway/store_options.h"
#include "lambda/function_members.h"
#include "lambda/function_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 100, SOURCE_MAX = 1024, TARGET_MAX = SETTINGS_NAME_MAX + VERSIONS_ALIAS_MAX, ANSWER_MAX = 4 << 20 };

#define ARN_PATTERN                                                                                                    \
    .pattern = "arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)",            \
    .ere = "arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9-])+:([a-z]{2}(-gov)?-[a-z]+-[0-9])?:([0-9]{12})?:(.*)"

/* ---- what they take ---- */

static const char *const POSITIONS[] = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", NULL};
static const char *const RESPONSES[] = {"ReportBatchItemFailures", NULL};
static const char *const ACCESSES[] = {"BASIC_AUTH",
                                       "VPC_SUBNET",
                                       "VPC_SECURITY_GROUP",
                                       "SASL_SCRAM_512_AUTH",
                                       "SASL_SCRAM_256_AUTH",
                                       "VIRTUAL_HOST",
                                       "CLIENT_CERTIFICATE_TLS_AUTH",
                                       "SERVER_ROOT_CA_CERTIFICATE",
                                       NULL};
static const struct lambda_member FILTER_PARTS[] = {{.name = "Pattern", .bounded = true, .max = 4096}, {0}};
static const struct lambda_member FILTER[] = {{.type = LAMBDA_STRUCTURE, .members = FILTER_PARTS}, {0}};
static const struct lambda_member FILTERS[] = {{.name = "Filters", .type = LAMBDA_LIST, .members = FILTER}, {0}};
static const struct lambda_member DESTINATION[] = {{.name = "Destination", .bounded = true, .max = 350}, {0}};
static const struct lambda_member DESTINATIONS[] = {
    {.name = "OnSuccess", .type = LAMBDA_STRUCTURE, .members = DESTINATION},
    {.name = "OnFailure", .type = LAMBDA_STRUCTURE, .members = DESTINATION},
    {0}};
static const struct lambda_member TOPIC[] = {
    {.bounded = true, .min = 1, .max = 249, .pattern = "^[^.]([a-zA-Z0-9\\-_.]+)", .ere = "[^.]([a-zA-Z0-9_.-]+)"},
    {0}};
static const struct lambda_member QUEUE[] = {{.bounded = true, .min = 1, .max = 1000}, {0}};
static const struct lambda_member ACCESS_PARTS[] = {{.name = "Type", .choices = ACCESSES},
                                                    {.name = "URI",
                                                     .bounded = true,
                                                     .min = 1,
                                                     .max = 200,
                                                     .pattern = "[a-zA-Z0-9-\\/*:_+=.@-]*",
                                                     .ere = "[a-zA-Z0-9/*:_+=.@-]*"},
                                                    {0}};
static const struct lambda_member ACCESS[] = {{.type = LAMBDA_STRUCTURE, .members = ACCESS_PARTS}, {0}};
static const struct lambda_member RESPONSE[] = {{.choices = RESPONSES}, {0}};
static const struct lambda_member SELF_MANAGED[] = {{0}};
static const struct lambda_member CONSUMER[] = {{.name = "ConsumerGroupId", .bounded = true, .min = 1, .max = 200},
                                                {0}};

#define BODY_NAME                                                                                                      \
    .name = "FunctionName", .bounded = true, .min = 1, .max = 140, .pattern = lambda_name_pattern,                     \
    .matches = lambda_name_matches
#define NUMBER(name_, min_, max_)                                                                                      \
    {                                                                                                                  \
        .name = name_, .type = LAMBDA_INTEGER, .bounded = true, .min = min_, .max = max_                               \
    }
/* Of Create and Update. */
#define SHARED_MEMBERS                                                                                                 \
    {.name = "Enabled", .type = LAMBDA_BOOLEAN}, NUMBER("BatchSize", 1, 10000),                                        \
        {.name = "FilterCriteria", .type = LAMBDA_STRUCTURE, .members = FILTERS},                                      \
        NUMBER("MaximumBatchingWindowInSeconds", 0, 300), NUMBER("ParallelizationFactor", 1, 10),                      \
        {.name = "DestinationConfig", .type = LAMBDA_STRUCTURE, .members = DESTINATIONS},                              \
        NUMBER("MaximumRecordAgeInSeconds", -1, 604800),                                                               \
        {.name = "BisectBatchOnFunctionError", .type = LAMBDA_BOOLEAN}, NUMBER("MaximumRetryAttempts", -1, 10000),     \
        NUMBER("TumblingWindowInSeconds", 0, 900),                                                                     \
        {.name = "SourceAccessConfigurations", .type = LAMBDA_LIST, .bounded = true, .max = 22, .members = ACCESS},    \
    {                                                                                                                  \
        .name = "FunctionResponseTypes", .type = LAMBDA_LIST, .bounded = true, .max = 1, .members = RESPONSE           \
    }

static const struct lambda_member CREATE[] = {
    {BODY_NAME, .required = true},
    {.name = "EventSourceArn", ARN_PATTERN},
    SHARED_MEMBERS,
    {.name = "StartingPosition", .choices = POSITIONS},
    {.name = "StartingPositionTimestamp", .type = LAMBDA_DOUBLE},
    {.name = "Topics", .type = LAMBDA_LIST, .bounded = true, .min = 1, .max = 1, .members = TOPIC},
    {.name = "Queues", .type = LAMBDA_LIST, .bounded = true, .min = 1, .max = 1, .members = QUEUE},
    {.name = "SelfManagedEventSource", .type = LAMBDA_STRUCTURE, .members = SELF_MANAGED},
    {.name = "AmazonManagedKafkaEventSourceConfig", .type = LAMBDA_STRUCTURE, .members = CONSUMER},
    {.name = "SelfManagedKafkaEventSourceConfig", .type = LAMBDA_STRUCTURE, .members = CONSUMER},
    {0},
};
#define UUID_MEMBER                                                                                                    \
    {                                                                                                                  \
        .name = "UUID", .in = LAMBDA_IN_PATH                                                                           \
    }
static const struct lambda_member UPDATE[] = {UUID_MEMBER, {BODY_NAME}, SHARED_MEMBERS, {0}};
static const struct lambda_member ONE[] = {UUID_MEMBER, {0}};
static const struct lambda_member LIST[] = {
    {.name = "EventSourceArn", .in = LAMBDA_IN_QUERY, ARN_PATTERN},
    {BODY_NAME, .in = LAMBDA_IN_QUERY},
    LAMBDA_PAGE,
    {0},
};

/* What is kept and told as it came. */
static const char *const KEPT[] = {"EventSourceArn",
                                   "BatchSize",
                                   "FilterCriteria",
                                   "MaximumBatchingWindowInSeconds",
                                   "ParallelizationFactor",
                                   "DestinationConfig",
                                   "MaximumRecordAgeInSeconds",
                                   "BisectBatchOnFunctionError",
                                   "MaximumRetryAttempts",
                                   "TumblingWindowInSeconds",
                                   "SourceAccessConfigurations",
                                   "FunctionResponseTypes",
                                   "StartingPosition",
                                   "StartingPositionTimestamp",
                                   "Topics",
                                   "Queues",
                                   "SelfManagedEventSource",
                                   "AmazonManagedKafkaEventSourceConfig",
                                   "SelfManagedKafkaEventSourceConfig"};
enum { KEPT_COUNT = sizeof(KEPT) / sizeof(KEPT[0]) };

/* ---- one request ---- */

enum kind { KIND_CREATE, KIND_GET, KIND_UPDATE, KIND_DELETE, KIND_LIST };
enum outcome { OUTCOME_FINE, OUTCOME_ABSENT, OUTCOME_CONFLICT, OUTCOME_FULL };

struct job {
    struct store_task task; /* first */
    struct exchange *x;     /* to be ended */
    enum kind kind;
    char region[LAMBDA_REGION_MAX], account[LAMBDA_ACCOUNT_MAX];
    char id[ID_UUID_MAX];    /* of one; of a list where it begins */
    char target[TARGET_MAX]; /* NAME or NAME:QUALIFIER; "" = none was named */
    char source[SOURCE_MAX]; /* its ARN; "" = none */
    char other[ID_UUID_MAX]; /* of a conflict */
    struct json_doc *doc;    /* owned: what is asked for */
    enum outcome outcome;
    unsigned most, count;
    struct buf value, json;
    struct json_writer w;
};

/* ---- on the store's thread ---- */

static void put_mapping(struct job *j, const struct store_event_source *row)
{
    char arn[LAMBDA_ARN_MAX];
    struct json_doc *doc = NULL;
    struct err ignored;
    struct json_writer *w = &j->w;
    if (json_parse(row->value, JSON_STRICT, &doc, &ignored) < 0)
        return;
    json_put_text(w, "UUID", row->id);
    for (unsigned i = 0; i < KEPT_COUNT; i++)
        if (json_get(json_root(doc), KEPT[i]))
            json_put_value(w, KEPT[i], json_get(json_root(doc), KEPT[i]));
    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s:%s:function:%s", j->region, j->account, row->function);
    json_put_text(w, "FunctionArn", arn);
    json_put_milli(w, "LastModified", row->modified_ms);
    json_put_text(w, "LastProcessingResult", "No records processed");
    json_put_text(w, "State", j->kind == KIND_DELETE ? "Deleting" : "Disabled");
    json_put_text(w, "StateTransitionReason",
                  "Nothing on this host polls event sources: the mapping is kept, and never active");
    json_free(doc);
}

static int on_one(const struct store_event_source *row, void *context)
{
    struct job *j = context;
    if (strcmp(row->id, j->id) != 0)
        return 0;
    j->outcome = OUTCOME_FINE;
    if (!j->target[0])
        str_copy(str_from(row->function), j->target, sizeof(j->target));
    if (j->kind == KIND_UPDATE)
        return buf_add_str(&j->value, row->value);
    put_mapping(j, row);
    return 0;
}

static int on_listed(const struct store_event_source *row, void *context)
{
    struct job *j = context;
    if (j->count++ == j->most) {
        json_put_array_end(&j->w);
        json_put_text(&j->w, "NextMarker", row->id);
        return 0;
    }
    json_put_object(&j->w, NULL);
    put_mapping(j, row);
    json_put_object_end(&j->w);
    return 0;
}

static int on_twin(const struct store_event_source *row, void *context)
{
    struct job *j = context;
    str_copy(str_from(row->id), j->other, sizeof(j->other));
    j->outcome = OUTCOME_CONFLICT;
    return 0;
}

/* What is asked for over what was there. */
static int print_value(struct job *j, struct buf *out)
{
    struct json_doc *before = NULL;
    struct json_writer w;
    if (j->value.len && json_parse(buf_str(&j->value), JSON_STRICT, &before, NULL) < 0)
        return -ENOMEM;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    for (unsigned i = 0; i < KEPT_COUNT; i++) {
        const struct json *value = json_get(json_root(j->doc), KEPT[i]);
        if ((!value || json_is_null(value)) && before)
            value = json_get(json_root(before), KEPT[i]);
        if (value && !json_is_null(value))
            json_put_value(&w, KEPT[i], value);
    }
    json_put_object_end(&w);
    json_free(before);
    return json_writer_end(&w);
}

static void store_it(struct job *j, struct store_db *db)
{
    struct buf value;
    buf_init(&value, 0);
    int r = print_value(j, &value);
    const struct store_event_source row = {
        .id = j->id, .function = j->target, .modified_ms = clock_real_ms(), .value = buf_str(&value)};
    if (r < 0)
        err_set(&j->task.error, -r, "describe the mapping");
    else if (store_event_sources_put(db, &row, &j->task.error) == 0)
        put_mapping(j, &row);
    buf_fini(&value);
}

static void create_it(struct job *j, struct store_db *db)
{
    const struct store_event_sources_query twins = {.from = "", .function = j->target, .source = j->source, .most = 1};
    uint64_t count = 0;
    if (j->source[0] && store_event_sources_list(db, &twins, on_twin, j, &j->task.error) < 0)
        return;
    if (j->outcome == OUTCOME_FINE && store_event_sources_count(db, &count, &j->task.error) == 0 &&
        count >= EVENT_SOURCES_MAX)
        j->outcome = OUTCOME_FULL;
    if (j->outcome == OUTCOME_FINE && !j->task.error.code)
        store_it(j, db);
}

static void run_one(struct job *j, struct store_db *db)
{
    const struct store_event_sources_query one = {.from = j->id, .function = "", .source = "", .most = 1};
    j->outcome = OUTCOME_ABSENT;
    if (store_event_sources_list(db, &one, on_one, j, &j->task.error) < 0 || j->outcome != OUTCOME_FINE)
        return;
    if (j->kind == KIND_UPDATE)
        store_it(j, db);
    else if (j->kind == KIND_DELETE)
        store_event_sources_remove(db, j->id, &j->task.error);
}

static void run(struct store_task *t, struct store_db *db)
{
    struct job *j = (struct job *)(void *)t;
    const struct store_event_sources_query all = {
        .from = j->id, .function = j->target, .source = j->source, .most = j->most + 1};
    json_writer_init(&j->w, &j->json);
    json_put_object(&j->w, NULL);
    if (j->kind == KIND_LIST) {
        json_put_array(&j->w, "EventSourceMappings");
        store_event_sources_list(db, &all, on_listed, j, &t->error);
        if (j->count <= j->most)
            json_put_array_end(&j->w);
    } else if (j->kind == KIND_CREATE) {
        create_it(j, db);
    } else {
        run_one(j, db);
    }
    json_put_object_end(&j->w);
    int r = json_writer_end(&j->w);
    if (r < 0 && !t->error.code)
        err_set(&t->error, -r, "describe the mappings");
}

/* ---- the answer ---- */

static void job_free(struct job *j)
{
    json_free(j->doc);
    buf_fini(&j->value);
    buf_fini(&j->json);
    free(j);
}

static void on_done(struct store_task *t)
{
    struct job *j = (struct job *)(void *)t;
    bool reads = j->kind == KIND_GET || j->kind == KIND_LIST;
    const struct reply reply = {
        .status = reads ? 200 : 202, .content_type = "application/json", .body = buf_str(&j->json)};
    if (t->error.code)
        lambda_fail_store(j->x, &t->error);
    else if (j->outcome == OUTCOME_ABSENT)
        lambda_fail(j->x, LAMBDA_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
    else if (j->outcome == OUTCOME_CONFLICT)
        lambda_fail(j->x, LAMBDA_RESOURCE_CONFLICT,
                    "The event source arn (\" %s \") and function (\" %s \") provided mapping already exists. Please "
                    "update or delete the existing mapping with UUID %s",
                    j->source, j->target, j->other);
    else if (j->outcome == OUTCOME_FULL)
        lambda_fail(j->x, LAMBDA_INVALID_PARAMETER_VALUE, "There are %d mappings of event sources, which is the limit",
                    EVENT_SOURCES_MAX);
    else
        exchange_reply(j->x, &reply);
    job_free(j);
}

/* The function that FunctionName names, in the body or the query. False: the exchange was ended. */
static bool take_target(struct lambda_call *c, struct job *j, struct str text)
{
    uint64_t number;
    if (!text.n)
        return true;
    lambda_name_parse(text, &c->function); /* checked */
    if (c->function.region.n && !str_is(c->function.region, c->region)) {
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Functions from '%.*s' are not reachable in this region ('%s')",
                    (int)c->function.region.n, c->function.region.p, c->region);
        return false;
    }
    const struct function *f = lambda_find_function(c);
    if (!f || !lambda_find_number(c, f, &number))
        return false;
    snprintf(j->target, sizeof(j->target), "%s%s%.*s", f->name, c->function.qualifier.n ? ":" : "",
             (int)c->function.qualifier.n, c->function.qualifier.n ? c->function.qualifier.p : "");
    return true;
}

/* NULL: the exchange was ended. */
static struct job *job_new(struct lambda_call *c, enum kind kind, struct str target)
{
    struct job *j = calloc(1, sizeof(*j));
    if (!j) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    buf_init(&j->value, 0);
    buf_init(&j->json, ANSWER_MAX);
    j->x = c->x;
    j->kind = kind;
    memcpy(j->region, c->region, sizeof(j->region));
    memcpy(j->account, c->x->gateway->config->lambda_account, sizeof(j->account));
    j->task.run = run;
    j->task.done = on_done;
    if (take_target(c, j, target))
        return j;
    job_free(j);
    return NULL;
}

static void take_document(struct lambda_call *c, struct job *j)
{
    j->doc = c->doc;
    c->doc = NULL;
}

static void create(struct lambda_call *c)
{
    const char *source = json_get_text(c->body, "EventSourceArn");
    const struct json *own = json_get(c->body, "SelfManagedEventSource");
    if (!source && (!own || json_is_null(own))) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "Unrecognized event source.");
        return;
    }
    struct job *j = job_new(c, KIND_CREATE, str_from(json_get_text(c->body, "FunctionName")));
    if (!j)
        return;
    if (source && !str_copy(str_from(source), j->source, sizeof(j->source))) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "The event source's ARN is longer than %d bytes",
                    SOURCE_MAX - 1);
        job_free(j);
        return;
    }
    id_uuid(j->id);
    take_document(c, j);
    store_submit(c->x->gateway->store, &j->task);
}

static void submit_one(struct lambda_call *c, enum kind kind)
{
    const char *name = kind == KIND_UPDATE ? json_get_text(c->body, "FunctionName") : NULL;
    if (kind == KIND_UPDATE && !c->body) {
        lambda_fail(c->x, LAMBDA_INVALID_REQUEST_CONTENT, "Could not parse request body into json: it is empty");
        return;
    }
    struct job *j = job_new(c, kind, name ? str_from(name) : (struct str){0});
    if (!j)
        return;
    if (!str_copy(lambda_parameter(c, "UUID"), j->id, sizeof(j->id)))
        memcpy(j->id, "~", 2); /* so long is none */
    take_document(c, j);
    store_submit(c->x->gateway->store, &j->task);
}

static void get(struct lambda_call *c)
{
    submit_one(c, KIND_GET);
}

static void update(struct lambda_call *c)
{
    submit_one(c, KIND_UPDATE);
}

static void delete_mapping(struct lambda_call *c)
{
    submit_one(c, KIND_DELETE);
}

static void list(struct lambda_call *c)
{
    uint64_t most = PAGE;
    struct str marker = lambda_query(c, "Marker"), items = lambda_query(c, "MaxItems");
    struct str source = lambda_query(c, "EventSourceArn");
    struct job *j = job_new(c, KIND_LIST, lambda_query(c, "FunctionName"));
    if (!j)
        return;
    if (items.n)
        str_to_u64(items, &most);
    j->most = most < PAGE ? (unsigned)most : PAGE;
    if ((marker.n && (marker.n != ID_UUID_MAX - 1 || !str_copy(marker, j->id, sizeof(j->id)))) ||
        (source.n && !str_copy(source, j->source, sizeof(j->source)))) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The marker is none that this API gave: leave it out to start again");
        job_free(j);
        return;
    }
    store_submit(c->x->gateway->store, &j->task);
}

#define PATH "/2015-03-31/event-source-mappings"

const struct lambda_operation lambda_create_event_source = {
    .route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "CreateEventSourceMapping",
    .path = PATH,
    .run = create,
    .members = CREATE,
};

const struct lambda_operation lambda_get_event_source = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetEventSourceMapping",
    .path = PATH "/{UUID}",
    .run = get,
    .members = ONE,
};

const struct lambda_operation lambda_update_event_source = {
    .route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "UpdateEventSourceMapping",
    .path = PATH "/{UUID}",
    .run = update,
    .members = UPDATE,
};

const struct lambda_operation lambda_delete_event_source = {
    .route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "DeleteEventSourceMapping",
    .path = PATH "/{UUID}",
    .run = delete_mapping,
    .members = ONE,
};

const struct lambda_operation lambda_list_event_sources = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "ListEventSourceMappings",
    .path = PATH,
    .run = list,
    .members = LIST,
};
