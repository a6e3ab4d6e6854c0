/* What there is only one of in a configuration: a name of an account; a name and an nkey of a user,
 * whichever account has him.
 */
#pragma once

#include "daemon/config_table.h"

/* Complains about those that are there already. group: the whole file, which may have errors. */
void config_names_check(struct config_reader *reader, const config_setting_t *group,
                        const struct config *config);
