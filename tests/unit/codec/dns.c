/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A message that is put together piece by piece. */
struct made {
    uint8_t bytes[2048];
    size_t n;
};

static void add(struct made *m, const void *bytes, size_t n)
{
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static void add16(struct made *m, unsigned value)
{
    const uint8_t two[] = {(uint8_t)(value >> 8), (uint8_t)value};
    add(m, two, 2);
}

static void add_name(struct made *m, const char *name)
{
    while (*name) {
        uint8_t n = (uint8_t)strcspn(name, ".");
        add(m, &n, 1);
        add(m, name, n);
        name += n + (name[n] == '.');
    }
    add(m, "", 1);
}

static struct made message(unsigned id, unsigned flags, unsigned answers, const char *name)
{
    struct made m = {.n = 0};
    add16(&m, id);
    add16(&m, flags);
    add16(&m, 1);
    add16(&m, answers);
    add16(&m, 0);
    add16(&m, 0);
    add_name(&m, name);
    add16(&m, DNS_A);
    add16(&m, 1);
    return m;
}

static void add_record(struct made *m, const char *owner, unsigned type, unsigned ttl, const void *data, unsigned n)
{
    if (owner)
        add_name(m, owner);
    else
        add16(m, 0xc00c);
    add16(m, type);
    add16(m, 1);
    add16(m, ttl >> 16);
    add16(m, ttl & 0xffff);
    add16(m, n);
    add(m, data, n);
}

static void add_alias(struct made *m, const char *owner, const char *target, unsigned ttl)
{
    struct made data = {.n = 0};
    add_name(&data, target);
    add_record(m, owner, DNS_CNAME, ttl, data.bytes, (unsigned)data.n);
}

static struct dns_query query(const char *name)
{
    struct dns_query q;
    struct made m = message(7, 0x0100, 0, name);
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_GOOD);
    return q;
}

static void a_question_is_read(void **state)
{
    (void)state;
    struct dns_query q = query("WWW.Example.com");
    assert_int_equal(q.id, 7);
    assert_string_equal(q.name, "www.example.com");
    assert_int_equal(q.type, DNS_A);
    assert_true(q.recursion_desired);
    assert_int_equal(q.question_bytes, 17 + 4);
    assert_memory_equal(q.question, "\3WWW\7Example\3com\0\0\1\0\1", 21);
    q = query("a b.example");
    assert_string_equal(q.name, "");
    q = query("");
    assert_string_equal(q.name, "");
}

static void what_is_no_question_is_not_read(void **state)
{
    (void)state;
    struct dns_query q;
    struct made m = message(7, 0x8180, 0, "a");
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_FOREIGN);
    m = message(7, 0x2800, 0, "a"); /* an update */
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_BAD);
    assert_int_equal(q.id, 7);
    m = message(7, 0x0100, 1, "a");
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_BAD);
    m = message(7, 0x0100, 0, "a");
    m.bytes[5] = 2;
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_BAD);
    m = message(7, 0x0100, 0, "a");
    m.bytes[12] = 0xc0; /* a pointer in a question */
    m.bytes[13] = 0;
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_BAD);
    m = message(7, 0x0100, 0, "a");
    m.bytes[m.n - 1] = 3; /* another class */
    assert_int_equal(dns_read_query(m.bytes, m.n, &q), DNS_BAD);
}

/* Each length, at the end of a page that nothing follows. */
static uint8_t *at_end(const uint8_t *bytes, size_t n)
{
    static uint8_t *pages;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!pages) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    }
    return memcpy(pages + page - n, bytes, n);
}

static void no_cut_message_is_read_beyond_its_end(void **state)
{
    (void)state;
    struct dns_query q = query("www.example.com");
    struct dns_answer a;
    struct made m = message(9, 0x8180, 2, "www.example.com");
    add_alias(&m, NULL, "other.example.com", 60);
    add_record(&m, "other.example.com", DNS_A, 60, "\1\2\3\4", 4);
    for (size_t n = 0; n <= m.n; n++) {
        enum dns_outcome outcome = dns_read_answer(at_end(m.bytes, n), n, &q, 9, &a);
        assert_true(n == m.n ? outcome == DNS_GOOD && a.count == 1 : a.count == 0);
        struct dns_query again;
        dns_read_query(at_end(m.bytes, n), n, &again);
    }
}

static void addresses_come_by_way_of_aliases_in_any_order(void **state)
{
    (void)state;
    struct dns_query q = query("a.example");
    struct dns_answer a;
    struct made m = message(9, 0x8180, 5, "A.example");
    add_record(&m, "c.example", DNS_A, 50, "\1\2\3\4", 4);
    add_alias(&m, "b.example", "C.example", 30);
    add_record(&m, "other.example", DNS_A, 1, "\11\11\11\11", 4);
    add_alias(&m, NULL, "b.example", 40);
    add_record(&m, "c.example", DNS_A, 20, "\5\6\7\10", 4);
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_GOOD);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.addresses[0], 0x01020304);
    assert_int_equal(a.addresses[1], 0x05060708);
    assert_int_equal(a.ttl_s, 20);
}

static void records_of_other_names_are_not_taken(void **state)
{
    (void)state;
    struct dns_query q = query("a.example");
    struct dns_answer a;
    struct made m = message(9, 0x8180, 3, "a.example");
    add_record(&m, "b.example", DNS_A, 60, "\1\2\3\4", 4);
    add_record(&m, NULL, DNS_AAAA, 60, "0123456789abcdef", 16);
    add_record(&m, NULL, DNS_A, 60, "\1\2\3\4\5", 5);
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_GOOD);
    assert_int_equal(a.count, 0);
}

static void an_answer_to_something_else_is_foreign(void **state)
{
    (void)state;
    struct dns_query q = query("a.example");
    struct dns_answer a;
    struct made m = message(9, 0x8180, 1, "a.example");
    add_record(&m, NULL, DNS_A, 60, "\1\2\3\4", 4);
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 10, &a), DNS_FOREIGN);
    m.bytes[2] = 1; /* a question */
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_FOREIGN);
    m = message(9, 0x8180, 1, "b.example");
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_FOREIGN);
}

static void circles_of_names_and_pointers_end(void **state)
{
    (void)state;
    struct dns_query q = query("a.example");
    struct dns_answer a;
    struct made m = message(9, 0x8180, 2, "a.example");
    add_alias(&m, NULL, "b.example", 60);
    add_alias(&m, "b.example", "a.example", 60);
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_GOOD);
    assert_int_equal(a.count, 0);
    m = message(9, 0x8180, 1, "a.example");
    add16(&m, 0xc000 | (unsigned)m.n); /* a name that is a pointer to itself */
    add(&m, "\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 14);
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_GOOD);
    assert_int_equal(a.count, 0);
}

static void no_more_addresses_are_taken_than_fit(void **state)
{
    (void)state;
    struct dns_query q = query("a.example");
    struct dns_answer a;
    struct made m = message(9, 0x8180, 30, "a.example");
    for (unsigned i = 0; i < 30; i++)
        add_record(&m, NULL, DNS_A, 60, "\1\2\3\4", 4);
    assert_int_equal(dns_read_answer(m.bytes, m.n, &q, 9, &a), DNS_GOOD);
    assert_int_equal(a.count, DNS_ADDRESSES_MAX);
}

static void a_reply_reads_back_as_an_answer_to_its_question(void **state)
{
    (void)state;
    char name[254];
    for (unsigned i = 0; i < 253; i++)
        name[i] = i % 64 == 63 ? '.' : 'x';
    name[253] = '\0';
    struct dns_query q = query(name);
    assert_string_equal(q.name, name);
    struct dns_answer again, a = {.count = DNS_ADDRESSES_MAX, .ttl_s = 77};
    for (unsigned i = 0; i < a.count; i++)
        a.addresses[i] = 0x5db8d800 + i;
    uint8_t out[DNS_REPLY_MAX];
    size_t n = dns_put_reply(out, &q, &a);
    assert_int_equal(dns_read_answer(out, n, &q, 7, &again), DNS_GOOD);
    assert_int_equal(again.count, a.count);
    assert_int_equal(again.ttl_s, 77);
    assert_memory_equal(again.addresses, a.addresses, sizeof(a.addresses));
    n = dns_put_query(out, &q, 4711);
    struct dns_query to_server;
    assert_int_equal(dns_read_query(out, n, &to_server), DNS_GOOD);
    assert_int_equal(to_server.id, 4711);
    assert_string_equal(to_server.name, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_read),
        cmocka_unit_test(what_is_no_question_is_not_read),
        cmocka_unit_test(no_cut_message_is_read_beyond_its_end),
        cmocka_unit_test(addresses_come_by_way_of_aliases_in_any_order),
        cmocka_unit_test(records_of_other_names_are_not_taken),
        cmocka_unit_test(an_answer_to_something_else_is_foreign),
        cmocka_unit_test(circles_of_names_and_pointers_end),
        cmocka_unit_test(no_more_addresses_are_taken_than_fit),
        cmocka_unit_test(a_reply_reads_back_as_an_answer_to_its_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
