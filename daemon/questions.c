/* Questions that wait for answers. See questions.h. */
#include "daemon/questions.h"

#include "daemon/block.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

struct question *questions_at(const struct questions *questions, unsigned i) {
        return &questions->ring[(questions->first + i) % questions->capacity];
}

/* The room that an answer takes, whatever it is a part of. */
static size_t room_of(const struct question *question) {
        return question->block ? question->block->capacity : 0;
}

static void drop_answer(struct questions *questions, struct question *question) {
        questions->n_bytes -= room_of(question);
        question->block = block_unref(question->block);
}

void questions_deinit(struct questions *questions) {
        while (questions->n > 0)
                questions_remove_first(questions);
        free(questions->ring);
        *questions = (struct questions){.n = 0};
}

static bool questions_grow(struct questions *questions) {
        unsigned capacity = questions->capacity ? questions->capacity * 2 : CAPACITY_MIN;
        struct question *ring;

        if (questions->n < questions->capacity)
                return true;
        ring = calloc(capacity, sizeof(*ring));
        if (!ring)
                return false;
        for (unsigned i = 0; i < questions->n; i++)
                ring[i] = *questions_at(questions, i);
        free(questions->ring);
        questions->ring = ring;
        questions->first = 0;
        questions->capacity = capacity;
        return true;
}

struct question *questions_add(struct questions *questions, uint64_t *numberp) {
        struct question *question;

        if (!questions_grow(questions))
                return NULL;
        *numberp = questions->first_number + questions->n;
        question = questions_at(questions, questions->n++);
        *question = (struct question){.due_ms = 0};
        return question;
}

void questions_remove_last(struct questions *questions) {
        drop_answer(questions, questions_at(questions, questions->n - 1));
        questions->n--;
}

void questions_remove_first(struct questions *questions) {
        drop_answer(questions, questions_at(questions, 0));
        questions->first = (questions->first + 1) % questions->capacity;
        questions->first_number++;
        questions->n--;
}

struct question *questions_find(const struct questions *questions, uint64_t number) {
        uint64_t i = number - questions->first_number;
        struct question *question;

        if (i >= questions->n)
                return NULL;
        question = questions_at(questions, (unsigned)i);
        return question->is_answered ? NULL : question;
}

struct question *questions_ready(const struct questions *questions) {
        struct question *question = questions->n > 0 ? questions_at(questions, 0) : NULL;

        return question && question->is_answered ? question : NULL;
}

void questions_answer(struct questions *questions, struct question *question, struct block *block,
                      struct bytes answer) {
        question->is_answered = true;
        question->block = block ? block_ref(block) : NULL;
        question->answer = answer;
        questions->n_bytes += room_of(question);
}
