/* The words for refusals. See refusal.h. */
#include "daemon/refusal.h"

#include "lib/protocol.h"

struct words {
        const char *name, *explanation, *text;
};

static const struct words words[N_REFUSALS] = {
        [REFUSAL_NONE] = {"none", "", ""},
        [REFUSAL_ADDRESS] = {"address", "its address is not admitted", ERROR_ADDRESS},
        [REFUSAL_TIME] = {"time", "it is closed at this time of day", ERROR_TIME},
        [REFUSAL_CONNECTIONS] = {"connections", "max_connections is reached",
                                 ERROR_MAX_CONNECTIONS},
        [REFUSAL_SOURCE] = {"source", "max_connections_per_source is reached",
                            ERROR_MAX_CONNECTIONS},
        [REFUSAL_UID] = {"uid", "max_connections_per_uid is reached", ERROR_MAX_CONNECTIONS},
        [REFUSAL_CPS] = {"cps", "there were too many in a second", ERROR_THROTTLED},
        [REFUSAL_MEMORY] = {"memory", "there is no memory", ERROR_MAX_CONNECTIONS},
};

const char *refusal_name(enum refusal why) {
        return words[why].name;
}

const char *refusal_explanation(enum refusal why) {
        return words[why].explanation;
}

const char *refusal_text(enum refusal why) {
        return words[why].text;
}
