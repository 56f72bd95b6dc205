// SPDX-License-Identifier: MIT
// The hypervisor root: text, direct map, M2P, frame table, stacks and device registers. All supervisor, W^X, NX.
// The L3 tables of its slots exist from boot on and are shared by all CPUs' roots, so later mappings appear in all.
#include <pv/boot_memory.h>
#include <pv/lib.h>
#include <pv/mm.h>
#include <pv/x86.h>

u64 *hyp_master_root;

static u64 *new_table(void) {
    void *table = boot_memory_page();

    if (!table) {
        struct page *pg = heap_alloc_pages(0);

        if (!pg)
            panic("no memory for the hypervisor's own page tables");
        table = page_to_virt(pg);
        clear_page(table);
    }
    return table;
}

static u64 *next_table(u64 *entry) {
    if (!(*entry & PTE_P))
        *entry = pte_make(virt_to_mfn(new_table()), PTE_P | PTE_W | PTE_A);
    return mfn_to_virt(pte_mfn(*entry));
}

void hyp_map(u64 va, maddr_t pa, u64 size, u64 flags) {
    flags |= PTE_P | PTE_A | PTE_D;
    while (size) {
        u64 *l2 = next_table(&next_table(&hyp_master_root[pt_slot(va, 4)])[pt_slot(va, 3)]), step = PAGE_SIZE;

        if (!((va | pa.a) & (MiB(2) - 1)) && size >= MiB(2)) {
            l2[pt_slot(va, 2)] = pa.a | flags | PTE_PSE;
            step = MiB(2);
        } else {
            next_table(&l2[pt_slot(va, 2)])[pt_slot(va, 1)] = pa.a | flags;
        }
        va += step;
        pa.a += step;
        size -= step;
    }
}

/* filler[k]: what an empty slot of a table of level k + 1 gets. */
static void fill_holes(u64 *table, int level, const u64 *filler, u32 first, u32 end) {
    for (u32 i = first; i < end; i++) {
        if (!(table[i] & PTE_P))
            table[i] = filler[level - 1];
        else if (level > 1 && !(table[i] & PTE_PSE))
            fill_holes(mfn_to_virt(pte_mfn(table[i])), level - 1, filler, 0, 512);
    }
}

void hyp_map_holes(u64 va, u64 size, const void *page) {
    u64 filler[3] = {pte_make(virt_to_mfn(page), PTE_P | PTE_A | PTE_NX)};
    u64 *l3 = next_table(&hyp_master_root[pt_slot(va, 4)]);

    for (int k = 1; k < 3; k++) {
        u64 *table = new_table();

        fill_holes(table, 1, &filler[k - 1], 0, 512);
        filler[k] = pte_make(virt_to_mfn(table), PTE_P | PTE_W | PTE_A);
    }
    fill_holes(l3, 3, filler, pt_slot(va, 3), pt_slot(va + size - 1, 3) + 1);
}

/* The table an entry leads to, made if there is none yet; NULL: no memory. */
static u64 *try_next_table(u64 *entry) {
    struct page *pg;

    if (!(*entry & PTE_P)) {
        pg = heap_alloc_pages(0);
        if (!pg)
            return NULL;
        clear_page(page_to_virt(pg));
        *entry = pte_make(page_to_mfn(pg), PTE_P | PTE_W | PTE_A);
    }
    return mfn_to_virt(pte_mfn(*entry));
}

static bool try_map_register_page(u64 pa) {
    u64 va = MMIO_BASE + pa, *l3 = mfn_to_virt(pte_mfn(hyp_master_root[pt_slot(va, 4)]));
    u64 *l2 = try_next_table(&l3[pt_slot(va, 3)]), *l1 = l2 ? try_next_table(&l2[pt_slot(va, 2)]) : NULL;

    if (!l1)
        return false;
    l1[pt_slot(va, 1)] = pa | PTE_P | PTE_A | PTE_D | PTE_W | PTE_NX | PTE_PCD | PTE_PWT;
    return true;
}

/* What one L4 slot reaches: the one whose table all roots share. No translation is flushed, there was none. */
void *mmio_try_map(maddr_t pa, size_t size) {
    u64 end = pa.a + size;

    if (end < pa.a || end > GiB(512) || end > BIT(x86_features.phys_bits))
        return NULL;
    for (u64 a = ALIGN_DOWN(pa.a, PAGE_SIZE); a < end; a += PAGE_SIZE)
        if (!hyp_is_mapped(MMIO_BASE + a) && !try_map_register_page(a))
            return NULL;
    return (void *)(MMIO_BASE + pa.a);
}

void *mmio_map(maddr_t pa, size_t size) {
    u64 start = ALIGN_DOWN(pa.a, PAGE_SIZE), end = ALIGN_UP(pa.a + size, PAGE_SIZE);

    for (u64 a = start; a < end; a += PAGE_SIZE) {
        hyp_map(MMIO_BASE + a, maddr(a), PAGE_SIZE, PTE_W | PTE_NX | PTE_PCD | PTE_PWT);
        invlpg(MMIO_BASE + a);
    }
    return (void *)(MMIO_BASE + pa.a);
}

static u64 *leaf_of(u64 va) {
    u64 *table = hyp_master_root;

    for (int level = 4; level > 1; level--) {
        u64 entry = table[pt_slot(va, level)];

        if (!(entry & PTE_P) || entry & PTE_PSE)
            return entry & PTE_P ? &table[pt_slot(va, level)] : NULL;
        table = mfn_to_virt(pte_mfn(entry));
    }
    return &table[pt_slot(va, 1)];
}

bool hyp_is_mapped(u64 va) {
    u64 *leaf = leaf_of(va);

    return leaf && *leaf & PTE_P;
}

maddr_t hyp_translate(u64 va) {
    return mfn_to_maddr(pte_mfn(*leaf_of(va)));
}
