/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that read what is there, write a row and then change what is there: one after the other, or of two the earlier would be lost. Loop only. */
#ifndef FAASD_LAMBDA_CHANGE_QUEUE_H
#define FAASD_LAMBDA_CHANGE_QUEUE_H

#include "base/list.h"

struct queued_change {
    struct list link;                       /* those that wait, and first the one whose turn it is */
    void (*begin)(struct queued_change *t); /* it is its turn: now, or when those before it are over */
};

void change_queue_enter(struct queued_change *t);
void change_queue_leave(struct queued_change *t); /* from `begin` or later; `t` may be freed afterwards */

#endif
