/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/functions/NAME/versions and .../aliases: what a function's qualifiers name, and naming it. */
#include "gateway/api.h"

#include "base/log.h"
#include "codec/json.h"
#include "gateway/access.h"
#include "gateway/api_print.h"
#include "gateway/store_versions.h"
#include "gateway/version_collect.h"
#include "gateway/version_pool.h"
#include "gateway/version_warm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- printing ---- */

static void put_number(struct json_writer *w, const char *key, uint64_t number)
{
    if (number == VERSIONS_LATEST_NUMBER)
        json_put_text(w, key, "$LATEST");
    else
        json_put_u64(w, key, number);
}

static void print_alias(struct json_writer *w, const struct versions_alias *a)
{
    char number[24];
    json_put_object(w, NULL);
    json_put_text(w, "name", a->name);
    put_number(w, "version", a->number);
    json_put_object(w, "weights");
    if (a->second) {
        snprintf(number, sizeof(number), "%lu", (unsigned long)a->second);
        json_put_double(w, number, (double)a->weight / VERSIONS_WEIGHT_ONE);
    }
    json_put_object_end(w);
    json_put_object_end(w);
}

void api_print_aliases(struct json_writer *w, const struct versions *v)
{
    json_put_array(w, "aliases");
    for (size_t i = 0; i < v->alias_count; i++)
        print_alias(w, v->aliases[i]);
    json_put_array_end(w);
}

static void reply_alias(struct exchange *x, const struct versions_alias *a)
{
    struct json_writer w;
    struct buf body;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    print_alias(&w, a);
    api_reply_json(x, &body, json_writer_end(&w));
}

static void reply_store_error(struct exchange *x, const struct err *e)
{
    if (e->code == ENOSPC || e->code == EDQUOT)
        exchange_error(x, 507, "StorageFull", "%s", e->text);
    else if (e->code == EAGAIN || e->code == ENOMEM || e->code == EMSGSIZE)
        exchange_error(x, 503, "NoCapacity", "%s", e->text);
    else
        exchange_error(x, 500, "InternalError", "%s", e->text);
}

/* ---- GET versions ---- */

struct listing {
    struct store_version_list request; /* first */
    struct exchange *exchange;
    struct function *function; /* counted */
};

static void on_listed(struct store_task *t)
{
    struct listing *l = (struct listing *)(void *)t;
    struct exchange *x = l->exchange;
    struct function *f = l->function;
    struct json_writer w;
    struct buf body;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    if (t->error.code) {
        reply_store_error(x, &t->error);
    } else if (!f->current) {
        exchange_error(x, 404, "ResourceNotFound", "the function '%s' was removed", f->name);
    } else {
        json_put_object(&w, NULL);
        json_put_text(&w, "name", f->name);
        json_put_u64(&w, "current", f->current->number);
        json_put_raw(&w, "versions", buf_str(&l->request.json));
        api_print_aliases(&w, &f->versions);
        json_put_object_end(&w);
        api_reply_json(x, &body, json_writer_end(&w));
    }
    buf_fini(&body);
    store_version_list_fini(&l->request);
    function_put(f);
    free(l);
}

void api_versions(struct exchange *x, struct str name)
{
    struct function *f = api_find_function(x, name);
    struct listing *l = f ? calloc(1, sizeof(*l)) : NULL;
    if (!f)
        return;
    version_pool_note_uses(f);
    if (!l || store_version_list_init(&l->request, f->name, &f->versions) < 0) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        free(l);
        return;
    }
    l->exchange = x;
    l->function = function_get(f);
    l->request.task.done = on_listed;
    store_submit(x->gateway->store, &l->request.task);
}

/* ---- GET aliases ---- */

void api_aliases(struct exchange *x, struct str name)
{
    struct function *f = api_find_function(x, name);
    struct json_writer w;
    struct buf body;
    if (!f)
        return;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    api_print_aliases(&w, &f->versions);
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

/* What stands behind /aliases/ of the path; false: it is no alias's name, and the exchange was ended. */
static bool find_alias_name(struct exchange *x, struct str *ret_name)
{
    struct str path = x->request->path;
    size_t at = path.n;
    while (at > 0 && path.p[at - 1] != '/')
        at--;
    *ret_name = str_skip(path, at);
    if (versions_alias_is_valid(*ret_name))
        return true;
    exchange_error(x, 400, "BadRequest",
                   "'%.*s' is no name for an alias: 1 to 128 of A-Z a-z 0-9 _ -, not digits alone",
                   (int)(ret_name->n < 140 ? ret_name->n : 140), ret_name->p);
    return false;
}

static void fail_no_alias(struct exchange *x, const struct function *f, struct str name)
{
    char choices[VERSIONS_CHOICES_MAX];
    versions_print_choices(&f->versions, choices);
    exchange_error(x, 404, "ResourceNotFound", "function '%s' has no alias '%.*s'; it has %s", f->name, (int)name.n,
                   name.p, choices);
}

void api_alias_get(struct exchange *x, struct str name)
{
    struct str alias;
    struct function *f = api_find_function(x, name);
    if (!f || !find_alias_name(x, &alias))
        return;
    const struct versions_alias *a = versions_find_alias(&f->versions, alias);
    if (a)
        reply_alias(x, a);
    else
        fail_no_alias(x, f, alias);
}

/* ---- PUT and DELETE ---- */

struct change {
    struct store_alias_change request; /* first */
    struct exchange *exchange;
    struct function *function; /* counted */
};

/* What a request reaches was changed: as with a deploy, who did it is asked for later. */
static void log_change(const struct change *c)
{
    char caller[ACCESS_CALLER_MAX], also[64] = "";
    const struct versions_alias *a = &c->request.alias;
    access_print_caller(c->exchange, caller);
    if (a->number == STORE_ALIAS_REMOVE) {
        log_info("an alias was removed fn=%s alias=%s by=%s req=%s", c->function->name, a->name, caller,
                 c->exchange->id);
        return;
    }
    if (a->second)
        snprintf(also, sizeof(also), " also=%lu:%.6g", (unsigned long)a->second,
                 (double)a->weight / VERSIONS_WEIGHT_ONE);
    char number[24] = "$LATEST";
    if (a->number != VERSIONS_LATEST_NUMBER)
        snprintf(number, sizeof(number), "%lu", (unsigned long)a->number);
    log_info("an alias was set fn=%s alias=%s version=%s%s by=%s req=%s", c->function->name, a->name, number, also,
             caller, c->exchange->id);
}

static void apply(struct change *c)
{
    struct exchange *x = c->exchange;
    struct function *f = c->function;
    const struct versions_alias *a = &c->request.alias;
    log_change(c);
    if (a->number == STORE_ALIAS_REMOVE) {
        versions_remove_alias(&f->versions, str_from(a->name));
        struct reply r = {.status = 204};
        exchange_reply(x, &r);
    } else if (versions_set_alias(&f->versions, a) < 0) {
        exchange_error(x, 503, "NoCapacity", "it is stored, but out of memory: it counts from the next start on");
        return;
    } else {
        reply_alias(x, a);
    }
    version_warm_settle(f); /* what an alias keeps ready goes with it */
    if (f->current)
        version_collect(x->gateway, f);
}

static void on_changed(struct store_task *t)
{
    struct change *c = (struct change *)(void *)t;
    struct exchange *x = c->exchange;
    const struct err *e = &t->error;
    if (!e->code)
        apply(c);
    else if (e->code == ENOENT)
        exchange_error(x, 404, "ResourceNotFound", "function '%s': %s", c->function->name, e->text);
    else if (e->code == E2BIG)
        exchange_error(x, 400, "BadRequest", "function '%s': %s", c->function->name, e->text);
    else
        reply_store_error(x, e);
    function_put(c->function);
    free(c);
}

static void submit(struct exchange *x, struct function *f, const struct versions_alias *a)
{
    struct change *c = calloc(1, sizeof(*c));
    if (!c) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    c->exchange = x;
    c->function = function_get(f);
    store_alias_change_init(&c->request, f->name, a);
    c->request.aliases_max = x->gateway->config->aliases_max;
    c->request.task.done = on_changed;
    store_submit(x->gateway->store, &c->request.task);
}

/* A number, as JSON has it or as text, or "$LATEST". */
static bool read_number(const struct json *v, uint64_t *ret_number)
{
    const char *text = json_text(v);
    if (text && strcmp(text, "$LATEST") == 0) {
        *ret_number = VERSIONS_LATEST_NUMBER;
        return true;
    }
    bool good = text ? str_to_u64(str_from(text), ret_number) : json_to_u64(v, ret_number);
    return good && *ret_number > 0 && *ret_number <= INT64_MAX;
}

static int read_weights(const struct json *weights, struct versions_alias *a, struct err *e)
{
    const struct json *one = json_first(weights);
    double weight;
    if (!json_is_object(weights) || json_count(weights) > 1)
        return err_say(e, EINVAL, "weights has to be an object with one version at most: {\"4\": 0.1}");
    if (!one)
        return 0;
    if (a->number == VERSIONS_LATEST_NUMBER || strcmp(json_key(one), "$LATEST") == 0)
        return err_say(e, EINVAL, "weights divide requests between numbered versions: $LATEST can't be one of them");
    if (!str_to_u64(str_from(json_key(one)), &a->second) || a->second == 0 || a->second > INT64_MAX)
        return err_say(e, EINVAL, "weights: '%.40s' is no version's number", json_key(one));
    if (!json_to_double(one, &weight) || weight < 0 || weight > 1)
        return err_say(e, EINVAL, "weights: the share of version %lu has to be a number from 0 to 1",
                       (unsigned long)a->second);
    if (a->second == a->number)
        return err_say(e, EINVAL, "weights: version %lu is the alias's first version already",
                       (unsigned long)a->number);
    a->weight = (uint32_t)(weight * VERSIONS_WEIGHT_ONE + 0.5);
    return 0;
}

static int read_alias(const struct json *root, struct versions_alias *a, struct err *e)
{
    const struct json *weights = NULL;
    bool has_version = false;
    if (!json_is_object(root))
        return err_say(e, EINVAL, "the body has to be an object: {\"version\": 3, \"weights\": {\"4\": 0.1}}");
    JSON_EACH(root, at)
    {
        if (strcmp(json_key(at), "weights") == 0)
            weights = at;
        else if (strcmp(json_key(at), "version") != 0)
            return err_say(e, EINVAL, "there is no member '%.40s': an alias has version and weights", json_key(at));
        else if (!(has_version = read_number(at, &a->number)))
            return err_say(e, EINVAL, "version has to be a version's number, or \"$LATEST\"");
    }
    if (!has_version)
        return err_say(e, EINVAL, "the body has no version: a number, or \"$LATEST\"");
    return weights ? read_weights(weights, a, e) : 0;
}

/* Only the store's word counts; but what is not known here is not there, and here it is known what is. */
static bool is_known(struct exchange *x, const struct function *f, uint64_t number)
{
    char choices[VERSIONS_CHOICES_MAX];
    if (number == 0 || versions_find(&f->versions, number))
        return true;
    versions_print_choices(&f->versions, choices);
    exchange_error(x, 404, "ResourceNotFound", "function '%s' has no version %lu; it has %s", f->name,
                   (unsigned long)number, choices);
    return false;
}

void api_alias_put(struct exchange *x, struct str name)
{
    struct str alias;
    struct json_doc *doc = NULL;
    struct versions_alias a = {.name = ""};
    struct err e = {0};
    struct function *f = api_find_function(x, name);
    if (!f || !find_alias_name(x, &alias))
        return;
    str_copy(alias, a.name, sizeof(a.name));
    const struct versions_alias *before = versions_find_alias(&f->versions, alias);
    if (before)
        memcpy(a.description, before->description, sizeof(a.description));
    if (json_parse(x->body, JSON_STRICT, &doc, &e) == 0)
        read_alias(json_root(doc), &a, &e);
    json_free(doc);
    if (e.code)
        exchange_error(x, e.code == ENOMEM ? 503 : 400, e.code == ENOMEM ? "NoCapacity" : "BadRequest", "%s", e.text);
    else if (is_known(x, f, a.number) && is_known(x, f, a.second))
        submit(x, f, &a);
}

void api_alias_delete(struct exchange *x, struct str name)
{
    struct str alias;
    struct versions_alias a = {.number = STORE_ALIAS_REMOVE};
    struct function *f = api_find_function(x, name);
    if (!f || !find_alias_name(x, &alias))
        return;
    str_copy(alias, a.name, sizeof(a.name));
    if (versions_find_alias(&f->versions, alias))
        submit(x, f, &a);
    else
        fail_no_alias(x, f, alias);
}
