// SPDX-License-Identifier: MIT
/*
 * Linear page tables: tables that map themselves, or another of their level, as some kernels have them. Not every
 * domain may: `linear=on` or `linear=off` on the command line says what to expect; without it nothing is tried.
 */
#include "basics.h"

#define SELF 304UL /* slot of the root */
#define LINEAR_VA (0xffff000000000000UL | SELF << 39)
#define FRAME_OF(va) ((va)&0x0000fffffffff000UL)
#define SELF_FLAGS (PTE_P | PTE_A)

/* A table, made of a fresh page, that is not in use otherwise. */
static uint64_t *new_table(unsigned pin) {
    uint64_t *table = page_alloc();

    if (page_protect(table) || mmuext(pin, virt_to_mfn(table)))
        panic("new table refused");
    return table;
}

static bool free_table(uint64_t *table) {
    bool ok = !mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table)) && !page_unprotect(table);

    memset(table, 0, PAGE_SIZE);
    page_free(table);
    return ok;
}

static long link(uint64_t *table, unsigned slot, const uint64_t *target, uint64_t flags) {
    return pt_write(&table[slot], virt_to_machine(target) | flags);
}

static void check_off(void) {
    static const unsigned pins[] = {MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};

    for (unsigned i = 0; i < ARRAY_SIZE(pins); i++) {
        uint64_t *a = new_table(pins[i]), *b = new_table(pins[i]);

        test_equal("linear.self_refused", link(a, 3, a, SELF_FLAGS), -XEN_EINVAL);
        test_equal("linear.other_refused", link(a, 3, b, SELF_FLAGS), -XEN_EINVAL);
        free_table(a);
        free_table(b);
    }
}

/* Entries of the current tables, read at the addresses that go through the root once, twice, and four times. */
static void check_reading(void) {
    uint64_t *page = page_alloc();
    unsigned long l1_at = LINEAR_VA | FRAME_OF(SCRATCH_VA) >> 9;
    unsigned long l2_at = LINEAR_VA | SELF << 30 | (FRAME_OF(SCRATCH_VA) >> 18 & ~7UL);
    unsigned long l4_at = LINEAR_VA | SELF << 30 | SELF << 21 | SELF << 12 | SELF << 3;
    struct probe p;

    pt_map_page(SCRATCH_VA, page, PTE_KERNEL);
    test_equal("linear.l1", *(volatile long *)l1_at, (long)*pt_entry(SCRATCH_VA, 1));
    test_equal("linear.l2", *(volatile long *)l2_at, (long)*pt_entry(SCRATCH_VA, 2));
    test_equal("linear.l4", *(volatile long *)l4_at, (long)pt_root()[SELF]);
    probe_write(&p, (void *)l4_at, 0);
    expect_trap("linear.read_only", &p, TRAP_PF, PF_WRITE | PF_PRESENT);
    test_equal("linear.not_for_hypercalls", hv_xen_version(XENVER_extraversion, (void *)l4_at), -XEN_EFAULT);
    test_equal("linear.no_l1_there", hv_update_va_mapping(l1_at, 0, UVMF_INVLPG), -XEN_EINVAL);
    pt_unmap(SCRATCH_VA);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    test_equal("linear.l1_gone", *(volatile long *)l1_at, 0);
    page_free(page);
}

/* What a reader through a reserved slot of the L4 would find: nothing of the guest's choosing. */
static void check_reserved_slots(void) {
    uint64_t *root = page_alloc(), *page = page_alloc();
    bool kept = false;

    for (unsigned slot = 256; slot < 272; slot++)
        root[slot] = virt_to_machine(page) | PTE_TABLE;
    page_protect(root);
    test_equal("linear.pin", mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(root)), 0);
    for (unsigned slot = 256; slot < 272; slot++)
        kept |= (root[slot] & PTE_MFN_MASK) == virt_to_machine(page);
    test_check("linear.reserved_slots", !kept, "an entry of a reserved slot was kept");
    test_check("linear.unpinned", free_table(root), "still in use");
    page_free(page);
}

/* One root for each CPU that maps the root of a process, which maps itself. */
static void check_other_root(void) {
    uint64_t *cpu_root = pt_new_root(true), *third = new_table(MMUEXT_PIN_L4_TABLE);
    unsigned long l1_at = LINEAR_VA | FRAME_OF(DIRECT_MAP) >> 9;
    long seen;

    test_equal("linear.other_root", (long)cpu_root[SELF], (long)pt_root()[SELF]);
    mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(cpu_root));
    seen = *(volatile long *)l1_at;
    mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(pt_root()));
    test_equal("linear.other_read", seen, (long)*pt_entry(DIRECT_MAP, 1));
    test_equal("linear.chain", link(third, 0, cpu_root, SELF_FLAGS), -XEN_EINVAL);
    test_equal("linear.chain_back", link(pt_root(), SELF + 1, third, SELF_FLAGS), -XEN_EINVAL);
    test_check("linear.other_freed", free_table(cpu_root), "still in use");
    test_equal("linear.after_chain", link(pt_root(), SELF + 1, third, SELF_FLAGS), 0);
    test_equal("linear.held", mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(third)), 0);
    test_equal("linear.in_use", page_unprotect(third), -XEN_EBUSY);
    pt_write(&pt_root()[SELF + 1], 0);
    test_equal("linear.let_go", page_unprotect(third), 0);
    page_free(third);
}

static void check_level(unsigned pin) {
    uint64_t *a = new_table(pin), *b = new_table(pin);

    test_equal("linear.writable", link(a, 3, a, SELF_FLAGS | PTE_RW), -XEN_EINVAL);
    test_equal("linear.self", link(a, 3, a, SELF_FLAGS), 0);
    test_equal("linear.made_writable", link(a, 3, a, SELF_FLAGS | PTE_RW), -XEN_EINVAL);
    test_equal("linear.other", link(a, 4, b, SELF_FLAGS), 0);
    test_equal("linear.other_made_writable", link(a, 4, b, SELF_FLAGS | PTE_RW), -XEN_EINVAL);
    test_equal("linear.back", link(b, 4, a, SELF_FLAGS), -XEN_EINVAL);
    test_equal("linear.both_selves", link(b, 3, b, SELF_FLAGS), 0);
    test_check("linear.freed", free_table(a) && free_table(b), "still in use");
}

static void check_on(void) {
    test_equal("linear.root_writable", link(pt_root(), SELF, pt_root(), SELF_FLAGS | PTE_RW), -XEN_EINVAL);
    if (!test_equal("linear.root", link(pt_root(), SELF, pt_root(), SELF_FLAGS), 0))
        return;
    check_reading();
    check_reserved_slots();
    check_other_root();
    check_level(MMUEXT_PIN_L2_TABLE);
    check_level(MMUEXT_PIN_L3_TABLE);
    check_level(MMUEXT_PIN_L4_TABLE);
    test_equal("linear.removed", pt_write(&pt_root()[SELF], 0), 0);
}

void check_linear(void) {
    char expected[8] = "";

    cmdline_value("linear", expected, sizeof(expected));
    if (!strcmp(expected, "on"))
        check_on();
    else if (!strcmp(expected, "off"))
        check_off();
    else
        test_skip("linear", "linear=on or linear=off says what to expect");
}
