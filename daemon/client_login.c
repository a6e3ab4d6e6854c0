/* Who a client is: found out when it comes, when it says so, and when the rules change. See
 * client.h.
 *
 * What its peer is to the kernel is known at once. What it says in CONNECT may have to be proved by
 * a password whose hash takes a while; it waits for that, and the worker does not. Where somebody
 * has such a password, one that nobody has takes as long: how long it takes is not to tell who is a
 * user. How often somebody may try is the matter of client_turn.c.
 */
#include "daemon/client_parts.h"

#include "daemon/advisory.h"
#include "daemon/bus.h"
#include "daemon/config.h"
#include "daemon/identity.h"
#include "daemon/instance.h"
#include "daemon/job.h"
#include "daemon/listener.h"
#include "daemon/peer_facts.h"
#include "daemon/transport.h"
#include "daemon/usage.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A password that is checked. */
struct login_check {
        struct job job;
        struct client *client;
        struct config *config; /* a reference */
        size_t rule;           /* of it */
        const struct config_user *user;
        struct credentials credentials; /* copies */
        bool is_decoy;                  /* whatever comes of it, he is refused */
        bool is_proved;
};

/* --- what it claims ------------------------------------------------------------------------- */

struct claim *client_claim(struct client *client) {
        if (!client->claim)
                client->claim = calloc(1, sizeof(*client->claim));
        return client->claim;
}

const struct claim *client_claimed(const struct client *client) {
        static const struct claim nothing;

        return client->claim ? client->claim : &nothing;
}

void client_drop_claim(struct client *client) {
        struct claim *claim = client->claim;

        if (!claim)
                return;
        client->claim = NULL;
        credentials_deinit(&claim->credentials);
        explicit_bzero(claim, sizeof(*claim));
        free(claim);
}

void client_forget_secrets(struct client *client) {
        if (client->claim)
                credentials_forget(&client->claim->credentials);
}

/* Remembers that it has proved to be a user; if there is no memory it will have to do so again. */
static void keep_proof(struct client *client, const struct config_user *user) {
        struct proof proof = identity_proof(user);
        struct claim *claim = proof.is_given ? client_claim(client) : client->claim;

        if (claim)
                claim->proof = proof;
}

void client_draw_nonce(struct client *client) {
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        unsigned char random[CLIENT_NONCE_SIZE - 1];
        struct claim *claim;

        if (!client->worker->config->has_nkeys || client->connection->transport->is_connectionless)
                return;
        claim = client_claim(client);
        if (!claim || getrandom(random, sizeof(random), 0) != sizeof(random))
                return;
        for (size_t i = 0; i < sizeof(random); i++)
                claim->nonce[i] = alphabet[random[i] % 64];
}

/* --- what it is ----------------------------------------------------------------------------- */

static struct identity identify(const struct client *client, size_t first) {
        const struct claim *claim = client_claimed(client);
        const struct login login = {
                .connection = client->connection,
                .config = client->worker->config,
                .credentials = &claim->credentials,
                .nonce = claim->nonce,
                .proof = &claim->proof,
        };

        return identity_of(&login, first);
}

/* What the messages of a client tell of it: what the kernel says, and which rule fits. NULL:
 * nothing.
 */
static char *make_signature(const struct client *client) {
        struct connection *connection = client->connection;
        const struct peer *peer = &connection->peer;
        const struct peer_facts *facts;
        char user[128] = "", process[64] = "", unit[320] = "", *signature;

        if (!atomic_load(&connection->listener->identifies) || !connection_has_uid(connection))
                return NULL;
        facts = connection_facts(connection);
        if (client->user)
                snprintf(user, sizeof(user), "Sockd-User: %s\r\n", client->user);
        if (peer->has_credentials)
                snprintf(process, sizeof(process), "Sockd-Gid: %u\r\nSockd-Pid: %d\r\n",
                         (unsigned)peer->gid, (int)peer->pid);
        if (facts && facts->unit)
                snprintf(unit, sizeof(unit), "Sockd-Unit: %s\r\n", facts->unit);
        return asprintf(&signature, "%sSockd-Uid: %u\r\n%s%s", user, (unsigned)peer->uid, process,
                        unit) < 0
                       ? NULL
                       : signature;
}

/* It is counted with the other clients of its user. */
static void client_join_user(struct client *client, const struct config_user *user) {
        client->usage = usage_take(&client->worker->instance->usages, user);
        if (client->usage && !client->connection->transport->is_connectionless)
                atomic_fetch_add(&client->usage->n_connections, 1);
}

void client_leave_user(struct client *client) {
        struct usage *usage = client->usage;

        client->usage = NULL;
        client->connection->rate = NULL;
        if (usage && !client->connection->transport->is_connectionless)
                atomic_fetch_sub(&usage->n_connections, 1);
}

bool client_user_has_room(const struct client *client) {
        struct usage *usage = client->usage;
        uint64_t max = usage ? atomic_load(&usage->max_connections) : 0;

        return max == 0 || atomic_load(&usage->n_connections) <= max;
}

void client_announce(struct client *client) {
        if (client->is_announced)
                return;
        client->is_announced = true;
        advisory_connect(client);
}

void client_renounce(struct client *client, const char *reason) {
        if (!client->is_announced)
                return;
        client->is_announced = false;
        advisory_disconnect(client, reason);
}

/* Subscriptions do not go with it. */
static void enter_account(struct client *client, struct bus *bus) {
        if (client->bus == bus)
                return;
        client_renounce(client, REASON_CLIENT_CLOSED);
        client_end_subscriptions(client);
        client->needs_fence = true;
        if (client->is_counted) {
                atomic_fetch_sub(&client->bus->n_clients, 1);
                atomic_fetch_add(&bus->n_clients, 1);
        }
        client->bus = bus;
}

/* Whether it has all that its identity gives it, and nothing is missing for want of memory. */
static bool is_complete(const struct client *client, const struct identity *identity) {
        const struct connection *connection = client->connection;
        bool is_signed = client->signature || !connection->peer.has_credentials ||
                         !atomic_load(&connection->listener->identifies);

        return is_signed && (!identity->user || (client->user && client->usage)) &&
               (identity->state != IDENTITY_KNOWN ||
                client_has_permissions(client, identity->permissions));
}

/* Those of its user; those of all that are of the user are in its usage. */
static void client_take_limits(struct client *client, const struct config_limits *limits) {
        client->max_subscriptions = limits ? limits->subscriptions : 0;
        client->max_payload = limits ? limits->payload : 0;
        atomic_store_explicit(&client->connection->max_pending, limits ? limits->pending : 0,
                              memory_order_relaxed);
}

static void adopt(struct client *client, const struct identity *identity) {
        enter_account(client, identity->bus);
        if (client->ground)
                client->ground->config = 0;
        client->role = identity->role;
        free(client->user);
        client->user = identity->user ? strdup(identity->user->name) : NULL;
        free(client->signature);
        client->signature = make_signature(client);
        client_leave_user(client);
        client_take_limits(client, identity->user ? &identity->user->limits : NULL);
        if (identity->user)
                client_join_user(client, identity->user);
        client_adopt_limits(client);
        /* Nobody else can do anything, and who is about to be closed is told of nothing else. */
        if (identity->state == IDENTITY_KNOWN)
                client_set_permissions(client, identity->permissions);
}

static void identify_as(struct client *client, const struct identity *identity) {
        adopt(client, identity);
        client->must_login = identity->state != IDENTITY_KNOWN;
}

void client_identify(struct client *client) {
        struct identity identity = identify(client, 0);

        identify_as(client, &identity);
}

static struct client_ground ground_of(const struct client *client) {
        struct listener *listener = client->connection->listener;
        const struct peer *peer = &client->connection->peer;
        struct client_ground ground = {
                .config = client->worker->config->id,
                .bus = atomic_load(&listener->bus),
                .admits_anonymous = atomic_load(&listener->admits_anonymous),
                .identifies = atomic_load(&listener->identifies),
                .has_credentials = peer->has_credentials,
        };

        if (peer->has_credentials) {
                ground.uid = peer->uid;
                ground.gid = peer->gid;
                ground.pid = ground.identifies ? peer->pid : 0;
        }
        return ground;
}

static bool is_same_ground(const struct client_ground *a, const struct client_ground *b) {
        return a->config == b->config && a->config != 0 && a->bus == b->bus &&
               a->admits_anonymous == b->admits_anonymous && a->identifies == b->identifies &&
               a->has_credentials == b->has_credentials && a->uid == b->uid && a->gid == b->gid &&
               a->pid == b->pid;
}

void client_identify_next(struct client *client) {
        struct client_ground ground = ground_of(client);
        struct identity identity;

        if (client->ground && is_same_ground(&ground, client->ground))
                return;
        identity = identify(client, 0);
        identify_as(client, &identity);
        if (!client->ground)
                client->ground = calloc(1, sizeof(*client->ground));
        if (client->ground && is_complete(client, &identity))
                *client->ground = ground;
}

/* Whether it may not go on as who it is. Without a word of its own and without subscriptions it can
 * just as well be somebody else. */
static bool is_revoked(const struct client *client, const struct identity *identity) {
        if (identity->state != IDENTITY_KNOWN)
                return !client->must_login;
        return identity->bus != client->bus &&
               (client->is_connected || client->subscriptions.count > 0);
}

void client_identify_again(struct client *client) {
        struct identity identity;

        if (client->is_logging_in || client->is_refused) {
                /* Who it was may be nobody any more. */
                client_end_subscriptions(client);
                return;
        }
        identity = identify(client, 0);
        if (is_revoked(client, &identity)) {
                client->must_login = true;
                log_info("client %llu%s%s%s: its login is not good any more", client_id(client),
                         client->user ? " (" : "", client->user ? client->user : "",
                         client->user ? ")" : "");
                client_fail(client, ERROR_REVOKED, REASON_REVOKED);
                return;
        }
        identify_as(client, &identity);
}

/* --- passwords that take long --------------------------------------------------------------- */

static struct login_check *check_free(struct login_check *check) {
        credentials_deinit(&check->credentials);
        config_unref(check->config);
        free(check);
        return NULL;
}

static void check_run(struct job *job) {
        struct login_check *check = container_of(job, struct login_check, job);

        check->is_proved = identity_is_proved(check->user, &check->credentials) && !check->is_decoy;
}

/* Who has gone, and has nothing left to say, need not be checked. Nor is he whose source has failed
 * since he began, and who has to take his turn. */
static bool check_is_wanted(struct job *job) {
        const struct login_check *check = container_of(job, struct login_check, job);
        struct client *client = check->client;

        return client->connection->state_of_life == CONNECTION_OPEN &&
               !connection_is_deserted(client->connection) && !client_lacks_turn(client);
}

/* Goes on with the next rule, or as it was refused; or once more, in its turn. */
static void check_judge(struct client *client, const struct login_check *check) {
        if (check->is_proved)
                keep_proof(client, check->user);
        if (check->job.is_dropped && client_lacks_turn(client) &&
            !connection_is_deserted(client->connection))
                client_login(client);
        else if (check->job.is_dropped)
                connection_close(client->connection, REASON_CLIENT_CLOSED);
        else if (check->is_decoy)
                client_refuse(client);
        else if (check->is_proved || check->config != client->worker->config)
                /* Rules that are new are asked from the beginning; so is the rule that now fits. */
                client_login_from(client, 0);
        else
                client_login_from(client, check->rule + 1);
}

static void check_done(struct job *job) {
        struct login_check *check = container_of(job, struct login_check, job);
        struct client *client = check->client;
        struct connection *connection = client->connection;

        client->is_logging_in = false;
        if (connection->state_of_life == CONNECTION_OPEN) {
                check_judge(client, check);
        } else if (!job->is_dropped && !check->is_proved) {
                /* To be gone before the answer is no way of guessing. */
                (void)client_spend_turn(client);
        }
        check_free(check);
        if (!client->is_logging_in)
                connection_resume(connection, PAUSE_LOGIN);
        connection_unpin(connection);
}

static struct login_check *check_new(struct client *client, const struct identity *identity) {
        const struct credentials *given = &client_claimed(client)->credentials;
        struct login_check *check = calloc(1, sizeof(*check));

        if (!check)
                return NULL;
        check->job.run = check_run;
        check->job.done = check_done;
        check->job.is_wanted = check_is_wanted;
        check->client = client;
        check->config = config_ref(client->worker->config);
        check->rule = identity->rule;
        check->user = identity->user;
        check->is_decoy = identity->state == IDENTITY_REFUSED;
        if ((given->password &&
             credentials_set(&check->credentials.password, given->password) < 0) ||
            (given->token && credentials_set(&check->credentials.token, given->token) < 0))
                return check_free(check);
        return check;
}

/* Has it checked, while nothing more is taken from the client. */
static int check_begin(struct client *client, const struct identity *identity) {
        struct login_check *check;

        /* The next datagram is of somebody else. */
        if (client->connection->transport->is_connectionless)
                return -EOPNOTSUPP;
        check = check_new(client, identity);
        if (!check)
                return -ENOMEM;
        client->is_logging_in = true;
        connection_pin(client->connection);
        connection_pause(client->connection, PAUSE_LOGIN);
        job_begin(&check->job, client->worker, &client->worker->long_jobs,
                  client->connection->source);
        return 0;
}

/* --- login ---------------------------------------------------------------------------------- */

static void accept_login(struct client *client, const struct identity *identity) {
        client_return_turn(client);
        if (identity->user)
                keep_proof(client, identity->user);
        client_forget_secrets(client);
        adopt(client, identity);
        client->must_login = false;
        if (client->max_payload > 0)
                client->told_generation--; /* INFO said something else */
        if (client_user_has_room(client))
                client_connected(client);
        else
                client_fail(client, ERROR_MAX_CONNECTIONS, REASON_MAX_CONNECTIONS);
}

void client_login_from(struct client *client, size_t first) {
        struct identity identity = identify(client, first);

        if (identity.state == IDENTITY_KNOWN) {
                accept_login(client, &identity);
                return;
        }
        /* Some rule has had it checked, if it is not the first that was asked. */
        if (identity.state == IDENTITY_REFUSED && first == 0)
                identity.user = identity_decoy(client->worker->config,
                                               &client_claimed(client)->credentials);
        /* It has failed already, and could tell so from the silence. */
        if (identity.state == IDENTITY_REFUSED && identity.user)
                (void)client_spend_turn(client);
        if (!identity.user || check_begin(client, &identity) < 0)
                client_refuse(client);
}

void client_login(struct client *client) {
        client->turn = TURN_NONE;
        if (client_has_turn(client))
                client_login_from(client, 0);
}
