/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sends a request: a bearer token, or an AWS signature in the Authorization field or in the query. What he may do is gateway/access.h's.
 *
 * A signature without x-amz-content-sha256 can only be judged when the body is complete. Until then x->token is who it claims to be and x->check is set: nothing may be done
 * for such a request that can't be undone.
 */
#ifndef FAASD_GATEWAY_CREDENTIAL_H
#define FAASD_GATEWAY_CREDENTIAL_H

#include "gateway/exchange.h"
#include "gateway/replay.h"
#include "gateway/throttle.h"
#include "gateway/tokens.h"

/* For replies of 401. */
#define CREDENTIAL_CHALLENGE "WWW-Authenticate: Bearer realm=\"faasd\", AWS4-HMAC-SHA256\r\n"

/* What the gateway remembers of credentials beside the tokens. */
enum {
    /* Changes whose signature can only be judged when their body is there: until then they may be anybody's who knows an access key id. Half of DEPLOY_MAX. */
    CREDENTIAL_UNJUDGED_MAX = 16,
};

struct credentials {
    unsigned unjudged; /* such changes, at the moment */
    struct throttle throttle;
    struct replay replay;
    uint64_t started_s; /* real time: signatures from before are not known */
};
struct credentials *credentials_new(void);

/* A request's credential, held against the tokens. True: x->token is set. False with *ret_none: it shows none. Otherwise the exchange was ended: 401, 403 or 429. `once`: it changes
 * something, so a signature counts only the first time. */
bool credential_read(struct exchange *x, bool once, bool *ret_none);

/* Bytes of the body, in order, as they come; only while x->check is set. */
void credential_hash(struct exchange *x, struct str bytes);
/* The body is complete: NULL when its signature is right, else why it is not (borrowed until the next call). x->check is NULL afterwards. */
const char *credential_finish(struct exchange *x);
/* Before the exchange's memory goes; whatever became of it. */
void credential_release(struct exchange *x);

/* What is ours is no function's: removes the Authorization field when it holds a token of faasd's form or names one of its access keys, and overwrites the
 * signature in the query when it is by one of these. */
void credential_hide(struct exchange *x);

/* 401 with how to authenticate. Nothing is counted. */
void credential_demand(struct exchange *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
