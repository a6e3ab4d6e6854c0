/* One scenario played against one server over one transport. */
#pragma once

#include "bytes.h"
#include "server_config.h"

struct play_options {
        enum server_kind kind;
        enum server_transport transport;
        const char *program;
};

enum play_result { PLAY_PASSED, PLAY_FAILED, PLAY_SKIPPED };

/* Plays the scenario at path; *report gets the reason of a failure or a skip. */
enum play_result play_scenario(const struct play_options *options, const char *path,
                               struct bytes *report);
