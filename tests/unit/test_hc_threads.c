// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_stubs.c tests/unit/mm_host.c hypercall/*.c gnttab/*.c evtchn/*.c mm/[!ms]*.c
/*
 * Two domains of two vCPUs, each vCPU on a CPU of its own, which is a thread, make random hypercalls on the same few
 * frames: page tables, pins, descriptor tables, ballooning, exchange, grants and events between the two. Nothing is
 * foretold; at the end nothing may be left of the domains. make check-threads runs it under ThreadSanitizer.
 */
#include "mm_host.h"
#include <cmocka.h>
#include <pthread.h>
#include <pv/hypercall.h>

#define DOMS 2
#define VCPUS 2
#define POOL 24 /* frames that operations name: those the domains began with */
#define LIST_OFFSET 2048

static struct guest {
    struct domain *d;
    struct mm_space s;
} guest[DOMS];
static u64 pool[DOMS][POOL];
static u64 rounds;

/* One thread. */
struct cpu_thread {
    pthread_t thread;
    u32 id;
    u64 seed, done;
    struct vcpu *v;
    struct guest *g;
    u64 args; /* the guest address of its page of arguments */
};

static u32 choose(struct cpu_thread *t, u32 n) {
    return (u32)(host_random(&t->seed) % n);
}

static u64 any_frame(struct cpu_thread *t) {
    u32 own = t->v->domain->id - 1u;

    return pool[choose(t, 16) ? own : 1 - own][choose(t, POOL)];
}

static u64 any_entry(struct cpu_thread *t) {
    static const u64 flags[] = {PTE_P, MM_RWP, MM_RWP, 0};

    return mm_pte(mfn(any_frame(t)), flags[choose(t, 4)]);
}

/* Not the entries that lead to the arguments. */
static u64 any_slot(struct cpu_thread *t) {
    return 8 + choose(t, 8) * 63;
}

/* As the run loop does between a hypercall and the way back: tables on their way out, new roots. */
static void come_back(struct cpu_thread *t) {
    struct cpu *c = cpus[t->id];

    while (!mm_drain(t->v->domain))
        continue;
    if (__atomic_exchange_n(&c->requests, 0, __ATOMIC_SEQ_CST) & CPU_REQ_RECOMPOSE)
        mm_compose(c, t->v);
}

static long call(struct cpu_thread *t, u64 number, u64 a0, u64 a1, u64 a2) {
    u64 arg[6] = {a0, a1, a2, DOMID_SELF};
    long rc;

    do {
        rc = hypercall_call(t->v, number, arg);
        come_back(t);
    } while (rc == -ERESTART);
    t->done += rc >= 0;
    return rc;
}

/* The structure at the beginning of the arguments. */
static void put(struct cpu_thread *t, u64 offset, const void *src, size_t n) {
    (void)copy_to_guest(gva(t->args + offset), src, n);
}

static void get(struct cpu_thread *t, void *dst, size_t n) {
    if (copy_from_guest(dst, gva(t->args), n))
        memset(dst, 0, n);
}

/* --- operations --- */

static void op_update(struct cpu_thread *t) {
    u64 table = choose(t, 2) ? t->g->s.l[1].n : any_frame(t);
    struct mmu_update r = {.ptr = table << PAGE_SHIFT | any_slot(t) * 8, .val = any_entry(t)};

    put(t, 0, &r, sizeof(r));
    call(t, __HYPERVISOR_mmu_update, t->args, 1, 0);
}

static void op_va(struct cpu_thread *t) {
    call(t, __HYPERVISOR_update_va_mapping, MM_SLOT_VA(any_slot(t)), any_entry(t), UVMF_INVLPG | UVMF_ALL);
}

static void op_ext(struct cpu_thread *t) {
    static const u32 cmd[] = {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,     MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE,
                              MMUEXT_UNPIN_TABLE,  MMUEXT_NEW_USER_BASEPTR, MMUEXT_CLEAR_PAGE,   MMUEXT_COPY_PAGE};
    struct mmuext_op op = {.cmd = cmd[choose(t, ARRAY_SIZE(cmd))], .arg1.mfn = any_frame(t)};

    if (op.cmd == MMUEXT_NEW_USER_BASEPTR && choose(t, 2))
        op.arg1.mfn = choose(t, 2) ? 0 : t->g->s.l[4].n;
    op.arg2.src_mfn = any_frame(t);
    put(t, 0, &op, sizeof(op));
    call(t, __HYPERVISOR_mmuext_op, t->args, 1, 0);
}

static void op_segments(struct cpu_thread *t) {
    u64 frame = any_frame(t);

    put(t, 0, &frame, sizeof(frame));
    call(t, __HYPERVISOR_set_gdt, t->args, choose(t, 2) ? 512 : 0, 0);
    call(t, __HYPERVISOR_update_descriptor, frame << PAGE_SHIFT | 64, 0x00cff3000000fffful, 0);
}

static void op_balloon(struct cpu_thread *t) {
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    u64 frame = any_frame(t), cmd = choose(t, 3) ? XENMEM_populate_physmap : XENMEM_decrease_reservation;

    r.extent_start.p = (xen_pfn_t *)(t->args + LIST_OFFSET);
    put(t, 0, &r, sizeof(r));
    put(t, LIST_OFFSET, &frame, sizeof(frame));
    call(t, __HYPERVISOR_memory_op, cmd, t->args, 0);
}

static void op_exchange(struct cpu_thread *t) {
    struct xen_memory_exchange x = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 1, .domid = DOMID_SELF}};
    u64 frame = any_frame(t), gfn = 99;

    x.in.extent_start.p = (xen_pfn_t *)(t->args + LIST_OFFSET);
    x.out.extent_start.p = (xen_pfn_t *)(t->args + LIST_OFFSET + 8);
    put(t, 0, &x, sizeof(x));
    put(t, LIST_OFFSET, &frame, sizeof(frame));
    put(t, LIST_OFFSET + 8, &gfn, sizeof(gfn));
    call(t, __HYPERVISOR_memory_op, XENMEM_exchange, t->args, 0);
}

/* A guest may write its grants at any time, as wildly as this. */
static void op_grant(struct cpu_thread *t) {
    grant_entry_v1_t *e = &t->v->domain->gnttab.frame[0][choose(t, 8)];

    WRITE_ONCE(e->frame, (u32)any_frame(t));
    WRITE_ONCE(e->domid, (domid_t)(1 + choose(t, DOMS)));
    WRITE_ONCE(e->flags, (u16)(choose(t, 4) ? GTF_permit_access : GTF_accept_transfer));
}

static void op_map(struct cpu_thread *t) {
    u64 va = MM_SLOT_VA(any_slot(t));
    struct gnttab_map_grant_ref map = {.host_addr = va,
                                       .flags = GNTMAP_host_map | (choose(t, 2) ? GNTMAP_readonly : 0),
                                       .ref = choose(t, 8),
                                       .dom = (domid_t)(1 + choose(t, DOMS))};
    struct gnttab_unmap_grant_ref unmap = {.host_addr = va};

    put(t, 0, &map, sizeof(map));
    call(t, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, t->args, 1);
    get(t, &map, sizeof(map));
    unmap.handle = choose(t, 8) ? map.handle : choose(t, 64);
    put(t, 0, &unmap, sizeof(unmap));
    call(t, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, t->args, 1);
}

static void op_copy(struct cpu_thread *t) {
    struct gnttab_copy copy = {.len = 64, .flags = (u16)choose(t, 4)};
    struct gnttab_transfer move = {.mfn = any_frame(t), .domid = (domid_t)(1 + choose(t, DOMS)), .ref = choose(t, 8)};

    copy.source.domid = copy.flags & GNTCOPY_source_gref ? (domid_t)(1 + choose(t, DOMS)) : DOMID_SELF;
    copy.dest.domid = copy.flags & GNTCOPY_dest_gref ? (domid_t)(1 + choose(t, DOMS)) : DOMID_SELF;
    copy.source.u.gmfn = copy.flags & GNTCOPY_source_gref ? choose(t, 8) : any_frame(t);
    copy.dest.u.gmfn = copy.flags & GNTCOPY_dest_gref ? choose(t, 8) : any_frame(t);
    put(t, 0, &copy, sizeof(copy));
    call(t, __HYPERVISOR_grant_table_op, GNTTABOP_copy, t->args, 1);
    put(t, 0, &move, sizeof(move));
    call(t, __HYPERVISOR_grant_table_op, GNTTABOP_transfer, t->args, 1);
}

static void op_events(struct cpu_thread *t) {
    struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = (domid_t)(1 + choose(t, DOMS))};
    struct evtchn_bind_interdomain bind = {.remote_dom = (domid_t)(1 + choose(t, DOMS)), .remote_port = choose(t, 16)};
    u32 port = choose(t, 16);

    put(t, 0, &alloc, sizeof(alloc));
    if (!choose(t, 4))
        call(t, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, t->args, 0);
    put(t, 0, &bind, sizeof(bind));
    call(t, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, t->args, 0);
    put(t, 0, &port, sizeof(port));
    call(t, __HYPERVISOR_event_channel_op, choose(t, 2) ? EVTCHNOP_send : EVTCHNOP_close, t->args, 0);
}

static void *run(void *arg) {
    static void (*const ops[])(struct cpu_thread * t) = {op_update, op_update,   op_va,      op_ext,
                                                         op_ext,    op_segments, op_balloon, op_exchange,
                                                         op_grant,  op_map,      op_copy,    op_events};
    struct cpu_thread *t = arg;

    host_cpu = t->id;
    for (u64 i = 0; i < rounds; i++)
        ops[choose(t, ARRAY_SIZE(ops))](t);
    return NULL;
}

/* --- birth and death --- */

static void create(u32 i) {
    struct guest *g = &guest[i];

    g->d = mm_host_domain((domid_t)(i + 1), VCPUS, 80);
    assert_int_equal(gnttab_init(g->d, 1), 0);
    evtchn_init(g->d);
    g->s = mm_host_space(g->d);
    for (u32 k = 0; k < VCPUS; k++) {
        assert_int_equal(mm_set_base(g->d->vcpu[k], g->s.l[4]), 0);
        assert_int_equal(mm_host_set(g->d, g->s.l[1], k, mm_pte(mm_host_frame(g->d), MM_RWP)), 0);
    }
    for (u32 k = 0; k < POOL; k++)
        pool[i][k] = k < 4 ? g->s.l[k + 1].n : mm_host_frame(g->d).n;
}

static void start(struct cpu_thread *t, u32 id, u64 seed) {
    struct guest *g = &guest[id / VCPUS];

    *t = (struct cpu_thread){.id = id, .seed = seed * 100 + id, .g = g, .v = g->d->vcpu[id % VCPUS]};
    t->args = MM_SLOT_VA(id % VCPUS);
    mm_host_roots(cpus[id]);
    cpus[id]->current = t->v;
    t->v->cpu = cpus[id];
    mm_compose(cpus[id], t->v);
}

/* What a domain holds of the other goes first, so each is gone by its second turn. */
static void destroy(u64 free_before) {
    bool gone[DOMS] = {false};

    host_cpu = 0;
    for (u32 i = 0; i < DOMS; i++) {
        guest[i].d->dying = true;
        gnttab_destroy(guest[i].d);
        evtchn_destroy(guest[i].d);
    }
    for (u32 i = 0; i < 2 * DOMS; i++)
        gone[i % DOMS] = gone[i % DOMS] || mm_host_destroy(guest[i % DOMS].d, -1);
    assert_true(gone[0] && gone[1]);
    assert_int_equal(heap_free_count(), free_before);
    assert_int_equal(host_heap_live, 0);
}

static void all_at_once(void **state) {
    struct cpu_thread t[DOMS * VCPUS];
    u64 free_before, seed = host_number("MODEL_FIRST", 1);

    (void)state;
    rounds = host_number("MODEL_STEPS", 8000);
    mm_host_init(DOMS * VCPUS);
    free_before = heap_free_count();
    for (u32 i = 0; i < DOMS; i++)
        create(i);
    for (u32 i = 0; i < DOMS * VCPUS; i++)
        start(&t[i], i, seed);
    for (u32 i = 0; i < DOMS * VCPUS; i++)
        pthread_create(&t[i].thread, NULL, run, &t[i]);
    for (u32 i = 0; i < DOMS * VCPUS; i++)
        pthread_join(t[i].thread, NULL);
    for (u32 i = 0; i < DOMS * VCPUS; i++) {
        printk("CPU %u: %lu calls done\n", i, t[i].done);
        assert_true(t[i].done > rounds / 20);
    }
    destroy(free_before);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};

    return cmocka_run_group_tests_name("hc_threads", tests, NULL, NULL);
}
