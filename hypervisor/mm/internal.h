/* SPDX-License-Identifier: MIT */
/* What the files of mm share: entries and tables, list of zombies, frame lists. */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/pte.h>

/* --- entries (validate.c): all with mm_lock of the table's owner held --- */
/* Takes what an entry of a table of this type refers to. 0, -EINVAL, -EBUSY, -ERESTART. *entry may be corrected
 * (G dropped). owner: whose frames an L1 entry may map. */
int entry_get(enum page_type table, u64 *entry, struct domain *owner);
void entry_put(enum page_type table, u64 entry);
/* Validates all entries of a table that just got its type, from pg->aux on. On -ERESTART aux tells where to go on; on
 * any other error everything is dropped again. */
int table_get_entries(struct page *pg, enum page_type type, struct domain *owner);
/* Drops what entries [0, end) hold. */
void table_put_entries(struct page *pg, enum page_type type, u32 end);
/* The first present entry from slot i on, or end. */
u32 table_next_present(const u64 *table, u32 i, u32 end);
static inline bool is_table(enum page_type t) {
    return t >= PT_L1 && t <= PT_L4;
}
/* Slots 256..271 of an L4 are the hypervisor's: guests' entries there are ignored and may not be set. */
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

/* Takes a frame that nothing refers to any more out of its owner's hands and gives it to the heap. */
void page_release(struct page *pg);

#endif
