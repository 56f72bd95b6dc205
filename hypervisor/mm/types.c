// SPDX-License-Identifier: MIT
// References and types of frames: the state machine of pv/mm.h. What a table's entries mean is validate.c's.
#include "internal.h"

/* What guests may bring a count to. Above it there is room for the two references that tables take of themselves. */
#define COUNT_LIMIT 0x7fffffffu

static bool ref_add(struct page *pg) {
    u64 old = READ_ONCE(pg->count);

    do {
        if (!(old & PAGE_REFS) || (old & PAGE_REFS) >= COUNT_LIMIT || old & PAGE_FREE)
            return false;
    } while (!__atomic_compare_exchange_n(&pg->count, &old, old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return true;
}

/* One more of a frame the caller has a reference to. Only for tables' own (partial, zombie), so it can't fail. */
static void ref_keep(struct page *pg) {
    __atomic_add_fetch(&pg->count, 1, __ATOMIC_SEQ_CST);
}

/* The reference comes first: only then the frame can't change hands while its owner is looked at. But the count of
 * another domain's frame is not touched: its owner may be waiting for it to be one (domain_detach_page()). */
bool page_get(struct page *pg, struct domain *d) {
    if (READ_ONCE(pg->owner) != (u32)d->id + 1 || !ref_add(pg))
        return false;
    if (READ_ONCE(pg->owner) == (u32)d->id + 1)
        return true;
    page_put(pg);
    return false;
}

void page_put(struct page *pg) {
    u64 now = __atomic_sub_fetch(&pg->count, 1, __ATOMIC_SEQ_CST);

    ASSERT((now & PAGE_REFS) <= COUNT_LIMIT + 2);
    if (!(now & PAGE_REFS))
        page_release(pg);
}

static bool type_swap(struct page *pg, u64 *old, u64 new) {
    return __atomic_compare_exchange_n(&pg->type, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static enum page_type type_of(u64 word) {
    return (enum page_type)((word & TYPE_MASK) >> TYPE_SHIFT);
}

static u32 present_groups(const struct page *pg) {
    const u64 *table = page_to_virt(pg);
    u32 groups = 0;

    for (u32 i = table_next_present(table, 0, 512); i < 512; i = table_next_present(table, i + 1, 512))
        groups |= slot_is_reserved(i) ? 0 : 1u << (i / 16);
    return groups;
}

static u32 present_entries(const struct page *pg) {
    const u64 *table = page_to_virt(pg);
    u32 n = 0;

    for (u32 i = table_next_present(table, 0, 512); i < 512; i = table_next_present(table, i + 1, 512))
        n++;
    return n;
}

/* What a validated table keeps in aux: compose.c asks. */
static u32 summary(const struct page *pg, enum page_type type) {
    return type == PT_L4 ? present_groups(pg) : type == PT_L3 ? present_entries(pg) : 0;
}

/* The frame has one use of the type and is not validated; with TYPE_PARTIAL set it was begun before, and the partial
 * state has a reference and the use, which becomes the caller's. */
static int validate(struct page *pg, enum page_type type) {
    bool resumed = pg->type & TYPE_PARTIAL;
    int rc;

    if (!resumed)
        pg->aux = 0;
    rc = is_table(type) ? table_get_entries(pg, type, page_owner(pg)) : descriptors_get_page(pg);
    if (rc == -ERESTART) {
        if (!resumed)
            ref_keep(pg);
        __atomic_or_fetch(&pg->type, TYPE_PARTIAL, __ATOMIC_SEQ_CST);
        return rc;
    }
    pg->aux = rc ? tlb_clock_advance() : summary(pg, type);
    __atomic_store_n(&pg->type, (u64)type << TYPE_SHIFT | (rc ? 0 : TYPE_VALIDATED | 1), __ATOMIC_SEQ_CST);
    if (resumed)
        page_put(pg);
    return rc;
}

/* First use: nobody else has one, and nobody else gets one before this is done. */
static int begin_type(struct page *pg, u64 old, enum page_type type) {
    if (type_of(old) != type)
        tlb_flush_stale(READ_ONCE(pg->aux));
    if (type != PT_WRITABLE)
        return validate(pg, type);
    __atomic_or_fetch(&pg->type, TYPE_VALIDATED, __ATOMIC_SEQ_CST);
    return 0;
}

/* WRITABLE uses come and go without a lock. The first one, while stale translations are flushed, and the last one,
 * while its clock is noted, make the frame WRITABLE without TYPE_VALIDATED: all but the CPU that did it wait, in this
 * room only and never for a guest. */
static bool is_in_transition(u64 word) {
    return word & TYPE_USES && type_of(word) == PT_WRITABLE && !(word & TYPE_VALIDATED);
}

int page_get_type(struct page *pg, enum page_type type) {
    u64 old = READ_ONCE(pg->type), new;

    for (;;) {
        if (is_in_transition(old)) {
            old = READ_ONCE(pg->type);
            continue;
        }
        if (old & TYPE_ZOMBIE)
            return -ERESTART;
        if (!(old & TYPE_USES)) {
            new = (u64)type << TYPE_SHIFT | 1;
            if (type_swap(pg, &old, new))
                return begin_type(pg, old, type);
            continue;
        }
        if (type_of(old) != type || (old & TYPE_USES) >= COUNT_LIMIT)
            return -EBUSY;
        if (old & TYPE_PARTIAL)
            return validate(pg, type);
        if (!(old & TYPE_VALIDATED))
            return -EBUSY;
        if (type_swap(pg, &old, old + 1))
            return 0;
    }
}

void zombie_add(struct domain *d, struct page *pg) {
    ASSERT(spin_held(&d->mm_lock));
    pg->aux = d->zombies;
    d->zombies = (u32)page_to_mfn(pg).n;
}

/* The last use of a table goes: it becomes a zombie, with the list's own reference. */
static void bury_table(struct page *pg) {
    struct domain *d = page_owner(pg);

    ref_keep(pg);
    __atomic_store_n(&pg->type, (pg->type & TYPE_MASK) | TYPE_ZOMBIE, __ATOMIC_SEQ_CST);
    zombie_add(d, pg);
}

/* The last use of memory that is no table goes. Nobody takes one before the clock is noted: a translation made through
 * it would be younger than the note. */
static bool put_last(struct page *pg, u64 *old) {
    if (!type_swap(pg, old, *old & ~TYPE_VALIDATED))
        return false;
    WRITE_ONCE(pg->aux, tlb_clock_advance());
    __atomic_store_n(&pg->type, *old & TYPE_MASK, __ATOMIC_SEQ_CST);
    return true;
}

void page_put_type(struct page *pg) {
    u64 old = READ_ONCE(pg->type);
    bool done = false;

    while (!done) {
        ASSERT(old & TYPE_USES);
        if ((old & TYPE_USES) > 1) {
            done = type_swap(pg, &old, old - 1);
        } else if (is_table(type_of(old))) {
            bury_table(pg);
            done = true;
        } else {
            done = put_last(pg, &old);
        }
    }
}

int page_get_with_type(struct page *pg, struct domain *d, enum page_type type) {
    int rc;

    if (!page_get(pg, d))
        return -EINVAL;
    rc = page_get_type(pg, type);
    if (rc)
        page_put(pg);
    return rc;
}

void page_put_with_type(struct page *pg) {
    page_put_type(pg);
    page_put(pg);
}

static void exhume(struct domain *d) {
    struct page *pg = &frame_table[d->zombies];

    d->zombies = pg->aux;
    table_put_entries(pg, type_of(pg->type), 512);
    pg->aux = tlb_clock_advance();
    __atomic_store_n(&pg->type, pg->type & TYPE_MASK, __ATOMIC_SEQ_CST);
    page_put(pg);
}

bool mm_drain_locked(struct domain *d) {
    while (d->zombies != FRAME_NONE) {
        exhume(d);
        if (d->zombies != FRAME_NONE && preempt_pending())
            return false;
    }
    return true;
}

bool mm_drain(struct domain *d) {
    bool done;

    if (READ_ONCE(d->zombies) == FRAME_NONE)
        return true;
    spin_lock(&d->mm_lock);
    done = mm_drain_locked(d);
    spin_unlock(&d->mm_lock);
    return done;
}
