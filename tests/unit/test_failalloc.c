// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_stubs.c tests/unit/mm_host.c hypercall/*.c gnttab/*.c evtchn/*.c mm/[!m]*.c
/*
 * Each hypercall that allocates, with its first allocation failing, then its second, and so on until none fails: it
 * says so by the errno for it, and nothing has changed: frames, their counts and owners, the heap, ports, grant tables.
 * scripts/alloc-sites names this file's operations; `make lint` compares it with the sources.
 */
#include "mm_host.h"
#include <pv/hypercall.h>
#include <xen/event_channel.h>
#include <xen/vcpu.h>
#include <cmocka.h>

#define ARGS MM_SLOT_VA(0)
#define LIST MM_SLOT_VA(1)
#define OUT (LIST + 2048)
#define MAP_SLOT 40
#define REF 9

static struct domain *d, *other;
static struct mm_space s;
static u64 *list, *out;
static void *args;

/* --- the whole state --- */

/* Without padding: states are compared byte by byte. */
struct frame {
    u64 count, type, owner;
};
static struct state {
    u64 free, tot_pages, owned_pages;
    struct frame frame[MM_FRAMES];
    u32 ports[EVTCHN_NR_CHUNKS][EVTCHN_CHUNK_PORTS];
    bool chunk[EVTCHN_NR_CHUNKS];
    u32 grant_frames, map_chunks, free_map;
    bool initialised;
} before, after;

/* The clocks of frames that nobody has go on, and where a port was last found is no state. */
static void take(struct state *to) {
    memset(to, 0, sizeof(*to));
    to->free = heap_free_count();
    to->tot_pages = d->tot_pages;
    to->owned_pages = d->owned_pages;
    for (u32 i = 0; i < MM_FRAMES; i++) {
        const struct page *pg = &frame_table[i];

        if (pg->owner)
            to->frame[i] = (struct frame){pg->count, pg->type, pg->owner};
    }
    for (u32 i = 0; i < EVTCHN_NR_CHUNKS; i++) {
        to->chunk[i] = d->evtchn.chunk[i] != NULL;
        for (u32 k = 0; to->chunk[i] && k < EVTCHN_CHUNK_PORTS; k++)
            to->ports[i][k] = d->evtchn.chunk[i][k].state;
    }
    to->grant_frames = d->gnttab.nr_frames;
    to->map_chunks = d->gnttab.nr_map_chunks;
    to->free_map = d->gnttab.free_map;
    to->initialised = d->vcpu[1]->initialised;
}

static int set_up(void **state) {
    (void)state;
    mm_host_init(2);
    d = mm_host_domain(1, 2, 300);
    other = mm_host_domain(2, 1, 100);
    evtchn_init(d);
    evtchn_init(other);
    assert_int_equal(gnttab_init(d, 8), 0);
    assert_int_equal(gnttab_init(other, 8), 0);
    s = mm_host_space(d);
    for (u32 i = 0; i < 2; i++)
        assert_int_equal(mm_host_set(d, s.l[1], i, mm_pte(mm_host_frame(d), MM_RWP)), 0);
    args = mfn_to_virt(pte_mfn(mm_host_table(s.l[1])[0]));
    list = mfn_to_virt(pte_mfn(mm_host_table(s.l[1])[1]));
    out = list + 256;
    d->vcpu[1]->pause = VCPU_DOWN;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    host_fail_at = 0;
    evtchn_destroy(d);
    evtchn_destroy(other);
    gnttab_destroy(d);
    gnttab_destroy(other);
    assert_true(mm_host_destroy(d, -1));
    assert_true(mm_host_destroy(other, -1));
    heap_check();
    return 0;
}

/* --- operations: what they return is 0 for success --- */

static long call(u64 number, u64 a, u64 b, u64 c) {
    u64 arg[6] = {a, b, c};

    return hypercall_call(s.v, number, arg);
}

static struct xen_memory_reservation reservation(u64 at, u64 n, u32 order) {
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = DOMID_SELF};

    r.extent_start.p = (xen_pfn_t *)at;
    return r;
}

/* Extents are steps of their own: 1 for a call that did not do its one. */
static long reserve(u64 cmd, u32 order) {
    struct xen_memory_reservation r = reservation(LIST, 1, order);

    list[0] = 5000;
    memcpy(args, &r, sizeof(r));
    return 1 - call(__HYPERVISOR_memory_op, cmd, ARGS, 0);
}

static long populate(void) {
    return reserve(XENMEM_populate_physmap, 2);
}

static long increase(void) {
    return reserve(XENMEM_increase_reservation, 0);
}

static long exchange(void) {
    struct xen_memory_exchange x = {.in = reservation(LIST, 1, 2), .out = reservation(OUT, 4, 0)};
    long rc;

    for (u32 i = 0; i < 4; i++)
        out[i] = 6000 + i;
    memcpy(args, &x, sizeof(x));
    rc = call(__HYPERVISOR_memory_op, XENMEM_exchange, ARGS, 0);
    assert_true(!rc || !((struct xen_memory_exchange *)args)->nr_exchanged);
    return rc;
}

static long alloc_unbound(void) {
    *(struct evtchn_alloc_unbound *)args = (struct evtchn_alloc_unbound){.dom = DOMID_SELF, .remote_dom = 2};
    return call(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, ARGS, 0);
}

static long bind_virq(void) {
    *(struct evtchn_bind_virq *)args = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = 0};
    return call(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, ARGS, 0);
}

static long bind_ipi(void) {
    *(struct evtchn_bind_ipi *)args = (struct evtchn_bind_ipi){.vcpu = 1};
    return call(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, ARGS, 0);
}

static u32 offered;

static long bind_interdomain(void) {
    *(struct evtchn_bind_interdomain *)args = (struct evtchn_bind_interdomain){.remote_dom = 2, .remote_port = offered};
    return call(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, ARGS, 0);
}

static long setup_table(void) {
    struct gnttab_setup_table op = {.dom = DOMID_SELF, .nr_frames = 4};

    op.frame_list.p = (xen_pfn_t *)LIST;
    memcpy(args, &op, sizeof(op));
    assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARGS, 1), 0);
    return ((struct gnttab_setup_table *)args)->status;
}

static long map_grant(void) {
    struct gnttab_map_grant_ref op = {
        .host_addr = MM_SLOT_VA(MAP_SLOT), .flags = GNTMAP_host_map, .ref = REF, .dom = 2};

    memcpy(args, &op, sizeof(op));
    assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, ARGS, 1), 0);
    return ((struct gnttab_map_grant_ref *)args)->status;
}

/* The context is nowhere: with the memory for its copy there, that is what is wrong. */
static long initialise(void) {
    return call(__HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, 0) == -EFAULT ? 0 : -ENOMEM;
}

/* --- the sweep --- */

static void sweep(long (*op)(void), long failure, u32 least) {
    u32 n = 0;
    bool failed = true;

    while (failed) {
        long rc;

        take(&before);
        host_fail_at = ++n;
        rc = op();
        failed = !host_fail_at;
        host_fail_at = 0;
        assert_int_equal(rc, failed ? failure : 0);
        take(&after);
        if (failed)
            assert_memory_equal(&before, &after, sizeof(before));
    }
    assert_true(n > least);
}

static void test_populate(void **state) {
    (void)state;
    sweep(populate, 1, 1);
    assert_int_equal(after.tot_pages, before.tot_pages + 4);
}

static void test_increase(void **state) {
    (void)state;
    sweep(increase, 1, 1);
}

static void test_exchange(void **state) {
    (void)state;
    list[0] = page_to_mfn(domain_alloc_pages(d, 2)).n;
    sweep(exchange, -ENOMEM, 5); /* for itself, and four extents */
}

static void test_ports(void **state) {
    (void)state;
    sweep(alloc_unbound, -ENOMEM, 1);
}

static void test_virq(void **state) {
    (void)state;
    sweep(bind_virq, -ENOMEM, 1);
}

static void test_ipi(void **state) {
    (void)state;
    sweep(bind_ipi, -ENOMEM, 1);
}

static void test_interdomain(void **state) {
    (void)state;
    assert_int_equal(evtchn_alloc_unbound(other, 1, &offered), 0);
    sweep(bind_interdomain, -ENOMEM, 1);
}

static void test_grant_frames(void **state) {
    (void)state;
    sweep(setup_table, GNTST_general_error, 6); /* three frames, each with the counts of its entries */
}

static void test_grant_map(void **state) {
    (void)state;
    assert_int_equal(gnttab_seed(other, REF, 1, mm_host_frame(other)), 0);
    sweep(map_grant, GNTST_no_space, 1);
    assert_int_equal(mm_host_set(d, s.l[1], MAP_SLOT, 0), 0);
}

static void test_initialise(void **state) {
    (void)state;
    sweep(initialise, -ENOMEM, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_populate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_increase, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exchange, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_virq, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ipi, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interdomain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_map, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_initialise, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("failalloc", tests, NULL, NULL);
}
