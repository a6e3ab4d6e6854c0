/* Mapping of subjects: from those of one pattern to those of another, whose wildcards stand for the
 * same tokens in the same order, as from "a.*.b.>" to "x.*.>". Pure functions, any thread.
 */
#pragma once

#include "lib/bytes.h"

/* Whether one valid subject can be mapped to another: they have the same wildcards in the same
 * order. */
bool subject_map_is_possible(struct bytes from, struct bytes to);

/* Writes, without a NUL, what becomes of `subject`, which `from` matches, by a mapping that is
 * possible. Returns its length, or 0 if it is longer than `size` or was not matched. */
size_t subject_map_apply(struct bytes from, struct bytes to, struct bytes subject, char *text,
                         size_t size);
