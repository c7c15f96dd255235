/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances of a version that are kept ready without a request: what Lambda calls provisioned concurrency. A version's number and each alias that names it may want some, and
 * what they want adds up; an alias takes its count along when it moves. Of the current version there are as many as that, or as many as the setting min_warm says, whichever is more.
 *
 * The version's pool (gateway/version_pool.h) is there for as long as they are wanted, its instances are charged, billed and counted within max_concurrency as all others, and requests
 * for other versions that wait may have their places for as long as they need them. When another version becomes current, those of the former are started anew in its own pool. A version
 * that can't be read is tried again every crash_backoff, one whose instances fail as any other, with the pauses of crash_backoff.
 *
 * Nothing is stored here: who sets counts knows them at the next start.
 */
#ifndef FAASD_GATEWAY_VERSION_WARM_H
#define FAASD_GATEWAY_VERSION_WARM_H

#include "base/err.h"
#include "gateway/registry.h"

/* So many from now on by this qualifier (decoded): a number or an alias; 0: none. -ENOENT: there is none such. -EINVAL: $LATEST or an alias of it, whose setting is min_warm, or more
 * than max_concurrency allows beside what others want. Both with a sentence, and nothing is changed. */
int version_warm_set(struct function *f, struct str qualifier, uint32_t count, struct err *e);

/* Would that be taken? Nothing is changed. */
int version_warm_check(struct function *f, struct str qualifier, uint32_t count, struct err *e);

/* Does this version's environment say so (AWS_LAMBDA_INITIALIZATION_TYPE)? Instances that were told otherwise are replaced when it changes. */
static inline bool version_warm_is_told(const struct function *f, const struct version *v)
{
    enum settings_runtime r = v->settings.runtime;
    bool has_it = r == SETTINGS_RUNTIME_PYTHON || r == SETTINGS_RUNTIME_NODE || r == SETTINGS_RUNTIME_PROVIDED;
    return has_it && f->versions.warm_total && versions_warm(&f->versions, v->number) > 0;
}

enum version_warm_trouble {
    VERSION_WARM_FINE,
    VERSION_WARM_GONE, /* an alias that names $LATEST by now, or the version can't be read */
    VERSION_WARM_LOST, /* its instances were lost in a row, and none has served since: started again with the pauses of crash_backoff */
    VERSION_WARM_NO_MEMORY, /* the host's memory_budget or `instances` has no room */
};

struct version_warm {
    uint32_t wanted; /* by this qualifier */
    uint32_t ready;  /* of them: instances that serve or could. Others of the same version may count the same ones */
    uint32_t wanted_by_all; /* of that version, by this one and others */
    bool failing;           /* trouble is not VERSION_WARM_FINE, and some are lacking */
    enum version_warm_trouble trouble;
};
/* False: no such qualifier. */
bool version_warm_read(const struct function *f, struct str qualifier, struct version_warm *ret_warm);

/* What qualifiers name has changed, or which version is current: pools are made, filled and let go as it says now. */
void version_warm_settle(struct function *f);
/* Of a function's home pool: instances that were told otherwise than version_warm_is_told() says now are replaced. */
void pool_renew_told(struct pool *home);
/* A version could not be read: settles again after crash_backoff. */
void version_warm_try_later(struct function *f);

#endif
