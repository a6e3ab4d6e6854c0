/* The keys of the configuration file; see config_keys.h, DESIGN.md, section 6, and sockd.conf(5).
 *
 * One row says all there is to know about a key: type, field, default, range. Only what involves
 * two keys is code: the checks at the end of each table. A key of DESIGN.md that has no code yet is
 * a row of the type "later", so that whoever uses it learns that, and not that it is misspelt.
 */
#include "daemon/config_keys.h"

#include "daemon/cgroup.h"
#include "daemon/config_accounts.h"
#include "daemon/config_admission.h"
#include "daemon/config_forward.h"
#include "daemon/config_handler.h"
#include "daemon/config_loops.h"
#include "daemon/config_permissions.h"
#include "daemon/config_services.h"
#include "daemon/proxy_protocol.h"
#include "daemon/role.h"
#include "daemon/spawner_wire.h"
#include "lib/log.h"
#include "lib/text.h"
#include "lib/units.h"

#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define FIELD(name, member) CONFIG_FIELD(name, member)
#define LATER(key)                                                                                 \
        { .name = (key), .type = CONFIG_LATER }

#define SECOND UINT64_C(1000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define KIB    UINT64_C(1024)
#define MIB    (1024 * KIB)
#define TIB    (1024 * 1024 * MIB)

#define SERVER_NAME_MAX      255
#define LISTENERS_MAX        1024
#define USER_NAME_MAX        64
#define QUEUE_NAME_MAX       64
#define CERTIFICATE_NAME_MAX 512
#define PID_MAX              4194304 /* of a 64-bit Linux */

bool config_keys_is_name(const char *text, size_t n_max, const char *excluded) {
        size_t length = strlen(text);

        for (size_t i = 0; i < length; i++)
                if (text[i] <= ' ' || text[i] > '~' || strchr(excluded, text[i]))
                        return false;
        return length > 0 && length <= n_max;
}

bool config_keys_is_server_name(const char *text) {
        return config_keys_is_name(text, SERVER_NAME_MAX, "*>") && *text != '.' &&
               !strstr(text, "..") && text[strlen(text) - 1] != '.';
}

/* A listener's name is also that of its descriptor at socket activation, which excludes ':'. */
static bool is_listener_name(const char *text) {
        return config_keys_is_name(text, CONFIG_LISTENER_NAME_MAX, "*>.:");
}

static bool is_multicast_group(const char *text) {
        struct in6_addr in6;
        struct in_addr in;

        if (inet_pton(AF_INET, text, &in) == 1)
                return IN_MULTICAST(ntohl(in.s_addr));
        return inet_pton(AF_INET6, text, &in6) == 1 && IN6_IS_ADDR_MULTICAST(&in6);
}

static bool is_queue_name(const char *text) {
        return config_keys_is_name(text, QUEUE_NAME_MAX, "");
}

static bool is_interface_name(const char *text) {
        return config_keys_is_name(text, IF_NAMESIZE - 1, "/:");
}

/* Whether two keys of a group are what they were meant to be. */
static bool are_read(const struct config_reader *reader, const config_setting_t *group,
                     const char *a, const char *b) {
        return !config_reader_has_refused(reader, config_setting_get_member(group, a)) &&
               !config_reader_has_refused(reader, config_setting_get_member(group, b));
}

static void check_server(struct config_reader *reader, const char *path,
                         const config_setting_t *group, void *target, bool is_whole) {
        const struct config_server *server = target;
        const config_setting_t *setting;
        char found[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX];

        if (server->max_payload > server->max_pending &&
            are_read(reader, group, "max_payload", "max_pending")) {
                setting = config_setting_get_member(group, "max_pending");
                config_reader_complain(reader, setting ? setting : group, path, "max_pending",
                                       "found %s, expected at least max_payload, which is %s",
                                       units_format_size(found, server->max_pending),
                                       units_format_size(limit, server->max_payload));
        }
        if (server->lame_duck_grace_ms > server->lame_duck_duration_ms &&
            are_read(reader, group, "lame_duck_grace", "lame_duck_duration")) {
                setting = config_setting_get_member(group, "lame_duck_grace");
                config_reader_complain(
                        reader, setting ? setting : group, path, "lame_duck_grace",
                        "found \"%s\", expected at most lame_duck_duration, which is \"%s\"",
                        units_format_duration(found, server->lame_duck_grace_ms),
                        units_format_duration(limit, server->lame_duck_duration_ms));
        }
}

static const struct config_key server_keys[] = {
        {"name", CONFIG_STRING, FIELD(config_server, name), .check = config_keys_is_server_name,
         .expected = "a name of at most 255 printable ASCII characters without blanks, *, > and "
                     "empty parts between dots"},
        {"workers", CONFIG_INTEGER, FIELD(config_server, workers), .maximum = 256, .fallback = "0"},
        {"max_connections", CONFIG_INTEGER, FIELD(config_server, max_connections), .minimum = 1,
         .maximum = 16777216, .fallback = "65536"},
        {"max_subscriptions", CONFIG_INTEGER, FIELD(config_server, max_subscriptions),
         .maximum = 1000000000, .fallback = "0"},
        {"max_payload", CONFIG_SIZE, FIELD(config_server, max_payload), .minimum = 1,
         .maximum = 64 * MIB, .fallback = "1M"},
        {"max_control_line", CONFIG_SIZE, FIELD(config_server, max_control_line), .minimum = 64,
         .maximum = 64 * KIB, .fallback = "4K"},
        {"max_pending", CONFIG_SIZE, FIELD(config_server, max_pending), .minimum = 1,
         .maximum = TIB, .fallback = "64M"},
        {"ping_interval", CONFIG_DURATION, FIELD(config_server, ping_interval_ms), .minimum = 10,
         .maximum = DAY, .fallback = "2m"},
        {"ping_max", CONFIG_INTEGER, FIELD(config_server, ping_max), .minimum = 1, .maximum = 1000,
         .fallback = "2"},
        {"auth_timeout", CONFIG_DURATION, FIELD(config_server, auth_timeout_ms), .minimum = 10,
         .maximum = HOUR, .fallback = "2s"},
        {"write_deadline", CONFIG_DURATION, FIELD(config_server, write_deadline_ms), .minimum = 10,
         .maximum = HOUR, .fallback = "10s"},
        {"lame_duck_grace", CONFIG_DURATION, FIELD(config_server, lame_duck_grace_ms),
         .maximum = DAY, .fallback = "10s"},
        {"lame_duck_duration", CONFIG_DURATION, FIELD(config_server, lame_duck_duration_ms),
         .maximum = DAY, .fallback = "2m"},
};

static const struct config_table server_table = {
        .keys = server_keys,
        .n_keys = ARRAY_SIZE(server_keys),
        .size = sizeof(struct config_server),
        .check = check_server,
};

static const struct config_key log_keys[] = {
        {"target", CONFIG_STRING, FIELD(config_log, target), .check = log_target_is_valid,
         .fallback = "auto",
         .expected = "\"auto\", \"journal\", \"stderr\" or \"file:\" with an absolute path"},
        {"level", CONFIG_ENUM, FIELD(config_log, level), .parse = log_level_parse,
         .fallback = "info",
         .expected = "\"error\", \"warning\", \"info\", \"debug\" or \"trace\""},
};

static const struct config_table log_table = {
        .keys = log_keys,
        .n_keys = ARRAY_SIZE(log_keys),
        .size = sizeof(struct config_log),
};

static const struct config_key programs_keys[] = {
        {"max_running", CONFIG_INTEGER, FIELD(config_programs, max_running),
         .maximum = SPAWNER_RUNNING_MAX, .fallback = "256"},
        {"max_starts", CONFIG_INTEGER, FIELD(config_programs, max_starts), .minimum = 1,
         .maximum = SPAWNER_STARTS_MAX, .fallback = "500"},
};

static const struct config_table programs_table = {
        .keys = programs_keys,
        .n_keys = ARRAY_SIZE(programs_keys),
        .size = sizeof(struct config_programs),
};

/* Complains about each of the named keys that the listener has, as none fits its address. */
static void refuse_keys(struct config_reader *reader, const char *path,
                        const config_setting_t *group, const char *const *names,
                        const struct address *address, const char *fits) {
        char text[ADDRESS_TEXT_MAX];

        for (; *names; names++) {
                const config_setting_t *setting = config_setting_get_member(group, *names);

                if (setting)
                        config_reader_complain(reader, setting, path, *names,
                                               "only for %s, but the listener is on %s", fits,
                                               address_format(address, text));
        }
}

/* Whether what is sent to a group comes to a socket of the listener that has joined it: one on all
 * addresses, or on the group's. */
static bool fits_group(const struct config_listener *listener, const char *group) {
        const char *host = listener->address.host;
        bool is_six = strchr(group, ':') != NULL;

        if (strcmp(host, "*") == 0 || strcmp(host, group) == 0)
                return true;
        if (strcmp(host, "::") == 0)
                return is_six || !listener->v6only;
        return !is_six && strcmp(host, "0.0.0.0") == 0;
}

static bool is_repeated(char **groups, size_t i) {
        for (size_t j = 0; j < i; j++)
                if (strcmp(groups[j], groups[i]) == 0)
                        return true;
        return false;
}

static void check_groups(struct config_reader *reader, const char *path,
                         const config_setting_t *group, const struct config_listener *listener) {
        const config_setting_t *join = config_setting_get_member(group, "join");
        char text[ADDRESS_TEXT_MAX];

        if (listener->interface && !(listener->join && listener->join[0]))
                config_reader_complain(reader, config_setting_get_member(group, "interface"), path,
                                       "interface", "there is no join, which it is for");
        for (size_t i = 0; listener->join && listener->join[i]; i++) {
                if (!fits_group(listener, listener->join[i]))
                        config_reader_complain(
                                reader, join, path, "join",
                                "what is sent to \"%s\" does not come to %s; listen on all "
                                "addresses, as with udp://*:%u",
                                listener->join[i], address_format(&listener->address, text),
                                listener->address.port);
                if (is_repeated(listener->join, i))
                        config_reader_complain(reader, join, path, "join",
                                               "\"%s\" stands there twice", listener->join[i]);
        }
}

static void check_listener(struct config_reader *reader, const char *path,
                           const config_setting_t *group, void *target, bool is_whole) {
        static const char *const of_paths[] = {"mode", "owner", "group", NULL};
        static const char *const of_files[] = {"mode", "owner", NULL};
        static const char *const of_internet[] = {"allow", "deny", NULL};
        static const char *const of_tcp[] = {"nodelay", "keepalive", "tls",
                                             "max_connections_per_source", NULL};
        static const char *const of_streams[] = {"backlog", "max_connections",
                                                 "max_connections_per_uid", "idle_timeout", NULL};
        static const char *const of_byte_streams[] = {"accept_proxy", NULL};
        static const char *const of_udp[] = {"join", "interface", "cookie_lifetime", NULL};
        static const char *const of_datagrams[] = {"session_timeout", "max_sessions",
                                                   "max_sessions_per_source", NULL};
        static const char *const of_ipv6[] = {"v6only", NULL};
        struct config_listener *listener = target;
        const struct address *address = &listener->address;
        char text[ADDRESS_TEXT_MAX];

        listener->anonymous_is_given = config_setting_get_member(group, "anonymous") != NULL;
        if (*address->path == '\0' && *address->host == '\0')
                return; /* listen is missing or wrong */
        if (address->scheme == ADDRESS_TLS && !config_setting_get_member(group, "tls"))
                config_reader_complain(reader, config_setting_get_member(group, "listen"), path,
                                       "listen",
                                       "%s needs tls = { cert = \"...\"; key = \"...\"; }",
                                       address_format(address, text));
        /* With exec, group is the program's there. */
        if (!address_is_unix(address) || address->is_abstract)
                refuse_keys(reader, path, group,
                            listener->handler.exec.program.exec ? of_files : of_paths, address,
                            "Unix sockets with a path");
        if (address_is_unix(address))
                refuse_keys(reader, path, group, of_internet, address,
                            "tcp://, tls:// and udp:// listeners");
        if (address->scheme != ADDRESS_TCP && address->scheme != ADDRESS_TLS)
                refuse_keys(reader, path, group, of_tcp, address, "tcp:// and tls:// listeners");
        if (address->scheme != ADDRESS_UDP)
                refuse_keys(reader, path, group, of_udp, address, "udp:// listeners");
        if (address_is_datagram(address))
                refuse_keys(reader, path, group, of_streams, address,
                            "sockets that accept connections");
        else
                refuse_keys(reader, path, group, of_datagrams, address,
                            "udp:// and unix+dgram:// listeners");
        if (address_is_datagram(address) || address->scheme == ADDRESS_UNIX_SEQPACKET)
                refuse_keys(reader, path, group, of_byte_streams, address, "streams");
        if (!strchr(address->host, ':'))
                refuse_keys(reader, path, group, of_ipv6, address,
                            "IPv6 addresses, as in tcp://[::]:4222");
        check_groups(reader, path, group, listener);
        config_admission_check(reader, path, group, &listener->admission);
        config_handler_check(reader, path, group, listener);
}

static void release_listener(void *target) {
        struct config_listener *listener = target;

        listener->handler.made = config_handler_unref(listener->handler.made);
}

static const struct config_key rate_keys[] = {
        {"messages", CONFIG_INTEGER, FIELD(config_rate, messages), .maximum = 1000000000,
         .fallback = "0"},
        {"bytes", CONFIG_SIZE, FIELD(config_rate, bytes), .maximum = TIB, .fallback = "0"},
        {"burst", CONFIG_INTEGER, FIELD(config_rate, burst), .maximum = 1000000000,
         .fallback = "0"},
};

static void check_rate(struct config_reader *reader, const char *path,
                       const config_setting_t *group, void *target, bool is_whole) {
        const struct config_rate *rate = target;

        if (rate->burst > 0 && rate->messages == 0 && are_read(reader, group, "messages", "burst"))
                config_reader_complain(reader, config_setting_get_member(group, "burst"), path,
                                       "burst", "it is of messages, which have no limit here");
}

static const struct config_table rate_table = {
        .keys = rate_keys,
        .n_keys = ARRAY_SIZE(rate_keys),
        .size = sizeof(struct config_rate),
        .check = check_rate,
};

static const struct config_key listener_keys[] = {
        {"name", CONFIG_STRING, FIELD(config_listener, name), .is_required = true,
         .check = is_listener_name,
         .expected = "a name of at most 64 printable ASCII characters without blanks, dots, *, > "
                     "and :"},
        {"listen", CONFIG_ADDRESS, FIELD(config_listener, address), .is_required = true},
        {"mode", CONFIG_MODE, FIELD(config_listener, mode), .fallback = "0666"},
        {"owner", CONFIG_USER, FIELD(config_listener, owner)},
        {"group", CONFIG_GROUP, FIELD(config_listener, group)},
        {"backlog", CONFIG_INTEGER, FIELD(config_listener, backlog), .minimum = 1, .maximum = 65535,
         .fallback = "4096"},
        {"v6only", CONFIG_BOOL, FIELD(config_listener, v6only), .fallback = "false"},
        {"nodelay", CONFIG_BOOL, FIELD(config_listener, nodelay), .fallback = "true"},
        {"keepalive", CONFIG_BOOL, FIELD(config_listener, keepalive), .fallback = "true"},
        {"anonymous", CONFIG_BOOL, FIELD(config_listener, anonymous)},
        {"identify", CONFIG_BOOL, FIELD(config_listener, identify)},
        {"accept_proxy", CONFIG_BOOL, FIELD(config_listener, accept_proxy), .fallback = "false"},
        {"account", CONFIG_STRING, FIELD(config_listener, account),
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
        {"rate", CONFIG_TABLE, FIELD(config_listener, rate), .table = &rate_table},
        {"max_connections", CONFIG_INTEGER, FIELD(config_listener, admission.max_connections),
         .maximum = 16777216, .fallback = "0"},
        {"max_connections_per_source", CONFIG_INTEGER,
         FIELD(config_listener, admission.max_connections_per_source), .maximum = 16777216,
         .fallback = "0"},
        {"max_connections_per_uid", CONFIG_INTEGER,
         FIELD(config_listener, admission.max_connections_per_uid), .maximum = 16777216,
         .fallback = "0"},
        {"cps", CONFIG_TABLE, FIELD(config_listener, admission.cps),
         .table = &config_admission_cps},
        {"idle_timeout", CONFIG_DURATION, FIELD(config_listener, admission.idle_timeout_ms),
         .maximum = 365 * DAY, .fallback = "0s"},
        {"max_time", CONFIG_DURATION, FIELD(config_listener, admission.max_time_ms),
         .maximum = 365 * DAY, .fallback = "0s"},
        {"allow", CONFIG_OTHER, FIELD(config_listener, admission.access),
         .read = config_admission_read_allow, .release = config_admission_release_access},
        {"deny", CONFIG_OTHER, FIELD(config_listener, admission.access),
         .read = config_admission_read_deny, .release = config_admission_release_access},
        {"times", CONFIG_OTHER, FIELD(config_listener, admission.schedule),
         .read = config_admission_read_times, .release = config_admission_release_times},
        {"receive_buffer", CONFIG_SIZE, FIELD(config_listener, receive_buffer),
         .maximum = 1024 * MIB, .fallback = "0"},
        {"send_buffer", CONFIG_SIZE, FIELD(config_listener, send_buffer), .maximum = 1024 * MIB,
         .fallback = "0"},
        {"tls", CONFIG_TABLE, FIELD(config_listener, tls), .table = &config_keys_tls},
        {"join", CONFIG_STRINGS, FIELD(config_listener, join), .check = is_multicast_group,
         .expected = "a multicast group, such as \"239.1.2.3\" or \"ff05::123\""},
        {"interface", CONFIG_STRING, FIELD(config_listener, interface), .check = is_interface_name,
         .expected = "the name of a network interface, such as \"eth0\""},
        {"session_timeout", CONFIG_DURATION, FIELD(config_listener, session_timeout_ms),
         .minimum = 10, .maximum = DAY, .fallback = "30s"},
        {"cookie_lifetime", CONFIG_DURATION, FIELD(config_listener, cookie_lifetime_ms),
         .minimum = 10, .maximum = DAY, .fallback = "2m"},
        {"max_sessions", CONFIG_INTEGER, FIELD(config_listener, max_sessions), .minimum = 1,
         .maximum = 16777216, .fallback = "10000"},
        {"max_sessions_per_source", CONFIG_INTEGER, FIELD(config_listener, max_sessions_per_source),
         .minimum = 1, .maximum = 16777216, .fallback = "1000"},
        {"echo", CONFIG_BOOL, FIELD(config_listener, handler.echo), .fallback = "false"},
        {"discard", CONFIG_BOOL, FIELD(config_listener, handler.discard), .fallback = "false"},
        {"daytime", CONFIG_BOOL, FIELD(config_listener, handler.daytime), .fallback = "false"},
        {"time", CONFIG_BOOL, FIELD(config_listener, handler.time), .fallback = "false"},
        {"chargen", CONFIG_BOOL, FIELD(config_listener, handler.chargen), .fallback = "false"},
        {"publish", CONFIG_STRING, FIELD(config_listener, handler.gateway.publish),
         .expected = "a subject"},
        {"request", CONFIG_STRING, FIELD(config_listener, handler.gateway.request),
         .expected = "a subject"},
        {"subscribe", CONFIG_STRING, FIELD(config_listener, handler.gateway.subscribe),
         .expected = "a subject"},
        {"queue", CONFIG_STRING, FIELD(config_listener, handler.gateway.queue),
         .check = is_queue_name,
         .expected = "the name of a queue group, at most 64 printable ASCII characters without "
                     "blanks"},
        {"framing", CONFIG_ENUM, FIELD(config_listener, handler.gateway.framing),
         .parse = framing_parse, .expected = "\"line\", \"length32\", \"eof\" or \"datagram\""},
        {"max_line", CONFIG_SIZE, FIELD(config_listener, handler.gateway.max_line), .minimum = 1,
         .maximum = 64 * MIB},
        {"max_in_flight", CONFIG_INTEGER, FIELD(config_listener, handler.gateway.max_in_flight),
         .minimum = 1, .maximum = 65536},
        {"exec", CONFIG_STRINGS, FIELD(config_listener, handler.exec.program.exec),
         .expected = "a program and its arguments"},
        CONFIG_PROGRAM_COMMON_KEYS(config_listener, handler.exec.program),
        {"timeout", CONFIG_DURATION, FIELD(config_listener, handler.timeout_ms), .minimum = 10,
         .maximum = DAY},
        {"concurrency", CONFIG_INTEGER, FIELD(config_listener, handler.exec.concurrency),
         .minimum = 1, .maximum = CONFIG_EXEC_CONCURRENCY_MAX, .fallback = CONFIG_EXEC_CONCURRENCY},
        {"wait", CONFIG_BOOL, FIELD(config_listener, handler.exec.wait), .fallback = "false"},
        {"forward", CONFIG_OTHER, FIELD(config_listener, handler.forward),
         .read = config_forward_read, .release = config_forward_release},
        {"connect_timeout", CONFIG_DURATION,
         FIELD(config_listener, handler.forward.connect_timeout_ms), .minimum = 10, .maximum = HOUR,
         .fallback = "5s"},
        {"send_proxy", CONFIG_ENUM, FIELD(config_listener, handler.forward.send_proxy),
         .parse = proxy_version_parse, .expected = "\"v1\" or \"v2\""},
        {"forward_tls", CONFIG_TABLE, FIELD(config_listener, forward_tls),
         .table = &config_keys_forward_tls},
        {"resolve_interval", CONFIG_DURATION,
         FIELD(config_listener, handler.forward.resolve_interval_ms), .minimum = 100,
         .maximum = DAY, .fallback = "30s"},
};

const struct config_table config_keys_listener = {
        .keys = listener_keys,
        .n_keys = ARRAY_SIZE(listener_keys),
        .size = sizeof(struct config_listener),
        .check = check_listener,
        .release = release_listener,
};

static void refuse_both(struct config_reader *reader, const char *path,
                        const config_setting_t *group, const char *a, const char *b) {
        if (config_setting_get_member(group, a) && config_setting_get_member(group, b))
                config_reader_complain(reader, config_setting_get_member(group, b), path, b,
                                       "there is \"%s\" already, which means the same", a);
}

static void check_peer(struct config_reader *reader, const char *path,
                       const config_setting_t *group, void *target, bool is_whole) {
        const struct config_peer *peer = target;

        refuse_both(reader, path, group, "user", "uid");
        refuse_both(reader, path, group, "group", "gid");
        if (config_setting_length(group) == 0)
                config_reader_complain(reader, group, path, NULL,
                                       "found nothing, expected one or more of user, uid, group, "
                                       "gid, pid, exe, unit, user_unit and slice");
        if (peer->user_unit && peer->uid == (uid_t)-1 && are_read(reader, group, "user", "uid"))
                config_reader_complain(reader, config_setting_get_member(group, "user_unit"), path,
                                       "user_unit",
                                       "any user can name his units so; expected user or uid "
                                       "beside it");
}

/* The path of a file, in its plain form. */
static bool is_plain_path(const char *text) {
        size_t length = strlen(text);

        return text[0] == '/' && length > 1 && length < PATH_MAX && text[length - 1] != '/' &&
               !strstr(text, "//") && !strstr(text, "/./") && !strstr(text, "/../");
}

static bool is_unit(const char *text) {
        return cgroup_is_unit(bytes_from_string(text));
}

static bool is_slice(const char *text) {
        return cgroup_is_slice(bytes_from_string(text));
}

#define UNIT_EXPECTED                                                                              \
        "the name of a unit that has processes, which ends in .service, .scope, .socket, .mount "  \
        "or .swap and is no template, such as \"nginx.service\""

static const struct config_key peer_keys[] = {
        {"user", CONFIG_USER, FIELD(config_peer, uid)},
        {"uid", CONFIG_INTEGER, FIELD(config_peer, uid), .maximum = UINT32_MAX - 1},
        {"group", CONFIG_GROUP, FIELD(config_peer, gid)},
        {"gid", CONFIG_INTEGER, FIELD(config_peer, gid), .maximum = UINT32_MAX - 1},
        {"pid", CONFIG_INTEGER, FIELD(config_peer, pid), .minimum = 1, .maximum = PID_MAX},
        {"exe", CONFIG_STRING, FIELD(config_peer, exe), .check = is_plain_path,
         .expected = "the absolute path of a program, without . and .., such as "
                     "\"/usr/sbin/nginx\""},
        {"unit", CONFIG_STRING, FIELD(config_peer, unit), .check = is_unit,
         .expected = UNIT_EXPECTED},
        {"user_unit", CONFIG_STRING, FIELD(config_peer, user_unit), .check = is_unit,
         .expected = UNIT_EXPECTED},
        {"slice", CONFIG_STRING, FIELD(config_peer, slice), .check = is_slice,
         .expected = "the name of a slice, such as \"system.slice\""},
};

static const struct config_table peer_table = {
        .keys = peer_keys,
        .n_keys = ARRAY_SIZE(peer_keys),
        .size = sizeof(struct config_peer),
        .check = check_peer,
};

/* What a user can be known by. */
static const char *const proofs[] = {"peer",       "password", "password_file", "token",
                                     "token_file", "nkey",     "certificate"};

static void check_user(struct config_reader *reader, const char *path,
                       const config_setting_t *group, void *target, bool is_whole) {
        struct config_user *user = target;
        size_t n = 0;

        refuse_both(reader, path, group, "password", "password_file");
        refuse_both(reader, path, group, "token", "token_file");
        for (size_t i = 0; i < ARRAY_SIZE(proofs); i++)
                n += config_setting_get_member(group, proofs[i]) != NULL;
        if (n == 0)
                config_reader_complain(reader, group, path, NULL,
                                       "found nothing that a user can be known by, expected peer, "
                                       "password, password_file, token, token_file, nkey "
                                       "or certificate");
        user->has_peer = config_setting_get_member(group, "peer") != NULL;
        user->has_nkey = config_setting_get_member(group, "nkey") != NULL;
}

static bool is_certificate_name(const char *text) {
        size_t length = strlen(text);

        return length > 0 && length <= CERTIFICATE_NAME_MAX && text_is_printable(text, length);
}

static const struct config_key limits_keys[] = {
        {"connections", CONFIG_INTEGER, FIELD(config_limits, connections), .maximum = UINT32_MAX,
         .fallback = "0"},
        {"subscriptions", CONFIG_INTEGER, FIELD(config_limits, subscriptions),
         .maximum = UINT32_MAX, .fallback = "0"},
        {"payload", CONFIG_SIZE, FIELD(config_limits, payload), .maximum = 64 * MIB,
         .fallback = "0"},
        {"pending", CONFIG_SIZE, FIELD(config_limits, pending), .maximum = TIB, .fallback = "0"},
        {"rate", CONFIG_TABLE, FIELD(config_limits, rate), .table = &rate_table},
};

static const struct config_table limits_table = {
        .keys = limits_keys,
        .n_keys = ARRAY_SIZE(limits_keys),
        .size = sizeof(struct config_limits),
};

static bool is_user_name(const char *text) {
        return config_keys_is_name(text, USER_NAME_MAX, "");
}

static const struct config_key user_keys[] = {
        {"", CONFIG_ORIGIN, FIELD(config_user, origin)},
        {"name", CONFIG_STRING, FIELD(config_user, name), .is_required = true,
         .check = is_user_name,
         .expected = "a name of at most 64 printable ASCII characters without blanks"},
        {"peer", CONFIG_TABLE, FIELD(config_user, peer), .table = &peer_table},
        {"password", CONFIG_SECRET, FIELD(config_user, password)},
        {"password_file", CONFIG_SECRET_FILE, FIELD(config_user, password)},
        {"token", CONFIG_SECRET, FIELD(config_user, token)},
        {"token_file", CONFIG_SECRET_FILE, FIELD(config_user, token)},
        {"nkey", CONFIG_NKEY, FIELD(config_user, nkey)},
        {"role", CONFIG_ENUM, FIELD(config_user, role), .parse = role_parse,
         .expected = "\"admin\", \"monitor\" or \"none\""},
        {"certificate", CONFIG_STRING, FIELD(config_user, certificate),
         .check = is_certificate_name,
         .expected = "a name in a certificate, of at most 512 printable characters"},
        {"permissions", CONFIG_OTHER, FIELD(config_user, permissions),
         .read = config_permissions_read, .release = config_permissions_release},
        {"limits", CONFIG_TABLE, FIELD(config_user, limits), .table = &limits_table},
};

const struct config_table config_keys_user = {
        .keys = user_keys,
        .n_keys = ARRAY_SIZE(user_keys),
        .size = sizeof(struct config_user),
        .check = check_user,
};

/* Whether two listeners cannot both have this address. Port 0 is another port each time. */
static bool is_taken(const struct address *a, const struct address *b) {
        return address_is_equal(a, b) && (*a->path != '\0' || a->port != 0);
}

/* Complains about listeners that have the name or the address of an earlier one. */
static void check_listeners(struct config_reader *reader, const config_setting_t *group,
                            const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "listeners");
        char text[ADDRESS_TEXT_MAX];

        /* A list of the wrong length or type was not read at all. */
        if (!list || config->n_listeners != (size_t)config_setting_length(list))
                return;
        for (size_t i = 1; i < config->n_listeners; i++) {
                const struct config_listener *listener = &config->listeners[i], *other;
                const config_setting_t *setting = config_setting_get_elem(list, (unsigned)i);
                char name[32];

                snprintf(name, sizeof(name), "listeners[%zu]", i);
                for (other = config->listeners; other < listener; other++) {
                        if (listener->name && other->name &&
                            strcmp(listener->name, other->name) == 0)
                                config_reader_complain(
                                        reader, config_setting_get_member(setting, "name"), name,
                                        "name", "found \"%s\", which listeners[%zu] has already",
                                        listener->name, (size_t)(other - config->listeners));
                        if (is_taken(&listener->address, &other->address))
                                config_reader_complain(
                                        reader, config_setting_get_member(setting, "listen"), name,
                                        "listen", "found \"%s\", where listeners[%zu] is already",
                                        address_format(&listener->address, text),
                                        (size_t)(other - config->listeners));
                }
        }
}

static void check_config(struct config_reader *reader, const char *path,
                         const config_setting_t *group, void *target, bool is_whole) {
        reader->is_read = true;
        check_listeners(reader, group, target);
        config_loops_check(reader, group, target);
        config_accounts_check(reader, group, target);
        if (reader->error == 0)
                config_services_check(reader, group, target);
}

static const struct config_key top_keys[] = {
        {"server", CONFIG_TABLE, FIELD(config, server), .table = &server_table},
        {"log", CONFIG_TABLE, FIELD(config, log), .table = &log_table},
        {"programs", CONFIG_TABLE, FIELD(config, programs), .table = &programs_table},
        {"listeners", CONFIG_LIST, FIELD(config, listeners), .table = &config_keys_listener,
         .count_offset = offsetof(struct config, n_listeners), .minimum = 1,
         .maximum = LISTENERS_MAX, .expected = "from 1 to 1024 listeners"},
        {"users", CONFIG_LIST, FIELD(config, users), .table = &config_keys_user,
         .count_offset = offsetof(struct config, n_users), .maximum = CONFIG_USERS_MAX,
         .expected = "at most 4096 users"},
        {"default_permissions", CONFIG_OTHER, FIELD(config, default_permissions),
         .read = config_permissions_read, .release = config_permissions_release},
        {"accounts", CONFIG_LIST, FIELD(config, accounts), .table = &config_accounts_table,
         .count_offset = offsetof(struct config, n_accounts), .maximum = CONFIG_ACCOUNTS_MAX,
         .expected = "at most 1024 accounts"},
        {"system_account", CONFIG_STRING, FIELD(config, system_account),
         .check = config_accounts_is_name, .fallback = CONFIG_SYSTEM_ACCOUNT,
         .expected = CONFIG_ACCOUNT_EXPECTED},
        {"builtin_services", CONFIG_TABLE, FIELD(config, builtin_services),
         .table = &config_builtin_services_table},
        {"services", CONFIG_OTHER, FIELD(config, services), .read = config_services_read,
         .release = config_services_release},
        LATER("monitor"),
        LATER("leaf"),
};

const struct config_table config_keys = {
        .keys = top_keys,
        .n_keys = ARRAY_SIZE(top_keys),
        .size = sizeof(struct config),
        .check = check_config,
};
