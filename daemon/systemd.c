/* The service manager. See systemd.h. */
#include "daemon/systemd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>

/* How many sockets there are. sd_listen_fds(3) calls it an error if a manager says that it passes
 * none, but that is nothing to fail for. */
static int listen_fds(char ***namesp) {
        const char *count = getenv("LISTEN_FDS");
        bool is_none = count && strcmp(count, "0") == 0;
        int n = sd_listen_fds_with_names(1, namesp);

        return is_none ? 0 : n;
}

int systemd_init(struct systemd *systemd) {
        char **names = NULL;
        uint64_t usec = 0;
        int n = listen_fds(&names);

        *systemd = (struct systemd){.is_notified = getenv("NOTIFY_SOCKET") != NULL};
        if (n < 0)
                return n;
        if (sd_watchdog_enabled(1, &usec) > 0)
                systemd->watchdog_ms = usec / 1000;
        systemd->sockets = calloc((size_t)n + 1, sizeof(*systemd->sockets));
        if (!systemd->sockets)
                n = -ENOMEM;
        for (int i = 0; i < n; i++)
                systemd->sockets[systemd->n_sockets++] =
                        (struct systemd_socket){names[i], SD_LISTEN_FDS_START + i};
        free(names);
        return n < 0 ? n : 0;
}

static void notify(const struct systemd *systemd, const char *text) {
        if (systemd->is_notified)
                (void)sd_notify(0, text);
}

#else

int systemd_init(struct systemd *systemd) {
        *systemd = (struct systemd){.n_sockets = 0};
        return 0;
}

static void notify(const struct systemd *systemd, const char *text) {
}

#endif

void systemd_deinit(struct systemd *systemd) {
        for (size_t i = 0; i < systemd->n_sockets; i++) {
                if (systemd->sockets[i].fd >= 0)
                        (void)close(systemd->sockets[i].fd);
                free(systemd->sockets[i].name);
        }
        free(systemd->sockets);
}

int systemd_take_socket(struct systemd *systemd, const char *name) {
        for (size_t i = 0; i < systemd->n_sockets; i++) {
                struct systemd_socket *socket = &systemd->sockets[i];
                int fd = socket->fd;

                if (fd < 0 || strcmp(socket->name, name) != 0)
                        continue;
                socket->fd = -1;
                return fd;
        }
        return -1;
}

void systemd_ready(const struct systemd *systemd) {
        notify(systemd, "READY=1");
}

void systemd_reloading(const struct systemd *systemd) {
        struct timespec now;
        char text[96];

        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
                 (unsigned long long)now.tv_sec * 1000000u +
                         (unsigned long long)now.tv_nsec / 1000);
        notify(systemd, text);
}

void systemd_stopping(const struct systemd *systemd) {
        notify(systemd, "STOPPING=1\nSTATUS=Stopping");
}

void systemd_watchdog(const struct systemd *systemd) {
        if (systemd->watchdog_ms > 0)
                notify(systemd, "WATCHDOG=1");
}

void systemd_status(const struct systemd *systemd, const char *format, ...) {
        char text[256] = "STATUS=";
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text + 7, sizeof(text) - 7, format, arguments);
        va_end(arguments);
        notify(systemd, text);
}
