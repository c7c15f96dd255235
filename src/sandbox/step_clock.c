/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/step_clock.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "sandbox/child.h"

#include <assert.h>

static_assert(sizeof(struct step_clock) <= STEP_CLOCK_BYTES, "one has its own page");

static uint32_t since(const struct step_clock *c)
{
    uint64_t ns = clock_mono_ns() - c->began_ns;
    return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void step_clock_begin(struct step_clock *c)
{
    if (!c)
        return;
    c->parent_count = c->child_count = c->child_from_ns = 0;
    c->began_ns = clock_mono_ns();
}

void step_clock_mark_parent(struct step_clock *c, const char *what)
{
    if (!c || c->parent_count >= STEP_CLOCK_PARENT_MAX)
        return;
    struct step_mark *m = &c->parent[c->parent_count++];
    m->end_ns = since(c);
    fmt_to(m->text, sizeof(m->text), "%s", what);
}

void step_clock_begin_child(struct step_clock *c)
{
    if (c)
        c->child_from_ns = since(c);
}

/* By hand: formatting 40 texts would cost more than reading 40 clocks. */
static char *put(char *to, const char *end, const char *text)
{
    while (*text && to < end)
        *to++ = *text++;
    return to;
}

void step_clock_mark_child(struct step_clock *c, const struct step *s)
{
    if (!c || c->child_count >= STEP_CLOCK_CHILD_MAX)
        return;
    struct step_mark *m = &c->child[c->child_count];
    const char *end = m->text + sizeof(m->text) - 1;
    m->end_ns = since(c);
    char *to = put(m->text, end, step_name(s->op));
    if (s->path)
        to = put(put(to, end, " "), end, s->path);
    *to = '\0';
    c->child_count++;
}

void step_clock_mark_exec(struct step_clock *c)
{
    const struct step exec = {.op = STEP_EXEC_INIT};
    step_clock_mark_child(c, &exec);
}
