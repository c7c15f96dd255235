/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4, the verifying side: in the Authorization header, or in the query ("presigned"). Pure: a parsed request, a secret and a clock in, a verdict out. No
 * allocation. (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html)
 *
 * Where AWS forgives two spellings of one request, this does not, as what is signed has to be what is run: path and query are signed as they are sent. Of the path two forms are taken,
 * both of which name exactly one request: encoded once more (AWS's rule for all services but S3) and as it is (S3's rule, and curl's). Nothing is normalised: a signature for /a is
 * none for /b/../a. Whatever else changes what faasd does - fields named x-amz-* and faasd-* - has to be signed where it is present.
 */
#ifndef FAASD_CODEC_SIGV4_H
#define FAASD_CODEC_SIGV4_H

#include "base/err.h"
#include "codec/crypto.h"
#include "codec/http1.h"

enum {
    SIGV4_SKEW_S = 15 * 60,              /* as AWS: how far the signer's clock may be off */
    SIGV4_EXPIRES_MAX_S = 7 * 24 * 3600, /* of a presigned URL, as AWS */
    SIGV4_PART_MAX = 64,                 /* bytes of region, service, access key id */
    SIGV4_CREDENTIAL_MAX = 256,
    SIGV4_SIGNED_MAX = 2048,   /* bytes of the list of signed fields */
    SIGV4_PARAMETERS_MAX = 64, /* of a query that is signed */
    SIGV4_TIME_BYTES = 16,     /* "20150830T123600Z" */
};

struct sigv4_request {
    const struct http1_request *http;
    struct str host; /* as the client sent it: a proxy may have changed http->host */
};

enum sigv4_payload {
    SIGV4_PAYLOAD_BODY,     /* the hash of the body is signed, and not told */
    SIGV4_PAYLOAD_DECLARED, /* x-amz-content-sha256 has it: the signature can be looked at before the body comes */
    SIGV4_PAYLOAD_UNSIGNED, /* UNSIGNED-PAYLOAD: whoever is on the way may change the body */
};

/* What a request says of its signature. Points into the request and into itself: not to be copied. */
struct sigv4_claim {
    bool presigned;
    enum sigv4_payload payload;
    struct str payload_text; /* the canonical request's last line; empty for BODY */
    struct str access_key;
    struct str scope; /* "20150830/us-east-1/iam/aws4_request" */
    struct str date, region, service;
    struct str time;           /* "20150830T123600Z" */
    struct str signed_headers; /* "content-type;host;x-amz-date" */
    uint64_t signed_at_s;      /* since the epoch */
    uint64_t expires_s;        /* presigned: valid for so long */
    unsigned char signature[CRYPTO_HASH_BYTES];
    char room[SIGV4_CREDENTIAL_MAX + SIGV4_SIGNED_MAX]; /* of decoded query parameters */
};

enum sigv4_found { SIGV4_ABSENT, SIGV4_FOUND, SIGV4_BAD };

/* BAD: there is one, but it can't be read; `e` says why. EOPNOTSUPP: it is one of temporary credentials. */
enum sigv4_found sigv4_read(const struct sigv4_request *r, struct sigv4_claim *ret_claim, struct err *e);

/* -EINVAL when the signature is too old or of the future, with AWS's sentence. */
int sigv4_check_time(const struct sigv4_claim *c, uint64_t now_s, struct err *e);
/* The last second in which sigv4_check_time() takes it. */
uint64_t sigv4_valid_until_s(const struct sigv4_claim *c);

/* A verification that lacks the payload's hash. Holds no pointers. */
struct sigv4_check {
    struct crypto_hash canonical[2]; /* of the canonical request up to its last line, for each form of the path */
    unsigned forms;
    unsigned char key[CRYPTO_HASH_BYTES]; /* derived from the secret: wipe it */
    unsigned char signature[CRYPTO_HASH_BYTES];
    unsigned head_n;
    char head[64 + SIGV4_CREDENTIAL_MAX]; /* the string to sign up to its last line */
};
/* -EINVAL when a field is missing that has to be signed, or one is signed that is missing. */
int sigv4_begin(struct sigv4_check *k, const struct sigv4_request *r, const struct sigv4_claim *c, struct str secret,
                struct err *e);
/* payload: the hex digits of the body's SHA-256, or claim.payload_text. */
bool sigv4_finish(const struct sigv4_check *k, struct str payload);

#endif
