/* Receiving datagrams, and the life of an endpoint. See endpoint.h. */
#include "daemon/endpoint.h"

#include "daemon/abstract_names.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/peer_name.h"
#include "daemon/unread.h"
#include "daemon/worker.h"
#include "lib/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Datagrams received in one system call, and such calls before others have their turn. */
#define BATCH_SIZE   32
#define BATCH_ROUNDS 4
/* The longest datagram that is taken: all that UDP has. */
#define DATAGRAM_MAX 65536
/* When an iteration has cost so much, the worker's other sockets have their turn. */
#define WORK_MAX 100000
/* How often it is looked for sessions whose peers are silent, and for what the kernel dropped. */
#define SWEEP_MS 1000

static void endpoint_continue(struct task *task);
static void endpoint_free(struct endpoint *endpoint);

struct control {
        _Alignas(struct cmsghdr) char data[256];
};

struct batch {
        unsigned n, n_taken; /* datagrams */
        struct mmsghdr messages[BATCH_SIZE];
        struct iovec iov[BATCH_SIZE];
        union session_address names[BATCH_SIZE];
        struct control controls[BATCH_SIZE];
        char data[BATCH_SIZE][DATAGRAM_MAX];
};

/* What comes with a datagram. */
struct envelope {
        struct session_path path;
        bool is_for_all; /* to a broadcast address or a group */
        bool has_credentials;
        struct ucred credentials;
};

/* --- one datagram ------------------------------------------------------------------------- */

static void envelope_read_control(struct envelope *envelope, const struct cmsghdr *cmsg) {
        struct session_path *path = &envelope->path;
        const void *data = CMSG_DATA(cmsg);

        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;

                memcpy(&info, data, sizeof(info));
                path->local = session_map_address(info.ipi_spec_dst);
                envelope->is_for_all = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
        } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;

                memcpy(&info, data, sizeof(info));
                if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
                        envelope->is_for_all = true;
                else if (!IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr))
                        path->local = info.ipi6_addr; /* that of IPv4 comes by itself */
                if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                        path->local_index = info.ipi6_ifindex;
        } else if ((cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TTL) ||
                   (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_HOPLIMIT)) {
                memcpy(&path->hops, data, sizeof(path->hops));
        } else if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_CREDENTIALS) {
                memcpy(&envelope->credentials, data, sizeof(envelope->credentials));
                envelope->has_credentials = true;
        }
}

static void envelope_read(struct envelope *envelope, struct msghdr *message) {
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(message);

        envelope->has_credentials = envelope->is_for_all = false;
        envelope->credentials = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
        envelope->path.local = in6addr_any;
        envelope->path.local_index = 0;
        envelope->path.hops = 0;
        /* An unbound Unix socket has a family and no name. */
        envelope->path.peer_length = message->msg_namelen > offsetof(struct sockaddr_un, sun_path)
                                             ? message->msg_namelen
                                             : 0;
        envelope->path.peer.any.sa_family = AF_UNIX;
        memcpy(&envelope->path.peer, message->msg_name, envelope->path.peer_length);
        for (; cmsg; cmsg = CMSG_NXTHDR(message, cmsg))
                envelope_read_control(envelope, cmsg);
}

static void peer_set_credentials(struct peer *peer, const struct envelope *envelope) {
        /* What came before the socket asked for credentials has none, which shows in the pid. */
        peer->has_credentials = envelope->has_credentials && envelope->credentials.pid != 0;
        peer->uid = envelope->credentials.uid;
        peer->gid = envelope->credentials.gid;
        peer->pid = envelope->credentials.pid;
}

/* Whether a datagram comes from who made the session: an address can be given to somebody else. */
static bool is_same_user(const struct session *session, const struct envelope *envelope) {
        const struct peer *peer = &session->connection->peer;

        return !peer->has_credentials ||
               (envelope->has_credentials && peer->uid == envelope->credentials.uid &&
                peer->gid == envelope->credentials.gid);
}

/* The session that a datagram belongs to, or NULL. Ends one whose peer it shows to be gone. */
static struct session *endpoint_find(struct endpoint *endpoint, struct envelope *envelope) {
        struct session *session = session_find(endpoint, &envelope->path);
        bool is_other = session && !is_same_user(session, envelope);

        if (!session)
                return NULL;
        if (is_other && !(envelope->has_credentials &&
                          session_is_named(endpoint, &envelope->path, envelope->credentials.uid))) {
                /* The name is not its own here. */
                envelope->path.peer_length = 0;
                return NULL;
        }
        /* Somebody else, or who had been told to go, and is there again. */
        if (is_other || session->connection->state_of_life != CONNECTION_OPEN ||
            !session_keeps_name(session, envelope->credentials.pid)) {
                connection_close(session->connection, REASON_CLIENT_CLOSED);
                return NULL;
        }
        return session;
}

/* The session of a known peer, or the stranger. NULL if there is no memory. */
static struct session *endpoint_session(struct endpoint *endpoint, struct envelope *envelope) {
        struct session *session = endpoint_find(endpoint, envelope);

        if (session) {
                session_renew(session, envelope->path.hops);
                return session;
        }
        session = session_stranger(endpoint, &envelope->path);
        if (session) {
                peer_set_credentials(&session->connection->peer, envelope);
                session->connection->handler->renewed(session->connection);
        }
        return session;
}

static void endpoint_refuse(struct endpoint *endpoint, enum drop why) {
        atomic_fetch_add_explicit(&endpoint->listener->datagrams.n_received, 1,
                                  memory_order_relaxed);
        listener_dropped(endpoint->listener, why, 1);
}

/* Whether the sender of a datagram may come, and now. */
static bool endpoint_admits(struct endpoint *endpoint, const struct envelope *envelope) {
        char source[INET6_ADDRSTRLEN + 16] = "a peer";
        struct in6_addr host;
        bool has_host = session_find_host(&envelope->path.peer, &host);
        enum refusal why = gate_ask(&endpoint->gate, has_host ? &host : NULL, time(NULL));

        if (why == REFUSAL_NONE)
                return true;
        if (has_host)
                session_format_host(&host, source);
        else if (envelope->has_credentials)
                snprintf(source, sizeof(source), "uid %u", (unsigned)envelope->credentials.uid);
        endpoint_refuse(endpoint, why == REFUSAL_ADDRESS ? DROP_ADDRESS : DROP_TIME);
        admission_log(&endpoint->listener->admission, endpoint->listener->name, source, why);
        return false;
}

static void endpoint_take(struct endpoint *endpoint, struct mmsghdr *message) {
        struct bytes input = {message->msg_hdr.msg_iov->iov_base, message->msg_len};
        struct envelope envelope;
        struct session *session;

        envelope_read(&envelope, &message->msg_hdr);
        /* What goes to all reaches each worker's socket, and may reach many hosts: it would be
         * served, and answered, more than once. Listeners that join groups have one socket and
         * answer nothing. */
        if (envelope.is_for_all && !endpoint->listener->is_silent) {
                endpoint_refuse(endpoint, DROP_BROADCAST);
                return;
        }
        if (!gate_is_wide_open(&endpoint->gate) && !endpoint_admits(endpoint, &envelope))
                return;
        session = endpoint_session(endpoint, &envelope);
        if (!session)
                return;
        session_credit(session, input.length);
        if (!session_admit_datagram(session, input.length))
                return;
        if (message->msg_hdr.msg_flags & MSG_TRUNC) {
                session_drop(session, DROP_TOO_LARGE);
                session->connection->handler->oversized(session->connection);
        } else {
                connection_take_frame(session->connection, input);
        }
        session_done(session);
}

/* --- batches ------------------------------------------------------------------------------ */

static struct batch *batch_new(void) {
        struct batch *batch = malloc(sizeof(*batch));

        if (!batch)
                return NULL;
        batch->n = batch->n_taken = 0;
        memset(batch->messages, 0, sizeof(batch->messages));
        for (size_t i = 0; i < BATCH_SIZE; i++) {
                struct msghdr *header = &batch->messages[i].msg_hdr;

                batch->iov[i] = (struct iovec){batch->data[i], DATAGRAM_MAX};
                header->msg_iov = &batch->iov[i];
                header->msg_iovlen = 1;
                header->msg_name = &batch->names[i];
                header->msg_control = &batch->controls[i];
        }
        return batch;
}

/* What the network reports of a datagram that we have sent. */
struct report {
        int error;
        struct in6_addr local; /* where it was sent from; all zero: the address of the socket */
};

static void report_read_control(struct report *report, const struct cmsghdr *cmsg) {
        const void *data = CMSG_DATA(cmsg);

        if ((cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_RECVERR) ||
            (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_RECVERR)) {
                struct sock_extended_err reported;

                memcpy(&reported, data, sizeof(reported));
                report->error = (int)reported.ee_errno;
        } else if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;

                memcpy(&info, data, sizeof(info));
                report->local = session_map_address(info.ipi_addr);
        } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;

                memcpy(&info, data, sizeof(info));
                report->local = info.ipi6_addr;
        }
}

/* Tells of the network's errors; each belongs to the peer that it names, at the local address that
 * it was sent to, and to nobody else. */
static void endpoint_take_errors(struct endpoint *endpoint) {
        union session_address name;
        struct control control;
        struct msghdr message;
        int error = 0;
        socklen_t length = sizeof(error);

        for (;;) {
                struct report report = {.local = in6addr_any};

                message = (struct msghdr){.msg_name = &name,
                                          .msg_namelen = sizeof(name),
                                          .msg_control = &control,
                                          .msg_controllen = sizeof(control)};
                if (recvmsg(endpoint->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
                        break;
                for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message); cmsg;
                     cmsg = CMSG_NXTHDR(&message, cmsg))
                        report_read_control(&report, cmsg);
                if (report.error == ECONNREFUSED)
                        session_end_peer(endpoint, &name.any, message.msg_namelen, &report.local);
        }
        /* It would be reported to whoever sends next. */
        (void)getsockopt(endpoint->fd, SOL_SOCKET, SO_ERROR, &error, &length);
}

/* Takes the datagrams of a batch that are left, until it is other sockets' turn. */
static void endpoint_take_batch(struct endpoint *endpoint) {
        struct batch *batch = endpoint->batch;
        struct worker *worker = endpoint->worker;

        while (batch->n_taken < batch->n && endpoint->n_work < WORK_MAX) {
                worker->pressure.n_work = 0;
                endpoint_take(endpoint, &batch->messages[batch->n_taken++]);
                endpoint->n_work += worker->pressure.n_work;
        }
}

/* Receives once. Returns whether there may be more. */
static bool endpoint_receive(struct endpoint *endpoint) {
        struct batch *batch = endpoint->batch;
        int n;

        for (size_t i = 0; i < BATCH_SIZE; i++) {
                batch->messages[i].msg_hdr.msg_namelen = sizeof(batch->names[i]);
                batch->messages[i].msg_hdr.msg_controllen = sizeof(batch->controls[i]);
        }
        n = recvmmsg(endpoint->fd, batch->messages, BATCH_SIZE, MSG_DONTWAIT, NULL);
        if (n < 0) {
                if (errno == EAGAIN)
                        return false;
                if (errno != EINTR)
                        endpoint_take_errors(endpoint);
                return true;
        }
        batch->n = (unsigned)n;
        batch->n_taken = 0;
        endpoint_take_batch(endpoint);
        return n == BATCH_SIZE;
}

/* Goes on in the next iteration. */
static void endpoint_yield(struct endpoint *endpoint) {
        if (endpoint->is_posted)
                return;
        endpoint->task.run = endpoint_continue;
        endpoint->is_posted = mailbox_post(&endpoint->worker->mailbox, &endpoint->task) == 0;
}

/* Tells of what the kernel dropped, once a millisecond. It would say so with each datagram
 * (SO_RXQ_OVFL), at a tenth of what receiving one costs. */
static void endpoint_note_overflows(struct endpoint *endpoint) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        uint64_t now_ms = uv_now(&endpoint->worker->loop);
        uint32_t memory[SK_MEMINFO_VARS], n_new;
        socklen_t length = sizeof(memory);

        if (now_ms == endpoint->overflows_ms)
                return;
        endpoint->overflows_ms = now_ms;
        if (getsockopt(endpoint->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0 ||
            length < sizeof(memory))
                return;
        n_new = memory[SK_MEMINFO_DROPS] - endpoint->n_overflows;
        if (n_new == 0)
                return;
        endpoint->n_overflows = memory[SK_MEMINFO_DROPS];
        listener_dropped(endpoint->listener, DROP_KERNEL, n_new);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "listener \"%s\": the kernel dropped datagrams: its receive buffer was full",
                    endpoint->listener->name);
}

/* There is no memory for what has come: it waits in the socket until the next sweep. */
static void endpoint_rest(struct endpoint *endpoint) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};

        log_limited(&limit, LOG_LEVEL_ERROR, "listener \"%s\": no memory to receive",
                    endpoint->listener->name);
        (void)uv_poll_stop(&endpoint->poll);
}

/* Takes what has come, until it is other sockets' turn. */
static void endpoint_work(struct endpoint *endpoint) {
        bool has_more = true;

        endpoint->n_work = 0;
        if (!endpoint->batch)
                endpoint->batch = batch_new();
        if (!endpoint->batch) {
                endpoint_rest(endpoint);
                return;
        }
        endpoint_take_batch(endpoint);
        for (unsigned i = 0; i < BATCH_ROUNDS && has_more && endpoint->n_work < WORK_MAX; i++)
                has_more = endpoint_receive(endpoint);
        if (endpoint->batch->n_taken < endpoint->batch->n)
                endpoint_yield(endpoint);
        endpoint_note_overflows(endpoint);
}

static void endpoint_continue(struct task *task) {
        struct endpoint *endpoint = container_of(task, struct endpoint, task);

        endpoint->is_posted = false;
        if (endpoint->n_handles == 0)
                endpoint_free(endpoint);
        else if (!uv_is_closing((uv_handle_t *)&endpoint->poll))
                endpoint_work(endpoint);
}

static void endpoint_on_poll(uv_poll_t *poll, int status, int events) {
        struct endpoint *endpoint = poll->data;

        worker_enter(endpoint->worker);
        if (status < 0) {
                /* libuv stops polling at an error; there are such that are not the socket's. */
                endpoint_take_errors(endpoint);
                (void)uv_poll_start(poll, UV_READABLE, endpoint_on_poll);
        }
        endpoint_work(endpoint);
}

static void endpoint_on_sweep(uv_timer_t *timer) {
        struct endpoint *endpoint = timer->data;

        worker_enter(endpoint->worker);
        endpoint_note_overflows(endpoint);
        sessions_expire(endpoint);
        /* What large datagrams have touched is given back when it is quiet. */
        if (list_is_empty(&endpoint->sessions) && endpoint->batch &&
            endpoint->batch->n_taken == endpoint->batch->n) {
                free(endpoint->batch);
                endpoint->batch = NULL;
        }
        if (!uv_is_active((uv_handle_t *)&endpoint->poll))
                (void)uv_poll_start(&endpoint->poll, UV_READABLE, endpoint_on_poll);
}

/* --- life --------------------------------------------------------------------------------- */

static void endpoint_free(struct endpoint *endpoint) {
        list_unlink(&endpoint->link);
        (void)close(endpoint->fd);
        listener_unref(endpoint->listener);
        unread_free(endpoint->unread);
        abstract_names_free(endpoint->names);
        gate_deinit(&endpoint->gate);
        free(endpoint->batch);
        free(endpoint->buckets);
        free(endpoint);
}

static void endpoint_on_handle_closed(uv_handle_t *handle) {
        struct endpoint *endpoint = handle->data;

        if (--endpoint->n_handles == 0 && !endpoint->is_posted)
                endpoint_free(endpoint);
}

static void endpoint_start_here(struct task *task) {
        struct endpoint *endpoint = container_of(task, struct endpoint, task);
        struct worker *worker = endpoint->worker;
        uint64_t timeout_ms = atomic_load(&endpoint->listener->session_timeout_ms);

        if (worker->is_stopping || uv_poll_init(&worker->loop, &endpoint->poll, endpoint->fd) < 0) {
                log_error("listener \"%s\": cannot be polled", endpoint->listener->name);
                endpoint_free(endpoint);
                return;
        }
        (void)uv_timer_init(&worker->loop, &endpoint->sweep);
        endpoint->n_handles = 2;
        endpoint->poll.data = endpoint;
        endpoint->sweep.data = endpoint;
        list_append(&worker->endpoints, &endpoint->link);
        (void)uv_poll_start(&endpoint->poll, UV_READABLE, endpoint_on_poll);
        if (timeout_ms > SWEEP_MS)
                timeout_ms = SWEEP_MS;
        (void)uv_timer_start(&endpoint->sweep, endpoint_on_sweep, timeout_ms, timeout_ms);
}

static bool is_abstract(const struct address_socket *socket) {
        const struct sockaddr_un *name = (const struct sockaddr_un *)&socket->socket;

        return peer_name_is_abstract(peer_name_bytes(name, socket->length));
}

/* What sending to Unix peers takes. Returns whether there was memory. */
static bool endpoint_init_unix(struct endpoint *endpoint, const struct listener *listener, int fd) {
        /* Only those who have their names here reach a socket that has an abstract one. */
        bool is_reached_from_afar = !is_abstract(&listener->bound);

        endpoint->unread = unread_new(fd);
        if (is_reached_from_afar)
                endpoint->names = abstract_names_new(fd);
        return endpoint->unread && (endpoint->names || !is_reached_from_afar);
}

static struct endpoint *endpoint_new(const struct listener *listener, int fd) {
        struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

        if (!endpoint || listener->family != AF_UNIX || endpoint_init_unix(endpoint, listener, fd))
                return endpoint;
        unread_free(endpoint->unread);
        abstract_names_free(endpoint->names);
        free(endpoint);
        return NULL;
}

/* Starts to receive in a worker. Takes the descriptor. */
static void endpoint_start(struct listener *listener, struct worker *worker, int fd) {
        struct endpoint *endpoint = fd >= 0 ? endpoint_new(listener, fd) : NULL;

        if (!endpoint) {
                log_error("listener \"%s\": a worker cannot receive: %s", listener->name,
                          strerror(fd < 0 ? -fd : ENOMEM));
                if (fd >= 0)
                        (void)close(fd);
                return;
        }
        list_init(&endpoint->link);
        list_init(&endpoint->sessions);
        list_init(&endpoint->task.link);
        endpoint->listener = listener_ref(listener);
        admission_copy_gate(&listener->admission, &endpoint->gate);
        endpoint->worker = worker;
        endpoint->fd = fd;
        endpoint->task.run = endpoint_start_here;
        if (mailbox_post(&worker->mailbox, &endpoint->task) < 0)
                endpoint_free(endpoint);
}

/* Whether one worker receives for all of them. */
static bool is_for_one(const struct listener *listener, const struct worker *worker) {
        /* There is but one socket; of a multicast group each would get everything. */
        if (listener->family == AF_UNIX || listener->is_activated || listener->is_silent)
                return true;
        /* On two CPUs the peers need the other one: requests are answered a third less often by
         * two. */
        return worker->workers->count <= 2 && !worker->config->server.workers_are_given;
}

void endpoints_start(struct listener *listener, struct worker *worker) {
        struct workers *workers = worker->workers;
        bool is_alone = is_for_one(listener, worker);
        int *fds = calloc(workers->count, sizeof(*fds));

        if (!fds) {
                log_error("listener \"%s\": no memory to receive", listener->name);
                return;
        }
        /* All sockets first: each one changes which of them a peer is given to. */
        for (unsigned i = 0; i < workers->count; i++)
                fds[i] = &workers->all[i] != worker && !is_alone ? listener_sibling(listener) : -1;
        fds[worker->index] = fcntl(listener->fd, F_DUPFD_CLOEXEC, 3);
        if (fds[worker->index] < 0)
                fds[worker->index] = -errno;
        for (unsigned i = 0; i < workers->count; i++)
                if (&workers->all[i] == worker || !is_alone)
                        endpoint_start(listener, &workers->all[i], fds[i]);
        free(fds);
}

void endpoint_changed(struct endpoint *endpoint) {
        admission_copy_gate(&endpoint->listener->admission, &endpoint->gate);
        if (!endpoint->listener->is_activated)
                listener_set_buffers(endpoint->listener, endpoint->fd);
        listener_apply_hops(endpoint->listener, endpoint->fd);
        if (endpoint->unread)
                unread_resize(endpoint->unread);
        /* The next one has the handler, and its settings, that there are now. */
        if (endpoint->stranger)
                connection_close(endpoint->stranger->connection, REASON_CLIENT_CLOSED);
}

void endpoint_stop_here(struct endpoint *endpoint) {
        sessions_end(endpoint);
        list_unlink(&endpoint->link);
        uv_close((uv_handle_t *)&endpoint->poll, endpoint_on_handle_closed);
        uv_close((uv_handle_t *)&endpoint->sweep, endpoint_on_handle_closed);
}

/* A listener's end, on its way to one worker. */
struct endpoint_stop {
        struct task task;
        struct worker *worker;
        struct listener *listener; /* a reference */
};

static void endpoint_on_stop(struct task *task) {
        struct endpoint_stop *stop = container_of(task, struct endpoint_stop, task);

        LIST_FOREACH_SAFE (link, &stop->worker->endpoints) {
                struct endpoint *endpoint = container_of(link, struct endpoint, link);

                if (endpoint->listener == stop->listener)
                        endpoint_stop_here(endpoint);
        }
        listener_unref(stop->listener);
        free(stop);
}

void endpoints_stop(struct listener *listener, struct workers *workers) {
        for (unsigned i = 0; i < workers->count; i++) {
                struct endpoint_stop *stop = calloc(1, sizeof(*stop));

                if (!stop)
                        return;
                stop->worker = &workers->all[i];
                stop->listener = listener_ref(listener);
                stop->task.run = endpoint_on_stop;
                if (mailbox_post(&workers->all[i].mailbox, &stop->task) == 0)
                        continue;
                listener_unref(stop->listener);
                free(stop);
        }
}
