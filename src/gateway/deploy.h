/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deploy, from the first byte of the archive to the committed row: unpack (in a sandbox) -> digest -> publish (supervisor, fsynced, renamed) ->
 * trial start -> row -> current. Any failure leaves the old version serving and nothing behind. Handlers of PUT and PATCH.
 */
#ifndef FAASD_GATEWAY_DEPLOY_H
#define FAASD_GATEWAY_DEPLOY_H

#include "base/list.h"
#include "gateway/exchange.h"
#include "gateway/store.h"

/*
 * What Lambda's API wants otherwise: exchange.deploy of a request of its own making (front_make_exchange). $LATEST moves, but nothing is started: what is wrong with the code shows in its
 * first invocation. All may be filled in until the body's end. The exchange's reply is a deploy's.
 */
struct deploy_wish {
    const struct exchange *asker;       /* who sent the request behind it, for the log */
    struct str settings;                /* of a PUT, in place of the header; faasd.json of the archive is not read */
    struct str attributes;              /* kept with the revision: a JSON object */
    bool attributes_changed;            /* then the revision is stored although code and settings are the same */
    enum store_publication publication; /* of the revision: a draft or a published one */
    const char *opt;                    /* the tree at /opt, which somebody holds; NULL: as before */
    const char *role;                   /* NULL: as before */
    uint64_t code_bytes_max;            /* unpacked, where the configuration allows more */
};

/* PUT /v1/functions/NAME: a route with a sink; called when the head is complete. Ends the exchange. Settings come as one JSON object in the
 * header Faasd-Settings (ASCII, other characters as \uXXXX); `?dry_run=1` validates without committing. */
void deploy_put(struct exchange *x, struct str name);
/* PATCH /v1/functions/NAME: new settings over the current code. */
void deploy_patch(struct exchange *x, struct str name);
/* POST /v1/functions/NAME/rollback: an earlier version, {"version": N} or the one before, becomes the current one. */
void deploy_rollback(struct exchange *x, struct str name);
/* DELETE /v1/functions/NAME */
void deploy_delete(struct exchange *x, struct str name);

/* Keeps deploys of a function away for a while, as one of its deploys would: they get 409. False: there is one, or another hold. */
struct deploy_hold {
    struct list link; /* deploy.c's list */
    char name[SETTINGS_NAME_MAX];
};
bool deploy_hold(struct deploy_hold *h, struct str name);
void deploy_release(struct deploy_hold *h);

unsigned deploy_count(void); /* in flight: for draining */
/* The drain's deadline has passed: whoever waits is answered with 503 and nothing more is made of it, but for what is on its way into the store already.
 * Returns how many there are. */
unsigned deploy_cut_off(void);

/* At start: retires trees that no row refers to, and empties the trash. */
void deploy_collect(struct gateway *g);

/* Does one that is under way name this secret? Its row is not there yet. */
bool deploy_uses_secret(struct str name);

#endif
