/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deploy, from the first byte of the archive to the committed row: unpack (in a sandbox) -> digest -> publish (supervisor, fsynced, renamed) ->
 * trial start -> row -> current. Any failure leaves the old version serving and nothing behind. Handlers of PUT and PATCH.
 */
#ifndef FAASD_GATEWAY_DEPLOY_H
#define FAASD_GATEWAY_DEPLOY_H

#include "gateway/exchange.h"

/* PUT /v1/functions/NAME: a route with a sink; called when the head is complete. Ends the exchange. Settings come as one JSON object in the
 * header Faasd-Settings (ASCII, other characters as \uXXXX); `?dry_run=1` validates without committing. */
void deploy_put(struct exchange *x, struct str name);
/* PATCH /v1/functions/NAME: new settings over the current code. */
void deploy_patch(struct exchange *x, struct str name);
/* POST /v1/functions/NAME/rollback: an earlier version, {"version": N} or the one before, becomes the current one. */
void deploy_rollback(struct exchange *x, struct str name);
/* DELETE /v1/functions/NAME */
void deploy_delete(struct exchange *x, struct str name);

unsigned deploy_count(void); /* in flight: for draining */

/* At start: retires trees that no row refers to, and empties the trash. */
void deploy_collect(struct gateway *g);

/* Does one that is under way name this secret? Its row is not there yet. */
bool deploy_uses_secret(struct str name);

#endif
