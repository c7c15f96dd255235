/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed form of a secret, the same for whoever seals (the command line) and whoever opens (the supervisor):
 *   sealed = libsodium's crypto_box_seal (X25519, XSalsa20-Poly1305; an ephemeral public key, then the box) of
 *   plain  = "faasd-secret-1\0\0" (16 bytes), the name padded with NULs (64 bytes), the value
 * The name is inside, so that whoever carries sealed secrets can't give one function's value out under another name; the box is authenticated, so that a changed
 * bit is found. Nothing says when it was sealed: an older value of the same name opens as well.
 */
#ifndef FAASD_CODEC_SECRET_H
#define FAASD_CODEC_SECRET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    SECRET_VALUE_MAX = 65536,
    SECRET_TOTAL_MAX = 1 << 20, /* the values of all secrets of a daemon together */
    SECRET_KEY_BYTES = 32,
    SECRET_HEADER_BYTES = 80,
    SECRET_OVERHEAD = 48 + SECRET_HEADER_BYTES, /* of a sealed one over its value; 48: crypto_box_SEALBYTES */
    SECRET_SEALED_MAX = SECRET_OVERHEAD + SECRET_VALUE_MAX,
    SECRET_FINGERPRINT_MAX = 17, /* 16 hex digits and a NUL */
};

/* How many fit in SECRET_TOTAL_MAX is up to their size; so that a flood of tiny ones does not fill memory by their names: */
enum { SECRET_COUNT_MAX = 1024 };

struct secret_keys {
    uint8_t public[SECRET_KEY_BYTES];
    uint8_t private[SECRET_KEY_BYTES];
};
/* Fresh ones. */
int secret_keys_make(struct secret_keys *k, struct err *e);
/* Fills `public` from `private`. -EINVAL: that is no private key. */
int secret_keys_complete(struct secret_keys *k, struct err *e);

/* The first 64 bits of the public key's SHA-256, for people to compare. */
void secret_fingerprint(const uint8_t public[SECRET_KEY_BYTES], char out[SECRET_FINGERPRINT_MAX]);

/* Adds the sealed form to `out`. The name is a checked one (settings_name_is_valid), the value at most SECRET_VALUE_MAX bytes. The copy of the value that this
 * makes is wiped. */
struct secret_plain {
    struct str name;
    struct str value;
};
int secret_seal(const uint8_t public[SECRET_KEY_BYTES], const struct secret_plain *p, struct buf *out, struct err *e);

/* Opens into `room`, which has sealed.n bytes and holds the plain form afterwards, the value at SECRET_HEADER_BYTES with sealed.n - SECRET_OVERHEAD bytes;
 * wiped after a failure. -EBADMSG: it is damaged, or was sealed for another key; -EPERM: it is another secret's. */
int secret_open(const struct secret_keys *k, const char *name, struct str sealed, uint8_t *room, struct err *e);

/* Zeroes, and is not optimised away. */
void secret_wipe(void *bytes, size_t n);

#endif
