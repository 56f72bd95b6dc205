// SPDX-License-Identifier: MIT
/*
 * Storms: what a guest can do without end. `storm=<name>` runs one for `seconds=N` (5) on each vCPU; others must get
 * their share of the CPUs meanwhile, and all of the memory afterwards. Nothing is refused here, so nothing is checked.
 */
#include "hostile.h"

#include <xen/io/xs_wire.h>

#define AREA (SCRATCH_VA + (9UL << 30))
#define LIST 512 /* entries of a long list */

static uint64_t end;

static bool over(void) {
    return clock_now() >= end;
}

/* Nothing but the CPU. */
static void spin(void) {
    for (volatile unsigned i = 0; i < 1000000; i++)
        continue;
}

static unsigned port_to_self;

static void self_events(void) {
    for (unsigned i = 0; i < 1000; i++)
        event_send(port_to_self);
}

/* Deadlines in the past, now, and so soon that they have gone by. */
static void timers(void) {
    struct vcpu_set_periodic_timer periodic = {.period_ns = MILLISECOND};

    for (unsigned i = 0; i < 1000; i++)
        hypercall1(__HYPERVISOR_set_timer_op, clock_now() + i % 3 * 500 - 500);
    hv_vcpu_op(VCPUOP_set_periodic_timer, cpu_this()->id, &periodic);
}

static void yields(void) {
    for (unsigned i = 0; i < 1000; i++)
        hv_sched_op(SCHEDOP_yield, NULL);
}

static void faults(void) {
    struct probe p;

    for (unsigned i = 0; i < 200; i++) {
        probe_run(&p, code_ud, NULL);
        probe_read(&p, (void *)AREA, NULL);
    }
}

/* A multicall of multicalls' worth of work: each call a long list of its own. */
static mmu_update_t updates[LIST];
static uint64_t *storm_entry;

static void multicalls(void) {
    static multicall_entry_t calls[LIST];

    for (unsigned i = 0; i < LIST; i++) {
        updates[i] = (mmu_update_t){virt_to_machine(storm_entry), i % 2 ? virt_to_machine(cpus) | PTE_KERNEL_RO : 0};
        calls[i] = (multicall_entry_t){.op = __HYPERVISOR_mmu_update, .args = {ARG(updates), LIST, 0, DOMID_SELF}};
    }
    hv_multicall(calls, LIST);
}

/* A tree of tables validated and dropped, again and again. */
static uint64_t *storm_root;

static void roots(void) {
    for (unsigned i = 0; i < 50; i++) {
        mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(storm_root));
        mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(storm_root));
    }
}

/* All the memory there is to have, and back. */
static void memory(void) {
    static xen_pfn_t frames[LIST];
    struct xen_memory_reservation r = {.nr_extents = LIST, .domid = DOMID_SELF};

    for (unsigned i = 0; i < LIST; i++)
        frames[i] = start_info->nr_pages + i;
    set_xen_guest_handle(r.extent_start, frames);
    r.nr_extents = (unsigned long)hv_memory_op(XENMEM_populate_physmap, &r);
    if (r.nr_extents)
        hv_memory_op(XENMEM_decrease_reservation, &r);
    for (unsigned i = 0; i < 8; i++) {
        frames[0] = virt_to_mfn(updates);
        r.nr_extents = 1;
        hv_memory_op(XENMEM_decrease_reservation, &r); /* mapped: it stays, and is not given up a second time */
    }
}

static void ports(void) {
    long port = 1;

    for (unsigned i = 0; i < 4096 && port > 0; i++)
        port = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
    for (unsigned n = 64; n < 4096; n++)
        event_close(n);
}

/* The store's ring: requests that are too long, broken, or many. */
static void store(void) {
    struct xenstore_domain_interface *ring = mfn_to_virt(start_info->store_mfn);
    struct xsd_sockmsg message = {.type = XS_READ, .len = cpu_this()->id ? 0xffffffff : 16};

    for (unsigned i = 0; i < 200; i++) {
        uint32_t at = ring->req_prod;

        for (unsigned k = 0; k < sizeof(message); k++)
            ring->req[(at + k) % XENSTORE_RING_SIZE] = ((char *)&message)[k];
        ring->req_prod = at + sizeof(message) + 16;
        event_send(start_info->store_evtchn);
        ring->rsp_cons = ring->rsp_prod;
        ring->req_prod = ring->req_cons + (i % 7 ? 0 : 5000);
    }
}

static void console(void) {
    for (unsigned i = 0; i < 20; i++)
        printf("storm of lines, number %u, of a guest that has much to say and says it without end\n", i);
}

struct access {
    uint32_t number;
    bool is_port;
};

static void do_access(void *arg) {
    const struct access *a = arg;
    uint32_t low, high;

    if (a->is_port)
        __asm__ volatile("inl %w1, %0\n\toutl %0, %w1" : "=&a"(low) : "d"(a->number));
    else
        __asm__ volatile("rdmsr\n\twrmsr" : "=a"(low), "=d"(high) : "c"(a->number));
}

static void machine(void) {
    static unsigned next;
    struct probe p;

    for (unsigned i = 0; i < 500; i++, next++) {
        struct access a = {next % 2 ? next & 0xffff : (next & 0x1fff) + (next & 4 ? 0xc0000000 : 0), next % 2};

        probe_run(&p, do_access, &a);
    }
}

static const struct storm {
    const char *name;
    void (*blow)(void);
} storms[] = {
    {"spin", spin},       {"self_events", self_events}, {"timers", timers}, {"yields", yields}, {"faults", faults},
    {"memory", memory},   {"multicalls", multicalls},   {"roots", roots},   {"ports", ports},   {"store", store},
    {"console", console}, {"machine", machine},
};

static void blow(void *arg) {
    const struct storm *storm = arg;

    while (!over())
        storm->blow();
}

/* On all vCPUs those that do not need tables of their own. */
static void blow_on_all(const struct storm *storm) {
    if (hv_vcpu_op(VCPUOP_is_up, 1, NULL) == 0)
        cpu_start(1, blow, (void *)(uintptr_t)storm);
    blow((void *)(uintptr_t)storm);
}

void attack_as_storm(const char *name) {
    end = clock_now() + cmdline_number("seconds", 5) * SECOND;
    storm_entry = pt_make(AREA);
    storm_root = pt_new_root(true);
    port_to_self = (unsigned)event_bind_ipi(0);
    for (unsigned i = 0; i < ARRAY_SIZE(storms); i++)
        if (!strcmp(name, storms[i].name)) {
            blow_on_all(&storms[i]);
            test_pass(name);
            return;
        }
    test_fail(name, "unknown storm");
}
