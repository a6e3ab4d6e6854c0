/* The subject index. See subject_index.h. */
#include "daemon/subject_index.h"

#include "daemon/index_map.h"
#include "daemon/match.h"
#include "lib/subject.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* What a node of the trie is to its token. */
enum token_kind {
        TOKEN_STEP, /* patterns go on below it: an index_branch */
        TOKEN_LAST, /* patterns end with it */
        TOKEN_STAR, /* patterns end with a `*` after it */
        TOKEN_OPEN, /* patterns end with a `>` after it */
        N_TOKEN_KINDS,
};

/* One that others are below. A pattern whose last token but one is a `*`, or that is a single
 * wildcard, has no token to hang on: it hangs on one with an empty text, below that `*` or the
 * root. */
struct index_branch {
        _Atomic(struct index_branch *) star; /* the TOKEN_STEP of `*` */
        _Atomic uint32_t n_children[N_TOKEN_KINDS];
        struct index_token token; /* the last, for its text */
};

struct subject_index {
        pthread_mutex_t lock;      /* a leaf: nothing is locked under it */
        struct index_map literals; /* whole subjects, which have no parent */
        struct index_map tokens;   /* of patterns, but for steps to `*` */
        struct index_branch *root; /* parent of first tokens; owned */
        _Atomic uint64_t generation;
        _Atomic uint64_t n_subscriptions;
        _Atomic uint64_t n_patterns; /* those with wildcards */
};

#define PLACE_KIND ((uintptr_t)3)

static uintptr_t place_make(const struct index_branch *parent, enum token_kind kind) {
        assert(((uintptr_t)parent & PLACE_KIND) == 0);
        return (uintptr_t)parent | kind;
}

static enum token_kind place_kind(uintptr_t place) {
        return (enum token_kind)(place & PLACE_KIND);
}

/* NULL for the root. */
static struct index_branch *place_parent(uintptr_t place) {
        return (struct index_branch *)(place & ~PLACE_KIND);
}

static struct index_branch *branch_of(const struct index_node *node) {
        return container_of(index_token_of(node), struct index_branch, token);
}

/* Memory for a struct that ends in a text, without the padding that the text can use. */
static void *allocate(size_t size, size_t text_offset, struct bytes text) {
        size_t needed = text_offset + text.length;

        return calloc(1, needed > size ? needed : size);
}

#define ALLOCATE(type, text_member, text) allocate(sizeof(type), offsetof(type, text_member), text)

static void token_init(struct index_token *token, uintptr_t place, struct bytes text) {
        token->place = place;
        index_node_init(&token->node, place, text);
        token->node.is_token = true;
}

static struct index_node *literal_new(uintptr_t place, struct bytes subject) {
        struct index_node *node = ALLOCATE(struct index_node, text, subject);

        if (!node)
                return NULL;
        index_node_init(node, place, subject);
        return node;
}

static struct index_node *token_new(uintptr_t place, struct bytes text) {
        struct index_token *token = ALLOCATE(struct index_token, node.text, text);

        if (!token)
                return NULL;
        token_init(token, place, text);
        return &token->node;
}

static struct index_node *branch_new(uintptr_t place, struct bytes text) {
        struct index_branch *branch = ALLOCATE(struct index_branch, token.node.text, text);

        if (!branch)
                return NULL;
        token_init(&branch->token, place, text);
        return &branch->token.node;
}

static void literal_release(struct reclaim_node *reclaim) {
        free(container_of(reclaim, struct index_node, reclaim));
}

static void token_release(struct reclaim_node *reclaim) {
        free(container_of(reclaim, struct index_token, node.reclaim));
}

static void branch_release(struct reclaim_node *reclaim) {
        free(container_of(reclaim, struct index_branch, token.node.reclaim));
}

/* The node of a token below a branch, made if need be. */
static int token_obtain(struct subject_index *index, struct index_branch *parent,
                        enum token_kind kind, struct bytes text, struct index_node **nodep,
                        struct reclaim *reclaim) {
        int r = index_map_obtain(&index->tokens, place_make(parent, kind), text,
                                 kind == TOKEN_STEP ? branch_new : token_new, nodep, reclaim);

        if (r > 0)
                atomic_fetch_add_explicit(&parent->n_children[kind], 1, memory_order_release);
        return r;
}

static struct index_branch *branch_star(struct index_branch *branch) {
        return atomic_load_explicit(&branch->star, memory_order_acquire);
}

/* The step from a branch to a token, made if need be. */
static int step_obtain(struct subject_index *index, struct index_branch **branchp,
                       struct bytes token, struct reclaim *reclaim) {
        struct index_branch *star = branch_star(*branchp);
        struct index_node *node = star ? &star->token.node : NULL;
        int r = 0;

        if (!subject_token_is(token, '*')) {
                r = token_obtain(index, *branchp, TOKEN_STEP, token, &node, reclaim);
        } else if (!node) {
                node = branch_new(place_make(*branchp, TOKEN_STEP), token);
                if (!node)
                        return -ENOMEM;
                atomic_store_explicit(&(*branchp)->star, branch_of(node), memory_order_release);
        }
        if (r >= 0)
                *branchp = branch_of(node);
        return r;
}

static bool node_is_used(const struct index_node *node) {
        return atomic_load_explicit(&node->first, memory_order_relaxed);
}

static uint32_t branch_children(const struct index_branch *branch, enum token_kind kind) {
        return atomic_load_explicit(&branch->n_children[kind], memory_order_acquire);
}

static bool branch_is_used(struct index_branch *branch) {
        bool is_used = branch_star(branch);

        for (unsigned kind = 0; kind < N_TOKEN_KINDS; kind++)
                is_used |= branch_children(branch, kind) > 0;
        return is_used;
}

static void literal_prune(struct subject_index *index, struct index_node *node,
                          struct reclaim *reclaim) {
        if (node_is_used(node))
                return;
        index_map_remove(&index->literals, node, reclaim);
        reclaim_later(reclaim, &node->reclaim, literal_release);
}

/* Takes the node of a token out of the trie. */
static void token_unlink(struct subject_index *index, struct index_token *token,
                         struct reclaim *reclaim) {
        struct index_branch *parent = place_parent(token->place);

        index_map_remove(&index->tokens, &token->node, reclaim);
        atomic_fetch_sub_explicit(&parent->n_children[place_kind(token->place)], 1,
                                  memory_order_release);
}

/* Removes a branch that nothing hangs on, and then its parents likewise. */
static void branch_prune(struct subject_index *index, struct index_branch *branch,
                         struct reclaim *reclaim) {
        while (branch != index->root && !branch_is_used(branch)) {
                struct index_branch *parent = place_parent(branch->token.place);

                if (branch_star(parent) == branch)
                        atomic_store_explicit(&parent->star, NULL, memory_order_release);
                else
                        token_unlink(index, &branch->token, reclaim);
                reclaim_later(reclaim, &branch->token.node.reclaim, branch_release);
                branch = parent;
        }
}

static void token_prune(struct subject_index *index, struct index_token *token,
                        struct reclaim *reclaim) {
        if (node_is_used(&token->node))
                return;
        token_unlink(index, token, reclaim);
        branch_prune(index, place_parent(token->place), reclaim);
        reclaim_later(reclaim, &token->node.reclaim, token_release);
}

/* A subscription is on the list of its node. */
static void list_insert(struct subscription *subscription, struct index_node *node) {
        struct subscription *first = atomic_load_explicit(&node->first, memory_order_relaxed);

        subscription->node = node;
        subscription->previous = NULL;
        atomic_store_explicit(&subscription->next, first, memory_order_relaxed);
        if (first)
                first->previous = subscription;
        atomic_store_explicit(&node->first, subscription, memory_order_release);
}

/* The subscription keeps its own next, since a reader may stand on it. */
static void list_remove(struct subscription *subscription) {
        struct subscription *next = atomic_load_explicit(&subscription->next, memory_order_relaxed);
        struct subscription *previous = subscription->previous;

        atomic_store_explicit(previous ? &previous->next : &subscription->node->first, next,
                              memory_order_release);
        if (next)
                next->previous = previous;
}

/* How a pattern ends. Takes a wildcard at its end off. */
static enum token_kind pattern_take_end(struct bytes *pattern) {
        const char *last = pattern->data + pattern->length - 1;
        bool is_single = pattern->length == 1;

        if ((*last != '*' && *last != '>') || (!is_single && last[-1] != '.'))
                return TOKEN_LAST;
        *pattern = is_single ? (struct bytes){NULL, 0}
                             : (struct bytes){pattern->data, pattern->length - 2};
        return *last == '*' ? TOKEN_STAR : TOKEN_OPEN;
}

/* Walks the tokens of a pattern down the trie, making nodes, as far as there is memory: *branchp is
 * the last branch that was reached, *nodep what the pattern hangs on. */
static int trie_obtain(struct subject_index *index, struct bytes pattern,
                       struct index_branch **branchp, struct index_node **nodep,
                       struct reclaim *reclaim) {
        enum token_kind kind = pattern_take_end(&pattern);
        struct bytes token = BYTES("");
        int r;

        *branchp = index->root;
        while (subject_next_token(&pattern, &token)) {
                if (!pattern.data && !subject_token_is(token, '*'))
                        break;
                r = step_obtain(index, branchp, token, reclaim);
                if (r < 0)
                        return r;
                token = BYTES("");
        }
        return token_obtain(index, *branchp, kind, token, nodep, reclaim);
}

static int add_pattern(struct subject_index *index, struct bytes subject,
                       struct subscription *subscription, struct reclaim *reclaim) {
        struct index_branch *branch;
        struct index_node *node;
        int r = trie_obtain(index, subject, &branch, &node, reclaim);

        if (r < 0) {
                branch_prune(index, branch, reclaim);
                return r;
        }
        list_insert(subscription, node);
        atomic_fetch_add_explicit(&index->n_patterns, 1, memory_order_release);
        return 0;
}

static int add_literal(struct subject_index *index, struct bytes subject,
                       struct subscription *subscription, struct reclaim *reclaim) {
        struct index_node *node;
        int r = index_map_obtain(&index->literals, INDEX_NOWHERE, subject, literal_new, &node,
                                 reclaim);

        if (r < 0)
                return r;
        list_insert(subscription, node);
        return 0;
}

int subject_index_add(struct subject_index *index, struct bytes subject,
                      struct subscription *subscription, struct reclaim *reclaim) {
        int r;

        pthread_mutex_lock(&index->lock);
        r = subject_has_wildcard(subject) ? add_pattern(index, subject, subscription, reclaim)
                                          : add_literal(index, subject, subscription, reclaim);
        if (r >= 0) {
                atomic_fetch_add_explicit(&index->n_subscriptions, 1, memory_order_relaxed);
                atomic_fetch_add_explicit(&index->generation, 1, memory_order_release);
        }
        pthread_mutex_unlock(&index->lock);
        return r;
}

void subject_index_remove(struct subject_index *index, struct subscription *subscription,
                          struct reclaim *reclaim) {
        struct index_node *node = subscription->node;

        pthread_mutex_lock(&index->lock);
        list_remove(subscription);
        atomic_fetch_sub_explicit(&index->n_subscriptions, 1, memory_order_relaxed);
        if (node->is_token) {
                atomic_fetch_sub_explicit(&index->n_patterns, 1, memory_order_relaxed);
                token_prune(index, index_token_of(node), reclaim);
        } else {
                literal_prune(index, node, reclaim);
        }
        atomic_fetch_add_explicit(&index->generation, 1, memory_order_release);
        pthread_mutex_unlock(&index->lock);
}

static int match_list(struct match *match, const struct index_node *node) {
        struct subscription *s = atomic_load_explicit(&node->first, memory_order_acquire);
        int r = 0;

        for (; s && r >= 0; s = atomic_load_explicit(&s->next, memory_order_acquire))
                r = match_add(match, s);
        return r;
}

static struct index_node *token_find(const struct index_map *tokens, struct index_branch *parent,
                                     enum token_kind kind, struct bytes text) {
        if (branch_children(parent, kind) == 0)
                return NULL;
        return index_map_find(tokens, place_make(parent, kind), text);
}

static int match_token(const struct index_map *tokens, struct match *match,
                       struct index_branch *parent, enum token_kind kind, struct bytes text) {
        const struct index_node *node = token_find(tokens, parent, kind, text);

        return node ? match_list(match, node) : 0;
}

/* The patterns that go on below the branch. */
static int match_push_steps(const struct index_map *tokens, struct match *match,
                            struct index_branch *branch, struct bytes token, struct bytes rest) {
        struct index_node *step = token_find(tokens, branch, TOKEN_STEP, token);
        struct index_branch *star = branch_star(branch);
        int r = step ? match_push(match, branch_of(step), rest) : 0;

        return star && r >= 0 ? match_push(match, star, rest) : r;
}

/* One step of the walk: the branch was reached, `rest` is left of the subject, a token at least. */
static int match_branch(const struct index_map *tokens, struct match *match,
                        struct index_branch *branch, struct bytes rest) {
        struct bytes token = rest;
        bool is_last, is_last_but_one;
        int r;

        (void)subject_next_token(&rest, &token);
        is_last = !rest.data;
        is_last_but_one = !is_last && !memchr(rest.data, '.', rest.length);
        r = match_token(tokens, match, branch, TOKEN_OPEN, BYTES(""));
        if (r >= 0 && is_last)
                r = match_token(tokens, match, branch, TOKEN_STAR, BYTES(""));
        if (r >= 0 && is_last)
                return match_token(tokens, match, branch, TOKEN_LAST, token);
        if (r >= 0)
                r = match_token(tokens, match, branch, TOKEN_OPEN, token);
        if (r >= 0 && is_last_but_one)
                r = match_token(tokens, match, branch, TOKEN_STAR, token);
        return r >= 0 ? match_push_steps(tokens, match, branch, token, rest) : r;
}

static int match_patterns(struct subject_index *index, struct bytes subject, struct match *match) {
        struct match_step step;
        int r;

        if (subject_has_empty_token(subject))
                return 0;
        r = match_push(match, index->root, subject);
        while (r >= 0 && match_pop(match, &step))
                r = match_branch(&index->tokens, match, step.branch, step.rest);
        return r;
}

int subject_index_match(struct subject_index *index, struct bytes subject, struct match *match) {
        struct index_node *node = index_map_find(&index->literals, INDEX_NOWHERE, subject);
        int r = 0;

        match_clear(match);
        if (node)
                r = match_list(match, node);
        if (r >= 0 && atomic_load_explicit(&index->n_patterns, memory_order_acquire) > 0)
                r = match_patterns(index, subject, match);
        match_finish(match);
        return r;
}

uint64_t subject_index_generation(const struct subject_index *index) {
        return atomic_load_explicit(&index->generation, memory_order_acquire);
}

uint64_t subject_index_count(const struct subject_index *index) {
        return atomic_load_explicit(&index->n_subscriptions, memory_order_relaxed);
}

/* A text of `size` bytes that is written from its end, which lies at `end` and may be beyond. */
struct text_writer {
        char *text;
        size_t size, end;
        size_t length; /* so far */
};

static void prepend(struct text_writer *writer, struct bytes piece) {
        size_t start = writer->end - writer->length - piece.length;

        for (size_t i = 0; i < piece.length && start + i + 1 < writer->size; i++)
                writer->text[start + i] = piece.data[i];
        writer->length += piece.length;
}

static void prepend_token(struct text_writer *writer, struct bytes token) {
        if (writer->length > 0)
                prepend(writer, BYTES("."));
        prepend(writer, token);
}

/* A pattern is read from its end, up the trie. */
static void prepend_pattern(struct text_writer *writer, const struct index_token *token) {
        enum token_kind kind = place_kind(token->place);
        const struct index_branch *branch;

        if (kind == TOKEN_STAR || kind == TOKEN_OPEN)
                prepend_token(writer, kind == TOKEN_STAR ? BYTES("*") : BYTES(">"));
        if (token->node.length > 0)
                prepend_token(writer, index_node_text(&token->node));
        branch = place_parent(token->place);
        for (; branch->token.place != INDEX_NOWHERE; branch = place_parent(branch->token.place))
                prepend_token(writer, index_node_text(&branch->token.node));
}

static size_t pattern_subject(const struct index_token *token, char *text, size_t size) {
        struct text_writer measure = {.size = 0}, writer = {.text = text, .size = size};

        prepend_pattern(&measure, token);
        writer.end = measure.length;
        prepend_pattern(&writer, token);
        return writer.length;
}

size_t subject_index_subject(const struct subscription *subscription, char *text, size_t size) {
        const struct index_node *node = subscription->node;
        struct text_writer writer = {.text = text, .size = size, .end = node->length};
        size_t length = node->length;

        if (node->is_token)
                length = pattern_subject(index_token_of(node), text, size);
        else
                prepend(&writer, index_node_text(node));
        if (size > 0)
                text[length < size ? length : size - 1] = '\0';
        return length;
}

struct subject_index *subject_index_new(void) {
        struct subject_index *index = calloc(1, sizeof(*index));
        struct index_node *root = branch_new(INDEX_NOWHERE, BYTES(""));

        if (!index || !root) {
                free(root ? branch_of(root) : NULL);
                free(index);
                return NULL;
        }
        index->root = branch_of(root);
        pthread_mutex_init(&index->lock, NULL);
        if (index_map_init(&index->literals) < 0 || index_map_init(&index->tokens) < 0)
                return subject_index_free(index);
        return index;
}

struct subject_index *subject_index_free(struct subject_index *index) {
        if (!index)
                return NULL;
        assert(subject_index_count(index) == 0);
        index_map_deinit(&index->literals);
        index_map_deinit(&index->tokens);
        free(index->root);
        pthread_mutex_destroy(&index->lock);
        free(index);
        return NULL;
}
