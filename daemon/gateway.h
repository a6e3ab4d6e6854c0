/* Gateways: handlers for plain sockets, whose peers know no protocol but where a message begins and
 * ends (framing.h).
 *
 *      publish    each message that comes goes to a subject
 *      request    each is a question, and the answers go back, in the order of the questions
 *      subscribe  messages of a subject go out
 *
 * A peer of a gateway is a client as all others are, with identity, permissions, limits, rates and
 * counters; it only speaks another language. The subject may be built of what is known of the peer
 * (subject_template.h).
 */
#pragma once

struct handler;

extern const struct handler handler_publish, handler_request, handler_subscribe;
