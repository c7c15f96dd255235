/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/permission.h"

#include "gateway/store.h"
#include "gateway/store_urls.h"
#include "lambda/change_queue.h"
#include "lambda/policy.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SID_MAX = 101, PRINCIPAL_MAX = 1024 };

#define DOCUMENT_BEGIN "{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":"

/* ---- what they take ---- */

static const char *const AUTHS[] = {"NONE", "AWS_IAM", NULL};

static const struct lambda_member ADD[] = {
    LAMBDA_FUNCTION_NAME,
    LAMBDA_QUALIFIER,
    {.name = "StatementId",
     .required = true,
     .bounded = true,
     .min = 1,
     .max = SID_MAX - 1,
     .pattern = "([a-zA-Z0-9-_]+)"},
    {.name = "Action", .required = true, .pattern = "(lambda:[*]|lambda:[a-zA-Z]+|[*])"},
    {.name = "Principal", .required = true, .bounded = true, .max = PRINCIPAL_MAX, .pattern = "[^\\s]+"},
    {.name = "SourceArn",
     .pattern = "arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)"},
    {.name = "SourceAccount", .bounded = true, .max = 12, .pattern = "\\d{12}"},
    {.name = "EventSourceToken", .bounded = true, .max = 256, .pattern = "[a-zA-Z0-9._\\-]+"},
    {.name = "PrincipalOrgID", .bounded = true, .min = 12, .max = 34, .pattern = "^o-[a-z0-9]{10,32}$"},
    {.name = "FunctionUrlAuthType", .choices = AUTHS},
    {.name = "RevisionId"},
    {0},
};
static const struct lambda_member REMOVE[] = {
    LAMBDA_FUNCTION_NAME,
    LAMBDA_QUALIFIER,
    {.name = "StatementId",
     .in = LAMBDA_IN_PATH,
     .bounded = true,
     .min = 1,
     .max = SID_MAX - 1,
     .pattern = "([a-zA-Z0-9-_.]+)"},
    {0},
};
static const struct lambda_member GET[] = {LAMBDA_FUNCTION_NAME, LAMBDA_QUALIFIER, {0}};

/* ---- a statement, as AWS prints it ---- */

static bool is_account(const char *text)
{
    return strlen(text) == 12 && strspn(text, "0123456789") == 12;
}

static void put_principal(struct json_writer *w, const char *principal)
{
    char arn[64];
    if (strcmp(principal, "*") == 0) {
        json_put_text(w, "Principal", "*");
        return;
    }
    json_put_object(w, "Principal");
    if (is_account(principal)) {
        snprintf(arn, sizeof(arn), "arn:aws:iam::%s:root", principal);
        json_put_text(w, "AWS", arn);
    } else {
        json_put_text(w, strncmp(principal, "arn:", 4) == 0 ? "AWS" : "Service", principal);
    }
    json_put_object_end(w);
}

static void put_conditions(struct json_writer *w, const struct json *asked)
{
    static const struct {
        const char *member, *key;
    } equals[] = {{"SourceAccount", "AWS:SourceAccount"},
                  {"EventSourceToken", "lambda:EventSourceToken"},
                  {"PrincipalOrgID", "aws:PrincipalOrgID"},
                  {"FunctionUrlAuthType", "lambda:FunctionUrlAuthType"}};
    const char *source = json_get_text(asked, "SourceArn");
    bool any = false;
    for (size_t i = 0; i < sizeof(equals) / sizeof(equals[0]); i++)
        any = any || json_get_text(asked, equals[i].member);
    if (!any && !source)
        return;
    json_put_object(w, "Condition");
    if (any) {
        json_put_object(w, "StringEquals");
        for (size_t i = 0; i < sizeof(equals) / sizeof(equals[0]); i++)
            if (json_get_text(asked, equals[i].member))
                json_put_text(w, equals[i].key, json_get_text(asked, equals[i].member));
        json_put_object_end(w);
    }
    if (source) {
        json_put_object(w, "ArnLike");
        json_put_text(w, "AWS:SourceArn", source);
        json_put_object_end(w);
    }
    json_put_object_end(w);
}

static int print_statement(const struct json *asked, const char *arn, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    json_put_text(&w, "Sid", json_get_text(asked, "StatementId"));
    json_put_text(&w, "Effect", "Allow");
    put_principal(&w, json_get_text(asked, "Principal"));
    json_put_text(&w, "Action", json_get_text(asked, "Action"));
    json_put_text(&w, "Resource", arn);
    put_conditions(&w, asked);
    json_put_object_end(&w);
    return json_writer_end(&w);
}

/* ---- whose ---- */

/* The function; "" or what its qualifier is in *qualifier. NULL: the exchange was ended. */
static struct function *find_owner(struct lambda_call *c, char qualifier[VERSIONS_ALIAS_MAX])
{
    struct function *f = lambda_find_named(c);
    if (!f)
        return NULL;
    if (!str_copy(c->function.qualifier, qualifier, VERSIONS_ALIAS_MAX))
        qualifier[0] = '\0'; /* what was found has a name that fits */
    return f;
}

static void fail_no_policy(struct exchange *x)
{
    lambda_fail(x, LAMBDA_RESOURCE_NOT_FOUND, "No policy is associated with the given resource.");
}

static void get(struct lambda_call *c)
{
    char qualifier[VERSIONS_ALIAS_MAX];
    const struct function *f = find_owner(c, qualifier);
    const struct policy *p = f ? policy_find(f->name, qualifier) : NULL;
    struct buf text;
    if (!f)
        return;
    if (!p) {
        fail_no_policy(c->x);
        return;
    }
    buf_init(&text, 0);
    int r = buf_addf(&text, DOCUMENT_BEGIN "%s}", p->statements);
    if (r < 0) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
    } else {
        struct json_writer *w = lambda_reply_begin();
        json_put_str(w, "Policy", buf_str(&text));
        json_put_text(w, "RevisionId", p->revision);
        lambda_reply_json(c->x, 200);
    }
    buf_fini(&text);
}

/* ---- changes ---- */

/* One at a time: turn, then the store, then the table and the answer. */
struct change {
    struct store_task task; /* first */
    struct queued_change turn;
    struct exchange *x;
    char function[SETTINGS_NAME_MAX];
    char qualifier[VERSIONS_ALIAS_MAX];
    char sid[SID_MAX];
    char revision[ID_UUID_MAX]; /* that the policy must have; "" = any */
    struct buf statement;       /* what is added; empty: the statement `sid` is removed */
    struct policy *policy;      /* owned: as it will be; NULL: it goes with its last statement */
};

static void finish(struct change *c)
{
    change_queue_leave(&c->turn);
    policy_free(c->policy);
    buf_fini(&c->statement);
    free(c);
}

static void store(struct store_task *t, struct store_db *db)
{
    struct change *c = (struct change *)(void *)t;
    if (!c->policy) {
        store_policies_remove(db, c->function, c->qualifier, &t->error);
        return;
    }
    const struct store_policy row = {.function = c->function,
                                     .qualifier = c->qualifier,
                                     .revision = c->policy->revision,
                                     .statements = c->policy->statements};
    store_policies_put(db, &row, &t->error);
}

static void on_stored(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    const struct err *e = &t->error;
    if (e->code) {
        lambda_fail(c->x, e->code == EAGAIN || e->code == ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE, "%s", e->text);
        finish(c);
        return;
    }
    if (!c->policy) {
        policy_remove(c->function, c->qualifier);
    } else if (registry_find(c->x->gateway->registry, str_from(c->function))) {
        policy_put(c->policy);
        c->policy = NULL;
    }
    if (c->statement.len) {
        json_put_str(lambda_reply_begin(), "Statement", buf_str(&c->statement));
        lambda_reply_json(c->x, 201);
    } else {
        lambda_reply_empty(c->x, 204);
    }
    finish(c);
}

/* The statements as they will be. *ret_found: one of them has the Sid; it is left out. *ret_count: those that stay. */
static int print_others(const struct policy *p, const char *sid, struct buf *out, bool *ret_found, size_t *ret_count)
{
    struct json_doc *doc;
    struct json_writer w;
    *ret_found = false;
    *ret_count = 0;
    int r = p ? json_parse(str_from(p->statements), JSON_STRICT, &doc, NULL) : 0;
    if (r < 0 || !p)
        return r;
    JSON_EACH(json_root(doc), statement)
    {
        const char *at = json_get_text(statement, "Sid");
        if (at && strcmp(at, sid) == 0) {
            *ret_found = true;
            continue;
        }
        if ((*ret_count)++ && r == 0)
            r = buf_add(out, ",", 1);
        json_writer_init(&w, out);
        json_put_value(&w, NULL, statement);
        if (r == 0)
            r = json_writer_end(&w);
    }
    json_free(doc);
    return r;
}

/* Makes c->policy. False: the exchange was ended. */
static bool prepare(struct change *c, const struct policy *before)
{
    struct buf text;
    bool found = false, adds = c->statement.len > 0;
    size_t count = 0;
    char revision[ID_UUID_MAX];
    buf_init(&text, 0);
    int r = buf_add(&text, "[", 1);
    if (r == 0)
        r = print_others(before, c->sid, &text, &found, &count);
    if (r == 0 && adds && count)
        r = buf_add(&text, ",", 1);
    if (r == 0 && adds)
        r = buf_add_str(&text, buf_str(&c->statement));
    if (r == 0)
        r = buf_add(&text, "]", 2);
    size_t size = sizeof(DOCUMENT_BEGIN) - 1 + text.len;
    id_uuid(revision);
    bool good = false;
    if (r < 0) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
    } else if (adds && found) {
        lambda_fail(c->x, LAMBDA_RESOURCE_CONFLICT,
                    "The statement id (%s) provided already exists. Please provide a new statement id, or remove the "
                    "existing statement.",
                    c->sid);
    } else if (!adds && !found) {
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Statement %s is not found in resource policy.", c->sid);
    } else if (adds && size > POLICY_BYTES_MAX) {
        lambda_fail(c->x, LAMBDA_POLICY_LENGTH_EXCEEDED, "The final policy size (%zu) is bigger than the limit (%d).",
                    size, POLICY_BYTES_MAX);
    } else if (adds || count) {
        c->policy = policy_new(c->function, c->qualifier, revision, text.data);
        good = c->policy != NULL;
        if (!good)
            lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
    } else {
        good = true;
    }
    buf_fini(&text);
    return good;
}

static void begin(struct queued_change *t)
{
    struct change *c = LIST_ENTRY(t, struct change, turn);
    const struct policy *before = policy_find(c->function, c->qualifier);
    if (!before && !c->statement.len) {
        fail_no_policy(c->x);
    } else if (c->revision[0] && (!before || strcmp(before->revision, c->revision) != 0)) {
        lambda_fail(c->x, LAMBDA_PRECONDITION_FAILED,
                    "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to "
                    "retrieve the latest Revision Id");
    } else if (prepare(c, before)) {
        c->task.run = store;
        c->task.done = on_stored;
        store_submit(c->x->gateway->store, &c->task);
        return;
    }
    finish(c);
}

struct asked {
    struct str sid, revision;
};

/* NULL: the exchange was ended. */
static struct change *change_new(struct lambda_call *call, const struct function *f, const char *qualifier,
                                 const struct asked *a)
{
    struct change *c = calloc(1, sizeof(*c));
    if (!c) {
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    buf_init(&c->statement, POLICY_BYTES_MAX);
    c->x = call->x;
    memcpy(c->function, f->name, sizeof(c->function));
    memcpy(c->qualifier, qualifier, sizeof(c->qualifier));
    str_copy(a->sid, c->sid, sizeof(c->sid)); /* checked */
    if (a->revision.n && !str_copy(a->revision, c->revision, sizeof(c->revision)))
        memcpy(c->revision, "-", 2); /* so long is no revision */
    c->turn.begin = begin;
    return c;
}

static void add(struct lambda_call *call)
{
    char qualifier[VERSIONS_ALIAS_MAX], arn[LAMBDA_ARN_MAX];
    const struct function *f = find_owner(call, qualifier);
    const struct asked a = {.sid = str_from(json_get_text(call->body, "StatementId")),
                            .revision = str_from(json_get_text(call->body, "RevisionId"))};
    struct change *c = f ? change_new(call, f, qualifier, &a) : NULL;
    if (!c)
        return;
    int r = print_statement(call->body, lambda_arn(call, f->name, str_from(qualifier), arn), &c->statement);
    if (r == 0) {
        change_queue_enter(&c->turn);
        return;
    }
    if (r == -EMSGSIZE)
        lambda_fail(call->x, LAMBDA_POLICY_LENGTH_EXCEEDED, "The final policy size is bigger than the limit (%d).",
                    POLICY_BYTES_MAX);
    else
        lambda_fail(call->x, LAMBDA_UNAVAILABLE, "out of memory");
    buf_fini(&c->statement);
    free(c);
}

static void remove_permission(struct lambda_call *call)
{
    char qualifier[VERSIONS_ALIAS_MAX];
    const struct function *f = find_owner(call, qualifier);
    const struct asked a = {.sid = lambda_parameter(call, "StatementId"), .revision = lambda_query(call, "RevisionId")};
    struct change *c = f ? change_new(call, f, qualifier, &a) : NULL;
    if (c)
        change_queue_enter(&c->turn);
}

#define PATH "/2015-03-31/functions/{FunctionName}/policy"

const struct lambda_operation lambda_add_permission = {.route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                       .name = "AddPermission",
                                                       .path = PATH,
                                                       .run = add,
                                                       .members = ADD};
const struct lambda_operation lambda_remove_permission = {.route =
                                                              LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                          .name = "RemovePermission",
                                                          .path = PATH "/{StatementId}",
                                                          .run = remove_permission,
                                                          .members = REMOVE};
const struct lambda_operation lambda_get_policy = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                   .name = "GetPolicy",
                                                   .path = PATH,
                                                   .run = get,
                                                   .members = GET};
