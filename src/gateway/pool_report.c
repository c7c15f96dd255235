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

void pool_count(const struct pool *p, struct pool_counts *ret_counts)
{
    struct policy_view v = {0};
    if (p->function->current)
        v = pool_look(p);
    *ret_counts = (struct pool_counts){
        .starting = v.starting,
        .idle = p->function->current ? p->counts[INSTANCE_IDLE] : 0,
        .busy = v.busy,
        .stopping = p->stopping,
        .queued = p->queued,
        .templates = p->counts[INSTANCE_TEMPLATE],
        .frozen = count_frozen(&p->idle),
    };
    if (p->function->current) {
        unsigned holders = pool_total(p) + p->counts[INSTANCE_TEMPLATE];
        ret_counts->memory_bytes = (uint64_t)holders * p->function->current->settings.memory_bytes;
    }
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
}
