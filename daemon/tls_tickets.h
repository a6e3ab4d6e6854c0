/* Tickets, by which a client resumes a TLS session without a certificate's signature.
 *
 * The server keeps nothing of a session: the client has all of it in a ticket, under a key that
 * only this process knows. Whoever learns a key could read the sessions of its tickets, so a key is
 * used for an hour and believed for two, and then overwritten; it is in no core dump
 * (key_memory.h). One ring of keys serves all listeners; that a session is resumed only where it
 * could have begun is checked by OpenSSL (tls_context.c). Any thread.
 */
#pragma once

struct ssl_ctx_st;

/* How long a session can be resumed. */
#define TLS_TICKETS_LIFETIME_S 7200

/* Has the sessions of a context be resumed by such tickets. Returns 0 or -ENOMEM. */
int tls_tickets_enable(struct ssl_ctx_st *ssl_ctx);
