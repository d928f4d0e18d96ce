/*
 * A doubly linked list whose links live in the elements.
 *
 *	struct list_head zones = LIST_INIT(zones);
 *	list_add_tail(&zones, &z->link);
 *	list_for_each(z, &zones, link) ...
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void
list_init(struct list_head *h)
{
	h->next = h->prev = h;
}

static inline bool
list_empty(const struct list_head *h)
{
	return h->next == h;
}

static inline void
list_insert(struct list_head *prev, struct list_head *next, struct list_head *n)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}

static inline void
list_add_tail(struct list_head *h, struct list_head *n)
{
	list_insert(h->prev, h, n);
}

static inline void
list_add(struct list_head *h, struct list_head *n)
{
	list_insert(h, h->next, n);
}

/* Unlinks n and leaves it an empty list, so that a second call is harmless. */
static inline void
list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)

#define list_first(h, type, member) \
	(list_empty(h) ? NULL : list_entry((h)->next, type, member))

#define list_for_each(pos, h, member)						\
	for (pos = list_entry((h)->next, __typeof__(*pos), member);		\
	     &pos->member != (h);						\
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The same where the body may unlink or free pos. */
#define list_for_each_safe(pos, tmp, h, member)					\
	for (pos = list_entry((h)->next, __typeof__(*pos), member),		\
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);	\
	     &pos->member != (h);						\
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
