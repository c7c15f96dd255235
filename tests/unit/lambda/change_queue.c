/* SPDX-License-Identifier: Apache-2.0 */
/* Changes one after the other, whether they end at once or later. */
#include "lambda/change_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct change {
    struct queued_change turn;
    bool at_once;
};

static struct change *begun[8];
static unsigned begun_count;

static void begin(struct queued_change *t)
{
    struct change *c = LIST_ENTRY(t, struct change, turn);
    begun[begun_count++] = c;
    if (c->at_once)
        change_queue_leave(t);
}

static void the_next_begins_when_the_one_before_has_ended(void **state)
{
    struct change all[5] = {[0] = {.at_once = true}, [2] = {.at_once = true}, [3] = {.at_once = true}};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        all[i].turn.begin = begin;
        change_queue_enter(&all[i].turn);
    }
    assert_int_equal(begun_count, 2);
    change_queue_leave(&all[1].turn);
    assert_int_equal(begun_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_ptr_equal(begun[i], &all[i]);
    change_queue_leave(&all[4].turn);
    assert_int_equal(begun_count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_next_begins_when_the_one_before_has_ended)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
