/* Whether what the accounts of a configuration export and import fits together.
 */
#pragma once

#include "daemon/config_table.h"

/* Complains about accounts that are not there, imports without an export, and such that come to one
 * subject twice, or back to where they began. group: the whole file, of whose
 * accounts not all may have been read. */
void config_imports_check(struct config_reader *reader, const config_setting_t *group,
                          const struct config *config);
