/* What the daemon and the spawner say to each other: records of SOCK_SEQPACKET sockets, in the
 * machine's own byte order, as both are the same program.
 *
 * The daemon asks: to open a channel, to set the limits (on its own socket), to start a program, to
 * stop one (on a channel). The spawner answers on channels: a program has started, or it has ended.
 * Descriptors travel beside their record.
 *
 * The spawner may have rights that the daemon does not have, and takes nothing for granted: every
 * count, length and text of a request is checked, and one that is wrong ends its channel. No
 * function here has any effect but on its arguments.
 */
#pragma once

#include "daemon/program_end.h"
#include "daemon/program_spec.h"
#include "daemon/run_as.h"

/* Bytes of a record, and what a start can have. */
#define SPAWNER_RECORD_MAX    65536
#define SPAWNER_ARGUMENTS_MAX 256
#define SPAWNER_VARIABLES_MAX 1024

/* The highest limits on all programs: at a time, and in a second. */
#define SPAWNER_RUNNING_MAX 4096
#define SPAWNER_STARTS_MAX  100000

enum spawner_verb {
        SPAWNER_CHANNEL = 1, /* with one descriptor, the spawner's end */
        SPAWNER_LIMIT,
        SPAWNER_START, /* with a descriptor for each bit of `descriptors` */
        SPAWNER_STOP,
};

/* A request as it was received. What it points to is in the record and in the vectors it was read
 * with. */
struct spawner_request {
        enum spawner_verb verb;
        uint32_t max_running, max_starts; /* limit */
        uint32_t slot;                    /* start, stop: which program, in the daemon's words */
        uint64_t grace_ms;                /* start, stop */

        /* Start. */
        uint32_t descriptors; /* bits 0 to 2: whether that standard descriptor is given */
        size_t n_descriptors; /* how many of them */
        bool tells_start;     /* the daemon wants to hear of it */
        bool has_user;        /* user, group and groups are to be changed */
        uid_t uid;
        gid_t gid;
        const gid_t *groups;
        size_t n_groups;
        struct program_limits limits;
        uint64_t timeout_ms;
        char **arguments; /* NULL at the end */
        char **variables; /* NULL at the end */
        const char *directory;
};

/* Room for the vectors of a request. */
struct spawner_vectors {
        char *arguments[SPAWNER_ARGUMENTS_MAX + 1];
        char *variables[SPAWNER_VARIABLES_MAX + 1];
        gid_t groups[RUN_AS_GROUPS_MAX];
};

/* Room for the record of any request but a start, and for that of a report. */
#define SPAWNER_SMALL_RECORD_MAX 128

/* Each writes a record and returns its length. */
size_t spawner_wire_channel(char record[SPAWNER_SMALL_RECORD_MAX]);
size_t spawner_wire_limit(char record[SPAWNER_SMALL_RECORD_MAX], unsigned max_running,
                          unsigned max_starts);
size_t spawner_wire_stop(char record[SPAWNER_SMALL_RECORD_MAX], uint32_t slot, uint64_t grace_ms);

/* The same, of a start. variables: as of program_start(). Returns 0 and the length in *lengthp;
 * -E2BIG; or -EINVAL: it would be refused. */
int spawner_wire_start(char record[SPAWNER_RECORD_MAX], const struct program_spec *spec,
                       const char *const *variables, uint32_t slot, uint32_t descriptors,
                       bool tells_start, size_t *lengthp);

/* Reads a record of so many bytes. Returns 0; or -EBADMSG: it is none. */
int spawner_wire_read(char *record, size_t length, struct spawner_vectors *vectors,
                      struct spawner_request *request);

/* What the spawner says of a program. */
struct spawner_report {
        bool has_ended; /* else it has started, and only pid counts */
        uint32_t slot;
        struct program_end end;
};

/* Writes a record and returns its length. */
size_t spawner_wire_report(char record[SPAWNER_SMALL_RECORD_MAX],
                           const struct spawner_report *report);

/* Reads one. Returns 0 or -EBADMSG. */
int spawner_wire_read_report(const char *record, size_t length, struct spawner_report *report);
