/* Waiting for headers of the PROXY protocol. See introduction.h. */
#include "daemon/introduction.h"

#include "daemon/listener.h"
#include "daemon/proxy_protocol.h"
#include "daemon/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a proxy has for its header, and how many have none yet, in each worker. */
#define TIME_MS           5000
#define INTRODUCTIONS_MAX 1024

struct introduction {
        struct worker *worker;
        struct listener *listener; /* a reference */
        introduction_done *done;
        int fd;
        struct list_link link; /* worker's introductions, the oldest first */
        uv_poll_t poll;
        uv_timer_t timer;
        unsigned n_handles;
        size_t n_header;
        char header[]; /* its beginning, PROXY_HEADER_MAX */
};

/* --- beginning and end ---------------------------------------------------------------------------
 */

static void on_handle_closed(uv_handle_t *handle) {
        struct introduction *introduction = handle->data;

        if (--introduction->n_handles > 0)
                return;
        listener_unref(introduction->listener);
        free(introduction);
}

/* It is over. Returns the descriptor. */
static int leave(struct introduction *introduction) {
        list_unlink(&introduction->link);
        introduction->worker->n_introductions--;
        uv_close((uv_handle_t *)&introduction->poll, on_handle_closed);
        uv_close((uv_handle_t *)&introduction->timer, on_handle_closed);
        return introduction->fd;
}

/* Who it is, as far as the socket tells: over TCP an address, of a Unix peer its process. */
static const char *describe_peer(const struct introduction *introduction,
                                 char text[ADDRESS_TEXT_MAX]) {
        union {
                struct sockaddr any;
                struct sockaddr_storage storage;
        } address;
        struct ucred credentials;
        socklen_t length = sizeof(address), credentials_length = sizeof(credentials);

        if (introduction->listener->family == AF_UNIX &&
            getsockopt(introduction->fd, SOL_SOCKET, SO_PEERCRED, &credentials,
                       &credentials_length) == 0)
                snprintf(text, ADDRESS_TEXT_MAX, "pid %d, uid %u", credentials.pid,
                         credentials.uid);
        else if (getpeername(introduction->fd, &address.any, &length) == 0)
                address_format_socket(introduction->listener->address.scheme, &address.any, length,
                                      text);
        else
                strcpy(text, "a peer that is gone");
        return text;
}

/* Nobody was introduced. */
static void refuse(struct introduction *introduction, const char *why) {
        static struct log_limit limit = {.burst = 20, .interval_ms = 10000};
        char peer[ADDRESS_TEXT_MAX];

        counter_add(&introduction->worker->stats.failed_introductions, 1);
        if (log_is_enabled(LOG_LEVEL_WARNING) && log_limit_pass(&limit))
                log_warning("listener \"%s\": %s: %s", introduction->listener->name,
                            describe_peer(introduction, peer), why);
        (void)close(leave(introduction));
}

static void conclude(struct introduction *introduction, const struct proxy_header *header) {
        /* It lives until its handles are closed, which is later. */
        introduction->done(introduction->listener, leave(introduction), header);
}

/* --- the header ----------------------------------------------------------------------------------
 */

/* Takes bytes out of the socket that were looked at. Returns whether that went well. */
static bool take(struct introduction *introduction, size_t n_bytes) {
        char *to = introduction->header + introduction->n_header;
        ssize_t n = recv(introduction->fd, to, n_bytes, 0);

        if (n > 0)
                introduction->n_header += (size_t)n;
        return n == (ssize_t)n_bytes;
}

/* Looks at what has come, and takes what is of the header. */
static void look(struct introduction *introduction) {
        size_t n_before = introduction->n_header;
        char *to = introduction->header + n_before;
        struct proxy_header header;
        ssize_t n = recv(introduction->fd, to, PROXY_HEADER_MAX - n_before, MSG_PEEK), length;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                refuse(introduction, "it has left before its PROXY header was complete");
                return;
        }
        length = proxy_header_parse(&header,
                                    (struct bytes){introduction->header, n_before + (size_t)n});
        if (length < 0)
                refuse(introduction, "what it says first is no PROXY header");
        else if (!take(introduction, length == 0 ? (size_t)n : (size_t)length - n_before))
                refuse(introduction, "its PROXY header could not be read");
        else if (length > 0)
                conclude(introduction, &header);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct introduction *introduction = poll->data;

        worker_enter(introduction->worker);
        if (status < 0)
                refuse(introduction, "it has left before its PROXY header was complete");
        else
                look(introduction);
}

static void on_timer(uv_timer_t *timer) {
        struct introduction *introduction = timer->data;

        worker_enter(introduction->worker);
        refuse(introduction, "it sent no PROXY header in time");
}

/* --- all of them ---------------------------------------------------------------------------------
 */

/* There is room for one more; if need be the oldest makes it. */
static void make_room(struct worker *worker) {
        if (worker->n_introductions < INTRODUCTIONS_MAX)
                return;
        refuse(container_of(worker->introductions.next, struct introduction, link),
               "it is given up for others, as too many peers have sent no PROXY header yet");
}

static struct introduction *introduction_new(struct listener *listener, int fd) {
        struct introduction *introduction = malloc(sizeof(*introduction) + PROXY_HEADER_MAX);

        if (!introduction)
                return NULL;
        memset(introduction, 0, sizeof(*introduction));
        if (uv_poll_init(&listener->worker->loop, &introduction->poll, fd) < 0) {
                free(introduction);
                return NULL;
        }
        (void)uv_timer_init(&listener->worker->loop, &introduction->timer);
        introduction->poll.data = introduction->timer.data = introduction;
        introduction->n_handles = 2;
        introduction->worker = listener->worker;
        introduction->listener = listener_ref(listener);
        introduction->fd = fd;
        return introduction;
}

void introduction_begin(struct listener *listener, int fd, introduction_done *done) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        struct worker *worker = listener->worker;
        struct introduction *introduction;

        make_room(worker);
        introduction = introduction_new(listener, fd);
        if (!introduction) {
                log_limited(&limit, LOG_LEVEL_ERROR, "listener \"%s\": no memory for a connection",
                            listener->name);
                (void)close(fd);
                return;
        }
        introduction->done = done;
        list_append(&worker->introductions, &introduction->link);
        worker->n_introductions++;
        (void)uv_timer_start(&introduction->timer, on_timer, TIME_MS, 0);
        (void)uv_poll_start(&introduction->poll, UV_READABLE, on_poll);
}

void introductions_end(struct worker *worker) {
        LIST_FOREACH_SAFE (link, &worker->introductions)
                (void)close(leave(container_of(link, struct introduction, link)));
}
