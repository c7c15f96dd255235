/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource policies in memory, one for a function and one for each qualifier that was given one. They are kept and told as AWS has them; what they decide here is who may call a Function URL
 * whose AuthType is NONE. Who else may invoke what is the tokens' business (gateway/access.h). Changed only after the row is committed, gone with their function. Loop only.
 */
#ifndef FAASD_LAMBDA_POLICY_H
#define FAASD_LAMBDA_POLICY_H

#include "base/err.h"
#include "base/id.h"
#include "gateway/versions.h"

struct store_db;

enum { POLICY_BYTES_MAX = 20480 /* of the document, as on AWS */ };

struct policy {
    char *function;  /* owned, with what follows in one piece */
    char *qualifier; /* "" = the function itself */
    char revision[ID_UUID_MAX];
    char *statements; /* a JSON array */
    bool opens_url;   /* a statement lets everybody call the Function URL without a signature */
    struct policy *next;
};

const struct policy *policy_find(const char *function, const char *qualifier); /* NULL: there is none */
/* A new one, not in the table yet; NULL: memory is out. `statements` is checked JSON. */
struct policy *policy_new(const char *function, const char *qualifier, const char *revision, const char *statements);
void policy_free(struct policy *p);
void policy_put(struct policy *p); /* takes it over, in place of what was there */
void policy_remove(const char *function, const char *qualifier);
void policy_remove_function(const char *function);

int policy_load(struct store_db *db, bool (*wanted)(const char *function, void *context), void *context, struct err *e);

#endif
