/* SPDX-License-Identifier: MIT */
/* What several tests of mm begin and end with: two domains, an address space of the first, and all frames back. */
#ifndef TESTS_UNIT_MM_FIXTURE_H
#define TESTS_UNIT_MM_FIXTURE_H

#include "mm_host.h"
#include <cmocka.h>

#define BEYOND (1ul << 39) /* a frame that is not even in the frame table */

static struct domain *d, *other;
static struct mm_space s;
static u64 free_before;

static int setup(void **state) {
    (void)state;
    mm_host_init(4);
    free_before = heap_free_count();
    d = mm_host_domain(1, 3, 600);
    other = mm_host_domain(2, 1, 100);
    s = mm_host_space(d);
    mm_host_roots(cpus[0]);
    host_take_requests(0);
    return 0;
}

/* Whatever a test leaves behind, every frame comes back; preempted after so many looks each time, 0: never. */
static int all_back(long looks, long looks_other) {
    assert_true(mm_host_destroy(d, looks));
    assert_true(mm_host_destroy(other, looks_other));
    assert_int_equal(heap_free_count(), free_before);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    return all_back(0, 0);
}

/* An entry of the L1 table of that space. */
static inline int map(u32 slot, mfn_t m, u64 flags) {
    return mm_host_set(d, s.l[1], slot, mm_pte(m, flags));
}

#endif
