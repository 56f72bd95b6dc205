// SPDX-License-Identifier: MIT
/*
 * Page tables: walks, and changes by hypercall. Tables are read through the direct map, where they are
 * read-only; levels count from 1 (pages) to 4 (the root).
 */
#include "internal.h"

static unsigned long root_pfn;

void pt_init(void) {
    if (!root_pfn)
        root_pfn = virt_to_pfn((void *)start_info->pt_base);
}

uint64_t *pt_root(void) {
    return memory_address(root_pfn);
}

unsigned pt_index(unsigned long va, unsigned level) {
    return va >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

static uint64_t *table_of(uint64_t entry) {
    return memory_address(mfn_to_pfn((entry & PTE_MFN_MASK) >> PAGE_SHIFT));
}

uint64_t *pt_entry_in(uint64_t *root, unsigned long va, unsigned level) {
    uint64_t *entry = &root[pt_index(va, 4)];

    for (unsigned at = 4; at > level; at--) {
        if (!(*entry & PTE_P))
            return NULL;
        entry = &table_of(*entry)[pt_index(va, at - 1)];
    }
    return entry;
}

uint64_t *pt_entry(unsigned long va, unsigned level) {
    return pt_entry_in(pt_root(), va, level);
}

long pt_write(uint64_t *entry, uint64_t value) {
    struct mmu_update req = {virt_to_machine(entry) | MMU_NORMAL_PT_UPDATE, value};

    return hv_mmu_update(&req, 1, NULL, DOMID_SELF);
}

static void make_table(uint64_t *parent) {
    void *table = page_alloc();

    if (page_protect(table) || pt_write(parent, virt_to_mfn(table) << PAGE_SHIFT | PTE_TABLE))
        panic("page table refused");
}

uint64_t *pt_make_entry(uint64_t *root, unsigned long va, unsigned level) {
    for (unsigned at = 4; at > level; at--) {
        uint64_t *parent = pt_entry_in(root, va, at);

        if (!(*parent & PTE_P))
            make_table(parent);
    }
    return pt_entry_in(root, va, level);
}

uint64_t *pt_make(unsigned long va) {
    return pt_make_entry(pt_root(), va, 1);
}

long pt_map_in(uint64_t *root, unsigned long va, unsigned long mfn, uint64_t flags) {
    return pt_write(pt_make_entry(root, va, 1), mfn << PAGE_SHIFT | flags);
}

long pt_map(unsigned long va, unsigned long mfn, uint64_t flags) {
    long rc = pt_map_in(pt_root(), va, mfn, flags);

    return rc ? rc : mmuext_linear(MMUEXT_INVLPG_LOCAL, va);
}

long pt_map_page(unsigned long va, void *page, uint64_t flags) {
    return pt_map(va, virt_to_mfn(page), flags);
}

long pt_unmap(unsigned long va) {
    return hv_update_va_mapping(va, 0, UVMF_INVLPG);
}

uint64_t *pt_new_root(bool with_kernel_half) {
    uint64_t *root = page_alloc();

    /* Slots 256-271 are the hypervisor's. */
    for (unsigned slot = 272; with_kernel_half && slot < 512; slot++)
        root[slot] = pt_root()[slot];
    if (page_protect(root) || mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(root)))
        panic("new root refused");
    return root;
}

long mmuext(unsigned cmd, unsigned long mfn) {
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn};

    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

long mmuext_linear(unsigned cmd, unsigned long va) {
    struct mmuext_op op = {.cmd = cmd, .arg1.linear_addr = va};

    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}
