/* Why a listener does not admit somebody. */
#pragma once

enum refusal {
        REFUSAL_NONE,
        REFUSAL_ADDRESS,     /* it is denied, or not among those that are allowed */
        REFUSAL_TIME,        /* it is not open at this time of day */
        REFUSAL_CONNECTIONS, /* it has as many as it may */
        REFUSAL_SOURCE,      /* of this address */
        REFUSAL_UID,         /* of this user */
        REFUSAL_CPS,         /* there were too many in a second */
        REFUSAL_MEMORY,      /* there is none to count one more source */
        N_REFUSALS,
};

/* The word for it: "address". */
const char *refusal_name(enum refusal why);

/* What is said of it in the log: "its address is not admitted". */
const char *refusal_explanation(enum refusal why);

/* What who is refused is told, in the words of the protocol. */
const char *refusal_text(enum refusal why);
