// SPDX-License-Identifier: MIT
// Memory from the loader's map to the heap: finds free RAM, builds the hypervisor root with the direct map, the frame
// table and the machine-to-physical table, and hands over.
#include <pv/boot_memory.h>
#include <pv/boot.h>
#include <pv/gate.h>
#include <pv/lib.h>
#include <pv/mm.h>
#include <pv/x86.h>

#include "internal.h"

#define MAX_FREE (BOOT_MAX_RANGES + BOOT_MAX_MODULES + 8)
#define LOW_LIMIT GiB(4) /* what the boot tables map */

extern char image_start[], image_text_end[], image_rodata_end[], image_data_end[], image_end[];

struct range {
    u64 start, end;
};
static struct range free_ranges[MAX_FREE];
static u32 nr_free;
static bool finished;
u64 boot_memory_total;

static void add_free(u64 start, u64 end) {
    start = ALIGN_UP(start, PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start < end && nr_free < MAX_FREE)
        free_ranges[nr_free++] = (struct range){start, end};
}

/* Takes [start, end) out of the free ranges. */
static void reserve(u64 start, u64 end) {
    u32 n = nr_free;

    start = ALIGN_DOWN(start, PAGE_SIZE);
    end = ALIGN_UP(end, PAGE_SIZE);
    for (u32 i = 0; i < n; i++) {
        struct range *r = &free_ranges[i], old = *r;

        if (end <= old.start || start >= old.end)
            continue;
        r->end = MAX(old.start, MIN(old.end, start));
        if (end < old.end)
            add_free(end, old.end);
    }
}

static void find_free(void) {
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];

        if (r->ram) {
            boot_memory_total += r->end - r->start;
            add_free(r->start, r->end);
        }
    }
    for (u32 i = 0; i < boot_info.nr_ranges; i++)
        if (!boot_info.range[i].ram)
            reserve(boot_info.range[i].start, boot_info.range[i].end);
    reserve(0, MiB(1));
    reserve((u64)image_start - HYP_TEXT_BASE, (u64)image_end - HYP_TEXT_BASE);
    for (u32 i = 0; i < boot_info.nr_modules; i++)
        reserve(boot_info.module[i].start, boot_info.module[i].start + boot_info.module[i].size);
}

/* From the end of the highest free range below 4 GiB: mapped by the boot tables, and far from the modules. */
static u64 take(u64 size) {
    struct range *best = NULL;

    for (u32 i = 0; i < nr_free; i++) {
        struct range *r = &free_ranges[i];

        if (r->end <= LOW_LIMIT && r->end - r->start >= size && (!best || r->end > best->end))
            best = r;
    }
    if (!best)
        panic("not enough memory below 4 GiB for the hypervisor's own tables (%u free ranges)", nr_free);
    best->end -= size;
    return best->end;
}

void *boot_memory_page(void) {
    void *page;

    if (finished)
        return NULL;
    page = maddr_to_virt(maddr(take(PAGE_SIZE)));
    clear_page(page);
    return page;
}

static u64 top_of(bool below_limit) {
    u64 top = 0;

    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];

        if ((r->ram || r->type == 3 || r->type == 4) && (!below_limit || r->end <= LOW_LIMIT))
            top = MAX(top, r->end);
    }
    return top;
}

static void map_direct(void) {
    hyp_map(DIRECTMAP_BASE, maddr(0), ALIGN_UP(top_of(true), MiB(2)), PTE_W | PTE_NX);
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];
        u64 start = ALIGN_DOWN(MAX(r->start, LOW_LIMIT), MiB(2)), end = ALIGN_UP(r->end, MiB(2));

        if (r->ram && start < end)
            hyp_map(DIRECTMAP_BASE + start, maddr(start), end - start, PTE_W | PTE_NX);
    }
}

static void map_image(void) {
    u64 text = (u64)image_start, rodata = (u64)image_text_end, data = (u64)image_rodata_end, end = (u64)image_end;

    hyp_map(text, maddr(text - HYP_TEXT_BASE), rodata - text, 0);
    hyp_map(rodata, maddr(rodata - HYP_TEXT_BASE), data - rodata, PTE_NX);
    hyp_map(data, maddr(data - HYP_TEXT_BASE), end - data, PTE_NX | PTE_W);
}

static void map_frame_table_page(u64 page) {
    u64 va = FRAMETABLE_BASE + page * PAGE_SIZE;

    if (frame_table_map[page / 64] >> page % 64 & 1)
        return;
    hyp_map(va, virt_to_maddr(boot_memory_page()), PAGE_SIZE, PTE_W | PTE_NX);
    frame_table_map[page / 64] |= BIT(page % 64);
}

/* Frame-table pages for the frames of each RAM range. */
static void map_frame_table(void) {
    u64 pages = (top_of(false) >> PAGE_SHIFT) / FRAMES_PER_TABLE_PAGE + 1,
        map_size = ALIGN_UP(pages / 8 + 8, PAGE_SIZE);

    frame_table_map = maddr_to_virt(maddr(take(map_size)));
    memset(frame_table_map, 0, map_size);
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];
        u64 first = (r->start >> PAGE_SHIFT) / FRAMES_PER_TABLE_PAGE;

        for (u64 page = first; r->ram && page * FRAMES_PER_TABLE_PAGE < r->end >> PAGE_SHIFT; page++)
            map_frame_table_page(page);
    }
    frame_table_max = top_of(false) >> PAGE_SHIFT;
}

/* Calls fn for each address of the M2P that tells of a GiB with RAM; more than once if that has several ranges. */
static void for_each_m2p_chunk(void (*fn)(u64 va)) {
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];

        for (u64 pa = ALIGN_DOWN(r->start, GiB(1)); r->ram && pa < r->end; pa += GiB(1))
            fn(M2P_BASE + (pa >> PAGE_SHIFT) * 8);
    }
}

/* 2 MiB of frames in a row: that is how the ABI lets tools ask for the table. */
static void map_m2p_chunk(u64 va) {
    u64 pa;

    if (hyp_is_mapped(va))
        return;
    pa = take(MiB(2));
    memset(maddr_to_virt(maddr(pa)), 0xff, MiB(2));
    hyp_map(va, maddr(pa), MiB(2), PTE_W | PTE_NX);
}

static void show_m2p_chunk(u64 va) {
    mm_show_frames(maddr_to_mfn(hyp_translate(va)), MiB(2) >> PAGE_SHIFT);
}

/* 2 MiB of M2P for each GiB with RAM; one page of all ones stands for every hole, up to the end of the range that the
 * ABI gives the table: kernels look up the frames of devices, wherever they are. */
static void map_m2p(void) {
    void *hole = boot_memory_page();

    memset(hole, 0xff, PAGE_SIZE);
    for_each_m2p_chunk(map_m2p_chunk);
    hyp_map_holes(M2P_BASE, M2P_SIZE, hole);
}

/* Any frame below frame_table_max can be looked at: one page of zeros is the RAM in the holes, and what the frame table
 * says of it: no references, so nobody gets one. */
static void map_holes(void) {
    const void *zeros = boot_memory_page();

    hyp_map_holes(DIRECTMAP_BASE, frame_table_max << PAGE_SHIFT, zeros);
    hyp_map_holes(FRAMETABLE_BASE, frame_table_max * sizeof(struct page), zeros);
}

/* Slots whose L3 tables all roots share: they must exist before a second root is made. */
static void make_shared_slots(void) {
    static const u64 bases[] = {M2P_BASE, DIRECTMAP_BASE, MMIO_BASE, FRAMETABLE_BASE, STACKS_BASE, HYP_TEXT_BASE};

    for (u32 i = 0; i < ARRAY_SIZE(bases); i++)
        if (!hyp_master_root[pt_slot(bases[i], 4)])
            hyp_master_root[pt_slot(bases[i], 4)] = pte_make(virt_to_mfn(boot_memory_page()), PTE_P | PTE_W | PTE_A);
}

void boot_memory_init(void) {
    find_free();
    if (!nr_free)
        panic("%s gave no usable memory map", boot_info.loader);
    hyp_master_root = boot_memory_page();
    make_shared_slots();
    map_image();
    map_direct();
    map_frame_table();
    map_m2p();
    map_holes();
    hyp_master_root[pt_slot(GATE_BASE, 4)] = boot_gate_slot();
    write_cr3(virt_to_maddr(hyp_master_root).a);
    for_each_m2p_chunk(show_m2p_chunk);
}

void boot_memory_finish(void) {
    finished = true;
    for (u32 i = 0; i < nr_free; i++)
        if (free_ranges[i].start < free_ranges[i].end)
            heap_add_range(mfn(free_ranges[i].start >> PAGE_SHIFT), mfn(free_ranges[i].end >> PAGE_SHIFT));
}

/* Loaders may have put a module where the map says something else. */
static bool is_ram(u64 start, u64 end) {
    bool inside = false;

    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];

        if (!r->ram && start < r->end && r->start < end)
            return false;
        inside |= r->ram && r->start <= start && end <= r->end;
    }
    return inside;
}

void boot_memory_free_module(struct boot_module *m) {
    u64 start = ALIGN_UP(m->start, PAGE_SIZE), end = ALIGN_DOWN(m->start + m->size, PAGE_SIZE);

    if (start < end && is_ram(start, end))
        heap_add_range(mfn(start >> PAGE_SHIFT), mfn(end >> PAGE_SHIFT));
    m->size = 0;
}
