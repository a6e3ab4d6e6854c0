/* The verbs of the test language: what a client or the server is told to do, or expected to. */
#pragma once

#include "scene.h"

/* The words behind a verb, variables replaced. */
struct words {
        size_t n;
        struct bytes *items;
};

struct verb {
        const char *name;
        size_t n_words_min;
        size_t n_words_max;
        /* client is NULL for verbs of the server; false means that scene_fail() was called. */
        bool (*act)(struct scene *scene, struct client *client, const struct words *words);
};

#define WORDS_MAX 256
#define VERB_END { NULL, 0, 0, NULL }

/* Tables end with VERB_END. */
extern const struct verb verb_client_table[];
extern const struct verb verb_expect_table[];
extern const struct verb verb_run_table[];
extern const struct verb verb_server_table[];
extern const struct verb verb_scene_table[];

/* expect-shared-run, which is about several clients; defined with the other runs. */
bool verb_expect_shared_run(struct scene *scene, struct client *client, const struct words *words);

/* Return NULL if there is no such verb. */
const struct verb *verb_find(const struct verb *table, const char *name);
const struct verb *verb_find_for_client(const char *name);

/* Reads a decimal number that fills the word; fails the scene otherwise. */
bool verb_read_number(struct scene *scene, const struct bytes *word, unsigned long maximum,
                      unsigned long *numberp);

/* Appends all words, one directly behind the other. */
void verb_join_words(const struct words *words, struct bytes *output);
