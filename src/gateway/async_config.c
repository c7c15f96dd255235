/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/async_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct str latest_unless(struct str qualifier)
{
    return qualifier.n ? qualifier : STR_LITERAL("$LATEST");
}

const struct async_config *async_config_find(const struct versions *v, struct str qualifier)
{
    const struct async_config *c = v->async;
    qualifier = latest_unless(qualifier);
    while (c && !str_is(qualifier, c->qualifier))
        c = c->next;
    return c;
}

void async_config_remove(struct versions *v, struct str qualifier)
{
    struct async_config **at = &v->async;
    qualifier = latest_unless(qualifier);
    while (*at && !str_is(qualifier, (*at)->qualifier))
        at = &(*at)->next;
    struct async_config *c = *at;
    if (!c)
        return;
    *at = c->next;
    free(c);
}

int async_config_put(struct versions *v, const struct async_config *c)
{
    struct async_config *copy = malloc(sizeof(*copy)), **at = &v->async;
    if (!copy)
        return -ENOMEM;
    *copy = *c;
    async_config_remove(v, str_from(c->qualifier));
    while (*at && strcmp((*at)->qualifier, c->qualifier) < 0)
        at = &(*at)->next;
    copy->next = *at;
    *at = copy;
    return 0;
}

void async_config_forget_number(struct versions *v, uint64_t number)
{
    char text[24];
    if (!v->async)
        return;
    snprintf(text, sizeof(text), "%lu", (unsigned long)number);
    async_config_remove(v, str_from(text));
}

void async_config_clear(struct versions *v)
{
    while (v->async) {
        struct async_config *c = v->async;
        v->async = c->next;
        free(c);
    }
}
