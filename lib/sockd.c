/* The handle of libsockd: its settings, the login, what the server said of itself.
 *
 * Everything is set up before sockd_connect() returns: INFO was read, CONNECT and PING were sent,
 * PONG came; without a connection, sockd_session.c does the same. From then on the handle only
 * moves messages (sockd_messaging.c).
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/protocol.h"

#define DEFAULT_MAX_PAYLOAD 1048576
/* With a PING the first datagram has some 200 bytes, for three times as many in the answer. */
#define PADDED 200

int sockd_new(struct sockd **sockdp) {
        struct sockd *sockd = calloc(1, sizeof(*sockd));

        if (!sockd)
                return -ENOMEM;
        sockd->descriptor = sockd->session.waiter = sockd->session.timer = -1;
        sockd->failure = -ENOTCONN;
        sockd->input = malloc(SOCKD_INPUT_SIZE);
        sockd->input_size = SOCKD_INPUT_SIZE;
        sockd->output = malloc(SOCKD_OUTPUT_SIZE);
        sockd->output_size = SOCKD_OUTPUT_SIZE;
        if (!sockd->input || !sockd->output) {
                sockd_free(sockd);
                return -ENOMEM;
        }
        *sockdp = sockd;
        return 0;
}

/* Frees a text that may be a secret, or have one in it. */
static void wipe(char *text) {
        if (text)
                explicit_bzero(text, strlen(text));
        free(text);
}

struct sockd *sockd_free(struct sockd *sockd) {
        if (!sockd)
                return NULL;
        sockd_close(sockd);
        free(sockd->input);
        free(sockd->output);
        wipe(sockd->name);
        wipe(sockd->user);
        wipe(sockd->password);
        wipe(sockd->token);
        wipe(sockd->nkey);
        free(sockd->ca);
        free(sockd->certificate);
        free(sockd->key);
        free(sockd);
        return NULL;
}

void sockd_close(struct sockd *sockd) {
        if (sockd->session.n_subscriptions > 0)
                sockd_session_end(sockd);
        sockd_tls_deinit(sockd);
        if (sockd->descriptor >= 0)
                close(sockd->descriptor);
        sockd->descriptor = -1;
        sockd_session_deinit(sockd);
        sockd->server.length = 0;
        sockd->failure = -ENOTCONN;
        sockd->lost_ms = 0;
        sockd->is_deaf = false;
        sockd->start = sockd->scan = sockd->end = sockd->n_answered = 0;
        sockd->n_output = sockd->n_reserved = 0;
        sockd->connect_level = SOCKD_CONNECT_NONE;
        sockd->is_drained = true;
        json_decref(sockd->info);
        sockd->info = NULL;
        sockd->max_payload = 0;
        sockd->n_subscriptions = sockd->inbox = sockd->n_requests = 0;
        sockd->n_pings = sockd->n_pongs = 0;
}

int sockd_fail(struct sockd *sockd, int result, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(sockd->error, sizeof(sockd->error), format, arguments);
        va_end(arguments);
        if (result < 0 || result == SOCKD_CLOSED || result == SOCKD_VIOLATION ||
            result == SOCKD_TLS)
                sockd->failure = result;
        return result;
}

static int replace_text(char **textp, const char *text) {
        char *copy = NULL;

        if (text) {
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        wipe(*textp);
        *textp = copy;
        return 0;
}

int sockd_set_name(struct sockd *sockd, const char *name) {
        return replace_text(&sockd->name, name);
}

int sockd_set_login(struct sockd *sockd, const char *user, const char *password) {
        int result = replace_text(&sockd->user, user);

        return result ? result : replace_text(&sockd->password, password);
}

int sockd_set_token(struct sockd *sockd, const char *token) {
        return replace_text(&sockd->token, token);
}

int sockd_set_nkey(struct sockd *sockd, const char *public_key, sockd_sign_fn *sign,
                   void *context) {
        sockd->sign = sign;
        sockd->sign_context = context;
        return replace_text(&sockd->nkey, public_key);
}

int sockd_set_tls(struct sockd *sockd, const char *ca, const char *certificate, const char *key) {
        int result = replace_text(&sockd->ca, ca);

        if (result == 0)
                result = replace_text(&sockd->certificate, certificate);
        return result ? result : replace_text(&sockd->key, key);
}

void sockd_set_tls_first(struct sockd *sockd, bool is_first) {
        sockd->is_tls_first = is_first;
}

/* Whom a server answers by datagrams may be told less than before, for want of room. */
static void keep_identity(const struct sockd *sockd, json_t *info) {
        if (sockd->transport->is_connectionless && !json_object_get(info, "server_id"))
                (void)json_object_update_missing(info, sockd->info);
}

/* A complete INFO replaces the earlier one (protocol.md, 2.3). */
static int take_info(struct sockd *sockd, const char *text, size_t n) {
        json_int_t max_payload;
        json_t *info = json_loadb(text, n, 0, NULL);

        if (!json_is_object(info)) {
                json_decref(info);
                return sockd_fail(sockd, SOCKD_VIOLATION, "the server's INFO is no JSON object");
        }
        keep_identity(sockd, info);
        json_decref(sockd->info);
        sockd->info = info;
        max_payload = json_integer_value(json_object_get(info, "max_payload"));
        if (max_payload <= 0)
                max_payload = DEFAULT_MAX_PAYLOAD;
        sockd->max_payload =
                max_payload < SOCKD_PAYLOAD_MAX ? (size_t)max_payload : SOCKD_PAYLOAD_MAX;
        return 0;
}

/* A login or a permission that was refused, as opposed to all other errors (protocol.md, 4.4). */
static bool is_denial(const char *text) {
        static const char *const denials[] = {
                "permissions violation", "authorization violation", "authentication timeout",
                "user authentication",   "account authentication",
        };

        for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
                if (strncasecmp(text, denials[i], strlen(denials[i])) == 0)
                        return true;
        return false;
}

/* The answer leaves with the output, at the latest before anything is waited for. When that has no
 * room, the server has pinged thousands of times in one breath, and one answer fewer will do. */
static void answer_ping(struct sockd *sockd) {
        static const char pong[] = {'P', 'O', 'N', 'G', '\r', '\n'};

        if (sockd->output_size - sockd->n_output < sizeof(pong))
                return;
        memcpy(sockd->output + sockd->n_output, pong, sizeof(pong));
        sockd->n_output += sizeof(pong);
}

static int take_error(struct sockd *sockd, const char *text, size_t n) {
        if (sockd->transport->is_connectionless && n == strlen(ERROR_COOKIE) &&
            strncasecmp(text, ERROR_COOKIE, n) == 0) {
                sockd_session_refused(sockd);
                return 0;
        }
        sockd_fail(sockd, SOCKD_REFUSED, "%.*s",
                   n < sizeof(sockd->error) ? (int)n : (int)sizeof(sockd->error), text);
        return is_denial(sockd->error) ? SOCKD_DENIED : SOCKD_REFUSED;
}

int sockd_handle(struct sockd *sockd, const struct sockd_operation *operation) {
        switch (operation->type) {
        case SOCKD_OPERATION_PING:
                answer_ping(sockd);
                return 0;
        case SOCKD_OPERATION_PONG:
                sockd->n_pongs++;
                return 0;
        case SOCKD_OPERATION_INFO:
                return take_info(sockd, operation->text, operation->n_text);
        case SOCKD_OPERATION_ERROR:
                return take_error(sockd, operation->text, operation->n_text);
        case SOCKD_OPERATION_OK:
        case SOCKD_OPERATION_MESSAGE:
                return 0;
        }
        return 0;
}

static const char *info_text(const struct sockd *sockd, const char *name) {
        return json_string_value(json_object_get(sockd->info, name));
}

/* Adds a member whose text is known or NULL. */
static bool set_member(json_t *object, const char *name, const char *text) {
        return !text || json_object_set_new(object, name, json_string(text)) == 0;
}

static json_t *make_connect(const struct sockd *sockd, bool with_cookie) {
        /* By datagrams only sockd is spoken to, which may not have said so yet. */
        bool has_headers = sockd->transport->is_connectionless ||
                           json_is_true(json_object_get(sockd->info, "headers"));
        json_t *connect = json_pack("{s:b,s:b,s:b,s:b,s:i,s:s,s:s}", "verbose", 0, "pedantic", 0,
                                    "headers", has_headers, "no_responders", has_headers,
                                    "protocol", 1, "lang", "c-sockd", "version", PACKAGE_VERSION);

        if (connect && set_member(connect, "name", sockd->name) &&
            set_member(connect, "user", sockd->user) &&
            set_member(connect, "pass", sockd->password) &&
            set_member(connect, "auth_token", sockd->token) &&
            set_member(connect, "cookie", with_cookie ? info_text(sockd, "cookie") : NULL) &&
            set_member(connect, "nkey", sockd->nkey) &&
            set_member(connect, "sig", sockd->nkey ? sockd->signature : NULL))
                return connect;
        json_decref(connect);
        return NULL;
}

char *sockd_connect_line(const struct sockd *sockd, bool with_cookie, bool is_padded) {
        json_t *connect = make_connect(sockd, with_cookie);
        char *text = connect ? json_dumps(connect, JSON_COMPACT) : NULL, *line = NULL;

        json_decref(connect);
        if (!text || asprintf(&line, "CONNECT %-*s\r\n", is_padded ? PADDED : 0, text) < 0)
                line = NULL;
        wipe(text);
        return line;
}

void sockd_connect_line_free(char *line) {
        wipe(line);
}

int sockd_put_greeting(struct sockd *sockd, bool with_cookie, bool is_padded) {
        char *line = sockd_connect_line(sockd, with_cookie, is_padded);
        size_t n_line = line ? strlen(line) : 0;
        int result;

        if (!line)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        result = sockd_output_begin(sockd, SOCKD_KIND_CONTROL, n_line + SOCKD_PING_LENGTH);
        if (result == 0)
                result = sockd_output_append(sockd, line, n_line);
        sockd_connect_line_free(line);
        return result ? result : sockd_put_ping(sockd);
}

static int send_connect(struct sockd *sockd) {
        int result = sockd_put_greeting(sockd, false, false);

        return result ? result : sockd_output_send(sockd);
}

/* Proves the nkey, if there is one, to a server that has given a nonce. */
static int sign(struct sockd *sockd) {
        const char *nonce = info_text(sockd, "nonce");
        int result;

        if (!sockd->nkey)
                return 0;
        if (!nonce)
                return sockd_fail(sockd, -EPROTONOSUPPORT, "the server knows no nkeys");
        result = sockd->sign(sockd->sign_context, nonce, strlen(nonce), sockd->signature,
                             sizeof(sockd->signature));
        return result ? sockd_fail(sockd, result, "the server's nonce cannot be signed: %s",
                                   sockd_result_text(result))
                      : 0;
}

static int greet(struct sockd *sockd, int64_t deadline_ms) {
        struct sockd_operation operation;
        int result = 0;

        if (sockd->wants_tls && sockd->is_tls_first)
                result = sockd_tls_begin(sockd, deadline_ms);
        if (result == 0)
                result = sockd_scan(sockd, &operation, deadline_ms);
        if (result)
                return result;
        if (operation.type != SOCKD_OPERATION_INFO)
                return sockd_fail(sockd, SOCKD_VIOLATION, "the server did not begin with INFO");
        if (!sockd->tls)
                result = sockd_tls_check_info(sockd);
        if (result == 0 && !sockd->tls && sockd->wants_tls)
                result = sockd_tls_begin(sockd, deadline_ms);
        if (result == 0)
                result = sign(sockd);
        if (result == 0)
                result = send_connect(sockd);
        while (result == 0 && sockd->n_pongs == 0) {
                result = sockd_scan(sockd, &operation, deadline_ms);
                if (result == 0 && operation.type == SOCKD_OPERATION_MESSAGE)
                        return sockd_fail(sockd, SOCKD_VIOLATION,
                                          "the server sent a message before the first PONG");
        }
        return result;
}

/* Logs in on the descriptor, and gives up the connection if that fails; the reason stays. */
static int begin(struct sockd *sockd, int64_t deadline_ms) {
        int result;

        sockd->failure = 0;
        result = sockd->transport->is_connectionless ? sockd_session_init(sockd) : 0;
        if (result)
                sockd_fail(sockd, result, "%s", strerror(-result));
        else if (sockd->transport->is_connectionless && sockd->nkey)
                result = sockd_fail(sockd, -EPROTONOSUPPORT, "an nkey needs a connection");
        else if (sockd->transport->is_connectionless)
                result = sockd_session_greet(sockd, deadline_ms);
        else
                result = greet(sockd, deadline_ms);
        if (result == SOCKD_TIMEOUT)
                sockd_fail(sockd, result, "no answer of a NATS server in time");
        if (result)
                sockd_close(sockd);
        return result;
}

static int try_address(struct sockd *sockd, const char *text, const struct address_socket *address,
                       int64_t deadline_ms, bool *is_finalp) {
        int result = sockd_socket_open(sockd, address, deadline_ms);

        *is_finalp = result == SOCKD_TIMEOUT;
        if (result)
                return sockd_fail(sockd, result, "%s: %s", text,
                                  result < 0 ? strerror(-result) : "no answer in time");
        /* Without connections, that nobody is there shows when something is said. */
        result = begin(sockd, deadline_ms);
        *is_finalp = result >= 0 || !sockd->transport->is_connectionless;
        return result;
}

int sockd_connect(struct sockd *sockd, const char *address, int timeout_ms) {
        int64_t deadline_ms = sockd_deadline(timeout_ms);
        struct address_socket *sockets;
        bool is_final = false;
        size_t n;
        int result;

        sockd_close(sockd);
        sockd->error[0] = '\0';
        result = sockd_socket_resolve(sockd, address, &sockets, &n);
        if (result)
                return result;
        /* In the resolver's order, until one answers; else the failure of the last one is told. */
        result = -EADDRNOTAVAIL;
        for (size_t i = 0; !is_final && i < n; i++)
                result = try_address(sockd, address, &sockets[i], deadline_ms, &is_final);
        free(sockets);
        return result;
}

int sockd_connect_descriptor(struct sockd *sockd, int descriptor, int timeout_ms) {
        int result;

        sockd_close(sockd);
        sockd->error[0] = '\0';
        sockd->wants_tls = false;
        sockd->host[0] = '\0';
        result = sockd_socket_adopt(sockd, descriptor);
        if (result) {
                sockd_fail(sockd, result, "%s", strerror(-result));
                sockd_close(sockd);
                return result;
        }
        return begin(sockd, sockd_deadline(timeout_ms));
}

int sockd_descriptor(const struct sockd *sockd) {
        return sockd->session.waiter >= 0 ? sockd->session.waiter : sockd->descriptor;
}

static const char *or_empty(const char *text) {
        return text ? text : "";
}

const char *sockd_server_id(const struct sockd *sockd) {
        return or_empty(info_text(sockd, "server_id"));
}

const char *sockd_server_name(const struct sockd *sockd) {
        return or_empty(info_text(sockd, "server_name"));
}

const char *sockd_server_version(const struct sockd *sockd) {
        return or_empty(info_text(sockd, "version"));
}

const char *sockd_server_sockd_version(const struct sockd *sockd) {
        return or_empty(info_text(sockd, "sockd_version"));
}

uint64_t sockd_client_id(const struct sockd *sockd) {
        return (uint64_t)json_integer_value(json_object_get(sockd->info, "client_id"));
}

size_t sockd_max_payload(const struct sockd *sockd) {
        return sockd->max_payload;
}

bool sockd_is_lame_duck(const struct sockd *sockd) {
        return json_is_true(json_object_get(sockd->info, "ldm"));
}

const char *sockd_error_text(const struct sockd *sockd) {
        return sockd->error;
}

const char *sockd_result_text(int result) {
        const char *text;

        switch (result) {
        case SOCKD_DONE:
                return "done";
        case SOCKD_TIMEOUT:
                return "no answer in time";
        case SOCKD_NO_RESPONDERS:
                return "nobody answers on that subject";
        case SOCKD_DENIED:
                return "permission denied by the server";
        case SOCKD_REFUSED:
                return "refused by the server";
        case SOCKD_CLOSED:
                return "the server closed the connection";
        case SOCKD_TOO_LARGE:
                return "larger than the server takes";
        case SOCKD_VIOLATION:
                return "the server does not speak the NATS protocol";
        case SOCKD_TLS:
                return "TLS with the server failed";
        default:
                text = result < 0 ? strerrordesc_np(-result) : NULL;
                return text ? text : "unknown result";
        }
}
