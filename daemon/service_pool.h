/* The programs of a service, one for each request or some that stay, and the requests that wait for
 * them.
 *
 * One worker has them all: whoever takes a request hands it over to that worker's mailbox, where it
 * is given to a program, or waits. How many there may be under way, and how many bytes they have,
 * is counted where they are taken, so that nothing is kept beyond the limits; what is too much is
 * answered at once.
 *
 * Unless stated otherwise, everything here is for that worker's thread.
 */
#pragma once

#include "daemon/deadline.h"
#include "daemon/service.h"
#include "daemon/service_request.h"
#include "daemon/worker.h"

struct config_service;
struct mailbox;
struct service_seat;

struct service_pool {
        struct service service;
        struct worker *worker;         /* borrowed */
        struct mailbox *home;          /* of the server's thread; borrowed */
        struct config_service *config; /* a reference */

        /* Any thread. */
        _Atomic unsigned n_under_way; /* requests that are not answered yet */
        _Atomic uint64_t n_bytes;     /* of their payloads */
        _Atomic unsigned n_running;   /* requests that programs have */

        struct worker_guest guest;
        struct deadline deadline;      /* when somebody has waited for too long */
        struct list_link backlog;      /* of requests */
        struct list_link programs;     /* of struct service_program */
        struct service_seat *seats;    /* of programs that stay; owned, NULL: they do not */
        struct log_limit errors;       /* lines of theirs that nobody has asked for */
        bool is_stopped;               /* its worker ends, or nobody asks any more */
        bool is_closed;                /* so is its deadline */
        bool is_retired;               /* it is freed when it has nothing under way */
        struct task opening, retiring; /* each posted once */
};

/* Room for the words of an answer to what failed. */
#define SERVICE_TEXT_MAX 640

/* A new service that a program answers, not live. It takes a reference of the configuration. home:
 * the mailbox of the server's thread. Returns 0 or a negative errno. The server's thread. */
int service_pool_new(struct service **servicep, struct config_service *config, struct bus *bus,
                     struct worker *worker, struct mailbox *home, struct reclaim *reclaim);

/* The configuration of a service; NULL: it is of another kind. Any thread. */
const struct config_service *service_pool_config(const struct service *service);

/* How many requests of a service of this kind programs have, and how many wait. Any thread. */
void service_pool_count(const struct service *service, unsigned *runningp, unsigned *waitingp);

/* A request is over: answers it and frees it. Whoever has others to give should do so then. */
void service_pool_finish(struct service_pool *pool, struct service_request *request,
                         const struct service_answer *answer);

/* The same for what failed, in these words. */
__attribute__((format(printf, 4, 5))) void service_pool_fail(struct service_pool *pool,
                                                             struct service_request *request,
                                                             enum service_error error,
                                                             const char *format, ...);

/* Gives requests that wait to programs that can take them. At the end of each event. */
void service_pool_go_on(struct service_pool *pool);
