/* The service manager's end of sd_notify(3): prints what a daemon says.
 *
 *      notify_listener PATH
 *
 * Each datagram to the Unix socket PATH becomes one line: the time at which it was taken
 * (CLOCK_MONOTONIC, microseconds), the sender's pid as the kernel knows it, and the text, its lines
 * parted by `|`. The first line is `listening`. Ends with a signal.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static long sender_of(struct msghdr *message) {
        struct ucred credentials;

        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
                if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS) {
                        memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
                        return credentials.pid;
                }
        return 0;
}

static void print_datagram(int fd) {
        char text[4096], control[CMSG_SPACE(sizeof(struct ucred)) + 256];
        struct iovec part = { .iov_base = text, .iov_len = sizeof(text) - 1 };
        struct msghdr message = { .msg_iov = &part,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        struct timespec now;

        if (n < 0)
                err(1, "notify_listener");
        clock_gettime(CLOCK_MONOTONIC, &now);
        text[n] = '\0';
        for (char *at = text; (at = strchr(at, '\n')) != NULL;)
                *at = at[1] ? '|' : '\0';
        printf("%lld %ld %s\n", now.tv_sec * 1000000LL + now.tv_nsec / 1000, sender_of(&message),
               text);
}

int main(int argc, char **argv) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int one = 1, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
                errx(2, "usage: notify_listener PATH");
        strcpy(address.sun_path, argv[1]);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                err(1, "notify_listener: %s", argv[1]);
        setvbuf(stdout, NULL, _IOLBF, 0);
        puts("listening");
        for (;;)
                print_datagram(fd);
}
