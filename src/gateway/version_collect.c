/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/version_collect.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/deploy_job.h"
#include "gateway/store_versions.h"
#include "gateway/version_pool.h"
#include "gateway/version_warm.h"

#include <stdlib.h>

enum { USED_LATELY_MS = 24 * 3600 * 1000 };

struct collection {
    struct store_version_collect request; /* first */
    struct gateway *gateway;
    struct function *function; /* counted */
};

static void on_collected(struct store_task *t)
{
    struct collection *c = (struct collection *)(void *)t;
    struct store_version_collect *q = &c->request;
    if (t->error.code)
        log_warn("old versions were not forgotten, the next deploy tries again fn=%s: %s", q->function, t->error.text);
    for (size_t i = 0; i < q->dropped_count && !c->function->removed; i++)
        versions_forget(&c->function->versions, q->dropped[i]);
    version_warm_settle(c->function);
    if (q->dropped_count)
        deploy_collect_soon(c->gateway);
    store_version_collect_fini(q);
    function_put(c->function);
    free(c);
}

/* A clock behind the current version's birth is not set: nothing that was ever used is taken for old. */
static uint64_t used_since(const struct function *f)
{
    uint64_t now = clock_real_ms();
    return now >= f->current->created_ms && now > USED_LATELY_MS ? now - USED_LATELY_MS : 0;
}

void version_collect(struct gateway *g, struct function *f)
{
    const struct config *config = g->config;
    struct collection *c = calloc(1, sizeof(*c));
    version_pool_note_uses(f);
    if (!c || store_version_collect_init(&c->request, f->name, &f->versions) < 0) {
        free(c);
        return; /* the next change does it */
    }
    c->gateway = g;
    c->function = function_get(f);
    c->request.keep = config->versions_kept;
    c->request.most = config->versions_max > config->versions_kept ? config->versions_max : config->versions_kept;
    c->request.since_ms = used_since(f);
    c->request.task.done = on_collected;
    store_submit(g->store, &c->request.task);
}
