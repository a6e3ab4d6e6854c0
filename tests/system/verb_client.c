/* What a client does: send, stop, close. */
#include "verb.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "expectation.h"

#define GARBAGE_MAX (64UL << 20)

static const char hello_default[] =
        "{\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,"
        "\"no_responders\":true}";

static bool act_send(struct scene *scene, struct client *client, const struct words *words) {
        BYTES_DEINIT struct bytes data = {};

        verb_join_words(words, &data);
        return scene_send(scene, client, bytes_text(&data), data.length);
}

/* Each byte is read by the server before the next one is sent. */
static bool act_send_bytewise(struct scene *scene, struct client *client,
                              const struct words *words) {
        BYTES_DEINIT struct bytes data = {};

        verb_join_words(words, &data);
        for (size_t i = 0; i < data.length; i++)
                if (!scene_send(scene, client, data.data + i, 1) ||
                    !scene_await_read(scene, client))
                        return false;
        return true;
}

/* CONNECT with the given JSON, and PING; returns when the PONG is there. */
static bool act_hello(struct scene *scene, struct client *client, const struct words *words) {
        BYTES_DEINIT struct bytes data = {};

        bytes_append_text(&data, "CONNECT ");
        if (words->n)
                verb_join_words(words, &data);
        else
                bytes_append_text(&data, hello_default);
        bytes_append_text(&data, "\r\nPING\r\n");
        return scene_send(scene, client, data.data, data.length) &&
               expectation_bytes(scene, client, "PONG\r\n", 6);
}

/* Bytes that look like nothing, the same for the same seed (xorshift64*). */
static bool act_send_garbage(struct scene *scene, struct client *client,
                             const struct words *words) {
        BYTES_DEINIT struct bytes data = {};
        unsigned long seed, n_bytes;
        uint64_t state;

        if (!verb_read_number(scene, &words->items[0], UINT32_MAX, &seed) ||
            !verb_read_number(scene, &words->items[1], GARBAGE_MAX, &n_bytes))
                return false;
        state = seed + 1;
        for (size_t i = 0; i < n_bytes; i++) {
                unsigned char byte;

                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                byte = (unsigned char)((state * 0x2545F4914F6CDD1DULL) >> 56);
                bytes_append(&data, &byte, 1);
        }
        return scene_send(scene, client, bytes_text(&data), data.length);
}

static bool act_stop_reading(struct scene *scene, struct client *client,
                             const struct words *words) {
        (void)scene;
        (void)words;
        client->is_reading = false;
        return true;
}

static bool act_resume_reading(struct scene *scene, struct client *client,
                               const struct words *words) {
        (void)scene;
        (void)words;
        client->is_reading = true;
        return true;
}

static bool act_close(struct scene *scene, struct client *client, const struct words *words) {
        (void)scene;
        (void)words;
        if (client->fd >= 0)
                close(client->fd);
        client->fd = -1;
        return true;
}

static bool act_half_close(struct scene *scene, struct client *client, const struct words *words) {
        (void)words;
        if (shutdown(client->fd, SHUT_WR) < 0)
                return scene_fail(scene, "shutdown: %s", strerror(errno));
        return true;
}

/* Closes so that TCP sends a reset. */
static bool act_reset(struct scene *scene, struct client *client, const struct words *words) {
        struct linger linger = { .l_onoff = 1 };

        if (setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
                return scene_fail(scene, "setsockopt: %s", strerror(errno));
        return act_close(scene, client, words);
}

const struct verb verb_client_table[] = {
        { "send", 1, WORDS_MAX, act_send },
        { "send-bytewise", 1, WORDS_MAX, act_send_bytewise },
        { "send-garbage", 2, 2, act_send_garbage },
        { "hello", 0, 1, act_hello },
        { "stop-reading", 0, 0, act_stop_reading },
        { "resume-reading", 0, 0, act_resume_reading },
        { "close", 0, 0, act_close },
        { "half-close", 0, 0, act_half_close },
        { "reset", 0, 0, act_reset },
        VERB_END,
};
