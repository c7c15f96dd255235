/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of a deploy. One struct per request that changes a function; one at a time per name, a second one gets 409 Conflict at once: waiting would hide
 * from two people that they overwrite each other.
 *
 *   BEGUN       accepted                                               none: left in the same call
 *   LOOKING     the store's thread looks for the new handler, or for the version to go back to   none: the store answers every job
 *   RECEIVING   the unpacker runs, the body goes into its stdin        timer: unpack_timeout without a byte
 *   UNPACKING   the body is complete                                   timer: unpack_timeout
 *   CANCELLING  the client left or time is up; the unpacker is killed, the name is free   none: the run's own timers end it
 *   DIGESTING   the store's thread hashes the tree                     none: the store answers every job
 *   PUBLISHING  the supervisor renames it into place                   none: it answers or its end ends the gateway
 *   TRYING      the first instance starts                              none: the pool's init_timeout
 *   STORING     the row is being committed (or deleted)                none: the store answers every job
 *   OVER        answered, being freed
 *
 * PUT goes through all, one with a wish past TRYING, a dry run from DIGESTING to OVER, PATCH goes from BEGUN to TRYING, past LOOKING when it names another handler, a rollback past LOOKING to TRYING, DELETE to
 * STORING.
 */
#ifndef FAASD_GATEWAY_DEPLOY_JOB_H
#define FAASD_GATEWAY_DEPLOY_JOB_H

#include "gateway/access.h"
#include "gateway/archive_pipe.h"
#include "gateway/deploy.h"
#include "gateway/exchange.h"
#include "gateway/exec_session.h"
#include "gateway/link.h"
#include "gateway/registry.h"
#include "gateway/store_versions.h"

enum deploy_state {
    DEPLOY_BEGUN,
    DEPLOY_LOOKING,
    DEPLOY_RECEIVING,
    DEPLOY_UNPACKING,
    DEPLOY_CANCELLING,
    DEPLOY_DIGESTING,
    DEPLOY_PUBLISHING,
    DEPLOY_TRYING,
    DEPLOY_STORING,
    DEPLOY_OVER,
};

enum {
    DEPLOY_MAX = 32, /* at once, over all names: each holds an unpacker */
    DEPLOY_UNPACK_MEMORY = MESSAGE_HELPER_MEMORY_MAX,
    DEPLOY_ANSWER_MAX = 1 << 20, /* of the unpacker: the manifest is in it */
    DEPLOY_FAULT_MAX = 16384,    /* bytes of what a function says about its failed start */
    DEPLOY_RUN_MAX_MS =
        24 * 3600 * 1000, /* of the unpacker; the timer of RECEIVING and UNPACKING is the one that counts */
};

struct deploy {
    struct link_waiter waiter; /* first: of PUBLISH */
    struct list link;          /* deploy.c's list of those in flight */
    struct gateway *gateway;
    struct exchange *exchange; /* to be ended; NULL once it was */
    enum deploy_state state;
    char name[SETTINGS_NAME_MAX];
    bool dry_run;
    const struct deploy_wish *wish; /* borrowed; NULL: none */
    char caller[ACCESS_CALLER_MAX]; /* who asked for it, for the log */
    ev_timer timer;

    /* RECEIVING, UNPACKING, CANCELLING */
    struct exec_once *unpack; /* NULL once it has called back */
    uint64_t staging;         /* 0: there is no such tree (any more) */
    struct archive_pipe pipe; /* its stdin */
    bool timed_out;
    bool cut_off; /* the drain's deadline has passed: nothing of it is stored any more */

    /* what is being made */
    struct version *before;        /* counted; NULL for a first deploy */
    struct function *function;     /* counted, from TRYING on */
    struct version *version;       /* counted, once digested */
    struct settings settings;      /* until the version has them */
    struct buf settings_json;      /* of the version: what is stored */
    struct buf changed;            /* one line each */
    struct buf warnings;           /* the same: what the unpacker says will probably not work */
    bool opt_bootstrap;            /* for the version */
    char code[MESSAGE_DIGEST_MAX]; /* "" until digested */
    bool code_is_known;            /* versions/DIGEST was there already */

    /* a rollback */
    bool goes_back;
    struct store_version_read read; /* LOOKING */
    struct store_version_move move; /* STORING */
};

/* deploy.c */
void deploy_set_state(struct deploy *d, enum deploy_state state);
struct deploy *deploy_new(struct exchange *x, struct str name); /* BEGUN; NULL: the exchange was ended */
bool deploy_is_known(struct deploy *d); /* there is such a function, or the deploy has failed and is gone */
/* Ends it with one of faasd's errors; whatever was made is undone. `d` is gone afterwards. */
void deploy_fail(struct deploy *d, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with a message of any length and a trace: a JSON array, or empty. */
void deploy_fail_whole(struct deploy *d, int status, const char *type, struct str message, struct str trace);
/* The same for an error of the disk or the supervisor: 507, 503 or 500. */
void deploy_fail_host(struct deploy *d, const struct err *e, const char *what);
void deploy_succeed(struct deploy *d, bool unchanged);
/* Merges, checks: 0, or the deploy has failed and is gone. */
struct revision_sources;
int deploy_settle(struct deploy *d, const struct revision_sources *s);
/* provided: which bootstrap is started, and the default of _HANDLER. The others: nothing. 0, or the deploy has failed and is gone. */
int deploy_find_entry(struct deploy *d, bool has_bootstrap);
/* d->version of d->code with what stays of the version before, or is wished otherwise; NULL when memory is out. */
void deploy_make_version(struct deploy *d, uint64_t code_bytes);
/* In each step's callback first: true when the drain's deadline has passed meanwhile, `d` has been answered and is gone. */
bool deploy_ends_cut_off(struct deploy *d);
const char *deploy_opt(const struct deploy *d); /* the tree that will be at /opt; "" = none */
bool deploy_uses_code(const char *code);        /* does one in flight need this tree, whose row is not there yet? */

/* deploy_upload.c: RECEIVING to the unpacker's answer, then deploy_digest() */
void deploy_upload_start(struct deploy *d);
void deploy_upload_fini(struct deploy *d);
void deploy_upload_cancel(struct deploy *d); /* in any other state nothing */

/* deploy_commit.c */
void deploy_digest(struct deploy *d);
void deploy_compare(struct deploy *d); /* d->version is made: is anything new? */
void deploy_try(struct deploy *d);
int deploy_describe_changes(struct deploy *d); /* from d->before to d->version, into d->changed; -ENOMEM */

/* deploy_rollback.c */
void deploy_move(struct deploy *d); /* the trial went well: STORING */

/* deploy_collect.c */
void deploy_discard(struct gateway *g, uint64_t staging); /* staging/ID goes to the trash */
void deploy_collect_soon(struct gateway *g);
void deploy_trash_is_used(void); /* the next pass has to empty it */

#endif
