/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of layers' versions: kept and told. Who may use a layer here is who may deploy. A change reads and writes in one task, so no two of them meet. */
#include "base/id.h"
#include "gateway/store.h"
#include "lambda/function_read.h"
#include "lambda/layer.h"
#include "lambda/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SID_MAX = 101 };
enum outcome {
    OUTCOME_FINE,
    OUTCOME_NO_LAYER,
    OUTCOME_NO_POLICY,
    OUTCOME_NO_STATEMENT,
    OUTCOME_CONFLICT,
    OUTCOME_STALE,
    OUTCOME_TOO_LONG
};

struct change {
    struct store_task task; /* first */
    struct exchange *x;     /* to be ended */
    struct layer_name name;
    bool reads;                 /* nothing is changed */
    char sid[SID_MAX];          /* of the statement that is added or removed */
    struct buf statement;       /* what is added; empty: it is removed */
    char expected[ID_UUID_MAX]; /* the revision that it must have; "" = any */
    enum outcome outcome;
    struct buf before, after;   /* JSON arrays */
    char revision[ID_UUID_MAX]; /* that it has, in the end */
    char fresh[ID_UUID_MAX];
};

static void change_free(struct change *c)
{
    buf_fini(&c->statement);
    buf_fini(&c->before);
    buf_fini(&c->after);
    free(c);
}

/* ---- on the store's thread ---- */

static int keep_row(const struct store_layer *row, void *context)
{
    struct change *c = context;
    str_copy(str_from(row->policy_revision), c->revision, sizeof(c->revision));
    return buf_add_text(&c->before, row->policy);
}

/* The statements but that of the Sid, and the one that is added. */
static int print_after(struct change *c, bool *ret_found, size_t *ret_count)
{
    struct json_doc *doc = NULL;
    struct json_writer w;
    int r = c->before.len ? json_parse(buf_str(&c->before), JSON_STRICT, &doc, NULL) : 0;
    if (r < 0)
        return r;
    json_writer_init(&w, &c->after);
    json_put_array(&w, NULL);
    if (doc) {
        JSON_EACH(json_root(doc), at)
        {
            const char *sid = json_get_text(at, "Sid");
            bool same = sid && strcmp(sid, c->sid) == 0;
            *ret_found = *ret_found || same;
            if (!same) {
                json_put_value(&w, NULL, at);
                ++*ret_count;
            }
        }
    }
    if (c->statement.len)
        json_put_raw(&w, NULL, buf_str(&c->statement));
    json_put_array_end(&w);
    json_free(doc);
    r = json_writer_end(&w);
    return r < 0 ? r : buf_add(&c->after, "", 1);
}

static enum outcome judge(const struct change *c, bool found)
{
    if (c->expected[0] && strcmp(c->expected, c->revision) != 0)
        return OUTCOME_STALE;
    if (c->statement.len)
        return found ? OUTCOME_CONFLICT : c->after.len > POLICY_BYTES_MAX ? OUTCOME_TOO_LONG : OUTCOME_FINE;
    return found ? OUTCOME_FINE : c->before.len ? OUTCOME_NO_STATEMENT : OUTCOME_NO_POLICY;
}

static void run(struct store_task *t, struct store_db *db)
{
    struct change *c = (struct change *)(void *)t;
    bool found = false;
    size_t others = 0;
    if (store_layers_read(db, c->name.name, c->name.number, keep_row, c, &t->error) < 0) {
        c->outcome = OUTCOME_NO_LAYER;
        return;
    }
    if (c->reads) {
        c->outcome = c->before.len ? OUTCOME_FINE : OUTCOME_NO_POLICY;
        return;
    }
    int r = print_after(c, &found, &others);
    if (r < 0) {
        err_set(&t->error, -r, "change the policy");
        return;
    }
    c->outcome = judge(c, found);
    if (c->outcome != OUTCOME_FINE)
        return;
    bool stays = c->statement.len || others;
    memcpy(c->revision, c->fresh, sizeof(c->revision));
    const struct store_layer row = {.name = c->name.name,
                                    .number = c->name.number,
                                    .policy = stays ? c->after.data : "",
                                    .policy_revision = stays ? c->revision : ""};
    store_layers_set_policy(db, &row, &t->error);
}

/* ---- answers ---- */

static void answer(struct change *c)
{
    struct buf text;
    if (!c->reads && !c->statement.len) {
        lambda_reply_empty(c->x, 204);
        return;
    }
    buf_init(&text, 0);
    int r = c->reads ? buf_addf(&text, "{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":%.*s}",
                                (int)c->before.len, c->before.data)
                     : 0;
    if (r < 0) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
    } else {
        struct json_writer *w = lambda_reply_begin();
        json_put_str(w, c->reads ? "Policy" : "Statement", buf_str(c->reads ? &text : &c->statement));
        json_put_text(w, "RevisionId", c->revision);
        lambda_reply_json(c->x, c->reads ? 200 : 201);
    }
    buf_fini(&text);
}

static void refuse(struct change *c)
{
    switch (c->outcome) {
    case OUTCOME_NO_LAYER:
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
        break;
    case OUTCOME_NO_POLICY:
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "No policy is associated with the given resource.");
        break;
    case OUTCOME_NO_STATEMENT:
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Statement %s is not found in resource policy.", c->sid);
        break;
    case OUTCOME_CONFLICT:
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT,
                    "The statement id (%s) provided already exists. Please provide a new statement id, or remove the "
                    "existing statement.",
                    c->sid);
        break;
    case OUTCOME_STALE:
        lambda_fail(c->x, LAMBDA_PRECONDITION_FAILED,
                    "The Revision Id provided does not match the latest Revision Id. Call the GetLayerVersionPolicy "
                    "API to retrieve the latest Revision Id");
        break;
    case OUTCOME_TOO_LONG:
        lambda_fail(c->x, LAMBDA_POLICY_LENGTH_EXCEEDED, "The final policy size (%zu) is bigger than the limit (%d).",
                    c->after.len, POLICY_BYTES_MAX);
        break;
    case OUTCOME_FINE:
        answer(c);
        break;
    }
}

static void on_done(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    if (t->error.code && t->error.code != ENOENT)
        lambda_fail_store(c->x, &t->error);
    else
        refuse(c);
    change_free(c);
}

/* ---- operations ---- */

/* NULL: the exchange was ended. */
static struct change *change_new(struct lambda_call *call, struct str sid)
{
    struct layer_name name;
    struct str revision = lambda_query(call, "RevisionId");
    if (!layer_take_name(call, &name)) {
        lambda_fail(call->x, LAMBDA_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
        return NULL;
    }
    struct change *c = calloc(1, sizeof(*c));
    if (!c) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    buf_init(&c->statement, POLICY_BYTES_MAX);
    buf_init(&c->before, 0);
    buf_init(&c->after, 0);
    id_uuid(c->fresh);
    c->x = call->x;
    c->name = name;
    str_copy(sid, c->sid, sizeof(c->sid)); /* checked */
    if (revision.n && !str_copy(revision, c->expected, sizeof(c->expected)))
        memcpy(c->expected, "-", 2); /* so long is no revision */
    c->task.run = run;
    c->task.done = on_done;
    return c;
}

static int print_statement(struct change *c, const struct lambda_call *call)
{
    char arn[LAYER_ARN_MAX], root[64];
    struct layer_place place;
    struct json_writer w;
    const char *principal = json_get_text(call->body, "Principal");
    const char *organization = json_get_text(call->body, "OrganizationId");
    layer_place_of(call, &place);
    snprintf(root, sizeof(root),
             strncmp(principal, "arn:", 4) == 0 || *principal == '*' ? "%s" : "arn:aws:iam::%s:root", principal);
    json_writer_init(&w, &c->statement);
    json_put_object(&w, NULL);
    json_put_text(&w, "Sid", c->sid);
    json_put_text(&w, "Effect", "Allow");
    if (*principal == '*') {
        json_put_text(&w, "Principal", "*");
    } else {
        json_put_object(&w, "Principal");
        json_put_text(&w, "AWS", root);
        json_put_object_end(&w);
    }
    json_put_text(&w, "Action", json_get_text(call->body, "Action"));
    json_put_text(&w, "Resource", layer_name_print(place.region, place.account, c->name.name, c->name.number, arn));
    if (organization) {
        json_put_object(&w, "Condition");
        json_put_object(&w, "StringEquals");
        json_put_text(&w, "aws:PrincipalOrgID", organization);
        json_put_object_end(&w);
        json_put_object_end(&w);
    }
    json_put_object_end(&w);
    return json_writer_end(&w);
}

static void add(struct lambda_call *call)
{
    struct change *c = change_new(call, str_from(json_get_text(call->body, "StatementId")));
    if (!c)
        return;
    if (print_statement(c, call) < 0) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        change_free(c);
        return;
    }
    store_submit(call->x->gateway->store, &c->task);
}

static void remove_statement(struct lambda_call *call)
{
    struct change *c = change_new(call, lambda_parameter(call, "StatementId"));
    if (c)
        store_submit(call->x->gateway->store, &c->task);
}

static void get(struct lambda_call *call)
{
    struct change *c = change_new(call, STR_LITERAL(""));
    if (!c)
        return;
    c->reads = true;
    store_submit(call->x->gateway->store, &c->task);
}

static const struct lambda_member GET[] = {LAYER_NAME_MEMBER, LAYER_NUMBER_MEMBER, {0}};
static const struct lambda_member ADD[] = {
    LAYER_NAME_MEMBER,
    LAYER_NUMBER_MEMBER,
    {.name = "StatementId",
     .required = true,
     .bounded = true,
     .min = 1,
     .max = SID_MAX - 1,
     .pattern = "([a-zA-Z0-9-_]+)"},
    {.name = "Action", .required = true, .bounded = true, .max = 22, .pattern = "lambda:GetLayerVersion"},
    {.name = "Principal",
     .required = true,
     .pattern = "\\d{12}|\\*|arn:(aws[a-zA-Z-]*):iam::\\d{12}:root",
     .ere = "[0-9]{12}|[*]|arn:(aws[a-zA-Z-]*):iam::[0-9]{12}:root"},
    {.name = "OrganizationId", .bounded = true, .max = 34, .pattern = "o-[a-z0-9]{10,32}"},
    {.name = "RevisionId", .in = LAMBDA_IN_QUERY},
    {0},
};
static const struct lambda_member REMOVE[] = {
    LAYER_NAME_MEMBER,
    LAYER_NUMBER_MEMBER,
    {.name = "StatementId",
     .in = LAMBDA_IN_PATH,
     .bounded = true,
     .min = 1,
     .max = SID_MAX - 1,
     .pattern = "([a-zA-Z0-9-_]+)"},
    {.name = "RevisionId", .in = LAMBDA_IN_QUERY},
    {0},
};

#define PATH LAYER_VERSION_PATH "/policy"

const struct lambda_operation lambda_get_layer_version_policy = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetLayerVersionPolicy",
    .path = PATH,
    .run = get,
    .members = GET,
};

const struct lambda_operation lambda_add_layer_version_permission = {
    .route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "AddLayerVersionPermission",
    .path = PATH,
    .run = add,
    .members = ADD,
};

const struct lambda_operation lambda_remove_layer_version_permission = {
    .route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "RemoveLayerVersionPermission",
    .path = PATH "/{StatementId}",
    .run = remove_statement,
    .members = REMOVE,
};
