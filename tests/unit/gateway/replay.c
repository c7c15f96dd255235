/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/replay.h"

#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct replay *r;

static int set_up(void **state)
{
    (void)state;
    r = calloc(1, sizeof(*r));
    return r ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(r);
    return 0;
}

static void a_signature_is_good_at_once_and_then_no_more(void **state)
{
    (void)state;
    unsigned char a[CRYPTO_HASH_BYTES], b[CRYPTO_HASH_BYTES];
    id_random(a, sizeof(a));
    memcpy(b, a, sizeof(b));
    b[0] ^= 1;
    assert_int_equal(replay_use(r, a, 100, 50), REPLAY_FIRST);
    assert_int_equal(replay_use(r, a, 100, 50), REPLAY_AT_ONCE);
    assert_int_equal(replay_use(r, a, 100, 52), REPLAY_AT_ONCE);
    assert_int_equal(replay_use(r, a, 100, 53), REPLAY_AGAIN);
    assert_int_equal(replay_use(r, a, 100, 49), REPLAY_AGAIN); /* the clock was set back */
    assert_int_equal(replay_use(r, b, 100, 50), REPLAY_FIRST);
    assert_int_equal(replay_use(r, a, 100, 100), REPLAY_AGAIN); /* the last second in which it is valid */
    assert_int_equal(replay_use(r, a, 200, 101), REPLAY_FIRST); /* nobody would take it any more */
}

static void all_of_many_are_remembered(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    unsigned char(*all)[CRYPTO_HASH_BYTES] = calloc(MANY, CRYPTO_HASH_BYTES);
    assert_non_null(all);
    id_random(all, MANY * CRYPTO_HASH_BYTES);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(replay_use(r, all[i], 100, 1), REPLAY_FIRST);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(replay_use(r, all[i], 100, 9), REPLAY_AGAIN);
    free(all);
}

static void a_full_table_refuses_rather_than_forgets(void **state)
{
    (void)state;
    unsigned char first[CRYPTO_HASH_BYTES] = {0}, other[CRYPTO_HASH_BYTES] = {0};
    enum replay_verdict v = REPLAY_FIRST;
    assert_int_equal(replay_use(r, first, 100, 1), REPLAY_FIRST);
    for (unsigned i = 1; i <= REPLAY_PROBES && v == REPLAY_FIRST; i++) {
        other[0] = (unsigned char)i; /* the same places */
        v = replay_use(r, other, 100, 1);
        assert_int_equal(v, i < REPLAY_PROBES ? REPLAY_FIRST : REPLAY_FULL);
    }
    assert_int_equal(replay_use(r, first, 100, 9), REPLAY_AGAIN);
    assert_int_equal(replay_use(r, other, 300, 101), REPLAY_FIRST); /* the others have expired */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_signature_is_good_at_once_and_then_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_of_many_are_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_table_refuses_rather_than_forgets, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
