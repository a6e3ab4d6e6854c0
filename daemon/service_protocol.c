/* What a service tells of itself. See service_protocol.h. */
#include "daemon/service_protocol.h"

#include "daemon/bus.h"
#include "daemon/report.h"
#include "daemon/service_answer.h"
#include "daemon/worker.h"
#include "lib/base62.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* An answer that is made anew costs as much as so many deliveries. */
#define ANSWER_WORK 20

#define TYPE_PREFIX "io.nats.micro.v1."

static const char *const verbs[N_SERVICE_VERBS] = {"PING", "INFO", "STATS"};
static const char *const types[N_SERVICE_VERBS] = {
        TYPE_PREFIX "ping_response",
        TYPE_PREFIX "info_response",
        TYPE_PREFIX "stats_response",
};

int service_protocol_make_id(char id[SERVICE_ID_LENGTH + 1]) {
        uint64_t random[2];

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        for (unsigned i = 0; i < 2; i++)
                base62_write(id + i * SERVICE_ID_LENGTH / 2, SERVICE_ID_LENGTH / 2, random[i]);
        id[SERVICE_ID_LENGTH] = '\0';
        return 0;
}

/* --- what is said --------------------------------------------------------------------------- */

static json_t *integer(uint64_t number) {
        return json_integer((json_int_t)number);
}

static json_t *endpoint(const struct service_identity *identity) {
        return json_pack("{s:s, s:o, s:o}", "name", identity->name, "subject",
                         report_text(identity->subject), "queue_group",
                         report_text(identity->queue));
}

static json_t *info_endpoint(const struct service_identity *identity) {
        json_t *object = endpoint(identity);

        json_object_set_new(object, "metadata", json_object());
        return object;
}

static json_t *stats_endpoint(const struct service_identity *identity,
                              struct service_counts *counts) {
        uint64_t n = atomic_load(&counts->n_requests), ns = atomic_load(&counts->processing_ns);
        char last_error[SERVICE_LAST_ERROR_MAX];
        json_t *object = endpoint(identity);

        service_counts_last_error(counts, last_error);
        json_object_set_new(object, "num_requests", integer(n));
        json_object_set_new(object, "num_errors", integer(service_counts_errors(counts)));
        json_object_set_new(object, "last_error", report_text(last_error));
        json_object_set_new(object, "processing_time", integer(ns));
        json_object_set_new(object, "average_processing_time", integer(n > 0 ? ns / n : 0));
        json_object_set_new(object, "data",
                            json_pack("{s:o, s:o, s:o}", "p50",
                                      integer(latency_percentile(&counts->latency, 0.5)), "p90",
                                      integer(latency_percentile(&counts->latency, 0.9)), "p99",
                                      integer(latency_percentile(&counts->latency, 0.99))));
        return object;
}

json_t *service_protocol_message(const struct service_identity *identity,
                                 struct service_counts *counts, enum service_verb verb) {
        json_t *object =
                json_pack("{s:s, s:s, s:s, s:s, s:{}}", "type", types[verb], "name", identity->name,
                          "id", identity->id, "version", identity->version, "metadata");

        if (verb == SERVICE_INFO) {
                json_object_set_new(object, "description", report_text(identity->description));
                json_object_set_new(object, "endpoints", json_pack("[o]", info_endpoint(identity)));
        } else if (verb == SERVICE_STATS) {
                json_object_set_new(object, "started", report_time(identity->started_ns));
                json_object_set_new(object, "endpoints",
                                    json_pack("[o]", stats_endpoint(identity, counts)));
        }
        return object;
}

/* The message as a payload with CR LF behind it, which the caller frees, or NULL. */
static char *make_text(const struct service_protocol *protocol, enum service_verb verb,
                       size_t *lengthp) {
        json_t *object = service_protocol_message(protocol->identity, protocol->counts, verb);
        char *text = object ? report_payload(object, lengthp) : NULL;

        json_decref(object);
        return text;
}

/* --- answering ------------------------------------------------------------------------------ */

static void answer_stats(const struct service_protocol *protocol, struct worker *worker,
                         const struct service_asker *asker, struct bytes reply) {
        struct bytes payload;
        char *text = make_text(protocol, SERVICE_STATS, &payload.length);

        worker->pressure.n_work += ANSWER_WORK;
        payload.data = text;
        if (text)
                service_answer_publish_bytes(asker, worker, reply, payload);
        free(text);
}

/* The sid is the verb's number. */
static size_t protocol_deliver(struct receiver *receiver, struct worker *worker,
                               struct subscription *subscription, const struct message *message) {
        struct service_protocol *protocol =
                container_of(receiver, struct service_protocol, receiver);
        enum service_verb verb = (enum service_verb)(subscription->text[0] - '0');
        struct service_asker asker;

        if (message->reply.length == 0)
                return message->count;
        asker = service_asker_of(message);
        if (verb == SERVICE_STATS)
                answer_stats(protocol, worker, &asker, message->reply);
        else
                service_answer_publish_bytes(
                        &asker, worker, message->reply,
                        (struct bytes){protocol->texts[verb], protocol->lengths[verb]});
        return 1;
}

/* Many services may answer each. */
static size_t protocol_limit_run(struct receiver *receiver, struct worker *worker,
                                 const struct message *message) {
        return 1;
}

/* --- beginning and end ---------------------------------------------------------------------- */

static int subscribe(struct service_protocol *protocol, struct reclaim *reclaim, unsigned i,
                     const char *subject) {
        const char sid[] = {(char)('0' + i % N_SERVICE_VERBS)};
        struct subscription *subscription =
                subscription_new(&protocol->receiver, (struct bytes){sid, sizeof(sid)}, BYTES(""));
        int r = subscription ? bus_subscribe_own(protocol->bus, reclaim, bytes_from_string(subject),
                                                 subscription)
                             : -ENOMEM;

        if (r < 0)
                subscription_free(subscription);
        else
                protocol->subscriptions[i] = subscription;
        return r;
}

static int subscribe_all(struct service_protocol *protocol, struct reclaim *reclaim) {
        const struct service_identity *identity = protocol->identity;
        int r = 0;

        for (unsigned i = 0; i < SERVICE_PROTOCOL_N_SUBS && r >= 0; i++) {
                const char *verb = verbs[i % N_SERVICE_VERBS];
                char *subject;
                int n;

                if (i < N_SERVICE_VERBS)
                        n = asprintf(&subject, "$SRV.%s", verb);
                else if (i < 2 * N_SERVICE_VERBS)
                        n = asprintf(&subject, "$SRV.%s.%s", verb, identity->name);
                else
                        n = asprintf(&subject, "$SRV.%s.%s.%s", verb, identity->name, identity->id);
                if (n < 0)
                        return -ENOMEM;
                r = subscribe(protocol, reclaim, i, subject);
                free(subject);
        }
        return r;
}

int service_protocol_init(struct service_protocol *protocol, struct bus *bus,
                          const struct service_identity *identity, struct service_counts *counts,
                          struct reclaim *reclaim) {
        int r = 0;

        *protocol = (struct service_protocol){.receiver = {protocol_deliver, protocol_limit_run},
                                              .identity = identity,
                                              .counts = counts,
                                              .bus = bus};
        for (unsigned i = 0; i < SERVICE_STATS; i++) {
                protocol->texts[i] =
                        make_text(protocol, (enum service_verb)i, &protocol->lengths[i]);
                if (!protocol->texts[i])
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = subscribe_all(protocol, reclaim);
        return r;
}

void service_protocol_unsubscribe(struct service_protocol *protocol, struct reclaim *reclaim) {
        for (unsigned i = 0; i < SERVICE_PROTOCOL_N_SUBS; i++) {
                if (protocol->subscriptions[i])
                        bus_unsubscribe_own(protocol->bus, reclaim, protocol->subscriptions[i]);
                protocol->subscriptions[i] = NULL;
        }
}

void service_protocol_deinit(struct service_protocol *protocol) {
        for (unsigned i = 0; i < SERVICE_STATS; i++)
                free(protocol->texts[i]);
}
