/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive that a request brings, a piece at a time: base64 within its JSON, or a file of one of the configuration's code_buckets. Of what is wrong with it the first is kept, as the
 * error that answers the request.
 */
#ifndef FAASD_LAMBDA_CODE_SOURCE_H
#define FAASD_LAMBDA_CODE_SOURCE_H

#include "codec/crypto.h"
#include "codec/json.h"
#include "gateway/bucket_object.h"
#include "lambda/configuration.h"
#include "lambda/error.h"
#include "lambda/zip_member.h"

enum {
    CODE_SOURCE_ZIP_MAX = 52428800,       /* bytes of an archive in a request */
    CODE_SOURCE_UNZIPPED_MAX = 262144000, /* of what is in it; also of an archive in a bucket */
};

enum code_source_next {
    CODE_SOURCE_PIECE,
    CODE_SOURCE_WAIT, /* `on_more` tells when there is news */
    CODE_SOURCE_END,
    CODE_SOURCE_FAULT, /* `fault` and `error` say what */
};

struct code_source {
    uint64_t bytes;    /* of the archive: what it should have, in the end what it had */
    const char *fault; /* NULL: none */
    enum lambda_error error;

    struct str zip;               /* base64 that was not decoded yet; borrowed */
    struct bucket_object *object; /* owned; NULL: it comes from the request */
    struct gateway *gateway;
    void (*on_more)(void *owner);
    void *owner;
    struct crypto_hash hash;
    struct str rest; /* of the last piece, what was not taken */
    uint64_t done;
    bool open, reading, over;
    char decoded[ZIP_MEMBER_PIECE];
};

/* `code`: the object with ZipFile, S3Bucket, S3Key, S3ObjectVersion. WAIT, FAULT, or PIECE: it is there. */
enum code_source_next code_source_open(struct code_source *s, struct gateway *g, const struct json *code,
                                       struct str zip);
void code_source_close(struct code_source *s); /* of all zeros, too */

/* After `on_more` of an opening: as code_source_open(). */
enum code_source_next code_source_opened(const struct code_source *s);
enum code_source_next code_source_next(struct code_source *s, struct str *ret_piece);
void code_source_take(struct code_source *s, size_t n); /* of the piece */

/* After END. */
void code_source_sha256(struct code_source *s, char out[CONFIGURATION_SHA_MAX]);

#endif
