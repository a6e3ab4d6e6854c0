/* Finding the daemon, and explaining why it was not found.
 *
 * People meet three failures: the daemon does not run, its socket does not admit them, it does not
 * grant what they ask. Each has a line of its own that says what to do.
 */
#include "ctl/session.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/login.h"
#include "lib/address.h"

#define CONNECT_MS     5000
#define LEAST_MS       1000 /* a short --timeout means the answer, not the way there */
#define SYSTEM_PATH    RUNSTATEDIR "/sockd/sockd.sock"
#define SYSTEM_ADDRESS "unix://" SYSTEM_PATH

static bool is_unix_path(const char *address,
                         char path[static sizeof(((struct address *)0)->path)]) {
        struct address parsed;
        const char *reason;

        if (address_parse(&parsed, address, &reason) < 0 || !address_is_unix(&parsed) ||
            parsed.is_abstract)
                return false;
        strcpy(path, parsed.path);
        return true;
}

static int fail_permission(struct context *context, const char *address) {
        char path[sizeof(((struct address *)0)->path)];
        const struct group *group = NULL;
        struct stat status;

        if (is_unix_path(address, path) && stat(path, &status) == 0 && (status.st_mode & S_IWGRP) &&
            status.st_gid != 0)
                group = getgrgid(status.st_gid);
        if (group)
                return context_fail(context, EXIT_PERMISSION,
                                    "%s: no permission; run it as root or as a member of the group "
                                    "\"%s\"",
                                    address, group->gr_name);
        return context_fail(context, EXIT_PERMISSION, "%s: no permission; run it as root", address);
}

static bool is_absent(int result) {
        return result == -ENOENT || result == -ECONNREFUSED || result == -ENOTDIR;
}

static int fail_absent(struct context *context, const char *address, const char *path) {
        struct stat status;

        if (stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
                return context_fail(context, context->unreachable_code,
                                    "no daemon at %s: that is no socket", address);
        if (strcmp(path, SYSTEM_PATH) == 0)
                return context_fail(context, context->unreachable_code,
                                    "no daemon at %s: not running; start it with: "
                                    "systemctl start sockd",
                                    address);
        return context_fail(context, context->unreachable_code,
                            "no daemon at %s: not running, or listening elsewhere; see: "
                            "systemctl status sockd",
                            address);
}

/* What else may be if nobody answers. */
static const char *why_silent(const char *address) {
        struct address parsed;
        const char *reason;

        if (address_parse(&parsed, address, &reason) < 0 || !address_is_datagram(&parsed))
                return "or it is no NATS server";
        return address_is_unix(&parsed) ? "or it is in another network namespace"
                                        : "or datagrams are lost on the way";
}

/* A server that waits for TLS says nothing, and closes in the end. */
static const char *hint_at_tls(const struct context *context, const char *address) {
        if (context->options->tls_first || strncmp(address, "tls://", strlen("tls://")) != 0)
                return "";
        return "; if TLS comes first there, use --tls-first";
}

int session_fail_connect(struct context *context, int result, const char *address,
                         const char *reason) {
        char path[sizeof(((struct address *)0)->path)];

        if (result == -EACCES || result == -EPERM)
                return fail_permission(context, address);
        if (result == SOCKD_DENIED)
                return context_fail(context, EXIT_PERMISSION, "%s: %s", address, reason);
        if (result == -EINVAL)
                return context_fail(context, EXIT_USAGE, "%s", reason);
        if (result == -EPROTONOSUPPORT || result == -ENOMEM)
                return context_fail(context, EXIT_FAILED, "%s", reason);
        if (result == SOCKD_TLS)
                return context_fail(context, EXIT_FAILED, "%s: %s%s", address, reason,
                                    context->options->ca ? "" : "; --ca names other authorities");
        if (result == SOCKD_TIMEOUT)
                return context_fail(context, EXIT_TIMEOUT,
                                    "%s: no answer in time; the daemon there hangs, %s; --timeout "
                                    "waits longer%s",
                                    address, why_silent(address), hint_at_tls(context, address));
        if (strstr(reason, "maximum connections exceeded"))
                return context_fail(context, EXIT_FAILED,
                                    "the daemon at %s is full: its max_connections are reached",
                                    address);
        if (is_absent(result) && is_unix_path(address, path))
                return fail_absent(context, address, path);
        if (result == -EPROTOTYPE)
                return context_fail(context, context->unreachable_code,
                                    "no daemon at %s: that socket is of another type: unix://, "
                                    "unix+dgram:// or unix+seqpacket://",
                                    address);
        if (result == -ECONNREFUSED)
                return context_fail(context, context->unreachable_code,
                                    "no daemon at %s: nothing listens there; see the listeners of "
                                    "its configuration",
                                    address);
        if (strncmp(reason, address, strlen(address)) == 0)
                return context_fail(context, context->unreachable_code, "no daemon at %s", reason);
        return context_fail(context, context->unreachable_code, "no daemon at %s: %s%s", address,
                            reason, hint_at_tls(context, address));
}

static int attempt(struct context *context, const char *address) {
        int timeout_ms = context_timeout(context, CONNECT_MS);

        context_tell(context, "connecting to %s", address);
        return sockd_connect(context->connection, address,
                             timeout_ms < LEAST_MS ? LEAST_MS : timeout_ms);
}

/* The user's own daemon is asked when the system's is not there. */
static int attempt_defaults(struct context *context, const char **addressp) {
        static char user_address[ADDRESS_TEXT_MAX];
        const char *directory = getenv("XDG_RUNTIME_DIR");
        int result, second;

        *addressp = SYSTEM_ADDRESS;
        result = attempt(context, SYSTEM_ADDRESS);
        if (!is_absent(result) || !directory || directory[0] != '/')
                return result;
        if ((size_t)snprintf(user_address, sizeof(user_address), "unix://%s/sockd/sockd.sock",
                             directory) >= sizeof(user_address))
                return result;
        second = attempt(context, user_address);
        if (is_absent(second) || second == -EINVAL)
                return result;
        *addressp = user_address;
        return second;
}

/* Connects to the address of the options or the environment, if there is one, or to another that is
 * then in *addressp. */
static int connect_somewhere(struct context *context, const char **addressp) {
        const char *address = context->options->server;

        if (!address)
                address = getenv("SOCKD_URL");
        *addressp = address;
        return address && *address ? attempt(context, address)
                                   : attempt_defaults(context, addressp);
}

int session_open(struct context *context) {
        const char *address = NULL;
        struct login login;
        int code, result = 0;

        if (context->options->key && !context->options->cert)
                return context_fail(context, EXIT_USAGE, "--key: there is no --cert");
        if (sockd_new(&context->connection) < 0 ||
            sockd_set_name(context->connection, "sockctl") < 0 ||
            sockd_set_tls(context->connection, context->options->ca, context->options->cert,
                          context->options->key) < 0)
                return context_fail(context, EXIT_FAILED, "out of memory");
        sockd_set_tls_first(context->connection, context->options->tls_first);
        code = login_prepare(&login, context);
        if (code == EXIT_DONE)
                result = connect_somewhere(context, &address);
        login_deinit(&login, context);
        if (code)
                return code;
        if (result)
                return session_fail_connect(context, result, address,
                                            *sockd_error_text(context->connection)
                                                    ? sockd_error_text(context->connection)
                                                    : sockd_result_text(result));
        context_tell(context, "connected to %s %s", sockd_server_name(context->connection),
                     sockd_server_version(context->connection));
        return EXIT_DONE;
}

static bool is_control(const char *subject) {
        return subject && strncmp(subject, "$SYS.REQ.", 9) == 0;
}

/* The daemon hears nobody on its control subjects who has no role at all. */
static int fail_role(struct context *context) {
        return context_fail(context, EXIT_PERMISSION,
                            "\"%s\" needs a role over TCP and UDP, which \"users\" in "
                            "sockd.conf can give; \"sockctl access whoami\" tells who you are",
                            context->verb);
}

/* The daemon names one inbox, which is another one each time. */
static int fail_denied(struct context *context) {
        const char *denial = sockd_error_text(context->connection);

        if (strstr(denial, "Subscription to \"_INBOX."))
                return context_fail(context, EXIT_PERMISSION,
                                    "answers need the permission to subscribe to \"_INBOX.>\"; "
                                    "ask for it in sockd.conf");
        return context_fail(context, EXIT_PERMISSION, "%s; ask for this permission in sockd.conf",
                            denial);
}

int session_fail(struct context *context, int result, const char *subject) {
        const char *about = subject ? subject : context->verb;

        switch (result) {
        case SOCKD_DENIED:
                return fail_denied(context);
        case SOCKD_NO_RESPONDERS:
                if (is_control(subject))
                        return fail_role(context);
                return context_fail(context, EXIT_NOT_FOUND,
                                    "nobody answers on \"%s\": no service has subscribed to it",
                                    about);
        case SOCKD_TIMEOUT:
                return context_fail(context, EXIT_TIMEOUT,
                                    "\"%s\": no answer in time; --timeout waits longer", about);
        case SOCKD_TOO_LARGE:
                return context_fail(context, EXIT_FAILED,
                                    "\"%s\": the payload is too large: %s; see max_payload in "
                                    "sockd.conf",
                                    about, sockd_error_text(context->connection));
        case SOCKD_CLOSED:
                return context_fail(context, context->unreachable_code,
                                    "the daemon closed the connection");
        case -ECONNREFUSED:
        case -ENOTCONN:
        case -ENOENT:
        case -EHOSTUNREACH:
        case -ENETUNREACH:
                return context_fail(context, context->unreachable_code,
                                    "\"%s\": no daemon there any more: %s", about,
                                    sockd_error_text(context->connection));
        case -EINVAL:
                return context_fail(context, EXIT_USAGE, "\"%s\" is no valid subject", about);
        case SOCKD_REFUSED:
                return context_fail(context, EXIT_FAILED, "\"%s\": the daemon says: %s", about,
                                    sockd_error_text(context->connection));
        default:
                return context_fail(context, EXIT_FAILED, "%s",
                                    *sockd_error_text(context->connection)
                                            ? sockd_error_text(context->connection)
                                            : sockd_result_text(result));
        }
}
