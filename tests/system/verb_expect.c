/* What a client expects: bytes, lines, INFO, silence, the end. */
#include "verb.h"

#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "expectation.h"

/* nats.c reads INFO into a buffer of this size. */
#define INFO_LENGTH_MAX 32767
#define SLACK_MS_DEFAULT 400
#define CLOCK_GRAIN_MS 10

static const char unknown_operation[] = "-ERR 'Unknown Protocol Operation'\r\n";

static bool act_expect(struct scene *scene, struct client *client, const struct words *words) {
        BYTES_DEINIT struct bytes expected = {};

        verb_join_words(words, &expected);
        return expectation_bytes(scene, client, bytes_text(&expected), expected.length);
}

/* What came at once is exactly this. */
static bool act_expect_frame(struct scene *scene, struct client *client,
                             const struct words *words) {
        BYTES_DEINIT struct bytes expected = {};
        size_t frame;

        verb_join_words(words, &expected);
        while ((!expectation_skip_pings(scene, client) || client_frame(client) == 0) &&
               expectation_wait(scene, client))
                ;
        frame = client_frame(client);
        if (frame != expected.length && client_n_input(client) >= expected.length &&
            memcmp(client_input(client), expected.data, expected.length) == 0)
                return scene_fail(scene, "a frame of %zu bytes, expected %zu", frame,
                                  expected.length);
        return expectation_bytes(scene, client, bytes_text(&expected), expected.length);
}

/* Consumes a piece that the input begins with; true in *partialp if it may yet become one. */
static bool take_piece(struct client *client, const struct bytes *piece, bool *partialp) {
        size_t available = client_n_input(client);
        size_t n_compared = available < piece->length ? available : piece->length;

        if (memcmp(client_input(client), bytes_text(piece), n_compared) != 0)
                return false;
        if (n_compared < piece->length) {
                *partialp = true;
                return false;
        }
        client_consume(client, piece->length);
        return true;
}

/* Takes one of the pieces that are left, whichever comes. */
static bool take_any_piece(struct scene *scene, struct client *client, struct bytes **pieces,
                           size_t n_pieces) {
        for (;;) {
                bool is_partial = !expectation_skip_pings(scene, client);

                for (size_t i = 0; i < n_pieces; i++) {
                        if (!take_piece(client, pieces[i], &is_partial))
                                continue;
                        pieces[i] = pieces[n_pieces - 1];
                        return true;
                }
                if (!is_partial || !expectation_wait(scene, client))
                        return expectation_fail(scene, client, bytes_text(pieces[0]),
                                                pieces[0]->length, 0);
        }
}

/* Each word is a piece; all must come, in any order. */
static bool act_expect_unordered(struct scene *scene, struct client *client,
                                 const struct words *words) {
        struct bytes *pieces[WORDS_MAX];

        for (size_t i = 0; i < words->n; i++)
                pieces[i] = &words->items[i];
        for (size_t n_left = words->n; n_left; n_left--)
                if (!take_any_piece(scene, client, pieces, n_left))
                        return false;
        return true;
}

/* Waits for a whole line that is no PING. */
static bool await_line(struct scene *scene, struct client *client, size_t *n_bytesp) {
        while (!expectation_skip_pings(scene, client) && expectation_wait(scene, client))
                ;
        return expectation_line(scene, client, n_bytesp);
}

static bool line_matches(const char *line, size_t n_bytes, const regex_t *pattern) {
        BYTES_DEINIT struct bytes text = {};
        regmatch_t match;

        bytes_append(&text, line, n_bytes);
        return regexec(pattern, text.data, 1, &match, 0) == 0 && match.rm_so == 0 &&
               (size_t)match.rm_eo == n_bytes;
}

/* A whole line that an extended regular expression matches from end to end. */
static bool act_expect_line(struct scene *scene, struct client *client, const struct words *words) {
        const char *expression = bytes_text(&words->items[0]);
        regex_t pattern;
        size_t n_bytes;
        bool matches;

        if (regcomp(&pattern, expression, REG_EXTENDED))
                return scene_fail(scene, "bad expression: %s", expression);
        matches = await_line(scene, client, &n_bytes);
        if (matches && !(matches = line_matches(client_input(client), n_bytes, &pattern)))
                expectation_fail(scene, client, expression, words->items[0].length, 0);
        if (matches)
                client_consume(client, n_bytes + 2);
        regfree(&pattern);
        return matches;
}

/* One check of INFO: "key" is there, "!key" is not, "key=json" has that value. */
static bool info_check(struct scene *scene, const json_t *info, const char *check) {
        const char *equals = strchr(check, '=');
        BYTES_DEINIT struct bytes key = {};
        json_t *value, *wanted;
        bool is_equal;

        if (*check == '!')
                return !json_object_get(info, check + 1) ||
                       scene_fail(scene, "INFO has %s", check + 1);
        bytes_append(&key, check, equals ? (size_t)(equals - check) : strlen(check));
        value = json_object_get(info, key.data);
        if (!value)
                return scene_fail(scene, "INFO has no %s", key.data);
        if (!equals)
                return true;
        wanted = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
        is_equal = wanted && json_equal(value, wanted);
        json_decref(wanted);
        return is_equal || scene_fail(scene, "INFO does not have %s", check);
}

static bool info_read(struct scene *scene, struct client *client, const char *line,
                      size_t n_bytes) {
        if (n_bytes < 5 || memcmp(line, "INFO ", 5) != 0 || n_bytes + 2 > INFO_LENGTH_MAX)
                return false;
        json_decref(client->info);
        client->info = json_loadb(line + 5, n_bytes - 5, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(client->info))
                return scene_fail(scene, "INFO is not one JSON object");
        return true;
}

static bool act_expect_info(struct scene *scene, struct client *client, const struct words *words) {
        size_t n_bytes;

        if (!await_line(scene, client, &n_bytes))
                return false;
        if (!info_read(scene, client, client_input(client), n_bytes))
                return expectation_fail(scene, client, "INFO {...}", 10, 0);
        client_consume(client, n_bytes + 2);
        for (size_t i = 0; i < words->n; i++)
                if (!info_check(scene, client->info, bytes_text(&words->items[i])))
                        return false;
        return true;
}

/* Silence is proved by a PING: nothing may come before its PONG. */
static bool act_expect_nothing(struct scene *scene, struct client *client,
                               const struct words *words) {
        (void)words;
        return scene_send(scene, client, "PING\r\n", 6) &&
               expectation_bytes(scene, client, "PONG\r\n", 6);
}

static bool await_end(struct scene *scene, struct client *client) {
        while (!client->has_ended)
                if (!scene_wait(scene, NULL))
                        return scene_fail(scene, "%s is still connected", client->name);
        return true;
}

/* The connection ends, orderly or not, and nothing comes before. */
static bool act_expect_close(struct scene *scene, struct client *client,
                             const struct words *words) {
        (void)words;
        if (!await_end(scene, client))
                return false;
        expectation_skip_pings(scene, client);
        return client_n_input(client) == 0 || expectation_fail(scene, client, "", 0, 0);
}

/* The same, and the end is no reset: a reset could have destroyed what came before. */
static bool act_expect_eof(struct scene *scene, struct client *client, const struct words *words) {
        if (!act_expect_close(scene, client, words))
                return false;
        return !client->end_error || scene_fail(scene, "the connection was not closed but reset");
}

/* Closed, either in silence or with the error for input that nobody understands. */
static bool act_expect_refusal(struct scene *scene, struct client *client,
                               const struct words *words) {
        if (!await_end(scene, client))
                return false;
        expectation_skip_pings(scene, client);
        if (client_n_input(client) == 0)
                return true;
        return expectation_bytes(scene, client, unknown_operation, strlen(unknown_operation)) &&
               act_expect_close(scene, client, words);
}

static bool act_discard_until_close(struct scene *scene, struct client *client,
                                    const struct words *words) {
        (void)words;
        while (!client->has_ended) {
                client_consume(client, client_n_input(client));
                if (!scene_wait(scene, NULL))
                        return scene_fail(scene, "%s is still connected", client->name);
        }
        client_consume(client, client_n_input(client));
        return true;
}

/* Servers from 2.12 on name the subject in the status message. */
static bool info_announces_subject(const json_t *info) {
        const char *version = json_string_value(json_object_get(info, "version"));
        char *end;
        long major, minor;

        if (!version)
                return false;
        major = strtol(version, &end, 10);
        minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
        return major > 2 || (major == 2 && minor >= 12);
}

static void format_no_responders(const struct client *client, const struct words *words,
                                 struct bytes *output) {
        BYTES_DEINIT struct bytes headers = {};

        bytes_append_text(&headers, "NATS/1.0 503\r\n");
        if (info_announces_subject(client->info))
                bytes_append_format(&headers, "Nats-Subject: %s\r\n", bytes_text(&words->items[2]));
        bytes_append_text(&headers, "\r\n");
        bytes_append_format(output, "HMSG %s %s %zu %zu\r\n%s\r\n", bytes_text(&words->items[0]),
                            bytes_text(&words->items[1]), headers.length, headers.length,
                            headers.data);
}

/* expect-no-responders REPLY SID SUBJECT: the 503 for a request on SUBJECT. */
static bool act_expect_no_responders(struct scene *scene, struct client *client,
                                     const struct words *words) {
        BYTES_DEINIT struct bytes expected = {};

        format_no_responders(client, words, &expected);
        return expectation_bytes(scene, client, expected.data, expected.length);
}

/*
 * await-no-responders REPLY SID SUBJECT: requests on SUBJECT until that is answered with a 503; for
 * responders whose connections have ended, which the server may notice a little later than we.
 */
static bool act_await_no_responders(struct scene *scene, struct client *client,
                                    const struct words *words) {
        BYTES_DEINIT struct bytes request = {}, expected = {};
        size_t n_bytes;

        bytes_append_format(&request, "PUB %s %s 0\r\n\r\nPING\r\n", bytes_text(&words->items[2]),
                            bytes_text(&words->items[0]));
        format_no_responders(client, words, &expected);
        bytes_append_text(&expected, "PONG\r\n");
        for (;;) {
                if (!scene_send(scene, client, request.data, request.length) ||
                    !await_line(scene, client, &n_bytes))
                        return false;
                if (strncmp(client_input(client), "PONG\r\n", 6) != 0)
                        return expectation_bytes(scene, client, expected.data, expected.length);
                client_consume(client, 6);
                if (scene_now_ms() >= scene->deadline_ms)
                        return scene_fail(scene, "there still are responders");
        }
}

static bool read_seconds(struct scene *scene, const struct bytes *word, int64_t *msp) {
        char *end;
        double seconds = strtod(bytes_text(word), &end);

        if (!word->length || *end || !(seconds >= 0 && seconds < 3600))
                return scene_fail(scene, "bad number of seconds: %s", bytes_text(word));
        *msp = (int64_t)(seconds * 1000);
        return true;
}

static int64_t slack_ms(void) {
        const char *text = getenv("SCENARIO_SLACK_MS");

        return text ? atol(text) : SLACK_MS_DEFAULT;
}

/*
 * expect-between MIN MAX BYTES…: they arrive so many seconds after the client last began to send,
 * or last got what it expected. A busy machine adds to the maximum: SCENARIO_SLACK_MS.
 */
static bool act_expect_between(struct scene *scene, struct client *client,
                               const struct words *words) {
        struct words expected = { words->n - 2, words->items + 2 };
        int64_t start_ms = client->mark_ms, earliest_ms = 0, latest_ms = 0, elapsed_ms;

        if (!read_seconds(scene, &words->items[0], &earliest_ms) ||
            !read_seconds(scene, &words->items[1], &latest_ms))
                return false;
        if (!act_expect(scene, client, &expected))
                return false;
        elapsed_ms = client->mark_ms - start_ms;
        if (elapsed_ms + CLOCK_GRAIN_MS < earliest_ms || elapsed_ms > latest_ms + slack_ms())
                return scene_fail(scene, "arrived after %.3f s", (double)elapsed_ms / 1000);
        return true;
}

const struct verb verb_expect_table[] = {
        { "expect", 1, WORDS_MAX, act_expect },
        { "expect-frame", 1, WORDS_MAX, act_expect_frame },
        { "expect-unordered", 1, WORDS_MAX, act_expect_unordered },
        { "expect-line", 1, 1, act_expect_line },
        { "expect-info", 0, WORDS_MAX, act_expect_info },
        { "expect-nothing", 0, 0, act_expect_nothing },
        { "sync", 0, 0, act_expect_nothing },
        { "expect-close", 0, 0, act_expect_close },
        { "expect-eof", 0, 0, act_expect_eof },
        { "expect-refusal", 0, 0, act_expect_refusal },
        { "expect-no-responders", 3, 3, act_expect_no_responders },
        { "await-no-responders", 3, 3, act_await_no_responders },
        { "expect-between", 3, WORDS_MAX, act_expect_between },
        { "discard-until-close", 0, 0, act_discard_until_close },
        VERB_END,
};
