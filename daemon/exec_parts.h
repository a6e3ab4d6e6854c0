/* What the parts of exec need of each other: exec.c (connections), exec_datagram.c and exec_wait.c.
 */
#pragma once

#include "daemon/connection.h"
#include "daemon/exec_run.h"
#include "daemon/turnstile.h"

/* The variables that tell a program of a peer: a list that config_strings_free() frees, or NULL. */
char **exec_variables(struct connection *connection);
