/* What became of a program, in words. See program_end.h. */
#include "daemon/program_end.h"

#include "daemon/program_spec.h"
#include "daemon/run_as.h"
#include "lib/units.h"

#include <stdio.h>
#include <string.h>

/* What a sentence is about. */
enum object {
        OBJECT_PROGRAM,
        OBJECT_USER,
        OBJECT_DIRECTORY,
};

/* What stands before and behind the object; the error follows, if there is one. */
static const struct {
        const char *before, *behind;
        enum object object;
} sentences[N_PROGRAM_STEPS] = {
        [PROGRAM_RAN] = {"", "", OBJECT_PROGRAM},
        [PROGRAM_ASK] = {"cannot ask for ", " to be started", OBJECT_PROGRAM},
        [PROGRAM_TOO_MANY] = {"", " is not started: as many programs run as may", OBJECT_PROGRAM},
        [PROGRAM_TOO_FAST] = {"", " is not started: as many were started in a second as may be",
                              OBJECT_PROGRAM},
        [PROGRAM_TAKE] = {"the spawner cannot take over ", "", OBJECT_PROGRAM},
        [PROGRAM_FORK] = {"cannot make a process for ", "", OBJECT_PROGRAM},
        [PROGRAM_SESSION] = {"cannot make a session for ", "", OBJECT_PROGRAM},
        [PROGRAM_DESCRIPTORS] = {"cannot pass the standard descriptors to ", "", OBJECT_PROGRAM},
        [PROGRAM_LIMITS] = {"cannot set the limits of ", "", OBJECT_PROGRAM},
        [PROGRAM_GROUPS] = {"cannot change to the supplementary groups of ", "", OBJECT_USER},
        [PROGRAM_GROUP] = {"cannot change to the group of ", "", OBJECT_USER},
        [PROGRAM_USER] = {"cannot change to ", "", OBJECT_USER},
        [PROGRAM_PRIVILEGES] = {"cannot take privileges from ", "", OBJECT_PROGRAM},
        [PROGRAM_DIRECTORY] = {"cannot change to the directory ", "", OBJECT_DIRECTORY},
        [PROGRAM_EXECUTE] = {"cannot execute ", "", OBJECT_PROGRAM},
        [PROGRAM_LOST] = {"it is not known what became of ", ", which was killed", OBJECT_PROGRAM},
};

#define OBJECT_TEXT_MAX (PROGRAM_END_TEXT_MAX / 2)

static void describe_user(const struct run_as *user, char text[OBJECT_TEXT_MAX]) {
        if (!user)
                snprintf(text, OBJECT_TEXT_MAX, "another user");
        else if (user->name)
                snprintf(text, OBJECT_TEXT_MAX, "user \"%s\" (uid %lu, gid %lu)", user->name,
                         (unsigned long)user->uid, (unsigned long)user->gid);
        else
                snprintf(text, OBJECT_TEXT_MAX, "gid %lu", (unsigned long)user->gid);
}

static void describe_object(enum object object, const struct program_spec *spec,
                            char text[OBJECT_TEXT_MAX]) {
        if (object == OBJECT_USER)
                describe_user(spec->user, text);
        else if (object == OBJECT_DIRECTORY)
                snprintf(text, OBJECT_TEXT_MAX, "%s", spec->directory ? spec->directory : "/");
        else
                snprintf(text, OBJECT_TEXT_MAX, "%s", spec->arguments[0]);
}

/* Errors of a request that say little by themselves. */
static const char *reason_of(const struct program_end *end) {
        if (end->step == PROGRAM_ASK && end->error == EAGAIN)
                return "too many programs are being started";
        if (end->step == PROGRAM_ASK && end->error == EPIPE)
                return "the spawner has ended; sockd has to be restarted";
        return strerror(end->error);
}

static void describe_failure(const struct program_end *end, const struct program_spec *spec,
                             char text[PROGRAM_END_TEXT_MAX]) {
        char object[OBJECT_TEXT_MAX];

        describe_object(sentences[end->step].object, spec, object);
        snprintf(text, PROGRAM_END_TEXT_MAX, "%s%s%s%s%s", sentences[end->step].before, object,
                 sentences[end->step].behind, end->error ? ": " : "",
                 end->error ? reason_of(end) : "");
}

const char *program_end_describe(const struct program_end *end, const struct program_spec *spec,
                                 char text[PROGRAM_END_TEXT_MAX]) {
        char timeout[UNITS_TEXT_MAX];

        if (end->step != PROGRAM_RAN)
                describe_failure(end, spec, text);
        else if (end->was_late)
                snprintf(text, PROGRAM_END_TEXT_MAX, "took longer than %s",
                         units_format_duration(timeout, spec->timeout_ms));
        else if (end->signal != 0)
                snprintf(text, PROGRAM_END_TEXT_MAX, "was ended by signal %d (%s)", end->signal,
                         strsignal(end->signal));
        else
                snprintf(text, PROGRAM_END_TEXT_MAX, "exited with status %d", end->status);
        return text;
}
