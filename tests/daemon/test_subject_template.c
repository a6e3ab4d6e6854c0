/* Subjects built of what is known of a peer: whatever that is, a good subject comes out, and what
 * cannot be one is refused with its reason. */
#include "daemon/subject_template.h"

#include "lib/subject.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct bytes values[N_SUBJECT_VARIABLES];
static char written[SUBJECT_TEMPLATE_MAX + 1];

static int set_up(void **state) {
        memset(values, 0, sizeof(values));
        return 0;
}

static const char *subject_of(const char *text) {
        struct subject_template *template = NULL;
        char reason[SUBJECT_REASON_MAX];

        assert_int_equal(subject_template_new(&template, bytes_from_string(text), false, reason),
                         0);
        written[subject_template_write(template, values, written)] = '\0';
        subject_template_free(template);
        return written;
}

static void refused(const char *text, bool takes_wildcards, const char *expected) {
        struct subject_template *template = NULL;
        char reason[SUBJECT_REASON_MAX] = "";

        assert_int_equal(
                subject_template_new(&template, bytes_from_string(text), takes_wildcards, reason),
                -EINVAL);
        assert_null(template);
        if (!strstr(reason, expected))
                fail_msg("\"%s\": %s", text, reason);
}

static void test_text_is_a_subject_as_it_is(void **state) {
        assert_string_equal(subject_of("syslog"), "syslog");
        assert_string_equal(subject_of("a.b-c.$x.{}"), "a.b-c.$x.{}");
        assert_string_equal(subject_of("a.$"), "a.$");
}

static void test_variables_become_tokens(void **state) {
        values[VARIABLE_PEER_ADDRESS] = BYTES("127.0.0.1");
        values[VARIABLE_PEER_PORT] = BYTES("4711");
        values[VARIABLE_PEER_UID] = BYTES("1000");
        values[VARIABLE_PEER_GID] = BYTES("100");
        values[VARIABLE_PEER_PID] = BYTES("42");
        values[VARIABLE_PEER_USER] = BYTES("alice");
        values[VARIABLE_PEER_UNIT] = BYTES("nginx.service");
        values[VARIABLE_LISTENER] = BYTES("logs");
        assert_string_equal(subject_of("syslog.${peer.address}"), "syslog.127_0_0_1");
        assert_string_equal(subject_of("${peer.port}.${peer.uid}.${peer.gid}.${peer.pid}"),
                            "4711.1000.100.42");
        assert_string_equal(subject_of("u-${peer.user}.${peer.unit}.${listener}.x"),
                            "u-alice.nginx_service.logs.x");
        assert_string_equal(subject_of("${listener}${listener}"), "logslogs");
        values[VARIABLE_PEER_ADDRESS] = BYTES("fe80::1%eth0");
        assert_string_equal(subject_of("${peer.address}"), "fe80::1%eth0");
}

static void test_what_is_not_known_is_unknown(void **state) {
        assert_string_equal(subject_of("a.${peer.uid}.b"), "a.unknown.b");
}

static void test_no_value_is_more_than_a_part_of_a_token(void **state) {
        char any[256];

        for (size_t i = 0; i < sizeof(any); i++)
                any[i] = (char)i;
        values[VARIABLE_PEER_UNIT] = (struct bytes){any, sizeof(any)};
        (void)subject_of("a.${peer.unit}.b");
        assert_true(subject_is_literal(bytes_from_string(written)));
        for (const char *byte = written; *byte; byte++)
                assert_true(*byte > ' ' && *byte < 0x7f);
        assert_null(strpbrk(written, "*>$"));
        for (const char *const *text = (const char *const[]){".", "*", ">", " ", "$", NULL}; *text;
             text++) {
                values[VARIABLE_PEER_UNIT] = bytes_from_string(*text);
                assert_string_equal(subject_of("a.${peer.unit}"), "a._");
        }
        values[VARIABLE_PEER_USER] = BYTES("$SYS");
        assert_string_equal(subject_of("${peer.user}.REQ.x"), "_SYS.REQ.x");
}

static void test_a_value_that_is_too_long_is_cut(void **state) {
        char longer[2000];

        memset(longer, 'x', sizeof(longer));
        for (size_t i = 0; i < N_SUBJECT_VARIABLES; i++)
                values[i] = (struct bytes){longer, sizeof(longer)};
        assert_int_equal(strlen(subject_of("${peer.uid}")), 10);
        assert_int_equal(strlen(subject_of("${peer.unit}.${peer.unit}.${peer.unit}")), 3 * 255 + 2);
}

static void test_it_is_known_what_is_used(void **state) {
        struct subject_template *template = NULL;
        char reason[SUBJECT_REASON_MAX];

        assert_int_equal(subject_template_new(&template, BYTES("a.${peer.uid}"), false, reason), 0);
        assert_true(subject_template_uses(template, VARIABLE_PEER_UID));
        assert_false(subject_template_uses(template, VARIABLE_PEER_UNIT));
        assert_true(subject_template_uses_peer(template));
        template = subject_template_free(template);
        assert_int_equal(subject_template_new(&template, BYTES("a.${listener}"), false, reason), 0);
        assert_false(subject_template_uses_peer(template));
        subject_template_free(template);
}

static void test_what_is_no_subject_is_refused(void **state) {
        refused("", false, "expected a subject");
        refused("a..b", false, "none of them empty");
        refused(".a", false, "none of them empty");
        refused("a.", false, "none of them empty");
        refused("a b", false, "without blanks");
        refused("a\r\nPUB x 0", false, "without blanks");
        refused("a.*", false, "without wildcards");
        refused(">", false, "without wildcards");
        refused("a.>.b", true, "a subject");
        refused("$SYS.REQ.SERVER.PING", false, "outside of $SYS");
}

static void test_unknown_variables_are_refused(void **state) {
        refused("a.${peer.name}", false,
                "no variable \"${peer.name}\", expected one of peer.address");
        refused("a.${}", false, "no variable \"${}\"");
        refused("a.${peer.uid", false, "expected \"}\"");
        refused("${", false, "expected \"}\"");
        refused("${${listener}}", false, "no variable");
}

static void test_what_may_become_too_long_is_refused(void **state) {
        char text[2000];

        memset(text, 'x', sizeof(text));
        text[1024] = '\0';
        assert_int_equal(strlen(subject_of(text)), 1024);
        text[1024] = 'x';
        text[1025] = '\0';
        refused(text, false, "at most 1024 bytes");
        refused("${peer.unit}.${peer.unit}.${peer.unit}.${peer.unit}.${peer.unit}", false,
                "at most 1024 bytes");
}

static void test_subscriptions_may_have_wildcards(void **state) {
        struct subject_template *template = NULL;
        char reason[SUBJECT_REASON_MAX];

        assert_int_equal(subject_template_new(&template, BYTES("a.*.${peer.uid}.>"), true, reason),
                         0);
        written[subject_template_write(template, values, written)] = '\0';
        assert_string_equal(written, "a.*.unknown.>");
        template = subject_template_free(template);
        assert_int_equal(subject_template_new(&template, BYTES("$SYS.SERVER.>"), true, reason), 0);
        subject_template_free(template);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_text_is_a_subject_as_it_is, set_up),
                cmocka_unit_test_setup(test_variables_become_tokens, set_up),
                cmocka_unit_test_setup(test_what_is_not_known_is_unknown, set_up),
                cmocka_unit_test_setup(test_no_value_is_more_than_a_part_of_a_token, set_up),
                cmocka_unit_test_setup(test_a_value_that_is_too_long_is_cut, set_up),
                cmocka_unit_test_setup(test_it_is_known_what_is_used, set_up),
                cmocka_unit_test_setup(test_what_is_no_subject_is_refused, set_up),
                cmocka_unit_test_setup(test_unknown_variables_are_refused, set_up),
                cmocka_unit_test_setup(test_what_may_become_too_long_is_refused, set_up),
                cmocka_unit_test_setup(test_subscriptions_may_have_wildcards, set_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
