/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/tag.h"

#include "gateway/store.h"
#include "gateway/store_controls.h"
#include "lambda/function_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_MAX = 128, VALUE_MAX = 256 /* characters */, KEY_BYTES = 4 * KEY_MAX + 1 };

#define ARN                                                                                                            \
    {                                                                                                                  \
        .name = "ARN", .in = LAMBDA_IN_PATH, .bounded = true, .min = 1, .max = 256,                                    \
        .pattern = "arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}(-gov)?-[a-z]+-\\d{1}:\\d{12}:function:[a-zA-Z0-9-_]+(:("      \
                   "\\$LATEST|[a-zA-Z0-9-_]+))?",                                                                      \
        .ere = "arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}(-gov)?-[a-z]+-[0-9]:[0-9]{12}:function:[a-zA-Z0-9_-]+(:("         \
               "\\$LATEST|[a-zA-Z0-9_-]+))?",                                                                          \
        .shown = "resource"                                                                                            \
    }

static const struct lambda_member VALUE[] = {{.name = ".*", .type = LAMBDA_STRING}, {0}};
static const struct lambda_member TAG[] = {
    ARN, {.name = "Tags", .type = LAMBDA_MAP, .required = true, .members = VALUE}, {0}};
static const struct lambda_member NAMED[] = {ARN, {0}};

/* ---- what a tag may be ---- */

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static bool key_is_fine(const char *key, char fault[TAG_FAULT_MAX])
{
    size_t n = characters(key);
    if (n == 0 || n > KEY_MAX)
        snprintf(fault, TAG_FAULT_MAX, "The tag key '%.200s' has %zu characters: 1 to %d are allowed", key, n, KEY_MAX);
    else if (strncasecmp(key, "aws:", 4) == 0)
        snprintf(fault, TAG_FAULT_MAX, "aws: prefixed tag key names are not allowed for external use.");
    else
        return true;
    return false;
}

bool tags_check(const struct json *tags, char fault[TAG_FAULT_MAX])
{
    if (json_count(tags) > STORE_TAGS_MAX) {
        snprintf(fault, TAG_FAULT_MAX, "Number of tags exceeds resource tag limit. (%d)", STORE_TAGS_MAX);
        return false;
    }
    JSON_EACH(tags, tag)
    {
        if (!key_is_fine(json_key(tag), fault))
            return false;
        if (characters(json_text(tag)) > VALUE_MAX) {
            snprintf(fault, TAG_FAULT_MAX, "The value of the tag '%.200s' has more than %d characters", json_key(tag),
                     VALUE_MAX);
            return false;
        }
    }
    return true;
}

/* ---- the store ---- */

struct work {
    struct store_task task; /* first */
    struct exchange *x;
    char function[SETTINGS_NAME_MAX];
    char arn[LAMBDA_ARN_MAX];
    struct buf text; /* the patch, or what was read */
    bool reads;
};

static void run(struct store_task *t, struct store_db *db)
{
    struct work *k = (struct work *)(void *)t;
    if (k->reads)
        store_tags_read(db, k->function, &k->text, &t->error);
    else
        store_tags_patch(db, k->function, buf_str(&k->text), &t->error);
}

static void work_free(struct work *k)
{
    buf_fini(&k->text);
    free(k);
}

static void on_done(struct store_task *t)
{
    struct work *k = (struct work *)(void *)t;
    if (t->error.code == ENOENT) {
        lambda_fail(k->x, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %s", k->arn);
    } else if (t->error.code == E2BIG) {
        lambda_fail(k->x, LAMBDA_INVALID_PARAMETER_VALUE, "Number of tags exceeds resource tag limit. (%d)",
                    STORE_TAGS_MAX);
    } else if (t->error.code) {
        lambda_fail_store(k->x, &t->error);
    } else if (k->reads) {
        json_put_raw(lambda_reply_begin(), "Tags", buf_str(&k->text));
        lambda_reply_json(k->x, 200);
    } else {
        lambda_reply_empty(k->x, 204);
    }
    work_free(k);
}

/* NULL: the exchange was ended. */
static struct work *work_new(struct lambda_call *c)
{
    struct str resource = lambda_parameter(c, "ARN");
    lambda_name_parse(resource, &c->function); /* checked */
    const struct lambda_name *n = &c->function;
    if (!c->x->region.n) /* nobody signed for another */
        str_copy(n->region, c->region, sizeof(c->region));
    if (!str_is(n->region, c->region)) {
        lambda_fail(c->x, LAMBDA_RESOURCE_NOT_FOUND, "Functions from '%.*s' are not reachable in this region ('%s')",
                    (int)n->region.n, n->region.p, c->region);
        return NULL;
    }
    if (n->qualifier.n) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Tags on function aliases and versions are not supported. Please specify a function ARN.");
        return NULL;
    }
    const struct function *f = lambda_find_function(c);
    struct work *k = f ? calloc(1, sizeof(*k)) : NULL;
    if (!k) {
        if (f)
            lambda_fail(c->x, LAMBDA_UNAVAILABLE, "out of memory");
        return NULL;
    }
    buf_init(&k->text, 0);
    k->x = c->x;
    memcpy(k->function, f->name, sizeof(k->function));
    lambda_arn(c, f->name, (struct str){0}, k->arn);
    k->task.run = run;
    k->task.done = on_done;
    return k;
}

static void submit(struct work *k, int error)
{
    if (error == 0) {
        store_submit(k->x->gateway->store, &k->task);
        return;
    }
    lambda_fail(k->x, LAMBDA_UNAVAILABLE, "out of memory");
    work_free(k);
}

/* ---- the operations ---- */

static void list(struct lambda_call *c)
{
    struct work *k = work_new(c);
    if (!k)
        return;
    k->reads = true;
    submit(k, 0);
}

static void tag(struct lambda_call *c)
{
    char fault[TAG_FAULT_MAX] = "Tags has no tag in it: name at least one";
    struct json_writer w;
    const struct json *tags = json_get(c->body, "Tags");
    struct work *k = work_new(c);
    if (!k)
        return;
    if (!json_first(tags) || !tags_check(tags, fault)) {
        lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "%s", fault);
        work_free(k);
        return;
    }
    json_writer_init(&w, &k->text);
    json_put_value(&w, NULL, tags);
    submit(k, json_writer_end(&w));
}

/* {"KEY": null, ...} of every tagKeys=KEY. 0 with *ret_count of them, -EINVAL with a fault, -ENOMEM. */
static int print_keys(struct str query, struct buf *out, unsigned *ret_count, char fault[TAG_FAULT_MAX])
{
    struct json_writer w;
    struct str rest = query, name, value;
    char key[KEY_BYTES];
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    for (*ret_count = 0; rest.n;) {
        size_t n;
        name = str_cut(str_cut(rest, '&', &rest, NULL), '=', &value, NULL);
        if (!str_is(name, "tagKeys"))
            continue;
        if (!http1_percent_decode(value, key, sizeof(key) - 1, &n)) {
            snprintf(fault, TAG_FAULT_MAX, "A tag key of tagKeys is malformed or has more than %d characters", KEY_MAX);
            return -EINVAL;
        }
        key[n] = '\0';
        if (!key_is_fine(key, fault))
            return -EINVAL;
        if (++*ret_count > STORE_TAGS_MAX) {
            snprintf(fault, TAG_FAULT_MAX, "tagKeys names more than %d tags", STORE_TAGS_MAX);
            return -EINVAL;
        }
        json_put_null(&w, key);
    }
    json_put_object_end(&w);
    return json_writer_end(&w);
}

static void untag(struct lambda_call *c)
{
    char fault[TAG_FAULT_MAX];
    unsigned count;
    struct work *k = work_new(c);
    if (!k)
        return;
    int r = print_keys(c->x->request->query, &k->text, &count, fault);
    if (r == -EINVAL || (r == 0 && count == 0)) {
        if (count == 0 && r == 0)
            lambda_fail(c->x, LAMBDA_VALIDATION,
                        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member "
                        "must not be null");
        else
            lambda_fail(c->x, LAMBDA_INVALID_PARAMETER_VALUE, "%s", fault);
        work_free(k);
        return;
    }
    submit(k, r);
}

#define PATH "/2017-03-31/tags/{ARN}"

const struct lambda_operation lambda_tag_resource = {.route = LAMBDA_ROUTE("POST", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                     .name = "TagResource",
                                                     .path = PATH,
                                                     .run = tag,
                                                     .members = TAG};
const struct lambda_operation lambda_untag_resource = {.route = LAMBDA_ROUTE("DELETE", ACCESS_DEPLOY, LAMBDA_JSON_MAX),
                                                       .name = "UntagResource",
                                                       .path = PATH,
                                                       .run = untag,
                                                       .members = NAMED};
const struct lambda_operation lambda_list_tags = {.route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
                                                  .name = "ListTags",
                                                  .path = PATH,
                                                  .run = list,
                                                  .members = NAMED};
