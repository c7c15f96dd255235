/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_read.h"

#include "lambda/concurrency.h"
#include "lambda/configuration.h"
#include "lambda/function_members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MOST = 50 };

enum read_kind { READ_FUNCTION, READ_CONFIGURATION, READ_FUNCTIONS, READ_VERSIONS };

struct read {
    struct store_page page; /* first */
    enum read_kind kind;
    struct exchange *x;
    char region[LAMBDA_REGION_MAX];
    unsigned most; /* rows of the answer */
};

void lambda_fail_store(struct exchange *x, const struct err *e)
{
    bool later = e->code == EAGAIN || e->code == ENOMEM;
    if (e->code == ENOSPC || e->code == EDQUOT)
        lambda_fail(x, LAMBDA_CODE_STORAGE_EXCEEDED, "the host's disk is full: %s", e->text);
    else
        lambda_fail(x, later ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE, "%s", e->text);
}

/* ---- one ---- */

static void answer_function(const struct read *r, const struct configuration *c, struct json_writer *w)
{
    const struct function *f = registry_find(r->x->gateway->registry, str_from(r->page.function));
    struct str tags = buf_str(&r->page.tags);
    json_put_object(w, "Configuration");
    configuration_put(c, CONFIGURATION_SETTLED, w);
    json_put_object_end(w);
    json_put_object(w, "Code");
    json_put_text(w, "RepositoryType", "S3");
    json_put_object_end(w);
    if (tags.n > sizeof("{}") - 1)
        json_put_raw(w, "Tags", tags);
    if (f && f->limited) {
        json_put_object(w, "Concurrency");
        concurrency_put(f, w);
        json_put_object_end(w);
    }
}

static void answer_one(struct read *r)
{
    struct configuration c;
    struct exchange *x = r->x;
    const struct store_page *p = &r->page;
    if (!p->count || p->rows[0].shown != p->from_number) {
        lambda_fail(x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: arn:aws:lambda:%s:%s:function:%s", r->region,
                    x->gateway->config->lambda_account, p->function);
        return;
    }
    int error = configuration_open(&c, x->gateway->config, r->region, &p->rows[0]);
    if (error < 0) {
        lambda_fail(x, error == -ENOMEM ? LAMBDA_UNAVAILABLE : LAMBDA_SERVICE, "%s",
                    error == -ENOMEM ? "out of memory" : "what is stored of this function is damaged: deploy it again");
    } else {
        struct json_writer *w = lambda_reply_begin();
        c.hides_variables = !access_has(x, ACCESS_DEPLOY);
        if (r->kind == READ_FUNCTION)
            answer_function(r, &c, w);
        else
            configuration_put(&c, CONFIGURATION_SETTLED, w);
        lambda_reply_json(x, 200);
    }
    configuration_close(&c);
}

/* ---- many ---- */

/* A row that can't be read any more is left out of the list. */
static void put_row(const struct read *r, const struct store_page_row *row, struct json_writer *w)
{
    struct configuration c;
    if (configuration_open(&c, r->x->gateway->config, r->region, row) == 0) {
        c.hides_variables = !access_has(r->x, ACCESS_DEPLOY);
        json_put_object(w, NULL);
        configuration_put(&c, CONFIGURATION_SETTLED, w);
        json_put_object_end(w);
    }
    configuration_close(&c);
}

static void answer_list(struct read *r)
{
    char marker[SETTINGS_NAME_MAX + 24];
    const struct store_page *p = &r->page;
    struct json_writer *w = lambda_reply_begin();
    json_put_array(w, r->kind == READ_VERSIONS ? "Versions" : "Functions");
    for (unsigned i = 0; i < p->count && i < r->most; i++)
        put_row(r, &p->rows[i], w);
    json_put_array_end(w);
    if (p->count > r->most) {
        const struct store_page_row *next = &p->rows[r->most];
        snprintf(marker, sizeof(marker), "%s:%lu", next->revision.function, (unsigned long)next->shown);
        json_put_text(w, "NextMarker", marker);
    }
    lambda_reply_json(r->x, 200);
}

static void on_page(struct store_task *t)
{
    struct read *r = (struct read *)(void *)t;
    if (t->error.code)
        lambda_fail_store(r->x, &t->error);
    else if (r->kind == READ_FUNCTION || r->kind == READ_CONFIGURATION)
        answer_one(r);
    else
        answer_list(r);
    store_page_fini(&r->page);
    free(r);
}

static struct read *read_new(struct lambda_call *c, enum read_kind kind)
{
    struct read *r = calloc(1, sizeof(*r));
    if (!r) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    store_page_init(&r->page);
    r->page.task.done = on_page;
    r->kind = kind;
    r->x = c->x;
    memcpy(r->region, c->region, sizeof(r->region));
    return r;
}

static void get_one(struct lambda_call *c, enum read_kind kind)
{
    uint64_t number;
    struct function *f = lambda_find_function(c);
    struct read *r = f && lambda_find_number(c, f, &number) ? read_new(c, kind) : NULL;
    if (!r)
        return;
    memcpy(r->page.function, f->name, sizeof(r->page.function));
    memcpy(r->page.from, f->name, sizeof(r->page.from));
    r->page.from_number = number;
    r->page.most = 1;
    r->page.with_tags = kind == READ_FUNCTION;
    store_submit(c->x->gateway->store, &r->page.task);
}

static void get_function(struct lambda_call *c)
{
    get_one(c, READ_FUNCTION);
}

static void get_configuration(struct lambda_call *c)
{
    get_one(c, READ_CONFIGURATION);
}

/* "NAME:NUMBER". False: the exchange was ended. */
static bool take_page(struct lambda_call *c, struct read *r)
{
    uint64_t most = LIST_MOST;
    bool found;
    struct str marker = lambda_query(c, "Marker"), number, items = lambda_query(c, "MaxItems");
    if (items.n)
        str_to_u64(items, &most);
    r->most = most < LIST_MOST ? (unsigned)most : LIST_MOST;
    r->page.most = r->most + 1;
    if (!marker.n)
        return true;
    struct str name = str_cut(marker, ':', &number, &found);
    if (found && settings_name_is_valid(name) && str_to_u64(number, &r->page.from_number) &&
        r->page.from_number <= INT64_MAX && str_copy(name, r->page.from, sizeof(r->page.from)))
        return true;
    lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                "The marker is none that this API gave: leave it out to start again");
    return false;
}

static void list(struct lambda_call *c, enum read_kind kind, const struct function *f)
{
    struct read *r = read_new(c, kind);
    if (!r)
        return;
    if (f)
        memcpy(r->page.function, f->name, sizeof(r->page.function));
    else
        r->page.latest_only = !lambda_query(c, "FunctionVersion").n;
    if (!take_page(c, r)) {
        store_page_fini(&r->page);
        free(r);
        return;
    }
    store_submit(c->x->gateway->store, &r->page.task);
}

static void list_functions(struct lambda_call *c)
{
    list(c, READ_FUNCTIONS, NULL);
}

static void list_versions(struct lambda_call *c)
{
    struct function *f = lambda_find_named(c);
    if (f)
        list(c, READ_VERSIONS, f);
}

const struct lambda_operation lambda_get_function = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetFunction",
    .path = "/2015-03-31/functions/{FunctionName}",
    .run = get_function,
    .members = function_qualified_members,
};

const struct lambda_operation lambda_get_function_configuration = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetFunctionConfiguration",
    .path = "/2015-03-31/functions/{FunctionName}/configuration",
    .run = get_configuration,
    .members = function_qualified_members,
};

const struct lambda_operation lambda_list_functions = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "ListFunctions",
    .path = "/2015-03-31/functions",
    .run = list_functions,
    .members = function_list_members,
};

const struct lambda_operation lambda_list_versions = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "ListVersionsByFunction",
    .path = "/2015-03-31/functions/{FunctionName}/versions",
    .run = list_versions,
    .members = function_list_versions_members,
};
