/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/start_clocks.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static_assert((int)STEP_CLOCK_PARENT_MAX + (int)STEP_CLOCK_CHILD_MAX <= (int)MESSAGE_STEPS_MAX, "all steps fit");
static_assert((int)STEP_CLOCK_TEXT_MAX == (int)MESSAGE_STEP_TEXT_MAX, "and their texts");

enum { PAGES_BYTES = START_CLOCKS_MAX * STEP_CLOCK_BYTES };

static struct step_clock *at(const struct start_clocks *c, unsigned i)
{
    return (struct step_clock *)(void *)(c->pages + (size_t)i * STEP_CLOCK_BYTES);
}

int start_clocks_init(struct start_clocks *c)
{
    void *pages = mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    *c = (struct start_clocks){0};
    if (pages == MAP_FAILED)
        return -ENOMEM;
    c->pages = pages;
    return 0;
}

void start_clocks_fini(struct start_clocks *c)
{
    if (c->pages)
        munmap(c->pages, PAGES_BYTES);
    *c = (struct start_clocks){0};
}

struct step_clock *start_clocks_take(struct start_clocks *c, uint64_t instance)
{
    for (unsigned tries = 0; tries < START_CLOCKS_MAX; tries++) {
        unsigned i = c->next++ % START_CLOCKS_MAX;
        if (c->in_use[i])
            continue;
        c->in_use[i] = true;
        c->instance[i] = instance;
        memset(c->children[i], 0, sizeof(c->children[i]));
        step_clock_begin(at(c, i));
        return at(c, i);
    }
    return NULL;
}

void start_clocks_leave(struct start_clocks *c, struct step_clock **ret)
{
    if (*ret)
        c->in_use[((char *)*ret - c->pages) / STEP_CLOCK_BYTES] = false;
    *ret = NULL;
}

void start_clocks_note_child(struct start_clocks *c, uint64_t template, uint64_t child)
{
    for (unsigned i = 0; i < START_CLOCKS_MAX; i++)
        for (unsigned k = 0; c->instance[i] == template && k < START_CLOCKS_CHILDREN; k++)
            if (!c->children[i][k]) {
                c->children[i][k] = child;
                return;
            }
}

static bool is_of(const struct start_clocks *c, unsigned i, uint64_t instance)
{
    for (unsigned k = 0; k < START_CLOCKS_CHILDREN && c->children[i][k]; k++)
        if (c->children[i][k] == instance)
            return true;
    return c->instance[i] == instance;
}

uint64_t start_clocks_sandbox(const struct start_clocks *c, uint64_t instance)
{
    for (unsigned i = 0; i < START_CLOCKS_MAX; i++)
        if (is_of(c, i, instance))
            return c->instance[i];
    return instance;
}

/* Each step begins where the one before it ended. */
static uint32_t copy(struct message_step *to, const struct step_mark *from, uint32_t count, uint32_t begins_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t end_ns = from[i].end_ns < begins_ns ? begins_ns : from[i].end_ns;
        to[i] = (struct message_step){.at_ns = begins_ns, .ns = end_ns - begins_ns};
        memcpy(to[i].text, from[i].text, sizeof(to[i].text) - 1);
        begins_ns = end_ns;
    }
    return count;
}

void start_clocks_tell(const struct start_clocks *c, uint64_t instance, struct message_steps_are *m)
{
    for (unsigned i = 0; i < START_CLOCKS_MAX; i++) {
        if (c->in_use[i] || !is_of(c, i, instance))
            continue;
        const struct step_clock *k = at(c, i);
        m->supervisor_count = copy(m->steps, k->parent, k->parent_count, 0);
        m->sandbox_count = copy(m->steps + m->supervisor_count, k->child, k->child_count, k->child_from_ns);
        return;
    }
}

void start_clocks_forget(struct start_clocks *c)
{
    memset(c->instance, 0, sizeof(c->instance));
    memset(c->children, 0, sizeof(c->children));
}
