// SPDX-License-Identifier: MIT
/*
 * Allocations that fail on purpose. failalloc=N: while a hypercall runs, one in N does. failstart: each guest is
 * first started with the first allocation failing, then with the second one, and so on until none fails any more; of
 * each try nothing may be left. The rooms ask debug_allocation_fails() in heap_alloc() and heap_alloc_pages().
 */
#include "checks.h"

#include <pv/boot.h>
#include <pv/mm.h>

static u64 every, asked; /* asked: atomic */
static bool sweeps;

static struct {
    bool in_hypercall;
    u64 countdown; /* the allocation that brings it to 0 fails; 0: none will */
} state[MAX_CPUS];

void allocs_start(void) {
    const char *value;

    sweeps = boot_option_flag("failstart");
    every = boot_option("failalloc", &value) > 0 ? strtoull(value, NULL, 10) : 0;
}

void debug_fail_allocation(u64 n) {
    state[this_cpu()->id].countdown = n;
}

u64 debug_allocations_left(void) {
    return state[this_cpu()->id].countdown;
}

void debug_in_hypercall(bool in) {
    state[this_cpu()->id].in_hypercall = in;
}

/* Regular failures would always hit the same one of a hypercall's allocations. */
static u64 scatter(u64 n) {
    return n * 0x9e3779b97f4a7c15ul >> 33;
}

bool debug_allocation_fails(void) {
    u32 cpu = this_cpu()->id;

    if (state[cpu].countdown && !--state[cpu].countdown)
        return true;
    return every && state[cpu].in_hypercall && scatter(__atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST)) % every == 0;
}

/* All tries but the last, which succeeds without a failure and is undone as well. Objects' pages stay with their size,
 * so only the second sweep can be told to leave the heap as it was. */
static void sweep(const struct debug_maker *m, bool exact) {
    u64 before = heap_free_count(), n = 0;
    bool failed = true;

    while (failed) {
        const char *why;

        debug_fail_allocation(++n);
        why = m->make(m->arg);
        failed = !debug_allocations_left();
        debug_fail_allocation(0);
        if (!why)
            m->unmake(m->arg);
        else if (!failed)
            return; /* it would not start anyway */
        if (exact && heap_free_count() != before)
            panic("allocation %lu failed at the start of a guest, and %ld frames are lost", n,
                  (long)(before - heap_free_count()));
    }
    printk("debug: %lu failed allocations at the start of a guest%s\n", n - 1,
           exact ? ", nothing of them is left" : "");
}

const char *debug_make(const struct debug_maker *m) {
    if (sweeps) {
        sweep(m, false);
        sweep(m, true);
    }
    return m->make(m->arg);
}
