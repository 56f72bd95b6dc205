/* SPDX-License-Identifier: MIT */
/*
 * bench: the rows of the comparison. A row runs its operation `count` times between two readings of the TSC; what it
 * needs before and leaves behind is made and undone outside of them, in each round anew.
 */
#ifndef BENCH_H
#define BENCH_H

#include "sys.h"

struct row {
    const char *name;
    unsigned count; /* operations in one round */
    void (*run)(unsigned count);
    void (*setup)(void); /* may be NULL, as finish */
    void (*finish)(void);
    bool fixed; /* setup makes room for `count` and no more */
};

struct row_table {
    const struct row *rows;
    unsigned length;
};

extern const struct row_table calls_table, memory_table, processes_table, switches_table, loads_table;

#define ROW_TABLE(table, rows) const struct row_table table = {rows, LENGTH_OF(rows)}

/* fork, exec of argv[0] with output to /dev/null, wait. */
void process_spawn(const char *const argv[]);

/* Where the profile tool's plugin starts and stops counting: each its own function, kept out of line. */
void bench_mark_begin(void);
void bench_mark_end(void);

#endif
