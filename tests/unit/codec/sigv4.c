/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signature Version 4 against AWS's own examples: the test suite ("get-vanilla" and its kin), the walk-through of the IAM guide (ListUsers) and the examples of the S3
 * API reference, written out as the requests that go over the wire.
 */
#include "codec/sigv4.h"

#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define S3_SECRET    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define SUITE(signed_, signature_)                                                                                     \
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "                 \
    "SignedHeaders=" signed_ ", Signature=" signature_ "\r\n"
#define SUITE_HEAD "Host: example.amazonaws.com\r\nX-Amz-Date: 20150830T123600Z\r\n"
#define VANILLA    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
#define S3(signed_, signature_)                                                                                        \
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"              \
    "SignedHeaders=" signed_ ",Signature=" signature_ "\r\n"
#define S3_HEAD   "Host: examplebucket.s3.amazonaws.com\r\nx-amz-date: 20130524T000000Z\r\n"
#define EMPTY_SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct http1_request http;
static struct sigv4_claim claim;
static struct sigv4_check check;
static struct err e;

static struct sigv4_request parse(const char *text)
{
    struct http1_progress progress = {0};
    struct http1_refusal refusal = {0};
    const struct http1_limits limits = {.head_bytes = 65536, .fields = HTTP1_FIELDS_MAX};
    size_t n;
    if (http1_parse_request(&http, &progress, text, strlen(text), &limits, &n, &refusal) != HTTP1_DONE)
        fail_msg("no request: %s: %s", refusal.reason ? refusal.reason : "incomplete", text);
    return (struct sigv4_request){.http = &http, .host = http.host};
}

/* NULL: the signature is right. */
static const char *verdict(const char *text, const char *secret, const char *body)
{
    struct sigv4_request r = parse(text);
    unsigned char sum[CRYPTO_HASH_BYTES];
    char hex[CRYPTO_HASH_HEX];
    memset(&e, 0, sizeof(e));
    enum sigv4_found found = sigv4_read(&r, &claim, &e);
    if (found == SIGV4_ABSENT)
        return "absent";
    if (found == SIGV4_BAD || sigv4_begin(&check, &r, &claim, str_from(secret), &e) < 0)
        return e.text;
    crypto_sha256(str_from(body), sum);
    id_hex(sum, sizeof(sum), hex);
    struct str payload = claim.payload == SIGV4_PAYLOAD_BODY ? str_from(hex) : claim.payload_text;
    return sigv4_finish(&check, payload) ? NULL : "wrong";
}

static const struct {
    const char *name, *text, *secret, *body;
} vectors[] = {
    {"get-vanilla", "GET / HTTP/1.1\r\n" SUITE_HEAD SUITE("host;x-amz-date", VANILLA) "\r\n", SUITE_SECRET, ""},
    {"post-vanilla",
     "POST / HTTP/1.1\r\n" SUITE_HEAD SUITE("host;x-amz-date",
                                            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b") "\r\n",
     SUITE_SECRET, ""},
    {"get-vanilla-query-order-key-case",
     "GET /?Param2=value2&Param1=value1 HTTP/1.1\r\n" SUITE_HEAD SUITE(
         "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500") "\r\n",
     SUITE_SECRET, ""},
    {"get-vanilla-utf8-query",
     "GET /?%E1%88%B4=bar HTTP/1.1\r\n" SUITE_HEAD SUITE(
         "host;x-amz-date", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04") "\r\n",
     SUITE_SECRET, ""},
    {"get-header-key-duplicate",
     "GET / HTTP/1.1\r\nHost: example.amazonaws.com\r\nMy-Header1: value2\r\nMy-Header1: value2\r\nMy-Header1: "
     "value1\r\nX-Amz-Date: 20150830T123600Z\r\n" SUITE(
         "host;my-header1;x-amz-date", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea") "\r\n",
     SUITE_SECRET, ""},
    {"get-header-value-trim",
     "GET / HTTP/1.1\r\nHost: example.amazonaws.com\r\nMy-Header1:  value1\r\nMy-Header2:  \"a   b   "
     "c\"  \r\nX-Amz-Date: 20150830T123600Z\r\n" SUITE(
         "host;my-header1;my-header2;x-amz-date",
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736") "\r\n",
     SUITE_SECRET, ""},
    {"post-x-www-form-urlencoded",
     "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n" SUITE_HEAD SUITE(
         "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a") "\r\n",
     SUITE_SECRET, "Param1=value1"},
    {"IAM ListUsers",
     "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\r\nHost: iam.amazonaws.com\r\nContent-Type: "
     "application/x-www-form-urlencoded; charset=utf-8\r\nX-Amz-Date: 20150830T123600Z\r\nAuthorization: "
     "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
     "SignedHeaders=content-type;host;x-amz-date, "
     "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n\r\n",
     SUITE_SECRET, ""},
    {"S3 GET object",
     "GET /test.txt HTTP/1.1\r\nRange: bytes=0-9\r\nx-amz-content-sha256: " EMPTY_SUM
     "\r\n" S3_HEAD S3("host;range;x-amz-content-sha256;x-amz-date",
                       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41") "\r\n",
     S3_SECRET, ""},
    {"S3 PUT object",
     "PUT /test%24file.text HTTP/1.1\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\nx-amz-storage-class: "
     "REDUCED_REDUNDANCY\r\nx-amz-content-sha256: "
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\r\nContent-Length: 21\r\n" S3_HEAD S3(
         "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd") "\r\n",
     S3_SECRET, "Welcome to Amazon S3."},
    {"S3 GET bucket lifecycle, a parameter without '='",
     "GET /?lifecycle HTTP/1.1\r\nx-amz-content-sha256: " EMPTY_SUM
     "\r\n" S3_HEAD S3("host;x-amz-content-sha256;x-amz-date",
                       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543") "\r\n",
     S3_SECRET, ""},
    {"S3 list objects",
     "GET /?max-keys=2&prefix=J HTTP/1.1\r\nx-amz-content-sha256: " EMPTY_SUM
     "\r\n" S3_HEAD S3("host;x-amz-content-sha256;x-amz-date",
                       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7") "\r\n",
     S3_SECRET, ""},
    {"S3 presigned GET",
     "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3"
     "%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
     "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\r\nHost: "
     "examplebucket.s3.amazonaws.com\r\n\r\n",
     S3_SECRET, ""},
};
enum { VECTORS = sizeof(vectors) / sizeof(vectors[0]) };

static void the_published_examples_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        const char *why = verdict(vectors[i].text, vectors[i].secret, vectors[i].body);
        if (why)
            fail_msg("%s: %s", vectors[i].name, why);
        assert_non_null(verdict(vectors[i].text, "another", vectors[i].body));
    }
}

/* Any one byte of method, target, a signed value or the signature makes it wrong, or no signature at all. */
static void no_byte_of_what_is_signed_can_be_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        size_t n = strlen(vectors[i].text);
        for (size_t at = 0; at < n; at++) {
            char *copy = strdup(vectors[i].text);
            char old = copy[at];
            bool name = false; /* a field's name may be spelled in either case */
            for (size_t k = at; k > 0 && copy[k - 1] != '\n'; k--)
                name = name || copy[k - 1] == ':';
            if ((old >= '0' && old <= '8') || (old >= 'b' && old <= 'y' && name && (old < 'x' || old > 'y')))
                copy[at] = (char)(old + 1);
            const char *line = copy + at;
            while (line > copy && line[-1] != '\n')
                line--;
            /* the id says whose secret it is, and is not itself signed */
            const char *id = strstr(line, "AKIA");
            bool is_id = id && copy + at >= id && copy + at < id + strlen("AKIAIOSFODNN7EXAMPLE");
            bool unsigned_line = is_id || strncmp(line, "Content-Length", 14) == 0 || line == copy;
            if (copy[at] != old && !unsigned_line && !verdict(copy, vectors[i].secret, vectors[i].body))
                fail_msg("%s: byte %zu, '%c' as '%c': %.40s", vectors[i].name, at, old, copy[at], copy + at);
            free(copy);
        }
    }
}

static void another_body_method_path_or_query_is_wrong(void **state)
{
    (void)state;
#define SAME SUITE_HEAD SUITE("host;x-amz-date", VANILLA) "\r\n"
    assert_null(verdict("GET / HTTP/1.1\r\n" SAME, SUITE_SECRET, ""));
    static const char *const others[] = {"POST / ",   "get / ",  "GET // ",    "GET /. ",  "GET /x/.. ",
                                         "GET /%2f ", "GET /? ", "GET /?a=b ", "GET /%20 "};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "%sHTTP/1.1\r\n" SAME, others[i]);
        const char *why = verdict(text, SUITE_SECRET, "");
        if (strcmp(others[i], "GET /? ") == 0)
            assert_null(why); /* an empty query is none */
        else if (!why)
            fail_msg("'%s' passes as 'GET /'", others[i]);
    }
    assert_string_equal(verdict("GET / HTTP/1.1\r\n" SAME, SUITE_SECRET, "x"), "wrong");
}

/* Signs by the same code, so that forms without a published example can be asked for. */
static void sign(struct str path, char out[CRYPTO_HASH_HEX])
{
    struct crypto_hash h;
    unsigned char sum[CRYPTO_HASH_BYTES], key[CRYPTO_HASH_BYTES];
    char hex[CRYPTO_HASH_HEX], text[256];
    static const char rest[] =
        "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n" EMPTY_SUM;
    crypto_hash_init(&h);
    crypto_hash_add(&h, "GET\n", 4);
    crypto_hash_add(&h, path.p, path.n);
    crypto_hash_add(&h, rest, sizeof(rest) - 1);
    crypto_hash_end(&h, sum);
    id_hex(sum, sizeof(sum), hex);
    int n = snprintf(text, sizeof(text),
                     "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n%s", hex);
    crypto_hmac(STR_LITERAL("AWS4" SUITE_SECRET), STR_LITERAL("20150830"), key);
    static const char *const parts[] = {"us-east-1", "service", "aws4_request"};
    for (size_t i = 0; i < 3; i++)
        crypto_hmac((struct str){(char *)key, sizeof(key)}, str_from(parts[i]), key);
    crypto_hmac((struct str){(char *)key, sizeof(key)}, (struct str){text, (size_t)n}, sum);
    id_hex(sum, sizeof(sum), out);
}

static const char *verdict_of_path(const char *sent, const char *signed_as)
{
    char signature[CRYPTO_HASH_HEX], text[1024];
    sign(str_from(signed_as), signature);
    snprintf(text, sizeof(text),
             "GET %s HTTP/1.1\r\n" SUITE_HEAD
             "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
             "SignedHeaders=host;x-amz-date, Signature=%s\r\n\r\n",
             sent, signature);
    return verdict(text, SUITE_SECRET, "");
}

static void a_path_is_signed_as_it_is_or_encoded_once_more(void **state)
{
    (void)state;
    assert_null(verdict_of_path("/function/hello", "/function/hello"));
    assert_null(verdict_of_path("/function/a%20b", "/function/a%20b"));
    assert_null(verdict_of_path("/function/a%20b", "/function/a%2520b"));
    assert_null(verdict_of_path("/function/hello:prod", "/function/hello%3Aprod"));
    assert_null(verdict_of_path("/function/hello:prod", "/function/hello:prod"));
    assert_null(verdict_of_path("/a-b._~/", "/a-b._~/"));
    /* not two requests for one signature */
    assert_string_equal(verdict_of_path("/function/b/../a", "/function/a"), "wrong");
    assert_string_equal(verdict_of_path("/function//a", "/function/a"), "wrong");
    assert_string_equal(verdict_of_path("/function/./a", "/function/a"), "wrong");
    assert_string_equal(verdict_of_path("/function/%61", "/function/a"), "wrong");
    assert_string_equal(verdict_of_path("/function/a%2fb", "/function/a%2Fb"), "wrong");
}

static void spellings_of_the_authorization_field(void **state)
{
    (void)state;
#define CREDENTIAL "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    static const struct {
        const char *name, *value, *expect; /* NULL: right; else a part of the message */
    } rows[] = {
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;x-amz-date,Signature=" VANILLA, NULL},
        {"AUTHORIZATION",
         "AWS4-HMAC-SHA256   " CREDENTIAL " ,  SignedHeaders=host;x-amz-date , Signature=" VANILLA "  ", NULL},
        {"authorization", "AWS4-HMAC-SHA256 Signature=" VANILLA ", SignedHeaders=host;x-amz-date, " CREDENTIAL, NULL},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;x-amz-date", "Signature has to be"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=x-amz-date;host, Signature=" VANILLA,
         "in order"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=Host;x-amz-date, Signature=" VANILLA,
         "lower case"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;host;x-amz-date, Signature=" VANILLA,
         "in order"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=, Signature=" VANILLA, "in order"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=x-amz-date, Signature=" VANILLA, "name host"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host, Signature=" VANILLA, "X-Amz-Date"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;nope;x-amz-date, Signature=" VANILLA,
         "has none"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;x-amz-date, Signature=5fa0",
         "64 digits"},
        {"Authorization",
         "AWS4-HMAC-SHA256 " CREDENTIAL ", " CREDENTIAL ", SignedHeaders=host;x-amz-date, Signature=" VANILLA, "twice"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;x-amz-date, Signature=" VANILLA ", X=1",
         "has Cred"},
        {"Authorization", "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;x-amz-date, Signature=" VANILLA ",",
         "has Cred"},
        {"Authorization", "AWS4-HMAC-SHA512 " CREDENTIAL ", SignedHeaders=host;x-amz-date, Signature=" VANILLA,
         "absent"},
        {"Authorization", "Bearer " CREDENTIAL, "absent"},
        {"Authorization", "AWS4-HMAC-SHA256", "absent"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[2048];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" SUITE_HEAD "%s: %s\r\n\r\n", rows[i].name, rows[i].value);
        const char *why = verdict(text, SUITE_SECRET, "");
        if (rows[i].expect ? !why || !strstr(why, rows[i].expect) : why != NULL)
            fail_msg("%s: %s", rows[i].value, why ? why : "right");
    }
}

static void a_credential_has_five_parts_of_the_same_day(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "AKIDEXAMPLE",
        "AKIDEXAMPLE/20150830/us-east-1/service",
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4",
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request/x",
        "AKIDEXAMPLE/20150831/us-east-1/service/aws4_request",
        "AKIDEXAMPLE/2015083/us-east-1/service/aws4_request",
        "/20150830/us-east-1/service/aws4_request",
        "AKIDEXAMPLE/20150830//service/aws4_request",
        "AKIDEXAMPLE/20150830/us-east-1//aws4_request",
        "AKIDEXAMPLE/20150830/rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr/service/aws4_request",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text),
                 "GET / HTTP/1.1\r\n" SUITE_HEAD
                 "Authorization: AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=host;x-amz-date, Signature=" VANILLA
                 "\r\n\r\n",
                 bad[i]);
        const char *why = verdict(text, SUITE_SECRET, "");
        assert_non_null(why);
        assert_non_null(strstr(why, "Credential"));
    }
}

static void times_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "20150830",
                                      "20150830T123600",
                                      "20150830T123600z",
                                      "20150830 123600Z",
                                      "2015-08-30T12:36Z",
                                      "20151330T123600Z",
                                      "20150800T123600Z",
                                      "20150830T243600Z",
                                      "20150830T126000Z",
                                      "+0150830T123600Z",
                                      "20150830T123600Z0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text),
                 "GET / HTTP/1.1\r\nHost: h\r\nX-Amz-Date: %s\r\n" SUITE("host;x-amz-date", VANILLA) "\r\n", bad[i]);
        const char *why = verdict(text, SUITE_SECRET, "");
        assert_non_null(why);
        assert_non_null(strstr(why, "X-Amz-Date"));
    }
    assert_non_null(strstr(verdict("GET / HTTP/1.1\r\nHost: h\r\n" SUITE("host", VANILLA) "\r\n", SUITE_SECRET, ""),
                           "there is no X-Amz-Date"));
}

static void the_clock_may_be_off_by_fifteen_minutes(void **state)
{
    (void)state;
    enum { AT = 1440938160 }; /* 2015-08-30T12:36:00Z */
    assert_null(verdict(vectors[0].text, SUITE_SECRET, ""));
    assert_int_equal(claim.signed_at_s, AT);
    assert_int_equal(sigv4_check_time(&claim, AT, &e), 0);
    assert_int_equal(sigv4_check_time(&claim, AT + SIGV4_SKEW_S, &e), 0);
    assert_int_equal(sigv4_check_time(&claim, AT - SIGV4_SKEW_S, &e), 0);
    assert_true(sigv4_check_time(&claim, AT + SIGV4_SKEW_S + 1, &e) < 0);
    assert_string_equal(e.text, "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
                                "(20150830T125101Z - 15 min.)");
    assert_true(sigv4_check_time(&claim, AT - SIGV4_SKEW_S - 1, &e) < 0);
    assert_string_equal(e.text, "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z "
                                "(20150830T122059Z + 15 min.)");
    assert_int_equal(sigv4_valid_until_s(&claim), AT + SIGV4_SKEW_S);
    assert_true(sigv4_check_time(&claim, 0, &e) < 0); /* a clock that is not set */
}

static void a_presigned_url_is_good_for_as_long_as_it_says(void **state)
{
    (void)state;
    enum { AT = 1369353600 }; /* 2013-05-24T00:00:00Z */
    assert_null(verdict(vectors[VECTORS - 1].text, S3_SECRET, "any body"));
    assert_true(claim.presigned);
    assert_int_equal(claim.payload, SIGV4_PAYLOAD_UNSIGNED);
    assert_int_equal(sigv4_check_time(&claim, AT + 86400, &e), 0);
    assert_true(sigv4_check_time(&claim, AT + 86401, &e) < 0);
    assert_non_null(strstr(e.text, "Signature expired"));
    static const char *const bad[] = {"X-Amz-Expires=0",
                                      "X-Amz-Expires=604801",
                                      "X-Amz-Expires=",
                                      "X-Amz-Expires=1x",
                                      "X-Amz-Expires=86400&X-Amz-Expires=86400",
                                      "X=1",
                                      "X-Amz-Expires=%20"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[2048];
        const char *at = strstr(vectors[VECTORS - 1].text, "X-Amz-Expires=86400");
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - vectors[VECTORS - 1].text), vectors[VECTORS - 1].text,
                 bad[i], at + strlen("X-Amz-Expires=86400"));
        const char *why = verdict(text, S3_SECRET, "");
        assert_non_null(why);
        assert_non_null(strstr(why, "X-Amz-Expires"));
    }
}

static void what_changes_the_meaning_has_to_be_signed(void **state)
{
    (void)state;
    static const char *const fields[] = {"Faasd-Settings: {}", "X-Amz-Invocation-Type: Event", "faasd-x: 1",
                                         "x-AMZ-content-sha256: UNSIGNED-PAYLOAD"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n" SUITE_HEAD SUITE("host;x-amz-date", VANILLA) "\r\n",
                 fields[i]);
        const char *why = verdict(text, SUITE_SECRET, "");
        assert_non_null(why);
        assert_non_null(strstr(why, "has to be among the SignedHeaders"));
    }
    /* what proxies add on the way is nobody's to sign */
    assert_null(verdict("GET / HTTP/1.1\r\nX-Amzn-Trace-Id: Root=1\r\nVia: p\r\nX-Forwarded-For: 1.2.3.4\r\n" SAME,
                        SUITE_SECRET, ""));
}

static void temporary_credentials_and_signed_chunks_are_refused_with_what_to_do(void **state)
{
    (void)state;
    const char *why = verdict("GET / HTTP/1.1\r\nX-Amz-Security-Token: t\r\n" SUITE_HEAD SUITE(
                                  "host;x-amz-date;x-amz-security-token", VANILLA) "\r\n",
                              SUITE_SECRET, "");
    assert_non_null(strstr(why, "unset AWS_SESSION_TOKEN"));
    why = verdict("GET /?X-Amz-Signature=1&X-Amz-Security-Token=t HTTP/1.1\r\nHost: h\r\n\r\n", SUITE_SECRET, "");
    assert_non_null(strstr(why, "unset AWS_SESSION_TOKEN"));
    why = verdict("PUT / HTTP/1.1\r\nX-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n" SUITE_HEAD SUITE(
                      "host;x-amz-content-sha256;x-amz-date", VANILLA) "\r\n",
                  SUITE_SECRET, "");
    assert_non_null(strstr(why, "signed chunks are not taken"));
    why = verdict("GET /?X-Amz-Signature=1 HTTP/1.1\r\n" SAME, SUITE_SECRET, "");
    assert_non_null(strstr(why, "one in the query"));
}

static void a_host_that_a_proxy_changed_is_signed_as_the_client_sent_it(void **state)
{
    (void)state;
    struct sigv4_request r = parse("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Amz-Date: 20150830T123600Z\r\n" SUITE(
        "host;x-amz-date", VANILLA) "\r\n");
    assert_int_equal(sigv4_read(&r, &claim, &e), SIGV4_FOUND);
    assert_int_equal(sigv4_begin(&check, &r, &claim, STR_LITERAL(SUITE_SECRET), &e), 0);
    assert_false(sigv4_finish(&check, STR_LITERAL(EMPTY_SUM)));
    r.host = STR_LITERAL("example.amazonaws.com");
    assert_int_equal(sigv4_begin(&check, &r, &claim, STR_LITERAL(SUITE_SECRET), &e), 0);
    assert_true(sigv4_finish(&check, STR_LITERAL(EMPTY_SUM)));
}

static void a_signed_query_has_a_limit(void **state)
{
    (void)state;
    char target[1024] = "/?a", text[2048];
    for (unsigned i = 1; i <= SIGV4_PARAMETERS_MAX; i++)
        strcat(target, "&a");
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" SAME, target);
    assert_non_null(strstr(verdict(text, SUITE_SECRET, ""), "at most 64"));
    target[strlen(target) - 2] = '\0';
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" SAME, target);
    assert_string_equal(verdict(text, SUITE_SECRET, ""), "wrong");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_are_right),
        cmocka_unit_test(no_byte_of_what_is_signed_can_be_another),
        cmocka_unit_test(another_body_method_path_or_query_is_wrong),
        cmocka_unit_test(a_path_is_signed_as_it_is_or_encoded_once_more),
        cmocka_unit_test(spellings_of_the_authorization_field),
        cmocka_unit_test(a_credential_has_five_parts_of_the_same_day),
        cmocka_unit_test(times_that_are_none_are_refused),
        cmocka_unit_test(the_clock_may_be_off_by_fifteen_minutes),
        cmocka_unit_test(a_presigned_url_is_good_for_as_long_as_it_says),
        cmocka_unit_test(what_changes_the_meaning_has_to_be_signed),
        cmocka_unit_test(temporary_credentials_and_signed_chunks_are_refused_with_what_to_do),
        cmocka_unit_test(a_host_that_a_proxy_changed_is_signed_as_the_client_sent_it),
        cmocka_unit_test(a_signed_query_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
