/* Moving bytes between two sockets. See relay.h. */
#include "daemon/relay.h"

#include "daemon/block.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* Moved at once, if there is so much; the pipe holds it or less. */
#define MOVE_MAX (1024 * 1024)
/* How often a flow moves something before others have their turn; and what has to have been moved
 * for trying once more, as asking in vain is what costs most where there is little. */
#define ROUNDS    4
#define AGAIN_MIN (32 * 1024)

void relay_init(struct relay *relay, struct pipe_pool *pool, int a, int b) {
        *relay = (struct relay){
                .pool = pool,
                .flows = {{.from = a, .to = b, .pipe = PIPE_NONE},
                          {.from = b, .to = a, .pipe = PIPE_NONE}},
        };
}

static void give_pipe(struct relay *relay, struct relay_flow *flow) {
        pipe_pool_give(relay->pool, &flow->pipe, flow->n_waiting == 0);
}

void relay_deinit(struct relay *relay) {
        for (unsigned i = 0; i < 2; i++)
                give_pipe(relay, &relay->flows[i]);
}

/* --- through a pipe -----------------------------------------------------------------------------
 */

static ssize_t splice_once(int from, int to, size_t n_bytes) {
        ssize_t n;

        do {
                n = splice(from, NULL, to, NULL, n_bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

/* Takes input into the empty pipe. Returns 0, also if there is none, or a negative errno. */
static int fill(struct relay_flow *flow) {
        ssize_t n = splice_once(flow->from, flow->pipe.in, MOVE_MAX);

        if (n < 0)
                return n == -EAGAIN ? 0 : (int)n;
        flow->is_ended = n == 0;
        flow->n_waiting = (size_t)n;
        return 0;
}

/* Has the receiver take what is in the pipe. Returns how much it took, or a negative errno. */
static ssize_t drain(struct relay_flow *flow) {
        ssize_t n = splice_once(flow->pipe.out, flow->to, flow->n_waiting);

        flow->is_blocked = n == -EAGAIN;
        if (n < 0)
                return flow->is_blocked ? 0 : n;
        flow->n_waiting -= (size_t)n;
        return n;
}

/* Fills and drains once. */
static ssize_t move_by_pipe(struct relay_flow *flow) {
        int r = flow->n_waiting > 0 ? 0 : fill(flow);

        if (r < 0 || flow->n_waiting == 0)
                return r;
        return drain(flow);
}

/* --- without one --------------------------------------------------------------------------------
 */

/* Takes what has been sent already out of a socket. */
static int consume(int fd, struct block *spare, size_t n_bytes) {
        while (n_bytes > 0) {
                ssize_t n = recv(fd, spare->data, n_bytes, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EPROTO;
                n_bytes -= (size_t)n;
        }
        return 0;
}

static ssize_t move_by_copy(struct relay_flow *flow, struct block *spare) {
        ssize_t n = recv(flow->from, spare->data, spare->capacity, MSG_PEEK);
        int r;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        flow->is_ended = n == 0;
        if (n == 0)
                return 0;
        n = send(flow->to, spare->data, (size_t)n, MSG_NOSIGNAL);
        flow->is_blocked = n < 0 && errno == EAGAIN;
        if (n < 0)
                return flow->is_blocked || errno == EINTR ? 0 : -errno;
        r = consume(flow->from, spare, (size_t)n);
        return r < 0 ? r : n;
}

/* --- both ---------------------------------------------------------------------------------------
 */

static ssize_t move_once(struct relay *relay, struct relay_flow *flow, struct block *spare) {
        if (flow->is_ended)
                return 0;
        if (flow->pipe.in >= 0 || pipe_pool_take(relay->pool, &flow->pipe) == 0)
                return move_by_pipe(flow);
        return spare ? move_by_copy(flow, spare) : -ENOMEM;
}

/* Tells the receiver that nothing more comes, once that is so. */
static void finish(struct relay_flow *flow) {
        if (!flow->is_ended || flow->n_waiting > 0 || flow->is_finished)
                return;
        flow->is_finished = true;
        (void)shutdown(flow->to, SHUT_WR);
}

ssize_t relay_move(struct relay *relay, unsigned flow_index, struct block *spare) {
        struct relay_flow *flow = &relay->flows[flow_index];
        ssize_t n_moved = 0, n = AGAIN_MIN;

        flow->is_blocked = false;
        for (unsigned i = 0; i < ROUNDS && n >= AGAIN_MIN; i++) {
                n = move_once(relay, flow, spare);
                if (n > 0)
                        n_moved += n;
        }
        if (flow->n_waiting > 0)
                flow->is_blocked = true;
        else
                give_pipe(relay, flow);
        finish(flow);
        return n < 0 ? n : n_moved;
}
