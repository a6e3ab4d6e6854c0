/* Times of day at which something is open, in the local time zone.
 *
 * "08:00-18:00" is each day, "mon-fri 22:00-06:00" begins on these days and ends on the next.
 * What counts is what the clock on the wall shows: of an hour that comes twice when summer ends
 * both are the same, and one that is left out does not come.
 *
 * A schedule is filled by one thread; after that it never changes, and any thread may ask it. It is
 * freed with its last reference.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

struct schedule;

/* One that is never open, or NULL if there is no memory. */
struct schedule *schedule_new(void);

/* Opens it at the times that a text tells. Returns 0, or -EINVAL with *reasonp, a constant: what
 * was expected. */
int schedule_add(struct schedule *schedule, const char *text, const char **reasonp);

struct schedule *schedule_ref(struct schedule *schedule);
/* NULL is allowed in both. Returns NULL. */
struct schedule *schedule_unref(struct schedule *schedule);

/* Whether it is open at a time. NULL, for a schedule, is always open. Any thread. */
bool schedule_is_open(const struct schedule *schedule, time_t now);

/* The system's time zone may have changed. Any thread. */
void schedule_renew_zone(void);
