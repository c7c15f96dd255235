/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with the standard alphabet (RFC 4648 section 4), strict: padding is required, blanks and loose bits are refused. No allocation. */
#ifndef FAASD_CODEC_BASE64_H
#define FAASD_CODEC_BASE64_H

#include "base/str.h"

/* The most bytes that n characters stand for. */
#define BASE64_DECODED_MAX(n) ((n) / 4 * 3)

/* False when `in` is not base64, or `cap` is smaller than what it stands for. */
bool base64_decode(struct str in, char *out, size_t cap, size_t *ret_len);

/* Characters that n bytes become. */
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_ENCODED(in.n) characters, without a NUL. */
void base64_encode(struct str in, char *out);

#endif
