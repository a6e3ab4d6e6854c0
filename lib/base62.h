/* Numbers as letters and digits: tokens that may stand in a subject. Pure functions, any thread. */
#pragma once

#include "lib/bytes.h"

/* Writes so many digits of a number, the least significant ones first. */
void base62_write(char *to, size_t n, uint64_t number);

/* The number that at most ten digits are, or UINT64_MAX if they are none. */
uint64_t base62_read(struct bytes digits);
