// SPDX-License-Identifier: MIT
/* The words of launch messages. They are the same in the hypervisor's log and in the host tool. */
#include "internal.h"

size_t launch_text_len(const char *text) {
    size_t len = 0;

    while (text[len])
        len++;
    return len;
}

struct writer {
    char *buf;
    size_t size, at;
};

static void put_char(struct writer *w, char c) {
    if (w->at + 1 < w->size)
        w->buf[w->at++] = c;
}

static void put_text(struct writer *w, const char *text) {
    while (*text)
        put_char(w, *text++);
}

static void put_number(struct writer *w, uint64_t n) {
    char digits[20];
    size_t len = 0;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (len)
        put_char(w, digits[--len]);
}

void launch_format_count(char *buf, size_t size, const char *before, uint64_t n, const char *after) {
    struct writer w = {buf, size, 0};

    put_text(&w, before);
    put_number(&w, n);
    put_text(&w, after);
    buf[w.at] = 0;
}

#define FOUND_SHOWN 48 /* the longest part of a wrong value that is worth a reader's time */

static void put_found(struct writer *w, const struct launch_problem *problem) {
    put_text(w, ", found \"");
    for (size_t i = 0; i < problem->found_len && i < FOUND_SHOWN; i++) {
        char c = problem->found[i];

        put_char(w, c >= ' ' && c < 0x7f ? c : '?');
    }
    put_text(w, problem->found_len > FOUND_SHOWN ? "...\"" : "\"");
}

void launch_format_problem(const struct launch_problem *problem, char *buf, size_t size) {
    struct writer w = {buf, size, 0};

    put_text(&w, problem->file);
    put_char(&w, ':');
    put_number(&w, problem->line);
    put_text(&w, ": ");
    if (problem->key[0]) {
        put_text(&w, problem->key);
        put_text(&w, ": ");
    }
    put_text(&w, "expected ");
    put_text(&w, problem->expected);
    if (problem->found)
        put_found(&w, problem);
    else
        put_text(&w, ", found none");
    if (problem->guest[0]) {
        put_text(&w, " (guest ");
        put_text(&w, problem->guest);
        put_text(&w, " left out)");
    }
    buf[w.at] = 0;
}
