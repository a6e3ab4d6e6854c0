/* Segments: which frames leave together. */
#include "daemon/segments.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_MAX 64

static struct mmsghdr messages[N_MAX];
static struct iovec iov[2 * N_MAX];
static struct segments segments[N_MAX];

/* Joins frames of these lengths, each of two ranges. */
static unsigned join(const size_t *lengths, unsigned n) {
        static char bytes[65536];

        for (unsigned i = 0; i < n; i++) {
                iov[2 * i] = (struct iovec){bytes, lengths[i] / 2};
                iov[2 * i + 1] = (struct iovec){bytes, lengths[i] - lengths[i] / 2};
                messages[i] =
                        (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[2 * i], .msg_iovlen = 2}};
        }
        return segments_join(messages, n, segments);
}

/* That a message has such frames of such a length, and begins where its first frame does. */
static void check(unsigned i, unsigned first, unsigned n_frames, size_t length) {
        assert_int_equal(segments[i].n_frames, n_frames);
        assert_int_equal(segments[i].length, length);
        assert_ptr_equal(messages[i].msg_hdr.msg_iov, &iov[2 * (size_t)first]);
        assert_int_equal(messages[i].msg_hdr.msg_iovlen, 2 * n_frames);
}

static void test_frames_of_one_length_leave_together(void **state) {
        assert_int_equal(join((const size_t[]){100, 100, 100}, 3), 1);
        check(0, 0, 3, 100);
        assert_int_equal(segments_message_length(&messages[0]), 300);
}

static void test_a_shorter_frame_is_the_last_one(void **state) {
        assert_int_equal(join((const size_t[]){100, 100, 60, 60, 100}, 5), 3);
        check(0, 0, 3, 100);
        check(1, 3, 1, 60);
        check(2, 4, 1, 100);
}

static void test_a_longer_frame_begins_anew(void **state) {
        assert_int_equal(join((const size_t[]){100, 101, 101, 1}, 4), 2);
        check(0, 0, 1, 100);
        check(1, 1, 3, 101);
}

static void test_long_frames_leave_by_themselves(void **state) {
        /* They might not fit the path, and each would be lost as a whole. */
        assert_int_equal(join((const size_t[]){1232, 1232, 1233, 1233, 1}, 5), 4);
        check(0, 0, 2, 1232);
        check(1, 2, 1, 1233);
        check(2, 3, 1, 1233);
        check(3, 4, 1, 1);
}

static void test_a_message_is_no_longer_than_a_datagram(void **state) {
        size_t lengths[N_MAX];
        const unsigned n_first = DATAGRAM_PAYLOAD_MAX / 1232;

        for (unsigned i = 0; i < N_MAX; i++)
                lengths[i] = 1232;
        assert_int_equal(join(lengths, N_MAX), 2);
        check(0, 0, n_first, 1232);
        check(1, n_first, N_MAX - n_first, 1232);
        assert_true(segments_message_length(&messages[0]) <= DATAGRAM_PAYLOAD_MAX);
}

static void test_no_frames_are_no_messages(void **state) {
        assert_int_equal(join(NULL, 0), 0);
}

static void test_refusals_are_told_from_other_errors(void **state) {
        assert_true(segments_are_refused(-EIO));
        assert_true(segments_are_refused(-EINVAL));
        assert_false(segments_are_refused(-EAGAIN));
        assert_false(segments_are_refused(0));
        assert_false(segments_are_refused(1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frames_of_one_length_leave_together),
                cmocka_unit_test(test_a_shorter_frame_is_the_last_one),
                cmocka_unit_test(test_a_longer_frame_begins_anew),
                cmocka_unit_test(test_long_frames_leave_by_themselves),
                cmocka_unit_test(test_a_message_is_no_longer_than_a_datagram),
                cmocka_unit_test(test_no_frames_are_no_messages),
                cmocka_unit_test(test_refusals_are_told_from_other_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
