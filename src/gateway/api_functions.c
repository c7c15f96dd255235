/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/functions and /v1/functions/NAME: what is deployed and how it fares. */
#include "gateway/api.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "codec/json.h"
#include "gateway/access.h"
#include "gateway/api_print.h"
#include "gateway/pool.h"
#include "gateway/runtime.h"

struct function *api_find_function(struct exchange *x, struct str name)
{
    struct function *f = registry_find(x->gateway->registry, name);
    if (f && f->current)
        return f;
    exchange_error(x, 404, "ResourceNotFound", "there is no function '%.*s'", (int)name.n, name.p);
    return NULL;
}

void api_reply_json(struct exchange *x, struct buf *body, int error)
{
    if (error == 0)
        error = buf_add(body, "\n", 1);
    struct reply r = {.status = 200, .content_type = "application/json", .body = buf_str(body)};
    if (error < 0)
        exchange_error(x, 503, "NoCapacity", "out of memory");
    else
        exchange_reply(x, &r);
    buf_fini(body);
}

void api_print_counts(struct json_writer *w, const struct pool_counts *c)
{
    json_put_object(w, "counts");
    json_put_u64(w, "starting", c->starting);
    json_put_u64(w, "idle", c->idle);
    json_put_u64(w, "frozen", c->frozen);
    json_put_u64(w, "busy", c->busy);
    json_put_u64(w, "stopping", c->stopping);
    json_put_u64(w, "queued", c->queued);
    json_put_u64(w, "templates", c->templates);
    json_put_u64(w, "memory_bytes", c->memory_bytes);
    json_put_object_end(w);
}

void api_print_counters(struct json_writer *w, const struct function_counters *c)
{
    json_put_object(w, "counters");
    json_put_u64(w, "succeeded", c->succeeded);
    json_put_u64(w, "function_errors", c->function_errors);
    json_put_u64(w, "crashed", c->crashed);
    json_put_u64(w, "out_of_memory", c->out_of_memory);
    json_put_u64(w, "timed_out", c->timed_out);
    json_put_u64(w, "throttled", c->throttled);
    json_put_u64(w, "refused", c->refused);
    json_put_u64(w, "cold_starts", c->cold_starts);
    json_put_u64(w, "duration_ms", c->duration_ns / 1000000);
    json_put_object_end(w);
}

void api_print_runtime(struct json_writer *w, const struct config *c, const struct version *v)
{
    char used[VERSION_RUNTIME_MAX + CONFIG_PATH_MAX + 4];
    const struct config_runtime *runtime = runtime_find(c, &v->settings, NULL);
    if (runtime)
        json_put_text(w, "interpreter", runtime->path);
    fmt_to(used, sizeof(used), "%s", v->runtime_used);
    if (runtime && v->runtime_used[0])
        fmt_to(used, sizeof(used), "%s (%s)", v->runtime_used, runtime->path);
    else if (runtime)
        fmt_to(used, sizeof(used), "%s", runtime->path);
    if (used[0])
        json_put_text(w, "runtimeUsed", used);
    if (v->no_template[0])
        json_put_text(w, "noTemplate", v->no_template);
}

static void print_version(struct json_writer *w, const struct function *f)
{
    const struct version *v = f->current;
    char created[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(v->created_ms, created);
    json_put_text(w, "name", f->name);
    json_put_text(w, "revision", v->revision);
    json_put_u64(w, "number", v->number);
    json_put_text(w, "created", created);
    json_put_u64(w, "code_bytes", v->code_bytes);
}

static void print_numbers(struct json_writer *w, const struct versions *v)
{
    json_put_array(w, "versions");
    for (size_t i = 0; i < v->count; i++)
        json_put_u64(w, NULL, v->known[i].number);
    json_put_array_end(w);
}

/* For `faasd ls`: what its table shows, zeros left out. Of 10,000 functions that is 1.4 MB instead of 4.9. */
static void put_unless_0(struct json_writer *w, const char *key, uint64_t value)
{
    if (value)
        json_put_u64(w, key, value);
}

static void print_brief_entry(struct function *f, void *context)
{
    struct json_writer *w = context;
    const struct function_counters *n = &f->counters;
    struct pool_counts c;
    char created[CLOCK_RFC3339_MAX];
    pool_count(f->pool, &c);
    clock_format_rfc3339(f->current->created_ms, created);
    json_put_object(w, NULL);
    json_put_text(w, "name", f->name);
    json_put_u64(w, "number", f->current->number);
    json_put_text(w, "created", created);
    json_put_text(w, "runtime", settings_runtime_name(&f->current->settings));
    json_put_u64(w, "memory_bytes", f->current->settings.memory_bytes);
    json_put_object(w, "counts");
    put_unless_0(w, "starting", c.starting);
    put_unless_0(w, "idle", c.idle);
    put_unless_0(w, "frozen", c.frozen);
    put_unless_0(w, "busy", c.busy);
    put_unless_0(w, "stopping", c.stopping);
    put_unless_0(w, "queued", c.queued);
    put_unless_0(w, "templates", c.templates);
    put_unless_0(w, "memory_bytes", c.memory_bytes);
    json_put_object_end(w);
    json_put_object(w, "counters");
    put_unless_0(w, "succeeded", n->succeeded);
    put_unless_0(w, "function_errors", n->function_errors);
    put_unless_0(w, "crashed", n->crashed);
    put_unless_0(w, "out_of_memory", n->out_of_memory);
    put_unless_0(w, "timed_out", n->timed_out);
    json_put_object_end(w);
    json_put_object_end(w);
}

static void print_list_entry(struct function *f, void *context)
{
    struct json_writer *w = context;
    struct pool_counts counts;
    pool_count(f->pool, &counts);
    json_put_object(w, NULL);
    print_version(w, f);
    json_put_text(w, "runtime", settings_runtime_name(&f->current->settings));
    json_put_text(w, "description", f->current->settings.description);
    json_put_u64(w, "memory_bytes", f->current->settings.memory_bytes);
    json_put_u64(w, "timeout_ms", f->current->settings.timeout_ms);
    api_print_counts(w, &counts);
    api_print_counters(w, &f->counters);
    json_put_object_end(w);
}

void api_functions_list(struct exchange *x, struct str name)
{
    struct buf body;
    struct json_writer w;
    struct str brief;
    (void)name;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_array(&w, "functions");
    bool is_brief = http1_query_find(x->request->query, "brief", &brief) && str_is(brief, "1");
    registry_each(x->gateway->registry, is_brief ? print_brief_entry : print_list_entry, &w);
    json_put_array_end(&w);
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

static void print_instance(const struct pool_instance_info *i, void *context)
{
    struct json_writer *w = context;
    json_put_object(w, NULL);
    json_put_u64(w, "id", i->id);
    json_put_i64(w, "pid", i->pid);
    json_put_text(w, "state", i->state);
    json_put_bool(w, "forked", i->forked);
    json_put_bool(w, "frozen", i->frozen);
    json_put_u64(w, "version", i->version_number);
    json_put_u64(w, "age_ms", i->age_ms);
    json_put_u64(w, "requests", i->requests);
    json_put_object_end(w);
}

static int print_settings(struct json_writer *w, const struct settings *s, bool show_env)
{
    struct buf text;
    buf_init(&text, 0);
    int r = settings_print_json(s, false, !show_env, &text);
    if (r == 0)
        json_put_raw(w, "settings", buf_str(&text));
    buf_fini(&text);
    return r;
}

void api_functions_describe(struct exchange *x, struct str name)
{
    struct function *f = api_find_function(x, name);
    struct pool_counts counts;
    struct json_writer w;
    struct buf body;
    struct str value;
    if (!f)
        return;
    bool show_env = http1_query_find(x->request->query, "show_env", &value) && str_is(value, "1");
    if (show_env && !access_admit(x, ACCESS_DEPLOY)) /* whoever deploys could read them anyway */
        return;
    pool_count(f->pool, &counts);
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    print_version(&w, f);
    json_put_text(&w, "code", f->current->code);
    print_numbers(&w, &f->versions);
    api_print_aliases(&w, &f->versions);
    api_print_runtime(&w, x->gateway->config, f->current);
    if (f->limited)
        json_put_u64(&w, "reservedConcurrency", f->limit);
    int r = print_settings(&w, &f->current->settings, show_env);
    api_print_counts(&w, &counts);
    api_print_counters(&w, &f->counters);
    json_put_array(&w, "instances");
    pool_each_instance(f->pool, print_instance, &w);
    json_put_array_end(&w);
    json_put_object_end(&w);
    int end = json_writer_end(&w);
    api_reply_json(x, &body, r < 0 ? r : end);
}
