/* SPDX-License-Identifier: Apache-2.0 */
/* Which system call was denied to whom: an instance's own notices, or for a child its template's, whose filter it inherited. */
#include "gateway/instance_internal.h"

#include "base/clock.h"

#include <stdlib.h>

static struct notices *notices_of(const struct instance *i)
{
    if (!instance_is_child(i))
        return i->channel.notices;
    return i->forked.template ? i->forked.template->instance->channel.notices : NULL;
}

void instance_listen_for(struct instance *i, struct invocation *inv)
{
    notices_put(inv->notices);
    inv->notices = notices_get(notices_of(i));
    inv->pid = instance_is_child(i) ? i->pid : 0;
}

bool instance_print_denied(const struct instance *i, char out[NOTICES_TEXT_MAX])
{
    struct notices *n = notices_of(i);
    int number = n ? notices_find_denied(n, instance_is_child(i) ? i->pid : 0, i->started_ns) : -1;
    if (number >= 0)
        notices_print_denied(&i->version->settings, number, out);
    return number >= 0;
}

void instance_begin_learning(struct instance *i)
{
    struct function *f = i->function;
    if (i->version->settings.seccomp != SETTINGS_SECCOMP_LEARNING)
        return;
    if (!f->learned)
        f->learned = calloc(1, sizeof(*f->learned)); /* without memory for it nothing is learnt, and the list says so */
    if (f->learned && f->learned->since_ms == 0)
        f->learned->since_ms = clock_real_ms();
    i->channel.learned = f->learned;
}
