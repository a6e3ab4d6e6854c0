/* The services that sockd answers by itself. See builtin_services.h. */
#include "daemon/builtin_services.h"

#include "daemon/message.h"
#include "daemon/report.h"
#include "daemon/service.h"

#include <errno.h>
#include <stdlib.h>

struct builtin_service {
        struct service service;
        enum builtin which;
        struct instance *instance; /* borrowed */
};

static struct builtin_service *of(struct service *service) {
        return container_of(service, struct builtin_service, service);
}

/* --- what they answer ----------------------------------------------------------------------- */

static json_t *make_time(struct instance *instance) {
        return report_now();
}

/* What text a service answers with; NULL: the payload of the request. */
static const struct {
        const char *name, *subject, *description;
        json_t *(*make)(struct instance *instance);
} rows[N_BUILTINS] = {
        [BUILTIN_ECHO] = {"sockd-echo", BUILTIN_PREFIX "echo", "Gives the payload back", NULL},
        [BUILTIN_TIME] = {"sockd-time", BUILTIN_PREFIX "time", "Tells the time, as RFC 3339 in UTC",
                          make_time},
        [BUILTIN_INFO] = {"sockd-info", BUILTIN_PREFIX "info",
                          "Tells the server's name, version and age, as JSON", report_info},
};

/* A string as it is, an object as JSON; the caller frees it. */
static char *make_text(const struct builtin_service *builtin) {
        json_t *value = rows[builtin->which].make(builtin->instance);
        const char *string = json_string_value(value);
        char *text = string ? strdup(string) : json_dumps(value, JSON_COMPACT);

        json_decref(value);
        return text;
}

static void builtin_take(struct service *service, struct worker *worker,
                         const struct message *message) {
        const struct builtin_service *builtin = of(service);
        const struct service_asker asker = service_asker_of(message);
        struct service_answer answer = {.error = SERVICE_GOOD};
        uint64_t began_ns = service_now_ns();
        char *text = NULL;

        if (rows[builtin->which].make) {
                text = make_text(builtin);
                answer.payload = bytes_from_string(text ? text : "");
        } else {
                answer.payload.data = message->payload.data + message->header_size;
                answer.payload.length = message->payload.length - message->header_size;
        }
        service_finish(service, worker, &asker, message->reply, &answer, began_ns);
        free(text);
}

/* --- beginning and end ---------------------------------------------------------------------- */

void builtin_service_free(struct service *service) {
        service_deinit(service);
        free(of(service));
}

static const struct service_kind kind = {
        .name = "built in",
        .take = builtin_take,
        .retire = builtin_service_free,
};

int builtin_service_new(struct service **servicep, enum builtin which, struct instance *instance,
                        struct bus *bus, struct reclaim *reclaim) {
        const struct service_identity identity = {.name = rows[which].name,
                                                  .version = PACKAGE_VERSION,
                                                  .description = rows[which].description,
                                                  .subject = rows[which].subject,
                                                  .queue = ""};
        struct builtin_service *builtin = calloc(1, sizeof(*builtin));
        int r;

        if (!builtin)
                return -ENOMEM;
        builtin->which = which;
        builtin->instance = instance;
        r = service_init(&builtin->service, &kind, bus, &identity, reclaim);
        if (r < 0)
                service_retire(&builtin->service, reclaim);
        else
                *servicep = &builtin->service;
        return r;
}

enum builtin builtin_service_which(const struct service *service) {
        const struct builtin_service *builtin =
                container_of(service, const struct builtin_service, service);

        return service->kind == &kind ? builtin->which : N_BUILTINS;
}
