/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation takes, as a table of members; what is wrong with a request is told in AWS's words, all faults in one sentence:
 * "2 validation errors detected: Value '64' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128; Value null at 'role' failed ...".
 * Members that the table does not name are ignored, as AWS ignores them.
 */
#ifndef FAASD_LAMBDA_VALIDATE_H
#define FAASD_LAMBDA_VALIDATE_H

#include "base/buf.h"
#include "codec/json.h"

struct lambda_call;

enum lambda_place { LAMBDA_IN_BODY, LAMBDA_IN_PATH, LAMBDA_IN_QUERY, LAMBDA_IN_HEADER };

enum lambda_type {
    LAMBDA_STRING,
    LAMBDA_INTEGER,
    LAMBDA_DOUBLE,
    LAMBDA_BOOLEAN,
    LAMBDA_LIST,      /* `members`: one row without a name, for each element */
    LAMBDA_MAP,       /* of texts; `members`: one row for each value, its name is the keys' pattern */
    LAMBDA_STRUCTURE, /* `members` */
    LAMBDA_BLOB,      /* base64 text: its bytes are the handler's business */
};

/* A row without a type ends a table: lambda_end. */
struct lambda_member {
    const char
        *name; /* as the model has it, "MemorySize"; of headers the field's name. Errors tell it as "memorySize" */
    enum lambda_place in;
    enum lambda_type type;
    bool required;
    bool bounded; /* min and max hold: of numbers the value, of texts, lists and maps the length */
    int64_t min, max;
    const char *pattern;              /* the model's; NULL: none */
    const char *ere;                  /* where that can't be translated: a POSIX one for the whole text */
    const char *unlike;               /* and one that may not match */
    bool (*matches)(struct str text); /* instead of matching the pattern, where requests are many */
    const char *const *choices;       /* NULL-ended; NULL: any */
    const struct lambda_member *members;
    const char *shown; /* what errors call it, where that is not the name with a small first letter */
};

enum { LAMBDA_VERDICT_MAX = 4096 };
enum lambda_verdict { LAMBDA_VALID, LAMBDA_INVALID, LAMBDA_WRONG_TYPE };
/* The body's members alone. `object` NULL: there is none. What is wrong stands in `out`. Pure. */
enum lambda_verdict lambda_check_body(const struct lambda_member *members, const struct json *object,
                                      char out[LAMBDA_VERDICT_MAX]);

/* All that the table says of a request's parameters and JSON. False: the exchange was ended with ValidationException or SerializationException. */
bool lambda_validate(struct lambda_call *c, const struct lambda_member *members);

#endif
