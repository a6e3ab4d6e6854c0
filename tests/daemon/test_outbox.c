/* The outbox: bytes come out as they went in, small ones together, large ones uncopied. */
#include "daemon/outbox.h"

#include "daemon/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define STREAM_MAX (4 * 1024 * 1024)
#define RANGES_MAX 64

static void append(struct outbox *outbox, const char *text) {
        assert_int_equal(outbox_append(outbox, bytes_from_string(text)), 0);
}

/* How many ranges there are, up to RANGES_MAX. */
static size_t count(const struct outbox *outbox) {
        struct iovec iov[RANGES_MAX];

        return outbox_peek(outbox, iov, RANGES_MAX);
}

/* All that waits is the text; it lies in n_ranges pieces. */
static void check(const struct outbox *outbox, const char *text, size_t n_ranges) {
        struct iovec iov[RANGES_MAX];
        size_t n = outbox_peek(outbox, iov, RANGES_MAX), length = 0;

        assert_int_equal(n, n_ranges);
        assert_int_equal(outbox->n_bytes, strlen(text));
        assert_int_equal(outbox_is_empty(outbox), *text == '\0');
        for (size_t i = 0; i < n; i++) {
                assert_memory_equal(iov[i].iov_base, text + length, iov[i].iov_len);
                length += iov[i].iov_len;
        }
        assert_int_equal(length, strlen(text));
}

static struct block *block_of(const char *text) {
        struct block *block = block_new(strlen(text));

        assert_non_null(block);
        memcpy(block->data, text, strlen(text));
        return block;
}

static void test_zeroes_are_an_empty_outbox(void **state) {
        /* It needs no constructor, and may be emptied at once, and twice. */
        struct outbox outbox = {.n_bytes = 0};

        check(&outbox, "", 0);
        outbox_clear(&outbox);
        outbox_deinit(&outbox);
        outbox_deinit(&outbox);
        check(&outbox, "", 0);
}

static void test_small_things_leave_in_one_piece(void **state) {
        /* Many appended messages are one range, and so one system call without a vector. */
        struct outbox outbox = {.n_bytes = 0};

        append(&outbox, "MSG a 1 2\r\n");
        append(&outbox, "hi\r\n");
        append(&outbox, "");
        append(&outbox, "PONG\r\n");
        check(&outbox, "MSG a 1 2\r\nhi\r\nPONG\r\n", 1);
        outbox_deinit(&outbox);
}

static void test_what_is_reserved_counts_when_committed(void **state) {
        /* Room that was only reserved, or partly used, adds no bytes. */
        struct outbox outbox = {.n_bytes = 0};
        char *room;

        append(&outbox, "a");
        assert_non_null(outbox_reserve(&outbox, 100));
        check(&outbox, "a", 1);
        outbox_commit(&outbox, 0);
        check(&outbox, "a", 1);
        room = outbox_reserve(&outbox, 100000);
        assert_non_null(room);
        memset(room, '!', 100000);
        memcpy(room, "bc", 2);
        outbox_commit(&outbox, 2);
        append(&outbox, "d");
        check(&outbox, "abcd", 2);
        outbox_deinit(&outbox);
}

static void test_large_things_are_not_copied(void **state) {
        /* A shared range points into the block, and holds a reference until it is consumed. */
        struct block *block = block_of("a large payload");
        struct outbox outbox = {.n_bytes = 0};
        struct iovec iov[3];

        append(&outbox, "<");
        assert_int_equal(outbox_append_shared(&outbox, block, (struct bytes){block->data + 2, 5}),
                         0);
        append(&outbox, ">");
        check(&outbox, "<large>", 3);
        assert_int_equal(outbox_peek(&outbox, iov, 3), 3);
        assert_ptr_equal(iov[1].iov_base, block->data + 2);
        assert_false(block_is_exclusive(block));
        outbox_consume(&outbox, 5);
        check(&outbox, "e>", 2);
        assert_false(block_is_exclusive(block));
        outbox_consume(&outbox, 1);
        check(&outbox, ">", 1);
        assert_true(block_is_exclusive(block));
        outbox_deinit(&outbox);
        block_unref(block);
}

static void test_neighbours_are_one_range(void **state) {
        /* What follows in the same block needs no reference and no range of its own. */
        struct block *block = block_of("first second");
        struct outbox outbox = {.n_bytes = 0};

        assert_int_equal(outbox_append_shared(&outbox, block, (struct bytes){block->data, 5}), 0);
        assert_int_equal(outbox_append_shared(&outbox, block, (struct bytes){block->data + 5, 7}),
                         0);
        check(&outbox, "first second", 1);
        outbox_consume(&outbox, 6);
        check(&outbox, "second", 1);
        outbox_deinit(&outbox);
        assert_true(block_is_exclusive(block));
        block_unref(block);
}

static void test_nothing_shared_is_no_range(void **state) {
        /* An empty payload takes no reference. */
        struct block *block = block_of("x");
        struct outbox outbox = {.n_bytes = 0};

        assert_int_equal(outbox_append_shared(&outbox, block, (struct bytes){block->data, 0}), 0);
        check(&outbox, "", 0);
        assert_true(block_is_exclusive(block));
        outbox_deinit(&outbox);
        block_unref(block);
}

static void test_dropping_gives_all_references_back(void **state) {
        /* When a connection ends, its blocks are free at once. */
        struct block *block = block_of("x");
        struct outbox outbox = {.n_bytes = 0};

        for (unsigned round = 0; round < 2; round++) {
                for (unsigned i = 0; i < 20; i++)
                        assert_int_equal(outbox_append_shared(&outbox, block,
                                                              (struct bytes){block->data, 1}),
                                         0);
                assert_false(block_is_exclusive(block));
                if (round == 0)
                        outbox_clear(&outbox);
                else
                        outbox_deinit(&outbox);
                check(&outbox, "", 0);
                assert_true(block_is_exclusive(block));
        }
        block_unref(block);
}

static void test_peeking_shows_no_more_than_asked_for(void **state) {
        /* The first ranges, in order; the rest stays for the next call. */
        struct block *block = block_of("0 1 2 3 4 5 6 7 8 9");
        struct outbox outbox = {.n_bytes = 0};
        struct iovec iov[4];

        for (size_t i = 0; i < 10; i++)
                assert_int_equal(outbox_append_shared(&outbox, block,
                                                      (struct bytes){block->data + 2 * i, 1}),
                                 0);
        assert_int_equal(outbox_peek(&outbox, iov, 0), 0);
        assert_int_equal(outbox_peek(&outbox, iov, 4), 4);
        for (unsigned i = 0; i < 4; i++)
                assert_memory_equal(iov[i].iov_base, &"0123"[i], 1);
        outbox_consume(&outbox, 8);
        assert_int_equal(outbox_peek(&outbox, iov, 4), 2);
        check(&outbox, "89", 2);
        outbox_deinit(&outbox);
        block_unref(block);
}

/* The frames of an outbox in one text, each in brackets. */
static void check_frames(const struct outbox *outbox, const char *expected) {
        struct mmsghdr messages[RANGES_MAX];
        struct iovec iov[RANGES_MAX];
        unsigned n = outbox_peek_frames(outbox, messages, RANGES_MAX, iov, RANGES_MAX);
        char text[256] = "";

        for (unsigned i = 0; i < n; i++) {
                strcat(text, "[");
                for (size_t k = 0; k < messages[i].msg_hdr.msg_iovlen; k++)
                        strncat(text, messages[i].msg_hdr.msg_iov[k].iov_base,
                                messages[i].msg_hdr.msg_iov[k].iov_len);
                strcat(text, "]");
        }
        assert_string_equal(text, expected);
}

static void test_frames_are_cut_where_they_ended(void **state) {
        /* However the bytes lie in ranges. */
        struct block *block = block_of("payload");
        struct outbox outbox = {.n_bytes = 0}, other = {.n_bytes = 0};

        check_frames(&outbox, "");
        assert_int_equal(outbox_end_frame(&outbox), 0);
        append(&outbox, "one");
        assert_int_equal(outbox_end_frame(&outbox), 0);
        assert_int_equal(outbox_end_frame(&outbox), 0);
        append(&outbox, "t");
        append(&outbox, "wo<");
        assert_int_equal(outbox_append_shared(&outbox, block, (struct bytes){block->data, 7}), 0);
        append(&outbox, ">");
        assert_int_equal(outbox_end_frame(&outbox), 0);
        append(&outbox, "three");
        assert_int_equal(outbox_end_frame(&outbox), 0);
        check_frames(&outbox, "[one][two<payload>][three]");
        outbox_consume_frames(&outbox, 1);
        check_frames(&outbox, "[two<payload>][three]");
        append(&other, "0");
        assert_int_equal(outbox_end_frame(&other), 0);
        append(&other, "two<payload>three");
        assert_int_equal(outbox_copy_frames(&other, &outbox), 0);
        check_frames(&other, "[0][two<payload>][three]");
        outbox_consume_frames(&outbox, 2);
        assert_true(outbox_is_empty(&outbox));
        check_frames(&outbox, "");
        append(&outbox, "again");
        assert_int_equal(outbox_end_frame(&outbox), 0);
        check_frames(&outbox, "[again]");
        outbox_deinit(&outbox);
        outbox_deinit(&other);
        block_unref(block);
}

static void test_frames_are_peeked_whole(void **state) {
        /* As many as there is room for ranges. */
        struct block *block = block_of("ab");
        struct outbox outbox = {.n_bytes = 0};
        struct mmsghdr messages[4];
        struct iovec iov[4];

        for (size_t i = 0; i < 10; i++) {
                append(&outbox, "<");
                assert_int_equal(
                        outbox_append_shared(&outbox, block, (struct bytes){block->data, 2}), 0);
                append(&outbox, ">");
                assert_int_equal(outbox_end_frame(&outbox), 0);
        }
        assert_int_equal(outbox_peek_frames(&outbox, messages, 4, iov, 4), 1);
        assert_int_equal(messages[0].msg_hdr.msg_iovlen, 3);
        assert_int_equal(outbox_peek_frames(&outbox, messages, 4, iov, 2), 0);
        outbox_consume_frames(&outbox, 10);
        assert_true(outbox_is_empty(&outbox));
        outbox_deinit(&outbox);
        block_unref(block);
}

static void test_memory_is_used_again(void **state) {
        /* An outbox that empties in time keeps its block and its array for what comes next. */
        struct outbox outbox = {.n_bytes = 0};
        struct block *tail;

        append(&outbox, "first");
        tail = outbox.tail;
        for (unsigned i = 0; i < 10000; i++) {
                outbox_consume(&outbox, 5);
                append(&outbox, "again");
                assert_ptr_equal(outbox.tail, tail);
        }
        check(&outbox, "again", 1);
        assert_true(outbox.capacity <= 16);
        outbox_clear(&outbox);
        append(&outbox, "more");
        assert_ptr_equal(outbox.tail, tail);
        check(&outbox, "more", 1);
        outbox_deinit(&outbox);
}

static void test_what_another_outbox_shares_is_not_written_over(void **state) {
        /* Bytes that moved to a connection's own outbox stay as they are when the stage they were
         * copied to is used again. */
        struct outbox stage = {.n_bytes = 0}, pending = {.n_bytes = 0};

        append(&stage, "waits");
        assert_int_equal(outbox_append_shared(&pending, stage.ranges[stage.first].block,
                                              (struct bytes){stage.ranges[stage.first].data, 5}),
                         0);
        outbox_clear(&stage);
        append(&stage, "XXXXX");
        check(&pending, "waits", 1);
        outbox_deinit(&pending);
        outbox_clear(&stage);
        append(&stage, "YYYYY");
        check(&stage, "YYYYY", 1);
        outbox_deinit(&stage);
}

static void test_a_queue_that_never_empties_does_not_grow(void **state) {
        /* Ranges that were consumed make room for new ones. */
        struct block *block = block_of("x");
        struct outbox outbox = {.n_bytes = 0};

        for (unsigned i = 0; i < 100000; i++) {
                assert_int_equal(
                        outbox_append_shared(&outbox, block, (struct bytes){block->data, 1}), 0);
                if (i >= 3)
                        outbox_consume(&outbox, 1);
        }
        assert_int_equal(count(&outbox), 3);
        assert_true(outbox.capacity <= 16);
        outbox_deinit(&outbox);
        block_unref(block);
}

/* A stream of bytes that can be told apart by position. */
static char byte_at(size_t position) {
        return (char)(position * 2654435761u >> 13);
}

/* Takes up to n_bytes off the beginning, which is at *position of the stream. */
static void take(struct outbox *outbox, size_t n_bytes, size_t *position) {
        struct iovec iov[RANGES_MAX];
        size_t n_iov = outbox_peek(outbox, iov, RANGES_MAX), n = 0;

        for (size_t i = 0; i < n_iov; i++)
                for (size_t k = 0; k < iov[i].iov_len && n < n_bytes; k++, n++)
                        if (((char *)iov[i].iov_base)[k] != byte_at(*position + n))
                                fail_msg("byte %zu is wrong", *position + n);
        outbox_consume(outbox, n);
        *position += n;
}

static void put(struct outbox *outbox, size_t n_bytes, bool is_shared, size_t *position) {
        struct block *block = block_new(n_bytes);
        struct bytes bytes = {block->data, n_bytes};

        for (size_t i = 0; i < n_bytes; i++)
                block->data[i] = byte_at(*position + i);
        assert_int_equal(is_shared ? outbox_append_shared(outbox, block, bytes)
                                   : outbox_append(outbox, bytes),
                         0);
        block_unref(block);
        *position += n_bytes;
}

static void test_any_mixture_comes_out_in_order(void **state) {
        /* Four megabytes of small, large, copied and shared pieces, taken off in random amounts. */
        struct outbox outbox = {.n_bytes = 0};
        size_t n_put = 0, n_taken = 0;

        srand(1);
        while (n_taken < STREAM_MAX) {
                if (n_put < STREAM_MAX && rand() % 3 > 0)
                        put(&outbox, (size_t)rand() % (rand() % 8 ? 200 : 100000), rand() % 4 == 0,
                            &n_put);
                else
                        take(&outbox, (size_t)rand() % (rand() % 4 ? 400 : 300000), &n_taken);
                assert_int_equal(outbox.n_bytes, n_put - n_taken);
        }
        take(&outbox, SIZE_MAX, &n_taken);
        outbox_deinit(&outbox);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_zeroes_are_an_empty_outbox),
                cmocka_unit_test(test_small_things_leave_in_one_piece),
                cmocka_unit_test(test_what_is_reserved_counts_when_committed),
                cmocka_unit_test(test_large_things_are_not_copied),
                cmocka_unit_test(test_neighbours_are_one_range),
                cmocka_unit_test(test_nothing_shared_is_no_range),
                cmocka_unit_test(test_dropping_gives_all_references_back),
                cmocka_unit_test(test_peeking_shows_no_more_than_asked_for),
                cmocka_unit_test(test_frames_are_cut_where_they_ended),
                cmocka_unit_test(test_frames_are_peeked_whole),
                cmocka_unit_test(test_memory_is_used_again),
                cmocka_unit_test(test_what_another_outbox_shares_is_not_written_over),
                cmocka_unit_test(test_a_queue_that_never_empties_does_not_grow),
                cmocka_unit_test(test_any_mixture_comes_out_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
