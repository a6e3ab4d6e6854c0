/* The handler that relays what arrives to another address, and back.
 *
 * Each connection has an upstream, of which the configuration says where it leads (upstream.h).
 * Each direction ends by itself, as the two at the ends do it; when one of them aborts, so does the
 * other. What one does not read waits with the other.
 */
#pragma once

struct handler;

extern const struct handler handler_forward;
