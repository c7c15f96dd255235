/* SPDX-License-Identifier: Apache-2.0 */
/* From the claim to the verdict: canonical request, string to sign, key, comparison. Reading the claim is codec/sigv4_claim.c. */
#include "codec/sigv4.h"

#include "base/fmt.h"
#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static void add(struct sigv4_check *k, const void *bytes, size_t n)
{
    for (unsigned i = 0; i < k->forms; i++)
        crypto_hash_add(&k->canonical[i], bytes, n);
}

static void add_str(struct sigv4_check *k, struct str text)
{
    add(k, text.p, text.n);
}

/* ---- the path ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static void add_encoded(struct crypto_hash *h, struct str path)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < path.n; i++) {
        unsigned char byte = (unsigned char)path.p[i];
        const char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (byte == '/' || is_unreserved(path.p[i]))
            crypto_hash_add(h, &path.p[i], 1);
        else
            crypto_hash_add(h, escape, sizeof(escape));
    }
}

static bool is_plain(struct str path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] != '/' && !is_unreserved(path.p[i]))
            return false;
    return true;
}

static void add_path(struct sigv4_check *k, struct str path)
{
    crypto_hash_add(&k->canonical[0], path.p, path.n);
    if (k->forms == 2)
        add_encoded(&k->canonical[1], path);
    add(k, "\n", 1);
}

/* ---- the query ---- */

struct parameter {
    struct str name, value;
};

static int compare_str(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static bool comes_before(const struct parameter *a, const struct parameter *b)
{
    int order = compare_str(a->name, b->name);
    return order ? order < 0 : compare_str(a->value, b->value) < 0;
}

static int add_query(struct sigv4_check *k, struct str query, bool presigned, struct err *e)
{
    struct parameter list[SIGV4_PARAMETERS_MAX];
    unsigned count = 0;
    for (bool more = query.n > 0; more;) {
        struct parameter p;
        struct str pair = str_cut(query, '&', &query, &more);
        p.name = str_cut(pair, '=', &p.value, NULL);
        if (presigned && str_is(p.name, "X-Amz-Signature"))
            continue;
        if (count == SIGV4_PARAMETERS_MAX)
            return err_say(e, EINVAL, "a signed query has at most %d parameters", SIGV4_PARAMETERS_MAX);
        unsigned at = count++;
        for (; at > 0 && comes_before(&p, &list[at - 1]); at--)
            list[at] = list[at - 1];
        list[at] = p;
    }
    for (unsigned i = 0; i < count; i++) {
        if (i)
            add(k, "&", 1);
        add_str(k, list[i].name);
        add(k, "=", 1);
        add_str(k, list[i].value);
    }
    add(k, "\n", 1);
    return 0;
}

/* ---- the fields ---- */

/* Blanks within a value count as one. */
static void add_value(struct sigv4_check *k, struct str value)
{
    size_t from = 0;
    value = str_trim(value);
    for (size_t i = 0; i < value.n; i++) {
        bool blank = value.p[i] == ' ' || value.p[i] == '\t';
        if (!blank)
            continue;
        add(k, value.p + from, i - from);
        add(k, " ", 1);
        while (i + 1 < value.n && (value.p[i + 1] == ' ' || value.p[i + 1] == '\t'))
            i++;
        from = i + 1;
    }
    if (from < value.n) /* an empty value may have no address */
        add(k, value.p + from, value.n - from);
}

static bool names_equal(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static int add_field(struct sigv4_check *k, const struct sigv4_request *r, struct str name, struct err *e)
{
    unsigned found = 0;
    add_str(k, name);
    add(k, ":", 1);
    if (str_is(name, "host")) {
        add_value(k, r->host);
        found = 1;
    }
    for (unsigned i = 0; i < r->http->field_count && !str_is(name, "host"); i++) {
        if (!names_equal(r->http->fields[i].name, name))
            continue;
        if (found++)
            add(k, ",", 1);
        add_value(k, r->http->fields[i].value);
    }
    add(k, "\n", 1);
    return found ? 0 : err_say(e, EINVAL, "the field '%.*s' is signed, but the request has none", (int)name.n, name.p);
}

/* Lower case, in order, each once: there is one way to write the list. */
static int check_order(struct str list, struct err *e)
{
    struct str before = {0};
    for (bool more = true; more;) {
        struct str name = str_cut(list, ';', &list, &more);
        bool good = name.n > 0 && (!before.n || compare_str(before, name) < 0);
        for (size_t i = 0; good && i < name.n; i++)
            good = !(name.p[i] >= 'A' && name.p[i] <= 'Z');
        if (!good)
            return err_say(e, EINVAL, "SignedHeaders has to be a list of names in lower case and in order");
        before = name;
    }
    return 0;
}

static bool is_signed(struct str list, struct str name)
{
    for (bool more = true; more;)
        if (names_equal(str_cut(list, ';', &list, &more), name))
            return true;
    return false;
}

static bool starts_nocase(struct str name, const char *prefix)
{
    size_t n = strlen(prefix);
    return name.n >= n && strncasecmp(name.p, prefix, n) == 0;
}

static int check_coverage(const struct sigv4_request *r, const struct sigv4_claim *c, struct err *e)
{
    if (!is_signed(c->signed_headers, STR_LITERAL("host")))
        return err_say(e, EINVAL, "SignedHeaders has to name host");
    for (unsigned i = 0; i < r->http->field_count; i++) {
        struct str name = r->http->fields[i].name;
        if ((starts_nocase(name, "x-amz-") || starts_nocase(name, "faasd-")) && !is_signed(c->signed_headers, name))
            return err_say(e, EINVAL, "the field '%.*s' has to be among the SignedHeaders",
                           (int)(name.n < SIGV4_PART_MAX ? name.n : SIGV4_PART_MAX), name.p);
    }
    return 0;
}

static int add_fields(struct sigv4_check *k, const struct sigv4_request *r, struct str list, struct err *e)
{
    int result = 0;
    struct str rest = list;
    for (bool more = true; more && result == 0;)
        result = add_field(k, r, str_cut(rest, ';', &rest, &more), e);
    add(k, "\n", 1);
    add_str(k, list);
    add(k, "\n", 1);
    return result;
}

/* ---- the key ---- */

static void derive_key(const struct sigv4_claim *c, struct str secret, unsigned char key[CRYPTO_HASH_BYTES])
{
    char first[4 + SIGV4_PART_MAX];
    assert(secret.n <= SIGV4_PART_MAX);
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, secret.p, secret.n);
    const struct str parts[] = {c->date, c->region, c->service, STR_LITERAL("aws4_request")};
    struct str by = {first, 4 + secret.n};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        crypto_hmac(by, parts[i], key);
        by = (struct str){(const char *)key, CRYPTO_HASH_BYTES};
    }
    crypto_wipe(first, sizeof(first));
}

int sigv4_begin(struct sigv4_check *k, const struct sigv4_request *r, const struct sigv4_claim *c, struct str secret,
                struct err *e)
{
    *k = (struct sigv4_check){.forms = is_plain(r->http->path) ? 1 : 2};
    int result = check_order(c->signed_headers, e);
    if (result == 0)
        result = check_coverage(r, c, e);
    if (result < 0)
        return result;
    for (unsigned i = 0; i < k->forms; i++)
        crypto_hash_init(&k->canonical[i]);
    add_str(k, r->http->method);
    add(k, "\n", 1);
    add_path(k, r->http->path);
    result = add_query(k, r->http->query, c->presigned, e);
    if (result == 0)
        result = add_fields(k, r, c->signed_headers, e);
    if (result < 0)
        return result;
    memcpy(k->signature, c->signature, sizeof(k->signature));
    k->head_n = (unsigned)fmt_to(k->head, sizeof(k->head), "AWS4-HMAC-SHA256\n%.*s\n%.*s\n", (int)c->time.n, c->time.p,
                                 (int)c->scope.n, c->scope.p);
    derive_key(c, secret, k->key);
    return 0;
}

bool sigv4_finish(const struct sigv4_check *k, struct str payload)
{
    bool right = false;
    for (unsigned i = 0; i < k->forms; i++) {
        struct crypto_hash canonical = k->canonical[i];
        unsigned char hash[CRYPTO_HASH_BYTES];
        char text[sizeof(k->head) + CRYPTO_HASH_HEX];
        crypto_hash_add(&canonical, payload.p, payload.n);
        crypto_hash_end(&canonical, hash);
        memcpy(text, k->head, k->head_n);
        id_hex(hash, sizeof(hash), text + k->head_n);
        struct str key = {(const char *)k->key, sizeof(k->key)};
        crypto_hmac(key, (struct str){text, k->head_n + 2 * sizeof(hash)}, hash);
        right |= crypto_equal(hash, k->signature, sizeof(hash));
    }
    return right;
}

/* ---- time ---- */

static void print_time(uint64_t at_s, char out[SIGV4_TIME_BYTES + 1])
{
    time_t at = (time_t)at_s;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, SIGV4_TIME_BYTES + 1, "%Y%m%dT%H%M%SZ", &tm) != SIGV4_TIME_BYTES)
        memcpy(out, "?", 2);
}

uint64_t sigv4_valid_until_s(const struct sigv4_claim *c)
{
    return c->signed_at_s + (c->presigned ? c->expires_s : SIGV4_SKEW_S);
}

int sigv4_check_time(const struct sigv4_claim *c, uint64_t now_s, struct err *e)
{
    char now[SIGV4_TIME_BYTES + 1], bound[SIGV4_TIME_BYTES + 1];
    int n = (int)c->time.n;
    print_time(now_s, now);
    if (c->signed_at_s > now_s + SIGV4_SKEW_S) {
        print_time(now_s + SIGV4_SKEW_S, bound);
        return err_say(e, EINVAL, "Signature not yet current: %.*s is still later than %s (%s + %d min.)", n, c->time.p,
                       bound, now, SIGV4_SKEW_S / 60);
    }
    if (now_s <= sigv4_valid_until_s(c))
        return 0;
    if (c->presigned)
        return err_say(e, EINVAL, "Signature expired: the URL signed at %.*s was good for %lu seconds, and it is %s", n,
                       c->time.p, (unsigned long)c->expires_s, now);
    print_time(now_s - SIGV4_SKEW_S, bound);
    return err_say(e, EINVAL, "Signature expired: %.*s is now earlier than %s (%s - %d min.)", n, c->time.p, bound, now,
                   SIGV4_SKEW_S / 60);
}
