/* SPDX-License-Identifier: MIT */
/* What the files of the launch room share: spans of text, and the table of keys. */
#ifndef LAUNCH_INTERNAL_H
#define LAUNCH_INTERNAL_H

#include <pv/launch.h>

/* A piece of the text, not terminated. */
struct span {
    const char *p;
    size_t len;
};

static inline bool launch_is_blank(char c) {
    return c == ' ' || c == '\t';
}

static inline bool launch_is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Is the span this word? */
bool launch_span_is(struct span s, const char *word);
struct span launch_span_trim(struct span s);
/* Letters, digits and - _ . +, 1 to 31 of them: names of guests and channels. */
bool launch_name_is_good(struct span name);
/* A span of digits only as a number up to max. */
bool launch_span_number(struct span s, uint64_t max, uint64_t *value);
/* Copy into a buffer of `size` with its NUL; false when it does not fit or is empty. */
bool launch_span_copy(struct span s, char *buf, size_t size);

struct launch_key {
    const char *name;
    const char *expected;
    /* False: the value is not what was expected, and nothing was changed. */
    bool (*set)(struct launch_guest *guest, struct span value, uint32_t line);
};

extern const struct launch_key launch_keys[];
extern const size_t launch_nr_keys; /* at most 32: the parser keeps what it saw in a word */

void launch_guest_init(struct launch_guest *guest, uint32_t line);
/* Take guests marked bad out of the plan; the order stays. */
void launch_plan_compact(struct launch_plan *plan);

size_t launch_text_len(const char *text);
/* A number between two texts, terminated. */
void launch_format_count(char *buf, size_t size, const char *before, uint64_t n, const char *after);

#endif
