/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct secret_keys keys;

static int make_keys(void **state)
{
    (void)state;
    struct err e;
    return secret_keys_make(&keys, &e);
}

static struct buf seal(const char *name, struct str value)
{
    struct err e = {0};
    struct buf out;
    const struct secret_plain p = {.name = str_from(name), .value = value};
    buf_init(&out, 0);
    if (secret_seal(keys.public, &p, &out, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(out.len, SECRET_OVERHEAD + value.n);
    return out;
}

static int open_as(const struct secret_keys *k, const char *name, struct str sealed, uint8_t *room)
{
    struct err e = {0};
    int r = secret_open(k, name, sealed, room, &e);
    if (r < 0) {
        assert_non_null(strstr(e.text, name));
        assert_non_null(strstr(e.text, "faasd secret set"));
        for (size_t i = 0; i < sealed.n; i++)
            assert_int_equal(room[i], 0); /* nothing half opened stays */
    }
    return r;
}

static void what_is_sealed_opens_to_the_same_bytes(void **state)
{
    (void)state;
    static char value[SECRET_VALUE_MAX];
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)(i * 7);
    static const size_t sizes[] = {1, 2, 63, 4096, SECRET_VALUE_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf sealed = seal("db", (struct str){value, sizes[i]});
        uint8_t *room = malloc(sealed.len); /* exactly: a sanitizer sees a byte too many */
        assert_non_null(room);
        assert_int_equal(open_as(&keys, "db", buf_str(&sealed), room), 0);
        assert_memory_equal(room + SECRET_HEADER_BYTES, value, sizes[i]);
        if (sizes[i] > 16)
            assert_null(memmem(sealed.data, sealed.len, value, 16));
        free(room);
        buf_fini(&sealed);
    }
}

static void the_same_value_is_sealed_differently_each_time(void **state)
{
    (void)state;
    struct buf a = seal("db", STR_LITERAL("hush")), b = seal("db", STR_LITERAL("hush"));
    assert_memory_not_equal(a.data, b.data, a.len);
    buf_fini(&a);
    buf_fini(&b);
}

static void another_name_does_not_open_it(void **state)
{
    (void)state;
    struct buf sealed = seal("db", STR_LITERAL("hush"));
    uint8_t room[SECRET_OVERHEAD + 4];
    static const char *const others[] = {"d", "db2", "DB", "eb"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(open_as(&keys, others[i], buf_str(&sealed), room), -EPERM);
    buf_fini(&sealed);
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    char name[65];
    uint8_t room[SECRET_OVERHEAD + 4];
    memset(name, 'n', 64);
    name[64] = '\0';
    struct buf sealed = seal(name, STR_LITERAL("hush"));
    assert_int_equal(open_as(&keys, name, buf_str(&sealed), room), 0);
    name[63] = '\0';
    assert_int_equal(open_as(&keys, name, buf_str(&sealed), room), -EPERM);
    buf_fini(&sealed);
}

static void every_changed_bit_is_found(void **state)
{
    (void)state;
    struct buf sealed = seal("db", STR_LITERAL("hush"));
    uint8_t room[SECRET_OVERHEAD + 4];
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        /* X25519 leaves the last bit of a public key out (RFC 7748 section 5); the nonce hashes it, so it counts here */
        sealed.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(open_as(&keys, "db", buf_str(&sealed), room), -EBADMSG);
        sealed.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_int_equal(open_as(&keys, "db", buf_str(&sealed), room), 0);
    buf_fini(&sealed);
}

static void what_was_cut_or_grew_is_refused(void **state)
{
    (void)state;
    struct buf sealed = seal("db", STR_LITERAL("hush"));
    assert_int_equal(buf_add_text(&sealed, "x"), 0);
    for (size_t n = 0; n <= sealed.len; n++) {
        uint8_t *room = malloc(n + 1);
        assert_non_null(room);
        int want = n == SECRET_OVERHEAD + 4 ? 0 : -EBADMSG;
        assert_int_equal(open_as(&keys, "db", (struct str){sealed.data, n}, room), want);
        free(room);
    }
    static char large[SECRET_SEALED_MAX + 1];
    static uint8_t room[SECRET_SEALED_MAX + 1];
    assert_int_equal(open_as(&keys, "db", (struct str){large, sizeof(large)}, room), -EBADMSG);
    buf_fini(&sealed);
}

static void another_key_does_not_open_it(void **state)
{
    (void)state;
    struct secret_keys other;
    struct err e;
    uint8_t room[SECRET_OVERHEAD + 4];
    assert_int_equal(secret_keys_make(&other, &e), 0);
    struct buf sealed = seal("db", STR_LITERAL("hush"));
    assert_int_equal(open_as(&other, "db", buf_str(&sealed), room), -EBADMSG);
    buf_fini(&sealed);
}

static void the_public_key_follows_from_the_private_one(void **state)
{
    (void)state;
    struct secret_keys again;
    struct err e;
    char a[SECRET_FINGERPRINT_MAX], b[SECRET_FINGERPRINT_MAX];
    memcpy(again.private, keys.private, sizeof(again.private));
    assert_int_equal(secret_keys_complete(&again, &e), 0);
    assert_memory_equal(again.public, keys.public, sizeof(keys.public));
    secret_fingerprint(keys.public, a);
    secret_fingerprint(again.public, b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 16);
    memset(again.private, 0, sizeof(again.private));
    assert_int_equal(secret_keys_complete(&again, &e), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_to_the_same_bytes),
        cmocka_unit_test(the_same_value_is_sealed_differently_each_time),
        cmocka_unit_test(another_name_does_not_open_it),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(every_changed_bit_is_found),
        cmocka_unit_test(what_was_cut_or_grew_is_refused),
        cmocka_unit_test(another_key_does_not_open_it),
        cmocka_unit_test(the_public_key_follows_from_the_private_one),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
