/* What is shown of services. See report.h. */
#include "daemon/report.h"

#include "daemon/bus.h"
#include "daemon/config_program.h"
#include "daemon/config_services.h"
#include "daemon/service_pool.h"

static json_t *integer(uint64_t number) {
        return json_integer((json_int_t)number);
}

static json_t *errors_object(const struct service_counts *counts) {
        json_t *object = json_object();

        for (unsigned i = SERVICE_GOOD + 1; i < N_SERVICE_ERRORS; i++)
                json_object_set_new(object, service_error_name((enum service_error)i),
                                    integer(atomic_load(&counts->n_errors[i])));
        return object;
}

/* In nanoseconds. */
static json_t *latency_object(const struct latency *latency) {
        return json_pack("{s:o, s:o, s:o}", "p50", integer(latency_percentile(latency, 0.5)), "p90",
                         integer(latency_percentile(latency, 0.9)), "p99",
                         integer(latency_percentile(latency, 0.99)));
}

/* What only services with programs have. */
static void add_pool(json_t *object, const struct service *service) {
        const struct config_service *config = service_pool_config(service);
        unsigned n_running, n_waiting;

        if (!config)
                return;
        service_pool_count(service, &n_running, &n_waiting);
        json_object_set_new(object, "running", integer(n_running));
        json_object_set_new(object, "waiting", integer(n_waiting));
        json_object_set_new(object, "concurrency", integer(config->concurrency));
        json_object_set_new(object, "backlog", integer(config->backlog));
        json_object_set_new(object, "program", report_text(config->program->exec[0]));
}

json_t *report_service(struct service *service) {
        const struct service_identity *identity = &service->identity;
        struct service_counts *counts = &service->counts;
        char last_error[SERVICE_LAST_ERROR_MAX];
        json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:o}", "name", identity->name,
                                   "id", identity->id, "kind", service->kind->name, "subject",
                                   report_text(identity->subject), "queue",
                                   report_text(identity->queue), "account", service->bus->account,
                                   "started", report_time(identity->started_ns));

        service_counts_last_error(counts, last_error);
        json_object_set_new(object, "requests", integer(atomic_load(&counts->n_requests)));
        json_object_set_new(object, "errors", integer(service_counts_errors(counts)));
        json_object_set_new(object, "errors_by_reason", errors_object(counts));
        json_object_set_new(object, "last_error", report_text(last_error));
        json_object_set_new(object, "latency", latency_object(&counts->latency));
        add_pool(object, service);
        return object;
}
