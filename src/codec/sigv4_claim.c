/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says of its signature, from the Authorization field or from the query. */
#include "codec/sigv4.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

static const char ALGORITHM[] = "AWS4-HMAC-SHA256";

static int refuse(struct err *e, const char *what)
{
    return err_say(e, EINVAL, "the signature can't be read: %s", what);
}

/* ---- parts that both forms have ---- */

static bool is_part(struct str s)
{
    if (s.n == 0 || s.n > SIGV4_PART_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

/* "AKID/20150830/us-east-1/iam/aws4_request" */
static int read_credential(struct sigv4_claim *c, struct str text, struct err *e)
{
    struct str rest;
    if (text.n > SIGV4_CREDENTIAL_MAX)
        return refuse(e, "Credential is too long");
    c->access_key = str_cut(text, '/', &c->scope, NULL);
    c->date = str_cut(c->scope, '/', &rest, NULL);
    c->region = str_cut(rest, '/', &rest, NULL);
    c->service = str_cut(rest, '/', &rest, NULL);
    if (!is_part(c->access_key) || c->date.n != 8 || !is_part(c->region) || !is_part(c->service) ||
        !str_is(rest, "aws4_request"))
        return refuse(e, "Credential has to be ID/DATE/REGION/SERVICE/aws4_request");
    return 0;
}

static bool read_digits(struct str s, size_t from, size_t n, int *ret_value)
{
    *ret_value = 0;
    for (size_t i = from; i < from + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        *ret_value = *ret_value * 10 + (s.p[i] - '0');
    }
    return true;
}

/* "20150830T123600Z" */
static int read_time(struct sigv4_claim *c, struct str text, struct err *e)
{
    struct tm tm = {0};
    bool good = text.n == SIGV4_TIME_BYTES && text.p[8] == 'T' && text.p[15] == 'Z' &&
                read_digits(text, 0, 4, &tm.tm_year) && read_digits(text, 4, 2, &tm.tm_mon) &&
                read_digits(text, 6, 2, &tm.tm_mday) && read_digits(text, 9, 2, &tm.tm_hour) &&
                read_digits(text, 11, 2, &tm.tm_min) && read_digits(text, 13, 2, &tm.tm_sec);
    if (!good || tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return refuse(e, "X-Amz-Date has to be like 20150830T123600Z");
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    c->time = text;
    c->signed_at_s = (uint64_t)timegm(&tm);
    if (memcmp(c->date.p, text.p, 8) != 0)
        return refuse(e, "Credential and X-Amz-Date are of different days");
    return 0;
}

static int read_signature(struct sigv4_claim *c, struct str text, struct err *e)
{
    return crypto_unhex(text, c->signature, sizeof(c->signature)) ? 0
                                                                  : refuse(e, "Signature has to be 64 digits of hex");
}

static const struct http1_field *find_field(const struct sigv4_request *r, const char *name)
{
    return http1_find_field(r->http->fields, r->http->field_count, name);
}

static int read_payload(struct sigv4_claim *c, const struct sigv4_request *r, struct err *e)
{
    static const char unsigned_payload[] = "UNSIGNED-PAYLOAD";
    unsigned char ignored[CRYPTO_HASH_BYTES];
    const struct http1_field *f = find_field(r, "x-amz-content-sha256");
    c->payload = SIGV4_PAYLOAD_BODY;
    if (!f && c->presigned && str_is(c->service, "s3")) {
        c->payload = SIGV4_PAYLOAD_UNSIGNED;
        c->payload_text = str_from(unsigned_payload);
    }
    if (!f)
        return 0;
    c->payload_text = f->value;
    if (str_is(f->value, unsigned_payload))
        c->payload = SIGV4_PAYLOAD_UNSIGNED;
    else if (crypto_unhex(f->value, ignored, sizeof(ignored)))
        c->payload = SIGV4_PAYLOAD_DECLARED;
    else
        return refuse(e, "X-Amz-Content-Sha256 has to be the body's SHA-256 in hex, or UNSIGNED-PAYLOAD (signed chunks "
                         "are not taken)");
    return 0;
}

static int refuse_session(struct err *e)
{
    return err_say(e, EOPNOTSUPP,
                   "X-Amz-Security-Token belongs to temporary credentials, which faasd does not give: unset "
                   "AWS_SESSION_TOKEN, and use the keys that `faasd token create` printed");
}

/* ---- the header ---- */

static int take_once(struct str *to, struct str value, struct err *e)
{
    if (to->n)
        return refuse(e, "a part of the Authorization field stands there twice");
    *to = value;
    return 0;
}

static int split_authorization(struct str text, struct str *credential, struct str *list, struct str *signature,
                               struct err *e)
{
    int r = 0;
    for (bool more = true; more && r == 0;) {
        struct str value;
        struct str part = str_trim(str_cut(text, ',', &text, &more));
        struct str name = str_cut(part, '=', &value, NULL);
        if (str_is(name, "Credential"))
            r = take_once(credential, value, e);
        else if (str_is(name, "SignedHeaders"))
            r = take_once(list, value, e);
        else if (str_is(name, "Signature"))
            r = take_once(signature, value, e);
        else
            r = refuse(e, "the Authorization field has Credential, SignedHeaders and Signature");
    }
    return r;
}

static int read_header(struct sigv4_claim *c, const struct sigv4_request *r, struct str value, struct err *e)
{
    struct str credential = {0}, signature = {0};
    const struct http1_field *time = find_field(r, "x-amz-date");
    int result =
        split_authorization(str_skip(value, sizeof(ALGORITHM)), &credential, &c->signed_headers, &signature, e);
    if (result == 0 && c->signed_headers.n > SIGV4_SIGNED_MAX)
        result = refuse(e, "SignedHeaders is too long");
    if (result == 0)
        result = read_credential(c, credential, e);
    if (result == 0)
        result = time ? read_time(c, time->value, e) : refuse(e, "there is no X-Amz-Date");
    if (result == 0)
        result = read_signature(c, signature, e);
    if (result == 0 && find_field(r, "x-amz-security-token"))
        result = refuse_session(e);
    return result < 0 ? result : read_payload(c, r, e);
}

/* ---- the query ---- */

struct query {
    struct sigv4_claim *claim;
    struct str query;
    size_t used; /* of claim->room */
    struct err *e;
};

/* The parameter's value, decoded; empty with an error when it is absent, not decodable or there twice. */
static struct str take(struct query *q, const char *name, int *result)
{
    struct str rest = q->query, found = {0};
    unsigned count = 0;
    for (bool more = rest.n > 0; more;) {
        struct str value;
        struct str pair = str_cut(rest, '&', &rest, &more);
        if (!str_is(str_cut(pair, '=', &value, NULL), name))
            continue;
        found = value;
        count++;
    }
    char *to = q->claim->room + q->used;
    size_t n = 0;
    if (*result < 0)
        return (struct str){0};
    if (count != 1 || !http1_percent_decode(found, to, sizeof(q->claim->room) - q->used, &n) || n == 0) {
        *result = err_say(q->e, EINVAL, "the signature can't be read: the query needs one %s", name);
        return (struct str){0};
    }
    q->used += n;
    return (struct str){to, n};
}

static int read_query(struct sigv4_claim *c, const struct sigv4_request *r, struct err *e)
{
    struct query q = {.claim = c, .query = r->http->query, .e = e};
    struct str ignored;
    int result = 0;
    if (http1_query_find(q.query, "X-Amz-Security-Token", &ignored))
        return refuse_session(e);
    struct str algorithm = take(&q, "X-Amz-Algorithm", &result);
    struct str credential = take(&q, "X-Amz-Credential", &result);
    struct str time = take(&q, "X-Amz-Date", &result);
    struct str expires = take(&q, "X-Amz-Expires", &result);
    struct str signature = take(&q, "X-Amz-Signature", &result);
    c->signed_headers = take(&q, "X-Amz-SignedHeaders", &result);
    c->presigned = true;
    if (result == 0 && !str_is(algorithm, ALGORITHM))
        result = refuse(e, "X-Amz-Algorithm has to be AWS4-HMAC-SHA256");
    if (result == 0 && (!str_to_u64(expires, &c->expires_s) || c->expires_s == 0 || c->expires_s > SIGV4_EXPIRES_MAX_S))
        result = err_say(e, EINVAL, "X-Amz-Expires has to be 1 to %d seconds", SIGV4_EXPIRES_MAX_S);
    if (result == 0)
        result = read_credential(c, credential, e);
    if (result == 0)
        result = read_time(c, time, e);
    if (result == 0)
        result = read_signature(c, signature, e);
    return result < 0 ? result : read_payload(c, r, e);
}

enum sigv4_found sigv4_read(const struct sigv4_request *r, struct sigv4_claim *c, struct err *e)
{
    const struct http1_field *f = find_field(r, "authorization");
    bool in_header = f && str_starts_with(f->value, ALGORITHM) && f->value.n > sizeof(ALGORITHM) &&
                     f->value.p[sizeof(ALGORITHM) - 1] == ' ';
    struct str ignored;
    bool in_query = http1_query_find(r->http->query, "X-Amz-Signature", &ignored);
    if (!in_header && !in_query)
        return SIGV4_ABSENT;
    memset(c, 0, offsetof(struct sigv4_claim, room));
    int result;
    if (in_header && in_query)
        result = refuse(e, "there is one in the Authorization field and one in the query");
    else
        result = in_header ? read_header(c, r, f->value, e) : read_query(c, r, e);
    return result < 0 ? SIGV4_BAD : SIGV4_FOUND;
}
