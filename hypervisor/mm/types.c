// SPDX-License-Identifier: MIT
// References and types of frames: the state machine of pv/mm.h. What a table's entries mean is validate.c's.
#include "internal.h"

/* One more of a frame the caller has a reference to. Only for tables' own (partial, zombie), so it can't fail. */
static void ref_keep(struct page *pg) {
    __atomic_add_fetch(&pg->count, 1, __ATOMIC_SEQ_CST);
}

bool page_get(struct page *pg, struct domain *d) {
    return ref_get(pg, d);
}

void page_put(struct page *pg) {
    ref_put(pg);
}

/* Of a whole table. */
static struct table_sum sum_up(const struct page *pg) {
    const u64 *table = page_to_virt(pg);
    struct table_sum sum = {0};

    for (u32 first = 0; first < 512; first += TABLE_GROUP) {
        u32 mask = group_present(table + first);

        sum.groups |= mask ? 1u << first / TABLE_GROUP : 0;
        for (; mask; mask &= mask - 1)
            sum.entries++;
    }
    return sum;
}

/* What a validated table keeps in aux, for compose.c: an L4 its groups with entries; an L3 how many entries it has. */
static u32 aux_of(enum page_type type, const struct table_sum *sum) {
    if (type == PT_L4)
        return sum->groups;
    return type == PT_L3 ? sum->entries : 0;
}

/* Those of two groups each. */
static u64 parts_with(u32 groups) {
    u64 parts = 0;

    for (; groups; groups &= groups - 1)
        parts |= part_bit((u32)__builtin_ctz(groups) * TABLE_GROUP);
    return parts;
}

/* From here on they are empty: nobody may set them, and what is said about an L4's entries holds for all 512. (Read as
 * an L3, by a linear entry, it has no such slots.) */
static void clear_reserved_slots(struct page *pg) {
    u64 *table = page_to_virt(pg);

    for (u32 i = 256; slot_is_reserved(i); i++)
        table[i] = 0;
}

/* The frame has one use of the type and is not validated; with TYPE_PARTIAL set it was begun before, and the partial
 * state has a reference and the use, which becomes the caller's. */
static int validate(struct page *pg, enum page_type type) {
    bool resumed = READ_ONCE(pg->type) & TYPE_PARTIAL;
    struct table_sum sum = {0};
    int rc;

    if (!resumed) {
        pg->aux = 0;
        if (type == PT_L4)
            clear_reserved_slots(pg);
    }
    rc = is_table(type) ? table_get_entries(pg, type, page_owner(pg), &sum) : descriptors_get_page(pg);
    if (rc == -ERESTART) {
        if (!resumed)
            ref_keep(pg);
        __atomic_or_fetch(&pg->type, TYPE_PARTIAL, __ATOMIC_SEQ_CST);
        return rc;
    }
    if (resumed) /* what an earlier try saw is not known any more */
        sum = sum_up(pg);
    if (!rc)
        __atomic_or_fetch(&pg->count, parts_with(sum.groups), __ATOMIC_SEQ_CST);
    pg->aux = rc ? tlb_clock_advance() : aux_of(type, &sum);
    __atomic_store_n(&pg->type,
                     (READ_ONCE(pg->type) & TYPE_LINKS) | (u64)type << TYPE_SHIFT | (rc ? 0 : TYPE_VALIDATED | 1),
                     __ATOMIC_SEQ_CST);
    if (resumed)
        ref_put(pg);
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

int type_get_slowly(struct page *pg, enum page_type type) {
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
            return type == PT_WRITABLE ? -EBUSY : -EINVAL;
        if (old & TYPE_PARTIAL)
            return validate(pg, type);
        if (!(old & TYPE_VALIDATED))
            return -EBUSY;
        if (type_swap(pg, &old, old + 1))
            return 0;
    }
}

int page_get_type(struct page *pg, enum page_type type) {
    return type_get(pg, type);
}

void zombie_add(struct domain *d, struct page *pg) {
    ASSERT(spin_held(&d->mm_lock));
    pg->aux = d->zombies;
    d->zombies = (u32)page_to_mfn(pg).n;
}

/* The last use of a table goes: it becomes a zombie, with the list's own reference. */
static void bury_table(struct page *pg) {
    struct domain *d = page_owner(pg);

    if (type_of(READ_ONCE(pg->type)) == PT_L4) {
        mm_new_epoch(d);
        mm_new_high_epoch(d);
        mm_new_walk_epoch(d);
    }
    ref_keep(pg);
    __atomic_store_n(&pg->type, (READ_ONCE(pg->type) & (TYPE_MASK | TYPE_LINKS)) | TYPE_ZOMBIE, __ATOMIC_SEQ_CST);
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

void type_put_slowly(struct page *pg) {
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

void page_put_type(struct page *pg) {
    type_put(pg);
}

int page_get_with_type(struct page *pg, struct domain *d, enum page_type type) {
    return ref_get_with_type(pg, d, type);
}

void page_put_with_type(struct page *pg) {
    type_put(pg);
    ref_put(pg);
}

static void exhume(struct domain *d) {
    struct page *pg = &frame_table[d->zombies];

    d->zombies = pg->aux;
    table_put_entries(pg, type_of(READ_ONCE(pg->type)), 512, parts_of(pg));
    __atomic_and_fetch(&pg->count, ~PAGE_PARTS, __ATOMIC_SEQ_CST);
    pg->aux = tlb_clock_advance();
    __atomic_store_n(&pg->type, READ_ONCE(pg->type) & TYPE_MASK, __ATOMIC_SEQ_CST);
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
