/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/secrets.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct secrets *all;

static int set_up(void **state)
{
    static const uint8_t key[SECRET_KEY_BYTES] = {1, 2, 3};
    (void)state;
    all = secrets_new(key);
    return all ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    secrets_free(all);
    return 0;
}

/* One whose sealed form is the letter over and over. */
static struct secret *make(const char *name, char letter, size_t value_bytes)
{
    size_t n = SECRET_OVERHEAD + value_bytes;
    struct secret *s = calloc(1, sizeof(*s) + n);
    assert_non_null(s);
    str_copy(str_from(name), s->name, sizeof(s->name));
    str_copy(str_from(secrets_fingerprint(all)), s->key, sizeof(s->key));
    s->sealed_bytes = n;
    memset(s->sealed, letter, n);
    return s;
}

static void put(const char *name, char letter, size_t value_bytes)
{
    assert_int_equal(secrets_settle(all, make(name, letter, value_bytes)), 0);
}

static struct settings naming(const char *text)
{
    struct settings s = {0};
    struct err e;
    for (struct str rest = str_from(text); rest.n;) {
        struct str one = str_cut(rest, ' ', &rest, NULL);
        assert_int_equal(settings_set_text(&s, "secret", one, &e), 0);
    }
    return s;
}

static void they_are_found_and_listed_by_name_in_whatever_order_they_come(void **state)
{
    (void)state;
    static const char *const names[] = {"m", "z", "a", "mm", "M", "b", "0", "_"};
    static const char *const sorted[] = {"0", "M", "_", "a", "b", "m", "mm", "z"};
    for (size_t i = 0; i < 8; i++)
        put(names[i], 'x', i + 1);
    put("b", 'y', 100); /* another value of the same */
    for (unsigned i = 0; i < 8; i++)
        assert_string_equal(secrets_at(all, i)->name, sorted[i]);
    assert_null(secrets_at(all, 8));
    assert_int_equal(secret_value_bytes(secrets_find(all, STR_LITERAL("b"))), 100);
    assert_null(secrets_find(all, STR_LITERAL("c")));
    assert_null(secrets_find(all, STR_LITERAL("")));
    secrets_remove(all, STR_LITERAL("b"));
    secrets_remove(all, STR_LITERAL("b"));
    assert_null(secrets_find(all, STR_LITERAL("b")));
    assert_string_equal(secrets_at(all, 4)->name, "m");
    assert_null(secrets_at(all, 7));
}

static void each_change_has_a_later_stamp(void **state)
{
    (void)state;
    struct settings both = naming("a b"), one = naming("a"), none = {0};
    assert_int_equal(secrets_stamp(all, &both), 0);
    put("a", 'x', 1);
    uint64_t first = secrets_stamp(all, &both);
    put("b", 'x', 1);
    assert_true(secrets_stamp(all, &both) > first);
    assert_int_equal(secrets_stamp(all, &one), first);
    put("c", 'x', 1);
    assert_int_equal(secrets_stamp(all, &one), first);
    put("a", 'y', 1);
    assert_true(secrets_stamp(all, &one) > first);
    assert_int_equal(secrets_stamp(all, &none), 0);
    settings_fini(&both);
    settings_fini(&one);
}

static void settings_may_name_only_what_is_there_for_this_key(void **state)
{
    (void)state;
    struct settings s = naming("a b=file");
    struct err e;
    put("a", 'x', 1);
    assert_int_equal(secrets_check(all, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "faasd secret set b"));
    put("b", 'x', 1);
    assert_int_equal(secrets_check(all, &s, &e), 0);
    secrets_set_removing(all, STR_LITERAL("b"), true);
    assert_int_equal(secrets_check(all, &s, &e), -EINVAL);
    secrets_set_removing(all, STR_LITERAL("b"), false);
    assert_int_equal(secrets_check(all, &s, &e), 0);
    struct secret *foreign = make("b", 'x', 1);
    strcpy(foreign->key, "0123456789abcdef");
    assert_int_equal(secrets_settle(all, foreign), 0);
    assert_int_equal(secrets_check(all, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "another key (0123456789abcdef)"));
    assert_true(secrets_are_named(&s, STR_LITERAL("b")));
    assert_false(secrets_are_named(&s, STR_LITERAL("file")));
    settings_fini(&s);
}

static void a_spawn_gets_them_in_one_file_that_can_not_change(void **state)
{
    (void)state;
    struct settings s = naming("b a=x a=y");
    struct message_spawn m = {0};
    char bytes[1024], c = 'z';
    put("a", 'a', 1);
    put("b", 'b', 2);
    int fd = secrets_fill(all, &s, &m);
    assert_true(fd >= 0);
    assert_int_equal(m.secret_count, 3);
    assert_string_equal(m.secrets[0].name, "b");
    assert_string_equal(m.secrets[0].file, "b");
    assert_string_equal(m.secrets[2].name, "a");
    assert_string_equal(m.secrets[2].file, "y");
    assert_int_equal(m.secrets[0].sealed_bytes, SECRET_OVERHEAD + 2);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 3 * SECRET_OVERHEAD + 4);
    assert_int_equal(bytes[SECRET_OVERHEAD + 1], 'b');
    assert_int_equal(bytes[SECRET_OVERHEAD + 2], 'a');
    assert_int_equal(pwrite(fd, &c, 1, 0), -1);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    settings_fini(&s);
}

static void one_that_is_gone_is_said_by_its_size(void **state)
{
    (void)state;
    struct settings s = naming("a gone"), none = {0};
    struct message_spawn m = {0};
    put("a", 'a', 1);
    int fd = secrets_fill(all, &s, &m);
    assert_int_equal(m.secret_count, 2);
    assert_int_equal(m.secrets[1].sealed_bytes, 0);
    fd_close(&fd);
    m = (struct message_spawn){0};
    assert_int_equal(secrets_fill(all, &none, &m), -1);
    assert_int_equal(m.secret_count, 0);
    settings_fini(&s);
}

static void all_together_have_a_limit_that_counts_what_is_under_way(void **state)
{
    (void)state;
    struct err e;
    char name[16];
    for (int i = 0; i < 15; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        put(name, 'x', SECRET_VALUE_MAX);
    }
    assert_int_equal(secrets_reserve(all, STR_LITERAL("new"), SECRET_VALUE_MAX, &e), 0);
    assert_int_equal(secrets_reserve(all, STR_LITERAL("more"), 1, &e), -EFBIG);
    assert_non_null(strstr(e.text, "SECRET_TOTAL_MAX"));
    secrets_release(all, SECRET_VALUE_MAX);
    assert_int_equal(secrets_reserve(all, STR_LITERAL("more"), 1, &e), 0);
    secrets_release(all, 1);
    /* another value takes the place of the one before */
    put("full", 'x', SECRET_VALUE_MAX);
    assert_int_equal(secrets_reserve(all, STR_LITERAL("s3"), SECRET_VALUE_MAX, &e), 0);
    secrets_release(all, SECRET_VALUE_MAX);
    secrets_remove(all, STR_LITERAL("s3"));
    assert_int_equal(secrets_reserve(all, STR_LITERAL("new"), SECRET_VALUE_MAX, &e), 0);
}

static void their_number_has_a_limit(void **state)
{
    (void)state;
    struct err e;
    char name[16];
    for (int i = 0; i < SECRET_COUNT_MAX; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        put(name, 'x', 1);
    }
    assert_int_equal(secrets_reserve(all, STR_LITERAL("new"), 1, &e), -EFBIG);
    assert_non_null(strstr(e.text, "SECRET_COUNT_MAX"));
    assert_int_equal(secrets_reserve(all, STR_LITERAL("s7"), 1, &e), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(they_are_found_and_listed_by_name_in_whatever_order_they_come),
        TEST(each_change_has_a_later_stamp),
        TEST(settings_may_name_only_what_is_there_for_this_key),
        TEST(a_spawn_gets_them_in_one_file_that_can_not_change),
        TEST(one_that_is_gone_is_said_by_its_size),
        TEST(all_together_have_a_limit_that_counts_what_is_under_way),
        TEST(their_number_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
