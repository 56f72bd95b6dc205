// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c mm/slab.c
/* The heap of frames and of small objects, the TLB clock, what domains own, and their end with every kind of leftover.
 */
#include "mm_host.h"
#include <cmocka.h>

static struct domain *d, *other;
static u64 free_before;

static int setup(void **state) {
    (void)state;
    mm_host_init(4);
    free_before = heap_free_count();
    d = mm_host_domain(1, 2, 600);
    other = mm_host_domain(2, 1, 100);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (u32 i = 0; i < 4; i++)
        cpus[i]->in_guest = 0;
    assert_true(mm_host_destroy(d, 0));
    assert_true(mm_host_destroy(other, 1));
    assert_int_equal(heap_free_count(), free_before);
    return 0;
}

static void heap_gives_what_it_has(void **state) {
    struct page *pg[9];
    u64 seed = 7;

    (void)state;
    assert_null(heap_alloc_pages(MAX_ORDER + 1));
    assert_null(heap_alloc_pages(11)); /* 2048 frames: there is a hole */
    for (u32 round = 0; round < 200; round++) {
        for (u32 i = 0; i < 9; i++) {
            pg[i] = heap_alloc_pages(i);
            assert_non_null(pg[i]);
            assert_int_equal(page_to_mfn(pg[i]).n & ((1u << i) - 1), 0);
            assert_true(page_to_mfn(pg[i]).n >= MM_OWN);
            assert_true(page_to_mfn(pg[i]).n > MM_HOLE || page_to_mfn(pg[i]).n + (1u << i) <= MM_HOLE);
            memset(page_to_virt(pg[i]), (int)i, PAGE_SIZE << i);
        }
        assert_int_equal(heap_free_count(), free_before - 511);
        for (u32 left = 9; left; left--) {
            u32 k = (u32)(host_random(&seed) % left), order = *(u8 *)page_to_virt(pg[k]);

            heap_free_pages(pg[k], order);
            pg[k] = pg[left - 1];
        }
        assert_int_equal(heap_free_count(), free_before);
    }
    pg[0] = heap_alloc_pages(9); /* all is merged again */
    assert_non_null(pg[0]);
    heap_free_pages(pg[0], 9);
}

static void small_objects(void **state) {
    static const size_t sizes[] = {1, 32, 33, 100, 1000, 2048, 2049, 5000, 70000};
    u8 *p[ARRAY_SIZE(sizes)];
    u64 kept;

    (void)state;
    for (u32 round = 0; round < 3; round++) {
        for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
            p[i] = heap_alloc(sizes[i]);
            assert_int_equal((u64)p[i] % 16, 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(p[i][k], 0);
            memset(p[i], 0xff, sizes[i]);
        }
        for (u32 i = 0; i < ARRAY_SIZE(sizes); i++)
            heap_free(p[i]);
        kept = heap_free_count();
    }
    heap_free(NULL);
    p[0] = heap_alloc(32);
    p[1] = heap_alloc(32);
    assert_ptr_not_equal(p[0], p[1]);
    heap_free(p[0]);
    heap_free(p[1]);
    assert_int_equal(heap_free_count(), kept);
    assert_null(heap_alloc(1ul << 40));
    free_before = kept; /* pages of a size stay with it */
}

/* Only CPUs in a guest with a note older than the frame's clock are made to come out. */
static void stale_cpus_are_flushed(void **state) {
    u32 before = tlb_clock_now(), loss;

    (void)state;
    for (u32 i = 1; i < 4; i++) {
        cpus[i]->tlb_clock = before;
        cpus[i]->in_guest = i != 3;
    }
    loss = tlb_clock_advance();
    cpus[2]->tlb_clock = loss;
    tlb_flush_stale(before);
    assert_int_equal(mm_flushed, 0);
    tlb_flush_stale(loss);
    assert_int_equal(mm_flushed, BIT(1));
    mm_flushed = 0;
    tlb_flush_stale(loss);
    assert_int_equal(mm_flushed, 0);
    /* Frames of long ago may cost a flush; a recent loss is never taken for one of long ago. */
    cpus[1]->tlb_clock = tlb_clock_now() - 0x3fffffff;
    tlb_flush_stale(loss);
    assert_int_equal(mm_flushed, BIT(1));
    mm_flushed = 0;
    cpus[1]->tlb_clock = tlb_clock_now() - 0x90000000u;
    tlb_flush_stale(loss);
    assert_int_equal(mm_flushed, BIT(1));
}

static void a_freed_frame_is_flushed_when_given_anew(void **state) {
    struct page *pg = domain_alloc_pages(d, 0), *again;
    u64 n = page_to_mfn(pg).n;

    (void)state;
    cpus[2]->in_guest = 1;
    cpus[2]->tlb_clock = tlb_clock_now();
    assert_true(domain_release_page(d, pg));
    assert_int_equal(mm_flushed, 0);
    again = domain_alloc_pages(other, 0);
    assert_int_equal(page_to_mfn(again).n, n);
    assert_int_equal(mm_flushed, BIT(2));
    /* Of two frames that are given together, the second was freed last. */
    again = heap_alloc_pages(1);
    heap_free_pages(again, 0);
    cpus[2]->tlb_clock = tlb_clock_now();
    tlb_clock_advance();
    heap_free_pages(again + 1, 0);
    mm_flushed = 0;
    assert_ptr_equal(heap_alloc_pages(1), again);
    assert_int_equal(mm_flushed, BIT(2));
    heap_free_pages(again, 1);
}

static void a_frame_is_flushed_between_types(void **state) {
    mfn_t m = mm_host_frame(d);
    struct page *pg = mfn_to_page(m);

    (void)state;
    assert_int_equal(page_get_type(pg, PT_WRITABLE), 0);
    cpus[1]->in_guest = 1;
    cpus[1]->tlb_clock = tlb_clock_now();
    page_put_type(pg);
    mm_flushed = 0;
    assert_int_equal(page_get_type(pg, PT_WRITABLE), 0);
    page_put_type(pg);
    assert_int_equal(mm_flushed, 0);
    assert_int_equal(mm_pin(d, m, PT_L1), 0);
    assert_int_equal(mm_flushed, BIT(1));
}

static void frames_are_cleared_and_counted(void **state) {
    struct page *pg = domain_alloc_pages(d, 3);
    u8 *p = page_to_virt(pg);

    (void)state;
    for (u64 i = 0; i < PAGE_SIZE << 3; i++)
        assert_int_equal(p[i], 0);
    assert_int_equal(d->tot_pages, 8);
    assert_int_equal(d->page_list, page_to_mfn(pg).n);
    assert_null(domain_alloc_pages(d, 10));
    d->max_pages = 12;
    assert_null(domain_alloc_pages(d, 3));
    assert_non_null(domain_alloc_pages(d, 2));
    assert_null(domain_alloc_pages(d, 0));
    assert_false(domain_release_page(other, pg));
    assert_true(domain_release_page(d, pg));
    assert_int_equal(d->tot_pages, 11);
}

/* A frame that is given up but still mapped counts against the limit, or a guest could hold any number of them. */
static void given_up_and_in_use(void **state) {
    mfn_t l1 = mm_host_frame(d), m;

    (void)state;
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    d->max_pages = 2;
    m = mm_host_frame(d);
    assert_int_equal(mm_host_set(d, l1, 0, mm_pte(m, MM_RWP)), 0);
    assert_true(domain_release_page(d, mfn_to_page(m)));
    assert_int_equal(d->tot_pages, 2);
    assert_null(domain_alloc_pages(d, 0));
    assert_false(domain_release_page(d, mfn_to_page(m)));
    assert_int_equal(mm_host_set(d, l1, 0, 0), 0);
    assert_int_equal(d->tot_pages, 1);
    assert_non_null(domain_alloc_pages(d, 0));
}

static void shared_pages_cannot_be_given_up(void **state) {
    struct page *shared = domain_alloc_shared_page(d), *mine = domain_alloc_pages(d, 0);

    (void)state;
    assert_int_equal(page_get_type(shared, PT_WRITABLE), 0);
    assert_int_equal(d->tot_pages, 1);
    assert_false(domain_release_page(d, shared));
    assert_int_equal(d->page_list, page_to_mfn(mine).n);
    assert_int_equal(shared->count & PAGE_REFS, 1);
    page_put_type(shared);
    domain_free_shared_page(d, shared);
    domain_free_shared_page(d, mine); /* as if it were: the reference goes, the list is sound */
    assert_int_equal(d->page_list, FRAME_NONE);
}

static void shared_pages_are_cleared(void **state) {
    struct page *pg = heap_alloc_pages(0), *shared;

    (void)state;
    memset(page_to_virt(pg), 0xee, PAGE_SIZE);
    heap_free_pages(pg, 0);
    shared = domain_alloc_shared_page(d);
    assert_ptr_equal(shared, pg);
    for (u32 i = 0; i < PAGE_SIZE / 8; i++)
        assert_int_equal(((u64 *)page_to_virt(shared))[i], 0);
    domain_free_shared_page(d, shared);
}

static void m2p_entries_are_the_owners(void **state) {
    mfn_t theirs = page_to_mfn(domain_alloc_pages(other, 0)), mine = page_to_mfn(domain_alloc_pages(d, 0));

    (void)state;
    assert_true(domain_set_m2p(d, mine, pfn(77)));
    assert_true(domain_set_m2p(other, theirs, pfn(78)));
    assert_false(domain_set_m2p(d, theirs, pfn(79)));
    assert_false(domain_set_m2p(d, mfn(MM_HOLE), pfn(79)));
    assert_int_equal(m2p_get(mine).n, 77);
    assert_int_equal(m2p_get(theirs).n, 78);
}

static void detached_frames_are_nobodys(void **state) {
    struct page *pg = domain_alloc_pages(d, 0);
    mfn_t m = page_to_mfn(pg);

    (void)state;
    assert_true(page_get(pg, d));
    assert_int_equal(mm_pin(d, m, PT_L1), 0);
    assert_false(domain_detach_page(d, pg));
    assert_int_equal(mm_unpin(d, m), 0);
    assert_false(domain_detach_page(d, pg));
    assert_true(mm_drain(d));
    assert_false(domain_detach_page(other, pg));
    assert_true(domain_detach_page(d, pg));
    assert_int_equal(d->tot_pages, 0);
    assert_int_equal(d->owned_pages, 0);
    assert_false(page_get(pg, d));
    domain_attach_page(d, pg);
    assert_int_equal(d->tot_pages, 1);
    assert_true(domain_detach_page(d, pg));
    page_put(pg);
    assert_int_equal(heap_free_count(), free_before);
}

static void adopted_frames_are_counted(void **state) {
    struct page *pg = domain_alloc_pages(d, 0);
    u64 limit = other->max_pages;

    (void)state;
    assert_true(page_get(pg, d) && domain_detach_page(d, pg));
    other->max_pages = 0;
    assert_false(domain_adopt_page(other, pg));
    other->max_pages = limit;
    other->dying = true;
    assert_false(domain_adopt_page(other, pg));
    other->dying = false;
    assert_false(page_get(pg, other));
    assert_true(domain_adopt_page(other, pg));
    assert_int_equal(other->tot_pages, 1);
    assert_int_equal(other->owned_pages, 1);
    page_put(pg);
    assert_true(page_get(pg, other));
    assert_true(domain_release_page(other, pg));
    page_put(pg);
    assert_int_equal(heap_free_count(), free_before);
}

static mfn_t some_tree(mfn_t data) {
    mfn_t l[5];

    for (int i = 1; i <= 4; i++)
        l[i] = mm_host_frame(d);
    for (int i = 2; i <= 4; i++)
        for (int k = 0; k < 3; k++)
            mm_host_table(l[i])[k * 40] = mm_pte(l[i - 1], MM_RWP);
    mm_host_table(l[1])[9] = mm_pte(data, MM_RWP);
    return l[4];
}

/* What guests can leave behind: pins, validations begun, frames given up while pinned, partial or mapped, bases, tables
 * of descriptors, zombies. The teardown finds all frames back, whatever the preemption. */
static void the_end_with_every_leftover(void **state) {
    (void)state;
    for (long n = -1; n < 5; n++) {
        mfn_t data = mm_host_frame(d), pinned = some_tree(data), partial = some_tree(data), based = some_tree(data);
        mfn_t gone = mm_host_frame(d), gone_partial = some_tree(data), gdt = mm_host_frame(d), zombie = some_tree(data);
        u64 frame = gdt.n;

        assert_int_equal(mm_pin(d, pinned, PT_L4), 0);
        assert_int_equal(mm_set_base(d->vcpu[0], based), 0);
        assert_int_equal(mm_set_user_base(d->vcpu[1], pinned), 0);
        assert_int_equal(mm_set_gdt(d->vcpu[1], &frame, 100), 0);
        assert_int_equal(mm_pin(d, gone, PT_L2), 0);
        assert_true(domain_release_page(d, mfn_to_page(gone)));
        for (u32 i = 0; i < 2; i++) {
            mm_preempt_after = i;
            assert_int_equal(mm_pin(d, i ? gone_partial : partial, PT_L4), -ERESTART);
            mm_preempt_after = -1;
        }
        assert_true(domain_release_page(d, mfn_to_page(gone_partial)));
        assert_true(domain_release_page(d, mfn_to_page(data)));
        assert_int_equal(mm_pin(d, zombie, PT_L4), 0);
        assert_int_equal(mm_unpin(d, zombie), 0);
        assert_true(mm_host_destroy(d, n));
        assert_int_equal(heap_free_count(), free_before);
        d = mm_host_domain(1, 2, 600);
    }
}

/* Somebody else's reference to a frame keeps the domain from ending, and nothing more. */
static void the_end_waits_for_others(void **state) {
    struct page *pg = domain_alloc_pages(other, 0);

    (void)state;
    assert_true(page_get(pg, other));
    other->dying = true;
    for (u32 i = 0; i < 5; i++)
        assert_false(mm_destroy(other));
    assert_int_equal(other->owned_pages, 1);
    page_put(pg);
    assert_true(mm_destroy(other));
}

/* What is claimed is found free by whom it is for, and by nobody else. */
static void claims_are_kept(void **state) {
    u64 free = heap_free_count();

    (void)state;
    d->max_pages = other->max_pages = free;
    assert_int_equal(domain_claim_pages(d, free + 1), -EINVAL);
    assert_int_equal(domain_claim_pages(d, free), 0);
    assert_int_equal(domain_claims(), free);
    assert_int_equal(domain_claim_pages(d, free), -EINVAL);
    assert_int_equal(domain_claim_pages(other, 1), -ENOMEM);
    assert_null(domain_alloc_pages(other, 0));
    assert_non_null(domain_alloc_pages(d, 3));
    assert_int_equal(domain_claims(), free - 8);
    assert_int_equal(d->claimed_pages, free - 8);
    assert_null(domain_alloc_pages(other, 0));
    assert_int_equal(domain_claim_pages(d, 0), 0);
    assert_int_equal(domain_claims(), 0);
    assert_non_null(domain_alloc_pages(other, 0));
    /* A claim is for all the domain will have. */
    assert_int_equal(domain_claim_pages(d, 8), -EINVAL);
    assert_int_equal(domain_claim_pages(d, 20), 0);
    assert_int_equal(d->claimed_pages, 12);
    /* An allocation that fails leaves it. */
    assert_null(domain_alloc_pages(d, 11));
    assert_int_equal(d->claimed_pages, 12);
    d->max_pages = 10;
    assert_null(domain_alloc_pages(d, 2));
    assert_int_equal(d->claimed_pages, 12);
}

/* They end with the domain: teardown looks at what is left of others' memory. */
static void claims_end(void **state) {
    (void)state;
    assert_int_equal(domain_claim_pages(d, 100), 0);
    assert_true(mm_host_destroy(d, 0));
    assert_int_equal(domain_claims(), 0);
    d = mm_host_domain(1, 1, 10);
}

/* Frames of the host that are shown to the control domain: to be read, never to be had for writing or as a table. */
static void shown_frames(void **state) {
    struct page *pg = heap_alloc_pages(1);

    (void)state;
    assert_non_null(pg);
    mm_show_frames(page_to_mfn(pg), 2);
    mm_show_frames(page_to_mfn(pg), 2);
    assert_true(page_get(pg + 1, mm_shown()));
    assert_false(page_get(pg + 1, d));
    assert_int_equal(page_get_with_type(pg, mm_shown(), PT_WRITABLE), -EBUSY);
    assert_int_equal(page_get_with_type(pg, mm_shown(), PT_L1), -EINVAL);
    page_put(pg + 1);
    for (u32 i = 0; i < 2; i++) {
        assert_int_equal(pg[i].count & PAGE_REFS, 1);
        pg[i] = (struct page){0};
    }
    heap_free_pages(pg, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(heap_gives_what_it_has),
        T(small_objects),
        T(stale_cpus_are_flushed),
        T(a_freed_frame_is_flushed_when_given_anew),
        T(a_frame_is_flushed_between_types),
        T(frames_are_cleared_and_counted),
        T(given_up_and_in_use),
        T(shared_pages_cannot_be_given_up),
        T(shared_pages_are_cleared),
        T(m2p_entries_are_the_owners),
        T(detached_frames_are_nobodys),
        T(adopted_frames_are_counted),
        T(the_end_with_every_leftover),
        T(the_end_waits_for_others),
        T(claims_are_kept),
        T(claims_end),
        T(shown_frames),
#undef T
    };

    return cmocka_run_group_tests_name("mm_pages", tests, NULL, NULL);
}
