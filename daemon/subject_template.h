/* Subjects that are built of what is known of a peer: "syslog.${peer.address}".
 *
 * A template is text with variables, each of which becomes a part of a token: bytes that would make
 * another token of it, or a wildcard, become "_", and what is not known becomes "unknown". So what
 * comes out is a good subject whatever a peer is called, and no longer than was checked when the
 * template was made. A template does not change; any thread.
 */
#pragma once

#include "lib/bytes.h"

enum subject_variable {
        VARIABLE_PEER_ADDRESS,
        VARIABLE_PEER_PORT,
        VARIABLE_PEER_UID,
        VARIABLE_PEER_GID,
        VARIABLE_PEER_PID,
        VARIABLE_PEER_USER,
        VARIABLE_PEER_UNIT,
        VARIABLE_LISTENER,
        N_SUBJECT_VARIABLES,
};

/* The longest subject that comes out. */
#define SUBJECT_TEMPLATE_MAX 1024

/* Room for what is wrong with a text. */
#define SUBJECT_REASON_MAX 256

struct subject_template;

/* Makes a template of a text. takes_wildcards: the subject may have some, as that of a
 * subscription. Returns 0; -EINVAL, and what was expected as text for people; or -ENOMEM. */
int subject_template_new(struct subject_template **templatep, struct bytes text,
                         bool takes_wildcards, char reason[SUBJECT_REASON_MAX]);

/* Frees it. NULL is allowed. Returns NULL. */
struct subject_template *subject_template_free(struct subject_template *template);

/* Whether a variable is in it. */
bool subject_template_uses(const struct subject_template *template, enum subject_variable variable);

/* Whether any variable of the peer is in it, so that the subject is not the same for all. */
bool subject_template_uses_peer(const struct subject_template *template);

/* Writes the subject with these values, of which one of length 0 is not known. Only those of
 * variables that are used are looked at. Returns its length. */
size_t subject_template_write(const struct subject_template *template,
                              const struct bytes values[N_SUBJECT_VARIABLES],
                              char to[SUBJECT_TEMPLATE_MAX]);
