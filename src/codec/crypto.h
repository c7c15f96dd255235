/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few primitives that tokens, signatures and digests need: SHA-256 (FIPS 180-4), HMAC-SHA256 (RFC 2104), sealing with a key (XChaCha20-Poly1305, as
 * libsodium has it), comparison in constant time. No allocation, no state of its own, any thread.
 */
#ifndef FAASD_CODEC_CRYPTO_H
#define FAASD_CODEC_CRYPTO_H

#include "base/str.h"

enum {
    CRYPTO_HASH_BYTES = 32,
    CRYPTO_HASH_HEX = 2 * CRYPTO_HASH_BYTES + 1, /* in lower-case hex digits, with a NUL */
    CRYPTO_KEY_BYTES = 32,
    CRYPTO_NONCE_BYTES = 24,
    CRYPTO_SEAL_BYTES = CRYPTO_NONCE_BYTES + 16, /* how much longer a sealed text is */
};

/* A SHA-256 under way; may be copied, to go on from one point in two ways. */
struct crypto_hash {
    _Alignas(8) unsigned char state[104];
};
void crypto_hash_init(struct crypto_hash *h);
void crypto_hash_add(struct crypto_hash *h, const void *bytes, size_t n);
void crypto_hash_end(struct crypto_hash *h, unsigned char out[CRYPTO_HASH_BYTES]);

void crypto_sha256(struct str bytes, unsigned char out[CRYPTO_HASH_BYTES]);
void crypto_hmac(struct str key, struct str message, unsigned char out[CRYPTO_HASH_BYTES]);

/* What id_hex() prints, and in upper case: false when `hex` is not exactly n bytes. */
bool crypto_unhex(struct str hex, unsigned char *out, size_t n);

/* Takes the same time wherever they differ. */
bool crypto_equal(const void *a, const void *b, size_t n);
void crypto_wipe(void *bytes, size_t n); /* is not optimised away */

/* out: text.n + CRYPTO_SEAL_BYTES. `about` is not stored: what is opened about something else does not open. `nonce`: random, never used twice. */
void crypto_seal(const unsigned char key[CRYPTO_KEY_BYTES], const unsigned char nonce[CRYPTO_NONCE_BYTES],
                 struct str text, struct str about, unsigned char *out);
/* out: sealed.n - CRYPTO_SEAL_BYTES. False: another key, another `about`, or changed. */
bool crypto_open(const unsigned char key[CRYPTO_KEY_BYTES], struct str sealed, struct str about, unsigned char *out);

#endif
