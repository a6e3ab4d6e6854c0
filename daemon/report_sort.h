/* The order of the connections in CONNZ, and the page of them that was asked for. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* Sorts the connections of CONNZ by a key of protocol.md 9.3. Returns a new array with the elements
 * from offset on, at most limit, or NULL if the key is not known. */
json_t *report_sort(json_t *connections, const char *key, size_t offset, size_t limit);
