/* Text from outside, made safe to show: in the log, on a terminal, in JSON.
 *
 * What is printable here is valid UTF-8 without control characters (C0, DEL and C1), and without
 * those that turn the direction of a text, or end a line of it. No state, any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Replaces in place what is not printable: a newline and a tab by a space, any other control
 * character and each byte that is not part of valid UTF-8 by '?'. The length stays. */
void text_make_printable(char *text, size_t length);

/* Whether text_make_printable() would leave the text as it is. */
bool text_is_printable(const char *text, size_t length);

/* The largest length <= limit at which text can be cut without splitting a UTF-8 sequence. */
size_t text_cut(const char *text, size_t length, size_t limit);
