/* Finding verbs, and what they share about their words. */
#include "verb.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const struct verb *verb_find(const struct verb *table, const char *name) {
        for (const struct verb *verb = table; verb->name; verb++)
                if (strcmp(verb->name, name) == 0)
                        return verb;
        return NULL;
}

const struct verb *verb_find_for_client(const char *name) {
        const struct verb *verb = verb_find(verb_client_table, name);

        if (!verb)
                verb = verb_find(verb_expect_table, name);
        return verb ? verb : verb_find(verb_run_table, name);
}

bool verb_read_number(struct scene *scene, const struct bytes *word, unsigned long maximum,
                      unsigned long *numberp) {
        const char *digits = bytes_text(word);
        char *end;

        if (!isdigit((unsigned char)*digits))
                return scene_fail(scene, "not a number: %s", digits);
        *numberp = strtoul(digits, &end, 10);
        if (*end || *numberp > maximum)
                return scene_fail(scene, "bad number: %s", digits);
        return true;
}

void verb_join_words(const struct words *words, struct bytes *output) {
        for (size_t i = 0; i < words->n; i++)
                bytes_append(output, bytes_text(&words->items[i]), words->items[i].length);
}
