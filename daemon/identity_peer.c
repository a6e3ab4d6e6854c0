/* The conditions of a rule. See identity_peer.h. */
#include "daemon/identity_peer.h"

#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/peer_facts.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

static bool wants_uid(const struct config_peer *rule) {
        return rule->uid != (uid_t)-1;
}

static bool wants_unit(const struct config_peer *rule) {
        return rule->unit || rule->user_unit || rule->slice;
}

/* What only the process that connected a Unix socket has. Of a datagram's the pid may have changed
 * hands. */
static bool wants_process(const struct config_peer *rule) {
        return rule->pid != 0 || rule->exe;
}

static bool process_fits(const struct config_peer *rule, const struct connection *connection) {
        if (!connection->peer.has_credentials)
                return false;
        return !connection->session && (rule->pid == 0 || rule->pid == connection->peer.pid);
}

static bool text_fits(const char *wanted, const char *known) {
        return !wanted || (known && strcmp(wanted, known) == 0);
}

/* Says why no rule with a program can fit, as it does where sockd may not look at others. */
static void complain_of_exe(const struct connection *connection, const struct peer_facts *facts) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 60000};

        if (facts->exe_error == EACCES || facts->exe_error == EPERM)
                log_limited(&limit, LOG_LEVEL_WARNING,
                            "cannot see the program of process %ld: %s; rules with exe need "
                            "CAP_SYS_PTRACE for the processes of others",
                            (long)connection->peer.pid, strerror(facts->exe_error));
}

static bool facts_fit(const struct config_peer *rule, struct connection *connection) {
        const struct peer_facts *facts = connection_facts(connection);

        if (!facts || !text_fits(rule->unit, facts->unit) ||
            !text_fits(rule->user_unit, facts->user_unit) || !text_fits(rule->slice, facts->slice))
                return false;
        if (!rule->exe || peer_facts_runs(facts, rule->exe))
                return true;
        complain_of_exe(connection, facts);
        return false;
}

bool identity_peer_fits(const struct config_peer *rule, struct connection *connection) {
        bool wants_group = rule->gid != (gid_t)-1;

        if (!wants_uid(rule) && !wants_group && !wants_process(rule) && !wants_unit(rule))
                return false;
        if (wants_process(rule) && !process_fits(rule, connection))
                return false;
        if (wants_group &&
            !(connection->peer.has_credentials && connection_has_group(connection, rule->gid)))
                return false;
        if (!connection_has_uid(connection) ||
            (wants_uid(rule) && rule->uid != connection->peer.uid))
                return false;
        return (!wants_unit(rule) && !rule->exe) || facts_fit(rule, connection);
}
