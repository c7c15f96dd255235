/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/code_source.h"

#include <errno.h>
#include <string.h>

#define GET_OBJECT "Error occurred while GetObject. S3 Error Code: "

static enum code_source_next fail(struct code_source *s, enum lambda_error error, const char *fault)
{
    s->error = error;
    s->fault = fault;
    return CODE_SOURCE_FAULT;
}

/* ---- a bucket's ---- */

static enum code_source_next fail_object(struct code_source *s, int error)
{
    if (error == ENXIO)
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE,
                    GET_OBJECT "NoSuchBucket. S3 Error Message: The specified bucket does not exist");
    if (error == ENOENT)
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE,
                    GET_OBJECT "NoSuchKey. S3 Error Message: The specified key does not exist.");
    if (error == EACCES || error == EPERM)
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE, GET_OBJECT "AccessDenied. S3 Error Message: Access Denied");
    if (error == EAGAIN || error == ENOMEM)
        return fail(s, LAMBDA_UNAVAILABLE, GET_OBJECT "SlowDown. S3 Error Message: Please reduce your request rate.");
    return fail(s, LAMBDA_SERVICE,
                GET_OBJECT "InternalError. S3 Error Message: We encountered an internal error. Please try again.");
}

static void on_open(void *owner, const struct err *e, uint64_t bytes)
{
    struct code_source *s = owner;
    s->open = true;
    s->bytes = bytes;
    if (e->code)
        fail_object(s, e->code);
    else if (bytes == 0)
        fail(s, LAMBDA_INVALID_PARAMETER_VALUE, "Uploaded file must be a non-empty zip");
    else if (bytes > CODE_SOURCE_UNZIPPED_MAX)
        fail(s, LAMBDA_INVALID_PARAMETER_VALUE, "Unzipped size must be smaller than 262144000 bytes");
    s->on_more(s->owner);
}

static void on_piece(void *owner, const struct err *e, struct str piece)
{
    struct code_source *s = owner;
    s->reading = false;
    if (e->code)
        fail_object(s, e->code);
    s->rest = piece;
    s->over = piece.n == 0;
    s->on_more(s->owner);
}

static const struct bucket_object_events EVENTS = {.on_open = on_open, .on_piece = on_piece};

static enum code_source_next open_object(struct code_source *s, const struct json *code)
{
    const char *bucket = json_get_text(code, "S3Bucket"), *key = json_get_text(code, "S3Key");
    const char *version = json_get_text(code, "S3ObjectVersion");
    if (!bucket || !key)
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Please provide both of S3Bucket and S3Key for the source of the code.");
    /* A file has the one version that a bucket without versions has. */
    if (version && strcmp(version, "null") != 0)
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE,
                    GET_OBJECT "NoSuchVersion. S3 Error Message: The specified version does not exist.");
    s->object = bucket_object_open(s->gateway, bucket, key, &EVENTS, s);
    return s->object ? CODE_SOURCE_WAIT : fail(s, LAMBDA_UNAVAILABLE, "out of memory");
}

/* ---- the request's ---- */

static enum code_source_next open_zip(struct code_source *s)
{
    if (!s->zip.n)
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE, "Uploaded file must be a non-empty zip");
    if (s->bytes > CODE_SOURCE_ZIP_MAX)
        return fail(s, LAMBDA_REQUEST_TOO_LARGE, "Zipped size must be smaller than 52428800 bytes");
    s->open = true;
    return CODE_SOURCE_PIECE;
}

static enum code_source_next decode(struct code_source *s)
{
    size_t n;
    if (!s->zip.n) {
        s->over = true;
        return CODE_SOURCE_END;
    }
    if (!zip_member_decode(&s->zip, s->decoded, &n))
        return fail(s, LAMBDA_INVALID_REQUEST_CONTENT,
                    "Could not parse request body into json: the value of ZipFile is no base64");
    s->rest = (struct str){s->decoded, n};
    return CODE_SOURCE_PIECE;
}

/* ---- both ---- */

enum code_source_next code_source_open(struct code_source *s, struct gateway *g, const struct json *code,
                                       struct str zip)
{
    s->gateway = g;
    s->zip = zip;
    s->bytes = zip_member_size(zip);
    crypto_hash_init(&s->hash);
    bool is_object = json_get_text(code, "S3Bucket") || json_get_text(code, "S3Key");
    /* which of two a client means can't be known, and the wrong one would run */
    if (json_get_text(code, "ZipFile") && (is_object || json_get_text(code, "S3ObjectVersion")))
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Please do not provide other FunctionCode parameters when providing a ZipFile.");
    if (is_object)
        return open_object(s, code);
    if (json_get_text(code, "ZipFile"))
        return open_zip(s);
    return fail(s, LAMBDA_INVALID_PARAMETER_VALUE, "Please provide a source for function code.");
}

void code_source_close(struct code_source *s)
{
    bucket_object_close(s->object);
    s->object = NULL;
}

enum code_source_next code_source_opened(const struct code_source *s)
{
    if (s->fault)
        return CODE_SOURCE_FAULT;
    return s->open ? CODE_SOURCE_PIECE : CODE_SOURCE_WAIT;
}

static enum code_source_next read_more(struct code_source *s)
{
    if (!s->object)
        return decode(s);
    if (!s->reading)
        bucket_object_read(s->object);
    s->reading = true;
    return CODE_SOURCE_WAIT;
}

enum code_source_next code_source_next(struct code_source *s, struct str *ret_piece)
{
    static const char signature[] = {'P', 'K'};
    if (!s->fault && !s->rest.n && !s->over) {
        enum code_source_next next = read_more(s);
        if (next == CODE_SOURCE_WAIT)
            return next;
    }
    if (s->fault)
        return CODE_SOURCE_FAULT;
    bool is_first = s->done == 0;
    if (is_first && (s->rest.n < 4 || memcmp(s->rest.p, signature, sizeof(signature)) != 0))
        return fail(s, LAMBDA_INVALID_PARAMETER_VALUE,
                    "Could not unzip uploaded file. Please check your file, then try to upload again.");
    if (!s->rest.n)
        return CODE_SOURCE_END;
    *ret_piece = s->rest;
    return CODE_SOURCE_PIECE;
}

void code_source_take(struct code_source *s, size_t n)
{
    crypto_hash_add(&s->hash, s->rest.p, n);
    s->rest = str_skip(s->rest, n);
    s->done += n;
}

void code_source_sha256(struct code_source *s, char out[CONFIGURATION_SHA_MAX])
{
    unsigned char digest[CRYPTO_HASH_BYTES];
    s->bytes = s->done;
    crypto_hash_end(&s->hash, digest);
    configuration_print_sha256(digest, out);
}
