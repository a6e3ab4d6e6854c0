/* Deferred freeing on liburcu. See reclaim.h.
 *
 * liburcu orders memory by means that ThreadSanitizer cannot see, so in such a build the two edges
 * that matter are told to it: what a reader did before its quiescent state, and what a writer did
 * before it handed a node over, both happen before the release.
 */
#include "daemon/reclaim.h"

#include <assert.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#ifdef __SANITIZE_THREAD__
#define RECLAIM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RECLAIM_TSAN 1
#endif
#endif

#ifdef RECLAIM_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char grace;
#define happens_before() __tsan_release(&grace)
#define happens_after()  __tsan_acquire(&grace)
#else
#define happens_before() ((void)0)
#define happens_after()  ((void)0)
#endif

/* The nodes of one grace period. */
struct batch {
        struct rcu_head head;
        struct reclaim_node *first;
};

static void batch_release(struct rcu_head *head) {
        struct batch *batch = caa_container_of(head, struct batch, head);
        struct reclaim_node *node = batch->first;

        happens_after();
        while (node) {
                struct reclaim_node *next = node->next;

                node->release(node);
                node = next;
        }
        free(batch);
}

void reclaim_later(struct reclaim *reclaim, struct reclaim_node *node,
                   void (*release)(struct reclaim_node *node)) {
        node->release = release;
        node->next = reclaim->first;
        reclaim->first = node;
}

void reclaim_flush(struct reclaim *reclaim) {
        struct batch *batch;

        if (!reclaim->first)
                return;
        batch = malloc(sizeof(*batch));
        if (!batch)
                return; /* the nodes wait for the next flush */
        batch->first = reclaim->first;
        reclaim->first = NULL;
        happens_before();
        call_rcu(&batch->head, batch_release);
}

void reclaim_thread_begin(void) {
        rcu_register_thread();
}

void reclaim_thread_end(void) {
        happens_before();
        rcu_unregister_thread();
}

void reclaim_thread_online(void) {
        rcu_thread_online();
}

void reclaim_thread_offline(void) {
        happens_before();
        rcu_thread_offline();
}

void reclaim_drain(void) {
        rcu_barrier();
}
