/* What the daemon is doing, as JSON in the words of protocol.md, sections 8 and 9.
 *
 * Functions that take a worker run in its thread, the others in the server's.
 */
#pragma once

#include "daemon/closed_log.h"
#include "daemon/server.h"

#include <jansson.h>

/* The `server` object of every answer, and of what is told unasked. Any thread. */
json_t *report_server(struct instance *instance);

/* An object as the payload of a message, with CR LF behind it, which the caller frees; NULL if
 * there is no memory. Any thread. */
char *report_payload(const json_t *object, size_t *lengthp);

/* VARZ, STATSZ (the inner object), LISTENERZ. */
json_t *report_varz(struct server *server);
json_t *report_statsz(struct server *server);
json_t *report_listeners(struct server *server);

/* One connection of CONNZ. details: with the list of its subjects, and with what the kernel has to
 * be asked for about its process. */
json_t *report_connection(struct connection *connection, bool details);
/* The same of who asks about himself, without the list: anyone may, and as often as he likes. */
json_t *report_asker(struct connection *connection);
json_t *report_closed(const struct closed_connection *closed);

/* One subscription of SUBSZ. */
json_t *report_subscription(const struct connection *connection,
                            const struct subscription *subscription, struct bytes subject);

/* The subject of a subscription, in memory that the caller frees. */
char *report_subject(const struct subscription *subscription, size_t *lengthp);

/* What everybody may know of the server. Any thread. */
json_t *report_info(struct instance *instance);

/* What is shown of a service. The server's thread. */
struct service;
json_t *report_service(struct service *service);

/* A time, in nanoseconds of the real clock, and that of the moment: RFC 3339. Any thread. */
json_t *report_time(uint64_t ns);
json_t *report_now(void);

/* Text from outside as a JSON string; what is not UTF-8 becomes U+FFFD. Any thread. */
json_t *report_text(const char *text);

/* ACCOUNTZ: the accounts, or one of them, NULL if there is none of that name. */
json_t *report_accounts(struct server *server);
json_t *report_account(struct server *server, const char *name);
