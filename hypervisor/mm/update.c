// SPDX-License-Identifier: MIT
// Changes of page tables that guests ask for: single entries, pins, base pointers. Each takes what the new state needs,
// replaces, and drops what the old one held; if it fails, nothing has changed.
#include "internal.h"

static __attribute__((noinline)) int begin_slowly(struct domain *d) {
    int rc = READ_ONCE(d->dying) ? -EINVAL : mm_drain_locked(d) ? 0 : -ERESTART;

    if (rc)
        spin_unlock(&d->mm_lock);
    return rc;
}

/* Locks the domain's tables with no zombie left in them. A dying domain gets none: mm_destroy() looks at a frame once.
 */
static inline __attribute__((always_inline)) int begin(struct domain *d) {
    spin_lock(&d->mm_lock);
    return likely(!READ_ONCE(d->dying) && d->zombies == FRAME_NONE) ? 0 : begin_slowly(d);
}

/* The CPU whose root was composed for the vCPU, as a mask; it will do so again. Whoever loads the vCPU from now on sees
 * what was written before: its store to `current` and its reading of tables are ordered as ours are. */
static u64 request_recompose(struct vcpu *v) {
    struct cpu *c;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    c = READ_ONCE(v->cpu);
    if (!c || READ_ONCE(c->current) != v)
        return 0;
    __atomic_fetch_or(&c->requests, CPU_REQ_RECOMPOSE, __ATOMIC_SEQ_CST);
    return BIT(c->id);
}

/* Loading a base is a flush, also if it is the same. This CPU's own vCPU does it on its way back, once for all that is
 * changed until then. */
static inline void recompose_root(struct vcpu *v) {
    struct cpu *self = this_cpu();
    u64 mask;

    if (likely(self->current == v)) {
        tlb_drop(self);
        if (!(READ_ONCE(self->requests) & CPU_REQ_RECOMPOSE))
            __atomic_fetch_or(&self->requests, CPU_REQ_RECOMPOSE, __ATOMIC_SEQ_CST);
        return;
    }
    mask = request_recompose(v);
    if (mask)
        tlb_flush_guests(mask);
}

/* The L4 `m` (MFN_INVALID: any) changed: CPUs whose roots were composed from it must do so again before they run their
 * guest again. */
static void recompose_roots(struct domain *d, mfn_t m) {
    u64 mask = 0;

    for (u32 i = 0; i < d->nr_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (v && (mfn_eq(m, MFN_INVALID) || mfn_eq(v->base, m) || mfn_eq(v->user_base, m)))
            mask |= request_recompose(v);
    }
    if (mask)
        cpu_flush_guests(mask);
}

static void l4_changed(struct domain *d, struct page *pg, u32 slot) {
    const u64 *group = (const u64 *)page_to_virt(pg) + (slot & ~15u);
    u32 present = 0;

    for (u32 i = 0; i < 16; i++)
        present |= (u32)(group[i] & PTE_P);
    pg->aux = (pg->aux & ~(1u << slot / 16)) | present << slot / 16;
    mm_new_epoch(d);
    if (slot >= 256)
        mm_new_high_epoch(d);
    /* A linear entry may lead here from another L4's kernel half, and change who is fused. */
    recompose_roots(d, d->linear_tables ? MFN_INVALID : page_to_mfn(pg));
}

/* L3 tables count their present entries; one that becomes empty or ceases to be may change who is fused. */
static void l3_changed(struct domain *d, struct page *pg, u64 old, u64 new) {
    u32 before = pg->aux;

    pg->aux = before + (u32)(new &PTE_P) - (u32)(old & PTE_P);
    if (!before == !pg->aux)
        return;
    mm_new_epoch(d);
    recompose_roots(d, MFN_INVALID);
}

/* The CPU may set A and D in *old meanwhile, and nobody else anything. False: it did, and the caller wants none of it.
 */
static inline __attribute__((always_inline)) bool write_entry(u64 *entry, u64 *old, u64 value,
                                                              const struct mm_update *u) {
    u64 new;

    do {
        if (u->exact && *old != u->expected)
            return false;
        new = u->preserve_ad ? value | (*old & (PTE_A | PTE_D)) : value;
    } while (!__atomic_compare_exchange_n(entry, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return true;
}

static inline void note_part(struct page *pg, u32 slot) {
    if (unlikely(!(READ_ONCE(pg->count) & part_bit(slot))))
        __atomic_or_fetch(&pg->count, part_bit(slot), __ATOMIC_SEQ_CST);
}

/* Both leaves map, and hold, the same: W decides what they hold. */
static bool same_leaf(u64 a, u64 b) {
    return a & b & PTE_P && !((a ^ b) & (PTE_P | PTE_ADDR | PTE_W)) && !(b & (PTE_G | LEAF_CACHE));
}

static int replace_leaf(struct domain *owner, struct page *pg, const struct mm_update *u) {
    u64 *entry = maddr_to_virt(u->entry), value = u->value, old = READ_ONCE(*entry);
    bool holds = value & PTE_P && !same_leaf(old, value);
    int rc = holds ? leaf_get(pg, &value, owner) : 0;

    if (unlikely(rc))
        return rc;
    if (unlikely(!write_entry(entry, &old, value, u))) {
        if (holds)
            leaf_put(value);
        return -ERESTART;
    }
    if (value & PTE_P)
        note_part(pg, u->entry.a % PAGE_SIZE / 8);
    if (old & PTE_P && (holds || !(value & PTE_P)))
        leaf_put(old);
    return 0;
}

/* The same of entries above. W decides whether a linear one may be. */
static bool same_upper(const struct domain *d, u64 a, u64 b) {
    u64 relevant = PTE_P | PTE_ADDR | (d->linear_tables ? PTE_W : 0);

    return a & b & PTE_P && !((a ^ b) & relevant) && !(b & UPPER_REFUSED);
}

static void upper_changed(struct domain *d, struct page *pg, enum page_type type, u32 slot, u64 old, u64 new) {
    if (old & PTE_P)
        mm_new_walk_epoch(d);
    if (type == PT_L4)
        l4_changed(d, pg, slot);
    if (type == PT_L3)
        l3_changed(d, pg, old, new);
}

static int replace_upper(struct domain *d, struct page *pg, enum page_type type, const struct mm_update *u) {
    u32 slot = u->entry.a % PAGE_SIZE / 8;
    u64 *entry = maddr_to_virt(u->entry), value = u->value, old = READ_ONCE(*entry);
    bool same = same_upper(d, old, value);
    int rc;

    if (type == PT_L4 && slot_is_reserved(slot))
        return -EINVAL;
    rc = same ? 0 : entry_get(pg, type, &value, d);
    if (rc)
        return rc;
    if (!write_entry(entry, &old, value, u)) {
        if (!same)
            entry_put(pg, type, value);
        return -ERESTART;
    }
    if (value & PTE_P)
        note_part(pg, slot);
    upper_changed(d, pg, type, slot, old, value);
    if (!same)
        entry_put(pg, type, old);
    return 0;
}

/* Memory that is no table may be written through mmu_update as well. */
static int write_plain(struct page *pg, const struct mm_update *u) {
    int rc = page_get_type(pg, PT_WRITABLE);

    if (rc)
        return rc;
    WRITE_ONCE(*(u64 *)maddr_to_virt(u->entry), u->value);
    page_put_type(pg);
    return 0;
}

/* All but validated L1 tables. Who asked for a leaf may map another domain's frame, which must not become a table of
 * ours. */
static __attribute__((noinline)) int update_other(struct domain *d, struct domain *owner, struct page *pg,
                                                  const struct mm_update *u) {
    u64 word = READ_ONCE(pg->type);

    if (u->leaf && !(word & TYPE_USES && type_of(word) == PT_L1))
        return -EINVAL;
    if (!(word & TYPE_USES && is_table(type_of(word))))
        return write_plain(pg, u);
    if (!(word & TYPE_VALIDATED))
        return -EBUSY;
    /* Only memory is shared. The table may have become one of another level since the caller looked at it. */
    return owner == d ? replace_upper(d, pg, type_of(word), u) : -EINVAL;
}

int mm_update_entry(struct domain *d, struct domain *owner, const struct mm_update *u) {
    struct page *pg = mfn_to_page(maddr_to_mfn(u->entry));
    int rc;

    if (u->entry.a & 7 || !mfn_readable(maddr_to_mfn(u->entry)) || !ref_get(pg, d))
        return -EINVAL;
    rc = begin(d);
    if (!rc) {
        rc = has_validated(pg, PT_L1) ? replace_leaf(owner, pg, u) : update_other(d, owner, pg, u);
        spin_unlock(&d->mm_lock);
    }
    ref_put(pg);
    return rc;
}

/* The L1 table of d's that an entry is in, with a reference. mm_lock held. */
static struct page *leaf_table(struct domain *d, maddr_t entry) {
    struct page *pg = mfn_to_page(maddr_to_mfn(entry));

    if (entry.a & 7 || !mfn_valid(maddr_to_mfn(entry)) || !page_get(pg, d))
        return NULL;
    if (READ_ONCE(pg->type) & TYPE_USES && page_last_type(pg) == PT_L1)
        return pg;
    page_put(pg);
    return NULL;
}

/* The CPU may set A and D meanwhile, and nobody else anything. */
static int move_locked(struct domain *d, maddr_t from, maddr_t to, u64 expected) {
    struct page *source = leaf_table(d, from), *target = leaf_table(d, to);
    u64 *entry = maddr_to_virt(to);
    int rc = -EINVAL;

    if (source && target && from.a != to.a && !((READ_ONCE(*entry) ^ expected) & (PTE_P | PTE_W | PTE_ADDR))) {
        u64 value = __atomic_exchange_n((u64 *)maddr_to_virt(from), 0, __ATOMIC_SEQ_CST);

        entry_put(target, PT_L1, __atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST));
        rc = 0;
    }
    if (source)
        page_put(source);
    if (target)
        page_put(target);
    return rc;
}

int mm_move_entry(struct domain *d, maddr_t from, maddr_t to, u64 expected) {
    int rc = begin(d);

    if (!rc) {
        rc = move_locked(d, from, to, expected);
        spin_unlock(&d->mm_lock);
    }
    return rc;
}

int mm_update_va(struct vcpu *v, gva_t va, u64 value, struct domain *owner) {
    struct mm_update u = {.value = value, .leaf = true};

    mm_walk_vcpu(v, va, &u.entry);
    return !u.entry.a ? -EINVAL : mm_update_entry(v->domain, owner, &u);
}

int mm_pin(struct domain *d, mfn_t m, enum page_type type) {
    struct page *pg = mfn_to_page(m);
    int rc;

    if (!mfn_readable(m) || !ref_get(pg, d))
        return -EINVAL;
    rc = begin(d);
    if (!rc) {
        rc = page_get_type(pg, type);
        if (!rc && __atomic_fetch_or(&pg->type, TYPE_PINNED, __ATOMIC_SEQ_CST) & TYPE_PINNED) {
            page_put_type(pg);
            rc = -EINVAL;
        }
        spin_unlock(&d->mm_lock);
    }
    if (rc)
        ref_put(pg);
    return rc;
}

int mm_unpin(struct domain *d, mfn_t m) {
    struct page *pg = mfn_to_page(m);
    int rc;

    if (!mfn_readable(m) || !ref_get(pg, d))
        return -EINVAL;
    rc = begin(d);
    if (!rc) {
        if (__atomic_fetch_and(&pg->type, ~TYPE_PINNED, __ATOMIC_SEQ_CST) & TYPE_PINNED)
            page_put_with_type(pg);
        else
            rc = -EINVAL;
        spin_unlock(&d->mm_lock);
    }
    ref_put(pg);
    return rc;
}

/* Swaps one of the vCPU's base pointers for a table on which the caller took all it needs. */
static inline __attribute__((always_inline)) void swap_base(struct vcpu *v, mfn_t *base, mfn_t m) {
    mfn_t old = *base;

    *base = m;
    recompose_root(v);
    if (!mfn_eq(old, MFN_INVALID))
        ref_put_with_type(mfn_to_page(old));
}

static inline __attribute__((always_inline)) int set_base(struct vcpu *v, mfn_t *base, mfn_t m) {
    struct domain *d = v->domain;
    int rc = begin(d);

    if (rc)
        return rc;
    if (!mfn_eq(m, MFN_INVALID))
        rc = mfn_readable(m) ? ref_get_with_type(mfn_to_page(m), d, PT_L4) : -EINVAL;
    if (!rc)
        swap_base(v, base, m);
    spin_unlock(&d->mm_lock);
    return rc;
}

int mm_set_base(struct vcpu *v, mfn_t m) {
    return mfn_eq(m, MFN_INVALID) ? -EINVAL : set_base(v, &v->base, m);
}

int mm_set_user_base(struct vcpu *v, mfn_t m) {
    return set_base(v, &v->user_base, m);
}

void mm_drop_bases(struct vcpu *v) {
    spin_lock(&v->domain->mm_lock);
    swap_base(v, &v->base, MFN_INVALID);
    swap_base(v, &v->user_base, MFN_INVALID);
    spin_unlock(&v->domain->mm_lock);
}
