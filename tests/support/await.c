/* Waits for an event, for shell scripts that must not sleep.
 *
 *      await line FILE REGEX [PID]     a line of FILE that matches, behind the last one found
 *      await exit PID                  the end of a process, whoever's child it is
 *
 * `line` prints the line and remembers in FILE.at how far it has read, so that calls one after the
 * other find one line after the other. With PID, the end of that process ends the waiting as well.
 * Every wait ends after AWAIT_SECONDS (default 20), with status 1 and a word on stderr.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

static long long deadline_ms;

static long long now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int left_ms(void) {
        long long left = deadline_ms - now_ms();

        return left > 0 ? (int)left : 0;
}

/* Returns a descriptor that is readable once the process has ended, or -1 if it has. */
static int open_process(const char *text) {
        int fd = pidfd_open((pid_t)atol(text), 0);

        if (fd < 0 && errno != ESRCH)
                err(2, "await: %s", text);
        return fd;
}

static int await_exit(const char *pid) {
        struct pollfd poller = { .fd = open_process(pid), .events = POLLIN };

        if (poller.fd < 0 || poll(&poller, 1, left_ms()) == 1)
                return 0;
        warnx("await: process %s did not end in time", pid);
        return 1;
}

/* --- lines ------------------------------------------------------------------------------------ */

struct follower {
        const char *path;
        char *position_path;            /* owned */
        regex_t regex;
        long position;
};

static void follower_load(struct follower *follower) {
        FILE *file;

        if (asprintf(&follower->position_path, "%s.at", follower->path) < 0)
                err(2, "await");
        file = fopen(follower->position_path, "r");
        if (!file)
                return;
        if (fscanf(file, "%ld", &follower->position) != 1)
                follower->position = 0;
        fclose(file);
}

static void follower_save(const struct follower *follower) {
        FILE *file = fopen(follower->position_path, "w");

        if (!file || fprintf(file, "%ld\n", follower->position) < 0 || fclose(file) != 0)
                err(2, "await: %s", follower->position_path);
}

/* Looks through what is there. A line without its end is left for later. */
static bool follower_find(struct follower *follower) {
        FILE *file = fopen(follower->path, "r");
        bool is_found = false;
        char *line = NULL;
        size_t size = 0;
        ssize_t n;

        if (!file)
                return false;
        if (fseek(file, follower->position, SEEK_SET) < 0)
                err(2, "await: %s", follower->path);
        while (!is_found && (n = getline(&line, &size, file)) > 0 && line[n - 1] == '\n') {
                follower->position += n;
                line[n - 1] = '\0';
                is_found = regexec(&follower->regex, line, 0, NULL, 0) == 0;
        }
        if (is_found)
                puts(line);
        free(line);
        fclose(file);
        return is_found;
}

static void drain(int fd) {
        char events[4096];

        while (read(fd, events, sizeof(events)) > 0)
                ;
}

static int follower_wait(struct follower *follower, const char *pid) {
        struct pollfd pollers[2] = {
                { .fd = inotify_init1(IN_NONBLOCK), .events = POLLIN },
                { .fd = pid ? open_process(pid) : -1, .events = POLLIN },
        };
        bool is_over = pid && pollers[1].fd < 0;

        if (pollers[0].fd < 0 || inotify_add_watch(pollers[0].fd, follower->path, IN_MODIFY) < 0)
                err(2, "await: %s", follower->path);
        while (!follower_find(follower)) {
                if (is_over) {
                        warnx("await: process %s ended before that line came", pid);
                        return 1;
                }
                if (poll(pollers, 2, left_ms()) == 0) {
                        warnx("await: that line did not come in time");
                        return 1;
                }
                drain(pollers[0].fd);
                is_over = pollers[1].revents != 0;
        }
        return 0;
}

static int await_line(const char *path, const char *regex, const char *pid) {
        struct follower follower = { .path = path };
        int status;

        if (regcomp(&follower.regex, regex, REG_EXTENDED | REG_NOSUB) != 0)
                errx(2, "await: bad regular expression: %s", regex);
        follower_load(&follower);
        status = follower_wait(&follower, pid);
        if (status == 0)
                follower_save(&follower);
        regfree(&follower.regex);
        free(follower.position_path);
        return status;
}

int main(int argc, char **argv) {
        const char *seconds = getenv("AWAIT_SECONDS");

        deadline_ms = now_ms() + 1000LL * (seconds ? atol(seconds) : 20);
        if (argc == 3 && strcmp(argv[1], "exit") == 0)
                return await_exit(argv[2]);
        if ((argc == 4 || argc == 5) && strcmp(argv[1], "line") == 0)
                return await_line(argv[2], argv[3], argv[4]);
        errx(2, "usage: await line FILE REGEX [PID] | await exit PID");
}
