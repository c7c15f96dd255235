/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/prelude.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void it_is_json_and_eight_nuls(void **state)
{
    static const char EXPECTED[] = "{\"statusCode\":418,\"headers\":{\"content-type\":\"text/plain\",\"X-A\":\"b: "
                                   "\\\"c\\\"\"},\"cookies\":[\"a=b\",\"c=d\"]}"
                                   "\0\0\0\0\0\0\0\0";
    const struct invocation_reply r = {
        .status = 418,
        .content_type = "text/plain",
        .fields = STR_LITERAL("X-A: b: \"c\"\r\nset-cookie: a=b\r\nSet-Cookie: c=d\r\n"),
    };
    struct buf out;
    (void)state;
    buf_init(&out, LAMBDA_PRELUDE_MAX);
    assert_int_equal(lambda_prelude_print(&r, &out), 0);
    assert_int_equal(out.len, sizeof(EXPECTED) - 1);
    assert_memory_equal(out.data, EXPECTED, out.len);
    buf_fini(&out);
}

static void without_fields_there_are_none(void **state)
{
    static const char EXPECTED[] = "{\"statusCode\":204,\"headers\":{},\"cookies\":[]}\0\0\0\0\0\0\0\0";
    struct buf out;
    (void)state;
    buf_init(&out, LAMBDA_PRELUDE_MAX);
    assert_int_equal(lambda_prelude_print(&(struct invocation_reply){.status = 204}, &out), 0);
    assert_int_equal(out.len, sizeof(EXPECTED) - 1);
    assert_memory_equal(out.data, EXPECTED, out.len);
    buf_fini(&out);
}

static void no_room_is_told(void **state)
{
    struct buf out;
    (void)state;
    for (size_t limit = 1; limit < sizeof("{\"statusCode\":200,\"headers\":{},\"cookies\":[]}") + 7; limit++) {
        buf_init(&out, limit);
        assert_int_equal(lambda_prelude_print(&(struct invocation_reply){.status = 200}, &out), -EMSGSIZE);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_json_and_eight_nuls),
        cmocka_unit_test(without_fields_there_are_none),
        cmocka_unit_test(no_room_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
