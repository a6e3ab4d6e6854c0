/* Numbered messages: a run of PUBs whose payloads tell their place, and the MSGs they become. */
#pragma once

#include "bytes.h"

#include <sys/types.h>

#define NUMBERED_DIGITS 8
#define NUMBERED_MAX 99999999UL
#define NUMBERED_SUBJECT_MAX 255

struct numbered_message {
        unsigned long number;
        size_t size;
        char subject[NUMBERED_SUBJECT_MAX + 1];
};

/* Appends "PUB subject size" and the payload of that number; size is at least NUMBERED_DIGITS. */
void numbered_append(struct bytes *output, const char *subject, unsigned long number, size_t size);

/*
 * Reads one MSG with a numbered payload from the start of data. Returns its length in bytes, 0 if
 * more bytes are needed, -1 if this is no such MSG or the payload is not what its number demands.
 */
ssize_t numbered_read(struct numbered_message *message, const char *data, size_t n_bytes);
