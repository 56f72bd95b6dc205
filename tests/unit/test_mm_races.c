// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c
/*
 * What another vCPU does between a look at something and the lock that makes it certain: done by a hook of the lock, so
 * that each of these races happens in every run.
 */
#include "mm_host.h"
#include <cmocka.h>

static struct domain *d, *other;
static u64 free_before;
static struct spinlock *hooked;
static void (*before_lock)(void);

/* In place of host.c's. */
void spin_lock(struct spinlock *l) {
    if (l == hooked && before_lock) {
        void (*hook)(void) = before_lock;

        before_lock = NULL;
        hook();
    }
    while (!spin_trylock(l))
        continue;
}

static void at_lock(struct spinlock *l, void (*hook)(void)) {
    hooked = l;
    before_lock = hook;
}

static int setup(void **state) {
    (void)state;
    mm_host_init(2);
    free_before = heap_free_count();
    d = mm_host_domain(1, 2, 100);
    other = mm_host_domain(2, 1, 100);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_null(before_lock); /* each race took place */
    assert_true(mm_host_destroy(d, 0));
    assert_true(mm_host_destroy(other, 0));
    assert_int_equal(heap_free_count(), free_before);
    return 0;
}

static struct page *pg;
static mfn_t table;

static void allocate(void) {
    pg = domain_alloc_pages(d, 0);
}

static void the_limit_holds_for_two_at_once(void **state) {
    (void)state;
    d->max_pages = 1;
    at_lock(&d->page_lock, allocate);
    assert_null(domain_alloc_pages(d, 0));
    assert_non_null(pg);
    assert_int_equal(d->tot_pages, 1);
}

static void die(void) {
    d->dying = true;
}

static void who_dies_meanwhile_gets_nothing(void **state) {
    (void)state;
    at_lock(&d->page_lock, die);
    assert_null(domain_alloc_pages(d, 0));
    assert_int_equal(d->tot_pages, 0);
    d->dying = false;
}

static void refer(void) {
    assert_true(page_get(pg, d));
}

/* A frame that somebody has begun to use is not taken out, and stays its owner's. */
static void a_use_comes_before_the_exchange(void **state) {
    (void)state;
    pg = domain_alloc_pages(d, 0);
    assert_true(page_get(pg, d));
    at_lock(&d->page_lock, refer);
    assert_false(domain_detach_page(d, pg));
    assert_int_equal(d->tot_pages, 1);
    assert_true(page_get(pg, d));
    for (u32 i = 0; i < 3; i++)
        page_put(pg);
}

static void become_an_l2(void) {
    assert_int_equal(mm_unpin(d, table), 0);
    assert_int_equal(mm_pin(d, table, PT_L2), 0);
}

/* A grant mapping was checked against an L1 table. */
static void an_l1_becomes_an_l2(void **state) {
    mfn_t theirs = mm_host_frame(other);
    struct mm_update u = {.value = mm_pte(theirs, MM_RWP), .leaf = true};

    (void)state;
    table = mm_host_frame(d);
    assert_int_equal(mm_pin(d, table, PT_L1), 0);
    u.entry = mfn_to_maddr(table);
    at_lock(&d->mm_lock, become_an_l2);
    assert_int_equal(mm_update_entry(d, other, &u), -EINVAL);
    assert_int_equal(mm_refs(theirs), 1);
    assert_int_equal(mm_uses(theirs), 0);
}

/* The same for a call that names the table by its machine address: the new level's rules hold. */
static void an_l1_becomes_an_l2_for_its_owner(void **state) {
    mfn_t data = mm_host_frame(d);
    struct mm_update u = {.value = mm_pte(data, MM_RWP | PTE_PSE)};

    (void)state;
    table = mm_host_frame(d);
    assert_int_equal(mm_pin(d, table, PT_L1), 0);
    u.entry = mfn_to_maddr(table);
    at_lock(&d->mm_lock, become_an_l2);
    assert_int_equal(mm_update_entry(d, d, &u), -EINVAL);
    assert_int_equal(mm_host_table(table)[0], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(the_limit_holds_for_two_at_once),   T(who_dies_meanwhile_gets_nothing),
        T(a_use_comes_before_the_exchange),   T(an_l1_becomes_an_l2),
        T(an_l1_becomes_an_l2_for_its_owner),
#undef T
    };

    return cmocka_run_group_tests_name("mm_races", tests, NULL, NULL);
}
