/* The service manager: readiness, watchdog and inherited sockets (sd-daemon(3)).
 *
 * Without libsystemd, or without a service manager, everything here does nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct systemd_socket {
        char *name; /* FileDescriptorName=; owned */
        int fd;     /* -1 once somebody has taken it */
};

struct systemd {
        struct systemd_socket *sockets; /* owned */
        size_t n_sockets;
        uint64_t watchdog_ms; /* 0: no watchdog */
        bool is_notified;     /* somebody listens to notifications */
};

/* Looks at the environment and clears it. Returns 0 or a negative errno. */
int systemd_init(struct systemd *systemd);
/* Closes the sockets that nobody took. */
void systemd_deinit(struct systemd *systemd);

/* Takes the next inherited socket of that name: its descriptor, then the caller's; -1: none. */
int systemd_take_socket(struct systemd *systemd, const char *name);

void systemd_ready(const struct systemd *systemd);
void systemd_reloading(const struct systemd *systemd);
void systemd_stopping(const struct systemd *systemd);
void systemd_watchdog(const struct systemd *systemd);
__attribute__((format(printf, 2, 3))) void systemd_status(const struct systemd *systemd,
                                                          const char *format, ...);
