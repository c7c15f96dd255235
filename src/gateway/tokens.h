/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: who may do what without being on control.sock. All of them are in memory, so that no request waits for the disk; the registry's database has their durable
 * form (gateway/store_tokens.h), in which a token is a SHA-256 and its signing key is sealed. A token is found by its hash, so no comparison of secrets tells by its time how much of
 * a guess is right. Loop only.
 */
#ifndef FAASD_GATEWAY_TOKENS_H
#define FAASD_GATEWAY_TOKENS_H

#include "codec/crypto.h"
#include "gateway/gateway.h"
#include "gateway/store_db.h"

enum {
    TOKEN_ID_MAX = 17,         /* 16 hex digits */
    TOKEN_NAME_MAX = 65,       /* what it is for: for people */
    TOKEN_TEXT_MAX = 71,       /* "faasd_" and 64 hex digits: what a bearer shows */
    TOKEN_ACCESS_KEY_MAX = 21, /* "FAAS" and the id in upper case */
    TOKEN_SECRET_MAX = 41,     /* 40 hex digits: what signatures are made with */
    TOKEN_SCOPES_MAX = 32,     /* of one token */
    TOKEN_SCOPES_TEXT_MAX = TOKEN_SCOPES_MAX * (7 + SETTINGS_NAME_MAX),
};

#define TOKEN_PREFIX "faasd_"

enum token_scope {
    TOKEN_ADMIN = 1,  /* everything */
    TOKEN_DEPLOY = 2, /* make, change and remove functions; includes read */
    TOKEN_READ = 4,   /* look at functions, logs and counters */
    TOKEN_INVOKE = 8, /* call every function whose auth is token */
};

struct token {
    char id[TOKEN_ID_MAX];
    char name[TOKEN_NAME_MAX];
    unsigned scopes;   /* bits of enum token_scope */
    char *scopes_text; /* owned: "deploy invoke:hello"; invoke:NAME is looked up here. NULL until it has some */
    unsigned char digest[CRYPTO_HASH_BYTES];
    char secret[TOKEN_SECRET_MAX];   /* "" = it could not be opened: this token signs nothing */
    uint64_t created_ms, expires_ms; /* real time; expires 0 = never */
    uint64_t used_ms;                /* since the gateway started; 0 = not yet */
    unsigned references;
    bool removed;
    struct token *next_by_digest, *next_by_id; /* hash chains */
};

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t); /* NULL is fine */
/* Before the store's thread starts: every stored token. One whose signing key does not open is said in the log and keeps its other half. */
int tokens_load(struct tokens *t, struct store_db *db, const unsigned char key[CRYPTO_KEY_BYTES], struct err *e);

/* One that is stored: takes the reference over. */
void tokens_add(struct tokens *t, struct token *token);
/* No request is let in by it any more; whoever holds a reference sees `removed`. */
void tokens_remove(struct tokens *t, struct token *token);
size_t tokens_count(const struct tokens *t);
/* In no order. The callback must not add or remove. */
void tokens_each(const struct tokens *t, void (*on_token)(const struct token *token, void *context), void *context);

/* Borrowed; NULL: nobody's. What has expired is found too. */
struct token *tokens_find_bearer(const struct tokens *t, struct str text);
struct token *tokens_find_access_key(const struct tokens *t, struct str access_key);
struct token *tokens_find_id(const struct tokens *t, struct str id);

/* Fresh id, times and reference; scopes, name and secrets are the caller's to fill. NULL: memory is out. */
struct token *token_new(void);
struct token *token_get(struct token *token);
void token_put(struct token *token); /* NULL is fine; the last one wipes it */

/* "deploy invoke:hello", one blank between. -EINVAL with what there is. */
int token_set_scopes(struct token *token, struct str text, struct err *e);
bool token_may_invoke(const struct token *token, const char *function);
/* A wall clock that was never set lets nothing expire. */
bool token_has_expired(const struct token *token, uint64_t now_ms);
void token_print_access_key(const struct token *token, char out[TOKEN_ACCESS_KEY_MAX]);

#endif
