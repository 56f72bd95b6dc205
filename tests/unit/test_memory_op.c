// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_host.c hypercall/memory.c hypercall/memory_exchange.c mm/types.c mm/validate.c mm/update.c
// sources: mm/domain_pages.c mm/heap.c mm/tlb.c mm/descriptors.c mm/walk.c
/* memory_op as an unprivileged guest uses it, its arguments in its own mapped memory: counts, errors, preemption. */
#include "mm_host.h"
#include "../../hypervisor/hypercall/internal.h"
#include <pv/dom0.h>
#include <cmocka.h>

#define ARGS MM_SLOT_VA(0) /* the structure */
#define LIST MM_SLOT_VA(1) /* lists of frames, in and out */
#define OUT (LIST + 2048)
#define READ_ONLY MM_SLOT_VA(2)
#define BEYOND (1ul << 39) /* a frame not even in the frame table */
#define FIRST_FREE 4       /* slots for frames under test */

static struct domain *d, *other;
static struct mm_space s;
static u64 free_before;
static u64 *list, *out;
static void *args;

struct domain *hc_get_domain(struct vcpu *v, domid_t id, long *error) {
    *error = -EPERM;
    return id == DOMID_SELF || id == v->domain->id ? v->domain : NULL;
}

long dom0_machine_memory_map(struct vcpu *v, gva_t at) {
    (void)v, (void)at;
    return 17; /* came here: no answer of the hypercall's own */
}

static mfn_t map_new(u32 slot, u64 flags) {
    mfn_t m = mm_host_frame(d);

    if (mm_host_set(d, s.l[1], slot, mm_pte(m, flags)))
        panic("slot %u", slot);
    return m;
}

static int setup(void **state) {
    (void)state;
    mm_host_init(2);
    free_before = heap_free_count();
    d = mm_host_domain(1, 1, 300);
    other = mm_host_domain(2, 1, 100);
    s = mm_host_space(d);
    args = mfn_to_virt(map_new(0, MM_RWP));
    list = mfn_to_virt(map_new(1, MM_RWP));
    out = list + 256;
    map_new(2, PTE_P);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_true(mm_host_destroy(d, -1));
    assert_true(mm_host_destroy(other, -1));
    assert_int_equal(heap_free_count(), free_before);
    return 0;
}

static long call(u64 cmd) {
    u64 arg[6] = {cmd, ARGS};
    long rc = hc_memory_op(s.v, arg);

    for (u32 tries = 0; rc == -ERESTART && tries < 1000; tries++)
        rc = hc_memory_op(s.v, arg);
    return rc;
}

static struct xen_memory_reservation reservation(u64 at, u64 n, u32 order) {
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = DOMID_SELF};

    r.extent_start.p = (xen_pfn_t *)at;
    return r;
}

static long reserve(u64 cmd, struct xen_memory_reservation r) {
    memcpy(args, &r, sizeof(r));
    return call(cmd);
}

static void populate_and_decrease(void **state) {
    u64 before = d->tot_pages;

    (void)state;
    for (long n = -1; n < 3; n++) {
        mm_preempt_after = n;
        for (u64 i = 0; i < 20; i++)
            list[i] = 5000 + i * 4;
        assert_int_equal(reserve(XENMEM_populate_physmap, reservation(LIST, 20, 2)), 20);
        assert_int_equal(d->tot_pages, before + 80);
        for (u64 i = 0; i < 20; i++)
            for (u64 k = 0; k < 4; k++)
                assert_int_equal(m2p_get(mfn(list[i] + k)).n, 5000 + i * 4 + k);
        assert_int_equal(reserve(XENMEM_decrease_reservation, reservation(LIST, 20, 2)), 20);
        assert_int_equal(d->tot_pages, before);
        assert_true(m2p_get(mfn(list[3])).n == M2P_INVALID);
        assert_int_equal(reserve(XENMEM_decrease_reservation, reservation(LIST, 20, 2)), 0);
    }
    mm_preempt_after = -1;
}

static void reservations_stop_at_the_first_bad_extent(void **state) {
    struct xen_memory_reservation r = reservation(LIST, 3, 0);
    u64 before = d->tot_pages;

    (void)state;
    assert_int_equal(reserve(XENMEM_increase_reservation, reservation(LIST, 3, 0)), 3);
    list[1] = 3;
    assert_int_equal(reserve(XENMEM_decrease_reservation, r), 1);
    assert_int_equal(d->tot_pages, before + 2);
    list[0] = list[2];
    list[1] = page_to_mfn(domain_alloc_pages(other, 0)).n;
    assert_int_equal(reserve(XENMEM_decrease_reservation, r), 1);
    /* Over the limit, no memory to read or write the list, out of reach, foreign, too large. */
    d->max_pages = d->tot_pages + 2;
    assert_int_equal(reserve(XENMEM_populate_physmap, r), 2);
    assert_int_equal(reserve(XENMEM_decrease_reservation, reservation(LIST, 2, 0)), 2);
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(MM_SLOT_VA(1) + PAGE_SIZE - 8, 3, 0)), 1);
    before = d->tot_pages;
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(READ_ONLY, 1, 0)), 0);
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(0, 1, 0)), 0);
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(LIST, 1, 10)), 0);
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(LIST, 1ul << 60, 0)), 0);
    r.mem_flags = XENMEMF_address_bits(13);
    assert_int_equal(reserve(XENMEM_populate_physmap, r), 0);
    r.mem_flags = 0;
    r.domid = 2;
    assert_int_equal(reserve(XENMEM_populate_physmap, r), 0);
    d->max_pages = 2000; /* there is memory enough for one that is too large */
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(LIST, 1, 10)), 0);
    assert_int_equal(reserve(XENMEM_populate_physmap, reservation(READ_ONLY, 1, 0)), 0);
    d->max_pages = 300;
    list[0] = BEYOND;
    assert_int_equal(reserve(XENMEM_decrease_reservation, reservation(LIST, 1, 0)), 0);
    assert_int_equal(d->tot_pages, before);
    assert_int_equal(reserve(XENMEM_increase_reservation, reservation(0, 1, 0)), 1);
}

static void what_is_not_given_up(void **state) {
    struct page *shared = domain_alloc_shared_page(d);

    (void)state;
    list[0] = page_to_mfn(shared).n;
    assert_int_equal(reserve(XENMEM_decrease_reservation, reservation(LIST, 1, 0)), 0);
    assert_int_not_equal(d->page_list, FRAME_NONE);
    list[0] = s.l[4].n; /* a table in use stays one, and counted */
    assert_int_equal(reserve(XENMEM_decrease_reservation, reservation(LIST, 1, 0)), 1);
    assert_int_equal(mm_uses(s.l[4]), 1);
    domain_free_shared_page(d, shared);
}

static long exchange(u64 nr_in, u32 in_order, u64 nr_out, u32 out_order, u64 *done) {
    struct xen_memory_exchange x = {
        .in = reservation(LIST, nr_in, in_order), .out = reservation(OUT, nr_out, out_order), .nr_exchanged = *done};
    long rc;

    memcpy(args, &x, sizeof(x));
    rc = call(XENMEM_exchange);
    memcpy(&x, args, sizeof(x));
    *done = x.nr_exchanged;
    return rc;
}

static void fill_lists(u64 n_in, u64 n_out, u32 out_order) {
    for (u64 i = 0; i < n_in; i++)
        list[i] = mm_host_frame(d).n;
    for (u64 i = 0; i < n_out; i++)
        out[i] = 9000 + (i << out_order);
}

static void exchange_of_any_order(void **state) {
    (void)state;
    for (long n = -1; n < 3; n++) {
        u64 done = 0, before;

        fill_lists(16, 4, 2);
        before = d->tot_pages;
        d->max_pages = before; /* exchanging needs no room */
        mm_preempt_after = n;
        assert_int_equal(exchange(16, 0, 4, 2, &done), 0);
        assert_int_equal(done, 16);
        assert_int_equal(d->tot_pages, before);
        for (u64 i = 0; i < 4; i++)
            for (u64 k = 0; k < 4; k++)
                assert_int_equal(m2p_get(mfn(out[i] + k)).n, 9000 + i * 4 + k);
        memcpy(list, out, 32);
        for (u64 i = 0; i < 16; i++)
            out[i] = 7000 + i;
        done = 0;
        assert_int_equal(exchange(4, 2, 16, 0, &done), 0);
        assert_int_equal(done, 4);
        assert_int_equal(m2p_get(mfn(out[15])).n, 7015);
        mm_preempt_after = -1;
        d->max_pages = 300;
    }
}

static void exchange_refuses(void **state) {
    struct xen_memory_exchange x = {.in = reservation(LIST, 1, 0), .out = reservation(OUT, 1, 0)};
    u64 done = 0, before;

    (void)state;
    fill_lists(4, 4, 0);
    before = d->tot_pages;
    assert_int_equal(exchange(4, 0, 3, 0, &done), -EINVAL);
    assert_int_equal(exchange(1ul << 60, 0, 1ul << 60, 0, &done), -EINVAL);
    assert_int_equal(exchange(1, 10, 1, 10, &done), -EPERM);
    done = 5;
    assert_int_equal(exchange(4, 0, 4, 0, &done), -EINVAL);
    done = 1;
    assert_int_equal(exchange(4, 0, 1, 2, &done), -EINVAL);
    x.in.domid = 2;
    memcpy(args, &x, sizeof(x));
    assert_int_equal(call(XENMEM_exchange), -EINVAL);
    x.out.domid = 2;
    memcpy(args, &x, sizeof(x));
    assert_int_equal(call(XENMEM_exchange), -EPERM);
    x = (struct xen_memory_exchange){.in = reservation(LIST, 1, 0), .out = reservation(READ_ONLY, 1, 0)};
    memcpy(args, &x, sizeof(x));
    assert_int_equal(call(XENMEM_exchange), -EFAULT);
    assert_int_equal(d->tot_pages, before);
    assert_int_equal(mm_refs(mfn(list[0])), 1);
}

static void exchange_refuses_what_looks_good(void **state) {
    u64 done = 1, before;

    (void)state;
    fill_lists(16, 16, 0);
    before = d->tot_pages;
    assert_int_equal(exchange(8, 0, 2, 2, &done), -EINVAL); /* begun within a chunk */
    done = 0;
    assert_int_equal(exchange(16, 0, (1ul << 60) + 1, 4, &done), -EINVAL);
    list[0] = BEYOND;
    assert_int_equal(exchange(1, 0, 1, 0, &done), -EINVAL);
    assert_int_equal(done, 0);
    assert_int_equal(d->tot_pages, before);
}

static void exchange_within_reach(void **state) {
    struct xen_memory_exchange x = {.in = reservation(LIST, 1, 0), .out = reservation(OUT, 1, 0)};

    (void)state;
    fill_lists(1, 1, 0);
    x.out.mem_flags = XENMEMF_address_bits(13);
    memcpy(args, &x, sizeof(x));
    assert_int_equal(call(XENMEM_exchange), -ENOMEM);
    assert_int_equal(mm_refs(mfn(list[0])), 1);
}

/* A list of any length leaves the CPU to others after each piece, and says where it goes on. */
static void long_lists_are_preempted(void **state) {
    struct xen_memory_reservation r = reservation(LIST, 8, 0);
    struct xen_memory_exchange x = {.in = r, .out = reservation(OUT, 8, 0)};
    u64 arg[6] = {XENMEM_populate_physmap, ARGS};

    (void)state;
    memcpy(args, &r, sizeof(r));
    mm_preempt_after = 0;
    assert_int_equal(hc_memory_op(s.v, arg), -ERESTART);
    assert_int_equal(arg[0], XENMEM_populate_physmap | 1 << 6);
    fill_lists(8, 8, 0);
    memcpy(args, &x, sizeof(x));
    arg[0] = XENMEM_exchange;
    mm_preempt_after = 0;
    assert_int_equal(hc_memory_op(s.v, arg), -ERESTART);
    memcpy(&x, args, sizeof(x));
    assert_int_equal(x.nr_exchanged, 1);
    mm_preempt_after = -1;
}

/* The third frame is in use: the first two are exchanged, and the rest is as it was. */
static void exchange_in_part(void **state) {
    u64 done = 0, before, in[4];

    (void)state;
    fill_lists(4, 4, 0);
    memcpy(in, list, 32);
    assert_int_equal(mm_host_set(d, s.l[1], 9, mm_pte(mfn(list[2]), MM_RWP)), 0);
    before = d->tot_pages;
    assert_int_equal(exchange(4, 0, 4, 0, &done), -EINVAL);
    assert_int_equal(done, 2);
    assert_int_equal(m2p_get(mfn(out[1])).n, 9001);
    assert_int_equal(out[2], 9002);
    assert_int_equal(mm_refs(mfn(in[2])), 2);
    assert_int_equal(mm_refs(mfn(in[3])), 1);
    assert_int_equal(d->tot_pages, before);
    /* In one chunk nothing is. */
    done = 0;
    list[0] = out[0];
    list[1] = out[1];
    assert_int_equal(exchange(4, 0, 1, 2, &done), -EINVAL);
    assert_int_equal(done, 0);
    assert_int_equal(mm_refs(mfn(list[0])), 1);
    assert_int_equal(d->tot_pages, before);
}

static void questions(void **state) {
    static const struct {
        u32 cmd;
        long rc;
    } answers[] = {
        {XENMEM_maximum_ram_page, MM_FRAMES - 1},
        {XENMEM_machine_memory_map, -EPERM},
        {XENMEM_claim_pages, -EPERM},
        {XENMEM_machphys_mfn_list, -EPERM},
        {XENMEM_reserved_device_memory_map, -EPERM},
        {XENMEM_set_memory_map, -EPERM},
        {XENMEM_add_to_physmap, -EACCES},
        {XENMEM_get_vnumainfo, -EOPNOTSUPP},
        {XENMEM_get_sharing_freed_pages, 0},
        {63, -ENOSYS},
    };
    domid_t self = DOMID_SELF, theirs = 2;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(answers); i++)
        assert_int_equal(call(answers[i].cmd), answers[i].rc);
    memcpy(args, &self, sizeof(self));
    assert_int_equal(call(XENMEM_current_reservation), d->tot_pages);
    assert_int_equal(call(XENMEM_maximum_reservation), 300);
    d->nr_pfns = 77;
    assert_int_equal(call(XENMEM_maximum_gpfn), 76);
    memcpy(args, &theirs, sizeof(theirs));
    assert_int_equal(call(XENMEM_current_reservation), -EPERM);
    d->is_control = true;
    assert_int_equal(call(XENMEM_machine_memory_map), 17);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(populate_and_decrease), T(reservations_stop_at_the_first_bad_extent),
        T(what_is_not_given_up),  T(exchange_of_any_order),
        T(exchange_refuses),      T(exchange_refuses_what_looks_good),
        T(exchange_within_reach), T(long_lists_are_preempted),
        T(exchange_in_part),      T(questions),
#undef T
    };

    return cmocka_run_group_tests_name("memory_op", tests, NULL, NULL);
}
