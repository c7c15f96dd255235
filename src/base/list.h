/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list. A link that is in no list points at itself, so list_remove may be called twice. */
#ifndef FAASD_BASE_LIST_H
#define FAASD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert(struct list *after, struct list *link)
{
    link->prev = after;
    link->next = after->next;
    after->next->prev = link;
    after->next = link;
}

static inline void list_push_front(struct list *l, struct list *link)
{
    list_insert(l, link);
}

static inline void list_push_back(struct list *l, struct list *link)
{
    list_insert(l->prev, link);
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

static inline struct list *list_first(const struct list *l) /* NULL when empty */
{
    return list_is_empty(l) ? NULL : l->next;
}

static inline struct list *list_last(const struct list *l) /* NULL when empty */
{
    return list_is_empty(l) ? NULL : l->prev;
}

/* The entry at hand may be removed inside the loop. */
#define LIST_EACH(list_, at)                                                                                           \
    for (struct list *at = (list_)->next, *at##_next = at->next; at != (list_); at = at##_next, at##_next = at->next)

#endif
