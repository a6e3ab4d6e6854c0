/* Forwards that lead back to where they come from, as far as the configuration tells: one
 * connection would make as many as there are descriptors.
 *
 * Addresses are compared by what they stand for on this host: "localhost" and the addresses of its
 * interfaces are reached by a listener on any address, and paths are the same if they lead to the
 * same file. Other names of hosts are not looked up.
 */
#pragma once

#include <stdbool.h>

struct address;
struct config;
struct config_listener;
struct config_reader;
struct config_setting_t;

/* Whether who connects to a target comes to the listener. */
bool config_loops_reaches(const struct address *target, const struct config_listener *listener);

/* Warns of listeners that forward to each other in a ring. group: the whole configuration. */
void config_loops_check(struct config_reader *reader, const struct config_setting_t *group,
                        const struct config *config);
