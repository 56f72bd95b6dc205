// SPDX-License-Identifier: MIT
/*
 * The TLB clock's turn: ages are differences of 32 bits, so no CPU may stay in its guest for half a turn, and four
 * times a turn all are made to come out. The clock is set close to that, which only this file can: it includes tlb.c.
 */
#include "host.h"
#include "../../hypervisor/mm/tlb.c"
#include <cmocka.h>

static u64 flushed;

void cpu_flush_guests(u64 mask) {
    flushed |= mask;
}

static void all_come_out_in_time(void **state) {
    (void)state;
    for (u32 quarter = 1; quarter <= 4; quarter++) {
        tlb_clock = quarter * 0x40000000u - 2;
        flushed = 0;
        tlb_clock_advance();
        assert_int_equal(flushed, 0);
        tlb_clock_advance();
        assert_true(flushed == ~0ul);
    }
}

static void ages_reach_over_the_turn(void **state) {
    (void)state;
    host_set_cpus(2);
    tlb_clock = 0xfffffff0;
    cpus[1]->in_guest = 1;
    cpus[1]->tlb_clock = tlb_clock_now();
    tlb_clock = 5;
    flushed = 0;
    tlb_flush_stale(0xffffffe0); /* lost before the CPU went in */
    assert_int_equal(flushed, 0);
    tlb_flush_stale(3);
    assert_int_equal(flushed, BIT(1));
    flushed = 0;
    tlb_flush_stale(0xfffffff5);
    assert_int_equal(flushed, BIT(1));
}

static bool keeps(u32 cpu, u64 root) {
    u64 value = tlb_guest_root(cpus[cpu], root);

    assert_true((value & ~CR3_KEEP) == (root | cpus[cpu]->guest_tag));
    return value & CR3_KEEP;
}

static void what_a_cpu_keeps(void **state) {
    const u64 root = 0x5000, other = 0x6000;

    (void)state;
    host_set_cpus(2);
    assert_false(keeps(1, root));
    assert_false(keeps(1, root)); /* without tags it never does */
    cpus[0]->guest_tag = cpus[1]->guest_tag = GUEST_TAG;
    assert_false(keeps(1, root));
    assert_true(keeps(1, root));
    assert_false(keeps(1, other));
    assert_false(keeps(1, root));
    assert_true(keeps(1, root));
    tlb_drop(cpus[1]);
    assert_false(keeps(1, root));
    tlb_clock_advance(); /* a frame lost a use */
    assert_false(keeps(1, root));
    assert_true(keeps(1, root));
    flushed = 0;
    tlb_flush_guests(BIT(0)); /* a flush that finds CPU 1 outside, before its vCPU was one of those */
    assert_int_equal(flushed, BIT(0));
    assert_false(keeps(1, root));
    assert_false(keeps(0, root));
    assert_true(keeps(0, root));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_come_out_in_time),
                                       cmocka_unit_test(ages_reach_over_the_turn), cmocka_unit_test(what_a_cpu_keeps)};

    return cmocka_run_group_tests_name("tlb", tests, NULL, NULL);
}
