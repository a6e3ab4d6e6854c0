/* Addresses of two kinds: those of the Internet by getaddrinfo(), which knows IPv4 and IPv6, and
 * paths. See dial.h.
 */
#include "dial.h"

#include <err.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool dial_is_address(int argc, char *const *argv) {
        return argc == 2 || (argc == 1 && argv[0][0] == '/');
}

/* What getaddrinfo() knows of it. A HOST of NULL stands for this host, whatever address it has. */
static struct addrinfo *look_up(int family, int type, const char *host, const char *port) {
        struct addrinfo hints = {.ai_family = family, .ai_socktype = type}, *found;
        int r;

        if (!host)
                hints.ai_flags = AI_PASSIVE;
        r = getaddrinfo(host, port, &hints, &found);
        if (r != 0)
                errx(1, "%s, port %s: %s", host ? host : "here", port, gai_strerror(r));
        return found;
}

static void bind_port(int fd, int family, int type, const char *port) {
        struct addrinfo *own = look_up(family, type, NULL, port);

        if (bind(fd, own->ai_addr, own->ai_addrlen) < 0)
                err(1, "bind to port %s", port);
        freeaddrinfo(own);
}

/* A name may have several addresses, of which the first one that works is taken. */
static int dial_host(int type, const char *host, const char *port, const char *own) {
        struct addrinfo *found = look_up(AF_UNSPEC, type, host, port), *one;
        int fd = -1;

        for (one = found; one && fd < 0; one = one->ai_next) {
                fd = socket(one->ai_family, type, 0);
                if (fd < 0)
                        continue;
                if (own)
                        bind_port(fd, one->ai_family, type, own);
                if (connect(fd, one->ai_addr, one->ai_addrlen) < 0) {
                        warn("%s, port %s", host, port);
                        close(fd);
                        fd = -1;
                }
        }
        if (fd < 0)
                errx(1, "%s, port %s: cannot be reached", host, port);
        freeaddrinfo(found);
        return fd;
}

static struct sockaddr_un name_of(const char *path) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(name.sun_path))
                errx(1, "%s: longer than the path of a socket may be", path);
        strcpy(name.sun_path, path);
        return name;
}

/* The kernel gives a name without one, and not a path, to who binds to the family alone. Unlike a
 * port it has to be asked for: without it a server has nowhere to send its answer. */
static void bind_name(int fd, const char *own) {
        struct sockaddr_un name = name_of(own ? own : "");
        socklen_t length = own ? sizeof(name) : offsetof(struct sockaddr_un, sun_path);

        if (bind(fd, (struct sockaddr *)&name, length) < 0)
                err(1, "bind to %s", own ? own : "a name of the kernel");
}

static int dial_path(int type, const char *path, const char *own) {
        struct sockaddr_un name = name_of(path);
        int fd = socket(AF_UNIX, type, 0);

        if (fd < 0)
                err(1, "socket");
        if (own || type == SOCK_DGRAM)
                bind_name(fd, own);
        if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
                err(1, "%s", path);
        return fd;
}

int dial(int type, const char *host, const char *port, const char *own) {
        return port ? dial_host(type, host, port, own) : dial_path(type, host, own);
}
