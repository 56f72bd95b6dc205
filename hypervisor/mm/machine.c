// SPDX-License-Identifier: MIT
// Where the hypervisor keeps its view of memory: direct map, frame table, machine-to-physical table. Host tests bring
// arrays of their own in place of this file.
#include <pv/boot.h>
#include <pv/mm.h>
#include <pv/x86.h>

struct page *frame_table = (struct page *)FRAMETABLE_BASE;
u64 frame_table_max;

bool mfn_valid(mfn_t m)
{
    u64 a = m.n << PAGE_SHIFT;

    if (m.n >= frame_table_max)
        return false;
    for (u32 i = 0; i < boot_info.nr_ranges; i++)
        if (boot_info.range[i].ram && a >= boot_info.range[i].start && a + PAGE_SIZE <= boot_info.range[i].end)
            return true;
    return false;
}

void *maddr_to_virt(maddr_t ma) { return (void *)(DIRECTMAP_BASE + ma.a); }

maddr_t virt_to_maddr(const void *p)
{
    u64 a = (u64)p;

    return maddr(a >= HYP_TEXT_BASE ? a - HYP_TEXT_BASE : a - DIRECTMAP_BASE);
}

/* Frames of holes share a read-only page of all ones. */
void m2p_set(mfn_t m, pfn_t p)
{
    if (mfn_valid(m))
        WRITE_ONCE(((u64 *)M2P_BASE)[m.n], p.n);
}

pfn_t m2p_get(mfn_t m) { return pfn(mfn_valid(m) ? READ_ONCE(((u64 *)M2P_BASE)[m.n]) : M2P_INVALID); }
