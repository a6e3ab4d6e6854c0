/* The default handler: the NATS protocol, a parser in front of a client. */
#pragma once

struct handler;

extern const struct handler handler_bus;
