/* Records between the daemon and the spawner: what is written is read, and what is wrong is refused
 * whatever it is. */
#include "daemon/spawner_wire.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes before the texts, in numbers of 32 bits. */
enum {
        VERB,
        SLOT,
        MAX_RUNNING,
        MAX_STARTS,
        DESCRIPTORS,
        TELLS_START,
        HAS_USER,
        UID,
        GID,
        N_GROUPS,
        N_ARGUMENTS,
        N_VARIABLES,
        OPEN_FILES,
        TIMEOUT = OPEN_FILES + 8, /* numbers of 64 bits are two */
        GRACE = TIMEOUT + 2,
        N_NUMBERS = GRACE + 2,
};

static char record[SPAWNER_RECORD_MAX];
static size_t length;
static struct spawner_vectors vectors;
static struct spawner_request request;

static char *arguments[] = {(char *)"/bin/echo", (char *)"", (char *)"a b", NULL};
static char *environment[] = {(char *)"PATH=/bin", (char *)"EMPTY=", (char *)"WHO=nobody", NULL};
static gid_t groups[] = {4, 24, 4294967294u};

static struct program_spec spec_of_all(struct run_as *user) {
        *user = (struct run_as){.name = (char *)"x",
                                .uid = 7,
                                .gid = 8,
                                .groups = groups,
                                .n_groups = ARRAY_SIZE(groups)};
        return (struct program_spec){
                .arguments = arguments,
                .environment = environment,
                .directory = (char *)"/var/tmp",
                .user = user,
                .limits = {.open_files = 1, .processes = 2, .memory = 3, .cpu_s = 4},
                .timeout_ms = 5000,
                .grace_ms = 600};
}

static int write_start(const struct program_spec *spec, const char *const *variables) {
        return spawner_wire_start(record, spec, variables, 9, 5, true, &length);
}

/* Reads what was written, from memory of just that size, so that a sanitizer sees who looks beyond
 * it. */
static int read_record(void) {
        static char *copy;

        free(copy);
        copy = malloc(length ? length : 1);
        assert_non_null(copy);
        memcpy(copy, record, length);
        return spawner_wire_read(copy, length, &vectors, &request);
}

static void write_whole_start(void) {
        struct run_as user;
        struct program_spec spec = spec_of_all(&user);

        assert_int_equal(write_start(&spec, NULL), 0);
}

static void check_texts(char **texts, const char *const *expected) {
        for (; *expected; texts++, expected++) {
                assert_non_null(*texts);
                assert_string_equal(*texts, *expected);
        }
        assert_null(*texts);
}

static void test_a_start_is_read_as_it_was_written(void **state) {
        static const char *const all[] = {"PATH=/bin", "EMPTY=", "WHO=nobody", NULL};

        write_whole_start();
        assert_int_equal(read_record(), 0);
        assert_int_equal(request.verb, SPAWNER_START);
        assert_int_equal(request.slot, 9);
        assert_int_equal(request.descriptors, 5);
        assert_int_equal(request.n_descriptors, 2);
        assert_true(request.tells_start);
        assert_true(request.has_user);
        assert_int_equal(request.uid, 7);
        assert_int_equal(request.gid, 8);
        assert_int_equal(request.n_groups, ARRAY_SIZE(groups));
        assert_memory_equal(request.groups, groups, sizeof(groups));
        assert_int_equal(request.limits.open_files, 1);
        assert_int_equal(request.limits.processes, 2);
        assert_int_equal(request.limits.memory, 3);
        assert_int_equal(request.limits.cpu_s, 4);
        assert_int_equal(request.timeout_ms, 5000);
        assert_int_equal(request.grace_ms, 600);
        assert_string_equal(request.directory, "/var/tmp");
        check_texts(request.arguments, (const char *const *)arguments);
        check_texts(request.variables, all);
}

static void test_little_is_needed(void **state) {
        static char *just[] = {(char *)"/bin/true", NULL};
        const struct program_spec spec = {.arguments = just};

        assert_int_equal(spawner_wire_start(record, &spec, NULL, 0, 0, false, &length), 0);
        assert_int_equal(read_record(), 0);
        assert_false(request.has_user);
        assert_false(request.tells_start);
        assert_int_equal(request.n_descriptors, 0);
        assert_string_equal(request.directory, "/");
        assert_null(request.variables[0]);
}

static void test_ones_own_user_is_none(void **state) {
        struct run_as user;
        struct program_spec spec = spec_of_all(&user);

        user.is_own = true;
        assert_int_equal(write_start(&spec, NULL), 0);
        assert_int_equal(read_record(), 0);
        assert_false(request.has_user);
        assert_int_equal(request.n_groups, 0);
}

static void test_variables_of_a_start_win(void **state) {
        static const char *const variables[] = {"WHO=me", "PAT=h", "NEW=1", NULL};
        static const char *const all[] = {"WHO=me", "PAT=h", "NEW=1", "PATH=/bin", "EMPTY=", NULL};
        struct run_as user;
        struct program_spec spec = spec_of_all(&user);

        assert_int_equal(write_start(&spec, variables), 0);
        assert_int_equal(read_record(), 0);
        check_texts(request.variables, all);
}

static void test_times_are_bounded(void **state) {
        struct run_as user;
        struct program_spec spec = spec_of_all(&user);

        spec.timeout_ms = UINT64_MAX;
        spec.grace_ms = UINT64_MAX;
        assert_int_equal(write_start(&spec, NULL), 0);
        assert_int_equal(read_record(), 0);
        assert_int_equal(request.timeout_ms, PROGRAM_TIME_MAX_MS);
        assert_int_equal(request.grace_ms, PROGRAM_TIME_MAX_MS);
}

static void test_what_would_be_refused_is_not_written(void **state) {
        static const char *const nameless[] = {"=x", NULL}, *const valueless[] = {"x", NULL};
        static char *relative[] = {(char *)"true", NULL}, *nothing[] = {NULL};
        static char path[PATH_MAX + 1];
        char *too_long[] = {path, NULL};
        struct run_as user;
        struct program_spec spec = spec_of_all(&user);

        memset(path, '/', PATH_MAX);
        assert_int_equal(write_start(&spec, nameless), -EINVAL);
        assert_int_equal(write_start(&spec, valueless), -EINVAL);
        spec.directory = (char *)"tmp";
        assert_int_equal(write_start(&spec, NULL), -EINVAL);
        spec.directory = path;
        assert_int_equal(write_start(&spec, NULL), -EINVAL);
        spec.directory = NULL;
        spec.arguments = relative;
        assert_int_equal(write_start(&spec, NULL), -EINVAL);
        spec.arguments = nothing;
        assert_int_equal(write_start(&spec, NULL), -EINVAL);
        spec.arguments = too_long;
        assert_int_equal(write_start(&spec, NULL), -EINVAL);
}

/* A list of so many texts. */
static char **many(const char *first, const char *text, size_t n) {
        char **list = calloc(n + 1, sizeof(*list));

        assert_non_null(list);
        for (size_t i = 0; i < n; i++)
                list[i] = (char *)(i == 0 ? first : text);
        return list;
}

static void test_counts_have_limits(void **state) {
        char **most = many("/x", "y", SPAWNER_ARGUMENTS_MAX);
        char **more = many("/x", "y", SPAWNER_ARGUMENTS_MAX + 1);
        char **variables = many("a=", "a=", SPAWNER_VARIABLES_MAX);
        char **more_variables = many("a=", "a=", SPAWNER_VARIABLES_MAX + 1);
        struct run_as user;
        struct program_spec spec = spec_of_all(&user);

        spec.arguments = most;
        spec.environment = variables;
        assert_int_equal(write_start(&spec, NULL), 0);
        assert_int_equal(read_record(), 0);
        assert_null(request.arguments[SPAWNER_ARGUMENTS_MAX]);
        assert_null(request.variables[SPAWNER_VARIABLES_MAX]);
        spec.arguments = more;
        assert_int_equal(write_start(&spec, NULL), -E2BIG);
        spec.arguments = most;
        spec.environment = more_variables;
        assert_int_equal(write_start(&spec, NULL), -E2BIG);
        spec.environment = NULL;
        user.n_groups = RUN_AS_GROUPS_MAX + 1;
        assert_int_equal(write_start(&spec, NULL), -E2BIG);
        free(most);
        free(more);
        free(variables);
        free(more_variables);
}

static void test_a_record_may_be_full(void **state) {
        static char text[SPAWNER_RECORD_MAX];
        char *large[] = {(char *)"/x", text, NULL};
        const struct program_spec spec = {.arguments = large};
        size_t room;

        assert_int_equal(spawner_wire_start(record, &spec, NULL, 0, 0, false, &length), 0);
        room = SPAWNER_RECORD_MAX - length;
        memset(text, 'a', room);
        assert_int_equal(spawner_wire_start(record, &spec, NULL, 0, 0, false, &length), 0);
        assert_int_equal(length, SPAWNER_RECORD_MAX);
        assert_int_equal(read_record(), 0);
        assert_int_equal(strlen(request.arguments[1]), room);
        text[room] = 'a';
        assert_int_equal(spawner_wire_start(record, &spec, NULL, 0, 0, false, &length), -E2BIG);
}

static void test_other_requests_are_read(void **state) {
        length = spawner_wire_channel(record);
        assert_int_equal(read_record(), 0);
        assert_int_equal(request.verb, SPAWNER_CHANNEL);
        length = spawner_wire_limit(record, SPAWNER_RUNNING_MAX, 1);
        assert_int_equal(read_record(), 0);
        assert_int_equal(request.verb, SPAWNER_LIMIT);
        assert_int_equal(request.max_running, SPAWNER_RUNNING_MAX);
        assert_int_equal(request.max_starts, 1);
        length = spawner_wire_stop(record, 77, 123);
        assert_int_equal(read_record(), 0);
        assert_int_equal(request.verb, SPAWNER_STOP);
        assert_int_equal(request.slot, 77);
        assert_int_equal(request.grace_ms, 123);
}

static void test_limits_have_limits(void **state) {
        length = spawner_wire_limit(record, SPAWNER_RUNNING_MAX + 1, 1);
        assert_int_equal(read_record(), -EBADMSG);
        length = spawner_wire_limit(record, 1, 0);
        assert_int_equal(read_record(), -EBADMSG);
        length = spawner_wire_limit(record, 1, SPAWNER_STARTS_MAX + 1);
        assert_int_equal(read_record(), -EBADMSG);
        length = spawner_wire_limit(record, 0, SPAWNER_STARTS_MAX);
        assert_int_equal(read_record(), 0);
}

/* --- what is wrong ---------------------------------------------------------------------------- */

static void test_a_record_that_is_cut_is_refused(void **state) {
        size_t whole;

        write_whole_start();
        whole = length;
        for (length = 0; length < whole; length++)
                assert_int_equal(read_record(), -EBADMSG);
        length = whole + 1;
        assert_int_equal(read_record(), -EBADMSG);
        length = spawner_wire_stop(record, 1, 1) + 1;
        assert_int_equal(read_record(), -EBADMSG);
}

/* What is read of a start whose number at an index is another one. */
static int read_with(size_t index, uint32_t number) {
        write_whole_start();
        memcpy(record + index * sizeof(number), &number, sizeof(number));
        return read_record();
}

static void test_numbers_out_of_range_are_refused(void **state) {
        static const struct {
                size_t index;
                uint32_t number;
        } rows[] = {
                {VERB, 0},
                {VERB, SPAWNER_STOP + 1},
                {VERB, UINT32_MAX},
                {DESCRIPTORS, 8},
                {DESCRIPTORS, UINT32_MAX},
                {TELLS_START, 2},
                {HAS_USER, 2},
                {HAS_USER, 0}, /* but groups */
                {UID, UINT32_MAX},
                {GID, UINT32_MAX},
                {N_GROUPS, 2},
                {N_GROUPS, RUN_AS_GROUPS_MAX + 1},
                {N_GROUPS, UINT32_MAX},
                {N_GROUPS, 0x40000000}, /* no bytes, if it overflows */
                {N_ARGUMENTS, 0},
                {N_ARGUMENTS, 2},
                {N_ARGUMENTS, 7},
                {N_ARGUMENTS, SPAWNER_ARGUMENTS_MAX + 1},
                {N_ARGUMENTS, UINT32_MAX},
                {N_VARIABLES, 2},
                {N_VARIABLES, 4},
                {N_VARIABLES, SPAWNER_VARIABLES_MAX + 1},
                {N_VARIABLES, UINT32_MAX},
                {TIMEOUT + 1, UINT32_MAX},
                {GRACE + 1, UINT32_MAX},
        };

        write_whole_start();
        assert_int_equal(length, N_NUMBERS * 4 + sizeof(groups) + sizeof("/var/tmp") +
                                         sizeof("/bin/echo") + 1 + sizeof("a b") +
                                         sizeof("PATH=/bin") + sizeof("EMPTY=") +
                                         sizeof("WHO=nobody"));
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(read_with(rows[i].index, rows[i].number), -EBADMSG);
        assert_int_equal(read_with(SLOT, UINT32_MAX), 0);
        assert_int_equal(read_with(OPEN_FILES, UINT32_MAX), 0);
}

static void test_texts_that_are_wrong_are_refused(void **state) {
        size_t texts = N_NUMBERS * 4 + sizeof(groups);
        size_t program = texts + sizeof("/var/tmp");
        size_t variable = program + sizeof("/bin/echo") + 1 + sizeof("a b");

        write_whole_start();
        record[texts] = 'x'; /* the directory is relative */
        assert_int_equal(read_record(), -EBADMSG);
        write_whole_start();
        record[texts] = '\0'; /* or there is none */
        assert_int_equal(read_record(), -EBADMSG);
        write_whole_start();
        record[program] = '.';
        assert_int_equal(read_record(), -EBADMSG);
        write_whole_start();
        record[variable] = '=';
        assert_int_equal(read_record(), -EBADMSG);
        write_whole_start();
        memset(record + variable, 'x', strlen("PATH=/bin"));
        assert_int_equal(read_record(), -EBADMSG);
        write_whole_start();
        record[length - 1] = 'x'; /* the last one has no end */
        assert_int_equal(read_record(), -EBADMSG);
}

/* Whatever is read of bytes, it is what may be carried out. */
static void check_is_sound(void) {
        if (read_record() != 0 || request.verb != SPAWNER_START)
                return;
        assert_non_null(request.arguments[0]);
        assert_int_equal(request.arguments[0][0], '/');
        assert_int_equal(request.directory[0], '/');
        assert_true(request.n_groups <= RUN_AS_GROUPS_MAX);
        for (char **variable = request.variables; *variable; variable++)
                assert_non_null(strchr(*variable, '='));
}

static void test_any_byte_may_be_any_other(void **state) {
        size_t whole;

        write_whole_start();
        whole = length;
        for (size_t i = 0; i < whole; i++)
                for (unsigned byte = 0; byte < 256; byte++) {
                        write_whole_start();
                        record[i] = (char)byte;
                        check_is_sound();
                }
}

static void test_random_bytes_do_no_harm(void **state) {
        unsigned seed = 1;

        for (unsigned round = 0; round < 20000; round++) {
                write_whole_start();
                for (unsigned i = 0; i < 8; i++) {
                        seed = seed * 1103515245 + 12345;
                        record[(seed >> 16) % length] = (char)(seed >> 8);
                }
                seed = seed * 1103515245 + 12345;
                length = (seed >> 16) % (length + 1);
                check_is_sound();
        }
}

/* --- reports ---------------------------------------------------------------------------------- */

static const struct spawner_report whole_report = {
        .has_ended = true,
        .slot = 3,
        .end = {.step = PROGRAM_EXECUTE,
                .error = ENOENT,
                .pid = 4,
                .status = -1,
                .signal = 5,
                .was_late = true,
                .was_stopped = true,
                .elapsed_us = UINT64_MAX,
                .user_us = 6,
                .system_us = 7,
                .max_resident = 8},
};

static void test_a_report_is_read_as_it_was_written(void **state) {
        char text[SPAWNER_SMALL_RECORD_MAX];
        size_t n = spawner_wire_report(text, &whole_report);
        struct spawner_report report;

        assert_int_equal(spawner_wire_read_report(text, n, &report), 0);
        assert_true(report.has_ended);
        assert_int_equal(report.slot, 3);
        assert_int_equal(report.end.step, PROGRAM_EXECUTE);
        assert_int_equal(report.end.error, ENOENT);
        assert_int_equal(report.end.pid, 4);
        assert_int_equal(report.end.status, -1);
        assert_int_equal(report.end.signal, 5);
        assert_true(report.end.was_late);
        assert_true(report.end.was_stopped);
        assert_true(report.end.elapsed_us == UINT64_MAX);
        assert_int_equal(report.end.user_us, 6);
        assert_int_equal(report.end.system_us, 7);
        assert_int_equal(report.end.max_resident, 8);
}

static void test_a_report_that_is_wrong_is_refused(void **state) {
        char text[SPAWNER_SMALL_RECORD_MAX];
        size_t n = spawner_wire_report(text, &whole_report);
        struct spawner_report report;

        for (size_t i = 0; i < n; i++)
                assert_int_equal(spawner_wire_read_report(text, i, &report), -EBADMSG);
        assert_int_equal(spawner_wire_read_report(text, n + 1, &report), -EBADMSG);
        for (size_t i = 0; i < n; i++) {
                (void)spawner_wire_report(text, &whole_report);
                text[i] = (char)0xff;
                if (spawner_wire_read_report(text, n, &report) == 0)
                        assert_in_range(report.end.step, 0, N_PROGRAM_STEPS - 1);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_start_is_read_as_it_was_written),
                cmocka_unit_test(test_little_is_needed),
                cmocka_unit_test(test_ones_own_user_is_none),
                cmocka_unit_test(test_variables_of_a_start_win),
                cmocka_unit_test(test_times_are_bounded),
                cmocka_unit_test(test_what_would_be_refused_is_not_written),
                cmocka_unit_test(test_counts_have_limits),
                cmocka_unit_test(test_a_record_may_be_full),
                cmocka_unit_test(test_other_requests_are_read),
                cmocka_unit_test(test_limits_have_limits),
                cmocka_unit_test(test_a_record_that_is_cut_is_refused),
                cmocka_unit_test(test_numbers_out_of_range_are_refused),
                cmocka_unit_test(test_texts_that_are_wrong_are_refused),
                cmocka_unit_test(test_any_byte_may_be_any_other),
                cmocka_unit_test(test_random_bytes_do_no_harm),
                cmocka_unit_test(test_a_report_is_read_as_it_was_written),
                cmocka_unit_test(test_a_report_that_is_wrong_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
