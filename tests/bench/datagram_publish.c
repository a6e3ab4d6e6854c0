/* Datagrams that are published from one socket, and nobody subscribes to.
 *
 * To send a datagram costs more than to receive it, so that a server would wait for its sender most
 * of the time. Of UDP the kernel is therefore given many at once (UDP_SEGMENT), which it cuts into
 * datagrams on their way; they arrive as any others do.
 */
#include "tests/bench/load.h"

#include <err.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Datagrams in one system call, and bytes. */
#define BATCH_SIZE  32
#define BATCH_BYTES 65000
/* How long a sender that is ahead of its pace sleeps. */
#define NAP_NS 20000

struct sender {
        int fd;
        bool is_segmented;
        long n_batch; /* datagrams in one system call */
        size_t length;
        char *datagram;
        struct iovec iov[BATCH_SIZE];
        struct mmsghdr messages[BATCH_SIZE];
};

/* Makes one datagram of so many operations. */
static void make_datagram(struct sender *sender) {
        long n = *parameter("operations"), size = *parameter("size");
        char *to = sender->datagram = malloc((size_t)(n * (size + 64)));

        for (long i = 0; i < n; i++) {
                to += sprintf(to, "PUB bench %ld\r\n", size);
                memset(to, 'x', (size_t)size);
                to += size;
                to += sprintf(to, "\r\n");
        }
        sender->length = (size_t)(to - sender->datagram);
}

static void sender_init(struct sender *sender) {
        int size;

        make_datagram(sender);
        size = (int)sender->length;
        sender->fd = open_datagram("");
        sender->is_segmented =
                setsockopt(sender->fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) == 0;
        sender->n_batch = BATCH_SIZE;
        if (sender->is_segmented && sender->length * BATCH_SIZE > BATCH_BYTES)
                sender->n_batch = (long)(BATCH_BYTES / sender->length);
        for (size_t i = 0; i < BATCH_SIZE; i++) {
                sender->iov[i] = (struct iovec){sender->datagram, sender->length};
                sender->messages[i].msg_hdr =
                        (struct msghdr){.msg_iov = &sender->iov[i], .msg_iovlen = 1};
        }
}

static void send_some(struct sender *sender, long n) {
        if (sender->is_segmented)
                sender->messages[0].msg_hdr.msg_iovlen = (size_t)n;
        send_datagrams(sender->fd, sender->messages, sender->is_segmented ? 1 : (unsigned)n);
}

/* How many are to have been sent by now; all of them where there is no pace. */
static long due(uint64_t begin_ns, long n) {
        double pace = (double)*parameter("pace") / (double)*parameter("operations");
        double n_due = (double)(now_ns() - begin_ns) / 1e9 * pace;

        return pace > 0 && n_due < (double)n ? (long)n_due : n;
}

static void send_all(struct sender *sender, long n) {
        uint64_t begin_ns = now_ns();

        for (long n_sent = 0; n_sent < n;) {
                long n_now = due(begin_ns, n) - n_sent;

                if (n_now == 0) {
                        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
                        continue;
                }
                if (n_now > sender->n_batch)
                        n_now = sender->n_batch;
                send_some(sender, n_now);
                n_sent += n_now;
        }
}

void run_datagram_publish(void) {
        long operations = *parameter("operations"), n = *parameter("messages") / operations;
        struct sender *sender = calloc(1, sizeof(*sender));
        struct measurement measurement;
        unsigned long n_lost;

        sender_init(sender);
        n_lost = await_reception(sender->fd);
        measurement = measure();
        send_all(sender, n);
        n_lost = await_reception(sender->fd) - n_lost;
        report(&measurement, (double)(n - (long)n_lost) * (double)operations);
        printf(" lost=%.3f", (double)n_lost * 100 / (double)n);
        free(sender->datagram);
        free(sender);
}
