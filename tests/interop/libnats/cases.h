/* The cases, by what they are about. */

#pragma once

#include "scene.h"

extern const struct CMUnitTest libnats_messages[], libnats_requests[], libnats_datagrams[],
        libnats_connections[];
extern const size_t n_libnats_messages, n_libnats_requests, n_libnats_datagrams,
        n_libnats_connections;
