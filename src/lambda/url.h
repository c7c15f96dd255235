/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function URLs in memory: what requests below /url/ID are routed by. Changed only after the row is committed (gateway/store_urls.h), gone with their function. Loop only.
 */
#ifndef FAASD_LAMBDA_URL_H
#define FAASD_LAMBDA_URL_H

#include "base/err.h"
#include "codec/json.h"
#include "gateway/exchange.h"
#include "gateway/versions.h"

struct store_db;

enum { URL_ID_BYTES = EXCHANGE_URL_ID_MAX - 1, URL_CORS_MAX = 16384 /* of the JSON that says it */ };

enum url_auth { URL_AUTH_NONE, URL_AUTH_IAM };
enum url_mode { URL_MODE_UNSAID, URL_MODE_BUFFERED, URL_MODE_STREAM }; /* UNSAID works as BUFFERED */

/* Lists as fields carry them: "GET, PUT"; NULL: not said. */
struct url_cors {
    char *origins, *methods, *headers, *exposed; /* owned */
    uint64_t max_age_s;
    bool has_max_age, credentials;
};

struct url {
    char id[EXCHANGE_URL_ID_MAX]; /* of [a-z0-9] */
    char function[SETTINGS_NAME_MAX];
    char qualifier[VERSIONS_ALIAS_MAX]; /* an alias; "" = $LATEST */
    enum url_auth auth;
    enum url_mode mode;
    uint64_t created_ms, modified_ms;
    char *cors_text; /* owned: JSON as it was given; NULL = none */
    struct url_cors cors;
    struct url *next_by_id, *next_by_function; /* hash chains */
};

struct url *url_new(void); /* all zero; NULL: memory is out */
void url_free(struct url *u);
void url_draw_id(char out[EXCHANGE_URL_ID_MAX]);
const char *url_auth_name(enum url_auth auth);
const char *url_mode_name(enum url_mode mode); /* "" = UNSAID */
/* Reads checked JSON (lambda/url_config.c) into u->cors and u->cors_text; `cors` NULL or empty: none. -EINVAL: an entry that no field can carry; -ENOMEM. */
int url_set_cors(struct url *u, const struct json *cors);

/* Borrowed; NULL: there is none. */
struct url *url_find_id(struct str id);
struct url *url_find(const char *function, const char *qualifier);
/* A function's, one after the other, by qualifier: the first behind `after` ("" gives that of the function itself too when `first`). */
struct url *url_next(const char *function, const char *after, bool first);

void url_add(struct url *u); /* takes it over */
void url_remove(struct url *u);
void url_remove_function(const char *function);

/* Before the store's thread starts: every row whose function `wanted` knows. */
int url_load(struct store_db *db, bool (*wanted)(const char *function, void *context), void *context, struct err *e);

#endif
