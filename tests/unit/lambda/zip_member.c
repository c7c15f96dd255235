/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/zip_member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct str find(const char *json)
{
    return zip_member_find(str_from(json));
}

static void the_code_is_found_at_the_top_and_one_level_below(void **state)
{
    (void)state;
    assert_true(str_is(find("{\"ZipFile\":\"AAAA\"}"), "AAAA"));
    assert_true(str_is(find("{\"Code\" : { \"ZipFile\" :\n \"AA\\/A\" , \"x\":1}}"), "AA\\/A"));
    assert_true(str_is(find("{\"a\":\"ZipFile\",\"b\":\"\\\"ZipFile\\\":\\\"no\\\"\",\"ZipFile\":\"yes\"}"), "yes"));
    assert_true(str_is(find("{\"ZipFile\":7,\"Code\":{\"ZipFile\":\"\"}}"), ""));
}

static void other_places_are_none(void **state)
{
    (void)state;
    assert_null(find("").p);
    assert_null(find("\"ZipFile\":\"AAAA\"").p);
    assert_null(find("{\"a\":{\"b\":{\"ZipFile\":\"AAAA\"}}}").p);
    assert_null(find("{\"ZipFile\":null}").p);
    assert_null(find("{\"ZipFile\"").p);
    assert_null(find("{\"zipfile\":\"AAAA\"}").p);
}

/* With nothing readable behind its end. */
static void a_text_may_end_anywhere(void **state)
{
    static const char json[] = "{\"Code\":{\"ZipFile\":\"AA\\/A\"}}";
    (void)state;
    for (size_t n = 0; n < sizeof(json); n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, json, n);
        struct str found = zip_member_find((struct str){copy, n});
        assert_true(!found.p || found.p + found.n <= copy + n);
        free(copy);
    }
}

static void bytes_come_piece_by_piece(void **state)
{
    enum { GROUPS = 20000 };
    char *text = malloc(4 * GROUPS + 1), out[ZIP_MEMBER_PIECE];
    size_t n, total = 0;
    (void)state;
    for (unsigned i = 0; i < GROUPS; i++)
        memcpy(text + 4 * i, i + 1 < GROUPS ? "AQID" : "AQ==", 4);
    struct str rest = {text, 4 * GROUPS};
    assert_int_equal(zip_member_size(rest), 3 * GROUPS - 2);
    while (rest.n) {
        assert_true(zip_member_decode(&rest, out, &n));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(out[i], (total + i) % 3 + 1);
        total += n;
    }
    assert_int_equal(total, 3 * GROUPS - 2);
    free(text);
}

static bool decodes(const char *text, const char *wanted)
{
    char out[ZIP_MEMBER_PIECE];
    struct str rest = str_from(text);
    size_t n = 0;
    return zip_member_decode(&rest, out, &n) && n == strlen(wanted) && memcmp(out, wanted, n) == 0;
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    assert_true(decodes("Pz8/", "???"));
    assert_true(decodes("Pz8\\/", "???"));
    assert_int_equal(zip_member_size(STR_LITERAL("Pz8\\/")), 3);
    assert_false(decodes("Pz8\\n", ""));
    assert_false(decodes("Pz8", ""));
    assert_false(decodes("Pz==Pz8/", ""));
    assert_false(decodes("\\u0050z8/", ""));
}

/* A padded group where a piece ends is in the middle all the same. */
static void padding_ends_it(void **state)
{
    enum { CHARACTERS = ZIP_MEMBER_PIECE / 3 * 4 };
    char *text = malloc(CHARACTERS + 4), out[ZIP_MEMBER_PIECE];
    size_t n;
    (void)state;
    memset(text, 'A', CHARACTERS + 4);
    memcpy(text + CHARACTERS - 2, "==", 2);
    struct str rest = {text, CHARACTERS + 4};
    assert_false(zip_member_decode(&rest, out, &n));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_code_is_found_at_the_top_and_one_level_below),
        cmocka_unit_test(other_places_are_none),
        cmocka_unit_test(a_text_may_end_anywhere),
        cmocka_unit_test(bytes_come_piece_by_piece),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(padding_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
