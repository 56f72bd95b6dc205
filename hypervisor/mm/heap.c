// SPDX-License-Identifier: MIT
// The heap of frames: a buddy allocator whose links and orders live in struct page. Freed frames remember the TLB clock
// in their unused type word, so that an allocation can be sure that no CPU still translates to them.
#include <pv/mm.h>
#include <pv/debug.h>
#include <pv/lib.h>

static struct spinlock heap_lock = SPINLOCK_INIT(LOCK_HEAP);
static u32 free_list[MAX_ORDER + 1] = {[0 ... MAX_ORDER] = FRAME_NONE};
static u64 free_count;

static void push(u32 frame, u32 order) {
    struct page *pg = &frame_table[frame];

    WRITE_ONCE(pg->count, PAGE_FREE);
    pg->aux = order;
    pg->prev = FRAME_NONE;
    pg->next = free_list[order];
    if (pg->next != FRAME_NONE)
        frame_table[pg->next].prev = frame;
    free_list[order] = frame;
}

static void unlink(u32 frame, u32 order) {
    struct page *pg = &frame_table[frame];

    if (pg->prev != FRAME_NONE)
        frame_table[pg->prev].next = pg->next;
    else
        free_list[order] = pg->next;
    if (pg->next != FRAME_NONE)
        frame_table[pg->next].prev = pg->prev;
    WRITE_ONCE(pg->count, 0);
}

static bool buddy_is_free(u64 buddy, u32 order) {
    return buddy < frame_table_max && mfn_valid(mfn(buddy)) && READ_ONCE(frame_table[buddy].count) == PAGE_FREE &&
           frame_table[buddy].aux == order;
}

static void insert(u32 frame, u32 order) {
    for (; order < MAX_ORDER; order++) {
        u32 buddy = frame ^ (1u << order);

        if (!buddy_is_free(buddy, order))
            break;
        unlink(buddy, order);
        frame &= ~(1u << order);
    }
    push(frame, order);
}

void heap_add_range(mfn_t start, mfn_t end) {
    spin_lock(&heap_lock);
    for (u64 m = start.n; m < end.n;) {
        u32 order = 0;

        while (order < MAX_ORDER && !(m & (1ul << order)) && m + (2ul << order) <= end.n)
            order++;
        for (u64 i = m; i < m + (1ul << order); i++)
            frame_table[i] = (struct page){.next = FRAME_NONE, .prev = FRAME_NONE};
        insert((u32)m, order);
        free_count += 1ul << order;
        m += 1ul << order;
    }
    spin_unlock(&heap_lock);
}

static u32 take(u32 order) {
    u32 found = order, frame;

    while (found <= MAX_ORDER && free_list[found] == FRAME_NONE)
        found++;
    if (found > MAX_ORDER)
        return FRAME_NONE;
    frame = free_list[found];
    unlink(frame, found);
    while (found > order) {
        found--;
        push(frame + (1u << found), found);
    }
    free_count -= 1ul << order;
    return frame;
}

/* Nobody's frame, and without references. Word by word: page_get() may look at it, in vain, at any time. */
static void reset(struct page *pg, u64 type, u32 aux) {
    WRITE_ONCE(pg->count, 0);
    WRITE_ONCE(pg->type, type);
    WRITE_ONCE(pg->owner, 0);
    pg->next = pg->prev = FRAME_NONE;
    WRITE_ONCE(pg->aux, aux);
}

/* The frames' youngest clock; their type words become what they are for frames in use: no type, no uses. */
static u32 take_clocks(struct page *pg, u64 n) {
    u32 now = tlb_clock_now(), latest = (u32)pg->type;

    for (u64 i = 0; i < n; i++) {
        u32 clock = (u32)pg[i].type;

        if (now - clock < now - latest)
            latest = clock;
        reset(pg + i, 0, clock);
    }
    return latest;
}

struct page *heap_alloc_pages(u32 order) {
    u32 frame;

    if (order > MAX_ORDER || (DEBUG && debug_allocation_fails()))
        return NULL;
    spin_lock(&heap_lock);
    frame = take(order);
    spin_unlock(&heap_lock);
    if (frame == FRAME_NONE)
        return NULL;
    if (DEBUG)
        debug_check_frames(&frame_table[frame], 1ul << order);
    tlb_flush_stale(take_clocks(&frame_table[frame], 1ul << order));
    return &frame_table[frame];
}

void heap_free_pages(struct page *pg, u32 order) {
    u32 clock = tlb_clock_now();

    for (u64 i = 0; i < 1ul << order; i++)
        reset(pg + i, clock, 0);
    if (DEBUG)
        debug_poison_frames(pg, 1ul << order);
    spin_lock(&heap_lock);
    insert((u32)page_to_mfn(pg).n, order);
    free_count += 1ul << order;
    spin_unlock(&heap_lock);
}

u64 heap_free_count(void) {
    return READ_ONCE(free_count);
}

static u64 check_list(u32 order) {
    u32 prev = FRAME_NONE;
    u64 n = 0;

    for (u32 frame = free_list[order]; frame != FRAME_NONE; frame = frame_table[frame].next, n++) {
        const struct page *pg = &frame_table[frame];

        if (pg->count != PAGE_FREE || pg->aux != order || pg->prev != prev || frame & ((1u << order) - 1))
            panic("free frame %x of order %u: count %lx, order %u, before it %x", frame, order, pg->count, pg->aux,
                  pg->prev);
        prev = frame;
    }
    return n << order;
}

void heap_check(void) {
    u64 n = 0;

    spin_lock(&heap_lock);
    for (u32 order = 0; order <= MAX_ORDER; order++)
        n += check_list(order);
    if (n != free_count)
        panic("%lu frames in the free lists, %lu are free", n, free_count);
    spin_unlock(&heap_lock);
}
