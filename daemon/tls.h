/* TLS of one connection: OpenSSL's state, and the way of its bytes.
 *
 * During the handshake bytes come from `in` and go to `out`, so that what takes long, the signature
 * above all, can be computed by any thread, which needs no socket for it. Afterwards OpenSSL reads
 * and writes the socket itself. Before that it takes what `in` still has; and what the socket does
 * not take goes to `out`, so that OpenSSL never waits with half a record, when it could not answer
 * its peer.
 *
 * What has no data in it OpenSSL deals with by itself, and reads on: requests for new keys, of
 * which each costs as much as a hundred small messages, or warnings. Who sends many of them in a
 * row does so for no good; they are counted, and what is above the limit ends the connection.
 *
 * OpenSSL's state is not for two threads at a time: the worker that receives and the workers that
 * send hold the connection's lock for it.
 */
#pragma once

#include "daemon/certificate.h"
#include "daemon/job.h"
#include "lib/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct connection;
struct ssl_st;
struct tls_context;

enum tls_phase {
        TLS_GREETING,  /* the server speaks first, if it does */
        TLS_AWAITED,   /* the peer's first byte tells whether it speaks TLS */
        TLS_HANDSHAKE, /* nothing else passes */
        TLS_ESTABLISHED,
        TLS_FAILED, /* nothing passes any more */
};

/* What a step of the handshake came to. */
enum tls_step {
        TLS_STEP_INPUT, /* it needs more bytes of the peer, once `out` has left */
        TLS_STEP_DONE,  /* it is over when `out` has left */
        TLS_STEP_FAILED,
};

/* Bytes on their way. */
struct tls_queue {
        char *bytes; /* owned; NULL: none */
        size_t start, end, capacity;
};

/* What is known once the handshake is over. */
struct tls_facts {
        const char *version;             /* "1.2", "1.3"; a constant */
        const char *cipher;              /* the suite, in the words of the RFCs; a constant */
        bool is_resumed;                 /* by a ticket */
        struct certificate *certificate; /* owned; the peer's, verified; NULL: none */
};

struct tls {
        struct tls_context *context;   /* a reference */
        const char *host;              /* client: whom the server has to be; borrowed */
        struct connection *connection; /* whose it is */
        unsigned source;               /* where it comes from: which of its worker's counts */
        enum tls_phase phase;          /* written by its worker with the lock, read with it */

        /* For its worker; while is_working, the queues, ssl, step and so on are another thread's.
         */
        uint64_t due_ms; /* loop time at which the handshake has to be over; of a connection */
        struct tls_queue in, out;
        enum tls_step step;
        char failure[128];     /* why it failed */
        bool is_working;       /* a step is being computed */
        struct job job;        /* that computes it */
        struct list_link link; /* worker's handshakes that wait for their peers */

        /* When it is established; with the connection's lock. */
        struct ssl_st *ssl; /* owned; NULL until the first step */
        int fd;             /* the socket; -1 before */
        bool is_at_end;     /* of what the socket gives */
        uint64_t n_records; /* that have come */
        unsigned n_empty;   /* of them, without data, less those that had some */
        size_t n_owed;      /* bytes of the record that `out` still has a part of */
        struct tls_facts facts;

        /* For its worker: nothing is left to be read without the socket's having more. */
        bool is_drained;
        /* What each direction waits for: UV_READABLE, UV_WRITABLE. */
        _Atomic int receive_events, send_events;
};

/* Takes the reference over, unless it fails. Returns NULL if there is no memory. */
struct tls *tls_new(struct tls_context *context, struct connection *connection);

/* NULL is allowed. Returns NULL. */
struct tls *tls_free(struct tls *tls);

/* Goes on with the handshake with what is in `in`; the result is in tls->step. Any thread, one at a
 * time. */
void tls_take_step(struct tls *tls);

/* Appends bytes. Returns 0, or -ENOMEM also when there is much more than a handshake has. */
int tls_queue_append(struct tls_queue *queue, const void *bytes, size_t n_bytes);

/* Sends what is in `out`. Returns 0, -EAGAIN if the socket is full, or another -errno. */
int tls_send_queue(struct tls *tls, int fd);

/* Drops n_bytes from the beginning; with the last one its memory is freed. */
void tls_queue_consume(struct tls_queue *queue, size_t n_bytes);

static inline size_t tls_queue_length(const struct tls_queue *queue) {
        return queue->end - queue->start;
}

/* Reads into `bytes`. Returns how many; 0: the peer's end; -EAGAIN: there is nothing, or the peer
 * has to take answers first, and is_drained; -EDQUOT: it sends records without data, and nothing
 * else; or another -errno. With the lock. */
ssize_t tls_read(struct tls *tls, void *bytes, size_t n_bytes);

/* Writes up to a record. What is offered next has to begin with the same bytes, and be as long at
 * least, until they have been taken. Returns how many were taken; -EAGAIN: the socket is full; or
 * another -errno. With the lock. */
ssize_t tls_write(struct tls *tls, const void *bytes, size_t n_bytes);
#define TLS_RECORD_MAX 16384

/* How many more records without data may come than with some. */
#define TLS_EMPTY_MAX 32

/* What to poll for in order to receive (UV_READABLE) or send (UV_WRITABLE) as wanted. */
static inline int tls_events(const struct tls *tls, int wanted) {
        int events = 0;

        if (wanted & UV_READABLE)
                events |= atomic_load_explicit(&tls->receive_events, memory_order_relaxed);
        if (wanted & UV_WRITABLE)
                events |= atomic_load_explicit(&tls->send_events, memory_order_relaxed);
        return events;
}

/* Tells the peer that nothing more comes. With the lock. */
void tls_end_output(struct tls *tls);
