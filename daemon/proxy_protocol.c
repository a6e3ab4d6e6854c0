/* The PROXY protocol. See proxy_protocol.h. */
#include "daemon/proxy_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A line of version 1 has no more, with its CR LF. */
#define V1_MAX    107
#define V1_PREFIX "PROXY "

/* Version 2 begins so; then come version and command, family and transport, and the length of the
 * rest. */
static const char v2_signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                      '\n', 'Q',  'U',  'I',  'T',  '\n'};
#define V2_HEAD 16

enum {
        V2_LOCAL = 0x20,
        V2_PROXY = 0x21,
};

/* The upper half of the byte; the lower one is the transport. */
enum {
        V2_UNSPEC = 0x00,
        V2_INET = 0x10,
        V2_INET6 = 0x20,
        V2_UNIX = 0x30,
};
#define V2_STREAM        0x01
#define V2_TRANSPORT_MAX 0x02

/* How long the addresses are of each family; what a Unix one is of. */
#define V2_INET_LENGTH  12
#define V2_INET6_LENGTH 36
#define V2_UNIX_LENGTH  216
#define V2_PATH         108

static const struct proxy_header no_header;

/* --- version 1 ----------------------------------------------------------------------------------
 */

/* Takes the next word off the line, up to a blank or the end. Returns whether there is one, and it
 * fits. */
static bool next_word(struct bytes *line, char word[INET6_ADDRSTRLEN]) {
        size_t length = 0;

        while (length < line->length && line->data[length] != ' ')
                length++;
        if (length == 0 || length >= INET6_ADDRSTRLEN || memchr(line->data, '\0', length))
                return false;
        memcpy(word, line->data, length);
        word[length] = '\0';
        /* With the blank. One at the end is followed by a word that is empty. */
        if (length < line->length)
                length++;
        line->data += length;
        line->length -= length;
        return true;
}

/* A port, without zeroes in front. */
static bool next_port(struct bytes *line, in_port_t *portp) {
        char word[INET6_ADDRSTRLEN];
        unsigned port = 0;
        size_t length;

        if (!next_word(line, word))
                return false;
        length = strlen(word);
        if (length > 5 || strspn(word, "0123456789") != length || (length > 1 && word[0] == '0'))
                return false;
        for (size_t i = 0; i < length; i++)
                port = port * 10 + (unsigned)(word[i] - '0');
        *portp = htons((uint16_t)port);
        return port <= UINT16_MAX;
}

static bool next_host(struct bytes *line, int family, union proxy_address *address) {
        char word[INET6_ADDRSTRLEN];
        void *binary =
                family == AF_INET ? (void *)&address->in.sin_addr : (void *)&address->in6.sin6_addr;

        if (!next_word(line, word) || inet_pton(family, word, binary) != 1)
                return false;
        address->any.sa_family = (sa_family_t)family;
        return true;
}

/* The line behind the word of the family. */
static bool parse_v1_addresses(struct proxy_header *header, int family, struct bytes line) {
        bool is_inet = family == AF_INET;

        return next_host(&line, family, &header->source) &&
               next_host(&line, family, &header->destination) &&
               next_port(&line,
                         is_inet ? &header->source.in.sin_port : &header->source.in6.sin6_port) &&
               next_port(&line, is_inet ? &header->destination.in.sin_port
                                        : &header->destination.in6.sin6_port) &&
               line.length == 0;
}

/* The line without PROXY and CR LF. */
static bool parse_v1_line(struct proxy_header *header, struct bytes line) {
        bool ends_in_blank = line.length > 0 && line.data[line.length - 1] == ' ';
        char word[INET6_ADDRSTRLEN];

        if (!next_word(&line, word))
                return false;
        if (strcmp(word, "UNKNOWN") == 0)
                return true; /* whatever follows */
        if (ends_in_blank)
                return false;
        if (strcmp(word, "TCP4") == 0)
                return parse_v1_addresses(header, AF_INET, line);
        return strcmp(word, "TCP6") == 0 && parse_v1_addresses(header, AF_INET6, line);
}

static ssize_t parse_v1(struct proxy_header *header, struct bytes input) {
        size_t n_prefix = strlen(V1_PREFIX);
        struct bytes line = {input.data, input.length < V1_MAX ? input.length : V1_MAX};
        const char *end = memchr(line.data, '\n', line.length);

        if (!end)
                return line.length < V1_MAX ? 0 : -EPROTO;
        line.length = (size_t)(end - line.data);
        if (line.length < n_prefix + 1 || line.data[line.length - 1] != '\r')
                return -EPROTO;
        line.data += n_prefix;
        line.length -= n_prefix + 1;
        return parse_v1_line(header, line) ? end + 1 - input.data : -EPROTO;
}

/* --- version 2 ----------------------------------------------------------------------------------
 */

static void read_inet(struct proxy_header *header, const char *bytes) {
        header->source.in.sin_family = header->destination.in.sin_family = AF_INET;
        memcpy(&header->source.in.sin_addr, bytes, 4);
        memcpy(&header->destination.in.sin_addr, bytes + 4, 4);
        memcpy(&header->source.in.sin_port, bytes + 8, 2);
        memcpy(&header->destination.in.sin_port, bytes + 10, 2);
}

static void read_inet6(struct proxy_header *header, const char *bytes) {
        header->source.in6.sin6_family = header->destination.in6.sin6_family = AF_INET6;
        memcpy(&header->source.in6.sin6_addr, bytes, 16);
        memcpy(&header->destination.in6.sin6_addr, bytes + 16, 16);
        memcpy(&header->source.in6.sin6_port, bytes + 32, 2);
        memcpy(&header->destination.in6.sin6_port, bytes + 34, 2);
}

static void read_unix(struct proxy_header *header, const char *bytes) {
        header->source.un.sun_family = header->destination.un.sun_family = AF_UNIX;
        memcpy(header->source.un.sun_path, bytes, V2_PATH);
        memcpy(header->destination.un.sun_path, bytes + V2_PATH, V2_PATH);
}

/* The rest of a header of a proxied connection. Returns whether it can be one. */
static bool parse_v2_addresses(struct proxy_header *header, unsigned char family,
                               struct bytes rest) {
        if ((family & 0x0f) > V2_TRANSPORT_MAX)
                return false;
        switch (family & 0xf0) {
        case V2_UNSPEC:
                return true;
        case V2_INET:
                if (rest.length < V2_INET_LENGTH)
                        return false;
                read_inet(header, rest.data);
                return true;
        case V2_INET6:
                if (rest.length < V2_INET6_LENGTH)
                        return false;
                read_inet6(header, rest.data);
                return true;
        case V2_UNIX:
                if (rest.length < V2_UNIX_LENGTH)
                        return false;
                read_unix(header, rest.data);
                return true;
        default:
                return false;
        }
}

static ssize_t parse_v2(struct proxy_header *header, struct bytes input) {
        const unsigned char *head = (const unsigned char *)input.data;
        size_t length;

        if (input.length < V2_HEAD)
                return 0;
        length = V2_HEAD + (size_t)(head[14] << 8 | head[15]);
        if (length > PROXY_HEADER_MAX || (head[12] != V2_LOCAL && head[12] != V2_PROXY))
                return -EPROTO;
        if (input.length < length)
                return 0;
        header->is_local = head[12] == V2_LOCAL;
        if (!header->is_local &&
            !parse_v2_addresses(header, head[13],
                                (struct bytes){input.data + V2_HEAD, length - V2_HEAD}))
                return -EPROTO;
        return (ssize_t)length;
}

/* --- both ----------------------------------------------------------------------------------------
 */

/* Whether input begins as a text does, as far as it goes. */
static bool begins_as(struct bytes input, const char *text, size_t length) {
        return memcmp(input.data, text, input.length < length ? input.length : length) == 0;
}

ssize_t proxy_header_parse(struct proxy_header *header, struct bytes input) {
        *header = no_header;
        if (input.length == 0)
                return 0;
        if (begins_as(input, V1_PREFIX, strlen(V1_PREFIX)))
                return parse_v1(header, input);
        if (begins_as(input, v2_signature, sizeof(v2_signature)))
                return parse_v2(header, input);
        return -EPROTO;
}

static size_t write_v1(const struct proxy_header *header, char text[PROXY_TEXT_MAX]) {
        const union proxy_address *source = &header->source, *destination = &header->destination;
        char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
        int n;

        switch (source->any.sa_family) {
        case AF_INET:
                inet_ntop(AF_INET, &source->in.sin_addr, from, sizeof(from));
                inet_ntop(AF_INET, &destination->in.sin_addr, to, sizeof(to));
                n = snprintf(text, PROXY_TEXT_MAX, V1_PREFIX "TCP4 %s %s %u %u\r\n", from, to,
                             ntohs(source->in.sin_port), ntohs(destination->in.sin_port));
                break;
        case AF_INET6:
                inet_ntop(AF_INET6, &source->in6.sin6_addr, from, sizeof(from));
                inet_ntop(AF_INET6, &destination->in6.sin6_addr, to, sizeof(to));
                n = snprintf(text, PROXY_TEXT_MAX, V1_PREFIX "TCP6 %s %s %u %u\r\n", from, to,
                             ntohs(source->in6.sin6_port), ntohs(destination->in6.sin6_port));
                break;
        default:
                n = snprintf(text, PROXY_TEXT_MAX, V1_PREFIX "UNKNOWN\r\n");
                break;
        }
        return (size_t)n;
}

static char *put(char *to, const void *bytes, size_t length) {
        memcpy(to, bytes, length);
        return to + length;
}

/* Writes the addresses. Returns where they end, and *familyp. */
static char *write_v2_addresses(const struct proxy_header *header, char *to,
                                unsigned char *familyp) {
        const union proxy_address *source = &header->source, *destination = &header->destination;

        switch (source->any.sa_family) {
        case AF_INET:
                *familyp = V2_INET | V2_STREAM;
                to = put(to, &source->in.sin_addr, 4);
                to = put(to, &destination->in.sin_addr, 4);
                to = put(to, &source->in.sin_port, 2);
                return put(to, &destination->in.sin_port, 2);
        case AF_INET6:
                *familyp = V2_INET6 | V2_STREAM;
                to = put(to, &source->in6.sin6_addr, 16);
                to = put(to, &destination->in6.sin6_addr, 16);
                to = put(to, &source->in6.sin6_port, 2);
                return put(to, &destination->in6.sin6_port, 2);
        case AF_UNIX:
                *familyp = V2_UNIX | V2_STREAM;
                to = put(to, source->un.sun_path, V2_PATH);
                return put(to, destination->un.sun_path, V2_PATH);
        default:
                *familyp = V2_UNSPEC;
                return to;
        }
}

static size_t write_v2(const struct proxy_header *header, char text[PROXY_TEXT_MAX]) {
        unsigned char family, *head = (unsigned char *)text;
        char *end = write_v2_addresses(header, text + V2_HEAD, &family);
        size_t length = (size_t)(end - text) - V2_HEAD;

        memcpy(text, v2_signature, sizeof(v2_signature));
        head[12] = V2_PROXY;
        head[13] = family;
        head[14] = (unsigned char)(length >> 8);
        head[15] = (unsigned char)length;
        return V2_HEAD + length;
}

size_t proxy_header_write(const struct proxy_header *header, enum proxy_version version,
                          char text[PROXY_TEXT_MAX]) {
        return version == PROXY_V1 ? write_v1(header, text) : write_v2(header, text);
}

int proxy_version_parse(const char *text) {
        if (strcmp(text, "v1") == 0)
                return PROXY_V1;
        return strcmp(text, "v2") == 0 ? PROXY_V2 : -1;
}
