/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/secret.h"

#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_BYTES = 16, NAME_BYTES = 64 };
static const uint8_t MAGIC[MAGIC_BYTES] = "faasd-secret-1";

static_assert(SECRET_KEY_BYTES == crypto_box_PUBLICKEYBYTES, "");
static_assert(SECRET_KEY_BYTES == crypto_box_SECRETKEYBYTES, "");
static_assert(SECRET_OVERHEAD == crypto_box_SEALBYTES + SECRET_HEADER_BYTES, "");
static_assert(SECRET_HEADER_BYTES == MAGIC_BYTES + NAME_BYTES, "");

int secret_keys_make(struct secret_keys *k, struct err *e)
{
    /* any 32 bytes are a private key: X25519 clamps them (RFC 7748 section 5) */
    id_random(k->private, sizeof(k->private));
    return secret_keys_complete(k, e);
}

int secret_keys_complete(struct secret_keys *k, struct err *e)
{
    /* sodium_init chooses the fastest code that this processor can run */
    if (sodium_init() < 0)
        return err_say(e, EIO, "libsodium can't be used here");
    if (sodium_is_zero(k->private, sizeof(k->private)) || crypto_scalarmult_base(k->public, k->private) != 0)
        return err_say(e, EINVAL, "that is no key");
    return 0;
}

void secret_fingerprint(const uint8_t public[SECRET_KEY_BYTES], char out[SECRET_FINGERPRINT_MAX])
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, public, SECRET_KEY_BYTES);
    id_hex(digest, (SECRET_FINGERPRINT_MAX - 1) / 2, out);
}

static void fill_header(struct str name, uint8_t out[SECRET_HEADER_BYTES])
{
    assert(name.n > 0 && name.n <= NAME_BYTES);
    memset(out, 0, SECRET_HEADER_BYTES);
    memcpy(out, MAGIC, MAGIC_BYTES);
    memcpy(out + MAGIC_BYTES, name.p, name.n);
}

int secret_seal(const uint8_t public[SECRET_KEY_BYTES], const struct secret_plain *p, struct buf *out, struct err *e)
{
    assert(p->value.n <= SECRET_VALUE_MAX);
    size_t n = SECRET_HEADER_BYTES + p->value.n;
    uint8_t *plain = malloc(n);
    int r = plain && buf_reserve(out, SECRET_OVERHEAD + p->value.n) == 0 ? sodium_init() : -ENOMEM;
    if (r >= 0) {
        fill_header(p->name, plain);
        if (p->value.n)
            memcpy(plain + SECRET_HEADER_BYTES, p->value.p, p->value.n);
        r = crypto_box_seal((uint8_t *)out->data + out->len, plain, n, public);
        sodium_memzero(plain, n);
    }
    free(plain);
    if (r == -ENOMEM)
        return err_set(e, ENOMEM, "seal the secret");
    if (r < 0)
        return err_say(e, EINVAL, "the secret can't be sealed for this key");
    out->len += SECRET_OVERHEAD + p->value.n;
    return 0;
}

int secret_open(const struct secret_keys *k, const char *name, struct str sealed, uint8_t *room, struct err *e)
{
    uint8_t header[SECRET_HEADER_BYTES];
    const uint8_t *bytes = (const uint8_t *)sealed.p;
    if (sealed.n <= SECRET_OVERHEAD || sealed.n > SECRET_SEALED_MAX ||
        crypto_box_seal_open(room, bytes, sealed.n, k->public, k->private) != 0) {
        sodium_memzero(room, sealed.n);
        return err_say(e, EBADMSG,
                       "secret '%s' can't be opened: it was damaged, or sealed for another key. Set it again: faasd "
                       "secret set %s",
                       name, name);
    }
    fill_header(str_from(name), header);
    if (memcmp(header, room, SECRET_HEADER_BYTES) == 0)
        return 0;
    sodium_memzero(room, sealed.n);
    return err_say(e, EPERM, "secret '%s' holds what was sealed under another name. Set it again: faasd secret set %s",
                   name, name);
}

void secret_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}
