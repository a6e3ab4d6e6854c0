/* Accepting, in the worker's thread, and its end. See listener.h. */
#include "daemon/listener.h"

#include "daemon/connection.h"
#include "daemon/endpoint.h"
#include "daemon/handler.h"
#include "daemon/instance.h"
#include "daemon/introduction.h"
#include "daemon/proxy_protocol.h"
#include "daemon/transport.h"
#include "daemon/worker.h"
#include "lib/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Connections accepted in one go. */
#define ACCEPT_BURST 64
/* The most that are accepted when it ends: as many as can wait, and no flood without an end. */
#define RETIRE_MAX 65536
/* How long accepting rests when there are no descriptors. */
#define ACCEPT_RETRY_MS 100

/* A descriptor on its way to the worker that shall own it. */
struct arrival {
        struct task task;
        struct worker *worker;
        struct listener *listener; /* a reference */
        int fd;
        struct peer peer;
        struct admission_place place;
};

/* Opens a connection in its worker's thread. */
static void listener_open(struct listener *listener, struct worker *worker, int fd,
                          const struct peer *peer, const struct admission_place *place) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        int r = connection_open(worker, listener, fd, peer, place);

        if (r < 0)
                log_limited(&limit, LOG_LEVEL_WARNING, "listener \"%s\": a connection is lost: %s",
                            listener->name, strerror(-r));
}

static void arrival_open(struct task *task) {
        struct arrival *arrival = container_of(task, struct arrival, task);

        listener_open(arrival->listener, arrival->worker, arrival->fd, &arrival->peer,
                      &arrival->place);
        listener_unref(arrival->listener);
        free(arrival);
}

/* Writes what people are shown of an Internet address; nothing of others. Returns whether it is
 * one.
 */
static bool peer_learn_host(char ip[INET6_ADDRSTRLEN], uint16_t *portp,
                            const struct sockaddr_storage *address) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        if (address->ss_family == AF_INET) {
                (void)inet_ntop(AF_INET, &in->sin_addr, ip, INET6_ADDRSTRLEN);
                *portp = ntohs(in->sin_port);
        } else if (address->ss_family == AF_INET6) {
                bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

                (void)inet_ntop(is_mapped ? AF_INET : AF_INET6,
                                is_mapped ? &in6->sin6_addr.s6_addr[12] : in6->sin6_addr.s6_addr,
                                ip, INET6_ADDRSTRLEN);
                *portp = ntohs(in6->sin6_port);
        }
        return address->ss_family == AF_INET || address->ss_family == AF_INET6;
}

/* Whom it wanted to reach, of an Internet peer. */
static void peer_learn_destination(struct peer *peer, const struct sockaddr_storage *address) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        if (address->ss_family == AF_INET) {
                peer->local_host = session_map_address(in->sin_addr);
                peer->local_port = ntohs(in->sin_port);
        } else if (address->ss_family == AF_INET6) {
                peer->local_host = in6->sin6_addr;
                peer->local_port = ntohs(in6->sin6_port);
        }
}

static void peer_learn(struct peer *peer, int fd, const struct sockaddr_storage *address) {
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        if (peer_learn_host(peer->ip, &peer->port, address))
                return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
                peer->has_credentials = true;
                peer->uid = credentials.uid;
                peer->gid = credentials.gid;
                peer->pid = credentials.pid;
        }
}

static void listener_dispatch(struct listener *listener, int fd, const struct peer *peer,
                              struct admission_place *place) {
        struct worker *worker = workers_choose(listener->worker->workers, listener->worker);
        struct arrival *arrival;

        if (worker == listener->worker) {
                listener_open(listener, worker, fd, peer, place);
                return;
        }
        arrival = calloc(1, sizeof(*arrival));
        if (arrival) {
                *arrival = (struct arrival){.task.run = arrival_open,
                                            .worker = worker,
                                            .listener = listener_ref(listener),
                                            .fd = fd,
                                            .peer = *peer,
                                            .place = *place};
                if (mailbox_post(&worker->mailbox, &arrival->task) == 0)
                        return;
                listener_unref(listener);
                free(arrival);
        }
        admission_leave(&listener->admission, place);
        (void)close(fd);
}

/* Who comes, as the limits of the listener want to know it. */
static struct visitor visitor_of(const struct peer *peer, int fd,
                                 const struct sockaddr_storage *address) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        struct visitor visitor = {.has_uid = peer->has_credentials, .uid = peer->uid, .fd = -1};

        if (address->ss_family == AF_UNIX)
                return visitor;
        visitor.fd = peer->is_introduced ? -1 : fd;
        visitor.has_host = true;
        visitor.host =
                address->ss_family == AF_INET ? session_map_address(in->sin_addr) : in6->sin6_addr;
        return visitor;
}

/* Closes a connection that is not admitted, once it was told why, if there is a word for it. */
static void listener_refuse(struct listener *listener, int fd, const struct peer *peer,
                            struct admission_place *place) {
        const struct handler *handler =
                handler_of((enum handler_kind)atomic_load(&listener->handler_kind));
        char source[INET6_ADDRSTRLEN + 16] = "a peer";

        if (peer->ip[0])
                snprintf(source, sizeof(source), "%s", peer->ip);
        else if (peer->has_credentials)
                snprintf(source, sizeof(source), "uid %u", (unsigned)peer->uid);
        admission_log(&listener->admission, listener->name, source, place->refusal);
        if (handler->complain && admission_may_tell(&listener->admission, place))
                listener_open(listener, listener->worker, fd, peer, place);
        else
                (void)close(fd);
}

/* Asks whether the peer of a new connection may stay. */
static void listener_admit(struct listener *listener, int fd, const struct peer *peer,
                           const struct sockaddr_storage *address) {
        struct visitor visitor = visitor_of(peer, fd, address);
        struct admission_place place;

        if (admission_enter(&listener->admission, &visitor, uv_now(&listener->worker->loop),
                            time(NULL), &place) == REFUSAL_NONE)
                listener_dispatch(listener, fd, peer, &place);
        else
                listener_refuse(listener, fd, peer, &place);
}

/* A proxy has told who is there. Whom it has no words for comes from where the proxy is, and is not
 * what the proxy is: not of its user, above all. */
static void listener_introduce(struct listener *listener, int fd,
                               const struct proxy_header *header) {
        struct peer peer = {.is_introduced = !header->is_local};
        struct sockaddr_storage address = {.ss_family = AF_UNIX}, destination = address;
        socklen_t length = sizeof(address), destination_length = length;

        if (header->source.any.sa_family == AF_UNSPEC) {
                (void)getpeername(fd, (struct sockaddr *)&address, &length);
                (void)getsockname(fd, (struct sockaddr *)&destination, &destination_length);
        } else {
                memcpy(&address, &header->source, sizeof(header->source));
                memcpy(&destination, &header->destination, sizeof(header->destination));
        }
        if (header->is_local) {
                peer_learn(&peer, fd, &address);
        } else {
                peer_learn_host(peer.ip, &peer.port, &address);
                peer_learn_destination(&peer, &destination);
        }
        listener_admit(listener, fd, &peer, &address);
}

static void listener_on_poll(uv_poll_t *poll, int status, int events);

static void listener_on_retry(uv_timer_t *timer) {
        struct listener *listener = timer->data;

        (void)uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
}

/* Accepting failed for want of descriptors or memory: it rests, rather than turn in a circle. */
static void listener_rest(struct listener *listener, int error) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};

        counter_add(&listener->worker->stats.accept_errors, 1);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "listener \"%s\": cannot accept: %s; existing clients are not affected",
                    listener->name, strerror(error));
        (void)uv_poll_stop(&listener->poll);
        (void)uv_timer_start(&listener->retry, listener_on_retry, ACCEPT_RETRY_MS, 0);
}

/* Whether an error is of the one connection that could not be accepted (accept(2)). */
static bool is_of_one_connection(int error) {
        switch (error) {
        case ECONNABORTED:
        case EINTR:
        case EPERM:
        case EPROTO:
        case ENOPROTOOPT:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENONET:
        case EOPNOTSUPP:
                return true;
        default:
                return false;
        }
}

/* Accepts one. Returns whether there may be more. */
static bool listener_accept(struct listener *listener) {
        struct sockaddr_storage address = {.ss_family = AF_UNIX};
        socklen_t length = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct peer peer = {.port = 0};

        if (fd < 0) {
                int error = errno;

                if (error != EAGAIN && !is_of_one_connection(error))
                        listener_rest(listener, error);
                return is_of_one_connection(error);
        }
        if (listener->family == AF_UNIX)
                listener_set_buffers(listener, fd); /* those of TCP are inherited */
        if (atomic_load_explicit(&listener->accepts_proxy, memory_order_relaxed)) {
                introduction_begin(listener, fd, listener_introduce);
                return true;
        }
        peer_learn(&peer, fd, &address);
        listener_admit(listener, fd, &peer, &address);
        return true;
}

static bool is_served_otherwise(struct listener *listener) {
        const struct handler *handler = handler_of(atomic_load(&listener->handler_kind));

        return handler->arrived && handler->arrived(listener);
}

static void listener_on_poll(uv_poll_t *poll, int status, int events) {
        struct listener *listener = poll->data;

        worker_enter(listener->worker);
        if (status < 0) {
                listener_rest(listener, -status);
                return;
        }
        if (is_served_otherwise(listener))
                return;
        for (unsigned i = 0; i < ACCEPT_BURST && listener_accept(listener); i++)
                ;
}

void listener_lend(struct listener *listener, struct listener_loan *loan) {
        listener->loan = loan;
        (void)uv_poll_stop(&listener->poll);
}

void listener_give_back(struct listener *listener, uint64_t pause_ms) {
        int flags = fcntl(listener->fd, F_GETFL);

        listener->loan = NULL;
        if (atomic_load(&listener->worker->instance->is_lame_duck)) {
                listener_stop_here(listener);
                return;
        }
        /* Whoever had it may have liked to wait in accept(2). */
        if (flags >= 0 && !(flags & O_NONBLOCK))
                (void)fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK);
        (void)uv_timer_start(&listener->retry, listener_on_retry, pause_ms, 0);
}

void listener_changed(struct listener *listener) {
        listener->repeats = (struct program_repeats){.n_failed = 0};
        if (listener->loan)
                listener->loan->changed(listener->loan);
        else if (uv_is_active((uv_handle_t *)&listener->retry))
                (void)uv_timer_start(&listener->retry, listener_on_retry, 0, 0);
}

bool listener_is_awaited(const struct listener *listener) {
        struct pollfd polled = {.fd = listener->fd, .events = POLLIN};

        return poll(&polled, 1, 0) > 0;
}

static void listener_start_here(struct task *task) {
        struct listener *listener = container_of(task, struct listener, task);
        struct worker *worker = listener->worker;

        if (worker->is_stopping || uv_poll_init(&worker->loop, &listener->poll, listener->fd) < 0) {
                log_error("listener \"%s\": cannot be polled", listener->name);
                listener_unref(listener);
                return;
        }
        (void)uv_timer_init(&worker->loop, &listener->retry);
        listener->n_handles = 2;
        listener->poll.data = listener;
        listener->retry.data = listener;
        list_append(&worker->listeners, &listener->link);
        (void)uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
}

void listener_start(struct listener *listener, struct worker *worker) {
        listener->worker = worker;
        if (listener->transport->is_connectionless) {
                endpoints_start(listener, worker);
                return;
        }
        listener->task.run = listener_start_here;
        if (mailbox_post(&worker->mailbox, &listener_ref(listener)->task) < 0)
                listener_unref(listener);
}

static void listener_on_handle_closed(uv_handle_t *handle) {
        struct listener *listener = handle->data;

        if (--listener->n_handles == 0)
                listener_unref(listener);
}

void listener_stop_here(struct listener *listener) {
        struct listener_loan *loan = listener->loan;

        if (list_is_empty(&listener->link))
                return;
        listener->loan = NULL;
        if (loan)
                loan->recalled(loan);
        list_unlink(&listener->link);
        uv_close((uv_handle_t *)&listener->poll, listener_on_handle_closed);
        uv_close((uv_handle_t *)&listener->retry, listener_on_handle_closed);
        listener_close(listener);
}

/* A wish to stop, on its way to the accepting worker. */
struct listener_stop {
        struct task task;
        struct listener *listener; /* a reference */
        bool accepts;              /* those who are waiting */
};

static void accept_waiting(struct listener *listener) {
        if (listener->worker->is_stopping || list_is_empty(&listener->link) || listener->loan)
                return;
        for (unsigned i = 0; i < RETIRE_MAX && listener_accept(listener); i++)
                ;
}

static void listener_on_stop(struct task *task) {
        struct listener_stop *stop = container_of(task, struct listener_stop, task);
        struct listener *listener = stop->listener;

        if (stop->accepts)
                accept_waiting(listener);
        listener_stop_here(listener);
        listener_unref(listener);
        free(stop);
}

static void post_stop(struct listener *listener, bool accepts) {
        struct listener_stop *stop;

        if (listener->transport->is_connectionless) {
                if (listener->worker)
                        endpoints_stop(listener, listener->worker->workers);
                listener_close(listener);
                return;
        }
        stop = calloc(1, sizeof(*stop));
        if (!stop)
                return;
        stop->listener = listener_ref(listener);
        stop->accepts = accepts;
        stop->task.run = listener_on_stop;
        if (listener->worker && mailbox_post(&listener->worker->mailbox, &stop->task) == 0)
                return;
        listener_unref(listener);
        free(stop);
}

void listener_stop(struct listener *listener) {
        post_stop(listener, false);
}

/* Has the kernel ignore who begins to connect from now on. Whoever does so tries again after a
 * second and then reaches the listener that follows, if there is one; what the closing finds would
 * be reset. */
static void ignore_newcomers(const struct listener *listener) {
        /* The filter sees the TCP header: 13 is the offset of the flags, 2 is SYN, 16 is ACK. */
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 2),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 16, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, 0),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        };
        struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

        if (listener->family != AF_UNIX)
                (void)setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                                 sizeof(program));
}

void listener_retire(struct listener *listener) {
        if (!listener->transport->is_connectionless)
                ignore_newcomers(listener);
        post_stop(listener, true);
}
