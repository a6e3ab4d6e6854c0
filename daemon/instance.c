/* What all threads of the running daemon share. See instance.h. */
#include "daemon/instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* An opaque id of the form that clients know: 'N' and 55 characters of base32. */
static int instance_draw_id(char id[INSTANCE_ID_SIZE]) {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        unsigned char random[INSTANCE_ID_SIZE];

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        for (size_t i = 0; i < INSTANCE_ID_SIZE; i++)
                id[i] = alphabet[random[i] & 31];
        id[0] = 'N';
        id[INSTANCE_ID_SIZE - 1] = '\0';
        return 0;
}

int instance_init(struct instance *instance, const char *name, uint32_t n_slots) {
        int r;

        memset(instance, 0, sizeof(*instance));
        pthread_mutex_init(&instance->slots_lock, NULL);
        r = instance_draw_id(instance->id);
        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &instance->start);
        r = usages_init(&instance->usages);
        if (r < 0)
                return r;
        r = guesses_init(&instance->guesses);
        if (r < 0)
                return r;
        instance->n_slots = n_slots;
        instance->name = strdup(name);
        /* Untouched pages of these cost nothing. */
        instance->slots = calloc(n_slots, sizeof(*instance->slots));
        instance->free_slots = calloc(n_slots, sizeof(*instance->free_slots));
        if (!instance->name || !instance->slots || !instance->free_slots)
                return -ENOMEM;
        return 0;
}

void instance_deinit(struct instance *instance) {
        guesses_deinit(&instance->guesses);
        usages_deinit(&instance->usages);
        pthread_mutex_destroy(&instance->slots_lock);
        free(instance->name);
        free(instance->slots);
        free(instance->free_slots);
}

int instance_take_slot(struct instance *instance, struct connection *connection, uint32_t *slotp) {
        int r = 0;

        pthread_mutex_lock(&instance->slots_lock);
        if (instance->n_free_slots > 0)
                *slotp = instance->free_slots[--instance->n_free_slots];
        else if (instance->n_used_slots < instance->n_slots)
                *slotp = instance->n_used_slots++;
        else
                r = -EAGAIN;
        pthread_mutex_unlock(&instance->slots_lock);
        if (r == 0)
                atomic_store_explicit(&instance->slots[*slotp], connection, memory_order_release);
        return r;
}

void instance_hide_slot(struct instance *instance, uint32_t slot) {
        atomic_store_explicit(&instance->slots[slot], NULL, memory_order_release);
}

void instance_give_slot(struct instance *instance, uint32_t slot) {
        pthread_mutex_lock(&instance->slots_lock);
        instance->free_slots[instance->n_free_slots++] = slot;
        pthread_mutex_unlock(&instance->slots_lock);
}
