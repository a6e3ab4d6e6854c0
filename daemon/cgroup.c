/* Control groups and units. See cgroup.h. */
#include "daemon/cgroup.h"

#include <string.h>

/* --- names ------------------------------------------------------------------------------------ */

static bool ends_with(struct bytes name, struct bytes end) {
        return name.length > end.length &&
               memcmp(name.data + name.length - end.length, end.data, end.length) == 0;
}

static bool is_name_character(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr(":-_.\\@", c));
}

static bool is_name(struct bytes name) {
        for (size_t i = 0; i < name.length; i++)
                if (!is_name_character(name.data[i]))
                        return false;
        return name.length > 0 && name.length <= CGROUP_NAME_MAX;
}

bool cgroup_is_unit(struct bytes name) {
        /* Types of units whose processes have a control group. */
        static const char *const types[] = {".service", ".scope", ".socket", ".mount", ".swap"};

        if (!is_name(name) || name.data[0] == '@')
                return false;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                struct bytes type = bytes_from_string(types[i]);

                if (ends_with(name, type))
                        return name.data[name.length - type.length - 1] != '@';
        }
        return false;
}

bool cgroup_is_slice(struct bytes name) {
        return is_name(name) && ends_with(name, BYTES(".slice")) &&
               !memchr(name.data, '@', name.length);
}

struct bytes cgroup_unescape(struct bytes name) {
        if (name.length > 0 && name.data[0] == '_')
                return (struct bytes){name.data + 1, name.length - 1};
        return name;
}

/* --- /proc/PID/cgroup ------------------------------------------------------------------------- */

/* Takes the bytes up to the next such character off, and it as well. Returns whether there is
 * one. */
static bool take_until(struct bytes *text, char end, struct bytes *takenp) {
        const char *at = text->length > 0 ? memchr(text->data, end, text->length) : NULL;

        if (!at)
                return false;
        *takenp = (struct bytes){text->data, (size_t)(at - text->data)};
        text->data = at + 1;
        text->length -= takenp->length + 1;
        return true;
}

struct bytes cgroup_path(struct bytes text) {
        struct bytes unified = {NULL, 0}, own = {NULL, 0}, line, number, controllers;

        /* A line without an end was cut, and might be that of somebody else then. */
        while (take_until(&text, '\n', &line)) {
                if (!take_until(&line, ':', &number) || !take_until(&line, ':', &controllers))
                        continue;
                if (bytes_equal(number, BYTES("0")) && controllers.length == 0)
                        unified = line;
                else if (bytes_equal(controllers, BYTES("name=systemd")))
                        own = line;
        }
        return own.length > 0 && (unified.length == 0 || bytes_equal(unified, BYTES("/")))
                       ? own
                       : unified;
}

/* --- paths ------------------------------------------------------------------------------------ */

/* Takes the first name off a path that begins with a slash, or is at its end. */
static struct bytes take_name(struct bytes *path) {
        struct bytes name = {NULL, 0}, rest = *path;
        const char *end;

        if (rest.length == 0 || rest.data[0] != '/')
                return name;
        rest.data++;
        rest.length--;
        end = rest.length > 0 ? memchr(rest.data, '/', rest.length) : NULL;
        name = (struct bytes){rest.data, end ? (size_t)(end - rest.data) : rest.length};
        *path = (struct bytes){rest.data + name.length, rest.length - name.length};
        return cgroup_unescape(name);
}

/* Takes the slices off. Returns the last one, or what stands for none. */
static struct bytes take_slices(struct bytes *path) {
        struct bytes slice = {NULL, 0}, rest = *path, name;

        while (cgroup_is_slice(name = take_name(&rest))) {
                slice = name;
                *path = rest;
        }
        return slice;
}

static struct bytes take_unit(struct bytes *path) {
        struct bytes name = take_name(path);

        return cgroup_is_unit(name) ? name : (struct bytes){NULL, 0};
}

/* user@1000.service, in whose control group that user's own manager has his units. */
static bool is_user_manager(struct bytes unit) {
        static const struct bytes start = {"user@", 5};

        return unit.length > start.length && memcmp(unit.data, start.data, start.length) == 0 &&
               ends_with(unit, BYTES(".service"));
}

struct cgroup_unit cgroup_unit_of(struct bytes path) {
        struct cgroup_unit found = {.slice = take_slices(&path)};

        found.unit = take_unit(&path);
        if (found.unit.length > 0 && found.slice.length == 0)
                found.slice = BYTES("-.slice");
        if (is_user_manager(found.unit)) {
                (void)take_slices(&path);
                found.user_unit = take_unit(&path);
        }
        return found;
}
