/* SPDX-License-Identifier: Apache-2.0 */
/* What Lambda's API keeps for its clients and nothing here acts on: a JSON object of a kind for each function (and qualifier), which goes with it, and mappings of event sources. On the store's
 * thread. */
#ifndef FAASD_GATEWAY_STORE_OPTIONS_H
#define FAASD_GATEWAY_STORE_OPTIONS_H

#include "base/buf.h"
#include "gateway/store_db.h"

struct store_option {
    const char *function, *kind, *qualifier;
};
int store_options_put(struct store_db *db, const struct store_option *o, struct str value, struct err *e);
int store_options_get(struct store_db *db, const struct store_option *o, struct buf *out,
                      struct err *e); /* nothing: none */

/* Strings are borrowed for the call. */
struct store_event_source {
    const char *id;
    const char *function; /* NAME or NAME:QUALIFIER */
    uint64_t modified_ms;
    struct str value; /* a JSON object */
};
/* Inserts or replaces. */
int store_event_sources_put(struct store_db *db, const struct store_event_source *row, struct err *e);
int store_event_sources_remove(struct store_db *db, const char *id, struct err *e);
/* By id, at most `most` from `from` on ("" = the first), of that function and that source where they are not "". */
struct store_event_sources_query {
    const char *from, *function, *source;
    uint64_t most;
};
int store_event_sources_list(struct store_db *db, const struct store_event_sources_query *q,
                             int (*on_source)(const struct store_event_source *row, void *context), void *context,
                             struct err *e);
int store_event_sources_count(struct store_db *db, uint64_t *ret_count, struct err *e);

#endif
