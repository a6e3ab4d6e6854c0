/* The small services. See small_services.h. */
#include "daemon/small_services.h"

#include "daemon/block.h"
#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/stage.h"
#include "daemon/transport.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

/* What is echoed is shared rather than copied from this length on. */
#define SHARE_MIN 2048

/* --- common to all ------------------------------------------------------------------------ */

/* Counts an input, and charges it to its source. Returns whether it may be taken. */
static bool take(struct connection *connection, size_t n_bytes) {
        size_t is_message = connection->transport->keeps_boundaries;

        if (connection->session && !client_admits_datagram(connection->client))
                return false;
        if (connection_admit(connection, 1, n_bytes) == 0)
                return false;
        counter_add(&connection->in_messages, is_message);
        counter_add(&connection->in_bytes, n_bytes);
        counter_add(&connection->worker->stats.in_messages, is_message);
        counter_add(&connection->worker->stats.in_bytes, n_bytes);
        return true;
}

/* Stages an answer; bytes in a block may be shared, NULL: they are copied. */
static void answer(struct connection *connection, struct block *block, struct bytes bytes) {
        struct stage *stage;
        int r;

        if (bytes.length > connection->max_frame) {
                connection_note_too_large(connection, 1);
                return;
        }
        stage = connection_output(connection->worker, connection);
        if (!stage)
                return;
        if (block && bytes.length >= SHARE_MIN)
                r = outbox_append_shared(&stage->outbox, block, bytes);
        else
                r = outbox_append(&stage->outbox, bytes);
        if (r < 0) {
                connection_condemn_output(connection->worker, connection);
                return;
        }
        stage->n_messages += connection->transport->keeps_boundaries;
        stage->n_payload_bytes += bytes.length;
        connection_output_done(connection->worker, stage);
}

/* Takes input that wants an answer. Returns whether it gets one. */
static bool take_question(struct connection *connection, size_t n_bytes) {
        if (!take(connection, n_bytes))
                return false;
        if (!connection->session || !session_is_loop(connection->session))
                return true;
        connection_note_loop(connection);
        return false;
}

static void on_renewed(struct connection *connection) {
        client_renew(connection->client);
}

/* What is too long for us is for nobody. */
static void on_oversized(struct connection *connection) {
}

static void on_changed(struct connection *connection) {
        client_changed(connection->client);
}

/* It was not found out in time who he is; or he has not read for so long. */
static void on_deadline(struct connection *connection) {
        if (connection->wants_writable)
                connection_close(connection, REASON_SLOW_DEADLINE);
        else
                client_deadline_plain(connection);
}

static void on_closed(struct connection *connection) {
        client_close(connection->client);
}

static void on_release(struct connection *connection) {
        connection->client = client_free(connection->client);
}

/* --- echo ----------------------------------------------------------------------------------- */

static size_t echo_input(struct connection *connection, struct bytes *input) {
        /* Who does not read is not read either. */
        if (!connection->session && connection_pending(connection) > 0) {
                connection_await_output(connection);
                return 0;
        }
        if (take_question(connection, input->length))
                answer(connection, connection->input_block, *input);
        input->length = 0;
        return 0;
}

/* --- discard -------------------------------------------------------------------------------- */

static size_t discard_input(struct connection *connection, struct bytes *input) {
        (void)take(connection, input->length);
        input->length = 0;
        return 0;
}

/* --- daytime and time ------------------------------------------------------------------------- */

/* The form that RFC 867 shows, "Tuesday, February 22, 1982 17:37:43-PST". */
static void tell_daytime(struct connection *connection) {
        time_t now = time(NULL);
        char text[128];
        struct tm broken;
        size_t n = strftime(text, sizeof(text), "%A, %B %d, %Y %H:%M:%S-%Z\r\n",
                            localtime_r(&now, &broken));

        answer(connection, NULL, (struct bytes){text, n});
}

/* Seconds since 1900, as far as 32 bits hold them. */
static void tell_time(struct connection *connection) {
        uint32_t seconds = htonl((uint32_t)((uint64_t)time(NULL) + UINT64_C(2208988800)));

        answer(connection, NULL, (struct bytes){(const char *)&seconds, sizeof(seconds)});
}

static void daytime_begun(struct connection *connection) {
        tell_daytime(connection);
        connection_end(connection, REASON_SERVED);
}

static size_t daytime_input(struct connection *connection, struct bytes *input) {
        if (take_question(connection, input->length))
                tell_daytime(connection);
        input->length = 0;
        return 0;
}

static void time_begun(struct connection *connection) {
        tell_time(connection);
        connection_end(connection, REASON_SERVED);
}

static size_t time_input(struct connection *connection, struct bytes *input) {
        if (take_question(connection, input->length))
                tell_time(connection);
        input->length = 0;
        return 0;
}

/* --- chargen ---------------------------------------------------------------------------------- */

/* Lines of 72 characters, each beginning one character further than the last one, CR LF. */
#define PATTERN_FIRST ' '
#define PATTERN_COUNT 95
#define PATTERN_LINE  72
#define PATTERN_SIZE  (PATTERN_COUNT * (PATTERN_LINE + 2))
/* How much of it is staged at once. */
#define PATTERN_REPEAT 8
#define DATAGRAM_MAX   512

static void write_pattern(char pattern[PATTERN_SIZE]) {
        for (unsigned line = 0; line < PATTERN_COUNT; line++) {
                for (unsigned column = 0; column < PATTERN_LINE; column++)
                        *pattern++ = (char)(PATTERN_FIRST + (line + column) % PATTERN_COUNT);
                *pattern++ = '\r';
                *pattern++ = '\n';
        }
}

/* Who does not read is given up as other clients are, though nothing waits for him but more of
 * that. */
static void chargen_await_reader(struct connection *connection) {
        connection_want_writable(connection, true);
        connection_set_deadline(connection, connection->worker->config->server.write_deadline_ms);
}

static void chargen_writable(struct connection *connection) {
        char pattern[PATTERN_SIZE];

        chargen_await_reader(connection);
        write_pattern(pattern);
        for (unsigned i = 0; i < PATTERN_REPEAT; i++)
                answer(connection, NULL, (struct bytes){pattern, sizeof(pattern)});
}

static size_t chargen_input(struct connection *connection, struct bytes *input) {
        char pattern[PATTERN_SIZE];
        size_t n = input->length < DATAGRAM_MAX ? input->length : DATAGRAM_MAX;

        if (!connection->session) {
                (void)take(connection, input->length);
        } else if (take_question(connection, input->length) && n > 0) {
                write_pattern(pattern);
                answer(connection, NULL, (struct bytes){pattern, n});
        }
        input->length = 0;
        return 0;
}

/* --- tables ----------------------------------------------------------------------------------- */

#define SMALL_SERVICE                                                                              \
        .may_go_round = true, .opened = client_open_plain, .secured = client_secured_plain,        \
        .renewed = on_renewed, .oversized = on_oversized, .deadline = on_deadline,                 \
        .changed = on_changed, .closed = on_closed, .release = on_release

const struct handler handler_echo = {
        .name = "echo",
        SMALL_SERVICE,
        .input = echo_input,
        .writable = connection_resume_input,
};

const struct handler handler_discard = {
        .name = "discard",
        SMALL_SERVICE,
        .input = discard_input,
};

const struct handler handler_daytime = {
        .name = "daytime",
        SMALL_SERVICE,
        .begun = daytime_begun,
        .input = daytime_input,
};

const struct handler handler_time = {
        .name = "time",
        SMALL_SERVICE,
        .begun = time_begun,
        .input = time_input,
};

const struct handler handler_chargen = {
        .name = "chargen",
        SMALL_SERVICE,
        .begun = chargen_await_reader,
        .input = chargen_input,
        .writable = chargen_writable,
};
