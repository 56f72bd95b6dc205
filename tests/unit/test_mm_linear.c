// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c mm/compose.c
/*
 * Linear page tables: tables that map themselves or others of their level. What is refused, what each entry holds, that
 * nothing is ever written through one, and that domains with any of them can be taken apart to the last frame.
 */
#include "mm_fixture.h"

static int setup_linear(void **state) {
    setup(state);
    d->linear_tables = true;
    return 0;
}

static int teardown_preempted(void **state) {
    (void)state;
    return all_back(2, 0);
}

static u64 links(mfn_t m) {
    return (mfn_to_page(m)->type & TYPE_LINKS) / TYPE_LINKS_ONE;
}

static u64 linked(mfn_t m) {
    return (mfn_to_page(m)->type & TYPE_LINKED) / TYPE_LINKED_ONE;
}

static mfn_t pinned(enum page_type type) {
    mfn_t m = mm_host_frame(d);

    assert_int_equal(mm_pin(d, m, type), 0);
    return m;
}

static void a_domain_without_the_right_is_refused(void **state) {
    mfn_t with_self = mm_host_frame(d);

    (void)state;
    d->linear_tables = false;
    mm_host_table(with_self)[7] = mm_pte(with_self, PTE_P);
    for (enum page_type t = PT_L2; t <= PT_L4; t++) {
        mfn_t m = pinned(t), peer = pinned(t);

        assert_int_equal(mm_host_set(d, m, 5, mm_pte(m, PTE_P)), -EINVAL);
        assert_int_equal(mm_host_set(d, m, 5, mm_pte(peer, PTE_P)), -EINVAL);
        assert_int_equal(mm_pin(d, with_self, t), -EINVAL);
    }
}

static void a_self_map_holds_nothing(void **state) {
    (void)state;
    for (enum page_type t = PT_L2; t <= PT_L4; t++) {
        mfn_t m = pinned(t), born = mm_host_frame(d);
        u32 refs = mm_refs(m);

        assert_int_equal(mm_host_set(d, m, 5, mm_pte(m, PTE_P | PTE_U)), 0);
        assert_int_equal(mm_refs(m), refs);
        assert_int_equal(mm_uses(m), 1);
        assert_int_equal(mm_unpin(d, m), 0);
        assert_true(mm_drain(d));
        assert_int_equal(mm_uses(m), 0);
        assert_int_equal(mm_refs(m), 1);
        mm_host_table(born)[511] = mm_pte(born, PTE_P);
        assert_int_equal(MM_RETRY(1, mm_pin(d, born, t)), 0);
        assert_int_equal(mm_uses(born), 1);
        assert_int_equal(mm_host_set(d, born, 511, 0), 0);
        assert_int_equal(mm_uses(born), 1);
    }
}

static void nothing_becomes_writable(void **state) {
    (void)state;
    for (enum page_type t = PT_L2; t <= PT_L4; t++) {
        mfn_t m = pinned(t), peer = pinned(t), born = mm_host_frame(d);

        assert_int_equal(mm_host_set(d, m, 5, mm_pte(m, PTE_P | PTE_W)), -EINVAL);
        assert_int_equal(mm_host_set(d, m, 5, mm_pte(peer, PTE_P | PTE_W)), -EINVAL);
        assert_int_equal(mm_host_set(d, m, 5, mm_pte(m, PTE_P)), 0);
        assert_int_equal(mm_host_set(d, m, 6, mm_pte(peer, PTE_P)), 0);
        /* The same entries, but for the one bit. */
        assert_int_equal(mm_host_set(d, m, 5, mm_pte(m, PTE_P | PTE_W)), -EINVAL);
        assert_int_equal(mm_host_set(d, m, 6, mm_pte(peer, PTE_P | PTE_W)), -EINVAL);
        assert_int_equal(mm_host_table(m)[5] & PTE_W, 0);
        mm_host_table(born)[9] = mm_pte(born, PTE_P | PTE_W);
        assert_int_equal(mm_pin(d, born, t), -EINVAL);
        mm_host_table(born)[9] = mm_pte(peer, PTE_P | PTE_W);
        assert_int_equal(mm_pin(d, born, t), -EINVAL);
        assert_int_equal(linked(peer), 1);
    }
}

static void a_link_holds_its_table(void **state) {
    (void)state;
    for (enum page_type t = PT_L2; t <= PT_L4; t++) {
        mfn_t a = mm_host_frame(d), b = pinned(t);

        mm_host_table(a)[3] = mm_host_table(a)[300] = mm_pte(b, PTE_P);
        assert_int_equal(MM_RETRY(0, mm_pin(d, a, t)), 0);
        assert_int_equal(links(a), 2);
        assert_int_equal(linked(b), 2);
        assert_int_equal(mm_uses(b), 3);
        assert_int_equal(mm_unpin(d, b), 0);
        assert_int_equal(mm_host_set(d, a, 3, mm_pte(b, PTE_P | PTE_A)), 0);
        assert_int_equal(mm_host_set(d, a, 3, 0), 0);
        assert_int_equal(links(a), 1);
        assert_int_equal(mm_uses(b), 1);
        assert_int_equal(mm_unpin(d, a), 0);
        assert_true(mm_drain(d));
        assert_int_equal(mm_refs(a), 1);
        assert_int_equal(mm_refs(b), 1);
        assert_int_equal(mfn_to_page(a)->type & (TYPE_LINKS | TYPE_LINKED), 0);
        assert_int_equal(mfn_to_page(b)->type & (TYPE_LINKS | TYPE_LINKED), 0);
    }
}

/* A cycle would keep its tables for ever, and a long chain would be a long way down. */
static void links_make_no_chains(void **state) {
    (void)state;
    for (enum page_type t = PT_L2; t <= PT_L4; t++) {
        mfn_t a = pinned(t), b = pinned(t), c = pinned(t), born = mm_host_frame(d);

        assert_int_equal(mm_host_set(d, a, 1, mm_pte(b, PTE_P)), 0);
        assert_int_equal(mm_host_set(d, b, 1, mm_pte(a, PTE_P)), -EINVAL);
        assert_int_equal(mm_host_set(d, b, 1, mm_pte(c, PTE_P)), -EINVAL);
        assert_int_equal(mm_host_set(d, c, 1, mm_pte(a, PTE_P)), -EINVAL);
        assert_int_equal(mm_host_set(d, c, 1, mm_pte(b, PTE_P)), 0);
        assert_int_equal(mm_host_set(d, b, 2, mm_pte(b, PTE_P)), 0);
        assert_int_equal(mm_host_set(d, a, 2, mm_pte(a, PTE_P)), 0);
        /* A table being validated undoes the links it made. */
        mm_host_table(born)[0] = mm_pte(b, PTE_P);
        mm_host_table(born)[1] = mm_pte(a, PTE_P);
        assert_int_equal(mm_pin(d, born, t), -EINVAL);
        assert_int_equal(linked(b), 2);
        assert_int_equal(links(born), 0);
        assert_int_equal(mm_host_set(d, a, 1, 0), 0);
        assert_int_equal(mm_host_set(d, c, 1, 0), 0);
        assert_int_equal(mm_host_set(d, b, 1, mm_pte(a, PTE_P)), 0);
    }
}

static void only_whole_tables_of_ones_own(void **state) {
    mfn_t a = pinned(PT_L4), theirs = mm_host_frame(other), half = mm_host_frame(d), l2 = pinned(PT_L2);

    (void)state;
    assert_int_equal(mm_pin(other, theirs, PT_L4), 0);
    assert_int_equal(mm_host_set(d, a, 1, mm_pte(theirs, PTE_P)), -EINVAL);
    mm_host_table(half)[3] = mm_pte(mm_host_frame(d), MM_RWP);
    mm_preempt_after = 0;
    assert_int_equal(mm_pin(d, half, PT_L4), -ERESTART);
    mm_preempt_after = -1;
    assert_int_equal(mm_host_set(d, a, 1, mm_pte(half, PTE_P)), -EINVAL);
    assert_int_equal(mm_host_set(d, a, 1, mm_pte(l2, PTE_P)), -EINVAL);
    assert_int_equal(mm_host_set(d, s.l[1], 1, mm_pte(s.l[1], PTE_P)), 0); /* an L1 is plain memory here */
    assert_int_equal(links(a), 0);
}

static void counts_are_bounded(void **state) {
    mfn_t a = pinned(PT_L4), b = pinned(PT_L4);

    (void)state;
    for (u32 i = 0; i < 512; i++)
        assert_int_equal(mm_host_set(d, a, i, mm_pte(b, PTE_P)), i >= 256 && i < 272 ? -EINVAL : 0);
    assert_int_equal(links(a), 496);
    mfn_to_page(b)->type |= TYPE_LINKED;
    assert_int_equal(mm_host_set(d, pinned(PT_L4), 0, mm_pte(b, PTE_P)), -EINVAL);
    mfn_to_page(b)->type = (mfn_to_page(b)->type & ~TYPE_LINKED) | 496 * TYPE_LINKED_ONE;
}

/* Tables read through themselves; addresses with the self-map's slot once, and all four times. */
static void walks_go_through(void **state) {
    u64 linear = 200ul << 39, entry_at = linear | MM_SLOT_VA(3) >> 9,
        root_at = linear | 200ul << 30 | 200ul << 21 | 200 << 12;
    mfn_t data = mm_host_frame(d);
    u64 word = 0, old;
    maddr_t entry;

    (void)state;
    assert_int_equal(mm_host_set(d, s.l[4], 200, mm_pte(s.l[4], PTE_P)), 0);
    assert_int_equal(mm_host_set(d, s.l[1], 3, mm_pte(data, MM_RWP)), 0);
    assert_int_equal(copy_from_guest(&word, gva(entry_at), 8), 0);
    assert_true(word == mm_pte(data, MM_RWP));
    assert_int_equal(copy_from_guest(&word, gva(root_at + 200 * 8), 8), 0);
    assert_true(word == mm_pte(s.l[4], PTE_P));
    assert_int_equal(copy_to_guest(gva(entry_at), &word, 8), -EFAULT);
    assert_int_equal(copy_to_guest(gva(root_at), &word, 8), -EFAULT);
    assert_int_equal(mm_update_va(s.v, gva(entry_at), 0, d), -EINVAL); /* its entry is the L2's */
    assert_true(mm_find_pt_write(s.v, gva(entry_at), &entry, &old));
    assert_true(entry.a == mfn_to_maddr(s.l[1]).a + 24);
    assert_false(mm_find_pt_write(s.v, gva(root_at), &entry, &old));
}

/* The reserved slots of a guest's L4 mean nothing in the root, and are L3 slots to a walk through it. */
static void reserved_slots_lead_nowhere(void **state) {
    mfn_t l4 = mm_host_frame(d), theirs = mm_host_frame(other);

    (void)state;
    for (u32 slot = 256; slot < 272; slot++)
        mm_host_table(l4)[slot] = mm_pte(theirs, MM_RWP);
    mm_host_table(l4)[0] = mm_pte(l4, PTE_P);
    assert_int_equal(mm_set_base(d->vcpu[1], l4), 0);
    for (u64 slot = 256; slot < 272; slot++)
        assert_int_equal(mm_host_table(l4)[slot], 0);
}

/* The user base's kernel half leads to an L4 that is empty, and then is not. */
static void who_is_fused_follows(void **state) {
    mfn_t user = pinned(PT_L4), target = pinned(PT_L4), l3 = pinned(PT_L3);

    (void)state;
    assert_int_equal(mm_host_set(d, user, 0, mm_host_table(s.l[4])[0]), 0);
    assert_int_equal(mm_set_user_base(s.v, user), 0);
    assert_int_equal(mm_host_set(d, user, 400, mm_pte(target, PTE_P)), 0);
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
    host_take_requests(0);
    assert_int_equal(mm_host_set(d, target, 7, mm_pte(l3, MM_RWP)), 0);
    assert_int_equal(host_take_requests(0), CPU_REQ_RECOMPOSE);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_linear, teardown_preempted)
        T(a_domain_without_the_right_is_refused),
        T(a_self_map_holds_nothing),
        T(nothing_becomes_writable),
        T(a_link_holds_its_table),
        T(links_make_no_chains),
        T(only_whole_tables_of_ones_own),
        T(counts_are_bounded),
        T(walks_go_through),
        T(reserved_slots_lead_nowhere),
        T(who_is_fused_follows),
#undef T
    };

    return cmocka_run_group_tests_name("mm_linear", tests, NULL, NULL);
}
