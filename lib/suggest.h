/* What was probably meant by a misspelt word, for "did you mean". */
#pragma once

/* The number of insertions, deletions, replacements and swaps of neighbours that make one word of
 * the other; large for words of more than 31 bytes. */
unsigned suggest_distance(const char *a, const char *b);

/* The largest distance at which a word of this length is still worth a suggestion. */
unsigned suggest_limit(const char *word);
