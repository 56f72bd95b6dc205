/* SPDX-License-Identifier: MIT */
/* What the files of debug share. */
#ifndef DEBUG_INTERNAL_H
#define DEBUG_INTERNAL_H

#include <pv/debug.h>
#include <pv/lib.h>

#define SYMBOL_NAME_SIZE 64
#define NO_VECTOR (~0u) /* in struct regs: no exception; rip is a return address, rip, rsp and rbp are all there is */

/* --- symbols.c: the table that scripts/gen-symbols writes --- */
struct symbol {
    char name[SYMBOL_NAME_SIZE];
    u64 start, end;
};
/* The last symbol at or below an offset into the image; false: there is none. Pure: table and offset are given. */
bool symbol_find(const void *table, u64 offset, struct symbol *found);

/* --- backtrace.c --- */
/* Prints the names of the callers that frame pointers lead to. Looks at stacks of ours only, so any rbp will do. */
void backtrace_print(const struct regs *r);
/* The guard page of a stack? Then whose stack ran into it. */
bool backtrace_is_guard(u64 address, u32 *cpu);

/* --- stuck.c --- */
/* This CPU was asked whether it still goes on. */
void stuck_answer(const struct regs *r);

/* --- debug builds only --- */
/* The locks that a CPU holds, and where it took them. */
void locks_print(u32 cpu);

#endif
