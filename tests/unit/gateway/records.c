/* SPDX-License-Identifier: Apache-2.0 */
/* The ring, the accounts and their series, months. What instances use is looked at from outside (tests/integration/test_records.py). */
#include "gateway/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct account_table accounts;
static struct record_ring ring;

static int set_up(void **state)
{
    (void)state;
    accounts_init(&accounts);
    record_ring_init(&ring, 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_ring_fini(&ring);
    accounts_fini(&accounts);
    return 0;
}

/* ---- the ring ---- */

static struct record *put(uint8_t id, struct account *c)
{
    struct record *r = record_ring_add(&ring);
    assert_non_null(r);
    memset(r->id, id, sizeof(r->id));
    r->account = c ? account_get(c) : NULL;
    return r;
}

static void the_newest_are_kept_and_no_more(void **state)
{
    uint8_t id[ID_UUID_BYTES];
    (void)state;
    for (unsigned i = 1; i <= 100; i++)
        put((uint8_t)i, NULL);
    assert_int_equal(ring.last, 100);
    assert_int_equal(record_ring_oldest(&ring), 85);
    for (unsigned i = 1; i <= 100; i++) {
        const struct record *r = record_ring_at(&ring, i);
        memset(id, (int)i, sizeof(id));
        assert_int_equal(r != NULL, i >= 85);
        assert_ptr_equal(record_ring_find(&ring, id), r);
    }
    assert_null(record_ring_at(&ring, 101));
    assert_null(record_ring_at(&ring, 0));
}

static void an_empty_ring_has_nothing(void **state)
{
    uint8_t id[ID_UUID_BYTES] = {0};
    (void)state;
    assert_null(record_ring_find(&ring, id));
    assert_null(record_ring_at(&ring, 1));
    assert_int_equal(record_ring_oldest(&ring), 1);
}

static void an_id_is_a_uuid_in_lower_case_and_nothing_else(void **state)
{
    static const char good[] = "6f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b11";
    static const char *const bad[] = {"",
                                      "6f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b1",
                                      "6f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b111",
                                      "6F1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b11",
                                      "6f1c7b1e00d5a-4c57-9c39-0a1f6f0f3b11",
                                      "6f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b1-"};
    uint8_t id[ID_UUID_BYTES];
    char out[ID_UUID_MAX];
    (void)state;
    assert_true(id_uuid_parse(str_from(good), id));
    id_uuid_print(id, out);
    assert_string_equal(out, good);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(id_uuid_parse(str_from(bad[i]), id));
}

/* ---- accounts ---- */

static void each_name_is_known(const char *name, const struct metrics *m, void *context)
{
    unsigned *count = context;
    (void)m;
    *count += name != NULL;
}

static unsigned count_series(void)
{
    unsigned count = 0;
    accounts_each_series(&accounts, each_name_is_known, &count);
    return count;
}

static struct account *attach(const char *name, unsigned series_max)
{
    struct account *c = accounts_get(&accounts, str_from(name));
    assert_non_null(c);
    account_attach(c, series_max);
    return c;
}

static void an_account_lives_as_long_as_a_record_names_it(void **state)
{
    (void)state;
    struct account *c = attach("f", 0); /* no series for anybody */
    put(1, c);
    account_detach(c);
    account_put(c);
    assert_string_equal(record_ring_at(&ring, 1)->account->name, "f");
    for (unsigned i = 0; i < 16; i++)
        put(2, NULL); /* the last that named it is overwritten: the account is freed (a sanitizer tells) */
    struct account *again = accounts_get(&accounts, STR_LITERAL("f"));
    assert_int_equal(again->references, 1);
    account_put(again);
}

static void beyond_the_bound_functions_share_one_series(void **state)
{
    struct account *all[8];
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof(name), "f%u", i);
        all[i] = attach(name, 5);
        accounts_series(&accounts, all[i])->outcomes[0]++;
    }
    assert_int_equal(count_series(), 5);
    assert_int_equal(accounts.other.outcomes[0], 3);
    for (unsigned i = 0; i < 8; i++)
        account_put(all[i]);
}

static void a_removed_functions_series_goes_on_when_it_comes_back(void **state)
{
    (void)state;
    struct account *c = attach("f", 1);
    accounts_series(&accounts, c)->outcomes[0] = 7;
    account_detach(c);
    account_put(c);
    c = attach("f", 1);
    assert_int_equal(accounts_series(&accounts, c)->outcomes[0], 7);
    account_put(c);
}

static void a_removed_functions_series_makes_way_and_its_counts_stay_in_the_sum(void **state)
{
    (void)state;
    struct account *old = attach("old", 1);
    accounts_series(&accounts, old)->outcomes[0] = 7;
    metrics_observe(&accounts_series(&accounts, old)->run, 1500);
    account_detach(old);
    account_put(old);
    struct account *new = attach("new", 1);
    assert_non_null(new->series);
    assert_int_equal(new->series->outcomes[0], 0);
    assert_int_equal(accounts.other.outcomes[0], 7);
    assert_int_equal(metrics_count(&accounts.other.run), 1);
    account_put(new);
}

static void a_function_called_as_the_shared_label_shares_it(void **state)
{
    (void)state;
    struct account *c = attach(ACCOUNTS_OTHER, 5);
    assert_null(c->series);
    account_put(c);
}

static void sums_are_taken_once(void **state)
{
    char name[SETTINGS_NAME_MAX];
    struct account_sums sums;
    (void)state;
    struct account *c = attach("f", 0);
    account_add(c, &(struct account_sums){.requests = 1, .run_mib_us = 10});
    account_add(c, &(struct account_sums){.requests = 1, .idle_mib_us = 5});
    account_detach(c);
    account_put(c); /* what it owes keeps it */
    assert_true(accounts_take_unsaved(&accounts, name, &sums));
    assert_string_equal(name, "f");
    assert_int_equal(sums.requests, 2);
    assert_int_equal(sums.run_mib_us, 10);
    assert_int_equal(sums.idle_mib_us, 5);
    assert_false(accounts_take_unsaved(&accounts, name, &sums));
}

static void a_histogram_counts_each_value_in_the_first_bucket_that_holds_it(void **state)
{
    struct metrics_histogram h = {.sum_us = 0};
    (void)state;
    metrics_observe(&h, 0);
    metrics_observe(&h, 100);
    metrics_observe(&h, 101);
    metrics_observe(&h, 30000000);
    metrics_observe(&h, 30000001);
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[1], 1);
    assert_int_equal(h.counts[METRICS_BUCKETS - 1], 1);
    assert_int_equal(h.counts[METRICS_BUCKETS], 1);
    assert_int_equal(metrics_count(&h), 5);
    for (unsigned i = 1; i < METRICS_BUCKETS; i++)
        assert_true(METRICS_BOUNDS_US[i] > METRICS_BOUNDS_US[i - 1]);
}

/* ---- months ---- */

static void a_month_ends_where_the_next_begins(void **state)
{
    static const struct {
        uint64_t at, end;
        unsigned month;
    } rows[] = {
        {1795277385866, 1796083200000, 202611}, /* 2026-11-21 */
        {1796083199999, 1796083200000, 202611}, /* the last millisecond of November */
        {1796083200000, 1798761600000, 202612}, {1798761600000, 1801440000000, 202701},
        {1832976000000, 1835481600000, 202802}, /* 2028-02-01, a leap year */
    };
    uint64_t end;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(records_month(rows[i].at, &end), rows[i].month);
        assert_int_equal(end, rows[i].end);
        unsigned next = records_month(end, &end);
        assert_int_equal(next, rows[i].month % 100 == 12 ? rows[i].month + 89 : rows[i].month + 1);
    }
    /* 2100 is no leap year: 28 days from 4105123200000 */
    assert_int_equal(records_month(4105123200000, &end), 210002);
    assert_int_equal(end, 4105123200000 + 28ull * 86400000);
}

static void a_clock_that_is_not_set_has_no_month(void **state)
{
    uint64_t end;
    (void)state;
    assert_int_equal(records_month(0, &end), 0);
    assert_int_equal(records_month(end - 1, &end), 0);
    assert_int_equal(records_month(end, &end), 202601);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_are_kept_and_no_more),
        TEST(an_empty_ring_has_nothing),
        TEST(an_id_is_a_uuid_in_lower_case_and_nothing_else),
        TEST(an_account_lives_as_long_as_a_record_names_it),
        TEST(beyond_the_bound_functions_share_one_series),
        TEST(a_removed_functions_series_goes_on_when_it_comes_back),
        TEST(a_removed_functions_series_makes_way_and_its_counts_stay_in_the_sum),
        TEST(a_function_called_as_the_shared_label_shares_it),
        TEST(sums_are_taken_once),
        TEST(a_histogram_counts_each_value_in_the_first_bucket_that_holds_it),
        TEST(a_month_ends_where_the_next_begins),
        TEST(a_clock_that_is_not_set_has_no_month),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
