/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: heads and chunked bodies, whole against split. The first byte chooses what is parsed and where it is cut; whatever the bytes,
 * both ways must agree, everything returned must lie inside the input, and nothing ambiguous may be accepted.
 */
#include "codec/http1.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* A copy of exactly n bytes, so that the sanitizer sees a read beyond them. */
static char *copy(const char *bytes, size_t n)
{
    char *c = malloc(n ? n : 1);
    must(c != NULL);
    if (n)
        memcpy(c, bytes, n);
    return c;
}

static const struct http1_limits limits = {.head_bytes = 2048, .fields = 16};

struct result {
    enum http1_outcome outcome;
    size_t head_len;
    struct http1_refusal no;
    struct http1_request r;
};

static void must_lie_inside(struct str s, const char *data, size_t len)
{
    must(s.n == 0 || (s.p >= data && s.p + s.n <= data + len));
}

static void must_be_sound(const struct result *x, const char *data, size_t len)
{
    unsigned hosts = 0;
    unsigned framing = 0;
    must(x->head_len <= len && x->head_len <= limits.head_bytes);
    must_lie_inside(x->r.method, data, len);
    must_lie_inside(x->r.path, data, len);
    must_lie_inside(x->r.query, data, len);
    must_lie_inside(x->r.host, data, len);
    must(x->r.path.n > 0 && (x->r.path.p[0] == '/' || str_is(x->r.path, "*")));
    must(x->r.field_count <= limits.fields);
    for (unsigned i = 0; i < x->r.field_count; i++) {
        must_lie_inside(x->r.fields[i].value, data, len);
        must(http1_field_is_valid(x->r.fields[i].name, x->r.fields[i].value));
        hosts += str_is_nocase(x->r.fields[i].name, "host");
        framing += str_is_nocase(x->r.fields[i].name, "content-length");
        framing += str_is_nocase(x->r.fields[i].name, "transfer-encoding");
    }
    must(hosts == 1 || (hosts == 0 && x->r.minor == 0));
    must(framing <= 1);
    must(memcmp(data + x->head_len - 4, "\r\n\r\n", 4) == 0);
}

static void parse(const char *bytes, const size_t *cuts, size_t count, struct result *x)
{
    struct http1_progress p = {0};
    x->outcome = HTTP1_NEED_MORE;
    for (size_t i = 0; i < count && x->outcome == HTTP1_NEED_MORE; i++) {
        char *data = copy(bytes, cuts[i]);
        x->outcome = http1_parse_request(&x->r, &p, data, cuts[i], &limits, &x->head_len, &x->no);
        if (x->outcome == HTTP1_DONE)
            must_be_sound(x, data, cuts[i]);
        free(data);
    }
}

static void must_agree(const struct result *a, const struct result *b)
{
    must(a->outcome == b->outcome);
    if (a->outcome == HTTP1_BAD)
        must(a->no.status == b->no.status && a->no.reason == b->no.reason);
    if (a->outcome != HTTP1_DONE)
        return;
    must(a->head_len == b->head_len && a->r.body == b->r.body && a->r.content_length == b->r.content_length);
    must(a->r.keep_alive == b->r.keep_alive && a->r.field_count == b->r.field_count && a->r.minor == b->r.minor);
    must(a->r.path.n == b->r.path.n && a->r.query.n == b->r.query.n && a->r.host.n == b->r.host.n);
}

static void fuzz_request(const char *bytes, size_t n, size_t cut)
{
    struct result whole;
    struct result split;
    parse(bytes, &n, 1, &whole);
    parse(bytes, (size_t[]){cut, n}, 2, &split);
    must_agree(&whole, &split);
    if (n > 512)
        return;
    size_t each[513];
    for (size_t i = 0; i <= n; i++)
        each[i] = i;
    parse(bytes, each, n + 1, &split);
    must_agree(&whole, &split);
}

struct body {
    enum http1_outcome outcome;
    uint64_t hash;
    size_t len;
    size_t used;
};

static void decode(const char *bytes, size_t n, size_t step, struct body *b)
{
    struct http1_chunked c = {0};
    struct http1_refusal no;
    *b = (struct body){.outcome = HTTP1_NEED_MORE};
    while (b->used < n && b->outcome == HTTP1_NEED_MORE) {
        size_t piece = n - b->used < step ? n - b->used : step;
        size_t used;
        struct str data;
        char *in = copy(bytes + b->used, piece);
        b->outcome = http1_decode_chunked(&c, (struct str){.p = in, .n = piece}, &used, &data, &no);
        if (b->outcome != HTTP1_BAD) {
            must(used <= piece && (used > 0 || b->outcome == HTTP1_DONE));
            must_lie_inside(data, in, piece);
            for (size_t i = 0; i < data.n; i++)
                b->hash = b->hash * 31 + (unsigned char)data.p[i];
            b->len += data.n;
            b->used += used;
        }
        free(in);
    }
}

static void fuzz_chunked(const char *bytes, size_t n, size_t step)
{
    struct body whole;
    struct body split;
    decode(bytes, n, n, &whole);
    decode(bytes, n, step, &split);
    must(whole.outcome == split.outcome);
    if (whole.outcome != HTTP1_BAD)
        must(whole.hash == split.hash && whole.len == split.len && whole.used == split.used);
}

static void fuzz_response(const char *bytes, size_t n, size_t cut)
{
    static struct http1_response a;
    static struct http1_response b;
    struct http1_progress p = {0};
    struct http1_progress q = {0};
    size_t a_len = 0;
    size_t b_len = 0;
    char *data = copy(bytes, n);
    char *start = copy(bytes, cut);
    enum http1_outcome whole = http1_parse_response(&a, &p, data, n, false, &limits, &a_len);
    enum http1_outcome split = http1_parse_response(&b, &q, start, cut, false, &limits, &b_len);
    if (split == HTTP1_NEED_MORE)
        split = http1_parse_response(&b, &q, data, n, false, &limits, &b_len);
    must(whole == split && a_len == b_len);
    if (whole == HTTP1_DONE)
        must(a.status == b.status && a.body == b.body && a.field_count == b.field_count);
    free(start);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 2;
    size_t n = size - 2;
    size_t cut = n ? data[1] % (n + 1) : 0;
    switch (data[0] % 3) {
    case 0:
        fuzz_request(bytes, n, cut);
        break;
    case 1:
        fuzz_chunked(bytes, n, cut + 1);
        break;
    default:
        fuzz_response(bytes, n, cut);
        break;
    }
    return 0;
}
