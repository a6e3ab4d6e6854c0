/* Where the helpers of tests connect to, bind or send. */
#pragma once

#include "lib/address.h"

/* Writes the first socket of an address as sockd writes it, to bind or to connect to. Returns its
 * scheme. Ends the program with status 2, and a line that says why, if there is none. */
enum address_scheme target_resolve(const char *text, bool is_passive, struct address_socket *to);
