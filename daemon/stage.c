/* What one worker's current batch produces for each connection. See stage.h. */
#include "daemon/stage.h"

#include <errno.h>
#include <stdlib.h>

/* How many stages, each with a block, are kept for the next batch. */
#define POOL_MAX 32

void stages_init(struct stages *stages) {
        *stages = (struct stages){.n_slots = 0};
        list_init(&stages->foreign);
        list_init(&stages->own);
        list_init(&stages->pool);
}

static void stage_free(struct stage *stage) {
        list_unlink(&stage->link);
        outbox_deinit(&stage->outbox);
        free(stage);
}

void stages_shrink(struct stages *stages) {
        LIST_FOREACH_SAFE (link, &stages->pool)
                stage_free(container_of(link, struct stage, link));
        stages->n_pool = 0;
}

void stages_deinit(struct stages *stages) {
        stages_shrink(stages);
        free(stages->by_slot);
}

static int stages_grow(struct stages *stages, uint32_t slot) {
        size_t n = stages->n_slots ? stages->n_slots : 64;
        struct stage **by_slot;

        if (slot < stages->n_slots)
                return 0;
        while (n <= slot)
                n *= 2;
        by_slot = realloc(stages->by_slot, n * sizeof(*by_slot));
        if (!by_slot)
                return -ENOMEM;
        memset(by_slot + stages->n_slots, 0, (n - stages->n_slots) * sizeof(*by_slot));
        stages->by_slot = by_slot;
        stages->n_slots = n;
        return 0;
}

static struct stage *stage_obtain(struct stages *stages) {
        struct stage *stage;

        if (!list_is_empty(&stages->pool)) {
                stage = container_of(stages->pool.next, struct stage, link);
                list_unlink(&stage->link);
                stages->n_pool--;
                return stage;
        }
        stage = calloc(1, sizeof(*stage));
        if (stage)
                list_init(&stage->link);
        return stage;
}

struct stage *stages_add(struct stages *stages, struct connection *connection, uint32_t slot,
                         bool is_own) {
        struct stage *stage;

        if (stages_grow(stages, slot) < 0)
                return NULL;
        stage = stage_obtain(stages);
        if (!stage)
                return NULL;
        stage->connection = connection;
        stages->by_slot[slot] = stage;
        list_append(is_own ? &stages->own : &stages->foreign, &stage->link);
        return stage;
}

void stages_remove(struct stages *stages, struct stage *stage, uint32_t slot) {
        stages->by_slot[slot] = NULL;
        stage->connection = NULL;
        outbox_clear(&stage->outbox);
        stage->n_messages = 0;
        stage->n_payload_bytes = 0;
        if (stages->n_pool >= POOL_MAX) {
                stage_free(stage);
                return;
        }
        list_unlink(&stage->link);
        list_append(&stages->pool, &stage->link);
        stages->n_pool++;
}

void stages_put_last(struct stages *stages, struct stage *stage) {
        list_unlink(&stage->link);
        list_append(&stages->own, &stage->link);
}

static unsigned list_peek(struct list_link *list, struct stage **next, unsigned max) {
        unsigned n = 0;

        LIST_FOREACH (link, list) {
                if (n == max)
                        break;
                next[n++] = container_of(link, struct stage, link);
        }
        return n;
}

unsigned stages_next(struct stages *stages, struct stage **next, unsigned max) {
        unsigned n = list_peek(&stages->foreign, next, max);

        return n + list_peek(&stages->own, next + n, max - n);
}
