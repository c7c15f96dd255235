/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_option.h"

#include "gateway/store.h"
#include "gateway/store_options.h"
#include "lambda/function_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is kept, and what it is where nothing was set. */
struct option {
    const char *kind;
    const char *const *members; /* NULL-ended */
    const char *preset;
    const char *whole; /* why there is none of a version or alias; NULL: there is */
    bool of_arn;       /* the answer names the function */
};

static const char *const RUNTIME_MEMBERS[] = {"UpdateRuntimeOn", "RuntimeVersionArn", NULL};
static const char *const RECURSION_MEMBERS[] = {"RecursiveLoop", NULL};
static const struct option RUNTIME = {
    .kind = "runtime", .members = RUNTIME_MEMBERS, .preset = "{\"UpdateRuntimeOn\":\"Auto\"}", .of_arn = true};
static const struct option RECURSION = {.kind = "recursion",
                                        .members = RECURSION_MEMBERS,
                                        .preset = "{\"RecursiveLoop\":\"Terminate\"}",
                                        .whole = "Recursion is watched of a function as a whole"};

struct job {
    struct store_task task; /* first */
    struct exchange *x;     /* to be ended */
    const struct option *option;
    bool puts;
    char function[SETTINGS_NAME_MAX];
    char qualifier[VERSIONS_ALIAS_MAX]; /* "" = $LATEST */
    char arn[LAMBDA_ARN_MAX];
    struct buf value;
};

static void run(struct store_task *t, struct store_db *db)
{
    struct job *j = (struct job *)(void *)t;
    const struct store_option o = {.function = j->function, .kind = j->option->kind, .qualifier = j->qualifier};
    if (j->puts)
        store_options_put(db, &o, buf_str(&j->value), &t->error);
    else
        store_options_get(db, &o, &j->value, &t->error);
}

static void answer(struct job *j)
{
    struct json_doc *doc = NULL;
    struct str value = j->value.len ? buf_str(&j->value) : str_from(j->option->preset);
    if (json_parse(value, JSON_STRICT, &doc, NULL) < 0) {
        lambda_fail(j->x, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    struct json_writer *w = lambda_reply_begin();
    for (const char *const *name = j->option->members; *name; name++)
        if (json_get(json_root(doc), *name))
            json_put_value(w, *name, json_get(json_root(doc), *name));
    if (j->option->of_arn)
        json_put_text(w, "FunctionArn", j->arn);
    lambda_reply_json(j->x, 200);
    json_free(doc);
}

static void on_done(struct store_task *t)
{
    struct job *j = (struct job *)(void *)t;
    if (t->error.code)
        lambda_fail_store(j->x, &t->error);
    else
        answer(j);
    buf_fini(&j->value);
    free(j);
}

static int print_value(const struct option *o, const struct json *asked, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    for (const char *const *name = o->members; *name; name++) {
        const struct json *value = json_get(asked, *name);
        if (value && !json_is_null(value))
            json_put_value(&w, *name, value);
    }
    json_put_object_end(&w);
    return json_writer_end(&w);
}

static void submit(struct lambda_call *c, const struct option *o, bool puts)
{
    const struct function *f = o->whole ? lambda_find_whole(c, o->whole) : lambda_find_named(c);
    if (!f)
        return;
    struct job *j = calloc(1, sizeof(*j));
    if (!j) {
        lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return;
    }
    buf_init(&j->value, 0);
    j->x = c->x;
    j->option = o;
    j->puts = puts;
    memcpy(j->function, f->name, sizeof(j->function));
    if (!str_is(c->function.qualifier, "$LATEST"))
        str_copy(c->function.qualifier, j->qualifier, sizeof(j->qualifier)); /* what was found has a name that fits */
    lambda_arn(c, f->name, c->function.qualifier, j->arn);
    j->task.run = run;
    j->task.done = on_done;
    if (!puts || print_value(o, c->body, &j->value) == 0) {
        store_submit(c->x->gateway->store, &j->task);
        return;
    }
    lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
    buf_fini(&j->value);
    free(j);
}

static void put_runtime(struct lambda_call *c)
{
    const char *on = json_get_text(c->body, "UpdateRuntimeOn");
    const char *version = json_get_text(c->body, "RuntimeVersionArn");
    if (on && (strcmp(on, "Manual") == 0) != (version != NULL))
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    version ? "RuntimeVersionArn can be given with UpdateRuntimeOn Manual alone."
                            : "UpdateRuntimeOn Manual needs a RuntimeVersionArn.");
    else
        submit(c, &RUNTIME, true);
}

static void get_runtime(struct lambda_call *c)
{
    submit(c, &RUNTIME, false);
}

static void put_recursion(struct lambda_call *c)
{
    submit(c, &RECURSION, true);
}

static void get_recursion(struct lambda_call *c)
{
    submit(c, &RECURSION, false);
}

/* ---- code signing ---- */

static const char SIGNED_WHOLE[] = "Code is signed for a function as a whole";

static void put_code_signing(struct lambda_call *c)
{
    if (lambda_find_whole(c, SIGNED_WHOLE))
        lambda_fail(c->x, LAMBDA_CODE_SIGNING_CONFIG_NOT_FOUND,
                    "The code signing configuration cannot be found. This host has none.");
}

static void get_code_signing(struct lambda_call *c)
{
    const struct function *f = lambda_find_whole(c, SIGNED_WHOLE);
    if (!f)
        return;
    struct json_writer *w = lambda_reply_begin();
    json_put_text(w, "CodeSigningConfigArn", "");
    json_put_text(w, "FunctionName", f->name);
    lambda_reply_json(c->x, 200);
}

static void delete_code_signing(struct lambda_call *c)
{
    if (lambda_find_whole(c, SIGNED_WHOLE))
        lambda_reply_empty(c->x, 204);
}

/* ---- rows ---- */

static const char *const UPDATES[] = {"Auto", "Manual", "FunctionUpdate", NULL};
static const char *const LOOPS[] = {"Allow", "Terminate", NULL};

static const struct lambda_member PUT_RUNTIME[] = {
    LAMBDA_FUNCTION_NAME,
    LAMBDA_QUALIFIER,
    {.name = "UpdateRuntimeOn", .required = true, .choices = UPDATES},
    {.name = "RuntimeVersionArn",
     .bounded = true,
     .min = 26,
     .max = 2048,
     .pattern = "^arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\\d{1}::runtime:.+$",
     .ere = "arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-[0-9]::runtime:.+"},
    {0},
};
static const struct lambda_member QUALIFIED[] = {LAMBDA_FUNCTION_NAME, LAMBDA_QUALIFIER, {0}};
static const struct lambda_member NAMED[] = {LAMBDA_FUNCTION_NAME, {0}};
static const struct lambda_member PUT_RECURSION[] = {
    LAMBDA_FUNCTION_NAME, {.name = "RecursiveLoop", .required = true, .choices = LOOPS}, {0}};
static const struct lambda_member PUT_SIGNING[] = {
    LAMBDA_FUNCTION_NAME,
    {.name = "CodeSigningConfigArn",
     .required = true,
     .bounded = true,
     .max = 200,
     .pattern = "arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\\d{1}:\\d{12}:code-signing-config:"
                "csc-[a-z0-9]{17}",
     .ere = "arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-[0-9]:[0-9]{12}:code-signing-config:"
            "csc-[a-z0-9]{17}"},
    {0},
};

#define RUNTIME_PATH   "/2021-07-20/functions/{FunctionName}/runtime-management-config"
#define RECURSION_PATH "/2024-08-31/functions/{FunctionName}/recursion-config"
#define SIGNING_PATH   "/2020-06-30/functions/{FunctionName}/code-signing-config"

const struct lambda_operation lambda_put_runtime_management = {
    .route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "PutRuntimeManagementConfig",
    .path = RUNTIME_PATH,
    .run = put_runtime,
    .members = PUT_RUNTIME,
};

const struct lambda_operation lambda_get_runtime_management = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetRuntimeManagementConfig",
    .path = RUNTIME_PATH,
    .run = get_runtime,
    .members = QUALIFIED,
};

const struct lambda_operation lambda_put_recursion = {
    .route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "PutFunctionRecursionConfig",
    .path = RECURSION_PATH,
    .run = put_recursion,
    .members = PUT_RECURSION,
};

const struct lambda_operation lambda_get_recursion = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetFunctionRecursionConfig",
    .path = RECURSION_PATH,
    .run = get_recursion,
    .members = NAMED,
};

const struct lambda_operation lambda_put_code_signing = {
    .route = LAMBDA_ROUTE("PUT", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "PutFunctionCodeSigningConfig",
    .path = SIGNING_PATH,
    .run = put_code_signing,
    .members = PUT_SIGNING,
};

const struct lambda_operation lambda_get_code_signing = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetFunctionCodeSigningConfig",
    .path = SIGNING_PATH,
    .run = get_code_signing,
    .members = NAMED,
};

const struct lambda_operation lambda_delete_code_signing = {
    .route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
    .name = "DeleteFunctionCodeSigningConfig",
    .path = SIGNING_PATH,
    .run = delete_code_signing,
    .members = NAMED,
};
