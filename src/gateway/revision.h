/* SPDX-License-Identifier: Apache-2.0 */
/* What a revision is made of: settings laid over each other, checked against what the configuration grants, and named by a digest together with the code. */
#ifndef FAASD_GATEWAY_REVISION_H
#define FAASD_GATEWAY_REVISION_H

#include "gateway/registry.h"
#include "gateway/store.h"

/* Where settings come from, weakest first: the defaults, then the manifest or (without one) what was given for `before`, then `given`. */
struct revision_sources {
    const struct version *before; /* NULL: a first deploy */
    bool manifest_may_follow; /* `given` alone, before the archive is read: only what no manifest can mend is refused */
    bool has_manifest;
    struct str manifest; /* faasd.json, comments allowed */
    struct str given;    /* a JSON object, or empty */
};

/* *ret_settings is the caller's, valid only after 0. -EINVAL: a sentence for who deploys. */
int revision_merge(const struct config *c, const struct revision_sources *s, struct settings *ret_settings,
                   struct err *e);

/* What starts a function of runtime provided, and what _HANDLER is unless somebody says otherwise. */
#define REVISION_BOOTSTRAP     "bootstrap"
#define REVISION_OPT_BOOTSTRAP "/opt/bootstrap"

/* What the row of a revision holds as its handler: what is started, which for provided is the bootstrap, whatever the setting `handler` is. */
const char *revision_entry(const struct version *v);

/* -EPERM: needs a grant, and the sentence names the key; -EINVAL: can never run on this host. */
int revision_check(const struct config *c, const struct settings *s, struct err *e);

struct revision_code {
    const char *digest;
    uint64_t bytes;
    const char *opt;  /* NULL or "": none */
    const char *role; /* NULL or "": none */
};

/* A version of this code; takes the settings over when it succeeds. The given settings as canonical JSON are added to *ret_json. NULL when memory is out. */
struct version *revision_make(const struct revision_code *code, struct settings *settings, struct buf *ret_json);

/* A stored revision again. NULL with the reason when its settings cannot be read (any more). */
struct version *revision_load(const struct config *c, const struct store_revision *r, struct err *e);

#endif
