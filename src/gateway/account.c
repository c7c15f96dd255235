/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void accounts_init(struct account_table *a)
{
    *a = (struct account_table){.buckets = NULL};
    list_init(&a->unsaved);
}

void accounts_fini(struct account_table *a)
{
    for (unsigned i = 0; a->buckets && i < ACCOUNTS_BUCKETS; i++)
        for (struct account *c = a->buckets[i], *next; c; c = next) {
            next = c->next;
            free(c->series);
            free(c);
        }
    free(a->buckets);
    a->buckets = NULL;
}

static struct account **bucket_of(const struct account_table *a, struct str name)
{
    return &a->buckets[str_hash(name, 0) % ACCOUNTS_BUCKETS];
}

static struct account *find(const struct account_table *a, struct str name)
{
    for (struct account *c = *bucket_of(a, name); c; c = c->next)
        if (str_is(name, c->name))
            return c;
    return NULL;
}

static bool is_needed(const struct account *c)
{
    return c->references || c->series || !list_is_empty(&c->unsaved_link);
}

static void free_unless_needed(struct account *c)
{
    if (is_needed(c))
        return;
    struct account **at = bucket_of(c->owner, str_from(c->name));
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c);
}

struct account *accounts_get(struct account_table *a, struct str name)
{
    if (!a->buckets)
        a->buckets = calloc(ACCOUNTS_BUCKETS, sizeof(struct account *));
    if (!a->buckets)
        return NULL;
    struct account *c = find(a, name);
    if (c)
        return account_get(c);
    c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    bool fits = str_copy(name, c->name, sizeof(c->name));
    assert(fits);
    c->owner = a;
    c->references = 1;
    list_init(&c->unsaved_link);
    struct account **bucket = bucket_of(a, name);
    c->next = *bucket;
    *bucket = c;
    return c;
}

struct account *account_get(struct account *c)
{
    c->references++;
    return c;
}

void account_put(struct account *c)
{
    if (!c)
        return;
    assert(c->references > 0);
    c->references--;
    free_unless_needed(c);
}

/* ---- series ---- */

/* Of a function that is gone, in favour of one that is there. */
static struct metrics *take_over_series(struct account_table *a)
{
    for (unsigned i = 0; a->series_left && i < ACCOUNTS_BUCKETS; i++)
        for (struct account *c = a->buckets[i]; c; c = c->next) {
            if (!c->series || c->attached)
                continue;
            struct metrics *m = c->series;
            c->series = NULL;
            a->series_left--;
            metrics_add(&a->other, m);
            *m = (struct metrics){.outcomes = {0}};
            free_unless_needed(c);
            return m;
        }
    return NULL;
}

void account_attach(struct account *c, unsigned series_max)
{
    struct account_table *a = c->owner;
    a->series_left -= !c->attached && c->series;
    c->attached = true;
    if (c->series || strcmp(c->name, ACCOUNTS_OTHER) == 0)
        return;
    if (a->series_count >= series_max) {
        c->series = take_over_series(a);
        return;
    }
    c->series = calloc(1, sizeof(*c->series));
    a->series_count += c->series != NULL;
}

void account_detach(struct account *c)
{
    c->owner->series_left += c->attached && c->series;
    c->attached = false;
}

/* ---- sums ---- */

void account_add(struct account *c, const struct account_sums *more)
{
    c->unsaved.requests += more->requests;
    c->unsaved.run_mib_us += more->run_mib_us;
    c->unsaved.idle_mib_us += more->idle_mib_us;
    if (list_is_empty(&c->unsaved_link))
        list_push_back(&c->owner->unsaved, &c->unsaved_link);
}

bool accounts_take_unsaved(struct account_table *a, char ret_name[SETTINGS_NAME_MAX], struct account_sums *ret_sums)
{
    struct list *first = list_first(&a->unsaved);
    if (!first)
        return false;
    struct account *c = LIST_ENTRY(first, struct account, unsaved_link);
    str_copy(str_from(c->name), ret_name, SETTINGS_NAME_MAX);
    *ret_sums = c->unsaved;
    c->unsaved = (struct account_sums){0};
    list_remove(&c->unsaved_link);
    free_unless_needed(c);
    return true;
}

void accounts_each_series(const struct account_table *a,
                          void (*on_series)(const char *name, const struct metrics *m, void *context), void *context)
{
    for (unsigned i = 0; a->buckets && i < ACCOUNTS_BUCKETS; i++)
        for (const struct account *c = a->buckets[i]; c; c = c->next)
            if (c->series)
                on_series(c->name, c->series, context);
    on_series(NULL, &a->other, context);
}
