/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/usage.h"

#include "gateway/instance.h"
#include "gateway/records.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        return 0; /* it has ended: the kernel forgets the clock with the process */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t read_process(pid_t pid)
{
    clockid_t clock;
    return pid > 0 && clock_getcpuclockid(pid, &clock) == 0 ? read_clock(clock) : 0;
}

/* How far init's own clock went on since it was last read: ending one process and starting the next (3 to 5 ms for node) is no request's. In a sandbox init made
 * everything else there is; a child of a template has a group of its own, with nobody in it before. */
static uint64_t advance_init(struct instance *i)
{
    struct usage *u = &i->usage;
    uint64_t now = instance_is_child(i) ? 0 : read_process(i->pid);
    if (now <= u->init_ns)
        return 0;
    uint64_t more = now - u->init_ns;
    u->init_ns = now;
    return more;
}

/* How far the worker's clock went on since it was last read. */
static uint64_t advance_clock(struct usage *u)
{
    uint64_t now = u->has_clock ? read_clock(u->clock) : 0;
    if (now <= u->clock_ns)
        return 0;
    uint64_t more = now - u->clock_ns;
    u->clock_ns = now;
    return more;
}

static void count(struct instance *i, uint64_t ns)
{
    struct records *r = i->gateway->records;
    i->usage.counted_ns += ns;
    accounts_series(&r->accounts, i->function->account)->cpu_ns += ns;
}

/* ---- an instance ---- */

void usage_init(struct instance *i)
{
    list_init(&i->usage.sample_link);
    records_attach(i->gateway->records, i->function);
}

static void ask(struct instance *i)
{
    i->usage.asked = true;
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_USAGE);
}

void usage_begin_process(struct instance *i)
{
    struct usage *u = &i->usage;
    pid_t pid = i->driver == &driver_native ? i->native.peer_pid : 0;
    bool first = u->counted_ns == 0;
    u->clock_ns = 0;
    u->has_clock = pid > 0 && clock_getcpuclockid(pid, &u->clock) == 0;
    if (i->driver == &driver_exec) {
        if (first)
            count(i, advance_init(i));
        return;
    }
    u->base_ns += advance_init(i);
    uint64_t so_far = u->base_ns + advance_clock(u);
    if (so_far > u->counted_ns) /* a look in between may have seen a part of its start */
        count(i, so_far - u->counted_ns);
    if (u->has_clock || u->asked)
        return;
    u->is_baseline = true;
    ask(i);
}

void usage_before_end(struct instance *i)
{
    struct usage *u = &i->usage;
    u->told_before_end = false;
    u->is_before_end = u->open_record && !u->asked;
    if (u->is_before_end)
        ask(i);
}

void usage_begin_request(struct instance *i)
{
    struct usage *u = &i->usage;
    u->ended = false;
    if (i->driver == &driver_exec) {
        /* What init did for earlier programs must not be this one's, should the instance's end be what tells. */
        uint64_t so_far = u->base_ns + read_process(i->pid);
        if (so_far > u->counted_ns)
            count(i, so_far - u->counted_ns);
    } else if (!u->fresh) {
        /* What went on between requests is nobody's; of runs that stayed unread, the next look knows. */
        uint64_t more = advance_clock(u);
        count(i, more > u->unread_ns ? more - u->unread_ns : 0);
        u->unread_ns = 0;
    }
}

/* Short runs are not worth the system call: what they used is shared out by the next look, and until then stays below USAGE_UNREAD_NS for whoever is read next. */
static bool may_stay_unread(struct instance *i)
{
    struct usage *u = &i->usage;
    if (instance_is_single_use(i))
        return false;
    u->unread_ns += turn_now_ns(i->gateway) - i->invocation->delivered_ns;
    if (u->unread_ns < USAGE_UNREAD_NS)
        return true;
    u->unread_ns = 0;
    return false;
}

void usage_end_request(struct instance *i, const struct init_done *done)
{
    struct usage *u = &i->usage;
    struct invocation *inv = i->invocation;
    if (u->ended)
        return;
    u->ended = true;
    uint64_t ns = 0;
    if (done)
        ns = (done->user_us + done->system_us) * 1000;
    else if (!may_stay_unread(i))
        ns = advance_clock(u);
    inv->usage_of = done ? NULL : i;
    inv->cpu_ns = ns;
    if (done) {
        inv->peak_bytes = done->maxrss_kib * 1024;
        u->base_ns += ns;
    }
    count(i, ns);
    u->fresh = true;
}

void usage_end_dead(struct instance *i, const struct message_exited *m)
{
    struct usage *u = &i->usage;
    if (u->open_record || m->cpu_ns <= u->counted_ns)
        return; /* earlier requests have a part in it: the look that follows shares it out */
    i->invocation->cpu_ns += m->cpu_ns - u->counted_ns;
    count(i, m->cpu_ns - u->counted_ns);
}

void usage_open_record(struct instance *i, struct record *r)
{
    struct usage *u = &i->usage;
    r->usage_open = true;
    r->previous = u->open_record;
    u->open_record = r->number;
    u->open_us += r->run_us;
    if (i->state != INSTANCE_STOPPING && !instance_is_single_use(i))
        records_note_served(i->gateway->records, i);
}

/* ---- looks ---- */

struct look {
    uint64_t rest_ns; /* to be shared */
    uint64_t peak_bytes;
    enum record_peak peak;
    bool keeps_open; /* more is to come */
};

static void close_record(struct record *r, const struct look *l, uint64_t share_ns)
{
    r->cpu_us += share_ns / 1000;
    if (l->keeps_open)
        return;
    if (l->peak_bytes) {
        r->peak_kib = (uint32_t)(l->peak_bytes / 1024);
        r->peak = (uint8_t)l->peak;
    }
    r->usage_open = false;
}

static void close_open(struct instance *i)
{
    i->usage.open_record = 0;
    i->usage.open_us = 0;
    list_remove(&i->usage.sample_link);
}

static void share_among_open(struct instance *i, const struct look *l)
{
    struct usage *u = &i->usage;
    struct records *all = i->gateway->records;
    uint64_t left = l->rest_ns;
    struct record *r = record_ring_at(&all->ring, u->open_record);
    while (r) {
        struct record *before = record_ring_at(&all->ring, r->previous);
        uint64_t share =
            u->open_us ? (uint64_t)((__uint128_t)l->rest_ns * r->run_us / u->open_us) : (before ? 0 : left);
        if (share > left)
            share = left;
        left -= share;
        close_record(r, l, share);
        r = before;
    }
    if (l->keeps_open)
        return;
    close_open(i);
    records_on_settled(all);
}

/* What the request at hand has used by now is its own. */
static uint64_t count_running(const struct instance *i)
{
    const struct usage *u = &i->usage;
    if (!i->invocation || !u->has_clock)
        return 0;
    uint64_t now = read_clock(u->clock);
    return now > u->clock_ns ? now - u->clock_ns : 0;
}

void usage_fini(struct instance *i)
{
    share_among_open(i, &(struct look){.rest_ns = 0});
}

void usage_end_process(struct instance *i, const struct init_done *done)
{
    struct usage *u = &i->usage;
    uint64_t total = u->base_ns + advance_init(i) + (done->user_us + done->system_us) * 1000;
    u->has_clock = false;
    if (i->invocation)
        return; /* who waits for its answer has no record yet: the look that judges it comes next */
    struct look l = {.rest_ns = total > u->counted_ns ? total - u->counted_ns : 0,
                     .peak_bytes = done->maxrss_kib * 1024,
                     .peak = RECORD_PEAK_PROCESS};
    count(i, l.rest_ns);
    u->base_ns = u->counted_ns;
    if (u->told_before_end)
        l.rest_ns = 0;
    u->is_before_end = u->told_before_end = false;
    share_among_open(i, &l);
}

void usage_settle(struct instance *i, const struct message_exited *m)
{
    struct usage *u = &i->usage;
    uint64_t mine = u->counted_ns + count_running(i);
    struct look l = {
        .rest_ns = m->cpu_ns > mine ? m->cpu_ns - mine : 0,
        .peak_bytes = m->memory_peak_bytes,
        .peak = i->requests == 1 && instance_is_single_use(i) ? RECORD_PEAK_REQUEST : RECORD_PEAK_INSTANCE,
    };
    bool is_answer = m->header.type == MESSAGE_USAGE_IS;
    bool is_baseline = u->is_baseline && is_answer;
    bool was_asked = u->asked;
    l.keeps_open = is_answer && was_asked && u->is_before_end;
    u->told_before_end = l.keeps_open;
    u->asked = was_asked && !is_answer;
    u->is_baseline = u->is_before_end = false;
    count(i, l.rest_ns);
    if (!is_baseline && u->open_record)
        share_among_open(i, &l);
}

void usage_sample(struct records *r)
{
    unsigned asked = 0;
    LIST_EACH (&r->to_sample, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, usage.sample_link);
        if (asked == USAGE_SAMPLES_MAX)
            return;
        if (i->usage.asked)
            continue; /* the answer under way may be older than its last request */
        list_remove(link);
        asked++;
        ask(i);
    }
}
