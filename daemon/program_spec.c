/* Environments of programs. See program_spec.h. */
#include "daemon/program_spec.h"

#include "daemon/config_value.h"
#include "daemon/run_as.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where programs look for others, and what they speak if nobody says it. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DEFAULT_LANG "C.UTF-8"

/* Variables that are set for all. */
#define N_OF_ITS_OWN 6

struct variables {
        char **list; /* NULL at the end */
        size_t n;
        bool has_failed;
};

static bool is_given(char *const *given, const char *name) {
        size_t n = strlen(name);

        for (; given && *given; given++)
                if (strncmp(*given, name, n) == 0 && (*given)[n] == '=')
                        return true;
        return false;
}

static void append(struct variables *variables, char *text) {
        variables->has_failed |= !text;
        if (text)
                variables->list[variables->n++] = text;
}

/* Adds a variable, unless the value is NULL or the variable is among those given. */
static void add(struct variables *variables, char *const *given, const char *name,
                const char *value) {
        char *text = NULL;

        if (!value || is_given(given, name))
                return;
        if (asprintf(&text, "%s=%s", name, value) < 0)
                text = NULL;
        append(variables, text);
}

static size_t count(char *const *strings) {
        size_t n = 0;

        while (strings && strings[n])
                n++;
        return n;
}

char **program_environment(char *const *given, const struct run_as *user) {
        struct variables variables = {
                .list = calloc(N_OF_ITS_OWN + count(given) + 1, sizeof(*variables.list))};
        const char *language = getenv("LANG");

        if (!variables.list)
                return NULL;
        add(&variables, given, "PATH", DEFAULT_PATH);
        add(&variables, given, "LANG", language ? language : DEFAULT_LANG);
        add(&variables, given, "HOME", user ? user->home : NULL);
        add(&variables, given, "USER", user ? user->login : NULL);
        add(&variables, given, "LOGNAME", user ? user->login : NULL);
        add(&variables, given, "SHELL", user ? user->shell : NULL);
        for (; given && *given; given++)
                append(&variables, strdup(*given));
        return variables.has_failed ? config_strings_free(variables.list) : variables.list;
}
