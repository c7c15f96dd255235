/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of a function beside its versions, and what becomes of it when what it is said of goes. */
#include "gateway/store_controls.h"

#include "store_fixture.h"

#include "gateway/store_pages.h"
#include "gateway/store_versions.h"

#include <errno.h>
#include <string.h>

static bool answered;

static void on_task(struct store_task *t)
{
    (void)t;
    answered = true;
}

static int do_task(struct store_task *t)
{
    answered = false;
    t->done = on_task;
    store_submit(gateway.store, t);
    while (!answered)
        ev_run(gateway.loop, EVRUN_ONCE);
    return t->error.code;
}

static void on_done(void *owner, const struct err *e)
{
    *(int *)owner = e->code;
    answered = true;
}

static void put_version(uint64_t number, const char *attributes)
{
    int code = -1;
    struct store_revision r = {.function = "f",
                               .revision = "4e57",
                               .code = "c0de",
                               .number = number,
                               .created_ms = 1000000 + number,
                               .replaced = number - 1,
                               .current = true,
                               .handler = "run",
                               .attributes = str_from(attributes),
                               .settings = STR_LITERAL("{}")};
    answered = false;
    store_put_revision(gateway.store, &r, on_done, &code);
    while (!answered)
        ev_run(gateway.loop, EVRUN_ONCE);
    assert_int_equal(code, 0);
}

static int set_alias(const char *name, uint64_t number)
{
    struct versions_alias a = {.number = number};
    struct store_alias_change q;
    snprintf(a.name, sizeof(a.name), "%s", name);
    store_alias_change_init(&q, "f", &a);
    q.aliases_max = 3;
    return do_task(&q.task);
}

/* ---- what is done on the store's thread ---- */

struct work {
    struct store_task task; /* first */
    int (*run)(struct store_db *db, const char *text, struct err *e);
    const char *text;
};

static void run_work(struct store_task *t, struct store_db *db)
{
    struct work *w = (struct work *)(void *)t;
    w->run(db, w->text, &t->error);
}

static int on_store(int (*run)(struct store_db *db, const char *text, struct err *e), const char *text)
{
    struct work w = {.task.run = run_work, .run = run, .text = text};
    return do_task(&w.task);
}

static int limit(struct store_db *db, const char *function, struct err *e)
{
    return store_limit_put(db, function, 5, e);
}

static int provision(struct store_db *db, const char *qualifier, struct err *e)
{
    const struct store_provisioned row = {.function = "f", .qualifier = qualifier, .count = 2, .modified_ms = 77};
    return store_provisioned_put(db, &row, e);
}

static int configure(struct store_db *db, const char *qualifier, struct err *e)
{
    struct async_config c = {
        .retries = ASYNC_CONFIG_UNSAID, .max_age_s = 60, .on_success = "g", .on_failure = "h:1", .modified_ms = 78};
    str_copy(str_from(qualifier), c.qualifier, sizeof(c.qualifier));
    return store_async_put(db, "f", &c, e);
}

static int patch(struct store_db *db, const char *text, struct err *e)
{
    return store_tags_patch(db, "f", str_from(text), e);
}

static char told[512];

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
    size_t n = strlen(told);
    va_list args;
    va_start(args, format);
    vsnprintf(told + n, sizeof(told) - n, format, args);
    va_end(args);
}

static int read_tags(struct store_db *db, const char *function, struct err *e)
{
    struct buf out;
    buf_init(&out, 0);
    int r = store_tags_read(db, function, &out, e);
    told[0] = '\0';
    if (r == 0)
        tell("%.*s", (int)out.len, out.data);
    buf_fini(&out);
    return r;
}

static void on_limit(const char *function, uint64_t reserved, void *context)
{
    (void)context;
    tell("%s=%lu ", function, (unsigned long)reserved);
}

static void on_provisioned(const struct store_provisioned *row, void *context)
{
    (void)context;
    tell("%s:%s=%lu@%lu ", row->function, row->qualifier, (unsigned long)row->count, (unsigned long)row->modified_ms);
}

static void on_async(const char *function, const struct async_config *c, void *context)
{
    (void)context;
    tell("%s:%s,%d,%d,%s,%s ", function, c->qualifier, c->retries, c->max_age_s, c->on_success, c->on_failure);
}

static int load(struct store_db *db, const char *none, struct err *e)
{
    const struct store_controls_events on = {
        .on_limit = on_limit, .on_provisioned = on_provisioned, .on_async = on_async};
    (void)none;
    told[0] = '\0';
    return store_controls_load(db, &on, e);
}

static void assert_loaded(const char *wanted)
{
    assert_int_equal(on_store(load, ""), 0);
    assert_string_equal(told, wanted);
}

/* ---- tests ---- */

static void what_is_said_is_there_after_a_restart(void **state)
{
    (void)state;
    put_version(1, "");
    assert_int_equal(set_alias("prod", 1), 0);
    assert_int_equal(on_store(limit, "f"), 0);
    assert_int_equal(on_store(provision, "1"), 0);
    assert_int_equal(on_store(configure, "$LATEST"), 0);
    assert_int_equal(on_store(configure, "prod"), 0);
    store_close(gateway.store);
    open_store(true);
    assert_loaded("f=5 f:1=2@77 f:$LATEST,-1,60,g,h:1 f:prod,-1,60,g,h:1 ");
}

static void nothing_is_said_of_what_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(on_store(limit, "f"), ENOENT);
    put_version(1, "");
    assert_int_equal(on_store(limit, "g"), ENOENT);
    assert_int_equal(on_store(provision, "2"), ENOENT);
    assert_int_equal(on_store(configure, "prod"), ENOENT);
    assert_int_equal(on_store(read_tags, "g"), ENOENT);
    assert_loaded("");
}

static void an_alias_takes_along_what_was_said_of_it(void **state)
{
    (void)state;
    put_version(1, "");
    assert_int_equal(set_alias("prod", 1), 0);
    assert_int_equal(on_store(provision, "prod"), 0);
    assert_int_equal(on_store(configure, "prod"), 0);
    put_version(2, "");
    assert_int_equal(set_alias("prod", 2), 0); /* moved, it keeps it */
    assert_loaded("f:prod=2@77 f:prod,-1,60,g,h:1 ");
    assert_int_equal(set_alias("prod", STORE_ALIAS_REMOVE), 0);
    assert_int_equal(set_alias("prod", 1), 0);
    assert_loaded("");
}

static void a_version_takes_along_what_was_said_of_it(void **state)
{
    (void)state;
    struct store_publish q;
    put_version(1, "");
    put_version(2, "");
    assert_int_equal(on_store(provision, "1"), 0);
    assert_int_equal(on_store(configure, "1"), 0);
    assert_int_equal(on_store(configure, "2"), 0);
    store_publish_init(&q, "f", 1);
    q.removes = true;
    assert_int_equal(do_task(&q.task), 0);
    store_publish_fini(&q);
    assert_loaded("f:2,-1,60,g,h:1 ");
}

static void a_function_takes_all_along(void **state)
{
    (void)state;
    int code = -1;
    put_version(1, "");
    assert_int_equal(on_store(limit, "f"), 0);
    assert_int_equal(on_store(provision, "1"), 0);
    assert_int_equal(on_store(configure, "$LATEST"), 0);
    assert_int_equal(on_store(patch, "{\"a\":\"b\"}"), 0);
    answered = false;
    store_delete_function(gateway.store, "f", on_done, &code);
    while (!answered)
        ev_run(gateway.loop, EVRUN_ONCE);
    assert_int_equal(code, 0);
    assert_loaded("");
    put_version(1, "");
    assert_int_equal(on_store(read_tags, "f"), 0);
    assert_string_equal(told, "{}");
}

static void tags_begin_with_those_that_it_was_made_with(void **state)
{
    (void)state;
    put_version(1, "{\"Tags\":{\"team\":\"blue\"}}");
    assert_int_equal(on_store(read_tags, "f"), 0);
    assert_string_equal(told, "{\"team\":\"blue\"}");
    assert_int_equal(on_store(patch, "{\"stage\":\"prod\",\"team\":null,\"gone\":null}"), 0);
    put_version(2, "{\"Tags\":{\"team\":\"blue\"}}");
    assert_int_equal(on_store(read_tags, "f"), 0);
    assert_string_equal(told, "{\"stage\":\"prod\"}");
}

static void too_many_tags_change_nothing(void **state)
{
    (void)state;
    char text[2048] = "{";
    put_version(1, "");
    for (int i = 0; i < STORE_TAGS_MAX; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%s\"k%d\":\"v\"", i ? "," : "", i);
    }
    strcat(text, "}");
    assert_int_equal(on_store(patch, text), 0);
    assert_int_equal(on_store(patch, "{\"one more\":\"v\"}"), E2BIG);
    assert_int_equal(on_store(patch, "{\"k0\":\"other\"}"), 0);
    assert_int_equal(on_store(read_tags, "f"), 0);
    assert_null(strstr(told, "one more"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_said_is_there_after_a_restart),
        TEST(nothing_is_said_of_what_is_not_there),
        TEST(an_alias_takes_along_what_was_said_of_it),
        TEST(a_version_takes_along_what_was_said_of_it),
        TEST(a_function_takes_all_along),
        TEST(tags_begin_with_those_that_it_was_made_with),
        TEST(too_many_tags_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
