// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c mm/compose.c
/*
 * CPU roots: what is copied where, who is fused, and that a root which was kept is never used for anything but what its
 * domain's tables say by then.
 */
#include "mm_fixture.h"

static u64 *kernel_root(void) {
    return cpus[0]->kernel_root->table;
}

static u64 *composed(void) {
    mm_compose(cpus[0], s.v);
    return kernel_root();
}

static void compose_clears_u_in_the_kernel_half(void **state) {
    mfn_t l3 = mm_host_frame(d);
    u64 low = mm_host_table(s.l[4])[0];
    struct guest_root *root = &cpus[0]->root[0][0];

    (void)state;
    assert_int_equal(mm_host_set(d, s.l[4], 511, mm_pte(l3, MM_RWP | PTE_NX)), 0);
    for (u32 i = 0; i < ROOT_SETS * ROOT_WAYS; i++)
        root[i].table[256] = root[i].table[257] = 0x123;
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
    assert_true(kernel_root()[0] == low);
    assert_true(kernel_root()[511] == mm_pte(l3, PTE_P | PTE_W | PTE_NX));
    assert_int_equal(kernel_root()[256], 0x123);
    assert_int_equal(kernel_root()[257], 0x123);
    /* Groups that an L4 can't have. */
    mfn_to_page(s.l[4])->aux |= BIT(16);
    mm_host_table(s.l[4])[256] = low;
    mm_new_epoch(d);
    mm_new_high_epoch(d);
    mm_compose(cpus[0], s.v);
    assert_int_equal(kernel_root()[256], 0x123);
    mm_host_table(s.l[4])[256] = 0;
    mfn_to_page(s.l[4])->aux &= ~(u32)BIT(16);
    cpus[0]->kernel_root->groups &= ~(u32)BIT(16);
    /* What is gone from the base is gone from the root. */
    assert_int_equal(mm_host_set(d, s.l[4], 511, 0), 0);
    mm_compose(cpus[0], s.v);
    assert_int_equal(kernel_root()[511], 0);
    assert_int_equal(kernel_root()[257], 0x123);
}

static void fused_or_split(void **state) {
    mfn_t user = mm_host_frame(d), l3 = mm_host_frame(d), l2 = mm_host_frame(d), low = mm_host_frame(d);
    u64 kernel_low = mm_host_table(s.l[4])[0];

    (void)state;
    assert_int_equal(mm_set_user_base(s.v, user), 0);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
    assert_int_equal(mm_host_set(d, user, 0, kernel_low), 0);
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
    assert_int_equal(mm_host_set(d, user, 0, kernel_low & ~PTE_W), 0);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
    assert_int_equal(mm_host_set(d, user, 0, kernel_low | PTE_A), 0);
    /* The kernel half of the user base counts when it leads anywhere. */
    assert_int_equal(mm_host_set(d, user, 511, mm_pte(l3, MM_RWP)), 0);
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
    assert_int_equal(mm_host_set(d, l3, 510, mm_pte(l2, MM_RWP)), 0);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
    assert_true(cpus[0]->user_root.table[511] == mm_pte(l3, MM_RWP));
    assert_int_equal(mm_host_set(d, l3, 510, 0), 0);
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
    assert_int_equal(mm_host_set(d, user, 255, mm_pte(low, MM_RWP)), 0);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
    assert_int_equal(mm_set_user_base(s.v, s.l[4]), 0);
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
}

/* A kernel table of its own, with one entry: slot 272. */
static mfn_t l4_with(mfn_t l3) {
    mfn_t l4 = mm_host_frame(d);

    mm_host_table(l4)[272] = mm_pte(l3, MM_RWP);
    return l4;
}

#define SHOWN(l3) (mm_pte(l3, MM_RWP) & ~PTE_U)
#define MARK 0x7770007

/* What was composed is used again as it is: a mark in it stays. */
static void roots_are_kept(void **state) {
    mfn_t l3 = mm_host_frame(d), base[2] = {l4_with(l3), l4_with(l3)};
    u64 *first;

    (void)state;
    assert_int_equal(mm_set_base(s.v, base[0]), 0);
    first = composed();
    assert_true(first[272] == SHOWN(l3));
    first[300] = MARK;
    assert_int_equal(mm_pin(d, base[0], PT_L4), 0);
    assert_int_equal(mm_set_base(s.v, base[1]), 0);
    assert_true(composed() != first);
    assert_int_equal(mm_set_base(s.v, base[0]), 0);
    assert_true(composed() == first); /* base[1] stopped being a table meanwhile: composed again, in the same place */
    assert_int_equal(mm_pin(d, base[1], PT_L4), 0);
    first[272] |= MARK;
    assert_int_equal(mm_set_base(s.v, base[1]), 0);
    assert_true(composed()[272] == SHOWN(l3));
    assert_int_equal(mm_set_base(s.v, base[0]), 0);
    assert_true(composed()[272] == (SHOWN(l3) | MARK));
    /* Another user base with the same kernel base is another root. */
    assert_int_equal(mm_host_set(d, base[0], 3, mm_pte(l3, MM_RWP)), 0);
    composed()[3] |= MARK;
    assert_int_equal(mm_set_user_base(s.v, s.l[4]), 0);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
    assert_true(kernel_root()[3] == mm_pte(l3, MM_RWP));
    /* Nobody uses a split vCPU's again. */
    kernel_root()[3] |= MARK;
    assert_true(composed()[3] == mm_pte(l3, MM_RWP));
}

/* Translations made with a root are not kept when other entries are put into it. */
static void what_is_composed_anew_keeps_no_translations(void **state) {
    mfn_t l3 = mm_host_frame(d), l4 = l4_with(l3);

    (void)state;
    assert_int_equal(mm_set_base(s.v, l4), 0);
    composed();
    cpus[0]->kept_root = MARK;
    composed();
    assert_true(cpus[0]->kept_root == MARK);
    assert_int_equal(mm_host_set(d, l4, 3, mm_pte(l3, MM_RWP)), 0);
    composed();
    assert_true(cpus[0]->kept_root == 0);
}

/* Entries of the low half change; the kernel half is kept until one of its own does, in any L4. */
static void kernel_halves_are_kept(void **state) {
    mfn_t l3 = mm_host_frame(d), l4 = l4_with(l3), another = l4_with(l3);

    (void)state;
    assert_int_equal(mm_pin(d, another, PT_L4), 0);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    composed()[272] |= MARK;
    assert_int_equal(mm_host_set(d, l4, 3, mm_pte(l3, MM_RWP)), 0);
    assert_true(composed()[3] == mm_pte(l3, MM_RWP));
    assert_true(kernel_root()[272] == (SHOWN(l3) | MARK));
    assert_int_equal(mm_host_set(d, l4, 3, 0), 0);
    assert_int_equal(composed()[3], 0);
    assert_true(kernel_root()[272] == (SHOWN(l3) | MARK));
    assert_int_equal(mm_host_set(d, l4, 273, mm_pte(l3, MM_RWP)), 0);
    assert_true(composed()[272] == SHOWN(l3) && kernel_root()[273] == SHOWN(l3));
    kernel_root()[272] |= MARK;
    assert_int_equal(mm_host_set(d, another, 272, 0), 0);
    assert_true(composed()[272] == SHOWN(l3));
    /* What is gone from there is not forgotten when the low half is filled. */
    assert_int_equal(mm_host_set(d, l4, 3, mm_pte(l3, MM_RWP)), 0);
    mm_compose(cpus[0], s.v);
    assert_int_equal(mm_host_set(d, l4, 272, 0), 0);
    assert_int_equal(mm_host_set(d, l4, 273, 0), 0);
    assert_int_equal(composed()[272], 0);
    assert_int_equal(kernel_root()[273], 0);
}

/* More kernel bases than there are places for roots. */
static void roots_make_room(void **state) {
    mfn_t l3[2 * ROOT_SETS * ROOT_WAYS], base[2 * ROOT_SETS * ROOT_WAYS];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
        l3[i] = mm_host_frame(d);
        base[i] = l4_with(l3[i]);
        assert_int_equal(mm_pin(d, base[i], PT_L4), 0);
    }
    for (u32 i = 0; i < 3 * ARRAY_SIZE(base); i++) {
        u32 k = i * 5 % ARRAY_SIZE(base);

        assert_int_equal(mm_set_base(s.v, base[k]), 0);
        assert_true(composed()[272] == SHOWN(l3[k]));
    }
}

/* Entries of a table that no vCPU has as base just then. */
static void kept_roots_see_changed_entries(void **state) {
    mfn_t l3 = mm_host_frame(d), l4 = l4_with(l3);

    (void)state;
    assert_int_equal(mm_pin(d, l4, PT_L4), 0);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    assert_true(composed()[272] == SHOWN(l3));
    assert_int_equal(mm_set_base(s.v, s.l[4]), 0);
    assert_int_equal(composed()[272], 0);
    host_take_requests(0);
    assert_int_equal(mm_host_set(d, l4, 272, 0), 0);
    assert_int_equal(host_take_requests(0), 0);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(l3), 1);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    assert_int_equal(composed()[272], 0);
}

/* A table that stopped being one, was written as memory, and became one again. */
static void kept_roots_end_with_their_table(void **state) {
    mfn_t l3 = mm_host_frame(d), l4 = l4_with(l3);

    (void)state;
    assert_int_equal(mm_pin(d, l4, PT_L4), 0);
    assert_int_equal(mm_set_base(s.v, l4), 0);
    assert_true(composed()[272] == SHOWN(l3));
    assert_int_equal(mm_set_base(s.v, s.l[4]), 0);
    mm_compose(cpus[0], s.v);
    assert_int_equal(mm_unpin(d, l4), 0);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(l3), 1);
    mm_host_table(l4)[272] = 0;
    assert_int_equal(mm_set_base(s.v, l4), 0);
    assert_int_equal(composed()[272], 0);
}

/* The decision that a vCPU is fused ends when an L3 stops being empty under a table that is nobody's base just then. */
static void kept_roots_see_filled_tables(void **state) {
    mfn_t l3 = mm_host_frame(d), l2 = mm_host_frame(d), user = l4_with(l3);

    (void)state;
    mm_host_table(user)[0] = mm_host_table(s.l[4])[0];
    assert_int_equal(mm_pin(d, user, PT_L4), 0);
    assert_int_equal(mm_set_user_base(s.v, user), 0);
    mm_compose(cpus[0], s.v);
    assert_true(s.v->fused);
    assert_int_equal(mm_set_user_base(s.v, MFN_INVALID), 0);
    assert_int_equal(mm_host_set(d, l3, 1, mm_pte(l2, MM_RWP)), 0);
    assert_int_equal(mm_set_user_base(s.v, user), 0);
    mm_compose(cpus[0], s.v);
    assert_false(s.v->fused);
}

/* The next domain has the same frames, the same number, maybe the same struct. */
static void kept_roots_end_with_their_domain(void **state) {
    mfn_t l3 = mm_host_frame(other), l4 = mm_host_frame(other);

    (void)state;
    mm_host_table(l4)[272] = mm_pte(l3, MM_RWP);
    assert_int_equal(mm_set_base(other->vcpu[0], l4), 0);
    mm_compose(cpus[0], other->vcpu[0]);
    assert_true(kernel_root()[272] == SHOWN(l3));
    assert_true(mm_host_destroy(other, 0));
    other = mm_host_domain(2, 1, 100);
    for (u32 i = 0; i < 2; i++) {
        mfn_t again = mm_host_frame(other);

        if (mfn_eq(again, l4))
            break;
    }
    assert_int_equal(mfn_to_page(l4)->owner, other->id + 1);
    assert_int_equal(mm_set_base(other->vcpu[0], l4), 0);
    mm_compose(cpus[0], other->vcpu[0]);
    assert_int_equal(kernel_root()[272], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(compose_clears_u_in_the_kernel_half),
        T(what_is_composed_anew_keeps_no_translations),
        T(fused_or_split),
        T(roots_are_kept),
        T(kernel_halves_are_kept),
        T(roots_make_room),
        T(kept_roots_see_changed_entries),
        T(kept_roots_end_with_their_table),
        T(kept_roots_see_filled_tables),
        T(kept_roots_end_with_their_domain),
    };

    return cmocka_run_group_tests_name("mm_roots", tests, NULL, NULL);
}
