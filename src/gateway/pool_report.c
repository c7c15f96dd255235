/* SPDX-License-Identifier: Apache-2.0 */
/* Counts and lists of instances, for people. */
#include "gateway/pool_internal.h"

#include "base/clock.h"

static unsigned count_frozen(const struct list *instances)
{
    unsigned count = 0;
    LIST_EACH (instances, link)
        count += LIST_ENTRY(link, struct instance, link)->frozen;
    return count;
}

static void add_pool(const struct pool *p, struct pool_counts *sum)
{
    if (p->version) {
        sum->starting += p->counts[INSTANCE_SPAWNING] + p->counts[INSTANCE_STARTING] + p->counts[INSTANCE_CLOSING] +
                         p->counts[INSTANCE_ENDING];
        sum->idle += p->counts[INSTANCE_IDLE];
        sum->busy += p->counts[INSTANCE_BUSY] + p->counts[INSTANCE_JUDGING];
    }
    sum->stopping += p->stopping;
    sum->queued += p->queued;
    sum->queued_background += p->queued_background;
    sum->templates += p->counts[INSTANCE_TEMPLATE];
    sum->frozen += count_frozen(&p->idle);
    if (p->version) {
        unsigned holders = pool_total(p) + p->counts[INSTANCE_TEMPLATE];
        sum->memory_bytes += (uint64_t)holders * p->version->settings.memory_bytes;
    }
}

static enum pool_state state_of(const struct instance *i)
{
    switch (i->state) {
    case INSTANCE_SPAWNING:
    case INSTANCE_STARTING:
        return POOL_STARTING;
    case INSTANCE_IDLE:
        return i->frozen ? POOL_FROZEN : POOL_IDLE;
    case INSTANCE_TEMPLATE:
        return POOL_TEMPLATE;
    case INSTANCE_STOPPING:
        return POOL_STOPPING;
    default:
        return POOL_BUSY;
    }
}

static void add_states(const struct list *instances, unsigned counts[POOL_STATES])
{
    LIST_EACH (instances, link)
        counts[state_of(LIST_ENTRY(link, struct instance, link))]++;
}

static void add_states_of(const struct pool *p, unsigned counts[POOL_STATES])
{
    add_states(&p->idle, counts);
    add_states(&p->trials, counts);
    add_states(&p->others, counts);
}

void pool_count_states(const struct pool *p, unsigned counts[POOL_STATES])
{
    for (unsigned i = 0; i < POOL_STATES; i++)
        counts[i] = 0;
    add_states_of(p, counts);
    LIST_EACH (&p->numbered, link)
        add_states_of(LIST_ENTRY(link, struct pool, numbered_link), counts);
}

void pool_count(const struct pool *p, struct pool_counts *ret_counts)
{
    *ret_counts = (struct pool_counts){0};
    add_pool(p, ret_counts);
    LIST_EACH (&p->numbered, link)
        add_pool(LIST_ENTRY(link, struct pool, numbered_link), ret_counts);
}

struct count_context {
    struct pool_counts *sum;
};

static void add_counts(struct function *f, void *context)
{
    struct count_context *c = context;
    struct pool_counts one;
    pool_count(f->pool, &one);
    c->sum->starting += one.starting;
    c->sum->idle += one.idle;
    c->sum->busy += one.busy;
    c->sum->queued += one.queued;
    c->sum->templates += one.templates;
    c->sum->frozen += one.frozen;
}

void pools_count(const struct pools *p, struct pool_counts *ret_counts)
{
    *ret_counts = (struct pool_counts){0};
    registry_each(p->gateway->registry, add_counts, &(struct count_context){.sum = ret_counts});
    ret_counts->stopping = p->alive - p->instances;
    ret_counts->memory_bytes = p->memory_bytes;
}

static void tell_instances(const struct list *instances, void (*on_instance)(const struct pool_instance_info *, void *),
                           void *context)
{
    LIST_EACH (instances, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, link);
        struct pool_instance_info info = {
            .id = i->waiter.id,
            .pid = i->pid,
            .state = instance_state_name(i->state),
            .frozen = i->frozen,
            .forked = instance_is_child(i),
            .version_number = i->version->number,
            .age_ms = (clock_mono_ns() - i->spawned_ns) / 1000000,
            .requests = i->requests,
        };
        on_instance(&info, context);
    }
}

void pool_each_instance(const struct pool *p, void (*on_instance)(const struct pool_instance_info *i, void *context),
                        void *context)
{
    tell_instances(&p->idle, on_instance, context);
    tell_instances(&p->trials, on_instance, context);
    tell_instances(&p->others, on_instance, context);
    LIST_EACH (&p->numbered, link)
        pool_each_instance(LIST_ENTRY(link, struct pool, numbered_link), on_instance, context);
}
