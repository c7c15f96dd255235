/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored revisions one by one, aliases, and what is collected: tasks for the store's thread (struct store_task in gateway/store.h). The caller fills a request in with its
 * *_init, sets task.done, submits it and calls *_fini in `done`; a request stays where it is until then. Statements are prepared when they are needed: all of this is rare.
 */
#ifndef FAASD_GATEWAY_STORE_VERSIONS_H
#define FAASD_GATEWAY_STORE_VERSIONS_H

#include "gateway/store.h"
#include "gateway/versions.h"

/* ---- one revision ---- */

struct store_version_row {
    struct store_revision revision; /* its strings stand in `text` */
    struct buf text;
};

struct store_version_read {
    struct store_task task; /* ENOENT: there is none */
    char function[SETTINGS_NAME_MAX];
    uint64_t number;
    struct store_version_row row;
};
/* Number 0: the one that was current before the current one was deployed; where that is gone, the next older one. */
void store_version_read_init(struct store_version_read *q, const char *function, uint64_t number);
void store_version_read_fini(struct store_version_read *q);

/* Makes a stored revision the current one. ENOENT: there is none, nothing changed. */
struct store_version_move {
    struct store_task task;
    char function[SETTINGS_NAME_MAX];
    uint64_t number;
};
void store_version_move_init(struct store_version_move *q, const char *function, uint64_t number);

/* What a struct versions says about use, at the time when a request was made: later than what is on disk. */
struct store_version_use {
    uint64_t number, used_ms;
    bool in_use; /* it has a pool, or instances of it are to be kept ready */
};
struct store_version_uses {
    struct store_version_use *all; /* owned */
    size_t count;
};

/* All of a function as a JSON array, oldest first: {"number","current","created","used","revision","code","code_bytes","runtime","description"}; `used` is null when no use is known of,
 * runtime and description where they were given. */
enum { STORE_VERSIONS_JSON_MAX = 4 << 20 };
struct store_version_list {
    struct store_task task;
    char function[SETTINGS_NAME_MAX];
    struct store_version_uses uses;
    struct buf json;
};
int store_version_list_init(struct store_version_list *q, const char *function, const struct versions *v); /* -ENOMEM */
void store_version_list_fini(struct store_version_list *q);

/* ---- aliases ---- */

/* Sets, or removes when alias.number is STORE_ALIAS_REMOVE. ENOENT: no such version, or nothing to remove; E2BIG: there are aliases_max already. */
#define STORE_ALIAS_REMOVE UINT64_MAX
struct store_alias_change {
    struct store_task task;
    char function[SETTINGS_NAME_MAX];
    struct versions_alias alias;
    uint32_t aliases_max;
};
void store_alias_change_init(struct store_alias_change *q, const char *function, const struct versions_alias *a);

/* ---- what goes ---- */

/* Notes when versions were used last and drops all but: the current one, the `keep` newest, those that an alias names, those used since `since_ms`, of which the `most` newest
 * alone, and those in use now. */
struct store_version_collect {
    struct store_task task;
    char function[SETTINGS_NAME_MAX];
    uint32_t keep, most;
    uint64_t since_ms;
    struct store_version_uses uses;
    uint64_t *dropped; /* owned: their numbers */
    size_t dropped_count;
};
/* -ENOMEM. */
int store_version_collect_init(struct store_version_collect *q, const char *function, const struct versions *v);
void store_version_collect_fini(struct store_version_collect *q);

/* ---- at start ---- */

/* Before store_start, on the calling thread: every number and every alias, by function. */
struct store_versions_events {
    void (*on_number)(const char *function, uint64_t number, uint64_t used_ms, void *context);
    void (*on_removed)(const char *function, uint64_t number, void *context); /* it was given and is not given again */
    void (*on_alias)(const char *function, const struct versions_alias *a, void *context);
    void *context;
};
int store_versions_load(struct store *s, const struct store_versions_events *on, struct err *e);

#endif
