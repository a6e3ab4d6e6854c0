/* Permissions in the configuration: from a group { publish; subscribe; allow_responses } to struct
 * permissions.
 */
#pragma once

#include "daemon/config_value.h"

/* Reads such a group into a field that is a struct permissions *, a reference. For rows of the type
 * CONFIG_OTHER. */
void config_permissions_read(const struct config_place *place);

/* Gives the reference back. */
void config_permissions_release(void *field);
