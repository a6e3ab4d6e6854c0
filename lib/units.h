/* Durations and sizes as people write them: "250ms", "64K".
 *
 * Used for the configuration, the command lines and what both print. No state, any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Room for the text of any duration or size, with its NUL. */
#define UNITS_TEXT_MAX 32

/* Parses an unsigned whole or decimal number followed at once by a unit: ms, s, m, h, d
 * ("250ms", "1.5s", "2m"). A number without a unit is refused; so is a sign, white space, what is
 * not a whole number of milliseconds ("0.1ms") and what does not fit 53 bits.
 * Returns 0 and stores milliseconds, or -EINVAL (not of the form), or -ERANGE (too large). */
int units_parse_duration(const char *text, uint64_t *msp);

/* Parses a number of bytes, optionally followed by K, M, G or T, in powers of 1024 and in either
 * case, with an optional "iB" or "B" behind it: "4096", "64K", "1MiB", "1.5G" (but not "0.1K",
 * which is not a whole number of bytes).
 * Returns 0 and stores bytes, or -EINVAL (not of the form), or -ERANGE (too large). */
int units_parse_size(const char *text, uint64_t *bytesp);

/* Writes the shortest exact form that units_parse_duration() reads back: 1500 is "1.5s", 120000
 * is "2m". Returns text. */
char *units_format_duration(char text[UNITS_TEXT_MAX], uint64_t ms);

/* Writes the shortest exact form that units_parse_size() reads back: 65536 is "64K". Returns
 * text. */
char *units_format_size(char text[UNITS_TEXT_MAX], uint64_t bytes);

/* Writes an approximation for people with three digits: 65600 is "64.1K"; whole where it is exact.
 * Returns text. */
char *units_format_size_approximate(char text[UNITS_TEXT_MAX], uint64_t bytes);
