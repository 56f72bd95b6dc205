// SPDX-License-Identifier: MIT
// What an entry of a page table may say, and what it holds: a reference to its frame, and a use of it as writable
// memory or as the table of the next level; or, in a linear table, of its own level.
#include "internal.h"

bool (*mm_may_map_device)(const struct domain *d, mfn_t m);

/* What is no RAM belongs to devices; anything else that can't be had is busy. */
static int leaf_refused(mfn_t m) {
    return mfn_valid(m) ? -EBUSY : -EPERM;
}

/* An entry that maps device registers, or firmware's tables, holds nothing, and says itself how they are cached. */
static int leaf_get_device(u64 *entry, const struct domain *owner, u64 cache) {
    if (!owner || !mm_may_map_device || !mm_may_map_device(owner, pte_mfn(*entry)))
        return leaf_refused(pte_mfn(*entry));
    *entry |= cache;
    return 0;
}

/* The frame of another domain may be its zombie. When that gets to drain it is not ours to wait for. */
int leaf_get_slowly(const struct page *table, u64 *entry, struct domain *owner) {
    mfn_t m = pte_mfn(*entry);
    u64 cache = *entry & LEAF_CACHE;
    struct page *pg;

    if (cache && !page_owner(table)->privileged)
        return -EINVAL;
    *entry &= ~(PTE_G | LEAF_CACHE);
    if (!owner || !mfn_readable(m))
        return leaf_get_device(entry, owner, cache);
    pg = mfn_to_page(m);
    if (*entry & PTE_W ? !ref_get_with_type(pg, owner, PT_WRITABLE) : ref_get(pg, owner))
        return 0;
    return leaf_get_device(entry, owner, cache);
}

/* An entry that maps a table of its own level. Without W, so that what is read through it is never written. A table
 * that maps itself holds nothing, or it would never lose its last use. */
static __attribute__((noinline)) int linear_get(struct page *table, enum page_type type, u64 entry, struct domain *d) {
    struct page *target = mfn_to_page(pte_mfn(entry));
    int rc;

    if (entry & PTE_W)
        return -EINVAL;
    if (target == table)
        return 0;
    if (READ_ONCE(table->type) & TYPE_LINKED || READ_ONCE(target->type) & TYPE_LINKS ||
        (READ_ONCE(target->type) & TYPE_LINKED) == TYPE_LINKED)
        return -EINVAL;
    rc = ref_get_with_type(target, d, type);
    if (rc)
        return rc;
    __atomic_add_fetch(&target->type, TYPE_LINKED_ONE, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&table->type, TYPE_LINKS_ONE, __ATOMIC_SEQ_CST);
    return 0;
}

static __attribute__((noinline)) void linear_put(struct page *table, struct page *target) {
    if (target == table)
        return;
    __atomic_sub_fetch(&table->type, TYPE_LINKS_ONE, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&target->type, TYPE_LINKED_ONE, __ATOMIC_SEQ_CST);
    page_put_with_type(target);
}

static inline __attribute__((always_inline)) int upper_get(struct page *table, enum page_type type, u64 entry,
                                                           struct domain *d) {
    struct page *target;

    if (entry & UPPER_REFUSED || !mfn_readable(pte_mfn(entry)))
        return -EINVAL;
    target = mfn_to_page(pte_mfn(entry));
    if (d->linear_tables && (target == table || has_validated(target, type)))
        return linear_get(table, type, entry, d);
    return ref_get_with_type(target, d, type - 1);
}

int entry_get(struct page *table, enum page_type type, u64 *entry, struct domain *owner) {
    if (!(*entry & PTE_P))
        return 0;
    return type == PT_L1 ? leaf_get(table, entry, owner) : upper_get(table, type, *entry, owner);
}

/* What the entry holds tells which kind it is: a use of another level would have kept the frame from being this one. */
static inline __attribute__((always_inline)) void upper_put(struct page *table, enum page_type type, u64 entry) {
    struct page *pg = mfn_to_page(pte_mfn(entry));

    if (unlikely(page_last_type(pg) == type))
        linear_put(table, pg);
    else
        ref_put_with_type(pg);
}

static inline void put_present(struct page *table, enum page_type type, u64 entry) {
    if (type == PT_L1)
        leaf_put(entry);
    else
        upper_put(table, type, entry);
}

void entry_put(struct page *table, enum page_type type, u64 entry) {
    if (entry & PTE_P)
        put_present(table, type, entry);
}

/* Out of line: the compiler would keep what group_present() loaded for it. */
__attribute__((noinline)) u32 group_mask(const u64 *group) {
    u32 mask = 0;

#pragma GCC unroll 16
    for (u32 i = TABLE_GROUP; i-- > 0;)
        mask = mask * 2 + (u32)(group[i] & PTE_P);
    return mask;
}

void table_put_entries(struct page *pg, enum page_type type, u32 end, u32 parts) {
    const u64 *table = page_to_virt(pg);

    for (; parts; parts &= parts - 1) {
        u32 part = (u32)__builtin_ctz(parts) * TABLE_PART;

        for (u32 first = part; first < part + TABLE_PART; first += TABLE_GROUP) {
            u32 mask = group_present(table + first);

            while (mask) {
                u32 i = next_slot(first, &mask);

                if (i < end)
                    put_present(pg, type, table[i]);
            }
        }
    }
}

/* An L1 table is done in one go. */
static int get_leaves(struct page *pg, struct domain *owner, struct table_sum *sum) {
    u64 *table = page_to_virt(pg);

    for (u32 first = 0; first < 512; first += TABLE_GROUP) {
        u32 mask = group_present(table + first);

        sum->groups |= mask ? 1u << first / TABLE_GROUP : 0;
        while (mask) {
            u32 i = next_slot(first, &mask);
            u64 entry = table[i];
            int rc = leaf_get(pg, &entry, owner);

            if (unlikely(rc)) {
                table_put_entries(pg, PT_L1, i, ALL_PARTS);
                return rc;
            }
            if (unlikely(entry != table[i]))
                table[i] = entry;
        }
    }
    return 0;
}

/* The longer work of the upper levels stops between the entries of an L2 table, each of which may have an L1 table
 * validated, and between the groups of others, whose entries stop by themselves if they have much to do. */
static bool stop_after(enum page_type type, u32 slot, u32 rest_of_group) {
    return slot < 511 && (type == PT_L2 || !rest_of_group) && preempt_pending();
}

static inline __attribute__((always_inline)) int get_upper(struct page *pg, u64 *table, enum page_type type, u32 i,
                                                           u32 rest_of_group, struct domain *owner) {
    int rc = upper_get(pg, type, table[i], owner);

    if (rc == -ERESTART || (!rc && stop_after(type, i, rest_of_group))) {
        pg->aux = rc ? i : i + 1;
        return -ERESTART;
    }
    if (rc)
        table_put_entries(pg, type, i, ALL_PARTS);
    return rc;
}

int table_get_entries(struct page *pg, enum page_type type, struct domain *owner, struct table_sum *sum) {
    u64 *table = page_to_virt(pg);
    u32 start = pg->aux;

    if (type == PT_L1)
        return get_leaves(pg, owner, sum);
    for (u32 first = start - start % TABLE_GROUP; first < 512; first += TABLE_GROUP) {
        u32 mask = group_present(table + first);

        sum->groups |= mask ? 1u << first / TABLE_GROUP : 0;
        while (mask) {
            u32 i = next_slot(first, &mask);
            int rc = i < start ? 0 : get_upper(pg, table, type, i, mask, owner);

            sum->entries++;
            if (rc)
                return rc;
        }
    }
    return 0;
}
