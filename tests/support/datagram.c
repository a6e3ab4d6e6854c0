/* clang-format off */
/* Datagram peers, raw: they send and receive bytes, and know nothing of the protocol but what tells
 * the answers of one datagram from those of the next.
 *
 *      datagram
 *
 * obeys orders on standard input, one a line, until its end:
 *
 *      open NAME FROM TO      a socket bound to FROM that speaks to TO, both as sockd writes them; FROM
 *                             may be name:PATH, of any path that the kernel takes, and any: is a Unix
 *                             name that it chooses, none: none
 *      aim NAME TO            it speaks to TO from now on
 *      twin NAME PEER TO      a socket at the Internet address of PEER that speaks to TO; each of the
 *                             two hears only whom it speaks to
 *      send NAME TEXT         one datagram; TEXT knows \r \n \\ \xNN, and @PEER@ for the cookie that
 *                             PEER got last
 *      expect NAME            waits for a datagram and prints `NAME FROM LENGTH TEXT`
 *      settle NAME            prints all that comes up to the answer of a datagram sent now, and `NAME
 *                             settled N`, the number of those before it
 *      take NAME              prints `NAME took N`, the number of those that are there already
 *      insist NAME WORD TEXT  sends TEXT until an answer comes that WORD is in, and prints that
 *      count NAME             prints `NAME in BYTES/DATAGRAMS out BYTES/DATAGRAMS error BYTES`: what
 *                             was sent, what came, and the longest error; without those of `settle`
 *      burst N NAME TEXT      N datagrams, whether anybody reads them or not
 *      flood N FROM NAME TEXT N datagrams to where NAME speaks to, one each from FROM and the IPv4
 *                             addresses behind it, and rubbish if there is no TEXT; now and then NAME
 *                             waits for a PONG, so that none is lost; needs raw sockets
 *      forge NAME FROM TEXT   one datagram to where NAME speaks to, as if from the udp:// address FROM;
 *                             needs raw sockets
 *      close NAME
 *      say TEXT               prints TEXT
 *
 * What does not come within DATAGRAM_SECONDS (default 20) ends it with status 1.
 */
/* clang-format on */
#include "tests/support/target.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX    256
#define DATAGRAM_MAX 65536
#define TEXT_SHOWN   400
/* A datagram that is lost is sent again. */
#define PATIENCE_MS 200
/* Of a flood, before it is waited for a PONG. */
#define FLOOD_BATCH 64

/* An operation that is refused in a way of its own, and long enough to be told so. */
#define MARKER        "SUB settle..settle settle\r\n"
#define MARKER_ANSWER "-ERR 'Invalid Subject'\r\n"

struct sum {
        size_t n_bytes, n_datagrams;
};

static struct peer {
        char name[32];
        int fd;
        enum address_scheme scheme;
        struct address_socket target;
        struct sum in, out;   /* of the daemon */
        size_t longest_error; /* that came */
        char cookie[128];
} peers[PEERS_MAX];
static size_t n_peers;

static char received[DATAGRAM_MAX + 1];
static long long deadline_ms;

static long long now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void restart_deadline(void) {
        const char *seconds = getenv("DATAGRAM_SECONDS");

        deadline_ms = now_ms() + 1000 * (seconds ? atoll(seconds) : 20);
}

static struct peer *peer_find(const char *name) {
        for (size_t i = 0; i < n_peers; i++)
                if (strcmp(peers[i].name, name) == 0)
                        return &peers[i];
        errx(2, "datagram: there is no %s", name);
}

/* --- text ------------------------------------------------------------------------------------- */

static char *text_read_cookie(char *to, const char **from) {
        char name[32];
        size_t n = strcspn(*from, "@");

        snprintf(name, sizeof(name), "%.*s", (int)n, *from);
        *from += n + 1;
        return stpcpy(to, peer_find(name)->cookie);
}

static char text_read_escape(const char **from) {
        char digits[3] = {0};
        char c = *(*from)++;

        if (c == 'r' || c == 'n')
                return c == 'r' ? '\r' : '\n';
        if (c != 'x')
                return c;
        memcpy(digits, *from, 2);
        *from += 2;
        return (char)strtol(digits, NULL, 16);
}

/* Makes bytes of a text. Returns how many. */
static size_t text_read(char *bytes, const char *text) {
        char *to = bytes;

        while (*text && to - bytes < DATAGRAM_MAX) {
                char c = *text++;

                if (c == '@')
                        to = text_read_cookie(to, &text);
                else
                        *to++ = c == '\\' ? text_read_escape(&text) : c;
        }
        return (size_t)(to - bytes);
}

static void text_print(const char *bytes, size_t n) {
        for (size_t i = 0; i < n && i < TEXT_SHOWN; i++) {
                if (bytes[i] == '\r')
                        fputs("\\r", stdout);
                else if (bytes[i] == '\n')
                        fputs("\\n", stdout);
                else
                        printf(isprint((unsigned char)bytes[i]) ? "%c" : "\\x%02x",
                               (unsigned char)bytes[i]);
        }
        puts(n > TEXT_SHOWN ? "..." : "");
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* Names of a kind that sockd does not write. Returns whether it is one. */
static bool resolve_name(const char *text, struct address_socket *to) {
        const char *path = text + strlen("name:");
        size_t n = strlen(text) > strlen("name:") ? strlen(path) : 0;

        *to = (struct address_socket){.family = AF_UNIX, .length = sizeof(sa_family_t)};
        to->socket.un.sun_family = AF_UNIX;
        if (strcmp(text, "any:") == 0 || strcmp(text, "none:") == 0)
                return true;
        if (strncmp(text, "name:", strlen("name:")) != 0 || n > sizeof(to->socket.un.sun_path))
                return false;
        memcpy(to->socket.un.sun_path, path, n);
        to->length += (socklen_t)n;
        return true;
}

static void peer_open(const char *name, const char *from, const char *to) {
        struct peer *peer = &peers[n_peers++];
        struct address_socket own;
        int size = 8 << 20;

        if (n_peers == PEERS_MAX)
                errx(2, "datagram: too many peers");
        *peer = (struct peer){.longest_error = 0};
        snprintf(peer->name, sizeof(peer->name), "%s", name);
        peer->scheme = target_resolve(to, false, &peer->target);
        if (!resolve_name(from, &own))
                (void)target_resolve(from, false, &own);
        peer->fd = socket(own.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (own.family != AF_UNIX)
                (void)setsockopt(peer->fd, SOL_SOCKET, SO_BROADCAST, &(int){1}, sizeof(int));
        /* Only a twin is given a port. */
        if (own.family != AF_UNIX && strstr(from, ":0") != from + strlen(from) - 2)
                (void)setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (peer->fd < 0 ||
            (strcmp(from, "none:") != 0 && bind(peer->fd, &own.socket.any, own.length) < 0))
                err(1, "datagram: %s", from);
        /* What is sent is lost nowhere but at the daemon. */
        (void)setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

static void peer_close(struct peer *peer) {
        close(peer->fd);
        *peer = peers[--n_peers];
}

static void peer_connect(struct peer *peer) {
        if (connect(peer->fd, &peer->target.socket.any, peer->target.length) < 0)
                err(1, "datagram: %s cannot connect", peer->name);
}

static void peer_twin(const char *name, struct peer *peer, const char *to) {
        struct address_socket own = {.length = sizeof(own.socket)};
        char from[ADDRESS_TEXT_MAX];
        int on = 1;

        if (getsockname(peer->fd, &own.socket.any, &own.length) < 0)
                err(1, "datagram: %s has no name", peer->name);
        peer_connect(peer);
        (void)setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        address_format_socket(peer->scheme, &own.socket.any, own.length, from);
        peer_open(name, from, to);
        peer_connect(&peers[n_peers - 1]);
}

static void peer_write(struct peer *peer, const char *bytes, size_t n) {
        if (sendto(peer->fd, bytes, n, 0, &peer->target.socket.any, peer->target.length) < 0)
                err(1, "datagram: %s cannot send %zu bytes", peer->name, n);
}

static void peer_send(struct peer *peer, const char *text) {
        static char bytes[2 * DATAGRAM_MAX];
        size_t n = text_read(bytes, text);

        peer_write(peer, bytes, n);
        peer->in.n_bytes += n;
        peer->in.n_datagrams++;
}

static void peer_keep_cookie(struct peer *peer) {
        static const char key[] = "\"cookie\":\"";
        const char *cookie = strncmp(received, "INFO ", 5) == 0 ? strstr(received, key) : NULL;

        if (cookie)
                snprintf(peer->cookie, sizeof(peer->cookie), "%.*s",
                         (int)strcspn(cookie + strlen(key), "\""), cookie + strlen(key));
}

/* Waits for a datagram until then. Returns its length, or -1 if there is none. */
static ssize_t peer_receive(struct peer *peer, long long until_ms, struct address_socket *from) {
        struct pollfd poller = {.fd = peer->fd, .events = POLLIN};
        long long left_ms = until_ms - now_ms();
        ssize_t n;

        from->length = sizeof(from->socket);
        if (poll(&poller, 1, (int)(left_ms > 0 ? left_ms : 0)) <= 0)
                return -1;
        n = recvfrom(peer->fd, received, DATAGRAM_MAX, 0, &from->socket.any, &from->length);
        if (n < 0)
                err(1, "datagram: %s cannot receive", peer->name);
        received[n] = '\0';
        return n;
}

static void peer_note(struct peer *peer, size_t n) {
        peer->out.n_bytes += n;
        peer->out.n_datagrams++;
        if (strncmp(received, "-ERR", 4) == 0 && n > peer->longest_error)
                peer->longest_error = n;
        peer_keep_cookie(peer);
}

static void peer_print(const struct peer *peer, const struct address_socket *from, size_t n) {
        char text[ADDRESS_TEXT_MAX];

        address_format_socket(peer->scheme, &from->socket.any, from->length, text);
        printf("%s %s %zu ", peer->name, text, n);
        text_print(received, n);
}

static void peer_expect(struct peer *peer) {
        struct address_socket from;
        ssize_t n = peer_receive(peer, deadline_ms, &from);

        if (n < 0)
                errx(1, "datagram: nothing came for %s in time", peer->name);
        peer_note(peer, (size_t)n);
        peer_print(peer, &from, (size_t)n);
}

static void peer_settle(struct peer *peer) {
        struct address_socket from;
        size_t n_before = 0;

        peer_write(peer, MARKER, strlen(MARKER));
        for (;;) {
                ssize_t n = peer_receive(peer, deadline_ms, &from);

                if (n < 0)
                        errx(1, "datagram: %s does not settle in time", peer->name);
                if (strcmp(received, MARKER_ANSWER) == 0)
                        break;
                n_before++;
                peer_note(peer, (size_t)n);
                peer_print(peer, &from, (size_t)n);
        }
        printf("%s settled %zu\n", peer->name, n_before);
}

static void peer_take(struct peer *peer) {
        struct address_socket from;
        size_t n_taken = 0;
        ssize_t n;

        while ((n = peer_receive(peer, 0, &from)) >= 0) {
                peer_note(peer, (size_t)n);
                n_taken++;
        }
        printf("%s took %zu\n", peer->name, n_taken);
}

/* Sends until an answer comes that this is in. Returns its length. */
static size_t peer_ask(struct peer *peer, const char *word, const char *text,
                       struct address_socket *from) {
        while (now_ms() < deadline_ms) {
                ssize_t n;

                peer_send(peer, text);
                n = peer_receive(peer, now_ms() + PATIENCE_MS, from);
                if (n < 0)
                        continue;
                peer_note(peer, (size_t)n);
                if (strstr(received, word))
                        return (size_t)n;
        }
        errx(1, "datagram: %s got no %s in time", peer->name, word);
}

static void peer_insist(struct peer *peer, const char *word, const char *text) {
        struct address_socket from;
        size_t n = peer_ask(peer, word, text, &from);

        peer_print(peer, &from, n);
}

static void peer_count(const struct peer *peer) {
        printf("%s in %zu/%zu out %zu/%zu error %zu\n", peer->name, peer->in.n_bytes,
               peer->in.n_datagrams, peer->out.n_bytes, peer->out.n_datagrams, peer->longest_error);
}

static void peer_burst(struct peer *peer, size_t n, const char *text) {
        for (size_t i = 0; i < n; i++)
                peer_send(peer, text);
        printf("%s burst %zu\n", peer->name, n);
}

/* --- forged ones ------------------------------------------------------------------------------ */

struct forgery {
        struct iphdr ip;
        struct udphdr udp;
        char data[1024];
};

static size_t rubbish_write(char *bytes, size_t size) {
        static const char *const beginnings[] = {"",          "PUB a",
                                                 "SUBS ",     "HPUB a 9 9\r\n",
                                                 "CONNECT {", "PUB a 900\r\n",
                                                 "UNSUB",     "INFO {}\r\nINFO ",
                                                 "\r\n",      "PING\r\nPONG\r\n+OK\r\n\xff"};
        const char *beginning = beginnings[(size_t)rand() % (sizeof(beginnings) / sizeof(char *))];
        size_t n = strlen(beginning), end = n + (size_t)rand() % (size - n);

        memcpy(bytes, beginning, n);
        while (n < end)
                bytes[n++] = (char)rand();
        return n;
}

static void forge(struct forgery *forgery, const struct peer *peer, uint32_t from, size_t i,
                  size_t length) {
        const struct sockaddr_in *to = (const struct sockaddr_in *)&peer->target.socket;

        /* The kernel sees to what is not written here. */
        forgery->ip = (struct iphdr){.version = 4,
                                     .ihl = 5,
                                     .ttl = 64,
                                     .protocol = IPPROTO_UDP,
                                     .saddr = htonl(from + (uint32_t)i),
                                     .daddr = to->sin_addr.s_addr};
        forgery->udp = (struct udphdr){.source = htons((uint16_t)(1024 + i % 60000)),
                                       .dest = to->sin_port,
                                       .len = htons((uint16_t)(sizeof(forgery->udp) + length))};
}

static void peer_flood(struct peer *peer, size_t n, const char *from, const char *text) {
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
        struct forgery forgery = {.data = ""};
        struct address_socket answered;
        size_t length = *text ? text_read(forgery.data, text) : 0;

        if (fd < 0)
                err(1, "datagram: raw sockets");
        for (size_t i = 0; i < n; i++) {
                if (!*text)
                        length = rubbish_write(forgery.data, 64);
                forge(&forgery, peer, ntohl(inet_addr(from)), i, length);
                if (sendto(fd, &forgery, offsetof(struct forgery, data) + length, 0,
                           &peer->target.socket.any, peer->target.length) < 0)
                        err(1, "datagram: a forged datagram");
                if (i % FLOOD_BATCH == FLOOD_BATCH - 1) {
                        restart_deadline();
                        (void)peer_ask(peer, "PONG", "PING\\r\\n", &answered);
                }
        }
        (void)peer_ask(peer, "PONG", "PING\\r\\n", &answered);
        close(fd);
        printf("%s flooded %zu\n", peer->name, n);
}

static void peer_forge(struct peer *peer, const char *from, const char *text) {
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
        struct forgery forgery = {.data = ""};
        size_t length = text_read(forgery.data, text);
        struct address_socket source;
        const struct sockaddr_in *in = (const struct sockaddr_in *)&source.socket;

        (void)target_resolve(from, false, &source);
        forge(&forgery, peer, ntohl(in->sin_addr.s_addr), 0, length);
        forgery.udp.source = in->sin_port;
        if (fd < 0 || sendto(fd, &forgery, offsetof(struct forgery, data) + length, 0,
                             &peer->target.socket.any, peer->target.length) < 0)
                err(1, "datagram: a forged datagram");
        close(fd);
}

/* --- orders ----------------------------------------------------------------------------------- */

struct words {
        const char *word[3]; /* as many as the order has */
        const char *text;    /* the rest of the line */
};

static void obey_open(const struct words *words) {
        peer_open(words->word[0], words->word[1], words->word[2]);
}

static void obey_aim(const struct words *words) {
        (void)target_resolve(words->word[1], false, &peer_find(words->word[0])->target);
}

static void obey_twin(const struct words *words) {
        peer_twin(words->word[0], peer_find(words->word[1]), words->word[2]);
}

static void obey_send(const struct words *words) {
        peer_send(peer_find(words->word[0]), words->text);
}

static void obey_expect(const struct words *words) {
        peer_expect(peer_find(words->word[0]));
}

static void obey_settle(const struct words *words) {
        peer_settle(peer_find(words->word[0]));
}

static void obey_take(const struct words *words) {
        peer_take(peer_find(words->word[0]));
}

static void obey_insist(const struct words *words) {
        peer_insist(peer_find(words->word[0]), words->word[1], words->text);
}

static void obey_count(const struct words *words) {
        peer_count(peer_find(words->word[0]));
}

static void obey_burst(const struct words *words) {
        peer_burst(peer_find(words->word[1]), strtoul(words->word[0], NULL, 10), words->text);
}

static void obey_flood(const struct words *words) {
        peer_flood(peer_find(words->word[2]), strtoul(words->word[0], NULL, 10), words->word[1],
                   words->text);
}

static void obey_forge(const struct words *words) {
        peer_forge(peer_find(words->word[0]), words->word[1], words->text);
}

static void obey_close(const struct words *words) {
        peer_close(peer_find(words->word[0]));
}

static void obey_say(const struct words *words) {
        puts(words->text);
}

static const struct order {
        const char *verb;
        size_t n_words;
        void (*obey)(const struct words *words);
} orders[] = {
        {"open", 3, obey_open},   {"aim", 2, obey_aim},       {"twin", 3, obey_twin},
        {"send", 1, obey_send},   {"expect", 1, obey_expect}, {"settle", 1, obey_settle},
        {"take", 1, obey_take},   {"insist", 2, obey_insist}, {"count", 1, obey_count},
        {"burst", 2, obey_burst}, {"flood", 3, obey_flood},   {"close", 1, obey_close},
        {"forge", 2, obey_forge}, {"say", 0, obey_say},
};

static void obey(char *line) {
        const char *verb = strsep(&line, " ");
        struct words words = {.text = ""};

        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
                if (strcmp(orders[i].verb, verb) != 0)
                        continue;
                for (size_t j = 0; j < orders[i].n_words; j++)
                        if (!(words.word[j] = strsep(&line, " ")))
                                errx(2, "datagram: %s needs %zu words", verb, orders[i].n_words);
                words.text = line ? line : "";
                orders[i].obey(&words);
                return;
        }
        errx(2, "datagram: unknown order: %s", verb);
}

int main(void) {
        char *line = NULL;
        size_t size = 0;
        ssize_t n;

        setvbuf(stdout, NULL, _IOLBF, 0);
        while ((n = getline(&line, &size, stdin)) > 0) {
                line[strcspn(line, "\n")] = '\0';
                restart_deadline();
                obey(line);
        }
        free(line);
        return 0;
}
