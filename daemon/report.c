/* What the daemon is doing, as JSON. See report.h. */
#include "daemon/report.h"

#include "daemon/client.h"
#include "daemon/exec.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/peer_facts.h"
#include "daemon/session.h"
#include "daemon/spawner.h"
#include "daemon/subject_index.h"
#include "daemon/tls.h"
#include "daemon/tls_context.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

/* --- values ----------------------------------------------------------------------------------- */

static json_t *integer(uint64_t number) {
        return json_integer((json_int_t)number);
}

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* RFC 3339 with nanoseconds, trailing zeros cut (protocol.md A.1). */
static json_t *time_text(uint64_t ns) {
        time_t seconds = (time_t)(ns / NS_PER_S);
        char text[64];
        struct tm tm;
        size_t n;

        gmtime_r(&seconds, &tm);
        n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        n += (size_t)snprintf(text + n, sizeof(text) - n, ".%09u", (unsigned)(ns % NS_PER_S));
        while (text[n - 1] == '0')
                n--;
        if (text[n - 1] == '.')
                n--;
        return json_sprintf("%.*sZ", (int)n, text);
}

json_t *report_time(uint64_t ns) {
        return time_text(ns);
}

json_t *report_now(void) {
        return time_text(now_ns());
}

/* Whole seconds as "1h0m5s" (protocol.md A.2). */
static json_t *uptime_text(uint64_t s) {
        unsigned long long years = s / 31536000, days = s / 86400 % 365, hours = s / 3600 % 24,
                           minutes = s / 60 % 60, seconds = s % 60;

        if (years > 0)
                return json_sprintf("%lluy%llud%lluh%llum%llus", years, days, hours, minutes,
                                    seconds);
        if (days > 0)
                return json_sprintf("%llud%lluh%llum%llus", days, hours, minutes, seconds);
        if (hours > 0)
                return json_sprintf("%lluh%llum%llus", hours, minutes, seconds);
        if (minutes > 0)
                return json_sprintf("%llum%llus", minutes, seconds);
        return json_sprintf("%llus", seconds);
}

/* Whole seconds from one time to another: none if the clock was set back meanwhile. */
static uint64_t elapsed_s(uint64_t from_ns, uint64_t to_ns) {
        return to_ns > from_ns ? (to_ns - from_ns) / NS_PER_S : 0;
}

/* A number with up to three decimals, trailing zeros cut. */
static void format_thousandths(char *text, size_t size, uint64_t thousandths) {
        int n = snprintf(text, size, "%llu.%03u", (unsigned long long)thousandths / 1000,
                         (unsigned)(thousandths % 1000));

        while (text[n - 1] == '0')
                n--;
        if (text[n - 1] == '.')
                n--;
        text[n] = '\0';
}

/* A duration as Go prints it (protocol.md A.3). */
static json_t *duration_text(uint64_t ns) {
        unsigned long long minutes = ns / (60 * NS_PER_S);
        char text[32];

        if (ns < 1000)
                return json_sprintf(ns ? "%lluns" : "0s", (unsigned long long)ns);
        if (ns < 1000000)
                return json_sprintf("%llu\xc2\xb5s", (unsigned long long)ns / 1000);
        if (ns < NS_PER_S) {
                format_thousandths(text, sizeof(text), ns / 1000);
                return json_sprintf("%sms", text);
        }
        format_thousandths(text, sizeof(text), ns % (60 * NS_PER_S) / 1000000);
        if (minutes >= 60)
                return json_sprintf("%lluh%llum%ss", minutes / 60, minutes % 60, text);
        if (minutes > 0)
                return json_sprintf("%llum%ss", minutes, text);
        return json_sprintf("%ss", text);
}

/* Bytes from outside as a JSON string; what is not UTF-8 becomes U+FFFD. */
static json_t *bytes_text(struct bytes bytes) {
        json_t *string = json_stringn(bytes.data, bytes.length);
        char *text, *to;

        if (string)
                return string;
        to = text = malloc(3 * bytes.length + 1);
        while (text && bytes.length > 0) {
                size_t n = bytes_utf8_length(bytes);

                to = bytes_copy(to, n > 0 ? (struct bytes){bytes.data, n} : BYTES("\xef\xbf\xbd"));
                bytes.data += n > 0 ? n : 1;
                bytes.length -= n > 0 ? n : 1;
        }
        string = text ? json_stringn(text, (size_t)(to - text)) : NULL;
        free(text);
        return string;
}

json_t *report_text(const char *text) {
        return bytes_text(bytes_from_string(text));
}

static void set_text(json_t *object, const char *key, const char *text) {
        if (text)
                json_object_set_new(object, key, bytes_text(bytes_from_string(text)));
}

char *report_payload(const json_t *object, size_t *lengthp) {
        char *json = json_dumps(object, JSON_COMPACT), *payload = NULL;
        int n = json ? asprintf(&payload, "%s\r\n", json) : -1;

        free(json);
        *lengthp = n < 0 ? 0 : (size_t)n - 2;
        return n < 0 ? NULL : payload;
}

/* --- the server ---------------------------------------------------------------------------- */

json_t *report_server(struct instance *instance) {
        uint64_t sequence = atomic_fetch_add(&instance->n_told, 1) + 1;

        return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "name", instance->name, "host",
                         "localhost", "id", instance->id, "ver", PROTOCOL_SERVER_VERSION,
                         "jetstream", 0, "seq", integer(sequence), "time", report_now());
}

/* All counters of all workers. */
struct totals {
        uint64_t in_messages, in_bytes, out_messages, out_bytes;
        uint64_t slow_consumers, stale_connections, protocol_errors, held_publishers, accept_errors,
                refused_logins, failed_handshakes, tls_floods, forgotten_replies,
                unreachable_targets, failed_targets, failed_introductions;
        uint64_t denied_publishes, denied_subscriptions;
        uint64_t programs_asked, programs_over, programs_ended, programs_late, programs_refused,
                programs_failed;
};

static struct totals totals_of(const struct server *server) {
        struct totals totals = {.in_messages = 0};

        for (unsigned i = 0; i < server->workers.count; i++) {
                const struct stats *stats = &server->workers.all[i].stats;

                totals.in_messages += counter_read(&stats->in_messages);
                totals.in_bytes += counter_read(&stats->in_bytes);
                totals.out_messages += counter_read(&stats->out_messages);
                totals.out_bytes += counter_read(&stats->out_bytes);
                totals.slow_consumers += counter_read(&stats->slow_consumers);
                totals.refused_logins += counter_read(&stats->refused_logins);
                totals.forgotten_replies += counter_read(&stats->forgotten_replies);
                totals.stale_connections += counter_read(&stats->stale_connections);
                totals.protocol_errors += counter_read(&stats->protocol_errors);
                totals.denied_publishes += counter_read(&stats->denied_publishes);
                totals.denied_subscriptions += counter_read(&stats->denied_subscriptions);
                totals.held_publishers += counter_read(&stats->held_publishers);
                totals.accept_errors += counter_read(&stats->accept_errors);
                totals.failed_handshakes += counter_read(&stats->failed_handshakes);
                /* First those that are over, so that there are not more of them. */
                totals.programs_over += counter_read(&stats->programs_over);
                totals.programs_asked += counter_read(&stats->programs_asked);
                totals.programs_ended += counter_read(&stats->programs_ended);
                totals.programs_late += counter_read(&stats->programs_late);
                totals.programs_refused += counter_read(&stats->programs_refused);
                totals.programs_failed += counter_read(&stats->programs_failed);
                totals.tls_floods += counter_read(&stats->tls_floods);
                totals.failed_introductions += counter_read(&stats->failed_introductions);
                totals.unreachable_targets += counter_read(&stats->unreachable_targets);
                totals.failed_targets += counter_read(&stats->failed_targets);
        }
        return totals;
}

static uint64_t resident_bytes(void) {
        FILE *file = fopen("/proc/self/statm", "re");
        unsigned long long pages = 0;

        if (file) {
                if (fscanf(file, "%*u %llu", &pages) != 1)
                        pages = 0;
                (void)fclose(file);
        }
        return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Percent of one processor since the last time that somebody asked. */
static double cpu_percent(void) {
        static uint64_t last_wall, last_used;
        static double percent; /* the server's thread only */
        struct rusage usage;
        uint64_t wall = now_ns(), used;

        getrusage(RUSAGE_SELF, &usage);
        used = ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * NS_PER_S +
               ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
        if (wall - last_wall > NS_PER_S / 20) {
                percent = last_wall
                                  ? 100.0 * (double)(used - last_used) / (double)(wall - last_wall)
                                  : 0.0;
                last_wall = wall;
                last_used = used;
        }
        return percent;
}

static uint64_t count_descriptors(void) {
        DIR *directory = opendir("/proc/self/fd");
        uint64_t n = 0;

        if (!directory)
                return 0;
        while (readdir(directory))
                n++;
        (void)closedir(directory);
        return n > 3 ? n - 3 : 0; /* ".", "..", and the directory itself */
}

static uint64_t start_ns(const struct instance *instance) {
        return (uint64_t)instance->start.tv_sec * NS_PER_S + (uint64_t)instance->start.tv_nsec;
}

json_t *report_info(struct instance *instance) {
        uint64_t start = start_ns(instance);

        return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "server_name", instance->name,
                         "server_id", instance->id, "sockd_version", PACKAGE_VERSION, "version",
                         PROTOCOL_SERVER_VERSION, "start", time_text(start), "uptime",
                         uptime_text(elapsed_s(start, now_ns())));
}

static void varz_traffic(json_t *varz, const struct server *server) {
        struct totals totals = totals_of(server);

        json_object_set_new(varz, "in_msgs", integer(totals.in_messages));
        json_object_set_new(varz, "out_msgs", integer(totals.out_messages));
        json_object_set_new(varz, "in_bytes", integer(totals.in_bytes));
        json_object_set_new(varz, "out_bytes", integer(totals.out_bytes));
        json_object_set_new(varz, "slow_consumers", integer(totals.slow_consumers));
        json_object_set_new(varz, "refused_logins", integer(totals.refused_logins));
        json_object_set_new(varz, "forgotten_replies", integer(totals.forgotten_replies));
        json_object_set_new(varz, "stale_connections", integer(totals.stale_connections));
        json_object_set_new(varz, "protocol_errors", integer(totals.protocol_errors));
        json_object_set_new(varz, "denied_publishes", integer(totals.denied_publishes));
        json_object_set_new(varz, "denied_subscriptions", integer(totals.denied_subscriptions));
        json_object_set_new(varz, "stalled_clients", integer(totals.held_publishers));
        json_object_set_new(varz, "accept_errors", integer(totals.accept_errors));
        json_object_set_new(varz, "tls_handshake_failures", integer(totals.failed_handshakes));
        json_object_set_new(varz, "tls_floods", integer(totals.tls_floods));
        json_object_set_new(varz, "proxy_header_failures", integer(totals.failed_introductions));
        json_object_set_new(varz, "unreachable_targets", integer(totals.unreachable_targets));
        json_object_set_new(varz, "failed_targets", integer(totals.failed_targets));
        json_object_set_new(varz, "log_lines_dropped", integer(log_dropped()));
}

static void varz_programs(json_t *varz, const struct server *server) {
        const struct config_programs *config = &server->config->programs;
        struct totals totals = totals_of(server);
        json_t *programs = json_object();

        json_object_set_new(programs, "configured", integer(config_count_programs(server->config)));
        json_object_set_new(programs, "available",
                            json_boolean(spawner_is_running(server->options.spawner)));
        json_object_set_new(programs, "running",
                            integer(totals.programs_asked - totals.programs_over));
        json_object_set_new(programs, "ended", integer(totals.programs_ended));
        json_object_set_new(programs, "late", integer(totals.programs_late));
        json_object_set_new(programs, "refused", integer(totals.programs_refused));
        json_object_set_new(programs, "failed", integer(totals.programs_failed));
        json_object_set_new(programs, "max_running", integer(config->max_running));
        json_object_set_new(programs, "max_starts", integer(config->max_starts));
        json_object_set_new(varz, "programs", programs);
}

static void varz_limits(json_t *varz, const struct server *server) {
        const struct config_server *config = &server->config->server;

        json_object_set_new(varz, "max_connections",
                            integer(atomic_load(&server->instance.max_connections)));
        json_object_set_new(varz, "max_subscriptions", integer(config->max_subscriptions));
        json_object_set_new(varz, "max_payload", integer(config->max_payload));
        json_object_set_new(varz, "max_control_line", integer(config->max_control_line));
        json_object_set_new(varz, "max_pending", integer(config->max_pending));
        json_object_set_new(varz, "ping_interval", integer(config->ping_interval_ms * 1000000));
        json_object_set_new(varz, "ping_max", integer(config->ping_max));
        json_object_set_new(varz, "write_deadline", integer(config->write_deadline_ms * 1000000));
        json_object_set_new(varz, "auth_timeout",
                            json_real((double)config->auth_timeout_ms / 1000.0));
}

static void varz_process(json_t *varz, struct server *server) {
        json_object_set_new(varz, "mem", integer(resident_bytes()));
        json_object_set_new(varz, "cores", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
        json_object_set_new(varz, "cpu", json_real(cpu_percent()));
        json_object_set_new(varz, "workers", json_integer((json_int_t)server->workers.count));
        json_object_set_new(varz, "pid", json_integer(getpid()));
        json_object_set_new(varz, "open_files", integer(count_descriptors()));
        json_object_set_new(varz, "max_open_files", integer(server->max_descriptors));
        json_object_set_new(varz, "log_level", json_string(log_level_name(log_get_level())));
        set_text(varz, "config_file", server->config->path);
        set_text(varz, "system_account", server->config->system_account);
}

/* Connections, and peers without one. */
static uint64_t n_clients(const struct instance *instance) {
        return atomic_load(&instance->n_connections) + atomic_load(&instance->n_sessions);
}

json_t *report_varz(struct server *server) {
        struct instance *instance = &server->instance;
        const struct listener *first = server->n_listeners > 0 ? server->listeners[0] : NULL;
        uint64_t start = start_ns(instance), now = now_ns();
        json_t *varz = json_pack(
                "{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:b, s:o, s:o, s:o}", "server_id",
                instance->id, "server_name", instance->name, "version", PROTOCOL_SERVER_VERSION,
                "sockd_version", PACKAGE_VERSION, "proto", 1, "host",
                first && first->family != AF_UNIX ? first->address.host : "localhost", "port",
                first ? (int)first->port : 0, "lame_duck",
                atomic_load(&instance->is_lame_duck) ? 1 : 0, "start", time_text(start), "now",
                time_text(now), "uptime", uptime_text(elapsed_s(start, now)));

        json_object_set_new(varz, "connections", integer(n_clients(instance)));
        json_object_set_new(varz, "sessions", integer(atomic_load(&instance->n_sessions)));
        json_object_set_new(varz, "total_connections", integer(atomic_load(&instance->n_total)));
        json_object_set_new(varz, "subscriptions",
                            integer(accounts_count_subscriptions(&server->accounts)));
        json_object_set_new(varz, "listeners", integer(server->n_listeners));
        varz_traffic(varz, server);
        varz_programs(varz, server);
        varz_limits(varz, server);
        varz_process(varz, server);
        return varz;
}

json_t *report_statsz(struct server *server) {
        struct instance *instance = &server->instance;
        struct totals totals = totals_of(server);

        return json_pack("{s:o, s:o, s:i, s:f, s:o, s:o, s:i, s:o, s:{s:o, s:o}, s:{s:o, s:o}, "
                         "s:o, s:i}",
                         "start", time_text(start_ns(instance)), "mem", integer(resident_bytes()),
                         "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "cpu", cpu_percent(),
                         "connections", integer(n_clients(instance)), "total_connections",
                         integer(atomic_load(&instance->n_total)), "active_accounts", 1,
                         "subscriptions", integer(accounts_count_subscriptions(&server->accounts)),
                         "sent", "msgs", integer(totals.out_messages), "bytes",
                         integer(totals.out_bytes), "received", "msgs", integer(totals.in_messages),
                         "bytes", integer(totals.in_bytes), "slow_consumers",
                         integer(totals.slow_consumers), "active_servers", 1);
}

static const char *family_name(int family) {
        return family == AF_UNIX ? "unix" : family == AF_INET ? "inet" : "inet6";
}

static json_t *datagrams_object(const struct datagram_counters *counters) {
        json_t *dropped = json_object();

        for (unsigned why = 0; why < N_DROPS; why++)
                json_object_set_new(dropped, drop_name(why),
                                    integer(atomic_load(&counters->n_dropped[why])));
        return json_pack("{s:o, s:o, s:o}", "received", integer(atomic_load(&counters->n_received)),
                         "sent", integer(atomic_load(&counters->n_sent)), "dropped", dropped);
}

/* How many connections were not admitted, or had to go, and why. */
static json_t *refused_object(const struct admission *admission) {
        json_t *refused = json_object();

        for (unsigned why = REFUSAL_NONE + 1; why < N_REFUSALS; why++)
                json_object_set_new(refused, refusal_name(why),
                                    integer(atomic_load(&admission->n_refused[why])));
        return refused;
}

static json_t *expired_object(const struct admission *admission) {
        json_t *expired = json_object();

        for (unsigned why = 0; why < N_TIME_LIMITS; why++)
                json_object_set_new(expired, time_limit_name(why),
                                    integer(atomic_load(&admission->n_expired[why])));
        return expired;
}

/* Who has to speak TLS there, and what is asked of him; NULL: nobody does. */
static json_t *listener_security(struct listener *listener) {
        struct tls_context *context = listener_tls(listener);
        json_t *object;

        if (!context)
                return NULL;
        object = json_pack("{s:b, s:b, s:b, s:b}", "required", context->is_required, "first",
                           context->is_first, "verify", context->verifies, "map", context->maps);
        tls_context_unref(context);
        return object;
}

static json_t *losses_object(const struct gateway_losses *losses) {
        json_t *object = json_object();

        for (unsigned why = 0; why < N_GATEWAY_LOSSES; why++)
                json_object_set_new(object, gateway_loss_name(why),
                                    integer(atomic_load(&losses->n[why])));
        return object;
}

static json_t *programs_object(struct listener *listener) {
        struct program_counts *counts = &listener->programs;

        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "running",
                         integer(atomic_load(&counts->n_running)), "waiting",
                         integer(turnstile_count_waiting(&listener->turnstile)), "started",
                         integer(atomic_load(&counts->n_started)), "failed",
                         integer(atomic_load(&counts->n_failed)), "late",
                         integer(atomic_load(&counts->n_late)), "stopped",
                         integer(atomic_load(&counts->n_stopped)), "not_started",
                         integer(atomic_load(&counts->n_unstarted)), "delayed",
                         integer(atomic_load(&counts->n_delayed)), "cut",
                         integer(atomic_load(&counts->n_cut)));
}

static json_t *listener_object(struct listener *listener) {
        json_t *security = listener_security(listener);
        char configured[ADDRESS_TEXT_MAX];
        json_t *object = json_pack(
                "{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:b}", "name",
                bytes_text(bytes_from_string(listener->name)), "address",
                bytes_text(bytes_from_string(listener->text)), "configured",
                bytes_text(bytes_from_string(address_format(&listener->address, configured))),
                "handler", handler_of(atomic_load(&listener->handler_kind))->name, "family",
                family_name(listener->family), "connections",
                integer(atomic_load(&listener->n_connections)), "total_connections",
                integer(atomic_load(&listener->n_total)), "activated",
                listener->is_activated ? 1 : 0);

        if (security)
                json_object_set_new(object, "tls", security);
        if (listener->transport->is_connectionless)
                json_object_set_new(object, "datagrams", datagrams_object(&listener->datagrams));
        else
                json_object_set_new(object, "refused", refused_object(&listener->admission));
        json_object_set_new(object, "expired", expired_object(&listener->admission));
        if (config_handler_is_gateway(atomic_load(&listener->handler_kind)))
                json_object_set_new(object, "lost", losses_object(&listener->losses));
        if (atomic_load(&listener->handler_kind) == HANDLER_EXEC)
                json_object_set_new(object, "programs", programs_object(listener));
        return object;
}

json_t *report_listeners(struct server *server) {
        json_t *list = json_array();

        for (size_t i = 0; i < server->n_listeners; i++)
                json_array_append_new(list, listener_object(server->listeners[i]));
        return json_pack("{s:s, s:o, s:o}", "server_id", server->instance.id, "now", report_now(),
                         "listeners", list);
}

/* --- connections --------------------------------------------------------------------------- */

/* What a living and a closed connection have in common. */
static json_t *connection_head(uint64_t id, const struct peer *peer, const char *listener) {
        json_t *object =
                json_pack("{s:o, s:s, s:s, s:s, s:i, s:o}", "cid", integer(id), "kind", "Client",
                          "type", "nats", "ip", peer->ip, "port", (int)peer->port, "listener",
                          bytes_text(bytes_from_string(listener ? listener : "")));

        if (peer->has_credentials) {
                json_object_set_new(object, "peer", json_sprintf("unix: pid %ld", (long)peer->pid));
                json_object_set_new(object, "uid", json_integer((json_int_t)peer->uid));
                json_object_set_new(object, "gid", json_integer((json_int_t)peer->gid));
                json_object_set_new(object, "pid", json_integer((json_int_t)peer->pid));
        } else {
                json_object_set_new(object, "peer",
                                    json_sprintf(strchr(peer->ip, ':') ? "[%s]:%u" : "%s:%u",
                                                 peer->ip, (unsigned)peer->port));
        }
        if (peer->has_owner)
                json_object_set_new(object, "uid", json_integer((json_int_t)peer->uid));
        return object;
}

/* What is known of the peer's process. */
static void connection_process(json_t *object, const struct peer_facts *facts) {
        if (!facts)
                return;
        set_text(object, "exe", facts->exe);
        set_text(object, "unit", facts->unit);
        set_text(object, "user_unit", facts->user_unit);
        set_text(object, "slice", facts->slice);
}

static void connection_names(json_t *object, const char *name, const char *lang,
                             const char *version) {
        set_text(object, "name", name);
        set_text(object, "lang", lang);
        set_text(object, "version", version);
}

static void connection_traffic(json_t *object, uint64_t in_messages, uint64_t in_bytes,
                               uint64_t out_messages, uint64_t out_bytes) {
        json_object_set_new(object, "in_msgs", integer(in_messages));
        json_object_set_new(object, "in_bytes", integer(in_bytes));
        json_object_set_new(object, "out_msgs", integer(out_messages));
        json_object_set_new(object, "out_bytes", integer(out_bytes));
}

char *report_subject(const struct subscription *subscription, size_t *lengthp) {
        char *text;

        *lengthp = subject_index_subject(subscription, NULL, 0);
        text = malloc(*lengthp + 1);
        if (text)
                (void)subject_index_subject(subscription, text, *lengthp + 1);
        return text;
}

/* The program that serves it, if one does. */
static void connection_program(json_t *object, const struct connection *connection) {
        bool is_waiting;
        pid_t pid = exec_pid(connection, &is_waiting);

        if (pid > 0)
                json_object_set_new(object, "program_pid", json_integer((json_int_t)pid));
        if (is_waiting)
                json_object_set_new(object, "program_waits", json_true());
}

static json_t *subject_list(const struct client *client) {
        struct subscription *subscription = NULL;
        json_t *list = json_array();
        size_t bucket = 0, length;

        while (json_array_size(list) < 1000 &&
               (subscription = sid_table_next(&client->subscriptions, &bucket, subscription))) {
                char *text = report_subject(subscription, &length);

                if (text)
                        json_array_append_new(list, bytes_text((struct bytes){text, length}));
                free(text);
        }
        return list;
}

/* What is known of TLS; of the peer's certificate its subject. */
static void connection_security(json_t *object, const struct connection *connection) {
        const struct tls_facts *facts = connection_tls(connection);

        if (!facts)
                return;
        set_text(object, "tls_version", facts->version);
        set_text(object, "tls_cipher_suite", facts->cipher);
        if (connection->tls_offer & TLS_OFFER_FIRST)
                json_object_set_new(object, "tls_first", json_true());
        if (facts->is_resumed)
                json_object_set_new(object, "tls_resumed", json_true());
        if (facts->certificate)
                set_text(object, "tls_subject", facts->certificate->subject);
}

/* Which rule decided who it is, and by what. */
static void connection_rule(json_t *object, const struct client *client) {
        const struct config_user *user =
                client->user ? config_find_user(client->worker->config, client->user) : NULL;
        json_t *by = user ? json_array() : NULL;

        if (!user)
                return;
        if (user->has_peer)
                json_array_append_new(by, json_string("peer"));
        if (user->password)
                json_array_append_new(by, json_string("password"));
        if (user->token)
                json_array_append_new(by, json_string("token"));
        if (user->has_nkey)
                json_array_append_new(by, json_string("nkey"));
        if (user->certificate)
                json_array_append_new(by, json_string("certificate"));
        json_object_set_new(object, "rule",
                            json_sprintf("%s:%u", user->origin.file, user->origin.line));
        json_object_set_new(object, "rule_by", by);
}

/* asks: of the kernel, if need be. */
static json_t *connection_object(struct connection *connection, bool asks) {
        const struct client *client = connection->client;
        uint64_t now = now_ns();
        uint64_t idle_ms = uv_now(&connection->worker->loop) - connection->last_input_ms;
        uint64_t out_messages, out_bytes, pending;
        json_t *object;

        (void)connection_has_uid(connection);
        object = connection_head(connection->id, &connection->peer, connection->listener->name);
        json_object_set_new(object, "handler", json_string(connection->handler->name));
        connection_process(object, asks ? connection_facts(connection) : connection->facts);
        pthread_mutex_lock(&connection->lock);
        out_messages = connection->out_messages;
        out_bytes = connection->out_bytes;
        pending = connection->pending.n_bytes;
        pthread_mutex_unlock(&connection->lock);
        connection_traffic(object, counter_read(&connection->in_messages),
                           counter_read(&connection->in_bytes), out_messages, out_bytes);
        connection_names(object, client->name, client->lang, client->version);
        json_object_set_new(object, "start", time_text(connection->start_ns));
        json_object_set_new(object, "last_activity", time_text(now - idle_ms * 1000000));
        json_object_set_new(object, "uptime", uptime_text(elapsed_s(connection->start_ns, now)));
        json_object_set_new(object, "idle", uptime_text(idle_ms / 1000));
        json_object_set_new(object, "rtt", duration_text(client->rtt_ns));
        json_object_set_new(object, "pending_bytes", integer(pending));
        json_object_set_new(object, "subscriptions", integer(client->subscriptions.count));
        if (client->user)
                json_object_set_new(object, "authorized_user", json_string(client->user));
        json_object_set_new(object, "account", json_string(client->bus->account));
        json_object_set_new(object, "role", json_string(role_name(client->role)));
        json_object_set_new(object, "denied_publishes",
                            integer(counter_read(&client->denied_publishes)));
        json_object_set_new(object, "denied_subscriptions",
                            integer(counter_read(&client->denied_subscriptions)));
        connection_security(object, connection);
        connection_program(object, connection);
        if (connection->session) {
                json_object_set_new(object, "proved",
                                    json_boolean(!session_needs_proof(connection->session)));
                json_object_set_new(object, "datagrams",
                                    datagrams_object(&connection->session->counters));
        }
        return object;
}

json_t *report_asker(struct connection *connection) {
        json_t *object = connection_object(connection, true);

        connection_rule(object, connection->client);
        return object;
}

json_t *report_connection(struct connection *connection, bool details) {
        json_t *object = details ? report_asker(connection) : connection_object(connection, false);

        if (details)
                json_object_set_new(object, "subscriptions_list", subject_list(connection->client));
        return object;
}

json_t *report_closed(const struct closed_connection *closed) {
        json_t *object = connection_head(closed->id, &closed->peer, closed->listener);

        connection_traffic(object, closed->in_messages, closed->in_bytes, closed->out_messages,
                           closed->out_bytes);
        connection_names(object, closed->name, closed->lang, closed->version);
        set_text(object, "authorized_user", closed->user);
        set_text(object, "account", closed->account);
        json_object_set_new(object, "start", time_text(closed->start_ns));
        json_object_set_new(object, "stop", time_text(closed->stop_ns));
        json_object_set_new(object, "last_activity", time_text(closed->stop_ns));
        json_object_set_new(object, "uptime",
                            uptime_text(elapsed_s(closed->start_ns, closed->stop_ns)));
        json_object_set_new(object, "idle", uptime_text(elapsed_s(closed->stop_ns, now_ns())));
        json_object_set_new(object, "rtt", json_string("0s"));
        json_object_set_new(object, "pending_bytes", json_integer(0));
        json_object_set_new(object, "subscriptions", integer(closed->n_subscriptions));
        json_object_set_new(object, "reason", json_string(closed->reason));
        return object;
}

json_t *report_subscription(const struct connection *connection,
                            const struct subscription *subscription, struct bytes subject) {
        const struct client *client = connection->client;
        uint64_t max = atomic_load_explicit(&subscription->max, memory_order_relaxed);
        json_t *object = json_pack(
                "{s:s, s:o, s:o, s:o, s:o}", "account", client->bus->account, "subject",
                bytes_text(subject), "sid", bytes_text(subscription_sid(subscription)), "msgs",
                integer(atomic_load_explicit(&subscription->n_delivered, memory_order_relaxed)),
                "cid", integer(connection->id));

        if (subscription->queue_length > 0)
                json_object_set_new(object, "qgroup", bytes_text(subscription_queue(subscription)));
        if (max > 0)
                json_object_set_new(object, "max", integer(max));
        return object;
}
