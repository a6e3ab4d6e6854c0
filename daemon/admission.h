/* Admission: whether a peer may begin at a listener. All that limits it is asked here, in this
 * order:
 *
 *      its address, and the time of day    gate.h
 *      how many connections there are      in all, of its address, of its user
 *      how many have begun in this second  last, so that who is refused does not use up what others
 *                                          may
 *
 * A listener has one. Its accepting worker asks for each connection, which then has a place, and
 * gives that back when it is closed, in any thread. Datagrams have nothing but their gate, of which
 * each endpoint has a copy; their sessions have limits of their own (session.h) and share the pace.
 * A reload changes the limits and leaves the places alone.
 */
#pragma once

#include "daemon/gate.h"
#include "daemon/refusal.h"
#include "daemon/source_counts.h"
#include "lib/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct config_admission;

/* How many of those who are refused are told why at the same time: as long as that takes they are
 * connections. */
#define ADMISSION_TOLD_MAX 64

/* Why a connection that was admitted had to go. */
enum time_limit {
        TIME_LIMIT_IDLE,
        TIME_LIMIT_TOTAL,
        N_TIME_LIMITS,
};

/* Its key in the configuration: "idle_timeout". */
const char *time_limit_name(enum time_limit why);

struct admission {
        /* With the lock. */
        pthread_mutex_t lock; /* a leaf */
        struct gate gate;
        struct source_counts counts;
        uint64_t n_places;               /* that are taken */
        uint64_t second_ms, n_in_second; /* when it began; how many in it */
        uint64_t rests_until_ms;         /* it admits nobody; 0: it does */
        uint64_t max_connections;        /* 0: no limit, as of the others */
        uint64_t max_per_source, max_per_uid;
        uint64_t cps, cps_pause_ms;

        /* For all, without it. */
        _Atomic uint64_t idle_timeout_ms, max_time_ms; /* 0: no limit */
        _Atomic uint64_t n_refused[N_REFUSALS];        /* REFUSAL_NONE: those that were not */
        _Atomic uint64_t n_expired[N_TIME_LIMITS];
        _Atomic unsigned n_told;
        struct log_limit log_limit;
};

/* Who comes. */
struct visitor {
        bool has_host, has_uid; /* has_uid: the kernel said so with the connection */
        struct in6_addr host;   /* of IPv4 mapped to IPv6 */
        uid_t uid;
        int fd; /* of a connection, whose peer's uid can be asked for; else -1 */
};

/* What a connection has taken of the limits. Of zeroes: nothing. */
struct admission_place {
        enum refusal refusal; /* it was refused, and is there to be told */
        bool is_taken, is_told;
        struct source_count *source, *user; /* NULL: not counted */
};

void admission_init(struct admission *admission);
void admission_deinit(struct admission *admission);

/* Sets the limits. Those who are there stay; a pause of the pace ends. The server's thread. */
void admission_set(struct admission *admission, const struct config_admission *config);

/* Gives a place to a connection, or says why not, which is counted. *place is for admission_leave()
 * in either case. now_ms: a monotonic clock; now: seconds of the real one. */
enum refusal admission_enter(struct admission *admission, const struct visitor *visitor,
                             uint64_t now_ms, time_t now, struct admission_place *place);

/* Whether one who was refused may stay for the moment in which he is told why. */
bool admission_may_tell(struct admission *admission, struct admission_place *place);

/* Gives the place back. Any thread. */
void admission_leave(struct admission *admission, struct admission_place *place);

/* Whether one more may begin in this second, who has no place. Any thread. */
bool admission_keeps_pace(struct admission *admission, uint64_t now_ms);

/* Makes *gate the gate of today. Any thread. */
void admission_copy_gate(struct admission *admission, struct gate *gate);

/* Counts one that had to go. Any thread. */
void admission_count_expired(struct admission *admission, enum time_limit why);

/* Says in the log who was refused, if not too much was said of late. source: where it came from.
 * Any thread. */
void admission_log(struct admission *admission, const char *listener, const char *source,
                   enum refusal why);
