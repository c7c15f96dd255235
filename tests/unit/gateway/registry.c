/* SPDX-License-Identifier: Apache-2.0 */
/* The registry with pools that only count. */
#include "gateway/registry.h"

#include "gateway/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct pool {
    struct function *function;
    unsigned changes;
};

static unsigned pools_alive;

struct pool *pool_new(struct pools *p, struct function *f)
{
    (void)p;
    struct pool *pool = calloc(1, sizeof(*pool));
    pool->function = f;
    pools_alive++;
    return pool;
}

void pool_free(struct pool *p)
{
    free(p);
    pools_alive--;
}

void pool_version_changed(struct pool *p)
{
    p->changes++;
}

static struct config config;
static struct gateway gateway;

static int set_up(void **state)
{
    config = (struct config){.functions_max = 20000};
    gateway = (struct gateway){.config = &config};
    gateway.registry = registry_new(&gateway);
    *state = gateway.registry;
    return gateway.registry ? 0 : -1;
}

static int tear_down(void **state)
{
    registry_free(*state);
    return pools_alive != 0; /* every pool ends with its function */
}

static struct function *add(struct registry *r, const char *name)
{
    struct function *f = registry_ensure(r, str_from(name));
    assert_non_null(f);
    struct version *v = version_new();
    assert_non_null(v);
    snprintf(v->code, sizeof(v->code), "code-of-%s", name);
    registry_set_current(r, f, v);
    return f;
}

static void a_function_is_found_by_its_name_only(void **state)
{
    struct function *f = add(*state, "hello");
    assert_ptr_equal(registry_find(*state, STR_LITERAL("hello")), f);
    assert_null(registry_find(*state, STR_LITERAL("hell")));
    assert_null(registry_find(*state, STR_LITERAL("hello2")));
    assert_null(registry_find(*state, STR_LITERAL("")));
}

static void a_function_without_a_version_is_not_there_yet(void **state)
{
    struct function *f = registry_ensure(*state, STR_LITERAL("new"));
    assert_null(registry_find(*state, STR_LITERAL("new")));
    assert_int_equal(registry_count(*state), 0);
    assert_ptr_equal(registry_ensure(*state, STR_LITERAL("new")), f);
    registry_remove(*state, f);
    assert_int_equal(registry_count(*state), 0);
}

static void ten_thousand_functions_are_all_found(void **state)
{
    char name[32];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "function-%d", i);
        add(*state, name);
    }
    assert_int_equal(registry_count(*state), 10000);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "function-%d", i);
        struct function *f = registry_find(*state, str_from(name));
        assert_non_null(f);
        assert_string_equal(f->name, name);
    }
}

static void functions_max_holds(void **state)
{
    config.functions_max = 2;
    add(*state, "a");
    add(*state, "b");
    assert_null(registry_ensure(*state, STR_LITERAL("c")));
    registry_remove(*state, registry_find(*state, STR_LITERAL("a")));
    assert_non_null(registry_ensure(*state, STR_LITERAL("c")));
}

static void a_new_version_tells_the_pool_and_frees_the_old_one(void **state)
{
    struct function *f = add(*state, "hello");
    struct version *v = version_new();
    snprintf(v->code, sizeof(v->code), "second");
    registry_set_current(*state, f, v);
    assert_int_equal(f->pool->changes, 2);
    assert_ptr_equal(f->current, v);
    assert_int_equal(registry_count(*state), 1);
    assert_false(version_code_is_live("code-of-hello"));
    assert_true(version_code_is_live("second"));
}

static void a_version_lives_as_long_as_somebody_holds_it(void **state)
{
    struct function *f = add(*state, "hello");
    struct version *held = version_get(f->current);
    registry_remove(*state, f);
    assert_true(version_code_is_live("code-of-hello"));
    version_put(held);
    assert_false(version_code_is_live("code-of-hello"));
}

static void a_removed_function_lives_until_its_last_reference(void **state)
{
    struct function *f = function_get(add(*state, "hello"));
    registry_remove(*state, f);
    assert_null(registry_find(*state, STR_LITERAL("hello")));
    assert_int_equal(registry_count(*state), 0);
    assert_true(f->removed);
    assert_null(f->current);
    assert_int_equal(f->pool->changes, 2);
    assert_int_equal(pools_alive, 1);
    /* Deployed anew meanwhile, it is another function. */
    assert_ptr_not_equal(add(*state, "hello"), f);
    function_put(f);
    assert_int_equal(pools_alive, 1);
}

static void collect_name(struct function *f, void *context)
{
    strcat(context, f->name);
    strcat(context, " ");
}

static void functions_are_listed_in_name_order(void **state)
{
    char names[128] = "";
    add(*state, "zeta");
    add(*state, "Alpha");
    add(*state, "beta");
    registry_ensure(*state, STR_LITERAL("unfinished"));
    add(*state, "_x");
    registry_each(*state, collect_name, names);
    assert_string_equal(names, "Alpha _x beta zeta ");
}

static void puts_of_nothing_are_fine(void **state)
{
    (void)state;
    version_put(NULL);
    function_put(NULL);
    registry_free(NULL);
}

int main(void)
{
#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(a_function_is_found_by_its_name_only),
        REGISTRY_TEST(a_function_without_a_version_is_not_there_yet),
        REGISTRY_TEST(ten_thousand_functions_are_all_found),
        REGISTRY_TEST(functions_max_holds),
        REGISTRY_TEST(a_new_version_tells_the_pool_and_frees_the_old_one),
        REGISTRY_TEST(a_version_lives_as_long_as_somebody_holds_it),
        REGISTRY_TEST(a_removed_function_lives_until_its_last_reference),
        REGISTRY_TEST(functions_are_listed_in_name_order),
        REGISTRY_TEST(puts_of_nothing_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
