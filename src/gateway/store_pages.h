/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions and their versions as Lambda's API lists them, a page at a time, and what it does with one version: tasks for the store's thread, as in gateway/store_versions.h. A function's
 * first row is $LATEST, number 0 here, then its versions follow; names are in byte order.
 */
#ifndef FAASD_GATEWAY_STORE_PAGES_H
#define FAASD_GATEWAY_STORE_PAGES_H

#include "gateway/store.h"

enum { STORE_PAGE_ROWS_MAX = 51 }; /* one more than a page holds tells whether there is a next one */

struct store_page_row {
    struct store_revision revision; /* its strings stand in the page's text */
    uint64_t shown;                 /* 0: this is $LATEST */
};

struct store_page {
    struct store_task task;
    char function[SETTINGS_NAME_MAX]; /* of this one alone; "" = of all */
    char from[SETTINGS_NAME_MAX];     /* the first one, by name */
    uint64_t from_number;             /* and number */
    bool latest_only;
    bool with_tags; /* of `function` */
    unsigned most;  /* rows, at most STORE_PAGE_ROWS_MAX */
    struct store_page_row rows[STORE_PAGE_ROWS_MAX];
    unsigned count;
    struct buf text;
    struct buf tags; /* a JSON object, or empty */
};
void store_page_init(struct store_page *p); /* all rows of all functions: the caller narrows that */
void store_page_fini(struct store_page *p);

/* The current revision becomes its number's, for good; or a number that is not current goes for good. ENOENT: the row is not (or not any more) what the caller saw. */
struct store_publish {
    struct store_task task;
    char function[SETTINGS_NAME_MAX];
    uint64_t number;
    uint64_t created_ms;
    struct buf attributes; /* owned; of publishing: those of the row from now on */
    bool removes;
};
void store_publish_init(struct store_publish *p, const char *function, uint64_t number);
void store_publish_fini(struct store_publish *p);

#endif
