/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/error.h"

#include "codec/json.h"
#include "lambda/operation.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 4096, FIELDS_MAX = 1024 };

/* Which members stand beside the message: the model's shapes differ in this. */
enum form {
    FORM_LOWER, /* {"Type":"User","message":...} */
    FORM_UPPER, /* {"Type":"User","Message":...} */
    FORM_BARE,  /* {"message":...}: of errors that the front door finds, before there is a service */
};

struct kind {
    const char *type;
    int status;
    enum form form;
};

static const struct kind KINDS[] = {
    [LAMBDA_ACCESS_DENIED] = {"AccessDeniedException", 403, FORM_UPPER},
    [LAMBDA_CODE_SIGNING_CONFIG_NOT_FOUND] = {"CodeSigningConfigNotFoundException", 404, FORM_UPPER},
    [LAMBDA_CODE_STORAGE_EXCEEDED] = {"CodeStorageExceededException", 400, FORM_LOWER},
    [LAMBDA_CODE_VERIFICATION_FAILED] = {"CodeVerificationFailedException", 400, FORM_UPPER},
    [LAMBDA_INVALID_PARAMETER_VALUE] = {"InvalidParameterValueException", 400, FORM_LOWER},
    [LAMBDA_INVALID_REQUEST_CONTENT] = {"InvalidRequestContentException", 400, FORM_LOWER},
    [LAMBDA_INVALID_RUNTIME] = {"InvalidRuntimeException", 502, FORM_UPPER},
    [LAMBDA_INCOMPLETE_SIGNATURE] = {"IncompleteSignatureException", 403, FORM_BARE},
    [LAMBDA_INVALID_SIGNATURE] = {"InvalidSignatureException", 403, FORM_BARE},
    [LAMBDA_INVALID_ZIP_FILE] = {"InvalidZipFileException", 502, FORM_UPPER},
    [LAMBDA_MISSING_TOKEN] = {"MissingAuthenticationTokenException", 403, FORM_BARE},
    [LAMBDA_NOT_IMPLEMENTED] = {"NotImplementedException", 501, FORM_BARE},
    [LAMBDA_POLICY_LENGTH_EXCEEDED] = {"PolicyLengthExceededException", 400, FORM_LOWER},
    [LAMBDA_PRECONDITION_FAILED] = {"PreconditionFailedException", 412, FORM_LOWER},
    [LAMBDA_PROVISIONED_CONCURRENCY_NOT_FOUND] = {"ProvisionedConcurrencyConfigNotFoundException", 404, FORM_LOWER},
    [LAMBDA_REQUEST_TOO_LARGE] = {"RequestEntityTooLargeException", 413, FORM_LOWER},
    [LAMBDA_RESOURCE_CONFLICT] = {"ResourceConflictException", 409, FORM_LOWER},
    [LAMBDA_RESOURCE_IN_USE] = {"ResourceInUseException", 400, FORM_UPPER},
    [LAMBDA_RESOURCE_NOT_FOUND] = {"ResourceNotFoundException", 404, FORM_UPPER},
    [LAMBDA_RESOURCE_NOT_READY] = {"ResourceNotReadyException", 502, FORM_LOWER},
    [LAMBDA_SERIALIZATION] = {"SerializationException", 400, FORM_LOWER},
    [LAMBDA_SERVICE] = {"ServiceException", 500, FORM_UPPER},
    [LAMBDA_TOO_MANY_REQUESTS] = {"TooManyRequestsException", 429, FORM_LOWER},
    [LAMBDA_UNAVAILABLE] = {"ServiceException", 503, FORM_UPPER},
    [LAMBDA_UNKNOWN_OPERATION] = {"UnknownOperationException", 404, FORM_BARE},
    [LAMBDA_UNRECOGNIZED_CLIENT] = {"UnrecognizedClientException", 403, FORM_BARE},
    [LAMBDA_UNSUPPORTED_MEDIA_TYPE] = {"UnsupportedMediaTypeException", 415, FORM_LOWER},
    [LAMBDA_VALIDATION] = {"ValidationException", 400, FORM_BARE},
};

struct answer {
    const struct kind *kind;
    struct str message;
    const char *reason; /* of throttles; NULL: none */
    const char *fields; /* header lines; NULL: none */
};

static void send(struct exchange *x, const struct answer *a)
{
    /* One buffer for all errors: an error is printed and sent in one go. */
    static struct buf body;
    char fields[FIELDS_MAX];
    struct json_writer w;
    body.len = 0;
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    if (a->reason)
        json_put_text(&w, "Reason", a->reason);
    if (a->kind->form != FORM_BARE)
        json_put_text(&w, "Type", a->kind->status < 500 ? "User" : "Service");
    json_put_str(&w, a->kind->form == FORM_UPPER ? "Message" : "message", a->message);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0)
        body.len = 0; /* out of memory: status and type still say it */
    int n = snprintf(fields, sizeof(fields), "x-amzn-ErrorType: %s\r\n%s", a->kind->type, a->fields ? a->fields : "");
    assert(n > 0 && (size_t)n < sizeof(fields));
    const struct reply r = {.status = a->kind->status,
                            .content_type = "application/json",
                            .fields = {fields, (size_t)n},
                            .body = buf_str(&body),
                            .error_type = a->kind->type,
                            .error_message = a->message};
    exchange_reply(x, &r);
    if (body.cap > 65536)
        buf_fini(&body);
}

void lambda_fail_str(struct exchange *x, enum lambda_error error, struct str message)
{
    if (error == LAMBDA_TOO_MANY_REQUESTS) {
        lambda_throttle(x, "CallerRateLimitExceeded", message);
        return;
    }
    const char *retry = error == LAMBDA_UNAVAILABLE ? "Retry-After: 1\r\n" : NULL;
    send(x, &(struct answer){.kind = &KINDS[error], .message = message, .fields = retry});
}

void lambda_fail(struct exchange *x, enum lambda_error error, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    lambda_fail_str(x, error, str_from(text));
}

void lambda_throttle(struct exchange *x, const char *reason, struct str message)
{
    send(x, &(struct answer){.kind = &KINDS[LAMBDA_TOO_MANY_REQUESTS],
                             .message = message,
                             .reason = reason,
                             .fields = "Retry-After: 1\r\n"});
}

/* ---- what the gateway found ---- */

static bool is_signed(const struct exchange *x)
{
    const struct http1_request *q = x->request;
    struct str ignored;
    return http1_find_field(q->fields, q->field_count, "authorization") ||
           http1_query_find(q->query, "X-Amz-Signature", &ignored);
}

/* Which of AWS's refusals it is. A token that nobody knows and an access key that nobody knows are one thing to clients. */
static enum lambda_error refused_credential(const struct exchange *x)
{
    if (!is_signed(x))
        return LAMBDA_MISSING_TOKEN;
    if (x->unread_credential)
        return LAMBDA_INCOMPLETE_SIGNATURE;
    return x->unknown_credential ? LAMBDA_UNRECOGNIZED_CLIENT : LAMBDA_INVALID_SIGNATURE;
}

static enum lambda_error choose(const struct exchange *x, int status)
{
    switch (status) {
    case 401:
        return refused_credential(x);
    case 403:
    case 421:
        return LAMBDA_ACCESS_DENIED;
    case 404:
        return LAMBDA_RESOURCE_NOT_FOUND;
    case 409:
        return LAMBDA_RESOURCE_CONFLICT;
    case 413:
        return LAMBDA_REQUEST_TOO_LARGE;
    case 415:
        return LAMBDA_UNSUPPORTED_MEDIA_TYPE;
    case 429:
        return LAMBDA_TOO_MANY_REQUESTS;
    case 503:
        return LAMBDA_UNAVAILABLE;
    default:
        return status < 500 ? LAMBDA_INVALID_REQUEST_CONTENT : LAMBDA_SERVICE;
    }
}

void lambda_answer_error(struct exchange *x, const struct face_error *e)
{
    const struct lambda_operation *op = lambda_operation_of(x);
    enum lambda_error error = choose(x, e->status);
    if (error == LAMBDA_REQUEST_TOO_LARGE && op)
        lambda_fail(x, error, "Request must be smaller than %llu bytes for the %s operation",
                    (unsigned long long)route_body_max(x->route, x->gateway->config),
                    strcmp(op->name, "Invoke") ? op->name : "InvokeFunction");
    else if (error == LAMBDA_MISSING_TOKEN)
        lambda_fail(x, error, "Missing Authentication Token");
    else if (error == LAMBDA_UNRECOGNIZED_CLIENT)
        lambda_fail(x, error, "The security token included in the request is invalid.");
    else
        lambda_fail_str(x, error, e->message);
}
