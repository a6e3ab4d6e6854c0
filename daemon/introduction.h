/* Accepted connections of which it is not known yet who is there: a proxy tells, by the header of
 * the PROXY protocol.
 *
 * They belong to the accepting worker, are no connections yet, and have a limited time. What comes
 * behind the header stays in the socket.
 */
#pragma once

struct listener;
struct proxy_header;
struct worker;

/* Told of the header, and handed the descriptor. */
typedef void introduction_done(struct listener *listener, int fd,
                               const struct proxy_header *header);

/* Waits for the header of a connection that the listener's worker has accepted. Takes the
 * descriptor. */
void introduction_begin(struct listener *listener, int fd, introduction_done *done);

/* Closes all that the worker waits for. */
void introductions_end(struct worker *worker);
