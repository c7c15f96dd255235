/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/policy.h"

#include "base/log.h"
#include "codec/json.h"
#include "gateway/store_urls.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

static struct policy *table[BUCKETS];
static uint64_t seed; /* names are chosen by users */

static struct policy **bucket(const char *function)
{
    if (!seed)
        seed = id_random_u64() | 1;
    return &table[str_hash(str_from(function), seed) % BUCKETS];
}

/* ---- what a statement means ---- */

/* Every other condition asks for something that nobody without a signature can show. */
static bool conditions_allow_anybody(const struct json *conditions)
{
    const struct json *equals = json_get(conditions, "StringEquals");
    const char *auth = json_get_text(equals, "lambda:FunctionUrlAuthType");
    if (!conditions)
        return true;
    return json_count(conditions) == 1 && json_count(equals) == 1 && auth && strcmp(auth, "NONE") == 0;
}

static bool opens_url(const struct json *statement)
{
    const char *effect = json_get_text(statement, "Effect"), *principal = json_get_text(statement, "Principal");
    const char *action = json_get_text(statement, "Action");
    bool acts = action && (strcmp(action, "lambda:InvokeFunctionUrl") == 0 || strcmp(action, "lambda:*") == 0 ||
                           strcmp(action, "*") == 0);
    return acts && effect && strcmp(effect, "Allow") == 0 && principal && strcmp(principal, "*") == 0 &&
           conditions_allow_anybody(json_get(statement, "Condition"));
}

static bool any_opens_url(const char *statements)
{
    struct json_doc *doc;
    bool opens = false;
    if (json_parse(str_from(statements), JSON_STRICT, &doc, NULL) < 0)
        return false;
    JSON_EACH(json_root(doc), statement)
    opens = opens || opens_url(statement);
    json_free(doc);
    return opens;
}

/* ---- the table ---- */

struct policy *policy_new(const char *function, const char *qualifier, const char *revision, const char *statements)
{
    size_t function_n = strlen(function) + 1, qualifier_n = strlen(qualifier) + 1, n = strlen(statements) + 1;
    struct policy *p = calloc(1, sizeof(*p));
    char *text = malloc(function_n + qualifier_n + n);
    if (!p || !text || !str_copy(str_from(revision), p->revision, sizeof(p->revision))) {
        free(p);
        free(text);
        return NULL;
    }
    p->function = text;
    p->qualifier = text + function_n;
    p->statements = text + function_n + qualifier_n;
    memcpy(text, function, function_n);
    memcpy(text + function_n, qualifier, qualifier_n);
    memcpy(text + function_n + qualifier_n, statements, n);
    p->opens_url = any_opens_url(statements);
    return p;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    free(p->function);
    free(p);
}

const struct policy *policy_find(const char *function, const char *qualifier)
{
    const struct policy *p = *bucket(function);
    while (p && (strcmp(p->function, function) != 0 || strcmp(p->qualifier, qualifier) != 0))
        p = p->next;
    return p;
}

/* NULL: of any qualifier. */
static void remove_matching(const char *function, const char *qualifier)
{
    for (struct policy **at = bucket(function); *at;) {
        struct policy *p = *at;
        if (strcmp(p->function, function) != 0 || (qualifier && strcmp(p->qualifier, qualifier) != 0)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        policy_free(p);
    }
}

void policy_put(struct policy *p)
{
    struct policy **at = bucket(p->function);
    remove_matching(p->function, p->qualifier);
    p->next = *at;
    *at = p;
}

void policy_remove(const char *function, const char *qualifier)
{
    remove_matching(function, qualifier);
}

void policy_remove_function(const char *function)
{
    remove_matching(function, NULL);
}

/* ---- loading ---- */

struct loader {
    bool (*wanted)(const char *function, void *context);
    void *context;
};

static void on_row(const struct store_policy *row, void *context)
{
    const struct loader *l = context;
    if (!l->wanted(row->function, l->context))
        return;
    struct policy *p = policy_new(row->function, row->qualifier, row->revision, row->statements);
    if (p)
        policy_put(p);
    else
        log_error("a stored policy can't be used fn=%s", row->function);
}

int policy_load(struct store_db *db, bool (*wanted)(const char *function, void *context), void *context, struct err *e)
{
    struct loader l = {wanted, context};
    return store_policies_load(db, on_row, &l, e);
}
