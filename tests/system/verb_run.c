/*
 * Long runs of numbered messages: published by one client, proved complete and in order by others.
 */
#include "verb.h"

#include <err.h>
#include <stdlib.h>

#include "expectation.h"
#include "numbered.h"

#define CHUNK_SIZE (64UL << 10)
#define SIZE_MAXIMUM (64UL << 20)

/* publish-run SUBJECT COUNT SIZE: messages 0 to COUNT - 1, each with SIZE bytes of payload. */
static bool act_publish_run(struct scene *scene, struct client *client, const struct words *words) {
        BYTES_DEINIT struct bytes chunk = {};
        unsigned long count, size;

        if (!verb_read_number(scene, &words->items[1], NUMBERED_MAX, &count) ||
            !verb_read_number(scene, &words->items[2], SIZE_MAXIMUM, &size))
                return false;
        if (size < NUMBERED_DIGITS)
                return scene_fail(scene, "the size is less than %d", NUMBERED_DIGITS);
        for (unsigned long i = 0; i < count; i++) {
                numbered_append(&chunk, bytes_text(&words->items[0]), i, size);
                if (chunk.length < CHUNK_SIZE && i + 1 < count)
                        continue;
                if (!scene_send(scene, client, chunk.data, chunk.length))
                        return false;
                bytes_clear(&chunk);
        }
        return true;
}

/* Consumes the next message if it is there whole; *foundp tells. False if it is not numbered. */
static bool take_message(struct scene *scene, struct client *client,
                         struct numbered_message *message, bool *foundp) {
        ssize_t length = 0;

        if (expectation_skip_pings(scene, client))
                length = numbered_read(message, client_input(client), client_n_input(client));
        if (length < 0)
                return expectation_fail(scene, client, "MSG with a number", 17, 0);
        client_consume(client, (size_t)length);
        *foundp = length > 0;
        return true;
}

/* The same, but waits for it. */
static bool await_message(struct scene *scene, struct client *client,
                          struct numbered_message *message) {
        for (;;) {
                bool found = false;

                if (!take_message(scene, client, message, &found))
                        return false;
                if (found)
                        return true;
                if (!expectation_wait(scene, client))
                        return expectation_fail(scene, client, "MSG with a number", 17, 0);
        }
}

static size_t find_subject(const struct words *words, size_t first, const char *subject) {
        size_t i = first;

        while (i < words->n && !bytes_equal_text(&words->items[i], subject))
                i++;
        return i;
}

/*
 * expect-run COUNT SUBJECT…: on each subject messages 0 to COUNT - 1, each once and in order,
 * however the subjects are mixed.
 */
static bool act_expect_run(struct scene *scene, struct client *client, const struct words *words) {
        unsigned long next[WORDS_MAX] = {};
        unsigned long count;

        if (!verb_read_number(scene, &words->items[0], NUMBERED_MAX, &count))
                return false;
        for (unsigned long n_left = count * (words->n - 1); n_left; n_left--) {
                struct numbered_message message;
                size_t i;

                if (!await_message(scene, client, &message)) {
                        bytes_append_format(&scene->failure, "%lu messages are missing\n", n_left);
                        return false;
                }
                i = find_subject(words, 1, message.subject);
                if (i == words->n)
                        return scene_fail(scene, "a message on %s", message.subject);
                if (message.number != next[i]++)
                        return scene_fail(scene, "message %lu on %s instead of %lu", message.number,
                                          message.subject, next[i] - 1);
        }
        return true;
}

/* One member's share of a run. */
struct share {
        struct client *client;
        unsigned long n_messages;
        unsigned long next_minimum;
};

/* Takes in what a member has; each number may be seen once, and they ascend. */
static bool share_take(struct scene *scene, struct share *share, bool *seen, unsigned long count) {
        for (;;) {
                struct numbered_message message;
                bool found = false;

                if (!take_message(scene, share->client, &message, &found))
                        return false;
                if (!found)
                        return true;
                if (message.number >= count || seen[message.number])
                        return scene_fail(scene, "%s got message %lu, which is too many",
                                          share->client->name, message.number);
                if (message.number < share->next_minimum)
                        return scene_fail(scene, "%s got message %lu late", share->client->name,
                                          message.number);
                seen[message.number] = true;
                share->next_minimum = message.number + 1;
                share->n_messages++;
        }
}

static bool shares_take_all(struct scene *scene, struct share *shares, size_t n_shares, bool *seen,
                            unsigned long count) {
        unsigned long n_taken = 0;

        while (n_taken < count) {
                n_taken = 0;
                for (size_t i = 0; i < n_shares; i++) {
                        if (!share_take(scene, &shares[i], seen, count))
                                return false;
                        n_taken += shares[i].n_messages;
                }
                if (n_taken < count && !scene_wait(scene, NULL))
                        return scene_fail(scene, "got %lu of %lu messages in all", n_taken, count);
        }
        return true;
}

/*
 * expect-shared-run COUNT MINIMUM CLIENT CLIENT…: of messages 0 to COUNT - 1 each reaches exactly
 * one of the clients, each of these gets its share in order, and at least MINIMUM.
 */
bool verb_expect_shared_run(struct scene *scene, struct client *client, const struct words *words) {
        struct share shares[WORDS_MAX] = {};
        size_t n_shares = words->n - 2;
        unsigned long count, minimum;
        bool *seen, fine;

        (void)client;
        if (!verb_read_number(scene, &words->items[0], NUMBERED_MAX, &count) ||
            !verb_read_number(scene, &words->items[1], count, &minimum))
                return false;
        for (size_t i = 0; i < n_shares; i++) {
                shares[i].client = scene_find_client(scene, bytes_text(&words->items[i + 2]));
                if (!shares[i].client)
                        return scene_fail(scene, "no client %s", bytes_text(&words->items[i + 2]));
        }
        seen = calloc(count + 1, sizeof(*seen));
        if (!seen)
                err(1, "run");
        fine = shares_take_all(scene, shares, n_shares, seen, count);
        free(seen);
        for (size_t i = 0; fine && i < n_shares; i++)
                if (shares[i].n_messages < minimum)
                        fine = scene_fail(scene, "%s got only %lu messages", shares[i].client->name,
                                          shares[i].n_messages);
        return fine;
}

const struct verb verb_run_table[] = {
        { "publish-run", 3, 3, act_publish_run },
        { "expect-run", 2, WORDS_MAX, act_expect_run },
        VERB_END,
};
