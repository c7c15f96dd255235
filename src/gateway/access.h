/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what (docs/ACCESS.md has the table). On control.sock everybody: the file's mode has asked already. On invoke.sock functions only. Over TCP the control API takes a credential,
 * and neither a foreign Host nor a web page.
 */
#ifndef FAASD_GATEWAY_ACCESS_H
#define FAASD_GATEWAY_ACCESS_H

#include "gateway/exchange.h"
#include "gateway/registry.h"

/* What a route of the table asks for. */
enum access_level {
    ACCESS_OPEN,    /* nothing */
    ACCESS_METRICS, /* nothing on this host; read elsewhere */
    ACCESS_READ,    /* scope read, deploy or admin */
    ACCESS_DEPLOY,  /* scope deploy or admin */
    ACCESS_ADMIN,
};

/* The control API's door, before it tells which paths there are: true when a credential was shown that is good for something. Otherwise the exchange was ended with 403, 401, 421 or
 * 429. */
bool access_enter_control(struct exchange *x);
/* True, or the exchange was ended. */
bool access_admit(struct exchange *x, enum access_level level);
bool access_has(const struct exchange *x,
                enum access_level level); /* the same question without an answer to the client */
/* May it call this function? True, or the exchange was ended. Asked again when the body is there. */
bool access_admit_function(struct exchange *x, const struct function *f);

/* The same for Lambda's API, which over TCP always asks for a credential that may invoke, whatever the function's auth is. `f` NULL: there is no such function, which only who may invoke
 * is to be told. */
bool access_admit_lambda(struct exchange *x, const struct function *f);

/* For the log: "uid:1000", "token:ID", "anybody". */
enum { ACCESS_CALLER_MAX = 32 };
void access_print_caller(const struct exchange *x, char out[ACCESS_CALLER_MAX]);

#endif
