/* Secrets on a terminal and from a pipe. A child asks; the test types, and reads what is shown. */
#include "ctl/prompt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LABEL "Password: "
#define AGAIN "Again: "

/* What the child prints stays together with what its terminal echoes. */
struct scene {
        int input; /* what is typed, or written to the pipe */
        int shown; /* what the terminal shows, and the child says; -1: nobody looks */
        pid_t child;
};

/* In the child: 0 if the secret is what was expected. */
static int ask(const char *again, const char *expected, const char *path) {
        struct options options;
        struct context context = {.options = &options, .verb = "passwd", .out = stdout};
        struct secret *secret = NULL;
        int code;

        options_init(&options);
        context.err = fopen(path, "w");
        if (!context.err)
                return 98;
        code = prompt_secret(&context, LABEL, again, &secret);
        if (code == EXIT_DONE && !secret_equals(secret, bytes_from_string(expected)))
                code = 99;
        secret_free(secret);
        fclose(context.err);
        return code;
}

static void begin_terminal(struct scene *scene, const char *again, const char *expected) {
        int master;
        pid_t child = forkpty(&master, NULL, NULL, NULL);

        assert_true(child >= 0);
        if (child == 0)
                _exit(ask(again, expected, "/dev/tty"));
        *scene = (struct scene){.input = master, .shown = master, .child = child};
}

static void begin_pipe(struct scene *scene, const char *expected) {
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        scene->child = fork();
        assert_true(scene->child >= 0);
        if (scene->child == 0) {
                dup2(ends[0], STDIN_FILENO);
                close(ends[1]);
                _exit(ask(AGAIN, expected, "/dev/null"));
        }
        close(ends[0]);
        scene->input = ends[1];
        scene->shown = -1;
}

/* Reads what is shown until a text stands there; nothing but `all` may have been. */
static void await(const struct scene *scene, const char *all) {
        char text[256] = "";
        size_t n = 0;

        while (n < strlen(all)) {
                ssize_t n_read = read(scene->shown, text + n, sizeof(text) - 1 - n);

                assert_true(n_read > 0);
                n += (size_t)n_read;
                text[n] = '\0';
        }
        assert_string_equal(text, all);
}

static void type(const struct scene *scene, const void *bytes, size_t n) {
        assert_int_equal(write(scene->input, bytes, n), n);
}

static void type_line(const struct scene *scene, const char *text) {
        type(scene, text, strlen(text));
        type(scene, "\n", 1);
}

/* The status of the child, as of wait(2). */
static int end(struct scene *scene) {
        int status = 0;

        assert_int_equal(waitpid(scene->child, &status, 0), scene->child);
        close(scene->input);
        return status;
}

static void test_terminal_does_not_show_what_is_typed(void **state) {
        struct scene scene;
        int status;

        begin_terminal(&scene, AGAIN, "hunter2");
        await(&scene, LABEL);
        type_line(&scene, "hunter2");
        await(&scene, "\r\n" AGAIN);
        type_line(&scene, "hunter2");
        await(&scene, "\r\n");
        status = end(&scene);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), EXIT_DONE);
}

static void test_once_is_enough_where_nothing_is_made(void **state) {
        struct scene scene;

        begin_terminal(&scene, NULL, "hunter2");
        await(&scene, LABEL);
        type_line(&scene, "hunter2");
        await(&scene, "\r\n");
        assert_int_equal(end(&scene), 0);
}

static void test_two_that_differ_are_asked_for_again(void **state) {
        struct scene scene;

        begin_terminal(&scene, AGAIN, "hunter2");
        await(&scene, LABEL);
        type_line(&scene, "hunter3");
        await(&scene, "\r\n" AGAIN);
        type_line(&scene, "hunter2");
        await(&scene, "\r\nsockctl: warning: the two differ\r\n" LABEL);
        type_line(&scene, "hunter2");
        await(&scene, "\r\n" AGAIN);
        type_line(&scene, "hunter2");
        await(&scene, "\r\n");
        assert_int_equal(end(&scene), 0);
}

static void test_interrupt_leaves_the_terminal_as_it_was(void **state) {
        struct termios settings;
        struct scene scene;
        int status;

        begin_terminal(&scene, AGAIN, "");
        await(&scene, LABEL);
        assert_int_equal(tcgetattr(scene.input, &settings), 0);
        assert_false(settings.c_lflag & ECHO);
        kill(scene.child, SIGTERM);
        await(&scene, "\r\n");
        assert_int_equal(tcgetattr(scene.input, &settings), 0);
        assert_true(settings.c_lflag & ECHO);
        status = end(&scene);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void test_pipe_gives_one_line(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                int code;
        } cases[] = {
                {"hunter2", 7, EXIT_DONE},        {"hunter2\n", 8, EXIT_DONE},
                {"hunter2\nmore", 12, EXIT_DONE}, {"", 0, EXIT_FAILED},
                {"\n", 1, EXIT_FAILED},           {"\nhunter2", 8, EXIT_FAILED},
                {"hunt\0r2\n", 8, EXIT_FAILED},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct scene scene;
                int status;

                begin_pipe(&scene, "hunter2");
                type(&scene, cases[i].bytes, cases[i].n);
                close(scene.input);
                scene.input = -1;
                status = end(&scene);
                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), cases[i].code);
        }
}

static void test_line_has_a_limit(void **state) {
        char text[514];
        struct scene scene;

        memset(text, 'a', sizeof(text));
        text[512] = '\0';
        begin_pipe(&scene, text);
        type_line(&scene, text);
        assert_int_equal(end(&scene), 0);
        text[512] = 'a';
        text[513] = '\0';
        begin_pipe(&scene, text);
        type_line(&scene, text);
        assert_int_equal(WEXITSTATUS(end(&scene)), EXIT_FAILED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_terminal_does_not_show_what_is_typed),
                cmocka_unit_test(test_once_is_enough_where_nothing_is_made),
                cmocka_unit_test(test_two_that_differ_are_asked_for_again),
                cmocka_unit_test(test_interrupt_leaves_the_terminal_as_it_was),
                cmocka_unit_test(test_pipe_gives_one_line),
                cmocka_unit_test(test_line_has_a_limit),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
