/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/async_config.h"
#include "gateway/calls_internal.h"
#include "gateway/registry.h"

#include <string.h>

/* "POST /function/NAME:QUALIFIER/path?query HTTP/1.1": as it was accepted, percent-encoded or not. What is no qualifier reads as none: such a call is refused when it is run. */
static void read_qualifier(struct calls_call *call)
{
    char segment[SETTINGS_NAME_MAX + VERSIONS_ALIAS_MAX];
    struct str rest, qualifier;
    size_t n;
    bool qualified;
    call->qualifier[0] = '\0';
    str_cut(call->row.head, ' ', &rest, NULL);
    struct str target = str_cut(rest, ' ', &rest, NULL);
    if (!str_starts_with(target, "/function/"))
        return;
    target = str_skip(target, sizeof("/function/") - 1);
    target = str_cut(str_cut(target, '?', &rest, NULL), '/', &rest, NULL);
    if (!http1_percent_decode(target, segment, sizeof(segment), &n))
        return;
    str_cut((struct str){segment, n}, ':', &qualifier, &qualified);
    if (!qualified || !str_copy(qualifier, call->qualifier, sizeof(call->qualifier)))
        call->qualifier[0] = '\0';
}

static void take_settings(struct calls_terms *t, const struct settings *s)
{
    t->retries = s->async_retries;
    t->backoff_ms = s->async_backoff_ms;
    t->max_age_ms = s->async_max_age_ms;
    t->on_success = s->on_success;
    t->on_failure = s->on_failure;
    t->dead_letter = s->dead_letter;
}

static void take_config(struct calls_terms *t, const struct async_config *c)
{
    if (c->retries != ASYNC_CONFIG_UNSAID)
        t->retries = (uint32_t)c->retries;
    if (c->max_age_s != ASYNC_CONFIG_UNSAID)
        t->max_age_ms = (uint64_t)c->max_age_s * 1000;
    if (c->on_success[0])
        t->on_success = c->on_success;
    if (c->on_failure[0])
        t->on_failure = c->on_failure;
}

void calls_find_terms(struct calls_call *call, struct calls_terms *ret)
{
    const struct gateway *g = call->lane->calls->gateway;
    const struct settings_defaults *d = &g->config->defaults;
    const struct function *f = registry_find(g->registry, str_from(call->lane->name));
    *ret = (struct calls_terms){.function = f,
                                .retries = d->async_retries,
                                .backoff_ms = d->async_backoff_ms,
                                .max_age_ms = d->async_max_age_ms,
                                .on_success = "",
                                .on_failure = "",
                                .dead_letter = ""};
    read_qualifier(call);
    if (!f)
        return;
    take_settings(ret, &f->current->settings);
    const struct async_config *c = async_config_find(&f->versions, str_from(call->qualifier));
    if (c)
        take_config(ret, c);
}
