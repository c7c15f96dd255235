/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that read what is there, write a row and then change what is there: one after the other, or of two the earlier would be lost. Loop only. */
#ifndef FAASD_LAMBDA_TURN_H
#define FAASD_LAMBDA_TURN_H

#include "base/list.h"

struct turn {
    struct list link;              /* those that wait, and first the one whose turn it is */
    void (*begin)(struct turn *t); /* it is its turn: now, or when those before it are over */
};

void turn_take(struct turn *t);
void turn_end(struct turn *t); /* from `begin` or later; `t` may be freed afterwards */

#endif
