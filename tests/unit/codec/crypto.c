/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/crypto.h"

#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_sum(const unsigned char *sum, const char *hex)
{
    char text[CRYPTO_HASH_HEX];
    id_hex(sum, CRYPTO_HASH_BYTES, text);
    assert_string_equal(text, hex);
}

/* FIPS 180-4's examples. */
static void sha256_of_what_everybody_knows(void **state)
{
    (void)state;
    unsigned char sum[CRYPTO_HASH_BYTES];
    crypto_sha256((struct str){0}, sum);
    assert_sum(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha256(STR_LITERAL("abc"), sum);
    assert_sum(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_copied_hash_goes_on_on_its_own(void **state)
{
    (void)state;
    struct crypto_hash a, b;
    unsigned char sum[CRYPTO_HASH_BYTES];
    crypto_hash_init(&a);
    crypto_hash_add(&a, "ab", 2);
    b = a;
    crypto_hash_add(&a, "x", 1);
    crypto_hash_add(&b, "c", 1);
    crypto_hash_end(&b, sum);
    assert_sum(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, test cases 2 and 6. */
static void hmac_with_short_and_long_keys(void **state)
{
    (void)state;
    unsigned char sum[CRYPTO_HASH_BYTES];
    char key[131];
    crypto_hmac(STR_LITERAL("Jefe"), STR_LITERAL("what do ya want for nothing?"), sum);
    assert_sum(sum, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    crypto_hmac((struct str){key, sizeof(key)}, STR_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First"),
                sum);
    assert_sum(sum, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hex_reads_back_and_nothing_else_does(void **state)
{
    (void)state;
    unsigned char out[3];
    assert_true(crypto_unhex(STR_LITERAL("00fFa9"), out, 3));
    assert_memory_equal(out, "\x00\xff\xa9", 3);
    static const char *const bad[] = {"", "00ff", "00ffa", "00ffa9a", "00ffg9", "0x00ff", "00 fa9"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(crypto_unhex(str_from(bad[i]), out, 3));
}

static void what_is_sealed_opens_with_its_key_and_subject_alone(void **state)
{
    (void)state;
    static const unsigned char key[CRYPTO_KEY_BYTES] = {1}, other[CRYPTO_KEY_BYTES] = {2};
    static const unsigned char nonce[CRYPTO_NONCE_BYTES] = {3};
    unsigned char sealed[6 + CRYPTO_SEAL_BYTES];
    char out[6];
    struct str box = {(const char *)sealed, sizeof(sealed)};
    crypto_seal(key, nonce, STR_LITERAL("secret"), STR_LITERAL("a"), sealed);
    assert_null(memmem(sealed, sizeof(sealed), "secret", 6));
    assert_true(crypto_open(key, box, STR_LITERAL("a"), (unsigned char *)out));
    assert_memory_equal(out, "secret", 6);
    assert_false(crypto_open(other, box, STR_LITERAL("a"), (unsigned char *)out));
    assert_false(crypto_open(key, box, STR_LITERAL("b"), (unsigned char *)out));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        assert_false(crypto_open(key, box, STR_LITERAL("a"), (unsigned char *)out));
        sealed[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof(sealed); n++)
        assert_false(crypto_open(key, (struct str){(const char *)sealed, n}, STR_LITERAL("a"), (unsigned char *)out));
}

static void comparison_looks_at_every_byte(void **state)
{
    (void)state;
    assert_true(crypto_equal("abcd", "abcd", 4));
    assert_false(crypto_equal("abcd", "abce", 4));
    assert_false(crypto_equal("abcd", "xbcd", 4));
    char secret[4] = "abc";
    crypto_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, "\0\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_what_everybody_knows),
        cmocka_unit_test(a_copied_hash_goes_on_on_its_own),
        cmocka_unit_test(hmac_with_short_and_long_keys),
        cmocka_unit_test(hex_reads_back_and_nothing_else_does),
        cmocka_unit_test(what_is_sealed_opens_with_its_key_and_subject_alone),
        cmocka_unit_test(comparison_looks_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
