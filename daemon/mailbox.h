/* Work that another thread hands to a loop.
 *
 * A mailbox belongs to one libuv loop; any thread may post. Tasks run in the order in which they
 * were posted, in the loop's thread. A task is memory of its poster and must stay until it runs.
 */
#pragma once

#include "lib/list.h"

#include <pthread.h>
#include <uv.h>

struct task {
        struct list_link link;
        void (*run)(struct task *task); /* may free the task */
};

struct mailbox {
        uv_async_t async;
        pthread_mutex_t lock; /* a leaf */
        struct list_link tasks;
        bool is_closed;
        void (*before)(void *owner); /* called before the first task of a run, or NULL */
        void *owner;
};

/* Returns 0 or a negative errno of libuv. */
int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop);

/* Lets the loop end: no task is accepted any more. In the loop's thread. */
void mailbox_close(struct mailbox *mailbox);

/* After the loop has ended. */
void mailbox_deinit(struct mailbox *mailbox);

/* Hands over a task that is in no mailbox. Any thread. Returns 0, or -ESHUTDOWN when the mailbox is
 * closed, the task then remaining the caller's. */
int mailbox_post(struct mailbox *mailbox, struct task *task);
