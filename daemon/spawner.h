/* The spawner: the process that starts programs, and the only one that may keep the right to change
 * users.
 *
 * It is forked before there is any thread, and has no secrets: it has read no configuration. It
 * takes requests from sockets whose other ends the daemon has (spawner_wire.h): one for the daemon
 * as a whole, and a channel for each worker. Whatever it is told, no more programs run at a time,
 * and no more are started in a second, than the limits allow; a storm of programs that die thus
 * cannot keep the host from working.
 *
 * The programs of a channel are killed when the channel ends, and all of them when the daemon does,
 * in whatever way. The spawner itself ends with the daemon and by nothing else; other signals than
 * SIGKILL do not reach it. Should it die, the daemon goes on, says so once, and starts no programs
 * any more: a new one could not be forked without the daemon's threads and secrets. What ran then,
 * and what that has started, becomes the daemon's own child by and by, and is killed.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* The daemon's view of it. */
struct spawner {
        int fd;        /* owned; -1: there is no spawner. Readable when it has ended */
        pid_t pid;     /* a child; 0: it was waited for */
        bool has_heir; /* what it leaves becomes the daemon's child, who has no others */
};

/* Starts it. It starts nothing before it has limits. Before any thread. arguments: those of main(),
 * in whose place the process says what it is; NULL: it does not. Returns 0 or a negative errno. */
int spawner_start(struct spawner *spawner, char **arguments);

/* Whether it has not ended, as far as is known. The server's thread. */
static inline bool spawner_is_running(const struct spawner *spawner) {
        return spawner->pid != 0;
}

/* Sets how many programs may run at a time, and how many may be started in a second, at most
 * SPAWNER_RUNNING_MAX, and from 1 to SPAWNER_STARTS_MAX (spawner_wire.h). Those that run go on. Any
 * thread. Returns 0 or a negative errno. */
int spawner_limit(const struct spawner *spawner, unsigned max_running, unsigned max_starts);

/* Opens a channel, a non-blocking socket of the type SOCK_SEQPACKET, which the caller closes. Any
 * thread. Returns a descriptor or a negative errno: -EPIPE: the spawner has ended. */
int spawner_open_channel(const struct spawner *spawner);

/* Waits for one that has ended. Returns the status as of waitpid(2), or -1 if it was waited for
 * already. The server's thread. */
int spawner_collect(struct spawner *spawner);

/* Kills what one that has ended has left to this process, as far as it has come here already, and
 * waits for those that are dead. Returns whether there are more: SIGCHLD tells when to call it
 * again. The server's thread. */
bool spawner_kill_left(const struct spawner *spawner);

/* Ends it, with all programs, and waits for that, which takes about a second at most. When
 * there is no other thread any more. */
void spawner_stop(struct spawner *spawner);
