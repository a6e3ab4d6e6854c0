/* A gate: who may come, and when. Each newcomer of a listener is asked, and each datagram.
 *
 * The rules do not change, so that each thread that asks often has a gate of its own. A gate is for
 * one thread, or under a lock; one of zeroes is open to all.
 */
#pragma once

#include "daemon/refusal.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <time.h>

struct access_list;
struct schedule;

struct gate {
        struct access_list *access; /* a reference; NULL: everybody */
        struct schedule *schedule;  /* a reference; NULL: always */
        time_t asked_s;             /* when the schedule was asked last, and what it said */
        bool was_open;
};

/* Takes references; both may be NULL. */
void gate_set(struct gate *gate, struct access_list *access, struct schedule *schedule);
void gate_deinit(struct gate *gate);

/* Whether it is always open to all. */
static inline bool gate_is_wide_open(const struct gate *gate) {
        return !gate->access && !gate->schedule;
}

/* Whether somebody may come, at a time, in seconds of the real clock: REFUSAL_NONE, REFUSAL_ADDRESS
 * or REFUSAL_TIME. host: of IPv4 mapped to IPv6; NULL: that of a Unix peer, for whom addresses do
 * not count. */
enum refusal gate_ask(struct gate *gate, const struct in6_addr *host, time_t now);
