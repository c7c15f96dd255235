/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/native_ready.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIELDS(text) ((struct str){(text), sizeof(text) - 1})

static void an_empty_ready_says_nothing(void **state)
{
    (void)state;
    struct native_ready r;
    assert_null(native_ready_parse((struct str){NULL, 0}, &r));
    assert_int_equal(r.runtime.n + r.template.n + r.imports.n, 0);
}

static void known_fields_are_read_and_others_skipped(void **state)
{
    (void)state;
    struct native_ready r;
    assert_null(native_ready_parse(
        FIELDS("runtime\0CPython 3.11.2\0colour\0blue\0template\0yes\0imports\0json,os\0colour\0red\0"), &r));
    assert_true(str_is(r.runtime, "CPython 3.11.2"));
    assert_true(str_is(r.template, "yes"));
    assert_true(str_is(r.imports, "json,os"));
}

static void what_is_not_pairs_of_printable_strings_is_refused(void **state)
{
    (void)state;
    static const struct str wrong[] = {
        {"runtime", 7},
        {"runtime\0", 8},
        {"runtime\0x", 9},
        {"runtime\0x\0y", 11},
        {"\0x\0", 3},
        {"\0\0", 2},
        {"runtime\0a\nb\0", 12},
        {"runtime\0a\x1b[1mb\0", 15},
        {"run\x7fime\0x\0", 10},
        {"template\0yes\0template\0yes\0", 26},
        {"imports\0\0imports\0\0", 18},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct native_ready r;
        assert_non_null(native_ready_parse(wrong[i], &r));
    }
}

static void the_whole_is_bounded(void **state)
{
    (void)state;
    struct native_ready r;
    char *bytes = malloc(NATIVE_READY_MAX + 1);
    memset(bytes, 'x', NATIVE_READY_MAX + 1);
    bytes[1] = '\0';
    bytes[NATIVE_READY_MAX - 1] = '\0';
    bytes[NATIVE_READY_MAX] = '\0';
    assert_null(native_ready_parse((struct str){bytes, NATIVE_READY_MAX}, &r));
    assert_non_null(native_ready_parse((struct str){bytes, NATIVE_READY_MAX + 1}, &r));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ready_says_nothing),
        cmocka_unit_test(known_fields_are_read_and_others_skipped),
        cmocka_unit_test(what_is_not_pairs_of_printable_strings_is_refused),
        cmocka_unit_test(the_whole_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
