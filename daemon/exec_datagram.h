/* Exec for datagrams: a program for each, with the datagram as its standard input; what it prints
 * is the answer, one datagram, sent when it has ended. See exec.h.
 *
 * The peer's session stays until then. A datagram that finds as many programs as may be waits for
 * its turn, if its peer can be answered; there is a limit on those that do, and more are dropped.
 */
#pragma once

#include "lib/bytes.h"
#include "lib/list.h"

struct connection;

/* How many datagrams of a listener may wait. */
#define EXEC_DATAGRAMS_WAITING_MAX 256

/* Takes a datagram of a peer. runs: those of the peer. */
void exec_take_datagram(struct connection *connection, struct list_link *runs, struct bytes bytes);

/* The peer's session ends, and so do its programs. */
void exec_end_datagrams(struct list_link *runs);
