/* SPDX-License-Identifier: MIT */
/* What the files of mm share: entries and tables, list of zombies, frame lists. */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/pte.h>

/* --- references and uses: what page_get() and its like do, in line for the paths that live by it --- */
/* What guests may bring a count to. Above it there is room for the two references that tables take of themselves. */
#define COUNT_LIMIT 0x7fffffffu

/* Takes a frame that nothing refers to any more out of its owner's hands and gives it to the heap. */
void page_release(struct page *pg);

/* The reference comes first: only then the frame can't change hands while its owner is looked at. But the count of
 * another domain's frame is not touched: its owner may be waiting for it to be one (domain_detach_page()). A free frame
 * has none to add to. */
static inline bool ref_get(struct page *pg, const struct domain *d) {
    u64 old = READ_ONCE(pg->count);

    if (unlikely(READ_ONCE(pg->owner) != (u32)d->id + 1))
        return false;
    do {
        if ((u32)old - 1 >= COUNT_LIMIT - 1)
            return false;
    } while (!__atomic_compare_exchange_n(&pg->count, &old, old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (likely(READ_ONCE(pg->owner) == (u32)d->id + 1))
        return true;
    page_put(pg);
    return false;
}

static inline void ref_put(struct page *pg) {
    u32 now = (u32)__atomic_sub_fetch(&pg->count, 1, __ATOMIC_SEQ_CST);

    ASSERT(now <= COUNT_LIMIT + 2);
    if (unlikely(!now))
        page_release(pg);
}

static inline bool type_swap(struct page *pg, u64 *old, u64 new) {
    return __atomic_compare_exchange_n(&pg->type, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline enum page_type type_of(u64 word) {
    return (enum page_type)((word & TYPE_MASK) >> TYPE_SHIFT);
}

/* It is a table of this type that all may rely on. */
static inline bool has_validated(const struct page *pg, enum page_type type) {
    u64 word = READ_ONCE(pg->type);

    return word & TYPE_USES && (word & (TYPE_MASK | TYPE_VALIDATED)) == ((u64)type << TYPE_SHIFT | TYPE_VALIDATED);
}

int type_get_slowly(struct page *pg, enum page_type type);
void type_put_slowly(struct page *pg);

/* One more use of what the frame is, or one less that is not the last: a swap of the count. (Tables half seen, and
 * zombies, are not validated.) */
static inline int type_get(struct page *pg, enum page_type type) {
    u64 old = READ_ONCE(pg->type);

    if (likely((old & (TYPE_MASK | TYPE_VALIDATED)) == ((u64)type << TYPE_SHIFT | TYPE_VALIDATED) &&
               (u32)old - 1 < COUNT_LIMIT - 1 && type_swap(pg, &old, old + 1)))
        return 0;
    return type_get_slowly(pg, type);
}
static inline void type_put(struct page *pg) {
    u64 old = READ_ONCE(pg->type);

    if (unlikely((u32)old <= 1 || !type_swap(pg, &old, old - 1)))
        type_put_slowly(pg);
}
static inline int ref_get_with_type(struct page *pg, const struct domain *d, enum page_type type) {
    int rc;

    if (!ref_get(pg, d))
        return -EINVAL;
    rc = type_get(pg, type);
    if (unlikely(rc))
        page_put(pg);
    return rc;
}

/* Upper entries may have none of these: there are no superpages, and memory is write-back. */
#define UPPER_REFUSED (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT)
/* Leaf entries may have these only where the domain may know of devices; memory stays write-back. */
#define LEAF_CACHE (PTE_PAT | PTE_PCD | PTE_PWT)

static inline __attribute__((always_inline)) void ref_put_with_type(struct page *pg) {
    type_put(pg);
    ref_put(pg);
}

/* --- entries (validate.c): all with mm_lock of the table's owner held --- */
/* A leaf entry that is present, as entry_get() and entry_put() have it. */
int leaf_get_slowly(const struct page *table, u64 *entry, struct domain *owner);
static inline __attribute__((always_inline)) int leaf_get(const struct page *table, u64 *entry, struct domain *owner) {
    struct page *pg = mfn_to_page(pte_mfn(*entry));

    if (likely(owner && mfn_readable(pte_mfn(*entry)) && !(*entry & (PTE_G | LEAF_CACHE)) &&
               (*entry & PTE_W ? !ref_get_with_type(pg, owner, PT_WRITABLE) : ref_get(pg, owner))))
        return 0;
    return leaf_get_slowly(table, entry, owner);
}
/* What an entry holds has a reference; frames that are no RAM never do. */
static inline bool maps_device(u64 entry) {
    mfn_t m = pte_mfn(entry);

    return !mfn_readable(m) || !(READ_ONCE(mfn_to_page(m)->count) & PAGE_REFS);
}
static inline __attribute__((always_inline)) void leaf_put(u64 entry) {
    struct page *pg = mfn_to_page(pte_mfn(entry));

    if (unlikely(maps_device(entry)))
        return;
    if (entry & PTE_W)
        type_put(pg);
    ref_put(pg);
}
/* Takes what an entry of a table of this type refers to. 0, -EINVAL, -EBUSY, -EPERM, -ERESTART. *entry may be corrected
 * (G dropped). owner: whose frames it may map; the table's own for all but L1 entries, where NULL is nobody. */
int entry_get(struct page *table, enum page_type type, u64 *entry, struct domain *owner);
void entry_put(struct page *table, enum page_type type, u64 entry);
/* What a table's entries add up to. */
struct table_sum {
    u32 groups;  /* those with present entries, a bit each */
    u32 entries; /* present ones, but for L1 tables */
};
/* Validates all entries of a table that just got its type, from pg->aux on. On -ERESTART aux tells where to go on; on
 * any other error everything is dropped again. *sum: of those from pg->aux on. */
int table_get_entries(struct page *pg, enum page_type type, struct domain *owner, struct table_sum *sum);
/* Drops what entries [0, end) hold, of those in `parts`. */
void table_put_entries(struct page *pg, enum page_type type, u32 end, u32 parts);
/* Tables are looked through in groups of 16 entries, since most are nearly empty; parts, of which a frame's count word
 * tells, are two groups. */
#define TABLE_GROUP 16
#define TABLE_PART 32
#define RESERVED_GROUP 16 /* of an L4 */
#define ALL_PARTS 0xffffu
static inline u32 parts_of(const struct page *pg) {
    return (u32)(READ_ONCE(pg->count) >> PAGE_PARTS_SHIFT);
}
static inline u64 part_bit(u32 slot) {
    return BIT(PAGE_PARTS_SHIFT + slot / TABLE_PART);
}
/* Which of the group's entries are present, a bit each. */
u32 group_mask(const u64 *group);
static inline u32 group_present(const u64 *group) {
    u64 all = 0;

#pragma GCC unroll 16
    for (u32 i = 0; i < TABLE_GROUP; i++)
        all |= group[i];
    return unlikely(all & PTE_P) ? group_mask(group) : 0;
}
/* The slot of the lowest bit of a group's mask, which is taken out. */
static inline u32 next_slot(u32 first, u32 *mask) {
    u32 slot = first + (u32)__builtin_ctz(*mask);

    *mask &= *mask - 1;
    return slot;
}
static inline bool is_table(enum page_type t) {
    return t >= PT_L1 && t <= PT_L4;
}
/* Slots 256..271 of an L4 are the hypervisor's: guests' entries there are cleared and may not be set. */
static inline bool slot_is_reserved(u32 slot) {
    return slot >= 256 && slot < 272;
}

/* --- descriptors (descriptors.c) --- */
/* Corrects (DPL, accessed) or refuses one descriptor. */
bool descriptor_check(u64 *desc);
int descriptors_get_page(struct page *pg);

/* --- zombies (types.c) --- */
bool mm_drain_locked(struct domain *d);
void zombie_add(struct domain *d, struct page *pg);

static inline struct domain *page_owner(const struct page *pg) {
    u32 owner = READ_ONCE(pg->owner);

    return owner ? domain_by_id((domid_t)(owner - 1)) : NULL;
}

#endif
