/* libsockd: a client of sockd, and of any other server of the NATS protocol.
 *
 * Blocking and small: a handle is one connection, every call does its work and returns, and nothing
 * happens between two calls. No threads, no event loop, no globals. Reads and writes are buffered,
 * messages are parsed in place and never allocated, so that one connection moves millions of them
 * a second.
 *
 *      struct sockd *sockd;
 *      struct sockd_message message;
 *
 *      sockd_new(&sockd);
 *      sockd_connect(sockd, "unix:///run/sockd/sockd.sock", 2000);
 *      sockd_subscribe(sockd, "news.>", NULL, 0, NULL);
 *      while (sockd_next(sockd, &message, -1) == 0)
 *              fwrite(message.payload, 1, message.n_payload, stdout);
 *      sockd_free(sockd);
 *
 * Results. 0 is success, a positive number is one of enum sockd_result, a negative one -errno.
 * sockd_error_text() says more about the last failure. After SOCKD_CLOSED, SOCKD_VIOLATION,
 * SOCKD_TLS or a negative result of a socket call the connection is gone: every later call returns
 * the same, until sockd_connect() makes a new one.
 *
 * Threads. A handle belongs to one thread at a time; different handles share nothing.
 *
 * Datagrams. With "udp://" and "unix+dgram://" there is no connection: messages are whole
 * datagrams, and the server forgets the subscriptions of whom it has not heard of for some time.
 * The library repeats them well before that, in the calls that read and while these wait; so a
 * server that was started again gets them too. A program that waits for sockd_descriptor() is woken
 * for it. Over UDP datagrams may be lost, and sockd drops those that a slow client does not take:
 * what was published need not arrive, whatever sockd_flush() says. What is answered is sent several
 * times if need be: by sockd_connect(), sockd_flush() and sockd_ping(), and over UDP by
 * sockd_request(). A failure of the network does not end the handle; sockd_next() and
 * sockd_process() bear it for 30 s where there are subscriptions.
 *
 * Time. timeout_ms is in milliseconds; 0 does not wait, a negative number waits for ever.
 *
 * The server pings its clients and closes those that do not answer for some minutes (protocol.md,
 * section 6.9). The answers are given by the calls that read: sockd_next(), sockd_request(),
 * sockd_flush(), sockd_ping() and sockd_process(). A program that waits for something else for long
 * waits for sockd_descriptor() as well, and then calls sockd_process().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SOCKD_PUBLIC
#define SOCKD_PUBLIC __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum sockd_result {
        SOCKD_DONE = 0,
        SOCKD_TIMEOUT = 1,       /* nothing came in time */
        SOCKD_NO_RESPONDERS = 2, /* nobody listens on the subject of the request */
        SOCKD_DENIED = 3,        /* the server refused the login, or a subject */
        SOCKD_REFUSED = 4,       /* another error that the server sent */
        SOCKD_CLOSED = 5,        /* the server closed the connection */
        SOCKD_TOO_LARGE = 6,     /* larger than the server takes; nothing was sent */
        SOCKD_VIOLATION = 7,     /* what arrived is not the NATS protocol */
        SOCKD_TLS = 8,           /* TLS failed: one of the two does not trust the other, mostly */
};

/* One connection. */
struct sockd;

/* A message. The slices are not terminated by NUL. Those of a received message point into the
 * connection's buffer and live until the next call on the handle that reads: sockd_next(),
 * sockd_request(), sockd_flush(), sockd_ping(), sockd_process(), sockd_close(), sockd_connect(),
 * sockd_free(). So a message may be answered, or published again, without a copy. */
struct sockd_message {
        const char *subject;
        size_t n_subject;
        const char *reply; /* where an answer is wanted; NULL: nowhere */
        size_t n_reply;
        const char *headers; /* from "NATS/1.0" to the blank line; NULL: none */
        size_t n_headers;
        const void *payload;
        size_t n_payload;
        uint64_t subscription; /* as sockd_subscribe() told it; not used for publishing */
        int status;            /* status of the headers, 503 for instance; 0: none */
};

/* Makes a handle that is not connected. Returns 0 or -ENOMEM. The caller frees it. */
SOCKD_PUBLIC int sockd_new(struct sockd **sockdp);

/* Closes the connection and frees the handle; takes NULL. Returns NULL. */
SOCKD_PUBLIC struct sockd *sockd_free(struct sockd *sockd);

/* The name under which the server lists this client, and what it proves itself with, for the next
 * sockd_connect(). The texts are copied; NULL takes them back. Over a Unix socket sockd asks the
 * kernel who is there, and none is needed. Each returns 0 or -ENOMEM. (protocol.md, 3.1) */
SOCKD_PUBLIC int sockd_set_name(struct sockd *sockd, const char *name);
SOCKD_PUBLIC int sockd_set_login(struct sockd *sockd, const char *user, const char *password);
SOCKD_PUBLIC int sockd_set_token(struct sockd *sockd, const char *token);

/* Signs a nonce of the server: writes the signature, base64url without padding and with a NUL, to a
 * buffer of `size` bytes, which is enough. Returns 0, or a negative errno, with which
 * sockd_connect() ends. Called by sockd_connect(). (protocol.md, 7.4) */
typedef int sockd_sign_fn(void *context, const char *nonce, size_t n_nonce, char *signature,
                          size_t size);

/* The same for an nkey: the public key of a user, "U...", which is copied, and the function that
 * signs with its seed, for which the library needs no cryptography and never sees the seed. NULL
 * takes both back. Not by datagrams, where no server gives a nonce. */
SOCKD_PUBLIC int sockd_set_nkey(struct sockd *sockd, const char *public_key, sockd_sign_fn *sign,
                                void *context);

/* TLS, for the next sockd_connect(), by files in PEM: the authorities whose word for the server is
 * taken, NULL for those of the system; and what the client proves itself with where it is asked to,
 * its certificate with the chain and the key of it, NULL for none or for both in one file. Copied
 * as above; the files are read by sockd_connect(). Returns 0 or -ENOMEM. */
SOCKD_PUBLIC int sockd_set_tls(struct sockd *sockd, const char *ca, const char *certificate,
                               const char *key);

/* Whether TLS begins before the server has said anything, with "tls://", as some servers want it.
 */
SOCKD_PUBLIC void sockd_set_tls_first(struct sockd *sockd, bool is_first);

/* Connects to an address ("unix:///run/sockd/sockd.sock", "/path", "unix:@name",
 * "unix+seqpacket:///path", "unix+dgram:///path", "tcp://host:port", "nats://host:port",
 * "tls://host:port", "udp://host:port"), trying all that a host name stands for, and logs in.
 * TLS begins with "tls://", and wherever the server requires it; the server's certificate has to be
 * of a trusted authority and for the host of the address. An earlier connection is closed first.
 * The resolver of the system may take longer than timeout_ms. Returns 0; SOCKD_TIMEOUT,
 * SOCKD_DENIED, SOCKD_REFUSED, SOCKD_CLOSED, SOCKD_VIOLATION or SOCKD_TLS; -EINVAL for a malformed
 * address, -EPROTONOSUPPORT if one of the two cannot do TLS that is needed, or for an nkey by
 * datagrams or to a server that knows none, -EADDRNOTAVAIL when the name is unknown, else -errno of
 * connect(2), or of the network over UDP, among them -ENOENT, -ECONNREFUSED and -EACCES.
 * (protocol.md, sections 1 to 3) */
SOCKD_PUBLIC int sockd_connect(struct sockd *sockd, const char *address, int timeout_ms);

/* The same on a connected socket of any of these kinds, which becomes the handle's own in any case:
 * it is set non-blocking, and closed on failure. */
SOCKD_PUBLIC int sockd_connect_descriptor(struct sockd *sockd, int descriptor, int timeout_ms);

/* Closes the connection; what was published and not sent is dropped. The handle may connect
 * again. */
SOCKD_PUBLIC void sockd_close(struct sockd *sockd);

/* A descriptor to wait for in a poll(2) of one's own until it is readable, or -1: the socket, or,
 * of datagrams, one that also tells when subscriptions have to be renewed. When sockd_next() with a
 * timeout of 0 returned SOCKD_TIMEOUT, nothing is buffered in either direction. */
SOCKD_PUBLIC int sockd_descriptor(const struct sockd *sockd);

/* Publishes. The message is copied into a buffer that leaves when it holds 64 KiB (over UDP: 1,400
 * bytes), when sockd_send() asks for it, or when a call begins to wait for the server.
 * Returns 0; SOCKD_TOO_LARGE; SOCKD_CLOSED, SOCKD_DENIED or SOCKD_REFUSED when the server has
 * closed; -EINVAL for a subject that is empty, longer than 4096 bytes or has blanks or control
 * characters in it; -ETIMEDOUT when the server took nothing for 10 s; -errno. (protocol.md, 4.1)
 *
 * Whether the server allowed it shows in the result of the next call that reads. */
SOCKD_PUBLIC int sockd_publish(struct sockd *sockd, const char *subject, const void *payload,
                               size_t n_payload);

/* The same with a reply subject and headers. `headers` is a whole block as sockd_header_add()
 * makes it or as it was received. */
SOCKD_PUBLIC int sockd_publish_message(struct sockd *sockd, const struct sockd_message *message);

/* Sends what is buffered, without waiting for an answer. Returns as sockd_publish(). */
SOCKD_PUBLIC int sockd_send(struct sockd *sockd);

/* Sends what is buffered and waits until the server has processed all of it (PING, PONG). Messages
 * that arrive meanwhile stay for sockd_next(). After success, earlier subscriptions are in effect,
 * and earlier messages are on their way.
 * Returns 0, SOCKD_TIMEOUT, SOCKD_DENIED, SOCKD_REFUSED, SOCKD_CLOSED, SOCKD_VIOLATION, -errno;
 * -ENOBUFS if more than 64 MiB of messages wait for sockd_next(). (protocol.md, 6.4) */
SOCKD_PUBLIC int sockd_flush(struct sockd *sockd, int timeout_ms);

/* The same, and stores the round trip in nanoseconds. */
SOCKD_PUBLIC int sockd_ping(struct sockd *sockd, int timeout_ms, uint64_t *round_trip_nsp);

/* Subscribes to a subject, with wildcards or without. queue: the queue group, or NULL. maximum: the
 * subscription ends after so many messages; 0: never. *subscriptionp, if not NULL, is what messages
 * of it have in `subscription`. Buffered as a publish is; sockd_flush() tells whether the server
 * took it. Returns as sockd_publish(). (protocol.md, 6.1 to 6.3) */
SOCKD_PUBLIC int sockd_subscribe(struct sockd *sockd, const char *subject, const char *queue,
                                 uint64_t maximum, uint64_t *subscriptionp);

/* Ends a subscription at once, or after `maximum` messages counted from its beginning. Messages
 * that are under way still come; none does after a sockd_flush() and the emptying of what has
 * arrived. Returns as sockd_publish(). */
SOCKD_PUBLIC int sockd_unsubscribe(struct sockd *sockd, uint64_t subscription, uint64_t maximum);

/* Waits for the next message of any subscription.
 * Returns 0, SOCKD_TIMEOUT, SOCKD_DENIED or SOCKD_REFUSED (the server said so of something earlier;
 * unless it then closes, one may go on), SOCKD_CLOSED, SOCKD_VIOLATION, -errno. */
SOCKD_PUBLIC int sockd_next(struct sockd *sockd, struct sockd_message *message, int timeout_ms);

/* Takes what has arrived, without waiting for more: answers PINGs, renews subscriptions, and leaves
 * messages for sockd_next(). For who has no time for messages yet: once at first, as something may
 * be buffered, and then whenever the descriptor is readable.
 * Returns 0; SOCKD_DENIED or SOCKD_REFUSED as sockd_next() does, and is to be called again;
 * SOCKD_CLOSED, SOCKD_VIOLATION, -errno; -ENOBUFS if more than 64 MiB of messages wait. */
SOCKD_PUBLIC int sockd_process(struct sockd *sockd);

/* Publishes with a reply subject of its own and waits for the first answer. Other messages that
 * arrive meanwhile stay for sockd_next(); an answer that comes too late is dropped. headers may be
 * NULL. Over UDP the request is sent up to three times until the timeout, at a seventh and three
 * sevenths of it, with the same reply subject: a service may be asked more than once.
 * Returns 0 and the answer; SOCKD_NO_RESPONDERS, SOCKD_TIMEOUT, and what sockd_publish() and
 * sockd_flush() return. (protocol.md, 6.6 and 6.7) */
SOCKD_PUBLIC int sockd_request(struct sockd *sockd, const char *subject, const char *headers,
                               size_t n_headers, const void *payload, size_t n_payload,
                               struct sockd_message *answer, int timeout_ms);

/* What the server said of itself (protocol.md, 2.2); "" or 0 when it did not, or when there is no
 * connection. Texts live until the next call on the handle that reads. */
SOCKD_PUBLIC const char *sockd_server_id(const struct sockd *sockd);
SOCKD_PUBLIC const char *sockd_server_name(const struct sockd *sockd);
SOCKD_PUBLIC const char *sockd_server_version(const struct sockd *sockd); /* of the protocol */
SOCKD_PUBLIC const char *sockd_server_sockd_version(const struct sockd *sockd); /* "": no sockd */
SOCKD_PUBLIC uint64_t sockd_client_id(const struct sockd *sockd);
SOCKD_PUBLIC size_t sockd_max_payload(const struct sockd *sockd); /* bytes, headers included */
SOCKD_PUBLIC bool sockd_is_lame_duck(const struct sockd *sockd);  /* it will close soon */

/* What the last failure was, as a sentence without a full stop: the text of the last -ERR, or a
 * reason of the library's own. "" if there was none. Lives until the next call. */
SOCKD_PUBLIC const char *sockd_error_text(const struct sockd *sockd);

/* A short constant text for any result; any thread. */
SOCKD_PUBLIC const char *sockd_result_text(int result);

/* Appends a header to a block in a buffer of `size` bytes. *n_blockp is the length of the block, 0
 * at first; after each call the block is complete (protocol.md, 6.8).
 * Returns 0; -EINVAL for a name that is empty or has blanks, colons or control characters, or a
 * value with CR, LF or NUL; -ENOBUFS, and the block is as before. */
SOCKD_PUBLIC int sockd_header_add(char *block, size_t size, size_t *n_blockp, const char *name,
                                  const char *value);

/* Steps through the headers of a message; *positionp is 0 at first. The slices live as the
 * message does; blanks around the value are left out. Malformed lines are skipped. Returns false at
 * the end. */
SOCKD_PUBLIC bool sockd_header_next(const struct sockd_message *message, size_t *positionp,
                                    const char **namep, size_t *n_namep, const char **valuep,
                                    size_t *n_valuep);

/* The first header of that name, compared with case. Returns its value, or NULL. */
SOCKD_PUBLIC const char *sockd_header_find(const struct sockd_message *message, const char *name,
                                           size_t *n_valuep);

#ifdef __cplusplus
}
#endif
