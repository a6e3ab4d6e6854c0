/* The users of the configuration: what they are known by, and their secrets, which are never shown.
 */
#include "tests/daemon/loaded_config.h"

#include "daemon/role.h"

#include <sys/stat.h>

#define HASH "$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8."
#define NKEY "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
#define SEED "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"

static void test_users_have_nkeys_of_their_own(void **state) {
        load_bad("users = ( { name = \"a\"; nkey = \"" NKEY "\"; },\n"
                 "          { name = \"b\"; nkey = \"" NKEY "\"; } );",
                 "sockd.conf:2: users[1].nkey: it is that of users[0]\n");
        load_bad("users = ( { name = \"a\"; nkey = \"x\"; },\n"
                 "          { name = \"b\"; nkey = \"y\"; } );",
                 "sockd.conf:1: users[0].nkey: found a string, expected the public key of a user, "
                 "\"U...\", but it does not have the 56 characters of a public key\n"
                 "sockd.conf:2: users[1].nkey: found a string, expected the public key of a user, "
                 "\"U...\", but it does not have the 56 characters of a public key\n");
}

static void test_users_are_read_in_their_order(void **state) {
        load_good("users = ( { name = \"a\"; peer = { uid = 1000; }; role = \"admin\"; },\n"
                  "          { name = \"b\"; peer = { user = \"root\"; gid = 5; }; },\n"
                  "          { name = \"c\"; peer = { group = \"7\"; }; role = \"none\"; } );");
        assert_int_equal(config->n_users, 3);
        assert_string_equal(config->users[0].name, "a");
        assert_int_equal(config->users[0].peer.uid, 1000);
        assert_int_equal(config->users[0].peer.gid, (gid_t)-1);
        assert_int_equal(config->users[0].role, ROLE_ADMIN);
        assert_int_equal(config->users[1].peer.uid, 0);
        assert_int_equal(config->users[1].peer.gid, 5);
        assert_int_equal(config->users[1].role, ROLE_NONE);
        assert_int_equal(config->users[2].peer.uid, (uid_t)-1);
        assert_int_equal(config->users[2].peer.gid, 7);
        assert_int_equal(config->users[2].role, ROLE_LOCAL);
        load_good("users = ( { name = \"a\"; peer = { pid = 4194304; exe = \"/usr/bin/a.b\";\n"
                  "            unit = \"a@1\\\\x2d2.service\"; slice = \"system.slice\"; }; },\n"
                  "          { name = \"b\"; peer = { uid = 5; user_unit = \"a.scope\"; }; } );");
        assert_int_equal(config->users[0].peer.uid, (uid_t)-1);
        assert_int_equal(config->users[0].peer.gid, (gid_t)-1);
        assert_int_equal(config->users[0].peer.pid, 4194304);
        assert_string_equal(config->users[0].peer.exe, "/usr/bin/a.b");
        assert_string_equal(config->users[0].peer.unit, "a@1\\x2d2.service");
        assert_string_equal(config->users[0].peer.slice, "system.slice");
        assert_null(config->users[0].peer.user_unit);
        assert_int_equal(config->users[1].peer.pid, 0);
        assert_string_equal(config->users[1].peer.user_unit, "a.scope");
        assert_null(config->users[1].peer.exe);
}

static void test_wrong_users_are_refused(void **state) {
        load_bad("users = ( { name = \"a\"; } );",
                 "sockd.conf:1: users[0]: found nothing that a user can be known by, expected "
                 "peer, password, password_file, token, token_file, nkey or certificate\n");
        load_bad("users = ( { name = \"a\"; peer = { }; } );",
                 "sockd.conf:1: users[0].peer: found nothing, expected one or more of user, uid, "
                 "group, gid, pid, exe, unit, user_unit and slice\n");
        load_bad("users = ( { name = \"a\"; peer = { uid = 1; user = \"root\"; }; } );",
                 "sockd.conf:1: users[0].peer.uid: there is \"user\" already, which means the "
                 "same\n");
        load_bad("users = ( { name = \"a\"; peer = { gid = -1; }; } );",
                 "sockd.conf:1: users[0].peer.gid: found -1, expected an integer from 0 to "
                 "4294967294\n");
        load_bad("users = ( { name = \"a b\"; peer = { gid = 1; }; } );",
                 "sockd.conf:1: users[0].name: found \"a b\", expected a name of at most 64 "
                 "printable ASCII characters without blanks\n");
        load_bad("users = ( { name = \"a\"; peer = { gid = 1; }; role = \"root\"; } );",
                 "sockd.conf:1: users[0].role: found \"root\", expected \"admin\", \"monitor\" or "
                 "\"none\"\n");
        load_bad("users = ( { name = \"a\"; peer = { gid = 1; }; },\n"
                 "          { name = \"b\"; peer = { gid = 1; }; },\n"
                 "          { name = \"a\"; peer = { gid = 2; }; } );",
                 "sockd.conf:3: users[2].name: found \"a\", which users[0] has already\n");
}

/* Refuses a rule with that condition, whose error has the name of the key before the text. */
static void check_condition(const char *condition, const char *complaint) {
        char text[256], expected[512];

        snprintf(text, sizeof(text), "users = ( { name = \"a\"; peer = { %s; }; } );", condition);
        snprintf(expected, sizeof(expected), "sockd.conf:1: users[0].peer.%.*s: %s\n",
                 (int)strcspn(condition, " "), condition, complaint);
        load_bad(text, expected);
}

static void test_wrong_conditions_are_refused(void **state) {
        static const char *const paths[] = {"nginx", "",       "/",      "/usr/",
                                            "/a//b", "/a/./b", "/a/../b"};
        static const char *const units[] = {"nginx",       "nginx@.service", "a.slice", "a.timer",
                                            "a b.service", ".service",       ""};
        static const char *const slices[] = {"a.service", "system", ".slice", "a/b.slice"};
        char condition[128], complaint[256];

        check_condition("pid = 0", "found 0, expected an integer from 1 to 4194304");
        check_condition("pid = \"1\"", "found \"1\", expected an integer from 1 to 4194304");
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                snprintf(condition, sizeof(condition), "exe = \"%s\"", paths[i]);
                snprintf(complaint, sizeof(complaint),
                         "found \"%s\", expected the absolute path of a program, without . and .., "
                         "such as \"/usr/sbin/nginx\"",
                         paths[i]);
                check_condition(condition, complaint);
        }
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                snprintf(condition, sizeof(condition), "unit = \"%s\"", units[i]);
                snprintf(
                        complaint, sizeof(complaint),
                        "found \"%s\", expected the name of a unit that has processes, which ends "
                        "in .service, .scope, .socket, .mount or .swap and is no template, such as "
                        "\"nginx.service\"",
                        units[i]);
                check_condition(condition, complaint);
        }
        for (size_t i = 0; i < ARRAY_SIZE(slices); i++) {
                snprintf(condition, sizeof(condition), "slice = \"%s\"", slices[i]);
                snprintf(complaint, sizeof(complaint),
                         "found \"%s\", expected the name of a slice, such as \"system.slice\"",
                         slices[i]);
                check_condition(condition, complaint);
        }
        check_condition("user_unit = \"a.service\"",
                        "any user can name his units so; expected user or uid beside it");
}

/* Writes a file that others than its owner may, or may not, read. */
static void write_secret(const char *path, const char *text, mode_t mode) {
        write_file(path, text);
        assert_int_equal(chmod(path, mode), 0);
}

/* Loads a file that only its owner may read. */
static int load_private(const char *text) {
        mode_t mask = umask(077);
        int r = load(text);

        umask(mask);
        return r;
}

static void assert_warnings(const char *expected) {
        char all[4096] = "";

        for (size_t i = 0; i < config->warnings.n_lines; i++) {
                strncat(all, config->warnings.lines[i], sizeof(all) - strlen(all) - 2);
                strcat(all, "\n");
        }
        assert_string_equal(all, expected);
}

static void test_users_may_have_secrets(void **state) {
        char text[NKEY_PUBLIC_TEXT_SIZE];
        const struct config_user *users;

        assert_int_equal(load_private("users = ( { name = \"a\"; password = \"" HASH "\"; },\n"
                                      "          { name = \"b\"; token = \"" HASH "\"; },\n"
                                      "          { name = \"c\"; nkey = \"" NKEY "\"; },\n"
                                      "          { name = \"d\"; peer = { uid = 1; }; } );"),
                         0);
        assert_warnings("");
        users = config->users;
        assert_false(users[0].has_peer || users[0].has_nkey || users[0].token);
        assert_string_equal(secret_text(users[0].password).data, HASH);
        assert_false(users[1].has_peer || users[1].has_nkey || users[1].password);
        assert_string_equal(secret_text(users[1].token).data, HASH);
        assert_true(users[2].has_nkey);
        assert_string_equal(nkey_public_format(text, &users[2].nkey), NKEY);
        assert_true(users[3].has_peer);
}

static void test_secrets_may_be_in_files(void **state) {
        char text[512];

        write_secret("password", "hunter2\n", 0400);
        write_secret("token", HASH, 0440);
        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        snprintf(text, sizeof(text),
                 "users = ( { name = \"a\"; password_file = \"%s/password\"; },"
                 "          { name = \"b\"; token_file = \"token\"; } );",
                 directory);
        load_good(text);
        assert_warnings("");
        assert_string_equal(secret_text(config->users[0].password).data, "hunter2");
        assert_string_equal(secret_text(config->users[1].token).data, HASH);
        unsetenv("CREDENTIALS_DIRECTORY");
        load_bad("users = ( { name = \"b\"; token_file = \"token\"; } );",
                 "sockd.conf:1: users[0].token_file: found \"token\", which cannot be used: a path "
                 "that does not begin with \"/\" is that of a credential, and "
                 "$CREDENTIALS_DIRECTORY is not set\n");
        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        assert_int_equal(chmod("password", 0444), 0);
        load_bad_with(text,
                      "password\", which cannot be used: anyone may read it, so that it is no "
                      "secret; chmod o-r, and use another secret");
        write_secret("password", "$2b$", 0600);
        load_bad_with(text, "/password\", which begins like a hash of crypt(3), but is none");
        unlink("password");
        load_bad_with(text, "/password\", which cannot be used: No such file or directory");
        unlink("token");
        unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_plain_secrets_are_warned_of(void **state) {
        assert_int_equal(load_private("users = ( { name = \"a\"; password = \"hunter2\"; },\n"
                                      "          { name = \"b\"; token = \"hunter3\"; } );"),
                         0);
        assert_warnings("sockd.conf:1: users[0].password: it stands here in plain text; sockctl "
                        "passwd makes a hash of it, and password_file keeps it elsewhere\n"
                        "sockd.conf:2: users[1].token: it stands here in plain text; sockctl "
                        "passwd makes a hash of it, and token_file keeps it elsewhere\n");
        assert_string_equal(secret_text(config->users[0].password).data, "hunter2");
}

static void test_hashes_that_take_long_are_warned_of(void **state) {
        assert_int_equal(
                load_private("users = ( { name = \"a\"; password = \"$2b$16$"
                             "abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\"; } );"),
                0);
        assert_warnings("sockd.conf:1: users[0].password: each login by it takes a second or more, "
                        "for which few have the patience; sockctl passwd makes hashes that take "
                        "less\n");
}

static void test_secrets_that_anyone_may_read_are_warned_of(void **state) {
        mode_t mask = umask(022);

        write_secret("private", "{ name = \"a\"; password = \"" HASH "\"; },", 0600);
        write_secret("public",
                     "{ name = \"b\"; password = \"" HASH "\"; },\n"
                     "{ name = \"c\"; token = \"" HASH "\"; }\n",
                     0644);
        load_good("users = (\n@include \"private\"\n@include \"public\"\n);");
        umask(mask);
        unlink("private");
        unlink("public");
        assert_warnings("public: there are secrets in this file, and anyone may read it; chmod o-r "
                        "would change that\n");
        load_good("users = ( { name = \"c\"; nkey = \"" NKEY "\"; } );");
        assert_warnings("");
}

static void test_wrong_secrets_are_refused_unseen(void **state) {
        load_bad("users = ( { name = \"a\"; password = \"$2b$hunter2\"; } );",
                 "sockd.conf:1: users[0].password: found a string, which begins like a hash of "
                 "crypt(3), but is none; expected one as sockctl passwd prints it\n");
        load_bad("users = ( { name = \"a\"; password = 12345; token = [ \"hunter2\" ]; } );",
                 "sockd.conf:1: users[0].password: found a value without quotes, expected a string "
                 "that is not empty\n"
                 "sockd.conf:1: users[0].token: found a group or a list, expected a string that is "
                 "not empty\n");
        load_bad("users = ( { name = \"a\"; password = \"\"; } );",
                 "sockd.conf:1: users[0].password: found a string, expected a string that is not "
                 "empty\n");
        load_bad(
                "users = ( { name = \"a\"; password = \"b\"; password_file = \"\"; } );",
                "sockd.conf:1: users[0].password_file: found \"\", expected the path of a file, or "
                "the name of a credential\n"
                "sockd.conf:1: users[0].password_file: there is \"password\" already, which means "
                "the same\n");
        load_bad("users = ( { name = \"a\"; token = \"b\"; token_file = 1; } );",
                 "sockd.conf:1: users[0].token_file: found 1, expected the path of a file, or the "
                 "name of a credential\n"
                 "sockd.conf:1: users[0].token_file: there is \"token\" already, which means the "
                 "same\n");
        load_bad("users = ( { name = \"a\"; nkey = 1; } );",
                 "sockd.conf:1: users[0].nkey: found a value without quotes, expected the public "
                 "key "
                 "of a user, \"U...\"\n");
        load_bad("users = ( { name = \"a\"; nkey = \"" SEED "\"; } );",
                 "sockd.conf:1: users[0].nkey: found a string, expected the public key of a user, "
                 "\"U...\", but it is a seed, which is secret; the public key of it is wanted\n");
        load_bad("users = ( { name = \"a\"; nkey = \"UAB\"; } );",
                 "sockd.conf:1: users[0].nkey: found a string, expected the public key of a user, "
                 "\"U...\", but it does not have the 56 characters of a public key\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_users_have_nkeys_of_their_own, tear_down),
                cmocka_unit_test_teardown(test_users_are_read_in_their_order, tear_down),
                cmocka_unit_test_teardown(test_wrong_users_are_refused, tear_down),
                cmocka_unit_test_teardown(test_wrong_conditions_are_refused, tear_down),
                cmocka_unit_test_teardown(test_users_may_have_secrets, tear_down),
                cmocka_unit_test_teardown(test_secrets_may_be_in_files, tear_down),
                cmocka_unit_test_teardown(test_plain_secrets_are_warned_of, tear_down),
                cmocka_unit_test_teardown(test_hashes_that_take_long_are_warned_of, tear_down),
                cmocka_unit_test_teardown(test_secrets_that_anyone_may_read_are_warned_of,
                                          tear_down),
                cmocka_unit_test_teardown(test_wrong_secrets_are_refused_unseen, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
