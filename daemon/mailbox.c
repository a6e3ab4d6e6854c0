/* Work that another thread hands to a loop. See mailbox.h. */
#include "daemon/mailbox.h"

#include <errno.h>

static void mailbox_run(uv_async_t *async) {
        struct mailbox *mailbox = container_of(async, struct mailbox, async);
        struct list_link tasks;

        list_init(&tasks);
        pthread_mutex_lock(&mailbox->lock);
        list_move(&tasks, &mailbox->tasks);
        pthread_mutex_unlock(&mailbox->lock);
        if (mailbox->before)
                mailbox->before(mailbox->owner);
        while (!list_is_empty(&tasks)) {
                struct task *task = container_of(tasks.next, struct task, link);

                list_unlink(&task->link);
                task->run(task);
        }
}

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop) {
        pthread_mutex_init(&mailbox->lock, NULL);
        list_init(&mailbox->tasks);
        mailbox->is_closed = false;
        return uv_async_init(loop, &mailbox->async, mailbox_run);
}

void mailbox_close(struct mailbox *mailbox) {
        pthread_mutex_lock(&mailbox->lock);
        mailbox->is_closed = true;
        pthread_mutex_unlock(&mailbox->lock);
        mailbox_run(&mailbox->async);
        uv_close((uv_handle_t *)&mailbox->async, NULL);
}

void mailbox_deinit(struct mailbox *mailbox) {
        pthread_mutex_destroy(&mailbox->lock);
}

int mailbox_post(struct mailbox *mailbox, struct task *task) {
        bool is_closed;

        pthread_mutex_lock(&mailbox->lock);
        is_closed = mailbox->is_closed;
        if (!is_closed) {
                list_append(&mailbox->tasks, &task->link);
                /* Under the lock, since the handle may be closed right behind it. */
                (void)uv_async_send(&mailbox->async);
        }
        pthread_mutex_unlock(&mailbox->lock);
        return is_closed ? -ESHUTDOWN : 0;
}
