/* SPDX-License-Identifier: MIT */
/* pte: page-table entries of x86-64, for the rooms that work with guests' tables and those that build our own. */
#ifndef PV_PTE_H
#define PV_PTE_H

#include <pv/types.h>

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PSE BIT(7)
#define PTE_PAT BIT(7) /* in an L1 entry */
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000ul
static inline mfn_t pte_mfn(u64 pte) {
    return mfn((pte & PTE_ADDR) >> PAGE_SHIFT);
}
static inline u64 pte_make(mfn_t m, u64 flags) {
    return m.n << PAGE_SHIFT | flags;
}
/* The slot of an address in a table of the given level (1..4). */
static inline u32 pt_slot(u64 va, int level) {
    return va >> (3 + 9 * level) & 511;
}

#endif
