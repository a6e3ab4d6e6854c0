/* The small services of the Internet's first days, on streams and in datagrams: echo (RFC 862),
 * discard (RFC 863), daytime (RFC 867), time (RFC 868), chargen (RFC 864).
 *
 * None answers a datagram with more bytes than the rule for unproved peers allows, nor chargen with
 * more than it got. A datagram is not answered if it comes from the port of such a service, as two
 * of them would answer each other for ever; and as not all have these ports, an answer lives
 * shorter than what it answers: its hop limit is one less.
 */
#pragma once

struct handler;

extern const struct handler handler_echo, handler_discard, handler_daytime, handler_time,
        handler_chargen;
