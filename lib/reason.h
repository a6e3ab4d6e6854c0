/* The reason of a failure, as a text for people beside the error code. */
#pragma once

/* Sets *reasonp, owned by the caller (free(3)); NULL without memory. Returns error, so that one can
 * return both at once. */
__attribute__((format(printf, 3, 4))) int reason_set(char **reasonp, int error, const char *format,
                                                     ...);
