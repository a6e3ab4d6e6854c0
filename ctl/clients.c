/* clients: CONNZ for the list and for one client, KICK for its end. */
#include "ctl/clients.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/control.h"
#include "ctl/datagrams.h"
#include "ctl/details.h"
#include "ctl/reports.h"
#include "ctl/session.h"
#include "ctl/table.h"
#include "lib/units.h"

#define REQUEST_MS 5000

/* The last column says since when a client is silent, or why it has gone. */
#define CLIENT_COLUMNS(last)                                                                       \
        {.title = "ID", .is_right = true}, {.title = "NAME", .can_shrink = true},                  \
                {.title = "PEER", .can_shrink = true}, {.title = "USER", .can_shrink = true},      \
                {.title = "LISTENER", .can_shrink = true}, {.title = "SUBS", .is_right = true},    \
                {.title = "PENDING", .is_right = true}, {.title = "IN", .is_right = true},         \
                {.title = "OUT", .is_right = true}, last

static const struct table_column open_columns[] = {
        CLIENT_COLUMNS({.title = "IDLE"}),
};
static const struct table_column closed_columns[] = {
        CLIENT_COLUMNS({.title = "REASON"}),
};

static void add_peer(struct table *table, const json_t *client) {
        bool is_udp = json_object_get(client, "datagrams") && *report_text(client, "ip");
        const char *peer = report_text(client, "peer");

        if (strcmp(peer, "unix:") == 0 && report_number(client, "pid") > 0)
                table_add_format(table, "unix pid %" PRIu64, report_number(client, "pid"));
        else if (*peer)
                table_add_format(table, "%s%s", is_udp ? "udp " : "", peer);
        else
                table_add_format(table, "%s%s:%" PRIu64, is_udp ? "udp " : "",
                                 report_text(client, "ip"), report_number(client, "port"));
}

static void add_user(struct table *table, const json_t *client) {
        const char *user = report_text(client, "authorized_user");

        if (*user || !json_object_get(client, "uid"))
                table_add(table, user);
        else
                table_add_format(table, "uid %" PRIu64, report_number(client, "uid"));
}

static void add_client(struct table *table, const json_t *client, bool is_open_list) {
        table_add_format(table, "%" PRIu64, report_number(client, "cid"));
        table_add(table, *report_text(client, "name") ? report_text(client, "name")
                                                      : report_text(client, "lang"));
        add_peer(table, client);
        add_user(table, client);
        table_add(table, report_text(client, "listener"));
        table_add_count(table, report_number(client, "subscriptions"));
        table_add_size(table, report_number(client, "pending_bytes"));
        table_add_count(table, report_number(client, "in_msgs"));
        table_add_count(table, report_number(client, "out_msgs"));
        if (is_open_list)
                table_add(table, report_text(client, "idle"));
        else
                table_add(table,
                          json_object_get(client, "stop") ? report_text(client, "reason") : "open");
}

/* CONNZ has numbers for the states (protocol.md, 8.2). */
static int state_number(const char *state) {
        static const char *const names[] = {"open", "closed", "all"};

        for (int i = 0; state && i < 3; i++)
                if (strcmp(state, names[i]) == 0)
                        return i;
        return state ? -1 : 0;
}

/* Those of CONNZ (protocol.md, 9.3), which calls another one a failure of the server. */
static int check_sort(struct context *context) {
        static const char *const keys[] = {
                "cid",        "start", "subs", "pending", "msgs_to", "msgs_from", "bytes_to",
                "bytes_from", "last",  "idle", "uptime",  "rtt",     "stop",      "reason"};
        const char *sort = context->options->sort;

        if (!sort)
                return EXIT_DONE;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (strcmp(sort, keys[i]) == 0)
                        return EXIT_DONE;
        return context_fail(context, EXIT_USAGE,
                            "--sort \"%s\": cid, start, subs, pending, msgs_to, msgs_from, "
                            "bytes_to, bytes_from, last, idle, uptime, rtt, stop or reason was "
                            "expected",
                            sort);
}

static int check_list(struct context *context) {
        int code = check_sort(context);

        if (code == EXIT_DONE && state_number(context->options->state) < 0)
                code = context_fail(context, EXIT_USAGE,
                                    "--state \"%s\": open, closed or all was expected",
                                    context->options->state);
        return code;
}

static int list_clients(struct context *context) {
        struct table open = TABLE_INIT(open_columns), closed = TABLE_INIT(closed_columns);
        int state = state_number(context->options->state);
        json_t *data, *client, *options;
        size_t i;
        int code;

        code = check_list(context);
        if (code == EXIT_DONE)
                code = session_open(context);
        if (code)
                return code;
        options = json_pack("{s:b,s:i,s:s*}", "auth", 1, "state", state, "sort",
                            context->options->sort);
        code = control_request_list(context, "PING.CONNZ", options, "connections", &data);
        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        json_array_foreach(json_object_get(data, "connections"), i, client)
                add_client(state == 0 ? &open : &closed, client, state == 0);
        code = report_table(context, state == 0 ? &open : &closed, "client");
        if (code == EXIT_DONE)
                code = datagrams_print(context, json_object_get(data, "connections"), "cid",
                                       "session");
        json_decref(data);
        return code;
}

static bool parse_id(const char *text, uint64_t *idp) {
        char *end;

        errno = 0;
        *idp = text && text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
        return *idp > 0 && *idp <= INT64_MAX && errno == 0 && !*end;
}

static int show_client(struct context *context, uint64_t id) {
        json_t *data, *client, *options;
        int code;

        options = json_pack("{s:I,s:b,s:b,s:i}", "cid", (json_int_t)id, "auth", 1, "subscriptions",
                            1, "state", 2);
        code = control_request(context, "PING.CONNZ", options, REQUEST_MS, &data);
        if (code)
                return code;
        client = json_incref(json_array_get(json_object_get(data, "connections"), 0));
        json_decref(data);
        if (!client)
                return context_fail(context, EXIT_NOT_FOUND,
                                    "no client %" PRIu64 "; `sockctl clients` lists them", id);
        if (context->options->json)
                return context_print_json(context, client);
        code = details_print(context, client);
        json_decref(client);
        return code;
}

static int kick_client(struct context *context, uint64_t id) {
        json_t *options = json_pack("{s:I}", "cid", (json_int_t)id);
        int code = control_request(context, "ID.KICK", options, REQUEST_MS, NULL);

        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, json_pack("{s:I}", "kicked", (json_int_t)id));
        return context_say(context, "client %" PRIu64 " is disconnected", id);
}

int clients_run(struct context *context) {
        const char *action = context_argument(context, 0);
        uint64_t id;
        int code;

        if (!action)
                return list_clients(context);
        if (strcmp(action, "show") != 0 && strcmp(action, "kick") != 0)
                return context_fail(context, EXIT_USAGE,
                                    "clients \"%s\": show ID or kick ID was expected", action);
        if (!parse_id(context_argument(context, 1), &id))
                return context_fail(context, EXIT_USAGE,
                                    "clients %s: the number of a client was expected, as "
                                    "`sockctl clients` shows it",
                                    action);
        code = session_open(context);
        if (code)
                return code;
        return strcmp(action, "show") == 0 ? show_client(context, id) : kick_client(context, id);
}
