/* SPDX-License-Identifier: Apache-2.0 */
/* code_buckets and lambda.roles. */
#include "codec/config_lambda.h"

#include "codec/config_key.h"
#include "codec/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ARN "arn:aws:iam::123456789012:role/"

static struct config config;

static int set_up(void **state)
{
    (void)state;
    config_init(&config);
    return 0;
}

static int read_json(const char *text, struct err *e)
{
    *e = (struct err){0};
    return config_read_json(&config, str_from(text), "config.json", e);
}

/* Nothing of what is refused is kept. */
static void refuse(const char *text, const char *why)
{
    struct err e;
    config_init(&config);
    assert_int_equal(read_json(text, &e), -EINVAL);
    if (!strstr(e.text, why))
        fail_msg("%s: '%s' does not say '%s'", text, e.text, why);
    assert_int_equal(config.lambda.bucket_count + config.lambda.role_count, 0);
}

static void assert_printed(enum config_shape shape, const char *wanted)
{
    struct json_writer w;
    struct buf out;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    config_put_named(&config, shape, "it", &w);
    json_put_object_end(&w);
    assert_int_equal(json_writer_end(&w), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, wanted);
    buf_fini(&out);
}

static void assert_entry(enum config_shape shape, uint32_t i, const char *wanted)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(config_named_entry(&config, shape, i, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, wanted);
    buf_fini(&out);
}

static void buckets_are_found_by_their_name(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(read_json("{\"code_buckets\":{\"zips\":\"/srv/zips\",\"a.b-C_9\":\"/srv/x=y\"}}", &e), 0);
    assert_int_equal(config.lambda.bucket_count, 2);
    assert_string_equal(config_find_bucket(&config, "zips")->path, "/srv/zips");
    assert_string_equal(config_find_bucket(&config, "a.b-C_9")->path, "/srv/x=y");
    assert_null(config_find_bucket(&config, "zip"));
    assert_null(config_find_bucket(&config, "zips/"));
    assert_printed(CONFIG_BUCKETS, "{\"it\":{\"zips\":\"/srv/zips\",\"a.b-C_9\":\"/srv/x=y\"}}");
    assert_entry(CONFIG_BUCKETS, 1, "a.b-C_9=/srv/x=y");
}

static void a_later_entry_of_the_same_name_replaces_the_first(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(config_add_bucket(&config, "zips=/srv/a", &e), 0);
    assert_int_equal(config_add_bucket(&config, "zips=/srv/b", &e), 0);
    assert_int_equal(config.lambda.bucket_count, 1);
    assert_string_equal(config_find_bucket(&config, "zips")->path, "/srv/b");
    assert_int_equal(config_add_role(&config, ARN "r=one,host", &e), 0);
    assert_int_equal(config_add_role(&config, ARN "r=two,", &e), 0);
    assert_int_equal(config.lambda.role_count, 1);
    assert_string_equal(config_find_role(&config, ARN "r")->secret, "two");
    assert_false(config_find_role(&config, ARN "r")->has_network); /* nothing of the first stays */
}

static void what_is_no_bucket_is_refused_with_the_reason(void **state)
{
    (void)state;
    refuse("{\"code_buckets\":[]}", "an object was expected");
    refuse("{\"code_buckets\":{\"ab\":\"/srv\"}}", "'ab' is not a bucket's name");
    refuse("{\"code_buckets\":{\"ends.\":\"/srv\"}}", "is not a bucket's name");
    refuse("{\"code_buckets\":{\"a/b\":\"/srv\"}}", "is not a bucket's name");
    refuse("{\"code_buckets\":{\"a=b\":\"/srv\"}}", "the name has a '='");
    refuse("{\"code_buckets\":{\"zips\":\"srv\"}}", "is not an absolute path");
    refuse("{\"code_buckets\":{\"zips\":\"/srv/../etc\"}}", "is not an absolute path");
    refuse("{\"code_buckets\":{\"zips\":\"/\"}}", "is not an absolute path");
    refuse("{\"code_buckets\":{\"zips\":7}}", "the path of a directory was expected, not a number");
    refuse("{\"code_buckets\":{\"zips\":\"/srv/\\u0007\"}}", "zips: ");
}

static void bucket_names_and_paths_have_their_lengths(void **state)
{
    (void)state;
    char text[512];
    struct err e = {0};
    snprintf(text, sizeof(text), "%063d=/srv", 7);
    assert_int_equal(config_add_bucket(&config, text, &e), 0);
    snprintf(text, sizeof(text), "%064d=/srv", 7);
    assert_int_equal(config_add_bucket(&config, text, &e), -EINVAL);
    snprintf(text, sizeof(text), "zips=/%0254d", 7);
    assert_int_equal(config_add_bucket(&config, text, &e), 0);
    snprintf(text, sizeof(text), "zips=/%0255d", 7);
    assert_int_equal(config_add_bucket(&config, text, &e), -EINVAL);
    assert_non_null(strstr(e.text, "more than 255 bytes"));
}

static void there_are_only_so_many_of_each(void **state)
{
    (void)state;
    char text[128];
    struct err e = {0};
    for (int i = 0; i < CONFIG_BUCKETS_MAX; i++) {
        snprintf(text, sizeof(text), "bucket-%d=/srv", i);
        assert_int_equal(config_add_bucket(&config, text, &e), 0);
    }
    assert_int_equal(config_add_bucket(&config, "another=/srv", &e), -EINVAL);
    assert_non_null(strstr(e.text, "more than 16 entries"));
    assert_int_equal(config_add_bucket(&config, "bucket-0=/else", &e), 0); /* is none more */
    for (int i = 0; i < CONFIG_ROLES_MAX; i++) {
        snprintf(text, sizeof(text), ARN "role-%d=,", i);
        assert_int_equal(config_add_role(&config, text, &e), 0);
    }
    assert_int_equal(config_add_role(&config, ARN "another=,", &e), -EINVAL);
    assert_non_null(strstr(e.text, "more than 32 entries"));
    assert_int_equal(config_add_role(&config, ARN "role-0=x,", &e), 0);
}

static void roles_have_a_secret_a_network_both_or_neither(void **state)
{
    (void)state;
    struct err e;
    static const char text[] = "{\"lambda\":{\"roles\":{"
                               "\"" ARN "both\":{\"secret\":\"keys\",\"network\":\"host\"},"
                               "\"" ARN "secret\":{\"secret\":\"keys\"},"
                               "\"" ARN "network\":{\"network\":\"none\"},"
                               "\"" ARN "path/x,y=z\":{}}}}";
    assert_int_equal(read_json(text, &e), 0);
    const struct config_role *r = config_find_role(&config, ARN "both");
    assert_string_equal(r->secret, "keys");
    assert_true(r->has_network && r->network == CONFIG_NETWORK_HOST);
    assert_false(config_find_role(&config, ARN "secret")->has_network);
    r = config_find_role(&config, ARN "network");
    assert_string_equal(r->secret, "");
    assert_true(r->has_network && r->network == CONFIG_NETWORK_NONE);
    assert_non_null(config_find_role(&config, ARN "path/x,y=z"));
    assert_null(config_find_role(&config, ARN "path/x"));
    assert_entry(CONFIG_ROLES, 0, ARN "both=keys,host");
    assert_entry(CONFIG_ROLES, 3, ARN "path/x,y=z=,");
    assert_printed(CONFIG_ROLES, "{\"it\":{\"" ARN "both\":{\"secret\":\"keys\",\"network\":\"host\"},"
                                 "\"" ARN "secret\":{\"secret\":\"keys\"},"
                                 "\"" ARN "network\":{\"network\":\"none\"},"
                                 "\"" ARN "path/x,y=z\":{}}}");
}

static void every_entry_is_read_back_from_its_text(void **state)
{
    (void)state;
    static const char *const texts[] = {ARN "a=keys,host", ARN "b=,none", ARN "c/d=e,f=k,", ARN "g=,"};
    struct err e = {0};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(config_add_role(&config, texts[i], &e), 0);
        assert_entry(CONFIG_ROLES, i, texts[i]);
    }
}

static void what_is_no_role_is_refused_with_the_reason(void **state)
{
    (void)state;
    refuse("{\"lambda\":{\"roles\":{\"reader\":{}}}}", "is not a role's ARN");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "\":{}}}}", "is not a role's ARN");
    refuse("{\"lambda\":{\"roles\":{\"arn:aws:iam::12345678901x:role/r\":{}}}}", "is not a role's ARN");
    refuse("{\"lambda\":{\"roles\":{\"arn:aws:iam::123456789012:user/r\":{}}}}", "is not a role's ARN");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "a b\":{}}}}", "is not a role's ARN");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":\"keys\"}}}", "an object with 'secret', 'network' or both");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":{\"sekret\":\"x\"}}}}", "unknown key 'sekret'");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":{\"secret\":\"\"}}}}", "secret: a text was expected");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":{\"secret\":7}}}}", "secret: a text was expected");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":{\"secret\":\"a b\"}}}}", "is not a secret's name");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":{\"secret\":\"a,host\"}}}}", "has a '=' or ','");
    refuse("{\"lambda\":{\"roles\":{\"" ARN "r\":{\"network\":\"wan\"}}}}", "'wan' is not one of none, egress, host");
}

/* As it comes from the child that parsed the file. */
static void bytes_that_are_no_entry_are_not_printed(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(config_add_role(&config, ARN "r=keys,host", &e), 0);
    assert_int_equal(config_add_bucket(&config, "zips=/srv", &e), 0);
    struct config_role *r = &config.lambda.roles[0], good = *r;
    memset(&r->has_network, 2, 1);
    assert_int_equal(config_named_entry(&config, CONFIG_ROLES, 0, &out), -EINVAL);
    *r = good;
    memset(&r->network, 0x7f, sizeof(r->network));
    assert_int_equal(config_named_entry(&config, CONFIG_ROLES, 0, &out), -EINVAL);
    *r = good;
    memset(r->secret, 'x', sizeof(r->secret));
    assert_int_equal(config_named_entry(&config, CONFIG_ROLES, 0, &out), -EINVAL);
    *r = good;
    memset(r->arn, 'x', sizeof(r->arn));
    assert_int_equal(config_named_entry(&config, CONFIG_ROLES, 0, &out), -EINVAL);
    memset(config.lambda.buckets[0].path, 'x', CONFIG_BUCKET_PATH_MAX);
    assert_int_equal(config_named_entry(&config, CONFIG_BUCKETS, 0, &out), -EINVAL);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(buckets_are_found_by_their_name),
        TEST(a_later_entry_of_the_same_name_replaces_the_first),
        TEST(what_is_no_bucket_is_refused_with_the_reason),
        TEST(bucket_names_and_paths_have_their_lengths),
        TEST(there_are_only_so_many_of_each),
        TEST(roles_have_a_secret_a_network_both_or_neither),
        TEST(every_entry_is_read_back_from_its_text),
        TEST(what_is_no_role_is_refused_with_the_reason),
        TEST(bytes_that_are_no_entry_are_not_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
