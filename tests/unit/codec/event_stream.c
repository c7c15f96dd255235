/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors were made by and checked with botocore's parser (tests/integration/test_lambda_stream.py reads with it what a daemon sends). */
#include "codec/event_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_crc_is_that_of_ieee_802_3(void **state)
{
    (void)state;
    assert_int_equal(event_stream_crc(0, "", 0), 0);
    assert_int_equal(event_stream_crc(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(event_stream_crc(0, "\0\0\0\0", 4), 0x2144DF1C);
}

static void a_crc_may_be_taken_in_pieces(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= 9; cut++)
        assert_int_equal(event_stream_crc(event_stream_crc(0, "123456789", cut), &"123456789"[cut], 9 - cut),
                         0xCBF43926);
}

static void check(const struct event_stream_event *e, const char *expected, size_t n)
{
    char head[EVENT_STREAM_HEAD_MAX];
    char tail[EVENT_STREAM_TAIL];
    size_t len = event_stream_frame(e, head, tail);
    assert_int_equal(len + e->payload.n + EVENT_STREAM_TAIL, n);
    assert_memory_equal(head, expected, len);
    assert_memory_equal(e->payload.p, expected + len, e->payload.n);
    assert_memory_equal(tail, expected + len + e->payload.n, EVENT_STREAM_TAIL);
}

static void a_payload_chunk_is_as_botocore_reads_it(void **state)
{
    static const char expected[] = "\x00\x00\x00\x6f\x00\x00\x00\x5a\xf5\xfe\x87\x1f\x0d\x3a\x6d\x65"
                                   "\x73\x73\x61\x67\x65\x2d\x74\x79\x70\x65\x07\x00\x05\x65\x76\x65"
                                   "\x6e\x74\x0b\x3a\x65\x76\x65\x6e\x74\x2d\x74\x79\x70\x65\x07\x00"
                                   "\x0c\x50\x61\x79\x6c\x6f\x61\x64\x43\x68\x75\x6e\x6b\x0d\x3a\x63"
                                   "\x6f\x6e\x74\x65\x6e\x74\x2d\x74\x79\x70\x65\x07\x00\x18\x61\x70"
                                   "\x70\x6c\x69\x63\x61\x74\x69\x6f\x6e\x2f\x6f\x63\x74\x65\x74\x2d"
                                   "\x73\x74\x72\x65\x61\x6d\x68\x65\x6c\x6c\x6f\x4f\xe0\x61\xf2";
    (void)state;
    check(&(struct event_stream_event){.type = "PayloadChunk",
                                       .content_type = "application/octet-stream",
                                       .payload = STR_LITERAL("hello")},
          expected, sizeof(expected) - 1);
}

static void an_end_without_a_payload_is_as_botocore_reads_it(void **state)
{
    static const char expected[] = "\x00\x00\x00\x66\x00\x00\x00\x54\x1f\x56\xc8\x69\x0d\x3a\x6d\x65"
                                   "\x73\x73\x61\x67\x65\x2d\x74\x79\x70\x65\x07\x00\x05\x65\x76\x65"
                                   "\x6e\x74\x0b\x3a\x65\x76\x65\x6e\x74\x2d\x74\x79\x70\x65\x07\x00"
                                   "\x0e\x49\x6e\x76\x6f\x6b\x65\x43\x6f\x6d\x70\x6c\x65\x74\x65\x0d"
                                   "\x3a\x63\x6f\x6e\x74\x65\x6e\x74\x2d\x74\x79\x70\x65\x07\x00\x10"
                                   "\x61\x70\x70\x6c\x69\x63\x61\x74\x69\x6f\x6e\x2f\x6a\x73\x6f\x6e"
                                   "\x7b\x7d\xfa\xce\x25\x9a";
    (void)state;
    check(&(struct event_stream_event){.type = "InvokeComplete",
                                       .content_type = "application/json",
                                       .payload = STR_LITERAL("{}")},
          expected, sizeof(expected) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crc_is_that_of_ieee_802_3),
        cmocka_unit_test(a_crc_may_be_taken_in_pieces),
        cmocka_unit_test(a_payload_chunk_is_as_botocore_reads_it),
        cmocka_unit_test(an_end_without_a_payload_is_as_botocore_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
