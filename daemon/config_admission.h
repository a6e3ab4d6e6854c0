/* The keys of a listener that say who is admitted. See config_admission.c. */
#pragma once

#include "daemon/config_table.h"

/* Describes struct config_cps. */
extern const struct config_table config_admission_cps;

/* allow, deny: fill the struct access_list * of the field, which is the same one for both. */
void config_admission_read_allow(const struct config_place *place);
void config_admission_read_deny(const struct config_place *place);
void config_admission_release_access(void *field);

/* times: into a struct schedule *. */
void config_admission_read_times(const struct config_place *place);
void config_admission_release_times(void *field);

/* Completes what was read of a listener. */
void config_admission_check(struct config_reader *reader, const char *path,
                            const config_setting_t *group, struct config_admission *admission);
