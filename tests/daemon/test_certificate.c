/* Certificates: which names of one may be names of users, in which order, and which are the same
 * (protocol.md 7.7). */
#include "daemon/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/daemon/made_x509.h"

#define YEAR 31536000L

static struct made made;
static struct certificate *certificate;

static void read_certificate(const char *subject, const char *const *extensions) {
        made = made_certificate(NULL, subject, extensions, YEAR);
        certificate = certificate_new(made.x509);
        assert_non_null(certificate);
}

static int tear_down(void **state) {
        certificate = certificate_free(certificate);
        made_free(&made);
        return 0;
}

static void check_name(size_t i, enum certificate_name_kind kind, const char *text) {
        assert_true(i < certificate->n_names);
        assert_int_equal(certificate->names[i].kind, kind);
        assert_string_equal(certificate->names[i].text, text);
}

static bool is_named(const char *user) {
        for (size_t i = 0; i < certificate->n_names; i++)
                if (certificate_name_is(&certificate->names[i], user))
                        return true;
        return false;
}

static void test_names_come_in_order(void **state) {
        static const char *const extensions[] = {
                "subjectAltName",
                "URI:spiffe://acme/bob,DNS:bob.acme,email:bob@acme.example,DNS:b.acme,IP:10.0.0.1,"
                "email:b@acme.example",
                NULL};

        read_certificate("DC=example/DC=acme/C=US/O=Acme/CN=bob", extensions);
        assert_string_equal(certificate->subject, "CN=bob,O=Acme,C=US,DC=acme,DC=example");
        assert_int_equal(certificate->n_names, 8);
        check_name(0, CERTIFICATE_EMAIL, "bob@acme.example");
        check_name(1, CERTIFICATE_EMAIL, "b@acme.example");
        check_name(2, CERTIFICATE_DNS, "bob.acme");
        check_name(3, CERTIFICATE_DNS, "b.acme");
        check_name(4, CERTIFICATE_URI, "spiffe://acme/bob");
        check_name(5, CERTIFICATE_DN, "CN=bob,O=Acme,C=US");
        check_name(6, CERTIFICATE_DN, "CN=bob,O=Acme,C=US,DC=acme,DC=example");
        check_name(7, CERTIFICATE_SUBJECT, "CN=bob,O=Acme,C=US,DC=acme,DC=example");
}

static void test_distinguished_names_are_equal_in_any_order(void **state) {
        static const char *const same[] = {"CN=bob,O=Acme,C=US", "C=US,O=Acme,CN=bob",
                                           "C=US, O=Acme ,CN=bob", "cn=bob,o=Acme,c=US"};
        static const char *const others[] = {"",
                                             "bob",
                                             "CN=bob",
                                             "CN=bob,O=Acme",
                                             "CN=bob,O=Acme,C=US,",
                                             "CN=bob,O=Acme,C=US,C=US",
                                             "CN=Bob,O=Acme,C=US",
                                             "CN=bob,O=Acme,C=USA",
                                             "CN=bob,OU=Acme,C=US",
                                             "CN=bob\\,O=Acme,C=US",
                                             "CN=bob,CN=bob,C=US"};

        read_certificate("C=US/O=Acme/CN=bob", NULL);
        assert_int_equal(certificate->n_names, 2);
        for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
                if (!is_named(same[i]))
                        fail_msg("%s is another", same[i]);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                if (is_named(others[i]))
                        fail_msg("%s is the same", others[i]);
}

static void test_attributes_may_hold_commas(void **state) {
        read_certificate("O=Acme, Inc./CN=bob", NULL);
        assert_string_equal(certificate->subject, "CN=bob,O=Acme\\, Inc.");
        assert_true(is_named("O=Acme\\, Inc.,CN=bob"));
        assert_false(is_named("O=Acme, Inc.,CN=bob"));
}

static void test_other_names_are_equal_byte_for_byte(void **state) {
        static const char *const extensions[] = {"subjectAltName", "email:bob@acme.example", NULL};

        read_certificate("CN=x", extensions);
        assert_true(is_named("bob@acme.example"));
        assert_false(is_named("Bob@acme.example"));
        assert_false(is_named("bob@acme.exampl"));
        assert_false(is_named("bob@acme.example "));
}

/* An authority that looks at the name up to a NUL only would have vouched for "bob". */
static void test_names_with_control_characters_are_none(void **state) {
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *string = ASN1_IA5STRING_new();

        made = made_certificate(NULL, "CN=x", NULL, YEAR);
        assert_int_equal(ASN1_STRING_set(string, "bob\0.evil", 9), 1);
        GENERAL_NAME_set0_value(name, GEN_DNS, string);
        assert_true(sk_GENERAL_NAME_push(names, name) > 0);
        assert_int_equal(X509_add1_ext_i2d(made.x509, NID_subject_alt_name, names, 0, 0), 1);
        GENERAL_NAMES_free(names);
        certificate = certificate_new(made.x509);
        assert_non_null(certificate);
        assert_int_equal(certificate->n_names, 2);
        assert_false(is_named("bob"));
}

static void test_subject_is_shown_as_utf8_without_control_characters(void **state) {
        read_certificate("O=Caf\xc3\xa9/CN=a\nb", NULL);
        assert_string_equal(certificate->subject, "CN=a\\0Ab,O=Caf\xc3\xa9");
}

static void test_no_subject_is_no_name(void **state) {
        read_certificate("", NULL);
        assert_string_equal(certificate->subject, "");
        assert_int_equal(certificate->n_names, 0);
        assert_false(is_named(""));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_names_come_in_order, tear_down),
                cmocka_unit_test_teardown(test_distinguished_names_are_equal_in_any_order,
                                          tear_down),
                cmocka_unit_test_teardown(test_attributes_may_hold_commas, tear_down),
                cmocka_unit_test_teardown(test_other_names_are_equal_byte_for_byte, tear_down),
                cmocka_unit_test_teardown(test_names_with_control_characters_are_none, tear_down),
                cmocka_unit_test_teardown(test_subject_is_shown_as_utf8_without_control_characters,
                                          tear_down),
                cmocka_unit_test_teardown(test_no_subject_is_no_name, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
