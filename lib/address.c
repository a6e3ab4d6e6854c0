/* Addresses; see address.h.
 *
 * A text is cut into scheme and rest by one table; what follows depends only on whether the scheme
 * is one of Unix sockets. What is stored is canonical (host names in lower case, numeric addresses
 * as inet_ntop(3) writes them), so that equal addresses have equal texts.
 */
#include "lib/address.h"

#include "lib/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define NATS_PORT            4222 /* what nats:// without a port means to every client */
#define HOST_NAME_MAX_LENGTH 253  /* RFC 1035 */

struct scheme {
        const char *name;
        enum address_scheme scheme;
        int type;
        bool is_unix;
        uint16_t default_port; /* 0: the port must be given */
};

/* The first entry of a scheme has its canonical name. */
static const struct scheme schemes[] = {
        {"unix", ADDRESS_UNIX, SOCK_STREAM, true, 0},
        {"unix+seqpacket", ADDRESS_UNIX_SEQPACKET, SOCK_SEQPACKET, true, 0},
        {"unix+dgram", ADDRESS_UNIX_DGRAM, SOCK_DGRAM, true, 0},
        {"tcp", ADDRESS_TCP, SOCK_STREAM, false, 0},
        {"udp", ADDRESS_UDP, SOCK_DGRAM, false, 0},
        {"tls", ADDRESS_TLS, SOCK_STREAM, false, 0},
        {"nats", ADDRESS_TCP, SOCK_STREAM, false, NATS_PORT},
};

static const struct scheme *scheme_find(enum address_scheme value) {
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (schemes[i].scheme == value)
                        return &schemes[i];
        return &schemes[0];
}

static const struct scheme *scheme_find_name(const char *name, size_t length) {
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (strlen(schemes[i].name) == length &&
                    strncasecmp(schemes[i].name, name, length) == 0)
                        return &schemes[i];
        return NULL;
}

/* All parse functions return NULL, or the reason why the text is refused. */

/* text: "/path" or "@name". */
static const char *parse_unix(struct address *address, const char *text) {
        size_t length;

        address->is_abstract = *text == '@';
        if (address->is_abstract)
                text++;
        else if (*text != '/')
                return "a Unix socket is an absolute path, as in unix:///run/sockd/sockd.sock, "
                       "or an abstract name, as in unix:@sockd";
        length = strlen(text);
        if (length == 0)
                return "the abstract name is empty";
        if (length >= sizeof(address->path))
                return address->is_abstract ? "the name is longer than 107 bytes, "
                                              "the limit of the system"
                                            : "the path is longer than 107 bytes, "
                                              "the limit of the system";
        if (!address->is_abstract && text[length - 1] == '/')
                return "the path ends with \"/\", but a socket is not a directory";
        if (!text_is_printable(text, length))
                return "the path contains control characters or is not UTF-8";
        memcpy(address->path, text, length + 1);
        return NULL;
}

static const char *parse_port(struct address *address, const char *text) {
        size_t length = strspn(text, "0123456789");
        unsigned port = 0;

        if (length == 0)
                return "there is no port number behind the \":\"";
        if (text[length] != '\0')
                return "there is something other than digits in the port number";
        if (length > 5)
                return "the port number is larger than 65535";
        for (; *text; text++)
                port = port * 10 + (unsigned)(*text - '0');
        if (port > UINT16_MAX)
                return "the port number is larger than 65535";
        address->port = (uint16_t)port;
        return NULL;
}

/* The part between the brackets: an IPv6 address, possibly with a zone ("fe80::1%eth0"). */
static const char *parse_host_ipv6(struct address *address, const char *text, size_t length) {
        static const char reason[] = "there is no IPv6 address between the brackets";
        const char *zone = memchr(text, '%', length);
        size_t n_address = zone ? (size_t)(zone - text) : length;
        size_t n_zone = length - n_address, n;
        char numeric[INET6_ADDRSTRLEN];
        struct in6_addr binary;

        if (n_address >= sizeof(numeric))
                return reason;
        memcpy(numeric, text, n_address);
        numeric[n_address] = '\0';
        if (inet_pton(AF_INET6, numeric, &binary) != 1)
                return reason;
        if (zone && (n_zone < 2 || n_zone > IF_NAMESIZE || !text_is_printable(zone, n_zone) ||
                     memchr(zone, ' ', n_zone) || memchr(zone, '/', n_zone)))
                return "there is no network interface behind the \"%\"";
        inet_ntop(AF_INET6, &binary, address->host, INET6_ADDRSTRLEN);
        n = strlen(address->host);
        if (zone)
                memcpy(address->host + n, zone, n_zone);
        address->host[n + n_zone] = '\0';
        return NULL;
}

/* A host name, an IPv4 address or "*". */
static const char *parse_host(struct address *address, const char *text, size_t length) {
        struct in_addr binary;
        bool is_numeric = true;

        if (length == 0)
                return "there is no host name or address before the port; \"*\" is any address";
        if (length > HOST_NAME_MAX_LENGTH)
                return "the host name is longer than 253 characters";
        if (length == 1 && *text == '*') {
                address->host[0] = '*';
                return NULL;
        }
        for (size_t i = 0; i < length; i++) {
                char c = text[i];

                if (c >= 'A' && c <= 'Z')
                        c = (char)(c - 'A' + 'a');
                if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("-_.", c))
                        return "there is a character in the host name that cannot be in one";
                is_numeric = is_numeric && !(c >= 'a' && c <= 'z') && !strchr("-_", c);
                address->host[i] = c;
        }
        address->host[length] = '\0';
        if (address->host[0] == '-' || address->host[0] == '.')
                return "the host name begins with \"-\" or \".\"";
        if (is_numeric && inet_pton(AF_INET, address->host, &binary) != 1)
                return "the host is neither a name nor an IPv4 address of four numbers up to 255";
        return NULL;
}

/* text: "host:port" or "[address]:port". */
static const char *parse_internet(struct address *address, const char *text,
                                  const struct scheme *scheme) {
        const char *colon, *end, *reason;

        if (strchr(text, '@'))
                return "an address has no user name or password in it";
        if (*text == '[') {
                end = strchr(text, ']');
                if (!end)
                        return "there is no \"]\" behind the IPv6 address";
                reason = parse_host_ipv6(address, text + 1, (size_t)(end - text) - 1);
                colon = end + 1;
                if (!reason && *colon != ':' && *colon != '\0')
                        return "there is something other than a port behind the \"]\"";
        } else {
                colon = strchrnul(text, ':');
                if (*colon && strchr(colon + 1, ':'))
                        return "an IPv6 address stands in brackets, as in tcp://[::1]:4222";
                reason = parse_host(address, text, (size_t)(colon - text));
        }
        if (reason)
                return reason;
        if (*colon == ':')
                return parse_port(address, colon + 1);
        address->port = scheme->default_port;
        return scheme->default_port ? NULL : "there is no port, as in tcp://127.0.0.1:4222";
}

static const char *parse(struct address *address, const char *text) {
        const char *colon = strchr(text, ':');
        const struct scheme *scheme;

        if (*text == '\0')
                return "it is empty";
        if (*text == '/')
                return parse_unix(address, text);
        scheme = colon ? scheme_find_name(text, (size_t)(colon - text)) : NULL;
        if (!scheme)
                return "it begins with none of unix:, unix+seqpacket:, unix+dgram:, tcp://, "
                       "udp://, tls:// and nats://";
        address->scheme = scheme->scheme;
        text = colon + 1;
        if (strncmp(text, "//", 2) == 0)
                text += 2;
        else if (!scheme->is_unix)
                return "there is no \"//\" behind the scheme, as in tcp://127.0.0.1:4222";
        return scheme->is_unix ? parse_unix(address, text) : parse_internet(address, text, scheme);
}

int address_parse(struct address *address, const char *text, const char **reasonp) {
        const char *reason;

        memset(address, 0, sizeof(*address));
        reason = parse(address, text);
        if (reasonp)
                *reasonp = reason;
        return reason ? -EINVAL : 0;
}

bool address_is_equal(const struct address *a, const struct address *b) {
        return a->scheme == b->scheme && a->is_abstract == b->is_abstract && a->port == b->port &&
               strcmp(a->path, b->path) == 0 && strcmp(a->host, b->host) == 0;
}

bool address_is_unix(const struct address *address) {
        return scheme_find(address->scheme)->is_unix;
}

bool address_is_datagram(const struct address *address) {
        return scheme_find(address->scheme)->type == SOCK_DGRAM;
}

static int resolve_unix(const struct address *address, struct address_socket **socketsp,
                        size_t *countp) {
        struct address_socket *result = calloc(1, sizeof(*result));
        size_t length = strlen(address->path);

        if (!result)
                return -ENOMEM;
        result->family = AF_UNIX;
        result->type = scheme_find(address->scheme)->type;
        result->socket.un.sun_family = AF_UNIX;
        /* An abstract name has a NUL in front and none behind, a path the other way round. */
        memcpy(result->socket.un.sun_path + (address->is_abstract ? 1 : 0), address->path, length);
        result->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
        *socketsp = result;
        *countp = 1;
        return 0;
}

/* Copies the resolver's list, without the duplicates that a line for "localhost" in /etc/hosts for
 * each family can bring. */
static int copy_sockets(const struct addrinfo *list, int type, struct address_socket **socketsp,
                        size_t *countp) {
        struct address_socket *result;
        size_t n = 0;

        for (const struct addrinfo *info = list; info; info = info->ai_next)
                n++;
        result = calloc(n ? n : 1, sizeof(*result));
        if (!result)
                return -ENOMEM;
        n = 0;
        for (const struct addrinfo *info = list; info; info = info->ai_next) {
                struct address_socket *new = &result[n];
                size_t i = 0;

                if ((info->ai_family != AF_INET && info->ai_family != AF_INET6) ||
                    info->ai_addrlen > sizeof(new->socket))
                        continue;
                new->family = info->ai_family;
                new->type = type;
                new->length = info->ai_addrlen;
                memcpy(&new->socket, info->ai_addr, info->ai_addrlen);
                while (i < n && (result[i].length != new->length ||
                                 memcmp(&result[i].socket, &new->socket, new->length) != 0))
                        i++;
                if (i == n)
                        n++;
        }
        *socketsp = result;
        *countp = n;
        return 0;
}

int address_take_found(const struct address *address, const struct addrinfo *found,
                       struct address_socket **socketsp, size_t *countp) {
        int r = copy_sockets(found, scheme_find(address->scheme)->type, socketsp, countp);

        if (r < 0 || *countp > 0)
                return r;
        free(*socketsp);
        return -EADDRNOTAVAIL;
}

int address_resolve(const struct address *address, bool passive, struct address_socket **socketsp,
                    size_t *countp, const char **reasonp) {
        struct addrinfo hints = {.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)};
        bool is_any = strcmp(address->host, "*") == 0;
        struct addrinfo *list = NULL;
        const char *reason = NULL;
        char port[8];
        int r;

        if (address_is_unix(address))
                return resolve_unix(address, socketsp, countp);
        hints.ai_socktype = scheme_find(address->scheme)->type;
        snprintf(port, sizeof(port), "%u", address->port);
        if (is_any && !passive) {
                reason = "\"*\" is an address to listen on, not one to connect to";
        } else {
                r = getaddrinfo(is_any ? NULL : address->host, port, &hints, &list);
                if (r == EAI_MEMORY)
                        return -ENOMEM;
                if (r != 0)
                        reason = gai_strerror(r);
        }
        if (!reason) {
                r = address_take_found(address, list, socketsp, countp);
                freeaddrinfo(list);
                if (r != -EADDRNOTAVAIL)
                        return r;
                reason = "the host name has no address";
        }
        if (reasonp)
                *reasonp = reason;
        return -EADDRNOTAVAIL;
}

static const struct sockaddr_in *in_of(const struct address_socket *socket) {
        return (const struct sockaddr_in *)&socket->socket;
}

static const struct sockaddr_in6 *in6_of(const struct address_socket *socket) {
        return (const struct sockaddr_in6 *)&socket->socket;
}

static in_port_t port_of(const struct address_socket *socket) {
        return socket->family == AF_INET ? in_of(socket)->sin_port : in6_of(socket)->sin6_port;
}

/* Whether it is any address, and so that of the other as well. */
static bool covers(const struct address_socket *socket, bool v6only,
                   const struct address_socket *other) {
        if (socket->family == AF_INET)
                return other->family == AF_INET && in_of(socket)->sin_addr.s_addr == INADDR_ANY;
        return IN6_IS_ADDR_UNSPECIFIED(&in6_of(socket)->sin6_addr) &&
               (other->family == AF_INET6 || !v6only);
}

static bool is_same_host(const struct address_socket *a, const struct address_socket *b) {
        if (a->family != b->family)
                return false;
        if (a->family == AF_INET)
                return in_of(a)->sin_addr.s_addr == in_of(b)->sin_addr.s_addr;
        return IN6_ARE_ADDR_EQUAL(&in6_of(a)->sin6_addr, &in6_of(b)->sin6_addr) &&
               in6_of(a)->sin6_scope_id == in6_of(b)->sin6_scope_id;
}

bool address_socket_overlaps(const struct address_socket *a, bool a_v6only,
                             const struct address_socket *b, bool b_v6only) {
        if (a->family == AF_UNIX || b->family == AF_UNIX || a->type != b->type ||
            port_of(a) != port_of(b))
                return false;
        return covers(a, a_v6only, b) || covers(b, b_v6only, a) || is_same_host(a, b);
}

static char *format_internet(enum address_scheme scheme, const char *host, uint16_t port,
                             char text[ADDRESS_TEXT_MAX]) {
        bool is_ipv6 = strchr(host, ':') != NULL;

        snprintf(text, ADDRESS_TEXT_MAX, "%s://%s%s%s:%u", scheme_find(scheme)->name,
                 is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
        return text;
}

char *address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]) {
        if (!address_is_unix(address))
                return format_internet(address->scheme, address->host, address->port, text);
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%s%s", scheme_find(address->scheme)->name,
                 address->is_abstract ? "@" : "//", address->path);
        return text;
}

/* The kernel's path may come without a NUL; a name may hold any byte, and a peer chose it. */
static char *format_socket_unix(enum address_scheme scheme, const struct sockaddr_un *socket,
                                socklen_t length, char text[ADDRESS_TEXT_MAX]) {
        size_t offset = offsetof(struct sockaddr_un, sun_path);
        size_t n = length > offset && socket->sun_family == AF_UNIX ? length - offset : 0;
        const char *name = socket->sun_path, *prefix = "//";

        if (n > sizeof(socket->sun_path))
                n = sizeof(socket->sun_path);
        if (n > 1 && *name == '\0') {
                prefix = "@";
                name++;
                n--;
        } else {
                n = strnlen(name, n);
                if (n == 0)
                        prefix = "";
        }
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%s", scheme_find(scheme)->name, prefix);
        offset = strlen(text);
        memcpy(text + offset, name, n);
        text[offset + n] = '\0';
        text_make_printable(text + offset, n);
        return text;
}

char *address_format_socket(enum address_scheme scheme, const struct sockaddr *socket,
                            socklen_t length, char text[ADDRESS_TEXT_MAX]) {
        char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "";
        struct sockaddr_in6 in6;
        struct sockaddr_in in;

        if (length >= (socklen_t)sizeof(in) && socket->sa_family == AF_INET) {
                memcpy(&in, socket, sizeof(in));
                inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
                return format_internet(scheme, host, ntohs(in.sin_port), text);
        }
        if (length < (socklen_t)sizeof(in6) || socket->sa_family != AF_INET6)
                return format_socket_unix(scheme, (const struct sockaddr_un *)socket, length, text);
        memcpy(&in6, socket, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
                inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof(host));
        else
                inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) && in6.sin6_scope_id != 0) {
                size_t n = strlen(host);

                snprintf(host + n, sizeof(host) - n, "%%%u", in6.sin6_scope_id);
        }
        return format_internet(scheme, host, ntohs(in6.sin6_port), text);
}
