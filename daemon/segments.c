/* Frames that leave together. See segments.h. */
#include "daemon/segments.h"

#include <errno.h>

/* The longest that is sent as a segment: it fits the path to any peer, of IPv6 too. */
#define SEGMENT_MAX 1232

size_t segments_message_length(const struct mmsghdr *message) {
        size_t length = 0;

        for (size_t i = 0; i < message->msg_hdr.msg_iovlen; i++)
                length += message->msg_hdr.msg_iov[i].iov_len;
        return length;
}

unsigned segments_join(struct mmsghdr *messages, unsigned n_frames, struct segments *segments) {
        unsigned n = 0;
        size_t total = 0;
        bool is_open = false;

        for (unsigned i = 0; i < n_frames; i++) {
                size_t length = segments_message_length(&messages[i]);

                if (is_open && length <= segments[n - 1].length &&
                    total + length <= DATAGRAM_PAYLOAD_MAX) {
                        messages[n - 1].msg_hdr.msg_iovlen += messages[i].msg_hdr.msg_iovlen;
                        segments[n - 1].n_frames++;
                        is_open = length == segments[n - 1].length;
                } else {
                        messages[n] = messages[i];
                        segments[n++] = (struct segments){1, length};
                        total = 0;
                        is_open = length <= SEGMENT_MAX;
                }
                total += length;
        }
        return n;
}

bool segments_are_refused(int error) {
        return error == -EINVAL || error == -EMSGSIZE || error == -EIO || error == -EOPNOTSUPP;
}
