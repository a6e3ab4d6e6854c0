/* Segments: frames of one length in a row, which leave as one message and pass through the
 * network's layers as one. The kernel or the network card cuts it again on its way (UDP_SEGMENT in
 * udp(7)).
 *
 * Here it is found out which those are; whoever sends them does the rest. No state, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct segments {
        unsigned n_frames;
        size_t length; /* of each but the last, which may be shorter */
};

/* The longest payload of UDP over IPv4, which the segments of a message have together at most. */
#define DATAGRAM_PAYLOAD_MAX 65507

/* The bytes of a message, in all its ranges. */
size_t segments_message_length(const struct mmsghdr *message);

/* Has frames of one length in a row leave as one message. The ranges of the frames stand behind
 * each other in one array. Returns how many messages there are, the first ones; of which frames
 * each is made is in `segments`, which has room for one for each frame. */
unsigned segments_join(struct mmsghdr *messages, unsigned n_frames, struct segments *segments);

/* Whether a kernel says by this -errno that a message cannot be cut on this way: it is an old one,
 * the path is a narrow one, or the network card leaves no way to. */
bool segments_are_refused(int error);
