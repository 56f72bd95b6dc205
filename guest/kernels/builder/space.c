// SPDX-License-Identifier: MIT
/*
 * The guest's memory: populated, mapped here while it is written, laid out as domain builders do (image,
 * p2m, start_info, two shared pages, page tables, stack), and let go of before its tables are validated.
 */
#include "builder.h"

#define WINDOW (SCRATCH_VA + (16UL << 30))
#define MAP_UNIT (4UL << 20)
#define ENTRIES 512

static long map_foreign(const struct guest *guest, unsigned long va, unsigned long mfn) {
    struct mmu_update req = {virt_to_machine(pt_make(va)) | MMU_NORMAL_PT_UPDATE, mfn << PAGE_SHIFT | PTE_KERNEL};

    return hv_mmu_update(&req, 1, NULL, guest->id);
}

void *space_map_frame(const struct guest *guest, unsigned long va, unsigned long mfn) {
    return map_foreign(guest, va, mfn) ? NULL : (void *)va;
}

/* The list of frames needs pages in a row: virtually, they come from anywhere. */
static xen_pfn_t *new_list(unsigned long nr) {
    unsigned long va = WINDOW - (1UL << 30);

    for (unsigned long at = 0; at < nr * sizeof(xen_pfn_t); at += PAGE_SIZE)
        pt_map_page(va + at, page_alloc(), PTE_KERNEL);
    return (xen_pfn_t *)va;
}

long space_populate(struct guest *guest) {
    struct xen_memory_reservation r = {.nr_extents = guest->nr_pages, .domid = guest->id};
    long done;

    guest->mfns = new_list(guest->nr_pages);
    guest->memory = (uint8_t *)WINDOW;
    for (unsigned long pfn = 0; pfn < guest->nr_pages; pfn++)
        guest->mfns[pfn] = pfn;
    set_xen_guest_handle(r.extent_start, guest->mfns);
    done = hv_memory_op(XENMEM_populate_physmap, &r);
    if (done != (long)guest->nr_pages)
        return done < 0 ? done : -XEN_ENOMEM;
    for (unsigned long pfn = 0; pfn < guest->nr_pages; pfn++) {
        long rc = map_foreign(guest, WINDOW + (pfn << PAGE_SHIFT), guest->mfns[pfn]);

        if (rc)
            return rc;
    }
    return 0;
}

static uint64_t table_entry(const struct guest *guest, unsigned long pfn) {
    return guest->mfns[pfn] << PAGE_SHIFT | PTE_TABLE;
}

/* L4, L3, L2, then as many L1s as the initial mapping needs: it lies within one L2. */
static void write_tables(const struct guest *guest, unsigned long nr_l1) {
    uint64_t *l4 = space_at(guest, guest->tables), *l3 = space_at(guest, guest->tables + 1);
    uint64_t *l2 = space_at(guest, guest->tables + 2);

    l4[pt_index(guest->virt_base, 4)] = table_entry(guest, guest->tables + 1);
    l3[pt_index(guest->virt_base, 3)] = table_entry(guest, guest->tables + 2);
    for (unsigned long i = 0; i < nr_l1; i++) {
        uint64_t *l1 = space_at(guest, guest->tables + 3 + i);

        l2[pt_index(guest->virt_base, 2) + i] = table_entry(guest, guest->tables + 3 + i);
        for (unsigned long j = 0; j < ENTRIES && i * ENTRIES + j < guest->nr_pages; j++) {
            unsigned long pfn = i * ENTRIES + j;
            bool is_table = pfn >= guest->tables && pfn < guest->tables + guest->nr_tables;

            l1[j] = guest->mfns[pfn] << PAGE_SHIFT | PTE_U | (is_table ? PTE_KERNEL_RO : PTE_KERNEL);
        }
    }
}

void space_layout(struct guest *guest) {
    unsigned long p2m_bytes = guest->nr_pages * sizeof(xen_pfn_t), end, nr_l1 = 0;

    guest->p2m = guest->image_end;
    guest->start_info = guest->p2m + ((p2m_bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    guest->store = guest->start_info + 1;
    guest->console = guest->start_info + 2;
    guest->tables = guest->start_info + 3;
    /* Half a MiB of room behind the stack, then up to the next 4 MiB; more tables may need more of them. */
    do {
        nr_l1++;
        guest->nr_tables = 3 + nr_l1;
        guest->stack = guest->tables + guest->nr_tables;
        end = ((guest->stack + 1) * PAGE_SIZE + (512UL << 10) + MAP_UNIT - 1) & ~(MAP_UNIT - 1);
    } while (nr_l1 * ENTRIES * PAGE_SIZE < end);
    memcpy(space_at(guest, guest->p2m), guest->mfns, p2m_bytes);
    write_tables(guest, nr_l1);
}

long space_release(struct guest *guest) {
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = guest->mfns[guest->tables]};

    for (unsigned long pfn = 0; pfn < guest->nr_pages; pfn++)
        if (pfn != guest->console)
            pt_write(pt_entry(WINDOW + (pfn << PAGE_SHIFT), 1), 0);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0);
    return hv_mmuext_op(&pin, 1, NULL, guest->id);
}
