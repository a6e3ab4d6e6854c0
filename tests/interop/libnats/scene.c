/* The stage for a case; see scene.h. */

#include "scene.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *server_url;
uint16_t server_udp_port;

static struct scene *newest_scene;

/* counting */

static void counter_init(struct counter *counter) {
        pthread_condattr_t attributes;

        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&counter->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        pthread_mutex_init(&counter->lock, NULL);
}

static void counter_deinit(struct counter *counter) {
        pthread_cond_destroy(&counter->changed);
        pthread_mutex_destroy(&counter->lock);
}

static void counter_add(struct counter *counter) {
        pthread_mutex_lock(&counter->lock);
        counter->count++;
        pthread_cond_broadcast(&counter->changed);
        pthread_mutex_unlock(&counter->lock);
}

unsigned counter_read(struct counter *counter) {
        unsigned count;

        pthread_mutex_lock(&counter->lock);
        count = counter->count;
        pthread_mutex_unlock(&counter->lock);
        return count;
}

unsigned counter_await(struct counter *counter, unsigned expected) {
        struct timespec deadline;
        unsigned count;
        int error = 0;

        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += DEADLINE_MS / 1000;

        pthread_mutex_lock(&counter->lock);
        while (counter->count < expected && !error)
                error = pthread_cond_timedwait(&counter->changed, &counter->lock, &deadline);
        count = counter->count;
        pthread_mutex_unlock(&counter->lock);
        return count;
}

static void collector_init(struct collector *collector, struct seen *seen) {
        counter_init(&collector->arrived);
        collector->in_order = true;
        collector->seen = seen;
}

static void collector_add(struct collector *collector, uint32_t number) {
        pthread_mutex_lock(&collector->arrived.lock);
        if (number != collector->arrived.count)
                collector->in_order = false;
        pthread_mutex_unlock(&collector->arrived.lock);
        counter_add(&collector->arrived);
}

static void seen_add(struct seen *seen, uint32_t number) {
        pthread_mutex_lock(&seen->arrived.lock);
        if (number >= MAX_NUMBERS || seen->numbers[number])
                seen->n_unexpected++;
        else
                seen->numbers[number] = true;
        pthread_mutex_unlock(&seen->arrived.lock);
        counter_add(&seen->arrived);
}

/* connections */

static void on_event(natsConnection *connection, void *closure) {
        (void)connection;
        counter_add(closure);
}

/* With what ../run.sh has made, if it has. */
static void set_tls(natsOptions *options) {
        const char *ca = getenv("INTEROP_CA"), *cert = getenv("INTEROP_CERT");

        if (!ca)
                return;
        assert_ok(natsOptions_SetSecure(options, true));
        assert_ok(natsOptions_LoadCATrustedCertificates(options, ca));
        assert_ok(natsOptions_SetExpectedHostname(options, "localhost"));
        if (cert)
                assert_ok(natsOptions_LoadCertificatesChain(options, cert, getenv("INTEROP_KEY")));
}

natsOptions *scene_options(struct scene *scene) {
        natsOptions *options;

        assert_ok(natsOptions_Create(&options));
        assert_ok(natsOptions_SetURL(options, server_url));
        set_tls(options);
        assert_ok(natsOptions_SetTimeout(options, DEADLINE_MS));
        assert_ok(natsOptions_SetMaxPendingMsgs(options, 2 * MAX_NUMBERS));
        assert_ok(natsOptions_SetAllowReconnect(options, scene->reconnects));
        assert_ok(natsOptions_SetMaxReconnect(options, -1));
        assert_ok(natsOptions_SetReconnectWait(options, 20));
        assert_ok(natsOptions_SetReconnectJitter(options, 0, 0));
        assert_ok(natsOptions_SetDisconnectedCB(options, on_event, &scene->disconnected));
        assert_ok(natsOptions_SetReconnectedCB(options, on_event, &scene->reconnected));
        assert_ok(natsOptions_SetClosedCB(options, on_event, &scene->closed));
        return options;
}

natsConnection *scene_connect(struct scene *scene, natsOptions *options) {
        natsConnection *connection = NULL;
        natsStatus status;

        assert_true(scene->n_connections < MAX_CONNECTIONS);
        status = natsConnection_Connect(&connection, options);
        natsOptions_Destroy(options);
        assert_ok(status);
        scene->connections[scene->n_connections++] = connection;
        return connection;
}

void flush(natsConnection *connection) {
        assert_ok(natsConnection_FlushTimeout(connection, DEADLINE_MS));
}

void settle(struct scene *scene) {
        flush(scene->sender);
        flush(scene->receiver);
}

uint64_t messages_received(natsConnection *connection) {
        natsStatistics *statistics;
        uint64_t n_messages;

        assert_ok(natsStatistics_Create(&statistics));
        assert_ok(natsConnection_GetStats(connection, statistics));
        assert_ok(natsStatistics_GetCounts(statistics, &n_messages, NULL, NULL, NULL, NULL));
        natsStatistics_Destroy(statistics);
        return n_messages;
}

/* scenes */

static struct scene *scene_new(bool reconnects) {
        struct scene *scene = calloc(1, sizeof *scene);

        assert_non_null(scene);
        scene->older = newest_scene;
        newest_scene = scene;
        scene->reconnects = reconnects;
        counter_init(&scene->disconnected);
        counter_init(&scene->reconnected);
        counter_init(&scene->closed);
        counter_init(&scene->seen.arrived);
        for (int i = 0; i < MAX_COLLECTORS; i++)
                collector_init(&scene->collectors[i], &scene->seen);
        return scene;
}

static void scene_free(struct scene *scene) {
        for (int i = 0; i < MAX_COLLECTORS; i++)
                counter_deinit(&scene->collectors[i].arrived);
        counter_deinit(&scene->seen.arrived);
        counter_deinit(&scene->closed);
        counter_deinit(&scene->reconnected);
        counter_deinit(&scene->disconnected);
        free(scene);
}

static int scene_prepare(void **statep, bool reconnects) {
        struct scene *scene = scene_new(reconnects);

        *statep = scene;
        scene->sender = scene_connect(scene, scene_options(scene));
        scene->receiver = scene_connect(scene, scene_options(scene));
        return 0;
}

int scene_open(void **statep) {
        return scene_prepare(statep, false);
}

int scene_open_reconnecting(void **statep) {
        return scene_prepare(statep, true);
}

int scene_close(void **statep) {
        struct scene *scene = *statep;

        while (scene->n_subscriptions > 0)
                natsSubscription_Destroy(scene->subscriptions[--scene->n_subscriptions]);
        while (scene->n_connections > 0)
                natsConnection_Destroy(scene->connections[--scene->n_connections]);
        while (scene->n_peers > 0)
                close(scene->peers[--scene->n_peers]);
        return 0;
}

void scenes_free(void) {
        while (newest_scene) {
                struct scene *scene = newest_scene;

                newest_scene = scene->older;
                scene_free(scene);
        }
}

/* subscriptions */

natsSubscription *scene_keep(struct scene *scene, natsSubscription *subscription) {
        assert_true(scene->n_subscriptions < MAX_SUBSCRIPTIONS);
        scene->subscriptions[scene->n_subscriptions++] = subscription;
        return subscription;
}

natsSubscription *subscribe(struct scene *scene, const char *subject) {
        natsSubscription *subscription;

        assert_ok(natsConnection_SubscribeSync(&subscription, scene->receiver, subject));
        flush(scene->receiver);
        return scene_keep(scene, subscription);
}

natsSubscription *subscribe_in_group(struct scene *scene, const char *subject, const char *group) {
        natsSubscription *subscription;

        assert_ok(natsConnection_QueueSubscribeSync(&subscription, scene->receiver, subject,
                                                    group));
        flush(scene->receiver);
        return scene_keep(scene, subscription);
}

natsSubscription *subscribe_with(struct scene *scene, const char *subject, natsMsgHandler handler,
                                 void *closure) {
        natsSubscription *subscription;

        assert_ok(natsConnection_Subscribe(&subscription, scene->receiver, subject, handler,
                                           closure));
        flush(scene->receiver);
        return scene_keep(scene, subscription);
}

void on_number(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
               void *closure) {
        struct collector *collector = closure;
        uint32_t number = UINT32_MAX;

        (void)connection;
        (void)subscription;
        if (natsMsg_GetDataLength(message) == (int)sizeof number)
                memcpy(&number, natsMsg_GetData(message), sizeof number);
        natsMsg_Destroy(message);
        collector_add(collector, number);
        seen_add(collector->seen, number);
}

void answer_with_the_same(natsConnection *connection, natsSubscription *subscription,
                          natsMsg *message, void *closure) {
        (void)subscription;
        (void)closure;
        natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                               natsMsg_GetDataLength(message));
        natsMsg_Destroy(message);
}

void answer_with_headers(natsConnection *connection, natsSubscription *subscription,
                         natsMsg *message, void *closure) {
        const char *value = "none";
        natsMsg *answer = NULL;

        (void)subscription;
        (void)closure;
        natsMsgHeader_Get(message, "Question", &value);
        natsMsg_Create(&answer, natsMsg_GetReply(message), NULL, "", 0);
        natsMsgHeader_Set(answer, "Answer", value);
        natsConnection_PublishMsg(connection, answer);
        natsMsg_Destroy(answer);
        natsMsg_Destroy(message);
}

/* messages */

void publish(natsConnection *connection, const char *subject, const char *text) {
        assert_ok(natsConnection_PublishString(connection, subject, text));
}

natsStatus publish_numbers(natsConnection *connection, const char *subject, uint32_t n) {
        natsStatus status = NATS_OK;

        for (uint32_t number = 0; number < n && status == NATS_OK; number++)
                status = natsConnection_Publish(connection, subject, &number, sizeof number);
        return status;
}

natsMsg *next_message(natsSubscription *subscription) {
        natsMsg *message = NULL;

        assert_ok(natsSubscription_NextMsg(&message, subscription, DEADLINE_MS));
        return message;
}

void expect(natsSubscription *subscription, const char *subject, const char *text) {
        natsMsg *message = next_message(subscription);

        assert_string_equal(natsMsg_GetSubject(message), subject);
        assert_string_equal(natsMsg_GetData(message), text);
        assert_int_equal(natsMsg_GetDataLength(message), strlen(text));
        natsMsg_Destroy(message);
}

void expect_nothing_more(struct scene *scene, natsSubscription *subscription) {
        uint64_t n_messages;

        settle(scene);
        assert_ok(natsSubscription_QueuedMsgs(subscription, &n_messages));
        assert_int_equal(n_messages, 0);
}

void expect_no_responders(natsConnection *connection) {
        natsMsg *answer = NULL;
        int64_t start = nats_Now();

        assert_status(NATS_NO_RESPONDERS,
                      natsConnection_RequestString(&answer, connection, "nobody.here", "x",
                                                   DEADLINE_MS));
        assert_null(answer);
        assert_true(nats_Now() - start < DEADLINE_MS / 2);
}

unsigned char *large_payload(uint32_t seed) {
        unsigned char *bytes = malloc(LARGE_BYTES + 1);

        assert_non_null(bytes);
        for (size_t i = 0; i <= LARGE_BYTES; i++) {
                seed = seed * 1664525 + 1013904223;
                bytes[i] = (unsigned char)(seed >> 24);
        }
        return bytes;
}
