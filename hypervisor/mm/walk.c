// SPDX-License-Identifier: MIT
// Software walks of guests' page tables, and copies from and to guest memory. The hypervisor never dereferences a guest
// pointer. Walks take no lock: tables may change under them, so the frame found counts for nothing until a reference,
// and for writes a WRITABLE use, shows that it is the guest's own memory.
#include "internal.h"

static bool is_canonical(u64 a) {
    return (s64)(a << 16) >> 16 == (s64)a;
}

/* The upper three levels: where the L1 table is, and what they do to the rights of all its entries. */
static bool walk_down(struct walk *w, mfn_t base, gva_t va) {
    u64 all = ~0ul, any = 0, e = pte_make(base, PTE_P);

    if (!is_canonical(va.a) || slot_is_reserved(pt_slot(va.a, 4)) || !mfn_readable(base))
        return false;
#pragma GCC unroll 3
    for (int level = 4; level > 1; level--) {
        e = READ_ONCE(((const u64 *)mfn_to_virt(pte_mfn(e)))[pt_slot(va.a, level)]);
        if (!(e & PTE_P) || !mfn_readable(pte_mfn(e)))
            return false;
        all &= e;
        any |= e;
    }
    w->table = mfn_to_virt(pte_mfn(e));
    w->keep = all | ~(PTE_W | PTE_U);
    w->set = any & PTE_NX;
    return true;
}

static inline u64 leaf_of(const struct walk *w, gva_t va, maddr_t *entry) {
    const u64 *at = w->table + pt_slot(va.a, 1);
    u64 pte = READ_ONCE(*at);

    if (entry)
        *entry = virt_to_maddr(at);
    return pte & PTE_P ? (pte & w->keep) | w->set : 0;
}

u64 mm_walk(mfn_t base, gva_t va, maddr_t *entry) {
    struct walk w;

    if (entry)
        entry->a = 0;
    return walk_down(&w, base, va) ? leaf_of(&w, va, entry) : 0;
}

bool mm_walk_is_true(const struct walk *w) {
    struct walk fresh;

    return walk_down(&fresh, w->base, gva(w->region << REGION_SHIFT)) && fresh.table == w->table &&
           fresh.keep == w->keep && fresh.set == w->set;
}

/* The epoch is read before the tables: what changes later has another. */
static __attribute__((noinline)) bool remember(struct walk *w, u64 region, mfn_t base, const struct domain *d) {
    struct walk new = {.region = region, .base = base};

    new.epoch = __atomic_load_n(&d->walk_epoch, __ATOMIC_SEQ_CST);
    if (!walk_down(&new, base, gva(region << REGION_SHIFT)))
        return false;
    *w = new;
    return true;
}

/* mm_walk() from the vCPU's base. The CPU remembers the upper levels of its last walks. */
static inline __attribute__((always_inline)) u64 walk(const struct vcpu *v, gva_t va, maddr_t *entry) {
    u64 region = va.a >> REGION_SHIFT;
    mfn_t base = READ_ONCE(v->base);
    struct walk *w = &this_cpu()->walks[(region + base.n) % NR_WALKS];

    if (unlikely(w->region != region || !mfn_eq(w->base, base) ||
                 w->epoch != __atomic_load_n(&v->domain->walk_epoch, __ATOMIC_SEQ_CST)) &&
        !remember(w, region, base, v->domain))
        return 0;
    return leaf_of(w, va, entry);
}

u64 mm_walk_vcpu(const struct vcpu *v, gva_t va, maddr_t *entry) {
    if (entry)
        entry->a = 0;
    return walk(v, va, entry);
}

/* The frame behind a guest address, held for reading, or for writing; NULL if the guest may not. */
static inline __attribute__((always_inline)) struct page *hold_to_read(struct vcpu *v, gva_t va) {
    u64 pte = walk(v, va, NULL);
    struct page *pg = mfn_to_page(pte_mfn(pte));

    return likely(pte & PTE_P && mfn_readable(pte_mfn(pte)) && ref_get(pg, v->domain)) ? pg : NULL;
}

static struct page *hold(struct vcpu *v, gva_t va) {
    u64 pte = walk(v, va, NULL);
    struct page *pg = mfn_to_page(pte_mfn(pte));

    if (!(pte & PTE_P) || !(pte & PTE_W) || !mfn_readable(pte_mfn(pte)))
        return NULL;
    return ref_get_with_type(pg, v->domain, PT_WRITABLE) ? NULL : pg;
}

static size_t chunk_of(gva_t va, size_t n) {
    return MIN(n, PAGE_SIZE - va.a % PAGE_SIZE);
}

/* Within one page. */
static inline __attribute__((always_inline)) int copy_from_page(struct vcpu *v, void *dst, gva_t src, size_t n) {
    struct page *pg = hold_to_read(v, src);

    if (!pg)
        return -EFAULT;
    memcpy(dst, (char *)page_to_virt(pg) + src.a % PAGE_SIZE, n);
    ref_put(pg);
    return 0;
}

static __attribute__((noinline)) int copy_from_pages(struct vcpu *v, void *dst, gva_t src, size_t n) {
    while (n) {
        size_t chunk = chunk_of(src, n);

        if (copy_from_page(v, dst, src, chunk))
            return -EFAULT;
        dst = (char *)dst + chunk;
        src.a += chunk;
        n -= chunk;
    }
    return 0;
}

int copy_from_vcpu(struct vcpu *v, void *dst, gva_t src, size_t n) {
    if (likely(n && n <= PAGE_SIZE - src.a % PAGE_SIZE))
        return copy_from_page(v, dst, src, n);
    return copy_from_pages(v, dst, src, n);
}

int copy_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n) {
    while (n) {
        size_t chunk = chunk_of(dst, n);
        struct page *pg = hold(v, dst);

        if (!pg)
            return -EFAULT;
        memcpy((char *)page_to_virt(pg) + dst.a % PAGE_SIZE, src, chunk);
        ref_put_with_type(pg);
        src = (const char *)src + chunk;
        dst.a += chunk;
        n -= chunk;
    }
    return 0;
}

int copy_frame_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n, u64 *fault) {
    size_t first = chunk_of(dst, n);
    struct page *low = hold(v, dst), *high = NULL;

    *fault = dst.a;
    if (!low)
        return -EFAULT;
    if (first < n) {
        *fault = dst.a + first;
        high = hold(v, gva(*fault));
        if (!high) {
            ref_put_with_type(low);
            return -EFAULT;
        }
        memcpy(page_to_virt(high), (const char *)src + first, n - first);
        ref_put_with_type(high);
    }
    memcpy((char *)page_to_virt(low) + dst.a % PAGE_SIZE, src, first);
    ref_put_with_type(low);
    return 0;
}

int copy_from_guest(void *dst, gva_t src, size_t n) {
    return copy_from_vcpu(current_vcpu(), dst, src, n);
}

int copy_to_guest(gva_t dst, const void *src, size_t n) {
    return copy_to_vcpu(current_vcpu(), dst, src, n);
}

void *mm_hold_page(struct vcpu *v, gva_t va, struct page **held) {
    *held = hold(v, va);
    return *held ? (char *)page_to_virt(*held) + va.a % PAGE_SIZE : NULL;
}

void mm_let_go(struct page *held) {
    if (held)
        ref_put_with_type(held);
}

bool mm_find_pt_write(struct vcpu *v, gva_t va, maddr_t *entry, u64 *old) {
    u64 pte = walk(v, va, NULL);
    struct page *pg;

    if (!(pte & PTE_P) || !mfn_readable(pte_mfn(pte)))
        return false;
    pg = mfn_to_page(pte_mfn(pte));
    if (!ref_get(pg, v->domain))
        return false;
    entry->a = mfn_to_maddr(pte_mfn(pte)).a + (va.a & (PAGE_SIZE - 8));
    *old = READ_ONCE(*(u64 *)maddr_to_virt(*entry));
    ref_put(pg);
    return READ_ONCE(pg->type) & TYPE_USES && page_last_type(pg) == PT_L1;
}
