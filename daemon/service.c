/* A service. See service.h. */
#include "daemon/service.h"

#include "daemon/bus.h"
#include "daemon/config.h"
#include "daemon/worker.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
/* How much of what a program complains about the log shows. */
#define COMPLAINT_SHOWN_MAX 512

static uint64_t clock_ns(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t service_now_ns(void) {
        return clock_ns(CLOCK_MONOTONIC);
}

/* Each of a run by itself. */
static size_t service_deliver(struct receiver *receiver, struct worker *worker,
                              struct subscription *subscription, const struct message *message) {
        struct service *service = container_of(receiver, struct service, receiver);
        struct message request = *message;

        if (!atomic_load_explicit(&service->is_live, memory_order_relaxed))
                return 0;
        request.count = 1;
        service->kind->take(service, worker, &request);
        return 1;
}

/* An answer may be published in the same go. */
static size_t service_limit_run(struct receiver *receiver, struct worker *worker,
                                const struct message *message) {
        struct message answer = {
                .subject = message->reply, .count = message->count, .bus = message->bus};

        return message->reply.length > 0 ? bus_limit_onward(message->bus, worker, &answer)
                                         : message->count;
}

int service_init(struct service *service, const struct service_kind *kind, struct bus *bus,
                 const struct service_identity *identity, struct reclaim *reclaim) {
        struct bytes queue = bytes_from_string(identity->queue);
        int r;

        service->kind = kind;
        service->bus = bus;
        service->identity = *identity;
        service->identity.started_ns = clock_ns(CLOCK_REALTIME);
        service->receiver = (struct receiver){service_deliver, service_limit_run};
        service->complaints = (struct log_limit){.burst = 10, .interval_ms = 10000};
        service_counts_init(&service->counts);
        r = service_protocol_make_id(service->identity.id);
        if (r < 0)
                return r;
        service->subscription = subscription_new(&service->receiver, BYTES(""), queue);
        if (!service->subscription)
                return -ENOMEM;
        r = bus_subscribe_own(bus, reclaim, bytes_from_string(identity->subject),
                              service->subscription);
        if (r < 0) {
                service->subscription = subscription_free(service->subscription);
                return r;
        }
        return service_protocol_init(&service->protocol, bus, &service->identity, &service->counts,
                                     reclaim);
}

void service_begin(struct service *service) {
        atomic_store(&service->is_live, true);
}

void service_unsubscribe(struct service *service, struct reclaim *reclaim) {
        atomic_store(&service->is_live, false);
        service_protocol_unsubscribe(&service->protocol, reclaim);
        if (service->subscription)
                bus_unsubscribe_own(service->bus, reclaim, service->subscription);
        service->subscription = NULL;
}

static void service_release(struct reclaim_node *node) {
        struct service *service = container_of(node, struct service, reclaim);

        service->kind->retire(service);
}

void service_retire(struct service *service, struct reclaim *reclaim) {
        service_unsubscribe(service, reclaim);
        reclaim_later(reclaim, &service->reclaim, service_release);
}

void service_deinit(struct service *service) {
        service_protocol_deinit(&service->protocol);
        service_counts_deinit(&service->counts);
}

/* Says what went wrong, and what a program complained about. */
static void log_outcome(struct service *service, const struct service_answer *answer) {
        bool is_good = answer->error == SERVICE_GOOD, has_complaint = answer->complaint.length > 0;
        enum log_level level = is_good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
        char complaint[COMPLAINT_SHOWN_MAX] = "";

        if ((is_good && !has_complaint) || !log_is_enabled(level) ||
            !log_limit_pass(&service->complaints))
                return;
        bytes_quote(complaint, sizeof(complaint), answer->complaint);
        log_write(level, "service \"%s\": %s%s%s%s", service->identity.name,
                  is_good ? "the program complains" : answer->text, has_complaint ? ": \"" : "",
                  complaint, has_complaint ? "\"" : "");
}

void service_finish(struct service *service, struct worker *worker,
                    const struct service_asker *asker, struct bytes reply,
                    const struct service_answer *answer, uint64_t began_ns) {
        uint64_t now_ns = service_now_ns();

        service_counts_add(&service->counts, answer->error, answer->text,
                           now_ns > began_ns ? now_ns - began_ns : 0);
        log_outcome(service, answer);
        if (reply.length > 0 && !service_answer_publish(answer, asker, worker, reply,
                                                        worker->config->server.max_payload))
                log_limited(&service->complaints, LOG_LEVEL_ERROR,
                            "service \"%s\": no memory for an answer", service->identity.name);
}
