/* The services that sockd answers by itself: sockd.echo gives the payload back, sockd.time tells
 * the time, and sockd.info the server's name, version and age.
 *
 * They answer within the delivery of the request, in the thread of its publisher. Their
 * subscriptions are in no queue group, so that of several servers that hear a request each answers.
 */
#pragma once

struct bus;
struct instance;
struct reclaim;
struct service;

/* What built-in services' subjects begin with. */
#define BUILTIN_PREFIX "sockd."

enum builtin {
        BUILTIN_ECHO,
        BUILTIN_TIME,
        BUILTIN_INFO,
        N_BUILTINS,
};

/* A new one, not live; the rest is as of any service. Returns 0 or a negative errno. The server's
 * thread. */
int builtin_service_new(struct service **servicep, enum builtin builtin, struct instance *instance,
                        struct bus *bus, struct reclaim *reclaim);

/* Which one it is, or N_BUILTINS: it is of another kind. */
enum builtin builtin_service_which(const struct service *service);

/* Frees one that is off the bus. */
void builtin_service_free(struct service *service);
