// SPDX-License-Identifier: MIT
/*
 * A domain's grant table: its frames, which the guest writes at any time, and beside them the counts of uses, which
 * are what the hypervisor goes by.
 */
#include "internal.h"

#define CLAIM_TRIES 16 /* a guest that keeps changing the entry has only itself to blame */

static struct spinlock find_lock = SPINLOCK_INIT(LOCK_GNTTAB_FIND);
static u64 last_generation;

/* --- other domains --- */

struct domain *gnttab_get_domain(const struct domain *self, domid_t id) {
    spin_lock(&find_lock);
    struct domain *d = domain_by_id(id == DOMID_SELF ? self->id : id);
    if (d && d->gnttab.dead)
        d = NULL;
    if (d)
        __atomic_fetch_add(&d->gnttab.users, 1, __ATOMIC_SEQ_CST);
    spin_unlock(&find_lock);
    return d;
}

void gnttab_put_domain(struct domain *d) {
    __atomic_fetch_sub(&d->gnttab.users, 1, __ATOMIC_SEQ_CST);
}

void gnttab_quiesce(void) {
    spin_lock(&find_lock);
    spin_unlock(&find_lock);
}

/* --- frames --- */

/* The writable type keeps the guest from making a page table of it: we set flags in it. */
static int frame_add(struct domain *d) {
    struct gnttab *t = &d->gnttab;
    struct gnttab_active *active = heap_alloc(GNTTAB_ENTRIES_PER_FRAME * sizeof(*active));
    struct page *pg = active ? domain_alloc_shared_page(d) : NULL;
    if (!pg) {
        heap_free(active);
        return -ENOMEM;
    }
    clear_page(page_to_virt(pg));
    BUG_ON(page_get_type(pg, PT_WRITABLE));
    t->active[t->nr_frames] = active;
    t->frame[t->nr_frames] = page_to_virt(pg);
    t->frame_mfn[t->nr_frames] = page_to_mfn(pg);
    t->nr_frames++;
    return 0;
}

static void frame_drop_last(struct domain *d) {
    struct gnttab *t = &d->gnttab;
    struct page *pg = mfn_to_page(t->frame_mfn[--t->nr_frames]);
    heap_free(t->active[t->nr_frames]);
    page_put_type(pg);
    domain_free_shared_page(d, pg);
}

int gnttab_grow(struct domain *d, u32 nr) {
    int rc = 0;
    spin_lock(&d->gnttab.lock);
    if (nr > d->gnttab.max_frames)
        rc = -EINVAL;
    u32 before = d->gnttab.nr_frames;
    while (!rc && d->gnttab.nr_frames < nr)
        rc = frame_add(d);
    while (rc && d->gnttab.nr_frames > before)
        frame_drop_last(d);
    spin_unlock(&d->gnttab.lock);
    return rc;
}

/* Counting as a user keeps the frames from being taken away meanwhile. */
int gnttab_frames(struct domain *d, u32 first, u32 nr, u64 *frame) {
    struct domain *found = gnttab_get_domain(d, DOMID_SELF);
    int rc = found == d ? gnttab_grow(d, first + nr) : -ESRCH;
    for (u32 i = 0; !rc && i < nr; i++)
        frame[i] = d->gnttab.frame_mfn[first + i].n;
    if (found)
        gnttab_put_domain(found);
    return rc;
}

int gnttab_init(struct domain *d, u32 max_frames) {
    struct gnttab *t = &d->gnttab;
    /* Nobody finds the table before it is whole. */
    t->dead = true;
    memset(&t->generation, 0, sizeof(*t) - offsetof(struct gnttab, generation));
    spin_init(&t->lock, LOCK_GNTTAB);
    t->max_frames = max_frames ? MIN(max_frames, (u32)GNTTAB_MAX_FRAMES) : GNTTAB_MAX_FRAMES;
    t->free_map = ~0u;
    t->max_map_chunks = GNTTAB_MAP_CHUNKS;
    t->generation = __atomic_add_fetch(&last_generation, 1, __ATOMIC_SEQ_CST);
    int rc = gnttab_grow(d, 1);
    spin_lock(&find_lock);
    t->dead = rc;
    spin_unlock(&find_lock);
    return rc;
}

void gnttab_limit_maps(struct domain *d, u64 max) {
    spin_lock(&d->gnttab.lock);
    d->gnttab.max_map_chunks = (u32)MIN((max + GNTTAB_MAP_CHUNK - 1) / GNTTAB_MAP_CHUNK, (u64)GNTTAB_MAP_CHUNKS);
    spin_unlock(&d->gnttab.lock);
}

/* Dead first: then nobody new begins to use the table, and those who do are on other CPUs and done soon. */
void gnttab_destroy(struct domain *d) {
    struct gnttab *t = &d->gnttab;
    u32 rounds = 0;
    spin_lock(&find_lock);
    t->dead = true;
    spin_unlock(&find_lock);
    while (__atomic_load_n(&t->users, __ATOMIC_SEQ_CST))
        cpu_wait(&rounds, NULL);
    gnttab_drop_maps(d);
    while (t->nr_frames)
        frame_drop_last(d);
    t->max_frames = 0;
}

/* --- entries --- */

static grant_entry_v1_t *entry_of(struct gnttab *t, u32 ref) {
    return &t->frame[ref / GNTTAB_ENTRIES_PER_FRAME][ref % GNTTAB_ENTRIES_PER_FRAME];
}

static struct gnttab_active *active_of(struct gnttab *t, u32 ref) {
    return &t->active[ref / GNTTAB_ENTRIES_PER_FRAME][ref % GNTTAB_ENTRIES_PER_FRAME];
}

static bool is_used(const struct gnttab_active *a) {
    return a->reads || a->writes;
}

int gnttab_seed(struct domain *d, u32 ref, domid_t peer, mfn_t frame) {
    if (ref >= d->gnttab.nr_frames * GNTTAB_ENTRIES_PER_FRAME || frame.n > UINT32_MAX)
        return -EINVAL;
    grant_entry_v1_t *e = entry_of(&d->gnttab, ref);
    WRITE_ONCE(e->frame, (u32)frame.n);
    WRITE_ONCE(e->domid, peer);
    __atomic_store_n(&e->flags, (u16)GTF_permit_access, __ATOMIC_RELEASE);
    return 0;
}

/* Checks and marks in one atomic step on the word of flags and domid: the guest clears the flags just so. */
static s16 entry_claim(grant_entry_v1_t *e, domid_t user, bool readonly) {
    u32 *word = (u32 *)(void *)e, set = readonly ? GTF_reading : GTF_reading | GTF_writing;
    u32 old = READ_ONCE(*word);
    for (u32 i = 0; i < CLAIM_TRIES; i++) {
        u16 flags = (u16)old;
        if ((flags & GTF_type_mask) != GTF_permit_access || old >> 16 != user)
            return GNTST_general_error;
        if (!readonly && (flags & GTF_readonly))
            return GNTST_general_error;
        if (__atomic_compare_exchange_n(word, &old, old | set, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

/* Flags follow the counts. */
static void entry_release(grant_entry_v1_t *e, const struct gnttab_active *a) {
    if (!a->writes)
        __atomic_fetch_and(&e->flags, (u16)~GTF_writing, __ATOMIC_SEQ_CST);
    if (!a->writes && !a->reads)
        __atomic_fetch_and(&e->flags, (u16)~GTF_reading, __ATOMIC_SEQ_CST);
}

static s16 pin_locked(struct gnttab *t, u32 ref, domid_t user, bool readonly, u32 *frame) {
    if (ref >= t->nr_frames * GNTTAB_ENTRIES_PER_FRAME)
        return GNTST_bad_gntref;
    grant_entry_v1_t *e = entry_of(t, ref);
    struct gnttab_active *a = active_of(t, ref);
    bool used = is_used(a);
    if ((used && a->dom != user) || a->reads == UINT32_MAX || a->writes == UINT32_MAX)
        return GNTST_general_error;
    s16 rc = entry_claim(e, user, readonly);
    if (rc)
        return rc;
    if (!used) {
        a->dom = user;
        a->frame = READ_ONCE(e->frame);
    }
    (readonly ? a->reads++ : a->writes++);
    *frame = a->frame;
    return GNTST_okay;
}

s16 gnttab_swap(struct domain *d, u32 a, u32 b) {
    struct gnttab *t = &d->gnttab;
    u32 end = t->nr_frames * GNTTAB_ENTRIES_PER_FRAME;
    s16 rc = GNTST_okay;

    spin_lock(&t->lock);
    if (a >= end || b >= end) {
        rc = GNTST_bad_gntref;
    } else if (a != b && (is_used(active_of(t, a)) || is_used(active_of(t, b)))) {
        rc = GNTST_eagain;
    } else {
        grant_entry_v1_t was = *entry_of(t, a);

        *entry_of(t, a) = *entry_of(t, b);
        *entry_of(t, b) = was;
    }
    spin_unlock(&t->lock);
    return rc;
}

/* One atomic step on the word of flags and domid, as in entry_claim(). */
static s16 accept_locked(struct gnttab *t, u32 ref, domid_t giver) {
    u32 old = GTF_accept_transfer | (u32)giver << 16;
    u32 *word;

    if (ref >= t->nr_frames * GNTTAB_ENTRIES_PER_FRAME)
        return GNTST_general_error;
    word = (u32 *)(void *)entry_of(t, ref);
    return __atomic_compare_exchange_n(word, &old, old | GTF_transfer_committed, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST)
               ? GNTST_okay
               : GNTST_general_error;
}

s16 gnttab_accept(struct domain *taker, u32 ref, domid_t giver) {
    spin_lock(&taker->gnttab.lock);
    s16 rc = accept_locked(&taker->gnttab, ref, giver);
    spin_unlock(&taker->gnttab.lock);
    return rc;
}

void gnttab_complete(struct domain *taker, u32 ref, mfn_t m) {
    spin_lock(&taker->gnttab.lock);
    grant_entry_v1_t *e = entry_of(&taker->gnttab, ref);
    m2p_set(m, pfn(READ_ONCE(e->frame)));
    WRITE_ONCE(e->frame, (u32)m.n);
    __atomic_fetch_or(&e->flags, (u16)GTF_transfer_completed, __ATOMIC_SEQ_CST);
    spin_unlock(&taker->gnttab.lock);
}

s16 gnttab_pin(struct domain *granter, u32 ref, domid_t user, bool readonly, u32 *frame) {
    spin_lock(&granter->gnttab.lock);
    s16 rc = pin_locked(&granter->gnttab, ref, user, readonly, frame);
    spin_unlock(&granter->gnttab.lock);
    return rc;
}

void gnttab_unpin(struct domain *granter, u32 ref, bool readonly) {
    struct gnttab *t = &granter->gnttab;
    spin_lock(&t->lock);
    struct gnttab_active *a = active_of(t, ref);
    BUG_ON(!(readonly ? a->reads : a->writes));
    (readonly ? a->reads-- : a->writes--);
    entry_release(entry_of(t, ref), a);
    spin_unlock(&t->lock);
}
