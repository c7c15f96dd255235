/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/change_queue.h"

#include <stdbool.h>

static struct list turns = {&turns, &turns};
static bool running;   /* the first of them has begun */
static bool beginning; /* begin() is on the stack: who ends at once leaves the next to the loop below */

static void begin_first(void)
{
    if (beginning)
        return;
    beginning = true;
    for (struct list *first = list_first(&turns); first && !running; first = list_first(&turns)) {
        struct queued_change *t = LIST_ENTRY(first, struct queued_change, link);
        running = true;
        t->begin(t);
    }
    beginning = false;
}

void change_queue_enter(struct queued_change *t)
{
    list_push_back(&turns, &t->link);
    begin_first();
}

void change_queue_leave(struct queued_change *t)
{
    list_remove(&t->link);
    running = false;
    begin_first();
}
