/* Control groups, and the systemd units that they stand for, by their names alone.
 *
 * systemd gives each unit a control group of the same name, in those of its slices:
 * /system.slice/nginx.service. What is below belongs to the unit, and may have any name: a user's
 * own manager makes groups for his units in that of user@1000.service, and so can any service to
 * which its group was delegated. So the unit is the outermost one, which only the system's manager
 * can make, and never one further in.
 *
 * All bytes handed out lie in those that were given.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>

/* The longest name of a unit, as systemd has it. */
#define CGROUP_NAME_MAX 255

/* What is not there has the length 0. */
struct cgroup_unit {
        /* Of the unit, or of who is in a slice itself; "-.slice" is the root's. */
        struct bytes slice;
        struct bytes unit;
        struct bytes user_unit; /* in user@UID.service, that of the user's own manager */
};

/* Whether a name can be that of a unit that has processes, which includes no template. */
bool cgroup_is_unit(struct bytes name);

/* Whether a name can be that of a slice. */
bool cgroup_is_slice(struct bytes name);

/* Reads what a name was made from, as some cannot be that of a control group: without the "_" in
 * front of it. */
struct bytes cgroup_unescape(struct bytes name);

/* Finds the path in what /proc/PID/cgroup holds: that of the unified hierarchy or, if it is the
 * root, that of systemd's own one of version 1. Length 0 if there is none. */
struct bytes cgroup_path(struct bytes text);

/* Takes a path apart. */
struct cgroup_unit cgroup_unit_of(struct bytes path);
