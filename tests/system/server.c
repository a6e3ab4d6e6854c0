/*
 * One process of sockd or nats-server, in a directory of its own. Its standard error is a pipe that
 * is read whenever it has something, so that the server never waits for us; all of it is kept. The
 * process dies with us whatever happens (PR_SET_PDEATHSIG), and its end is an event like any other
 * (pidfd).
 */
#include "server.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void server_init(struct server *server, const char *program, enum server_kind kind,
                 enum server_transport transport) {
        *server = (struct server){
                .program = program,
                .config = { .kind = kind, .transport = transport },
                .log_fd = -1,
                .exit_fd = -1,
        };
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
        (void)status;
        (void)type;
        (void)place;
        return remove(path);
}

static void server_close_descriptors(struct server *server) {
        if (server->log_fd >= 0)
                close(server->log_fd);
        if (server->exit_fd >= 0)
                close(server->exit_fd);
        server->log_fd = server->exit_fd = -1;
}

void server_deinit(struct server *server, bool keep_directory) {
        if (server->pid) {
                kill(server->pid, SIGKILL);
                waitpid(server->pid, NULL, 0);
        }
        server_close_descriptors(server);
        if (server->directory && !keep_directory)
                nftw(server->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(server->directory);
        bytes_deinit(&server->log);
        server_config_deinit(&server->config);
}

static int server_make_directory(struct server *server) {
        const char *parent = getenv("TMPDIR");
        char *path;

        if (server->directory)
                return 0;
        if (asprintf(&path, "%s/scenario.XXXXXX", parent && *parent ? parent : "/tmp") < 0)
                err(1, "server");
        if (!mkdtemp(path)) {
                int error = -errno;

                free(path);
                return error;
        }
        server->directory = path;
        return 0;
}

static char *server_config_path(const struct server *server) {
        char *path;

        if (asprintf(&path, "%s/%s.conf", server->directory,
                     server->config.kind == SERVER_SOCKD ? "sockd" : "nats-server") < 0)
                err(1, "server");
        return path;
}

int server_write_config(const struct server *server) {
        BYTES_DEINIT struct bytes text = {};
        char *path = server_config_path(server);
        FILE *file = fopen(path, "we");
        bool written;

        free(path);
        if (!file)
                return -errno;
        server_config_write(&server->config, server->directory, &text);
        written = fwrite(text.data, 1, text.length, file) == text.length;
        return fclose(file) == 0 && written ? 0 : -EIO;
}

/* In the child: becomes the server. */
static _Noreturn void server_execute(const struct server *server, int log_fd, pid_t parent) {
        const char *config_path = server_config_path(server);
        const char *program = server->program;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(126);
        if (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
                _exit(126);
        if (server->config.kind == SERVER_SOCKD)
                execlp(program, program, "--foreground", "--config", config_path, NULL);
        else
                execlp(program, program, "-c", config_path, NULL);
        warn("cannot run %s", program);
        _exit(127);
}

static int server_spawn(struct server *server) {
        pid_t parent = getpid();
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        server->pid = fork();
        if (server->pid == 0)
                server_execute(server, pipe_fds[1], parent);
        close(pipe_fds[1]);
        server->log_fd = pipe_fds[0];
        if (server->pid < 0) {
                server->pid = 0;
                return -errno;
        }
        if (fcntl(server->log_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        server->exit_fd = pidfd_open(server->pid, 0);
        return server->exit_fd < 0 ? -errno : 0;
}

int server_start(struct server *server) {
        int error;

        error = server_make_directory(server);
        if (error)
                return error;
        server_close_descriptors(server);
        server->log_start = server->log_cursor = server->log.length;
        error = server_write_config(server);
        return error ? error : server_spawn(server);
}

/* Ready is said by the end of a line: "…: ready", "Server is ready". */
bool server_is_ready(const struct server *server) {
        return server->pid && server->log.length &&
               strstr(server->log.data + server->log_start, " ready\n");
}

int server_signal(struct server *server, int number) {
        if (!server->pid)
                return -ESRCH;
        return kill(server->pid, number) < 0 ? -errno : 0;
}

void server_read_log(struct server *server) {
        char chunk[16384];
        ssize_t length;

        while ((length = read(server->log_fd, chunk, sizeof(chunk))) > 0)
                bytes_append(&server->log, chunk, (size_t)length);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        close(server->log_fd);
        server->log_fd = -1;
}

void server_collect(struct server *server) {
        if (waitpid(server->pid, &server->exit_status, WNOHANG) != server->pid)
                return;
        if (server->log_fd >= 0)
                server_read_log(server);
        server->pid = 0;
        close(server->exit_fd);
        server->exit_fd = -1;
}

static bool server_find_port(const struct server *server, const char *marker, unsigned *portp) {
        const char *at = strstr(server->log.data + server->log_start, marker);
        unsigned long port;
        char *end;

        if (!at)
                return false;
        port = strtoul(at + strlen(marker), &end, 10);
        if (end == at + strlen(marker) || port < 1 || port > 65535)
                return false;
        *portp = (unsigned)port;
        return true;
}

bool server_find_address(const struct server *server, const char *listener,
                         struct server_address *addressp) {
        BYTES_DEINIT struct bytes marker = {};
        int length;

        if (!server->log.length)
                return false;
        addressp->transport = server_config_find_transport(&server->config, listener);
        if (server_transport_kinds[addressp->transport].family == AF_UNIX) {
                length = snprintf(addressp->path, sizeof(addressp->path), "%s/%s.sock",
                                  server->directory, listener);
                return length > 0 && (size_t)length < sizeof(addressp->path);
        }
        if (server->config.kind == SERVER_SOCKD)
                bytes_append_format(&marker, "listener \"%s\" listening on %s://127.0.0.1:",
                                    listener, server_transport_kinds[addressp->transport].name);
        else
                bytes_append_text(&marker, "Listening for client connections on 127.0.0.1:");
        return server_find_port(server, marker.data, &addressp->port);
}

int server_find_in_log(struct server *server, const char *expression) {
        regex_t pattern;
        regmatch_t match;
        int found = 0;

        if (regcomp(&pattern, expression, REG_EXTENDED | REG_ICASE | REG_NEWLINE))
                return -1;
        if (regexec(&pattern, bytes_text(&server->log) + server->log_cursor, 1, &match, 0) == 0) {
                server->log_cursor += (size_t)match.rm_eo;
                found = 1;
        }
        regfree(&pattern);
        return found;
}
