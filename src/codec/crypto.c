/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/crypto.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(((struct crypto_hash *)0)->state), "libsodium's state fits");
static_assert(CRYPTO_HASH_BYTES == crypto_hash_sha256_BYTES, "SHA-256");
static_assert(CRYPTO_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the key's size");
static_assert(CRYPTO_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "the nonce's size");
static_assert(CRYPTO_SEAL_BYTES == CRYPTO_NONCE_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES, "nonce and tag");

static crypto_hash_sha256_state *state_of(struct crypto_hash *h)
{
    return (crypto_hash_sha256_state *)(void *)h->state;
}

void crypto_hash_init(struct crypto_hash *h)
{
    crypto_hash_sha256_init(state_of(h));
}

void crypto_hash_add(struct crypto_hash *h, const void *bytes, size_t n)
{
    if (n)
        crypto_hash_sha256_update(state_of(h), bytes, n);
}

void crypto_hash_end(struct crypto_hash *h, unsigned char out[CRYPTO_HASH_BYTES])
{
    crypto_hash_sha256_final(state_of(h), out);
}

void crypto_sha256(struct str bytes, unsigned char out[CRYPTO_HASH_BYTES])
{
    crypto_hash_sha256(out, (const unsigned char *)(bytes.n ? bytes.p : ""), bytes.n);
}

void crypto_hmac(struct str key, struct str message, unsigned char out[CRYPTO_HASH_BYTES])
{
    crypto_auth_hmacsha256_state s;
    crypto_auth_hmacsha256_init(&s, (const unsigned char *)key.p, key.n);
    if (message.n)
        crypto_auth_hmacsha256_update(&s, (const unsigned char *)message.p, message.n);
    crypto_auth_hmacsha256_final(&s, out);
    sodium_memzero(&s, sizeof(s));
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool crypto_unhex(struct str hex, unsigned char *out, size_t n)
{
    if (hex.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit_value(hex.p[2 * i]), low = digit_value(hex.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}

void crypto_seal(const unsigned char key[CRYPTO_KEY_BYTES], const unsigned char nonce[CRYPTO_NONCE_BYTES],
                 struct str text, struct str about, unsigned char *out)
{
    memcpy(out, nonce, CRYPTO_NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + CRYPTO_NONCE_BYTES, NULL, (const unsigned char *)text.p, text.n,
                                               (const unsigned char *)about.p, about.n, NULL, nonce, key);
}

bool crypto_open(const unsigned char key[CRYPTO_KEY_BYTES], struct str sealed, struct str about, unsigned char *out)
{
    const unsigned char *nonce = (const unsigned char *)sealed.p;
    return sealed.n >= CRYPTO_SEAL_BYTES &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, nonce + CRYPTO_NONCE_BYTES,
                                                      sealed.n - CRYPTO_NONCE_BYTES, (const unsigned char *)about.p,
                                                      about.n, nonce, key) == 0;
}
