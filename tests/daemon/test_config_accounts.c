/* The accounts of the configuration: what is read, the order of their users, and each way in which
 * names, exports and imports do not fit together. */
#include "tests/daemon/loaded_config.h"

/* How a user is known does not matter here. */
#define USER(name) "{ name = \"" name "\"; peer = { uid = 7; }; }"
#define USER_A     USER("a")
#define USER_B     USER("b")
#define USER_C     USER("c")
#define USER_D     USER("d")

/* Expects one line, without the name of the file. */
static void refuse(const char *text, const char *expected) {
        char line[1024];

        snprintf(line, sizeof(line), "sockd.conf:%s\n", expected);
        load_bad(text, line);
}

static void test_without_accounts_there_are_two(void **state) {
        load_good("users = ( " USER_A " );");
        assert_int_equal(config->n_accounts, 0);
        assert_string_equal(config->system_account, "$SYS");
        assert_int_equal(config->n_rules, 1);
        assert_null(config->rules[0].account);
        assert_null(config->listeners[0].account);
        assert_null(config_find_account(config, "$SYS"));
}

static void test_users_at_the_top_are_asked_first(void **state) {
        static const char *const names[] = {"a", "b", "c", "d"};
        static const char *const accounts[] = {NULL, "A", "A", "B"};

        load_good("accounts = ( { name = \"A\"; users = ( " USER_B ", " USER_C " ); },\n"
                  "             { name = \"E\"; },\n"
                  "             { name = \"B\"; users = ( " USER_D " ); } );\n"
                  "users = ( " USER_A " );\n"
                  "system_account = \"B\";\n"
                  "listeners = ( { name = \"a\"; listen = "
                  "\"unix:@a\"; account = \"A\"; } );");
        assert_int_equal(config->n_rules, ARRAY_SIZE(names));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_string_equal(config->rules[i].user->name, names[i]);
                if (accounts[i])
                        assert_string_equal(config->rules[i].account, accounts[i]);
                else
                        assert_null(config->rules[i].account);
        }
        assert_string_equal(config->system_account, "B");
        assert_string_equal(config->listeners[0].account, "A");
        assert_ptr_equal(config_find_account(config, "B"), &config->accounts[2]);
}

static void test_users_of_accounts_count_as_having_secrets(void **state) {
        load_good("accounts = ( { name = \"A\"; users = (\n"
                  "  { name = \"b\"; token = \"t\"; },\n"
                  "  { name = \"n\"; "
                  "nkey = \"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK\"; } ); } );\n"
                  "listeners = ( { name = \"a\"; listen = \"tcp://127.0.0.1:0\"; } );");
        assert_true(config->has_secrets);
        assert_true(config->has_nkeys);
        assert_false(config->listeners[0].anonymous);
}

static void test_imports_know_their_subject(void **state) {
        static const struct {
                const char *import, *to;
        } rows[] = {
                {"stream = \"s.>\"", "s.>"},
                {"stream = \"s.*.b.>\"; prefix = \"p.q\"", "p.q.s.*.b.>"},
                {"stream = \"s.*.b.>\"; to = \"x.*.>\"", "x.*.>"},
                {"service = \"v.*\"", "v.*"},
                {"service = \"v.x\"; to = \"local.x\"", "local.x"},
        };
        char text[512];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(
                        text, sizeof(text),
                        "accounts = ( { name = \"A\"; exports = ( { stream = \"s.>\"; }, { service "
                        "= \"v.*\"; } ); }, { name = \"B\"; imports = ( { %s; account = \"A\"; } "
                        "); } );",
                        rows[i].import);
                load_good(text);
                assert_string_equal(config->accounts[1].imports[0].to, rows[i].to);
        }
}

static void test_names_are_unique(void **state) {
        refuse("accounts = ( { name = \"A\"; },\n{ name = \"B\"; },\n{ name = \"A\"; } );",
               "3: accounts[2].name: found \"A\", which accounts[0] has already");
        refuse("users = ( " USER_A " );\n"
               "accounts = ( { name = \"A\"; users = (\n" USER_B ",\n" USER_A " ); } );",
               "4: accounts[0].users[1].name: found \"a\", which users[0] has already");
        refuse("accounts = ( { name = \"A\"; users = ( " USER_A " ); },\n"
               "{ name = \"B\"; users = ( " USER_A " ); } );",
               "2: accounts[1].users[0].name: found \"a\", which accounts[0].users[0] has "
               "already");
}

static void test_users_have_nkeys_of_their_own(void **state) {
        static const char nkey[] = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
        char text[512];

        snprintf(text, sizeof(text),
                 "users = ( { name = \"a\"; nkey = \"%s\"; } );\n"
                 "accounts = ( { name = \"A\"; users = ( " USER_B ",\n"
                 "{ name = \"c\"; nkey = \"%s\"; } ); } );",
                 nkey, nkey);
        refuse(text, "3: accounts[0].users[1].nkey: it is that of users[0]");
}

static void test_names_are_tokens(void **state) {
        static const char *const names[] = {"a.b", "a b", "", "*", "a>"};
        char text[128], expected[512];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(text, sizeof(text), "accounts = ( { name = \"%s\"; } );", names[i]);
                snprintf(expected, sizeof(expected),
                         "1: accounts[0].name: found \"%s\", expected the name of an account, at "
                         "most 64 printable ASCII characters without blanks, dots, * and >",
                         names[i]);
                refuse(text, expected);
        }
        load_good("accounts = ( { name = \"$G\"; }, { name = \"$SYS\"; } );");
}

static void test_accounts_that_are_named_exist(void **state) {
        static const char none[] =
                "found \"X\", expected an account; \"accounts\" has none of that name";
        static const struct {
                const char *text, *where;
        } rows[] = {
                {"system_account = \"X\";", "1: system_account"},
                {"listeners = ( { name = \"a\"; listen = \"unix:@a\"; account = \"X\"; } );",
                 "1: listeners[0].account"},
                {"accounts = ( { name = \"A\";\n"
                 "exports = ( { stream = \"a\"; accounts = [ \"$G\", \"X\" ]; } ); } );",
                 "2: accounts[0].exports[0].accounts"},
                {"accounts = ( { name = \"A\";\n"
                 "imports = ( { stream = \"a\"; account = \"X\"; } ); } );",
                 "2: accounts[0].imports[0].account"},
        };
        char expected[256];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(expected, sizeof(expected), "%s: %s", rows[i].where, none);
                refuse(rows[i].text, expected);
        }
        refuse("system_account = \"$G\";",
               "1: system_account: found \"$G\", which is the default account; expected another "
               "one");
}

static void test_an_export_is_of_one_kind(void **state) {
        refuse("accounts = ( { name = \"A\"; exports = ( { } ); } );",
               "1: accounts[0].exports[0]: found neither, expected stream or service");
        refuse("accounts = ( { name = \"A\"; exports = ( { stream = \"a\"; service = \"a\"; } ); "
               "} );",
               "1: accounts[0].exports[0]: found both, expected stream or service");
        refuse("accounts = ( { name = \"A\"; exports = ( { stream = \"a..b\"; } ); } );",
               "1: accounts[0].exports[0].stream: found \"a..b\", expected a subject, such as "
               "\"a.b\", \"a.*\" or \"a.>\"");
        load_good("accounts = ( { name = \"A\"; exports = ( { service = \">\"; } ); } );");
        refuse("accounts = ( { name = \"$SYS\"; exports = ( { service = \"$SYS.>\"; } ); } );",
               "1: accounts[0].exports[0].service: found \"$SYS.>\", but control subjects are "
               "there in every account, and the role of users decides about them");
}

static void test_an_import_says_what_and_where(void **state) {
        static const struct {
                const char *import, *complaint;
        } rows[] = {
                {"account = \"A\"", ": found neither, expected stream or service"},
                {"account = \"A\"; stream = \"s.a\"; service = \"v.a\"",
                 ": found both, expected stream or service"},
                {"stream = \"s.a\"", ": there is no \"account\", which every entry needs"},
                {"account = \"A\"; service = \"v.a\"; prefix = \"p\"",
                 ".prefix: only for streams; a service has \"to\""},
                {"account = \"A\"; stream = \"s.a\"; prefix = \"p\"; to = \"t\"",
                 ".prefix: there is \"to\" already, which says it all"},
                {"account = \"A\"; stream = \"s.a\"; prefix = \"p.*\"",
                 ".prefix: found \"p.*\", expected a subject without wildcards, such as \"a.b\""},
                {"account = \"A\"; stream = \"s.*\"; to = \"t\"",
                 ".to: found \"t\", expected the wildcards of \"s.*\" in the same order"},
                {"account = \"A\"; service = \"v.*\"; to = \"t.>\"",
                 ".to: found \"t.>\", expected the wildcards of \"v.*\" in the same order"},
                {"account = \"B\"; stream = \"s.a\"",
                 ".account: found \"B\", which has it already; expected another account"},
        };
        char text[512], expected[256];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(
                        text, sizeof(text),
                        "accounts = ( { name = \"A\"; exports = ( { stream = \"s.>\"; }, { service "
                        "= \"v.*\"; } ); }, { name = \"B\"; imports = ( { %s; } ); } );",
                        rows[i].import);
                snprintf(expected, sizeof(expected), "1: accounts[1].imports[0]%s",
                         rows[i].complaint);
                refuse(text, expected);
        }
}

static void test_an_import_needs_an_export(void **state) {
        static const struct {
                const char *export, *import, *complaint;
        } rows[] = {
                {"stream = \"a.>\"", "stream = \"a.b.*\"", NULL},
                {"stream = \"a.>\"; accounts = [ \"C\", \"B\" ]", "stream = \"a.>\"", NULL},
                {"stream = \"a.*\"", "stream = \"a.>\"",
                 "stream: found \"a.>\", which account \"A\" does not export"},
                {"service = \"a\"", "stream = \"a\"",
                 "stream: found \"a\", which account \"A\" does not export"},
                {"stream = \"a\"", "service = \"a\"",
                 "service: found \"a\", which account \"A\" does not export"},
                {"stream = \"a\"; accounts = [ \"C\" ]", "stream = \"a\"",
                 "stream: found \"a\", which account \"A\" does not export to account \"B\""},
                {"stream = \"a\"; accounts = [ ]", "stream = \"a\"",
                 "stream: found \"a\", which account \"A\" does not export to account \"B\""},
        };
        char text[512], expected[256];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(text, sizeof(text),
                         "accounts = ( { name = \"A\"; exports = ( { %s; } ); }, { name = \"C\"; },"
                         "{ name = \"B\"; imports = ( { %s; account = \"A\"; } ); } );",
                         rows[i].export, rows[i].import);
                if (!rows[i].complaint) {
                        load_good(text);
                        continue;
                }
                snprintf(expected, sizeof(expected), "1: accounts[2].imports[0].%s",
                         rows[i].complaint);
                refuse(text, expected);
        }
        refuse("accounts = ( { name = \"A\"; imports = ( { stream = \"a\"; account = \"$G\"; } ); "
               "} );",
               "1: accounts[0].imports[0].stream: found \"a\", which account \"$G\" does not "
               "export");
        load_good("accounts = ( { name = \"A\"; imports = ( { stream = \"a\"; account = \"$G\"; } "
                  "); }, { name = \"$G\"; exports = ( { stream = \"a\"; } ); } );");
}

static void test_nothing_is_imported_twice(void **state) {
        static const char head[] =
                "accounts = ( { name = \"A\"; exports = ( { stream = \">\"; }, { "
                "service = \">\"; accounts = [ \"C\" ]; } ); },\n";
        static const struct {
                const char *imports;
                bool is_good;
        } rows[] = {
                {"{ stream = \"a\"; account = \"A\"; }, { stream = \"a\"; account = \"A\"; }",
                 false},
                {"{ stream = \"a\"; account = \"A\"; to = \"b\"; }, { stream = \"c\"; account = "
                 "\"A\"; to = \"b\"; }",
                 true},
                {"{ stream = \"a\"; account = \"A\"; }, { stream = \"a\"; account = \"A\"; prefix "
                 "= \"b\"; }",
                 true},
        };
        char text[512];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(text, sizeof(text), "%s{ name = \"C\"; imports = ( %s ); } );", head,
                         rows[i].imports);
                if (rows[i].is_good)
                        load_good(text);
                else
                        refuse(text, "2: accounts[1].imports[1]: it comes to \"a\", where "
                                     "accounts[1].imports[0] is already");
        }
        refuse("accounts = ( { name = \"A\"; exports = ( { service = \"v.*\"; } ); },\n"
               "{ name = \"B\"; imports = ( { service = \"v.a\"; account = \"A\"; to = \"v\"; },\n"
               "{ service = \"v.b\"; account = \"A\"; to = \"v\"; } ); } );",
               "3: accounts[1].imports[1]: it comes to \"v\", where accounts[1].imports[0] is "
               "already");
}

#define CYCLE "what comes by it would come back to it by other imports, for ever"

/* Imports of what was refused are not refused for that; those of others are looked at all the same.
 */
static void test_half_of_the_accounts_is_checked(void **state) {
        load_bad("accounts = (\n"
                 "  { name = \"a\"; exports = ( { stream = \"bad subject\"; } ); },\n"
                 "  { name = \"b\"; exports = ( { stream = \"x\"; } ); },\n"
                 "  { name = \"c\"; imports = (\n"
                 "    { stream = \"y\"; account = \"a\"; },\n"
                 "    { stream = \"y\"; account = \"b\"; },\n"
                 "    { account = \"b\"; },\n"
                 "    { stream = \"x\"; },\n"
                 "    { stream = \"x\"; account = \"nobody\"; } ); } );\n",
                 "sockd.conf:2: accounts[0].exports[0].stream: found \"bad subject\", expected a "
                 "subject, such as \"a.b\", \"a.*\" or \"a.>\"\n"
                 "sockd.conf:7: accounts[2].imports[2]: found neither, expected stream or service\n"
                 "sockd.conf:8: accounts[2].imports[3]: there is no \"account\", which every entry "
                 "needs\n"
                 "sockd.conf:6: accounts[2].imports[1].stream: found \"y\", which account \"b\" "
                 "does not export\n"
                 "sockd.conf:9: accounts[2].imports[4].account: found \"nobody\", expected an "
                 "account; \"accounts\" has none of that name\n");
        /* Any name may be that of the one without. */
        load_bad("accounts = ( { }, { name = \"c\"; imports = ( { stream = \"x\"; account = "
                 "\"d\"; } ); } );\nsystem_account = \"d\";",
                 "sockd.conf:1: accounts[0]: there is no \"name\", which every entry needs\n");
}

static void test_imports_make_no_cycle(void **state) {
        refuse("accounts = ( { name = \"A\"; exports = ( { stream = \"a.>\"; } );\n"
               "imports = ( { stream = \"a.b\"; account = \"B\"; } ); },\n"
               "{ name = \"B\"; exports = ( { stream = \">\"; } );\n"
               "imports = ( { stream = \"a.>\"; account = \"A\"; } ); } );",
               "2: accounts[0].imports[0]: " CYCLE);
        /* Subjects grow, and it would go on all the same. */
        refuse("accounts = ( { name = \"A\"; exports = ( { stream = \">\"; } );\n"
               "imports = ( { stream = \">\"; account = \"B\"; prefix = \"b\"; } ); },\n"
               "{ name = \"B\"; exports = ( { stream = \">\"; } );\n"
               "imports = ( { stream = \">\"; account = \"A\"; prefix = \"a\"; } ); } );",
               "2: accounts[0].imports[0]: " CYCLE);
        /* Requests go the other way. */
        refuse("accounts = ( { name = \"A\"; exports = ( { stream = \"v\"; }, { service = \"v\"; "
               "} ); },\n"
               "{ name = \"B\"; imports = ( { stream = \"v\"; account = \"A\"; },\n"
               "{ service = \"v\"; account = \"A\"; } ); } );",
               "2: accounts[1].imports[0]: " CYCLE);
        load_good("accounts = ( { name = \"A\"; exports = ( { stream = \"a.>\"; } );\n"
                  "imports = ( { stream = \"b.>\"; account = \"B\"; } ); },\n"
                  "{ name = \"B\"; exports = ( { stream = \"b.>\"; } );\n"
                  "imports = ( { stream = \"a.>\"; account = \"A\"; } ); } );");
}

#define LINK(name, from)                                                                           \
        "{ name = \"" name "\"; exports = ( { stream = \">\"; } );\n"                              \
        "imports = ( { stream = \">\"; account = \"" from "\"; } ); }"
#define LINK_B LINK("B", "A")
#define LINK_C LINK("C", "B")
#define LINK_D LINK("D", "C")
#define LINK_E LINK("E", "D")

static void test_chains_of_imports_are_short(void **state) {
        load_good("accounts = ( { name = \"A\"; exports = ( { stream = \">\"; } ); },\n" LINK_B
                  ", " LINK_C ", " LINK_D " );");
        refuse("accounts = ( { name = \"A\"; exports = ( { stream = \">\"; } ); },\n" LINK_B
               ", " LINK_C ", " LINK_D ", " LINK_E " );",
               "3: accounts[1].imports[0]: what comes by it would go by 4 imports in all, "
               "expected at most 3");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_without_accounts_there_are_two, tear_down),
                cmocka_unit_test_teardown(test_users_at_the_top_are_asked_first, tear_down),
                cmocka_unit_test_teardown(test_users_of_accounts_count_as_having_secrets,
                                          tear_down),
                cmocka_unit_test_teardown(test_imports_know_their_subject, tear_down),
                cmocka_unit_test_teardown(test_names_are_unique, tear_down),
                cmocka_unit_test_teardown(test_users_have_nkeys_of_their_own, tear_down),
                cmocka_unit_test_teardown(test_names_are_tokens, tear_down),
                cmocka_unit_test_teardown(test_accounts_that_are_named_exist, tear_down),
                cmocka_unit_test_teardown(test_an_export_is_of_one_kind, tear_down),
                cmocka_unit_test_teardown(test_an_import_says_what_and_where, tear_down),
                cmocka_unit_test_teardown(test_an_import_needs_an_export, tear_down),
                cmocka_unit_test_teardown(test_nothing_is_imported_twice, tear_down),
                cmocka_unit_test_teardown(test_half_of_the_accounts_is_checked, tear_down),
                cmocka_unit_test_teardown(test_imports_make_no_cycle, tear_down),
                cmocka_unit_test_teardown(test_chains_of_imports_are_short, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
