// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c
/*
 * What guests ask for: entries changed, base pointers, descriptor tables; which CPUs are made to come out of their
 * guests.
 */
#include "mm_fixture.h"

static void entries_replace_what_they_held(void **state) {
    mfn_t a = mm_host_frame(d), b = mm_host_frame(d);

    (void)state;
    assert_int_equal(map(0, a, MM_RWP), 0);
    assert_int_equal(mm_refs(a), 2);
    assert_int_equal(map(0, a, MM_RWP | PTE_NX), 0);
    assert_int_equal(mm_refs(a), 2);
    assert_int_equal(mm_uses(a), 1);
    assert_int_equal(map(0, a, PTE_P), 0);
    assert_int_equal(mm_uses(a), 0);
    assert_int_equal(mm_refs(a), 2);
    assert_int_equal(map(0, b, MM_RWP), 0);
    assert_int_equal(mm_refs(a), 1);
    assert_int_equal(mm_uses(b), 1);
    assert_int_equal(map(0, b, MM_RWP & ~PTE_P), 0);
    assert_int_equal(mm_refs(b), 1);
}

/* A frame that another domain granted is memory. As a table it would open all that domain's frames its content names.
 */
static void foreign_frames_are_no_tables(void **state) {
    mfn_t foreign = mm_host_frame(other), own = mm_host_frame(d);
    struct mm_update u = {.value = mm_pte(foreign, MM_RWP)}, named = {.value = mm_pte(own, MM_RWP)};

    (void)state;
    for (u32 level = 2; level <= 4; level++) {
        u.entry = maddr(mfn_to_maddr(s.l[level]).a + 8 * 5);
        assert_int_equal(mm_update_entry(d, other, &u), -EINVAL);
        assert_int_equal(mm_refs(foreign), 1);
        assert_int_equal(mm_uses(foreign), 0);
        /* The other has no such frame. */
        named.entry = u.entry;
        assert_int_equal(mm_update_entry(d, other, &named), -EINVAL);
        assert_int_equal(mm_update_entry(d, NULL, &named), -EINVAL);
        assert_int_equal(mm_refs(own), 1);
    }
    u.entry = maddr(mfn_to_maddr(s.l[1]).a + 8 * 5);
    assert_int_equal(mm_update_entry(d, other, &u), 0);
    assert_int_equal(mm_uses(foreign), 1);
}

static void accessed_and_dirty_are_kept_on_demand(void **state) {
    mfn_t a = mm_host_frame(d);
    u64 *entry = &mm_host_table(s.l[1])[4];
    struct mm_update u = {.entry = maddr(mfn_to_maddr(s.l[1]).a + 32), .value = mm_pte(a, MM_RWP), .preserve_ad = true};

    (void)state;
    assert_int_equal(mm_update_entry(d, d, &u), 0);
    *entry |= PTE_A | PTE_D;
    u.value = mm_pte(a, PTE_P | PTE_U);
    assert_int_equal(mm_update_entry(d, d, &u), 0);
    assert_true(*entry == mm_pte(a, PTE_P | PTE_U | PTE_A | PTE_D));
    u.preserve_ad = false;
    assert_int_equal(mm_update_entry(d, d, &u), 0);
    assert_true(*entry == mm_pte(a, PTE_P | PTE_U));
}

/* A trapped write computed its value from what the entry was; a bit the CPU set since must not be lost. */
static void an_exact_update_finds_the_entry_changed(void **state) {
    mfn_t a = mm_host_frame(d), b = mm_host_frame(d);
    u64 *entry = &mm_host_table(s.l[1])[4];
    struct mm_update u = {.entry = maddr(mfn_to_maddr(s.l[1]).a + 32),
                          .value = mm_pte(b, MM_RWP),
                          .exact = true,
                          .expected = mm_pte(a, MM_RWP)};

    (void)state;
    assert_int_equal(map(4, a, MM_RWP), 0);
    *entry |= PTE_D;
    assert_int_equal(mm_update_entry(d, d, &u), -ERESTART);
    assert_true(*entry == mm_pte(a, MM_RWP | PTE_D));
    assert_int_equal(mm_refs(b), 1);
    u.expected |= PTE_D;
    assert_int_equal(mm_update_entry(d, d, &u), 0);
    assert_true(*entry == mm_pte(b, MM_RWP));
}

/* The L1 table that a trapped write found has become a table of another level. */
static void an_exact_update_finds_another_table(void **state) {
    mfn_t l1 = mm_host_frame(d);
    struct mm_update u = {.entry = maddr(mfn_to_maddr(s.l[2]).a + 8 * 5),
                          .value = mm_pte(l1, MM_RWP),
                          .exact = true,
                          .expected = mm_pte(l1, PTE_P)};

    (void)state;
    assert_int_equal(mm_update_entry(d, d, &u), -ERESTART);
    assert_int_equal(mm_host_table(s.l[2])[5], 0);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(l1), 1);
    assert_int_equal(mm_uses(l1), 0);
}

static void writable_and_table_conflict(void **state) {
    mfn_t a = mm_host_frame(d), table = mm_host_frame(d);
    struct mm_update u = {.entry = maddr(1)};

    (void)state;
    assert_int_equal(map(0, s.l[1], MM_RWP), -EBUSY);
    assert_int_equal(map(0, s.l[1], PTE_P), 0);
    assert_int_equal(mm_host_table(s.l[1])[1], 0);
    assert_int_equal(map(1, table, MM_RWP), 0);
    assert_int_equal(mm_pin(d, table, PT_L1), -EINVAL);
    assert_int_equal(mm_host_set(d, s.l[2], 9, mm_pte(table, MM_RWP)), -EINVAL);
    assert_int_equal(map(1, table, PTE_P), 0);
    assert_int_equal(mm_host_set(d, s.l[2], 9, mm_pte(table, MM_RWP)), 0);
    assert_int_equal(map(1, table, MM_RWP), -EBUSY);
    assert_int_equal(mm_update_entry(d, d, &u), -EINVAL);
    u.entry = maddr(mfn_to_maddr(a).a + 4);
    assert_int_equal(mm_update_entry(d, d, &u), -EINVAL);
    u.entry = mfn_to_maddr(mfn(BEYOND));
    assert_int_equal(mm_update_entry(d, d, &u), -EINVAL);
    u.entry = maddr(mfn_to_maddr(mm_host_frame(other)).a);
    assert_int_equal(mm_update_entry(d, d, &u), -EINVAL);
    /* Plain memory may be written as well. */
    assert_int_equal(mm_host_set(d, a, 77, 0x1234), 0);
    assert_int_equal(mm_host_table(a)[77], 0x1234);
    assert_int_equal(mm_uses(a), 0);
}

/* A leaf may be another domain's frame, which the table's owner must not get as a table of its own: it would decide
 * what of that domain's memory its entries map. So a table that has become another one since it was looked at is
 * refused. */
static void a_leaf_goes_into_l1_tables_only(void **state) {
    mfn_t theirs = mm_host_frame(other), plain = mm_host_frame(d), begun = mm_host_frame(d);
    struct mm_update u = {.value = mm_pte(theirs, MM_RWP), .leaf = true};

    (void)state;
    for (int level = 2; level <= 4; level++) {
        u.entry = maddr(mfn_to_maddr(s.l[level]).a + 8 * 8);
        assert_int_equal(mm_update_entry(d, other, &u), -EINVAL);
        assert_int_equal(mm_host_table(s.l[level])[8], 0);
    }
    u.entry = mfn_to_maddr(plain);
    assert_int_equal(mm_update_entry(d, other, &u), -EINVAL);
    assert_int_equal(mm_host_table(plain)[0], 0);
    assert_int_equal(mm_pin(d, begun, PT_L1), 0);
    assert_int_equal(mm_unpin(d, begun), 0);
    u.entry = mfn_to_maddr(begun);
    assert_int_equal(mm_update_entry(d, other, &u), -EINVAL);
    assert_int_equal(mm_refs(theirs), 1);
    assert_int_equal(mm_uses(theirs), 0);
    u.entry = mfn_to_maddr(s.l[1]);
    assert_int_equal(mm_update_entry(d, other, &u), 0);
    assert_int_equal(mm_uses(theirs), 1);
}

/* Frames of devices, which mmu_update may ask for, have no owner here. */
static void nobodys_frames_are_not_mapped(void **state) {
    mfn_t mine = mm_host_frame(d);
    struct mm_update u = {.entry = mfn_to_maddr(s.l[1]), .value = mm_pte(mine, MM_RWP)};

    (void)state;
    assert_int_equal(mm_update_entry(d, NULL, &u), -EBUSY);
    u.value = mm_pte(mfn(MM_HOLE), MM_RWP);
    assert_int_equal(mm_update_entry(d, NULL, &u), -EPERM);
    assert_int_equal(mm_refs(mine), 1);
}

static void update_by_address(void **state) {
    mfn_t a = mm_host_frame(d);

    (void)state;
    assert_int_equal(mm_update_va(s.v, gva(MM_SLOT_VA(3)), mm_pte(a, MM_RWP), d), 0);
    assert_true(mm_host_table(s.l[1])[3] == mm_pte(a, MM_RWP));
    assert_int_equal(mm_update_va(s.v, gva(0x7000000000), 0, d), -EINVAL);
    assert_int_equal(mm_update_va(s.v, gva(0xffff800000000000), 0, d), -EINVAL);
    assert_int_equal(mm_update_va(s.v, gva(0x1000000000000000), 0, d), -EINVAL);
}

static void entries_move_with_what_they_hold(void **state) {
    mfn_t a = mm_host_frame(d), b = mm_host_frame(d), theirs = mm_host_frame(other);
    maddr_t first = mfn_to_maddr(s.l[1]), second = maddr(first.a + 8);
    u64 *t = mm_host_table(s.l[1]);

    (void)state;
    assert_int_equal(map(0, a, MM_RWP), 0);
    assert_int_equal(map(1, b, PTE_P), 0);
    assert_int_equal(mm_move_entry(d, first, second, mm_pte(b, PTE_P | PTE_W)), -EINVAL);
    assert_int_equal(mm_move_entry(d, first, second, mm_pte(a, PTE_P)), -EINVAL);
    assert_int_equal(mm_move_entry(d, second, second, mm_pte(b, PTE_P)), -EINVAL);
    assert_int_equal(mm_move_entry(d, mfn_to_maddr(s.l[2]), second, mm_pte(b, PTE_P)), -EINVAL);
    assert_int_equal(mm_move_entry(d, mfn_to_maddr(theirs), second, mm_pte(b, PTE_P)), -EINVAL);
    assert_int_equal(mm_move_entry(d, mfn_to_maddr(mfn(MM_HOLE)), second, mm_pte(b, PTE_P)), -EINVAL);
    assert_int_equal(mm_move_entry(d, mfn_to_maddr(b), second, mm_pte(b, PTE_P)), -EINVAL);
    assert_int_equal(mm_move_entry(d, maddr(first.a + 1), second, mm_pte(b, PTE_P)), -EINVAL);
    assert_true(t[0] == mm_pte(a, MM_RWP) && t[1] == mm_pte(b, PTE_P));
    assert_int_equal(mm_refs(s.l[1]), 2);
    t[1] |= PTE_A; /* as the CPU does */
    assert_int_equal(mm_move_entry(d, first, second, mm_pte(b, PTE_P)), 0);
    assert_true(t[0] == 0 && t[1] == mm_pte(a, MM_RWP));
    assert_int_equal(mm_refs(a), 2);
    assert_int_equal(mm_uses(a), 1);
    assert_int_equal(mm_refs(b), 1);
    assert_int_equal(mm_move_entry(d, first, second, mm_pte(a, PTE_P | PTE_W)), 0); /* nothing moves too */
    assert_int_equal(t[1], 0);
    assert_int_equal(mm_uses(a), 0);
}

static void bases_hold_their_tables(void **state) {
    mfn_t l4 = mm_host_frame(d), l1 = mm_host_frame(d);
    struct vcpu *v = d->vcpu[1];

    (void)state;
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    assert_int_equal(mm_set_base(v, l1), -EINVAL);
    assert_int_equal(mm_set_base(v, MFN_INVALID), -EINVAL);
    assert_int_equal(mm_set_base(v, mfn(MM_HOLE)), -EINVAL);
    assert_int_equal(mm_set_base(v, mfn(BEYOND)), -EINVAL);
    assert_int_equal(mm_set_base(v, mm_host_frame(other)), -EINVAL);
    assert_int_equal(mm_set_base(v, l4), 0);
    assert_int_equal(mm_set_user_base(v, l4), 0);
    assert_int_equal(mm_uses(l4), 2);
    assert_int_equal(mm_set_user_base(v, MFN_INVALID), 0);
    assert_int_equal(mm_set_base(v, s.l[4]), 0);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(l4), 1);
    mm_drop_bases(v);
    assert_int_equal(mm_uses(s.l[4]), 1);
}

/* Each vCPU loaded somewhere composes anew, and only those whose base changed are interrupted. */
static void roots_are_composed_anew(void **state) {
    mfn_t l3 = mm_host_frame(d), l2 = mm_host_frame(d), l4 = mm_host_frame(d);

    (void)state;
    assert_int_equal(mm_set_base(d->vcpu[1], s.l[4]), 0);
    assert_int_equal(mm_set_base(d->vcpu[2], l4), 0);
    for (u32 i = 1; i < 3; i++) {
        d->vcpu[i]->cpu = cpus[i];
        cpus[i]->current = d->vcpu[i];
        cpus[i]->in_guest = 1;
        cpus[i]->tlb_clock = tlb_clock_now();
    }
    host_take_requests(0);
    mm_flushed = 0;
    assert_int_equal(mm_host_set(d, s.l[4], 300, mm_pte(l3, MM_RWP)), 0);
    assert_int_equal(mm_flushed, BIT(1));
    assert_int_equal(host_take_requests(0), CPU_REQ_RECOMPOSE);
    assert_int_equal(host_take_requests(1), CPU_REQ_RECOMPOSE);
    assert_int_equal(host_take_requests(2), 0);
    assert_int_equal(mfn_to_page(s.l[4])->aux, 1u << 300 / 16 | 1);
    /* An L3 that stops being empty, or becomes so, may change who is fused; nothing else in it does. */
    mm_flushed = 0;
    assert_int_equal(mm_host_set(d, l3, 0, mm_pte(l2, MM_RWP)), 0);
    assert_int_equal(mm_flushed, BIT(1) | BIT(2));
    mm_flushed = 0;
    assert_int_equal(mm_host_set(d, l3, 1, mm_pte(l2, MM_RWP)), 0);
    assert_int_equal(mm_flushed, 0);
    assert_int_equal(mfn_to_page(l3)->aux, 2);
    assert_int_equal(mm_host_set(d, s.l[4], 300, 0), 0);
    assert_int_equal(mfn_to_page(s.l[4])->aux, 1);
    /* An L4 that is a user base of somebody. */
    mm_flushed = 0;
    assert_int_equal(mm_set_user_base(d->vcpu[1], l4), 0);
    mm_flushed = 0;
    host_take_requests(1);
    assert_int_equal(mm_host_set(d, l4, 300, mm_pte(l3, MM_RWP)), 0);
    assert_int_equal(mm_flushed, BIT(1) | BIT(2));
    assert_int_equal(host_take_requests(1), CPU_REQ_RECOMPOSE);
    /* A base set for a vCPU that is loaded on another CPU. */
    mm_flushed = 0;
    host_take_requests(2);
    assert_int_equal(mm_set_base(d->vcpu[2], s.l[4]), 0);
    assert_int_equal(mm_flushed, BIT(2));
    assert_int_equal(host_take_requests(2), CPU_REQ_RECOMPOSE);
}

#define CODE64 0x00af9a000000fffful
#define DATA 0x00cf92000000fffful
#define CALL_GATE 0x00008c0000080000ul
#define DPL(n) ((u64)(n) << 45)
#define ACCESSED BIT(40)

static void descriptors(void **state) {
    mfn_t gdt = mm_host_frame(d), bad = mm_host_frame(d), theirs = mm_host_frame(other);
    u64 *t = mm_host_table(gdt), frames[2] = {gdt.n, bad.n};

    (void)state;
    t[1] = CODE64;
    t[2] = DATA | DPL(3);
    t[3] = DATA | DPL(2);
    t[4] = CALL_GATE & ~BIT(47);
    mm_host_table(bad)[511] = CALL_GATE | DPL(3);
    assert_int_equal(mm_set_gdt(s.v, frames, 1024), -EINVAL);
    assert_int_equal(mm_uses(gdt), 0);
    assert_int_equal(s.v->gdt_ents, 0);
    assert_int_equal(mm_set_gdt(s.v, frames, 512), 0);
    assert_true(t[1] == (CODE64 | DPL(1) | ACCESSED) && t[2] == (DATA | DPL(3) | ACCESSED));
    assert_true(t[3] == (DATA | DPL(1) | ACCESSED) && t[4] == (CALL_GATE & ~BIT(47)));
    assert_true(cpus[0]->gate_dirty);
    assert_int_equal(map(0, gdt, MM_RWP), -EBUSY);
    assert_int_equal(mm_host_set(d, gdt, 1, 0), -EBUSY);
    assert_int_equal(mm_update_descriptor(d, maddr(mfn_to_maddr(gdt).a + 8), CALL_GATE), -EINVAL);
    assert_int_equal(mm_update_descriptor(d, maddr(mfn_to_maddr(gdt).a + 8), DATA), 0);
    assert_true(t[1] == (DATA | DPL(1) | ACCESSED));
    assert_int_equal(mm_update_descriptor(d, maddr(mfn_to_maddr(gdt).a + 12), DATA), -EINVAL);
    assert_int_equal(mm_update_descriptor(d, mfn_to_maddr(mfn(BEYOND)), DATA), -EINVAL);
    assert_int_equal(mm_update_descriptor(d, mfn_to_maddr(theirs), DATA), -EINVAL);
    assert_int_equal(mm_update_descriptor(d, mfn_to_maddr(s.l[1]), DATA), -EINVAL);
    frames[0] = theirs.n;
    assert_int_equal(mm_set_gdt(s.v, frames, 512), -EINVAL);
    frames[0] = BEYOND;
    assert_int_equal(mm_set_gdt(s.v, frames, 512), -EINVAL);
    frames[0] = s.l[4].n;
    assert_int_equal(mm_set_gdt(s.v, frames, 512), -EINVAL);
    assert_int_equal(mm_set_gdt(s.v, frames, 15 * 512), -EINVAL);
    assert_int_equal(mm_uses(gdt), 1);
    assert_int_equal(mm_set_gdt(s.v, NULL, 0), 0);
    assert_int_equal(mm_uses(gdt), 0);
}

static void local_descriptors(void **state) {
    mfn_t ldt = mm_host_frame(d);

    (void)state;
    mm_host_table(ldt)[0] = DATA;
    assert_int_equal(map(8, ldt, PTE_P), 0);
    assert_int_equal(mm_set_ldt(s.v, gva(MM_SLOT_VA(8) + 8), 1), -EINVAL);
    assert_int_equal(mm_set_ldt(s.v, gva(MM_SLOT_VA(9)), 1), -EINVAL);
    assert_int_equal(mm_set_ldt(s.v, gva(MM_SLOT_VA(8)), 513), -EINVAL);
    for (u32 i = 9; i < 26; i++)
        assert_int_equal(map(i, ldt, PTE_P), 0);
    assert_int_equal(mm_set_ldt(s.v, gva(MM_SLOT_VA(8)), 17 * 512), -EINVAL);
    assert_int_equal(mm_set_ldt(s.v, gva(MM_SLOT_VA(8)), 16 * 512), 0);
    assert_int_equal(mm_set_ldt(s.v, gva(MM_SLOT_VA(8)), 512), 0);
    assert_int_equal(mm_uses(ldt), 1);
    assert_int_equal(mm_set_ldt(s.v, gva(0), 0), 0);
    assert_int_equal(mm_uses(ldt), 0);
}

/* A grantee is refused, and does not wait until the granter gets round to its zombie. */
static void zombies_of_others_are_busy(void **state) {
    mfn_t theirs = mm_host_frame(other);
    struct mm_update u = {.entry = mfn_to_maddr(s.l[1]), .value = mm_pte(theirs, MM_RWP)};

    (void)state;
    assert_int_equal(mm_pin(other, theirs, PT_L1), 0);
    assert_int_equal(mm_unpin(other, theirs), 0);
    assert_int_equal(mm_update_entry(d, other, &u), -EBUSY);
    assert_true(mm_drain(other));
    assert_int_equal(mm_update_entry(d, other, &u), 0);
    assert_int_equal(mm_host_set(d, s.l[1], 0, 0), 0);
    assert_int_equal(mm_refs(theirs), 1);
}

static void the_dying_get_nothing_new(void **state) {
    mfn_t l1 = mm_host_frame(d);

    (void)state;
    d->dying = true;
    assert_int_equal(mm_pin(d, l1, PT_L1), -EINVAL);
    assert_int_equal(mm_set_user_base(s.v, s.l[4]), -EINVAL);
    assert_int_equal(map(0, l1, PTE_P), -EINVAL);
    assert_null(domain_alloc_pages(d, 0));
}

/* To the guest a table that lost its last use is gone at once, with all it held. */
static void descriptors_where_a_zombie_held_a_table(void **state) {
    mfn_t l2 = mm_host_frame(d), a = mm_host_frame(d), b = mm_host_frame(d), c = mm_host_frame(d);

    (void)state;
    mm_host_table(l2)[0] = mm_pte(a, PTE_P);
    mm_host_table(l2)[1] = mm_pte(b, PTE_P);
    mm_host_table(l2)[2] = mm_pte(c, PTE_P);
    assert_int_equal(mm_pin(d, l2, PT_L2), 0);
    assert_int_equal(mm_set_gdt(s.v, &a.n, 512), -EINVAL);
    assert_int_equal(mm_unpin(d, l2), 0);
    assert_int_equal(MM_RETRY(0, mm_set_gdt(s.v, &a.n, 512)), 0);
    assert_int_equal(mm_pin(d, l2, PT_L2), -EINVAL);
    mm_host_table(l2)[0] = 0;
    assert_int_equal(mm_pin(d, l2, PT_L2), 0);
    assert_int_equal(mm_unpin(d, l2), 0);
    assert_int_equal(MM_RETRY(0, mm_update_descriptor(d, mfn_to_maddr(b), 0)), 0);
    assert_int_equal(mm_pin(d, l2, PT_L2), 0);
    assert_int_equal(mm_unpin(d, l2), 0);
    assert_int_equal(map(9, c, PTE_P), 0);
    assert_int_equal(mm_pin(d, l2, PT_L2), 0);
    assert_int_equal(mm_unpin(d, l2), 0);
    assert_int_equal(MM_RETRY(0, mm_set_ldt(s.v, gva(MM_SLOT_VA(9)), 512)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(entries_replace_what_they_held),
        T(foreign_frames_are_no_tables),
        T(accessed_and_dirty_are_kept_on_demand),
        T(an_exact_update_finds_the_entry_changed),
        T(an_exact_update_finds_another_table),
        T(writable_and_table_conflict),
        T(a_leaf_goes_into_l1_tables_only),
        T(nobodys_frames_are_not_mapped),
        T(update_by_address),
        T(entries_move_with_what_they_hold),
        T(bases_hold_their_tables),
        T(roots_are_composed_anew),
        T(descriptors),
        T(local_descriptors),
        T(descriptors_where_a_zombie_held_a_table),
        T(zombies_of_others_are_busy),
        T(the_dying_get_nothing_new),
#undef T
    };

    return cmocka_run_group_tests_name("mm_update", tests, NULL, NULL);
}
