/*
 * Expectations are exact bytes, never a parse: a parser in the test would share the errors of the
 * one under test. The only knowledge of the protocol here is what a PING looks like.
 */
#include "expectation.h"

#include <string.h>

#define SHOWN_BEFORE 60
#define SHOWN_MAX 260

static const char ping[] = "PING\r\n", pong[] = "PONG\r\n";
#define PING_LENGTH (sizeof(ping) - 1)

enum ping_answer { PING_NONE, PING_PARTIAL, PING_ANSWERED };

/* Deals with a PING at an offset of the input where a line begins. */
static enum ping_answer client_answer_ping(struct scene *scene, struct client *client,
                                           size_t offset) {
        size_t available = client_n_input(client) - offset;
        size_t n_compared = available < PING_LENGTH ? available : PING_LENGTH;

        if (!n_compared || memcmp(client_input(client) + offset, ping, n_compared) != 0)
                return PING_NONE;
        if (n_compared < PING_LENGTH)
                return client->has_ended ? PING_NONE : PING_PARTIAL;
        client_cut_input(client, offset, PING_LENGTH);
        scene_send(scene, client, pong, sizeof(pong) - 1);
        return PING_ANSWERED;
}

bool expectation_skip_pings(struct scene *scene, struct client *client) {
        enum ping_answer answer;

        do {
                answer = client_answer_ping(scene, client, 0);
        } while (answer == PING_ANSWERED);
        return answer == PING_NONE;
}

static const char *waiting_outcome(const struct client *client) {
        if (client->has_ended)
                return client->end_error ? "then the connection was reset"
                                         : "then the connection was closed";
        return "then nothing more in time";
}

static void append_window(struct bytes *text, const char *data, size_t n_bytes, size_t start) {
        size_t n_shown = n_bytes > start ? n_bytes - start : 0;

        if (n_shown > SHOWN_MAX)
                n_shown = SHOWN_MAX;
        bytes_append_escaped(text, data + (n_shown ? start : 0), n_shown);
        if (start + n_shown < n_bytes)
                bytes_append_format(text, " and %zu bytes more", n_bytes - start - n_shown);
}

bool expectation_fail(struct scene *scene, const struct client *client, const char *expected,
                      size_t n_bytes, size_t offset) {
        BYTES_DEINIT struct bytes text = {};
        size_t start = offset > SHOWN_BEFORE ? offset - SHOWN_BEFORE : 0;
        bool differs = offset < n_bytes && offset < client_n_input(client);

        if (start)
                bytes_append_format(&text, "(from byte %zu on)\n", start);
        bytes_append_text(&text, "expected: ");
        append_window(&text, expected, n_bytes, start);
        bytes_append_text(&text, "\nreceived: ");
        append_window(&text, client_input(client), client_n_input(client), start);
        if (!differs)
                bytes_append_format(&text, ", %s", waiting_outcome(client));
        return scene_fail(scene, "%s", text.data);
}

bool expectation_wait(struct scene *scene, struct client *client) {
        return !client->has_ended && client->fd >= 0 && scene_wait(scene, NULL);
}

/* Where the line that contains offset begins. */
static size_t line_start(const char *data, size_t offset) {
        const char *end = memrchr(data, '\n', offset);

        return end ? (size_t)(end - data) + 1 : 0;
}

static size_t first_difference(const char *left, const char *right, size_t n_bytes) {
        size_t i = 0;

        if (memcmp(left, right, n_bytes) == 0)
                return n_bytes;
        while (left[i] == right[i])
                i++;
        return i;
}

bool expectation_bytes(struct scene *scene, struct client *client, const char *expected,
                       size_t n_bytes) {
        for (size_t matched = 0;;) {
                size_t available = client_n_input(client);
                size_t n_compared = available < n_bytes ? available : n_bytes;
                enum ping_answer answer = PING_NONE;

                matched += first_difference(expected + matched, client_input(client) + matched,
                                            n_compared - matched);
                if (matched == n_bytes)
                        break;
                if (matched < n_compared)
                        answer = client_answer_ping(scene, client, line_start(expected, matched));
                if (matched < n_compared && answer == PING_NONE)
                        return expectation_fail(scene, client, expected, n_bytes, matched);
                matched = line_start(expected, matched);
                if (answer != PING_ANSWERED && !expectation_wait(scene, client))
                        return expectation_fail(scene, client, expected, n_bytes, matched);
        }
        client_consume(client, n_bytes);
        client->mark_ms = scene_now_ms();
        return true;
}

bool expectation_line(struct scene *scene, struct client *client, size_t *n_bytesp) {
        const char *end;

        for (;;) {
                end = memchr(client_input(client), '\n', client_n_input(client));
                if (end)
                        break;
                if (!expectation_wait(scene, client))
                        return expectation_fail(scene, client, "", 0, 0);
        }
        if (end == client_input(client) || end[-1] != '\r')
                return scene_fail(scene, "a line that does not end in CR LF");
        *n_bytesp = (size_t)(end - client_input(client)) - 1;
        return true;
}
