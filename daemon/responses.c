/* Replies that a client may answer to. See responses.h. */
#include "daemon/responses.h"

#include "lib/hash.h"

#include <errno.h>
#include <stdlib.h>

struct response {
        struct list_link link; /* by age */
        struct response *next; /* of the same bucket */
        uint64_t n_left;       /* UINT64_MAX: any number */
        uint64_t due_ms;       /* UINT64_MAX: never */
        size_t length;
        char reply[];
};

struct responses *responses_new(void) {
        struct responses *responses = calloc(1, sizeof(*responses));

        if (!responses)
                return NULL;
        pthread_mutex_init(&responses->lock, NULL);
        list_init(&responses->by_age);
        return responses;
}

struct responses *responses_free(struct responses *responses) {
        if (!responses)
                return NULL;
        LIST_FOREACH_SAFE (link, &responses->by_age)
                free(container_of(link, struct response, link));
        pthread_mutex_destroy(&responses->lock);
        free(responses->buckets);
        free(responses);
        return NULL;
}

static struct bytes reply_of(const struct response *response) {
        return (struct bytes){response->reply, response->length};
}

/* What it takes to keep a reply: its place, its share of the buckets and of the heap's own. */
static size_t room_of(struct bytes reply) {
        return sizeof(struct response) + reply.length + 4 * sizeof(void *);
}

/* Where the pointer to a reply is, or would be; there are buckets. */
static struct response **find(struct responses *responses, struct bytes reply) {
        size_t bucket = hash_bytes(reply, 0) & (responses->n_buckets - 1);
        struct response **place = &responses->buckets[bucket];

        while (*place && !bytes_equal(reply_of(*place), reply))
                place = &(*place)->next;
        return place;
}

static void forget(struct responses *responses, struct response **place) {
        struct response *response = *place;

        *place = response->next;
        list_unlink(&response->link);
        responses->n_replies--;
        responses->n_room -= room_of(reply_of(response));
        free(response);
}

/* Forgets those that are over, from the oldest on, and then as many as there is no room for. */
static void make_room(struct responses *responses, size_t n_room, uint64_t now_ms) {
        while (responses->n_replies > 0) {
                struct response *oldest =
                        container_of(responses->by_age.next, struct response, link);

                if (oldest->due_ms > now_ms && responses->n_room + n_room <= RESPONSES_ROOM_MAX)
                        break;
                forget(responses, find(responses, reply_of(oldest)));
        }
}

static int grow(struct responses *responses) {
        size_t n = responses->n_buckets ? responses->n_buckets * 2 : 16;
        struct response **buckets;

        if (responses->n_replies < responses->n_buckets)
                return 0;
        buckets = calloc(n, sizeof(*buckets));
        if (!buckets)
                return -ENOMEM;
        free(responses->buckets);
        responses->buckets = buckets;
        responses->n_buckets = n;
        LIST_FOREACH (link, &responses->by_age) {
                struct response *response = container_of(link, struct response, link);
                struct response **place = &buckets[hash_bytes(reply_of(response), 0) & (n - 1)];

                response->next = *place;
                *place = response;
        }
        return 0;
}

/* Adds a reply that is not there. Returns it, or NULL if there is no memory. */
static struct response *add(struct responses *responses, struct bytes reply) {
        struct response *response;

        if (grow(responses) < 0)
                return NULL;
        response = calloc(1, sizeof(*response) + reply.length);
        if (!response)
                return NULL;
        response->length = reply.length;
        bytes_copy(response->reply, reply);
        *find(responses, reply) = response;
        list_append(&responses->by_age, &response->link);
        responses->n_replies++;
        responses->n_room += room_of(reply);
        return response;
}

static int remember(struct responses *responses, struct bytes reply, uint64_t n_answers,
                    uint64_t due_ms, uint64_t now_ms) {
        struct response *response;

        make_room(responses, room_of(reply), now_ms);
        response = responses->n_replies > 0 ? *find(responses, reply) : NULL;
        if (!response)
                response = add(responses, reply);
        if (!response)
                return -ENOMEM;
        response->n_left = n_answers > UINT64_MAX - response->n_left ? UINT64_MAX
                                                                     : response->n_left + n_answers;
        response->due_ms = due_ms;
        list_unlink(&response->link);
        list_append(&responses->by_age, &response->link);
        return 0;
}

int responses_remember(struct responses *responses, struct bytes reply, uint64_t n_answers,
                       uint64_t due_ms, uint64_t now_ms) {
        int r;

        pthread_mutex_lock(&responses->lock);
        r = remember(responses, reply, n_answers, due_ms, now_ms);
        pthread_mutex_unlock(&responses->lock);
        return r;
}

static size_t take(struct responses *responses, struct bytes reply, size_t wanted,
                   uint64_t now_ms) {
        struct response **place, *response;
        size_t n;

        if (responses->n_replies == 0)
                return 0;
        place = find(responses, reply);
        response = *place;
        if (!response || response->due_ms <= now_ms)
                return 0;
        n = wanted < response->n_left ? wanted : (size_t)response->n_left;
        if (response->n_left != UINT64_MAX)
                response->n_left -= n;
        if (response->n_left == 0)
                forget(responses, place);
        return n;
}

size_t responses_take(struct responses *responses, struct bytes reply, size_t wanted,
                      uint64_t now_ms) {
        size_t n;

        pthread_mutex_lock(&responses->lock);
        n = take(responses, reply, wanted, now_ms);
        pthread_mutex_unlock(&responses->lock);
        return n;
}
