/* SPDX-License-Identifier: Apache-2.0 */
/* Host ids for instances: one that lives belongs to nobody else, and a freed one comes round again as late as possible. */
#ifndef FAASD_SUPERVISOR_UIDS_H
#define FAASD_SUPERVISOR_UIDS_H

#include <stdint.h>

struct uids {
    uint32_t first; /* ids first .. first + count - 1 */
    uint32_t count;
    uint32_t next;   /* where the search goes on */
    uint64_t *taken; /* owned; a bit per id */
};

int uids_init(struct uids *u, uint32_t first, uint32_t count); /* 0 or -ENOMEM */
void uids_fini(struct uids *u);
uint32_t uids_take(struct uids *u); /* 0: all are taken */
void uids_give_back(struct uids *u, uint32_t uid);

#endif
