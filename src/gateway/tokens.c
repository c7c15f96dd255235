/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tokens.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "gateway/store_tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 /* for the 1,000 tokens that are the default limit */ };

/* 2026-01-01: a clock that says less was never set. */
static const uint64_t CLOCK_FLOOR_MS = UINT64_C(1767225600000);

struct tokens {
    struct token *by_digest[BUCKETS];
    struct token *by_id[BUCKETS];
    size_t count;
};

/* Digest and id are random: their own bytes spread them. */
static unsigned digest_bucket(const unsigned char digest[CRYPTO_HASH_BYTES])
{
    return (unsigned)(digest[0] << 8 | digest[1]) % BUCKETS;
}

static unsigned id_bucket(struct str id)
{
    return (unsigned)(str_hash(id, 0) % BUCKETS);
}

struct tokens *tokens_new(void)
{
    return calloc(1, sizeof(struct tokens));
}

void tokens_free(struct tokens *t)
{
    for (unsigned i = 0; t && i < BUCKETS; i++)
        while (t->by_id[i])
            tokens_remove(t, t->by_id[i]);
    free(t);
}

void tokens_add(struct tokens *t, struct token *token)
{
    struct token **by_digest = &t->by_digest[digest_bucket(token->digest)];
    struct token **by_id = &t->by_id[id_bucket(str_from(token->id))];
    token->next_by_digest = *by_digest;
    token->next_by_id = *by_id;
    *by_digest = *by_id = token;
    t->count++;
}

void tokens_remove(struct tokens *t, struct token *token)
{
    struct token **at = &t->by_digest[digest_bucket(token->digest)];
    while (*at != token)
        at = &(*at)->next_by_digest;
    *at = token->next_by_digest;
    at = &t->by_id[id_bucket(str_from(token->id))];
    while (*at != token)
        at = &(*at)->next_by_id;
    *at = token->next_by_id;
    t->count--;
    token->removed = true;
    token_put(token);
}

size_t tokens_count(const struct tokens *t)
{
    return t->count;
}

void tokens_each(const struct tokens *t, void (*on_token)(const struct token *token, void *context), void *context)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        for (const struct token *at = t->by_id[i]; at; at = at->next_by_id)
            on_token(at, context);
}

/* ---- finding ---- */

struct token *tokens_find_bearer(const struct tokens *t, struct str text)
{
    unsigned char digest[CRYPTO_HASH_BYTES];
    if (text.n != TOKEN_TEXT_MAX - 1 || !str_starts_with(text, TOKEN_PREFIX))
        return NULL;
    crypto_sha256(text, digest);
    for (struct token *at = t->by_digest[digest_bucket(digest)]; at; at = at->next_by_digest)
        if (crypto_equal(at->digest, digest, sizeof(digest)))
            return at;
    return NULL;
}

struct token *tokens_find_id(const struct tokens *t, struct str id)
{
    for (struct token *at = t->by_id[id_bucket(id)]; at; at = at->next_by_id)
        if (str_is(id, at->id))
            return at;
    return NULL;
}

struct token *tokens_find_access_key(const struct tokens *t, struct str access_key)
{
    char id[TOKEN_ID_MAX];
    if (access_key.n != TOKEN_ACCESS_KEY_MAX - 1 || !str_starts_with(access_key, "FAAS"))
        return NULL;
    for (size_t i = 0; i < TOKEN_ID_MAX - 1; i++) {
        char c = access_key.p[4 + i];
        if (c >= 'a' && c <= 'f') /* one spelling */
            return NULL;
        id[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    }
    return tokens_find_id(t, (struct str){id, TOKEN_ID_MAX - 1});
}

/* ---- one token ---- */

struct token *token_new(void)
{
    struct token *token = calloc(1, sizeof(*token));
    unsigned char random[(TOKEN_ID_MAX - 1) / 2];
    if (!token)
        return NULL;
    id_random(random, sizeof(random));
    id_hex(random, sizeof(random), token->id);
    token->created_ms = clock_real_ms();
    token->references = 1;
    return token;
}

struct token *token_get(struct token *token)
{
    token->references++;
    return token;
}

void token_put(struct token *token)
{
    if (!token || --token->references)
        return;
    free(token->scopes_text);
    crypto_wipe(token, sizeof(*token));
    free(token);
}

static const struct {
    const char *name;
    enum token_scope scope;
} SCOPES[] = {{"admin", TOKEN_ADMIN}, {"deploy", TOKEN_DEPLOY}, {"read", TOKEN_READ}, {"invoke", TOKEN_INVOKE}};

static bool read_scope(struct str text, unsigned *scopes)
{
    for (size_t i = 0; i < sizeof(SCOPES) / sizeof(SCOPES[0]); i++) {
        if (!str_is(text, SCOPES[i].name))
            continue;
        *scopes |= SCOPES[i].scope;
        return true;
    }
    return str_starts_with(text, "invoke:") && settings_name_is_valid(str_skip(text, strlen("invoke:")));
}

int token_set_scopes(struct token *token, struct str text, struct err *e)
{
    unsigned scopes = 0, count = 0;
    struct str rest = text;
    for (bool more = true; more; count++) {
        struct str scope = str_cut(rest, ' ', &rest, &more);
        if (!read_scope(scope, &scopes))
            return err_say(e, EINVAL, "'%.*s' is no scope: there are admin, deploy, read, invoke and invoke:FUNCTION",
                           (int)(scope.n < SETTINGS_NAME_MAX ? scope.n : SETTINGS_NAME_MAX), scope.n ? scope.p : "");
    }
    if (count > TOKEN_SCOPES_MAX)
        return err_say(e, EINVAL, "a token has at most %d scopes: make a second one, or give it 'invoke'",
                       TOKEN_SCOPES_MAX);
    char *copy = strndup(text.p, text.n);
    if (!copy)
        return err_set(e, ENOMEM, "keep the scopes");
    free(token->scopes_text);
    token->scopes_text = copy;
    token->scopes = scopes;
    return 0;
}

bool token_may_invoke(const struct token *token, const char *function)
{
    if (token->scopes & (TOKEN_ADMIN | TOKEN_INVOKE))
        return true;
    struct str rest = str_from(token->scopes_text);
    for (bool more = true; more;) {
        struct str scope = str_cut(rest, ' ', &rest, &more);
        if (str_starts_with(scope, "invoke:") && str_is(str_skip(scope, strlen("invoke:")), function))
            return true;
    }
    return false;
}

bool token_has_expired(const struct token *token, uint64_t now_ms)
{
    return token->expires_ms && now_ms >= token->expires_ms && now_ms >= CLOCK_FLOOR_MS;
}

void token_print_access_key(const struct token *token, char out[TOKEN_ACCESS_KEY_MAX])
{
    memcpy(out, "FAAS", 4);
    for (size_t i = 0; i < TOKEN_ID_MAX; i++) {
        char c = token->id[i];
        out[4 + i] = c >= 'a' && c <= 'f' ? (char)(c - 'a' + 'A') : c;
    }
}

/* ---- what is stored ---- */

struct loading {
    struct tokens *tokens;
    const unsigned char *key;
    struct err *error;
};

/* A row that can't be read costs its own token, not all the others. */
static int take_row(const struct store_token *row, void *context)
{
    struct loading *l = context;
    struct err e = {.text = "its id, name or digest is damaged"};
    struct token *token = token_new();
    if (!token)
        return err_set(l->error, ENOMEM, "load the tokens");
    bool good = row->digest.n == sizeof(token->digest) && strlen(row->id) == TOKEN_ID_MAX - 1 &&
                str_copy(str_from(row->id), token->id, sizeof(token->id)) &&
                str_copy(str_from(row->name), token->name, sizeof(token->name)) &&
                token_set_scopes(token, str_from(row->scopes), &e) == 0;
    if (!good) {
        log_error("a stored token is left out id=%.16s: %s", row->id, e.text);
        token_put(token);
        return 0;
    }
    memcpy(token->digest, row->digest.p, sizeof(token->digest));
    token->created_ms = row->created_ms;
    token->expires_ms = row->expires_ms;
    if (row->sealed.n != TOKEN_SECRET_MAX - 1 + CRYPTO_SEAL_BYTES ||
        !crypto_open(l->key, row->sealed, str_from(token->id), (unsigned char *)token->secret)) {
        memset(token->secret, 0, sizeof(token->secret));
        log_warn(
            "the signing key of a token does not open with this host's signing-key: it signs nothing any more, make "
            "a new one with `faasd token create` token=%s",
            token->id);
    }
    tokens_add(l->tokens, token);
    return 0;
}

int tokens_load(struct tokens *t, struct store_db *db, const unsigned char key[CRYPTO_KEY_BYTES], struct err *e)
{
    struct loading l = {.tokens = t, .key = key, .error = e};
    return store_tokens_load(db, take_row, &l, e);
}
