/* An endpoint: the datagram socket of one listener in one worker, and the sessions of its peers.
 *
 * Datagrams are received in batches; each goes up through the listener's handler as one input, on
 * the connection of its session. Several workers share a UDP port: the kernel sends what comes from
 * one peer to the same socket always (SO_REUSEPORT), and so to the same worker.
 */
#pragma once

#include "daemon/gate.h"
#include "daemon/mailbox.h"
#include "daemon/session.h"

#include <uv.h>

struct listener;
struct worker;
struct workers;
struct abstract_names;
struct unread;
struct batch;

struct endpoint {
        struct listener *listener; /* a reference */
        struct worker *worker;
        int fd;                /* owned */
        bool is_posted;        /* the task */
        uint64_t n_work;       /* in this iteration; see struct pressure */
        struct list_link link; /* the worker's endpoints */
        struct task task;
        uv_poll_t poll;
        uv_timer_t sweep; /* for sessions whose peers are silent */
        unsigned n_handles;
        struct unread *unread;        /* owned; of a Unix socket, else NULL */
        struct abstract_names *names; /* owned; of one with a path, else NULL */
        struct batch *batch;          /* owned; what datagrams are received into */
        struct session **buckets;     /* owned; kept sessions by address */
        size_t n_buckets;             /* a power of two, or 0 */
        size_t n_sessions;
        struct list_link sessions; /* kept ones */
        struct session *stranger;  /* for the next unknown peer; NULL: none is made */
        uint32_t n_overflows;      /* as the kernel counts what it dropped */
        uint64_t overflows_ms;     /* loop time when it was asked */
        struct gate gate;          /* the listener's, as of the last reload */
};

/* Has workers receive on a listener: all of them if it is of UDP, else this one. The server's
 * thread. */
void endpoints_start(struct listener *listener, struct worker *worker);

/* Applies what a reload has changed. In its worker. */
void endpoint_changed(struct endpoint *endpoint);

/* Ends its sessions and frees it. In its worker. */
void endpoint_stop_here(struct endpoint *endpoint);

/* Has each worker stop its endpoint of a listener. The server's thread. */
void endpoints_stop(struct listener *listener, struct workers *workers);
