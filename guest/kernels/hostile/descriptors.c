// SPDX-License-Identifier: MIT
/*
 * Segment descriptors: gates, system segments and privileged segments, in the GDT, the LDT, and by hypercall.
 */
#include "hostile.h"

#define CODE64_DPL0 0x00af9b000000ffffUL
#define DATA_DPL0 0x00cf93000000ffffUL
#define DATA_DPL3 0x00cff3000000ffffUL
#define EXECUTE_ONLY_DPL3 0x00aff9000000ffffUL
#define TYPE(d) ((d) >> 40 & 15)
#define IS_SYSTEM(d) (!((d) >> 44 & 1))
#define DPL(d) ((d) >> 45 & 3)
#define PRESENT(d) ((d) >> 47 & 1)

static uint64_t system_segment(unsigned type) {
    return 1UL << 47 | 3UL << 45 | (uint64_t)type << 40 | 0x67;
}

static uint64_t call_gate(unsigned selector) {
    return 0x0000ec0000000000UL | (uint64_t)selector << 16;
}

static void attack_updates(uint64_t *gdt) {
    static const unsigned types[] = {1, 2, 3, 5, 6, 7, 9, 11, 14, 15};
    uint64_t machine = virt_to_machine(&gdt[3]);

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        if (!refused("desc.system_segment", hv_update_descriptor(machine, system_segment(types[i]))))
            printf("INFO type %u\n", types[i]);
    /* Some hypervisors take call gates and make them trap: then they must not work by themselves. */
    if (!hv_update_descriptor(machine, call_gate(FLAT_KERNEL_CS)))
        test_check("desc.call_gate", !PRESENT(gdt[3]) || DPL(gdt[3]) == 0, "0x%lx is live", gdt[3]);
    else
        test_pass("desc.call_gate");
    if (!hv_update_descriptor(machine, CODE64_DPL0))
        test_check("desc.code_dpl0", DPL(gdt[3]) != 0, "0x%lx", gdt[3]);
    else
        test_pass("desc.code_dpl0");
    if (!hv_update_descriptor(machine, DATA_DPL0))
        test_check("desc.data_dpl0", DPL(gdt[3]) != 0, "0x%lx", gdt[3]);
    else
        test_pass("desc.data_dpl0");
    hv_update_descriptor(machine, 0);
    refused("desc.on_page_table", hv_update_descriptor(virt_to_machine(pt_root()), 0));
    refused("desc.beyond_memory", hv_update_descriptor(0xfffffffffff000, 0));
    refused("desc.unaligned", hv_update_descriptor(machine + 1, 0));
}

/* Good descriptors that a data segment register does not take: the hypervisor loads it, and must not fault. */
static void attack_loads(const uint64_t *gdt) {
    static const uint64_t odd[] = {DATA_DPL0 & ~(1UL << 47), DATA_DPL3 & ~(1UL << 47), EXECUTE_ONLY_DPL3,
                                   EXECUTE_ONLY_DPL3 & ~(1UL << 47)};

    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        hv_update_descriptor(virt_to_machine(&gdt[3]), odd[i]);
        hv_set_segment_base(SEGBASE_GS_USER_SEL, 3 * 8 + 3);
    }
    hv_set_segment_base(SEGBASE_GS_USER_SEL, 0);
    hv_update_descriptor(virt_to_machine(&gdt[3]), 0);
    test_pass("gdt.odd_loads");
}

static void attack_gdt(void) {
    uint64_t *gdt = page_alloc();
    unsigned long frame = virt_to_mfn(gdt), table = virt_to_mfn(pt_root()), wild = 0xffffffffff;
    struct probe p;

    gdt[5] = system_segment(9);
    page_protect(gdt);
    refused("gdt.with_tss", hv_set_gdt(&frame, 512));
    test_equal("gdt.released", page_unprotect(gdt), 0);
    refused("gdt.writable", hv_set_gdt(&frame, 512));
    gdt[5] = 0;
    page_protect(gdt);
    refused("gdt.page_table", hv_set_gdt(&table, 512));
    refused("gdt.beyond_memory", hv_set_gdt(&wild, 512));
    refused("gdt.too_long", hv_set_gdt(&frame, ~0U));
    test_equal("gdt.good", hv_set_gdt(&frame, 512), 0);
    refused("gdt.made_writable", page_unprotect(gdt));
    page_protect(gdt);
    probe_write(&p, &gdt[3], CODE64_DPL0);
    test_check("gdt.write", p.trapped && p.vector == TRAP_PF && !gdt[3], "%s", probe_describe(&p));
    attack_updates(gdt);
    attack_loads(gdt);
    hv_set_gdt(NULL, 0);
    page_unprotect(gdt);
    page_free(gdt);
}

static long set_ldt(unsigned long base, unsigned entries) {
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = base, .arg2.nr_ents = entries};

    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void do_load_es(void *selector) {
    __asm__ volatile("mov %k0, %%es\n\tmov %k1, %%es" ::"r"(selector), "r"(0));
}

/* An LDT's pages are looked at when a selector first needs them. */
static void attack_ldt(void) {
    uint64_t *ldt = page_alloc();
    struct probe p;

    refused("ldt.too_long", set_ldt(ARG(ldt), 8193));
    refused("ldt.reserved", set_ldt(HYPERVISOR_VIRT_START, 16));
    refused("ldt.noncanonical", set_ldt(1UL << 63, 16));
    ldt[1] = DATA_DPL0;
    ldt[2] = system_segment(9);
    if (!set_ldt(ARG(ldt), 512)) {
        probe_run(&p, do_load_es, (void *)0xfUL);
        trapped("ldt.writable_page", &p);
    }
    page_protect(ldt);
    if (!set_ldt(ARG(ldt), 512)) {
        probe_run(&p, do_load_es, (void *)0xfUL);
        trapped("ldt.bad_page", &p);
    }
    if (!set_ldt(SCRATCH_VA + (9UL << 30), 512)) {
        probe_run(&p, do_load_es, (void *)0xfUL);
        trapped("ldt.unmapped", &p);
    }
    set_ldt(0, 0);
    page_unprotect(ldt);
    page_free(ldt);
}

static void attack_selectors(void) {
    static const unsigned long selectors[] = {0x08, 0x10, 0xe008, 0xe010, 0xe018, 0xe040, 0xe050, 0xe060, 0xfff8};
    struct probe p;
    unsigned caught = 0;

    /* Loading may work where the descriptor allows ring 3 or ring 1; what counts is going on afterwards. */
    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++)
        caught += !probe_run(&p, do_load_es, (void *)selectors[i]);
    test_check("selector.sweep", caught > 0, "all selectors can be loaded");
}

void attack_descriptors(void) {
    attack_gdt();
    attack_ldt();
    attack_selectors();
}
