/* Exec: a program for each connection, which is its standard input and output, or for each
 * datagram.
 *
 * sockd knows who the peer is and whether it may stay before there is a program, and tells the
 * program of it in its environment. From then on the socket is the program's, unless there is TLS
 * or a limit on what passes (program_link.h): sockd neither reads nor writes it, and keeps the
 * connection as a record of who is there, who can be kicked, and whom limits hold for. When the
 * program ends so does the connection; when the connection ends so does the program, with all of
 * its group.
 *
 * As many run at once as `concurrency` says. Whoever comes then is accepted, and waits with all
 * that it sends until it is its turn (turnstile.h).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct connection;
struct handler;

extern const struct handler handler_exec;

/* The program of a connection: its process; 0: there is none (yet). *is_waitingp: its turn has not
 * come. Of any connection; by its own worker. */
pid_t exec_pid(const struct connection *connection, bool *is_waitingp);
