/* Framing: the same frames come out however the input is cut, none is longer than it may be, and
 * what goes out is framed likewise. */
#include "daemon/framing.h"

#include "daemon/block.h"
#include "daemon/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include <cmocka.h>

static char told[1 << 16]; /* what came out: "[frame]", "!" for one that is too long */
static size_t n_told;
static bool is_unusable; /* what comes after that */

static void tell(const char *text, size_t n) {
        assert_true(n_told + n < sizeof(told));
        memcpy(told + n_told, text, n);
        n_told += n;
        told[n_told] = '\0';
}

static void tell_frame(const struct frame *frame) {
        tell("[", 1);
        tell(frame->bytes.data, frame->bytes.length);
        tell(frame->has_cr ? "~]" : "]", frame->has_cr ? 2 : 1);
        /* What is promised of what is behind it. */
        if (frame->has_cr)
                assert_memory_equal(frame->bytes.data + frame->bytes.length, "\r\n", 2);
        if (frame->block)
                assert_true(frame->block->data + frame->block->capacity - frame->bytes.data -
                                    (ptrdiff_t)frame->bytes.length >=
                            FRAMING_ROOM);
}

/* Takes all frames off an input. Returns what is left of it. */
static struct bytes take(struct framer *framer, struct bytes input) {
        struct frame frame;
        enum framing_result result;

        while ((result = framing_next(framer, &input, &frame)) != FRAMING_MORE) {
                assert_int_not_equal(result, FRAMING_NO_MEMORY);
                if (result == FRAMING_FRAME)
                        tell_frame(&frame);
                else
                        tell("!", 1);
                is_unusable = result == FRAMING_TOO_LONG && framer->framing != FRAMING_LINE &&
                              !framer->is_whole;
                if (is_unusable)
                        break;
        }
        return input;
}

static void finish(struct framer *framer) {
        struct frame frame;
        enum framing_result result = framing_finish(framer, &frame);

        if (result == FRAMING_FRAME)
                tell_frame(&frame);
        else if (result == FRAMING_TOO_LONG)
                tell("!", 1);
}

/* Presents input in pieces of memory of their own, so that nothing beyond them is looked at; what
 * is left of one is in front of the next, as connections have it. */
static const char *frames_cut(enum framing framing, size_t max, struct bytes input,
                              const size_t *cuts, size_t n_cuts) {
        struct framer framer = {.framing = framing, .max = max};
        struct bytes rest = {NULL, 0};
        char *before = NULL;
        size_t at = 0;

        n_told = 0;
        told[0] = '\0';
        is_unusable = false;
        for (size_t i = 0; i <= n_cuts && !is_unusable; i++) {
                size_t end = i < n_cuts ? cuts[i] : input.length;
                size_t n = rest.length + end - at;
                char *piece = malloc(n ? n : 1);

                assert_non_null(piece);
                bytes_copy(bytes_copy(piece, rest), (struct bytes){input.data + at, end - at});
                free(before);
                before = piece;
                rest = take(&framer, (struct bytes){piece, n});
                at = end;
        }
        if (!is_unusable)
                finish(&framer);
        framing_deinit(&framer);
        free(before);
        return told;
}

/* The same frames come out of it when it comes at once, in two pieces, and byte by byte. */
static void expect(enum framing framing, size_t max, struct bytes input, const char *frames) {
        size_t *each = calloc(input.length + 1, sizeof(*each));

        assert_non_null(each);
        assert_string_equal(frames_cut(framing, max, input, NULL, 0), frames);
        for (size_t cut = 0; cut <= input.length; cut++) {
                each[cut] = cut;
                assert_string_equal(frames_cut(framing, max, input, &cut, 1), frames);
        }
        assert_string_equal(frames_cut(framing, max, input, each, input.length), frames);
        free(each);
}

/* --- lines ---------------------------------------------------------------------------------- */

static void test_a_line_ends_in_lf_or_cr_lf(void **state) {
        expect(FRAMING_LINE, 100, BYTES("a\nbc\r\ndef\n"), "[a][bc~][def]");
}

static void test_an_empty_line_is_an_empty_frame(void **state) {
        expect(FRAMING_LINE, 100, BYTES("\n\r\n\n"), "[][~][]");
}

static void test_the_last_line_needs_no_end(void **state) {
        expect(FRAMING_LINE, 100, BYTES("a\nlast"), "[a][last]");
        expect(FRAMING_LINE, 100, BYTES("a\nlast\r"), "[a][last\r]");
        expect(FRAMING_LINE, 100, BYTES(""), "");
        expect(FRAMING_LINE, 100, BYTES("a\n"), "[a]");
}

static void test_a_cr_alone_ends_nothing(void **state) {
        expect(FRAMING_LINE, 100, BYTES("a\rb\r\r\n\rc\n"), "[a\rb\r~][\rc]");
}

static void test_a_line_holds_any_other_byte(void **state) {
        static const char binary[] = "\x01\xff\x80\t\x7f\n";

        expect(FRAMING_LINE, 100, BYTES(binary), "[\x01\xff\x80\t\x7f]");
}

static void test_a_line_may_hold_nuls(void **state) {
        struct framer framer = {.framing = FRAMING_LINE, .max = 100};
        struct bytes input = BYTES("a\0b\nc");
        struct frame frame;

        assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_FRAME);
        assert_int_equal(frame.bytes.length, 3);
        assert_memory_equal(frame.bytes.data, "a\0b", 3);
        framing_deinit(&framer);
}

static void test_a_line_that_is_too_long_is_skipped(void **state) {
        expect(FRAMING_LINE, 3, BYTES("abc\nabcd\nabc\r\nabcd\r\nabcdefgh\nx"),
               "[abc]![abc~]!![x]");
        expect(FRAMING_LINE, 3, BYTES("abcdefgh"), "!");
        expect(FRAMING_LINE, 3, BYTES("abcd"), "!");
        expect(FRAMING_LINE, 3, BYTES("abcdefgh\n\n"), "![]");
}

static void test_what_is_in_no_line_is_counted(void **state) {
        struct framer framer = {.framing = FRAMING_LINE, .max = 3};

        n_told = 0;
        (void)take(&framer, BYTES("abc\nabcd\nab"));
        assert_int_equal(framer.n_lost, 4);
        (void)take(&framer, BYTES("cd\nabc\nabcdefgh"));
        assert_int_equal(framer.n_lost, 4 + 4 + 8);
        (void)take(&framer, BYTES("ij"));
        (void)take(&framer, BYTES("k\nabc\n"));
        assert_int_equal(framer.n_lost, 4 + 4 + 8 + 2 + 2);
        framing_deinit(&framer);
}

static void test_a_line_without_end_is_not_kept(void **state) {
        struct framer framer = {.framing = FRAMING_LINE, .max = 1000};
        char some[512];
        struct bytes input;

        memset(some, 'x', sizeof(some));
        n_told = 0;
        for (unsigned i = 0; i < 10000; i++) {
                input = take(&framer, (struct bytes){some, sizeof(some)});
                assert_int_equal(input.length, 0);
                assert_true(framer.n_block <= 1001);
        }
        assert_string_equal(told, "!");
        assert_null(framer.block);
        assert_int_equal(framer.n_lost, 10000 * sizeof(some));
        framing_deinit(&framer);
}

static void test_who_waits_for_nothing_has_no_block(void **state) {
        struct framer framer = {.framing = FRAMING_LINE, .max = 1000};

        n_told = 0;
        (void)take(&framer, BYTES("a\nbeg"));
        assert_non_null(framer.block);
        (void)take(&framer, BYTES("in\n"));
        assert_null(framer.block);
        assert_string_equal(told, "[a][begin]");
}

static void test_what_others_hold_is_left_to_them(void **state) {
        struct framer framer = {.framing = FRAMING_LINE, .max = 1000};
        struct bytes input = BYTES("one"), rest = BYTES(" line\nan");
        struct frame frame;
        struct block *held;

        assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_MORE);
        assert_int_equal(framing_next(&framer, &rest, &frame), FRAMING_FRAME);
        assert_non_null(frame.block);
        held = block_ref(frame.block);
        assert_int_equal(framing_next(&framer, &rest, &frame), FRAMING_MORE);
        assert_ptr_not_equal(framer.block, held);
        assert_memory_equal(held->data, "one line\n", 9);
        block_unref(held);
        framing_deinit(&framer);
}

/* --- length32 ------------------------------------------------------------------------------- */

static void test_a_length_comes_first(void **state) {
        expect(FRAMING_LENGTH32, 100, BYTES("\0\0\0\3abc\0\0\0\0\0\0\0\1\n"), "[abc][][\n]");
}

static void test_a_frame_that_is_cut_off_is_none(void **state) {
        expect(FRAMING_LENGTH32, 100, BYTES("\0\0\0\1a\0\0\0\3ab"), "[a]");
        expect(FRAMING_LENGTH32, 100, BYTES("\0\0\0\1a\0\0"), "[a]");
}

static void test_a_length_beyond_the_maximum_is_refused_at_once(void **state) {
        expect(FRAMING_LENGTH32, 3, BYTES("\0\0\0\3abc\0\0\0\4abcd"), "[abc]!");
        /* As soon as it is known. */
        assert_string_equal(
                frames_cut(FRAMING_LENGTH32, 1 << 20, BYTES("\xff\xff\xff\xff"), NULL, 0), "!");
        assert_string_equal(frames_cut(FRAMING_LENGTH32, SIZE_MAX >> 1,
                                       BYTES("\xff\xff\xff\xff"
                                             "a"),
                                       NULL, 0),
                            "");
}

static void test_what_is_needed_is_told(void **state) {
        struct framer framer = {.framing = FRAMING_LENGTH32, .max = 1 << 20};
        struct bytes input = BYTES("\0\1\0\0abc");
        struct frame frame;

        assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_MORE);
        assert_int_equal(framer.needed, 4 + 65536);
        assert_int_equal(input.length, 7);
        input = BYTES("\0\1\0");
        assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_MORE);
        assert_int_equal(framer.needed, 0);
}

static void test_it_is_known_whether_there_is_more(void **state) {
        struct framer framer = {.framing = FRAMING_LENGTH32, .max = 100};
        struct bytes input = BYTES("\0\0\0\1a\0\0\0\1b");
        struct frame frame;

        assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_FRAME);
        assert_false(frame.is_last);
        assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_FRAME);
        assert_true(frame.is_last);
}

/* --- eof and datagrams ---------------------------------------------------------------------- */

static void test_the_end_of_the_input_ends_all_of_it(void **state) {
        expect(FRAMING_EOF, 100, BYTES("a\nb\r\nc"), "[a\nb\r\nc]");
        expect(FRAMING_EOF, 3, BYTES("abc"), "[abc]");
        expect(FRAMING_EOF, 3, BYTES(""), "[]");
        assert_string_equal(frames_cut(FRAMING_EOF, 3, BYTES("abcd"), NULL, 0), "!");
}

static void test_all_of_it_may_be_long(void **state) {
        struct framer framer = {.framing = FRAMING_EOF, .max = 1 << 20};
        char some[1024];
        struct frame frame;

        for (unsigned i = 0; i < 1024; i++) {
                struct bytes input = {some, sizeof(some)};

                memset(some, (int)(i % 251), sizeof(some));
                assert_int_equal(framing_next(&framer, &input, &frame), FRAMING_MORE);
                assert_int_equal(input.length, 0);
        }
        assert_int_equal(framing_finish(&framer, &frame), FRAMING_FRAME);
        assert_int_equal(frame.bytes.length, 1 << 20);
        for (unsigned i = 0; i < 1024; i++)
                assert_int_equal((unsigned char)frame.bytes.data[i * 1024], i % 251);
        framing_deinit(&framer);
}

static void test_a_datagram_is_a_frame(void **state) {
        struct framer framer = {.framing = FRAMING_DATAGRAM, .is_whole = true, .max = 3};

        n_told = 0;
        (void)take(&framer, BYTES("a\n"));
        (void)take(&framer, BYTES(""));
        (void)take(&framer, BYTES("abcd"));
        (void)take(&framer, BYTES("abc"));
        assert_string_equal(told, "[a\n][]![abc]");
}

static void test_a_datagram_may_be_of_lines(void **state) {
        struct framer framer = {.framing = FRAMING_LINE, .is_whole = true, .max = 3};

        n_told = 0;
        (void)take(&framer, BYTES("a\nb\r\nc"));
        (void)take(&framer, BYTES("d\n"));
        (void)take(&framer, BYTES(""));
        (void)take(&framer, BYTES("abcd\nabc"));
        (void)take(&framer, BYTES("abcdef"));
        (void)take(&framer, BYTES("abc"));
        assert_string_equal(told, "[a][b~][c][d]![abc]![abc]");
        assert_null(framer.block);
}

static void test_framings_have_names(void **state) {
        assert_int_equal(framing_parse("line"), FRAMING_LINE);
        assert_int_equal(framing_parse("length32"), FRAMING_LENGTH32);
        assert_int_equal(framing_parse("eof"), FRAMING_EOF);
        assert_int_equal(framing_parse("datagram"), FRAMING_DATAGRAM);
        assert_true(framing_parse("lines") < 0);
        assert_true(framing_parse("") < 0);
}

/* --- output --------------------------------------------------------------------------------- */

static void appends(enum framing framing, bool has_cr, struct bytes bytes, struct bytes written) {
        struct outbox outbox = {.n_bytes = 0};
        struct iovec iov[4];
        char all[256];
        size_t n = 0, n_iov;

        assert_int_equal(framing_append(framing, &outbox, has_cr, NULL, bytes), 0);
        assert_true(outbox.n_bytes <= framing_length(framing, bytes));
        n_iov = outbox_peek(&outbox, iov, 4);
        for (size_t i = 0; i < n_iov; i++) {
                memcpy(all + n, iov[i].iov_base, iov[i].iov_len);
                n += iov[i].iov_len;
        }
        assert_int_equal(n, written.length);
        assert_memory_equal(all, written.data, n);
        outbox_deinit(&outbox);
}

static void test_what_goes_out_is_framed(void **state) {
        appends(FRAMING_LINE, false, BYTES("abc"), BYTES("abc\n"));
        appends(FRAMING_LINE, true, BYTES("abc"), BYTES("abc\r\n"));
        appends(FRAMING_LINE, false, BYTES(""), BYTES("\n"));
        appends(FRAMING_LENGTH32, false, BYTES("abc"), BYTES("\0\0\0\3abc"));
        appends(FRAMING_LENGTH32, false, BYTES(""), BYTES("\0\0\0\0"));
        appends(FRAMING_EOF, false, BYTES("abc\n"), BYTES("abc\n"));
        appends(FRAMING_DATAGRAM, false, BYTES("abc"), BYTES("abc"));
}

static void test_a_message_is_one_line(void **state) {
        appends(FRAMING_LINE, false, BYTES("abc\n"), BYTES("abc\n"));
        appends(FRAMING_LINE, false, BYTES("abc\r\n"), BYTES("abc\n"));
        appends(FRAMING_LINE, true, BYTES("abc\n"), BYTES("abc\r\n"));
        appends(FRAMING_LINE, false, BYTES("a\nb\r\nc\n"), BYTES("a b c\n"));
        appends(FRAMING_LINE, false, BYTES("a\n\nb\r\n"), BYTES("a  b\n"));
        appends(FRAMING_LINE, false, BYTES("\n"), BYTES("\n"));
        appends(FRAMING_LINE, false, BYTES("a\rb"), BYTES("a\rb\n"));
        appends(FRAMING_LINE, false, BYTES("a\r"), BYTES("a\r\n"));
        appends(FRAMING_LINE, true, BYTES("a\r"), BYTES("a\r\r\n"));
        appends(FRAMING_LINE, false, BYTES("\r"), BYTES("\r\n"));
}

static void test_what_is_large_is_not_copied(void **state) {
        struct block *block = block_new(8192);
        struct outbox outbox = {.n_bytes = 0};
        struct iovec iov[4];

        assert_non_null(block);
        memset(block->data, 'x', 8192);
        assert_int_equal(framing_append(FRAMING_LINE, &outbox, false, block,
                                        (struct bytes){block->data, 8192}),
                         0);
        assert_int_equal(outbox.n_bytes, 8193);
        assert_int_equal(outbox_peek(&outbox, iov, 4), 2);
        assert_ptr_equal(iov[0].iov_base, block->data);
        assert_memory_equal(iov[1].iov_base, "\n", 1);
        /* Unless it has to be changed. */
        outbox_clear(&outbox);
        block->data[100] = '\n';
        assert_int_equal(framing_append(FRAMING_LINE, &outbox, false, block,
                                        (struct bytes){block->data, 8192}),
                         0);
        assert_int_equal(outbox_peek(&outbox, iov, 4), 1);
        assert_memory_equal((char *)iov[0].iov_base + 99, "x x", 3);
        outbox_deinit(&outbox);
        block_unref(block);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_line_ends_in_lf_or_cr_lf),
                cmocka_unit_test(test_an_empty_line_is_an_empty_frame),
                cmocka_unit_test(test_the_last_line_needs_no_end),
                cmocka_unit_test(test_a_cr_alone_ends_nothing),
                cmocka_unit_test(test_a_line_holds_any_other_byte),
                cmocka_unit_test(test_a_line_may_hold_nuls),
                cmocka_unit_test(test_a_line_that_is_too_long_is_skipped),
                cmocka_unit_test(test_what_is_in_no_line_is_counted),
                cmocka_unit_test(test_a_line_without_end_is_not_kept),
                cmocka_unit_test(test_who_waits_for_nothing_has_no_block),
                cmocka_unit_test(test_what_others_hold_is_left_to_them),
                cmocka_unit_test(test_a_length_comes_first),
                cmocka_unit_test(test_a_frame_that_is_cut_off_is_none),
                cmocka_unit_test(test_a_length_beyond_the_maximum_is_refused_at_once),
                cmocka_unit_test(test_what_is_needed_is_told),
                cmocka_unit_test(test_it_is_known_whether_there_is_more),
                cmocka_unit_test(test_the_end_of_the_input_ends_all_of_it),
                cmocka_unit_test(test_all_of_it_may_be_long),
                cmocka_unit_test(test_a_datagram_is_a_frame),
                cmocka_unit_test(test_a_datagram_may_be_of_lines),
                cmocka_unit_test(test_framings_have_names),
                cmocka_unit_test(test_what_goes_out_is_framed),
                cmocka_unit_test(test_a_message_is_one_line),
                cmocka_unit_test(test_what_is_large_is_not_copied),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
