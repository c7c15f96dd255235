/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *in;
    const char *out; /* NULL: refused */
} cases[] = {
    {"", ""},
    {"Zg==", "f"},
    {"Zm8=", "fo"},
    {"Zm9v", "foo"},
    {"Zm9vYg==", "foob"},
    {"Zm9vYmE=", "fooba"},
    {"Zm9vYmFy", "foobar"},
    {"+/+/", "\xfb\xff\xbf"},
    {"Zg", NULL},
    {"Zg=", NULL},
    {"Zh==", NULL},
    {"Zm9=", NULL},
    {"====", NULL},
    {"Z===", NULL},
    {"Zg==Zg==", NULL},
    {"Zm 9", NULL},
    {"Zm9v\n", NULL},
    {"Zm-v", NULL},
    {"Z=9v", NULL},
};

static void text_is_decoded_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        size_t n = 0;
        bool good = base64_decode(str_from(cases[i].in), out, sizeof(out), &n);
        if (good != (cases[i].out != NULL))
            print_error("case %zu: %s\n", i, cases[i].in);
        assert_int_equal(good, cases[i].out != NULL);
        if (!good)
            continue;
        assert_int_equal(n, strlen(cases[i].out));
        assert_memory_equal(out, cases[i].out, n);
    }
}

static void room_is_respected(void **state)
{
    (void)state;
    char out[3];
    size_t n;
    assert_true(base64_decode(STR_LITERAL("Zm8="), out, 2, &n));
    assert_int_equal(n, 2);
    assert_false(base64_decode(STR_LITERAL("Zm9v"), out, 2, &n));
    assert_int_equal(BASE64_DECODED_MAX(8), 6);
}

static void what_is_decoded_is_encoded_as_it_came(void **state)
{
    char text[16];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!cases[i].out)
            continue;
        struct str bytes = str_from(cases[i].out);
        assert_int_equal(BASE64_ENCODED(bytes.n), strlen(cases[i].in));
        base64_encode(bytes, text);
        assert_memory_equal(text, cases[i].in, strlen(cases[i].in));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_decoded_or_refused),
        cmocka_unit_test(room_is_respected),
        cmocka_unit_test(what_is_decoded_is_encoded_as_it_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
