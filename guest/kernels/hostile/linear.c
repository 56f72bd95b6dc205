// SPDX-License-Identifier: MIT
/*
 * Linear page tables: a table that maps itself shows all tables of its space as memory. Where that is not allowed, no
 * entry of the kind is taken; where it is, no way makes them writable, and nothing is written by way of them.
 */
#include "hostile.h"

#define SELF 304UL /* slot of the root */
#define VA_BITS 0x0000ffffffffffffUL
#define AT(a, b, c, d, offset)                                                                                         \
    (~VA_BITS | (uint64_t)(a) << 39 | (uint64_t)(b) << 30 | (uint64_t)(c) << 21 | (uint64_t)(d) << 12 | (offset))
#define READ_ONLY (PTE_P | PTE_A)

static const unsigned pins[] = {MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};

static uint64_t *new_table(unsigned pin) {
    uint64_t *table = page_alloc();

    if (page_protect(table) || mmuext(pin, virt_to_mfn(table)))
        panic("new table refused");
    return table;
}

static void free_table(uint64_t *table) {
    mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table));
    test_equal("linear.freed", page_unprotect(table), 0);
    memset(table, 0, PAGE_SIZE);
    page_free(table);
}

static long update(uint64_t *entry, uint64_t value, unsigned how) {
    mmu_update_t u = {virt_to_machine(entry) | how, value};

    return hv_mmu_update(&u, 1, NULL, DOMID_SELF);
}

bool linear_allowed(void) {
    uint64_t *table = new_table(MMUEXT_PIN_L4_TABLE);
    bool allowed = !update(&table[3], virt_to_machine(table) | READ_ONLY, 0);

    free_table(table);
    return allowed;
}

/* Validation finds what no update was asked about. */
static void pin_with_writable(unsigned pin) {
    uint64_t *table = page_alloc();

    table[3] = virt_to_machine(table) | READ_ONLY | PTE_RW;
    page_protect(table);
    refused("linear.pin_writable", mmuext(pin, virt_to_mfn(table)));
    test_equal("linear.pin_undone", page_unprotect(table), 0);
    table[3] = 0;
    page_free(table);
}

/* An entry that is there, and its next life: by each kind of update, and by a list that takes it away in between. */
static void make_writable(uint64_t *entry, uint64_t target) {
    uint64_t value = target | READ_ONLY | PTE_RW;
    mmu_update_t list[2] = {{virt_to_machine(entry), 0}, {virt_to_machine(entry), value}};
    unsigned done = 99;

    refused("linear.writable", update(entry, value, 0));
    refused("linear.writable_user", update(entry, value | PTE_U, 0));
    refused("linear.writable_preserve", update(entry, value, MMU_PT_UPDATE_PRESERVE_AD));
    refused("linear.writable_untranslated", update(entry, value, MMU_PT_UPDATE_NO_TRANSLATE));
    refused("linear.large", update(entry, target | READ_ONLY | PTE_PSE, 0));
    refused("linear.writable_in_list", hv_mmu_update(list, 2, &done, DOMID_SELF));
    test_check("linear.entry", !*entry, "0x%lx", *entry);
}

static void attack_level(unsigned pin, bool allowed) {
    uint64_t *table = new_table(pin), *other = new_table(pin);

    test_equal("linear.self", !update(&table[3], virt_to_machine(table) | READ_ONLY, 0), allowed);
    make_writable(&table[3], virt_to_machine(table));
    test_equal("linear.other", !update(&table[4], virt_to_machine(other) | READ_ONLY, 0), allowed);
    make_writable(&table[4], virt_to_machine(other));
    free_table(table);
    free_table(other);
    pin_with_writable(pin);
}

/* One table seen at an address: what is written there would be an entry that maps the root as memory. */
static void write_at(unsigned long va, const uint64_t *entry) {
    uint64_t evil = virt_to_machine(pt_root()) | PTE_KERNEL, before = *entry;
    struct vcpu_register_time_memory_area time = {.addr.p = va & ~63UL};
    struct vcpu_register_runstate_memory_area area;
    struct probe p;

    area.addr.p = va & ~63UL;
    test_equal("linear.seen", *(volatile long *)va, (long)before);
    probe_write(&p, (void *)va, evil);
    trapped("linear.write", &p);
    refused("linear.by_hypercall", hv_xen_version(XENVER_extraversion, (void *)va));
    hv_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    hv_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time);
    hv_sched_op(SCHEDOP_yield, NULL);
    area.addr.p = time.addr.p = 0;
    hv_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    hv_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time);
    test_check("linear.unchanged", *entry == before, "0x%lx, was 0x%lx", *entry, before);
}

static void attack_own_tables(void) {
    unsigned long va = SCRATCH_VA + (33UL << 30);
    unsigned i4 = pt_index(va, 4), i3 = pt_index(va, 3), i2 = pt_index(va, 2), i1 = pt_index(va, 1);

    if (!test_equal("linear.root", update(&pt_root()[SELF], virt_to_machine(pt_root()) | READ_ONLY, 0), 0))
        return;
    pt_map_page(va, page_alloc(), PTE_KERNEL);
    write_at(AT(SELF, i4, i3, i2, i1 * 8), pt_entry(va, 1));
    write_at(AT(SELF, SELF, i4, i3, i2 * 8), pt_entry(va, 2));
    write_at(AT(SELF, SELF, SELF, i4, i3 * 8), pt_entry(va, 3));
    write_at(AT(SELF, SELF, SELF, SELF, i4 * 8), pt_entry(va, 4));
    write_at(AT(SELF, SELF, SELF, SELF, SELF * 8), &pt_root()[SELF]);
    refused("linear.va_mapping", hv_update_va_mapping(AT(SELF, i4, i3, i2, 0), PTE_KERNEL, UVMF_INVLPG));
    test_equal("linear.removed", pt_write(&pt_root()[SELF], 0), 0);
}

void attack_linear(void) {
    bool allowed = linear_allowed();

    if (allowed)
        attack_own_tables();
    for (unsigned i = 0; i < ARRAY_SIZE(pins); i++)
        attack_level(pins[i], allowed);
}
