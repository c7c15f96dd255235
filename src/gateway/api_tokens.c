/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/tokens: make, list, remove. A token and its signing key are in the answer to its making and nowhere else. */
#include "gateway/api.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "codec/json.h"
#include "gateway/access.h"
#include "gateway/store.h"
#include "gateway/store_tokens.h"
#include "gateway/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 16384 };

/* A change on its way to the disk and back. */
struct token_change {
    struct store_task task; /* first */
    struct exchange *exchange;
    struct token *token; /* counted */
    char text[TOKEN_TEXT_MAX];
    unsigned char sealed[TOKEN_SECRET_MAX - 1 + CRYPTO_SEAL_BYTES];
    char caller[ACCESS_CALLER_MAX];
};

static unsigned creations; /* under way: they count against the limit `tokens` */

static struct token_change *change_new(struct exchange *x, struct token *token)
{
    struct token_change *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->exchange = x;
    c->token = token;
    access_print_caller(x, c->caller);
    return c;
}

static void change_free(struct token_change *c)
{
    token_put(c->token);
    crypto_wipe(c, sizeof(*c));
    free(c);
}

static void fail_store(struct exchange *x, const struct err *e)
{
    if (e->code == ENOSPC || e->code == EDQUOT)
        exchange_error(x, 507, "StorageFull", "%s", e->text);
    else if (e->code == EAGAIN || e->code == ENOMEM)
        exchange_error(x, 503, "NoCapacity", "%s", e->text);
    else
        exchange_error(x, 500, "InternalError", "%s", e->text);
}

/* ---- printing ---- */

static void put_time(struct json_writer *w, const char *key, uint64_t ms)
{
    char text[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(ms, text);
    json_put_text(w, key, ms ? text : NULL);
}

static void put_token(struct json_writer *w, const struct token *token)
{
    char access_key[TOKEN_ACCESS_KEY_MAX];
    struct str rest = str_from(token->scopes_text);
    token_print_access_key(token, access_key);
    json_put_text(w, "id", token->id);
    json_put_text(w, "name", token->name);
    json_put_array(w, "scopes");
    for (bool more = true; more;)
        json_put_str(w, NULL, str_cut(rest, ' ', &rest, &more));
    json_put_array_end(w);
    put_time(w, "created", token->created_ms);
    put_time(w, "expires", token->expires_ms);
    json_put_text(w, "accessKeyId", access_key);
}

static void put_listed(const struct token *token, void *context)
{
    struct json_writer *w = context;
    json_put_object(w, NULL);
    put_token(w, token);
    json_put_bool(w, "expired", token_has_expired(token, clock_real_ms()));
    json_put_bool(w, "signs", token->secret[0] != '\0');
    put_time(w, "used", token->used_ms);
    json_put_object_end(w);
}

void api_tokens_list(struct exchange *x, struct str name)
{
    struct buf body;
    struct json_writer w;
    (void)name;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_array(&w, "tokens");
    tokens_each(x->gateway->tokens, put_listed, &w);
    json_put_array_end(&w);
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

/* ---- making one ---- */

static void reply_created(struct exchange *x, const struct token_change *c)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    put_token(&w, c->token);
    json_put_text(&w, "token", c->text);
    json_put_text(&w, "secretAccessKey", c->token->secret);
    json_put_object_end(&w);
    int error = json_writer_end(&w);
    struct reply r = {.status = 201,
                      .content_type = "application/json",
                      .fields = STR_LITERAL("Cache-Control: no-store\r\n"),
                      .body = buf_str(&body)};
    if (error < 0)
        exchange_error(x, 503, "NoCapacity", "out of memory: the token was made, but can't be shown; remove it");
    else
        exchange_reply(x, &r);
    if (body.len)
        crypto_wipe(body.data, body.len);
    buf_fini(&body);
}

static void run_insert(struct store_task *t, struct store_db *db)
{
    struct token_change *c = (struct token_change *)t;
    const struct token *token = c->token;
    const struct store_token row = {
        .id = token->id,
        .name = token->name,
        .scopes = token->scopes_text,
        .digest = {(const char *)token->digest, sizeof(token->digest)},
        .sealed = {(const char *)c->sealed, sizeof(c->sealed)},
        .created_ms = token->created_ms,
        .expires_ms = token->expires_ms,
    };
    store_tokens_insert(db, &row, &t->error);
}

static void on_inserted(struct store_task *t)
{
    struct token_change *c = (struct token_change *)t;
    struct exchange *x = c->exchange;
    creations--;
    if (t->error.code) {
        fail_store(x, &t->error);
    } else {
        tokens_add(x->gateway->tokens, token_get(c->token));
        log_info("a token was made token=%s scopes=\"%s\" by=%s req=%s", c->token->id, c->token->scopes_text, c->caller,
                 x->id);
        reply_created(x, c);
    }
    change_free(c);
}

static void draw_secrets(struct token_change *c, const struct gateway_boot *boot)
{
    unsigned char random[CRYPTO_HASH_BYTES], nonce[CRYPTO_NONCE_BYTES];
    struct token *token = c->token;
    memcpy(c->text, TOKEN_PREFIX, sizeof(TOKEN_PREFIX) - 1);
    id_random(random, sizeof(random));
    id_hex(random, sizeof(random), c->text + sizeof(TOKEN_PREFIX) - 1);
    crypto_sha256(str_from(c->text), token->digest);
    id_random(random, sizeof(random));
    id_hex(random, (TOKEN_SECRET_MAX - 1) / 2, token->secret);
    id_random(nonce, sizeof(nonce));
    crypto_seal(boot->signing_key, nonce, str_from(token->secret), str_from(token->id), c->sealed);
    crypto_wipe(random, sizeof(random));
}

static int read_scopes(struct token *token, const struct json *list, struct err *e)
{
    char text[TOKEN_SCOPES_TEXT_MAX];
    size_t n = 0;
    if (!json_is_array(list) || json_count(list) == 0)
        return err_say(
            e, EINVAL,
            "scopes: say what the token is good for: [\"deploy\"], [\"invoke:hello\"], [\"read\"], [\"admin\"]");
    JSON_EACH(list, at)
    {
        const char *scope = json_text(at);
        size_t length = scope ? strlen(scope) : 0;
        if (!scope || strchr(scope, ' '))
            return err_say(e, EINVAL, "scopes: an array of strings without blanks was expected");
        if (n + length + 2 > sizeof(text))
            return err_say(e, EINVAL, "scopes: more than %d", TOKEN_SCOPES_MAX);
        if (n)
            text[n++] = ' ';
        memcpy(text + n, scope, length);
        n += length;
    }
    return token_set_scopes(token, (struct str){text, n}, e) < 0 ? err_wrap(e, "scopes") : 0;
}

static int read_member(struct token *token, const struct json *at, struct err *e)
{
    const char *key = json_key(at);
    uint64_t ms;
    if (strcmp(key, "scopes") == 0)
        return read_scopes(token, at, e);
    if (strcmp(key, "name") == 0) {
        if (!json_text(at) || !str_copy(str_from(json_text(at)), token->name, sizeof(token->name)))
            return err_say(e, EINVAL, "name: a text of at most %d bytes was expected", TOKEN_NAME_MAX - 1);
        return 0;
    }
    if (strcmp(key, "expires_in_ms") == 0) {
        if (!json_to_u64(at, &ms) || ms == 0)
            return err_say(e, EINVAL, "expires_in_ms: a number of milliseconds was expected");
        token->expires_ms = token->created_ms + ms;
        return 0;
    }
    return err_say(e, EINVAL, "unknown key '%.64s': there are scopes, name and expires_in_ms", key);
}

static int read_wishes(struct token *token, struct str text, struct err *e)
{
    struct json_doc *doc = NULL;
    int r = json_parse(text, JSON_STRICT, &doc, e);
    if (r < 0)
        return r;
    const struct json *root = json_root(doc);
    if (!json_is_object(root))
        r = err_say(e, EINVAL, "an object such as {\"scopes\":[\"deploy\"]} was expected, not %s",
                    json_type_name(root));
    JSON_EACH(root, at)
    {
        if (r == 0)
            r = read_member(token, at, e);
    }
    if (r == 0 && !token->scopes_text)
        r = read_scopes(token, NULL, e);
    json_free(doc);
    return r;
}

void api_tokens_create(struct exchange *x, struct str name)
{
    struct gateway *g = x->gateway;
    struct err e;
    (void)name;
    if (tokens_count(g->tokens) + creations >= g->config->tokens_max) {
        exchange_error(x, 409, "Conflict", "there are %u tokens, the limit 'tokens': remove one with `faasd token rm`",
                       g->config->tokens_max);
        return;
    }
    struct token *token = x->body.n <= BODY_MAX ? token_new() : NULL;
    if (x->body.n > BODY_MAX) {
        exchange_error(x, 413, "RequestTooLarge", "the wishes for a token are at most %d bytes", BODY_MAX);
        return;
    }
    struct token_change *c = token ? change_new(x, token) : NULL;
    if (!c) {
        token_put(token);
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    if (read_wishes(token, x->body, &e) < 0) {
        exchange_error(x, 400, "BadRequest", "%s", e.text);
        change_free(c);
        return;
    }
    draw_secrets(c, g->boot);
    creations++;
    c->task.run = run_insert;
    c->task.done = on_inserted;
    store_submit(g->store, &c->task);
}

/* ---- removing one ---- */

static void run_delete(struct store_task *t, struct store_db *db)
{
    store_tokens_delete(db, ((struct token_change *)t)->token->id, &t->error);
}

static void on_deleted(struct store_task *t)
{
    struct token_change *c = (struct token_change *)t;
    struct exchange *x = c->exchange;
    struct reply r = {.status = 200, .content_type = "application/json", .body = STR_LITERAL("{\"removed\":true}\n")};
    if (t->error.code) {
        fail_store(x, &t->error);
    } else {
        if (!c->token->removed) /* two may have asked at once */
            tokens_remove(x->gateway->tokens, c->token);
        log_info("a token was removed token=%s by=%s req=%s", c->token->id, c->caller, x->id);
        exchange_reply(x, &r);
    }
    change_free(c);
}

void api_tokens_delete(struct exchange *x, struct str id)
{
    struct token *token = tokens_find_id(x->gateway->tokens, id);
    if (!token) {
        exchange_error(x, 404, "ResourceNotFound", "there is no token '%.*s'; `faasd token ls` lists their ids",
                       (int)id.n, id.p);
        return;
    }
    struct token_change *c = change_new(x, token_get(token));
    if (!c) {
        token_put(token);
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    c->task.run = run_delete;
    c->task.done = on_deleted;
    store_submit(x->gateway->store, &c->task);
}
