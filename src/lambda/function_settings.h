/* SPDX-License-Identifier: Apache-2.0 */
/* What a request to create or change a function asks for, as faasd's settings and as attributes to be kept. */
#ifndef FAASD_LAMBDA_FUNCTION_SETTINGS_H
#define FAASD_LAMBDA_FUNCTION_SETTINGS_H

#include "lambda/configuration.h"

struct function_sources {
    const struct json *asked;           /* the request's object */
    const struct configuration *before; /* NULL: the function is made */
    const struct config *config;
    struct str layers; /* a JSON array (lambda/function_layers.h); p NULL: they stay */
    struct registry *registry;
    const char *region; /* of the request */
    const char *sha256; /* of new code; NULL: it stays */
    uint64_t code_bytes;
};

enum {
    FUNCTION_UNZIPPED_MAX = 262144000, /* bytes of what is in an archive, and in the layers with it */
    FUNCTION_ENVIRONMENT_MAX = 4096,   /* bytes of the variables as JSON */
    FUNCTION_FAULT_MAX = 8192,
};

/* Every runtime's name that AWS knows; NULL-ended. */
extern const char *const function_runtimes[];

/* What the table of members can't say. False: `fault` is a sentence for InvalidParameterValueException. */
bool function_settings_check(const struct function_sources *s, char fault[FUNCTION_FAULT_MAX]);

/* A JSON object as PATCH /v1/functions/NAME takes it. 0, -ENOMEM. */
int function_settings_print(const struct function_sources *s, struct buf *out);
int function_attributes_print(const struct function_sources *s, struct buf *out);

#endif
