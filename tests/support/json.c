/* Proves that standard input is one JSON value, and prints parts of it.
 *
 *      json [PATH]...
 *
 * A path is names and numbers parted by dots, as in `listeners.0.address`; `length` of a list is its
 * length. Strings are printed as they are, all else as JSON, each on a line. The status is 1 if the
 * input is not JSON, and 3 if a path leads nowhere.
 */
#include <err.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *find(json_t *value, char *path) {
        char *rest = path;

        for (char *token; value && (token = strsep(&rest, ".")) != NULL;) {
                if (json_is_array(value) && strcmp(token, "length") == 0)
                        return json_integer((json_int_t)json_array_size(value));
                value = json_is_array(value) ? json_array_get(value, strtoul(token, NULL, 10))
                                             : json_object_get(value, token);
        }
        return json_incref(value);
}

static int print(json_t *value) {
        if (!value)
                return 3;
        if (json_is_string(value))
                puts(json_string_value(value));
        else if (json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT) == 0)
                puts("");
        json_decref(value);
        return 0;
}

int main(int argc, char **argv) {
        json_error_t error;
        json_t *value = json_loadf(stdin, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
        int status = 0;

        if (!value)
                errx(1, "json: %s in line %d, column %d", error.text, error.line, error.column);
        for (int i = 1; i < argc; i++) {
                int printed = print(find(value, argv[i]));

                status = printed ? printed : status;
        }
        json_decref(value);
        return status;
}
