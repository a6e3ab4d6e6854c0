/* The PROXY protocol, versions 1 and 2: the header by which a proxy tells, before anything else is
 * said on a connection, between whom it is (haproxy.org, proxy-protocol.txt).
 *
 * Pure: bytes in, addresses out, and the other way round. Of version 2 what follows the addresses
 * (TLVs) is skipped.
 */
#pragma once

#include "lib/bytes.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum proxy_version {
        PROXY_NONE,
        PROXY_V1,
        PROXY_V2,
};

/* The longest header that is taken, with TLVs; that is written. */
#define PROXY_HEADER_MAX 4096
#define PROXY_TEXT_MAX   256

union proxy_address {
        struct sockaddr any; /* AF_UNSPEC: it is not told */
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

/* Both are of one family; AF_UNSPEC: the connection is of a kind that the header has no words for,
 * or there is none behind the proxy's. */
struct proxy_header {
        bool is_local; /* the latter: the proxy speaks for itself; never written */
        union proxy_address source, destination;
};

/* Reads a header off the beginning of what a peer has said. Returns its length; 0: there has to be
 * more; -EPROTO: that is none. */
ssize_t proxy_header_parse(struct proxy_header *header, struct bytes input);

/* Writes one. Returns its length. */
size_t proxy_header_write(const struct proxy_header *header, enum proxy_version version,
                          char text[PROXY_TEXT_MAX]);

/* The version of a text, "v1" or "v2", or negative. */
int proxy_version_parse(const char *text);
