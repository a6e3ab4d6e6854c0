/* Permissions in the configuration: what is read with the lines where it stands, and what is
 * refused.
 */
#include "tests/daemon/loaded_config.h"

#include "daemon/permissions.h"

static const char *explain_publish(struct permissions *permissions, const char *subject) {
        static char text[256];

        return permissions_explain(permissions,
                                   permissions_may_publish(permissions, bytes_from_string(subject)),
                                   text, sizeof(text));
}

static const char *explain_subscribe(struct permissions *permissions, const char *subject,
                                     const char *queue) {
        static char text[256];

        return permissions_explain(permissions,
                                   permissions_may_subscribe(permissions,
                                                             bytes_from_string(subject),
                                                             bytes_from_string(queue)),
                                   text, sizeof(text));
}

static void test_permissions_are_read_with_their_lines(void **state) {
        struct permissions *permissions;

        load_good("users = ( { name = \"a\"; peer = { uid = 1; }; permissions = {\n"
                  "    publish = { allow = [\"a.>\",\n"
                  "                         \"b\"];\n"
                  "                deny = ( \"a.x\" ); };\n"
                  "    subscribe = [ \"c\",\n"
                  "                  \"d\\tworkers\" ];\n"
                  "    allow_responses = { max = 5; expires = \"1m\"; };\n"
                  "}; }, { name = \"b\"; peer = { uid = 2; }; } );\n"
                  "default_permissions = { publish = [];\n"
                  "    allow_responses = false; };");
        permissions = config->users[0].permissions;
        assert_string_equal(explain_publish(permissions, "a.b"),
                            "allowed by \"a.>\", sockd.conf:2");
        assert_string_equal(explain_publish(permissions, "b"), "allowed by \"b\", sockd.conf:3");
        assert_string_equal(explain_publish(permissions, "a.x"), "denied by \"a.x\", sockd.conf:4");
        assert_string_equal(explain_publish(permissions, "x"),
                            "not among what is allowed, sockd.conf:2");
        assert_string_equal(explain_subscribe(permissions, "c", "q"),
                            "allowed by \"c\", sockd.conf:5");
        assert_string_equal(explain_subscribe(permissions, "d", "workers"),
                            "allowed by \"d workers\", sockd.conf:6");
        assert_string_equal(explain_subscribe(permissions, "x", ""),
                            "not among what is allowed, sockd.conf:5");
        assert_int_equal(permissions_max_responses(permissions), 5);
        assert_int_equal(permissions_response_ms(permissions), 60000);
        assert_null(config->users[1].permissions);
        permissions = config->default_permissions;
        assert_string_equal(explain_publish(permissions, "a"),
                            "not among what is allowed, sockd.conf:9");
        assert_string_equal(explain_subscribe(permissions, "a", ""), "not restricted");
        assert_int_equal(permissions_max_responses(permissions), 0);
}

static void test_responses_have_defaults(void **state) {
        static const struct {
                const char *text;
                uint64_t max, ms;
        } rows[] = {
                {"true", 1, 120000},
                {"{ }", 1, 120000},
                {"{ max = 0; expires = \"0s\"; }", 1, 120000},
                {"{ max = -1; expires = -1; }", PERMISSIONS_UNLIMITED, PERMISSIONS_UNLIMITED},
                {"{ max = 1000000000; expires = \"1d\"; }", 1000000000, 86400000},
        };
        char text[256];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct permissions *permissions;

                snprintf(text, sizeof(text), "default_permissions = { allow_responses = %s; };",
                         rows[i].text);
                load_good(text);
                permissions = config->default_permissions;
                assert_int_equal(permissions_max_responses(permissions), rows[i].max);
                assert_int_equal(permissions_response_ms(permissions), rows[i].ms);
                assert_string_equal(explain_publish(permissions, "a"),
                                    "not among what is allowed, sockd.conf:1");
        }
}

static void test_wrong_permissions_are_refused(void **state) {
        static const char entry[] = "expected a subject, such as \"a.b\", \"a.*\" or \"a.>\"";
        static const struct {
                const char *text, *path, *found;
        } entries[] = {
                {"publish = [ \"a..b\" ];", "publish", "\"a..b\""},
                {"publish = { allow = [ \"a.>.b\" ]; };", "publish.allow", "\"a.>.b\""},
                {"publish = { deny = [ \"\" ]; };", "publish.deny", "\"\""},
                {"publish = [ \"a b\" ];", "publish", "\"a b\""},
                {"publish = [ \"a \" ];", "publish", "\"a \""},
                {"publish = ( 1 );", "publish", "1"},
                {"subscribe = [ \"a\\nb\" ];", "subscribe", "\"a b\""},
                {"subscribe = [ \"a b c\" ];", "subscribe", "\"a b c\""},
                {"subscribe = [ \" a\" ];", "subscribe", "\" a\""},
                {"subscribe = { deny = [ \"a b.>.c\" ]; };", "subscribe.deny", "\"a b.>.c\""},
        };
        static const struct {
                const char *text, *error;
        } others[] = {
                {"publish = \"a\";", "publish: found \"a\", expected [ \"...\", ... ], a list of "
                                     "subjects that are allowed, or { allow = [ ... ]; deny = "
                                     "[ ... ]; }"},
                {"publish = { allow = \"a\"; };", "publish.allow: found \"a\", expected [ \"...\", "
                                                  "... ], a list of subjects"},
                {"publish = { permit = [ ]; };",
                 "publish.permit: unknown key; known here are allow, deny"},
                {"allow_responses = 1;", "allow_responses: found 1, expected true, false or "
                                         "{ max = 1; expires = \"2m\"; }"},
                {"allow_responses = { max = -2; };",
                 "allow_responses.max: found -2, expected an integer from 1 to 1000000000, or -1 "
                 "for no limit"},
                {"allow_responses = { expires = 5; };",
                 "allow_responses.expires: found 5, expected a duration with a unit up to \"1d\", "
                 "such as \"2m\", or -1 for no limit"},
        };
        char text[256], expected[512];

        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                snprintf(text, sizeof(text), "\ndefault_permissions = { %s };", entries[i].text);
                snprintf(expected, sizeof(expected),
                         "sockd.conf:2: default_permissions.%s: found %s, %s%s\n", entries[i].path,
                         entries[i].found, entry,
                         entries[i].path[0] == 's'
                                 ? ", or a subject and a queue, as in \"a.b workers\""
                                 : "");
                load_bad(text, expected);
        }
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                snprintf(text, sizeof(text), "default_permissions = { %s };", others[i].text);
                snprintf(expected, sizeof(expected), "sockd.conf:1: default_permissions.%s\n",
                         others[i].error);
                load_bad(text, expected);
        }
        load_bad("default_permissions = [ \"a\" ];",
                 "sockd.conf:1: default_permissions: found an array [ ... ], expected a group "
                 "{ publish = [ ... ]; subscribe = [ ... ]; }\n");
        load_bad("users = ( { name = \"a\"; peer = { uid = 1; };\n"
                 "  permissions = { publish = [ \"a..\",\n"
                 "    \"b..\" ]; }; } );",
                 "sockd.conf:2: users[0].permissions.publish: found \"a..\", expected a subject, "
                 "such as \"a.b\", \"a.*\" or \"a.>\"\n"
                 "sockd.conf:3: users[0].permissions.publish: found \"b..\", expected a subject, "
                 "such as \"a.b\", \"a.*\" or \"a.>\"\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_permissions_are_read_with_their_lines, tear_down),
                cmocka_unit_test_teardown(test_responses_have_defaults, tear_down),
                cmocka_unit_test_teardown(test_wrong_permissions_are_refused, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
