/* A map of the subject index. See index_map.h. */
#include "daemon/index_map.h"

#include "lib/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct index_table {
        struct reclaim_node reclaim;
        size_t mask;   /* number of slots - 1 */
        size_t n_used; /* slots that are not empty */
        _Atomic uint64_t slots[];
};

#define SLOT_EMPTY   UINT64_C(0)
#define SLOT_REMOVED UINT64_C(1)
#define SLOT_POINTER UINT64_C(0x0000ffffffffffff)
#define TABLE_MIN    16

static uint64_t slot_make(struct index_node *node) {
        uint64_t pointer = (uint64_t)(uintptr_t)node;

        assert((pointer & ~SLOT_POINTER) == 0);
        return pointer | (node->hash & ~SLOT_POINTER);
}

static struct index_node *slot_node(uint64_t slot) {
        return (struct index_node *)(uintptr_t)(slot & SLOT_POINTER);
}

static uint64_t node_hash(uintptr_t place, struct bytes text) {
        return hash_bytes(text, (uint64_t)place);
}

static bool node_is(const struct index_node *node, uintptr_t place, struct bytes text) {
        return bytes_equal(index_node_text(node), text) &&
               (place == INDEX_NOWHERE || index_token_of(node)->place == place);
}

static struct index_table *map_table(const struct index_map *map) {
        return atomic_load_explicit(&map->table, memory_order_acquire);
}

struct index_node *index_map_find(const struct index_map *map, uintptr_t place, struct bytes text) {
        const struct index_table *table = map_table(map);
        uint64_t hash = node_hash(place, text);

        for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
                uint64_t slot = atomic_load_explicit(&table->slots[i], memory_order_acquire);

                if (slot == SLOT_EMPTY)
                        return NULL;
                if (((slot ^ hash) & ~SLOT_POINTER) == 0 && slot != SLOT_REMOVED &&
                    node_is(slot_node(slot), place, text))
                        return slot_node(slot);
        }
}

static void table_put(struct index_table *table, uint64_t slot, uint64_t hash) {
        size_t i = hash & table->mask;
        uint64_t found;

        while ((found = atomic_load_explicit(&table->slots[i], memory_order_relaxed)) !=
                       SLOT_EMPTY &&
               found != SLOT_REMOVED)
                i = (i + 1) & table->mask;
        table->n_used += found == SLOT_EMPTY;
        atomic_store_explicit(&table->slots[i], slot, memory_order_release);
}

static struct index_table *table_new(size_t n_slots) {
        struct index_table *table = calloc(1, sizeof(*table) + n_slots * sizeof(table->slots[0]));

        if (table)
                table->mask = n_slots - 1;
        return table;
}

static void table_release(struct reclaim_node *node) {
        free(container_of(node, struct index_table, reclaim));
}

/* Copies the nodes into a table that fits their number and has no removed slots. */
static int map_resize(struct index_map *map, struct reclaim *reclaim) {
        struct index_table *old = map_table(map), *table;
        size_t n_slots = TABLE_MIN;

        while (n_slots < 2 * (map->n_nodes + 1))
                n_slots *= 2;
        table = table_new(n_slots);
        if (!table)
                return -ENOMEM;
        for (size_t i = 0; i <= old->mask; i++) {
                uint64_t slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);

                if (slot != SLOT_EMPTY && slot != SLOT_REMOVED)
                        table_put(table, slot, slot_node(slot)->hash);
        }
        atomic_store_explicit(&map->table, table, memory_order_release);
        reclaim_later(reclaim, &old->reclaim, table_release);
        return 0;
}

/* Grows the table when it is four fifths full, shrinks it when it is nearly empty. */
static int map_fit(struct index_map *map, struct reclaim *reclaim) {
        const struct index_table *table = map_table(map);
        size_t n_slots = table->mask + 1;

        if ((table->n_used + 1) * 5 > n_slots * 4)
                return map_resize(map, reclaim);
        if (n_slots > TABLE_MIN && map->n_nodes * 16 < n_slots)
                (void)map_resize(map, reclaim); /* a large table is no harm */
        return 0;
}

/* Adds a node, for which map_fit() has made room. */
static void map_add(struct index_map *map, struct index_node *node) {
        map->n_nodes++;
        table_put(map_table(map), slot_make(node), node->hash);
}

void index_map_remove(struct index_map *map, const struct index_node *node,
                      struct reclaim *reclaim) {
        struct index_table *table = map_table(map);
        size_t i = node->hash & table->mask;

        for (;; i = (i + 1) & table->mask) {
                uint64_t slot = atomic_load_explicit(&table->slots[i], memory_order_relaxed);

                assert(slot != SLOT_EMPTY);
                if (slot != SLOT_REMOVED && slot_node(slot) == node)
                        break;
        }
        atomic_store_explicit(&table->slots[i], SLOT_REMOVED, memory_order_release);
        map->n_nodes--;
        (void)map_fit(map, reclaim);
}

void index_node_init(struct index_node *node, uintptr_t place, struct bytes text) {
        node->hash = node_hash(place, text);
        node->length = (uint16_t)text.length;
        bytes_copy(node->text, text);
}

int index_map_obtain(struct index_map *map, uintptr_t place, struct bytes text,
                     struct index_node *(*node_new)(uintptr_t place, struct bytes text),
                     struct index_node **nodep, struct reclaim *reclaim) {
        int r;

        *nodep = index_map_find(map, place, text);
        if (*nodep)
                return 0;
        if (text.length > UINT16_MAX)
                return -ENAMETOOLONG;
        r = map_fit(map, reclaim);
        if (r < 0)
                return r;
        *nodep = node_new(place, text);
        if (!*nodep)
                return -ENOMEM;
        map_add(map, *nodep);
        return 1;
}

int index_map_init(struct index_map *map) {
        struct index_table *table = table_new(TABLE_MIN);

        atomic_init(&map->table, table);
        map->n_nodes = 0;
        return table ? 0 : -ENOMEM;
}

void index_map_deinit(struct index_map *map) {
        free(map_table(map));
}
