/* Gates. See gate.h. */
#include "daemon/gate.h"

#include "daemon/access_list.h"
#include "daemon/schedule.h"

void gate_set(struct gate *gate, struct access_list *access, struct schedule *schedule) {
        struct gate before = *gate;

        *gate = (struct gate){
                .access = access_list_ref(access),
                .schedule = schedule_ref(schedule),
                .asked_s = (time_t)-1,
        };
        gate_deinit(&before);
}

void gate_deinit(struct gate *gate) {
        gate->access = access_list_unref(gate->access);
        gate->schedule = schedule_unref(gate->schedule);
}

/* Once a second is enough: the C library takes a lock to know the local time. */
static bool is_open(struct gate *gate, time_t now) {
        if (!gate->schedule)
                return true;
        if (gate->asked_s != now)
                gate->was_open = schedule_is_open(gate->schedule, now);
        gate->asked_s = now;
        return gate->was_open;
}

enum refusal gate_ask(struct gate *gate, const struct in6_addr *host, time_t now) {
        if (host && !access_list_admits(gate->access, host))
                return REFUSAL_ADDRESS;
        return is_open(gate, now) ? REFUSAL_NONE : REFUSAL_TIME;
}
