/* The control groups of systemd's units, in the file system.
 *
 * Only slices are looked into: what is in a unit's group was named by others (cgroup.h), and may be
 * any number.
 */
#pragma once

#include <limits.h>
#include <stdint.h>

/* Room for a path. */
#define CGROUP_PATH_SIZE PATH_MAX

/* Finds the slice or unit whose control group of version 2 has that id. Returns 0 and its path,
 * from the root of the hierarchy on, or a negative errno, -ENOENT if there is none. Reads one
 * directory for each slice. Any thread. */
int cgroup_tree_find(uint64_t id, char path[CGROUP_PATH_SIZE]);
