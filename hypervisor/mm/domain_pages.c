// SPDX-License-Identifier: MIT
// The frames a domain has: given, given up, and taken from it when it is gone. A frame that was given up lives on as
// long as something refers to it (a mapping, a grant, a pin), and stays the domain's till then: on its list, and
// counted, so that no domain holds more than it may.
#include "internal.h"

/* Frames that mm_destroy() has been at are on a list of their own. */
static u32 *list_of(struct domain *d, const struct page *pg) {
    return READ_ONCE(pg->count) & PAGE_TAKEN ? &d->taken_list : &d->page_list;
}

static void link_page(struct domain *d, struct page *pg) {
    u32 frame = (u32)page_to_mfn(pg).n, *head = list_of(d, pg);

    pg->prev = FRAME_NONE;
    pg->next = *head;
    if (pg->next != FRAME_NONE)
        frame_table[pg->next].prev = frame;
    *head = frame;
    d->tot_pages++;
}

static void unlink_page(struct domain *d, struct page *pg) {
    if (pg->prev != FRAME_NONE)
        frame_table[pg->prev].next = pg->next;
    else
        *list_of(d, pg) = pg->next;
    if (pg->next != FRAME_NONE)
        frame_table[pg->next].prev = pg->prev;
    d->tot_pages--;
}

/* Owner first: the count makes the frame visible to page_get(). */
static void give(struct domain *d, struct page *pg, u64 flags) {
    pg->owner = (u32)d->id + 1;
    __atomic_add_fetch(&d->owned_pages, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&pg->count, flags | 1, __ATOMIC_SEQ_CST);
}

/* --- claims: frames of the heap that a domain may count on. Others find them taken. --- */

static struct spinlock claims_lock = SPINLOCK_INIT(LOCK_CLAIMS);
static u64 claims; /* sum of claimed_pages; lock: claims_lock */

u64 domain_claims(void) {
    return READ_ONCE(claims);
}

/* n > 0: so many frames are d's to allocate from now on, of its own claim first; *used says how many were of that. */
static bool use_claim(struct domain *d, u64 n, u64 *used) {
    bool ok;

    *used = 0;
    if (likely(!READ_ONCE(claims)))
        return true;
    spin_lock(&claims_lock);
    ok = heap_free_count() >= claims - d->claimed_pages + n;
    if (ok) {
        *used = MIN(n, d->claimed_pages);
        d->claimed_pages -= *used;
        claims -= *used;
    }
    spin_unlock(&claims_lock);
    return ok;
}

static void return_claim(struct domain *d, u64 used) {
    spin_lock(&claims_lock);
    d->claimed_pages += used;
    claims += used;
    spin_unlock(&claims_lock);
}

static void end_claim(struct domain *d) {
    spin_lock(&claims_lock);
    claims -= d->claimed_pages;
    d->claimed_pages = 0;
    spin_unlock(&claims_lock);
}

static int begin_claim(struct domain *d, u64 pages) {
    u64 have = READ_ONCE(d->tot_pages), n = pages - have;

    if (d->claimed_pages || pages <= have || pages > d->max_pages || d->dying)
        return -EINVAL;
    if (heap_free_count() < claims + n)
        return -ENOMEM;
    d->claimed_pages = n;
    claims += n;
    return 0;
}

int domain_claim_pages(struct domain *d, u64 pages) {
    int rc;

    if (!pages) {
        end_claim(d);
        return 0;
    }
    spin_lock(&claims_lock);
    rc = begin_claim(d, pages);
    spin_unlock(&claims_lock);
    return rc;
}

/* --- given --- */

static struct page *alloc_claimed(struct domain *d, u32 order) {
    struct page *pg;
    u64 used;

    if (!use_claim(d, 1ul << order, &used))
        return NULL;
    pg = heap_alloc_pages(order);
    if (!pg)
        return_claim(d, used);
    return pg;
}

static struct page *alloc_pages(struct domain *d, u32 order, bool clear) {
    struct page *pg = NULL;

    if (READ_ONCE(d->tot_pages) + (1ul << order) > d->max_pages)
        return NULL;
    pg = alloc_claimed(d, order);
    if (!pg)
        return NULL;
    for (u64 i = 0; clear && i < 1ul << order; i++)
        clear_page(page_to_virt(pg + i));
    spin_lock(&d->page_lock);
    if (d->dying || d->tot_pages + (1ul << order) > d->max_pages) {
        spin_unlock(&d->page_lock);
        heap_free_pages(pg, order);
        return NULL;
    }
    /* From the top, so that the list begins with the lowest frame. */
    for (u64 i = 1ul << order; i-- > 0;) {
        give(d, pg + i, PAGE_ALLOCATED);
        link_page(d, pg + i);
    }
    spin_unlock(&d->page_lock);
    return pg;
}

struct page *domain_alloc_pages(struct domain *d, u32 order) {
    return alloc_pages(d, order, true);
}

struct page *domain_alloc_raw_pages(struct domain *d, u32 order) {
    ASSERT(d->is_control);
    return alloc_pages(d, order, false);
}

struct page *domain_alloc_shared_page(struct domain *d) {
    struct page *pg = heap_alloc_pages(0);

    if (!pg)
        return NULL;
    clear_page(page_to_virt(pg));
    give(d, pg, PAGE_ALLOCATED | PAGE_SHARED);
    return pg;
}

static struct domain shown = {.id = DOMID_XEN, .zombies = FRAME_NONE};

struct domain *mm_shown(void) {
    return &shown;
}

/* The use as a page of descriptors keeps it from ever being had for writing. */
void mm_show_frames(mfn_t first, u64 n) {
    for (u64 i = 0; i < n; i++) {
        struct page *pg = mfn_to_page(mfn(first.n + i));

        if (pg->owner)
            continue;
        pg->type = (u64)PT_SEGDESC << TYPE_SHIFT | TYPE_VALIDATED | 1;
        give(&shown, pg, PAGE_ALLOCATED | PAGE_SHARED);
    }
}

void domain_free_shared_page(struct domain *d, struct page *pg) {
    (void)d;
    if (__atomic_fetch_and(&pg->count, ~PAGE_ALLOCATED, __ATOMIC_SEQ_CST) & PAGE_ALLOCATED)
        page_put(pg);
}

bool domain_release_page(struct domain *d, struct page *pg) {
    if (READ_ONCE(pg->owner) != (u32)d->id + 1 || READ_ONCE(pg->count) & PAGE_SHARED)
        return false;
    if (!(__atomic_fetch_and(&pg->count, ~PAGE_ALLOCATED, __ATOMIC_SEQ_CST) & PAGE_ALLOCATED))
        return false;
    page_put(pg);
    return true;
}

/* The owner goes first: a reference taken in vain is given back at once, and one taken before is seen in the count.
 * Whoever asks for the owner of a table holds mm_lock. */
bool domain_detach_page(struct domain *d, struct page *pg) {
    u64 count = PAGE_ALLOCATED | 2;
    bool ok = false;

    if (READ_ONCE(pg->count) != count || READ_ONCE(pg->owner) != (u32)d->id + 1)
        return false;
    spin_lock(&d->mm_lock);
    spin_lock(&d->page_lock);
    __atomic_store_n(&pg->owner, 0, __ATOMIC_SEQ_CST);
    ok = __atomic_compare_exchange_n(&pg->count, &count, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (ok)
        unlink_page(d, pg);
    else
        __atomic_store_n(&pg->owner, (u32)d->id + 1, __ATOMIC_SEQ_CST);
    spin_unlock(&d->page_lock);
    spin_unlock(&d->mm_lock);
    if (ok)
        __atomic_sub_fetch(&d->owned_pages, 1, __ATOMIC_SEQ_CST);
    return ok;
}

static void attach_locked(struct domain *d, struct page *pg) {
    __atomic_add_fetch(&d->owned_pages, 1, __ATOMIC_SEQ_CST);
    link_page(d, pg);
    __atomic_add_fetch(&pg->count, PAGE_ALLOCATED + 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&pg->owner, (u32)d->id + 1, __ATOMIC_SEQ_CST);
}

void domain_attach_page(struct domain *d, struct page *pg) {
    spin_lock(&d->page_lock);
    attach_locked(d, pg);
    spin_unlock(&d->page_lock);
}

bool domain_adopt_page(struct domain *d, struct page *pg) {
    bool ok;

    spin_lock(&d->page_lock);
    ok = !READ_ONCE(d->dying) && d->tot_pages < d->max_pages;
    if (ok)
        attach_locked(d, pg);
    spin_unlock(&d->page_lock);
    return ok;
}

bool domain_set_m2p(struct domain *d, mfn_t m, pfn_t p) {
    if (!mfn_valid(m) || !page_get(mfn_to_page(m), d))
        return false;
    m2p_set(m, p);
    page_put(mfn_to_page(m));
    return true;
}

/* A frame that was detached has no owner. */
void page_release(struct page *pg) {
    struct domain *d = page_owner(pg);

    ASSERT(!(READ_ONCE(pg->type) & (TYPE_USES | TYPE_ZOMBIE)) && !(READ_ONCE(pg->count) & PAGE_ALLOCATED));
    if (d && !(READ_ONCE(pg->count) & PAGE_SHARED)) {
        spin_lock(&d->page_lock);
        unlink_page(d, pg);
        spin_unlock(&d->page_lock);
    }
    m2p_set(page_to_mfn(pg), pfn(M2P_INVALID));
    tlb_clock_advance();
    heap_free_pages(pg, 0);
    /* The last access: a dying domain may be gone as soon as it owns nothing. Somebody may wait for that. */
    if (d && !__atomic_sub_fetch(&d->owned_pages, 1, __ATOMIC_SEQ_CST))
        cpu_request(this_cpu(), CPU_REQ_WORK);
}

/* A table whose validation was begun and never finished: drops what it holds so far. */
static void abandon_partial(struct page *pg) {
    u32 end = pg->aux;

    table_put_entries(pg, page_last_type(pg), end, ALL_PARTS);
    pg->aux = tlb_clock_advance();
    __atomic_store_n(&pg->type, 0, __ATOMIC_SEQ_CST);
    page_put(pg);
}

/* The next frame of the list, with a reference. NULL: it was on its way to the heap, or the list is empty. */
static struct page *take_next(struct domain *d) {
    struct page *pg = NULL;

    spin_lock(&d->page_lock);
    if (d->page_list != FRAME_NONE) {
        pg = &frame_table[d->page_list];
        unlink_page(d, pg);
        __atomic_fetch_or(&pg->count, PAGE_TAKEN, __ATOMIC_SEQ_CST);
        link_page(d, pg);
    }
    spin_unlock(&d->page_lock);
    return pg && page_get(pg, d) ? pg : NULL;
}

/* Undoes what keeps a frame without anybody else's reference: pins, validations begun, the owner's own. */
static void take_page(struct domain *d) {
    struct page *pg = take_next(d);

    if (!pg)
        return;
    spin_lock(&d->mm_lock);
    if (__atomic_fetch_and(&pg->type, ~TYPE_PINNED, __ATOMIC_SEQ_CST) & TYPE_PINNED)
        page_put_with_type(pg);
    if (READ_ONCE(pg->type) & TYPE_PARTIAL)
        abandon_partial(pg);
    spin_unlock(&d->mm_lock);
    domain_release_page(d, pg);
    page_put(pg);
}

bool mm_destroy(struct domain *d) {
    end_claim(d);
    for (;;) {
        if (!mm_drain(d))
            return false;
        if (READ_ONCE(d->page_list) == FRAME_NONE)
            return __atomic_load_n(&d->owned_pages, __ATOMIC_SEQ_CST) == 0;
        take_page(d);
        if (preempt_pending())
            return false;
    }
}
