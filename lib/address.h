/* Addresses: where a socket is, as text and as the kernel wants it.
 *
 *      unix:///run/sockd/sockd.sock   unix:/path   /path   unix:@abstract
 *      unix+seqpacket://...   unix+dgram://...
 *      tcp://127.0.0.1:4222   tcp://[::]:4222   tcp://[fe80::1%eth0]:4222   tcp://name:4222
 *      udp://...   tls://...   nats://... (the same as tcp://, for clients; port 4222 if none)
 *
 * The host "*" is any address of both families.
 *
 * One parser for the daemon, sockctl and the client library (DESIGN.md, section 2). Parsing never
 * touches the network; address_resolve() may block in getaddrinfo(3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addrinfo;

enum address_scheme {
        ADDRESS_UNIX,
        ADDRESS_UNIX_SEQPACKET,
        ADDRESS_UNIX_DGRAM,
        ADDRESS_TCP,
        ADDRESS_UDP,
        ADDRESS_TLS,
};

struct address {
        enum address_scheme scheme;
        bool is_abstract; /* Unix: the name lives in the abstract namespace */
        char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* Unix: path; name without '@' */
        char host[256]; /* Internet: name or address, no brackets; "*": any */
        uint16_t port;  /* Internet: 0 lets the kernel choose */
};

/* One address as bind(2) and connect(2) take it. */
struct address_socket {
        int family; /* AF_UNIX, AF_INET, AF_INET6 */
        int type;   /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
        socklen_t length;
        union {
                struct sockaddr any;
                struct sockaddr_un un;
                struct sockaddr_storage storage;
        } socket;
};

/* Room for address_format() and address_format_socket(), with the NUL. */
#define ADDRESS_TEXT_MAX 320

/* Parses text. Returns 0, or -EINVAL with *reasonp (which may be NULL) set to a constant clause
 * that says what is wrong ("the path is longer than 107 bytes, the limit of the system"). What is
 * stored is canonical: equal addresses have one text. */
int address_parse(struct address *address, const char *text, const char **reasonp);

/* Whether both are the same scheme, path or host, and port; names are not resolved. */
bool address_is_equal(const struct address *a, const struct address *b);

/* Whether the scheme is one of Unix sockets; whether it is connection-less. */
bool address_is_unix(const struct address *address);
bool address_is_datagram(const struct address *address);

/* Turns an address into the socket addresses that it stands for: one for Unix, all that
 * getaddrinfo(3) knows for a host name. *socketsp is an array of *countp elements that the caller
 * frees with free(3). passive: for bind(2) rather than connect(2).
 * Returns 0, -ENOMEM, or -EADDRNOTAVAIL with *reasonp (which may be NULL) set to a constant text,
 * mostly of the resolver. */
int address_resolve(const struct address *address, bool passive, struct address_socket **socketsp,
                    size_t *countp, const char **reasonp);

/* The same of what getaddrinfo(3) has found for an address, by whatever way it was asked. Returns
 * 0, -ENOMEM or -EADDRNOTAVAIL. */
int address_take_found(const struct address *address, const struct addrinfo *found,
                       struct address_socket **socketsp, size_t *countp);

/* Whether a connection could be meant for either of two Internet sockets that listen: for the port
 * of both, and an address of both. v6only: see ipv6(7). */
bool address_socket_overlaps(const struct address_socket *a, bool a_v6only,
                             const struct address_socket *b, bool b_v6only);

/* The canonical text of an address, and of a socket address of the kernel with the scheme that it
 * has in `scheme`: "tcp://[::1]:4222", "unix:///run/x", "unix:@name"; an unnamed Unix peer is
 * "unix:", and an IPv4 peer of an IPv6 socket is shown as the IPv4 address it is. What a peer put
 * into a name is made printable. Both return text. */
char *address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);
char *address_format_socket(enum address_scheme scheme, const struct sockaddr *socket,
                            socklen_t length, char text[ADDRESS_TEXT_MAX]);
