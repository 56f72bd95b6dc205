// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c
/*
 * CPUs at once, as threads: some take and drop writable uses of one frame without a lock, as copies and grants do, one
 * makes it a table and unmakes it, one gives it up, allocates and exchanges. What may never be seen: a writer and a
 * table at the same time, or a frame lost.
 */
#include "mm_host.h"
#include <cmocka.h>
#include <pthread.h>

#define ROUNDS 20000u
#define WRITERS 3

static struct domain *d;
static mfn_t frame;
static u32 writers_inside, conflicts, tables_made, writes_made;

static void *writer(void *arg) {
    struct page *pg = mfn_to_page(frame);

    host_cpu = (u32)(u64)arg;
    for (u32 i = 0; i < ROUNDS; i++) {
        if (page_get_with_type(pg, d, PT_WRITABLE))
            continue;
        __atomic_add_fetch(&writers_inside, 1, __ATOMIC_SEQ_CST);
        if (page_last_type(pg) != PT_WRITABLE)
            __atomic_add_fetch(&conflicts, 1, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&writes_made, 1, __ATOMIC_SEQ_CST);
        __atomic_sub_fetch(&writers_inside, 1, __ATOMIC_SEQ_CST);
        page_put_with_type(pg);
    }
    return NULL;
}

static void *table_maker(void *arg) {
    host_cpu = (u32)(u64)arg;
    for (u32 i = 0; i < ROUNDS; i++) {
        if (mm_pin(d, frame, PT_L1 + i % 4))
            continue;
        if (__atomic_load_n(&writers_inside, __ATOMIC_SEQ_CST))
            __atomic_add_fetch(&conflicts, 1, __ATOMIC_SEQ_CST);
        tables_made++;
        mm_unpin(d, frame);
        mm_drain(d);
    }
    return NULL;
}

/* References to whatever is there, in vain or not, while frames come, go and are exchanged. */
static void *mover(void *arg) {
    host_cpu = (u32)(u64)arg;
    for (u32 i = 0; i < ROUNDS / 4; i++) {
        struct page *pg = domain_alloc_pages(d, i % 3);

        for (u32 k = 0; pg && k < 1u << i % 3; k++) {
            if (!page_get(pg + k, d))
                panic("an own frame was refused");
            if (i % 2 && domain_detach_page(d, pg + k)) {
                if (i % 4 == 1)
                    domain_attach_page(d, pg + k);
                else
                    __atomic_add_fetch(&conflicts, READ_ONCE(d->owned_pages) > 100, __ATOMIC_SEQ_CST);
            }
            domain_release_page(d, pg + k);
            page_put(pg + k);
        }
    }
    return NULL;
}

static void *toucher(void *arg) {
    u64 seed = 5;

    host_cpu = (u32)(u64)arg;
    for (u32 i = 0; i < ROUNDS; i++) {
        struct page *pg = mfn_to_page(mfn(MM_OWN + host_random(&seed) % 64));

        if (page_get(pg, d))
            page_put(pg);
    }
    return NULL;
}

static struct page *theirs;
static bool stop;

static void *stranger(void *arg) {
    host_cpu = (u32)(u64)arg;
    while (!READ_ONCE(stop))
        if (page_get(theirs, d))
            panic("a foreign frame was given");
    return NULL;
}

/* A domain that asks for another's frame, in vain, does not keep that one from having it exchanged. */
static void strangers_do_not_disturb(void **state) {
    struct domain *other;
    u32 failed = 0;
    pthread_t t;

    (void)state;
    mm_host_init(2);
    d = mm_host_domain(1, 1, 64);
    other = mm_host_domain(2, 1, 64);
    theirs = mfn_to_page(mm_host_frame(other));
    stop = false;
    pthread_create(&t, NULL, stranger, (void *)1);
    for (u32 i = 0; i < ROUNDS * 5; i++) {
        assert_true(page_get(theirs, other));
        if (domain_detach_page(other, theirs))
            domain_attach_page(other, theirs);
        else
            failed++;
        page_put(theirs);
    }
    WRITE_ONCE(stop, true);
    pthread_join(t, NULL);
    assert_int_equal(failed, 0);
    assert_true(mm_host_destroy(d, 0));
    assert_true(mm_host_destroy(other, 0));
}

static void all_at_once(void **state) {
    pthread_t t[WRITERS + 4];
    u64 free_before, n = 0;

    (void)state;
    mm_host_init(8);
    free_before = heap_free_count();
    d = mm_host_domain(1, 1, 64);
    frame = mm_host_frame(d);
    for (; n < WRITERS; n++)
        pthread_create(&t[n], NULL, writer, (void *)n);
    pthread_create(&t[n], NULL, table_maker, (void *)n);
    n++;
    pthread_create(&t[n], NULL, mover, (void *)n);
    n++;
    pthread_create(&t[n], NULL, mover, (void *)n);
    n++;
    pthread_create(&t[n], NULL, toucher, (void *)n);
    for (u64 i = 0; i <= n; i++)
        pthread_join(t[i], NULL);
    printk("%u tables, %u writes\n", tables_made, writes_made);
    assert_int_equal(conflicts, 0);
    assert_int_equal(mm_refs(frame), 1);
    assert_int_equal(mm_uses(frame), 0);
    assert_int_equal(d->tot_pages, 1);
    assert_int_equal(d->owned_pages, 1);
    assert_true(mm_host_destroy(d, 0));
    assert_int_equal(heap_free_count(), free_before);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once), cmocka_unit_test(strangers_do_not_disturb)};

    return cmocka_run_group_tests_name("mm_threads", tests, NULL, NULL);
}
