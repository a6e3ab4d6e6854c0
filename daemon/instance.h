/* What all threads of the running daemon share: its identity, its connections by number, and
 * totals.
 */
#pragma once

#include "daemon/guesses.h"
#include "daemon/usage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct accounts;
struct bus;
struct connection;
struct closed_log;
struct spawner;

/* 56 characters like a server nkey, and a NUL. */
#define INSTANCE_ID_SIZE 57

struct instance {
        char id[INSTANCE_ID_SIZE]; /* one subject token */
        char *name;                /* owned */
        struct timespec start;     /* real time */
        struct bus *bus;           /* of the default account; borrowed */
        struct bus *system_bus;    /* of the system account; borrowed */
        struct accounts *accounts; /* all of them; borrowed */
        struct closed_log *closed; /* borrowed */
        struct guesses guesses;    /* of those who log in */
        struct usages usages;      /* of users */
        struct spawner *spawner;   /* of programs; borrowed. NULL: none can be started */

        _Atomic uint64_t max_connections;
        _Atomic bool is_lame_duck;
        _Atomic uint64_t last_id;       /* of a connection */
        _Atomic uint64_t n_connections; /* those that are counted against the limit */
        _Atomic uint64_t n_sessions;    /* datagram peers, which are not */
        _Atomic uint64_t n_total;
        _Atomic uint64_t n_told;     /* answers and advisories of the server */
        _Atomic uint64_t generation; /* of the configuration and state clients were told of */

        /* Slots: small numbers for living connections, so that workers can keep arrays of them. */
        pthread_mutex_t slots_lock; /* a leaf */
        _Atomic(struct connection *) *slots;
        uint32_t n_slots;     /* fixed */
        uint32_t *free_slots; /* a stack */
        uint32_t n_free_slots;
        uint32_t n_used_slots; /* slots that were ever used */
};

/* Returns 0 or a negative errno. n_slots: the most connections that can exist. */
int instance_init(struct instance *instance, const char *name, uint32_t n_slots);
void instance_deinit(struct instance *instance);

/* Takes a slot for a connection. Returns 0 or -EAGAIN when there is none. Any thread. */
int instance_take_slot(struct instance *instance, struct connection *connection, uint32_t *slotp);

/* Makes the slot's connection unfindable; after the grace period the slot itself is given back. */
void instance_hide_slot(struct instance *instance, uint32_t slot);
void instance_give_slot(struct instance *instance, uint32_t slot);

/* The connection in a slot or NULL; valid until the calling worker's quiescent state. */
static inline struct connection *instance_find(struct instance *instance, uint32_t slot) {
        return atomic_load_explicit(&instance->slots[slot], memory_order_acquire);
}
