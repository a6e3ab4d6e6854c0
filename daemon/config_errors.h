/* Adding to the list of complaints that config.h describes. */
#pragma once

#include "daemon/config.h"

/* More are not kept; a last line says so. */
#define CONFIG_ERRORS_MAX 100

/* Adds a line, made printable. Returns 0 or -ENOMEM. */
__attribute__((format(printf, 2, 3))) int config_errors_add(struct config_errors *errors,
                                                            const char *format, ...);

/* The same, unless the line is there already. */
__attribute__((format(printf, 2, 3))) int config_errors_add_once(struct config_errors *errors,
                                                                 const char *format, ...);
