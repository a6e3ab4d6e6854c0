/* Permissions: what each kind of entry decides, which of them decided, and, for thousands of random
 * ones, that a slow and obvious implementation decides the same. It knows all texts of a small
 * world, and so what a subset is without any cleverness. SEED in the environment repeats a run. */
#include "daemon/permissions.h"

#include "lib/subject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static struct permissions *permissions;

static int tear_down(void **state) {
        permissions = permissions_unref(permissions);
        return 0;
}

static void begin(void) {
        tear_down(NULL);
        permissions = permissions_new();
        assert_non_null(permissions);
}

/* Adds an entry, `subject` or `subject queue`, that stands in the line of its number. */
static void add(enum permissions_list list, const char *entry, unsigned line) {
        const char *blank = strchr(entry, ' ');
        struct bytes subject = {entry, blank ? (size_t)(blank - entry) : strlen(entry)};
        struct bytes queue = blank ? bytes_from_string(blank + 1) : BYTES("");

        assert_int_equal(permissions_open(permissions, list, "x.conf", 100 + list), 0);
        assert_int_equal(permissions_add(permissions, list, subject, queue, "x.conf", line), 0);
}

/* Permissions with these entries, which stand in the lines 1, 2 ... of their list. */
static void make(const char *const *entries[N_PERMISSIONS_LISTS]) {
        begin();
        for (unsigned list = 0; list < N_PERMISSIONS_LISTS; list++)
                for (unsigned i = 0; entries[list] && entries[list][i]; i++)
                        add(list, entries[list][i], i + 1);
        assert_int_equal(permissions_seal(permissions), 0);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PUBLISH(allowed, denied)                                                                   \
        make((const char *const *[N_PERMISSIONS_LISTS]){                                           \
                [PERMISSIONS_PUBLISH_ALLOW] = allowed, [PERMISSIONS_PUBLISH_DENY] = denied})
#define SUBSCRIBE(allowed, denied)                                                                 \
        make((const char *const *[N_PERMISSIONS_LISTS]){                                           \
                [PERMISSIONS_SUBSCRIBE_ALLOW] = allowed, [PERMISSIONS_SUBSCRIBE_DENY] = denied})

static bool may_publish(const char *subject) {
        return permissions_may_publish(permissions, bytes_from_string(subject)).verdict ==
               PERMISSIONS_ALLOWED;
}

static enum permissions_verdict may_subscribe(const char *subject, const char *queue) {
        return permissions_may_subscribe(permissions, bytes_from_string(subject),
                                         bytes_from_string(queue))
                .verdict;
}

static bool is_filtered(const char *subject, const char *queue) {
        return permissions_filter(permissions, bytes_from_string(subject), bytes_from_string(queue))
                       .verdict != PERMISSIONS_ALLOWED;
}

/* --- publishing ----------------------------------------------------------------------------- */

static void test_without_lists_everything_is_allowed(void **state) {
        /* And without permissions. */
        for (unsigned i = 0; i < 2; i++) {
                assert_true(may_publish("a.b"));
                assert_true(may_publish("a..b"));
                assert_int_equal(may_subscribe(">", ""), PERMISSIONS_ALLOWED);
                assert_int_equal(may_subscribe("a", "q"), PERMISSIONS_ALLOWED);
                assert_false(is_filtered("a", "q"));
                begin();
                assert_int_equal(permissions_seal(permissions), 0);
        }
}

static void test_nothing_is_nothing(void **state) {
        struct permissions *nothing = &permissions_nothing;

        assert_int_equal(permissions_may_publish(nothing, BYTES("a")).verdict, PERMISSIONS_REFUSED);
        assert_int_equal(permissions_may_subscribe(nothing, BYTES("a"), BYTES("")).verdict,
                         PERMISSIONS_REFUSED);
        assert_null(permissions_unref(permissions_ref(nothing)));
}

static void test_publishing_needs_an_entry_that_allows(void **state) {
        PUBLISH(LIST("a.b", "c.*.d", "e.>"), NULL);
        assert_true(may_publish("a.b"));
        assert_false(may_publish("a.b.c"));
        assert_false(may_publish("a"));
        assert_true(may_publish("c.x.d"));
        assert_false(may_publish("c.x.e"));
        assert_false(may_publish("c.x.y.d"));
        assert_true(may_publish("e.x.y"));
        assert_false(may_publish("e"));
        assert_false(may_publish("e."));
        assert_false(may_publish("e..x"));
        assert_int_equal(may_subscribe("x", ""), PERMISSIONS_ALLOWED);
}

static void test_published_wildcards_are_text(void **state) {
        PUBLISH(LIST("a.*", "b.c"), NULL);
        assert_true(may_publish("a.*"));
        assert_true(may_publish("a.>"));
        assert_false(may_publish("b.*"));
        assert_false(may_publish("b.>"));
}

static void test_denial_wins(void **state) {
        PUBLISH(LIST("a.>"), LIST("a.b", "*.c"));
        assert_true(may_publish("a.x"));
        assert_false(may_publish("a.b"));
        assert_false(may_publish("a.c"));
        PUBLISH(NULL, LIST("a.b"));
        assert_true(may_publish("x"));
        assert_false(may_publish("a.b"));
}

static void test_an_empty_list_allows_nothing(void **state) {
        begin();
        assert_int_equal(permissions_open(permissions, PERMISSIONS_PUBLISH_ALLOW, "x", 1), 0);
        assert_int_equal(permissions_open(permissions, PERMISSIONS_SUBSCRIBE_ALLOW, "x", 1), 0);
        assert_int_equal(permissions_seal(permissions), 0);
        assert_false(may_publish("a"));
        assert_int_equal(may_subscribe("a", ""), PERMISSIONS_REFUSED);
}

static void test_responses_close_what_no_list_allows(void **state) {
        begin();
        assert_int_equal(permissions_allow_responses(permissions, 3, 1000, "x", 7), 0);
        assert_int_equal(permissions_seal(permissions), 0);
        assert_false(may_publish("a"));
        assert_int_equal(permissions_max_responses(permissions), 3);
        assert_int_equal(permissions_response_ms(permissions), 1000);
        begin();
        add(PERMISSIONS_PUBLISH_ALLOW, "a", 1);
        assert_int_equal(permissions_allow_responses(permissions, 3, 1000, "x", 7), 0);
        assert_int_equal(permissions_seal(permissions), 0);
        assert_true(may_publish("a"));
        assert_int_equal(permissions_max_responses(NULL), 0);
        assert_int_equal(permissions_response_ms(NULL), 0);
}

/* --- subscribing ---------------------------------------------------------------------------- */

static void test_all_of_a_subscription_has_to_be_allowed(void **state) {
        SUBSCRIBE(LIST("a.*", "b.>", "c"), NULL);
        assert_int_equal(may_subscribe("a.x", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("a.*", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("a.>", ""), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("b.*.x", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("b.>", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("b", ""), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("*", ""), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("c", ""), PERMISSIONS_ALLOWED);
}

static void test_queues_are_named_beside_subjects(void **state) {
        /* The examples of protocol.md 7.8. */
        SUBSCRIBE(LIST("foo v1"), NULL);
        assert_int_equal(may_subscribe("foo", "v1"), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("foo", "v2"), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("foo", ""), PERMISSIONS_REFUSED);
        SUBSCRIBE(LIST("foo"), NULL);
        assert_int_equal(may_subscribe("foo", "any"), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("foo", ""), PERMISSIONS_ALLOWED);
        SUBSCRIBE(LIST("foo", "foo v1"), NULL);
        assert_int_equal(may_subscribe("foo", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("foo", "v1"), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("foo", "v2"), PERMISSIONS_REFUSED);
        SUBSCRIBE(LIST("foo v2.*", "bar >"), NULL);
        assert_int_equal(may_subscribe("foo", "v2.prod"), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("foo", "v2"), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("bar", "x.y"), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("bar", ""), PERMISSIONS_REFUSED);
}

static void test_denied_queues_are_refused_alone(void **state) {
        SUBSCRIBE(NULL, LIST("foo", "bar v1", "baz >"));
        assert_int_equal(may_subscribe("foo", ""), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("foo", "v1"), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("bar", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("bar", "v1"), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("bar", "v2"), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("baz", ""), PERMISSIONS_ALLOWED);
        /* No name of a queue gets around it. */
        assert_int_equal(may_subscribe("baz", "a..b"), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("baz", "."), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("baz", "*"), PERMISSIONS_REFUSED);
}

static void test_what_is_denied_in_part_is_filtered(void **state) {
        SUBSCRIBE(NULL, LIST("secret.x", "no.*", "*.q v1"));
        assert_int_equal(may_subscribe("secret.*", ""), PERMISSIONS_FILTERED);
        assert_int_equal(may_subscribe("secret.x", ""), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("secret.y", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("no.*", ""), PERMISSIONS_REFUSED);
        assert_int_equal(may_subscribe("no.>", ""), PERMISSIONS_FILTERED);
        assert_int_equal(may_subscribe("other.*", ""), PERMISSIONS_ALLOWED);
        assert_int_equal(may_subscribe("other.*", "v1"), PERMISSIONS_FILTERED);
        assert_true(is_filtered("secret.x", ""));
        assert_true(is_filtered("secret.x", "any"));
        assert_false(is_filtered("secret.y", ""));
        assert_true(is_filtered("other.q", "v1"));
        assert_false(is_filtered("other.q", "v2"));
        assert_false(is_filtered("other.q", ""));
}

/* --- explaining ----------------------------------------------------------------------------- */

static void assert_explained(struct permissions_decision decision, const char *expected) {
        char text[256];

        assert_string_equal(permissions_explain(permissions, decision, text, sizeof(text)),
                            expected);
}

#define ASSERT_PUBLISH_EXPLAINED(subject, expected)                                                \
        assert_explained(permissions_may_publish(permissions, BYTES(subject)), expected)
#define ASSERT_SUBSCRIBE_EXPLAINED(subject, queue, expected)                                       \
        assert_explained(permissions_may_subscribe(permissions, BYTES(subject), BYTES(queue)),     \
                         expected)

static void test_decisions_can_be_explained(void **state) {
        ASSERT_PUBLISH_EXPLAINED("a", "not restricted");
        PUBLISH(LIST("a", "b.>"), LIST("c", "b.*.x"));
        ASSERT_PUBLISH_EXPLAINED("b.y", "allowed by \"b.>\", x.conf:2");
        ASSERT_PUBLISH_EXPLAINED("b.y.x", "denied by \"b.*.x\", x.conf:2");
        ASSERT_PUBLISH_EXPLAINED("z", "not among what is allowed, x.conf:100");
        ASSERT_SUBSCRIBE_EXPLAINED("z", "", "not restricted");
        SUBSCRIBE(LIST("a v1", "a v2", "b.>"), LIST("b.c >", "b.d"));
        ASSERT_SUBSCRIBE_EXPLAINED("a", "v2", "allowed by \"a v2\", x.conf:2");
        ASSERT_SUBSCRIBE_EXPLAINED("a", "v3", "allowed for other queues, by \"a v1\", x.conf:1");
        ASSERT_SUBSCRIBE_EXPLAINED("b.*", "", "allowed but for \"b.d\", x.conf:2");
        ASSERT_SUBSCRIBE_EXPLAINED("b.c", "q", "denied by \"b.c >\", x.conf:1");
        assert_explained(permissions_filter(permissions, BYTES("b.d"), BYTES("")),
                         "denied by \"b.d\", x.conf:2");
        assert_explained(permissions_filter(permissions, BYTES("b.e"), BYTES("")),
                         "not denied, x.conf:103");
}

static void test_a_long_explanation_is_cut(void **state) {
        char text[24], entry[4096];

        memset(entry, 'e', sizeof(entry) - 1);
        entry[sizeof(entry) - 1] = '\0';
        PUBLISH(NULL, LIST(entry));
        permissions_explain(permissions,
                            permissions_may_publish(permissions, bytes_from_string(entry)), text,
                            sizeof(text));
        assert_string_equal(text, "denied by \"eeeeeeeeeeee");
}

static void test_equal_permissions_are_told(void **state) {
        static const char *const a[] = {"a", "b q", NULL}, *const b[] = {"a", "b r", NULL};
        struct permissions *first;

        SUBSCRIBE(a, NULL);
        first = permissions_ref(permissions);
        assert_true(permissions_is_equal(first, permissions));
        SUBSCRIBE(a, NULL);
        assert_true(permissions_is_equal(first, permissions));
        assert_int_not_equal(permissions_id(first), permissions_id(permissions));
        SUBSCRIBE(b, NULL);
        assert_false(permissions_is_equal(first, permissions));
        SUBSCRIBE(NULL, a);
        assert_false(permissions_is_equal(first, permissions));
        assert_false(permissions_is_equal(first, NULL));
        assert_true(permissions_is_equal(NULL, NULL));
        permissions_unref(first);
}

/* --- the reference -------------------------------------------------------------------------- */

/* The texts of the world: all of one to four of three tokens. Patterns have up to three, of which
 * no more than two of the three are literal. */
#define TOKENS_MAX 4
#define N_TEXTS    (3 + 9 + 27 + 81)
static char texts[N_TEXTS][2 * TOKENS_MAX];

static void make_world(void) {
        unsigned n = 0;

        for (unsigned length = 1, count = 3; length <= TOKENS_MAX; length++, count *= 3)
                for (unsigned i = 0; i < count; i++, n++) {
                        unsigned rest = i;

                        for (unsigned k = 0; k < length; k++, rest /= 3) {
                                texts[n][2 * k] = (char)('a' + rest % 3);
                                texts[n][2 * k + 1] = k + 1 < length ? '.' : '\0';
                        }
                }
        assert_int_equal(n, N_TEXTS);
}

/* Tokens are one byte each. */
static bool slow_matches(const char *pattern, const char *text) {
        if (pattern[0] == '>')
                return true;
        if (pattern[0] != '*' && pattern[0] != text[0])
                return false;
        if (!pattern[1] || !text[1])
                return !pattern[1] && !text[1];
        return slow_matches(pattern + 2, text + 2);
}

static bool slow_is_subset(const char *part, const char *whole) {
        for (unsigned i = 0; i < N_TEXTS; i++)
                if (slow_matches(part, texts[i]) && !slow_matches(whole, texts[i]))
                        return false;
        return true;
}

static bool slow_overlaps(const char *a, const char *b) {
        for (unsigned i = 0; i < N_TEXTS; i++)
                if (slow_matches(a, texts[i]) && slow_matches(b, texts[i]))
                        return true;
        return false;
}

struct slow_entry {
        char subject[2 * TOKENS_MAX], queue[2 * TOKENS_MAX]; /* queue "": none */
};

#define ENTRIES_MAX 12
struct slow_list {
        bool is_given;
        unsigned n_entries;
        struct slow_entry entries[ENTRIES_MAX];
};
static struct slow_list slow[N_PERMISSIONS_LISTS];

static bool slow_may_publish(const char *text) {
        const struct slow_list *allow = &slow[PERMISSIONS_PUBLISH_ALLOW];
        const struct slow_list *deny = &slow[PERMISSIONS_PUBLISH_DENY];
        bool is_allowed = !allow->is_given;

        for (unsigned i = 0; i < allow->n_entries; i++)
                is_allowed |= slow_matches(allow->entries[i].subject, text);
        for (unsigned i = 0; i < deny->n_entries; i++)
                is_allowed &= !slow_matches(deny->entries[i].subject, text);
        return is_allowed;
}

static bool slow_is_about(const struct slow_entry *entry, const char *queue) {
        return !entry->queue[0] || (queue[0] && slow_matches(entry->queue, queue));
}

static bool slow_is_allowed(const char *subject, const char *queue) {
        const struct slow_list *allow = &slow[PERMISSIONS_SUBSCRIBE_ALLOW];
        bool has_plain = false, has_queues = false, has_queue = false;

        for (unsigned i = 0; i < allow->n_entries; i++) {
                const struct slow_entry *entry = &allow->entries[i];

                if (!slow_is_subset(subject, entry->subject))
                        continue;
                has_plain |= !entry->queue[0];
                has_queues |= entry->queue[0] != '\0';
                has_queue |= entry->queue[0] && slow_is_about(entry, queue);
        }
        if (!allow->is_given)
                return true;
        return queue[0] && has_queues ? has_queue : has_plain;
}

static enum permissions_verdict slow_may_subscribe(const char *subject, const char *queue) {
        const struct slow_list *deny = &slow[PERMISSIONS_SUBSCRIBE_DENY];
        bool is_filtered = false;

        for (unsigned i = 0; i < deny->n_entries; i++) {
                const struct slow_entry *entry = &deny->entries[i];

                if (!slow_is_about(entry, queue))
                        continue;
                if (slow_is_subset(subject, entry->subject))
                        return PERMISSIONS_REFUSED;
                is_filtered |= slow_overlaps(subject, entry->subject);
        }
        if (!slow_is_allowed(subject, queue))
                return PERMISSIONS_REFUSED;
        return is_filtered ? PERMISSIONS_FILTERED : PERMISSIONS_ALLOWED;
}

static bool slow_is_filtered(const char *text, const char *queue) {
        const struct slow_list *deny = &slow[PERMISSIONS_SUBSCRIBE_DENY];

        for (unsigned i = 0; i < deny->n_entries; i++)
                if (slow_is_about(&deny->entries[i], queue) &&
                    slow_matches(deny->entries[i].subject, text))
                        return true;
        return false;
}

/* --- random ones ---------------------------------------------------------------------------- */

static uint64_t seed, random_state;

/* xorshift64* (Vigna): the same numbers everywhere for the same seed. */
static unsigned draw(unsigned below) {
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return (unsigned)((random_state * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* A valid pattern of one to three tokens. */
static void draw_pattern(char pattern[2 * TOKENS_MAX]) {
        unsigned length = 1 + draw(TOKENS_MAX - 1);

        for (unsigned i = 0; i < length; i++) {
                bool is_last = i + 1 == length;

                pattern[2 * i] = "ababab*>"[draw(is_last ? 8 : 7)];
                pattern[2 * i + 1] = is_last ? '\0' : '.';
        }
}

static void draw_queue(char queue[2 * TOKENS_MAX], bool has_wildcards) {
        queue[0] = '\0';
        while (draw(2) == 0 && !queue[0]) {
                draw_pattern(queue);
                if (!has_wildcards && strpbrk(queue, "*>"))
                        queue[0] = '\0';
        }
}

static void draw_permissions(void) {
        begin();
        memset(slow, 0, sizeof(slow));
        for (unsigned list = 0; list < N_PERMISSIONS_LISTS; list++) {
                bool has_queues = list >= PERMISSIONS_SUBSCRIBE_ALLOW;

                slow[list].is_given = draw(3) > 0;
                slow[list].n_entries = slow[list].is_given ? draw(ENTRIES_MAX) : 0;
                if (slow[list].is_given)
                        assert_int_equal(permissions_open(permissions, list, "x.conf", 1), 0);
                for (unsigned i = 0; i < slow[list].n_entries; i++) {
                        struct slow_entry *entry = &slow[list].entries[i];

                        draw_pattern(entry->subject);
                        if (has_queues)
                                draw_queue(entry->queue, true);
                        assert_int_equal(permissions_add(permissions, list,
                                                         bytes_from_string(entry->subject),
                                                         bytes_from_string(entry->queue), "x.conf",
                                                         i),
                                         0);
                }
        }
        assert_int_equal(permissions_seal(permissions), 0);
}

static void compare(unsigned round) {
        char subject[2 * TOKENS_MAX], queue[2 * TOKENS_MAX];
        const char *text = texts[draw(N_TEXTS)];

        draw_pattern(subject);
        draw_queue(queue, false);
        if (may_publish(text) != slow_may_publish(text))
                fail_msg("SEED=%llu round %u: publishing %s", (unsigned long long)seed, round,
                         text);
        if (may_subscribe(subject, queue) != slow_may_subscribe(subject, queue))
                fail_msg("SEED=%llu round %u: subscribing to %s in \"%s\" is %d and should be %d",
                         (unsigned long long)seed, round, subject, queue,
                         may_subscribe(subject, queue), slow_may_subscribe(subject, queue));
        if (is_filtered(text, queue) != slow_is_filtered(text, queue))
                fail_msg("SEED=%llu round %u: filtering %s for \"%s\"", (unsigned long long)seed,
                         round, text, queue);
}

static void test_random_permissions_decide_as_the_reference(void **state) {
        const char *given = getenv("SEED");

        seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
        random_state = seed | 1;
        make_world();
        for (unsigned round = 0; round < 2000; round++) {
                draw_permissions();
                for (unsigned i = 0; i < 20; i++)
                        compare(round);
        }
}

#define TEST(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_without_lists_everything_is_allowed),
                TEST(test_nothing_is_nothing),
                TEST(test_publishing_needs_an_entry_that_allows),
                TEST(test_published_wildcards_are_text),
                TEST(test_denial_wins),
                TEST(test_an_empty_list_allows_nothing),
                TEST(test_responses_close_what_no_list_allows),
                TEST(test_all_of_a_subscription_has_to_be_allowed),
                TEST(test_queues_are_named_beside_subjects),
                TEST(test_denied_queues_are_refused_alone),
                TEST(test_what_is_denied_in_part_is_filtered),
                TEST(test_decisions_can_be_explained),
                TEST(test_a_long_explanation_is_cut),
                TEST(test_equal_permissions_are_told),
                TEST(test_random_permissions_decide_as_the_reference),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
