/* Intrusive, circular, doubly linked lists.
 *
 * A struct that wants to be on a list holds a `struct list_link`; linking never allocates and so
 * never fails. A link that is on no list points to itself, which makes list_unlink() harmless on
 * it. The list head is a link too. Lists are not thread-safe: whoever owns the head owns the list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list_link {
        struct list_link *previous;
        struct list_link *next;
};

#define LIST_INIT(link)                                                                            \
        { &(link), &(link) }

/* The struct of `type` whose member `member` is *pointer. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void list_init(struct list_link *link) {
        link->previous = link;
        link->next = link;
}

static inline bool list_is_empty(const struct list_link *list) {
        return list->next == list;
}

static inline void list_append(struct list_link *list, struct list_link *link) {
        link->previous = list->previous;
        link->next = list;
        list->previous->next = link;
        list->previous = link;
}

static inline void list_unlink(struct list_link *link) {
        link->previous->next = link->next;
        link->next->previous = link->previous;
        list_init(link);
}

/* Moves all links of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move(struct list_link *to, struct list_link *from) {
        if (list_is_empty(from))
                return;
        from->next->previous = to->previous;
        to->previous->next = from->next;
        from->previous->next = to;
        to->previous = from->previous;
        list_init(from);
}

/* Iterates with the current link in `link`; the safe form allows unlinking it. */
#define LIST_FOREACH(link, list)                                                                   \
        for (struct list_link *link = (list)->next; link != (list); link = link->next)
#define LIST_FOREACH_SAFE(link, list)                                                              \
        for (struct list_link *link = (list)->next, *link##_next = link->next; link != (list);     \
             link = link##_next, link##_next = link->next)
