/* Subjects that are built of what is known of a peer. See subject_template.h. */
#include "daemon/subject_template.h"

#include "lib/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How much of a text a reason shows. */
#define SHOWN_MAX 64

static const struct {
        const char *name;
        size_t max; /* of its value; what is longer is cut */
} variables[N_SUBJECT_VARIABLES] = {
        [VARIABLE_PEER_ADDRESS] = {"peer.address", 64}, [VARIABLE_PEER_PORT] = {"peer.port", 10},
        [VARIABLE_PEER_UID] = {"peer.uid", 10},         [VARIABLE_PEER_GID] = {"peer.gid", 10},
        [VARIABLE_PEER_PID] = {"peer.pid", 10},         [VARIABLE_PEER_USER] = {"peer.user", 64},
        [VARIABLE_PEER_UNIT] = {"peer.unit", 255},      [VARIABLE_LISTENER] = {"listener", 64},
};

#define UNKNOWN BYTES("unknown")

/* A piece of text, and the variable behind it. */
struct part {
        size_t length;
        int variable; /* N_SUBJECT_VARIABLES: none */
};

struct subject_template {
        unsigned used; /* bits: variables */
        size_t n_parts;
        struct part *parts; /* owned */
        char *text;         /* owned; the pieces of all parts, one behind the other */
};

/* --- writing -------------------------------------------------------------------------------- */

/* Whether a byte may be part of a token that somebody else has chosen. The dollar is for subjects
 * of the server. */
static bool is_safe(char byte) {
        return byte > ' ' && byte < 0x7f && !strchr(".*>$", byte);
}

static char *write_value(char *to, struct bytes value, size_t max) {
        if (value.length == 0)
                value = UNKNOWN;
        for (size_t i = 0; i < value.length && i < max; i++)
                *to++ = is_safe(value.data[i]) ? value.data[i] : '_';
        return to;
}

size_t subject_template_write(const struct subject_template *template,
                              const struct bytes values[N_SUBJECT_VARIABLES],
                              char to[SUBJECT_TEMPLATE_MAX]) {
        const char *text = template->text;
        char *end = to;

        for (size_t i = 0; i < template->n_parts; i++) {
                const struct part *part = &template->parts[i];

                end = bytes_copy(end, (struct bytes){text, part->length});
                text += part->length;
                if (part->variable != N_SUBJECT_VARIABLES)
                        end = write_value(end, values[part->variable],
                                          variables[part->variable].max);
        }
        return (size_t)(end - to);
}

bool subject_template_uses(const struct subject_template *template,
                           enum subject_variable variable) {
        return template->used & (1u << variable);
}

bool subject_template_uses_peer(const struct subject_template *template) {
        return template->used & ~(1u << VARIABLE_LISTENER);
}

/* --- reading -------------------------------------------------------------------------------- */

static int find_variable(struct bytes name) {
        for (int i = 0; i < N_SUBJECT_VARIABLES; i++)
                if (bytes_equal(name, bytes_from_string(variables[i].name)))
                        return i;
        return N_SUBJECT_VARIABLES;
}

static int refuse_variable(struct bytes name, char reason[SUBJECT_REASON_MAX]) {
        char shown[SHOWN_MAX];
        int n = snprintf(reason, SUBJECT_REASON_MAX,
                         "there is no variable \"${%s}\", expected one of",
                         bytes_quote(shown, sizeof(shown), name));

        for (size_t i = 0; i < N_SUBJECT_VARIABLES && n < SUBJECT_REASON_MAX; i++)
                n += snprintf(reason + n, SUBJECT_REASON_MAX - (size_t)n, "%s %s", i > 0 ? "," : "",
                              variables[i].name);
        return -EINVAL;
}

static int refuse(char reason[SUBJECT_REASON_MAX], const char *text) {
        snprintf(reason, SUBJECT_REASON_MAX, "%s", text);
        return -EINVAL;
}

/* Takes a piece, and the variable behind it if there is one, off *rest, and adds the part. */
static int read_part(struct subject_template *template, struct bytes *rest, size_t *n_textp,
                     char reason[SUBJECT_REASON_MAX]) {
        const char *start = memmem(rest->data, rest->length, "${", 2), *end = NULL;
        struct part part = {.length = rest->length, .variable = N_SUBJECT_VARIABLES};
        struct bytes name;

        if (start) {
                part.length = (size_t)(start - rest->data);
                end = memchr(start, '}', rest->length - part.length);
                if (!end)
                        return refuse(reason, "expected \"}\" behind \"${\"");
                name = (struct bytes){start + 2, (size_t)(end - start) - 2};
                part.variable = find_variable(name);
                if (part.variable == N_SUBJECT_VARIABLES)
                        return refuse_variable(name, reason);
                template->used |= 1u << part.variable;
        }
        template->parts[template->n_parts++] = part;
        *n_textp += (size_t)(bytes_copy(template->text + *n_textp,
                                        (struct bytes){rest->data, part.length}) -
                             (template->text + *n_textp));
        rest->length = end ? rest->length - (size_t)(end + 1 - rest->data) : 0;
        rest->data = end ? end + 1 : rest->data;
        return 0;
}

static size_t longest(const struct subject_template *template) {
        size_t length = 0;

        for (size_t i = 0; i < template->n_parts; i++) {
                const struct part *part = &template->parts[i];

                length += part->length;
                if (part->variable != N_SUBJECT_VARIABLES)
                        length += variables[part->variable].max;
        }
        return length;
}

static bool has_blanks(struct bytes text) {
        for (size_t i = 0; i < text.length; i++)
                if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f)
                        return true;
        return false;
}

static bool is_of_server(struct bytes subject) {
        return subject.length >= 5 && memcmp(subject.data, "$SYS.", 5) == 0;
}

/* Looks at the subject that comes out when nothing is known of a peer. */
static int check(const struct subject_template *template, bool takes_wildcards,
                 char reason[SUBJECT_REASON_MAX]) {
        const struct bytes values[N_SUBJECT_VARIABLES] = {{NULL, 0}};
        char to[SUBJECT_TEMPLATE_MAX];
        struct bytes subject = {to, 0};

        if (longest(template) > sizeof(to))
                return refuse(reason,
                              "expected a subject that is at most 1024 bytes long, with the "
                              "longest values of its variables");
        subject.length = subject_template_write(template, values, to);
        if (has_blanks(subject))
                return refuse(reason, "expected a subject without blanks and control characters");
        if (!subject_is_valid(subject))
                return refuse(reason,
                              "expected a subject: tokens between dots, none of them empty");
        if (takes_wildcards)
                return 0;
        if (!subject_is_literal(subject))
                return refuse(reason,
                              "expected a subject without wildcards, as a message goes there");
        /* They are decided upon by role, and answered to sockctl alone. */
        return is_of_server(subject)
                       ? refuse(reason, "expected a subject outside of $SYS, which is the server's")
                       : 0;
}

static int read_text(struct subject_template *template, struct bytes text,
                     char reason[SUBJECT_REASON_MAX]) {
        size_t n_text = 0;
        int r = 0;

        if (text.length == 0)
                return refuse(reason, "expected a subject");
        if (text.length > SUBJECT_TEMPLATE_MAX)
                return refuse(reason, "expected a subject of at most 1024 bytes");
        /* No part is without a byte, as a variable takes several. */
        template->parts = calloc(text.length, sizeof(*template->parts));
        template->text = malloc(text.length);
        if (!template->parts || !template->text)
                return -ENOMEM;
        while (r == 0 && text.length > 0)
                r = read_part(template, &text, &n_text, reason);
        return r;
}

int subject_template_new(struct subject_template **templatep, struct bytes text,
                         bool takes_wildcards, char reason[SUBJECT_REASON_MAX]) {
        struct subject_template *template = calloc(1, sizeof(*template));
        int r = template ? read_text(template, text, reason) : -ENOMEM;

        if (r == 0)
                r = check(template, takes_wildcards, reason);
        if (r < 0)
                subject_template_free(template);
        else
                *templatep = template;
        return r;
}

struct subject_template *subject_template_free(struct subject_template *template) {
        if (!template)
                return NULL;
        free(template->parts);
        free(template->text);
        free(template);
        return NULL;
}
