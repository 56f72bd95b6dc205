// SPDX-License-Identifier: MIT
// One struct cpu for each processor, its stacks and roots.
#include <pv/cpu.h>
#include <pv/debug.h>
#include <pv/gate.h>
#include <pv/lib.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/run.h>
#include <pv/x86.h>
#include <pv/x86_vcpu.h>

struct cpu *cpus[MAX_CPUS];
u32 nr_cpus;

struct cpu *this_cpu(void) {
    return ((const struct gate_const *)GATE_CONST)->cpu;
}

/* The place may have been that of a CPU which did not start; this CPU alone has looked at it. */
static void map_stack_page(u64 va, const struct page *pg) {
    hyp_map(va, mfn_to_maddr(page_to_mfn(pg)), PAGE_SIZE, PTE_W | PTE_NX);
    invlpg(va);
}

/* guard | NMI stack | guard | stack, so that an overflow faults instead of writing over something. */
static bool map_stacks(struct cpu *c) {
    u64 base = STACKS_BASE + c->id * STACK_STRIDE, nmi = base + PAGE_SIZE, stack = base + STACK_STRIDE - STACK_SIZE;

    for (u64 off = 0; off < STACK_SIZE; off += PAGE_SIZE) {
        struct page *pg = heap_alloc_pages(0), *nmi_pg = off < NMI_STACK_SIZE ? heap_alloc_pages(0) : pg;

        if (!pg || !nmi_pg)
            return false;
        map_stack_page(stack + off, pg);
        if (off < NMI_STACK_SIZE)
            map_stack_page(nmi + off, nmi_pg);
    }
    if (DEBUG)
        debug_stack_made(stack);
    c->stack_top = stack + STACK_SIZE;
    c->nmi_stack_top = nmi + NMI_STACK_SIZE;
    return true;
}

/* The constant part of a guest root: the M2P, read-only, and this CPU's gate. */
static bool make_root(const struct cpu *c, struct guest_root *r) {
    r->table = heap_alloc(PAGE_SIZE);
    if (!r->table)
        return false;
    r->table[pt_slot(M2P_BASE, 4)] = hyp_master_root[pt_slot(M2P_BASE, 4)] & ~PTE_W;
    r->table[GATE_SLOT] = c->hyp_root[GATE_SLOT];
    return true;
}

static bool make_roots(struct cpu *c) {
    for (int set = 0; set < ROOT_SETS; set++)
        for (int way = 0; way < ROOT_WAYS; way++)
            if (!make_root(c, &c->root[set][way]))
                return false;
    c->kernel_root = &c->root[0][0];
    return make_root(c, &c->user_root);
}

struct cpu *cpu_create(u32 apic_id, u32 acpi_id) {
    struct cpu *c = heap_alloc(sizeof(*c));

    if (!c || nr_cpus == MAX_CPUS)
        return NULL;
    c->id = nr_cpus;
    c->apic_id = apic_id;
    c->acpi_id = acpi_id;
    c->slice_end = c->deadline = c->deadline_tsc = ~0ul;
    c->hyp_root = heap_alloc(PAGE_SIZE);
    if (!c->hyp_root || !map_stacks(c))
        return NULL;
    memcpy(c->hyp_root, hyp_master_root, PAGE_SIZE);
    if (!gate_init_cpu(c) || !make_roots(c))
        return NULL;
    return c;
}

void cpu_enlist(struct cpu *c) {
    ASSERT(c->id == nr_cpus);
    cpus[nr_cpus] = c;
    __atomic_store_n(&nr_cpus, nr_cpus + 1, __ATOMIC_SEQ_CST);
}

void cpu_ap_main(struct cpu *c) {
    x86_init_cpu(c);
    apic_init_cpu();
    __atomic_store_n(&c->online, true, __ATOMIC_SEQ_CST);
    run_loop();
}
