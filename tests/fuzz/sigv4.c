/* SPDX-License-Identifier: Apache-2.0 */
/* Any head as a signed request: the claim is read or refused with a sentence, and no signature but the right one is right. The last line of the input is read as an address. */
#include "codec/sigv4.h"
#include "codec/address.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_claim(const struct sigv4_request *r, const struct sigv4_claim *c)
{
    struct sigv4_check k;
    struct err e = {0};
    assert(c->access_key.n && c->access_key.n <= SIGV4_PART_MAX && c->time.n == SIGV4_TIME_BYTES);
    assert(c->payload == SIGV4_PAYLOAD_BODY || c->payload_text.n);
    if (sigv4_check_time(c, 1440938160, &e) < 0)
        assert(e.text[0]);
    assert(sigv4_valid_until_s(c) >= c->signed_at_s);
    if (sigv4_begin(&k, r, c, STR_LITERAL("0123456789abcdef0123456789abcdef01234567"), &e) < 0)
        assert(e.code && e.text[0]);
    else
        assert(!sigv4_finish(&k, c->payload_text));
}

static void check_address(struct str text)
{
    struct address a, again;
    struct address_range r, same;
    char out[ADDRESS_RANGE_TEXT_MAX];
    if (address_parse(text, &a)) {
        address_print(&a, out);
        assert(address_parse(str_from(out), &again) && memcmp(&a, &again, sizeof(a)) == 0);
    }
    if (address_parse_range(text, &r)) {
        assert(address_range_is_valid(&r) && address_is_in(&r.first, &r));
        address_print_range(&r, out);
        assert(address_parse_range(str_from(out), &same) && memcmp(&r, &same, sizeof(r)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct http1_request http;
    static struct sigv4_claim claim;
    const struct http1_limits limits = {.head_bytes = 65536, .fields = HTTP1_FIELDS_MAX};
    struct http1_progress progress = {0};
    struct http1_refusal refusal = {0};
    struct err e = {0};
    size_t head;
    struct str text = {(const char *)data, n};
    const char *last = n ? memrchr(data, '\n', n) : NULL;
    check_address(last ? str_skip(text, (size_t)(last + 1 - text.p)) : text);
    /* a copy of its own size: a read beyond the head is seen */
    char *copy = malloc(n + !n);
    assert(copy);
    memcpy(copy, data, n);
    if (http1_parse_request(&http, &progress, copy, n, &limits, &head, &refusal) == HTTP1_DONE) {
        const struct sigv4_request r = {.http = &http, .host = http.host};
        enum sigv4_found found = sigv4_read(&r, &claim, &e);
        if (found == SIGV4_BAD)
            assert(e.code && e.text[0]);
        if (found == SIGV4_FOUND)
            check_claim(&r, &claim);
    }
    free(copy);
    return 0;
}
