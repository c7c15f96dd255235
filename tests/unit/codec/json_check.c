/* SPDX-License-Identifier: Apache-2.0 */
/* Texts at a guard page: what is JSON, what is not, and at which byte. */
#include "codec/json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { ROOM = 1 << 16, GOOD = -1 };

static char *guard;

static int map_guard_page(void **state)
{
    (void)state;
    char *room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + ROOM, 4096, PROT_NONE))
        return -1;
    guard = room + ROOM;
    return 0;
}

static struct str at_guard(const char *text, size_t n)
{
    return (struct str){.p = memcpy(guard - n, text, n), .n = n};
}

static const struct {
    const char *text;
    int offset; /* of the first byte that can't be; GOOD */
} cases[] = {
    {"{}", GOOD},
    {"[]", GOOD},
    {" \t\r\n0 \n", GOOD},
    {"\"\"", GOOD},
    {"null", GOOD},
    {"true", GOOD},
    {"false", GOOD},
    {"-0.5e+10", GOOD},
    {"10", GOOD},
    {"[1,2,[3,{}],{\"a\":[]}]", GOOD},
    {"{\"a\" : 1 , \"a\":{\"b\":[null,true]}}", GOOD},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud800\"", GOOD},
    {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", GOOD},
    {"1e999999", GOOD},
    {"", 0},
    {"  ", 2},
    {"{", 1},
    {"[", 1},
    {"hello", 0},
    {"{'a':1}", 1},
    {"{\"a\"}", 4},
    {"{\"a\":}", 5},
    {"{\"a\":1,}", 7},
    {"[1,]", 3},
    {"[1 2]", 3},
    {"[1}", 2},
    {"{\"a\":1]", 6},
    {"[]]", 2},
    {"{} {}", 3},
    {"01", 1},
    {"-", 1},
    {"1.", 2},
    {".5", 0},
    {"1e", 2},
    {"+1", 0},
    {"nul", 3},
    {"nulL", 3},
    {"NaN", 0},
    {"\"a", 2},
    {"\"a\nb\"", 2},
    {"\"\\x\"", 2},
    {"\"\\u12g4\"", 5},
    {"\"\xff\"", 1},
    {"\"\xc3\"", 1},
    {"\"\xed\xa0\x80\"", 1},
    {"\xef\xbb\xbf{}", 0},
    {"// no\n1", 0},
};

static void json_is_told_from_what_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t offset = 999;
        bool good = json_check(at_guard(cases[i].text, strlen(cases[i].text)), &offset);
        if (good != (cases[i].offset == GOOD) || (!good && offset != (size_t)cases[i].offset))
            print_error("case %zu: %s offset %zu\n", i, cases[i].text, offset);
        assert_int_equal(good, cases[i].offset == GOOD);
        if (!good)
            assert_int_equal(offset, cases[i].offset);
    }
}

static void every_cut_of_an_object_ends_too_early(void **state)
{
    (void)state;
    static const char text[] = "{\"key\":[1.5e3,\"\\u0041\xc3\xa9\",{\"x\":null}],\"b\":true}";
    size_t n = sizeof(text) - 1;
    for (size_t cut = 0; cut < n; cut++)
        assert_false(json_check(at_guard(text, cut), NULL));
    assert_true(json_check(at_guard(text, n), NULL));
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    static char text[2 * JSON_CHECK_DEPTH_MAX + 2];
    memset(text, '[', JSON_CHECK_DEPTH_MAX);
    memset(text + JSON_CHECK_DEPTH_MAX, ']', JSON_CHECK_DEPTH_MAX);
    assert_true(json_check(at_guard(text, sizeof(text) - 2), NULL));
    size_t offset;
    memset(text, '[', JSON_CHECK_DEPTH_MAX + 1);
    memset(text + JSON_CHECK_DEPTH_MAX + 1, ']', JSON_CHECK_DEPTH_MAX + 1);
    assert_false(json_check(at_guard(text, sizeof(text)), &offset));
    assert_int_equal(offset, JSON_CHECK_DEPTH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_told_from_what_is_none),
        cmocka_unit_test(every_cut_of_an_object_ends_too_early),
        cmocka_unit_test(depth_has_a_limit),
    };
    return cmocka_run_group_tests(tests, map_guard_page, NULL);
}
