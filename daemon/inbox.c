/* Inboxes. See inbox.h. */
#include "daemon/inbox.h"

#include "daemon/block.h"
#include "daemon/bus.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/message.h"
#include "lib/base62.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* Answers from this length on are referred to, if they are enough of their block to keep it. */
#define SHARE_MIN  4096
#define SHARE_PART 4

struct inbox {
        struct receiver receiver;
        struct inbox *next; /* on the same bus; fixed from the beginning */
        struct bus *bus;
        struct worker *worker;
        struct subscription *subscription; /* owned */
        char prefix[INBOX_PREFIX_LENGTH];
        struct reply_table table; /* its texts are awaits */
};

/* What the table knows of a question. */
struct await {
        uint64_t id; /* of the connection */
        uint64_t number;
        void (*take)(struct connection *connection, const struct inbox_answer *answer);
        uint32_t slot;
};

/* An answer on its way to the asker's worker. */
struct letter {
        struct task task;
        struct worker *worker;
        struct await await;
        size_t header_size;
        struct bytes bytes;
        struct block *block; /* a reference */
};

/* --- delivery ------------------------------------------------------------------------------- */

static void letter_free(struct letter *letter) {
        block_unref(letter->block);
        free(letter);
}

static void letter_arrive(struct task *task) {
        struct letter *letter = container_of(task, struct letter, task);
        const struct await *await = &letter->await;
        struct connection *connection = instance_find(letter->worker->instance, await->slot);
        size_t n = letter->header_size;
        const struct inbox_answer answer = {
                .number = await->number,
                .headers = {letter->bytes.data, n},
                .payload = {letter->bytes.data + n, letter->bytes.length - n},
                .block = letter->block,
        };

        /* Another one may have its place by now. */
        if (connection && connection->id == await->id)
                await->take(connection, &answer);
        letter_free(letter);
}

/* Has the letter hold the message: the bytes themselves, or what they lie in. */
static int letter_fill(struct letter *letter, const struct message *message) {
        struct bytes bytes = message->payload;

        letter->header_size = message->header_size;
        if (message->block && bytes.length >= SHARE_MIN &&
            bytes.length >= message->block->capacity / SHARE_PART) {
                letter->block = block_ref(message->block);
                letter->bytes = bytes;
                return 0;
        }
        letter->block = block_new(bytes.length);
        if (!letter->block)
                return -ENOMEM;
        bytes_copy(letter->block->data, bytes);
        letter->bytes = (struct bytes){letter->block->data, bytes.length};
        return 0;
}

static void letter_send(struct inbox *inbox, const struct await *await,
                        const struct message *message) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        struct letter *letter = calloc(1, sizeof(*letter));

        if (!letter || letter_fill(letter, message) < 0) {
                log_limited(&limit, LOG_LEVEL_ERROR, "no memory for an answer");
                free(letter);
                return;
        }
        letter->task.run = letter_arrive;
        letter->worker = inbox->worker;
        letter->await = *await;
        if (mailbox_post(&inbox->worker->mailbox, &letter->task) < 0)
                letter_free(letter);
}

/* In the thread of who answers. */
static size_t inbox_deliver(struct receiver *receiver, struct worker *worker,
                            struct subscription *subscription, const struct message *message) {
        struct inbox *inbox = container_of(receiver, struct inbox, receiver);
        struct bytes token = {message->subject.data + INBOX_PREFIX_LENGTH,
                              message->subject.length - INBOX_PREFIX_LENGTH};
        char *known = reply_table_take(&inbox->table, token);
        struct await await;

        if (!known)
                return 0;
        memcpy(&await, known, sizeof(await));
        free(known);
        letter_send(inbox, &await, message);
        return 1;
}

/* --- questions ------------------------------------------------------------------------------ */

int inbox_await(struct inbox *inbox, const struct inbox_asker *asker,
                char subject[INBOX_SUBJECT_LENGTH]) {
        char *token = bytes_copy(subject, (struct bytes){inbox->prefix, sizeof(inbox->prefix)});
        const struct await await = {.id = asker->connection->id,
                                    .number = asker->number,
                                    .take = asker->take,
                                    .slot = asker->connection->slot};
        uint64_t random;

        if (asker->n_share >= reply_table_room(&inbox->table))
                return INBOX_FULL;
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        /* They are forgotten one by one, and not when they are old. */
        return reply_table_add(&inbox->table, (struct bytes){(const char *)&await, sizeof(await)},
                               random, 0, token);
}

void inbox_forget(struct inbox *inbox, const char subject[INBOX_SUBJECT_LENGTH]) {
        free(reply_table_take(&inbox->table,
                              (struct bytes){subject + INBOX_PREFIX_LENGTH, REPLY_TOKEN_LENGTH}));
}

/* --- life ----------------------------------------------------------------------------------- */

static int inbox_subscribe(struct inbox *inbox) {
        char subject[INBOX_PREFIX_LENGTH + 1];
        char *end = bytes_copy(inbox->prefix, BYTES(INBOX_PREFIX));
        uint64_t random;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        base62_write(end, REPLY_TOKEN_LENGTH, random);
        end[REPLY_TOKEN_LENGTH] = '.';
        *bytes_copy(subject, (struct bytes){inbox->prefix, sizeof(inbox->prefix)}) = '*';
        inbox->subscription = subscription_new(&inbox->receiver, BYTES(""), BYTES(""));
        if (!inbox->subscription)
                return -ENOMEM;
        r = bus_subscribe_own(inbox->bus, &inbox->worker->reclaim,
                              (struct bytes){subject, sizeof(subject)}, inbox->subscription);
        if (r < 0)
                inbox->subscription = subscription_free(inbox->subscription);
        return r;
}

static struct inbox *inbox_free(struct inbox *inbox, struct reclaim *reclaim) {
        if (inbox->subscription)
                bus_unsubscribe_own(inbox->bus, reclaim, inbox->subscription);
        reply_table_deinit(&inbox->table);
        free(inbox);
        return NULL;
}

static int inbox_new(struct inbox **inboxp, struct bus *bus, struct worker *worker) {
        struct inbox *inbox = calloc(1, sizeof(*inbox));
        int r;

        if (!inbox)
                return -ENOMEM;
        inbox->receiver.deliver = inbox_deliver;
        inbox->bus = bus;
        inbox->worker = worker;
        reply_table_init(&inbox->table);
        r = inbox_subscribe(inbox);
        if (r < 0)
                inbox_free(inbox, &worker->reclaim);
        else
                *inboxp = inbox;
        return r;
}

int inbox_obtain(struct inbox **inboxp, struct bus *bus, struct worker *worker) {
        struct inbox *inbox = atomic_load_explicit(&bus->inboxes, memory_order_acquire);
        int r;

        while (inbox && inbox->worker != worker)
                inbox = inbox->next;
        *inboxp = inbox;
        if (inbox)
                return 0;
        /* No other thread makes one for this worker. */
        r = inbox_new(&inbox, bus, worker);
        if (r < 0)
                return r;
        *inboxp = inbox;
        inbox->next = atomic_load_explicit(&bus->inboxes, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&bus->inboxes, &inbox->next, inbox,
                                                      memory_order_release, memory_order_relaxed))
                continue;
        return 0;
}

void inboxes_free(struct inbox *first) {
        struct reclaim reclaim = {.first = NULL};
        struct inbox *next;

        for (struct inbox *inbox = first; inbox; inbox = next) {
                next = inbox->next;
                inbox_free(inbox, &reclaim);
        }
        reclaim_flush(&reclaim);
}
