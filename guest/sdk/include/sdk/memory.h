/* SPDX-License-Identifier: MIT */
/*
 * Memory: frame numbers, a direct map of all the domain's frames, a page allocator, and page tables changed
 * by hypercall. Terms: pfn is the domain's own numbering, mfn the machine's; va is a virtual address.
 * Every frame except those of page tables is mapped writable in the direct map, and only there (the kernel
 * image, which has its own addresses too, aside).
 */
#ifndef SDK_MEMORY_H
#define SDK_MEMORY_H

#include <sdk/hypercall.h>
#include <sdk/start.h>

#define PTE_P 0x001UL
#define PTE_RW 0x002UL
#define PTE_U 0x004UL
#define PTE_PWT 0x008UL
#define PTE_PCD 0x010UL
#define PTE_A 0x020UL
#define PTE_D 0x040UL
#define PTE_PSE 0x080UL
#define PTE_G 0x100UL
#define PTE_NX (1UL << 63)
#define PTE_MFN_MASK 0x000ffffffffff000UL
#define PTE_TABLE (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define PTE_KERNEL (PTE_P | PTE_RW | PTE_A | PTE_D)
#define PTE_KERNEL_RO (PTE_P | PTE_A)
#define PTE_USER (PTE_KERNEL | PTE_U)

#define DIRECT_MAP 0xffff880000000000UL
/* Addresses nothing uses, for tests to map what they like: kernel half, and user half. */
#define SCRATCH_VA 0xffffa00000000000UL
#define USER_VA 0x0000200000000000UL
#define NO_MFN (~0UL)

void memory_init(void);

static inline unsigned long *p2m(void) {
    return (unsigned long *)start_info->mfn_list;
}
static inline unsigned long pfn_to_mfn(unsigned long pfn) {
    return p2m()[pfn];
}
static inline unsigned long mfn_to_pfn(unsigned long mfn) {
    return machine_to_phys_mapping[mfn];
}
static inline void *pfn_to_virt(unsigned long pfn) {
    return (void *)(DIRECT_MAP + (pfn << PAGE_SHIFT));
}
static inline void *mfn_to_virt(unsigned long mfn) {
    return pfn_to_virt(mfn_to_pfn(mfn));
}

/* Of an address in the direct map or in the image. */
unsigned long virt_to_pfn(const void *va);
static inline unsigned long virt_to_mfn(const void *va) {
    return pfn_to_mfn(virt_to_pfn(va));
}
static inline uint64_t virt_to_machine(const void *va) {
    return (virt_to_mfn(va) << PAGE_SHIFT) | ((unsigned long)va & ~PAGE_MASK);
}

/* A zeroed page in the direct map; panics when there is none left. */
void *page_alloc(void);
void page_free(void *page);
unsigned long page_count_free(void);
/* Makes the direct-map address of a page read-only (before it becomes a page table), and writable again. */
long page_protect(void *page);
long page_unprotect(void *page);

/* The current L4 in the direct map, and a walk of it: the entry's address, or NULL if a table is missing. */
uint64_t *pt_root(void);
unsigned pt_index(unsigned long va, unsigned level);
uint64_t *pt_entry_in(uint64_t *root, unsigned long va, unsigned level);
uint64_t *pt_entry(unsigned long va, unsigned level);
/* The L1 entry for va in the current root; missing tables are made. */
uint64_t *pt_make(unsigned long va);
/* Changes one entry by mmu_update: 0 or a negative errno. */
long pt_write(uint64_t *entry, uint64_t value);
/* The entry `mfn` with flags; missing tables on the way are made. */
long pt_map_in(uint64_t *root, unsigned long va, unsigned long mfn, uint64_t flags);
long pt_map(unsigned long va, unsigned long mfn, uint64_t flags);
long pt_map_page(unsigned long va, void *page, uint64_t flags);
long pt_unmap(unsigned long va);
/* A fresh, protected and pinned L4, empty or with a copy of the current kernel half. */
uint64_t *pt_new_root(bool with_kernel_half);

long mmuext(unsigned cmd, unsigned long mfn);
long mmuext_linear(unsigned cmd, unsigned long va);

#endif
