/* Who is refused, and how often a client may try: the turns of a source that has failed. See
 * client.h and guesses.h.
 *
 * An attempt waits before it is looked at. If only the refusal waited, silence would tell that a
 * password is wrong, and who has many connections would not wait for it.
 */
#include "daemon/client_parts.h"

#include "daemon/advisory.h"
#include "daemon/certificate.h"
#include "daemon/config.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/tls.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <stdio.h>
#include <string.h>

/* How long who is refused waits at least; when his source has failed often, as long as the next one
 * will. */
#define REFUSAL_MIN_MS 100

static struct guesses *guesses_of(const struct client *client) {
        return &client->worker->instance->guesses;
}

/* --- turns ----------------------------------------------------------------------------------- */

/* Others that are let in make a turn come earlier: so often it is looked for that. */
#define TURN_LOOK_MS 100

/* Takes a turn, if there is one, and none is needed if nothing has failed. Who has a turn, or wants
 * one, claims something. */
static void take_turn(struct client *client) {
        switch (guesses_begin(guesses_of(client), client->connection->source, uv_hrtime(),
                              &client->claim->guess)) {
        case GUESS_FREE:
                client->turn = TURN_NONE;
                break;
        case GUESS_TURN:
                client->turn = TURN_TAKEN;
                break;
        case GUESS_CROWD:
                client->turn = TURN_CROWDED;
                break;
        }
}

static uint64_t turn_wait_ms(const struct client *client) {
        switch (client->turn) {
        case TURN_CROWDED:
                return TURN_LOOK_MS;
        case TURN_TAKEN:
                return guesses_wait_ms(guesses_of(client), client->connection->source,
                                       &client->claim->guess, uv_hrtime());
        default:
                return 0;
        }
}

/* Returns whether it may be looked at who it is; if not, it is looked for that again soon. */
static bool await_turn(struct client *client) {
        uint64_t ms = turn_wait_ms(client);

        client->is_logging_in = client->is_waiting = ms > 0;
        if (ms == 0)
                return true;
        connection_pause(client->connection, PAUSE_LOGIN);
        connection_set_deadline(client->connection, ms < TURN_LOOK_MS ? ms : TURN_LOOK_MS);
        return false;
}

static void log_crowd(const struct client *client) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        char origin[CONNECTION_ORIGIN_MAX];

        log_limited(&limit, LOG_LEVEL_WARNING,
                    "client %llu%s: too many logins wait after those that failed",
                    client_id(client), connection_origin(client->connection, origin));
}

/* Datagrams cannot wait; of them there may be thousands. */
static bool has_datagram_turn(struct client *client) {
        if (!guesses_must_wait(guesses_of(client), client->connection->source, uv_hrtime()))
                return true;
        client_refuse(client);
        return false;
}

bool client_has_turn(struct client *client) {
        if (!credentials_are_given(&client_claimed(client)->credentials))
                return true;
        if (client->connection->transport->is_connectionless)
                return has_datagram_turn(client);
        take_turn(client);
        if (client->turn == TURN_CROWDED) {
                log_crowd(client);
                client->claim->guess.due_ns = uv_hrtime() + GUESSES_WAIT_MAX_MS * UINT64_C(1000000);
        }
        return await_turn(client);
}

/* It was in the crowd for as long as anybody waits. */
static void give_up_crowd(struct client *client) {
        client->is_logging_in = client->is_waiting = false;
        counter_add(&client->worker->stats.refused_logins, 1);
        client_fail(client, ERROR_AUTH_TIMEOUT, REASON_AUTH_TIMEOUT);
}

void client_turn_comes(struct client *client) {
        if (client->turn == TURN_CROWDED && uv_hrtime() >= client->claim->guess.due_ns) {
                give_up_crowd(client);
                return;
        }
        if (client->turn == TURN_CROWDED)
                take_turn(client);
        if (!await_turn(client))
                return;
        connection_set_deadline(client->connection, client->worker->config->server.auth_timeout_ms);
        client_login_from(client, 0);
        if (!client->is_logging_in)
                connection_resume(client->connection, PAUSE_LOGIN);
}

bool client_lacks_turn(const struct client *client) {
        return client->turn == TURN_NONE &&
               guesses_has_failed(guesses_of(client), client->connection->source, uv_hrtime());
}

void client_return_turn(struct client *client) {
        if (client->turn != TURN_TAKEN)
                return;
        client->turn = TURN_NONE;
        guesses_return(guesses_of(client), client->connection->source, uv_hrtime());
}

void client_give_up_turn(struct client *client) {
        if (client->is_waiting && client->turn == TURN_TAKEN)
                guesses_give_up(guesses_of(client), client->connection->source);
}

uint64_t client_spend_turn(struct client *client) {
        uint64_t ms = 0;

        if (client->turn == TURN_NONE)
                ms = guesses_fail(guesses_of(client), client->connection->source, uv_hrtime());
        client->turn = TURN_SPENT;
        if (ms < REFUSAL_MIN_MS)
                return REFUSAL_MIN_MS;
        return ms < GUESSES_WAIT_MAX_MS ? ms : GUESSES_WAIT_MAX_MS;
}

/* --- refusal -----------------------------------------------------------------------------------
 */

static bool is_user(const struct config *config, const char *name) {
        for (size_t i = 0; i < config->n_rules; i++)
                if (strcmp(config->rules[i].user->name, name) == 0)
                        return true;
        return false;
}

/* What is no user may be a token, or a password, that came in the wrong place. */
static void describe_user(const struct client *client, char *text, size_t size) {
        const char *name = client_claimed(client)->credentials.user;

        text[0] = '\0';
        if (name && is_user(client->worker->config, name))
                snprintf(text, size, " to \"%s\"", name);
        else if (name && *name)
                snprintf(text, size, " to an unknown user");
}

/* The subject of a certificate that was shown where such name users. */
static void describe_certificate(const struct client *client, char *text, size_t size) {
        const struct certificate_name *names;
        const struct tls_facts *facts = connection_tls(client->connection);
        char quoted[256];

        text[0] = '\0';
        if (connection_certificate_names(client->connection, &names) > 0)
                snprintf(text, size, ", with the certificate of \"%s\"",
                         bytes_quote(quoted, sizeof(quoted),
                                     bytes_from_string(facts->certificate->subject)));
}

static void log_refusal(const struct client *client) {
        static struct log_limits limits = {
                .what = "refused login", .burst = 10, .interval_ms = 10000};
        char origin[CONNECTION_ORIGIN_MAX], who[128], certificate[320];

        if (!log_is_enabled(LOG_LEVEL_WARNING) ||
            !log_limits_pass(&limits, client->connection->source))
                return;
        describe_user(client, who, sizeof(who));
        describe_certificate(client, certificate, sizeof(certificate));
        log_write(LOG_LEVEL_WARNING, "client %llu%s: login refused%s on listener \"%s\"%s",
                  client_id(client), connection_origin(client->connection, origin), who,
                  client->connection->listener->name, certificate);
}

void client_refuse(struct client *client) {
        uint64_t ms = client_spend_turn(client);

        log_refusal(client);
        counter_add(&client->worker->stats.refused_logins, 1);
        client_forget_secrets(client);
        client->has_violated = true;
        if (client->connection->transport->is_connectionless) {
                client->turn = TURN_NONE; /* each datagram is another attempt */
                client_fail(client, ERROR_AUTHORIZATION, REASON_AUTHENTICATION);
                return;
        }
        advisory_refusal(client);
        client->is_refused = true;
        client_end_subscriptions(client);
        connection_set_deadline(client->connection, ms);
}

void client_refuse_operation(struct client *client) {
        advisory_refusal(client);
        client_fail(client, ERROR_AUTHORIZATION, REASON_AUTHENTICATION);
}
