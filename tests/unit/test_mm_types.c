// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c mm/tlb.c
// sources: mm/descriptors.c mm/walk.c
/* References and types of frames: the state machine, validation at each level, zombies, partial validation, limits. */
#include "mm_fixture.h"
#include <pthread.h>
#include <sched.h>

static int teardown_preempted(void **state) {
    (void)state;
    return all_back(0, 3);
}

static struct page *pg_of(mfn_t m) {
    return mfn_to_page(m);
}

static int get(mfn_t m, enum page_type type) {
    int rc;

    spin_lock(&d->mm_lock);
    rc = page_get_with_type(pg_of(m), d, type);
    spin_unlock(&d->mm_lock);
    return rc;
}

static void put(mfn_t m) {
    spin_lock(&d->mm_lock);
    page_put_with_type(pg_of(m));
    spin_unlock(&d->mm_lock);
}

static void a_frame_has_one_type(void **state) {
    static const enum page_type all[] = {PT_WRITABLE, PT_L1, PT_L2, PT_L3, PT_L4, PT_SEGDESC};
    mfn_t m = mm_host_frame(d);

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
        assert_int_equal(get(m, all[i]), 0);
        assert_int_equal(get(m, all[i]), 0);
        assert_int_equal(mm_uses(m), 2);
        assert_int_equal(mm_refs(m), 3);
        for (u32 k = 0; k < ARRAY_SIZE(all); k++)
            if (k != i)
                assert_int_equal(get(m, all[k]), all[k] == PT_WRITABLE ? -EBUSY : -EINVAL);
        put(m);
        put(m);
        assert_true(mm_drain(d));
        assert_int_equal(mm_uses(m), 0);
        assert_int_equal(mm_refs(m), 1);
    }
}

static void foreign_frames_are_refused(void **state) {
    mfn_t theirs = mm_host_frame(other), l1 = mm_host_frame(d);

    (void)state;
    assert_false(page_get(pg_of(theirs), d));
    assert_false(page_get(pg_of(mfn(3)), d));
    assert_int_equal(mm_pin(d, theirs, PT_L1), -EINVAL);
    assert_int_equal(mm_pin(d, mfn(3), PT_L1), -EINVAL);
    assert_int_equal(mm_pin(d, mfn(MM_HOLE), PT_L1), -EINVAL);
    assert_int_equal(mm_pin(d, mfn(1ul << 40), PT_L1), -EINVAL);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    const u64 bad[] = {theirs.n, 3, MM_HOLE, 1ul << 39};
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        int expected = mfn_valid(mfn(bad[i])) ? -EBUSY : -EPERM;

        assert_int_equal(mm_host_set(d, l1, 0, mm_pte(mfn(bad[i]), PTE_P)), expected);
        assert_int_equal(mm_host_set(d, l1, 0, mm_pte(mfn(bad[i]), PTE_P | PTE_W)), expected);
        assert_int_equal(mm_host_set(d, l1, 0, mm_pte(mfn(bad[i]), PTE_W)), 0);
        assert_int_equal(mm_host_set(d, l1, 0, 0), 0);
    }
    assert_int_equal(mm_refs(theirs), 1);
}

static void bad_entries_undo_the_table(void **state) {
    mfn_t l1 = mm_host_frame(d), data = mm_host_frame(d);

    (void)state;
    mm_host_table(l1)[0] = mm_pte(data, PTE_P | PTE_W);
    mm_host_table(l1)[7] = mm_pte(data, PTE_P);
    mm_host_table(l1)[511] = mm_pte(l1, PTE_P | PTE_W);
    assert_int_equal(mm_pin(d, l1, PT_L1), -EBUSY);
    assert_int_equal(mm_refs(data), 1);
    assert_int_equal(mm_uses(data), 0);
    mm_host_table(l1)[511] = mm_pte(l1, PTE_P);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    assert_int_equal(mm_refs(data), 3);
    assert_int_equal(mm_uses(data), 1);
    assert_int_equal(mm_refs(l1), 3);
    assert_int_equal(mm_unpin(d, l1), 0);
}

static void upper_levels_have_their_own_rules(void **state) {
    static const u64 refused[] = {PTE_PSE, PTE_G, PTE_PCD, PTE_PWT};

    (void)state;
    for (enum page_type t = PT_L2; t <= PT_L4; t++)
        for (u32 i = 0; i < ARRAY_SIZE(refused); i++) {
            mfn_t up = mm_host_frame(d), down = mm_host_frame(d);

            mm_host_table(up)[5] = mm_pte(down, MM_RWP | refused[i]);
            assert_int_equal(mm_pin(d, up, t), -EINVAL);
            mm_host_table(up)[5] = mm_pte(down, MM_RWP);
            assert_int_equal(mm_pin(d, up, t), 0);
            assert_int_equal(page_last_type(pg_of(down)), t - 1);
            assert_int_equal(mm_host_set(d, up, 5, mm_pte(down, MM_RWP | refused[i])), -EINVAL);
            assert_int_equal(mm_host_set(d, up, 6, mm_pte(down, MM_RWP | refused[i])), -EINVAL);
            assert_int_equal(mm_host_set(d, up, 6, mm_pte(up, MM_RWP)), -EINVAL);
            assert_int_equal(mm_host_set(d, up, 6, mm_pte(mfn(BEYOND), MM_RWP)), -EINVAL);
        }
}

static void reserved_slots_are_cleared_and_refused(void **state) {
    mfn_t l4 = mm_host_frame(d), theirs = mm_host_frame(other);

    (void)state;
    for (u32 slot = 256; slot < 272; slot++)
        mm_host_table(l4)[slot] = mm_pte(theirs, MM_RWP | PTE_PSE);
    assert_int_equal(mm_pin(d, l4, PT_L4), 0);
    assert_int_equal(mm_refs(theirs), 1);
    assert_int_equal(pg_of(l4)->aux, 0);
    for (u32 slot = 256; slot < 272; slot++)
        assert_int_equal(mm_host_table(l4)[slot], 0);
    assert_int_equal(mm_host_set(d, l4, 256, 0), -EINVAL);
    assert_int_equal(mm_host_set(d, l4, 271, 0), -EINVAL);
    assert_int_equal(mm_host_set(d, l4, 272, 0), 0);
    assert_int_equal(mm_host_set(d, l4, 255, 0), 0);
}

static void cache_bits_are_refused_without_privilege(void **state) {
    static const u64 refused[] = {PTE_PAT, PTE_PCD, PTE_PWT};
    mfn_t l1 = mm_host_frame(d), data = mm_host_frame(d);

    (void)state;
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    for (u32 i = 0; i < ARRAY_SIZE(refused); i++) {
        mfn_t bad = mm_host_frame(d);

        mm_host_table(bad)[1] = mm_pte(data, PTE_P | refused[i]);
        assert_int_equal(mm_pin(d, bad, PT_L1), -EINVAL);
        assert_int_equal(mm_host_set(d, l1, 1, mm_pte(data, PTE_P)), 0);
        assert_int_equal(mm_host_set(d, l1, 1, mm_pte(data, PTE_P | refused[i])), -EINVAL);
        assert_int_equal(mm_host_set(d, l1, 1, mm_pte(data, refused[i])), 0);
    }
    assert_int_equal(mm_refs(data), 1);
}

static void cache_and_global_bits_are_dropped(void **state) {
    mfn_t l1 = mm_host_frame(d), data = mm_host_frame(d);
    u64 odd = PTE_P | PTE_U | PTE_A | PTE_NX | BIT(9) | BIT(58), drop = PTE_G | PTE_PAT | PTE_PCD | PTE_PWT;

    (void)state;
    d->privileged = true;
    mm_host_table(l1)[1] = mm_pte(data, odd | drop);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    assert_true(mm_host_table(l1)[1] == mm_pte(data, odd));
    assert_int_equal(mm_host_set(d, l1, 1, mm_pte(data, odd | drop | PTE_D)), 0);
    assert_true(mm_host_table(l1)[1] == mm_pte(data, odd | PTE_D));
    assert_int_equal(mm_host_set(d, l1, 2, mm_pte(data, odd | drop)), 0);
    assert_true(mm_host_table(l1)[2] == mm_pte(data, odd));
}

/* Alone too, in a table that was one and in one that becomes it. */
static void global_bits_are_dropped_from_plain_leaves(void **state) {
    mfn_t l1 = mm_host_frame(d), data = mm_host_frame(d);

    (void)state;
    mm_host_table(l1)[1] = mm_pte(data, MM_RWP | PTE_G);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    assert_true(mm_host_table(l1)[1] == mm_pte(data, MM_RWP));
    assert_int_equal(mm_host_set(d, l1, 2, mm_pte(data, PTE_P | PTE_G)), 0);
    assert_true(mm_host_table(l1)[2] == mm_pte(data, PTE_P));
    assert_int_equal(mm_host_set(d, l1, 1, mm_pte(data, MM_RWP | PTE_G | PTE_D)), 0);
    assert_true(mm_host_table(l1)[1] == mm_pte(data, MM_RWP | PTE_D));
    assert_int_equal(mm_uses(data), 1);
    assert_int_equal(mm_refs(data), 3);
}

static bool is_device(const struct domain *owner, mfn_t m) {
    return owner->is_control && (m.n == MM_HOLE || m.n == BEYOND);
}

/* Frames of devices have no count to hold: entries for them come and go, cached as the domain says. */
static void devices_are_the_control_domains(void **state) {
    static const u64 devices[] = {MM_HOLE, BEYOND};
    mfn_t l1 = mm_host_frame(d), bad = mm_host_frame(d), data = mm_host_frame(d);
    const u64 cached = MM_RWP | PTE_PCD | PTE_PWT | PTE_PAT;

    (void)state;
    mm_may_map_device = is_device;
    assert_int_equal(mm_pin(d, bad, PT_L1), 0);
    d->privileged = true;
    assert_int_equal(mm_host_set(d, bad, 1, mm_pte(mfn(BEYOND), PTE_P)), -EPERM);
    d->is_control = true;
    for (u32 i = 0; i < ARRAY_SIZE(devices); i++)
        mm_host_table(l1)[i] = mm_pte(mfn(devices[i]), cached);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    for (u32 i = 0; i < ARRAY_SIZE(devices); i++) {
        assert_true(mm_host_table(l1)[i] == mm_pte(mfn(devices[i]), cached));
        assert_int_equal(mm_host_set(d, l1, 5, mm_pte(mfn(devices[i]), cached | PTE_G)), 0);
        assert_true(mm_host_table(l1)[5] == mm_pte(mfn(devices[i]), cached));
        assert_int_equal(mm_host_set(d, l1, 5, mm_pte(data, cached)), 0);
        assert_int_equal(mm_refs(data), 2);
        assert_true(mm_host_table(l1)[5] == mm_pte(data, MM_RWP));
        assert_int_equal(mm_host_set(d, l1, 5, mm_pte(mfn(devices[i]), PTE_P)), 0);
        assert_int_equal(mm_refs(data), 1);
    }
    assert_int_equal(mm_host_set(d, l1, 6, mm_pte(mfn(BEYOND + 1), PTE_P)), -EPERM);
    assert_int_equal(mm_host_set(d, l1, 6, mm_pte(mfn(3), PTE_P)), -EBUSY);
    assert_int_equal(mm_refs(mfn(MM_HOLE)), 0);
    assert_int_equal(mm_unpin(d, l1), 0);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(mfn(MM_HOLE)), 0);
    mm_may_map_device = NULL;
}

static void pins_come_and_go_once(void **state) {
    mfn_t l1 = mm_host_frame(d);

    (void)state;
    assert_int_equal(mm_unpin(d, l1), -EINVAL);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    assert_int_equal(mm_pin(d, l1, PT_L1), -EINVAL);
    assert_int_equal(mm_pin(d, l1, PT_L2), -EINVAL);
    assert_int_equal(mm_uses(l1), 1);
    assert_int_equal(mm_unpin(d, l1), 0);
    assert_int_equal(mm_unpin(d, l1), -EINVAL);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(l1), 1);
    assert_int_equal(mm_pin(d, l1, PT_L4), 0);
}

/* A tree: an L4 with two L3s of three L2s of two L1s, each L1 with one writable and one read-only mapping of `data`. */
static mfn_t tree(mfn_t *data, enum page_type type) {
    static const u32 children[] = {[PT_L2] = 2, [PT_L3] = 3, [PT_L4] = 2};
    mfn_t m = mm_host_frame(d);

    if (type == PT_L1) {
        mm_host_table(m)[0] = mm_pte(*data, PTE_P | PTE_W);
        mm_host_table(m)[300] = mm_pte(*data, PTE_P);
    } else {
        for (u32 i = 0; i < children[type]; i++)
            mm_host_table(m)[i * 100 + 1] = mm_pte(tree(data, type - 1), MM_RWP);
    }
    return m;
}

static void preemption_at_every_point(void **state) {
    (void)state;
    for (long n = 0; n < 24; n++) {
        mfn_t data = mm_host_frame(d), l4 = tree(&data, PT_L4);

        assert_int_equal(MM_RETRY(n, mm_pin(d, l4, PT_L4)), 0);
        assert_int_equal(mm_refs(data), 1 + 24);
        assert_int_equal(mm_uses(data), 12);
        assert_int_equal(mm_refs(l4), 2);
        assert_int_equal(MM_RETRY(n, mm_unpin(d, l4)), 0);
        while (mm_preempt_after = n, !mm_drain(d))
            continue;
        mm_preempt_after = -1;
        assert_int_equal(mm_refs(data), 1);
        assert_int_equal(mm_uses(data), 0);
        assert_int_equal(mm_refs(l4), 1);
    }
}

/* What was begun stays a table, can be gone on with by another operation, and by none of another type. */
static void partial_validation_is_a_state(void **state) {
    (void)state;
    for (long n = 0; n < 10; n++) {
        mfn_t data = mm_host_frame(d), l4 = tree(&data, PT_L4);

        assert_true(mm_drain(d));
        mm_preempt_after = n;
        if (mm_pin(d, l4, PT_L4) != -ERESTART)
            fail();
        mm_preempt_after = -1;
        assert_true(pg_of(l4)->type & TYPE_PARTIAL);
        assert_int_equal(mm_host_set(d, l4, 9, 0), -EBUSY);
        assert_int_equal(mm_pin(d, l4, PT_L3), -EINVAL);
        assert_int_equal(get(l4, PT_WRITABLE), -EBUSY);
        assert_int_equal(mm_unpin(d, l4), -EINVAL);
        if (n % 3 == 0) {
            assert_int_equal(mm_set_base(d->vcpu[1], l4), 0);
            assert_int_equal(mm_uses(l4), 1);
            assert_int_equal(mm_refs(l4), 2);
        } else if (n % 3 == 1) {
            assert_int_equal(mm_pin(d, l4, PT_L4), 0);
        }
    }
}

/* A validation that goes on and then fails leaves nothing behind. */
static void partial_validation_may_fail_later(void **state) {
    mfn_t data = mm_host_frame(d), l4 = tree(&data, PT_L4), bad = mm_host_frame(d);

    (void)state;
    mm_host_table(bad)[0] = mm_pte(l4, PTE_P | PTE_W);
    mm_host_table(l4)[500] = mm_pte(bad, MM_RWP);
    for (long n = 0; n < 12; n++) {
        assert_true(MM_RETRY(n, mm_pin(d, l4, PT_L4)) < 0);
        assert_true(mm_drain(d));
        assert_int_equal(mm_refs(l4), 1);
        assert_int_equal(mm_refs(bad), 1);
        assert_int_equal(mm_refs(data), 1);
        assert_false(pg_of(l4)->type & (TYPE_USES | TYPE_PARTIAL));
    }
}

/* Frames on their way to the heap, or taken by the hypervisor, have an owner's number at most. */
static void nobody_refers_to_a_free_frame(void **state) {
    struct page *pg = heap_alloc_pages(0);

    (void)state;
    pg->owner = (u32)d->id + 1;
    assert_false(page_get(pg, d));
    pg->owner = 0;
    heap_free_pages(pg, 0);
}

static void zombies_are_drained_in_pieces(void **state) {
    mfn_t a = mm_host_frame(d), b = mm_host_frame(d);

    (void)state;
    assert_int_equal(mm_pin(d, a, PT_L1), 0);
    assert_int_equal(mm_pin(d, b, PT_L1), 0);
    assert_int_equal(mm_unpin(d, a), 0);
    spin_lock(&d->mm_lock);
    page_put_with_type(pg_of(b)); /* as the last entry of an upper table would */
    pg_of(b)->type &= ~TYPE_PINNED;
    spin_unlock(&d->mm_lock);
    mm_preempt_after = 0;
    assert_false(mm_drain(d));
    mm_preempt_after = -1;
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(a), 1);
    assert_int_equal(mm_refs(b), 1);
}

static void zombies_are_in_nobodys_way(void **state) {
    mfn_t data = mm_host_frame(d), l1 = mm_host_frame(d);

    (void)state;
    mm_host_table(l1)[3] = mm_pte(data, PTE_P | PTE_W);
    assert_int_equal(mm_pin(d, l1, PT_L1), 0);
    assert_int_equal(mm_unpin(d, l1), 0);
    assert_true(pg_of(l1)->type & TYPE_ZOMBIE);
    assert_int_equal(mm_uses(data), 1);
    assert_int_equal(page_get_with_type(pg_of(l1), d, PT_WRITABLE), -ERESTART);
    assert_int_equal(mm_pin(d, data, PT_L1), 0);
    assert_int_equal(mm_refs(l1), 1);
}

static void counts_have_limits(void **state) {
    mfn_t m = mm_host_frame(d);
    struct page *pg = pg_of(m);
    u64 count = pg->count;

    (void)state;
    assert_int_equal(mm_pin(d, m, PT_L1), 0);
    pg->count = (count & ~PAGE_REFS) | 0x7fffffff;
    assert_false(page_get(pg, d));
    pg->type = (pg->type & ~TYPE_USES) | 0x7fffffff;
    spin_lock(&d->mm_lock);
    assert_int_equal(page_get_type(pg, PT_L1), -EINVAL);
    pg->type = (pg->type & ~(TYPE_USES | TYPE_PINNED)) | 1;
    /* The last use of a frame with as many references as guests may take: a table's own reference finds room. */
    page_put_type(pg);
    spin_unlock(&d->mm_lock);
    assert_true(mm_drain(d));
    assert_int_equal(mm_refs(m), 0x7fffffff);
    pg->count = count;
}

static void partial_finds_room_for_its_reference(void **state) {
    mfn_t data = mm_host_frame(d), l2 = tree(&data, PT_L2);
    struct page *pg = pg_of(l2);
    u64 count = pg->count;

    (void)state;
    pg->count = (count & ~PAGE_REFS) | 0x7fffffff;
    spin_lock(&d->mm_lock);
    mm_preempt_after = 0;
    assert_int_equal(page_get_type(pg, PT_L2), -ERESTART);
    mm_preempt_after = -1;
    spin_unlock(&d->mm_lock);
    pg->count = count + 1;
}

/* While the flush goes on, another thread's use would have been visible; what the flush finds is not yet usable. */
static struct page *watched;
static bool usable_early;

static void look(void) {
    usable_early |= watched && watched->type & TYPE_VALIDATED;
}

static void no_writer_before_the_flush(void **state) {
    mfn_t m = mm_host_frame(d);

    (void)state;
    assert_int_equal(get(m, PT_L1), 0);
    cpus[2]->in_guest = 1;
    cpus[2]->tlb_clock = tlb_clock_now();
    put(m);
    assert_true(mm_drain(d));
    watched = pg_of(m);
    mm_on_flush = look;
    assert_int_equal(get(m, PT_WRITABLE), 0);
    mm_on_flush = NULL;
    assert_int_equal(mm_flushed, BIT(2));
    assert_false(usable_early);
    put(m);
    cpus[2]->in_guest = 0;
}

/* The first writable use waits for a flush; who wants another one meanwhile waits too, and gets it. */
static struct page *wanted;
static int second_use = 1;
static bool second_began;
static pthread_t second;

static void *want_a_second_use(void *arg) {
    (void)arg;
    host_cpu = 3;
    WRITE_ONCE(second_began, true);
    second_use = page_get_with_type(wanted, d, PT_WRITABLE);
    return NULL;
}

static void begin_second_use(void) {
    mm_on_flush = NULL;
    pthread_create(&second, NULL, want_a_second_use, NULL);
    while (!READ_ONCE(second_began))
        sched_yield();
    for (u32 i = 0; i < 2000; i++)
        sched_yield();
}

static void a_second_writer_waits_for_the_flush(void **state) {
    mfn_t m = mm_host_frame(d);

    (void)state;
    assert_int_equal(get(m, PT_L1), 0);
    cpus[2]->in_guest = 1;
    cpus[2]->tlb_clock = tlb_clock_now();
    put(m);
    assert_true(mm_drain(d));
    wanted = pg_of(m);
    mm_on_flush = begin_second_use;
    assert_int_equal(get(m, PT_WRITABLE), 0);
    pthread_join(second, NULL);
    assert_int_equal(second_use, 0);
    assert_int_equal(mm_uses(m), 2);
    put(m);
    put(m);
    cpus[2]->in_guest = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown_preempted)
        T(a_frame_has_one_type),
        T(foreign_frames_are_refused),
        T(bad_entries_undo_the_table),
        T(upper_levels_have_their_own_rules),
        T(reserved_slots_are_cleared_and_refused),
        T(cache_bits_are_refused_without_privilege),
        T(cache_and_global_bits_are_dropped),
        T(global_bits_are_dropped_from_plain_leaves),
        T(devices_are_the_control_domains),
        T(pins_come_and_go_once),
        T(preemption_at_every_point),
        T(partial_validation_is_a_state),
        T(partial_validation_may_fail_later),
        T(nobody_refers_to_a_free_frame),
        T(zombies_are_drained_in_pieces),
        T(zombies_are_in_nobodys_way),
        T(counts_have_limits),
        T(partial_finds_room_for_its_reference),
        T(no_writer_before_the_flush),
        T(a_second_writer_waits_for_the_flush),
#undef T
    };

    return cmocka_run_group_tests_name("mm_types", tests, NULL, NULL);
}
