/* Admission. See admission.h. */
#include "daemon/admission.h"

#include "daemon/config.h"
#include "daemon/sock_owner.h"
#include "lib/units.h"

#include <inttypes.h>

#define SECOND_MS 1000

const char *time_limit_name(enum time_limit why) {
        return why == TIME_LIMIT_IDLE ? "idle_timeout" : "max_time";
}

void admission_init(struct admission *admission) {
        pthread_mutex_init(&admission->lock, NULL);
        admission->log_limit.burst = 20;
        admission->log_limit.interval_ms = 10000;
}

void admission_deinit(struct admission *admission) {
        gate_deinit(&admission->gate);
        source_counts_deinit(&admission->counts);
        pthread_mutex_destroy(&admission->lock);
}

void admission_set(struct admission *admission, const struct config_admission *config) {
        pthread_mutex_lock(&admission->lock);
        gate_set(&admission->gate, config->access, config->schedule);
        admission->max_connections = config->max_connections;
        admission->max_per_source = config->max_connections_per_source;
        admission->max_per_uid = config->max_connections_per_uid;
        admission->cps = config->cps.connections;
        admission->cps_pause_ms = config->cps.pause_ms;
        admission->rests_until_ms = admission->n_in_second = 0;
        pthread_mutex_unlock(&admission->lock);
        atomic_store(&admission->idle_timeout_ms, config->idle_timeout_ms);
        atomic_store(&admission->max_time_ms, config->max_time_ms);
}

/* --- under the lock --------------------------------------------------------------------------- */

static bool is_full(uint64_t n, uint64_t max) {
        return max > 0 && n >= max;
}

/* Whether one more may begin. Seconds begin with somebody who comes. */
static bool keeps_pace(struct admission *admission, uint64_t now_ms) {
        if (admission->cps == 0)
                return true;
        if (now_ms < admission->rests_until_ms)
                return false;
        if (admission->n_in_second == 0 || now_ms >= admission->second_ms + SECOND_MS) {
                admission->second_ms = now_ms;
                admission->n_in_second = 0;
        }
        if (!is_full(admission->n_in_second, admission->cps)) {
                admission->n_in_second++;
                return true;
        }
        admission->rests_until_ms = now_ms + admission->cps_pause_ms;
        return false;
}

/* Counts a source of which there may be so many. */
static enum refusal count(struct admission *admission, const struct source_key *key, uint64_t max,
                          enum refusal why, struct source_count **countp) {
        *countp = source_counts_take(&admission->counts, key);
        if (!*countp)
                return REFUSAL_MEMORY;
        return is_full((*countp)->n - 1, max) ? why : REFUSAL_NONE;
}

static void give(struct admission *admission, struct admission_place *place) {
        source_counts_give(&admission->counts, place->source);
        source_counts_give(&admission->counts, place->user);
        place->source = place->user = NULL;
}

static enum refusal take(struct admission *admission, const struct visitor *visitor,
                         uint64_t now_ms, struct admission_place *place) {
        struct source_key host = source_key_of_address(&visitor->host);
        struct source_key user = source_key_of_user(visitor->uid);
        enum refusal why = REFUSAL_NONE;

        if (is_full(admission->n_places, admission->max_connections))
                return REFUSAL_CONNECTIONS;
        /* Without a limit too: it may get one while they are there. */
        if (visitor->has_host)
                why = count(admission, &host, admission->max_per_source, REFUSAL_SOURCE,
                            &place->source);
        if (why == REFUSAL_NONE && visitor->has_uid)
                why = count(admission, &user, admission->max_per_uid, REFUSAL_UID, &place->user);
        if (why == REFUSAL_NONE && !keeps_pace(admission, now_ms))
                why = REFUSAL_CPS;
        if (why != REFUSAL_NONE) {
                give(admission, place);
                return why;
        }
        admission->n_places++;
        place->is_taken = true;
        return REFUSAL_NONE;
}

/* --- entering and leaving --------------------------------------------------------------------- */

static enum refusal ask_gate(struct admission *admission, const struct visitor *visitor, time_t now,
                             bool *wants_uidp) {
        enum refusal why;

        pthread_mutex_lock(&admission->lock);
        why = gate_ask(&admission->gate, visitor->has_host ? &visitor->host : NULL, now);
        *wants_uidp = admission->max_per_uid > 0;
        pthread_mutex_unlock(&admission->lock);
        return why;
}

/* Asks the kernel for the user at the other end, on this host. */
static void learn_uid(struct visitor *visitor) {
        struct sock_owner owner;

        if (visitor->has_uid || visitor->fd < 0 || sock_owner_of_peer(visitor->fd, &owner) < 0)
                return;
        visitor->has_uid = true;
        visitor->uid = owner.uid;
}

enum refusal admission_enter(struct admission *admission, const struct visitor *visitor,
                             uint64_t now_ms, time_t now, struct admission_place *place) {
        struct visitor known = *visitor;
        bool wants_uid;

        *place = (struct admission_place){
                .refusal = ask_gate(admission, visitor, now, &wants_uid),
        };
        if (place->refusal == REFUSAL_NONE) {
                if (wants_uid)
                        learn_uid(&known);
                pthread_mutex_lock(&admission->lock);
                place->refusal = take(admission, &known, now_ms, place);
                pthread_mutex_unlock(&admission->lock);
        }
        atomic_fetch_add_explicit(&admission->n_refused[place->refusal], 1, memory_order_relaxed);
        return place->refusal;
}

bool admission_may_tell(struct admission *admission, struct admission_place *place) {
        place->is_told = atomic_fetch_add(&admission->n_told, 1) < ADMISSION_TOLD_MAX;
        if (!place->is_told)
                atomic_fetch_sub(&admission->n_told, 1);
        return place->is_told;
}

void admission_leave(struct admission *admission, struct admission_place *place) {
        if (place->is_told)
                atomic_fetch_sub(&admission->n_told, 1);
        if (place->is_taken) {
                pthread_mutex_lock(&admission->lock);
                give(admission, place);
                admission->n_places--;
                pthread_mutex_unlock(&admission->lock);
        }
        place->is_told = place->is_taken = false;
}

bool admission_keeps_pace(struct admission *admission, uint64_t now_ms) {
        bool keeps;

        pthread_mutex_lock(&admission->lock);
        keeps = keeps_pace(admission, now_ms);
        pthread_mutex_unlock(&admission->lock);
        return keeps;
}

void admission_copy_gate(struct admission *admission, struct gate *gate) {
        pthread_mutex_lock(&admission->lock);
        gate_set(gate, admission->gate.access, admission->gate.schedule);
        pthread_mutex_unlock(&admission->lock);
}

void admission_count_expired(struct admission *admission, enum time_limit why) {
        atomic_fetch_add_explicit(&admission->n_expired[why], 1, memory_order_relaxed);
}

void admission_log(struct admission *admission, const char *listener, const char *source,
                   enum refusal why) {
        log_limited(&admission->log_limit, LOG_LEVEL_WARNING, "listener \"%s\": refused %s: %s",
                    listener, source, refusal_explanation(why));
}
