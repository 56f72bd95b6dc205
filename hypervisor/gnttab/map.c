// SPDX-License-Identifier: MIT
/*
 * Mapping granted frames: handles, and the page-table entries made for them. The header tells why there are never
 * more entries than handles.
 */
#include <pv/pte.h>
#include "internal.h"

#define FREE_NONE (~0u)
#define HOLDS (GNTMAP_host_map | GNTMAP_device_map)

/* What a handle is to be given back for; addresses that are 0 are not asked for. new_addr: of an entry to be moved to
 * host_addr. */
struct unmap {
    u64 host_addr, new_addr, dev_bus_addr;
    u32 handle;
};

/* --- handles --- */

static struct gnttab_map *map_of(struct gnttab *t, u32 handle) {
    if (handle >= t->nr_map_chunks * GNTTAB_MAP_CHUNK)
        return NULL;
    return &t->map[handle / GNTTAB_MAP_CHUNK][handle % GNTTAB_MAP_CHUNK];
}

static void handle_free(struct gnttab *t, u32 handle) {
    *map_of(t, handle) = (struct gnttab_map){.next_free = t->free_map};
    t->free_map = handle;
}

static bool handles_add(struct gnttab *t) {
    u32 first = t->nr_map_chunks * GNTTAB_MAP_CHUNK;
    struct gnttab_map *chunk = NULL;
    if (t->nr_map_chunks < t->max_map_chunks)
        chunk = heap_alloc(GNTTAB_MAP_CHUNK * sizeof(*chunk));
    if (!chunk)
        return false;
    t->map[t->nr_map_chunks++] = chunk;
    for (u32 i = GNTTAB_MAP_CHUNK; i-- > 0;)
        handle_free(t, first + i);
    return true;
}

/* A handle that is nobody's yet: in the making till its flags are set. */
static u32 handle_reserve(struct gnttab *t) {
    spin_lock(&t->lock);
    u32 handle = FREE_NONE;
    if (t->free_map != FREE_NONE || handles_add(t)) {
        handle = t->free_map;
        t->free_map = map_of(t, handle)->next_free;
    }
    spin_unlock(&t->lock);
    return handle;
}

static void handle_commit(struct gnttab *t, u32 handle, const struct gnttab_map *m) {
    spin_lock(&t->lock);
    *map_of(t, handle) = *m;
    spin_unlock(&t->lock);
}

static void handle_cancel(struct gnttab *t, u32 handle) {
    spin_lock(&t->lock);
    handle_free(t, handle);
    spin_unlock(&t->lock);
}

/* --- entries --- */

/* The machine address of the entry meant, of an L1 table of this domain; false: there is none. */
static bool find_entry(struct vcpu *v, u64 host_addr, bool is_pte, maddr_t *entry) {
    *entry = maddr(is_pte ? host_addr : 0);
    if (!is_pte)
        mm_walk_vcpu(v, gva(host_addr), entry);
    if (!entry->a || (entry->a & 7) || !mfn_valid(maddr_to_mfn(*entry)))
        return false;
    struct page *pg = mfn_to_page(maddr_to_mfn(*entry));
    if (!page_get(pg, v->domain))
        return false;
    u64 type = READ_ONCE(pg->type);
    page_put(pg);
    return (type & TYPE_USES) && (type & TYPE_VALIDATED) && (type & TYPE_MASK) >> TYPE_SHIFT == PT_L1;
}

/* Kernels want bits of their own in the entry, in the places left to software. */
static u64 entry_value(const struct gnttab_map_grant_ref *op, u32 frame) {
    u64 pte = (u64)frame << PAGE_SHIFT | PTE_P | PTE_A | PTE_D | PTE_NX;
    if (!(op->flags & GNTMAP_readonly))
        pte |= PTE_W;
    if (op->flags & GNTMAP_application_map)
        pte |= PTE_U;
    return pte | (u64)(op->flags >> _GNTMAP_guest_avail0 & 7) << 9;
}

static int entry_set(struct vcpu *v, struct domain *granter, const struct gnttab_map_grant_ref *op, u32 frame) {
    struct mm_update u = {.value = entry_value(op, frame), .leaf = true};
    if (!find_entry(v, op->host_addr, op->flags & GNTMAP_contains_pte, &u.entry))
        return -EINVAL;
    return mm_update_entry(v->domain, granter, &u);
}

static int entry_clear(struct vcpu *v, maddr_t entry, u64 expected) {
    struct mm_update u = {.entry = entry, .leaf = true};
    if ((READ_ONCE(*(u64 *)maddr_to_virt(entry)) ^ expected) & (PTE_P | PTE_W | PTE_ADDR))
        return -EINVAL;
    return mm_update_entry(v->domain, v->domain, &u);
}

/* The entry gets what is at another address, which is taken away there. */
static int entry_replace(struct vcpu *v, maddr_t entry, u64 expected, u64 new_addr) {
    maddr_t from;
    if (!find_entry(v, new_addr, false, &from))
        return -EINVAL;
    return mm_move_entry(v->domain, from, entry, expected);
}

/* The entry stops to map what the handle stands for, if it does. The table's lock is held, so that no two handles are
 * given back for one entry. */
static long entry_end(struct vcpu *v, const struct gnttab_map *m, const struct unmap *op) {
    const u64 expected = PTE_P | (m->flags & GNTMAP_readonly ? 0 : PTE_W) | (u64)m->frame << PAGE_SHIFT;
    bool is_pte = m->flags & GNTMAP_contains_pte;
    maddr_t entry;
    int rc = -EINVAL;
    ASSERT(spin_held(&v->domain->gnttab.lock));
    if (find_entry(v, op->host_addr, is_pte, &entry) && !(is_pte && op->new_addr))
        rc = op->new_addr ? entry_replace(v, entry, expected, op->new_addr) : entry_clear(v, entry, expected);
    return rc == -ERESTART ? rc : rc ? GNTST_general_error : GNTST_okay;
}

/* --- for devices: no entry, so the frame itself is held --- */

static bool device_get(struct domain *granter, u32 frame, bool readonly) {
    if (!mfn_valid(mfn(frame)))
        return false;
    struct page *pg = mfn_to_page(mfn(frame));
    return readonly ? page_get(pg, granter) : !page_get_with_type(pg, granter, PT_WRITABLE);
}

static void device_put(u32 frame, bool readonly) {
    struct page *pg = mfn_to_page(mfn(frame));
    if (readonly)
        page_put(pg);
    else
        page_put_with_type(pg);
}

/* --- mapping --- */

/* Takes what the mapping holds: 0, a GNTST_* value, or -ERESTART; nothing is held unless 0. */
static long mapping_make(struct vcpu *v, struct domain *granter, const struct gnttab_map_grant_ref *op, u32 frame) {
    bool readonly = op->flags & GNTMAP_readonly, device = op->flags & GNTMAP_device_map;
    if (!mfn_valid(mfn(frame)))
        return GNTST_bad_page;
    if (device && !device_get(granter, frame, readonly))
        return GNTST_general_error;
    int rc = op->flags & GNTMAP_host_map ? entry_set(v, granter, op, frame) : 0;
    if (rc && device)
        device_put(frame, readonly);
    return rc == -ERESTART ? rc : rc ? GNTST_general_error : GNTST_okay;
}

static long map_from(struct vcpu *v, struct domain *granter, struct gnttab_map_grant_ref *op) {
    struct gnttab *t = &v->domain->gnttab;
    bool readonly = op->flags & GNTMAP_readonly;
    u32 frame, handle = handle_reserve(t);
    if (handle == FREE_NONE)
        return GNTST_no_space;
    long rc = gnttab_pin(granter, op->ref, v->domain->id, readonly, &frame);
    if (rc)
        goto no_pin;
    rc = mapping_make(v, granter, op, frame);
    if (rc)
        goto no_mapping;
    handle_commit(t, handle,
                  &(struct gnttab_map){.ref = op->ref,
                                       .frame = frame,
                                       .dom = granter->id,
                                       .generation = granter->gnttab.generation,
                                       .flags = op->flags & (HOLDS | GNTMAP_readonly | GNTMAP_contains_pte)});
    op->handle = handle;
    op->dev_bus_addr = (u64)frame << PAGE_SHIFT;
    return GNTST_okay;
no_mapping:
    gnttab_unpin(granter, op->ref, readonly);
no_pin:
    handle_cancel(t, handle);
    return rc;
}

long gnttab_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op) {
    op->status = GNTST_bad_gntref;
    if (!(op->flags & HOLDS))
        return 0;
    struct domain *granter = gnttab_get_domain(v->domain, op->dom);
    op->status = GNTST_bad_domain;
    if (!granter)
        return 0;
    long rc = map_from(v, granter, op);
    gnttab_put_domain(granter);
    if (rc == -ERESTART)
        return rc;
    op->status = (s16)rc;
    return 0;
}

/* --- unmapping --- */

/* Ends the use at the granter, if that is still the one. */
static void use_end(const struct domain *d, const struct gnttab_map *m) {
    struct domain *granter = gnttab_get_domain(d, m->dom);
    if (!granter)
        return;
    if (granter->gnttab.generation == m->generation)
        gnttab_unpin(granter, m->ref, m->flags & GNTMAP_readonly);
    gnttab_put_domain(granter);
}

/* Gives back what the caller names. Returns as entry_end(); *m is left as the handle is then. */
static long unmap_locked(struct vcpu *v, const struct unmap *op, struct gnttab_map *m) {
    struct gnttab_map *map = map_of(&v->domain->gnttab, op->handle);
    *m = (struct gnttab_map){0};
    if (!map || !(map->flags & HOLDS))
        return GNTST_bad_handle;
    bool device = op->dev_bus_addr && (map->flags & GNTMAP_device_map);
    if (device && op->dev_bus_addr >> PAGE_SHIFT != map->frame)
        return GNTST_general_error;
    if (op->host_addr && (map->flags & GNTMAP_host_map)) {
        long rc = entry_end(v, map, op);
        if (rc)
            return rc;
        map->flags &= (u16)~GNTMAP_host_map;
    }
    if (device) {
        device_put(map->frame, map->flags & GNTMAP_readonly);
        map->flags &= (u16)~GNTMAP_device_map;
    }
    *m = *map;
    return GNTST_okay;
}

/* The handle is dead already when the lock is released; it can be used anew once its use has ended. Stale translations
 * are gone before the granter gets its frame back. */
static long unmap(struct vcpu *v, const struct unmap *op, s16 *status) {
    struct gnttab *t = &v->domain->gnttab;
    struct gnttab_map m;
    spin_lock(&t->lock);
    long rc = unmap_locked(v, op, &m);
    spin_unlock(&t->lock);
    if (rc == -ERESTART)
        return rc;
    *status = (s16)rc;
    if (rc)
        return 0;
    tlb_flush_stale(tlb_clock_advance());
    if (!(m.flags & HOLDS)) {
        use_end(v->domain, &m);
        handle_cancel(t, op->handle);
    }
    return 0;
}

long gnttab_unmap_one(struct vcpu *v, struct gnttab_unmap_grant_ref *op) {
    const struct unmap u = {.host_addr = op->host_addr, .dev_bus_addr = op->dev_bus_addr, .handle = op->handle};
    return unmap(v, &u, &op->status);
}

long gnttab_replace_one(struct vcpu *v, struct gnttab_unmap_and_replace *op) {
    const struct unmap u = {.host_addr = op->host_addr, .new_addr = op->new_addr, .handle = op->handle};
    return unmap(v, &u, &op->status);
}

/* As many handles are looked at as the domain has made itself. */
bool gnttab_has_mapped(struct domain *d, u64 frame) {
    struct gnttab *t = &d->gnttab;
    bool found = false;
    spin_lock(&t->lock);
    for (u32 i = 0; i < t->nr_map_chunks * GNTTAB_MAP_CHUNK && !found; i++)
        found = map_of(t, i)->flags & HOLDS && map_of(t, i)->frame == frame;
    spin_unlock(&t->lock);
    return found;
}

/* Page-table entries are dropped with the domain's tables. */
void gnttab_drop_maps(struct domain *d) {
    struct gnttab *t = &d->gnttab;
    for (u32 i = 0; i < t->nr_map_chunks * GNTTAB_MAP_CHUNK; i++) {
        struct gnttab_map *m = map_of(t, i);
        if (m->flags & GNTMAP_device_map)
            device_put(m->frame, m->flags & GNTMAP_readonly);
        if (m->flags & HOLDS)
            use_end(d, m);
    }
    for (u32 i = 0; i < t->nr_map_chunks; i++)
        heap_free(t->map[i]);
    t->nr_map_chunks = 0;
    t->free_map = FREE_NONE;
}
