// SPDX-License-Identifier: MIT
/*
 * Frames: which are free, and the direct map of them all, built from the few pages the domain builder mapped.
 * Until a frame is in the direct map it is reached by its address in the initial image.
 */
#include "internal.h"

#include <sdk/console.h>

static uint64_t *used_map, *table_map;
static unsigned long next_pfn, direct_pfns, window_pfns;

static bool test_bit(const uint64_t *map, unsigned long n) {
    return map[n / 64] >> n % 64 & 1;
}
static void set_bit(uint64_t *map, unsigned long n) {
    map[n / 64] |= 1UL << n % 64;
}
static void clear_bit(uint64_t *map, unsigned long n) {
    map[n / 64] &= ~(1UL << n % 64);
}

static void *image_address(unsigned long pfn) {
    return kernel_virt_base + (pfn << PAGE_SHIFT);
}

void *memory_address(unsigned long pfn) {
    return pfn < direct_pfns ? pfn_to_virt(pfn) : image_address(pfn);
}

unsigned long virt_to_pfn(const void *va) {
    unsigned long address = ARG(va);

    if (address - DIRECT_MAP < start_info->nr_pages << PAGE_SHIFT)
        return (address - DIRECT_MAP) >> PAGE_SHIFT;
    return (address - ARG(kernel_virt_base)) >> PAGE_SHIFT;
}

void *page_alloc(void) {
    unsigned long nr = start_info->nr_pages;

    for (unsigned long i = 0; i < nr; i++) {
        unsigned long pfn = (next_pfn + i) % nr;

        if (test_bit(used_map, pfn))
            continue;
        set_bit(used_map, pfn);
        next_pfn = pfn + 1;
        return memset(memory_address(pfn), 0, PAGE_SIZE);
    }
    panic("out of memory");
}

void page_free(void *page) {
    clear_bit(used_map, virt_to_pfn(page));
}

unsigned long page_count_free(void) {
    unsigned long n = 0;

    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
        n += !test_bit(used_map, pfn);
    return n;
}

static uint64_t direct_pte(unsigned long pfn) {
    return pfn_to_mfn(pfn) << PAGE_SHIFT | (test_bit(table_map, pfn) ? PTE_KERNEL_RO : PTE_KERNEL);
}

/* Brings the mappings of a frame in line with table_map. */
static long update_mappings(unsigned long pfn) {
    long rc = 0;

    if (pfn < window_pfns)
        rc = hv_update_va_mapping(ARG(image_address(pfn)), direct_pte(pfn), UVMF_INVLPG | UVMF_ALL);
    if (!rc && pfn < direct_pfns)
        rc = hv_update_va_mapping(ARG(pfn_to_virt(pfn)), direct_pte(pfn), UVMF_INVLPG | UVMF_ALL);
    return rc;
}

long page_protect(void *page) {
    set_bit(table_map, virt_to_pfn(page));
    return update_mappings(virt_to_pfn(page));
}

long page_unprotect(void *page) {
    clear_bit(table_map, virt_to_pfn(page));
    return update_mappings(virt_to_pfn(page));
}

static void reserve(uint64_t *map, unsigned long pfn, unsigned long count) {
    for (; count && pfn < start_info->nr_pages; count--)
        set_bit(map, pfn++);
}

static unsigned long later(unsigned long a, unsigned long b) {
    return a > b ? a : b;
}

static unsigned long after_mfn(unsigned long mfn) {
    return mfn ? mfn_to_pfn(mfn) + 1 : 0;
}

/* The first frame behind all that the domain builder put down, in whatever order it did. */
static unsigned long first_free_pfn(void) {
    unsigned long first = virt_to_pfn((void *)start_info->pt_base) + start_info->nr_pt_frames + 1;
    unsigned long p2m_end = start_info->mfn_list + start_info->nr_pages * sizeof(unsigned long) + PAGE_SIZE - 1;

    first = later(first, virt_to_pfn(start_info) + 1);
    first = later(first, after_mfn(start_info->store_mfn));
    if (!is_privileged())
        first = later(first, after_mfn(start_info->console.domU.mfn));
    if (!start_info->nr_p2m_frames)
        first = later(first, virt_to_pfn((void *)p2m_end));
    if (start_info->mod_len && !(start_info->flags & SIF_MOD_START_PFN))
        first = later(first, virt_to_pfn((void *)(start_info->mod_start + start_info->mod_len + PAGE_SIZE - 1)));
    return first;
}

/* The two maps lie in the first free frames. */
static void init_maps(void) {
    unsigned long first = first_free_pfn(), tables = virt_to_pfn((void *)start_info->pt_base);
    unsigned long bytes = (start_info->nr_pages + 63) / 64 * 8;

    used_map = image_address(first);
    table_map = used_map + bytes / 8;
    memset(used_map, 0, 2 * bytes);
    next_pfn = first + ((2 * bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    reserve(used_map, 0, next_pfn);
    reserve(table_map, tables, start_info->nr_pt_frames);
    /* A p2m at an address of its own lies here with its page tables: no telling which are which. */
    reserve(used_map, start_info->first_p2m_pfn, start_info->nr_p2m_frames);
    reserve(table_map, start_info->first_p2m_pfn, start_info->nr_p2m_frames);
    if (start_info->flags & SIF_MOD_START_PFN)
        reserve(used_map, start_info->mod_start, (start_info->mod_len + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

static void find_window(void) {
    unsigned long pfn = virt_to_pfn(image_end);
    uint64_t *entry;

    while ((entry = pt_entry(ARG(image_address(pfn)), 1)) && *entry & PTE_P)
        pfn++;
    window_pfns = pfn;
}

/* One L1 of the direct map. The new table may map itself, or tables of later frames: table_map knows. */
static void map_chunk(unsigned long first) {
    uint64_t *l1 = page_alloc(), *l2;

    l2 = pt_make_entry(pt_root(), ARG(pfn_to_virt(first)), 2);
    set_bit(table_map, virt_to_pfn(l1));
    for (unsigned i = 0; i < 512 && first + i < start_info->nr_pages; i++)
        if (pfn_to_mfn(first + i) != NO_MFN)
            l1[i] = direct_pte(first + i);
    if (page_protect(l1) || pt_write(l2, virt_to_mfn(l1) << PAGE_SHIFT | PTE_TABLE))
        panic("direct map of frame 0x%lx refused", first);
    direct_pfns = first + 512 < start_info->nr_pages ? first + 512 : start_info->nr_pages;
}

/* From now on a free frame is mapped once. The maps stay at their old addresses, in the part which is kept. */
static void drop_window(void) {
    unsigned long last = window_pfns;

    window_pfns = virt_to_pfn(table_map) + 1;
    while (test_bit(used_map, window_pfns) && !test_bit(table_map, window_pfns))
        window_pfns++;
    for (unsigned long pfn = window_pfns; pfn < last; pfn++)
        hv_update_va_mapping(ARG(image_address(pfn)), 0, UVMF_INVLPG);
}

void memory_init(void) {
    hv_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    pt_init();
    init_maps();
    find_window();
    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn += 512)
        map_chunk(pfn);
    drop_window();
    pt_init();
}
