/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for the asynchronous calls of one qualifier in place of the function's settings: what Lambda calls a function's event invoke configuration. A version's number, an alias or
 * "$LATEST", which is also what calls without a qualifier are for; each lives as long as what it names. Loop only.
 *
 * Nothing is stored here: who puts them knows them at the next start.
 */
#ifndef FAASD_GATEWAY_ASYNC_CONFIG_H
#define FAASD_GATEWAY_ASYNC_CONFIG_H

#include "codec/settings.h"
#include "gateway/versions.h"

enum { ASYNC_CONFIG_UNSAID = -1 };

struct async_config {
    struct async_config *next; /* of the function's list, by qualifier */
    char qualifier[VERSIONS_ALIAS_MAX];
    int retries;   /* ASYNC_CONFIG_UNSAID: as the settings say */
    int max_age_s; /* the same */
    char on_success[SETTINGS_TARGET_MAX],
        on_failure[SETTINGS_TARGET_MAX]; /* NAME or NAME:QUALIFIER; "": as the settings say */
    uint64_t modified_ms;                /* real time */
};

/* NULL: there is none. "" is "$LATEST". */
const struct async_config *async_config_find(const struct versions *v, struct str qualifier);
/* Copied, in place of what was there; -ENOMEM. */
int async_config_put(struct versions *v, const struct async_config *c);
void async_config_remove(struct versions *v, struct str qualifier);
void async_config_forget_number(struct versions *v, uint64_t number);
void async_config_clear(struct versions *v);

#endif
