/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a question and as an answer. The first byte tells where the input is cut: what is before is a question, what is behind is an answer to it, made
 * to bear its number. What is read is within its limits, and what is put together from it reads back as the same. The whole is read as a rule as well.
 */
#include "codec/dns.h"
#include "codec/egress.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A copy of its own size: a read beyond its end is seen. */
static uint8_t *copy_of(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n + !n);
    assert(copy);
    if (n)
        memcpy(copy, data, n);
    return copy;
}

static void check_answer(const struct dns_query *q, const struct dns_answer *a)
{
    uint8_t out[DNS_REPLY_MAX];
    struct dns_answer again;
    assert(a->count <= DNS_ADDRESSES_MAX && a->ttl_s <= 0x7fffffff);
    size_t length = dns_put_reply(out, q, a);
    assert(length <= sizeof(out));
    assert(dns_read_answer(out, length, q, q->id, &again) == DNS_GOOD);
    assert(again.count == a->count && again.rcode == a->rcode);
    assert(memcmp(again.addresses, a->addresses, a->count * sizeof(a->addresses[0])) == 0);
}

static void check_rule(const uint8_t *data, size_t n)
{
    struct egress_rule r, again;
    struct err e = {0};
    struct buf out;
    if (egress_parse((struct str){(const char *)data, n}, &r, &e) < 0) {
        assert(e.code && e.text[0]);
        return;
    }
    buf_init(&out, 0);
    assert(egress_rule_is_valid(&r) && egress_print(&r, &out) == 0);
    assert(egress_parse(buf_str(&out), &again, &e) == 0 && memcmp(&r, &again, sizeof(r)) == 0);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dns_query q;
    struct dns_answer a;
    check_rule(data, n);
    if (n < 1)
        return 0;
    size_t cut = data[0] < n - 1 ? data[0] : n - 1;
    uint8_t *question = copy_of(data + 1, cut), *answer = copy_of(data + 1 + cut, n - 1 - cut);
    if (dns_read_query(question, cut, &q) == DNS_GOOD) {
        uint8_t out[DNS_REPLY_MAX];
        struct dns_query again;
        size_t length = dns_put_query(out, &q, 4711);
        assert(length <= sizeof(out) && strlen(q.name) < DNS_NAME_MAX);
        assert(dns_read_query(out, length, &again) == DNS_GOOD && strcmp(again.name, q.name) == 0);
        uint16_t id = n - 1 - cut >= 2 ? (uint16_t)(answer[0] << 8 | answer[1]) : 0;
        if (dns_read_answer(answer, n - 1 - cut, &q, id, &a) == DNS_GOOD)
            check_answer(&q, &a);
    }
    free(question);
    free(answer);
    return 0;
}
