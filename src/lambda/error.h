/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place of errors in Lambda's form: header x-amzn-ErrorType, a JSON body whose member is `message` or `Message` as the service model has it, and the status that belongs to the
 * type (botocore's lambda/2015-03-31/service-2.json).
 */
#ifndef FAASD_LAMBDA_ERROR_H
#define FAASD_LAMBDA_ERROR_H

#include "gateway/face.h"

enum lambda_error {
    LAMBDA_ACCESS_DENIED,                     /* 403 */
    LAMBDA_CODE_SIGNING_CONFIG_NOT_FOUND,     /* 404 */
    LAMBDA_CODE_STORAGE_EXCEEDED,             /* 400 */
    LAMBDA_CODE_VERIFICATION_FAILED,          /* 400 */
    LAMBDA_INCOMPLETE_SIGNATURE,              /* 403 */
    LAMBDA_INVALID_PARAMETER_VALUE,           /* 400 */
    LAMBDA_INVALID_REQUEST_CONTENT,           /* 400 */
    LAMBDA_INVALID_RUNTIME,                   /* 502 */
    LAMBDA_INVALID_SIGNATURE,                 /* 403 */
    LAMBDA_INVALID_ZIP_FILE,                  /* 502 */
    LAMBDA_MISSING_TOKEN,                     /* 403 MissingAuthenticationTokenException */
    LAMBDA_NOT_IMPLEMENTED,                   /* 501: what no part of faasd does; the message names it */
    LAMBDA_POLICY_LENGTH_EXCEEDED,            /* 400 */
    LAMBDA_PRECONDITION_FAILED,               /* 412 */
    LAMBDA_PROVISIONED_CONCURRENCY_NOT_FOUND, /* 404 */
    LAMBDA_REQUEST_TOO_LARGE, /* 413 RequestEntityTooLargeException, as the service says; the model's name is another */
    LAMBDA_RESOURCE_CONFLICT, /* 409 */
    LAMBDA_RESOURCE_IN_USE,   /* 400 */
    LAMBDA_RESOURCE_NOT_FOUND,     /* 404 */
    LAMBDA_RESOURCE_NOT_READY,     /* 502 */
    LAMBDA_SERIALIZATION,          /* 400 */
    LAMBDA_SERVICE,                /* 500 */
    LAMBDA_TOO_MANY_REQUESTS,      /* 429: lambda_throttle() says the reason */
    LAMBDA_UNAVAILABLE,            /* 503 ServiceException: nothing is wrong with the request, later it may be served */
    LAMBDA_UNKNOWN_OPERATION,      /* 404 */
    LAMBDA_UNRECOGNIZED_CLIENT,    /* 403 */
    LAMBDA_UNSUPPORTED_MEDIA_TYPE, /* 415 */
    LAMBDA_VALIDATION,             /* 400 */
};

/* Ends the exchange. The message is the whole sentence. */
void lambda_fail(struct exchange *x, enum lambda_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void lambda_fail_str(struct exchange *x, enum lambda_error error, struct str message);

/* 429, with Retry-After. `reason` as the model's ThrottleReason has it: "ReservedFunctionConcurrentInvocationLimitExceeded", "CallerRateLimitExceeded", ... */
void lambda_throttle(struct exchange *x, const char *reason, struct str message);

/* struct face.answer_error: what the gateway found itself. */
void lambda_answer_error(struct exchange *x, const struct face_error *e);

#endif
