// SPDX-License-Identifier: MIT
// What an entry of a page table may say, and what it holds: a reference to its frame, and a use of it as writable
// memory or as the table of the next level.
#include "internal.h"

/* Attributes that only owners of real devices may choose; memory is write-back for everyone else. */
#define L1_DROPPED (PTE_G | PTE_PAT | PTE_PCD | PTE_PWT)
#define UPPER_REFUSED (PTE_PSE | PTE_G)

/* Only a frame of another domain can be a zombie here, the own ones were drained. When that domain gets to drain it is
 * not ours to wait for. */
static int writable_get(struct page *pg, struct domain *owner) {
    int rc = ref_get_with_type(pg, owner, PT_WRITABLE);

    return rc == -ERESTART ? -EBUSY : rc;
}

static int leaf_get(u64 *entry, struct domain *owner) {
    struct page *pg;

    *entry &= ~L1_DROPPED;
    if (!mfn_readable(pte_mfn(*entry)))
        return -EINVAL;
    pg = mfn_to_page(pte_mfn(*entry));
    if (*entry & PTE_W)
        return writable_get(pg, owner);
    return ref_get(pg, owner) ? 0 : -EINVAL;
}

static int upper_get(enum page_type table, u64 entry, struct domain *owner) {
    if (entry & UPPER_REFUSED || !mfn_readable(pte_mfn(entry)))
        return -EINVAL;
    return ref_get_with_type(mfn_to_page(pte_mfn(entry)), owner, table - 1);
}

int entry_get(enum page_type table, u64 *entry, struct domain *owner) {
    if (!(*entry & PTE_P))
        return 0;
    return table == PT_L1 ? leaf_get(entry, owner) : upper_get(table, *entry, owner);
}

void entry_put(enum page_type table, u64 entry) {
    struct page *pg;

    if (!(entry & PTE_P))
        return;
    pg = mfn_to_page(pte_mfn(entry));
    if (table != PT_L1 || entry & PTE_W)
        type_put(pg);
    ref_put(pg);
}

void table_put_entries(struct page *pg, enum page_type type, u32 end) {
    const u64 *table = page_to_virt(pg);

    for (u32 i = table_next_present(table, 0, end); i < end; i = table_next_present(table, i + 1, end))
        if (!(type == PT_L4 && slot_is_reserved(i)))
            entry_put(type, table[i]);
}

/* An L1 table is done in one go; the longer work of the upper levels stops between entries. */
static bool stop_after(enum page_type type, u32 slot) {
    return type != PT_L1 && slot < 511 && preempt_pending();
}

int table_get_entries(struct page *pg, enum page_type type, struct domain *owner) {
    u64 *table = page_to_virt(pg);

    for (u32 i = table_next_present(table, pg->aux, 512); i < 512; i = table_next_present(table, i + 1, 512)) {
        u64 entry = table[i];
        int rc = type == PT_L4 && slot_is_reserved(i) ? 0 : entry_get(type, &entry, owner);

        if (rc == -ERESTART || (!rc && stop_after(type, i))) {
            table[i] = rc ? table[i] : entry;
            pg->aux = rc ? i : i + 1;
            return -ERESTART;
        }
        if (rc) {
            table_put_entries(pg, type, i);
            return rc;
        }
        if (entry != table[i])
            table[i] = entry;
    }
    return 0;
}
