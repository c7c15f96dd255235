/* SPDX-License-Identifier: Apache-2.0 */
/* What a function's idle times say about its pool (gateway/history.h): quiet spells are noted here, and their plan is put before the policy. */
#include "gateway/pool_internal.h"

enum { LEAD_MIN_MS = 50 };

static bool is_used(const struct pool *p)
{
    return p->pools->gateway->config->prewarm;
}

void pool_note_work(struct pool *p)
{
    if (p->history.quiet_since_ms)
        history_awake(&p->history, pool_now_ms(p));
    p->planned = false;
}

void pool_note_quiet(struct pool *p)
{
    if (is_used(p))
        history_quiet(&p->history, pool_now_ms(p));
}

void pool_note_start(struct pool *p, const struct instance *i)
{
    uint64_t ms = (i->ready_ns - i->started_ns) / 1000000;
    p->lead_ms = ms < LEAD_MIN_MS ? LEAD_MIN_MS : ms;
}

/* An explicit keep_warm is a promise to whoever wrote it: it is not cut short. */
static bool may_let_go_early(const struct settings *s)
{
    return !(s->given & UINT64_C(1) << SETTINGS_KEY_KEEP_WARM);
}

static bool has_plan(const struct pool *p, uint64_t now_ms)
{
    return is_used(p) && p->history.quiet_since_ms && p->history.count >= HISTORY_IDLES_MIN &&
           now_ms >= p->history.quiet_since_ms + HISTORY_SPELL_MS;
}

void pool_plan_spell(struct pool *p)
{
    if (p->planned || !has_plan(p, pool_now_ms(p)))
        return;
    p->plan = history_plan(&p->history, p->version->settings.keep_warm_ms, p->lead_ms);
    p->planned = true;
}

void pool_look_at_history(const struct pool *p, struct policy_view *v)
{
    const struct settings *s = &p->version->settings;
    uint64_t quiet_ms = p->history.quiet_since_ms;
    if (!p->planned) {
        if (is_used(p) && quiet_ms && p->history.count >= HISTORY_IDLES_MIN)
            v->look_again_ms = quiet_ms + HISTORY_SPELL_MS;
        return;
    }
    struct history_advice a = history_advise(&p->history, &p->plan, v->now_ms);
    if (may_let_go_early(s) || a.keep_ms > v->keep_warm_ms)
        v->keep_warm_ms = a.keep_ms > HISTORY_SPELL_MS ? a.keep_ms : HISTORY_SPELL_MS;
    if (a.hold > v->min_warm)
        v->min_warm = a.hold;
    v->look_again_ms = a.wake_ms;
}
