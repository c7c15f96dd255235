/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stored revision as Lambda's API shows it: FunctionConfiguration. What the registry knows of a function (runtime, memory, environment) is told from its settings; what it has no use for
 * is kept as attributes, a JSON object with the API's own members, in the revision's row. Functions that `faasd deploy` made have none, and get sensible values.
 */
#ifndef FAASD_LAMBDA_CONFIGURATION_H
#define FAASD_LAMBDA_CONFIGURATION_H

#include "base/id.h"
#include "codec/config.h"
#include "codec/crypto.h"
#include "codec/json.h"
#include "gateway/registry.h"
#include "gateway/store_pages.h"
#include "lambda/name.h"

/* What has happened to it in this very request. */
enum configuration_moment { CONFIGURATION_SETTLED, CONFIGURATION_CREATING, CONFIGURATION_UPDATING };

struct configuration {
    const struct config *config; /* borrowed, as are region and row */
    const char *region;
    const struct store_page_row *row;
    struct version *version; /* counted */
    struct json_doc *doc;    /* owned */
    const struct json *attributes;
    bool hides_variables; /* who asks may not deploy: an error stands in their place, as where AWS's key is refused */
};

/* -ENOMEM, or -EINVAL for a damaged row. Close it in any case. */
int configuration_open(struct configuration *c, const struct config *config, const char *region,
                       const struct store_page_row *row);
/* Shown with other attributes than the row's, as a change that is not made would leave it; the RevisionId is the row's. As above. */
int configuration_foresee(struct configuration *c, struct str attributes);
void configuration_close(struct configuration *c);

enum { CONFIGURATION_SHA_MAX = 45 };
void configuration_print_sha256(const unsigned char digest[CRYPTO_HASH_BYTES], char out[CONFIGURATION_SHA_MAX]);
void configuration_code_sha256(const struct configuration *c, char out[CONFIGURATION_SHA_MAX]);
uint64_t configuration_storage_mib(const struct configuration *c); /* EphemeralStorage.Size */
void configuration_revision_id(const struct configuration *c, enum configuration_moment moment, char out[ID_UUID_MAX]);
/* A UUID of what the text says. */
void configuration_make_id(struct str text, char out[ID_UUID_MAX]);
const char *configuration_architecture(void); /* this host's */

/* The members, into an object that is open. */
void configuration_put(const struct configuration *c, enum configuration_moment moment, struct json_writer *w);

/* The members of attributes that are kept and shown as they came. NULL-ended. */
extern const char *const configuration_kept[];

#endif
