// SPDX-License-Identifier: MIT
// Where the hypervisor keeps its view of memory: direct map, frame table, machine-to-physical table. Host tests bring
// arrays of their own in place of this file.
#include <pv/abi.h>
#include <pv/boot_memory.h>
#include <pv/mm.h>
#include <pv/x86.h>

struct page *frame_table = (struct page *)FRAMETABLE_BASE;
u64 frame_table_max;

u64 *frame_table_map;

/* Frames beside RAM in the same page of the frame table count as valid; they have no owner and no references. */
bool mfn_valid(mfn_t m) {
    u64 page = m.n / FRAMES_PER_TABLE_PAGE;

    return m.n < frame_table_max && frame_table_map[page / 64] >> (page % 64) & 1;
}

void *maddr_to_virt(maddr_t ma) {
    return (void *)(DIRECTMAP_BASE + ma.a);
}

maddr_t virt_to_maddr(const void *p) {
    u64 a = (u64)p;

    return maddr(a >= HYP_TEXT_BASE ? a - HYP_TEXT_BASE : a - DIRECTMAP_BASE);
}

/* Frames of holes share a read-only page of all ones. */
void m2p_set(mfn_t m, pfn_t p) {
    if (mfn_valid(m))
        WRITE_ONCE(((u64 *)M2P_BASE)[m.n], p.n);
}

mfn_t m2p_chunk(u64 n) {
    mfn_t m = maddr_to_mfn(hyp_translate(M2P_BASE + n * MiB(2)));

    while (n && mfn_to_page(m)->owner != DOMID_XEN + 1u)
        m = maddr_to_mfn(hyp_translate(M2P_BASE + --n * MiB(2)));
    return m;
}

pfn_t m2p_get(mfn_t m) {
    return pfn(mfn_valid(m) ? READ_ONCE(((u64 *)M2P_BASE)[m.n]) : M2P_INVALID);
}
