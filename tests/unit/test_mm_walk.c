// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c
/* Software walks of guests' tables, which are remembered for a while; copies from and to what they find. */
#include "mm_fixture.h"

static void walks(void **state) {
    mfn_t a = mm_host_frame(d);
    maddr_t entry;

    (void)state;
    assert_int_equal(map(0, a, MM_RWP), 0);
    assert_true(mm_walk(s.l[4], gva(MM_SLOT_VA(0) + 8), &entry) == mm_pte(a, MM_RWP));
    assert_true(entry.a == mfn_to_maddr(s.l[1]).a);
    assert_int_equal(mm_walk(s.l[4], gva(MM_SLOT_VA(1)), &entry), 0);
    assert_true(entry.a == mfn_to_maddr(s.l[1]).a + 8);
    /* Rights are those of all levels together. */
    assert_int_equal(mm_host_set(d, s.l[3], pt_slot(MM_MAP_BASE, 3), mm_pte(s.l[2], PTE_P | PTE_NX)), 0);
    assert_true(mm_walk(s.l[4], gva(MM_SLOT_VA(0)), NULL) == mm_pte(a, PTE_P | PTE_NX));
    assert_int_equal(mm_walk(MFN_INVALID, gva(MM_SLOT_VA(0)), NULL), 0);
    assert_int_equal(mm_walk(s.l[4], gva(0x800000000000), NULL), 0);
    assert_int_equal(mm_walk(s.l[4], gva(BIT(48) + MM_SLOT_VA(0)), NULL), 0);
    /* Whatever the guest left in the slots that are not its own. */
    mm_host_table(s.l[4])[256] = mm_host_table(s.l[4])[0];
    assert_int_equal(mm_walk(s.l[4], gva(0xffff800000000000 + MM_SLOT_VA(0)), NULL), 0);
    mm_host_table(s.l[4])[256] = 0;
    /* A table that is named and not present. */
    mm_host_table(s.l[3])[pt_slot(MM_MAP_BASE, 3)] &= ~PTE_P;
    assert_int_equal(mm_walk(s.l[4], gva(MM_SLOT_VA(0)), &entry), 0);
    assert_true(entry.a == 0);
    mm_host_table(s.l[3])[pt_slot(MM_MAP_BASE, 3)] |= PTE_P;
}

static void check_walk(u64 va, u64 pte) {
    maddr_t entry;

    assert_true(mm_walk_vcpu(s.v, gva(va), &entry) == pte);
    assert_true(mm_host_walks_agree(s.v));
}

/* The upper levels of a walk are remembered until one of them says something else. */
static void walks_are_remembered(void **state) {
    mfn_t a = mm_host_frame(d), b = mm_host_frame(d), l1 = mm_host_frame(d), l2 = mm_host_frame(d),
          l3 = mm_host_frame(d);
    u32 slot2 = pt_slot(MM_MAP_BASE, 2), slot3 = pt_slot(MM_MAP_BASE, 3), slot4 = pt_slot(MM_MAP_BASE, 4);
    u64 epoch;

    (void)state;
    assert_int_equal(map(0, a, MM_RWP), 0);
    mm_host_table(l1)[0] = mm_pte(b, MM_RWP);
    check_walk(MM_SLOT_VA(0), mm_pte(a, MM_RWP));
    epoch = d->walk_epoch;
    /* Leaves are read each time, and what was not there was not remembered. */
    assert_int_equal(map(1, b, MM_RWP), 0);
    check_walk(MM_SLOT_VA(1), mm_pte(b, MM_RWP));
    check_walk(MM_SLOT_VA(512), 0);
    assert_int_equal(mm_host_set(d, s.l[2], slot2 + 1, mm_pte(l1, MM_RWP)), 0);
    check_walk(MM_SLOT_VA(512), mm_pte(b, MM_RWP));
    assert_true(d->walk_epoch == epoch);
    /* Other rights, or another table, at each level. */
    assert_int_equal(mm_host_set(d, s.l[2], slot2, mm_pte(s.l[1], PTE_P | PTE_U)), 0);
    check_walk(MM_SLOT_VA(0), mm_pte(a, PTE_P | PTE_U));
    assert_int_equal(mm_host_set(d, s.l[2], slot2, mm_pte(l1, MM_RWP)), 0);
    check_walk(MM_SLOT_VA(0), mm_pte(b, MM_RWP));
    assert_int_equal(mm_host_set(d, s.l[3], slot3, mm_pte(l2, MM_RWP)), 0);
    check_walk(MM_SLOT_VA(0), 0);
    assert_int_equal(mm_host_set(d, s.l[3], slot3, mm_pte(s.l[2], MM_RWP)), 0);
    check_walk(MM_SLOT_VA(0), mm_pte(b, MM_RWP));
    assert_int_equal(mm_host_set(d, s.l[4], slot4, mm_pte(l3, MM_RWP)), 0);
    check_walk(MM_SLOT_VA(0), 0);
}

/* Each base has its own; and one that was no table for a while is another. */
static void walks_are_of_a_base(void **state) {
    mfn_t l4 = mm_host_frame(d), a = mm_host_frame(d);
    u64 pte = mm_pte(a, MM_RWP);

    (void)state;
    assert_int_equal(map(0, a, MM_RWP), 0);
    check_walk(MM_SLOT_VA(0), pte);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    check_walk(MM_SLOT_VA(0), 0);
    mm_host_table(s.l[4])[511] = 0;
    assert_int_equal(mm_set_base(s.v, s.l[4]), 0);
    check_walk(MM_SLOT_VA(0), pte);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    assert_true(mm_drain(d));
    mm_host_table(s.l[4])[0] = 0;
    assert_int_equal(mm_set_base(s.v, s.l[4]), 0);
    check_walk(MM_SLOT_VA(0), 0);
}

/* Bases whose walks would be remembered in the same place. */
static void walks_share_places(void **state) {
    mfn_t l4, a = mm_host_frame(d);
    u64 pte = mm_pte(a, MM_RWP);

    (void)state;
    do
        l4 = mm_host_frame(d);
    while ((l4.n - s.l[4].n) % NR_WALKS);
    assert_int_equal(map(0, a, MM_RWP), 0);
    assert_int_equal(mm_pin(d, s.l[4], PT_L4), 0);
    assert_int_equal(mm_pin(d, l4, PT_L4), 0);
    check_walk(MM_SLOT_VA(0), pte);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    check_walk(MM_SLOT_VA(0), 0);
    assert_int_equal(mm_set_base(s.v, s.l[4]), 0);
    check_walk(MM_SLOT_VA(0), pte);
}

/* A table that changes under a walk can name any frame: what is no RAM reads as zeros, what is beyond it is not read.
 */
static void walks_end_outside_ram(void **state) {
    u64 *l1 = mm_host_table(s.l[1]), *l2 = &mm_host_table(s.l[2])[pt_slot(MM_MAP_BASE, 2)], saved = *l2;
    const u64 outside[] = {MM_HOLE, MM_FRAMES, 1ul << 39};
    char byte;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
        *l2 = mm_pte(mfn(outside[i]), MM_RWP);
        assert_int_equal(mm_walk(s.l[4], gva(MM_SLOT_VA(0)), NULL), 0);
        *l2 = saved;
        l1[0] = mm_pte(mfn(outside[i]), MM_RWP);
        assert_int_equal(copy_from_guest(&byte, gva(MM_SLOT_VA(0)), 1), -EFAULT);
        assert_int_equal(copy_to_guest(gva(MM_SLOT_VA(0)), &byte, 1), -EFAULT);
        l1[0] = 0;
    }
}

static void copies(void **state) {
    mfn_t a = mm_host_frame(d), b = mm_host_frame(d), theirs = mm_host_frame(other);
    u8 out[100], in[100];
    u64 edge = MM_SLOT_VA(1) - 50, fault;

    (void)state;
    for (u32 i = 0; i < 100; i++)
        in[i] = (u8)i;
    assert_int_equal(map(0, a, MM_RWP), 0);
    assert_int_equal(copy_to_guest(gva(edge), in, 100), -EFAULT);
    assert_int_equal(copy_frame_to_vcpu(s.v, gva(edge), in + 1, 99, &fault), -EFAULT);
    assert_true(fault == MM_SLOT_VA(1));
    assert_int_equal(((u8 *)mm_host_table(a))[PAGE_SIZE - 49], 1);    /* from the first copy, not the second */
    assert_int_equal(copy_from_guest(out, gva(edge), ~0ul), -EFAULT); /* its end is before its beginning */
    assert_int_equal(map(1, b, MM_RWP), 0);
    assert_int_equal(copy_to_guest(gva(edge), in, 100), 0);
    assert_int_equal(copy_from_guest(out, gva(edge), 100), 0);
    assert_memory_equal(in, out, 100);
    assert_int_equal(copy_frame_to_vcpu(s.v, gva(edge), in, 100, &fault), 0);
    assert_int_equal(map(1, b, PTE_P), 0);
    assert_int_equal(copy_to_guest(gva(edge + 50), in, 10), -EFAULT);
    assert_int_equal(copy_from_guest(out, gva(edge + 50), 10), 0);
    /* Tables can be read, and not written whatever an entry says; others' frames neither. */
    assert_int_equal(map(2, s.l[1], PTE_P), 0);
    assert_int_equal(copy_from_guest(out, gva(MM_SLOT_VA(2)), 8), 0);
    mm_host_table(s.l[1])[2] |= PTE_W;
    assert_int_equal(copy_to_guest(gva(MM_SLOT_VA(2)), in, 8), -EFAULT);
    mm_host_table(s.l[1])[2] &= ~PTE_W;
    mm_host_table(s.l[1])[3] = mm_pte(theirs, MM_RWP);
    assert_int_equal(copy_to_guest(gva(MM_SLOT_VA(3)), in, 8), -EFAULT);
    assert_int_equal(copy_from_guest(out, gva(MM_SLOT_VA(3)), 8), -EFAULT);
    mm_host_table(s.l[1])[3] = mm_pte(mfn(BEYOND), MM_RWP);
    assert_int_equal(copy_to_guest(gva(MM_SLOT_VA(3)), in, 8), -EFAULT);
    assert_int_equal(copy_from_guest(out, gva(MM_SLOT_VA(3)), 8), -EFAULT);
    mm_host_table(s.l[1])[3] = 0;
    assert_int_equal(mm_refs(a), 2);
    assert_int_equal(mm_uses(a), 1);
    assert_int_equal(mm_refs(theirs), 1);
}

static void trapped_writes_find_their_entry(void **state) {
    maddr_t entry;
    u64 old;

    (void)state;
    assert_int_equal(map(5, s.l[1], PTE_P), 0);
    assert_int_equal(map(6, s.l[2], PTE_P), 0);
    assert_true(mm_find_pt_write(s.v, gva(MM_SLOT_VA(5) + 5 * 8 + 3), &entry, &old));
    assert_true(entry.a == mfn_to_maddr(s.l[1]).a + 40);
    assert_true(old == mm_pte(s.l[1], PTE_P));
    assert_false(mm_find_pt_write(s.v, gva(MM_SLOT_VA(6)), &entry, &old));
    assert_false(mm_find_pt_write(s.v, gva(MM_SLOT_VA(7)), &entry, &old));
    mfn_t theirs = mm_host_frame(other);
    assert_int_equal(mm_pin(other, theirs, PT_L1), 0);
    mm_host_table(s.l[1])[7] = mm_pte(theirs, PTE_P); /* as a walk would see it that lost a race */
    assert_false(mm_find_pt_write(s.v, gva(MM_SLOT_VA(7)), &entry, &old));
    mm_host_table(s.l[1])[7] = mm_pte(mfn(BEYOND), PTE_P);
    assert_false(mm_find_pt_write(s.v, gva(MM_SLOT_VA(7)), &entry, &old));
    mm_host_table(s.l[1])[7] = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(walks),
        T(walks_are_remembered),
        T(walks_are_of_a_base),
        T(walks_share_places),
        T(walks_end_outside_ram),
        T(copies),
        T(trapped_writes_find_their_entry),
#undef T
    };

    return cmocka_run_group_tests_name("mm_walk", tests, NULL, NULL);
}
