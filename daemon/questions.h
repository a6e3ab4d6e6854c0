/* Questions of one peer that wait for answers, in the order in which they were asked: an answer may
 * go out when all questions before it are answered.
 *
 * A queue in an array, which grows as needed; its owner bounds it. No lock: it belongs to whoever
 * owns it.
 */
#pragma once

#include "daemon/inbox.h"

#include <stdbool.h>
#include <stdint.h>

struct question {
        char subject[INBOX_SUBJECT_LENGTH]; /* where the answer is awaited */
        struct inbox *inbox;                /* that knows of it; borrowed, NULL: none */
        bool is_answered;
        bool is_refused;     /* its answer is an error */
        bool has_cr;         /* CR LF ended it, and shall end the answer */
        uint64_t due_ms;     /* when it is not waited for any more */
        struct block *block; /* of the answer; a reference, NULL: it is empty */
        struct bytes answer;
};

struct questions {
        struct question *ring; /* owned */
        unsigned first, n, capacity;
        uint64_t first_number; /* of the oldest; the others follow */
        size_t n_bytes;        /* of answers that wait */
};

/* Questions of zeroes are none. Frees what they have. */
void questions_deinit(struct questions *questions);

/* Adds one behind the others, not answered yet, whose number is in *numberp. NULL if there is no
 * memory. Valid until the next one is added. */
struct question *questions_add(struct questions *questions, uint64_t *numberp);

/* Takes it back, the last one that was added. */
void questions_remove_last(struct questions *questions);

/* The i-th oldest, of as many as there are. */
struct question *questions_at(const struct questions *questions, unsigned i);

/* The one of that number, if it waits for its answer; else NULL. */
struct question *questions_find(const struct questions *questions, uint64_t number);

/* The oldest one, if it is answered; else NULL. And removes it. */
struct question *questions_ready(const struct questions *questions);
void questions_remove_first(struct questions *questions);

/* Answers one with bytes of a block, to which it takes a reference. */
void questions_answer(struct questions *questions, struct question *question, struct block *block,
                      struct bytes answer);
