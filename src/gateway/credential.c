/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/credential.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/id.h"
#include "base/log.h"
#include "codec/sigv4.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a signed request whose body is on its way: one allocation of fixed size. */
struct signature_check {
    struct sigv4_check sigv4;
    struct crypto_hash body;
    bool declared; /* the signature was right; the body has to be what it says */
    bool once;
    unsigned char sum[CRYPTO_HASH_BYTES]; /* that it says */
    uint64_t until_s;
};

struct credentials *credentials_new(void)
{
    struct credentials *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    throttle_init(&c->throttle);
    c->started_s = clock_real_ms() / 1000;
    return c;
}

/* ---- refusals ---- */

static struct address address_of(const struct exchange *x)
{
    struct address a = {.family = ADDRESS_UNIX};
    if (x->peer[0])
        address_parse(str_from(x->peer), &a);
    return a;
}

/* Counts a wrong credential. How many seconds its address is over the limit, or 0. */
static unsigned count_failure(struct exchange *x)
{
    unsigned most = x->gateway->config->failed_credentials_max;
    struct address a = address_of(x);
    struct throttle_verdict v =
        throttle_count(&x->gateway->credentials->throttle, &a, clock_mono_ns(), most ? most : 1);
    if (v.crossed)
        log_warn(
            "an address shows wrong credentials more often than 'failed_credentials' (%u a minute) allows: it gets "
            "429 for them addr=%s",
            most, x->peer[0] ? x->peer : "unix");
    return v.retry_s;
}

static void reply_throttled(struct exchange *x, unsigned retry_s)
{
    char fields[64], text[160];
    fmt_to(fields, sizeof(fields), "Retry-After: %u\r\n", retry_s);
    fmt_to(text, sizeof(text), "too many wrong credentials from this address ('failed_credentials', %u a minute)",
           x->gateway->config->failed_credentials_max);
    exchange_error_full(x, 429, "TooManyRequests", str_from(text), (struct str){0}, fields);
}

void credential_demand(struct exchange *x, const char *format, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    x->explain = true;
    exchange_error_full(x, 401, "Unauthorized", str_from(text), (struct str){0}, CREDENTIAL_CHALLENGE);
}

/* A credential that is there and is wrong. */
static bool refuse(struct exchange *x, const char *why)
{
    unsigned retry_s = count_failure(x);
    x->explain = true;
    if (retry_s)
        reply_throttled(x, retry_s);
    else
        credential_demand(x, "%s", why);
    return false;
}

/* ---- finding it ---- */

static const struct http1_field *find_authorization(const struct exchange *x, unsigned *ret_count)
{
    const struct http1_request *r = x->request;
    const struct http1_field *found = NULL;
    *ret_count = 0;
    for (unsigned i = 0; i < r->field_count; i++) {
        if (!str_is_nocase(r->fields[i].name, "authorization"))
            continue;
        found = &r->fields[i];
        ++*ret_count;
    }
    return found;
}

static bool is_bearer(struct str value, struct str *ret_token)
{
    struct str rest;
    bool found;
    struct str scheme = str_cut(value, ' ', &rest, &found);
    if (!found || !str_is_nocase(scheme, "bearer"))
        return false;
    *ret_token = str_trim(rest);
    return true;
}

/* Good for the same request until it expires: not for the eyes of the function, nor of those who read records. */
static void hide_presigned(struct exchange *x)
{
    struct str query = x->request->query, value, rest;
    char scope[SIGV4_CREDENTIAL_MAX];
    size_t n;
    if (!query.n || !http1_query_find(query, "X-Amz-Signature", &value) ||
        !http1_query_find(query, "X-Amz-Credential", &value) || !http1_percent_decode(value, scope, sizeof(scope), &n))
        return;
    if (tokens_find_access_key(x->gateway->tokens, str_cut((struct str){scope, n}, '/', &rest, NULL)))
        http1_query_blank((char *)query.p, query.n, "X-Amz-Signature"); /* the connection's own bytes */
}

void credential_hide(struct exchange *x)
{
    struct http1_request *r = (struct http1_request *)x->request; /* the exchange's own; const for handlers */
    struct tokens *tokens = x->gateway->tokens;
    unsigned kept = 0;
    for (unsigned i = 0; i < r->field_count; i++) {
        struct str token, rest, key;
        bool ours = false;
        if (str_is_nocase(r->fields[i].name, "authorization")) {
            struct str value = r->fields[i].value;
            bool named;
            str_cut(value, '=', &rest, &named); /* "AWS4-HMAC-SHA256 Credential=KEY/..." */
            key = str_cut(rest, '/', &rest, NULL);
            if (is_bearer(value, &token))
                ours = str_starts_with(token, TOKEN_PREFIX);
            else
                ours = named && str_starts_with(value, "AWS4-") && tokens_find_access_key(tokens, key);
        }
        if (ours)
            continue;
        if (kept != i)
            r->fields[kept] = r->fields[i];
        kept++;
    }
    r->field_count = kept;
    hide_presigned(x);
}

/* ---- the bearer ---- */

static bool take_token(struct exchange *x, struct token *token)
{
    uint64_t now_ms = clock_real_ms();
    if (token_has_expired(token, now_ms)) {
        char when[CLOCK_RFC3339_MAX], text[160];
        clock_format_rfc3339(token->expires_ms, when);
        fmt_to(text, sizeof(text), "the token %s has expired (%s): make a new one with `faasd token create`", token->id,
               when);
        return refuse(x, text);
    }
    token->used_ms = now_ms;
    x->token = token_get(token);
    return true;
}

static bool may_be_overheard(struct exchange *x, const char *what)
{
    if (!x->is_plain || x->gateway->config->insecure_control)
        return false;
    x->explain = true;
    char text[512];
    snprintf(text, sizeof(text),
             "%s over a connection without TLS from another host can be read on the way, and is not taken: put a TLS "
             "proxy in front (`trusted_proxies`), sign requests (AWS Signature V4), or start with --insecure-control",
             what);
    exchange_error(x, 403, "Forbidden", "%s", text);
    return true;
}

static bool read_bearer(struct exchange *x, struct str text)
{
    if (may_be_overheard(x, "a token"))
        return false;
    struct token *token = tokens_find_bearer(x->gateway->tokens, text);
    x->unknown_credential = !token;
    return token ? take_token(x, token)
                 : refuse(x, "this token is not known here: it was removed, or is another daemon's");
}

/* ---- signatures ---- */

static const char *use_once(struct exchange *x, const unsigned char signature[CRYPTO_HASH_BYTES], uint64_t until_s)
{
    switch (replay_use(&x->gateway->credentials->replay, signature, until_s, clock_real_ms() / 1000)) {
    case REPLAY_FIRST:
    case REPLAY_AT_ONCE:
        return NULL;
    case REPLAY_AGAIN:
        return "this signature has been used, and what changes something is repeated at once or never: sign the "
               "request "
               "again";
    default:
        return "too many signed changes within the time that signatures are good for: use a token, or wait";
    }
}

static bool finish_without_body(struct exchange *x, const struct signature_check *k, struct str payload)
{
    if (!sigv4_finish(&k->sigv4, payload))
        return refuse(
            x, "The request signature we calculated does not match the signature you provided. Check your secret "
               "access key and signing method; a proxy has to keep Host");
    const char *why = k->once ? use_once(x, k->sigv4.signature, k->until_s) : NULL;
    return why ? refuse(x, why) : true;
}

static bool request_has_body(const struct exchange *x)
{
    return x->request->body == HTTP1_BODY_CHUNKED ||
           (x->request->body == HTTP1_BODY_LENGTH && x->request->content_length > 0);
}

static bool wait_for_body(struct exchange *x, const struct signature_check *k)
{
    struct address a = address_of(x);
    if (!k->declared && throttle_is_over(&x->gateway->credentials->throttle, &a, clock_mono_ns(),
                                         x->gateway->config->failed_credentials_max)) {
        /* Nothing says yet that the signature is right, and the body may be large. */
        x->explain = true;
        reply_throttled(x, 1);
        return false;
    }
    bool unjudged = k->once && !k->declared;
    if (unjudged && x->gateway->credentials->unjudged == CREDENTIAL_UNJUDGED_MAX) {
        exchange_error_full(
            x, 429, "TooManyRequests",
            STR_LITERAL("too many uploads wait for their signature to be judged: sign X-Amz-Content-SHA256, "
                        "which lets it be judged at once"),
            (struct str){0}, "Retry-After: 1\r\n");
        return false;
    }
    x->check = malloc(sizeof(*k));
    if (!x->check) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return false;
    }
    x->gateway->credentials->unjudged += unjudged;
    *x->check = *k;
    crypto_hash_init(&x->check->body);
    return true;
}

static bool judge(struct exchange *x, const struct sigv4_claim *claim, struct signature_check *k)
{
    static const unsigned char empty[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
                                          0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
                                          0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    static_assert(sizeof(empty) == CRYPTO_HASH_BYTES, "the SHA-256 of nothing");
    char hex[CRYPTO_HASH_HEX];
    bool body = request_has_body(x);
    if (claim->payload == SIGV4_PAYLOAD_UNSIGNED)
        return !(body && may_be_overheard(x, "an unsigned body")) && finish_without_body(x, k, claim->payload_text);
    if (claim->payload == SIGV4_PAYLOAD_DECLARED) {
        crypto_unhex(claim->payload_text, k->sum, sizeof(k->sum));
        k->declared = true;
        if (!body && !crypto_equal(k->sum, empty, sizeof(empty)))
            return refuse(x, "X-Amz-Content-Sha256 is not the hash of the body");
        return finish_without_body(x, k, claim->payload_text) && (!body || wait_for_body(x, k));
    }
    if (body)
        return wait_for_body(x, k);
    id_hex(empty, sizeof(empty), hex);
    return finish_without_body(x, k, str_from(hex));
}

static bool read_signature(struct exchange *x, const struct sigv4_request *r, struct sigv4_claim *claim, bool once)
{
    struct err e;
    uint64_t now_s = clock_real_ms() / 1000;
    struct token *token = tokens_find_access_key(x->gateway->tokens, claim->access_key);
    x->unknown_credential = !token;
    if (!token || !token->secret[0])
        return refuse(x, token ? "this token signs nothing any more: make a new one with `faasd token create`"
                               : "the access key id of this signature is not known here");
    if (sigv4_check_time(claim, now_s, &e) < 0)
        return refuse(x, e.text);
    if (once && claim->signed_at_s < x->gateway->credentials->started_s)
        return refuse(
            x, "this signature is older than the daemon's gateway, which does not know whether it was used: sign "
               "the request again");
    struct signature_check k = {.once = once, .until_s = sigv4_valid_until_s(claim)};
    int begun = sigv4_begin(&k.sigv4, r, claim, str_from(token->secret), &e);
    bool good = begun < 0 ? refuse(x, e.text) : judge(x, claim, &k);
    crypto_wipe(&k, sizeof(k));
    if (!good)
        return false;
    return take_token(x, token);
}

bool credential_read(struct exchange *x, bool once, bool *ret_none)
{
    const struct sigv4_request r = {.http = x->request, .host = x->host};
    struct sigv4_claim claim;
    struct err e;
    unsigned count;
    struct str token;
    *ret_none = false;
    if (x->token) {
        if (!x->token->removed)
            return true;
        return refuse(x, "this token was removed while the request came");
    }
    const struct http1_field *f = find_authorization(x, &count);
    if (count > 1)
        return refuse(x, "there is more than one Authorization field");
    enum sigv4_found found = sigv4_read(&r, &claim, &e);
    x->unread_credential = found == SIGV4_BAD && e.code == EINVAL;
    if (found == SIGV4_BAD)
        return refuse(x, e.text);
    if (found == SIGV4_FOUND)
        return read_signature(x, &r, &claim, once);
    if (f && is_bearer(f->value, &token))
        return read_bearer(x, token);
    if (f)
        return refuse(x, "the Authorization field is neither `Bearer TOKEN` nor an AWS4-HMAC-SHA256 signature");
    *ret_none = true;
    return false;
}

/* ---- the body ---- */

void credential_hash(struct exchange *x, struct str bytes)
{
    crypto_hash_add(&x->check->body, bytes.p, bytes.n);
}

static void drop_check(struct exchange *x)
{
    x->gateway->credentials->unjudged -= x->check->once && !x->check->declared;
    crypto_wipe(x->check, sizeof(*x->check));
    free(x->check);
    x->check = NULL;
}

const char *credential_finish(struct exchange *x)
{
    struct signature_check *k = x->check;
    unsigned char sum[CRYPTO_HASH_BYTES];
    char hex[CRYPTO_HASH_HEX];
    const char *why = NULL;
    crypto_hash_end(&k->body, sum);
    id_hex(sum, sizeof(sum), hex);
    if (k->declared && !crypto_equal(sum, k->sum, sizeof(sum)))
        why = "X-Amz-Content-Sha256 is not the hash of the body";
    else if (!k->declared && !sigv4_finish(&k->sigv4, str_from(hex)))
        why = "The request signature we calculated does not match the signature you provided. Check your secret access "
              "key "
              "and signing method; a proxy has to keep Host";
    else if (!k->declared && k->once)
        why = use_once(x, k->sigv4.signature, k->until_s);
    drop_check(x);
    if (why)
        count_failure(x);
    return why;
}

void credential_release(struct exchange *x)
{
    if (x->check)
        drop_check(x);
    token_put(x->token);
    x->token = NULL;
}
